/* The life of a wait; see wait.h.
 *
 * A blocked thread waits as long as its errand lives, which has the deadline: what was given to it (an item of a queue) is not
 * lost because the loop was kept busy for a while. The post is done when the object is gone from the handle, so that the
 * waiter may free it at once. */
#include "lib/wait.h"

#include <stdlib.h>

enum { AGAIN_MAX = 5 };

static tenure_wait *wait_of(const struct object *o)
{
    return CONTAINER_OF(o, tenure_wait, object);
}

static void wait_run(struct post *p, tn_ms now);

static void wait_post_free(struct post *p)
{
    tenure_wait *w = CONTAINER_OF(p, tenure_wait, post);
    scope_leave(&w->scope);
    w->type->free(w);
}

tenure_wait *wait_new(tenure_client *c, size_t size, const struct wait_type *type, int64_t timeout_ms, bool is_wait,
                      struct tenure_error *err)
{
    if (timeout_ms < -1 || (!is_wait && timeout_ms < 0)) {
        error_set(err, TENURE_EINVALID, "%s: a timeout of %lld ms", type->what, (long long)timeout_ms);
        return NULL;
    }
    tenure_wait *w = calloc(1, size);
    if (!w || post_init(&w->post, wait_run, wait_post_free, NULL) < 0) {
        free(w);
        error_set(err, TENURE_ENOMEM, "%s: out of memory", type->what);
        return NULL;
    }
    w->handle = c;
    w->type = type;
    w->timeout_ms = timeout_ms;
    w->is_wait = is_wait;
    scope_take(&w->scope);
    return w;
}

void wait_without_scope(tenure_wait *w)
{
    scope_leave(&w->scope);
}

void wait_unref(tenure_wait *w)
{
    post_unref(&w->post);
}

/* ---- the end ---- */

/* Over, when nobody will name it any more. */
static bool is_over(const struct object *o)
{
    const tenure_wait *w = wait_of(o);
    return w->has_ended && (w->is_blocking || w->is_detached || w->is_stopped);
}

/* Servers that refuse each lease at once (no room on the disk) would be asked without a pause. */
static bool too_often(tenure_wait *w, tn_ms now)
{
    if (now >= w->again_until) {
        w->again = 0;
        w->again_until = now + 1000;
    }
    return w->again++ >= AGAIN_MAX;
}

static bool begin_again(tenure_wait *w, tn_ms now)
{
    if (w->is_stopped || w->is_cancelled || w->handle->state != HANDLE_OPEN || too_often(w, now))
        return false;
    struct tenure_error ignored;
    struct client_context *before = scope_enter(&w->scope, w->handle);
    w->errand = w->type->begin(w, now, &ignored);
    scope_exit(w->handle, before);
    if (w->errand)
        errand_start(w->errand, now);
    return w->errand != NULL;
}

void wait_done(void *user, struct errand *t, int code, const struct tenure_error *error)
{
    tenure_wait *w = user;
    tn_ms now = handle_now(w->handle);
    w->code = code;
    w->error = *error;
    if (code == TENURE_ECANCELLED && w->handle->state != HANDLE_OPEN)
        w->code = w->error.code = TENURE_ECLOSED;
    bool again = w->type->ended && w->type->ended(w, t, now);
    w->errand = errand_free(t, now);
    if (again && begin_again(w, now))
        return;
    if (again && w->is_cancelled)
        w->code = error_set(&w->error, TENURE_ECANCELLED, "cancelled");
    scope_leave(&w->scope);
    if (w->code)
        error_wrap(&w->error, "%s", w->type->what);
    if (w->code)
        w->code = scope_word(&w->scope, w->code, w->type->what, &w->error);
    w->has_ended = true;
    object_changed(&w->object);
    if (!w->is_blocking && w->type->complete && w->cb)
        w->type->complete(w);
}

static void stop(tenure_wait *w, tn_ms now)
{
    w->is_stopped = true;
    if (w->errand)
        errand_stop(w->errand, TENURE_ECANCELLED, now);
    object_changed(&w->object);
}

static void cancel(struct scope_link *l, tn_ms now)
{
    tenure_wait *w = CONTAINER_OF(l, tenure_wait, scope);
    w->is_cancelled = true;
    if (w->errand)
        errand_stop(w->errand, TENURE_ECANCELLED, now);
}

/* ---- the object ---- */

static tn_ms deadline(const struct object *o)
{
    const tenure_wait *w = wait_of(o);
    return w->errand ? errand_deadline(w->errand) : TN_MS_NEVER;
}

