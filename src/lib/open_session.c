/* A session as the program sees it: a user of one of the handle's sessions (session.c), with a state that other threads read,
 * a descriptor, and a callback.
 *
 *     OPENING -> OPEN -> ENDED (lost, or closed beneath it)      Next: freed, once the program let go of it (stop) and
 *        +--------------> ENDED (never granted)                  its session has ended; of the shared one at once
 *
 * What other threads are told errs towards "lost": the times that they compare with are moved by renewals only.
 */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/post.h"
#include "lib/session.h"
#include "lib/view.h"

/* Letting go, from another thread. Made with the session, so that it cannot fail. */
struct letting_go {
    struct post post;
    tenure_session *session;
};

struct tenure_session {
    struct object object;
    struct lib_session_user on;
    struct tenure_session_options o;
    bool is_stopped, leaves, tell_closed;
    enum tenure_session_state told;
    struct tenure_error why; /* of the loss */
    struct scope_link scope; /* of the opening */
    struct post *opening;    /* who waits for the opening; NULL = nobody, or he was answered */
    struct letting_go *letting_go;
    bool letting_go_is_sent, letting_go_is_told;
    int fd;

    /* any thread */
    atomic_int state; /* enum tenure_session_state, as the loop knows it */
    _Atomic(int64_t) ttl_s;
};

static tenure_session *session_of(const struct object *o)
{
    return CONTAINER_OF(o, tenure_session, object);
}

/* ---- letting go ---- */

static void stop(tenure_session *s, bool leave, tn_ms now)
{
    if (s->is_stopped)
        return;
    s->is_stopped = true;
    s->leaves = leave;
    if (!s->on.session->is_shared)
        lib_session_end(s->on.session, leave, now);
    object_changed(&s->object);
}

static void letting_go_run(struct post *p, tn_ms now)
{
    tenure_session *s = CONTAINER_OF(p, struct letting_go, post)->session;
    s->letting_go_is_sent = true;
    stop(s, s->leaves, now);
}

static void letting_go_free(struct post *p)
{
    free(CONTAINER_OF(p, struct letting_go, post));
}

static struct letting_go *letting_go_new(tenure_session *s)
{
    struct letting_go *g = calloc(1, sizeof *g);
    if (!g || post_init(&g->post, letting_go_run, letting_go_free, NULL) < 0) {
        free(g);
        return NULL;
    }
    g->post.must_run = true;
    g->session = s;
    return g;
}

/* ---- memory ---- */

static void dealloc(tenure_session *s)
{
    if (s->letting_go && !s->letting_go_is_sent)
        post_unref(&s->letting_go->post);
    if (s->fd >= 0)
        close(s->fd);
    scope_leave(&s->scope);
    free(s);
}

static void on_change(struct lib_session_user *u);

static tenure_session *alloc(tenure_client *c, const struct tenure_session_options *o, struct tenure_error *err)
{
    tenure_session *s = calloc(1, sizeof *s);
    if (!s) {
        error_set(err, TENURE_ENOMEM, "session: out of memory");
        return NULL;
    }
    s->object.handle = c;
    s->o = *o;
    s->on.on_change = on_change;
    s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->letting_go = letting_go_new(s);
    if (s->fd >= 0 && s->letting_go)
        return s;
    if (s->fd < 0)
        error_set(err, TENURE_EIO, "session: no descriptor could be made for it");
    else
        error_set(err, TENURE_ENOMEM, "session: out of memory");
    dealloc(s);
    return NULL;
}

/* ---- what happens ---- */

static enum tenure_session_state state_of(const struct lib_session *s, tn_ms now)
{
    if (s->ended)
        return TENURE_SESSION_LOST;
    switch (session_state(s->engine)) {
    case SESSION_STARTING:
        return TENURE_SESSION_STARTING;
    case SESSION_ALIVE:
        return session_suspended(s->engine, now) ? TENURE_SESSION_SUSPENDED : TENURE_SESSION_CONNECTED;
    case SESSION_LOST:
    case SESSION_CLOSING:
    case SESSION_CLOSED:
        break;
    }
    return TENURE_SESSION_LOST;
}

