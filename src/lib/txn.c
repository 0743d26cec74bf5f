/* Transactions: a builder that copies all it is given and remembers its first error, then one call.
 *
 * The commit on the loop's own thread hands the builder's arrays to the engine, which copies what it needs. From another
 * thread the call gets a copy of its own, because the builder may be changed or freed while the call is under way. */
#include <stdlib.h>

#include "lib/ask.h"
#include "lib/request.h"
#include "lib/result.h"

#define TXN_BYTES_MAX ((size_t)64 << 20)
#define TXN_PARTS_MAX 65536 /* compares, or operations of a branch; servers allow 128 unless told otherwise */

struct tenure_txn {
    tenure_client *handle;
    int error; /* the first, a TENURE_E… code; 0 = none */
    struct tenure_error why;
    struct arena arena;
    struct txn_req req;
    size_t cap_compares, cap_success, cap_failure;
};

tenure_txn *tenure_txn_new(tenure_client *c)
{
    tenure_txn *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->handle = c;
    arena_init(&t->arena, TXN_BYTES_MAX);
    return t;
}

void tenure_txn_free(tenure_txn *t)
{
    if (!t)
        return;
    free(t->req.compares);
    free(t->req.success);
    free(t->req.failure);
    arena_fini(&t->arena);
    free(t);
}

/* ---- building ---- */

static void fail(tenure_txn *t, int code, const char *text)
{
    if (t->error == 0)
        t->error = error_set(&t->why, code, "txn: %s", text);
}

static bytes keep(tenure_txn *t, bytes s)
{
    bytes copy = arena_copy(&t->arena, s);
    if (s.len > 0 && !copy.data)
        fail(t, s.len > TXN_BYTES_MAX - t->arena.total ? TENURE_ETOOLARGE : TENURE_ENOMEM,
             "no room for a key or value");
    return copy;
}

/* The list with room for one more element; NULL with the error set, and the list as it was. */
static void *grown(tenure_txn *t, void *list, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return list;
    if (n >= TXN_PARTS_MAX) {
        fail(t, TENURE_ETOOLARGE, "too many compares or operations");
        return NULL;
    }
    size_t more = *cap ? *cap * 2 : 4;
    void *bigger = realloc(list, more * size);
    if (!bigger) {
        fail(t, TENURE_ENOMEM, "out of memory");
        return NULL;
    }
    *cap = more;
    return bigger;
}

static void add_compare(tenure_txn *t, struct tenure_bytes key, enum tenure_cmp cmp, enum compare_target target,
                        int64_t number, bytes value)
{
    if (!t || t->error)
        return;
    if (key.len == 0 || cmp < TENURE_EQ || cmp > TENURE_NE) {
        fail(t, TENURE_EINVALID, key.len == 0 ? "the key of a compare is empty" : "unknown comparison");
        return;
    }
    struct compare c = {
        .result = (int32_t)cmp,
        .target = target,
        .range = {.key = keep(t, result_bytes_in(key))},
        .number = number,
        .value = keep(t, value),
    };
    if (t->error)
        return;
    struct compare *list = grown(t, t->req.compares, t->req.n_compares, &t->cap_compares, sizeof c);
    if (!list)
        return;
    t->req.compares = list;
    list[t->req.n_compares++] = c;
}

void tenure_if_version(tenure_txn *t, struct tenure_bytes key, enum tenure_cmp cmp, int64_t version)
{
    add_compare(t, key, cmp, COMPARE_VERSION, version, bytes_of(NULL, 0));
}

void tenure_if_create_revision(tenure_txn *t, struct tenure_bytes key, enum tenure_cmp cmp, int64_t revision)
{
    add_compare(t, key, cmp, COMPARE_CREATE, revision, bytes_of(NULL, 0));
}

void tenure_if_mod_revision(tenure_txn *t, struct tenure_bytes key, enum tenure_cmp cmp, int64_t revision)
{
    add_compare(t, key, cmp, COMPARE_MOD, revision, bytes_of(NULL, 0));
}

