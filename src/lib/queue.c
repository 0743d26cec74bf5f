/* Queues: the engine's errands as waits of a handle.
 *
 * A queue is an object that remembers keys and options, and the session under its place in the line and its claims: opened
 * with the first take, replaced when it was lost. Commits are on the handle's marks. A put or a take that was cut short by the
 * loss of a session, and provably was not done, begins again. The queue goes when it was closed and its calls have ended. */
#include <tenure/queue.h>

#include <stdlib.h>

#include "lib/lock_value.h"
#include "lib/marks.h"
#include "lib/queue.h"
#include "lib/result.h"
#include "lib/view.h"
#include "lib/wait.h"
#include "recipes/item_queue.h"

enum { TTL_DEFAULT_S = 10 };

struct tenure_queue {
    struct object object;
    struct tenure_queue_options o;
    struct item_keys *keys;
    char *purpose, *marks;
    size_t strip; /* of a view: how much of the keys is not shown */
    struct lib_session_user on;
    struct list calls; /* struct queue_call.in_queue */
    bool is_closed;
};

struct queue_call {
    tenure_wait wait;
    tenure_queue *queue;
    struct list in_queue;
    struct item_put put;
    struct item_settlement settlement;
    bool try_only, peeks;
    struct tenure_queue_item *item; /* taken, or (settlement) a copy of what is settled */
    int64_t length;
    uint8_t data[];
};

/* What an item is, and what the program sees of it. */
struct item_box {
    struct tenure_queue_item seen;
    struct item item;
    uint8_t data[];
};

static struct queue_call *call_of(tenure_wait *w)
{
    return CONTAINER_OF(w, struct queue_call, wait);
}

static tenure_queue *queue_of(const struct object *o)
{
    return CONTAINER_OF(o, tenure_queue, object);
}

static int64_t wall_ms(void *handle)
{
    return handle_wall_ms(handle);
}

/* 0 = at once. What is beyond any number is as good as never. */
static int64_t due_after(const tenure_client *c, int64_t delay_ms)
{
    return delay_ms ? handle_wall_ms(c) + (delay_ms < ITEM_DUE_MAX / 2 ? delay_ms : ITEM_DUE_MAX / 2) : 0;
}

/* ---- items ---- */

static bytes put_bytes(uint8_t **at, bytes s)
{
    bytes copy = bytes_of(*at, s.len);
    if (s.len)
        memcpy(*at, s.data, s.len);
    *at += s.len + 1; /* zeroed: a 0 behind its end */
    return copy;
}

static struct tenure_queue_item *item_new(const struct item *from, size_t strip)
{
    struct item_box *box = calloc(1, sizeof *box + from->key.len + from->value.len + from->id.len + 3);
    if (!box)
        return NULL;
    uint8_t *at = box->data;
    box->item = *from;
    box->item.key = put_bytes(&at, from->key);
    box->item.value = put_bytes(&at, from->value);
    box->item.id = put_bytes(&at, from->id);
    box->seen = (struct tenure_queue_item){.key = result_bytes(view_strip(box->item.key, strip)),
                                           .value = result_bytes(box->item.value),
                                           .create_revision = from->create,
                                           .priority = from->priority,
                                           .due_ms = from->due_ms,
                                           .deliveries = from->deliveries,
                                           .token = from->token};
    return &box->seen;
}

static const struct item *item_of(const struct tenure_queue_item *item)
{
    return &((const struct item_box *)(const void *)item)->item;
}

void tenure_queue_item_free(struct tenure_queue_item *item)
{
    free(item);
}

int64_t tenure_queue_item_lease(const struct tenure_queue_item *item)
{
    return item && item->token ? item_of(item)->lease : 0;
}

/* ---- the queue as an object ---- */

static void queue_dealloc(tenure_queue *q)
{
    free(q->keys);
    free(q->purpose);
    free(q->marks);
    free(q);
}

static void close_queue(tenure_queue *q, tn_ms now)
{
    if (q->is_closed)
        return;
    q->is_closed = true;
    LIST_FOREACH(it, &q->calls)
    {
        struct queue_call *k = LIST_ENTRY(it, struct queue_call, in_queue);
        if (k->wait.is_wait && k->wait.errand)
            errand_stop(k->wait.errand, TENURE_ECANCELLED, now);
    }
    object_changed(&q->object);
}

