/* Taking an item; see item_queue.h.
 *
 *   LOOK -> (PRIORITY: LOOK_IN the lowest number) -> CLAIM -> done
 *     | nothing there                 | somebody else was faster, or a more urgent one came: LOOK
 *     +-> LINE -> head of it: LOOK, WATCH, and LOOK at each event, or when the first one is due
 *
 * WORK looks at four things at one revision: how many are taken and how many claims there are (more taken: somebody's claim
 * has ended; both are listed, and what has no claim is taken first), what is due, what is ready. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "recipes/item_queue.h"
#include "recipes/lock.h"
#include "recipes/object.h"

enum { CLAIM_MS = 5000, CLAIM_MARGIN_MS = 250 };

struct take_errand {
    struct errand errand;
    struct session_object object; /* on the session: to hear when it lives and when it ends */
    const struct item_keys *keys;
    struct marks *marks;
    int64_t (*wall)(void *user);
    void *wall_user;
    struct item_take o;
    struct commit *commit;
    struct lock *line;
    bool in_front;    /* of the line */
    tn_rev seen;      /* the revision of the last look */
    int stop_code;    /* stopped while a claim is under way */
    tn_ms read_until; /* and its body is read */

    /* the candidate, then the item */
    struct buf key, value, group; /* owned copies */
    struct key_range from;        /* which range the key is in (WORK) */
    tn_rev mod;
    bool is_value_known, bury;
    struct item item;
    tn_lease lease; /* of a claim with a time of its own; 0 = none granted */
    tn_lease drawn; /* the id that was asked for */
    tn_ms granted_at;
    uint8_t data[];
};

static struct take_errand *take_of(struct errand *t)
{
    return CONTAINER_OF(t, struct take_errand, errand);
}

const struct item *item_taken(const struct errand *t)
{
    return &take_of((struct errand *)t)->item;
}

static void protocol(struct errand *t, tn_ms now)
{
    errand_fail(t, now, TENURE_EPROTOCOL, "the answer to a request about a queue is not one");
}

/* ---- looking ---- */

static struct range_req first_of(struct key_range range, bool by_key, bool keys_only)
{
    return (struct range_req){.range = range,
                              .limit = 1,
                              .keys_only = keys_only,
                              .sort_order = SORT_ASCEND,
                              .sort_target = by_key ? SORT_KEY : SORT_CREATE};
}

static void add_look(const struct take_errand *k, struct errand_request *q,
                     void (*add)(struct errand_request *, const struct range_req *))
{
    const struct item_keys *keys = k->keys;
    if (keys->kind == ITEM_WORK) {
        struct range_req taken = {.range = keys->taken, .count_only = true};
        struct range_req claims = {.range = keys->claims, .count_only = true};
        struct range_req delayed = first_of(keys->delayed, true, true);
        struct range_req ready = first_of(keys->ready, false, true);
        add(q, &taken);
        add(q, &claims);
        add(q, &delayed);
        add(q, &ready);
        return;
    }
    struct range_req first = first_of(keys->all, keys->kind != ITEM_FIFO, keys->kind == ITEM_PRIORITY);
    add(q, &first);
}

static void consider(struct errand *t, const struct response_op *r, size_t n, tn_rev revision, tn_ms now);

static void on_looked(struct errand *t, const struct client_result *r, tn_ms now)
{
    consider(t, r->txn->responses, r->txn->n_responses, r->txn->revision, now);
}

static void read_body(struct errand *t, tn_ms now);

static void look(struct errand *t, tn_ms now)
{
    struct errand_request q;
    request_begin(&q);
    add_look(take_of(t), &q, request_then_get);
    errand_txn(t, &q.req, false, on_looked, now);
}

static void take_step(struct errand *t, tn_ms now)
{
    struct take_errand *k = take_of(t);
    if (t->op || k->commit || t->over)
        return; /* the answer that is awaited leads on */
    if (k->object.session && session_state(k->object.session) == SESSION_STARTING)
        return; /* on_alive comes */
    errand_unwatch(t, now);
    if (k->item.token)
        read_body(t, now); /* it is ours, and was not read yet */
    else
        look(t, now);
}

/* ---- nothing to take ---- */

