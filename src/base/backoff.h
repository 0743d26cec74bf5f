/* Exponential backoff with jitter: min, 2 min, 4 min … max, each +/- 25 %. Pure; time is an argument. */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include "base/rng.h"

struct backoff {
    int64_t min_ms, max_ms;
    unsigned tries; /* failures since the last success */
};

void backoff_init(struct backoff *b, int64_t min_ms, int64_t max_ms);
void backoff_success(struct backoff *b);
/* Counts a failure and answers how long to wait from now. */
int64_t backoff_failure(struct backoff *b, struct rng *r);

#endif
