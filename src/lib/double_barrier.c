/* Double barriers: a session, the engine's participant on it, and one wait at a time: to enter, then to leave.
 *
 *     ENTERING -> INSIDE -> LEAVING -> OVER
 *         +---> FAILED -------------> OVER        leaving of what failed or was lost only ends the session
 *
 * The participant is an object of the handle by itself, so that it lives from the one wait to the other. With its end its
 * session goes, which is revoked: whatever could still be on its way to the server has no lease then. */
#include <tenure/barrier.h>

#include <stdlib.h>

#include "lib/lock_value.h"
#include "lib/session.h"
#include "lib/view.h"
#include "lib/wait.h"
#include "recipes/double_barrier.h"

enum { TTL_DEFAULT_S = 10 };

enum state { ENTERING, INSIDE, FAILED, LEAVING, OVER };

/* The wait to enter, or to leave. */
struct pass {
    tenure_wait wait;
    tenure_double_barrier *barrier;
    const char *name; /* (enter) the caller's: it begins before the call returns */
    int64_t n;
    bool has_begun;  /* (enter) the barrier is an object of the handle */
    bool had_failed; /* (leave) there was nothing to leave */
};

struct tenure_double_barrier {
    struct object object;
    struct tenure_double_barrier_options o;
    char *prefix; /* on a view: with what its keys lie below; NULL = as in o */
    struct lib_session_user on;
    struct double_barrier *engine;
    enum state state;
    bool is_blocking;      /* nobody frees it when it could not enter */
    struct pass *entering; /* under way; NULL = not */
    bool leave_wanted;     /* by leave_start */
    int64_t leave_timeout_ms;
    int left_code;
    struct tenure_error left_error;
    atomic_bool inside; /* any thread */
};

static struct pass *pass_of(tenure_wait *w)
{
    return CONTAINER_OF(w, struct pass, wait);
}

static tenure_double_barrier *barrier_of(const struct object *o)
{
    return CONTAINER_OF(o, tenure_double_barrier, object);
}

static void let_go(tenure_double_barrier *b)
{
    atomic_store(&b->inside, false);
    b->engine = double_barrier_free(b->engine);
    lib_session_unuse(&b->on);
}

static void finish(tenure_double_barrier *b, int code, const struct tenure_error *error)
{
    let_go(b);
    b->left_code = code;
    if (code && error)
        b->left_error = *error;
    b->state = OVER;
    object_changed(&b->object);
}

/* ---- the object ---- */

static void barrier_close(struct object *o, tn_ms now)
{
    (void)now;
    if (barrier_of(o)->state == INSIDE || barrier_of(o)->state == FAILED)
        finish(barrier_of(o), TENURE_ECLOSED, NULL);
}

static bool is_over(const struct object *o)
{
    return barrier_of(o)->state == OVER;
}

static void last_word(struct object *o)
{
    tenure_double_barrier *b = barrier_of(o);
    if (b->leave_wanted && b->o.on_left)
        b->o.on_left(b->left_code, b->left_code ? &b->left_error : NULL, b->o.user);
}

static void dealloc(tenure_double_barrier *b)
{
    free(b->prefix);
    free(b);
}

static void barrier_object_free(struct object *o)
{
    let_go(barrier_of(o));
    dealloc(barrier_of(o));
}

static const struct object_type barrier_type = {
    .close = barrier_close, .is_over = is_over, .last_word = last_word, .free = barrier_object_free};

static void pass_free(tenure_wait *w)
{
    free(pass_of(w));
}

/* ---- leaving, on the loop ---- */

static struct errand *begin_leave(tenure_wait *w, tn_ms now, struct tenure_error *err)
{
    tenure_double_barrier *b = pass_of(w)->barrier;
    struct tenure_error why = {0};
    (void)now;
    struct errand *t = NULL;
    if (b->state == ENTERING || b->state == LEAVING) {
        error_set(err, TENURE_EBUSY, "leave a barrier: it is being %s", b->state == LEAVING ? "left" : "entered");
        return NULL;
    }
    pass_of(w)->had_failed = b->state == FAILED;
    if (b->engine)
        t = double_barrier_leave(b->engine, w->until, wait_done, w, &why);
    if (!t) {
        *err = why;
        finish(b, why.code, err);
        return NULL;
    }
    b->state = LEAVING;
    atomic_store(&b->inside, false);
    return t;
}

