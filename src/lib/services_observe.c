/* Observing an election of the server's: its stream as an object of a handle. The engine begins it again when a connection is
 * lost, and the server then tells the present leader first: one that was told last is not told again. */
#include <tenure/services.h>

#include <stdlib.h>

#include "lib/post.h"
#include "lib/range.h"
#include "lib/result.h"
#include "lib/view.h"

struct tenure_v3_observer {
    struct object object;
    struct client_call *call; /* NULL once it has ended */
    bool is_stopped;
    size_t strip;                          /* of a view: how much of the key is not shown */
    int64_t create_revision, mod_revision; /* of the leader told last */
    void (*on_leader)(const struct tenure_kv *kv, int64_t revision, void *user);
    void (*on_end)(int code, const struct tenure_error *err, void *user);
    void *user;
};

static tenure_v3_observer *observer_of(const struct object *o)
{
    return CONTAINER_OF(o, tenure_v3_observer, object);
}

static void on_leader(void *user, const struct leader_resp *leader)
{
    tenure_v3_observer *o = user;
    struct tenure_kv kv = result_kv(&leader->kv);
    kv.key = result_bytes(view_strip(leader->kv.key, o->strip));
    if (o->is_stopped || (kv.create_revision == o->create_revision && kv.mod_revision == o->mod_revision))
        return;
    o->create_revision = kv.create_revision;
    o->mod_revision = kv.mod_revision;
    if (o->on_leader)
        o->on_leader(&kv, leader->revision, o->user);
}

static void on_end(void *user, const struct client_result *r)
{
    tenure_v3_observer *o = user;
    struct tenure_error err = {0};
    o->call = NULL;
    if (r->error)
        err = *r->error;
    else
        error_set(&err, TENURE_EUNAVAILABLE, "observe: the server ended the stream");
    if (!o->is_stopped && o->on_end)
        o->on_end(err.code, &err, o->user);
    object_changed(&o->object);
}

static void stop(tenure_v3_observer *o)
{
    o->is_stopped = true;
    if (o->call)
        client_cancel(o->object.handle->engine, o->call, handle_now(o->object.handle));
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
    return observer_of(o)->is_stopped && !observer_of(o)->call;
}

static void observer_object_free(struct object *o)
{
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
    struct tenure_bytes name;
    struct tenure_v3_observer_options o;
    tenure_v3_observer *observer;
    struct tenure_error *err;
};

static int begin(struct start *s, tenure_v3_observer *o)
{
    struct client_call_options opt = {.timeout_ms = TIMEOUT_MAX_MS};
    tenure_client *c = s->handle;
    if (c->state != HANDLE_OPEN)
        return error_set(s->err, TENURE_ECLOSED, "observe: the handle is closed");
    struct arena a;
    arena_init(&a, 0);
    bytes name = range_key_below(s->ns, result_bytes_in(s->name), &a);
    o->strip = s->ns.len;
    if (name.data)
        o->call = client_observe(c->engine, name, &opt, on_leader, on_end, o, handle_now(c), s->err);
    else
        error_set(s->err, TENURE_ENOMEM, "observe: out of memory");
    arena_fini(&a);
    return o->call ? 0 : s->err->code;
}

static void start_run(void *arg)
{
    struct start *s = arg;
    tenure_v3_observer *o = calloc(1, sizeof *o);
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

tenure_v3_observer *tenure_v3_observer_start(tenure_client *c, struct tenure_bytes name,
                                             const struct tenure_v3_observer_options *o, struct tenure_error *err)
{
    struct tenure_error own = {0};
    bytes ns = view_of(&c);
    struct start s = {.handle = c, .ns = ns, .name = name, .err = err ? err : &own};
    if (handle_enter(c, err) < 0 || options_take(&s.o, sizeof s.o, o, "observe", err) < 0)
        return NULL;
    if (name.len == 0 || !name.data) {
        error_set(err, TENURE_EINVALID, "observe: the name is empty");
        return NULL;
    }
    if (!handle_sync(c, start_run, &s))
        error_set(err, TENURE_ECLOSED, "observe: the handle is closed");
    return s.observer;
}

static void stop_run(void *arg)
{
    stop(arg);
}

void tenure_v3_observer_stop(tenure_v3_observer *o)
{
    if (o && !handle_is_forked(o->object.handle))
        handle_sync(o->object.handle, stop_run, o);
}
