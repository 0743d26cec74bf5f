/* Double barriers; see double_barrier.h.
 *
 * Every request about entering answers the same three reads, ready, fence and the oldest n + 1 waiters, on the path on which
 * it was not carried out (and the first one on its only path): so whatever happened, consider() decides anew from a whole
 * picture at one revision. A copy of a request that comes late fails by its guard: the own key, ready, or the fence. */
#include "recipes/double_barrier.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "recipes/queue.h"

enum { N_MAX = 100000, QUIT_MS = 5000 };

struct barrier_pass {
    struct errand errand;
    struct double_barrier *barrier;
    int quit_code; /* (enter) gives up, for this reason; 0 = it does not */
    tn_ms quit_until;
};

struct double_barrier {
    struct session_object object;
    struct barrier_pass *pass; /* the errand under way; NULL = none */
    int64_t n;
    bool broken_open_unfenced;
    bool asked;    /* a request to put the own key was sent */
    tn_rev create; /* of the own key; 0 = it does not stand, as far as is known */
    tn_rev opened; /* the revision of ready; 0 = not inside */
    tn_rev last;   /* the create_revision of the newest of the round */
    tn_rev fence;
    bytes dir, dir_end, waiters, waiters_end, own, ready, fence_key, value;
    uint8_t data[];
};

static struct barrier_pass *pass_of(struct errand *t)
{
    return CONTAINER_OF(t, struct barrier_pass, errand);
}

static struct double_barrier *barrier_of(struct errand *t)
{
    return pass_of(t)->barrier;
}

static void protocol(struct errand *t, tn_ms now)
{
    errand_fail(t, now, TENURE_EPROTOCOL, "the answer to a request about a barrier is not one");
}

static void key_is_gone(struct errand *t, tn_ms now)
{
    errand_fail(t, now, TENURE_ELOST, "the own key of the barrier was deleted by somebody else");
}

/* ---- what stands there ---- */

struct picture {
    tn_rev revision;
    tn_rev ready, fence;
    tn_rev last; /* who was created later does not belong to the round that ready has opened */
    const struct range_resp *waiters;
    tn_rev own;    /* create_revision; 0 = not among those seen */
    size_t own_at; /* its place among them */
};

/* The value of ready says whom it lets in; Go's is empty, and lets in whoever was there. */
static tn_rev last_of(const struct kv *ready)
{
    tn_rev last = 0;
    for (size_t i = 0; i < ready->value.len; i++) {
        uint8_t c = ready->value.data[i];
        if (c < '0' || c > '9' || last > INT64_MAX / 10 - 1)
            return ready->mod_revision - 1;
        last = last * 10 + (c - '0');
    }
    return last ? last : ready->mod_revision - 1;
}

static bool read_picture(const struct double_barrier *b, const struct txn_resp *r, size_t at, struct picture *ret)
{
    const struct range_resp *ready, *fence, *waiters;
    if (!errand_range_at(r, at, &ready) || !errand_range_at(r, at + 1, &fence) || !errand_range_at(r, at + 2, &waiters))
        return false;
    *ret = (struct picture){
        .revision = r->revision, .ready = errand_mod_of(ready), .fence = errand_mod_of(fence), .waiters = waiters};
    ret->last = ready->n_kvs ? last_of(&ready->kvs[0]) : 0;
    for (size_t i = 0; i < waiters->n_kvs; i++)
        if (bytes_equal(waiters->kvs[i].key, b->own)) {
            ret->own = waiters->kvs[i].create_revision;
            ret->own_at = i;
        }
    return true;
}

static void add_picture(const struct double_barrier *b, struct errand_request *q,
                        void (*add)(struct errand_request *, const struct range_req *))
{
    struct range_req ready = {.range.key = b->ready};
    struct range_req fence = {.range.key = b->fence_key, .keys_only = true};
    struct range_req waiters = {.range = {b->waiters, b->waiters_end},
                                .keys_only = true,
                                .limit = b->n + 1,
                                .sort_order = SORT_ASCEND,
                                .sort_target = SORT_CREATE};
    add(q, &ready);
    add(q, &fence);
    add(q, &waiters);
}

/* ---- entering ---- */

static void consider(struct errand *t, const struct picture *p, tn_ms now);

static void on_picture(struct errand *t, const struct client_result *r, tn_ms now)
{
    struct picture p;
    if (read_picture(barrier_of(t), r->txn, 0, &p))
        consider(t, &p, now);
    else
        protocol(t, now);
}

