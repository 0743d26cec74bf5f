/* Presences: the engine's presence as an object of a handle, which finds it a session, and another one after a loss.
 *
 * Whether it stands is what one atomic says, stands_until: the session's safe-until while the key stands with the newest
 * value, published at the end of each turn; it only ever errs towards "no".
 *
 * The end: by itself (on_ended says why) or by tenure_presence_stop; freed when both have happened.
 */
#include "lib/presence.h"
#include "api/lease.h"

#include <stdlib.h>

#include "lib/marks.h"
#include "lib/post.h"
#include "lib/range.h"
#include "lib/result.h"
#include "lib/view.h"
#include "lib/waiters.h"
#include "recipes/presence.h"

enum { ATTACH_AGAIN_MS = 1000, KEY_MAX_LEN = 65536, VALUE_MAX_LEN = 64 << 20 };

struct stop {
    struct post post;
    tenure_presence *presence;
};

struct tenure_presence {
    struct object object;
    struct presence *engine; /* NULL when it has ended */
    struct lib_session_user on;
    struct marks *own_marks; /* on a session of its own */
    struct tenure_presence_options o;
    char *marks;
    int64_t since_ms;
    tn_ms attach_at; /* TN_MS_NEVER = it is on a session, or has ended */
    bool has_ended, is_stopped;
    int code;
    struct tenure_error why; /* of the end, or of the last absence */
    struct waiters waiters;
    struct stop *stop; /* made with it, so that stopping cannot fail */
    bool stop_is_sent, stop_is_told;
    _Atomic(tn_ms) stands_until; /* any thread */
};

static tenure_presence *presence_of_object(const struct object *o)
{
    return CONTAINER_OF(o, tenure_presence, object);
}

static void publish(struct object *o)
{
    tenure_presence *p = presence_of_object(o);
    bool stands = p->engine && p->on.session && presence_stands(p->engine, handle_now(o->handle));
    atomic_store(&p->stands_until, stands ? session_safe_until(p->on.session->engine) : 0);
}

/* ---- those who wait ---- */

static enum waiters_answer look(void *owner, tn_ms now, struct tenure_error *err)
{
    tenure_presence *p = owner;
    if (!p->has_ended)
        return p->engine && presence_stands(p->engine, now) ? WAITERS_DONE : WAITERS_WAIT;
    *err = p->why;
    return WAITERS_FAILED;
}

int tenure_presence_await(tenure_presence *p, int64_t timeout_ms, struct tenure_error *err)
{
    if (!p)
        return error_set(err, TENURE_EINVALID, "presence: NULL");
    return waiters_await(&p->waiters, timeout_ms, "the key does not stand yet", err);
}

/* ---- sessions ---- */

static void leave_session(tenure_presence *p)
{
    p->own_marks = marks_free(p->own_marks);
    lib_session_unuse(&p->on);
}

static int marks_for(tenure_presence *p, struct marks **ret, struct tenure_error *err)
{
    if (p->o.ttl_s == 0)
        return lib_marks_beside(&p->on, p->marks, ret, err);
    if (marks_new(p->on.session->engine, p->marks, &p->own_marks))
        return error_set(err, TENURE_ENOMEM, "presence: out of memory");
    *ret = p->own_marks;
    return 0;
}

static int attach(tenure_presence *p, tn_ms now, struct tenure_error *err)
{
    struct marks *m = NULL;
    int rc = lib_session_use(p->object.handle, p->o.ttl_s, &p->on, err);
    if (rc < 0)
        return rc;
    rc = marks_for(p, &m, err);
    if (rc == 0) {
        rc = presence_attach(p->engine, p->on.session->engine, m, now);
        if (rc)
            error_set(err, rc, "presence: %s", tenure_error_string(rc));
    }
    if (rc < 0)
        leave_session(p);
    return rc;
}

static void attach_or_later(tenure_presence *p, tn_ms now)
{
    struct tenure_error err;
    p->attach_at = attach(p, now, &err) < 0 ? now + ATTACH_AGAIN_MS : TN_MS_NEVER;
}

/* ---- what the engine says ---- */

