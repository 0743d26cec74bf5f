/* Watches: the engine's watch, or one that resyncs, as an object of a handle. */
#include <stdlib.h>

#include "lib/post.h"
#include "lib/range.h"
#include "lib/result.h"
#include "lib/view.h"
#include "recipes/follow.h"

struct tenure_watch {
    struct object object;
    struct client_watch *engine;
    struct follow *follow; /* or this; freed with the object: its events may be being told when it is stopped */
    bool is_stopped, has_ended;
    struct tenure_event *events; /* of the batch being told; kept for the next */
    size_t events_cap;
    size_t strip; /* of a view: how much of the keys is not shown */
    void (*on_created)(void *user, int64_t revision);
    void (*on_events)(void *user, int64_t revision, const struct tenure_event *events, size_t n);
    void (*on_end)(void *user, int code, int64_t compact_revision, const struct tenure_error *err);
    void (*on_resync)(void *user, enum tenure_resync_mark mark, int why, int64_t revision);
    void *user;
};

static tenure_watch *watch_of(const struct object *o)
{
    return CONTAINER_OF(o, tenure_watch, object);
}

static void watch_end(tenure_watch *w)
{
    if (w->engine)
        client_watch_stop(w->object.handle->engine, w->engine, handle_now(w->object.handle));
    w->engine = NULL;
}

/* ---- what the engine says ---- */

/* While the handle closes its objects are freed one by one, and what a callback would reach for may be gone: a watch
 * then only ends. */
static bool tells(const tenure_watch *w)
{
    return w->object.handle->state == HANDLE_OPEN && !w->is_stopped && !w->has_ended;
}

static void on_created(void *user, tn_rev revision)
{
    tenure_watch *w = user;
    if (w->on_created && tells(w))
        w->on_created(w->user, revision);
}

static struct kv shown(struct kv kv, size_t strip)
{
    kv.key = view_strip(kv.key, strip);
    return kv;
}

static struct tenure_event event_of(const struct event *e, size_t strip)
{
    struct kv kv = shown(e->kv, strip), prev_kv = shown(e->prev_kv, strip);
    return (struct tenure_event){
        .type = e->type == EVENT_DELETE ? TENURE_EVENT_DELETE : TENURE_EVENT_PUT,
        .kv = result_kv(&kv),
        .has_prev_kv = e->has_prev_kv,
        .prev_kv = result_kv(&prev_kv),
    };
}

static bool make_room(tenure_watch *w, size_t n)
{
    if (n <= w->events_cap)
        return true;
    struct tenure_event *bigger = realloc(w->events, n * sizeof *bigger);
    if (!bigger)
        return false;
    w->events = bigger;
    w->events_cap = n;
    return true;
}

static void tell_end(tenure_watch *w, int code, tn_rev compact_revision, const struct tenure_error *error)
{
    if (w->is_stopped || w->has_ended)
        return;
    w->has_ended = true;
    if (w->on_end)
        w->on_end(w->user, code, compact_revision, error);
}

/* A gap must not go unnoticed: a watch that cannot tell an event ends. */
static void end_without_memory(tenure_watch *w)
{
    struct tenure_error err;
    error_set(&err, TENURE_ENOMEM, "watch: out of memory");
    watch_end(w);
    tell_end(w, err.code, 0, &err);
}

static void on_events(void *user, const struct client_watch_events *e)
{
    tenure_watch *w = user;
    if (!tells(w))
        return;
    if (!make_room(w, e->n_events)) {
        end_without_memory(w);
        return;
    }
    for (size_t i = 0; i < e->n_events; i++)
        w->events[i] = event_of(&e->events[i], w->strip);
    if (w->on_events)
        w->on_events(w->user, e->revision, w->events, e->n_events);
}

static void on_end(void *user, int code, tn_rev compact_revision, const struct tenure_error *error)
{
    tell_end(user, code, compact_revision, error);
}

static const struct client_watch_callbacks callbacks = {
    .on_created = on_created,
    .on_events = on_events,
    .on_end = on_end,
};

/* ---- what a watch that resyncs says ---- */

static void on_resync(void *user, int why, tn_rev revision)
{
    tenure_watch *w = user;
    if (w->on_resync && tells(w))
        w->on_resync(w->user, TENURE_RESYNC_BEGIN, why, revision);
}

static void on_synced(void *user, tn_rev revision)
{
    tenure_watch *w = user;
    if (w->on_resync && tells(w))
        w->on_resync(w->user, TENURE_RESYNC_END, 0, revision);
}

static void on_follow_end(void *user, int code, const struct tenure_error *error)
{
    tell_end(user, code, 0, error);
}

static const struct follow_callbacks follow_callbacks = {
    .on_resync = on_resync,
    .on_synced = on_synced,
    .on_events = on_events,
    .on_end = on_follow_end,
};

/* ---- the object ---- */

static void stop(tenure_watch *w)
{
    watch_end(w);
    w->is_stopped = true;
    object_changed(&w->object);
}

/* The program learns by on_end that the handle closes: the engine says so when its calls end. */
static void watch_object_close(struct object *o, tn_ms now)
{
    (void)o, (void)now;
}

