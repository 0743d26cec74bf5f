/* See spread.h. Up to SPREAD_FINE microseconds each has a bucket; behind that each power of two has SPREAD_FINE. */
#include "cli/spread.h"

#include <stddef.h>

enum { FINE_BITS = 6 };

static size_t bucket_of(int64_t us)
{
    if (us < SPREAD_FINE)
        return (size_t)us;
    int top = 63 - __builtin_clzll((unsigned long long)us), shift = top - FINE_BITS;
    size_t at = (size_t)(shift + 1) * SPREAD_FINE + ((size_t)(us >> shift) - SPREAD_FINE);
    return at < SPREAD_BUCKETS ? at : SPREAD_BUCKETS - 1;
}

/* The greatest time in it. */
static int64_t end_of(size_t bucket)
{
    if (bucket < SPREAD_FINE)
        return (int64_t)bucket;
    int shift = (int)(bucket / SPREAD_FINE) - 1;
    return ((int64_t)(bucket % SPREAD_FINE + SPREAD_FINE + 1) << shift) - 1;
}

void spread_add(struct spread *s, int64_t us)
{
    us = us < 0 ? 0 : us;
    s->n++;
    s->sum_us += (double)us;
    s->max_us = us > s->max_us ? us : s->max_us;
    s->buckets[bucket_of(us)]++;
}

int64_t spread_us(const struct spread *s, double p)
{
    uint64_t wanted = (uint64_t)((double)s->n * p), seen = 0;
    if ((double)wanted < (double)s->n * p || wanted == 0)
        wanted++;
    for (size_t i = 0; i < SPREAD_BUCKETS; i++) {
        seen += s->buckets[i];
        if (seen >= wanted && seen > 0)
            return end_of(i) < s->max_us ? end_of(i) : s->max_us;
    }
    return s->max_us;
}

double spread_mean_us(const struct spread *s)
{
    return s->n ? s->sum_us / (double)s->n : 0;
}