static void on_in_front(void *user, int code, int64_t token, const struct tenure_error *error)
{
    struct take_errand *k = user;
    tn_ms now = client_now(k->errand.client);
    (void)token;
    if (code) {
        errand_end(&k->errand, code, error, now);
    } else {
        k->in_front = true;
        take_step(&k->errand, now);
    }
    errand_flush(&k->errand);
}

static void on_line_lost(void *user, const struct tenure_error *why)
{
    struct take_errand *k = user;
    errand_end(&k->errand, TENURE_ELOST, why, client_now(k->errand.client));
    errand_flush(&k->errand);
}

static void stand_in_line(struct errand *t, tn_ms now)
{
    static const struct lock_callbacks cb = {.on_acquired = on_in_front, .on_lost = on_line_lost};
    struct take_errand *k = take_of(t);
    struct tenure_error err = {0};
    struct lock_options o = {.prefix = k->keys->line_prefix, .value = k->o.value};
    if (k->line)
        return;
    if (!k->object.session)
        errand_fail(t, now, TENURE_ELOST, "the session of the queue has ended");
    else if (lock_new(k->object.session, k->keys->name, &o, &cb, k, &k->line, &err) || lock_acquire(k->line, now, &err))
        errand_end(t, err.code, &err, now);
}

/* due_ms: of the first that is not due yet; 0 = none. */
static void nothing(struct errand *t, int64_t due_ms, tn_ms now)
{
    struct take_errand *k = take_of(t);
    if (k->stop_code) {
        errand_end(t, k->stop_code, NULL, now);
    } else if (k->o.try_only) {
        errand_fail(t, now, TENURE_ENOTFOUND, "nothing is there to be taken");
    } else if (!k->in_front) {
        stand_in_line(t, now);
    } else {
        int64_t wait_ms = due_ms - k->wall(k->wall_user);
        t->retry_at = due_ms == 0 ? TN_MS_NEVER : now + (wait_ms > 1 ? wait_ms : 1);
        errand_watch(t, k->keys->all, k->seen, false, false, now);
    }
}

/* Only what may be taken now; a claim that another taker makes is of no interest. */
static bool is_of_interest(const struct take_errand *k, const struct event *e)
{
    if (k->keys->kind != ITEM_WORK)
        return e->type == EVENT_PUT;
    if (e->type == EVENT_DELETE)
        return key_range_contains(k->keys->claims, e->kv.key);
    return key_range_contains(k->keys->ready, e->kv.key) || key_range_contains(k->keys->delayed, e->kv.key);
}

static void on_take_events(struct errand *t, const struct client_watch_events *e, tn_ms now)
{
    for (size_t i = 0; i < e->n_events; i++)
        if (is_of_interest(take_of(t), &e->events[i])) {
            t->retry_at = TN_MS_NEVER;
            take_step(t, now);
            return;
        }
}

/* ---- claiming ---- */

static void ended_with_item(struct errand *t, tn_ms now)
{
    struct take_errand *k = take_of(t);
    k->item.key = buf_bytes(&k->key);
    k->item.value = buf_bytes(&k->value);
    struct item_words w = item_read(k->keys, k->keys->kind == ITEM_WORK ? k->from : k->keys->all, k->item.key);
    k->item.id = w.id;
    k->item.priority = w.priority;
    k->item.due_ms = w.due_ms;
    if (k->item.token == 0)
        k->item.deliveries = w.deliveries;
    errand_end(t, 0, NULL, now);
}

static void on_body(struct errand *t, const struct client_result *r, tn_ms now);

static void read_body(struct errand *t, tn_ms now)
{
    struct take_errand *k = take_of(t);
    char text[ITEM_KEY_SPACE * 8];
    struct item_words w = item_read(k->keys, k->from, buf_bytes(&k->key));
    size_t space = k->keys->bodies.key.len + w.id.len + ITEM_KEY_SPACE;
    char *out = space > sizeof text ? malloc(space) : text;
    if (!out) {
        errand_end(t, TENURE_ENOMEM, NULL, now);
        return;
    }
    struct range_req body = {.range.key = item_key(k->keys->bodies, -1, w.id, -1, out)};
    errand_range(t, &body, on_body, now);
    if (out != text)
        free(out);
}