static void queue_object_close(struct object *o, tn_ms now)
{
    close_queue(queue_of(o), now);
}

static bool is_over(const struct object *o)
{
    return queue_of(o)->is_closed && list_empty(&queue_of(o)->calls);
}

static void queue_object_free(struct object *o)
{
    lib_session_unuse(&queue_of(o)->on);
    queue_dealloc(queue_of(o));
}

static const struct object_type queue_type = {
    .close = queue_object_close, .is_over = is_over, .free = queue_object_free};

/* ---- calls, on the loop ---- */

static void call_free(tenure_wait *w)
{
    struct queue_call *k = call_of(w);
    free(k->item);
    free(k);
}

/* Of the object: it is off the handle. */
static void call_gone(struct queue_call *k)
{
    list_remove(&k->in_queue);
    object_changed(&k->queue->object);
}

static bool is_usable(const struct lib_session *s, tn_ms now)
{
    return !s->ended && session_is_open(s->engine, now);
}

static int use_session(tenure_queue *q, tn_ms now, struct tenure_error *err)
{
    if (q->on.session && !is_usable(q->on.session, now))
        lib_session_unuse(&q->on);
    if (q->on.session)
        return 0;
    return lib_session_use(q->object.handle, q->o.ttl_s ? q->o.ttl_s : TTL_DEFAULT_S, &q->on, err);
}

static int fill_env(struct queue_call *k, bool needs_session, tn_ms now, struct item_env *ret, struct tenure_error *err)
{
    tenure_queue *q = k->queue;
    if (q->is_closed)
        return error_set(err, TENURE_ECLOSED, "queue: it is closed");
    *ret = (struct item_env){
        .client = q->object.handle->engine, .keys = q->keys, .wall = wall_ms, .wall_user = q->object.handle};
    int rc = lib_marks_use(q->object.handle, q->marks, &ret->marks, err);
    if (rc == 0 && needs_session)
        rc = use_session(q, now, err);
    if (rc == 0 && needs_session)
        ret->session = q->on.session->engine;
    return rc;
}

/* The call is the queue's from its first begin to its end. */
static struct errand *begun(struct queue_call *k, struct errand *t)
{
    if (t && list_empty(&k->in_queue))
        list_push_back(&k->queue->calls, &k->in_queue);
    return t;
}

static struct errand *begin_put(tenure_wait *w, tn_ms now, struct tenure_error *err)
{
    struct queue_call *k = call_of(w);
    struct item_env env;
    if (fill_env(k, false, now, &env, err) < 0)
        return NULL;
    return begun(k, item_put(&env, &k->put, w->until, wait_done, w, err));
}

static struct errand *begin_length(tenure_wait *w, tn_ms now, struct tenure_error *err)
{
    struct queue_call *k = call_of(w);
    struct item_env env;
    if (fill_env(k, false, now, &env, err) < 0)
        return NULL;
    return begun(k, item_length(&env, w->until, wait_done, w, err));
}

static struct errand *begin_take(tenure_wait *w, tn_ms now, struct tenure_error *err)
{
    struct queue_call *k = call_of(w);
    tenure_queue *q = k->queue;
    struct item_env env;
    bool needs_session = !k->peeks && (!k->try_only || q->o.kind == TENURE_QUEUE_WORK);
    if (fill_env(k, needs_session, now, &env, err) < 0)
        return NULL;
    char *value = lock_value_new(q->purpose ? q->purpose : w->handle->purpose, handle_wall_ms(w->handle));
    struct item_take o = {.try_only = k->try_only,
                          .peek = k->peeks,
                          .claim_ms = q->o.claim_ms,
                          .deliveries_max = q->o.deliveries_max,
                          .value = bytes_str(value)};
    struct errand *t = value ? item_take(&env, &o, w->until, wait_done, w, err) : NULL;
    if (!value)
        error_set(err, TENURE_ENOMEM, "queue: out of memory");
    free(value);
    return begun(k, t);
}

static struct errand *begin_settle(tenure_wait *w, tn_ms now, struct tenure_error *err)
{
    struct queue_call *k = call_of(w);
    struct item_env env;
    if (fill_env(k, false, now, &env, err) < 0)
        return NULL;
    return begun(k, item_settle(&env, &k->settlement, w->until, wait_done, w, err));
}

