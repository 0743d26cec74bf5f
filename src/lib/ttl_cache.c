/* Caches of keys that are kept for a time: recipes/recall.h as an object of a handle. Other threads look under a mutex, which the engine
 * has taken around each change (its guard). A cache that was closed stays until its last read has ended. */
#include <stdlib.h>

#include "lib/ask.h"
#include "lib/cache.h"
#include "lib/copy.h"
#include "lib/range.h"
#include "lib/result.h"
#include "lib/view.h"
#include "recipes/recall.h"

#define WHAT "cache"

enum { TTL_MS = 1000, KEYS_MAX = 10000, BYTES_MAX = 64 * 1024 * 1024 };

struct tenure_ttl_cache {
    struct object object;
    struct recall *recall;
    size_t ns_len;
    unsigned users; /* reads that wait */
    bool is_stopped;

    pthread_mutex_t mutex; /* of what is kept, and of has_ended */
    bool has_ended;        /* the handle closes */
    uint8_t ns[];
};

static tenure_ttl_cache *cache_of(const struct object *o)
{
    return CONTAINER_OF(o, tenure_ttl_cache, object);
}

static void guard(void *user, bool changes)
{
    tenure_ttl_cache *k = user;
    if (changes)
        pthread_mutex_lock(&k->mutex);
    else
        pthread_mutex_unlock(&k->mutex);
}

/* ---- the object ---- */

static void stop(tenure_ttl_cache *k)
{
    k->is_stopped = true;
    recall_cancel_all(k->recall, TENURE_ECLOSED);
    object_changed(&k->object);
}

static tn_ms ttl_deadline(const struct object *o)
{
    return recall_deadline(cache_of(o)->recall);
}

static void ttl_tick(struct object *o, tn_ms now)
{
    recall_tick(cache_of(o)->recall, now);
}

static void nothing_to_publish(struct object *o)
{
    (void)o;
}

static void ttl_close(struct object *o, tn_ms now)
{
    tenure_ttl_cache *k = cache_of(o);
    (void)now;
    guard(k, true);
    k->has_ended = true;
    guard(k, false);
    recall_cancel_all(k->recall, TENURE_ECLOSED);
}

static void ttl_abort(struct object *o, tn_ms now)
{
    stop(cache_of(o));
    recall_tick(cache_of(o)->recall, now);
}

static bool is_over(const struct object *o)
{
    return cache_of(o)->is_stopped && cache_of(o)->users == 0;
}

static void dealloc(tenure_ttl_cache *k)
{
    pthread_mutex_destroy(&k->mutex);
    free(k);
}

static void ttl_free(struct object *o)
{
    tenure_ttl_cache *k = cache_of(o);
    k->recall = recall_stop(k->recall, handle_now(o->handle));
    dealloc(k);
}

static const struct object_type ttl_type = {
    .deadline = ttl_deadline,
    .tick = ttl_tick,
    .publish = nothing_to_publish,
    .close = ttl_close,
    .abort = ttl_abort,
    .is_over = is_over,
    .is_passive = true,
    .free = ttl_free,
};

/* ---- opening ---- */

static int out_of_memory(struct tenure_error *err)
{
    return error_set(err, TENURE_ENOMEM, WHAT ": out of memory");
}

struct start {
    tenure_ttl_cache *cache;
    const struct recall_options *o;
    struct tenure_error *err;
    int code;
};

static void start_run(void *arg)
{
    struct start *s = arg;
    tenure_client *c = s->cache->object.handle;
    if (c->state != HANDLE_OPEN)
        s->code = error_set(s->err, TENURE_ECLOSED, WHAT ": the handle is closed");
    else
        s->code = recall_start(c->engine, s->o, &s->cache->recall, s->err);
    if (s->code == 0)
        object_init(&s->cache->object, c, &ttl_type);
}

static tenure_ttl_cache *cache_new(tenure_client *c, bytes ns, struct tenure_error *err)
{
    tenure_ttl_cache *k = calloc(1, sizeof *k + ns.len);
    if (!k || pthread_mutex_init(&k->mutex, NULL)) {
        free(k);
        out_of_memory(err);
        return NULL;
    }
    k->object.handle = c;
    k->ns_len = ns.len;
    if (ns.len > 0)
        memcpy(k->ns, ns.data, ns.len);
    return k;
}

