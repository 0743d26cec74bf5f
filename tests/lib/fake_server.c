/* The server of the fake client, a model: keys, transactions and leases, and the console of the tests. See fake_machine.h. */
#include "fake_machine.h"

#include <assert.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- the server: keys ---- */

static size_t place_of(bytes key)
{
    size_t i = 0;
    while (i < fake.n_keys && bytes_compare(fake.keys[i].key, key) < 0)
        i++;
    return i;
}

static struct kv *find(bytes key)
{
    size_t i = place_of(key);
    return i < fake.n_keys && bytes_equal(fake.keys[i].key, key) ? &fake.keys[i] : NULL;
}

static void remember(enum event_type type, const struct kv *kv)
{
    assert_true(fake.n_history < HISTORY_MAX);
    fake.history[fake.n_history++] = (struct past){.at = fake.now, .event = {.type = type, .kv = *kv}};
}

static struct model_lease *find_lease(tn_lease id)
{
    for (size_t i = 0; i < fake.n_leases; i++)
        if (fake.leases[i].id == id)
            return &fake.leases[i];
    return NULL;
}

/* At the revision that is being written. */
static void put_at(tn_rev rev, bytes key, bytes value, tn_lease lease)
{
    struct kv *kv = find(key);
    if (!kv) {
        assert_true(fake.n_keys < KEYS_MAX);
        size_t i = place_of(key);
        memmove(fake.keys + i + 1, fake.keys + i, (fake.n_keys - i) * sizeof fake.keys[0]);
        fake.n_keys++;
        kv = &fake.keys[i];
        *kv = (struct kv){.key = fake_copy_bytes(key), .create_revision = rev};
    }
    kv->value = fake_copy_bytes(value);
    kv->mod_revision = rev;
    kv->version++;
    kv->lease = lease;
    remember(EVENT_PUT, kv);
}

static bool delete_at(tn_rev rev, bytes key)
{
    struct kv *kv = find(key);
    if (!kv)
        return false;
    struct kv gone = {.key = kv->key, .mod_revision = rev}, before = *kv;
    size_t i = (size_t)(kv - fake.keys);
    fake.n_keys--;
    memmove(fake.keys + i, fake.keys + i + 1, (fake.n_keys - i) * sizeof fake.keys[0]);
    remember(EVENT_DELETE, &gone);
    fake.history[fake.n_history - 1].event.has_prev_kv = true;
    fake.history[fake.n_history - 1].event.prev_kv = before;
    return true;
}

/* ---- the server: ranges and transactions ---- */

static int by_create(const void *a, const void *b)
{
    const struct kv *x = a, *y = b;
    return x->create_revision < y->create_revision ? -1 : x->create_revision > y->create_revision;
}

static void reverse(struct kv *kvs, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        struct kv t = kvs[i];
        kvs[i] = kvs[n - 1 - i];
        kvs[n - 1 - i] = t;
    }
}

/* The keys as they were at a revision, from history; in byte order. */
static struct kv *keys_at(tn_rev revision, size_t *ret_n)
{
    struct kv *kvs = fake_take((fake.n_keys + fake.n_history + 1) * sizeof *kvs);
    size_t n = 0;
    for (size_t i = 0; i < fake.n_history && fake.history[i].event.kv.mod_revision <= revision; i++) {
        const struct event *e = &fake.history[i].event;
        size_t at = 0;
        while (at < n && bytes_compare(kvs[at].key, e->kv.key) < 0)
            at++;
        bool same = at < n && bytes_equal(kvs[at].key, e->kv.key);
        if (e->type == EVENT_PUT && !same)
            memmove(kvs + at + 1, kvs + at, (n++ - at) * sizeof *kvs);
        if (e->type == EVENT_PUT)
            kvs[at] = e->kv;
        else if (same)
            memmove(kvs + at, kvs + at + 1, (--n - at) * sizeof *kvs);
    }
    *ret_n = n;
    return kvs;
}

void fake_do_range(const struct range_req *req, struct range_resp *ret)
{
    struct kv *keys = fake.keys;
    size_t n = 0, n_keys = fake.n_keys;
    int64_t count = 0;
    if (req->revision > 0)
        keys = keys_at(req->revision, &n_keys);
    struct kv *kvs = fake_take((n_keys + 1) * sizeof *kvs);
    for (size_t i = 0; i < n_keys; i++) {
        if (!key_range_contains(req->range, keys[i].key))
            continue;
        count++;
        if (req->max_create_revision && keys[i].create_revision > req->max_create_revision)
            continue;
        if (keys[i].create_revision < req->min_create_revision || keys[i].mod_revision < req->min_mod_revision ||
            req->count_only)
            continue;
        kvs[n] = fake_copy_kv(&keys[i]);
        if (req->keys_only)
            kvs[n].value = bytes_of(NULL, 0);
        n++;
    }
    assert_true(req->sort_target == SORT_KEY || req->sort_target == SORT_CREATE);
    if (req->sort_target == SORT_CREATE)
        qsort(kvs, n, sizeof *kvs, by_create);
    if (req->sort_order == SORT_DESCEND)
        reverse(kvs, n);
    bool more = req->limit > 0 && n > (size_t)req->limit;
    *ret = (struct range_resp){
        .revision = fake.revision, .kvs = kvs, .n_kvs = more ? (size_t)req->limit : n, .more = more, .count = count};
}

