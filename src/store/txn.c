/* Transactions. All compares, nested ones too, are evaluated on the state before; then what is wanted along the chosen
 * path is checked (leases, previous values, revisions), then the operations run in order.
 *
 * The path is one answer a transaction, in the order in which the walk meets them. A transaction that cannot write is a
 * read at the durable state. One that may write is a command, also when its compares fail or its deletes find nothing.
 *
 * Failure modes: a check refuses it before anything changed; no memory half way undoes what was done.
 */
#include "store/internal.h"

struct txn_run {
    struct store *s;
    struct arena *a;
    bool writes;
    tn_rev before, compacted; /* the state that compares and checks see */
    bool *path;
    size_t path_len, path_at; /* answers known; answers taken by this walk */
};

struct branch {
    const struct request_op *ops;
    size_t n;
};

static struct branch branch_of(const struct txn_req *t, bool succeeded)
{
    return succeeded ? (struct branch){t->success, t->n_success} : (struct branch){t->failure, t->n_failure};
}

/* The branch that was chosen for t; each walk asks in the same order. */
static struct branch branch_next(struct txn_run *run, const struct txn_req *t, bool *ret_succeeded)
{
    *ret_succeeded = run->path[run->path_at++];
    return branch_of(t, *ret_succeeded);
}

/* ---- the path ---- */

static size_t txn_count(const struct txn_req *t);

static size_t ops_txn_count(const struct request_op *ops, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (ops[i].kind == OP_TXN)
            count += txn_count(ops[i].txn);
    }
    return count;
}

static size_t txn_count(const struct txn_req *t)
{
    return 1 + ops_txn_count(t->success, t->n_success) + ops_txn_count(t->failure, t->n_failure);
}

static void path_find(struct txn_run *run, const struct txn_req *t)
{
    bool succeeded = compare_all(run->s, t, run->before);
    run->path[run->path_len++] = succeeded;
    struct branch b = branch_of(t, succeeded);
    for (size_t i = 0; i < b.n; i++) {
        if (b.ops[i].kind == OP_TXN)
            path_find(run, b.ops[i].txn);
    }
}

/* ---- the check ---- */

/* A revision below zero means the newest, as in a plain read, unless something was compacted: as etcd. */
static enum etcd_error range_check(const struct txn_run *run, const struct range_req *req)
{
    if (req->revision > run->before)
        return ETCD_FUTURE_REV;
    return req->revision != 0 && req->revision < run->compacted ? ETCD_COMPACTED : ETCD_OK;
}

static enum etcd_error path_check(struct txn_run *run, const struct txn_req *t)
{
    bool succeeded;
    enum etcd_error e = ETCD_OK;
    struct branch b = branch_next(run, t, &succeeded);
    for (size_t i = 0; !e && i < b.n; i++) {
        if (b.ops[i].kind == OP_RANGE)
            e = range_check(run, &b.ops[i].range);
        else if (b.ops[i].kind == OP_PUT)
            e = write_check(run->s, &b.ops[i].put);
        else if (b.ops[i].kind == OP_TXN)
            e = path_check(run, b.ops[i].txn);
    }
    return e;
}

/* ---- the run ---- */

static enum etcd_error run_txn(struct txn_run *run, const struct txn_req *t, struct txn_resp *ret);

static enum etcd_error run_nested(struct txn_run *run, const struct txn_req *t, struct txn_resp **ret)
{
    *ret = arena_zalloc(run->a, sizeof **ret);
    return *ret ? run_txn(run, t, *ret) : ETCD_OUT_OF_MEMORY;
}

static enum etcd_error run_range(struct txn_run *run, const struct range_req *req, struct range_resp *ret)
{
    tn_rev current = run->writes ? command_sees(run->s) : run->before;
    return range_read(run->s, req, current, run->compacted, run->a, ret);
}

static enum etcd_error run_op(struct txn_run *run, const struct request_op *op, struct response_op *ret)
{
    ret->kind = op->kind;
    switch (op->kind) {
    case OP_RANGE:
        return run_range(run, &op->range, &ret->range);
    case OP_PUT:
        return write_put(run->s, &op->put, &ret->put);
    case OP_DELETE:
        return write_delete(run->s, &op->del, run->a, &ret->del);
    case OP_TXN:
        return run_nested(run, op->txn, &ret->txn);
    case OP_NONE:
        break;
    }
    return ETCD_KEY_NOT_FOUND; /* check_txn refused it already */
}

/* The revision stays 0 here: etcd's nested headers are empty, and the outer one is filled at the end. */
static enum etcd_error run_txn(struct txn_run *run, const struct txn_req *t, struct txn_resp *ret)
{
    struct branch b = branch_next(run, t, &ret->succeeded);
    ret->responses = arena_array(run->a, b.n, sizeof *ret->responses);
    if (!ret->responses)
        return ETCD_OUT_OF_MEMORY;
    ret->n_responses = b.n;
    enum etcd_error e = ETCD_OK;
    for (size_t i = 0; !e && i < b.n; i++)
        e = run_op(run, &b.ops[i], &ret->responses[i]);
    return e;
}

static enum etcd_error run_all(struct txn_run *run, const struct txn_req *t, struct txn_resp *ret)
{
    run->path = arena_array(run->a, txn_count(t), sizeof *run->path);
    if (!run->path)
        return ETCD_OUT_OF_MEMORY;
    path_find(run, t);
    enum etcd_error e = path_check(run, t);
    if (e)
        return e;
    run->path_at = 0;
    return run_txn(run, t, ret);
}

/* ---- the two kinds ---- */

static enum etcd_error txn_read(struct store *s, const struct txn_req *req, struct arena *a, struct txn_resp *ret)
{
    struct txn_resp resp = {.revision = s->revision_durable};
    struct txn_run run = {.s = s, .a = a, .before = s->revision_durable, .compacted = s->compacted_durable};
    enum etcd_error e = run_all(&run, req, &resp);
    if (!e)
        *ret = resp;
    return e;
}

static enum etcd_error txn_write(struct store *s, const struct txn_req *req, struct arena *a, struct txn_resp *ret)
{
    int64_t cost = quota_txn_cost(req);
    enum etcd_error e = alarm_check(s);
    if (!e && cost > 0)
        e = quota_check(s, cost);
    if (!e)
        e = command_begin(s);
    if (e)
        return e;
    struct txn_resp resp = {0};
    struct txn_run run = {.s = s, .a = a, .writes = true, .before = s->revision, .compacted = s->compacted};
    e = run_all(&run, req, &resp);
    if (e)
        command_abort(s);
    command_end(s);
    if (e)
        return e;
    resp.revision = s->revision;
    *ret = resp;
    return ETCD_OK;
}

enum etcd_error store_check_txn(const struct store *s, const struct txn_req *req, struct arena *a)
{
    enum etcd_error e = check_txn(req, s->config.txn_ops_max);
    return e ? e : check_overlap(req, a);
}

static uint64_t operations(const struct store *s)
{
    return s->counts.ranges + s->counts.puts + s->counts.deletes;
}

enum etcd_error store_txn(struct store *s, const struct txn_req *req, struct arena *a, struct txn_resp *ret,
                          tn_seq *seq)
{
    *seq = 0;
    enum etcd_error e = store_check_txn(s, req, a);
    if (e)
        return e;
    uint64_t before = operations(s);
    bool writes = txn_may_write(req);
    e = writes ? txn_write(s, req, a, ret) : txn_read(s, req, a, ret);
    s->counts.txns += operations(s) - before > 1;
    if (!writes)
        return e;
    *seq = command_gate(s);
    return e;
}
