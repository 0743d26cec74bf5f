/* Sessions as objects of a handle.
 *
 * Other threads believe in a lock up to safe_until, which the loop publishes after each turn. It is moved by renewals only,
 * so a loop that is late, or a process that was stopped, leaves an old and smaller one there: never too long. At the loss
 * the engine calls the locks first; each of them marks itself before it calls the program. */
#include "lib/session.h"

#include <stdlib.h>

static struct lib_session *session_of(const struct object *o)
{
    return CONTAINER_OF(o, struct lib_session, object);
}

/* ---- what the engine says ---- */

static void end(struct lib_session *s)
{
    atomic_store(&s->safe_until, 0);
    s->ended = true;
    object_changed(&s->object);
    if (s->object.handle->shared == s)
        s->object.handle->shared = NULL;
}

/* Told before any lock on it is held: who dies in the queue may want the lease revoked by somebody else. */
static void on_alive(void *user, tn_lease lease)
{
    struct lib_session *s = user;
    LIST_FOREACH(it, &s->users)
    {
        atomic_store(&LIST_ENTRY(it, struct lib_session_user, in_session)->lease, lease);
    }
}

static void on_lost(void *user, const struct tenure_error *why)
{
    (void)why;
    end(user);
}

static void on_closed(void *user, int code)
{
    (void)code;
    end(user);
}

static const struct session_callbacks callbacks = {.on_alive = on_alive, .on_lost = on_lost, .on_closed = on_closed};

/* ---- the object ---- */

static tn_ms session_object_deadline(const struct object *o)
{
    return session_deadline(session_of(o)->engine);
}

static void session_object_tick(struct object *o, tn_ms now)
{
    session_tick(session_of(o)->engine, now);
}

void lib_session_publish(struct lib_session *s)
{
    if (!s->ended)
        atomic_store(&s->safe_until, session_safe_until(s->engine));
}

static void publish(struct object *o)
{
    lib_session_publish(session_of(o));
}

/* With the last lock off it the lease has no purpose. */
static void close_unused(struct lib_session *s)
{
    tenure_client *c = s->object.handle;
    if (!list_empty(&s->users) || s->ended || s->closing)
        return;
    s->closing = true;
    if (c->shared == s)
        c->shared = NULL;
    session_close(s->engine, handle_now(c));
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

static int open_session(tenure_client *c, int64_t ttl_s, bool is_shared, struct lib_session **ret,
                        struct tenure_error *err)
{
    struct lib_session *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, TENURE_ENOMEM, "session: out of memory");
    struct session_options opt = {.ttl_s = ttl_s, .start_timeout_ms = c->call_timeout_ms};
    int rc = session_open(c->engine, &opt, &callbacks, s, handle_now(c), &s->engine, err);
    if (rc < 0) {
        free(s);
        return rc;
    }
    object_init_first(&s->object, c, &session_type);
    list_init(&s->users);
    s->is_shared = is_shared;
    *ret = s;
    return 0;
}

/* One that is past its time, but not told so yet, is of no use to a new lock. */
static struct lib_session *usable_shared(tenure_client *c)
{
    struct lib_session *s = c->shared;
    if (!s)
        return NULL;
    enum session_state state = session_state(s->engine);
    bool ok = state == SESSION_STARTING || (state == SESSION_ALIVE && session_valid(s->engine, handle_now(c)));
    return ok ? s : NULL;
}

int lib_session_use(tenure_client *c, int64_t ttl_s, struct lib_session_user *u, struct tenure_error *err)
{
    struct lib_session *s = ttl_s == 0 ? usable_shared(c) : NULL;
    if (!s) {
        int rc = open_session(c, ttl_s ? ttl_s : c->session_ttl_s, ttl_s == 0, &s, err);
        if (rc < 0)
            return rc;
    }
    if (s->is_shared)
        c->shared = s;
    list_push_back(&s->users, &u->in_session);
    u->session = s;
    atomic_store(&u->lease, session_lease(s->engine)); /* 0 before on_alive */
    return 0;
}

void lib_session_unuse(struct lib_session_user *u)
{
    struct lib_session *s = u->session;
    if (!s)
        return;
    u->session = NULL;
    list_remove(&u->in_session);
    object_changed(&s->object);
    if (!s->is_shared || s->object.handle->shared != s)
        close_unused(s);
}
