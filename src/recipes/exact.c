/* One transaction's way: lease and slot if there are none yet, then the transaction with its mark, then, when only the mark told
 * that it was carried out, a read of what it answered.
 *
 * The client sends the copies: the first one, and, once the fate of one is not known, fenced ones (client_call_options.again).
 *
 *   GRANT --granted, or there--> MARK --the slot's key is put--> SEND
 *   SEND --answered-----------------------------> (done)
 *        --only the mark tells------------------> READ --answered--> (done)
 *        --refused, while a copy is in doubt----> LOOK --the mark is there--> READ
 *                                                      --it is not----------> (done: maybe)
 *        --the slot moved on without it---------> SEND
 *        --the lease is gone, nothing in doubt--> GRANT
 *
 * The slot's key is put before its first use, because "not there" would come back with the end of the lease, which a late copy
 * of the grant can bring to life again; a mod_revision never does.
 *
 * The lease's id is drawn here, so each call that finds no lease may grant it: whoever is second is told that it exists.
 */
#include "recipes/exact.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/txn_copy.h"
#include "base/list.h"
#include "recipes/exact_words.h"
#include "recipes/op.h"

enum {
    TTL_S = 60,
    TIMEOUT_MS = 5000,
    TRIES_MAX = 16, /* slots that moved on, leases that were gone: each at the hand of somebody else */
    REQUEST_MAX = 128 << 20,
};

/* One lease and the marks on it. Lives until the last call that uses it has ended. */
struct era {
    struct exact *exact;
    tn_lease lease;
    bool granted, gone;
    bool maybe; /* granted by a request that nothing was heard of */
    struct client_keepalive *keepalive;
    size_t n_calls, n_slots;
    struct list free_slots;
};

struct slot {
    struct list link; /* in era->free_slots */
    size_t number;
    tn_rev create, mod; /* of its key; 0 = not put yet */
};

struct exact_call {
    struct list link; /* in exact->calls */
    struct exact *exact;
    struct era *era;
    struct slot *slot;
    struct op *op;
    struct arena arena;
    struct txn_req *req;
    uint64_t number;
    tn_ms deadline;
    unsigned tries;
    bool cancelled; /* what is not sent yet will not be */
    /* READ: how it ended, and LOOK: what to say when the mark is not there */
    bool succeeded;
    tn_rev revision;
    int code;
    enum etcd_error etcd;
    struct tenure_error error;
    exact_done done;
    void *user;
};

struct exact {
    struct client *client;
    struct era *era; /* the present one; NULL = none */
    struct list calls;
    uint64_t next_number;
    int64_t ttl_s;
    size_t n_slots;
    struct op *revoke;
    bool is_closed;
    void (*closed)(void *user);
    void *closed_user;
    size_t prefix_len;
    char prefix[];
};

/* ---- eras and slots ---- */

static void era_free(struct era *era)
{
    while (!list_empty(&era->free_slots)) {
        struct slot *s = LIST_ENTRY(era->free_slots.next, struct slot, link);
        list_remove(&s->link);
        free(s);
    }
    free(era);
}

static void era_leave(struct era *era)
{
    if (--era->n_calls == 0 && era->exact->era != era)
        era_free(era);
}

/* No mark can be put under its lease any more. */
static void era_is_gone(struct era *era, tn_ms now)
{
    struct exact *e = era->exact;
    era->gone = true;
    if (era->keepalive)
        client_keepalive_stop(e->client, era->keepalive, now);
    era->keepalive = NULL;
    if (e->era != era)
        return;
    e->era = NULL;
    if (era->n_calls == 0)
        era_free(era);
}

static void on_lease_gone(void *user)
{
    struct era *era = user;
    era_is_gone(era, client_now(era->exact->client));
}

/* The present era, or a new one. */
static struct era *era_enter(struct exact *e)
{
    if (!e->era) {
        struct era *era = calloc(1, sizeof *era);
        if (!era)
            return NULL;
        era->exact = e;
        era->lease = (tn_lease)(client_random(e->client) >> 1 | 1);
        list_init(&era->free_slots);
        e->era = era;
    }
    e->era->n_calls++;
    return e->era;
}