static void note(tenure_session *s)
{
    struct lib_session *on = s->on.session;
    lib_session_publish(on);
    s->told = state_of(on, handle_now(s->object.handle));
    if (s->told == TENURE_SESSION_LOST)
        s->why = *session_why(on->engine);
    else if (s->told != TENURE_SESSION_STARTING)
        atomic_store(&s->ttl_s, session_ttl_s(on->engine));
    atomic_store(&s->state, (int)s->told);
}

/* Answers who waits for the opening. One who is not there any more leaves the session to us. */
static void answer(tenure_session *s)
{
    struct post *p = s->opening;
    int code = s->told == TENURE_SESSION_LOST ? s->why.code : 0;
    s->opening = NULL;
    scope_leave(&s->scope);
    if (!post_done(p, code, &s->why) || code != 0)
        stop(s, false, handle_now(s->object.handle));
}

/* Nobody waits for it any more. */
static void cancel(struct scope_link *l, tn_ms now)
{
    tenure_session *s = CONTAINER_OF(l, tenure_session, scope);
    struct post *p = s->opening;
    struct tenure_error err;
    s->opening = NULL;
    scope_leave(l);
    error_set(&err, TENURE_ECANCELLED, "session: cancelled");
    post_done(p, scope_word(l, err.code, "session", &err), &err);
    stop(s, false, now);
}

static void tell(tenure_session *s)
{
    uint64_t one = 1;
    ssize_t n = write(s->fd, &one, sizeof one); /* full: it is readable already */
    (void)n;
    if (s->o.on_state)
        s->o.on_state(s, s->told, s->told == TENURE_SESSION_LOST ? &s->why : NULL, s->o.user);
}

static void on_change(struct lib_session_user *u)
{
    tenure_session *s = CONTAINER_OF(u, tenure_session, on);
    enum tenure_session_state before = s->told;
    note(s);
    object_changed(&s->object);
    if (s->told != before && !s->is_stopped)
        tell(s);
    if (s->opening && s->told != TENURE_SESSION_STARTING)
        answer(s);
}

/* ---- the object ---- */

static void object_close(struct object *o, tn_ms now)
{
    stop(session_of(o), false, now);
}

static bool is_over(const struct object *o)
{
    const tenure_session *s = session_of(o);
    return s->is_stopped && (s->on.session->is_shared || s->on.session->ended);
}

static int end_code(const tenure_session *s)
{
    return s->on.session->is_shared ? 0 : s->on.session->end_code;
}

static void last_word(struct object *o)
{
    tenure_session *s = session_of(o);
    int code = end_code(s);
    struct tenure_error err = {0};
    if (s->letting_go_is_sent) {
        if (code)
            error_set(&err, code, "session %llx: %s", (unsigned long long)atomic_load(&s->on.lease),
                      tenure_error_string(code));
        s->letting_go_is_told = true;
        post_done(&s->letting_go->post, code, &err);
    } else if (s->tell_closed && s->o.on_closed) {
        s->o.on_closed(code, s->o.user);
    }
}

static void object_free(struct object *o)
{
    tenure_session *s = session_of(o);
    struct tenure_error err;
    error_set(&err, TENURE_ECLOSED, "session: the handle was closed");
    lib_session_unuse(&s->on);
    if (s->opening)
        post_done(s->opening, TENURE_ECLOSED, &err);
    if (s->letting_go_is_sent && !s->letting_go_is_told)
        post_done(&s->letting_go->post, TENURE_ECLOSED, &err);
    dealloc(s);
}

static const struct object_type type = {
    .close = object_close, .is_over = is_over, .last_word = last_word, .free = object_free};

/* ---- opening, on the loop ---- */

static bool is_own(const struct tenure_session_options *o)
{
    return o->own || o->ttl_s || o->resume_lease || o->heartbeat_ms;
}

