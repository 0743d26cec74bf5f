/* What the structs of the KV service mean where a field alone does not say it. */
#include "api/kv.h"

bool key_range_contains(struct key_range r, bytes k)
{
    if (key_range_is_single(r))
        return bytes_equal(r.key, k);
    if (bytes_compare(k, r.key) < 0)
        return false;
    return key_range_is_from(r) || bytes_compare(k, r.range_end) < 0;
}

static bool ops_may_write(const struct request_op *ops, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (ops[i].kind == OP_PUT || ops[i].kind == OP_DELETE)
            return true;
        if (ops[i].kind == OP_TXN && txn_may_write(ops[i].txn))
            return true;
    }
    return false;
}

bool txn_may_write(const struct txn_req *t)
{
    return ops_may_write(t->success, t->n_success) || ops_may_write(t->failure, t->n_failure);
}
