/* See fake_client.h. One world in static variables: link-time replacements have no other place to find it. */
#include "fake_client.h"

#include <assert.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    MEMORY_BYTES = 64 * 1024 * 1024,
    KEYS_MAX = 1024,
    LEASES_MAX = 256,
    HISTORY_MAX = 100000,
    CLIENTS_MAX = 64,
    TICKERS_MAX = 256,
    WATCHES_MAX = 4096,
    KEEPALIVES_MAX = 1024,
    EVENTS_MAX = 100000,
};

/* ---- what there is ---- */

struct happening { /* something that is due */
    tn_ms at;
    uint64_t order;
    void (*happen)(void *what);
    void *what;
};

struct past { /* one event of the history */
    tn_ms at;
    struct event event;
};

struct model_lease {
    tn_lease id;
    int64_t ttl_s;
    tn_ms deadline;
};

struct ticker {
    struct client *client;
    fake_deadline deadline;
    fake_tick tick;
    void *object;
};

struct client_watch {
    struct client *client;
    struct client_watch_callbacks cb;
    void *user;
    struct watch_create_req req;
    tn_rev next; /* 0 = from the moment at which it arrives */
    tn_ms ready_at;
    struct client_context *context;
    bool stopped, ended;
};

struct client_keepalive {
    struct client *client;
    struct client_keepalive_callbacks cb;
    void *user;
    tn_lease lease;
    int64_t ttl_s;
    tn_ms next_at;
    bool stopped, gone;
};

enum call_kind { CALL_RANGE, CALL_TXN, CALL_GRANT, CALL_REVOKE, CALL_KEEPALIVE, CALL_TTL };

struct client_call {
    struct client *client;
    enum call_kind kind;
    union {
        struct range_req range;
        struct txn_req txn;
        struct lease_grant_req grant;
        struct lease_revoke_req revoke;
        struct lease_keepalive_req keepalive;
        struct lease_ttl_req ttl;
    };
    client_done_cb cb;
    void *user;
    struct client_context *context;
    tn_ms deadline;
    bool write, repeatable;
    bool has_again; /* again takes the transaction's place behind a copy whose fate is not known */
    struct txn_req again;
    bool sent; /* at least one copy has left */
    unsigned copies;
    bool is_stream; /* of a range: there is no such method */
    bool waiting;   /* for the connection */
    bool done;      /* its completion is queued */
    bool delivered;
    enum fake_fault fault; /* of the next copy */
    struct client_result result;
    struct tenure_error error;
    union {
        struct range_resp range_resp;
        struct txn_resp txn_resp;
        struct lease_grant_resp grant_resp;
        struct lease_revoke_resp revoke_resp;
        struct lease_keepalive_resp keepalive_resp;
        struct lease_ttl_resp ttl_resp;
    };
    struct client_call *next;
};

/* One copy of a request on its way. */
struct copy {
    struct client_call *call;
    tn_ms sent_at;
    unsigned number; /* the first is 1 */
    bool reply_lost, garbled, slow;
    struct txn_req txn; /* as it was sent */
};

struct renewal {
    struct client_keepalive *keepalive;
    tn_ms sent_at;
    int64_t ttl_s;
};

struct client {
    const char *name;
    struct rng rng;
    tn_ms now;
    bool cut, paused;
    int64_t reply_ms; /* more than the latency */
    int64_t watch_ms;
    struct client_context *context;
    bool stale;                   /* the next list */
    unsigned connection;          /* what is on its way over an older one is lost */
    struct client_call *due[256]; /* ring of completions */
    size_t due_from, due_to;
};

static struct {
    tn_ms now;
    uint64_t order;
    size_t n_happenings;
    struct client clients[CLIENTS_MAX];
    size_t n_clients;
    struct ticker tickers[TICKERS_MAX];
    size_t n_tickers;
    size_t n_watches;
    struct client_keepalive *keepalives[KEEPALIVES_MAX];
    size_t n_keepalives;
    struct client_call *calls;
    unsigned n_calls, n_requests, n_watches_started, n_wakes;
    fake_judge judge;
    void *judge_user;
    void (*on_step)(void *user);
    void *on_step_user;

    struct kv keys[KEYS_MAX]; /* in byte order */
    size_t n_keys;
    struct model_lease leases[LEASES_MAX];
    size_t n_leases;
    struct past *history;
    size_t n_history;
    tn_rev revision, compacted;
    int64_t ttl_min_s;
    tn_lease next_lease;
    size_t ops_max, bytes_max; /* of a transaction; 0 = any */
} w;

static struct client_watch *watches[WATCHES_MAX];
static struct happening *happenings[EVENTS_MAX]; /* in the order of time */
static uint8_t *memory;
static size_t memory_used;

static void *take(size_t size)
{
    size = (size + 15) & ~(size_t)15;
    assert_true(size <= MEMORY_BYTES - memory_used);
    void *p = memory + memory_used;
    memory_used += size;
    return memset(p, 0, size);
}

static bytes copy_bytes(bytes s)
{
    uint8_t *p = take(s.len + 1);
    if (s.len)
        memcpy(p, s.data, s.len);
    return bytes_of(p, s.len);
}

static struct kv copy_kv(const struct kv *kv)
{
    struct kv copy = *kv;
    copy.key = copy_bytes(kv->key);
    copy.value = copy_bytes(kv->value);
    return copy;
}

void fake_begin(void)
{
    static struct past history[HISTORY_MAX];
    static uint8_t all_memory[MEMORY_BYTES] __attribute__((aligned(16)));
    memory = all_memory;
    memory_used = 0;
    memset(&w, 0, sizeof w);
    w.now = 1000;
    w.history = history;
    w.revision = 1;
    w.ttl_min_s = 2;
    w.next_lease = 0x1000;
}

