/* What becomes of an item that a worker has: acknowledged, given back, kept longer. See item_queue.h. The guard is the claim:
 * its create_revision is the token. */
#include <stdlib.h>

#include "recipes/item_queue.h"

enum { CLAIM_MARGIN_MS = 250 };

struct settle_errand {
    struct errand errand;
    const struct item_keys *keys;
    struct marks *marks;
    struct commit *commit;
    struct item_settlement o;
    tn_rev token;
    tn_lease lease;
    bool stopped;
    bool own_lease; /* the claim has a lease of its own */
    int64_t deliveries;
    tn_ms safe_until;
    bytes id, value;
    char *text; /* room for four keys */
    uint8_t data[];
};

static struct settle_errand *settle_of(struct errand *t)
{
    return CONTAINER_OF(t, struct settle_errand, errand);
}

tn_ms item_extended_until(const struct errand *t)
{
    return settle_of((struct errand *)t)->safe_until;
}

static void settle_free(struct errand *t)
{
    struct settle_errand *s = settle_of(t);
    if (s->commit)
        commit_drop(&s->commit, client_now(t->client));
    marks_unref(s->marks);
    free(s->text);
    free(s);
}

static void claim_is_gone(struct errand *t, tn_ms now)
{
    errand_fail(t, now, TENURE_ELOST, "the claim has ended; the item is delivered again");
}

/* ---- acknowledging, giving back ---- */

static void revoke_unseen(struct settle_errand *s, tn_ms now)
{
    struct op *op = NULL;
    struct lease_revoke_req req = {.id = s->lease};
    if (s->own_lease && op_lease_revoke(&op, s->errand.client, &req, NULL, NULL, NULL, now, NULL) == 0)
        op_forget(&op);
}

/* Of the marks, not the claim's. */
static void session_is_gone(struct errand *t, tn_ms now)
{
    errand_fail(t, now, TENURE_EUNAVAILABLE, "the session under the request has ended");
}

static void on_settled(void *owner, const struct commit_result *r)
{
    struct errand *t = owner;
    tn_ms now = client_now(t->client);
    t->maybe = false;
    if (r->outcome == COMMIT_FAILED && r->code == TENURE_ELOST) {
        t->maybe = r->error->applied == TENURE_APPLIED_MAYBE;
        session_is_gone(t, now);
    } else if (r->outcome == COMMIT_FAILED && !settle_of(t)->stopped && commit_may_retry(r)) {
        errand_retry(t, now);
    } else if (r->outcome == COMMIT_FAILED) {
        errand_end(t, r->code, r->error, now);
    } else if (r->outcome == COMMIT_CONFLICT) {
        claim_is_gone(t, now);
    } else {
        revoke_unseen(settle_of(t), now);
        errand_end(t, 0, NULL, now);
    }
    errand_flush(t);
}

static void add_nack(struct settle_errand *s, struct errand_request *q, bytes body, char *out)
{
    const struct item_keys *k = s->keys;
    if (s->o.deliveries_max && s->deliveries >= s->o.deliveries_max) {
        request_then_delete(q, key_only(body));
        request_then_put(q, item_key(k->dead, -1, s->id, -1, out), s->value, 0);
    } else if (s->o.due_ms) {
        request_then_put(q, item_key(k->delayed, s->o.due_ms, s->id, s->deliveries, out), bytes_of(NULL, 0), 0);
    } else {
        request_then_put(q, item_key(k->ready, -1, s->id, s->deliveries, out), bytes_of(NULL, 0), 0);
    }
}