static void claim(struct errand *t, tn_ms now);

/* Of the body of an item that is claimed, looked at, or to be buried. One without a body is no item: somebody deleted it. */
static void have_body(struct errand *t, const struct range_resp *body, tn_ms now)
{
    struct take_errand *k = take_of(t);
    buf_reset(&k->value);
    if (body->n_kvs)
        buf_append_bytes(&k->value, body->kvs[0].value);
    if (buf_error(&k->value))
        errand_end(t, TENURE_ENOMEM, NULL, now);
    else if (k->bury && !k->item.token) {
        k->is_value_known = true;
        claim(t, now);
    } else {
        ended_with_item(t, now);
    }
}

static void on_body(struct errand *t, const struct client_result *r, tn_ms now)
{
    have_body(t, r->range, now);
}

static void claimed(struct errand *t, const struct commit_result *r, tn_ms now)
{
    struct take_errand *k = take_of(t);
    if (k->bury) {
        take_step(t, now);
        return;
    }
    if (k->keys->kind != ITEM_WORK) {
        ended_with_item(t, now);
        return;
    }
    k->item.token = r->revision;
    k->item.deliveries = item_read(k->keys, k->from, buf_bytes(&k->key)).deliveries + 1;
    k->item.lease = k->lease ? k->lease : session_lease(k->object.session);
    k->item.safe_until = k->lease ? k->granted_at + k->o.claim_ms - CLAIM_MARGIN_MS : 0;
    if (k->stop_code)
        t->until = k->read_until = now + CLAIM_MS;
    if (r->n_answers && r->answers[r->n_answers - 1].kind == OP_RANGE)
        have_body(t, &r->answers[r->n_answers - 1].range, now);
    else
        read_body(t, now);
}

static bool lease_may_have_run_out(const struct take_errand *k, tn_ms now)
{
    return k->lease && now - k->granted_at > k->o.claim_ms / 2;
}

static void on_claimed(void *owner, const struct commit_result *r)
{
    struct errand *t = owner;
    struct take_errand *k = take_of(t);
    tn_ms now = client_now(t->client);
    t->maybe = false;
    if (t->over)
        return;
    if (r->outcome == COMMIT_APPLIED) {
        if (!k->bury || !k->stop_code)
            claimed(t, r, now);
        else
            errand_end(t, k->stop_code, NULL, now);
    } else if (k->stop_code && r->outcome == COMMIT_CONFLICT) {
        errand_end(t, k->stop_code, NULL, now);
    } else if (r->outcome == COMMIT_CONFLICT) {
        consider(t, r->others, r->n_others, r->revision, now);
    } else if (r->code == TENURE_ELOST && lease_may_have_run_out(k, now) && r->error->applied == TENURE_APPLIED_NO &&
               marks_usable(k->marks, now)) {
        k->lease = 0;
        take_step(t, now);
    } else if (!k->stop_code && commit_may_retry(r)) {
        errand_retry(t, now);
    } else {
        errand_end_stopped(t, k->stop_code, r->error, now);
    }
    errand_flush(t);
}

/* The candidate's key goes; what comes in its place. All texts are in `out`. */
static void add_work(const struct take_errand *k, struct errand_request *q, char *out)
{
    const struct item_keys *keys = k->keys;
    struct item_words w = item_read(keys, k->from, buf_bytes(&k->key));
    size_t space = keys->all.key.len + w.id.len + ITEM_KEY_SPACE;
    bytes claims = item_key(keys->claims, -1, w.id, -1, out);
    bytes body = item_key(keys->bodies, -1, w.id, -1, out + space);
    struct range_req get = {.range.key = body};
    request_if(q, key_only(claims), COMPARE_CREATE, COMPARE_EQUAL, 0);
    if (k->bury) {
        request_then_delete(q, key_only(body));
        request_then_put(q, item_key(keys->dead, -1, w.id, -1, out + 2 * space), buf_bytes(&k->value), 0);
        return;
    }
    tn_lease lease = k->lease ? k->lease : session_lease(k->object.session);
    request_then_put(q, item_key(keys->taken, -1, w.id, w.deliveries + 1, out + 2 * space), bytes_of(NULL, 0), 0);
    request_then_put(q, claims, k->o.value, lease);
    request_then_get(q, &get);
}