tenure_ttl_cache *tenure_ttl_cache_open(tenure_client *c, const struct tenure_ttl_cache_options *options,
                                        struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_ttl_cache_options o;
    bytes ns = view_of(&c);
    err = err ? err : &own;
    if (handle_enter(c, err) < 0 || options_take(&o, sizeof o, options, WHAT, err) < 0)
        return NULL;
    if (o.ttl_ms < 0) {
        error_set(err, TENURE_EINVALID, WHAT ": ttl_ms %lld is below 0", (long long)o.ttl_ms);
        return NULL;
    }
    tenure_ttl_cache *k = cache_new(c, ns, err);
    if (!k)
        return NULL;
    int64_t ttl_ms = o.ttl_ms < TIMEOUT_MAX_MS ? o.ttl_ms : TIMEOUT_MAX_MS;
    struct recall_options r = {.ttl_ms = ttl_ms ? ttl_ms : TTL_MS,
                               .keys_max = o.keys_max ? o.keys_max : KEYS_MAX,
                               .bytes_max = o.bytes_max ? o.bytes_max : BYTES_MAX,
                               .guard = guard,
                               .user = k};
    struct start s = {.cache = k, .o = &r, .err = err, .code = TENURE_ECLOSED};
    if (!handle_sync(c, start_run, &s))
        error_set(err, TENURE_ECLOSED, WHAT ": the handle is closed");
    if (s.code == 0)
        return k;
    dealloc(k);
    return NULL;
}

static void close_run(void *arg)
{
    stop(arg);
}

void tenure_ttl_cache_close(tenure_ttl_cache *k)
{
    if (k && !handle_is_forked(k->object.handle))
        handle_sync(k->object.handle, close_run, k);
}

/* ---- at the door ---- */

struct door {
    struct recall_need need;
    int64_t timeout_ms;
    tn_ms now;
    struct arena arena; /* of the key, where there is a namespace */
    bytes key;          /* below it */
};

static int take_need(const tenure_ttl_cache *k, bool waits, const struct tenure_cache_need *need, struct door *d,
                     struct tenure_error *err)
{
    struct tenure_cache_need o;
    int rc = options_take(&o, sizeof o, need, WHAT, err);
    if (rc < 0)
        return rc;
    if (o.max_stale_ms < 0 || o.min_revision < 0 || o.timeout_ms < 0)
        return error_set(err, TENURE_EINVALID, WHAT ": a time or a revision below 0");
    if (o.linearizable && !waits)
        return error_set(err, TENURE_EINVALID, WHAT ": a linearizable read asks the servers, which this one does not");
    d->now = handle_clock(k->object.handle);
    d->need = (struct recall_need){.asked = o.linearizable, .revision = o.min_revision};
    if (o.max_stale_ms && o.max_stale_ms <= d->now)
        d->need.since = d->now - o.max_stale_ms + 1;
    d->timeout_ms = o.timeout_ms;
    return 0;
}

static int take_key(const tenure_ttl_cache *k, struct tenure_bytes key, struct door *d, struct tenure_error *err)
{
    if (key.len == 0 || !key.data)
        return error_set(err, TENURE_EINVALID, WHAT ": the key is empty");
    d->key = range_key_below(bytes_of(k->ns, k->ns_len), result_bytes_in(key), &d->arena);
    return d->key.data ? 0 : out_of_memory(err);
}

/* 0: arena_fini of the door's arena follows. */
static int enter(const tenure_ttl_cache *k, bool blocks, bool waits, struct tenure_bytes key,
                 const struct tenure_cache_need *need, struct door *d, struct tenure_error *err)
{
    if (!k)
        return error_set(err, TENURE_EINVALID, WHAT ": NULL");
    int rc = blocks ? handle_enter_blocking(k->object.handle, WHAT, err) : handle_enter(k->object.handle, err);
    arena_init(&d->arena, 0);
    rc = rc ? rc : take_need(k, waits, need, d, err);
    rc = rc ? rc : take_key(k, key, d, err);
    if (rc)
        arena_fini(&d->arena);
    return rc;
}

static int nowhere(struct tenure_error *err)
{
    return error_set(err, TENURE_EINVALID, WHAT ": there is nowhere to put the answer");
}

/* ---- from memory ---- */

static struct tenure_cache_item *item_of(const tenure_ttl_cache *k, const struct recall_answer *a)
{
    int64_t stale_ms = handle_clock(k->object.handle) - a->asked_at + 1;
    return cache_item_new(a->entry, k->ns_len, a->revision, stale_ms);
}

static int refuse(const tenure_ttl_cache *k, const struct door *d, struct tenure_error *err)
{
    if (k->has_ended)
        return error_set(err, TENURE_ECLOSED, WHAT ": the handle was closed");
    if (recall_find(k->recall, d->key, &(struct recall_need){0}, d->now))
        return error_set(err, TENURE_ESTALE, WHAT ": what is kept is older than is allowed");
    return error_set(err, TENURE_EUNAVAILABLE, WHAT ": nothing of this key is kept");
}

static int look(const tenure_ttl_cache *cache, const struct door *d, struct tenure_cache_item **ret,
                struct tenure_error *err)
{
    tenure_ttl_cache *k = (tenure_ttl_cache *)cache;
    struct tenure_cache_item *item = NULL;
    guard(k, true);
    const struct recall_answer *a = k->has_ended ? NULL : recall_find(k->recall, d->key, &d->need, d->now);
    int rc = 0;
    if (a)
        item = item_of(k, a);
    else
        rc = refuse(k, d, err);
    guard(k, false);
    if (rc == 0 && !item)
        rc = out_of_memory(err);
    if (rc == 0)
        *ret = item;
    return rc;
}

