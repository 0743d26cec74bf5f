/* Shared values: a replica (recipes/replica.h) of one key, and reads of it.
 *
 * Each state is shown to other threads as a block that never changes, exchanged under a mutex, with two numbers beside it: the
 * revision that it was last known at, and the time that it is current as of. So a read that these satisfy takes the mutex for a
 * moment and no turn of the loop; any other one is a wait of the replica's.
 *
 * A value that was closed stays until its last call has ended. */
#include "lib/value.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/marks.h"
#include "lib/range.h"
#include "lib/result.h"
#include "lib/view.h"

static tenure_value *value_of(const struct object *o)
{
    return CONTAINER_OF(o, tenure_value, object);
}

/* ---- states ---- */

struct tenure_value_state *value_state_new(const struct kv *kv, tn_rev revision, int64_t stale_ms)
{
    struct tenure_value_state *s = malloc(sizeof *s + kv->value.len + 1);
    if (!s)
        return NULL;
    uint8_t *data = (uint8_t *)(s + 1);
    if (kv->value.len)
        memcpy(data, kv->value.data, kv->value.len);
    data[kv->value.len] = 0;
    *s = (struct tenure_value_state){.exists = kv->version > 0,
                                     .value = {data, kv->value.len},
                                     .version = kv->version,
                                     .create_revision = kv->create_revision,
                                     .mod_revision = kv->mod_revision,
                                     .lease = kv->lease,
                                     .revision = revision,
                                     .stale_ms = stale_ms};
    return s;
}

void tenure_value_state_free(struct tenure_value_state *s)
{
    free(s);
}

static void shown_unref(struct value_shown *s)
{
    if (s && atomic_fetch_sub(&s->refs, 1) == 1)
        free(s);
}

static struct value_shown *shown_new(const struct kv *kv)
{
    static const struct kv absent;
    kv = kv ? kv : &absent;
    struct value_shown *s = malloc(sizeof *s + kv->value.len);
    if (!s)
        return NULL;
    atomic_init(&s->refs, 1);
    s->kv = *kv;
    s->kv.key = bytes_of(NULL, 0);
    s->kv.value = bytes_of(s->data, kv->value.len);
    if (kv->value.len)
        memcpy(s->data, kv->value.data, kv->value.len);
    return s;
}

/* Whether the copy is what is needed, and then the state of it. Any thread. */
static bool look(const tenure_value *value, const struct replica_need *need, struct tenure_value_state **ret, int *code,
                 struct tenure_error *err)
{
    tenure_value *v = (tenure_value *)value;
    pthread_mutex_lock(&v->mutex);
    struct value_shown *s = v->shown;
    tn_rev revision = v->revision;
    tn_ms current_at = v->current_at;
    *code = v->code;
    bool fits = !*code && s && !need->asked && revision >= need->revision && current_at >= need->since;
    if (*code && err)
        *err = v->why;
    if (fits)
        atomic_fetch_add(&s->refs, 1);
    pthread_mutex_unlock(&v->mutex);
    if (!fits)
        return *code != 0;
    *ret = value_state_new(&s->kv, revision, value_stale_ms(handle_clock(v->object.handle), current_at));
    shown_unref(s);
    if (!*ret)
        *code = error_set(err, TENURE_ENOMEM, "value: out of memory");
    return true;
}

/* ---- what the replica says ---- */

static bool tells(const tenure_value *v)
{
    return v->object.handle->state == HANDLE_OPEN && !v->is_stopped && !v->has_ended;
}

static void wake(tenure_value *v)
{
    uint64_t one = 1;
    ssize_t n = write(v->fd, &one, sizeof one); /* full: it is readable already */
    (void)n;
}

static void over(tenure_value *v, int code, const struct tenure_error *error)
{
    if (v->has_ended)
        return;
    v->has_ended = true;
    pthread_mutex_lock(&v->mutex);
    v->code = code;
    v->why = *error;
    pthread_mutex_unlock(&v->mutex);
    wake(v);
    if (v->o.on_end && !v->is_stopped)
        v->o.on_end(v, code, error, v->o.user);
}

static void publish_numbers(tenure_value *v)
{
    pthread_mutex_lock(&v->mutex);
    v->revision = replica_revision(v->replica);
    v->current_at = replica_current_at(v->replica);
    pthread_mutex_unlock(&v->mutex);
}

