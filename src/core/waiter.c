/* See waiter.h. What a waiter learns, it learns from events of the store on the two keys that matter to it, its own and the
 * one before; nothing is asked in intervals. After each it looks at the durable state once: does its own key stand, and who
 * is before it? Only "it stands, and nobody" is answered as success (M1), which is the check that etcd's Campaign lacks.
 *
 * The key of a call that ends before it was answered goes by a command like any other. While none is taken (a full disk),
 * and when the command was undone, it is tried again. Failure: when this server writes no more at all, or the key's lease
 * ends first, the key is left to its lease.
 */
#include "core/waiter.h"

#include <stdlib.h>

#include "core/queue_steps.h"
#include "store/auth.h"

/* What a waiter costs beside its key, with its two watchers, roughly. */
#define WAITER_BYTES 1200
#define LOOKS_MAX    16  /* a turn; each walks over its queue */
#define LEAVES_MAX   256 /* a turn */
#define RETRY_MS     100

/* ---- life ---- */

/* The end of the range of all keys that begin with the queue's name and '/': '/' and one more. */
#define AFTER_SLASH '0'

static void watch_key(struct waiter_watch *ww, const struct store_watch_batch *b, tn_ms now);

static void on_event(struct watch_sink *sink, const struct store_watch_batch *b, tn_ms now)
{
    watch_key(CONTAINER_OF(sink, struct waiter_watch, sink), b, now);
}

static void init_watch(struct waiter *w, struct waiter_watch *ww)
{
    *ww = (struct waiter_watch){.sink = {on_event}, .waiter = w};
}

/* "NAME/LEASE", in lower hex as Go prints it; answers the length. */
static size_t write_key(uint8_t *at, bytes name, tn_lease lease)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t number = lease < 0 ? 0 - (uint64_t)lease : (uint64_t)lease;
    size_t len = name.len, shift = 60;
    if (name.len)
        memcpy(at, name.data, name.len);
    at[len++] = '/';
    if (lease < 0)
        at[len++] = '-';
    while (shift > 0 && number >> shift == 0)
        shift -= 4;
    for (;; shift -= 4) {
        at[len++] = (uint8_t)digits[number >> shift & 15];
        if (shift == 0)
            return len;
    }
}

static struct waiter *waiter_new(struct core_call *call, const struct waiter_kind *kind, bytes name, tn_lease lease)
{
    enum { KEY_MORE = 1 + 1 + 16 };
    struct core *c = call->core;
    struct watch_user *user;
    size_t bytes = WAITER_BYTES + 4 * (name.len + KEY_MORE);
    if (bytes > c->config.watch_bytes_max - c->watch_bytes) {
        call_fail(call, ETCD_TOO_MANY_REQUESTS);
        return NULL;
    }
    enum etcd_error e = watch_auth_user(call, &user);
    struct waiter *w = e ? NULL : calloc(1, sizeof *w + 2 * name.len + KEY_MORE + 1);
    if (!w) {
        free(user);
        call_fail(call, e ? e : ETCD_OUT_OF_MEMORY);
        return NULL;
    }
    w->user = user;
    w->auth_seen = store_auth_changes(c->store);
    w->call = call;
    w->core = c;
    w->kind = kind;
    w->lease = lease;
    w->name_len = name.len;
    w->key_len = write_key(w->key, name, lease);
    if (name.len)
        memcpy(w->key + w->key_len, name.data, name.len);
    w->key[w->key_len + name.len] = AFTER_SLASH;
    init_watch(w, &w->own);
    init_watch(w, &w->before);
    list_init(&w->link);
    w->bytes = bytes;
    c->watch_bytes += bytes;
    call->waiter = w;
    return w;
}

bytes waiter_name(const struct waiter *w)
{
    return bytes_of(w->key, w->name_len);
}

bytes waiter_key(const struct waiter *w)
{
    return bytes_of(w->key, w->key_len);
}

struct key_range waiter_queue(const struct waiter *w)
{
    return (struct key_range){bytes_of(w->key, w->name_len + 1), bytes_of(w->key + w->key_len, w->name_len + 1)};
}

static void unwatch(struct waiter *w, struct waiter_watch *ww)
{
    if (ww->watcher)
        store_watch_remove(w->core->store, ww->watcher);
    ww->watcher = NULL;
}

static void waiter_free(struct waiter *w)
{
    unwatch(w, &w->own);
    unwatch(w, &w->before);
    list_remove(&w->link);
    w->core->watch_bytes -= w->bytes;
    free(w->user);
    free(w);
}

void waiter_end(struct core_call *call)
{
    struct waiter *w = call->waiter;
    if (!w)
        return;
    call->waiter = NULL;
    if (w->answered || w->entered == 0 || !(w->made_key || w->made_lease)) {
        waiter_free(w);
        return;
    }
    unwatch(w, &w->own);
    unwatch(w, &w->before);
    w->call = NULL;
    list_remove(&w->link);
    list_push_back(&w->core->queue.leaving, &w->link);
}