int tenure_ttl_cache_cached(const tenure_ttl_cache *k, struct tenure_bytes key, const struct tenure_cache_need *need,
                            struct tenure_cache_item **ret, struct tenure_error *err)
{
    struct door d;
    int rc = enter(k, false, false, key, need, &d, err);
    if (rc)
        return rc;
    rc = ret ? look(k, &d, ret, err) : nowhere(err);
    arena_fini(&d.arena);
    return rc;
}

/* ---- by asking ---- */

struct ttl_read {
    tenure_ttl_cache *cache;
    struct recall_need need;
    struct recall_wait wait;
    bytes key;
};

static void on_done(void *user, int code, const struct recall_answer *answer, const struct tenure_error *error)
{
    struct ask *a = user;
    tenure_ttl_cache *k = a->req.ttl_read->cache;
    struct tenure_error why = {0};
    if (code) {
        why = *error;
        error_wrap(&why, WHAT);
    } else {
        a->result = item_of(k, answer);
        code = a->result ? 0 : out_of_memory(&why);
    }
    k->users--;
    object_changed(&k->object);
    ask_ended(a, &(struct client_result){.code = code, .error = &why});
}

static int begin(struct ask *a, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    struct ttl_read *r = a->req.ttl_read;
    tenure_ttl_cache *k = r->cache;
    if (k->is_stopped)
        return error_set(err, TENURE_ECLOSED, WHAT ": it is closed");
    int rc = recall_get(k->recall, &r->wait, r->key, &r->need, now + opt->timeout_ms, on_done, a, now, err);
    k->users += rc == 0;
    return rc;
}

static void cancel(struct ask *a, tn_ms now)
{
    (void)now;
    recall_cancel(&a->req.ttl_read->wait);
}

static void drop(void *item)
{
    tenure_cache_item_free(item);
}

ASK_COMPLETE(complete, tenure_cache_item_cb, struct tenure_cache_item)

static const struct ask_type read_type = {
    .what = WHAT, .answers = true, .begin = begin, .cancel = cancel, .result_free = drop, .complete = complete};

static struct ask *ask_of(tenure_ttl_cache *k, const struct door *d, struct tenure_error *err)
{
    struct ask *a = ask_new(k->object.handle, &read_type, d->timeout_ms, err);
    if (!a)
        return NULL;
    struct ttl_read *r = arena_zalloc(&a->arena, sizeof *r);
    bytes key = arena_copy(&a->arena, d->key);
    if (!r || !key.data) {
        error_set(err, TENURE_ENOMEM, "out of memory");
        return ask_drop(a, err);
    }
    *r = (struct ttl_read){.cache = k, .need = d->need, .key = key};
    a->req.ttl_read = r;
    return a;
}

static int get(tenure_ttl_cache *k, const struct door *d, struct tenure_cache_item **ret, struct tenure_error *err)
{
    int rc = copy_check_scope(WHAT, err);
    if (rc == 0)
        rc = d->need.asked ? TENURE_ESTALE : look(k, d, ret, err);
    if (rc != TENURE_ESTALE && rc != TENURE_EUNAVAILABLE)
        return rc;
    return ask_finish(ask_of(k, d, err), ret, err);
}

int tenure_ttl_cache_get(tenure_ttl_cache *k, struct tenure_bytes key, const struct tenure_cache_need *need,
                         struct tenure_cache_item **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct door d;
    err = err ? err : &own;
    int rc = enter(k, true, true, key, need, &d, err);
    if (rc)
        return rc;
    rc = ret ? get(k, &d, ret, err) : nowhere(err);
    arena_fini(&d.arena);
    return rc;
}

int tenure_ttl_cache_get_start(tenure_ttl_cache *k, struct tenure_bytes key, const struct tenure_cache_need *need,
                               tenure_cache_item_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct door d;
    err = err ? err : &own;
    int rc = enter(k, false, true, key, need, &d, err);
    if (rc)
        return rc;
    rc = ask_go(ask_of(k, &d, err), (void (*)(void))cb, user, err);
    arena_fini(&d.arena);
    return rc;
}

/* ---- forgetting ---- */

struct forgetting {
    tenure_ttl_cache *cache;
    bytes key;
};

static void forget_run(void *arg)
{
    struct forgetting *f = arg;
    recall_forget(f->cache->recall, f->key);
}

int tenure_ttl_cache_forget(tenure_ttl_cache *k, struct tenure_bytes key, struct tenure_error *err)
{
    struct door d;
    int rc = enter(k, false, false, key, NULL, &d, err);
    if (rc)
        return rc;
    if (!handle_sync(k->object.handle, forget_run, &(struct forgetting){k, d.key}))
        rc = error_set(err, TENURE_ECLOSED, WHAT ": the handle is closed");
    arena_fini(&d.arena);
    return rc;
}
