/* The steps that Lock and Election share: a lease for the call, and transactions in its name. Each failure ends the call. */
#ifndef CORE_QUEUE_STEPS_H
#define CORE_QUEUE_STEPS_H

#include "core/call.h"

/* The lease asked for, or where that is 0 a new one of 60 s; *ret_made tells which. False: the call has ended. */
bool queue_lease(struct core_call *call, tn_lease asked, tn_ms now, tn_lease *ret, bool *ret_made) MUST_USE;
/* A transaction whose permission is checked first. False: the call has ended. */
bool queue_txn(struct core_call *call, const struct txn_req *req, tn_ms now, struct txn_resp *ret, tn_seq *seq)
    MUST_USE;
/* Takes a lease back that queue_lease made for nothing. */
void queue_lease_back(struct core *c, tn_lease made);

#endif