static void enter_step(struct errand *t, tn_ms now)
{
    struct double_barrier *b = barrier_of(t);
    struct errand_request q;
    if (!b->object.session || session_state(b->object.session) == SESSION_STARTING || t->op)
        return; /* on_alive comes, or the answer that is awaited */
    request_begin(&q);
    add_picture(b, &q, request_then_get);
    errand_txn(t, &q.req, false, on_picture, now);
}

static void on_entered(struct errand *t, const struct client_result *r, tn_ms now)
{
    struct double_barrier *b = barrier_of(t);
    struct picture p;
    if (!read_picture(b, r->txn, r->txn->succeeded ? 1 : 0, &p))
        protocol(t, now);
    else
        consider(t, &p, now);
}

static void put_own(struct errand *t, tn_ms now)
{
    struct double_barrier *b = barrier_of(t);
    struct errand_request q;
    b->asked = true;
    request_begin(&q);
    request_if(&q, key_only(b->own), COMPARE_CREATE, COMPARE_EQUAL, 0);
    request_if(&q, key_only(b->ready), COMPARE_CREATE, COMPARE_EQUAL, 0);
    request_if(&q, key_only(b->fence_key), COMPARE_MOD, COMPARE_EQUAL, b->fence);
    request_then_put(&q, b->own, b->value, session_lease_drawn(b->object.session));
    add_picture(b, &q, request_then_get);
    add_picture(b, &q, request_else_get);
    errand_txn(t, &q.req, true, on_entered, now);
}

static void inside(struct errand *t, tn_rev opened, tn_rev last, tn_ms now)
{
    barrier_of(t)->opened = opened;
    barrier_of(t)->last = last;
    errand_end(t, 0, NULL, now);
}

static void on_opened(struct errand *t, const struct client_result *r, tn_ms now)
{
    if (r->txn->succeeded)
        inside(t, r->txn->revision, barrier_of(t)->last, now);
    else
        on_picture(t, r, now);
}

static void open_it(struct errand *t, const struct picture *p, tn_ms now)
{
    struct double_barrier *b = barrier_of(t);
    struct errand_request q;
    char last[24];
    b->last = p->waiters->kvs[b->n - 1].create_revision;
    snprintf(last, sizeof last, "%" PRId64, b->last);
    request_begin(&q);
    request_if(&q, key_only(b->own), COMPARE_CREATE, COMPARE_EQUAL, b->create);
    request_if(&q, key_only(b->ready), COMPARE_CREATE, COMPARE_EQUAL, 0);
    if (!b->broken_open_unfenced)
        request_if(&q, key_only(b->fence_key), COMPARE_MOD, COMPARE_EQUAL, b->fence);
    request_then_put(&q, b->ready, bytes_str(last), 0);
    add_picture(b, &q, request_else_get);
    errand_txn(t, &q.req, true, on_opened, now);
}

/* Nobody of the round that it opened is left: all have died inside. It is cleared away, if it still is so. */
static void clear_ready(struct errand *t, const struct picture *p, tn_ms now)
{
    struct double_barrier *b = barrier_of(t);
    struct key_range waiters = {b->waiters, b->waiters_end};
    struct errand_request q;
    request_begin(&q);
    request_if(&q, key_only(b->ready), COMPARE_MOD, COMPARE_EQUAL, p->ready);
    if (p->waiters->n_kvs)
        request_if(&q, waiters, COMPARE_CREATE, COMPARE_GREATER, p->ready);
    else
        request_if(&q, waiters, COMPARE_CREATE, COMPARE_EQUAL, 0);
    request_then_delete(&q, key_only(b->ready));
    add_picture(b, &q, request_then_get);
    add_picture(b, &q, request_else_get);
    errand_txn(t, &q.req, true, on_entered, now);
}

static void quit(struct errand *t, int code, tn_ms now);

static void consider_outside(struct errand *t, const struct picture *p, tn_ms now)
{
    struct double_barrier *b = barrier_of(t);
    bool is_full = (int64_t)p->waiters->n_kvs >= b->n;
    if (!p->ready && is_full)
        errand_fail(t, now, TENURE_EBUSY, "%" PRId64 " participants are in already", b->n);
    else if (!p->ready)
        put_own(t, now);
    else if (p->waiters->n_kvs == 0 || p->waiters->kvs[0].create_revision > p->ready)
        clear_ready(t, p, now);
    else
        errand_watch(t, (struct key_range){b->dir, b->dir_end}, p->revision, true, false, now);
}