static bool left(tenure_wait *w, struct errand *t, tn_ms now)
{
    (void)t, (void)now;
    finish(pass_of(w)->barrier, w->code, &w->error);
    return false;
}

static const struct wait_type leave_type = {
    .what = "leave a barrier", .begin = begin_leave, .ended = left, .free = pass_free};

static struct pass *pass_new(tenure_double_barrier *b, const struct wait_type *type, int64_t timeout_ms,
                             struct tenure_error *err)
{
    tenure_wait *w = wait_new(b->object.handle, sizeof(struct pass), type, timeout_ms, true, err);
    if (!w)
        return NULL;
    pass_of(w)->barrier = b;
    return pass_of(w);
}

/* What cannot be waited for is left by ending the session. */
static void leave_now(tenure_double_barrier *b)
{
    struct tenure_error err = {0};
    struct pass *pass = pass_new(b, &leave_type, b->leave_timeout_ms, &err);
    if (pass)
        wait_without_scope(&pass->wait);
    if (!pass)
        finish(b, err.code, &err);
    else if (wait_begin(&pass->wait, true, NULL, NULL, &err) < 0 && b->state != OVER)
        finish(b, err.code, &err);
}

/* ---- entering, on the loop ---- */

static int engine_new(tenure_double_barrier *b, const struct pass *pass, struct tenure_error *err)
{
    tenure_client *c = b->object.handle;
    int rc = lib_session_use(c, b->o.ttl_s ? b->o.ttl_s : TTL_DEFAULT_S, &b->on, err);
    if (rc < 0)
        return rc;
    char *value = lock_value_new(b->o.purpose ? b->o.purpose : c->purpose, handle_wall_ms(c));
    if (!value)
        return error_set(err, TENURE_ENOMEM, "barrier: out of memory");
    struct double_barrier_options o = {
        .prefix = b->prefix ? b->prefix : b->o.prefix, .name = pass->name, .n = pass->n, .value = bytes_str(value)};
    rc = double_barrier_new(b->on.session->engine, &o, &b->engine, err);
    free(value);
    return rc;
}

static struct errand *begin_enter(tenure_wait *w, tn_ms now, struct tenure_error *err)
{
    struct pass *pass = pass_of(w);
    tenure_double_barrier *b = pass->barrier;
    struct errand *t = NULL;
    (void)now;
    if (engine_new(b, pass, err) == 0)
        t = double_barrier_enter(b->engine, w->until, wait_done, w, err);
    if (!t) {
        let_go(b);
        return NULL;
    }
    b->entering = pass;
    pass->has_begun = true;
    object_init(&b->object, b->object.handle, &barrier_type);
    return t;
}

static bool entered(tenure_wait *w, struct errand *t, tn_ms now)
{
    tenure_double_barrier *b = pass_of(w)->barrier;
    (void)t, (void)now;
    b->entering = NULL;
    if (w->code == 0) {
        b->state = INSIDE;
        lib_session_publish(b->on.session);
        atomic_store(&b->inside, true);
    } else if (b->is_blocking) {
        finish(b, 0, NULL);
    } else {
        let_go(b);
        b->state = FAILED;
    }
    return false;
}

static void after_entering(tenure_double_barrier *b)
{
    if (!b->leave_wanted)
        return;
    if (b->state == INSIDE)
        leave_now(b);
    else if (b->state == FAILED)
        finish(b, 0, NULL);
}

static void complete_enter(tenure_wait *w)
{
    tenure_double_barrier *b = pass_of(w)->barrier;
    bool wanted = b->leave_wanted;
    if (b->o.on_entered)
        b->o.on_entered(b, w->code, w->code ? &w->error : NULL, b->o.user);
    if (wanted)
        after_entering(b);
}

static const struct wait_type enter_type = {
    .what = "enter a barrier", .begin = begin_enter, .ended = entered, .complete = complete_enter, .free = pass_free};

/* ---- at the door ---- */

