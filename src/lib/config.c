/* A view of a configuration: its life. The engine (recipes/ranges.h) keeps the copy of what the servers hold; here it becomes
 * a list that threads may read, and the object that lives on a handle. */
#include "lib/config.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/config_cache.h"
#include "lib/config_read.h"
#include "lib/range.h"
#include "lib/view.h"

static tenure_config *config_of(const struct object *o)
{
    return CONTAINER_OF(o, tenure_config, object);
}

/* ---- the engine ---- */

static void on_change(void *user, tn_rev revision, const struct ranges_change *changes, size_t n)
{
    (void)changes, (void)n;
    config_changed(user, revision);
}

static void on_end(void *user, int code, const struct tenure_error *error)
{
    config_end(user, code, error);
}

static const struct ranges_callbacks callbacks = {.on_change = on_change, .on_end = on_end};

static void stop_engine(tenure_config *v)
{
    v->engine = ranges_stop(v->engine, handle_now(v->object.handle));
}

/* ---- the object ---- */

static void dealloc(tenure_config *v)
{
    tenure_config_list_free(v->list);
    config_seal_close(v->seal);
    config_place_fini(&v->place);
    pthread_mutex_destroy(&v->mutex);
    if (v->fd >= 0)
        close(v->fd);
    free(v);
}

static void stop(tenure_config *v)
{
    struct tenure_error why;
    stop_engine(v);
    v->is_stopped = true;
    error_set(&why, TENURE_ECLOSED, "config: the view is closed");
    config_wake_all(v, why.code, &why);
    object_changed(&v->object);
}

/* The program learns by on_state that the handle closes: the engine says so when its calls end, the abort when there are none. */
static void config_object_close(struct object *o, tn_ms now)
{
    (void)o, (void)now;
}

static void config_object_abort(struct object *o, tn_ms now)
{
    tenure_config *v = config_of(o);
    struct tenure_error err;
    (void)now;
    if (!v->has_ended && !v->is_stopped) {
        error_set(&err, TENURE_ECLOSED, "config: the handle was closed");
        config_end(v, err.code, &err);
    }
    if (!v->is_stopped)
        stop(v);
}

static bool is_over(const struct object *o)
{
    return config_of(o)->is_stopped;
}

static void config_object_free(struct object *o)
{
    tenure_config *v = config_of(o);
    struct tenure_error why;
    stop_engine(v);
    error_set(&why, TENURE_ECLOSED, "config: the handle was closed");
    config_wake_all(v, why.code, &why);
    config_cache_end(v);
    dealloc(v);
}

static tn_ms config_object_deadline(const struct object *o)
{
    const tenure_config *v = config_of(o);
    tn_ms at = v->engine ? ranges_deadline(v->engine) : TN_MS_NEVER;
    tn_ms wait = config_wait_deadline(v);
    at = wait < at ? wait : at;
    at = v->copy_at < at ? v->copy_at : at;
    return v->look_at < at ? v->look_at : at;
}

static void config_object_tick(struct object *o, tn_ms now)
{
    tenure_config *v = config_of(o);
    if (v->engine)
        ranges_tick(v->engine, now);
    if (now >= v->copy_at) {
        v->copy_at = TN_MS_NEVER;
        if (!v->is_told && !v->has_ended && !v->is_stopped)
            config_cache_take(v);
    }
    config_wake(v, now);
    if (now >= v->look_at)
        config_look(v, now);
}

/* In each turn: what the program is to be told of it waits for the tick that is due then. */
static void config_object_publish(struct object *o)
{
    tenure_config *v = config_of(o);
    if (v->look_at == TN_MS_NEVER && config_wants_look(v))
        v->look_at = o->handle->now;
}

static const struct object_type config_type = {
    .deadline = config_object_deadline,
    .tick = config_object_tick,
    .publish = config_object_publish,
    .close = config_object_close,
    .abort = config_object_abort,
    .is_over = is_over,
    .is_passive = true,
    .free = config_object_free,
};

/* ---- opening ---- */

static const char *kept(tenure_config *v, const char *s)
{
    return s ? arena_strdup(&v->place.arena, s) : NULL;
}

