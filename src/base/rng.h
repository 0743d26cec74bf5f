/* Pseudo random numbers from a seed that the driver hands in: the same seed, the same run. Not for secrets. Pure. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include "base/types.h"

struct rng {
    uint64_t s[4];
};

void rng_init(struct rng *r, uint64_t seed);
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n); /* uniform in 0..n-1; n > 0 */
/* base +/- percent %, uniform; never below 0. */
int64_t rng_jitter(struct rng *r, int64_t base, unsigned percent);

#endif