/* ---- looking ---- */

static void become_due(struct waiter *w)
{
    if (list_empty(&w->link))
        list_push_back(&w->core->queue.due, &w->link);
}

static void watch_key(struct waiter_watch *ww, const struct store_watch_batch *b, tn_ms now)
{
    (void)now;
    if (b->compacted)
        unwatch(ww->waiter, ww); /* it gets nothing more */
    become_due(ww->waiter);
}

static enum etcd_error watch_deletes(struct waiter *w, struct waiter_watch *ww, bytes key)
{
    struct watch_create_req req = {.range = {key, bytes_of(NULL, 0)}, .no_put = true};
    if (ww->watcher)
        return ETCD_OK;
    return store_watch_add(w->core->store, &req, &ww->sink, &ww->watcher);
}

/* Whoever is before it may be another one each time. */
static void wait_for(struct waiter *w, bytes before)
{
    struct core_call *call = w->call;
    unwatch(w, &w->before);
    enum etcd_error e = watch_deletes(w, &w->own, waiter_key(w));
    if (!e)
        e = watch_deletes(w, &w->before, before);
    if (e)
        call_fail(call, e);
}

static void succeed(struct waiter *w, bool immediate)
{
    struct core_call *call = w->call;
    core_scratch(w->core);
    w->kind->encode(w, immediate);
    if (buf_error(&w->core->out)) {
        call_fail(call, ETCD_OUT_OF_MEMORY);
        return;
    }
    if (!call_send(call))
        return;
    w->answered = true;
    call_finish(call, GRPC_OK, "");
}

/* As in etcd, whose recipe reads with the rights of its caller: who lost them while it waited gets nothing. */
static bool may_still_wait(struct waiter *w)
{
    enum etcd_error e = watch_auth_still(w->call, w->user, &w->auth_seen, waiter_queue(w));
    if (e != ETCD_OK)
        call_fail(w->call, e);
    return e == ETCD_OK;
}

/* immediate: it was first as soon as it entered, so its first transaction is what it has seen. */
static void look(struct waiter *w, bool immediate)
{
    struct store_place place;
    if (!immediate && !may_still_wait(w))
        return;
    store_queue_place(w->core->store, waiter_queue(w), waiter_key(w), w->create, false, &place);
    if (!place.stands) {
        w->made_key = false;
        call_finish(w->call, GRPC_UNKNOWN, w->kind->lost);
    } else if (place.is_first) {
        succeed(w, immediate);
    } else {
        wait_for(w, place.before);
    }
}

/* ---- entering ---- */

/* The value of a key that was there already. False: the call has ended. */
static bool renew_value(struct waiter *w, const struct kv *kv, bytes value, tn_ms now, tn_seq *seq)
{
    struct compare own = {.target = COMPARE_CREATE, .range = {waiter_key(w), {0}}, .number = w->create};
    struct request_op put = {.kind = OP_PUT, .put = {.key = waiter_key(w), .value = value, .lease = w->lease}};
    struct txn_req req = {.compares = &own, .n_compares = 1, .success = &put, .n_success = 1};
    struct txn_resp resp;
    return !w->kind->has_value || bytes_equal(kv->value, value) || queue_txn(w->call, &req, now, &resp, seq);
}

/* Puts the key unless it is there. False: the call has ended. */
static bool plan_key(struct waiter *w, bytes value, tn_ms now, tn_seq *seq)
{
    struct compare none = {.target = COMPARE_CREATE, .range = {waiter_key(w), {0}}};
    struct request_op put = {.kind = OP_PUT, .put = {.key = waiter_key(w), .value = value, .lease = w->lease}};
    struct request_op get[] = {
        {.kind = OP_RANGE, .range = {.range = {waiter_key(w), {0}}}},
        {.kind = OP_RANGE,
         .range = {.range = waiter_queue(w), .limit = 1}}, /* whoever may not look at it may not queue */
    };
    struct txn_req req = {.compares = &none,
                          .n_compares = 1,
                          .success = &put,
                          .n_success = 1,
                          .failure = get,
                          .n_failure = ARRAY_LEN(get)};
    struct txn_resp resp;
    if (!queue_txn(w->call, &req, now, &resp, seq))
        return false;
    w->entered = *seq;
    w->revision = w->create = resp.revision;
    w->made_key = resp.succeeded;
    if (resp.succeeded)
        return true;
    const struct kv *kv = &resp.responses[0].range.kvs[0];
    w->create = kv->create_revision;
    return renew_value(w, kv, value, now, seq);
}

static void enter(struct waiter *w, tn_seq seq)
{
    struct core_call *call = w->call;
    struct core *c = w->core;
    struct store_place place;
    store_queue_place(c->store, waiter_queue(w), waiter_key(w), w->create, true, &place);
    w->immediate = place.stands && place.is_first;
    if (gate_passes(c, call, seq)) {
        waiter_entered(call);
        return;
    }
    call->reply.lease = w->made_lease ? w->lease : 0;
    if (gate_hold(call, &call->reply, HELD_ENTER, seq) < 0)
        call_reset(call);
}