/* A session was lost, or could not be had in time, and the call has time left. */
static bool goes_on(const tenure_wait *w, tn_ms now)
{
    bool cut_short = w->code == TENURE_ELOST || w->code == TENURE_ETIMEOUT;
    return cut_short && w->error.applied == TENURE_APPLIED_NO && now < w->until &&
           !call_of((tenure_wait *)w)->queue->is_closed;
}

static bool put_ended(tenure_wait *w, struct errand *t, tn_ms now)
{
    (void)t;
    return goes_on(w, now);
}

static bool take_ended(tenure_wait *w, struct errand *t, tn_ms now)
{
    struct queue_call *k = call_of(w);
    if (w->code)
        return goes_on(w, now);
    k->item = item_new(item_taken(t), k->queue->strip);
    if (k->item)
        return false;
    w->code = error_set(&w->error, TENURE_ENOMEM, "out of memory for the item");
    w->error.applied = TENURE_APPLIED_YES;
    return false;
}

/* There ELOST is the claim's end. */
static bool settle_ended(tenure_wait *w, struct errand *t, tn_ms now)
{
    (void)t;
    return w->code == TENURE_EUNAVAILABLE && w->error.applied == TENURE_APPLIED_NO && now < w->until;
}

static bool length_ended(tenure_wait *w, struct errand *t, tn_ms now)
{
    (void)now;
    call_of(w)->length = item_counted(t);
    return false;
}

static void complete(tenure_wait *w)
{
    ((tenure_done_cb)w->cb)(w->user, w->code, w->code ? &w->error : NULL);
}

static void complete_take(tenure_wait *w)
{
    struct tenure_queue_item *item = call_of(w)->item;
    call_of(w)->item = NULL;
    ((tenure_queue_item_cb)w->cb)(w->user, w->code, w->code ? NULL : item, w->code ? &w->error : NULL);
}

static void complete_length(tenure_wait *w)
{
    ((tenure_queue_length_cb)w->cb)(w->user, w->code, w->code ? 0 : call_of(w)->length, w->code ? &w->error : NULL);
}

static void gone(tenure_wait *w)
{
    call_gone(call_of(w));
}

#define QUEUE_TYPE(name, begin_fn, ended_fn, complete_fn)                                                              \
    static const struct wait_type name = {.what = "queue",                                                             \
                                          .begin = (begin_fn),                                                         \
                                          .ended = (ended_fn),                                                         \
                                          .complete = (complete_fn),                                                   \
                                          .gone = gone,                                                                \
                                          .free = call_free}
QUEUE_TYPE(put_type, begin_put, put_ended, complete);
QUEUE_TYPE(take_type, begin_take, take_ended, complete_take);
QUEUE_TYPE(settle_type, begin_settle, settle_ended, complete);
QUEUE_TYPE(length_type, begin_length, length_ended, complete_length);

/* ---- how long a claim is safe ---- */

struct remaining {
    const tenure_queue *queue;
    const struct item *item;
    int64_t ms;
};

static void remaining_run(void *arg)
{
    struct remaining *r = arg;
    const tenure_queue *q = r->queue;
    tn_ms now = handle_clock(q->object.handle), until = r->item->safe_until;
    if (!until && q->on.session && is_usable(q->on.session, now) && atomic_load(&q->on.lease) == r->item->lease)
        until = session_safe_until(q->on.session->engine);
    r->ms = until ? until - now : 0;
}

int64_t tenure_queue_remaining_ms(tenure_queue *q, const struct tenure_queue_item *item)
{
    if (!q || !item || !item->token || handle_is_forked(q->object.handle))
        return 0;
    struct remaining r = {.queue = q, .item = item_of(item)};
    return handle_sync(q->object.handle, remaining_run, &r) ? r.ms : 0;
}

/* ---- opening and closing ---- */

static int open_check(const char *name, const struct tenure_queue_options *o, struct tenure_error *err)
{
    if (!name || !name[0])
        return error_set(err, TENURE_EINVALID, "queue: the name is empty");
    if ((int)o->kind < TENURE_QUEUE_FIFO || (int)o->kind > TENURE_QUEUE_WORK)
        return error_set(err, TENURE_EINVALID, "queue '%.100s': kind %d is unknown", name, (int)o->kind);
    if (o->marks && strlen(o->marks) > COMMIT_PREFIX_MAX)
        return error_set(err, TENURE_EINVALID, "queue '%.100s': a prefix of marks of more than %d bytes", name,
                         COMMIT_PREFIX_MAX);
    if (o->length_max < 0 || o->ttl_s < 0 || o->deliveries_max < 0)
        return error_set(err, TENURE_EINVALID, "queue '%.100s': a number below 0", name);
    if (o->claim_ms != 0 && (o->claim_ms < 2000 || o->claim_ms % 1000))
        return error_set(err, TENURE_EINVALID, "queue '%.100s': a claim of %lld ms is not of whole seconds, 2 at least",
                         name, (long long)o->claim_ms);
    return 0;
}