/* s is given away. */
static void publish_state(tenure_value *v, struct value_shown *s)
{
    pthread_mutex_lock(&v->mutex);
    struct value_shown *before = v->shown;
    v->shown = s;
    v->revision = replica_revision(v->replica);
    v->current_at = replica_current_at(v->replica);
    pthread_mutex_unlock(&v->mutex);
    shown_unref(before);
}

static void tell_change(tenure_value *v, const struct kv *kv)
{
    static const struct kv absent;
    kv = kv ? kv : &absent;
    struct tenure_value_state state = {
        .exists = kv->version > 0,
        .value = result_bytes(kv->value),
        .version = kv->version,
        .create_revision = kv->create_revision,
        .mod_revision = kv->mod_revision,
        .lease = kv->lease,
        .revision = v->revision,
        .stale_ms = value_stale_ms(handle_clock(v->object.handle), v->current_at),
    };
    v->o.on_change(v, &state, v->o.user);
}

/* A state that cannot be shown must not go unnoticed. */
static void end_without_memory(tenure_value *v)
{
    struct tenure_error err;
    replica_cancel_all(v->replica, TENURE_ENOMEM);
    over(v, error_set(&err, TENURE_ENOMEM, "value: out of memory"), &err);
}

static void on_change(void *user, tn_rev revision, const struct view_change *changes, size_t n)
{
    tenure_value *v = user;
    const struct kv *kv = n ? changes[n - 1].now : NULL;
    struct value_shown *s = v->has_ended ? NULL : shown_new(kv);
    (void)revision;
    if (v->has_ended)
        return;
    if (!s) {
        end_without_memory(v);
        return;
    }
    publish_state(v, s);
    if (!tells(v))
        return;
    wake(v);
    if (v->o.on_change)
        tell_change(v, kv);
}

static void on_checked(void *user)
{
    publish_numbers(user);
}

static void on_end(void *user, int code, const struct tenure_error *error)
{
    struct tenure_error why = *error;
    error_wrap(&why, "value");
    over(user, code, &why);
}

static const struct replica_callbacks callbacks = {.on_change = on_change, .on_checked = on_checked, .on_end = on_end};

/* ---- the object ---- */

void value_left(tenure_value *v)
{
    v->users--;
    object_changed(&v->object);
}

static void stop(tenure_value *v)
{
    v->is_stopped = true;
    replica_cancel_all(v->replica, TENURE_ECLOSED);
    object_changed(&v->object);
}

static tn_ms value_deadline(const struct object *o)
{
    return replica_deadline(value_of(o)->replica);
}

static void value_tick(struct object *o, tn_ms now)
{
    replica_tick(value_of(o)->replica, now);
}

/* Other threads are told of each change when it comes. */
static void publish(struct object *o)
{
    (void)o;
}

static void value_close(struct object *o, tn_ms now)
{
    (void)now;
    replica_cancel_all(value_of(o)->replica, TENURE_ECLOSED);
}

static void value_abort(struct object *o, tn_ms now)
{
    tenure_value *v = value_of(o);
    struct tenure_error err;
    over(v, error_set(&err, TENURE_ECLOSED, "value: the handle was closed"), &err);
    stop(v);
    replica_tick(v->replica, now);
}

static bool is_over(const struct object *o)
{
    return value_of(o)->is_stopped && value_of(o)->users == 0;
}

static void dealloc(tenure_value *v)
{
    if (v->fd >= 0)
        close(v->fd);
    shown_unref(v->shown);
    pthread_mutex_destroy(&v->mutex);
    free(v);
}

static void value_free(struct object *o)
{
    tenure_value *v = value_of(o);
    v->replica = replica_stop(v->replica, handle_now(o->handle));
    dealloc(v);
}

static const struct object_type value_type = {
    .deadline = value_deadline,
    .tick = value_tick,
    .publish = publish,
    .close = value_close,
    .abort = value_abort,
    .is_over = is_over,
    .is_passive = true,
    .free = value_free,
};

/* ---- opening ---- */

