/* Putting items, and counting them; see item_queue.h.
 *
 * A put needs no look, except where the length is bounded: then the count is taken, and the put holds only if nothing was
 * put since (no key of the range has a later create_revision), else it counts again. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "recipes/item_queue.h"

struct put_errand {
    struct errand errand;
    const struct item_keys *keys;
    struct marks *marks;
    struct commit *commit;
    struct item_put o;
    int64_t count;  /* (length) */
    int stop_code;  /* stopped while the commit is under way */
    char *key_text; /* room for two keys */
    char id[17];
    uint8_t data[];
};

static struct put_errand *put_of(struct errand *t)
{
    return CONTAINER_OF(t, struct put_errand, errand);
}

static void put_free(struct errand *t)
{
    struct put_errand *p = put_of(t);
    if (p->commit)
        commit_drop(&p->commit, client_now(t->client));
    marks_unref(p->marks);
    free(p->key_text);
    free(p);
}

static void send_put(struct errand *t, tn_rev counted, tn_ms now);

static void full(struct errand *t, int64_t count, tn_ms now)
{
    errand_fail(t, now, TENURE_ELIMIT, "%" PRId64 " items are in it, and %" PRId64 " may be", count,
                put_of(t)->o.length_max);
}

static void conflict(struct errand *t, const struct commit_result *r, tn_ms now)
{
    const struct put_errand *p = put_of(t);
    if (r->n_others < 1 || r->others[0].kind != OP_RANGE)
        errand_fail(t, now, TENURE_EPROTOCOL, "the answer to a put is not one");
    else if (p->stop_code)
        errand_end(t, p->stop_code, NULL, now);
    else if (p->o.length_max && r->others[0].range.count >= p->o.length_max)
        full(t, r->others[0].range.count, now);
    else
        send_put(t, r->revision, now);
}

static void on_put(void *owner, const struct commit_result *r)
{
    struct errand *t = owner;
    tn_ms now = client_now(t->client);
    t->maybe = false;
    if (r->outcome == COMMIT_APPLIED)
        errand_end(t, 0, NULL, now);
    else if (r->outcome == COMMIT_CONFLICT)
        conflict(t, r, now);
    else if (!put_of(t)->stop_code && commit_may_retry(r))
        errand_retry(t, now);
    else
        errand_end_stopped(t, put_of(t)->stop_code, r->error, now);
    errand_flush(t);
}

/* Tests only: what a put would be without marks. */
static void on_put_unmarked(struct errand *t, const struct client_result *r, tn_ms now)
{
    (void)r;
    errand_end(t, 0, NULL, now);
}

static void add_item(struct put_errand *p, struct errand_request *q)
{
    const struct item_keys *k = p->keys;
    bytes id = bytes_str(p->id);
    char *second = p->key_text + k->all.key.len + sizeof p->id + ITEM_KEY_SPACE;
    if (k->kind == ITEM_PRIORITY)
        request_then_put(q, item_priority_key(k, p->o.priority, id, p->key_text), p->o.value, 0);
    else if (k->kind == ITEM_DELAY)
        request_then_put(q, item_key(k->all, p->o.due_ms, id, -1, p->key_text), p->o.value, 0);
    else
        request_then_put(q, item_key(k->bodies, -1, id, -1, p->key_text), p->o.value, 0);
    if (k->kind == ITEM_WORK && p->o.due_ms)
        request_then_put(q, item_key(k->delayed, p->o.due_ms, id, 0, second), bytes_of(NULL, 0), 0);
    else if (k->kind == ITEM_WORK)
        request_then_put(q, item_key(k->ready, -1, id, 0, second), bytes_of(NULL, 0), 0);
}

static void send_put(struct errand *t, tn_rev counted, tn_ms now)
{
    struct put_errand *p = put_of(t);
    struct errand_request q;
    struct range_req count = {.range = p->keys->bodies, .count_only = true};
    struct commit_options o = {.until = t->until};
    struct tenure_error err = {0};
    request_begin(&q);
    if (p->o.length_max)
        request_if(&q, p->keys->bodies, COMPARE_CREATE, COMPARE_LESS, counted + 1);
    add_item(p, &q);
    request_else_get(&q, &count);
    if (p->o.broken_unmarked) {
        errand_txn(t, &q.req, true, on_put_unmarked, now);
        return;
    }
    t->maybe = true;
    if (commit_start(&p->commit, t->client, p->marks, &q.req, &o, on_put, t, now, &err)) {
        t->maybe = false;
        errand_end(t, err.code, &err, now);
    }
}