static tenure_queue *queue_alloc(tenure_client *c, bytes ns, const char *name, const struct tenure_queue_options *o,
                                 struct tenure_error *err)
{
    tenure_queue *q = calloc(1, sizeof *q);
    if (!q) {
        error_set(err, TENURE_ENOMEM, "queue: out of memory");
        return NULL;
    }
    q->object.handle = c;
    q->o = *o;
    list_init(&q->calls);
    q->strip = ns.len;
    char *prefix = view_recipe_prefix(ns, o->prefix, "/queues/", err);
    q->keys = prefix ? item_keys_new_below((enum item_kind)o->kind, prefix, ns.len, name, err) : NULL;
    free(prefix);
    q->purpose = o->purpose ? strdup(o->purpose) : NULL;
    q->marks = view_recipe_prefix(ns, o->marks, MARKS_PREFIX, NULL);
    if (q->keys && q->marks && (q->purpose || !o->purpose))
        return q;
    if (q->keys)
        error_set(err, TENURE_ENOMEM, "queue: out of memory");
    queue_dealloc(q);
    return NULL;
}

static void open_run(void *arg)
{
    tenure_queue *q = arg;
    object_init(&q->object, q->object.handle, &queue_type);
}

tenure_queue *tenure_queue_open(tenure_client *c, const char *name, const struct tenure_queue_options *o,
                                struct tenure_error *err)
{
    struct tenure_queue_options own;
    bytes ns = view_of(&c);
    if (handle_enter(c, err) < 0 || options_take(&own, sizeof own, o, "queue", err) < 0 ||
        open_check(name, &own, err) < 0)
        return NULL;
    tenure_queue *q = queue_alloc(c, ns, name, &own, err);
    if (!q || handle_sync(c, open_run, q))
        return q;
    queue_dealloc(q);
    error_set(err, TENURE_ECLOSED, "queue '%.100s': the handle is closed", name);
    return NULL;
}

static void close_run(void *arg)
{
    tenure_queue *q = arg;
    close_queue(q, handle_now(q->object.handle));
}

void tenure_queue_close(tenure_queue *q)
{
    if (q && !handle_is_forked(q->object.handle))
        handle_sync(q->object.handle, close_run, q);
}

/* ---- at the door ---- */

static struct queue_call *call_new(tenure_queue *q, const struct wait_type *type, int64_t timeout_ms, bool is_wait,
                                   size_t extra, struct tenure_error *err)
{
    tenure_wait *w = wait_new(q->object.handle, sizeof(struct queue_call) + extra, type, timeout_ms, is_wait, err);
    if (!w)
        return NULL;
    struct queue_call *k = call_of(w);
    k->queue = q;
    list_init(&k->in_queue);
    return k;
}

static int enter_blocking(tenure_queue *q, struct tenure_error *err)
{
    if (!q)
        return error_set(err, TENURE_EINVALID, "queue: NULL");
    return handle_enter_blocking(q->object.handle, "queue", err);
}

static int enter_to_answer(tenure_queue *q, const void *ret, struct tenure_error *err)
{
    int rc = enter_blocking(q, err);
    return rc == 0 && !ret ? error_set(err, TENURE_EINVALID, "queue: there is nowhere to put the answer") : rc;
}

static int enter(tenure_queue *q, struct tenure_error *err)
{
    if (!q)
        return error_set(err, TENURE_EINVALID, "queue: NULL");
    return handle_enter(q->object.handle, err);
}

/* To tell somebody. */
static int enter_to_tell(tenure_queue *q, bool anybody, struct tenure_error *err)
{
    int rc = enter(q, err);
    return rc == 0 && !anybody ? error_set(err, TENURE_EINVALID, "queue: nobody would be told the answer") : rc;
}

static int code_of(const struct tenure_error *err)
{
    return err->code ? err->code : TENURE_EINTERNAL;
}