/* Of what the options point to only this is asked again later. */
static int keep_options(tenure_config *v, const char *keys, struct tenure_error *err)
{
    struct tenure_config_options *o = &v->o;
    const char *schema = kept(v, o->schema), *cache = kept(v, o->cache_file);
    v->keys = kept(v, keys);
    v->n_parts = config_place_parts(&v->place, keys, o->layers, v->parts);
    v->view = arena_strdup(&v->place.arena, "");
    for (size_t i = 0; v->view && i < v->n_parts; i++)
        v->view = arena_printf(&v->place.arena, "%s%s %s ", v->view, v->parts[i].key, v->parts[i].range_end);
    if (!o->unchecked && config_schema_above(&v->place.arena, keys, v->above, &v->n_above, err))
        return err->code;
    bool ok = v->keys && v->view && v->n_parts > 0 && !schema == !o->schema && !cache == !o->cache_file;
    *o = (struct tenure_config_options){.size = sizeof *o,
                                        .timeout_ms = o->timeout_ms,
                                        .unchecked = o->unchecked,
                                        .schema = schema,
                                        .cache_file = cache,
                                        .keys_max = o->keys_max,
                                        .bytes_max = o->bytes_max,
                                        .on_change = o->on_change,
                                        .on_state = o->on_state,
                                        .user = o->user};
    return ok ? 0 : error_set(err, TENURE_ENOMEM, "config: out of memory");
}

static tenure_config *config_alloc(const struct tenure_config_options *o, struct tenure_error *err)
{
    tenure_config *v = calloc(1, sizeof *v);
    if (v && pthread_mutex_init(&v->mutex, NULL) != 0) {
        free(v);
        v = NULL;
    }
    if (!v) {
        error_set(err, TENURE_ENOMEM, "config: out of memory");
        return NULL;
    }
    v->o = *o;
    v->fd = -1;
    v->look_at = TN_MS_NEVER;
    v->copy_at = TN_MS_NEVER;
    list_init(&v->waiters);
    return v;
}

static int prepare(tenure_config *v, const char *keys, struct tenure_error *err)
{
    int rc = config_place_init(&v->place, &v->o, err);
    rc = rc ? rc : config_keys_check(keys, err);
    rc = rc ? rc : config_seal_load(v->o.key_file, &v->seal, err);
    rc = rc ? rc : keep_options(v, keys, err);
    v->list = rc ? NULL : config_list_merge(NULL, 0, NULL, 0, NULL);
    return rc || v->list ? rc : error_set(err, TENURE_ENOMEM, "config: out of memory");
}

struct start {
    tenure_client *handle;
    bytes ns;
    tenure_config *view;
    struct tenure_error *err;
    int rc;
};

/* The layers' ranges, and behind them those of schemas. */
static size_t all_parts(tenure_config *v, struct config_part parts[RANGES_MAX])
{
    struct arena *a = &v->place.arena;
    size_t n = 0;
    for (; n < v->n_parts; n++)
        parts[n] = v->parts[n];
    if (v->o.unchecked)
        return n;
    for (size_t i = 0; i < v->n_above; i++)
        parts[n++] =
            (struct config_part){.key = arena_printf(a, "%s%s", v->place.schemas, v->above[i]), .range_end = ""};
    if (config_keys_are_one(v->keys))
        return n;
    const char *first = arena_printf(a, "%s%s", v->place.schemas, v->keys);
    char *end = first ? arena_strdup(a, first) : NULL;
    if (end)
        end[strlen(end) - 1]++;
    parts[n++] = (struct config_part){.key = first, .range_end = end};
    return n;
}

static int begin(struct start *s, tenure_config *v, struct arena *a)
{
    struct config_part parts[RANGES_MAX];
    struct key_range ranges[RANGES_MAX];
    v->n_ranges = all_parts(v, parts);
    struct ranges_options o = {
        .ranges = ranges, .n = v->n_ranges, .keys_max = v->o.keys_max, .bytes_max = v->o.bytes_max};
    tenure_client *c = s->handle;
    if (c->state != HANDLE_OPEN)
        return error_set(s->err, TENURE_ECLOSED, "config: the handle is closed");
    for (size_t i = 0; i < v->n_ranges; i++) {
        if (!parts[i].key || !parts[i].range_end)
            return error_set(s->err, TENURE_ENOMEM, "config: out of memory");
        bytes key = bytes_str(parts[i].key), end = bytes_str(parts[i].range_end);
        ranges[i].key = range_key_below(s->ns, key, a);
        ranges[i].range_end = end.len > 0 ? range_key_below(s->ns, end, a) : end;
        if (!ranges[i].key.data || !ranges[i].range_end.data)
            return error_set(s->err, TENURE_ENOMEM, "config: out of memory");
    }
    return ranges_start(c->engine, &o, &callbacks, v, handle_now(c), &v->engine, s->err);
}

static void start_run(void *arg)
{
    struct start *s = arg;
    tenure_config *v = s->view;
    struct arena a;
    arena_init(&a, 0);
    v->strip = s->ns.len;
    s->rc = begin(s, v, &a);
    arena_fini(&a);
    if (s->rc)
        return;
    v->heard_at = handle_now(s->handle);
    object_init(&v->object, s->handle, &config_type);
}