static tenure_value *alloc(tenure_client *c, bytes ns, bytes key, const struct tenure_value_options *o,
                           struct tenure_error *err)
{
    const char *marks = o->marks ? o->marks : MARKS_PREFIX;
    size_t key_len = ns.len + key.len, marks_len = ns.len + strlen(marks);
    tenure_value *v = calloc(1, sizeof *v + key_len + marks_len + 1);
    if (!v || pthread_mutex_init(&v->mutex, NULL)) {
        free(v);
        error_set(err, TENURE_ENOMEM, "value: out of memory");
        return NULL;
    }
    uint8_t *data = (uint8_t *)(v + 1);
    if (ns.len) {
        memcpy(data, ns.data, ns.len);
        memcpy(data + key_len, ns.data, ns.len);
    }
    memcpy(data + ns.len, key.data, key.len);
    memcpy(data + key_len + ns.len, marks, strlen(marks));
    v->key = bytes_of(data, key_len);
    v->marks = (char *)data + key_len;
    v->object.handle = c;
    v->o = *o;
    v->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (v->fd >= 0)
        return v;
    error_set(err, TENURE_EIO, "value: no descriptor could be made for it");
    dealloc(v);
    return NULL;
}

struct start {
    tenure_value *value;
    struct tenure_error *err;
    int code;
};

static void start_run(void *arg)
{
    struct start *s = arg;
    tenure_value *v = s->value;
    tenure_client *c = v->object.handle;
    struct replica_options o = {.range.key = v->key, .check_ms = v->o.check_ms};
    if (c->state != HANDLE_OPEN)
        s->code = error_set(s->err, TENURE_ECLOSED, "value: the handle is closed");
    else
        s->code = replica_start(c->engine, &o, &callbacks, v, handle_now(c), &v->replica, s->err);
    if (s->code == 0) {
        object_init(&v->object, c, &value_type);
        handle_wants_turn(c);
    }
}

static int options_check(const struct tenure_value_options *options, struct tenure_bytes key,
                         struct tenure_value_options *ret, struct tenure_error *err)
{
    int rc = options_take(ret, sizeof *ret, options, "value", err);
    if (rc < 0)
        return rc;
    if (!key.data || key.len == 0)
        return error_set(err, TENURE_EINVALID, "value: the key is empty");
    if (ret->check_ms < 0)
        return error_set(err, TENURE_EINVALID, "value: check_ms %lld is below 0", (long long)ret->check_ms);
    if (ret->check_ms > TIMEOUT_MAX_MS)
        ret->check_ms = TIMEOUT_MAX_MS;
    return 0;
}

tenure_value *tenure_value_open(tenure_client *c, struct tenure_bytes key, const struct tenure_value_options *options,
                                struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_value_options o;
    bytes ns = view_of(&c);
    err = err ? err : &own;
    if (handle_enter(c, err) < 0 || options_check(options, key, &o, err) < 0)
        return NULL;
    struct start s = {.value = alloc(c, ns, result_bytes_in(key), &o, err), .err = err, .code = TENURE_ECLOSED};
    if (!s.value)
        return NULL;
    if (!handle_sync(c, start_run, &s))
        error_set(err, TENURE_ECLOSED, "value: the handle is closed");
    if (s.code == 0)
        return s.value;
    dealloc(s.value);
    return NULL;
}

int tenure_value_fd(const tenure_value *v)
{
    return v ? v->fd : -1;
}

static void close_run(void *arg)
{
    stop(arg);
}

void tenure_value_close(tenure_value *v)
{
    if (v && !handle_is_forked(v->object.handle))
        handle_sync(v->object.handle, close_run, v);
}

/* ---- reading ---- */

int value_enter(const tenure_value *v, bool blocks, struct tenure_error *err)
{
    if (!v)
        return error_set(err, TENURE_EINVALID, "value: NULL");
    return blocks ? handle_enter_blocking(v->object.handle, "value", err) : handle_enter(v->object.handle, err);
}

static int nowhere(struct tenure_error *err)
{
    return error_set(err, TENURE_EINVALID, "value: there is nowhere to put the answer");
}

int tenure_value_cached(const tenure_value *v, struct tenure_value_state **ret, struct tenure_error *err)
{
    int code = value_enter(v, false, err);
    if (code == 0 && !ret)
        code = nowhere(err);
    if (code < 0 || look(v, &(struct replica_need){0}, ret, &code, err))
        return code;
    return error_set(err, TENURE_EUNAVAILABLE, "value: no server has answered yet");
}

struct value_read {
    tenure_value *value;
    struct replica_need need;
    struct replica_wait wait;
};

/* What met the need may not be published: a list that was read again and found nothing changed. */
static void on_waited(void *user, int code, const struct tenure_error *error)
{
    struct ask *k = user;
    struct tenure_error why = {0};
    if (code) {
        why = *error;
        error_wrap(&why, "value");
    } else {
        publish_numbers(k->req.read->value);
    }
    value_left(k->req.read->value);
    ask_ended(k, &(struct client_result){.code = code, .error = &why});
}