static void on_present(void *user, tn_rev create)
{
    tenure_presence *p = user;
    publish(&p->object);
    waiters_answer(&p->waiters, 0, NULL);
    if (p->o.on_present)
        p->o.on_present(p, create, p->o.user);
}

static void on_absent(void *user, const struct tenure_error *why)
{
    tenure_presence *p = user;
    atomic_store(&p->stands_until, 0);
    if (p->o.on_absent)
        p->o.on_absent(p, why, p->o.user);
}

static void over(tenure_presence *p, int code, const struct tenure_error *why)
{
    if (p->has_ended)
        return;
    p->has_ended = true;
    p->code = code;
    p->attach_at = TN_MS_NEVER;
    if (code && why)
        p->why = *why;
    else
        error_set(&p->why, TENURE_ECLOSED, "presence: it was stopped");
    atomic_store(&p->stands_until, 0);
    object_changed(&p->object);
    waiters_answer(&p->waiters, code ? code : TENURE_ECLOSED, &p->why);
    if (p->o.on_ended)
        p->o.on_ended(p, code, code ? &p->why : NULL, p->o.user);
}

/* The next session begins at once behind one that was lost, and after a while behind one that was refused before it began (no
 * room on the disk, say): it would be again. One that is denied for good is denied the next time, too. */
static void on_adrift(void *user, const struct tenure_error *why)
{
    tenure_presence *p = user;
    bool has_begun = atomic_load(&p->on.lease) != 0;
    leave_session(p);
    if (why->code == TENURE_EDENIED || p->is_stopped) {
        presence_stop(p->engine, handle_now(p->object.handle));
        over(p, p->is_stopped ? 0 : why->code, why);
        return;
    }
    if (has_begun)
        attach_or_later(p, handle_now(p->object.handle));
    else
        p->attach_at = handle_now(p->object.handle) + ATTACH_AGAIN_MS;
}

static void on_ended(void *user, int code, const struct tenure_error *why)
{
    over(user, code, why);
}

static void on_edited(void *user, bytes value)
{
    tenure_presence *p = user;
    if (p->o.on_edited)
        p->o.on_edited(p, result_bytes(value), p->o.user);
}

static const struct presence_callbacks callbacks = {
    .on_present = on_present, .on_absent = on_absent, .on_adrift = on_adrift, .on_ended = on_ended};
static const struct presence_callbacks callbacks_with_edits = {.on_present = on_present,
                                                               .on_absent = on_absent,
                                                               .on_edited = on_edited,
                                                               .on_adrift = on_adrift,
                                                               .on_ended = on_ended};

/* ---- the object ---- */

static tn_ms presence_object_deadline(const struct object *o)
{
    return presence_of_object(o)->attach_at;
}

static void presence_object_tick(struct object *o, tn_ms now)
{
    tenure_presence *p = presence_of_object(o);
    if (p->attach_at <= now)
        attach_or_later(p, now);
}

static void stop(tenure_presence *p, tn_ms now)
{
    bool was_stopped = p->is_stopped;
    p->is_stopped = true;
    object_changed(&p->object);
    atomic_store(&p->stands_until, 0);
    if (!was_stopped && !p->has_ended && presence_stop(p->engine, now))
        over(p, 0, NULL);
}

static void presence_object_close(struct object *o, tn_ms now)
{
    stop(presence_of_object(o), now);
}

static void presence_object_abort(struct object *o, tn_ms now)
{
    tenure_presence *p = presence_of_object(o);
    stop(p, now);
    over(p, 0, NULL);
}

static bool is_over(const struct object *o)
{
    return presence_of_object(o)->has_ended && presence_of_object(o)->is_stopped;
}

static void last_word(struct object *o)
{
    tenure_presence *p = presence_of_object(o);
    if (!p->stop_is_sent)
        return;
    p->stop_is_told = true;
    post_done(&p->stop->post, 0, NULL);
}

static void dealloc(tenure_presence *p)
{
    if (p->stop && !p->stop_is_sent)
        post_unref(&p->stop->post);
    else if (p->stop && !p->stop_is_told)
        post_done(&p->stop->post, TENURE_ECLOSED, NULL);
    free(p->marks);
    free(p);
}

