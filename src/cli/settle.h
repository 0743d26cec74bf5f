/* When changes that come one after the other are acted on together: once there was quiet for min_ms, at the latest max_ms after the
 * first of them. Pure: told the time. */
#ifndef CLI_SETTLE_H
#define CLI_SETTLE_H

#include <stdbool.h>
#include <stdint.h>

struct settle {
    int64_t min_ms, max_ms;
    bool pending;
    int64_t first_ms, last_ms;
};

#define SETTLE_MIN_MS    200
#define SETTLE_MAX_TIMES 10 /* the default for max_ms, in min_ms */

/* < 0: the default. */
static inline void settle_init(struct settle *s, int64_t min_ms, int64_t max_ms)
{
    *s = (struct settle){.min_ms = min_ms < 0 ? SETTLE_MIN_MS : min_ms};
    s->max_ms = max_ms < 0 ? s->min_ms * SETTLE_MAX_TIMES : max_ms;
}

static inline void settle_change(struct settle *s, int64_t now_ms)
{
    if (!s->pending)
        s->first_ms = now_ms;
    s->pending = true;
    s->last_ms = now_ms;
}

/* INT64_MAX while there is nothing. */
static inline int64_t settle_due_ms(const struct settle *s)
{
    if (!s->pending)
        return INT64_MAX;
    int64_t quiet = s->last_ms + s->min_ms, latest = s->first_ms + s->max_ms;
    return quiet < latest ? quiet : latest;
}

/* Whether it is time; then it begins anew. */
static inline bool settle_take(struct settle *s, int64_t now_ms)
{
    if (now_ms < settle_due_ms(s))
        return false;
    s->pending = false;
    return true;
}

#endif
