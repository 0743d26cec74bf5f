/* The mark's value is "<number>+" or "<number>-": which transaction was carried out, and by which branch.
 *
 * What operations answered is read again from history: a put's previous value and what a delete removed lie in the revision
 * before; so do the reads in front of the writes of the same branch, and those behind them lie in the revision itself. */
#include "recipes/exact_words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tenure/error.h"

/* ---- asking ---- */

static bool writes(const struct request_op *ops, size_t n)
{
    struct txn_req branch = {.success = (struct request_op *)ops, .n_success = n};
    return txn_may_write(&branch);
}

/* The branch with the mark behind it. */
static bool mark_branch(struct arena *a, struct request_op **ops, size_t *n, const struct exact_mark *m, char sign)
{
    struct request_op *more = arena_array(a, *n + 1, sizeof *more);
    char *value = arena_printf(a, "%" PRIu64 "%c", m->number, sign);
    if (!more || !value)
        return false;
    if (*n)
        memcpy(more, *ops, *n * sizeof *more);
    more[*n] =
        (struct request_op){.kind = OP_PUT, .put = {.key = m->key, .value = bytes_str(value), .lease = m->lease}};
    *ops = more;
    (*n)++;
    return true;
}

static struct txn_req *marked(struct arena *a, const struct txn_req *t, const struct exact_mark *m, bool fenced)
{
    struct txn_req *inner = arena_alloc(a, sizeof *inner);
    if (!inner)
        return NULL;
    *inner = *t;
    if (!mark_branch(a, &inner->success, &inner->n_success, m, '+'))
        return NULL;
    if (!fenced && !writes(t->failure, t->n_failure))
        return inner;
    return mark_branch(a, &inner->failure, &inner->n_failure, m, '-') ? inner : NULL;
}

struct txn_req *exact_wrap(struct arena *a, const struct txn_req *t, const struct exact_mark *m, bool fenced)
{
    struct txn_req *outer = arena_zalloc(a, sizeof *outer), *inner = marked(a, t, m, fenced);
    struct compare *compare = arena_zalloc(a, sizeof *compare);
    struct request_op *ops = arena_array(a, 2, sizeof *ops);
    if (!outer || !inner || !compare || !ops)
        return NULL;
    *compare =
        (struct compare){.result = COMPARE_EQUAL, .target = COMPARE_MOD, .range = {.key = m->key}, .number = m->mod};
    ops[0] = (struct request_op){.kind = OP_TXN, .txn = inner};
    ops[1] = (struct request_op){.kind = OP_RANGE, .range = {.range = {.key = m->key}}};
    *outer = (struct txn_req){
        .compares = compare, .n_compares = 1, .success = &ops[0], .n_success = 1, .failure = &ops[1], .n_failure = 1};
    return outer;
}

/* ---- answers ---- */

bool exact_is_mark(const struct kv *mark, uint64_t number, bool *ret_succeeded)
{
    char wanted[32];
    int len = snprintf(wanted, sizeof wanted, "%" PRIu64, number);
    bytes v = mark->value;
    if (v.len != (size_t)len + 1 || memcmp(v.data, wanted, (size_t)len) != 0)
        return false;
    *ret_succeeded = v.data[len] == '+';
    return v.data[len] == '+' || v.data[len] == '-';
}

static int read_mark(uint64_t number, const struct txn_resp *r, struct exact_verdict *ret)
{
    if (r->n_responses != 1 || r->responses[0].kind != OP_RANGE || r->responses[0].range.n_kvs > 1)
        return TENURE_EPROTOCOL;
    const struct range_resp *range = &r->responses[0].range;
    const struct kv *mark = range->n_kvs ? &range->kvs[0] : NULL;
    *ret = (struct exact_verdict){.answer = EXACT_OVERTAKEN, .mod = mark ? mark->mod_revision : 0};
    ret->create = mark ? mark->create_revision : 0;
    if (mark && exact_is_mark(mark, number, &ret->succeeded))
        ret->answer = EXACT_FOUND;
    ret->revision = ret->mod;
    return 0;
}

/* The answers must be those to the operations, and to the mark's put where there was one. */
static bool fits(const struct request_op *ops, size_t n, const struct txn_resp *r, bool *ret_marked)
{
    *ret_marked = r->n_responses == n + 1;
    if (r->n_responses != n && !*ret_marked)
        return false;
    for (size_t i = 0; i < n; i++)
        if (r->responses[i].kind != ops[i].kind)
            return false;
    return !*ret_marked || r->responses[n].kind == OP_PUT;
}

