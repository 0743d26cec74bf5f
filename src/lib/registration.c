/* Registrations: a presence whose value says what the instance is, and beside it, when that is asked for and while it serves,
 * one in the layout of Go's naming/endpoints.
 *
 * What it says is one block (`now`), written from and read back into by the codec; so an operator's edit and our own change
 * come together in one place, and unknown fields stay. The second presence follows the first: it begins when that one stands
 * for the first time, goes while it does not serve, and ends with it.
 *
 * The object is over when it was stopped and both presences have told their end.
 */
#include <stdlib.h>
#include <unistd.h>

#include "lib/instance_value.h"
#include "lib/post.h"
#include "lib/presence.h"
#include "lib/result.h"
#include "lib/view.h"
#include "lib/waiters.h"

enum { TTL_S = 10 };

struct tenure_service {
    struct object object;
    struct tenure_service_options o; /* of it: what is not in `now`, and the callbacks */
    char *grpc_path;                 /* NULL = stands in no second place */
    bytes ns;                        /* behind the struct */
    struct instance *now;
    tenure_presence *main, *grpc;       /* NULL when stopped or not begun */
    struct tenure_presence_options how; /* of both */
    bool was_registered, is_lost;
    bool is_stopped, has_ended, sent_away;
    unsigned n_live; /* presences that have not told their end */
    int code;
    struct tenure_error why;
    struct waiters waiters;
    _Atomic(tn_ms) stands_until; /* any thread */
};

static tenure_service *service_of(const struct object *o)
{
    return CONTAINER_OF(o, tenure_service, object);
}

static void publish(struct object *o)
{
    tenure_service *s = service_of(o);
    atomic_store(&s->stands_until, s->main ? lib_presence_stands_until(s->main) : 0);
}

static enum waiters_answer look(void *owner, tn_ms now, struct tenure_error *err)
{
    tenure_service *s = owner;
    (void)now;
    if (!s->has_ended)
        return s->main && tenure_presence_stands(s->main) ? WAITERS_DONE : WAITERS_WAIT;
    *err = s->why;
    return WAITERS_FAILED;
}

/* ---- the second place ---- */

static void on_grpc_ended(tenure_presence *p, int code, const struct tenure_error *err, void *user)
{
    tenure_service *s = user;
    (void)code, (void)err;
    if (s->grpc == p) { /* by itself: taken over, denied */
        s->grpc = NULL;
        tenure_presence_stop(p);
    }
    s->n_live--;
    object_changed(&s->object);
}

static void begin_grpc(tenure_service *s)
{
    char *value = instance_write_grpc(&s->now->pub);
    struct tenure_presence_options o = {.size = sizeof o,
                                        .ttl_s = s->how.ttl_s,
                                        .conflict = TENURE_CONFLICT_TAKE_OVER,
                                        .on_ended = on_grpc_ended,
                                        .user = s};
    if (value)
        s->grpc = lib_presence_start(s->object.handle, s->ns, bytes_str(s->grpc_path), bytes_str(value), &o, NULL);
    s->n_live += s->grpc != NULL;
    free(value);
}

static void end_presence(tenure_presence **p)
{
    tenure_presence *gone = *p;
    *p = NULL;
    tenure_presence_stop(gone);
}

static void follow_with_grpc(tenure_service *s)
{
    if (!s->grpc_path || !s->was_registered || s->has_ended)
        return;
    if (!tenure_instance_serves(&s->now->pub)) {
        end_presence(&s->grpc);
    } else if (!s->grpc) {
        begin_grpc(s);
    } else {
        char *value = instance_write_grpc(&s->now->pub);
        if (value)
            (void)tenure_presence_set(s->grpc, tenure_str(value), NULL); /* what it said before is not wrong */
        free(value);
    }
}

/* ---- what the presence says ---- */

static void on_present(tenure_presence *p, int64_t create, void *user)
{
    tenure_service *s = user;
    bool first = !s->was_registered, healed = s->is_lost;
    (void)p, (void)create;
    s->was_registered = true;
    s->is_lost = false;
    publish(&s->object);
    if (first)
        follow_with_grpc(s);
    if (first && s->o.on_registered)
        s->o.on_registered(s, s->o.user);
    else if (healed && s->o.on_healed)
        s->o.on_healed(s, s->o.user);
    waiters_answer(&s->waiters, 0, NULL); /* who waited finds all told */
}

static void on_absent(tenure_presence *p, const struct tenure_error *why, void *user)
{
    tenure_service *s = user;
    (void)p;
    s->is_lost = true;
    publish(&s->object);
    if (s->o.on_lost)
        s->o.on_lost(s, why, s->o.user);
}

