/* Sessions as objects of a handle.
 *
 * Other threads believe in a lock up to safe_until, which the loop publishes after each turn. It is moved by renewals only,
 * so a loop that is late, or a process that was stopped, leaves an old and smaller one there: never too long. At the loss
 * the engine calls the locks first; each of them marks itself before it calls the program. */
#include "lib/session.h"

#include <stdlib.h>

#include "lib/post.h"
#include "recipes/object.h"

static struct lib_session *session_of(const struct object *o)
{
    return CONTAINER_OF(o, struct lib_session, object);
}

/* ---- what the engine says ---- */

/* Users come at the end while one is told, and go only at the end of a turn. */
static void tell_users(struct lib_session *s)
{
    lib_session_publish(s);
    LIST_FOREACH(it, &s->users)
    {
        struct lib_session_user *u = LIST_ENTRY(it, struct lib_session_user, in_session);
        if (u->on_change)
            u->on_change(u);
    }
}

static void end(struct lib_session *s, int code)
{
    atomic_store(&s->safe_until, 0);
    s->ended = true;
    s->end_code = code;
    object_changed(&s->object);
    if (s->object.handle->shared == s)
        s->object.handle->shared = NULL;
    tell_users(s);
}

/* Told before any lock on it is held: who dies in the queue may want the lease revoked by somebody else. */
static void on_alive(void *user, tn_lease lease)
{
    struct lib_session *s = user;
    LIST_FOREACH(it, &s->users)
    {
        atomic_store(&LIST_ENTRY(it, struct lib_session_user, in_session)->lease, lease);
    }
    tell_users(s);
}

static void on_suspended(void *user, bool suspended)
{
    (void)suspended;
    tell_users(user);
}

static void on_lost(void *user, const struct tenure_error *why)
{
    end(user, why->code);
}

static void on_closed(void *user, int code)
{
    end(user, code);
}

static const struct session_callbacks callbacks = {
    .on_alive = on_alive, .on_lost = on_lost, .on_closed = on_closed, .on_suspended = on_suspended};

/* ---- the object ---- */

static bool is_behind_gate(const struct lib_session *s)
{
    return s->has_gate && session_gated(s->engine);
}

/* A beat that came while the gate was closed is due at once. */
static tn_ms session_object_deadline(const struct object *o)
{
    const struct lib_session *s = session_of(o);
    bool opens = is_behind_gate(s) && atomic_load((_Atomic(tn_ms) *)&s->beat_at) > s->beat_seen;
    return opens ? 0 : session_deadline(s->engine);
}

static void session_object_tick(struct object *o, tn_ms now)
{
    struct lib_session *s = session_of(o);
    if (s->has_gate) {
        tn_ms at = atomic_load(&s->beat_at);
        s->beat_seen = at;
        session_beat(s->engine, at < now ? at : now, now);
    }
    session_tick(s->engine, now);
    if (s->has_gate)
        atomic_store(&s->is_gated, is_behind_gate(s)); /* before the deadline is asked for: no beat falls in between */
}

void lib_session_beat(struct lib_session *s)
{
    atomic_store(&s->beat_at, handle_clock(s->object.handle));
    if (atomic_load(&s->is_gated))
        handle_wake(s->object.handle);
}

void lib_session_publish(struct lib_session *s)
{
    if (s->ended)
        return;
    atomic_store(&s->safe_until, session_safe_until(s->engine));
    atomic_store(&s->suspended_from, session_suspended_from(s->engine));
}

static void publish(struct object *o)
{
    lib_session_publish(session_of(o));
}

void lib_session_end(struct lib_session *s, bool leave, tn_ms now)
{
    tenure_client *c = s->object.handle;
    if (s->ended || s->closing)
        return;
    s->closing = true;
    if (c->shared == s)
        c->shared = NULL;
    if (leave)
        session_leave(s->engine, now);
    else
        session_close(s->engine, now);
    lib_session_publish(s);
    handle_wants_turn(c);
}

/* With the last lock off it the lease has no purpose. */
static void close_unused(struct lib_session *s)
{
    if (list_empty(&s->users))
        lib_session_end(s, false, handle_now(s->object.handle));
}

static void session_object_close(struct object *o, tn_ms now)
{
    (void)now;
    close_unused(session_of(o));
}

/* No answer will come any more. Locks on it are told that they are lost. */
static void session_object_abort(struct object *o, tn_ms now)
{
    struct lib_session *s = session_of(o);
    struct tenure_error why;
    if (s->ended)
        return;
    error_set(&why, TENURE_ECLOSED, "the handle was closed");
    session_give_up(s->engine, &why, now);
    session_tick(s->engine, now);
}

static bool is_over(const struct object *o)
{
    const struct lib_session *s = session_of(o);
    return s->ended && list_empty(&s->users);
}

