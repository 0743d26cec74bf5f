/* The whole engine against a naive model: full snapshots a revision in plain arrays, operations at random, commits,
 * rollbacks, trims, restarts and compactions at random points. Every answer, every event and the state after each
 * restart must be the model's (KV1, KV2, KV4, KV5, KV8, W1 to W6, W8 to W12, L4).
 *
 * A seed that fails is printed; run it alone by TENURE_TEST_SEED. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tenure/error.h"

enum {
    KEYS = 10,
    REVS = 3000,
    LEASES = 4,
    WATCHERS = 8,
    PENDING = 64,
    VALUE_MAX = 7,
    OPS = 8000,
    SEEDS = 30,
};

static const char *const names[KEYS] = {"a", "a/", "a/1", "a/2", "b", "ba", "bb", "c", "d", "\xff"};

struct mkv { /* version 0 = not there */
    char value[VALUE_MAX + 1];
    tn_rev create, mod;
    int64_t version;
    tn_lease lease;
};

struct snap {
    struct mkv kv[KEYS];
    int changed[KEYS]; /* keys changed in this revision, in order */
    int n_changed;
};

struct mstate { /* what a commit makes durable */
    tn_seq seq;
    tn_rev rev, compacted;
    bool lease[LEASES];
};

struct mwatch {
    struct store_watcher *w;
    struct key_range range;
    bool no_put, no_delete, prev_kv, blocked, gone;
    tn_rev cursor; /* everything before it was delivered */
};

struct model {
    struct world w;
    struct rng rng;
    struct snap snaps[REVS];
    struct mstate now, durable;
    struct mstate pending[PENDING]; /* the state after each planned command */
    size_t n_pending;
    struct mwatch watchers[WATCHERS];
    uint64_t counter;
};

static struct model *M; /* one at a time; cmocka's messages need no more */

static uint64_t roll(uint64_t n)
{
    return rng_below(&M->rng, n);
}

static bool chance(unsigned percent)
{
    return roll(100) < percent;
}

/* ---- the model's reading ---- */

static bool in_range(struct key_range r, int key)
{
    bytes k = bytes_str(names[key]);
    if (r.range_end.len == 0)
        return bytes_compare(k, r.key) == 0;
    if (bytes_compare(k, r.key) < 0)
        return false;
    return (r.range_end.len == 1 && r.range_end.data[0] == 0) || bytes_compare(k, r.range_end) < 0;
}

static void expect_kv(const struct kv *kv, int key, const struct mkv *m)
{
    assert_true(bytes_equal(kv->key, bytes_str(names[key])));
    assert_true(bytes_equal(kv->value, bytes_str(m->value)));
    assert_int_equal(kv->create_revision, m->create);
    assert_int_equal(kv->mod_revision, m->mod);
    assert_int_equal(kv->version, m->version);
    assert_int_equal(kv->lease, m->lease);
}

static int64_t sort_number(const struct mkv *m, int target)
{
    return target == SORT_VERSION ? m->version : target == SORT_CREATE ? m->create : m->mod;
}

static int sort_compare(const struct mkv *kv, int a, int b, int target)
{
    if (target == SORT_KEY)
        return a - b;
    if (target == SORT_VALUE)
        return strcmp(kv[a].value, kv[b].value);
    int64_t x = sort_number(&kv[a], target), y = sort_number(&kv[b], target);
    return x < y ? -1 : x > y;
}

/* Insertion sort: stable, so equal ones stay in order of key. */
static void sort_keys(const struct mkv *kv, int *keys, int n, int target, bool down)
{
    for (int i = 1; i < n; i++) {
        for (int j = i; j > 0; j--) {
            int c = sort_compare(kv, keys[j - 1], keys[j], target);
            if (down ? c >= 0 : c <= 0)
                break;
            int swap = keys[j];
            keys[j] = keys[j - 1];
            keys[j - 1] = swap;
        }
    }
}

static bool passes(const struct range_req *q, const struct mkv *m)
{
    return (!q->max_mod_revision || m->mod <= q->max_mod_revision) &&
           (!q->min_mod_revision || m->mod >= q->min_mod_revision) &&
           (!q->max_create_revision || m->create <= q->max_create_revision) &&
           (!q->min_create_revision || m->create >= q->min_create_revision);
}