static void over(tenure_service *s, int code, const struct tenure_error *why)
{
    if (s->has_ended)
        return;
    s->has_ended = true;
    s->code = code;
    if (code && why)
        s->why = *why;
    else
        error_set(&s->why, TENURE_ECLOSED, "registry: it was stopped");
    object_changed(&s->object);
    end_presence(&s->grpc);
    waiters_answer(&s->waiters, code ? code : TENURE_ECLOSED, &s->why);
    if (s->o.on_ended)
        s->o.on_ended(s, code, code ? &s->why : NULL, s->o.user);
}

static void on_ended(tenure_presence *p, int code, const struct tenure_error *err, void *user)
{
    tenure_service *s = user;
    struct tenure_error away;
    if (s->main == p)
        end_presence(&s->main);
    s->n_live--;
    publish(&s->object);
    error_set(&away, TENURE_ENOTFOUND, "registry: '%.60s' of '%.60s' was sent away", s->now->pub.name,
              s->now->pub.service);
    if (s->sent_away)
        over(s, TENURE_ENOTFOUND, &away);
    else
        over(s, code, err);
}

/* ---- changes ---- */

/* i is what it is from now on; base: the value whose unknown fields stay. Sets the value unless it is there already. */
static int say(tenure_service *s, const struct tenure_instance *i, bytes base)
{
    char *value = instance_write(i, base);
    struct tenure_kv kv = {.value = tenure_str(value)};
    struct instance *next = value ? instance_read(bytes_str(i->service), bytes_str(i->name), &kv) : NULL;
    int rc = !next ? TENURE_ENOMEM : tenure_presence_set(s->main, tenure_str(value), NULL);
    if (rc == 0) {
        instance_unref(s->now);
        s->now = instance_ref(next);
        publish(&s->object);
        follow_with_grpc(s);
    }
    instance_unref(next);
    free(value);
    return rc;
}

static void send_away(tenure_service *s)
{
    s->sent_away = true;
    end_presence(&s->main); /* its end is ours */
    publish(&s->object);
}

static void on_edited(tenure_presence *p, struct tenure_bytes value, void *user)
{
    tenure_service *s = user;
    struct tenure_kv kv = {.value = value};
    struct instance *theirs = instance_read(bytes_str(s->now->pub.service), bytes_str(s->now->pub.name), &kv);
    struct tenure_instance merged = s->now->pub;
    if (!theirs || p != s->main)
        return (void)instance_unref(theirs);
    if (!theirs->pub.error && !theirs->pub.is_grpc) {
        merged.draining = theirs->pub.draining;
        merged.maintenance = theirs->pub.maintenance;
        merged.leaving = theirs->pub.leaving;
        merged.weight = theirs->pub.weight;
    }
    bool same = value.len == s->now->pub.value.len && memcmp(value.data, s->now->pub.value.data, value.len) == 0;
    if (!same && say(s, &merged, result_bytes_in(value)) == 0) {
        if (merged.leaving)
            send_away(s);
        else if (s->o.on_edited)
            s->o.on_edited(s, &s->now->pub, s->o.user);
    }
    instance_unref(theirs);
}

/* ---- the object ---- */

static void service_close(struct object *o, tn_ms now)
{
    (void)now;
    service_of(o)->is_stopped = true; /* the presences are stopped by the close as well */
    object_changed(o);
}

static void service_abort(struct object *o, tn_ms now)
{
    tenure_service *s = service_of(o);
    service_close(o, now);
    over(s, 0, NULL);
}

static bool is_over(const struct object *o)
{
    return service_of(o)->is_stopped && service_of(o)->n_live == 0;
}

static void dealloc(tenure_service *s)
{
    instance_unref(s->now);
    free(s->grpc_path);
    free(s);
}

static void service_free(struct object *o)
{
    tenure_service *s = service_of(o);
    struct tenure_error why;
    error_set(&why, TENURE_ECLOSED, "registry: the handle was closed");
    waiters_answer(&s->waiters, TENURE_ECLOSED, &why);
    dealloc(s);
}

/* Only so that publish is called each turn, behind that of the presence. */
static tn_ms service_deadline(const struct object *o)
{
    (void)o;
    return TN_MS_NEVER;
}

static void service_tick(struct object *o, tn_ms now)
{
    (void)o, (void)now;
}

static const struct object_type service_type = {.deadline = service_deadline,
                                                .tick = service_tick,
                                                .publish = publish,
                                                .close = service_close,
                                                .abort = service_abort,
                                                .is_over = is_over,
                                                .free = service_free};

/* ---- starting ---- */