void tenure_if_lease(tenure_txn *t, struct tenure_bytes key, enum tenure_cmp cmp, int64_t lease)
{
    add_compare(t, key, cmp, COMPARE_LEASE, lease, bytes_of(NULL, 0));
}

void tenure_if_value(tenure_txn *t, struct tenure_bytes key, enum tenure_cmp cmp, struct tenure_bytes value)
{
    add_compare(t, key, cmp, COMPARE_VALUE, 0, result_bytes_in(value));
}

static void push_op(tenure_txn *t, struct request_op **list, size_t *n, size_t *cap, const struct request_op *op)
{
    struct request_op *bigger = grown(t, *list, *n, cap, sizeof *op);
    if (!bigger)
        return;
    *list = bigger;
    bigger[(*n)++] = *op;
}

/* Takes the outcome of making op into the builder. */
static void add_op(tenure_txn *t, bool success, int rc, const struct request_op *op)
{
    if (rc < 0 && t->error == 0) {
        t->error = rc;
        error_wrap(&t->why, "txn");
    }
    if (t->error)
        return;
    if (success)
        push_op(t, &t->req.success, &t->req.n_success, &t->cap_success, op);
    else
        push_op(t, &t->req.failure, &t->req.n_failure, &t->cap_failure, op);
}

static void keep_range(tenure_txn *t, struct key_range *r)
{
    r->key = keep(t, r->key);
    r->range_end = keep(t, r->range_end);
}

static void add_put(tenure_txn *t, bool success, struct tenure_bytes key, struct tenure_bytes value, int64_t lease)
{
    if (!t || t->error)
        return;
    struct tenure_put_options o = {.size = sizeof o, .lease = lease};
    struct request_op op = {.kind = OP_PUT};
    int rc = request_put(key, value, &o, &op.put, &t->why);
    if (rc == 0) {
        op.put.key = keep(t, op.put.key);
        op.put.value = keep(t, op.put.value);
    }
    add_op(t, success, rc, &op);
}

static void add_get(tenure_txn *t, bool success, struct tenure_bytes key, const struct tenure_get_options *options)
{
    if (!t || t->error)
        return;
    struct tenure_get_options o;
    struct request_op op = {.kind = OP_RANGE};
    int rc = options_take(&o, sizeof o, options, "get", &t->why);
    if (rc == 0)
        rc = request_get(key, &o, &t->arena, &op.range, &t->why);
    if (rc == 0)
        keep_range(t, &op.range.range);
    add_op(t, success, rc, &op);
}

static void add_delete(tenure_txn *t, bool success, struct tenure_bytes key,
                       const struct tenure_delete_options *options)
{
    if (!t || t->error)
        return;
    struct tenure_delete_options o;
    struct request_op op = {.kind = OP_DELETE};
    int rc = options_take(&o, sizeof o, options, "delete", &t->why);
    if (rc == 0)
        rc = request_delete(key, &o, &t->arena, &op.del, &t->why);
    if (rc == 0)
        keep_range(t, &op.del.range);
    add_op(t, success, rc, &op);
}

void tenure_then_put(tenure_txn *t, struct tenure_bytes key, struct tenure_bytes value, int64_t lease)
{
    add_put(t, true, key, value, lease);
}

void tenure_then_get(tenure_txn *t, struct tenure_bytes key, const struct tenure_get_options *o)
{
    add_get(t, true, key, o);
}

void tenure_then_delete(tenure_txn *t, struct tenure_bytes key, const struct tenure_delete_options *o)
{
    add_delete(t, true, key, o);
}

void tenure_else_put(tenure_txn *t, struct tenure_bytes key, struct tenure_bytes value, int64_t lease)
{
    add_put(t, false, key, value, lease);
}

void tenure_else_get(tenure_txn *t, struct tenure_bytes key, const struct tenure_get_options *o)
{
    add_get(t, false, key, o);
}