static void expect_range(const struct range_req *q, const struct mkv *kv, const struct range_resp *r)
{
    int keys[KEYS], n = 0, count = 0;
    bool filters = q->max_mod_revision || q->min_mod_revision || q->max_create_revision || q->min_create_revision;
    bool limit_first =
        !filters && (q->sort_order == SORT_NONE || (q->sort_order == SORT_ASCEND && q->sort_target == SORT_KEY));
    for (int k = 0; k < KEYS; k++) {
        if (!kv[k].version || !in_range(q->range, k))
            continue;
        count++;
        if (passes(q, &kv[k]) && !(limit_first && q->limit > 0 && n > q->limit))
            keys[n++] = k;
    }
    sort_keys(kv, keys, n, q->sort_target, q->sort_order == SORT_DESCEND);
    assert_int_equal(r->count, count);
    if (q->count_only) {
        assert_int_equal(r->n_kvs, 0);
        return;
    }
    assert_int_equal(r->more, q->limit > 0 && n > q->limit);
    if (q->limit > 0 && n > q->limit)
        n = (int)q->limit;
    assert_int_equal(r->n_kvs, n);
    for (int i = 0; i < n; i++) {
        struct mkv m = kv[keys[i]];
        if (q->keys_only) {
            m.value[0] = 0;
            m.lease = q->sort_target == SORT_VALUE ? m.lease : 0;
        }
        expect_kv(&r->kvs[i], keys[i], &m);
    }
}

/* ---- requests at random ---- */

static bytes random_key(void)
{
    return bytes_str(names[roll(KEYS)]);
}

static struct key_range random_range(void)
{
    struct key_range r = {.key = random_key()};
    if (chance(30))
        r.range_end = bytes_of("", 1);
    else if (chance(50))
        r.range_end = random_key(); /* may be empty as a range */
    if (chance(10))
        r.key = bytes_of("", 1);
    return r;
}

static struct range_req random_range_req(tn_rev around)
{
    struct range_req q = {.range = random_range(), .keys_only = chance(20), .count_only = chance(10)};
    if (chance(40))
        q.revision = (tn_rev)roll((uint64_t)around + 3) - (chance(3) ? 2 : 0);
    if (chance(40))
        q.limit = (int64_t)roll(5) - 1;
    if (chance(40)) {
        q.sort_order = (int32_t)roll(3);
        q.sort_target = (int32_t)roll(5);
    }
    if (chance(15))
        q.min_mod_revision = (tn_rev)roll((uint64_t)around + 1);
    if (chance(15))
        q.max_mod_revision = (tn_rev)roll((uint64_t)around + 1);
    if (chance(10))
        q.min_create_revision = (tn_rev)roll((uint64_t)around + 1);
    if (chance(10))
        q.max_create_revision = (tn_rev)roll((uint64_t)around + 1);
    return q;
}

static bytes random_value(void)
{
    char text[VALUE_MAX + 1];
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)(M->counter++ % 50));
    return chance(5) ? bytes_of(NULL, 0) : arena_copy(&M->w.a, bytes_of(text, (size_t)n));
}

static struct put_req random_put(void)
{
    struct put_req p = {.key = random_key(), .prev_kv = chance(30)};
    if (chance(10))
        p.ignore_value = true;
    else
        p.value = random_value();
    if (chance(10))
        p.ignore_lease = true;
    else if (chance(15))
        p.lease = (tn_lease)roll(LEASES) + 1;
    return p;
}

static struct compare random_compare(void)
{
    struct compare c = {.result = (int32_t)roll(5), .target = (int32_t)roll(6), .range = {.key = random_key()}};
    if (chance(25))
        c.range = random_range();
    c.number = (int64_t)roll(chance(50) ? 3 : (uint64_t)M->now.rev + 2);
    c.value = chance(50) ? random_value() : bytes_of(NULL, 0);
    return c;
}

static struct txn_req *random_txn(int depth);

static struct request_op random_op(int depth)
{
    struct request_op op = {0};
    switch (roll(depth < 2 ? 10 : 9)) {
    case 0:
    case 1:
    case 2:
        op.kind = OP_RANGE;
        op.range = random_range_req(M->now.rev);
        break;
    case 3:
    case 4:
        op.kind = OP_DELETE;
        op.del = (struct delete_req){.range = random_range(), .prev_kv = chance(50)};
        break;
    case 9:
        op.kind = OP_TXN;
        op.txn = random_txn(depth + 1);
        break;
    default:
        op.kind = OP_PUT;
        op.put = random_put();
    }
    return op;
}

