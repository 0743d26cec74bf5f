/* How times spread: counts in buckets that are 1.6 % wide, from a microsecond to some minutes, so that a run of any length takes the same
 * memory. Pure. */
#ifndef CLI_SPREAD_H
#define CLI_SPREAD_H

#include <stdint.h>

enum { SPREAD_FINE = 64, SPREAD_BUCKETS = SPREAD_FINE * 32 };

struct spread {
    uint64_t n;
    double sum_us;
    int64_t max_us;
    uint64_t buckets[SPREAD_BUCKETS];
};

void spread_add(struct spread *s, int64_t us); /* below 0 counts as 0 */
/* The time that the part p (0 to 1) of all were done in, to within a bucket; 0 when there are none. */
int64_t spread_us(const struct spread *s, double p);
double spread_mean_us(const struct spread *s);

#endif