static void presence_object_free(struct object *o)
{
    tenure_presence *p = presence_of_object(o);
    struct tenure_error why;
    error_set(&why, TENURE_ECLOSED, "presence: the handle was closed");
    waiters_answer(&p->waiters, TENURE_ECLOSED, &why);
    p->engine = presence_free(p->engine);
    leave_session(p);
    dealloc(p);
}

static const struct object_type presence_type = {
    .deadline = presence_object_deadline,
    .tick = presence_object_tick,
    .publish = publish,
    .close = presence_object_close,
    .abort = presence_object_abort,
    .is_over = is_over,
    .last_word = last_word,
    .free = presence_object_free,
};

/* ---- starting ---- */

static void stop_run(struct post *post, tn_ms now)
{
    tenure_presence *p = CONTAINER_OF(post, struct stop, post)->presence;
    p->stop_is_sent = true;
    stop(p, now);
}

static void stop_free(struct post *post)
{
    free(CONTAINER_OF(post, struct stop, post));
}

static struct stop *stop_new(tenure_presence *p)
{
    struct stop *s = calloc(1, sizeof *s);
    if (!s || post_init(&s->post, stop_run, stop_free, NULL) < 0) {
        free(s);
        return NULL;
    }
    s->post.must_run = true;
    s->presence = p;
    return s;
}

static tenure_presence *presence_alloc(tenure_client *c, bytes key, bytes value,
                                       const struct tenure_presence_options *o)
{
    struct presence_options opt = {.conflict = (enum presence_conflict)o->conflict,
                                   .yield_to_delete = o->yield_to_delete};
    const struct presence_callbacks *cb = o->on_edited ? &callbacks_with_edits : &callbacks;
    tenure_presence *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->waiters = (struct waiters){.handle = c, .what = "presence", .look = look, .owner = p};
    list_init(&p->waiters.all);
    p->o = *o;
    p->attach_at = TN_MS_NEVER;
    p->since_ms = handle_wall_ms(c);
    p->marks = o->marks ? strdup(o->marks) : NULL;
    p->stop = stop_new(p);
    if ((o->marks && !p->marks) || !p->stop || presence_new(c->engine, key, value, &opt, cb, p, &p->engine)) {
        dealloc(p);
        return NULL;
    }
    return p;
}

struct start {
    tenure_client *handle;
    bytes key, value;
    const struct tenure_presence_options *o;
    tenure_presence *presence;
    struct tenure_error *err;
};

static void start_run(void *arg)
{
    struct start *s = arg;
    if (s->handle->state != HANDLE_OPEN) {
        error_set(s->err, TENURE_ECLOSED, "presence: the handle is closed");
        return;
    }
    tenure_presence *p = presence_alloc(s->handle, s->key, s->value, s->o);
    if (!p) {
        error_set(s->err, TENURE_ENOMEM, "presence: out of memory");
        return;
    }
    object_init(&p->object, s->handle, &presence_type);
    attach_or_later(p, handle_now(s->handle));
    s->presence = p;
}

static int check(bytes key, bytes value, const struct tenure_presence_options *o, struct tenure_error *err)
{
    if (!key.data || (value.len > 0 && !value.data) || key.len == 0 || key.len > KEY_MAX_LEN ||
        value.len > VALUE_MAX_LEN)
        return error_set(err, TENURE_EINVALID, "presence: a key that is empty, or a key or value that is too long");
    if (o->ttl_s < 0 || o->ttl_s == 1 || o->ttl_s > LEASE_TTL_MAX_S || (unsigned)o->conflict > TENURE_CONFLICT_WAIT ||
        (o->marks && strlen(o->marks) > COMMIT_PREFIX_MAX))
        return error_set(
            err, TENURE_EINVALID,
            "presence: a TTL below 2 s or beyond all, no such conflict rule, or too long a prefix of marks");
    return 0;
}