static struct request_op *random_ops(size_t n, int depth)
{
    struct request_op *ops = arena_array(&M->w.a, n, sizeof *ops);
    for (size_t i = 0; i < n; i++)
        ops[i] = random_op(depth);
    return ops;
}

static struct txn_req *random_txn(int depth)
{
    struct txn_req *t = arena_zalloc(&M->w.a, sizeof *t);
    t->n_compares = roll(3);
    t->n_success = roll(4);
    t->n_failure = roll(4);
    t->compares = arena_array(&M->w.a, t->n_compares, sizeof *t->compares);
    for (size_t i = 0; i < t->n_compares; i++)
        t->compares[i] = random_compare();
    t->success = random_ops(t->n_success, depth);
    t->failure = random_ops(t->n_failure, depth);
    return t;
}

/* ---- overlap, by trying all pairs ---- */

struct leaf { /* a change, and the way to it: for each level the operation's place and the branch it stands in */
    bool del;
    struct key_range range;
    int path[16], branch[16], depth;
};

static int leaves(const struct request_op *ops, size_t n, struct leaf at, int branch, struct leaf *out)
{
    int found = 0;
    at.branch[at.depth] = branch;
    for (size_t i = 0; i < n; i++) {
        struct leaf l = at;
        l.path[l.depth++] = (int)i;
        if (ops[i].kind == OP_TXN) {
            found += leaves(ops[i].txn->success, ops[i].txn->n_success, l, 1, out + found);
            found += leaves(ops[i].txn->failure, ops[i].txn->n_failure, l, 0, out + found);
        } else if (ops[i].kind == OP_PUT || ops[i].kind == OP_DELETE) {
            l.del = ops[i].kind == OP_DELETE;
            l.range = l.del ? ops[i].del.range : (struct key_range){.key = ops[i].put.key};
            out[found++] = l;
        }
    }
    return found;
}

static bool exclusive(const struct leaf *a, const struct leaf *b)
{
    for (int i = 0; i < a->depth && i < b->depth; i++) {
        if (a->branch[i] != b->branch[i])
            return true;
        if (a->path[i] != b->path[i])
            return false;
    }
    return false;
}

static bool contains(struct key_range r, bytes k)
{
    if (r.range_end.len == 0)
        return bytes_equal(k, r.key);
    if (bytes_compare(k, r.key) < 0)
        return false;
    return (r.range_end.len == 1 && r.range_end.data[0] == 0) || bytes_compare(k, r.range_end) < 0;
}

static bool txn_overlaps(const struct txn_req *t)
{
    static struct leaf all[4096];
    struct leaf root = {0};
    int n = leaves(t->success, t->n_success, root, 1, all);
    n += leaves(t->failure, t->n_failure, root, 0, all + n);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            if (i != j && !all[i].del && contains(all[j].range, all[i].range.key) && !exclusive(&all[i], &all[j]))
                return true;
        }
    }
    return false;
}

/* ---- the model's writing: a working copy of the newest snapshot ---- */

struct work {
    struct snap snap;
    tn_rev before, rev; /* rev: of the changes */
    tn_rev compacted;
    bool writes;
};

static tn_rev work_sees(const struct work *x)
{
    return x->snap.n_changed ? x->rev : x->before;
}

static int key_of(bytes k)
{
    for (int i = 0; i < KEYS; i++) {
        if (bytes_equal(bytes_str(names[i]), k))
            return i;
    }
    return -1;
}

static enum etcd_error put_error(const struct mkv *kv, const struct put_req *p)
{
    if (p->lease && !M->now.lease[p->lease - 1])
        return ETCD_LEASE_NOT_FOUND;
    return (p->ignore_value || p->ignore_lease) && !kv[key_of(p->key)].version ? ETCD_KEY_NOT_FOUND : ETCD_OK;
}

static void model_put(struct work *x, const struct put_req *p)
{
    int k = key_of(p->key);
    struct mkv *m = &x->snap.kv[k];
    if (!p->ignore_value)
        snprintf(m->value, sizeof m->value, "%.*s", (int)p->value.len, (const char *)p->value.data);
    if (!p->ignore_lease)
        m->lease = p->lease;
    if (!m->version)
        m->create = x->rev;
    m->version++;
    m->mod = x->rev;
    x->snap.changed[x->snap.n_changed++] = k;
}

static void model_delete_key(struct work *x, int k)
{
    memset(&x->snap.kv[k], 0, sizeof x->snap.kv[k]);
    x->snap.changed[x->snap.n_changed++] = k;
}

