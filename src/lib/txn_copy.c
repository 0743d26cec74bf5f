/* See txn_copy.h. */
#include "lib/txn_copy.h"

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

static bool copy_ops(struct arena *a, struct request_op **ops, size_t n)
{
    struct request_op *copy = arena_array(a, n, sizeof *copy);
    if (!copy)
        return false;
    for (size_t i = 0; i < n; i++) {
        copy[i] = (*ops)[i];
        if (!copy_op(a, &copy[i]))
            return false;
    }
    *ops = copy;
    return true;
}

static bool copy_compares(struct arena *a, struct txn_req *r)
{
    struct compare *copy = arena_array(a, r->n_compares, sizeof *copy);
    if (!copy)
        return false;
    for (size_t i = 0; i < r->n_compares; i++) {
        copy[i] = r->compares[i];
        if (!copy_range(a, &copy[i].range) || !copy_bytes(a, &copy[i].value))
            return false;
    }
    r->compares = copy;
    return true;
}

struct txn_req *txn_copy(struct arena *a, const struct txn_req *r)
{
    struct txn_req *copy = arena_alloc(a, sizeof *copy);
    if (!copy)
        return NULL;
    *copy = *r;
    bool done = copy_compares(a, copy) && copy_ops(a, &copy->success, copy->n_success) &&
                copy_ops(a, &copy->failure, copy->n_failure);
    return done ? copy : NULL;
}
