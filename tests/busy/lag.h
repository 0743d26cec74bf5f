/* How long something took, as counts of microseconds in steps of less than 1 %. Pure. */
#ifndef BUSY_LAG_H
#define BUSY_LAG_H

#include "base/types.h"

enum { LAG_STEPS = 4096 };

struct lag {
    uint64_t steps[LAG_STEPS], n;
};

void lag_add(struct lag *l, int64_t us);
/* The time that this share (0 … 1) did not exceed; 0 when there is nothing. */
int64_t lag_quantile(const struct lag *l, double share);

#endif