static void expect_put(const struct work *x, const struct put_req *p, const struct put_resp *r,
                       const struct mkv *before)
{
    assert_int_equal(r->revision, x->rev);
    assert_int_equal(r->has_prev_kv, p->prev_kv && before->version);
    if (r->has_prev_kv)
        expect_kv(&r->prev_kv, key_of(p->key), before);
}

static void run_put(struct work *x, const struct put_req *p, const struct put_resp *r)
{
    struct mkv before = x->snap.kv[key_of(p->key)];
    model_put(x, p);
    expect_put(x, p, r, &before);
}

static void run_delete(struct work *x, const struct delete_req *d, const struct delete_resp *r)
{
    int64_t n = 0;
    for (int k = 0; k < KEYS; k++) {
        if (!x->snap.kv[k].version || !in_range(d->range, k))
            continue;
        if (d->prev_kv)
            expect_kv(&r->prev_kvs[n], k, &x->snap.kv[k]);
        model_delete_key(x, k);
        n++;
    }
    assert_int_equal(r->deleted, n);
    assert_int_equal(r->n_prev_kvs, d->prev_kv ? n : 0);
    assert_int_equal(r->revision, work_sees(x));
}

static const struct mkv *work_at(const struct work *x, tn_rev revision)
{
    return revision <= 0 || revision > x->before ? x->snap.kv : M->snaps[revision].kv;
}

static bool result_holds(int result, int order)
{
    switch (result) {
    case COMPARE_EQUAL:
        return order == 0;
    case COMPARE_GREATER:
        return order > 0;
    case COMPARE_LESS:
        return order < 0;
    case COMPARE_NOT_EQUAL:
        return order != 0;
    default:
        return true;
    }
}

static bool compare_holds(const struct compare *c, const struct mkv *m)
{
    int64_t number = c->target == COMPARE_VERSION  ? m->version
                     : c->target == COMPARE_CREATE ? m->create
                     : c->target == COMPARE_MOD    ? m->mod
                     : c->target == COMPARE_LEASE  ? m->lease
                                                   : c->number;
    int order = number < c->number ? -1 : number > c->number;
    if (c->target == COMPARE_VALUE)
        order = bytes_compare(bytes_str(m->value), c->value);
    return result_holds(c->result, order);
}

static bool compares_hold(const struct txn_req *t, const struct mkv *kv)
{
    for (size_t i = 0; i < t->n_compares; i++) {
        const struct compare *c = &t->compares[i];
        int found = 0;
        for (int k = 0; k < KEYS; k++) {
            if (!kv[k].version || !in_range(c->range, k))
                continue;
            found++;
            if (!compare_holds(c, &kv[k]))
                return false;
        }
        struct mkv none = {0};
        if (!found && (c->target == COMPARE_VALUE || !compare_holds(c, &none)))
            return false;
    }
    return true;
}

static enum etcd_error txn_error(const struct txn_req *t, const struct mkv *kv, tn_rev before, tn_rev compacted)
{
    bool yes = compares_hold(t, kv);
    const struct request_op *ops = yes ? t->success : t->failure;
    size_t n = yes ? t->n_success : t->n_failure;
    enum etcd_error e = ETCD_OK;
    for (size_t i = 0; !e && i < n; i++) {
        if (ops[i].kind == OP_PUT)
            e = put_error(kv, &ops[i].put);
        else if (ops[i].kind == OP_RANGE && ops[i].range.revision > before)
            e = ETCD_FUTURE_REV;
        else if (ops[i].kind == OP_RANGE && ops[i].range.revision && ops[i].range.revision < compacted)
            e = ETCD_COMPACTED;
        else if (ops[i].kind == OP_TXN)
            e = txn_error(ops[i].txn, kv, before, compacted);
    }
    return e;
}

static void run_txn(struct work *x, const struct txn_req *t, const struct mkv *before, const struct txn_resp *r)
{
    bool yes = compares_hold(t, before);
    const struct request_op *ops = yes ? t->success : t->failure;
    size_t n = yes ? t->n_success : t->n_failure;
    assert_int_equal(r->succeeded, yes);
    assert_int_equal(r->n_responses, n);
    for (size_t i = 0; i < n; i++) {
        const struct response_op *o = &r->responses[i];
        assert_int_equal(o->kind, ops[i].kind);
        if (ops[i].kind == OP_PUT) {
            run_put(x, &ops[i].put, &o->put);
        } else if (ops[i].kind == OP_DELETE) {
            run_delete(x, &ops[i].del, &o->del);
        } else if (ops[i].kind == OP_TXN) {
            run_txn(x, ops[i].txn, before, o->txn);
        } else {
            assert_int_equal(o->range.revision, work_sees(x));
            expect_range(&ops[i].range, work_at(x, ops[i].range.revision), &o->range);
        }
    }
}