static struct pass *enter_new(tenure_client *c, bytes ns, const char *name, int64_t n,
                              const struct tenure_double_barrier_options *o, struct tenure_error *err)
{
    struct tenure_double_barrier_options own;
    if (!name || !name[0]) {
        error_set(err, TENURE_EINVALID, "barrier: the name is empty");
        return NULL;
    }
    if (options_take(&own, sizeof own, o, "barrier", err) < 0)
        return NULL;
    if (own.timeout_ms < 0 || own.ttl_s < 0) {
        error_set(err, TENURE_EINVALID, "barrier '%.100s': a negative time", name);
        return NULL;
    }
    tenure_double_barrier *b = calloc(1, sizeof *b);
    if (!b) {
        error_set(err, TENURE_ENOMEM, "barrier: out of memory");
        return NULL;
    }
    b->object.handle = c;
    b->o = own;
    b->prefix = ns.len > 0 ? view_recipe_prefix(ns, own.prefix, "/barriers/", err) : NULL;
    struct pass *pass = ns.len == 0 || b->prefix ? pass_new(b, &enter_type, own.timeout_ms, err) : NULL;
    if (!pass) {
        dealloc(b);
        return NULL;
    }
    pass->name = name;
    pass->n = n;
    return pass;
}

tenure_double_barrier *tenure_double_barrier_enter(tenure_client *c, const char *name, int64_t n,
                                                   const struct tenure_double_barrier_options *o,
                                                   struct tenure_error *err)
{
    bytes ns = view_of(&c);
    if (handle_enter_blocking(c, "barrier", err) < 0)
        return NULL;
    struct pass *pass = enter_new(c, ns, name, n, o, err);
    if (!pass)
        return NULL;
    tenure_double_barrier *b = pass->barrier;
    b->is_blocking = true;
    b->o.on_entered = NULL;
    int rc = wait_block(&pass->wait, err);
    bool has_begun = pass->has_begun;
    wait_unref(&pass->wait);
    if (rc == 0)
        return b;
    if (!has_begun)
        dealloc(b);
    return NULL;
}

tenure_double_barrier *tenure_double_barrier_enter_start(tenure_client *c, const char *name, int64_t n,
                                                         const struct tenure_double_barrier_options *o,
                                                         struct tenure_error *err)
{
    bytes ns = view_of(&c);
    if (handle_enter(c, err) < 0)
        return NULL;
    struct pass *pass = enter_new(c, ns, name, n, o, err);
    if (!pass)
        return NULL;
    tenure_double_barrier *b = pass->barrier;
    /* complete is called only where there is a callback */
    if (wait_begin(&pass->wait, true, (void (*)(void))complete_enter, NULL, err) == 0)
        return b;
    dealloc(b);
    return NULL;
}

bool tenure_double_barrier_inside(const tenure_double_barrier *b)
{
    tenure_double_barrier *own = (tenure_double_barrier *)b;
    return own && !handle_is_forked(own->object.handle) && atomic_load(&own->inside) &&
           lib_session_is_safe(own->on.session);
}

int tenure_double_barrier_leave(tenure_double_barrier *b, int64_t timeout_ms, struct tenure_error *err)
{
    if (!b)
        return 0;
    int rc = handle_enter_blocking(b->object.handle, "barrier", err);
    if (rc < 0)
        return rc;
    struct tenure_error why = {0};
    struct pass *pass = pass_new(b, &leave_type, timeout_ms, &why);
    if (!pass) {
        if (err)
            *err = why;
        return why.code;
    }
    wait_without_scope(&pass->wait);
    rc = wait_block(&pass->wait, &why);
    bool had_failed = pass->had_failed;
    wait_unref(&pass->wait);
    if (had_failed)
        return 0;
    if (rc && err)
        *err = why;
    return rc;
}

static void leave_start_run(void *arg)
{
    tenure_double_barrier *b = arg;
    if (b->leave_wanted)
        return;
    b->leave_wanted = true;
    if (b->entering && b->entering->wait.errand)
        errand_stop(b->entering->wait.errand, TENURE_ECANCELLED, handle_now(b->object.handle));
    else
        after_entering(b);
}

void tenure_double_barrier_leave_start(tenure_double_barrier *b, int64_t timeout_ms)
{
    if (!b || handle_is_forked(b->object.handle))
        return;
    b->leave_timeout_ms = timeout_ms < 0 ? 1 : timeout_ms;
    handle_sync(b->object.handle, leave_start_run, b);
}
