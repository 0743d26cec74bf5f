/* A deep copy of a transaction's request, for one that outlives who made it. Pure. */
#ifndef LIB_TXN_COPY_H
#define LIB_TXN_COPY_H

#include "api/kv.h"
#include "base/arena.h"

/* All of it in a, transactions within it too; their depth is the caller's to bound. NULL when out of memory. */
struct txn_req *txn_copy(struct arena *a, const struct txn_req *r) MUST_USE;

#endif