static void consider_waiting(struct errand *t, const struct picture *p, tn_ms now)
{
    struct double_barrier *b = barrier_of(t);
    if (p->own_at >= (size_t)b->n)
        quit(t, TENURE_EBUSY, now);
    else if ((int64_t)p->waiters->n_kvs >= b->n)
        open_it(t, p, now);
    else
        errand_watch(t, key_only(b->ready), p->revision, false, true, now);
}

static void consider(struct errand *t, const struct picture *p, tn_ms now)
{
    struct double_barrier *b = barrier_of(t);
    errand_unwatch(t, now);
    b->fence = p->fence;
    if (b->create && !p->own && p->waiters->more) {
        quit(t, TENURE_EBUSY, now); /* behind more than n others */
        return;
    }
    if (b->create && p->own != b->create) {
        key_is_gone(t, now);
        return;
    }
    b->create = p->own;
    if (p->own && p->own <= p->last)
        inside(t, p->ready, p->last, now);
    else if (pass_of(t)->quit_code)
        quit(t, pass_of(t)->quit_code, now);
    else if (p->own && p->ready)
        quit(t, TENURE_EBUSY, now); /* it opened without us */
    else if (p->own)
        consider_waiting(t, p, now);
    else
        consider_outside(t, p, now);
}

static void on_enter_events(struct errand *t, const struct client_watch_events *e, tn_ms now)
{
    struct double_barrier *b = barrier_of(t);
    for (size_t i = 0; i < e->n_events && b->create; i++)
        if (e->events[i].type == EVENT_PUT && b->create <= last_of(&e->events[i].kv)) {
            inside(t, e->events[i].kv.mod_revision, last_of(&e->events[i].kv), now);
            return;
        }
    if (!t->op)
        enter_step(t, now);
}

/* ---- giving up ---- */

static void quit_ended(struct errand *t, tn_ms now)
{
    struct double_barrier *b = barrier_of(t);
    int code = pass_of(t)->quit_code;
    b->create = 0;
    if (code == TENURE_EBUSY)
        errand_fail(t, now, code, "%" PRId64 " participants are in already", b->n);
    else
        errand_fail(t, now, code, "%s before the barrier opened", tenure_error_string(code));
}

static void on_quit(struct errand *t, const struct client_result *r, tn_ms now)
{
    struct double_barrier *b = barrier_of(t);
    struct picture p;
    if (r->txn->succeeded) {
        quit_ended(t, now);
    } else if (!read_picture(b, r->txn, 0, &p)) {
        protocol(t, now);
    } else if (!p.own && !p.waiters->more) {
        quit_ended(t, now); /* by an earlier copy, or it never stood; what is still on its way ends with the session */
    } else {
        consider(t, &p, now);
    }
}

static void quit(struct errand *t, int code, tn_ms now)
{
    struct double_barrier *b = barrier_of(t);
    struct errand_request q;
    pass_of(t)->quit_code = code;
    request_begin(&q);
    if (code != TENURE_EBUSY)
        request_if(&q, key_only(b->ready), COMPARE_CREATE, COMPARE_EQUAL, 0);
    request_if(&q, key_only(b->fence_key), COMPARE_MOD, COMPARE_EQUAL, b->fence);
    request_then_delete(&q, key_only(b->own));
    request_then_put(&q, b->fence_key, bytes_of(NULL, 0), 0);
    add_picture(b, &q, request_else_get);
    errand_txn(t, &q.req, true, on_quit, now);
}

/* When its time to give up is over, or nothing of it can be at the server, it simply ends. */
static bool on_enter_stop(struct errand *t, tn_ms now)
{
    struct double_barrier *b = barrier_of(t);
    struct barrier_pass *pass = pass_of(t);
    if (pass->quit_code && pass->quit_until > now) {
        t->until = pass->quit_until;
        return true;
    }
    if (pass->quit_code || !b->asked || !b->object.session || !session_valid(b->object.session, now))
        return false;
    op_drop(&t->op, now);
    errand_unwatch(t, now);
    t->retry_at = TN_MS_NEVER;
    t->until = pass->quit_until = now + QUIT_MS;
    quit(t, t->error.code, now);
    return true;
}

/* ---- leaving ---- */

static void leave_step(struct errand *t, tn_ms now);

static void on_left_last(struct errand *t, const struct client_result *r, tn_ms now)
{
    if (r->txn->succeeded)
        errand_end(t, 0, NULL, now);
    else
        leave_step(t, now);
}

