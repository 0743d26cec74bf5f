/* Views of the registry: a replica of a range of keys, read as instances into a table that any thread may look at.
 *
 * The engine tells each change of a key; what of it the program is told, and the table holds, is what passes the filter. A
 * key that was, or will be, no match is for the program not there.
 */
#include "lib/service_view.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/instance_value.h"
#include "lib/post.h"
#include "lib/result.h"
#include "lib/view.h"
#include "lib/waiters.h"
#include "recipes/replica.h"

enum { CHECK_MS = 5000, KEY_MAX = 3 * 4096 + 16 };

struct tenure_service_view {
    struct object object;
    struct replica *engine; /* NULL when it has ended or was stopped */
    struct instance_table *table;
    struct tenure_service_view_options o;
    char **tags;       /* of the filter: owned, as its zone and version */
    size_t prefix_len; /* of the keys, before the service's name */
    bool is_stopped, has_ended, listed;
    int fd;
    struct tenure_error why;
    struct waiters waiters;
};

static tenure_service_view *view_of_object(const struct object *o)
{
    return CONTAINER_OF(o, tenure_service_view, object);
}

struct instance_table *service_view_table(tenure_service_view *v)
{
    return v->table;
}

tenure_client *service_view_handle(const tenure_service_view *v)
{
    return v->object.handle;
}

static enum waiters_answer look(void *owner, tn_ms now, struct tenure_error *err)
{
    tenure_service_view *v = owner;
    (void)now;
    if (v->listed)
        return WAITERS_DONE;
    if (!v->has_ended)
        return WAITERS_WAIT;
    *err = v->why;
    return WAITERS_FAILED;
}

static void publish(struct object *o)
{
    tenure_service_view *v = view_of_object(o);
    if (!v->engine || !v->listed)
        return;
    pthread_mutex_lock(&v->table->mutex);
    v->table->revision = replica_revision(v->engine);
    v->table->current_at = replica_current_at(v->engine);
    pthread_mutex_unlock(&v->table->mutex);
}

/* ---- the end ---- */

static void end_engine(tenure_service_view *v)
{
    v->engine = replica_stop(v->engine, handle_now(v->object.handle));
}

static void over(tenure_service_view *v, const struct tenure_error *why)
{
    if (v->has_ended || v->is_stopped)
        return;
    v->has_ended = true;
    v->why = *why;
    if (!v->listed)
        waiters_answer(&v->waiters, why->code, why);
    if (v->o.on_end)
        v->o.on_end(v, why->code, &v->why, v->o.user);
}

static void end_without_memory(tenure_service_view *v)
{
    struct tenure_error err;
    error_set(&err, TENURE_ENOMEM, "service view: out of memory");
    end_engine(v);
    over(v, &err);
}

/* ---- changes ---- */

/* What a key says; NULL when it is no instance's. False when out of memory. */
static bool read_kv(const tenure_service_view *v, const struct kv *kv, struct instance **ret)
{
    bytes service, name;
    *ret = NULL;
    if (!instance_split(view_strip(kv->key, v->prefix_len), &service, &name))
        return true;
    struct tenure_kv shown = result_kv(kv);
    *ret = instance_read(service, name, &shown);
    return *ret != NULL;
}

/* A reference each. */
struct change {
    struct instance *key;       /* whose it is: what there is or was; NULL = no instance's */
    struct instance *was, *now; /* that matched, and match */
};

static bool read_changes(const tenure_service_view *v, const struct view_change *from, size_t n, struct change *to)
{
    for (size_t i = 0; i < n; i++) {
        if (!read_kv(v, from[i].now ? from[i].now : from[i].was, &to[i].key))
            return false;
        if (from[i].now && to[i].key && instance_matches(&to[i].key->pub, &v->o.filter))
            to[i].now = instance_ref(to[i].key);
    }
    return true;
}

/* All at once, for those who look meanwhile: a transaction is seen as a whole or not at all. False when out of memory. */
static bool apply(tenure_service_view *v, struct change *changes, size_t n, tn_rev revision)
{
    struct instance_table *t = v->table;
    int rc = 0;
    pthread_mutex_lock(&t->mutex);
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct change *c = &changes[i];
        struct instance *was = c->key ? instance_table_find(t, c->key->pub.service, c->key->pub.name) : NULL;
        c->was = was ? instance_ref(was) : NULL;
        if (c->now)
            rc = instance_table_put(t, instance_ref(c->now));
        else if (c->was)
            instance_table_remove(t, c->key->pub.service, c->key->pub.name);
    }
    t->revision = revision;
    t->current_at = replica_current_at(v->engine);
    pthread_mutex_unlock(&t->mutex);
    return rc == 0;
}

static void wake_readers(tenure_service_view *v)
{
    uint64_t one = 1;
    (void)!write(v->fd, &one, sizeof one);
}

static void tell_list(tenure_service_view *v, tn_rev revision)
{
    struct instance_table *t = v->table;
    v->listed = true;
    struct tenure_instances *list = instance_list(t->all, t->n, revision); /* only the loop changes it */
    if (!list) {
        end_without_memory(v);
        return;
    }
    wake_readers(v);
    if (v->o.on_list)
        v->o.on_list(v, list, v->o.user);
    tenure_instances_free(list);
    waiters_answer(&v->waiters, 0, NULL);
}

