/* Each use takes a token; a millisecond brings per_s thousandths of one, up to ten seconds' worth. A clock that stands
 * still or goes back brings nothing. */
#include "wire/h2_limit.h"

enum { AVERAGE_MS = 10 * 1000, THOUSANDTHS = 1000 };

void h2_limit_init(struct h2_limit *l, uint32_t per_s)
{
    *l = (struct h2_limit){.per_s = per_s, .room = (int64_t)per_s * AVERAGE_MS, .at = TN_MS_NEVER};
}

static void refill(struct h2_limit *l, tn_ms now)
{
    int64_t passed = now > l->at ? now - l->at : 0;
    l->at = now;
    if (passed > AVERAGE_MS)
        passed = AVERAGE_MS;
    l->room += passed * l->per_s;
    if (l->room > l->per_s * AVERAGE_MS)
        l->room = l->per_s * AVERAGE_MS;
}

bool h2_limit_take(struct h2_limit *l, tn_ms now)
{
    refill(l, now);
    if (l->room < THOUSANDTHS)
        return false;
    l->room -= THOUSANDTHS;
    return true;
}