static void session_object_free(struct object *o)
{
    struct lib_session *s = session_of(o);
    session_free(s->engine);
    free(s);
}

static const struct object_type session_type = {
    .deadline = session_object_deadline,
    .tick = session_object_tick,
    .publish = publish,
    .close = session_object_close,
    .abort = session_object_abort,
    .is_over = is_over,
    .free = session_object_free,
};

/* ---- for locks ---- */

static int open_session(tenure_client *c, const struct session_options *o, bool is_shared, struct lib_session **ret,
                        struct tenure_error *err)
{
    struct lib_session *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, TENURE_ENOMEM, "session: out of memory");
    int rc = session_open(c->engine, o, &callbacks, s, handle_now(c), &s->engine, err);
    if (rc < 0) {
        free(s);
        return rc;
    }
    object_init_first(&s->object, c, &session_type);
    list_init(&s->users);
    s->is_shared = is_shared;
    s->has_gate = o->heartbeat_ms > 0;
    *ret = s;
    return 0;
}

static void use(struct lib_session *s, struct lib_session_user *u)
{
    list_push_back(&s->users, &u->in_session);
    u->session = s;
    atomic_store(&u->lease, session_lease(s->engine)); /* 0 before on_alive */
}

int lib_session_use_own(tenure_client *c, const struct session_options *o, struct lib_session_user *u,
                        struct tenure_error *err)
{
    struct lib_session *s = NULL;
    int rc = open_session(c, o, false, &s, err);
    if (rc == 0)
        use(s, u);
    return rc;
}

/* One that is past its time, but not told so yet, is of no use to anybody. */
static bool is_usable(const struct lib_session *s)
{
    enum session_state state = session_state(s->engine);
    return state == SESSION_STARTING ||
           (state == SESSION_ALIVE && session_valid(s->engine, handle_now(s->object.handle)));
}

int lib_session_join(struct lib_session *s, struct lib_session_user *u, struct tenure_error *err)
{
    if (s->ended || s->closing || s->leaving || !is_usable(s))
        return error_set(err, TENURE_ELOST, "the session has ended");
    use(s, u);
    return 0;
}

struct lib_session *lib_session_find(tenure_client *c, int64_t lease)
{
    LIST_FOREACH(it, &c->timed)
    {
        struct object *o = LIST_ENTRY(it, struct object, in_timed);
        if (o->type != &session_type || session_of(o)->ended || session_of(o)->closing || session_of(o)->leaving)
            continue;
        if (session_lease_drawn(session_of(o)->engine) == lease && is_usable(session_of(o)))
            return session_of(o);
    }
    return NULL;
}

int lib_session_use(tenure_client *c, int64_t ttl_s, struct lib_session_user *u, struct tenure_error *err)
{
    struct lib_session *s = ttl_s == 0 && c->shared && is_usable(c->shared) ? c->shared : NULL;
    if (!s) {
        struct session_options o = {.ttl_s = ttl_s ? ttl_s : c->session_ttl_s, .start_timeout_ms = c->call_timeout_ms};
        int rc = open_session(c, &o, ttl_s == 0, &s, err);
        if (rc < 0)
            return rc;
    }
    if (s->is_shared)
        c->shared = s;
    use(s, u);
    return 0;
}

static bool may_be_used_again(const struct lib_session *s)
{
    return s->is_shared && s->object.handle->shared == s && s->object.handle->state == HANDLE_OPEN;
}

void lib_session_unuse(struct lib_session_user *u)
{
    struct lib_session *s = u->session;
    if (!s)
        return;
    u->session = NULL;
    list_remove(&u->in_session);
    object_changed(&s->object);
    if (!may_be_used_again(s))
        close_unused(s);
}

/* Nobody may join it from now on. */
void lib_session_unuse_soon(struct lib_session_user *u)
{
    struct lib_session *s = u->session;
    bool is_last = s && s->users.next == &u->in_session && s->users.prev == &u->in_session;
    if (!is_last || s->ended || s->closing || may_be_used_again(s))
        return;
    s->leaving = true;
    if (s->object.handle->shared == s)
        s->object.handle->shared = NULL;
    session_close_soon(s->engine, handle_now(s->object.handle));
}

/* ---- for the test kit ---- */

size_t lib_kit_leases(tenure_client *c, int64_t *ret, size_t max)
{
    size_t n = 0;
    LIST_FOREACH(it, &c->timed)
    {
        struct object *o = LIST_ENTRY(it, struct object, in_timed);
        tn_lease lease = o->type == &session_type && !session_of(o)->ended ? session_lease(session_of(o)->engine) : 0;
        if (lease && n < max)
            ret[n] = lease;
        n += lease != 0;
    }
    return n;
}
