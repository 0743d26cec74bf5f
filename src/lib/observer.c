/* Observers of an election: who leads, in the order of tokens. */
#include <stdlib.h>

#include "lib/post.h"
#include "lib/result.h"
#include "lib/view.h"
#include "recipes/election.h"

struct tenure_observer {
    struct object object;
    struct observer *engine;
    bool is_stopped;
    size_t strip; /* of a view: how much of the key is not shown */
    void (*on_leader)(tenure_observer *o, const struct tenure_kv *kv, int64_t revision, void *user);
    void (*on_end)(tenure_observer *o, int code, const struct tenure_error *err, void *user);
    void *user;
};

static tenure_observer *observer_of(const struct object *o)
{
    return CONTAINER_OF(o, tenure_observer, object);
}

static void on_leader(void *user, const struct kv *kv, tn_rev revision)
{
    tenure_observer *o = user;
    bool somebody = kv && kv->key.len > 0;
    struct tenure_kv leader = somebody ? result_kv(kv) : (struct tenure_kv){0};
    if (somebody)
        leader.key = result_bytes(view_strip(kv->key, o->strip));
    if (o->on_leader)
        o->on_leader(o, somebody ? &leader : NULL, revision, o->user);
}

static void on_end(void *user, int code, const struct tenure_error *error)
{
    tenure_observer *o = user;
    if (o->on_end)
        o->on_end(o, code, error, o->user);
}

static const struct observer_callbacks callbacks = {.on_leader = on_leader, .on_end = on_end};

static void stop(tenure_observer *o)
{
    o->engine = observer_stop(o->engine, handle_now(o->object.handle));
    o->is_stopped = true;
    object_changed(&o->object);
}

/* The program learns by on_end that the handle closes. */
static void observer_object_close(struct object *o, tn_ms now)
{
    (void)o, (void)now;
}

static void observer_object_abort(struct object *o, tn_ms now)
{
    (void)now;
    stop(observer_of(o));
}

static bool is_over(const struct object *o)
{
    return observer_of(o)->is_stopped;
}

static void observer_object_free(struct object *o)
{
    stop(observer_of(o));
    free(observer_of(o));
}

static const struct object_type observer_type = {
    .close = observer_object_close,
    .abort = observer_object_abort,
    .is_over = is_over,
    .is_passive = true,
    .free = observer_object_free,
};

struct start {
    tenure_client *handle;
    bytes ns;
    const char *name;
    struct tenure_observer_options o;
    tenure_observer *observer;
    struct tenure_error *err;
};

static int begin(struct start *s, tenure_observer *o)
{
    if (s->handle->state != HANDLE_OPEN)
        return error_set(s->err, TENURE_ECLOSED, "observe '%.100s': the handle is closed", s->name);
    char *prefix = s->ns.len > 0 ? view_recipe_prefix(s->ns, s->o.prefix, "/election/", s->err) : NULL;
    if (s->ns.len > 0 && !prefix)
        return TENURE_ENOMEM;
    o->strip = s->ns.len;
    int rc = observer_start(s->handle->engine, s->name, prefix ? prefix : s->o.prefix, &callbacks, o,
                            handle_now(s->handle), &o->engine, s->err);
    free(prefix);
    return rc;
}

static void start_run(void *arg)
{
    struct start *s = arg;
    tenure_observer *o = calloc(1, sizeof *o);
    if (!o) {
        error_set(s->err, TENURE_ENOMEM, "observe: out of memory");
        return;
    }
    o->on_leader = s->o.on_leader;
    o->on_end = s->o.on_end;
    o->user = s->o.user;
    if (begin(s, o) < 0) {
        free(o);
        return;
    }
    object_init(&o->object, s->handle, &observer_type);
    s->observer = o;
}

tenure_observer *tenure_observer_start(tenure_client *c, const char *name, const struct tenure_observer_options *o,
                                       struct tenure_error *err)
{
    struct tenure_error own = {0};
    bytes ns = view_of(&c);
    struct start s = {.handle = c, .ns = ns, .name = name, .err = err ? err : &own};
    if (handle_enter(c, err) < 0)
        return NULL;
    if (!name || !name[0]) {
        error_set(err, TENURE_EINVALID, "observe: the name is empty");
        return NULL;
    }
    if (options_take(&s.o, sizeof s.o, o, "observe", err) < 0)
        return NULL;
    if (!handle_sync(c, start_run, &s))
        error_set(err, TENURE_ECLOSED, "observe '%.100s': the handle is closed", name);
    return s.observer;
}

static void stop_run(void *arg)
{
    stop(arg);
}

void tenure_observer_stop(tenure_observer *o)
{
    if (o && !handle_is_forked(o->object.handle))
        handle_sync(o->object.handle, stop_run, o);
}