/* Nobody of a lower number, or who is due before, has come meanwhile. */
static void guard_order(const struct take_errand *k, struct errand_request *q)
{
    struct key_range lower = {k->keys->all.key, buf_bytes(k->keys->kind == ITEM_PRIORITY ? &k->group : &k->key)};
    if (lower.range_end.len && bytes_compare(lower.key, lower.range_end) < 0)
        request_if(q, lower, COMPARE_CREATE, COMPARE_EQUAL, 0);
}

static int start_claim(struct errand *t, char *out, tn_ms now, struct tenure_error *err)
{
    struct take_errand *k = take_of(t);
    struct errand_request q;
    struct commit_options o = {.until = now + CLAIM_MS, .settle = true};
    request_begin(&q);
    if (!k->o.broken_unguarded)
        request_if(&q, key_only(buf_bytes(&k->key)), COMPARE_MOD, COMPARE_EQUAL, k->mod);
    if (k->keys->kind == ITEM_PRIORITY || k->keys->kind == ITEM_DELAY)
        guard_order(k, &q);
    request_then_delete(&q, key_only(buf_bytes(&k->key)));
    if (k->keys->kind == ITEM_WORK)
        add_work(k, &q, out);
    add_look(k, &q, request_else_get);
    return commit_start(&k->commit, t->client, k->marks, &q.req, &o, on_claimed, t, now, err);
}

static void claim(struct errand *t, tn_ms now)
{
    struct take_errand *k = take_of(t);
    struct tenure_error err = {0};
    char *out = malloc(3 * (k->keys->all.key.len + k->key.len + ITEM_KEY_SPACE));
    int rc = out ? start_claim(t, out, now, &err) : error_set(&err, TENURE_ENOMEM, "queue: out of memory");
    free(out);
    t->maybe = rc == 0;
    if (rc)
        errand_end(t, rc, &err, now);
}

static void on_granted(struct errand *t, const struct client_result *r, tn_ms now)
{
    struct take_errand *k = take_of(t);
    k->lease = k->drawn; /* an earlier one, that has run out by half, is left to its end */
    k->granted_at = r->sent_at;
    claim(t, now);
}

/* A claim with a time of its own gets its lease as late as can be. */
static void prepare(struct errand *t, tn_ms now)
{
    struct take_errand *k = take_of(t);
    bool own = k->keys->kind == ITEM_WORK && k->o.claim_ms && !k->bury;
    if (k->bury && !k->is_value_known) {
        read_body(t, now);
    } else if (own && (!k->lease || lease_may_have_run_out(k, now))) {
        k->drawn = (tn_lease)(client_random(t->client) >> 1) | 1;
        struct lease_grant_req req = {.ttl_s = k->o.claim_ms / 1000, .id = k->drawn};
        errand_grant(t, &req, on_granted, now);
    } else {
        claim(t, now);
    }
}

/* The first one is kv, in `from`: what is to be done with it. */
static void choose(struct errand *t, struct key_range from, const struct kv *kv, tn_ms now)
{
    struct take_errand *k = take_of(t);
    buf_reset(&k->key);
    buf_reset(&k->value);
    buf_append_bytes(&k->key, kv->key);
    if (k->keys->kind != ITEM_WORK)
        buf_append_bytes(&k->value, kv->value);
    k->from = from;
    k->mod = kv->mod_revision;
    k->item = (struct item){.create = kv->create_revision};
    k->is_value_known = false;
    k->bury = k->keys->kind == ITEM_WORK && k->o.deliveries_max && !k->o.peek &&
              item_read(k->keys, from, kv->key).deliveries >= k->o.deliveries_max;
    if (buf_error(&k->key) || buf_error(&k->value))
        errand_end(t, TENURE_ENOMEM, NULL, now);
    else if (!k->o.peek)
        prepare(t, now);
    else if (k->keys->kind == ITEM_WORK)
        read_body(t, now);
    else
        ended_with_item(t, now);
}

/* ---- what was seen ---- */

static void on_group(struct errand *t, const struct client_result *r, tn_ms now)
{
    if (r->range->n_kvs)
        choose(t, take_of(t)->keys->all, &r->range->kvs[0], now);
    else
        look(t, now); /* it was taken meanwhile */
}