static void send_settle(struct errand *t, tn_ms now)
{
    struct settle_errand *s = settle_of(t);
    const struct item_keys *k = s->keys;
    size_t space = k->all.key.len + s->id.len + ITEM_KEY_SPACE;
    bytes claims = item_key(k->claims, -1, s->id, -1, s->text);
    bytes taken = item_key(k->taken, -1, s->id, s->deliveries, s->text + space);
    bytes body = item_key(k->bodies, -1, s->id, -1, s->text + 2 * space);
    struct errand_request q;
    struct commit_options o = {.until = t->until};
    struct tenure_error err = {0};
    request_begin(&q);
    request_if(&q, key_only(claims), COMPARE_CREATE, COMPARE_EQUAL, s->token);
    request_then_delete(&q, key_only(claims));
    request_then_delete(&q, key_only(taken));
    if (s->o.how == ITEM_ACK)
        request_then_delete(&q, key_only(body));
    else
        add_nack(s, &q, body, s->text + 3 * space);
    int rc = commit_start(&s->commit, t->client, s->marks, &q.req, &o, on_settled, t, now, &err);
    t->maybe = rc == 0;
    if (rc == TENURE_ELOST)
        session_is_gone(t, now);
    else if (rc)
        errand_end(t, rc, &err, now);
}

/* ---- keeping it longer ---- */

static void on_extended(struct errand *t, const struct client_result *r, tn_ms now)
{
    if (r->keepalive->ttl_s <= 0) {
        claim_is_gone(t, now);
        return;
    }
    settle_of(t)->safe_until = r->sent_at + r->keepalive->ttl_s * 1000 - CLAIM_MARGIN_MS;
    errand_end(t, 0, NULL, now);
}

static bool settle_on_failed(struct errand *t, const struct client_result *r, tn_ms now)
{
    if (r->etcd != ETCD_LEASE_NOT_FOUND)
        return false;
    claim_is_gone(t, now);
    return true;
}

/* One on the session's lease lasts as long as that. */
static void on_claim_seen(struct errand *t, const struct client_result *r, tn_ms now)
{
    if (r->range->n_kvs && r->range->kvs[0].create_revision == settle_of(t)->token)
        errand_end(t, 0, NULL, now);
    else
        claim_is_gone(t, now);
}

static void extend(struct errand *t, tn_ms now)
{
    struct settle_errand *s = settle_of(t);
    struct lease_keepalive_req req = {.id = s->lease};
    struct range_req claim = {.range.key = item_key(s->keys->claims, -1, s->id, -1, s->text), .keys_only = true};
    if (s->own_lease)
        errand_keepalive(t, &req, on_extended, now);
    else
        errand_range(t, &claim, on_claim_seen, now);
}

/* ---- making one ---- */

static void settle_step(struct errand *t, tn_ms now)
{
    struct settle_errand *s = settle_of(t);
    if (s->commit)
        return;
    if (s->o.how == ITEM_EXTEND)
        extend(t, now);
    else
        send_settle(t, now);
}

static bool settle_on_stop(struct errand *t, tn_ms now)
{
    struct settle_errand *s = settle_of(t);
    if (!s->commit)
        return false;
    s->stopped = true;
    commit_cancel(&s->commit, now);
    return true;
}

static const struct errand_type settle_type = {
    .step = settle_step, .on_stop = settle_on_stop, .on_failed = settle_on_failed, .free = settle_free};

struct errand *item_settle(const struct item_env *env, const struct item_settlement *o, tn_ms until, errand_done done,
                           void *user, struct tenure_error *err)
{
    const struct item *item = o->item;
    bool dies = o->how == ITEM_NACK && o->deliveries_max && item->deliveries >= o->deliveries_max;
    size_t value_len = dies ? item->value.len : 0;
    struct settle_errand *s = calloc(1, sizeof *s + item->id.len + value_len);
    char *text = malloc(4 * (env->keys->all.key.len + item->id.len + ITEM_KEY_SPACE));
    if (!s || !text) {
        free(s);
        free(text);
        error_set(err, TENURE_ENOMEM, "queue: out of memory");
        return NULL;
    }
    errand_init(&s->errand, &settle_type, env->client, until, done, user);
    s->keys = env->keys;
    s->marks = marks_ref(env->marks);
    s->o = *o;
    s->token = item->token;
    s->lease = item->lease;
    s->own_lease = item->safe_until != 0;
    s->deliveries = item->deliveries;
    s->text = text;
    memcpy(s->data, item->id.data, item->id.len);
    s->id = bytes_of(s->data, item->id.len);
    if (value_len)
        memcpy(s->data + item->id.len, item->value.data, value_len);
    s->value = bytes_of(s->data + item->id.len, value_len);
    return &s->errand;
}