static void tick(struct object *o, tn_ms now)
{
    if (wait_of(o)->errand)
        errand_tick(wait_of(o)->errand, now);
}

static void publish(struct object *o)
{
    (void)o;
}

static void wait_close(struct object *o, tn_ms now)
{
    stop(wait_of(o), now);
}

static void wait_abort(struct object *o, tn_ms now)
{
    tenure_wait *w = wait_of(o);
    (void)now;
    if (w->errand)
        errand_abort(w->errand, TENURE_ECLOSED, now);
}

static void wait_free(struct object *o)
{
    tenure_wait *w = wait_of(o);
    w->errand = errand_free(w->errand, handle_now(w->handle));
    if (w->type->gone)
        w->type->gone(w);
    if (w->is_blocking)
        post_done(&w->post, w->code, &w->error);
    else
        post_unref(&w->post);
}

static const struct object_type wait_object_type = {
    .deadline = deadline,
    .tick = tick,
    .publish = publish,
    .close = wait_close,
    .abort = wait_abort,
    .is_over = is_over,
    .free = wait_free,
};

/* ---- beginning, on the loop ---- */

static tn_ms until_of(const tenure_wait *w, tn_ms now)
{
    int64_t ms = w->timeout_ms;
    if (w->is_wait && (ms == 0 || ms >= TIMEOUT_MAX_MS))
        return TN_MS_NEVER;
    if (ms <= 0)
        ms = w->handle->call_timeout_ms;
    return now + (ms < TIMEOUT_MAX_MS ? ms : TIMEOUT_MAX_MS);
}

static int enter(tenure_wait *w, tn_ms now, struct tenure_error *err)
{
    if (w->handle->state != HANDLE_OPEN)
        return error_set(err, TENURE_ECLOSED, "%s: the handle is closed", w->type->what);
    struct tenure_error why = {0};
    int rc = scope_join(&w->scope, w->handle, cancel, w->type->what, err);
    if (rc < 0)
        return rc;
    w->until = until_of(w, now);
    struct client_context *before = scope_enter(&w->scope, w->handle);
    w->errand = w->type->begin(w, now, &why);
    scope_exit(w->handle, before);
    if (!w->errand) {
        scope_leave(&w->scope);
        if (err)
            *err = why;
        return why.code ? why.code : TENURE_EINTERNAL;
    }
    object_init(&w->object, w->handle, &wait_object_type);
    errand_start(w->errand, now);
    return 0;
}

static void wait_run(struct post *p, tn_ms now)
{
    tenure_wait *w = CONTAINER_OF(p, tenure_wait, post);
    struct tenure_error err = {0};
    int rc = enter(w, now, &err);
    if (rc < 0)
        post_done(p, rc, &err);
}

/* ---- the two forms ---- */

/* In the test kit, where nobody could be woken by anything else: it would wait for ever. */
static int out_of_patience(tenure_wait *w, struct tenure_error *err)
{
    stop(w, handle_now(w->handle));
    return error_set(err, TENURE_ETIMEOUT, "%s: nothing came within the test kit's patience", w->type->what);
}

int wait_block(tenure_wait *w, struct tenure_error *err)
{
    w->is_blocking = true;
    int rc = post_send(w->handle, &w->post, err);
    if (rc < 0)
        return rc;
    if (post_wait(&w->post, TN_MS_NEVER) != POST_DONE)
        return out_of_patience(w, err);
    if (w->post.code && err)
        *err = w->post.error;
    return w->post.code;
}

struct start {
    tenure_wait *wait;
    struct tenure_error *err;
    int code;
};

static void start_run(void *arg)
{
    struct start *s = arg;
    s->code = enter(s->wait, handle_now(s->wait->handle), s->err);
}

int wait_begin(tenure_wait *w, bool is_detached, void (*cb)(void), void *user, struct tenure_error *err)
{
    struct start s = {.wait = w, .err = err, .code = TENURE_ECLOSED};
    w->is_detached = is_detached;
    w->cb = cb;
    w->user = user;
    if (!handle_sync(w->handle, start_run, &s))
        error_set(err, TENURE_ECLOSED, "%s: the handle is closed", w->type->what);
    if (s.code < 0)
        wait_unref(w);
    return s.code;
}

static void stop_run(void *arg)
{
    tenure_wait *w = arg;
    stop(w, handle_now(w->handle));
}

void tenure_wait_stop(tenure_wait *wait)
{
    if (wait && !handle_is_forked(wait->handle))
        handle_sync(wait->handle, stop_run, wait);
}