static bool era_granted(struct era *era, tn_ms now, struct tenure_error *err)
{
    static const struct client_keepalive_callbacks cb = {.on_gone = on_lease_gone};
    struct client *c = era->exact->client;
    int64_t ttl_s = era->exact->ttl_s;
    if (era->granted || era->gone)
        return true; /* gone: what is sent is told so */
    era->keepalive = client_keepalive_start(c, era->lease, ttl_s, now + ttl_s * 1000 / 3, &cb, era, now, err);
    era->granted = era->keepalive;
    return era->granted;
}

/* The slot that has rested longest: a late copy of its last transaction has had the most time. */
static struct slot *slot_take(struct era *era)
{
    if (!list_empty(&era->free_slots)) {
        struct slot *s = LIST_ENTRY(era->free_slots.next, struct slot, link);
        list_remove(&s->link);
        return s;
    }
    struct slot *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    list_init(&s->link);
    s->number = era->n_slots++;
    era->exact->n_slots++;
    return s;
}

/* ---- the end of a call ---- */

static void leave_era(struct exact_call *k)
{
    struct era *era = k->era;
    if (k->slot)
        list_push_back(&era->free_slots, &k->slot->link);
    if (era)
        era_leave(era);
    k->era = NULL;
    k->slot = NULL;
}

/* From here on nothing of the object is touched: done may free it. */
static void call_leave(struct exact_call *k)
{
    leave_era(k);
    list_remove(&k->link);
}

static void call_free(struct exact_call *k)
{
    call_leave(k);
    arena_fini(&k->arena);
    free(k);
}

static void end(struct exact_call *k, const struct client_result *r, bool complete)
{
    struct client_result closed = *r;
    struct tenure_error error;
    if (r->code == TENURE_ECANCELLED && k->exact->is_closed) {
        error = *r->error;
        closed.code = error_set(&error, TENURE_ECLOSED, "the handle was closed");
        error.applied = r->error->applied;
        closed.error = &error;
    }
    call_leave(k);
    k->done(k->user, &closed, complete);
    arena_fini(&k->arena);
    free(k);
}

static void end_failed(struct exact_call *k, const struct client_result *r, int code, enum tenure_applied applied,
                       const char *text)
{
    struct client_result failed = {.sent_at = r->sent_at, .header = r->header, .code = code};
    struct tenure_error error;
    error_set(&error, code, "%s", text);
    error.applied = applied;
    failed.error = &error;
    end(k, &failed, false);
}

static void end_applied(struct exact_call *k, const struct client_result *r, const struct txn_resp *resp, bool complete)
{
    struct client_result done = {.sent_at = r->sent_at, .header = r->header, .txn = resp};
    done.header.revision = resp->revision;
    end(k, &done, complete);
}

/* It was carried out; what its operations answered is not to be had. */
static void end_bare(struct exact_call *k, const struct client_result *r)
{
    struct txn_resp resp = {.revision = k->revision, .succeeded = k->succeeded};
    end_applied(k, r, &resp, (k->succeeded ? k->req->n_success : k->req->n_failure) == 0);
}

static int64_t left_ms(const struct exact_call *k, tn_ms now)
{
    return k->deadline > now ? k->deadline - now : 1;
}

/* ---- READ ---- */

static void on_reread(void *owner, const struct client_result *r)
{
    struct exact_call *k = owner;
    struct txn_resp resp;
    if (r->code || exact_rebuild(&k->arena, k->req, k->succeeded, k->revision, r->txn, &resp))
        end_bare(k, r);
    else
        end_applied(k, r, &resp, true);
}

/* Only the mark tells: it was carried out at k->revision. */
static void found(struct exact_call *k, const struct client_result *r)
{
    struct txn_req reads;
    struct txn_resp resp;
    struct tenure_error err;
    tn_ms now = client_now(k->exact->client);
    struct client_call_options opt = {.timeout_ms = left_ms(k, now)};
    if (k->cancelled || !exact_reads(&k->arena, k->req, k->succeeded, k->revision, &reads)) {
        end_bare(k, r);
    } else if (reads.n_success == 0) {
        if (exact_rebuild(&k->arena, k->req, k->succeeded, k->revision, NULL, &resp))
            end_bare(k, r);
        else
            end_applied(k, r, &resp, true);
    } else if (op_txn(&k->op, k->exact->client, &reads, &opt, on_reread, k, now, &err)) {
        end_bare(k, r);
    }
}

/* ---- LOOK ---- */

