/* Transactions: a builder that copies all it is given and remembers its first error, then one call.
 *
 * The commit on the loop's own thread hands the builder's arrays to the engine, which copies what it needs. From another
 * thread the call gets a copy of its own, because the builder may be changed or freed while the call is under way. */
#include <stdlib.h>

#include "api/txn_copy.h"
#include "lib/ask.h"
#include "lib/exact.h"
#include "lib/range.h"
#include "lib/request.h"
#include "lib/result.h"
#include "lib/view.h"

#define TXN_BYTES_MAX ((size_t)64 << 20)
#define TXN_DEPTH_MAX 16    /* of transactions within each other; servers of etcd's take more */
#define TXN_PARTS_MAX 65536 /* compares, or operations of a branch; servers allow 128 unless told otherwise */

struct tenure_txn {
    tenure_client *handle;
    int error; /* the first, a TENURE_E… code; 0 = none */
    struct tenure_error why;
    struct arena arena;
    struct txn_req req;
    size_t cap_compares, cap_success, cap_failure;
    bytes ns;       /* what its keys lie below */
    unsigned depth; /* of the transactions within it; 0 = none */
    bool exact;
};

bool lib_txn_is_federated(const tenure_txn *t)
{
    return t && t->handle->federated;
}

tenure_txn *tenure_txn_new(tenure_client *c)
{
    tenure_txn *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->ns = view_of(&c);
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

static void push_compare(tenure_txn *t, const struct compare *c)
{
    struct compare *list = grown(t, t->req.compares, t->req.n_compares, &t->cap_compares, sizeof *c);
    if (!list)
        return;
    t->req.compares = list;
    list[t->req.n_compares++] = *c;
}

static bool is_comparison(const struct tenure_compare *c)
{
    return c->cmp >= TENURE_EQ && c->cmp <= TENURE_NE && c->target >= TENURE_TARGET_VERSION &&
           c->target <= TENURE_TARGET_LEASE;
}

/* Takes the outcome of reading what was given: its first error sticks. */
static bool taken(tenure_txn *t, int rc)
{
    if (rc < 0 && t->error == 0) {
        t->error = rc;
        error_wrap(&t->why, "txn");
    }
    return t->error == 0;
}

static void add_compare(tenure_txn *t, const struct tenure_compare *given)
{
    struct range_words words = {given->key, given->prefix, given->from_key, given->range_end, t->ns};
    struct compare c = {
        .result = (int32_t)given->cmp,
        .target = (int32_t)given->target,
        .number = given->number,
    };
    if (given->value.len > 0 && !given->value.data)
        fail(t, TENURE_EINVALID, "a value that has a length and no data");
    else
        c.value = keep(t, result_bytes_in(given->value));
    if (!is_comparison(given))
        fail(t, TENURE_EINVALID, "unknown comparison");
    if (t->error || !taken(t, range_of(&words, &t->arena, &c.range, &t->why)))
        return;
    c.range.key = keep(t, c.range.key);
    c.range.range_end = keep(t, c.range.range_end);
    if (t->error == 0)
        push_compare(t, &c);
}

void tenure_if(tenure_txn *t, const struct tenure_compare *compare)
{
    struct tenure_compare own;
    if (!t || t->error || !taken(t, options_take(&own, sizeof own, compare, "compare", &t->why)))
        return;
    add_compare(t, &own);
}

static void compare_number(tenure_txn *t, struct tenure_bytes key, enum tenure_cmp cmp, enum tenure_target target,
                           int64_t number)
{
    struct tenure_compare c = {.target = target, .cmp = cmp, .key = key, .number = number};
    if (t && t->error == 0)
        add_compare(t, &c);
}

void tenure_if_version(tenure_txn *t, struct tenure_bytes key, enum tenure_cmp cmp, int64_t version)
{
    compare_number(t, key, cmp, TENURE_TARGET_VERSION, version);
}

void tenure_if_create_revision(tenure_txn *t, struct tenure_bytes key, enum tenure_cmp cmp, int64_t revision)
{
    compare_number(t, key, cmp, TENURE_TARGET_CREATE, revision);
}

void tenure_if_mod_revision(tenure_txn *t, struct tenure_bytes key, enum tenure_cmp cmp, int64_t revision)
{
    compare_number(t, key, cmp, TENURE_TARGET_MOD, revision);
}

void tenure_if_lease(tenure_txn *t, struct tenure_bytes key, enum tenure_cmp cmp, int64_t lease)
{
    compare_number(t, key, cmp, TENURE_TARGET_LEASE, lease);
}

void tenure_if_value(tenure_txn *t, struct tenure_bytes key, enum tenure_cmp cmp, struct tenure_bytes value)
{
    struct tenure_compare c = {.target = TENURE_TARGET_VALUE, .cmp = cmp, .key = key, .value = value};
    if (t && t->error == 0)
        add_compare(t, &c);
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
    if (!taken(t, rc))
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

static void add_put(tenure_txn *t, bool success, struct tenure_bytes key, struct tenure_bytes value,
                    const struct tenure_put_options *options)
{
    if (!t || t->error)
        return;
    struct tenure_put_options o;
    struct request_op op = {.kind = OP_PUT};
    int rc = options_take(&o, sizeof o, options, "put", &t->why);
    if (rc == 0)
        rc = request_put(t->ns, key, value, &o, &t->arena, &op.put, &t->why);
    if (rc == 0) {
        op.put.key = keep(t, op.put.key);
        op.put.value = keep(t, op.put.value);
    }
    add_op(t, success, rc, &op);
}

static void put_plain(tenure_txn *t, bool success, struct tenure_bytes key, struct tenure_bytes value, int64_t lease)
{
    struct tenure_put_options o = {.size = sizeof o, .lease = lease};
    add_put(t, success, key, value, &o);
}

/* Its error becomes ours. */
static void add_txn(tenure_txn *t, bool success, const tenure_txn *inner)
{
    if (!t || t->error)
        return;
    if (!inner) {
        fail(t, TENURE_ENOMEM, "out of memory for the inner transaction");
        return;
    }
    if (inner->error) {
        t->error = inner->error;
        t->why = inner->why;
        return;
    }
    if (inner->depth + 1 >= TXN_DEPTH_MAX) {
        fail(t, TENURE_EINVALID, "too many transactions within each other");
        return;
    }
    struct request_op op = {.kind = OP_TXN, .txn = txn_copy(&t->arena, &inner->req)};
    if (!op.txn)
        fail(t, TENURE_ENOMEM, "no room for the inner transaction");
    t->depth = inner->depth + 1 > t->depth ? inner->depth + 1 : t->depth;
    add_op(t, success, 0, &op);
}

static void add_get(tenure_txn *t, bool success, struct tenure_bytes key, const struct tenure_get_options *options)
{
    if (!t || t->error)
        return;
    struct tenure_get_options o;
    struct request_op op = {.kind = OP_RANGE};
    int rc = options_take(&o, sizeof o, options, "get", &t->why);
    if (rc == 0)
        rc = request_get(t->ns, key, &o, &t->arena, &op.range, &t->why);
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
        rc = request_delete(t->ns, key, &o, &t->arena, &op.del, &t->why);
    if (rc == 0)
        keep_range(t, &op.del.range);
    add_op(t, success, rc, &op);
}

void tenure_then_put(tenure_txn *t, struct tenure_bytes key, struct tenure_bytes value, int64_t lease)
{
    put_plain(t, true, key, value, lease);
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
    put_plain(t, false, key, value, lease);
}

void tenure_else_get(tenure_txn *t, struct tenure_bytes key, const struct tenure_get_options *o)
{
    add_get(t, false, key, o);
}

void tenure_else_delete(tenure_txn *t, struct tenure_bytes key, const struct tenure_delete_options *o)
{
    add_delete(t, false, key, o);
}

void tenure_then_put_with(tenure_txn *t, struct tenure_bytes key, struct tenure_bytes value,
                          const struct tenure_put_options *o)
{
    add_put(t, true, key, value, o);
}

void tenure_else_put_with(tenure_txn *t, struct tenure_bytes key, struct tenure_bytes value,
                          const struct tenure_put_options *o)
{
    add_put(t, false, key, value, o);
}

void tenure_then_txn(tenure_txn *t, const tenure_txn *inner)
{
    add_txn(t, true, inner);
}

void tenure_else_txn(tenure_txn *t, const tenure_txn *inner)
{
    add_txn(t, false, inner);
}

/* ---- committing ---- */

static int txn_begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    return client_txn(k->handle->engine, k->req.txn.txn, opt, ask_ended, k, now, err) ? 0 : err->code;
}

static int txn_convert(struct ask *k, const struct client_result *r)
{
    view_strip_txn(r->txn, k->strip);
    k->result = result_txn(r->txn);
    if (k->result)
        ((struct tenure_txn_result *)k->result)->ops_unknown = k->a != 0;
    return k->result ? 0 : TENURE_ENOMEM;
}

ASK_COMPLETE(txn_complete, tenure_txn_cb, struct tenure_txn_result)

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

static const struct ask_type exact_type = {
    .what = "txn",
    .writes = true,
    .begin = lib_exact_begin,
    .cancel = lib_exact_cancel,
    .convert = txn_convert,
    .result_free = free,
    .complete = txn_complete,
};

/* ---- exact ones ---- */

void tenure_txn_exact(tenure_txn *t, bool exact)
{
    if (t)
        t->exact = exact;
}

static bool changes(const struct request_op *op, const struct key_range *key)
{
    if (op->kind == OP_PUT)
        return key_range_contains(*key, op->put.key);
    return op->kind == OP_DELETE && key_range_contains(op->del.range, key->key);
}

/* Whether a compare is on a key that the then-operations change. */
static bool is_guarded(const struct txn_req *r)
{
    for (size_t i = 0; i < r->n_compares; i++)
        for (size_t j = 0; j < r->n_success; j++)
            if (changes(&r->success[j], &r->compares[i].range))
                return true;
    return false;
}

static const struct ask_type *type_of(const tenure_txn *t)
{
    if (!txn_may_write(&t->req))
        return &read_type;
    return t->exact || (t->handle->exact_guarded && is_guarded(&t->req)) ? &exact_type : &write_type;
}

/* Answers whether there was memory. */
static bool set_request(struct ask *k, const tenure_txn *t)
{
    if (!ask_put_below(k, t->ns))
        return false;
    k->req.txn.txn = k->keeps ? txn_copy(&k->arena, &t->req) : &t->req;
    return k->req.txn.txn != NULL;
}

static struct ask *txn_ask(tenure_txn *t, int64_t timeout_ms, struct tenure_error *err)
{
    if (t->error) {
        *err = t->why;
        return NULL;
    }
    struct ask *k = ask_new(t->handle, type_of(t), timeout_ms, err);
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
    return ask_finish(txn_ask(t, timeout_ms, err), ret, err);
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
    return ask_go(txn_ask(t, timeout_ms, err), (void (*)(void))cb, user, err);
}
