#include "cli/offset.h"

#define SECOND_US INT64_C(1000000)

void offset_seen(struct offset *o, int64_t sent_us, int64_t got_us, int64_t date_s)
{
    int64_t low = date_s * SECOND_US - got_us, high = (date_s + 1) * SECOND_US - sent_us;
    if (!o->is_known || low > o->low_us)
        o->low_us = low;
    if (!o->is_known || high < o->high_us)
        o->high_us = high;
    o->is_known = true;
    o->has_jumped = o->has_jumped || o->low_us > o->high_us;
}

bool offset_is_within(const struct offset *o, int64_t error_us)
{
    return o->is_known && (o->has_jumped || o->high_us - o->low_us <= 2 * error_us);
}

bool offset_get(const struct offset *o, int64_t *ret_us, int64_t *ret_error_us)
{
    if (!o->is_known || o->has_jumped)
        return false;
    *ret_error_us = (o->high_us - o->low_us + 1) / 2;
    *ret_us = o->low_us + (o->high_us - o->low_us) / 2;
    return true;
}