static void on_look(void *owner, const struct client_result *r)
{
    struct exact_call *k = owner;
    bool there = r->code == 0 && r->range->n_kvs == 1 && exact_is_mark(&r->range->kvs[0], k->number, &k->succeeded);
    if (there) {
        k->revision = k->slot->mod = r->range->kvs[0].mod_revision;
        found(k, r);
        return;
    }
    struct client_result failed = {.sent_at = r->sent_at, .code = k->code, .etcd = k->etcd, .error = &k->error};
    end(k, &failed, false);
}

static bytes mark_key(struct exact_call *k)
{
    const char *key =
        arena_printf(&k->arena, "%s%" PRIx64 "/%zu", k->exact->prefix, (uint64_t)k->era->lease, k->slot->number);
    return bytes_str(key);
}

static void note_failure(struct exact_call *k, const struct client_result *r)
{
    k->code = r->code;
    k->etcd = r->etcd;
    k->error = *r->error;
}

/* Refused for a reason that says nothing of the copies before: they may have been carried out. */
static bool look(struct exact_call *k, const struct client_result *r)
{
    struct tenure_error err;
    tn_ms now = client_now(k->exact->client);
    struct client_call_options opt = {.timeout_ms = left_ms(k, now)};
    struct range_req req = {.range = {.key = mark_key(k)}};
    note_failure(k, r);
    return !k->cancelled && req.range.key.data &&
           !op_range(&k->op, k->exact->client, &req, &opt, on_look, k, now, &err);
}

/* ---- SEND ---- */

static void begin_or_end(struct exact_call *k, const struct client_result *r);

static bool is_final(const struct client_result *r)
{
    return op_may_retry(r) || r->code == TENURE_ECANCELLED || r->code == TENURE_ECLOSED;
}

/* Whose lease is not there, the marks' or one of the user's? */
static void on_probed(void *owner, const struct client_result *r)
{
    struct exact_call *k = owner;
    struct client_result failed = {.sent_at = r->sent_at, .code = k->code, .etcd = k->etcd, .error = &k->error};
    if (r->etcd == ETCD_LEASE_NOT_FOUND) {
        era_is_gone(k->era, client_now(k->exact->client));
        begin_or_end(k, r);
    } else {
        end(k, &failed, false);
    }
}

static bool probe(struct exact_call *k, const struct client_result *r)
{
    struct tenure_error err;
    tn_ms now = client_now(k->exact->client);
    struct client_call_options opt = {.timeout_ms = left_ms(k, now)};
    struct lease_keepalive_req req = {.id = k->era->lease};
    note_failure(k, r);
    return !k->cancelled && !op_lease_keepalive_once(&k->op, k->exact->client, &req, &opt, on_probed, k, now, &err);
}

static void refused(struct exact_call *k, const struct client_result *r)
{
    bool in_doubt = op_may_be_applied(r);
    if (in_doubt && !is_final(r) && look(k, r))
        return;
    if (!in_doubt && r->etcd == ETCD_LEASE_NOT_FOUND && probe(k, r))
        return;
    end(k, r, false);
}

/* With its lease, and perhaps made anew by a late copy: if there were copies of this transaction before, they may have been
 * carried out. */
static void mark_is_gone(struct exact_call *k, const struct client_result *r)
{
    era_is_gone(k->era, client_now(k->exact->client));
    if (r->maybe_before)
        end_failed(k, r, TENURE_EUNAVAILABLE, TENURE_APPLIED_MAYBE,
                   "txn: the lease of the marks ended before the servers could be asked what became of it");
    else
        begin_or_end(k, r);
}

static void answered(struct exact_call *k, const struct client_result *r, const struct exact_verdict *v)
{
    if (v->mod > 0)
        k->slot->mod = v->mod;
    k->succeeded = v->succeeded;
    k->revision = v->revision;
    if (v->answer == EXACT_DONE)
        end_applied(k, r, &v->resp, true);
    else if (v->answer == EXACT_FOUND)
        found(k, r);
    else if (v->create == k->slot->create)
        begin_or_end(k, r);
    else
        mark_is_gone(k, r);
}

static void on_sent(void *owner, const struct client_result *r)
{
    struct exact_call *k = owner;
    struct exact_verdict v;
    if (r->code)
        refused(k, r);
    else if (exact_read(k->req, k->number, r->txn, &v))
        end_failed(k, r, TENURE_EPROTOCOL, TENURE_APPLIED_MAYBE, "txn: the answer is not one to this request");
    else
        answered(k, r, &v);
}