/* The own key is the only one of the round: with it goes ready, if it still is that of the round. */
static void leave_last(struct errand *t, tn_rev ready, tn_ms now)
{
    struct double_barrier *b = barrier_of(t);
    struct errand_request q;
    request_begin(&q);
    request_if(&q, key_only(b->own), COMPARE_CREATE, COMPARE_EQUAL, b->create);
    request_if(&q, key_only(b->ready), COMPARE_MOD, COMPARE_EQUAL, ready);
    request_then_delete(&q, key_only(b->own));
    if (ready == b->opened) {
        request_then_delete(&q, key_only(b->ready));
        request_then_delete(&q, key_only(b->fence_key));
    }
    errand_txn(t, &q.req, true, on_left_last, now);
}

static void on_deleted_own(struct errand *t, const struct client_result *r, tn_ms now)
{
    (void)r;
    leave_step(t, now);
}

static void delete_own(struct errand *t, tn_ms now)
{
    struct double_barrier *b = barrier_of(t);
    struct errand_request q;
    request_begin(&q);
    request_if(&q, key_only(b->own), COMPARE_CREATE, COMPARE_EQUAL, b->create);
    request_then_delete(&q, key_only(b->own));
    errand_txn(t, &q.req, true, on_deleted_own, now);
}

static void on_leave_looked(struct errand *t, const struct client_result *r, tn_ms now)
{
    struct double_barrier *b = barrier_of(t);
    const struct range_resp *ready, *left;
    if (!errand_range_at(r->txn, 0, &ready) || !errand_range_at(r->txn, 1, &left)) {
        protocol(t, now);
        return;
    }
    if (left->n_kvs == 0) {
        errand_end(t, 0, NULL, now);
        return;
    }
    const struct kv *oldest = &left->kvs[0], *newest = &left->kvs[left->n_kvs - 1];
    bool is_in = false;
    for (size_t i = 0; i < left->n_kvs; i++)
        is_in = is_in || bytes_equal(left->kvs[i].key, b->own);
    bool is_oldest = bytes_equal(oldest->key, b->own);
    if (is_oldest && left->n_kvs == 1)
        leave_last(t, errand_mod_of(ready), now);
    else if (is_in && !is_oldest)
        delete_own(t, now);
    else
        errand_watch(t, key_only(is_oldest ? newest->key : oldest->key), r->txn->revision, true, false, now);
}

static void leave_step(struct errand *t, tn_ms now)
{
    struct double_barrier *b = barrier_of(t);
    struct errand_request q;
    struct range_req ready = {.range.key = b->ready, .keys_only = true};
    struct range_req left = {.range = {b->waiters, b->waiters_end},
                             .keys_only = true,
                             .sort_order = SORT_ASCEND,
                             .sort_target = SORT_CREATE,
                             .max_create_revision = b->last};
    errand_unwatch(t, now);
    request_begin(&q);
    request_then_get(&q, &ready);
    request_then_get(&q, &left);
    errand_txn(t, &q.req, false, on_leave_looked, now);
}

static void on_leave_events(struct errand *t, const struct client_watch_events *e, tn_ms now)
{
    (void)e;
    if (!t->op)
        leave_step(t, now);
}

/* ---- the session ---- */

static void on_alive(struct session_object *o, tn_ms now)
{
    struct double_barrier *b = CONTAINER_OF(o, struct double_barrier, object);
    if (b->pass && !b->pass->errand.over)
        b->pass->errand.type->step(&b->pass->errand, now);
    session_post(o);
}

static void on_ended(struct session_object *o, const struct tenure_error *why, tn_ms now)
{
    struct double_barrier *b = CONTAINER_OF(o, struct double_barrier, object);
    b->create = 0;
    b->opened = 0;
    if (!b->pass)
        return;
    errand_end(&b->pass->errand, why->code, why, now);
    session_post(o);
}

static void deliver(struct session_object *o)
{
    struct double_barrier *b = CONTAINER_OF(o, struct double_barrier, object);
    if (b->pass)
        errand_flush(&b->pass->errand);
}

static const struct session_object_ops object_ops = {.on_alive = on_alive, .on_ended = on_ended, .deliver = deliver};

/* ---- making one ---- */

static bool on_pass_failed(struct errand *t, const struct client_result *r, tn_ms now)
{
    if (r->etcd != ETCD_LEASE_NOT_FOUND)
        return false;
    errand_fail(t, now, TENURE_ELOST, "the lease of the barrier's session was revoked or has ended");
    return true;
}

