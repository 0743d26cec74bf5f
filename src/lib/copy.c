/* See copy.h. */
#include "lib/copy.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct copy *copy_of(const struct object *o)
{
    return CONTAINER_OF(o, struct copy, object);
}

/* What the time since then is called: the times compared are rounded down. */
static int64_t stale_ms(tn_ms now, tn_ms since)
{
    return now - since + 1;
}

/* ---- what the replica says ---- */

bool copy_tells(const struct copy *k)
{
    return k->object.handle->state == HANDLE_OPEN && !k->is_stopped && !k->has_ended;
}

struct copy_at copy_now(const struct copy *k)
{
    return (struct copy_at){k->revision, stale_ms(handle_clock(k->object.handle), k->current_at)};
}

static void wake(struct copy *k)
{
    uint64_t one = 1;
    ssize_t n = write(k->fd, &one, sizeof one); /* full: it is readable already */
    (void)n;
}

static void over(struct copy *k, int code, const struct tenure_error *error)
{
    if (k->has_ended)
        return;
    k->has_ended = true;
    pthread_mutex_lock(&k->mutex);
    k->code = code;
    k->why = *error;
    pthread_mutex_unlock(&k->mutex);
    wake(k);
    if (!k->is_stopped)
        k->type->on_end(k, code, error);
}

/* A state that cannot be shown must not go unnoticed. */
static void end_without_memory(struct copy *k)
{
    struct tenure_error err;
    replica_cancel_all(k->replica, TENURE_ENOMEM);
    over(k, error_set(&err, TENURE_ENOMEM, "%s: out of memory", k->type->what), &err);
}

static void take_numbers(struct copy *k)
{
    k->revision = replica_revision(k->replica);
    k->current_at = replica_current_at(k->replica);
}

static void publish_numbers(struct copy *k)
{
    pthread_mutex_lock(&k->mutex);
    take_numbers(k);
    pthread_mutex_unlock(&k->mutex);
}

static void show(struct copy *k, const struct view_change *change)
{
    struct keyset_entry *was = NULL;
    if (change->now) {
        keyset_share(&k->keys, keyset_entry_of(change->now), &was);
    } else {
        size_t at = keyset_place(&k->keys, change->was->key);
        was = keyset_is_at(&k->keys, at, change->was->key) ? keyset_take(&k->keys, at) : NULL;
    }
    keyset_unref(was);
}

/* All of a revision is shown at once. */
static int publish(struct copy *k, const struct view_change *changes, size_t n)
{
    pthread_mutex_lock(&k->mutex);
    int rc = keyset_reserve(&k->keys, n);
    for (size_t i = 0; rc == 0 && i < n; i++)
        show(k, &changes[i]);
    if (rc == 0 && k->type->shown)
        rc = k->type->shown(k, changes, n);
    if (rc == 0)
        take_numbers(k);
    pthread_mutex_unlock(&k->mutex);
    return rc;
}

static void on_change(void *user, tn_rev revision, const struct view_change *changes, size_t n)
{
    struct copy *k = user;
    bool first = k->revision == 0;
    (void)revision;
    if (k->has_ended)
        return;
    if (publish(k, changes, n)) {
        end_without_memory(k);
        return;
    }
    if (!copy_tells(k))
        return;
    wake(k);
    if (k->type->on_change(k, changes, n, first))
        end_without_memory(k);
}

static void on_checked(void *user)
{
    publish_numbers(user);
}

static void on_end(void *user, int code, const struct tenure_error *error)
{
    struct copy *k = user;
    struct tenure_error why = *error;
    error_wrap(&why, "%s", k->type->what);
    over(k, code, &why);
}

static const struct replica_callbacks callbacks = {.on_change = on_change, .on_checked = on_checked, .on_end = on_end};

/* ---- the object ---- */

static void stop(struct copy *k)
{
    k->is_stopped = true;
    replica_cancel_all(k->replica, TENURE_ECLOSED);
    object_changed(&k->object);
}

static tn_ms copy_deadline(const struct object *o)
{
    return replica_deadline(copy_of(o)->replica);
}

static void copy_tick(struct object *o, tn_ms now)
{
    replica_tick(copy_of(o)->replica, now);
}

/* Other threads are shown each change when it comes. */
static void nothing_to_publish(struct object *o)
{
    (void)o;
}