static struct work work_begin(void)
{
    struct work x = {.before = M->now.rev, .rev = M->now.rev + 1, .writes = true};
    x.snap = M->snaps[M->now.rev];
    x.snap.n_changed = 0;
    return x;
}

/* The command stands: what it changed becomes the newest revision. */
static void work_end(const struct work *x)
{
    if (x->snap.n_changed)
        M->snaps[++M->now.rev] = x->snap;
    assert_int_equal(store_revision_planned(M->w.s), M->now.rev);
}

static void command_done(tn_seq seq)
{
    assert_int_equal(seq, store_seq_planned(M->w.s));
    if (store_seq_planned(M->w.s) == M->now.seq)
        return;
    M->now.seq = store_seq_planned(M->w.s);
    assert_true(M->n_pending < PENDING);
    M->pending[M->n_pending++] = M->now;
}

/* ---- one step each ---- */

static void step_put(void)
{
    struct put_req p = random_put();
    struct put_resp r;
    tn_seq seq;
    struct work x = work_begin();
    enum etcd_error want = put_error(x.snap.kv, &p);
    assert_int_equal(store_put(M->w.s, &p, &M->w.a, &r, &seq), want);
    if (!want)
        run_put(&x, &p, &r);
    work_end(&x);
    command_done(seq);
}

static void step_delete(void)
{
    struct delete_req d = {.range = random_range(), .prev_kv = chance(50)};
    struct delete_resp r;
    tn_seq seq;
    struct work x = work_begin();
    assert_int_equal(store_delete(M->w.s, &d, &M->w.a, &r, &seq), ETCD_OK);
    run_delete(&x, &d, &r);
    work_end(&x);
    command_done(seq);
}

static void txn_as_read(const struct txn_req *t)
{
    struct txn_resp r;
    tn_seq seq;
    struct work x = {.before = M->durable.rev, .rev = M->durable.rev};
    x.snap = M->snaps[M->durable.rev];
    x.snap.n_changed = 0;
    enum etcd_error want = txn_error(t, x.snap.kv, x.before, M->durable.compacted);
    assert_int_equal(store_txn(M->w.s, t, &M->w.a, &r, &seq), want);
    assert_int_equal(seq, 0);
    if (want)
        return;
    run_txn(&x, t, M->snaps[M->durable.rev].kv, &r);
    assert_int_equal(r.revision, M->durable.rev);
}

static void txn_as_write(const struct txn_req *t)
{
    struct txn_resp r;
    tn_seq seq;
    struct work x = work_begin();
    enum etcd_error want = txn_error(t, x.snap.kv, x.before, M->now.compacted);
    assert_int_equal(store_txn(M->w.s, t, &M->w.a, &r, &seq), want);
    if (!want) {
        run_txn(&x, t, M->snaps[x.before].kv, &r);
        assert_int_equal(r.revision, work_sees(&x));
    }
    work_end(&x);
    command_done(seq);
}

static void step_txn(void)
{
    const struct txn_req *t = random_txn(0);
    struct txn_resp r;
    tn_seq seq;
    if (txn_overlaps(t))
        assert_int_equal(store_txn(M->w.s, t, &M->w.a, &r, &seq), ETCD_DUPLICATE_KEY);
    else if (txn_may_write(t))
        txn_as_write(t);
    else
        txn_as_read(t);
}

static void step_range(void)
{
    struct range_req q = random_range_req(M->durable.rev);
    struct range_resp r;
    enum etcd_error want = q.revision > M->durable.rev                           ? ETCD_FUTURE_REV
                           : q.revision > 0 && q.revision < M->durable.compacted ? ETCD_COMPACTED
                                                                                 : ETCD_OK;
    assert_int_equal(store_range(M->w.s, &q, &M->w.a, &r), want);
    if (want)
        return;
    assert_int_equal(r.revision, M->durable.rev);
    expect_range(&q, M->snaps[q.revision > 0 ? q.revision : M->durable.rev].kv, &r);
}