static void pass_free(struct errand *t)
{
    if (barrier_of(t))
        barrier_of(t)->pass = NULL;
    free(pass_of(t));
}

static const struct errand_type enter_type = {
    .step = enter_step,
    .on_events = on_enter_events,
    .on_stop = on_enter_stop,
    .on_failed = on_pass_failed,
    .free = pass_free,
};
static const struct errand_type leave_type = {
    .step = leave_step,
    .on_events = on_leave_events,
    .on_failed = on_pass_failed,
    .free = pass_free,
};

static struct errand *pass_new(struct double_barrier *b, const struct errand_type *type, tn_ms until, errand_done done,
                               void *user, struct tenure_error *err)
{
    if (!b->object.session || b->pass) {
        error_set(err, b->pass ? TENURE_EBUSY : TENURE_ELOST, "the barrier is %s", b->pass ? "in use" : "lost");
        return NULL;
    }
    struct barrier_pass *pass = calloc(1, sizeof *pass);
    if (!pass) {
        error_set(err, TENURE_ENOMEM, "barrier: out of memory");
        return NULL;
    }
    pass->barrier = b;
    b->pass = pass;
    errand_init(&pass->errand, type, session_client(b->object.session), until, done, user);
    return &pass->errand;
}

struct errand *double_barrier_enter(struct double_barrier *b, tn_ms until, errand_done done, void *user,
                                    struct tenure_error *err)
{
    return pass_new(b, &enter_type, until, done, user, err);
}

struct errand *double_barrier_leave(struct double_barrier *b, tn_ms until, errand_done done, void *user,
                                    struct tenure_error *err)
{
    if (!b->opened) {
        error_set(err, TENURE_ELOST, "the barrier was not entered, or its session was lost");
        return NULL;
    }
    return pass_new(b, &leave_type, until, done, user, err);
}

bool double_barrier_is_inside(const struct double_barrier *b, tn_ms now)
{
    return b->opened && b->object.session && session_valid(b->object.session, now);
}

tn_rev double_barrier_round(const struct double_barrier *b)
{
    return b->opened ? b->last : 0;
}

static void lay_out(struct double_barrier *b, const char *prefix, const struct double_barrier_options *o,
                    struct client *c)
{
    char id[17];
    uint8_t *at = b->data;
    snprintf(id, sizeof id, "%016" PRIx64, client_random(c));
    b->dir = errand_place(&at, prefix, o->name, "/");
    b->ready = errand_place(&at, prefix, o->name, "/ready");
    b->fence_key = errand_place(&at, prefix, o->name, "/fence");
    b->waiters = errand_place(&at, prefix, o->name, "/waiters/");
    b->own = bytes_of(b->waiters.data, b->waiters.len + errand_place(&at, id, "", "").len);
    b->value = bytes_of(at, o->value.len);
    if (o->value.len)
        memcpy(at, o->value.data, o->value.len);
    at += o->value.len;
    b->dir_end = bytes_of(at, bytes_prefix_end(b->dir, at));
    at += b->dir_end.len;
    b->waiters_end = bytes_of(at, bytes_prefix_end(b->waiters, at));
    b->n = o->n;
    b->broken_open_unfenced = o->broken_open_unfenced;
}

int double_barrier_new(struct session *s, const struct double_barrier_options *o, struct double_barrier **ret,
                       struct tenure_error *err)
{
    const char *prefix = o->prefix ? o->prefix : "/barriers/";
    if (queue_check_name(prefix, o->name, err))
        return error_wrap(err, "barrier");
    if (o->n < 1 || o->n > N_MAX)
        return error_set(err, TENURE_EINVALID, "barrier: %" PRId64 " participants are not within 1 to %d", o->n, N_MAX);
    size_t path_len = strlen(prefix) + strlen(o->name);
    struct double_barrier *b = calloc(1, sizeof *b + 6 * (path_len + sizeof "/waiters/") + 17 + o->value.len);
    if (!b || session_attach(s, &b->object, &object_ops)) {
        free(b);
        return error_set(err, TENURE_ENOMEM, "barrier: out of memory");
    }
    lay_out(b, prefix, o, session_client(s));
    *ret = b;
    return 0;
}

struct double_barrier *double_barrier_free(struct double_barrier *b)
{
    if (!b)
        return NULL;
    session_detach(&b->object);
    if (b->pass)
        b->pass->barrier = NULL;
    free(b);
    return NULL;
}
