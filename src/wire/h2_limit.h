/* How often a peer may do what costs us more than it: a bucket of tokens that fills with time. Pure; told the time. */
#ifndef WIRE_H2_LIMIT_H
#define WIRE_H2_LIMIT_H

#include "base/types.h"

struct h2_limit {
    int64_t per_s;
    int64_t room; /* in thousandths */
    tn_ms at;     /* when room was right; TN_MS_NEVER before the first use */
};

/* per_s on average over ten seconds, so ten times that at once. */
void h2_limit_init(struct h2_limit *l, uint32_t per_s);
/* Counts one; false when it is one too many. */
bool h2_limit_take(struct h2_limit *l, tn_ms now) MUST_USE;

#endif