void waiter_start(struct core_call *call, const struct waiter_kind *kind, const struct campaign_req *req, tn_ms now)
{
    struct core *c = call->core;
    tn_lease lease;
    tn_seq seq;
    bool made;
    if (!queue_lease(call, req->lease, now, &lease, &made))
        return;
    struct waiter *w = waiter_new(call, kind, req->name, lease);
    if (w && plan_key(w, req->value, now, &seq)) {
        w->made_lease = made;
        enter(w, seq);
    } else if (made) {
        queue_lease_back(c, lease);
    }
}

void waiter_entered(struct core_call *call)
{
    if (call->core->stopping)
        call_fail(call, ETCD_STOPPED);
    else
        look(call->waiter, call->waiter->immediate);
}

/* ---- leaving ---- */

static enum etcd_error remove_key(struct waiter *w, tn_seq *seq)
{
    struct core *c = w->core;
    struct compare own = {
        .result = COMPARE_EQUAL, .target = COMPARE_CREATE, .range = {waiter_key(w), {0}}, .number = w->create};
    struct request_op op = {.kind = OP_DELETE, .del = {.range = own.range}};
    struct txn_req req = {.compares = &own, .n_compares = 1, .success = &op, .n_success = 1};
    struct txn_resp resp;
    core_scratch(c);
    return store_txn(c->store, &req, &c->arena, &resp, seq);
}

/* With the lease goes the key. */
static enum etcd_error remove_lease(struct waiter *w, tn_seq *seq)
{
    struct core *c = w->core;
    struct lease_revoke_resp resp;
    enum etcd_error e = store_lease_revoke(c->store, &(struct lease_revoke_req){w->lease}, &resp, seq);
    if (e == ETCD_OK && c->config.lease_forget)
        c->config.lease_forget(c->config.user, w->lease);
    return e == ETCD_LEASE_NOT_FOUND ? ETCD_OK : e;
}

/* Answers whether the command is planned. */
static bool leave(struct waiter *w)
{
    tn_seq seq = 0;
    enum etcd_error e = w->made_lease ? remove_lease(w, &seq) : remove_key(w, &seq);
    if (e)
        return false;
    journal_planned(w->core, WRITE_FREES);
    w->removed = seq;
    list_remove(&w->link);
    list_push_back(&w->core->queue.left, &w->link);
    return true;
}

static void forget_all(struct list *waiters)
{
    while (!list_empty(waiters))
        waiter_free(LIST_ENTRY(waiters->next, struct waiter, link));
}

static void run_leaving(struct core *c, tn_ms now)
{
    struct list *leaving = &c->queue.leaving, *left = &c->queue.left;
    if (c->journal.writing == WRITING_OFF)
        forget_all(leaving);
    for (int i = 0; i < LEAVES_MAX && !list_empty(leaving) && now >= c->queue.retry_at; i++) {
        bool planned =
            journal_refuses(c, WRITE_FREES, now) == ETCD_OK && leave(LIST_ENTRY(leaving->next, struct waiter, link));
        if (!planned)
            c->queue.retry_at = now + RETRY_MS;
    }
    while (!list_empty(left) && LIST_ENTRY(left->next, struct waiter, link)->removed <= store_seq(c->store))
        waiter_free(LIST_ENTRY(left->next, struct waiter, link));
}

/* A key that never became durable is gone with what was undone; the others have to go still. */
void waiters_undone(struct core *c)
{
    struct list *leaving = &c->queue.leaving;
    list_splice_back(leaving, &c->queue.left);
    LIST_FOREACH_SAFE(it, leaving)
    {
        struct waiter *w = LIST_ENTRY(it, struct waiter, link);
        if (w->entered > store_seq(c->store))
            waiter_free(w);
    }
}

/* ---- the turn ---- */

void waiters_run(struct core *c, tn_ms now)
{
    for (int i = 0; i < LOOKS_MAX && !list_empty(&c->queue.due); i++) {
        struct waiter *w = LIST_ENTRY(c->queue.due.next, struct waiter, link);
        list_remove(&w->link);
        look(w, false);
    }
    run_leaving(c, now);
}

tn_ms waiters_deadline(const struct core *c)
{
    if (!list_empty(&c->queue.due))
        return c->now;
    if (list_empty(&c->queue.leaving))
        return TN_MS_NEVER;
    tn_ms ready = journal_ready_at(c, WRITE_FREES);
    return ready > c->queue.retry_at ? ready : c->queue.retry_at;
}

void waiters_init(struct core *c)
{
    list_init(&c->queue.due);
    list_init(&c->queue.leaving);
    list_init(&c->queue.left);
}

void waiters_fini(struct core *c)
{
    forget_all(&c->queue.leaving);
    forget_all(&c->queue.left);
}