/* Takes s, also on failure. */
static int begin(tenure_session *s, struct tenure_error *err)
{
    tenure_client *c = s->object.handle;
    struct session_options o = {.ttl_s = s->o.ttl_s ? s->o.ttl_s : c->session_ttl_s,
                                .start_timeout_ms = c->call_timeout_ms,
                                .resume = s->o.resume_lease,
                                .heartbeat_ms = s->o.heartbeat_ms};
    int rc = 0;
    if (c->state != HANDLE_OPEN)
        rc = error_set(err, TENURE_ECLOSED, "session: the handle is closed");
    else if (is_own(&s->o))
        rc = lib_session_use_own(c, &o, &s->on, err);
    else
        rc = lib_session_use(c, 0, &s->on, err);
    if (rc < 0) {
        dealloc(s);
        return rc;
    }
    object_init(&s->object, c, &type);
    note(s);
    return 0;
}

static int options_check(const struct tenure_session_options *options, struct tenure_session_options *ret,
                         struct tenure_error *err)
{
    int rc = options_take(ret, sizeof *ret, options, "session", err);
    if (rc == 0 && (ret->ttl_s < 0 || ret->heartbeat_ms < 0))
        rc = error_set(err, TENURE_EINVALID, "session: a negative time");
    return rc;
}

struct start {
    tenure_session *session;
    struct tenure_error *err;
    int code;
};

static void start_run(void *arg)
{
    struct start *s = arg;
    s->code = begin(s->session, s->err);
}

tenure_session *tenure_session_start(tenure_client *c, const struct tenure_session_options *o, struct tenure_error *err)
{
    struct tenure_session_options own;
    view_of(&c);
    if (handle_enter(c, err) < 0 || options_check(o, &own, err) < 0)
        return NULL;
    struct start s = {.session = alloc(c, &own, err), .err = err};
    if (!s.session)
        return NULL;
    if (handle_sync(c, start_run, &s))
        return s.code == 0 ? s.session : NULL;
    dealloc(s.session);
    error_set(err, TENURE_ECLOSED, "session: the handle is closed");
    return NULL;
}

/* ---- opening, blocking ---- */

struct opening {
    struct post post;
    tenure_session *session; /* NULL once the loop has it */
    tenure_session *got;
};

static void opening_free(struct post *p)
{
    struct opening *x = CONTAINER_OF(p, struct opening, post);
    if (x->session)
        dealloc(x->session);
    free(x);
}

static void opening_run(struct post *p, tn_ms now)
{
    struct opening *x = CONTAINER_OF(p, struct opening, post);
    struct tenure_error err = {0};
    tenure_session *s = x->session;
    (void)now;
    x->session = NULL;
    x->got = s;
    s->opening = p;
    tenure_client *c = s->object.handle;
    int rc = scope_join(&s->scope, c, cancel, "session", &err);
    struct client_context *before = scope_enter(&s->scope, c);
    if (rc < 0)
        dealloc(s);
    else
        rc = begin(s, &err);
    scope_exit(c, before);
    if (rc < 0)
        post_done(p, rc, &err);
    else if (s->told != TENURE_SESSION_STARTING)
        answer(s);
}

static struct opening *opening_new(tenure_client *c, const struct tenure_session_options *o, struct tenure_error *err)
{
    struct opening *x = calloc(1, sizeof *x);
    if (!x || post_init(&x->post, opening_run, opening_free, err) < 0) {
        free(x);
        error_set(err, TENURE_ENOMEM, "session: out of memory");
        return NULL;
    }
    x->session = alloc(c, o, err);
    if (x->session) {
        scope_take(&x->session->scope);
        return x;
    }
    post_unref(&x->post);
    return NULL;
}

tenure_session *tenure_session_open(tenure_client *c, const struct tenure_session_options *o, struct tenure_error *err)
{
    struct tenure_session_options own;
    view_of(&c);
    if (handle_enter_blocking(c, "session", err) < 0 || options_check(o, &own, err) < 0)
        return NULL;
    tn_ms until = handle_clock(c) + c->call_timeout_ms + LATE_MS;
    struct opening *x = opening_new(c, &own, err);
    if (!x)
        return NULL;
    tenure_session *s = NULL;
    if (post_send(c, &x->post, err) == 0) {
        if (post_wait(&x->post, until) != POST_DONE)
            error_set(err, TENURE_ETIMEOUT, "session: not granted in time");
        else if (x->post.code == 0)
            s = x->got;
        else if (err)
            *err = x->post.error;
    }
    post_unref(&x->post);
    return s;
}