void tenure_else_delete(tenure_txn *t, struct tenure_bytes key, const struct tenure_delete_options *o)
{
    add_delete(t, false, key, o);
}

/* ---- committing ---- */

static int txn_begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    return client_txn(k->handle->engine, k->req.txn, opt, ask_ended, k, now, err) ? 0 : err->code;
}

static int txn_convert(struct ask *k, const struct client_result *r)
{
    k->result = result_txn(r->txn);
    return k->result ? 0 : TENURE_ENOMEM;
}

static void txn_complete(struct ask *k, int code, const struct tenure_error *err)
{
    struct tenure_txn_result *r = k->result;
    k->result = NULL;
    ((tenure_txn_cb)k->cb)(k->user, code, r, err);
}

static const struct ask_type read_type = {
    .what = "txn",
    .begin = txn_begin,
    .convert = txn_convert,
    .result_free = free,
    .complete = txn_complete,
};

static const struct ask_type write_type = {
    .what = "txn",
    .writes = true,
    .begin = txn_begin,
    .convert = txn_convert,
    .result_free = free,
    .complete = txn_complete,
};

/* ---- the copy of a builder ---- */

/* arena_copy of nothing is NULL too: only bytes that are there can be short of memory. */
static bool copy_bytes(struct arena *a, bytes *s)
{
    if (s->len > 0)
        *s = arena_copy(a, *s);
    return s->len == 0 || s->data;
}

static bool copy_op(struct arena *a, struct request_op *op)
{
    if (op->kind == OP_PUT)
        return copy_bytes(a, &op->put.key) && copy_bytes(a, &op->put.value);
    struct key_range *r = op->kind == OP_RANGE ? &op->range.range : &op->del.range;
    return copy_bytes(a, &r->key) && copy_bytes(a, &r->range_end);
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
        if (!copy_bytes(a, &copy[i].range.key) || !copy_bytes(a, &copy[i].value))
            return false;
    }
    r->compares = copy;
    return true;
}

/* Answers whether there was memory. */
static bool set_request(struct ask *k, const tenure_txn *t)
{
    k->req.txn = &t->req;
    if (!k->keeps)
        return true;
    struct txn_req *copy = arena_alloc(&k->arena, sizeof *copy);
    if (!copy)
        return false;
    *copy = t->req;
    k->req.txn = copy;
    return copy_compares(&k->arena, copy) && copy_ops(&k->arena, &copy->success, copy->n_success) &&
           copy_ops(&k->arena, &copy->failure, copy->n_failure);
}

static struct ask *txn_ask(tenure_txn *t, int64_t timeout_ms, struct tenure_error *err)
{
    if (t->error) {
        *err = t->why;
        return NULL;
    }
    struct ask *k = ask_new(t->handle, txn_may_write(&t->req) ? &write_type : &read_type, timeout_ms, err);
    if (k && !set_request(k, t)) {
        ask_free(k);
        k = NULL;
        error_set(err, TENURE_ENOMEM, "txn: out of memory");
    }
    return k;
}

int tenure_txn_commit(tenure_txn *t, int64_t timeout_ms, struct tenure_txn_result **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    if (!t)
        return error_set(err, TENURE_ENOMEM, "txn: out of memory");
    int rc = handle_enter_blocking(t->handle, "txn", err);
    if (rc < 0)
        return rc;
    struct ask *k = txn_ask(t, timeout_ms, err);
    if (!k)
        return err->code;
    rc = ask_block(k, err);
    if (rc == 0 && ret) {
        *ret = k->result;
        k->result = NULL;
    }
    ask_free(k);
    return rc;
}

int tenure_txn_start(tenure_txn *t, int64_t timeout_ms, tenure_txn_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    if (!t)
        return error_set(err, TENURE_ENOMEM, "txn: out of memory");
    int rc = handle_enter(t->handle, err);
    if (rc < 0)
        return rc;
    struct ask *k = txn_ask(t, timeout_ms, err);
    return k ? ask_start(k, (void (*)(void))cb, user, err) : err->code;
}