static void copy_object_close(struct object *o, tn_ms now)
{
    (void)now;
    replica_cancel_all(copy_of(o)->replica, TENURE_ECLOSED);
}

static void copy_abort(struct object *o, tn_ms now)
{
    struct copy *k = copy_of(o);
    struct tenure_error err;
    over(k, error_set(&err, TENURE_ECLOSED, "%s: the handle was closed", k->type->what), &err);
    stop(k);
    replica_tick(k->replica, now);
}

static bool is_over(const struct object *o)
{
    return copy_of(o)->is_stopped && copy_of(o)->users == 0;
}

static void copy_free(struct object *o)
{
    struct copy *k = copy_of(o);
    k->replica = replica_stop(k->replica, handle_now(o->handle));
    k->type->free(k);
}

static const struct object_type copy_object_type = {
    .deadline = copy_deadline,
    .tick = copy_tick,
    .publish = nothing_to_publish,
    .close = copy_object_close,
    .abort = copy_abort,
    .is_over = is_over,
    .is_passive = true,
    .free = copy_free,
};

/* ---- opening ---- */

int copy_init(struct copy *k, tenure_client *c, const struct copy_type *type, struct tenure_error *err)
{
    k->object.handle = c;
    k->type = type;
    if (pthread_mutex_init(&k->mutex, NULL))
        return error_set(err, TENURE_ENOMEM, "%s: out of memory", type->what);
    k->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (k->fd >= 0)
        return 0;
    pthread_mutex_destroy(&k->mutex);
    return error_set(err, TENURE_EIO, "%s: no descriptor could be made for it", type->what);
}

void copy_fini(struct copy *k)
{
    close(k->fd);
    keyset_fini(&k->keys);
    pthread_mutex_destroy(&k->mutex);
}

struct start {
    struct copy *copy;
    const struct replica_options *o;
    struct tenure_error *err;
    int code;
};

static void start_run(void *arg)
{
    struct start *s = arg;
    struct copy *k = s->copy;
    tenure_client *c = k->object.handle;
    if (c->state != HANDLE_OPEN)
        s->code = error_set(s->err, TENURE_ECLOSED, "%s: the handle is closed", k->type->what);
    else
        s->code = replica_start(c->engine, s->o, &callbacks, k, handle_now(c), &k->replica, s->err);
    if (s->code == 0) {
        object_init(&k->object, c, &copy_object_type);
        handle_wants_turn(c);
    }
}

int copy_start(struct copy *k, const struct replica_options *o, struct tenure_error *err)
{
    struct start s = {.copy = k, .o = o, .err = err, .code = TENURE_ECLOSED};
    if (!handle_sync(k->object.handle, start_run, &s))
        error_set(err, TENURE_ECLOSED, "%s: the handle is closed", k->type->what);
    return s.code;
}

static void close_run(void *arg)
{
    stop(arg);
}

void copy_close(struct copy *k)
{
    if (!handle_is_forked(k->object.handle))
        handle_sync(k->object.handle, close_run, k);
}

int copy_options(struct replica_options *o, const char *what, int64_t check_ms, size_t keys_max, size_t bytes_max,
                 struct tenure_error *err)
{
    if (check_ms < 0)
        return error_set(err, TENURE_EINVALID, "%s: check_ms %lld is below 0", what, (long long)check_ms);
    o->check_ms = check_ms < TIMEOUT_MAX_MS ? check_ms : TIMEOUT_MAX_MS;
    o->keys_max = keys_max;
    o->bytes_max = bytes_max;
    return 0;
}

/* ---- reading ---- */

int copy_enter(const struct copy *k, bool blocks, bool waits, const char *what, const struct tenure_cache_need *need,
               struct replica_need *ret, int64_t *ret_timeout_ms, struct tenure_error *err)
{
    struct tenure_cache_need o;
    if (!k)
        return error_set(err, TENURE_EINVALID, "%s: NULL", what);
    tenure_client *c = k->object.handle;
    int rc = blocks ? handle_enter_blocking(c, what, err) : handle_enter(c, err);
    rc = rc < 0 ? rc : options_take(&o, sizeof o, need, what, err);
    if (rc < 0)
        return rc;
    if (o.max_stale_ms < 0 || o.min_revision < 0 || o.timeout_ms < 0)
        return error_set(err, TENURE_EINVALID, "%s: a time or a revision below 0", what);
    if (o.linearizable && !waits)
        return error_set(err, TENURE_EINVALID, "%s: a linearizable read asks the servers, which this one does not",
                         what);
    tn_ms now = handle_clock(c);
    *ret = (struct replica_need){.asked = o.linearizable, .revision = o.min_revision};
    if (o.max_stale_ms && o.max_stale_ms <= now)
        ret->since = now - o.max_stale_ms + 1;
    *ret_timeout_ms = o.timeout_ms;
    return 0;
}