static int read_begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    struct value_read *r = k->req.read;
    tenure_value *v = r->value;
    if (v->is_stopped)
        return error_set(err, TENURE_ECLOSED, "value: it is closed");
    if (v->has_ended) {
        *err = v->why;
        return v->code;
    }
    int rc = replica_wait(v->replica, &r->wait, &r->need, now + opt->timeout_ms, on_waited, k, now, err);
    v->users += rc == 0;
    return rc;
}

static void read_cancel(struct ask *k, tn_ms now)
{
    (void)now;
    replica_cancel(&k->req.read->wait);
}

/* Once it was what was needed it is: it only grows. */
static int read_convert(struct ask *k, const struct client_result *r)
{
    struct tenure_value_state *state = NULL;
    struct tenure_error ignored;
    int code = 0;
    (void)r;
    look(k->req.read->value, &(struct replica_need){0}, &state, &code, &ignored);
    k->result = state;
    return state ? 0 : TENURE_ENOMEM;
}

static void read_complete(struct ask *k, int code, const struct tenure_error *err)
{
    struct tenure_value_state *state = k->result;
    k->result = NULL;
    ((tenure_value_cb)k->cb)(k->user, code, state, err);
}

static const struct ask_type read_type = {.what = "value",
                                          .answers = true,
                                          .begin = read_begin,
                                          .cancel = read_cancel,
                                          .convert = read_convert,
                                          .result_free = free,
                                          .complete = read_complete};

static int need_of(const tenure_value *v, const struct tenure_value_get_options *o, struct replica_need *ret,
                   struct tenure_error *err)
{
    if (o->max_stale_ms < 0 || o->min_revision < 0 || o->timeout_ms < 0)
        return error_set(err, TENURE_EINVALID, "value: a time or a revision below 0");
    tn_ms now = handle_clock(v->object.handle);
    *ret = (struct replica_need){.asked = o->linearizable, .revision = o->min_revision};
    /* The times compared are rounded down; stale_ms is one more than their difference. */
    if (o->max_stale_ms && o->max_stale_ms <= now)
        ret->since = now - o->max_stale_ms + 1;
    return 0;
}

static struct ask *read_ask(tenure_value *v, const struct tenure_value_get_options *o, const struct replica_need *need,
                            struct tenure_error *err)
{
    struct ask *k = ask_new(v->object.handle, &read_type, o->timeout_ms, err);
    if (!k)
        return NULL;
    k->req.read = arena_zalloc(&k->arena, sizeof *k->req.read);
    if (!k->req.read) {
        error_set(err, TENURE_ENOMEM, "out of memory");
        return ask_drop(k, err);
    }
    k->req.read->value = v;
    k->req.read->need = *need;
    return k;
}

/* A scope that is over ends also what needs no server. */
static int check_scope(struct tenure_error *err)
{
    struct scope_link link = {0};
    scope_take(&link);
    int rc = scope_check(&link, "value", err);
    scope_leave(&link);
    return rc;
}

int tenure_value_get(tenure_value *v, const struct tenure_value_get_options *options, struct tenure_value_state **ret,
                     struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_value_get_options o;
    struct replica_need need;
    err = err ? err : &own;
    int rc = value_enter(v, true, err);
    rc = rc < 0 ? rc : options_take(&o, sizeof o, options, "value", err);
    rc = rc < 0 ? rc : need_of(v, &o, &need, err);
    rc = rc < 0 ? rc : check_scope(err);
    if (rc == 0 && !ret)
        rc = nowhere(err);
    if (rc < 0 || look(v, &need, ret, &rc, err))
        return rc;
    return ask_finish(read_ask(v, &o, &need, err), ret, err);
}

int tenure_value_get_start(tenure_value *v, const struct tenure_value_get_options *options, tenure_value_cb cb,
                           void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_value_get_options o;
    struct replica_need need;
    err = err ? err : &own;
    int rc = value_enter(v, false, err);
    rc = rc < 0 ? rc : options_take(&o, sizeof o, options, "value", err);
    rc = rc < 0 ? rc : need_of(v, &o, &need, err);
    return rc < 0 ? rc : ask_go(read_ask(v, &o, &need, err), (void (*)(void))cb, user, err);
}