static void step_compact(void)
{
    struct compact_req q = {.revision = M->now.rev - (tn_rev)roll(30) + 1};
    struct compact_resp r;
    tn_seq seq;
    enum etcd_error want = q.revision <= M->now.compacted ? ETCD_COMPACTED
                           : q.revision > M->now.rev      ? ETCD_FUTURE_REV
                                                          : ETCD_OK;
    assert_int_equal(store_compact(M->w.s, &q, &r, &seq), want);
    if (!want) {
        M->now.compacted = q.revision;
        assert_int_equal(r.revision, M->now.rev);
    }
    command_done(seq);
}

static void model_revoke(int lease)
{
    struct work x = work_begin();
    for (int k = 0; k < KEYS; k++) {
        if (x.snap.kv[k].lease == lease + 1)
            model_delete_key(&x, k);
    }
    M->now.lease[lease] = false;
    work_end(&x);
}

static void step_lease(void)
{
    int i = (int)roll(LEASES);
    tn_seq seq;
    if (chance(75)) {
        struct lease_grant_req q = {.id = i + 1, .ttl_s = 5 + i};
        struct lease_grant_resp r;
        enum etcd_error want = M->now.lease[i] ? ETCD_LEASE_EXIST : ETCD_OK;
        assert_int_equal(store_lease_grant(M->w.s, &q, M->w.now, &r, &seq), want);
        M->now.lease[i] = true;
    } else {
        struct lease_revoke_req q = {.id = i + 1};
        struct lease_revoke_resp r;
        enum etcd_error want = M->now.lease[i] ? ETCD_OK : ETCD_LEASE_NOT_FOUND;
        assert_int_equal(store_lease_revoke(M->w.s, &q, &r, &seq), want);
        if (!want)
            model_revoke(i);
    }
    command_done(seq);
}

/* Time goes on; what expires is revoked, and is one of the leases that stand. */
static void step_time(void)
{
    tn_lease ids[LEASES];
    M->w.now += (tn_ms)roll(2000);
    while (M->n_pending < PENDING - 2 && store_lease_expire(M->w.s, M->w.now, 1, ids) == 1) {
        assert_true(M->now.lease[ids[0] - 1]);
        model_revoke((int)ids[0] - 1);
        command_done(store_seq_planned(M->w.s));
    }
}

static void step_commit(size_t max)
{
    if (world_commit_some(&M->w, max) == 0)
        return;
    tn_seq seq = store_seq(M->w.s);
    size_t i = 0;
    while (i < M->n_pending && M->pending[i].seq < seq)
        i++;
    assert_true(i < M->n_pending);
    assert_int_equal(M->pending[i].seq, seq);
    M->durable = M->pending[i];
    M->n_pending -= i + 1;
    memmove(M->pending, M->pending + i + 1, M->n_pending * sizeof M->pending[0]);
    assert_int_equal(store_revision(M->w.s), M->durable.rev);
    assert_int_equal(store_compacted(M->w.s), M->durable.compacted);
}

static void step_rollback(void)
{
    size_t n;
    uint64_t digest = store_digest(M->w.s);
    if (chance(50))
        store_outbox(M->w.s, roll(20), &n);
    store_rollback(M->w.s);
    M->now = M->durable;
    M->n_pending = 0;
    assert_int_equal(store_digest(M->w.s), digest);
    assert_int_equal(store_revision_planned(M->w.s), M->now.rev);
    assert_int_equal(store_seq_planned(M->w.s), M->now.seq);
}

/* ---- watchers ---- */

static bool event_wanted(const struct mwatch *mw, tn_rev rev, int k)
{
    bool del = M->snaps[rev].kv[k].version == 0;
    return in_range(mw->range, k) && !(del ? mw->no_delete : mw->no_put);
}

/* The next event of the model at or after (*rev, *i); false when there is none up to the durable revision. */
static bool model_event(const struct mwatch *mw, tn_rev *rev, int *i)
{
    for (; *rev <= M->durable.rev; (*rev)++, *i = 0) {
        for (; *i < M->snaps[*rev].n_changed; (*i)++) {
            if (event_wanted(mw, *rev, M->snaps[*rev].changed[*i]))
                return true;
        }
    }
    return false;
}

static void expect_event(const struct mwatch *mw, const struct event *e, tn_rev rev, int k)
{
    const struct mkv *m = &M->snaps[rev].kv[k], *before = &M->snaps[rev - 1].kv[k];
    struct mkv gone = {.mod = rev};
    assert_int_equal(e->type, m->version ? EVENT_PUT : EVENT_DELETE);
    expect_kv(&e->kv, k, m->version ? m : &gone);
    assert_int_equal(e->has_prev_kv, mw->prev_kv && rev > M->durable.compacted && before->version);
    if (e->has_prev_kv)
        expect_kv(&e->prev_kv, k, before);
}