static int block(struct queue_call *k, struct tenure_error *err)
{
    int rc = wait_block(&k->wait, err);
    wait_unref(&k->wait);
    return rc;
}

static struct queue_call *put_new(tenure_queue *q, struct tenure_bytes value,
                                  const struct tenure_queue_put_options *options, struct tenure_error *err)
{
    struct tenure_queue_put_options o;
    if (options_take(&o, sizeof o, options, "queue", err) < 0)
        return NULL;
    if (value.len > 0 && !value.data) {
        error_set(err, TENURE_EINVALID, "queue: a value that has a length and no data");
        return NULL;
    }
    if (o.delay_ms < 0 || o.due_ms < 0 || o.timeout_ms < 0) {
        error_set(err, TENURE_EINVALID, "queue: a negative time");
        return NULL;
    }
    struct queue_call *k = call_new(q, &put_type, o.timeout_ms, false, value.len, err);
    if (!k)
        return NULL;
    if (value.len)
        memcpy(k->data, value.data, value.len);
    k->put = (struct item_put){.value = bytes_of(k->data, value.len),
                               .priority = o.priority,
                               .due_ms = o.due_ms ? o.due_ms : due_after(q->object.handle, o.delay_ms),
                               .length_max = q->o.length_max};
    return k;
}

int tenure_queue_put(tenure_queue *q, struct tenure_bytes value, const struct tenure_queue_put_options *o,
                     struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    int rc = enter_blocking(q, err);
    if (rc < 0)
        return rc;
    struct queue_call *k = put_new(q, value, o, err);
    return k ? block(k, err) : code_of(err);
}

int tenure_queue_put_start(tenure_queue *q, struct tenure_bytes value, const struct tenure_queue_put_options *o,
                           tenure_done_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    int rc = enter(q, err);
    if (rc < 0)
        return rc;
    struct queue_call *k = put_new(q, value, o, err);
    return k ? wait_begin(&k->wait, true, (void (*)(void))cb, user, err) : code_of(err);
}

static struct queue_call *take_new(tenure_queue *q, int64_t wait_ms, struct tenure_error *err)
{
    struct queue_call *k = call_new(q, &take_type, wait_ms, true, 0, err);
    if (k)
        k->try_only = wait_ms < 0;
    return k;
}

/* The item is the caller's. */
static int block_for_item(struct queue_call *k, struct tenure_queue_item **ret, struct tenure_error *err)
{
    int rc = wait_block(&k->wait, err);
    if (rc == 0) {
        *ret = k->item;
        k->item = NULL;
    }
    wait_unref(&k->wait);
    return rc;
}

int tenure_queue_take(tenure_queue *q, int64_t wait_ms, struct tenure_queue_item **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    int rc = enter_to_answer(q, ret, err);
    if (rc < 0)
        return rc;
    struct queue_call *k = take_new(q, wait_ms, err);
    return k ? block_for_item(k, ret, err) : code_of(err);
}

tenure_wait *tenure_queue_take_start(tenure_queue *q, int64_t wait_ms, tenure_queue_item_cb cb, void *user,
                                     struct tenure_error *err)
{
    if (enter(q, err) < 0)
        return NULL;
    if (!cb) {
        error_set(err, TENURE_EINVALID, "queue: nobody would be given the item");
        return NULL;
    }
    struct queue_call *k = take_new(q, wait_ms, err);
    if (!k)
        return NULL;
    return wait_begin(&k->wait, false, (void (*)(void))cb, user, err) == 0 ? &k->wait : NULL;
}

static struct queue_call *peek_new(tenure_queue *q, struct tenure_error *err)
{
    struct queue_call *k = take_new(q, -1, err);
    if (k)
        k->peeks = true;
    return k;
}

int tenure_queue_peek(tenure_queue *q, struct tenure_queue_item **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    int rc = enter_to_answer(q, ret, err);
    if (rc < 0)
        return rc;
    struct queue_call *k = peek_new(q, err);
    return k ? block_for_item(k, ret, err) : code_of(err);
}

int tenure_queue_peek_start(tenure_queue *q, tenure_queue_item_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    int rc = enter_to_tell(q, cb != NULL, err);
    if (rc < 0)
        return rc;
    struct queue_call *k = peek_new(q, err);
    return k ? wait_begin(&k->wait, true, (void (*)(void))cb, user, err) : code_of(err);
}