static tenure_service *service_alloc(tenure_client *c, bytes ns, const struct tenure_service_options *o)
{
    tenure_service *s = calloc(1, sizeof *s + ns.len);
    if (!s)
        return NULL;
    if (ns.len)
        memcpy(s + 1, ns.data, ns.len);
    s->ns = bytes_of(s + 1, ns.len);
    s->o = *o;
    s->o.prefix = s->o.zone = s->o.version = s->o.grpc = NULL;
    s->o.tags = NULL;
    s->o.meta = NULL;
    s->how = (struct tenure_presence_options){.size = sizeof s->how,
                                              .ttl_s = o->ttl_s ? o->ttl_s : TTL_S,
                                              .conflict = o->conflict,
                                              .on_present = on_present,
                                              .on_absent = on_absent,
                                              .on_ended = on_ended,
                                              .on_edited = on_edited,
                                              .user = s};
    s->waiters = (struct waiters){.handle = c, .what = "registry", .look = look, .owner = s};
    list_init(&s->waiters.all);
    return s;
}

/* Its value, read back; NULL with err filled. */
static struct instance *say_first(const struct tenure_instance *i, struct tenure_error *err)
{
    char *value = instance_check(i, err) < 0 ? NULL : instance_write(i, bytes_of(NULL, 0));
    struct tenure_kv kv = {.value = tenure_str(value)};
    struct instance *now = value ? instance_read(bytes_str(i->service), bytes_str(i->name), &kv) : NULL;
    if (!now && (!err || !err->code))
        error_set(err, TENURE_ENOMEM, "registry: out of memory");
    free(value);
    return now;
}

struct start {
    tenure_service *service;
    const char *path;
    struct tenure_error *err;
    bool ok;
};

static void start_run(void *arg)
{
    struct start *t = arg;
    tenure_service *s = t->service;
    tenure_client *c = s->waiters.handle;
    s->main = lib_presence_start(c, s->ns, bytes_str(t->path), result_bytes_in(s->now->pub.value), &s->how, t->err);
    if (!s->main)
        return;
    s->n_live = 1;
    object_init(&s->object, c, &service_type);
    t->ok = true;
}

static tenure_service *start(tenure_client *c, bytes ns, const struct tenure_instance *i, const char *prefix,
                             const struct tenure_service_options *o, struct tenure_error *err)
{
    char *path = instance_path(prefix, i->service, i->name, err);
    tenure_service *s = path ? service_alloc(c, ns, o) : NULL;
    struct start t = {.service = s, .path = path, .err = err};
    if (path && !s)
        error_set(err, TENURE_ENOMEM, "registry: out of memory");
    if (s && (s->now = say_first(i, err)) && o->grpc) {
        char *addr = instance_endpoint(i->address, i->port);
        s->grpc_path = addr ? instance_path(o->grpc, i->service, addr, err) : NULL;
        free(addr);
    }
    bool ok = s && s->now && (!o->grpc || s->grpc_path);
    if (ok && !handle_sync(c, start_run, &t))
        error_set(err, TENURE_ECLOSED, "registry: the handle is closed");
    if (s && !t.ok)
        dealloc(s);
    free(path);
    return t.ok ? s : NULL;
}

static int check_options(const char *service, const char *instance, const struct tenure_service_options *o,
                         struct tenure_error *err)
{
    int rc = instance_name_check("service", service, err);
    rc = rc ? rc : instance_name_check("instance", instance, err);
    if (rc)
        return rc;
    if ((o->n_tags && !o->tags) || (o->n_meta && !o->meta))
        return error_set(err, TENURE_EINVALID, "registry: a number of tags or meta, and none there");
    return 0;
}

static tenure_service *start_as(tenure_client *c, bytes ns, const char *service, const char *instance,
                                const char *address, int32_t port, const struct tenure_service_options *o,
                                struct tenure_error *err)
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    host[bytes_utf8_cut(bytes_str(host), sizeof host)] = 0;
    struct tenure_instance i = {.service = service,
                                .name = instance,
                                .address = address,
                                .port = port,
                                .tags = o->tags,
                                .n_tags = o->n_tags,
                                .meta = o->meta,
                                .n_meta = o->n_meta,
                                .weight = o->weight ? o->weight : 1,
                                .zone = o->zone ? o->zone : "",
                                .version = o->version ? o->version : "",
                                .health = o->health,
                                .draining = o->draining,
                                .host = host,
                                .pid = getpid(),
                                .since_ms = handle_wall_ms(c)};
    return check_options(service, instance, o, err) < 0 ? NULL : start(c, ns, &i, o->prefix, o, err);
}