static void tell_change(tenure_service_view *v, tn_rev revision, const struct change *c)
{
    enum tenure_service_change kind = !c->was  ? TENURE_SERVICE_CAME
                                      : c->now ? TENURE_SERVICE_CHANGED
                                               : TENURE_SERVICE_WENT;
    if (!c->was && !c->now)
        return;
    wake_readers(v);
    if (v->o.on_change)
        v->o.on_change(v, kind, c->now ? &c->now->pub : &c->was->pub, revision, v->o.user);
}

static bool goes_on(const tenure_service_view *v)
{
    return v->engine && v->object.handle->state == HANDLE_OPEN;
}

static void tell(tenure_service_view *v, tn_rev revision, const struct change *changes, size_t n)
{
    if (!v->listed) {
        tell_list(v, revision);
        return;
    }
    for (size_t i = 0; i < n && goes_on(v); i++)
        tell_change(v, revision, &changes[i]);
}

/* While the handle closes a view only ends: what a callback would reach for may be gone. */
static void on_change(void *user, tn_rev revision, const struct view_change *from, size_t n)
{
    tenure_service_view *v = user;
    if (!goes_on(v))
        return;
    struct change *changes = calloc(n + 1, sizeof *changes);
    if (changes && read_changes(v, from, n, changes) && apply(v, changes, n, revision))
        tell(v, revision, changes, n);
    else
        end_without_memory(v);
    for (size_t i = 0; changes && i < n; i++) {
        instance_unref(changes[i].key);
        instance_unref(changes[i].was);
        instance_unref(changes[i].now);
    }
    free(changes);
}

/* The engine is kept until the stop: it may be in the middle of this. */
static void on_end(void *user, int code, const struct tenure_error *error)
{
    (void)code;
    over(user, error);
}

static const struct replica_callbacks callbacks = {.on_change = on_change, .on_end = on_end};

/* ---- the object ---- */

static void stop(tenure_service_view *v)
{
    end_engine(v);
    v->is_stopped = true;
    object_changed(&v->object);
}

static void view_object_close(struct object *o, tn_ms now)
{
    (void)o, (void)now;
}

static void view_object_abort(struct object *o, tn_ms now)
{
    tenure_service_view *v = view_of_object(o);
    struct tenure_error err;
    (void)now;
    error_set(&err, TENURE_ECLOSED, "service view: the handle was closed");
    over(v, &err);
    stop(v);
}

static bool is_over(const struct object *o)
{
    return view_of_object(o)->is_stopped;
}

static void dealloc(tenure_service_view *v)
{
    for (size_t i = 0; v->tags && i < v->o.filter.n_tags; i++)
        free(v->tags[i]);
    free(v->tags);
    free((char *)v->o.filter.zone);
    free((char *)v->o.filter.version);
    instance_table_unref(v->table);
    if (v->fd >= 0)
        close(v->fd);
    free(v);
}

static void view_object_free(struct object *o)
{
    tenure_service_view *v = view_of_object(o);
    struct tenure_error err;
    error_set(&err, TENURE_ECLOSED, "service view: the handle was closed");
    waiters_answer(&v->waiters, TENURE_ECLOSED, &err);
    end_engine(v);
    dealloc(v);
}

static tn_ms view_object_deadline(const struct object *o)
{
    return view_of_object(o)->engine ? replica_deadline(view_of_object(o)->engine) : TN_MS_NEVER;
}

static void view_object_tick(struct object *o, tn_ms now)
{
    if (view_of_object(o)->engine)
        replica_tick(view_of_object(o)->engine, now);
}

static const struct object_type view_type = {
    .deadline = view_object_deadline,
    .tick = view_object_tick,
    .publish = publish,
    .close = view_object_close,
    .abort = view_object_abort,
    .is_over = is_over,
    .is_passive = true,
    .free = view_object_free,
};

/* ---- starting ---- */

static bool copy_filter(tenure_service_view *v, const struct tenure_instance_filter *f)
{
    bool ok = true;
    v->o.filter.zone = f->zone ? strdup(f->zone) : NULL;
    v->o.filter.version = f->version ? strdup(f->version) : NULL;
    v->tags = calloc(f->n_tags + 1, sizeof(char *));
    for (size_t i = 0; v->tags && i < f->n_tags; i++)
        ok = (v->tags[i] = strdup(f->tags[i])) && ok;
    v->o.filter.tags = (const char *const *)v->tags;
    return ok && v->tags && (!f->zone || v->o.filter.zone) && (!f->version || v->o.filter.version);
}

static tenure_service_view *view_alloc(tenure_client *c, const struct tenure_service_view_options *o)
{
    tenure_service_view *v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    v->o = *o;
    v->o.prefix = NULL;
    v->waiters = (struct waiters){.handle = c, .what = "service view", .look = look, .owner = v};
    list_init(&v->waiters.all);
    v->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    v->table = instance_table_new();
    if (!copy_filter(v, &o->filter) || v->fd < 0 || !v->table) {
        dealloc(v);
        return NULL;
    }
    return v;
}