int tenure_queue_length(tenure_queue *q, int64_t *ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    int rc = enter_to_answer(q, ret, err);
    if (rc < 0)
        return rc;
    struct queue_call *k = call_new(q, &length_type, 0, false, 0, err);
    if (!k)
        return code_of(err);
    rc = wait_block(&k->wait, err);
    if (rc == 0)
        *ret = k->length;
    wait_unref(&k->wait);
    return rc;
}

int tenure_queue_length_start(tenure_queue *q, tenure_queue_length_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    int rc = enter_to_tell(q, cb != NULL, err);
    if (rc < 0)
        return rc;
    struct queue_call *k = call_new(q, &length_type, 0, false, 0, err);
    return k ? wait_begin(&k->wait, true, (void (*)(void))cb, user, err) : code_of(err);
}

/* ---- what the list knows of it ---- */

tenure_client *lib_queue_handle(const tenure_queue *q)
{
    return q->object.handle;
}

const struct item_keys *lib_queue_keys(const tenure_queue *q)
{
    return q->keys;
}

size_t lib_queue_strip(const tenure_queue *q)
{
    return q->strip;
}

/* ---- settling ---- */

static struct queue_call *settle_new(tenure_queue *q, const struct tenure_queue_item *item, enum item_settle how,
                                     int64_t delay_ms, struct tenure_error *err)
{
    if (!item || item->token == 0 || q->o.kind != TENURE_QUEUE_WORK || delay_ms < 0) {
        error_set(err, TENURE_EINVALID, delay_ms < 0 ? "queue: a negative time" : "queue: the item is not claimed");
        return NULL;
    }
    struct queue_call *k = call_new(q, &settle_type, 0, false, 0, err);
    if (!k)
        return NULL;
    k->item = item_new(item_of(item), q->strip);
    if (!k->item) {
        wait_unref(&k->wait);
        error_set(err, TENURE_ENOMEM, "queue: out of memory");
        return NULL;
    }
    k->settlement = (struct item_settlement){.how = how,
                                             .item = item_of(k->item),
                                             .due_ms = due_after(q->object.handle, delay_ms),
                                             .deliveries_max = q->o.deliveries_max};
    return k;
}

static int settle(tenure_queue *q, const struct tenure_queue_item *item, enum item_settle how, int64_t delay_ms,
                  struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    int rc = enter_blocking(q, err);
    if (rc < 0)
        return rc;
    struct queue_call *k = settle_new(q, item, how, delay_ms, err);
    return k ? block(k, err) : code_of(err);
}

static int settle_start(tenure_queue *q, const struct tenure_queue_item *item, enum item_settle how, int64_t delay_ms,
                        tenure_done_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    int rc = enter(q, err);
    if (rc < 0)
        return rc;
    struct queue_call *k = settle_new(q, item, how, delay_ms, err);
    return k ? wait_begin(&k->wait, true, (void (*)(void))cb, user, err) : code_of(err);
}

int tenure_queue_ack(tenure_queue *q, const struct tenure_queue_item *item, struct tenure_error *err)
{
    return settle(q, item, ITEM_ACK, 0, err);
}

int tenure_queue_nack(tenure_queue *q, const struct tenure_queue_item *item, int64_t delay_ms, struct tenure_error *err)
{
    return settle(q, item, ITEM_NACK, delay_ms, err);
}

int tenure_queue_extend(tenure_queue *q, const struct tenure_queue_item *item, struct tenure_error *err)
{
    return settle(q, item, ITEM_EXTEND, 0, err);
}

int tenure_queue_ack_start(tenure_queue *q, const struct tenure_queue_item *item, tenure_done_cb cb, void *user,
                           struct tenure_error *err)
{
    return settle_start(q, item, ITEM_ACK, 0, cb, user, err);
}

int tenure_queue_nack_start(tenure_queue *q, const struct tenure_queue_item *item, int64_t delay_ms, tenure_done_cb cb,
                            void *user, struct tenure_error *err)
{
    return settle_start(q, item, ITEM_NACK, delay_ms, cb, user, err);
}

int tenure_queue_extend_start(tenure_queue *q, const struct tenure_queue_item *item, tenure_done_cb cb, void *user,
                              struct tenure_error *err)
{
    return settle_start(q, item, ITEM_EXTEND, 0, cb, user, err);
}