/* ---- any thread ---- */

static bool is_safe(const tenure_session *s)
{
    return !handle_is_forked(s->object.handle) && lib_session_is_safe(s->on.session);
}

enum tenure_session_state tenure_session_state(const tenure_session *session)
{
    tenure_session *s = (tenure_session *)session;
    if (!s)
        return TENURE_SESSION_LOST;
    enum tenure_session_state state = (enum tenure_session_state)atomic_load(&s->state);
    if (state != TENURE_SESSION_CONNECTED && state != TENURE_SESSION_SUSPENDED)
        return state;
    if (!is_safe(s))
        return TENURE_SESSION_LOST;
    bool suspended = handle_clock(s->object.handle) >= atomic_load(&s->on.session->suspended_from);
    return suspended ? TENURE_SESSION_SUSPENDED : TENURE_SESSION_CONNECTED;
}

int tenure_session_fd(const tenure_session *s)
{
    return s ? s->fd : -1;
}

int64_t tenure_session_remaining_ms(const tenure_session *s)
{
    if (!s || !is_safe(s))
        return 0;
    return atomic_load(&s->on.session->safe_until) - handle_clock(s->object.handle);
}

int64_t tenure_session_lease(const tenure_session *s)
{
    return s ? atomic_load(&((tenure_session *)s)->on.lease) : 0;
}

int64_t tenure_session_ttl_s(const tenure_session *s)
{
    return s ? atomic_load(&((tenure_session *)s)->ttl_s) : 0;
}

void tenure_session_beat(tenure_session *s)
{
    if (s && !handle_is_forked(s->object.handle) && s->on.session->has_gate)
        lib_session_beat(s->on.session);
}

struct lib_session *lib_session_of(const tenure_session *s)
{
    return s->on.session;
}

/* ---- closing ---- */

/* Sends it to the loop and waits. From the sending on s may be gone; the post is ours. */
static int let_go(tenure_session *s, struct tenure_error *err)
{
    tenure_client *c = s->object.handle;
    struct post *p = &s->letting_go->post;
    tn_ms until = handle_clock(c) + c->call_timeout_ms + LATE_MS;
    int rc = post_send(c, p, err);
    if (rc < 0)
        return rc;
    if (post_wait(p, until) != POST_DONE)
        rc = error_set(err, TENURE_ETIMEOUT, "session: no answer in time; its lease ends by itself");
    else
        rc = p->code;
    if (rc < 0 && rc != TENURE_ETIMEOUT && err)
        *err = p->error;
    post_unref(p);
    return rc;
}

int tenure_session_close(tenure_session *s, struct tenure_error *err)
{
    if (!s)
        return 0;
    int rc = handle_enter_blocking(s->object.handle, "session", err);
    return rc < 0 ? rc : let_go(s, err);
}

static void close_start_run(void *arg)
{
    tenure_session *s = arg;
    s->tell_closed = true;
    stop(s, false, handle_now(s->object.handle));
}

void tenure_session_close_start(tenure_session *s)
{
    if (s && !handle_is_forked(s->object.handle))
        handle_sync(s->object.handle, close_start_run, s);
}

int tenure_session_leave(tenure_session *s, struct tenure_error *err)
{
    if (!s)
        return error_set(err, TENURE_EINVALID, "session: NULL");
    tenure_client *c = s->object.handle;
    int rc = handle_enter(c, err);
    if (rc < 0)
        return rc;
    if (s->on.session->is_shared)
        return error_set(err, TENURE_EINVALID, "session: the handle's shared one cannot be left; open one of your own");
    if (!handle_on_loop(c)) {
        s->leaves = true;
        return let_go(s, err);
    }
    bool was_lost = tenure_session_state(s) == TENURE_SESSION_LOST;
    stop(s, true, handle_now(c));
    handle_wants_turn(c);
    return was_lost ? error_set(err, TENURE_ELOST, "session: it had been lost before") : 0;
}