static int refuse_cancelled(const struct exact_call *k, struct tenure_error *err)
{
    return k->cancelled ? error_set(err, TENURE_ECANCELLED, "txn: the call was cancelled") : 0;
}

static int send(struct exact_call *k, tn_ms now, struct tenure_error *err)
{
    if (refuse_cancelled(k, err))
        return TENURE_ECANCELLED;
    struct exact_mark m = {.lease = k->era->lease, .mod = k->slot->mod, .number = k->number};
    struct client_call_options opt = {.timeout_ms = left_ms(k, now)};
    m.key = mark_key(k);
    struct txn_req *first = m.key.data ? exact_wrap(&k->arena, k->req, &m, false) : NULL;
    opt.again = first ? exact_wrap(&k->arena, k->req, &m, true) : NULL;
    if (!opt.again)
        return error_set(err, TENURE_ENOMEM, "txn: out of memory");
    return op_txn(&k->op, k->exact->client, first, &opt, on_sent, k, now, err);
}

/* ---- MARK ---- */

static bool read_made(struct slot *s, const struct txn_resp *r)
{
    const struct response_op *op = r->n_responses == 1 ? &r->responses[0] : NULL;
    if (r->succeeded) {
        s->mod = s->create = r->revision;
        return true;
    }
    if (!op || op->kind != OP_RANGE || op->range.n_kvs != 1)
        return false;
    s->mod = op->range.kvs[0].mod_revision;
    s->create = op->range.kvs[0].create_revision;
    return true;
}

static void on_marked(void *owner, const struct client_result *r)
{
    struct exact_call *k = owner;
    struct tenure_error err = {0};
    tn_ms now = client_now(k->exact->client);
    if (r->etcd == ETCD_LEASE_NOT_FOUND) {
        era_is_gone(k->era, now);
        begin_or_end(k, r);
    } else if (r->code) {
        end_failed(k, r, r->code, TENURE_APPLIED_NO, r->error->text);
    } else if (!read_made(k->slot, r->txn)) {
        end_failed(k, r, TENURE_EPROTOCOL, TENURE_APPLIED_NO, "txn: the answer is not one to this request");
    } else if (send(k, now, &err)) {
        end_failed(k, r, err.code, TENURE_APPLIED_NO, err.text);
    }
}

/* Puts the slot's key unless a copy of this did. */
static int mark(struct exact_call *k, tn_ms now, struct tenure_error *err)
{
    struct client_call_options opt = {.timeout_ms = left_ms(k, now), .repeatable = true};
    bytes key = mark_key(k);
    struct compare absent = {.result = COMPARE_EQUAL, .target = COMPARE_CREATE, .range = {.key = key}};
    struct request_op put = {.kind = OP_PUT, .put = {.key = key, .lease = k->era->lease}};
    struct request_op get = {.kind = OP_RANGE, .range = {.range = {.key = key}}};
    struct txn_req req = {
        .compares = &absent, .n_compares = 1, .success = &put, .n_success = 1, .failure = &get, .n_failure = 1};
    if (!key.data)
        return error_set(err, TENURE_ENOMEM, "txn: out of memory");
    return op_txn(&k->op, k->exact->client, &req, &opt, on_marked, k, now, err);
}

static int mark_or_send(struct exact_call *k, tn_ms now, struct tenure_error *err)
{
    if (refuse_cancelled(k, err))
        return TENURE_ECANCELLED;
    return k->slot->mod ? send(k, now, err) : mark(k, now, err);
}

/* ---- GRANT ---- */

static void on_granted(void *owner, const struct client_result *r)
{
    struct exact_call *k = owner;
    struct tenure_error err = {0};
    tn_ms now = client_now(k->exact->client);
    if (r->code && r->etcd != ETCD_LEASE_EXIST) {
        k->era->maybe = k->era->maybe || op_may_be_applied(r);
        end_failed(k, r, r->code, TENURE_APPLIED_NO, r->error->text);
        return;
    }
    if (!era_granted(k->era, now, &err) || mark_or_send(k, now, &err))
        end_failed(k, r, err.code, TENURE_APPLIED_NO, err.text);
}

static int grant(struct exact_call *k, tn_ms now, struct tenure_error *err)
{
    struct client_call_options opt = {.timeout_ms = left_ms(k, now), .repeatable = true};
    struct lease_grant_req req = {.ttl_s = k->exact->ttl_s, .id = k->era->lease};
    return op_lease_grant(&k->op, k->exact->client, &req, &opt, on_granted, k, now, err);
}