/* The lowest number is known; who is the oldest in it? */
static void look_in_group(struct errand *t, bytes key, tn_ms now)
{
    struct take_errand *k = take_of(t);
    uint8_t *end = malloc(key.len + 1);
    if (!end) {
        errand_end(t, TENURE_ENOMEM, NULL, now);
        return;
    }
    struct range_req first = first_of(item_group(k->keys, key, end), false, false);
    buf_reset(&k->group);
    buf_append_bytes(&k->group, first.range.key);
    if (buf_error(&k->group))
        errand_end(t, TENURE_ENOMEM, NULL, now);
    else
        errand_range(t, &first, on_group, now);
    free(end);
}

static void consider_plain(struct errand *t, const struct range_resp *first, tn_ms now)
{
    struct take_errand *k = take_of(t);
    if (first->n_kvs == 0) {
        nothing(t, 0, now);
        return;
    }
    const struct kv *kv = &first->kvs[0];
    int64_t due_ms = item_read(k->keys, k->keys->all, kv->key).due_ms;
    if (k->keys->kind == ITEM_PRIORITY)
        look_in_group(t, kv->key, now);
    else if (due_ms > k->wall(k->wall_user) && !k->o.peek && !k->o.broken_early)
        nothing(t, due_ms, now);
    else
        choose(t, k->keys->all, kv, now);
}

