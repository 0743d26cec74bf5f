/* See txn_copy.h. */
#include "api/txn_copy.h"

/* arena_copy of nothing is NULL too: only bytes that are there can be short of memory. */
static bool copy_bytes(struct arena *a, bytes *s)
{
    if (s->len > 0)
        *s = arena_copy(a, *s);
    return s->len == 0 || s->data;
}

static bool copy_range(struct arena *a, struct key_range *r)
{
    return copy_bytes(a, &r->key) && copy_bytes(a, &r->range_end);
}

static bool copy_op(struct arena *a, struct request_op *op)
{
    switch (op->kind) {
    case OP_PUT:
        return copy_bytes(a, &op->put.key) && copy_bytes(a, &op->put.value);
    case OP_RANGE:
        return copy_range(a, &op->range.range);
    case OP_DELETE:
        return copy_range(a, &op->del.range);
    case OP_TXN:
        op->txn = txn_copy(a, op->txn);
        return op->txn != NULL;
    case OP_NONE:
        break;
    }
    return true;
}

struct request_op *txn_copy_ops(struct arena *a, const struct request_op *ops, size_t n, size_t room)
{
    struct request_op *copy = arena_array(a, n + room, sizeof *copy);
    for (size_t i = 0; copy && i < n; i++) {
        copy[i] = ops[i];
        if (!copy_op(a, &copy[i]))
            return NULL;
    }
    return copy;
}

static struct compare *copy_compares(struct arena *a, const struct compare *compares, size_t n, size_t room)
{
    struct compare *copy = arena_array(a, n + room, sizeof *copy);
    for (size_t i = 0; copy && i < n; i++) {
        copy[i] = compares[i];
        if (!copy_range(a, &copy[i].range) || !copy_bytes(a, &copy[i].value))
            return NULL;
    }
    return copy;
}

bool txn_copy_into(struct arena *a, const struct txn_req *r, size_t room, struct txn_req *ret)
{
    *ret = *r;
    ret->compares = copy_compares(a, r->compares, r->n_compares, room);
    ret->success = txn_copy_ops(a, r->success, r->n_success, room);
    ret->failure = txn_copy_ops(a, r->failure, r->n_failure, room);
    return ret->compares && ret->success && ret->failure;
}

struct txn_req *txn_copy(struct arena *a, const struct txn_req *r)
{
    struct txn_req *copy = arena_alloc(a, sizeof *copy);
    return copy && txn_copy_into(a, r, 0, copy) ? copy : NULL;
}