/* With the lease that there is now. */
static int begin(struct exact_call *k, tn_ms now, struct tenure_error *err)
{
    if (k->exact->is_closed)
        return error_set(err, TENURE_ECLOSED, "txn: closed");
    if (refuse_cancelled(k, err))
        return TENURE_ECANCELLED;
    if (++k->tries > TRIES_MAX)
        return error_set(err, TENURE_ECONFLICT, "txn: somebody else writes the marks");
    if (k->era && k->era->gone)
        leave_era(k);
    if (!k->era)
        k->era = era_enter(k->exact);
    if (k->era && !k->slot)
        k->slot = slot_take(k->era);
    if (!k->slot)
        return error_set(err, TENURE_ENOMEM, "txn: out of memory");
    return k->era->granted ? mark_or_send(k, now, err) : grant(k, now, err);
}

/* Once more; what was sent before can never be carried out any more. */
static void begin_or_end(struct exact_call *k, const struct client_result *r)
{
    struct tenure_error err = {0};
    if (begin(k, client_now(k->exact->client), &err))
        end_failed(k, r, err.code, TENURE_APPLIED_NO, err.text);
}

/* ---- the calls ---- */

struct exact_call *exact_txn(struct exact *e, const struct txn_req *req, int64_t timeout_ms, exact_done done,
                             void *user, tn_ms now, struct tenure_error *err)
{
    struct tenure_error own;
    struct exact_call *k = calloc(1, sizeof *k);
    err = err ? err : &own;
    if (!k) {
        error_set(err, TENURE_ENOMEM, "txn: out of memory");
        return NULL;
    }
    arena_init(&k->arena, REQUEST_MAX);
    list_init(&k->link);
    k->exact = e;
    k->done = done;
    k->user = user;
    k->number = ++e->next_number;
    k->deadline = now + (timeout_ms > 0 ? timeout_ms : TIMEOUT_MS);
    k->req = txn_copy(&k->arena, req);
    if (!k->req)
        error_set(err, TENURE_ENOMEM, "txn: out of memory");
    if (!k->req || begin(k, now, err)) {
        call_free(k);
        return NULL;
    }
    list_push_back(&e->calls, &k->link);
    return k;
}

void exact_cancel(struct exact_call *k, tn_ms now)
{
    k->cancelled = true;
    op_cancel(&k->op, now);
}

/* ---- the whole ---- */

struct exact *exact_new(struct client *c, const char *prefix, int64_t ttl_s)
{
    const char *text = prefix ? prefix : EXACT_PREFIX;
    size_t len = strlen(text);
    struct exact *e = calloc(1, sizeof *e + len + 1);
    if (!e)
        return NULL;
    e->client = c;
    e->ttl_s = ttl_s > 0 ? ttl_s : TTL_S;
    list_init(&e->calls);
    memcpy(e->prefix, text, len);
    return e;
}

static void on_revoked(void *owner, const struct client_result *r)
{
    struct exact *e = owner;
    (void)r; /* if it could not be revoked it ends by itself */
    if (e->closed)
        e->closed(e->closed_user);
}

void exact_close(struct exact *e, void (*done)(void *user), void *user, tn_ms now)
{
    struct tenure_error err;
    struct era *era = e->era;
    e->is_closed = true;
    e->closed = done;
    e->closed_user = user;
    bool granted = era && (era->granted || era->maybe);
    LIST_FOREACH(it, &e->calls)
    {
        op_cancel(&LIST_ENTRY(it, struct exact_call, link)->op, now);
    }
    struct lease_revoke_req req = {.id = era ? era->lease : 0};
    if (era)
        era_is_gone(era, now);
    if ((!granted || op_lease_revoke(&e->revoke, e->client, &req, NULL, on_revoked, e, now, &err)) && done)
        done(user);
}

struct exact *exact_free(struct exact *e)
{
    if (!e)
        return NULL;
    op_forget(&e->revoke);
    while (!list_empty(&e->calls)) {
        struct exact_call *k = LIST_ENTRY(e->calls.next, struct exact_call, link);
        op_forget(&k->op);
        call_free(k);
    }
    if (e->era)
        era_is_gone(e->era, client_now(e->client));
    free(e);
    return NULL;
}

bool exact_busy(const struct exact *e)
{
    return !list_empty(&e->calls);
}

size_t exact_slots(const struct exact *e)
{
    return e->n_slots;
}