/* The key, and the marks, below a view's prefix. */
static int put_below(struct start *s, bytes ns, struct tenure_presence_options *o, struct arena *a)
{
    if (ns.len == 0 || !s->key.data)
        return 0;
    s->key = range_key_below(ns, s->key, a);
    o->marks = arena_printf(a, "%.*s%s", (int)ns.len, (const char *)ns.data, o->marks ? o->marks : MARKS_PREFIX);
    return s->key.data && o->marks ? 0 : error_set(s->err, TENURE_ENOMEM, "presence: out of memory");
}

tenure_presence *lib_presence_start(tenure_client *c, bytes ns, bytes key, bytes value,
                                    const struct tenure_presence_options *options, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_presence_options o;
    struct arena a;
    struct start s = {.handle = c, .key = key, .value = value, .o = &o, .err = err ? err : &own};
    if (options_take(&o, sizeof o, options, "presence", err) < 0)
        return NULL;
    arena_init(&a, 0);
    bool ok = (key.len == 0 || put_below(&s, ns, &o, &a) == 0) && check(s.key, value, &o, err) == 0;
    if (ok && !handle_sync(c, start_run, &s))
        error_set(err, TENURE_ECLOSED, "presence: the handle is closed");
    arena_fini(&a);
    return s.presence;
}

tenure_presence *tenure_presence_start(tenure_client *c, struct tenure_bytes key, struct tenure_bytes value,
                                       const struct tenure_presence_options *o, struct tenure_error *err)
{
    bytes ns = view_of(&c);
    if (handle_enter(c, err) < 0)
        return NULL;
    return lib_presence_start(c, ns, result_bytes_in(key), result_bytes_in(value), o, err);
}

int64_t lib_presence_since(const tenure_presence *p)
{
    return p->since_ms;
}

tenure_client *lib_presence_handle(const tenure_presence *p)
{
    return p->object.handle;
}

tn_ms lib_presence_stands_until(const tenure_presence *p)
{
    return atomic_load(&((tenure_presence *)p)->stands_until);
}

/* ---- another value ---- */

struct set {
    tenure_presence *presence;
    bytes value;
    int code;
};

static void set_run(void *arg)
{
    struct set *s = arg;
    tenure_presence *p = s->presence;
    if (p->has_ended || p->is_stopped) {
        s->code = TENURE_ECLOSED;
        return;
    }
    s->code = presence_set(p->engine, s->value, handle_now(p->object.handle));
    publish(&p->object);
}

int tenure_presence_set(tenure_presence *p, struct tenure_bytes value, struct tenure_error *err)
{
    if (!p)
        return error_set(err, TENURE_EINVALID, "presence: NULL");
    tenure_client *c = p->object.handle;
    struct set s = {.presence = p, .value = result_bytes_in(value), .code = TENURE_ECLOSED};
    int rc = handle_enter(c, err);
    if (rc < 0)
        return rc;
    if (value.len > VALUE_MAX_LEN || (value.len > 0 && !value.data))
        return error_set(err, TENURE_EINVALID, "presence: a value that is too long, or has a length and no data");
    handle_sync(c, set_run, &s);
    return s.code ? error_set(err, s.code, "presence: %s", tenure_error_string(s.code)) : 0;
}

/* ---- any thread ---- */

bool tenure_presence_stands(const tenure_presence *p)
{
    tn_ms until = p ? atomic_load(&((tenure_presence *)p)->stands_until) : 0;
    return until > 0 && !handle_is_forked(p->object.handle) && handle_clock(p->object.handle) < until;
}

/* ---- stopping ---- */

static void stop_elsewhere(tenure_presence *p, tenure_client *c)
{
    struct post *post = &p->stop->post;
    tn_ms until = handle_clock(c) + c->call_timeout_ms + LATE_MS;
    if (post_send(c, post, NULL) < 0)
        return; /* closing, and that stops it */
    post_wait(post, until);
    post_unref(post);
}

void tenure_presence_stop(tenure_presence *p)
{
    if (!p || handle_is_forked(p->object.handle))
        return;
    tenure_client *c = p->object.handle;
    if (!handle_on_loop(c)) {
        stop_elsewhere(p, c);
        return;
    }
    struct client_context *before = scope_enter(NULL, c);
    stop(p, handle_now(c));
    scope_exit(c, before);
    handle_wants_turn(c);
}
