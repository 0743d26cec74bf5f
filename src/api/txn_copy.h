/* A deep copy of a transaction's request, for one that outlives who made it. Pure. */
#ifndef API_TXN_COPY_H
#define API_TXN_COPY_H

#include "api/kv.h"
#include "base/arena.h"

/* All of it in a, transactions within it too; their depth is the caller's to bound. NULL when out of memory. */
struct txn_req *txn_copy(struct arena *a, const struct txn_req *r) MUST_USE;
/* The same, and each list has room for so many more. False when out of memory. */
bool txn_copy_into(struct arena *a, const struct txn_req *r, size_t room, struct txn_req *ret) MUST_USE;
/* One list of operations. NULL when out of memory. */
struct request_op *txn_copy_ops(struct arena *a, const struct request_op *ops, size_t n, size_t room) MUST_USE;

#endif