static bool has_claim(const struct take_errand *k, bytes id, const struct range_resp *claims)
{
    size_t low = 0, high = claims->n_kvs;
    while (low < high) { /* they come in the order of their keys */
        size_t middle = low + (high - low) / 2;
        int c = bytes_compare(item_read(k->keys, k->keys->claims, claims->kvs[middle].key).id, id);
        if (c == 0)
            return true;
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static void on_orphans(struct errand *t, const struct client_result *r, tn_ms now)
{
    struct take_errand *k = take_of(t);
    const struct range_resp *taken, *claims;
    const struct kv *oldest = NULL;
    if (!errand_range_at(r->txn, 0, &taken) || !errand_range_at(r->txn, 1, &claims)) {
        protocol(t, now);
        return;
    }
    for (size_t i = 0; i < taken->n_kvs; i++) {
        const struct kv *kv = &taken->kvs[i];
        if (!has_claim(k, item_read(k->keys, k->keys->taken, kv->key).id, claims) &&
            (!oldest || kv->create_revision < oldest->create_revision))
            oldest = kv;
    }
    if (oldest)
        choose(t, k->keys->taken, oldest, now);
    else
        look(t, now); /* somebody else has it meanwhile */
}

static void look_for_orphans(struct errand *t, tn_ms now)
{
    struct take_errand *k = take_of(t);
    struct errand_request q;
    struct range_req taken = {.range = k->keys->taken, .keys_only = true};
    struct range_req claims = {.range = k->keys->claims, .keys_only = true};
    request_begin(&q);
    request_then_get(&q, &taken);
    request_then_get(&q, &claims);
    errand_txn(t, &q.req, false, on_orphans, now);
}

static void consider_work(struct errand *t, const struct response_op *r, tn_ms now)
{
    struct take_errand *k = take_of(t);
    const struct range_resp *delayed = &r[2].range, *ready = &r[3].range;
    int64_t due_ms = delayed->n_kvs ? item_read(k->keys, k->keys->delayed, delayed->kvs[0].key).due_ms : 0;
    if (r[0].range.count > r[1].range.count && !k->o.peek)
        look_for_orphans(t, now);
    else if (delayed->n_kvs && due_ms <= k->wall(k->wall_user))
        choose(t, k->keys->delayed, &delayed->kvs[0], now);
    else if (ready->n_kvs)
        choose(t, k->keys->ready, &ready->kvs[0], now);
    else
        nothing(t, due_ms, now);
}

static void consider(struct errand *t, const struct response_op *r, size_t n, tn_rev revision, tn_ms now)
{
    struct take_errand *k = take_of(t);
    size_t wanted = k->keys->kind == ITEM_WORK ? 4 : 1;
    for (size_t i = 0; i < wanted; i++)
        if (n != wanted || r[i].kind != OP_RANGE) {
            protocol(t, now);
            return;
        }
    k->seen = revision;
    if (k->keys->kind == ITEM_WORK)
        consider_work(t, r, now);
    else
        consider_plain(t, &r[0].range, now);
}

/* ---- ends ---- */

/* A claim under way is awaited: what was taken is given, late as it may be. A body that is read is awaited as well. */
static bool take_on_stop(struct errand *t, tn_ms now)
{
    struct take_errand *k = take_of(t);
    bool is_first = k->stop_code == 0;
    if (!k->commit && (!k->item.token || (!is_first && now >= k->read_until)))
        return false;
    k->stop_code = is_first ? t->error.code : k->stop_code;
    if (k->commit && is_first)
        commit_cancel(&k->commit, now);
    else if (is_first)
        k->read_until = now + CLAIM_MS;
    t->until = k->commit ? TN_MS_NEVER : k->read_until;
    return true;
}

static void take_on_alive(struct session_object *o, tn_ms now)
{
    struct take_errand *k = CONTAINER_OF(o, struct take_errand, object);
    take_step(&k->errand, now);
    session_post(o);
}

/* A commit under way tells by itself what became of it, when the marks are on a session that lives. */
static void take_on_ended(struct session_object *o, const struct tenure_error *why, tn_ms now)
{
    struct take_errand *k = CONTAINER_OF(o, struct take_errand, object);
    if (!k->commit || k->keys->kind == ITEM_WORK)
        errand_end(&k->errand, why->code, why, now);
    else
        k->stop_code = TENURE_ELOST;
    session_post(o);
}

static void take_deliver(struct session_object *o)
{
    errand_flush(&CONTAINER_OF(o, struct take_errand, object)->errand);
}

static const struct session_object_ops object_ops = {
    .on_alive = take_on_alive, .on_ended = take_on_ended, .deliver = take_deliver};

static void revoke_unseen(struct take_errand *k, tn_ms now)
{
    struct op *op = NULL;
    struct lease_revoke_req req = {.id = k->lease};
    if (op_lease_revoke(&op, k->errand.client, &req, NULL, NULL, NULL, now, NULL) == 0)
        op_forget(&op);
}

static void take_free(struct errand *t)
{
    struct take_errand *k = take_of(t);
    tn_ms now = client_now(t->client);
    if (k->commit)
        commit_drop(&k->commit, now);
    if (k->lease && !k->item.token)
        revoke_unseen(k, now);
    lock_free(k->line);
    session_detach(&k->object);
    marks_unref(k->marks);
    buf_fini(&k->key);
    buf_fini(&k->value);
    buf_fini(&k->group);
    free(k);
}

static const struct errand_type take_type = {
    .step = take_step, .on_events = on_take_events, .on_stop = take_on_stop, .free = take_free};

struct errand *item_take(const struct item_env *env, const struct item_take *o, tn_ms until, errand_done done,
                         void *user, struct tenure_error *err)
{
    if (o->claim_ms < 0 || (o->claim_ms > 0 && (o->claim_ms < 2000 || o->claim_ms % 1000)) || o->deliveries_max < 0) {
        error_set(err, TENURE_EINVALID, "queue: a claim of %" PRId64 " ms is not of whole seconds, 2 at least",
                  o->claim_ms);
        return NULL;
    }
    struct take_errand *k = calloc(1, sizeof *k + o->value.len);
    if (!k || (env->session && session_attach(env->session, &k->object, &object_ops))) {
        free(k);
        error_set(err, TENURE_ENOMEM, "queue: out of memory");
        return NULL;
    }
    errand_init(&k->errand, &take_type, env->client, until, done, user);
    k->keys = env->keys;
    k->marks = marks_ref(env->marks);
    k->wall = env->wall;
    k->wall_user = env->wall_user;
    k->o = *o;
    k->o.try_only = o->try_only || o->peek;
    if (o->value.len)
        memcpy(k->data, o->value.data, o->value.len);
    k->o.value = bytes_of(k->data, o->value.len);
    buf_init(&k->key);
    buf_init(&k->value);
    buf_init(&k->group);
    return &k->errand;
}