static void expect_nothing_missed(const struct mwatch *mw)
{
    assert_true(store_watch_position(mw->w) >= mw->cursor);
    tn_rev rev = mw->cursor;
    int i = 0;
    if (model_event(mw, &rev, &i))
        assert_true(rev >= store_watch_position(mw->w));
}

/* Only a single revision may be longer than was asked for. */
static void expect_size(const struct store_watch_batch *b, size_t events_max)
{
    bool one =
        b->ordinals || (b->n_events && b->events[0].kv.mod_revision == b->events[b->n_events - 1].kv.mod_revision);
    assert_true(one || b->n_events <= events_max);
}

static void take_batch(const struct store_watch_batch *b, size_t events_max)
{
    struct mwatch *mw = b->user;
    expect_size(b, events_max);
    assert_ptr_equal(b->watcher, mw->w);
    assert_false(mw->blocked);
    assert_false(mw->gone);
    assert_int_equal(b->revision, M->durable.rev);
    if (b->compacted) {
        assert_true(mw->cursor < M->durable.compacted);
        assert_int_equal(b->compact_revision, M->durable.compacted);
        mw->gone = true;
        return;
    }
    assert_true(b->n_events > 0);
    tn_rev rev = mw->cursor;
    int i = 0;
    for (size_t n = 0; n < b->n_events; n++, i++) {
        assert_true(model_event(mw, &rev, &i));
        assert_int_equal(b->events[n].kv.mod_revision, rev);
        expect_event(mw, &b->events[n], rev, M->snaps[rev].changed[i]);
        if (b->ordinals)
            assert_int_equal(b->ordinals[n], i);
    }
    bool more = model_event(mw, &rev, &i);
    assert_false(more && rev == b->events[b->n_events - 1].kv.mod_revision); /* W4 */
    assert_int_equal(b->synced, store_watch_synced(M->w.s, mw->w));
    assert_false(more && b->synced);
    mw->cursor = b->events[b->n_events - 1].kv.mod_revision + 1;
    expect_nothing_missed(mw);
}

static void step_watch_next(void)
{
    struct store_watch_batch b;
    size_t events_max = 1 + roll(5);
    for (size_t n = roll(12); n > 0 && store_watch_next(M->w.s, events_max, &b); n--)
        take_batch(&b, events_max);
    for (int i = 0; i < WATCHERS; i++) {
        if (M->watchers[i].w && !M->watchers[i].gone)
            expect_nothing_missed(&M->watchers[i]);
    }
}

static void watch_add(struct mwatch *mw)
{
    struct watch_create_req q = {
        .range = random_range(), .no_put = chance(15), .no_delete = chance(15), .prev_kv = chance(50)};
    if (chance(60))
        q.start_revision = (tn_rev)roll((uint64_t)M->durable.rev + 4);
    *mw = (struct mwatch){.range = q.range, .no_put = q.no_put, .no_delete = q.no_delete, .prev_kv = q.prev_kv};
    mw->cursor = q.start_revision ? q.start_revision : M->durable.rev + 1;
    enum etcd_error e = store_watch_add(M->w.s, &q, mw, &mw->w);
    bool empty = q.range.range_end.len && !(q.range.range_end.len == 1 && !q.range.range_end.data[0]) &&
                 bytes_compare(q.range.key, q.range.range_end) >= 0;
    assert_int_equal(e, empty ? ETCD_WATCH_EMPTY_RANGE : ETCD_OK);
    if (e)
        mw->w = NULL;
}

static void step_watcher(void)
{
    struct mwatch *mw = &M->watchers[roll(WATCHERS)];
    if (!mw->w) {
        watch_add(mw);
    } else if (chance(15)) {
        store_watch_remove(M->w.s, mw->w);
        mw->w = NULL;
    } else {
        mw->blocked = chance(40);
        store_watch_block(M->w.s, mw->w, mw->blocked);
    }
}

/* ---- restarts ---- */

static void expect_same(const struct store *a, const struct store *b)
{
    assert_int_equal(store_digest(a), store_digest(b));
    assert_int_equal(store_revision(a), store_revision(b));
    assert_int_equal(store_compacted(a), store_compacted(b));
    assert_int_equal(store_seq(a), store_seq(b));
    assert_int_equal(store_cluster_id(b), M->w.config.cluster_id);
}