static void at(tn_ms when, void (*happen)(void *what), void *what)
{
    assert_true(w.n_happenings < EVENTS_MAX);
    struct happening *h = take(sizeof *h);
    *h = (struct happening){.at = when < w.now ? w.now : when, .order = w.order++, .happen = happen, .what = what};
    size_t i = w.n_happenings++;
    while (i > 0 && happenings[i - 1]->at > h->at) { /* kept in order; equal times in order of making */
        happenings[i] = happenings[i - 1];
        i--;
    }
    happenings[i] = h;
}

tn_ms fake_now(void)
{
    return w.now;
}

/* ---- the server: keys ---- */

static size_t place_of(bytes key)
{
    size_t i = 0;
    while (i < w.n_keys && bytes_compare(w.keys[i].key, key) < 0)
        i++;
    return i;
}

static struct kv *find(bytes key)
{
    size_t i = place_of(key);
    return i < w.n_keys && bytes_equal(w.keys[i].key, key) ? &w.keys[i] : NULL;
}

static void remember(enum event_type type, const struct kv *kv)
{
    assert_true(w.n_history < HISTORY_MAX);
    w.history[w.n_history++] = (struct past){.at = w.now, .event = {.type = type, .kv = *kv}};
}

static struct model_lease *find_lease(tn_lease id)
{
    for (size_t i = 0; i < w.n_leases; i++)
        if (w.leases[i].id == id)
            return &w.leases[i];
    return NULL;
}

