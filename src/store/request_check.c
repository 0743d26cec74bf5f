/* What is wrong with a request by itself, in etcd's order of checks.
 */
#include "store/internal.h"

enum { TXN_DEPTH_MAX = 128 }; /* whatever the budget of operations is: nested transactions are walked by recursion */

enum etcd_error check_range(const struct range_req *req)
{
    if (req->range.key.len == 0)
        return ETCD_EMPTY_KEY;
    if (req->sort_order < SORT_NONE || req->sort_order > SORT_DESCEND)
        return ETCD_INVALID_SORT_OPTION;
    if (req->sort_target < SORT_KEY || req->sort_target > SORT_VALUE)
        return ETCD_INVALID_SORT_OPTION;
    return ETCD_OK;
}

enum etcd_error check_put(const struct put_req *req)
{
    if (req->key.len == 0)
        return ETCD_EMPTY_KEY;
    if (req->ignore_value && req->value.len != 0)
        return ETCD_VALUE_PROVIDED;
    if (req->ignore_lease && req->lease != 0)
        return ETCD_LEASE_PROVIDED;
    return ETCD_OK;
}

enum etcd_error check_delete(const struct delete_req *req)
{
    return req->range.key.len == 0 ? ETCD_EMPTY_KEY : ETCD_OK;
}

static enum etcd_error check_txn_within(const struct txn_req *req, size_t ops_max, unsigned depth);

static enum etcd_error check_op(const struct request_op *op, size_t ops_max, unsigned depth)
{
    switch (op->kind) {
    case OP_RANGE:
        return check_range(&op->range);
    case OP_PUT:
        return check_put(&op->put);
    case OP_DELETE:
        return check_delete(&op->del);
    case OP_TXN:
        return check_txn_within(op->txn, ops_max, depth + 1);
    case OP_NONE:
        break;
    }
    return ETCD_KEY_NOT_FOUND;
}

static enum etcd_error check_ops(const struct request_op *ops, size_t n, size_t ops_max, unsigned depth)
{
    enum etcd_error e = ETCD_OK;
    for (size_t i = 0; !e && i < n; i++)
        e = check_op(&ops[i], ops_max, depth);
    return e;
}

static size_t longest_list(const struct txn_req *req)
{
    size_t n = req->n_compares > req->n_success ? req->n_compares : req->n_success;
    return n > req->n_failure ? n : req->n_failure;
}

/* A nested transaction gets what its parent's longest list left over. */
static enum etcd_error check_txn_within(const struct txn_req *req, size_t ops_max, unsigned depth)
{
    size_t ops = longest_list(req);
    if (ops > ops_max || depth > TXN_DEPTH_MAX)
        return ETCD_TOO_MANY_OPS;
    for (size_t i = 0; i < req->n_compares; i++) {
        if (req->compares[i].range.key.len == 0)
            return ETCD_EMPTY_KEY;
    }
    enum etcd_error e = check_ops(req->success, req->n_success, ops_max - ops, depth);
    return e ? e : check_ops(req->failure, req->n_failure, ops_max - ops, depth);
}

enum etcd_error check_txn(const struct txn_req *req, uint32_t ops_max)
{
    return check_txn_within(req, ops_max, 0);
}

enum etcd_error store_check_put(const struct put_req *req)
{
    return check_put(req);
}

enum etcd_error store_check_delete(const struct delete_req *req)
{
    return check_delete(req);
}
