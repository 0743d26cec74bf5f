/* The wait is a function of the number of failures since the last success; nothing here fails. */
#include "base/backoff.h"

#include <assert.h>
#include <limits.h>

enum { JITTER_PERCENT = 25 };

void backoff_init(struct backoff *b, int64_t min_ms, int64_t max_ms)
{
    assert(min_ms > 0);
    assert(max_ms >= min_ms);
    *b = (struct backoff){.min_ms = min_ms, .max_ms = max_ms};
}

void backoff_success(struct backoff *b)
{
    b->tries = 0;
}

static int64_t wait_after(const struct backoff *b)
{
    int64_t wait_ms = b->min_ms;
    for (unsigned i = 0; i < b->tries && wait_ms < b->max_ms; i++)
        wait_ms = wait_ms > b->max_ms / 2 ? b->max_ms : 2 * wait_ms;
    return wait_ms;
}

int64_t backoff_failure(struct backoff *b, struct rng *r)
{
    int64_t wait_ms = wait_after(b);
    if (b->tries < UINT_MAX)
        b->tries++;
    return rng_jitter(r, wait_ms, JITTER_PERCENT);
}