/* At the revision that is being written. */
static void put_at(tn_rev rev, bytes key, bytes value, tn_lease lease)
{
    struct kv *kv = find(key);
    if (!kv) {
        assert_true(w.n_keys < KEYS_MAX);
        size_t i = place_of(key);
        memmove(w.keys + i + 1, w.keys + i, (w.n_keys - i) * sizeof w.keys[0]);
        w.n_keys++;
        kv = &w.keys[i];
        *kv = (struct kv){.key = copy_bytes(key), .create_revision = rev};
    }
    kv->value = copy_bytes(value);
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
    size_t i = (size_t)(kv - w.keys);
    w.n_keys--;
    memmove(w.keys + i, w.keys + i + 1, (w.n_keys - i) * sizeof w.keys[0]);
    remember(EVENT_DELETE, &gone);
    w.history[w.n_history - 1].event.has_prev_kv = true;
    w.history[w.n_history - 1].event.prev_kv = before;
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
    struct kv *kvs = take((w.n_keys + w.n_history + 1) * sizeof *kvs);
    size_t n = 0;
    for (size_t i = 0; i < w.n_history && w.history[i].event.kv.mod_revision <= revision; i++) {
        const struct event *e = &w.history[i].event;
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

static void do_range(const struct range_req *req, struct range_resp *ret)
{
    struct kv *keys = w.keys;
    size_t n = 0, n_keys = w.n_keys;
    int64_t count = 0;
    if (req->revision > 0)
        keys = keys_at(req->revision, &n_keys);
    struct kv *kvs = take((n_keys + 1) * sizeof *kvs);
    for (size_t i = 0; i < n_keys; i++) {
        if (!key_range_contains(req->range, keys[i].key))
            continue;
        count++;
        if (req->max_create_revision && keys[i].create_revision > req->max_create_revision)
            continue;
        if (keys[i].create_revision < req->min_create_revision || keys[i].mod_revision < req->min_mod_revision ||
            req->count_only)
            continue;
        kvs[n] = copy_kv(&keys[i]);
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
        .revision = w.revision, .kvs = kvs, .n_kvs = more ? (size_t)req->limit : n, .more = more, .count = count};
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
    for (size_t i = 0; i < w.n_keys; i++)
        if (key_range_contains(c->range, w.keys[i].key)) {
            any = true;
            if (!number_holds(c, &w.keys[i]))
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
    for (size_t i = w.n_keys; i-- > 0;) /* from the back: what is deleted moves up those behind it only */
        if (key_range_contains(range, w.keys[i].key))
            deleted += delete_at(rev, w.keys[i].key);
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
        do_range(&op->range, &ret->range);
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
        ret->txn = take(sizeof *ret->txn);
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
        .succeeded = holds, .responses = take((n + 1) * sizeof(struct response_op)), .n_responses = n};
    for (size_t i = 0; i < n; i++)
        run_op(&ops[i], rev, &ret->responses[i], changed);
}

void fake_limit_txn(size_t ops, size_t bytes)
{
    w.ops_max = ops;
    w.bytes_max = bytes;
}

static enum etcd_error txn_is_too_large(const struct txn_req *req)
{
    size_t bytes = 0;
    for (size_t i = 0; i < req->n_success; i++)
        if (req->success[i].kind == OP_PUT)
            bytes += req->success[i].put.key.len + req->success[i].put.value.len;
    if (w.ops_max && req->n_success > w.ops_max)
        return ETCD_TOO_MANY_OPS;
    return w.bytes_max && bytes > w.bytes_max ? ETCD_REQUEST_TOO_LARGE : ETCD_OK;
}

static enum etcd_error do_txn(const struct txn_req *req, struct txn_resp *ret)
{
    bool changed = false;
    if (txn_lease_missing(req))
        return ETCD_LEASE_NOT_FOUND;
    for (size_t i = 0; i < req->n_success; i++)
        if (req->success[i].kind == OP_RANGE && req->success[i].range.revision > 0 &&
            req->success[i].range.revision < w.compacted)
            return ETCD_COMPACTED;
    run_txn(req, w.revision + 1, ret, &changed);
    w.revision += changed;
    ret->revision = w.revision;
    return ETCD_OK;
}

/* ---- the server: leases ---- */

static void end_lease(struct model_lease *l)
{
    tn_lease id = l->id;
    bool changed = false;
    *l = w.leases[--w.n_leases];
    for (size_t i = 0; i < w.n_keys;) {
        if (w.keys[i].lease == id)
            changed = delete_at(w.revision + 1, w.keys[i].key);
        else
            i++;
    }
    w.revision += changed;
}

static void expire(void *what)
{
    (void)what;
    for (size_t i = 0; i < w.n_leases;) {
        if (w.leases[i].deadline <= w.now)
            end_lease(&w.leases[i]);
        else
            i++;
    }
}

static void renew(struct model_lease *l)
{
    l->deadline = w.now + l->ttl_s * 1000;
    at(l->deadline, expire, NULL);
}

static enum etcd_error do_grant(tn_lease id, int64_t ttl_s, struct lease_grant_resp *ret)
{
    if (find_lease(id))
        return ETCD_LEASE_EXIST;
    assert_true(w.n_leases < LEASES_MAX);
    struct model_lease *l = &w.leases[w.n_leases++];
    *l = (struct model_lease){.id = id, .ttl_s = ttl_s < w.ttl_min_s ? w.ttl_min_s : ttl_s};
    renew(l);
    *ret = (struct lease_grant_resp){.revision = w.revision, .id = id, .ttl_s = l->ttl_s};
    return ETCD_OK;
}

static enum etcd_error do_revoke(tn_lease id)
{
    struct model_lease *l = find_lease(id);
    if (!l)
        return ETCD_LEASE_NOT_FOUND;
    end_lease(l);
    return ETCD_OK;
}

static int64_t do_keepalive(tn_lease id)
{
    struct model_lease *l = find_lease(id);
    if (!l)
        return 0;
    renew(l);
    return l->ttl_s;
}

static struct lease_ttl_resp do_ttl(tn_lease id)
{
    const struct model_lease *l = find_lease(id);
    int64_t left_ms = l ? l->deadline - w.now : 0;
    return (struct lease_ttl_resp){
        .revision = w.revision, .id = id, .ttl_s = l ? left_ms / 1000 : -1, .granted_ttl_s = l ? l->ttl_s : 0};
}

/* ---- calls ---- */

static void complete(struct client_call *call)
{
    struct client *c = call->client;
    assert_false(call->done);
    call->done = true;
    c->due[c->due_to++ % ARRAY_LEN(c->due)] = call;
    assert_true(c->due_to - c->due_from <= ARRAY_LEN(c->due));
}

static void complete_error(struct client_call *call, int code, enum tenure_applied applied, enum etcd_error etcd)
{
    error_set(&call->error, code, "%s", etcd ? etcd_error_text(etcd) : tenure_error_string(code));
    if (applied == TENURE_APPLIED_NO && call->result.maybe_before)
        applied = TENURE_APPLIED_MAYBE;
    call->error.applied = call->write ? applied : TENURE_APPLIED_NO;
    call->result.code = code;
    call->result.etcd = etcd;
    call->result.error = &call->error;
    complete(call);
}

static void send_copy(void *what);

/* The connection broke under a call that had been sent. */
static void broken(void *what)
{
    struct client_call *call = what;
    if (call->done)
        return;
    if (call->write && !call->repeatable) {
        complete_error(call, TENURE_EUNAVAILABLE, TENURE_APPLIED_MAYBE, ETCD_OK);
        return;
    }
    call->result.maybe_before = call->write;
    if (call->has_again)
        call->txn = call->again;
    call->has_again = false;
    send_copy(call);
}

static void timed_out(void *what)
{
    struct client_call *call = what;
    if (!call->done)
        complete_error(call, TENURE_ETIMEOUT, call->sent ? TENURE_APPLIED_MAYBE : TENURE_APPLIED_NO, ETCD_OK);
}

static void replied(void *what)
{
    struct copy *copy = what;
    struct client_call *call = copy->call;
    if (call->client->cut) {
        at(w.now + FAKE_LOST_MS, broken, call);
        return;
    }
    if (call->done)
        return;
    call->result.sent_at = copy->sent_at;
    call->result.maybe_before = copy->number > 1;
    complete(call);
}

static int code_of(enum etcd_error e)
{
    switch (e) {
    case ETCD_COMPACTED:
        return TENURE_ECOMPACTED;
    case ETCD_LEASE_NOT_FOUND:
        return TENURE_ENOTFOUND;
    case ETCD_REQUEST_TOO_LARGE:
        return TENURE_ETOOLARGE;
    case ETCD_TOO_MANY_OPS:
        return TENURE_EINVALID;
    default:
        return TENURE_EEXISTS;
    }
}

static void refused(void *what)
{
    struct copy *copy = what;
    enum etcd_error e = copy->call->result.etcd;
    if (copy->call->client->cut)
        at(w.now + FAKE_LOST_MS, broken, copy->call);
    else if (!copy->call->done)
        complete_error(copy->call, code_of(e), TENURE_APPLIED_NO, e);
}

/* What the server does with it; the first copy's answer is the call's, later ones are not heard. */
static enum etcd_error carry_out(const struct copy *copy, struct client_call *answer)
{
    struct client_call *call = copy->call;
    w.n_requests++;
    switch (call->kind) {
    case CALL_RANGE:
        if (call->range.revision > 0 && call->range.revision < w.compacted)
            return ETCD_COMPACTED;
        do_range(&call->range, &answer->range_resp);
        if (call->client->stale)
            answer->range_resp = (struct range_resp){.revision = 1};
        call->client->stale = false;
        answer->result.range = &answer->range_resp;
        return ETCD_OK;
    case CALL_TXN:
        answer->result.txn = &answer->txn_resp;
        if (call->client->stale && !txn_may_write(&copy->txn)) {
            call->client->stale = false;
            answer->txn_resp = (struct txn_resp){.revision = 1, .responses = take(sizeof(struct response_op))};
            return ETCD_OK;
        }
        enum etcd_error too_large = txn_is_too_large(&copy->txn);
        return too_large ? too_large : do_txn(&copy->txn, &answer->txn_resp);
    case CALL_GRANT:
        answer->result.grant = &answer->grant_resp;
        return do_grant(call->grant.id, call->grant.ttl_s, &answer->grant_resp);
    case CALL_REVOKE:
        answer->result.revoke = &answer->revoke_resp;
        return do_revoke(call->revoke.id);
    case CALL_KEEPALIVE:
        answer->result.keepalive = &answer->keepalive_resp;
        answer->keepalive_resp =
            (struct lease_keepalive_resp){.id = call->keepalive.id, .ttl_s = do_keepalive(call->keepalive.id)};
        return ETCD_OK;
    case CALL_TTL:
        answer->result.ttl = &answer->ttl_resp;
        answer->ttl_resp = do_ttl(call->ttl.id);
        return ETCD_OK;
    }
    return ETCD_OK;
}

static void arrived(void *what)
{
    struct copy *copy = what;
    struct client_call *call = copy->call;
    bool heard = !copy->reply_lost && !call->done;
    struct client_call *answer = heard ? call : take(sizeof *answer);
    enum etcd_error e = carry_out(copy, answer);
    if (!heard)
        return;
    answer->result.etcd = e;
    answer->result.header.revision = w.revision;
    if (copy->garbled && call->kind == CALL_TXN)
        answer->txn_resp.n_responses = 0;
    at(w.now + FAKE_LATENCY_MS + call->client->reply_ms + (copy->slow ? FAKE_SLOW_MS : 0), e ? refused : replied, copy);
}

static void lost_on_the_way(struct client_call *call)
{
    at(w.now + FAKE_LOST_MS, broken, call);
}

static void refuse_later(void *what)
{
    struct client_call *call = what;
    if (!call->done)
        complete_error(call, call->result.code, TENURE_APPLIED_NO, ETCD_OK);
}

static void send_copy(void *what)
{
    struct client_call *call = what;
    if (call->done)
        return;
    if (call->client->cut) {
        call->waiting = true;
        return;
    }
    struct copy *copy = take(sizeof *copy);
    *copy = (struct copy){.call = call, .sent_at = w.now, .number = ++call->copies};
    if (call->kind == CALL_TXN)
        copy->txn = call->txn;
    enum fake_fault fault = call->fault;
    call->fault = FAKE_FINE;
    call->waiting = false;
    if (fault == FAKE_UNAVAILABLE || fault == FAKE_DENIED || call->is_stream) {
        call->result.code = call->is_stream        ? TENURE_EUNIMPLEMENTED
                            : fault == FAKE_DENIED ? TENURE_EDENIED
                                                   : TENURE_EUNAVAILABLE;
        at(w.now + 2 * FAKE_LATENCY_MS, refuse_later, call);
        return;
    }
    call->sent = true;
    copy->garbled = fault == FAKE_GARBLED;
    copy->slow = fault == FAKE_SLOW;
    copy->reply_lost = fault == FAKE_LOSE_REQUEST || fault == FAKE_LOSE_REPLY || fault == FAKE_LATE;
    if (copy->reply_lost)
        lost_on_the_way(call);
    if (fault == FAKE_LATE)
        at(w.now + FAKE_LATE_MS, arrived, copy);
    else if (fault == FAKE_OVERTAKEN)
        at(w.now + FAKE_LATENCY_MS + FAKE_BEHIND_MS, arrived, copy);
    else if (fault != FAKE_LOSE_REQUEST)
        at(w.now + FAKE_LATENCY_MS, arrived, copy);
}

static const char *describe(const struct client_call *call, char *out, size_t size)
{
    switch (call->kind) {
    case CALL_RANGE:
        snprintf(out, size, "range %.*s", (int)call->range.range.key.len, (const char *)call->range.range.key.data);
        return out;
    case CALL_GRANT:
        snprintf(out, size, "grant %" PRIx64, (uint64_t)call->grant.id);
        return out;
    case CALL_REVOKE:
        snprintf(out, size, "revoke %" PRIx64, (uint64_t)call->revoke.id);
        return out;
    case CALL_KEEPALIVE:
        snprintf(out, size, "keepalive %" PRIx64, (uint64_t)call->keepalive.id);
        return out;
    case CALL_TTL:
        snprintf(out, size, "ttl %" PRIx64, (uint64_t)call->ttl.id);
        return out;
    case CALL_TXN:
        break;
    }
    size_t len = (size_t)snprintf(out, size, "txn");
    for (size_t i = 0; i < call->txn.n_success && len < size; i++) {
        const struct request_op *op = &call->txn.success[i];
        bytes key = op->kind == OP_PUT ? op->put.key : op->kind == OP_DELETE ? op->del.range.key : op->range.range.key;
        len += (size_t)snprintf(out + len, size - len, " %s %.*s",
                                op->kind == OP_PUT      ? "put"
                                : op->kind == OP_DELETE ? "delete"
                                                        : "range",
                                (int)key.len, (const char *)key.data);
    }
    return out;
}

static struct client_call *begin(struct client *c, struct client_call *call, const struct client_call_options *opt,
                                 struct tenure_error *err)
{
    char what[600];
    unsigned n = w.n_calls++;
    call->fault = w.judge ? w.judge(w.judge_user, c, n, describe(call, what, sizeof what)) : FAKE_FINE;
    if (call->fault == FAKE_NO_MEMORY) {
        error_set(err, TENURE_ENOMEM, "out of memory");
        return NULL;
    }
    int64_t timeout_ms = opt && opt->timeout_ms ? opt->timeout_ms : FAKE_CALL_TIMEOUT_MS;
    call->client = c;
    call->repeatable = call->repeatable || (opt && opt->repeatable);
    call->deadline = c->now + timeout_ms;
    call->next = w.calls;
    w.calls = call;
    at(call->deadline, timed_out, call);
    send_copy(call);
    return call;
}

/* A user may be a little behind, never ahead; the client remembers what it was told. */
static void told_now(struct client *c, tn_ms now)
{
    assert_true(now <= w.now);
    if (now > c->now)
        c->now = now;
}

static struct client_call *call_new(enum call_kind kind, struct client *c, client_done_cb cb, void *user, tn_ms now)
{
    struct client_call *call = take(sizeof *call);
    told_now(c, now);
    call->kind = kind;
    call->cb = cb;
    call->user = user;
    call->context = client_context_ref(c->context);
    return call;
}

static struct range_req copy_range(const struct range_req *req)
{
    struct range_req copy = *req;
    copy.range.key = copy_bytes(req->range.key);
    copy.range.range_end = copy_bytes(req->range.range_end);
    return copy;
}

struct client_call *client_range(struct client *c, const struct range_req *req, const struct client_call_options *opt,
                                 client_done_cb cb, void *user, tn_ms now, struct tenure_error *err)
{
    struct client_call *call = call_new(CALL_RANGE, c, cb, user, now);
    call->range = copy_range(req);
    return begin(c, call, opt, err);
}

/* A server from before etcd 3.7. */
struct client_call *client_range_stream(struct client *c, const struct range_req *req,
                                        const struct client_call_options *opt, client_chunk_cb on_chunk,
                                        client_done_cb cb, void *user, tn_ms now, struct tenure_error *err)
{
    struct client_call *call = call_new(CALL_RANGE, c, cb, user, now);
    (void)on_chunk;
    call->range = copy_range(req);
    call->is_stream = true;
    return begin(c, call, opt, err);
}

static struct txn_req copy_txn(const struct txn_req *req);

static struct request_op *copy_ops(const struct request_op *ops, size_t n)
{
    struct request_op *copy = take((n + 1) * sizeof *copy);
    for (size_t i = 0; i < n; i++) {
        copy[i] = ops[i];
        if (ops[i].kind == OP_RANGE)
            copy[i].range = copy_range(&ops[i].range);
        if (ops[i].kind == OP_PUT) {
            copy[i].put.key = copy_bytes(ops[i].put.key);
            copy[i].put.value = copy_bytes(ops[i].put.value);
        }
        if (ops[i].kind == OP_DELETE)
            copy[i].del.range =
                (struct key_range){copy_bytes(ops[i].del.range.key), copy_bytes(ops[i].del.range.range_end)};
        if (ops[i].kind == OP_TXN) {
            copy[i].txn = take(sizeof *copy[i].txn);
            *copy[i].txn = copy_txn(ops[i].txn);
        }
    }
    return copy;
}

static struct compare *copy_compares(const struct compare *compares, size_t n)
{
    struct compare *copy = take((n + 1) * sizeof *copy);
    for (size_t i = 0; i < n; i++) {
        copy[i] = compares[i];
        copy[i].range.key = copy_bytes(compares[i].range.key);
        copy[i].range.range_end = copy_bytes(compares[i].range.range_end);
        copy[i].value = copy_bytes(compares[i].value);
    }
    return copy;
}

static struct txn_req copy_txn(const struct txn_req *req)
{
    return (struct txn_req){.compares = copy_compares(req->compares, req->n_compares),
                            .n_compares = req->n_compares,
                            .success = copy_ops(req->success, req->n_success),
                            .n_success = req->n_success,
                            .failure = copy_ops(req->failure, req->n_failure),
                            .n_failure = req->n_failure};
}

struct client_call *client_txn(struct client *c, const struct txn_req *req, const struct client_call_options *opt,
                               client_done_cb cb, void *user, tn_ms now, struct tenure_error *err)
{
    struct client_call *call = call_new(CALL_TXN, c, cb, user, now);
    call->txn = copy_txn(req);
    if (opt && opt->again) {
        call->repeatable = call->has_again = true;
        call->again = copy_txn(opt->again);
    }
    call->write = txn_may_write(req);
    return begin(c, call, opt, err);
}

struct client_call *client_lease_grant(struct client *c, const struct lease_grant_req *req,
                                       const struct client_call_options *opt, client_done_cb cb, void *user, tn_ms now,
                                       struct tenure_error *err)
{
    struct client_call *call = call_new(CALL_GRANT, c, cb, user, now);
    assert_true(req->id > 0);
    call->grant = *req;
    call->write = true;
    return begin(c, call, opt, err);
}

struct client_call *client_lease_revoke(struct client *c, const struct lease_revoke_req *req,
                                        const struct client_call_options *opt, client_done_cb cb, void *user, tn_ms now,
                                        struct tenure_error *err)
{
    struct client_call *call = call_new(CALL_REVOKE, c, cb, user, now);
    call->revoke = *req;
    call->write = call->repeatable = true;
    return begin(c, call, opt, err);
}

struct client_call *client_lease_keepalive_once(struct client *c, const struct lease_keepalive_req *req,
                                                const struct client_call_options *opt, client_done_cb cb, void *user,
                                                tn_ms now, struct tenure_error *err)
{
    struct client_call *call = call_new(CALL_KEEPALIVE, c, cb, user, now);
    call->keepalive = *req;
    return begin(c, call, opt, err);
}

struct client_call *client_lease_ttl(struct client *c, const struct lease_ttl_req *req,
                                     const struct client_call_options *opt, client_done_cb cb, void *user, tn_ms now,
                                     struct tenure_error *err)
{
    struct client_call *call = call_new(CALL_TTL, c, cb, user, now);
    call->ttl = *req;
    return begin(c, call, opt, err);
}

bool client_is_unsent(const struct client_call *call)
{
    return !call->sent && !call->done;
}

void client_cancel(struct client *c, struct client_call *call, tn_ms now)
{
    assert_ptr_equal(call->client, c);
    told_now(c, now);
    assert_false(call->delivered);
    if (!call->done)
        complete_error(call, TENURE_ECANCELLED, call->sent ? TENURE_APPLIED_MAYBE : TENURE_APPLIED_NO, ETCD_OK);
}

/* ---- watches ---- */

struct client_watch *client_watch_start(struct client *c, const struct watch_create_req *req,
                                        const struct client_watch_callbacks *cb, void *user, tn_ms now,
                                        struct tenure_error *err)
{
    told_now(c, now);
    if (w.judge && w.judge(w.judge_user, c, w.n_calls++, "watch") == FAKE_NO_MEMORY) {
        error_set(err, TENURE_ENOMEM, "out of memory");
        return NULL;
    }
    assert_true(w.n_watches < WATCHES_MAX);
    struct client_watch *watch = take(sizeof *watch);
    *watch = (struct client_watch){.client = c, .cb = *cb, .user = user, .req = *req, .next = req->start_revision};
    watch->req.range.key = copy_bytes(req->range.key);
    watch->req.range.range_end = copy_bytes(req->range.range_end);
    watch->context = client_context_ref(c->context);
    watch->ready_at = now + 2 * FAKE_LATENCY_MS;
    at(watch->ready_at, expire, NULL); /* a moment at which something may be due */
    watches[w.n_watches++] = watch;
    w.n_watches_started++;
    return watch;
}

/* The model's revisions are told whole, and its compactions lose no delete. */
void client_watch_overlap(struct client_watch *watch)
{
    (void)watch;
}

void client_bound_watches(struct client *c, size_t bytes_max)
{
    (void)c, (void)bytes_max;
}

void client_watch_stop(struct client *c, struct client_watch *watch, tn_ms now)
{
    (void)now;
    assert_ptr_equal(watch->client, c);
    assert_false(watch->stopped);
    watch->stopped = true;
    watch->context = client_context_unref(watch->context);
}

static void forget_stopped_watches(void)
{
    size_t n = 0;
    for (size_t i = 0; i < w.n_watches; i++)
        if (!watches[i]->stopped)
            watches[n++] = watches[i];
    w.n_watches = n;
}

static bool wanted(const struct client_watch *watch, const struct event *e)
{
    return key_range_contains(watch->req.range, e->kv.key) && !(watch->req.no_put && e->type == EVENT_PUT) &&
           !(watch->req.no_delete && e->type == EVENT_DELETE);
}

static void end_watch(struct client_watch *watch, int code)
{
    struct tenure_error error;
    error_set(&error, code, "%s", tenure_error_string(code));
    watch->ended = true;
    struct client_context *before = client_context_use(watch->client, client_context_ref(watch->context));
    watch->cb.on_end(watch->user, code, code == TENURE_ECOMPACTED ? w.compacted : 0, &error);
    client_context_unref(client_context_use(watch->client, before));
}

/* The first place of the history that the watch has not seen. */
static size_t history_from(tn_rev rev)
{
    size_t low = 0, high = w.n_history;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (w.history[middle].event.kv.mod_revision < rev)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool deliver_watch(struct client_watch *watch)
{
    if (watch->stopped || watch->ended || w.now < watch->ready_at)
        return false;
    if (watch->next == 0)
        watch->next = w.revision + 1;
    if (watch->next < w.compacted) {
        end_watch(watch, TENURE_ECOMPACTED);
        return true;
    }
    size_t from = history_from(watch->next), n = 0;
    struct event *events = NULL;
    tn_rev seen = watch->next - 1;
    for (size_t i = from; i < w.n_history && w.history[i].at + FAKE_LATENCY_MS + watch->client->watch_ms <= w.now;
         i++) {
        seen = w.history[i].event.kv.mod_revision;
        if (!wanted(watch, &w.history[i].event))
            continue;
        if (!events)
            events = take((w.n_history - from) * sizeof *events);
        events[n] = w.history[i].event;
        events[n].kv = copy_kv(&w.history[i].event.kv);
        events[n].has_prev_kv = events[n].has_prev_kv && watch->req.prev_kv;
        n++;
    }
    watch->next = seen + 1;
    if (n == 0)
        return false;
    w.n_wakes++;
    struct client_context *before = client_context_use(watch->client, client_context_ref(watch->context));
    watch->cb.on_events(watch->user, &(struct client_watch_events){.revision = seen, .events = events, .n_events = n});
    client_context_unref(client_context_use(watch->client, before));
    memset(events, 0xdd, n * sizeof *events); /* borrowed for the call only */
    return true;
}

/* ---- keepalives ---- */

static void renewed(void *what)
{
    struct renewal *r = what;
    struct client_keepalive *k = r->keepalive;
    if (k->stopped || k->gone || k->client->cut)
        return;
    if (k->client->paused) { /* waits in the socket */
        at(w.now + FAKE_LATENCY_MS, renewed, r);
        return;
    }
    k->client->now = w.now;
    if (r->ttl_s > 0) {
        k->cb.on_renewed(k->user, r->sent_at, r->ttl_s);
        return;
    }
    k->gone = true;
    k->cb.on_gone(k->user);
}

static void renewal_arrived(void *what)
{
    struct renewal *r = what;
    r->ttl_s = do_keepalive(r->keepalive->lease);
    at(w.now + FAKE_LATENCY_MS + r->keepalive->client->reply_ms, renewed, r);
}

static void renewal_due(void *what)
{
    struct client_keepalive *k = what;
    if (k->stopped || k->gone)
        return;
    bool out = k->client->cut || k->client->paused;
    if (!out) {
        struct renewal *r = take(sizeof *r);
        *r = (struct renewal){.keepalive = k, .sent_at = w.now};
        at(w.now + FAKE_LATENCY_MS, renewal_arrived, r);
    }
    k->next_at = w.now + (out ? 50 : k->ttl_s * 1000 / 3);
    at(k->next_at, renewal_due, k);
}

struct client_keepalive *client_keepalive_start(struct client *c, tn_lease id, int64_t ttl_s, tn_ms first_at,
                                                const struct client_keepalive_callbacks *cb, void *user, tn_ms now,
                                                struct tenure_error *err)
{
    told_now(c, now);
    if (w.judge && w.judge(w.judge_user, c, w.n_calls++, "renewals") == FAKE_NO_MEMORY) {
        error_set(err, TENURE_ENOMEM, "out of memory");
        return NULL;
    }
    assert_true(w.n_keepalives < KEEPALIVES_MAX);
    struct client_keepalive *k = take(sizeof *k);
    *k = (struct client_keepalive){.client = c, .cb = *cb, .user = user, .lease = id, .ttl_s = ttl_s};
    at(first_at, renewal_due, k);
    w.keepalives[w.n_keepalives++] = k;
    return k;
}

static struct tenure_error refusal;

void fake_note_refusal(int code, const char *text)
{
    error_clear(&refusal);
    if (code)
        error_set(&refusal, code, "%s", text);
}

const struct tenure_error *client_keepalive_refusal(const struct client *c)
{
    (void)c;
    return &refusal;
}

void client_keepalive_stop(struct client *c, struct client_keepalive *k, tn_ms now)
{
    (void)now;
    assert_ptr_equal(k->client, c);
    assert_false(k->stopped);
    k->stopped = true;
}

/* ---- processes ---- */

struct client *fake_client(const char *name)
{
    assert_true(w.n_clients < CLIENTS_MAX);
    struct client *c = &w.clients[w.n_clients++];
    *c = (struct client){.name = name, .now = w.now};
    rng_init(&c->rng, w.n_clients);
    return c;
}

void fake_seed(struct client *c, uint64_t seed)
{
    rng_init(&c->rng, seed);
}

const char *fake_client_name(const struct client *c)
{
    return c->name;
}

tn_ms client_now(const struct client *c)
{
    return c->now;
}

struct client_context *client_context_use(struct client *c, struct client_context *x)
{
    struct client_context *before = c->context;
    c->context = x;
    return before;
}

struct client_context *client_context_now(const struct client *c)
{
    return c->context;
}

uint64_t client_random(struct client *c)
{
    return rng_u64(&c->rng);
}

void fake_add_ticker(struct client *c, fake_deadline deadline, fake_tick tick, void *object)
{
    assert_true(w.n_tickers < TICKERS_MAX);
    w.tickers[w.n_tickers++] = (struct ticker){c, deadline, tick, object};
}

void fake_remove_ticker(void *object)
{
    for (size_t i = 0; i < w.n_tickers; i++)
        if (w.tickers[i].object == object)
            w.tickers[i].object = NULL;
}

static void forget_removed_tickers(void)
{
    size_t n = 0;
    for (size_t i = 0; i < w.n_tickers; i++)
        if (w.tickers[i].object)
            w.tickers[n++] = w.tickers[i];
    w.n_tickers = n;
}

static bool tick_all(struct client *c)
{
    bool any = false;
    for (size_t i = 0; i < w.n_tickers; i++) {
        struct ticker t = w.tickers[i];
        if (t.client != c || !t.object || t.deadline(t.object) > w.now)
            continue;
        t.tick(t.object, w.now);
        any = true;
    }
    return any;
}

static void poison(struct client_call *call)
{
    if (call->result.code)
        return;
    if (call->kind == CALL_TXN)
        memset(call->txn_resp.responses, 0xdd, call->txn_resp.n_responses * sizeof(struct response_op));
    if (call->kind == CALL_RANGE && call->range_resp.kvs)
        memset(call->range_resp.kvs, 0xdd, call->range_resp.n_kvs * sizeof(struct kv));
}

static bool deliver_calls(struct client *c)
{
    bool any = false;
    while (c->due_from < c->due_to) {
        struct client_call *call = c->due[c->due_from++ % ARRAY_LEN(c->due)];
        call->delivered = true;
        struct client_context *before = client_context_use(c, call->context);
        if (call->cb)
            call->cb(call->user, &call->result);
        client_context_use(c, before);
        call->context = client_context_unref(call->context);
        poison(call);
        any = true;
    }
    return any;
}

static bool deliver_watches(struct client *c)
{
    bool any = false;
    for (size_t i = 0; i < w.n_watches; i++)
        if (watches[i]->client == c && !c->cut)
            any |= deliver_watch(watches[i]);
    return any;
}

static bool turn(struct client *c)
{
    if (c->paused)
        return false;
    c->now = w.now;
    bool any = tick_all(c);
    any |= deliver_calls(c);
    any |= deliver_watches(c);
    return any;
}

static bool turn_all(void)
{
    bool any = false;
    for (size_t i = 0; i < w.n_clients; i++)
        any |= turn(&w.clients[i]);
    forget_stopped_watches();
    forget_removed_tickers();
    return any;
}

void fake_cut(struct client *c, bool cut)
{
    c->cut = cut;
    for (struct client_call *call = w.calls; call && !cut; call = call->next)
        if (call->client == c && call->waiting && !call->done)
            send_copy(call);
}

void fake_slow_replies(struct client *c, int64_t ms)
{
    c->reply_ms = ms;
}

void fake_slow_watches(struct client *c, int64_t ms)
{
    c->watch_ms = ms;
}

void fake_stale_list(struct client *c)
{
    c->stale = true;
}

void fake_pause(struct client *c, bool pause)
{
    c->paused = pause;
}

bool fake_is_paused(const struct client *c)
{
    return c && c->paused;
}

/* ---- time ---- */

void fake_on_step(void (*on_step)(void *user), void *user)
{
    w.on_step = on_step;
    w.on_step_user = user;
}

static void step_seen(void)
{
    if (w.on_step)
        w.on_step(w.on_step_user);
}

/* Everything that is due now. */
static void settle(void)
{
    unsigned rounds = 0;
    do {
        while (w.n_happenings && happenings[0]->at <= w.now) {
            struct happening *h = happenings[0];
            w.n_happenings--;
            memmove(happenings, happenings + 1, w.n_happenings * sizeof happenings[0]);
            h->happen(h->what);
            step_seen();
        }
        assert_true(++rounds < 1000); /* somebody is busy without end */
        step_seen();
    } while (turn_all());
    step_seen();
}

static tn_ms next_moment(tn_ms end)
{
    tn_ms next = end;
    if (w.n_happenings && happenings[0]->at < next)
        next = happenings[0]->at;
    for (size_t i = 0; i < w.n_tickers; i++) {
        if (w.tickers[i].client->paused)
            continue;
        tn_ms due = w.tickers[i].deadline(w.tickers[i].object);
        if (due < next)
            next = due;
    }
    for (size_t i = w.n_history; i > 0 && w.history[i - 1].at + FAKE_LATENCY_MS > w.now; i--)
        if (w.history[i - 1].at + FAKE_LATENCY_MS < next)
            next = w.history[i - 1].at + FAKE_LATENCY_MS;
    return next < w.now ? w.now : next;
}

static bool never(void *user)
{
    (void)user;
    return false;
}

bool fake_run_until(bool (*condition)(void *user), void *user, tn_ms ms)
{
    tn_ms end = w.now + ms;
    for (;;) {
        settle();
        if (condition(user))
            return true;
        if (w.now >= end)
            return false;
        w.now = next_moment(end);
    }
}

void fake_run(tn_ms ms)
{
    fake_run_until(never, NULL, ms);
}

/* ---- faults and numbers ---- */

void fake_set_judge(fake_judge judge, void *user)
{
    w.judge = judge;
    w.judge_user = user;
}

unsigned fake_calls(void)
{
    return w.n_calls;
}

unsigned fake_requests(void)
{
    return w.n_requests;
}

unsigned fake_watches_started(void)
{
    return w.n_watches_started;
}

unsigned fake_wakes(void)
{
    return w.n_wakes;
}

/* ---- the console ---- */

tn_rev fake_revision(void)
{
    return w.revision;
}

size_t fake_keys(void)
{
    return w.n_keys;
}

bool fake_key(size_t i, struct kv *ret)
{
    if (i >= w.n_keys)
        return false;
    *ret = w.keys[i];
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
    put_at(w.revision + 1, bytes_str(key), bytes_str(value), lease);
    return ++w.revision;
}

bool fake_delete(bytes key)
{
    if (!delete_at(w.revision + 1, key))
        return false;
    w.revision++;
    return true;
}

void fake_carry_out(const struct txn_req *req)
{
    struct txn_resp resp;
    assert_int_equal(do_txn(req, &resp), ETCD_OK);
}

void fake_compact(void)
{
    w.compacted = w.revision;
}

size_t fake_leases(void)
{
    return w.n_leases;
}

tn_lease fake_grant(int64_t ttl_s)
{
    struct lease_grant_resp resp;
    tn_lease id = w.next_lease++;
    assert_int_equal(do_grant(id, ttl_s, &resp), ETCD_OK);
    return id;
}

bool fake_revoke(tn_lease lease)
{
    return do_revoke(lease) == ETCD_OK;
}

void fake_overflow_watches(struct client *c)
{
    for (size_t i = 0; i < w.n_watches; i++)
        if (watches[i]->client == c && !watches[i]->stopped && !watches[i]->ended)
            end_watch(watches[i], TENURE_ELIMIT);
}

void fake_set_ttl_min(int64_t ttl_s)
{
    w.ttl_min_s = ttl_s;
}

void fake_end(void)
{
    fake_run(0);
    for (struct client_call *call = w.calls; call; call = call->next)
        assert_true(call->delivered);
    for (size_t i = 0; i < w.n_keepalives; i++)
        assert_true(w.keepalives[i]->stopped);
    assert_int_equal(w.n_watches, 0);
    assert_int_equal(w.n_tickers, 0);
}