static void on_counted(struct errand *t, const struct client_result *r, tn_ms now)
{
    struct put_errand *p = put_of(t);
    if (r->range->count >= p->o.length_max)
        full(t, r->range->count, now);
    else
        send_put(t, r->range->revision, now);
}

static void put_step(struct errand *t, tn_ms now)
{
    struct put_errand *p = put_of(t);
    struct range_req count = {.range = p->keys->bodies, .count_only = true};
    if (p->commit)
        return;
    if (p->o.length_max)
        errand_range(t, &count, on_counted, now);
    else
        send_put(t, 0, now);
}

/* What became of it is told by the commit, which is bounded by the deadline. */
static bool put_on_stop(struct errand *t, tn_ms now)
{
    struct put_errand *p = put_of(t);
    if (!p->commit || p->stop_code)
        return p->commit != NULL;
    p->stop_code = t->error.code;
    commit_cancel(&p->commit, now);
    return true;
}

static const struct errand_type put_type = {.step = put_step, .on_stop = put_on_stop, .free = put_free};

static int put_check(const struct item_put *o, struct tenure_error *err)
{
    if (o->priority < 0 || o->priority > ITEM_PRIORITY_MAX)
        return error_set(err, TENURE_EINVALID, "queue: a priority of %" PRId64 " is not within 0 to %d", o->priority,
                         ITEM_PRIORITY_MAX);
    if (o->due_ms < 0 || o->due_ms > ITEM_DUE_MAX)
        return error_set(err, TENURE_EINVALID, "queue: a due time of %" PRId64 " ms", o->due_ms);
    if (o->length_max < 0)
        return error_set(err, TENURE_EINVALID, "queue: a length of %" PRId64, o->length_max);
    return 0;
}

static struct put_errand *put_new(const struct item_env *env, const struct errand_type *type, bytes value, tn_ms until,
                                  errand_done done, void *user, struct tenure_error *err)
{
    struct put_errand *p = calloc(1, sizeof *p + value.len);
    char *text = malloc(2 * (env->keys->all.key.len + sizeof p->id + ITEM_KEY_SPACE));
    if (!p || !text) {
        free(p);
        free(text);
        error_set(err, TENURE_ENOMEM, "queue: out of memory");
        return NULL;
    }
    errand_init(&p->errand, type, env->client, until, done, user);
    p->keys = env->keys;
    p->marks = marks_ref(env->marks);
    p->key_text = text;
    snprintf(p->id, sizeof p->id, "%016" PRIx64, client_random(env->client));
    if (value.len)
        memcpy(p->data, value.data, value.len);
    return p;
}

struct errand *item_put(const struct item_env *env, const struct item_put *o, tn_ms until, errand_done done, void *user,
                        struct tenure_error *err)
{
    if (put_check(o, err))
        return NULL;
    struct put_errand *p = put_new(env, &put_type, o->value, until, done, user, err);
    if (!p)
        return NULL;
    p->o = *o;
    p->o.value = bytes_of(p->data, o->value.len);
    return &p->errand;
}

/* ---- the length ---- */

static void on_length(struct errand *t, const struct client_result *r, tn_ms now)
{
    put_of(t)->count = r->range->count;
    errand_end(t, 0, NULL, now);
}

static void length_step(struct errand *t, tn_ms now)
{
    struct range_req count = {.range = put_of(t)->keys->bodies, .count_only = true};
    errand_range(t, &count, on_length, now);
}

static const struct errand_type length_type = {.step = length_step, .free = put_free};

struct errand *item_length(const struct item_env *env, tn_ms until, errand_done done, void *user,
                           struct tenure_error *err)
{
    struct put_errand *p = put_new(env, &length_type, bytes_of(NULL, 0), until, done, user, err);
    return p ? &p->errand : NULL;
}

int64_t item_counted(const struct errand *t)
{
    return put_of((struct errand *)t)->count;
}
