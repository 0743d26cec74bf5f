/* xoshiro256** 1.0 by Blackman and Vigna, its state filled from the seed by splitmix64 as they advise: any seed, 0
 * too, gives a good state. */
#include "base/rng.h"

#include <assert.h>

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void rng_init(struct rng *r, uint64_t seed)
{
    for (size_t i = 0; i < ARRAY_LEN(r->s); i++)
        r->s[i] = splitmix64(&seed);
}

uint64_t rng_u64(struct rng *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

/* A plain remainder would favour small numbers; drawing again below 2^64 mod n leaves a multiple of n. */
uint64_t rng_below(struct rng *r, uint64_t n)
{
    assert(n > 0);
    uint64_t skip = (0 - n) % n;
    uint64_t x = rng_u64(r);
    while (x < skip)
        x = rng_u64(r);
    return x % n;
}

int64_t rng_jitter(struct rng *r, int64_t base, unsigned percent)
{
    if (base <= 0)
        return 0;
    if (percent > 100)
        percent = 100;
    int64_t span = base / 100 * percent + base % 100 * percent / 100;
    int64_t low = base - span;
    uint64_t more = rng_below(r, 2 * (uint64_t)span + 1);
    return more > (uint64_t)(INT64_MAX - low) ? INT64_MAX : low + (int64_t)more;
}
