/* Preference in a queue: see rank.h. The text is two numbers in decimal, "<preference> <TTL in seconds>". */
#include "recipes/rank.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { YIELDS_FOR_TTLS = 3, PAUSE_TTLS = 2 };

bytes rank_write(const struct rank *r, char out[RANK_TEXT_MAX])
{
    int n = snprintf(out, RANK_TEXT_MAX, "%" PRId64 " %" PRId64, r->preference, r->ttl_s);
    return bytes_of(out, (size_t)n);
}

/* A number of `text` and what follows it; false: there is none, or it is beyond all numbers. */
static bool read_number(const char **text, int64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoll(*text, &end, 10);
    if (end == *text || errno)
        return false;
    *text = end;
    return true;
}

struct rank rank_read(bytes text)
{
    char copy[RANK_TEXT_MAX];
    const char *at = copy;
    struct rank r;
    if (text.len == 0 || text.len >= sizeof copy)
        return (struct rank){0};
    memcpy(copy, text.data, text.len);
    copy[text.len] = 0;
    if (!read_number(&at, &r.preference))
        return (struct rank){0};
    if (!read_number(&at, &r.ttl_s) || r.ttl_s < 0)
        r.ttl_s = 0;
    r.ttl_s = r.ttl_s < RANK_TTL_MAX_S ? r.ttl_s : RANK_TTL_MAX_S;
    return r;
}

bool patience_yields(struct patience *p, int64_t ttl_s, tn_ms now)
{
    tn_ms ttl = (ttl_s < RANK_TTL_MAX_S ? ttl_s : RANK_TTL_MAX_S) * 1000;
    if (p->last == 0 || now - p->last > PAUSE_TTLS * ttl)
        p->since = now;
    if (now - p->since > YIELDS_FOR_TTLS * ttl)
        return false;
    p->last = now;
    return true;
}