static void watch_object_abort(struct object *o, tn_ms now)
{
    struct tenure_error err;
    (void)now;
    error_set(&err, TENURE_ECLOSED, "watch: the handle was closed");
    tell_end(watch_of(o), err.code, 0, &err); /* a list that was resting is under way nowhere */
    stop(watch_of(o));
}

static bool is_over(const struct object *o)
{
    return watch_of(o)->is_stopped;
}

static void watch_object_free(struct object *o)
{
    tenure_watch *w = watch_of(o);
    watch_end(w);
    follow_stop(w->follow, handle_now(o->handle));
    free(w->events);
    free(w);
}

static const struct object_type watch_type = {
    .close = watch_object_close,
    .abort = watch_object_abort,
    .is_over = is_over,
    .is_passive = true,
    .free = watch_object_free,
};

static tn_ms follow_object_deadline(const struct object *o)
{
    const tenure_watch *w = watch_of(o);
    return w->is_stopped ? TN_MS_NEVER : follow_deadline(w->follow);
}

static void follow_object_tick(struct object *o, tn_ms now)
{
    follow_tick(watch_of(o)->follow, now);
}

/* Other threads ask nothing of a watch. */
static void publish(struct object *o)
{
    (void)o;
}

static const struct object_type follow_type = {
    .deadline = follow_object_deadline,
    .tick = follow_object_tick,
    .publish = publish,
    .close = watch_object_close,
    .abort = watch_object_abort,
    .is_over = is_over,
    .is_passive = true,
    .free = watch_object_free,
};

/* ---- starting ---- */

struct start {
    tenure_client *handle;
    bytes ns;
    struct tenure_bytes key;
    struct tenure_watch_options o;
    tenure_watch *watch;
    struct tenure_error *err;
};

static struct follow *begin_follow(struct start *s, tenure_watch *w, struct key_range range)
{
    tenure_client *c = s->handle;
    struct follow_options o = {
        .range = range,
        .prev_kv = s->o.prev_kv,
        .progress_notify = s->o.progress_notify,
        .keys_max = s->o.keys_max,
        .bytes_max = s->o.bytes_max,
    };
    return follow_start(c->engine, &o, &follow_callbacks, w, handle_now(c), s->err);
}

static int begin(struct start *s, tenure_watch *w)
{
    struct arena a;
    struct range_words words = {s->key, s->o.prefix, s->o.from_key, s->o.range_end, s->ns};
    struct watch_create_req req = {
        .start_revision = s->o.revision,
        .progress_notify = s->o.progress_notify,
        .prev_kv = s->o.prev_kv,
        .no_put = s->o.no_put,
        .no_delete = s->o.no_delete,
    };
    tenure_client *c = s->handle;
    if (c->state != HANDLE_OPEN)
        return error_set(s->err, TENURE_ECLOSED, "watch: the handle is closed");
    arena_init(&a, 0);
    int rc = range_of(&words, &a, &req.range, s->err);
    if (rc == 0 && s->o.resync)
        w->follow = begin_follow(s, w, req.range);
    else if (rc == 0)
        w->engine = client_watch_start(c->engine, &req, &callbacks, w, handle_now(c), s->err);
    arena_fini(&a);
    return w->engine || w->follow ? 0 : error_wrap(s->err, "watch");
}

static void start_run(void *arg)
{
    struct start *s = arg;
    tenure_watch *w = calloc(1, sizeof *w);
    if (!w) {
        error_set(s->err, TENURE_ENOMEM, "watch: out of memory");
        return;
    }
    w->on_created = s->o.on_created;
    w->on_events = s->o.on_events;
    w->on_end = s->o.on_end;
    w->on_resync = s->o.on_resync;
    w->user = s->o.user;
    w->strip = s->ns.len;
    if (begin(s, w) < 0) {
        free(w);
        return;
    }
    object_init(&w->object, s->handle, s->o.resync ? &follow_type : &watch_type);
    s->watch = w;
}

tenure_watch *tenure_watch_start(tenure_client *c, struct tenure_bytes key, const struct tenure_watch_options *o,
                                 struct tenure_error *err)
{
    struct tenure_error own = {0};
    bytes ns = view_of(&c);
    struct start s = {.handle = c, .ns = ns, .key = key, .err = err ? err : &own};
    if (handle_enter(c, err) < 0 || options_take(&s.o, sizeof s.o, o, "watch", err) < 0)
        return NULL;
    if (s.o.revision < 0) {
        error_set(err, TENURE_EINVALID, "watch: revision %lld is below 0", (long long)s.o.revision);
        return NULL;
    }
    if (s.o.resync && (s.o.revision || s.o.no_put || s.o.no_delete)) {
        error_set(s.err, TENURE_EINVALID, "watch: resync together with revision, no_put or no_delete");
        return NULL;
    }
    if (!handle_sync(c, start_run, &s))
        error_set(err, TENURE_ECLOSED, "watch: the handle is closed");
    return s.watch;
}

static void stop_run(void *arg)
{
    stop(arg);
}

void tenure_watch_stop(tenure_watch *w)
{
    if (w && !handle_is_forked(w->object.handle))
        handle_sync(w->object.handle, stop_run, w);
}