int exact_read(const struct txn_req *t, uint64_t number, const struct txn_resp *r, struct exact_verdict *ret)
{
    bool is_marked;
    if (!r->succeeded)
        return read_mark(number, r, ret);
    if (r->n_responses != 1 || r->responses[0].kind != OP_TXN || !r->responses[0].txn)
        return TENURE_EPROTOCOL;
    const struct txn_resp *inner = r->responses[0].txn;
    const struct request_op *ops = inner->succeeded ? t->success : t->failure;
    size_t n = inner->succeeded ? t->n_success : t->n_failure;
    if (!fits(ops, n, inner, &is_marked) || (inner->succeeded && !is_marked))
        return TENURE_EPROTOCOL;
    *ret = (struct exact_verdict){
        .answer = EXACT_DONE, .succeeded = inner->succeeded, .revision = r->revision, .resp = *inner};
    ret->resp.revision = r->revision;
    ret->resp.n_responses = n;
    ret->mod = is_marked ? r->revision : 0;
    return 0;
}

/* ---- what only history knows ---- */

static bool overlap(struct key_range a, struct key_range b)
{
    if (key_range_is_single(b))
        return key_range_contains(a, b.key);
    return key_range_contains(b, a.key) || key_range_contains(a, b.key);
}

static bool op_writes_in(const struct request_op *op, struct key_range r)
{
    if (op->kind == OP_PUT)
        return key_range_contains(r, op->put.key);
    return op->kind == OP_DELETE && overlap(r, op->del.range);
}

static bool any_writes_in(const struct request_op *ops, size_t n, struct key_range r)
{
    for (size_t i = 0; i < n; i++)
        if (op_writes_in(&ops[i], r))
            return true;
    return false;
}

/* What must be read for operation i; false: nobody can tell. */
static bool read_for(const struct request_op *ops, size_t n, size_t i, tn_rev revision, struct request_op *ret)
{
    const struct request_op *op = &ops[i];
    *ret = (struct request_op){.kind = OP_RANGE, .range = {.revision = revision - 1}};
    if (op->kind == OP_PUT && op->put.prev_kv) {
        ret->range.range.key = op->put.key;
    } else if (op->kind == OP_PUT) {
        ret->kind = OP_NONE;
    } else if (op->kind == OP_DELETE) {
        ret->range.range = op->del.range;
        ret->range.count_only = !op->del.prev_kv;
        return !any_writes_in(ops, i, op->del.range);
    } else if (op->kind == OP_RANGE) {
        bool before = any_writes_in(ops, i, op->range.range);
        ret->range = op->range;
        if (op->range.revision <= 0)
            ret->range.revision = before ? revision : revision - 1;
        return op->range.revision > 0 || !before || !any_writes_in(ops + i + 1, n - i - 1, op->range.range);
    } else {
        return false;
    }
    return true;
}

bool exact_reads(struct arena *a, const struct txn_req *t, bool succeeded, tn_rev revision, struct txn_req *ret)
{
    const struct request_op *ops = succeeded ? t->success : t->failure;
    size_t n = succeeded ? t->n_success : t->n_failure;
    *ret = (struct txn_req){.success = arena_array(a, n, sizeof *ret->success)};
    if (!ret->success)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!read_for(ops, n, i, revision, &ret->success[ret->n_success]))
            return false;
        ret->n_success += ret->success[ret->n_success].kind == OP_RANGE;
    }
    return true;
}

static void rebuild_op(const struct request_op *op, tn_rev revision, const struct range_resp *read,
                       struct response_op *ret)
{
    *ret = (struct response_op){.kind = op->kind};
    if (op->kind == OP_PUT) {
        ret->put.revision = revision;
        ret->put.has_prev_kv = read && read->n_kvs > 0;
        if (ret->put.has_prev_kv)
            ret->put.prev_kv = read->kvs[0];
    } else if (op->kind == OP_DELETE) {
        ret->del = (struct delete_resp){.revision = revision, .deleted = read->count};
        ret->del.prev_kvs = op->del.prev_kv ? read->kvs : NULL;
        ret->del.n_prev_kvs = op->del.prev_kv ? read->n_kvs : 0;
    } else {
        ret->range = *read;
        ret->range.revision = revision;
    }
}

int exact_rebuild(struct arena *a, const struct txn_req *t, bool succeeded, tn_rev revision,
                  const struct txn_resp *reads, struct txn_resp *ret)
{
    const struct request_op *ops = succeeded ? t->success : t->failure;
    size_t n = succeeded ? t->n_success : t->n_failure, at = 0;
    *ret = (struct txn_resp){.revision = revision,
                             .succeeded = succeeded,
                             .responses = arena_array(a, n, sizeof *ret->responses),
                             .n_responses = n};
    if (!ret->responses)
        return TENURE_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        bool needs = ops[i].kind != OP_PUT || ops[i].put.prev_kv;
        if (needs && (!reads || at >= reads->n_responses || reads->responses[at].kind != OP_RANGE))
            return TENURE_EPROTOCOL;
        rebuild_op(&ops[i], revision, needs ? &reads->responses[at++].range : NULL, &ret->responses[i]);
    }
    return 0;
}
