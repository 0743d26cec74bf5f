/* Barriers; see barrier.h. */
#include "recipes/barrier.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "recipes/queue.h"
#include "recipes/recent.h"

struct barrier_errand {
    struct errand errand;
    bool try_only, broken_unmarked, broken_blind;
    struct recent request; /* (hold) */
    bytes key, mark, value;
    tn_rev create; /* (wait) of the hold that is waited for; 0 = none seen yet */
    uint8_t data[];
};

static struct barrier_errand *barrier_of(struct errand *t)
{
    return CONTAINER_OF(t, struct barrier_errand, errand);
}

static void barrier_free(struct errand *t)
{
    free(barrier_of(t));
}

static void protocol(struct errand *t, tn_ms now)
{
    errand_fail(t, now, TENURE_EPROTOCOL, "the answer to a request about a barrier is not one");
}

/* ---- hold ---- */

static void hold_step(struct errand *t, tn_ms now);

static bytes value_of(const struct range_resp *r)
{
    return r->n_kvs ? r->kvs[0].value : bytes_of(NULL, 0);
}

/* key, mark: as they stand when the hold was not made by this answer. It may have been by an earlier copy of the request, and
 * released since. */
static bool hold_is_settled(struct errand *t, const struct range_resp *key, const struct range_resp *mark, tn_ms now)
{
    struct barrier_errand *b = barrier_of(t);
    if (recent_done(&b->request, value_of(mark))) {
        errand_end(t, 0, NULL, now);
    } else if (!recent_covers(&b->request, value_of(mark))) {
        t->maybe = true;
        errand_fail(t, now, TENURE_EUNAVAILABLE, "others have held the barrier too often since for it to be known");
    } else if (key->n_kvs) {
        errand_fail(t, now, TENURE_EEXISTS, "the barrier '%.*s' is held already",
                    (int)(b->key.len < 150 ? b->key.len : 150), (const char *)b->key.data);
    }
    return t->over;
}

static void on_held(struct errand *t, const struct client_result *r, tn_ms now)
{
    const struct range_resp *key, *mark;
    if (r->txn->succeeded)
        errand_end(t, 0, NULL, now);
    else if (!errand_range_at(r->txn, 0, &key) || !errand_range_at(r->txn, 1, &mark))
        protocol(t, now);
    else if (!hold_is_settled(t, key, mark, now))
        hold_step(t, now);
}

static void hold(struct errand *t, const struct range_resp *mark, tn_ms now)
{
    struct barrier_errand *b = barrier_of(t);
    struct errand_request q;
    char moved[RECENT_VALUE_MAX];
    struct range_req key = {.range.key = b->key, .keys_only = true}, marked = {.range.key = b->mark};
    request_begin(&q);
    request_if(&q, key_only(b->key), COMPARE_CREATE, COMPARE_EQUAL, 0);
    if (!b->broken_unmarked)
        request_if(&q, key_only(b->mark), COMPARE_MOD, COMPARE_EQUAL, errand_mod_of(mark));
    request_then_put(&q, b->key, b->value, 0);
    request_then_put(&q, b->mark, recent_send(&b->request, value_of(mark), moved), 0);
    request_else_get(&q, &key);
    request_else_get(&q, &marked);
    errand_txn(t, &q.req, true, on_held, now);
}

static void on_hold_looked(struct errand *t, const struct client_result *r, tn_ms now)
{
    const struct range_resp *key, *mark;
    if (!errand_range_at(r->txn, 0, &key) || !errand_range_at(r->txn, 1, &mark))
        protocol(t, now);
    else if (!hold_is_settled(t, key, mark, now))
        hold(t, mark, now);
}

static void hold_step(struct errand *t, tn_ms now)
{
    struct barrier_errand *b = barrier_of(t);
    struct errand_request q;
    struct range_req key = {.range.key = b->key, .keys_only = true}, mark = {.range.key = b->mark};
    request_begin(&q);
    request_then_get(&q, &key);
    request_then_get(&q, &mark);
    errand_txn(t, &q.req, false, on_hold_looked, now);
}

/* ---- release ---- */

/* Refused: that hold is not there any more, by an earlier copy or by somebody else. */
static void on_released(struct errand *t, const struct client_result *r, tn_ms now)
{
    (void)r;
    errand_end(t, 0, NULL, now);
}