static bool number_holds(const struct compare *c, const struct kv *kv)
{
    int64_t have = c->target == COMPARE_CREATE    ? kv->create_revision
                   : c->target == COMPARE_MOD     ? kv->mod_revision
                   : c->target == COMPARE_VERSION ? kv->version
                                                  : kv->lease;
    if (c->target == COMPARE_VALUE) { /* of a key that is not there: false, as in etcd */
        assert_true(c->result == COMPARE_EQUAL);
        return kv->key.len && bytes_equal(kv->value, c->value);
    }
    switch (c->result) {
    case COMPARE_GREATER:
        return have > c->number;
    case COMPARE_LESS:
        return have < c->number;
    case COMPARE_NOT_EQUAL:
        return have != c->number;
    default:
        return have == c->number;
    }
}

static bool compare_holds(const struct compare *c)
{
    static const struct kv absent;
    bool any = false;
    for (size_t i = 0; i < fake.n_keys; i++)
        if (key_range_contains(c->range, fake.keys[i].key)) {
            any = true;
            if (!number_holds(c, &fake.keys[i]))
                return false;
        }
    return any || number_holds(c, &absent);
}

static bool txn_lease_missing(const struct txn_req *req);

static bool lease_missing(const struct request_op *ops, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (ops[i].kind == OP_PUT && ops[i].put.lease && !find_lease(ops[i].put.lease))
            return true;
        if (ops[i].kind == OP_TXN && txn_lease_missing(ops[i].txn))
            return true;
    }
    return false;
}

static int64_t delete_range(tn_rev rev, struct key_range range)
{
    int64_t deleted = 0;
    for (size_t i = fake.n_keys; i-- > 0;) /* from the back: what is deleted moves up those behind it only */
        if (key_range_contains(range, fake.keys[i].key))
            deleted += delete_at(rev, fake.keys[i].key);
    return deleted;
}

static bool txn_holds(const struct txn_req *req)
{
    bool holds = true;
    for (size_t i = 0; i < req->n_compares; i++)
        holds = holds && compare_holds(&req->compares[i]);
    return holds;
}

static bool txn_lease_missing(const struct txn_req *req)
{
    bool holds = txn_holds(req);
    return lease_missing(holds ? req->success : req->failure, holds ? req->n_success : req->n_failure);
}

static void run_txn(const struct txn_req *req, tn_rev rev, struct txn_resp *ret, bool *changed);

static void run_op(const struct request_op *op, tn_rev rev, struct response_op *ret, bool *changed)
{
    ret->kind = op->kind;
    switch (op->kind) {
    case OP_RANGE:
        fake_do_range(&op->range, &ret->range);
        return;
    case OP_PUT:
        put_at(rev, op->put.key, op->put.value, op->put.lease);
        *changed = true;
        return;
    case OP_DELETE:
        ret->del.deleted = delete_range(rev, op->del.range);
        *changed = *changed || ret->del.deleted;
        return;
    case OP_TXN:
        ret->txn = fake_take(sizeof *ret->txn);
        run_txn(op->txn, rev, ret->txn, changed);
        return;
    default:
        fail_msg("the model has no operation %d", (int)op->kind);
    }
}

static void run_txn(const struct txn_req *req, tn_rev rev, struct txn_resp *ret, bool *changed)
{
    bool holds = txn_holds(req);
    const struct request_op *ops = holds ? req->success : req->failure;
    size_t n = holds ? req->n_success : req->n_failure;
    *ret = (struct txn_resp){
        .succeeded = holds, .responses = fake_take((n + 1) * sizeof(struct response_op)), .n_responses = n};
    for (size_t i = 0; i < n; i++)
        run_op(&ops[i], rev, &ret->responses[i], changed);
}

void fake_limit_txn(size_t ops, size_t bytes)
{
    fake.ops_max = ops;
    fake.bytes_max = bytes;
}

enum etcd_error fake_txn_is_too_large(const struct txn_req *req)
{
    size_t bytes = 0;
    for (size_t i = 0; i < req->n_success; i++)
        if (req->success[i].kind == OP_PUT)
            bytes += req->success[i].put.key.len + req->success[i].put.value.len;
    if (fake.ops_max && req->n_success > fake.ops_max)
        return ETCD_TOO_MANY_OPS;
    return fake.bytes_max && bytes > fake.bytes_max ? ETCD_REQUEST_TOO_LARGE : ETCD_OK;
}