/* When the wait for the first state is over, and the copy is taken. */
static tn_ms first_until(const tenure_config *v, const tenure_client *c)
{
    int64_t timeout_ms = v->o.timeout_ms ? v->o.timeout_ms : c->call_timeout_ms;
    return handle_clock(c) + (timeout_ms < TIMEOUT_MAX_MS ? timeout_ms : TIMEOUT_MAX_MS);
}

static tenure_config *open_view(tenure_client *c, bytes ns, const char *keys, const struct tenure_config_options *o,
                                struct tenure_error *err)
{
    tenure_config *v = config_alloc(o, err);
    if (!v)
        return NULL;
    struct start s = {.handle = c, .ns = ns, .view = v, .err = err, .rc = TENURE_ECLOSED};
    int rc = prepare(v, keys, err);
    tn_ms until = first_until(v, c);
    v->copy_at = v->o.cache_file ? until : TN_MS_NEVER;
    if (rc == 0 && !handle_sync(c, start_run, &s))
        error_set(err, TENURE_ECLOSED, "config: the handle is closed");
    if (rc || s.rc) {
        dealloc(v);
        return NULL;
    }
    bool waits = handle_enter_blocking(c, "config", NULL) == 0;
    if (waits && config_wait(v, -1, until, err)) {
        struct tenure_error why = *err;
        tenure_config_close(v);
        *err = why;
        return NULL;
    }
    return v;
}

tenure_config *tenure_config_open(tenure_client *c, const char *keys, const struct tenure_config_options *options,
                                  struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_config_options o;
    bytes ns = view_of(&c);
    err = err ? err : &own;
    if (handle_enter(c, err) < 0 || options_take(&o, sizeof o, options, "config", err) < 0)
        return NULL;
    if (o.timeout_ms < 0) {
        error_set(err, TENURE_EINVALID, "config: a timeout of %lld ms", (long long)o.timeout_ms);
        return NULL;
    }
    return open_view(c, ns, keys, &o, err);
}

static void stop_run(void *arg)
{
    stop(arg);
}

void tenure_config_close(tenure_config *v)
{
    if (v && !handle_is_forked(v->object.handle))
        handle_sync(v->object.handle, stop_run, v);
}

/* ---- any thread ---- */

enum tenure_config_state tenure_config_state(const tenure_config *view)
{
    tenure_config *v = (tenure_config *)view;
    if (!v || handle_is_forked(v->object.handle))
        return TENURE_CONFIG_ENDED;
    pthread_mutex_lock(&v->mutex);
    enum tenure_config_state state = v->state;
    pthread_mutex_unlock(&v->mutex);
    return state;
}

int64_t tenure_config_stale_ms(const tenure_config *view)
{
    tenure_config *v = (tenure_config *)view;
    if (!v || handle_is_forked(v->object.handle))
        return -1;
    tenure_client *c = v->object.handle;
    pthread_mutex_lock(&v->mutex);
    int64_t ms = handle_clock(c) - v->heard_at;
    if (v->state == TENURE_CONFIG_WAITING)
        ms = -1;
    else if (v->state == TENURE_CONFIG_LAST_KNOWN_GOOD)
        ms = handle_wall_ms(c) - v->written_ms;
    else if (v->state == TENURE_CONFIG_CURRENT || ms < 0)
        ms = 0;
    pthread_mutex_unlock(&v->mutex);
    return ms;
}

int64_t tenure_config_revision(const tenure_config *view)
{
    tenure_config *v = (tenure_config *)view;
    if (!v || handle_is_forked(v->object.handle))
        return 0;
    pthread_mutex_lock(&v->mutex);
    int64_t revision = v->told;
    pthread_mutex_unlock(&v->mutex);
    return revision;
}

struct tenure_config_list *tenure_config_list(tenure_config *v)
{
    if (!v || handle_is_forked(v->object.handle))
        return NULL;
    pthread_mutex_lock(&v->mutex);
    struct tenure_config_list *list = config_list_ref(v->list);
    pthread_mutex_unlock(&v->mutex);
    return list;
}

int tenure_config_fd(tenure_config *v)
{
    if (!v || handle_is_forked(v->object.handle))
        return -1;
    pthread_mutex_lock(&v->mutex);
    if (v->fd < 0)
        v->fd = eventfd(v->changed ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK);
    int fd = v->fd;
    pthread_mutex_unlock(&v->mutex);
    return fd;
}

bool tenure_config_changed(tenure_config *v)
{
    uint64_t n;
    if (!v || handle_is_forked(v->object.handle))
        return false;
    pthread_mutex_lock(&v->mutex);
    bool changed = v->changed;
    v->changed = false;
    if (v->fd >= 0 && read(v->fd, &n, sizeof n) < 0)
        n = 0; /* there was nothing in it */
    pthread_mutex_unlock(&v->mutex);
    return changed;
}
