/* See picker.h. */
#include "recipes/picker.h"

enum { LOG_BITS = 28 }; /* behind the point */

/* ---- numbers ---- */

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* FNV-1a, and its bits mixed, since it leaves the last byte in the low ones. */
uint64_t picker_hash(bytes s)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ s.data[i]) * UINT64_C(0x100000001b3);
    return mix(h);
}

/* -log2((h + 1) / 2^64), LOG_BITS behind the point: digit by digit, by squaring. */
static uint64_t minus_log2(uint64_t h)
{
    if (h == UINT64_MAX)
        return 0;
    uint64_t x = h + 1, log;
    int whole = 63;
    for (; !(x >> 63); x <<= 1)
        whole--;
    x >>= 32; /* 1 <= x / 2^31 < 2 */
    log = (uint64_t)whole;
    for (int i = 0; i < LOG_BITS; i++) {
        x = x * x >> 31;
        log = log << 1 | x >> 32;
        x >>= x >> 32;
    }
    return (UINT64_C(64) << LOG_BITS) - log;
}

/* ---- policies ---- */

static size_t next_behind(const struct picker_target *targets, size_t n, uint64_t hash)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (targets[middle].hash <= hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n ? low : 0;
}

static size_t pick_weighted(struct rng *rng, const struct picker_target *targets, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += targets[i].weight;
    uint64_t at = rng_below(rng, sum);
    size_t i = 0;
    while (at >= targets[i].weight)
        at -= targets[i++].weight;
    return i;
}

/* a has fewer uses for its weight than b: < 0. */
static int compare_uses(const struct picker_target *a, const struct picker_target *b)
{
    uint64_t left = (uint64_t)a->uses * b->weight, right = (uint64_t)b->uses * a->weight;
    return left < right ? -1 : left > right;
}

static size_t pick_least_used(struct rng *rng, const struct picker_target *targets, size_t n)
{
    size_t best = 0;
    uint64_t equals = 1;
    for (size_t i = 1; i < n; i++) {
        int order = compare_uses(&targets[i], &targets[best]);
        equals = order < 0 ? 1 : equals + (order == 0);
        if (order < 0 || (order == 0 && rng_below(rng, equals) == 0))
            best = i;
    }
    return best;
}

static size_t pick_consistent(const struct picker_target *targets, size_t n, bytes key)
{
    uint64_t of_key = picker_hash(key), best_draw = 0, best_log = 0;
    size_t best = n;
    for (size_t i = 0; i < n; i++) {
        uint64_t draw = mix(targets[i].hash ^ of_key), log = minus_log2(draw);
        uint64_t left = best < n ? log * targets[best].weight : 0, right = best_log * targets[i].weight;
        if (best < n && (left > right || (left == right && draw <= best_draw)))
            continue;
        best = i;
        best_draw = draw;
        best_log = log;
    }
    return best;
}

void picker_init(struct picker *p, enum picker_policy policy, uint64_t seed)
{
    p->policy = policy;
    rng_init(&p->rng, seed);
    p->last = rng_u64(&p->rng); /* not all programs begin with the same one */
}

size_t picker_pick(struct picker *p, const struct picker_target *targets, size_t n, bytes key)
{
    size_t i = 0;
    switch (p->policy) {
    case PICKER_ROUND_ROBIN:
        i = next_behind(targets, n, p->last);
        p->last = targets[i].hash;
        return i;
    case PICKER_RANDOM:
        return (size_t)rng_below(&p->rng, n);
    case PICKER_WEIGHTED:
        return pick_weighted(&p->rng, targets, n);
    case PICKER_LEAST_USED:
        return pick_least_used(&p->rng, targets, n);
    case PICKER_CONSISTENT:
        return pick_consistent(targets, n, key);
    }
    return i;
}