enum etcd_error fake_do_txn(const struct txn_req *req, struct txn_resp *ret)
{
    bool changed = false;
    if (txn_lease_missing(req))
        return ETCD_LEASE_NOT_FOUND;
    for (size_t i = 0; i < req->n_success; i++)
        if (req->success[i].kind == OP_RANGE && req->success[i].range.revision > 0 &&
            req->success[i].range.revision < fake.compacted)
            return ETCD_COMPACTED;
    run_txn(req, fake.revision + 1, ret, &changed);
    fake.revision += changed;
    ret->revision = fake.revision;
    return ETCD_OK;
}

/* ---- the server: leases ---- */

static void end_lease(struct model_lease *l)
{
    tn_lease id = l->id;
    bool changed = false;
    *l = fake.leases[--fake.n_leases];
    for (size_t i = 0; i < fake.n_keys;) {
        if (fake.keys[i].lease == id)
            changed = delete_at(fake.revision + 1, fake.keys[i].key);
        else
            i++;
    }
    fake.revision += changed;
}

void fake_expire(void *what)
{
    (void)what;
    for (size_t i = 0; i < fake.n_leases;) {
        if (fake.leases[i].deadline <= fake.now)
            end_lease(&fake.leases[i]);
        else
            i++;
    }
}

static void renew(struct model_lease *l)
{
    l->deadline = fake.now + l->ttl_s * 1000;
    fake_at(l->deadline, fake_expire, NULL);
}

enum etcd_error fake_do_grant(tn_lease id, int64_t ttl_s, struct lease_grant_resp *ret)
{
    if (find_lease(id))
        return ETCD_LEASE_EXIST;
    assert_true(fake.n_leases < LEASES_MAX);
    struct model_lease *l = &fake.leases[fake.n_leases++];
    *l = (struct model_lease){.id = id, .ttl_s = ttl_s < fake.ttl_min_s ? fake.ttl_min_s : ttl_s};
    renew(l);
    *ret = (struct lease_grant_resp){.revision = fake.revision, .id = id, .ttl_s = l->ttl_s};
    return ETCD_OK;
}

enum etcd_error fake_do_revoke(tn_lease id)
{
    struct model_lease *l = find_lease(id);
    if (!l)
        return ETCD_LEASE_NOT_FOUND;
    end_lease(l);
    return ETCD_OK;
}

int64_t fake_do_keepalive(tn_lease id)
{
    struct model_lease *l = find_lease(id);
    if (!l)
        return 0;
    renew(l);
    return l->ttl_s;
}

struct lease_ttl_resp fake_do_ttl(tn_lease id)
{
    const struct model_lease *l = find_lease(id);
    int64_t left_ms = l ? l->deadline - fake.now : 0;
    return (struct lease_ttl_resp){
        .revision = fake.revision, .id = id, .ttl_s = l ? left_ms / 1000 : -1, .granted_ttl_s = l ? l->ttl_s : 0};
}

/* ---- the console ---- */

tn_rev fake_revision(void)
{
    return fake.revision;
}

size_t fake_keys(void)
{
    return fake.n_keys;
}

bool fake_key(size_t i, struct kv *ret)
{
    if (i >= fake.n_keys)
        return false;
    *ret = fake.keys[i];
    return true;
}

bool fake_get(bytes key, struct kv *ret)
{
    struct kv *kv = find(key);
    if (kv)
        *ret = *kv;
    return kv != NULL;
}

tn_rev fake_put(const char *key, const char *value, tn_lease lease)
{
    put_at(fake.revision + 1, bytes_str(key), bytes_str(value), lease);
    return ++fake.revision;
}

bool fake_delete(bytes key)
{
    if (!delete_at(fake.revision + 1, key))
        return false;
    fake.revision++;
    return true;
}

void fake_carry_out(const struct txn_req *req)
{
    struct txn_resp resp;
    assert_int_equal(fake_do_txn(req, &resp), ETCD_OK);
}

void fake_compact(void)
{
    fake.compacted = fake.revision;
}

size_t fake_leases(void)
{
    return fake.n_leases;
}

tn_lease fake_grant(int64_t ttl_s)
{
    struct lease_grant_resp resp;
    tn_lease id = fake.next_lease++;
    assert_int_equal(fake_do_grant(id, ttl_s, &resp), ETCD_OK);
    return id;
}

bool fake_revoke(tn_lease lease)
{
    return fake_do_revoke(lease) == ETCD_OK;
}

void fake_overflow_watches(struct client *c)
{
    for (size_t i = 0; i < fake.n_watches; i++)
        if (fake_watches[i]->client == c && !fake_watches[i]->stopped && !fake_watches[i]->ended)
            fake_end_watch(fake_watches[i], TENURE_ELIMIT);
}

void fake_set_ttl_min(int64_t ttl_s)
{
    fake.ttl_min_s = ttl_s;
}

void fake_end(void)
{
    fake_run(0);
    for (struct client_call *call = fake.calls; call; call = call->next)
        assert_true(call->delivered);
    for (size_t i = 0; i < fake.n_keepalives; i++)
        assert_true(fake.keepalives[i]->stopped);
    assert_int_equal(fake.n_watches, 0);
    assert_int_equal(fake.n_tickers, 0);
}