static int refuse(const struct copy *k, const struct replica_need *need, tn_ms now, struct tenure_error *err)
{
    const char *what = k->type->what;
    if (k->code && err)
        *err = k->why;
    if (k->code)
        return k->code;
    if (k->revision == 0)
        return error_set(err, TENURE_EUNAVAILABLE, "%s: no server has answered yet", what);
    if (k->revision < need->revision)
        return error_set(err, TENURE_ESTALE, "%s: the copy is of revision %lld, needed is %lld", what,
                         (long long)k->revision, (long long)need->revision);
    return error_set(err, TENURE_ESTALE, "%s: the copy may be %lld ms old, allowed are %lld ms", what,
                     (long long)stale_ms(now, k->current_at), (long long)stale_ms(now, need->since));
}

int copy_lock(const struct copy *copy, const struct replica_need *need, struct copy_at *ret, struct tenure_error *err)
{
    struct copy *k = (struct copy *)copy;
    pthread_mutex_lock(&k->mutex);
    tn_ms now =
        handle_clock(k->object.handle); /* before, it may be older than what came while the mutex was waited for */
    *ret = (struct copy_at){k->revision, stale_ms(now, k->current_at)};
    if (!k->code && !need->asked && k->revision > 0 && k->revision >= need->revision && k->current_at >= need->since)
        return 0;
    int rc = refuse(k, need, now, err);
    pthread_mutex_unlock(&k->mutex);
    return rc;
}

void copy_unlock(const struct copy *k)
{
    pthread_mutex_unlock((pthread_mutex_t *)&k->mutex);
}

struct ask *copy_ask(struct copy *k, const struct ask_type *type, const struct replica_need *need, int64_t timeout_ms,
                     bytes key, struct tenure_error *err)
{
    struct ask *a = ask_new(k->object.handle, type, timeout_ms, err);
    if (!a)
        return NULL;
    struct copy_read *r = arena_zalloc(&a->arena, sizeof *r);
    bytes own = key.len > 0 ? arena_copy(&a->arena, key) : key;
    if (!r || (key.len > 0 && !own.data)) {
        error_set(err, TENURE_ENOMEM, "out of memory");
        return ask_drop(a, err);
    }
    *r = (struct copy_read){.copy = k, .need = *need, .key = own};
    a->req.copy = r;
    return a;
}

/* What met the need may not be published: a list that was read again and found nothing changed. */
static void on_waited(void *user, int code, const struct tenure_error *error)
{
    struct ask *a = user;
    struct copy *k = a->req.copy->copy;
    struct tenure_error why = {0};
    if (code) {
        why = *error;
        error_wrap(&why, "%s", k->type->what);
    } else {
        publish_numbers(k);
    }
    k->users--;
    object_changed(&k->object);
    ask_ended(a, &(struct client_result){.code = code, .error = &why});
}

int copy_read_begin(struct ask *a, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    struct copy_read *r = a->req.copy;
    struct copy *k = r->copy;
    if (k->is_stopped)
        return error_set(err, TENURE_ECLOSED, "%s: it is closed", k->type->what);
    if (k->has_ended) {
        *err = k->why;
        return k->code;
    }
    int rc = replica_wait(k->replica, &r->wait, &r->need, now + opt->timeout_ms, on_waited, a, now, err);
    k->users += rc == 0;
    return rc;
}

void copy_read_cancel(struct ask *a, tn_ms now)
{
    (void)now;
    replica_cancel(&a->req.copy->wait);
}

int copy_check_scope(const char *what, struct tenure_error *err)
{
    struct scope_link link = {0};
    scope_take(&link);
    int rc = scope_check(&link, what, err);
    scope_leave(&link);
    return rc;
}