static void on_release_looked(struct errand *t, const struct client_result *r, tn_ms now)
{
    struct barrier_errand *b = barrier_of(t);
    struct errand_request q;
    struct range_req key = {.range.key = b->key, .keys_only = true};
    tn_rev create = r->range->n_kvs ? r->range->kvs[0].create_revision : 0;
    if (b->create == 0)
        b->create = create;
    if (create == 0 || create != b->create) {
        errand_end(t, 0, NULL, now);
        return;
    }
    request_begin(&q);
    request_if(&q, key_only(b->key), COMPARE_CREATE, COMPARE_EQUAL, create);
    request_then_delete(&q, key_only(b->key));
    request_else_get(&q, &key);
    errand_txn(t, &q.req, true, on_released, now);
}

static void release_step(struct errand *t, tn_ms now)
{
    struct range_req key = {.range.key = barrier_of(t)->key, .keys_only = true};
    errand_range(t, &key, on_release_looked, now);
}

/* ---- wait ---- */

/* Another hold than the one before: in between there was none. */
static void on_wait_looked(struct errand *t, const struct client_result *r, tn_ms now)
{
    struct barrier_errand *b = barrier_of(t);
    tn_rev create = r->range->n_kvs ? r->range->kvs[0].create_revision : 0;
    if (create == 0 || b->broken_blind || (b->create && create > b->create)) {
        errand_end(t, 0, NULL, now);
    } else if (b->try_only) {
        errand_fail(t, now, TENURE_EBUSY, "the barrier is held");
    } else {
        b->create = create;
        errand_watch(t, key_only(b->key), r->range->revision, true, false, now);
    }
}

static void wait_step(struct errand *t, tn_ms now)
{
    struct range_req key = {.range.key = barrier_of(t)->key, .keys_only = true};
    errand_range(t, &key, on_wait_looked, now);
}

static void on_wait_events(struct errand *t, const struct client_watch_events *e, tn_ms now)
{
    for (size_t i = 0; i < e->n_events; i++)
        if (e->events[i].type == EVENT_DELETE || barrier_of(t)->broken_blind)
            errand_end(t, 0, NULL, now);
}

/* ---- making one ---- */

static const struct errand_type hold_type = {.step = hold_step, .free = barrier_free};
static const struct errand_type release_type = {.step = release_step, .free = barrier_free};
static const struct errand_type wait_type = {.step = wait_step, .on_events = on_wait_events, .free = barrier_free};

/* `<prefix without slashes at its end>.marks/<name>`: no key of any barrier, whatever its name. */
static void lay_out(struct barrier_errand *b, const char *prefix, const struct barrier_options *o)
{
    uint8_t *at = b->data;
    b->key = errand_place(&at, prefix, o->name, "");
    b->mark = bytes_of(at, errand_bare_prefix(prefix, o->root_len));
    if (b->mark.len)
        memcpy(at, prefix, b->mark.len);
    at += b->mark.len;
    b->mark.len += errand_place(&at, ".marks/", o->name, "").len;
    b->value = bytes_of(at, o->value.len);
    if (o->value.len)
        memcpy(at, o->value.data, o->value.len);
    b->try_only = o->try_only;
    b->broken_unmarked = o->broken_unmarked;
    b->broken_blind = o->broken_blind;
}

static struct errand *barrier_new(struct client *c, const struct errand_type *type, const struct barrier_options *o,
                                  errand_done done, void *user, struct tenure_error *err)
{
    const char *prefix = o->prefix ? o->prefix : "/barriers/";
    if (queue_check_name(prefix, o->name, err)) {
        error_wrap(err, "barrier");
        return NULL;
    }
    struct barrier_errand *b =
        calloc(1, sizeof *b + 2 * (strlen(prefix) + strlen(o->name)) + sizeof ".marks/" + o->value.len);
    if (!b) {
        error_set(err, TENURE_ENOMEM, "barrier: out of memory");
        return NULL;
    }
    errand_init(&b->errand, type, c, o->until, done, user);
    snprintf(b->request.id, sizeof b->request.id, "%016" PRIx64, client_random(c));
    lay_out(b, prefix, o);
    return &b->errand;
}

struct errand *barrier_hold(struct client *c, const struct barrier_options *o, errand_done done, void *user,
                            struct tenure_error *err)
{
    return barrier_new(c, &hold_type, o, done, user, err);
}

struct errand *barrier_release(struct client *c, const struct barrier_options *o, errand_done done, void *user,
                               struct tenure_error *err)
{
    return barrier_new(c, &release_type, o, done, user, err);
}

struct errand *barrier_wait(struct client *c, const struct barrier_options *o, errand_done done, void *user,
                            struct tenure_error *err)
{
    return barrier_new(c, &wait_type, o, done, user, err);
}