static void step_replay(void)
{
    struct store *copy = NULL;
    struct tenure_error err = {0};
    if (world_replay(&M->w, &copy, &err) != 0)
        fail_msg("replay: %s", err.text);
    expect_same(M->w.s, copy);
    store_free(copy);
}

/* Everything planned is lost, and the watchers with it; so is at times the deletion of rows that memory has dropped. */
static void step_restart(void)
{
    tn_seq lost[8];
    store_trim(M->w.s, roll(ARRAY_LEN(lost)), lost);
    for (int i = 0; i < WATCHERS; i++)
        M->watchers[i].w = NULL;
    world_restart(&M->w);
    M->now = M->durable;
    M->n_pending = 0;
}

/* ---- trimming ---- */

static void step_trim(size_t max)
{
    uint64_t digest = store_digest(M->w.s);
    world_trim(&M->w, max);
    assert_int_equal(store_digest(M->w.s), digest);
}

/* The rows of keys that the log must still hold: what lives at the compaction revision, and everything since. */
static size_t rows_wanted(void)
{
    size_t n = 0;
    tn_rev compacted = M->durable.compacted;
    for (int k = 0; k < KEYS; k++)
        n += compacted > 0 && M->snaps[compacted].kv[k].version && M->snaps[compacted].kv[k].mod < compacted;
    for (tn_rev rev = compacted > 0 ? compacted : 1; rev <= M->durable.rev; rev++)
        n += (size_t)M->snaps[rev].n_changed;
    return n;
}

static size_t rows_of_keys(void)
{
    size_t n = 0;
    for (size_t i = 0; i < M->w.log_len; i++)
        n += !M->w.log[i].deleted && M->w.log[i].record.kind == RECORD_KV;
    return n;
}

/* ---- a run ---- */

static void step(void)
{
    uint64_t what = roll(100);
    if (M->n_pending > PENDING - 8)
        step_commit(1000);
    else if (what < 18)
        step_put();
    else if (what < 26)
        step_delete();
    else if (what < 42)
        step_txn();
    else if (what < 54)
        step_range();
    else if (what < 58)
        step_lease();
    else if (what < 60)
        step_time();
    else if (what < 62)
        step_compact();
    else if (what < 72)
        step_commit(1 + roll(12));
    else if (what < 74)
        step_rollback();
    else if (what < 80)
        step_trim(roll(6));
    else if (what < 86)
        step_watcher();
    else if (what < 97)
        step_watch_next();
    else if (what < 99)
        step_replay();
    else if (chance(40))
        step_restart();
}

static void finish(void)
{
    struct store_watch_batch b;
    while (M->n_pending)
        step_commit(1000);
    for (int i = 0; i < WATCHERS; i++) {
        if (M->watchers[i].w)
            store_watch_block(M->w.s, M->watchers[i].w, M->watchers[i].blocked = false);
    }
    while (store_watch_next(M->w.s, 3, &b))
        take_batch(&b, 3);
    assert_false(store_watch_pending(M->w.s));
    for (int i = 0; i < WATCHERS; i++) {
        struct mwatch *mw = &M->watchers[i];
        tn_rev rev = mw->cursor;
        int at = 0;
        if (!mw->w || mw->gone)
            continue;
        assert_false(model_event(mw, &rev, &at));
        assert_true(store_watch_synced(M->w.s, mw->w));
    }
    world_trim_all(&M->w);
    assert_int_equal(rows_of_keys(), rows_wanted());
    step_replay();
    step_restart();
    assert_int_equal(world_trim(&M->w, 1), 0);
    step_replay();
}

static void run_seed(uint64_t seed)
{
    M = calloc(1, sizeof *M);
    assert_non_null(M);
    world_open(&M->w, NULL);
    rng_init(&M->rng, seed);
    M->now = (struct mstate){.seq = store_seq(M->w.s), .rev = 1, .compacted = -1};
    M->durable = M->now;
    for (int i = 0; i < OPS && M->now.rev < REVS - 60; i++) {
        step();
        arena_reset(&M->w.a);
    }
    finish();
    world_close(&M->w);
    free(M);
    M = NULL;
}

static void the_engine_answers_as_the_model(void **state)
{
    (void)state;
    const char *only = getenv("TENURE_TEST_SEED");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1;
    uint64_t last = only ? first : SEEDS;
    for (uint64_t seed = first; seed <= last; seed++) {
        fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
        run_seed(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_engine_answers_as_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