struct start {
    tenure_client *handle;
    tenure_service_view *view;
    const char *path;
    struct tenure_error *err;
    bool ok;
};

static void start_run(void *arg)
{
    struct start *s = arg;
    tenure_service_view *v = s->view;
    tenure_client *c = s->handle;
    uint8_t end[KEY_MAX];
    bytes key = bytes_str(s->path);
    struct key_range range = {key, bytes_of(end, bytes_prefix_end(key, end))};
    tn_ms now = handle_now(c);
    if (c->state != HANDLE_OPEN) {
        error_set(s->err, TENURE_ECLOSED, "service view: the handle is closed");
        return;
    }
    struct replica_options o = {.range = range,
                                .check_ms = v->o.check_ms < 0 ? 0
                                            : v->o.check_ms   ? v->o.check_ms
                                                              : CHECK_MS};
    if (replica_start(c->engine, &o, &callbacks, v, now, &v->engine, s->err) < 0)
        return;
    object_init(&v->object, c, &view_type);
    s->ok = true;
}

static int check(const char *service, const struct tenure_service_view_options *o, const char *path, bytes ns,
                 struct tenure_error *err)
{
    const struct tenure_instance_filter *f = &o->filter;
    bool ok = path[0] && (service || !o->prefix || o->prefix[0]) && o->check_ms >= -1 && (!f->n_tags || f->tags) &&
              strlen(path) + ns.len < KEY_MAX - 1;
    for (size_t i = 0; ok && i < f->n_tags; i++)
        ok = f->tags[i] != NULL;
    return ok ? 0 : error_set(err, TENURE_EINVALID, "service view: no prefix, or tags or a time that are none");
}

static tenure_service_view *start(tenure_client *c, bytes ns, const char *service,
                                  const struct tenure_service_view_options *o, struct tenure_error *err)
{
    char *prefix = view_recipe_prefix(ns, o->prefix, "/services/", err);
    char *path = prefix ? instance_path(prefix, service ? service : "", "", err) : NULL;
    tenure_service_view *v = path && check(service, o, path, ns, err) == 0 ? view_alloc(c, o) : NULL;
    struct start s = {.handle = c, .view = v, .path = path, .err = err};
    if (v) {
        v->prefix_len = strlen(prefix);
        if (!handle_sync(c, start_run, &s))
            error_set(err, TENURE_ECLOSED, "service view: the handle is closed");
        if (!s.ok)
            dealloc(v);
    } else if (!err->code) {
        error_set(err, TENURE_ENOMEM, "service view: out of memory, or of descriptors");
    }
    free(path);
    free(prefix);
    return s.ok ? v : NULL;
}

tenure_service_view *tenure_service_view_start(tenure_client *c, const char *service,
                                               const struct tenure_service_view_options *options,
                                               struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_service_view_options o;
    bytes ns = view_of(&c);
    err = err ? err : &own;
    err->code = 0;
    if (handle_enter(c, err) < 0 || options_take(&o, sizeof o, options, "service view", err) < 0)
        return NULL;
    if (service && instance_name_check("service", service, err))
        return NULL;
    return start(c, ns, service, &o, err);
}

static void stop_run(void *arg)
{
    stop(arg);
}

void tenure_service_view_stop(tenure_service_view *v)
{
    if (v && !handle_is_forked(v->object.handle))
        handle_sync(v->object.handle, stop_run, v);
}

/* ---- any thread ---- */

int tenure_service_view_await(tenure_service_view *v, int64_t timeout_ms, struct tenure_error *err)
{
    if (!v)
        return error_set(err, TENURE_EINVALID, "service view: NULL");
    return waiters_await(&v->waiters, timeout_ms, "nothing was listed yet", err);
}

struct tenure_instances *tenure_service_view_list(tenure_service_view *v, struct tenure_error *err)
{
    if (!v) {
        error_set(err, TENURE_EINVALID, "service view: NULL");
        return NULL;
    }
    pthread_mutex_lock(&v->table->mutex);
    struct tenure_instances *list = instance_list(v->table->all, v->table->n, v->table->revision);
    pthread_mutex_unlock(&v->table->mutex);
    if (!list)
        error_set(err, TENURE_ENOMEM, "service view: out of memory");
    return list;
}

int64_t tenure_service_view_revision(const tenure_service_view *v)
{
    if (!v)
        return 0;
    pthread_mutex_lock(&v->table->mutex);
    int64_t revision = v->table->revision;
    pthread_mutex_unlock(&v->table->mutex);
    return revision;
}

int64_t tenure_service_view_staleness_ms(const tenure_service_view *v)
{
    if (!v)
        return -1;
    pthread_mutex_lock(&v->table->mutex);
    tn_ms at = v->table->current_at;
    pthread_mutex_unlock(&v->table->mutex);
    int64_t age = handle_clock(v->object.handle) - at;
    return at == 0 ? -1 : age > 0 ? age : 0;
}

int tenure_service_view_fd(const tenure_service_view *v)
{
    return v ? v->fd : -1;
}