tenure_service *tenure_register_start(tenure_client *c, const char *service, const char *instance, const char *address,
                                      int32_t port, const struct tenure_service_options *options,
                                      struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_service_options o;
    bytes ns = view_of(&c);
    err = err ? err : &own;
    err->code = 0;
    if (handle_enter(c, err) < 0 || options_take(&o, sizeof o, options, "registry", err) < 0)
        return NULL;
    if (!address || !address[0]) {
        error_set(err, TENURE_EINVALID, "registry: no address");
        return NULL;
    }
    char *name = instance ? NULL : instance_endpoint(address, port);
    tenure_service *s = NULL;
    if (instance || name)
        s = start_as(c, ns, service, instance ? instance : name, address, port, &o, err);
    else
        error_set(err, TENURE_ENOMEM, "registry: out of memory");
    free(name);
    return s;
}

tenure_service *tenure_register(tenure_client *c, const char *service, const char *instance, const char *address,
                                int32_t port, const struct tenure_service_options *o, struct tenure_error *err)
{
    tenure_client *root = c;
    view_of(&root);
    if (handle_enter_blocking(root, "registry", err) < 0)
        return NULL;
    tenure_service *s = tenure_register_start(c, service, instance, address, port, o, err);
    if (s && tenure_service_await(s, 0, err) < 0) {
        tenure_service_stop(s);
        return NULL;
    }
    return s;
}

int tenure_service_await(tenure_service *s, int64_t timeout_ms, struct tenure_error *err)
{
    if (!s)
        return error_set(err, TENURE_EINVALID, "registry: NULL");
    return waiters_await(&s->waiters, timeout_ms, "the instance does not stand yet", err);
}

bool tenure_service_stands(const tenure_service *s)
{
    tn_ms until = s ? atomic_load(&((tenure_service *)s)->stands_until) : 0;
    return until > 0 && !handle_is_forked(s->object.handle) && handle_clock(s->object.handle) < until;
}

/* ---- changing ---- */

struct set {
    tenure_service *service;
    int32_t weight; /* -1 = as it is */
    int health, draining;
    int code;
};

static void set_run(void *arg)
{
    struct set *t = arg;
    tenure_service *s = t->service;
    struct tenure_instance i = s->now->pub;
    if (!s->main || s->has_ended || s->is_stopped) {
        t->code = TENURE_ECLOSED;
        return;
    }
    i.weight = t->weight < 0 ? i.weight : t->weight;
    i.health = t->health < 0 ? i.health : (enum tenure_health)t->health;
    i.draining = t->draining < 0 ? i.draining : t->draining;
    bool same = i.weight == s->now->pub.weight && i.health == s->now->pub.health && i.draining == s->now->pub.draining;
    t->code = same ? 0 : say(s, &i, result_bytes_in(s->now->pub.value));
}

static int set(struct set *t, struct tenure_error *err)
{
    if (!t->service)
        return error_set(err, TENURE_EINVALID, "registry: NULL");
    tenure_client *c = t->service->object.handle;
    int rc = handle_enter(c, err);
    if (rc < 0)
        return rc;
    t->code = TENURE_ECLOSED;
    handle_sync(c, set_run, t);
    return t->code ? error_set(err, t->code, "registry: %s", tenure_error_string(t->code)) : 0;
}

int tenure_service_set_health(tenure_service *s, enum tenure_health h, struct tenure_error *err)
{
    if ((unsigned)h > TENURE_HEALTH_CRITICAL)
        return error_set(err, TENURE_EINVALID, "registry: no such health");
    return set(&(struct set){.service = s, .weight = -1, .health = (int)h, .draining = -1}, err);
}

int tenure_service_set_draining(tenure_service *s, bool draining, struct tenure_error *err)
{
    return set(&(struct set){.service = s, .weight = -1, .health = -1, .draining = draining}, err);
}

int tenure_service_set_weight(tenure_service *s, int32_t weight, struct tenure_error *err)
{
    if (weight < 0 || weight > 65535)
        return error_set(err, TENURE_EINVALID, "registry: a weight beyond 0 to 65535");
    return set(&(struct set){.service = s, .weight = weight, .health = -1, .draining = -1}, err);
}

/* ---- the end ---- */

struct stopping {
    tenure_service *service;
    tenure_presence *main, *grpc;
};

/* What is left to do is the presences'; nothing of the service is touched behind this. */
static void stop_run(void *arg)
{
    struct stopping *t = arg;
    tenure_service *s = t->service;
    t->main = s->main;
    t->grpc = s->grpc;
    s->main = s->grpc = NULL;
    s->is_stopped = true;
    publish(&s->object);
    object_changed(&s->object);
    handle_wants_turn(s->object.handle);
}

void tenure_service_stop(tenure_service *s)
{
    struct stopping t = {.service = s};
    if (!s || handle_is_forked(s->object.handle) || !handle_sync(s->object.handle, stop_run, &t))
        return;
    tenure_presence_stop(t.grpc);
    tenure_presence_stop(t.main);
}
