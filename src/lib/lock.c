/* Locks: the engine's lock as an object of a handle, with what other threads may ask of it.
 *
 *     ACQUIRING -> HELD -> LOST          Next: OVER from each, once the program let go of it (stop)
 *         |          +---> RELEASING -> OVER
 *         +------> FAILED
 *
 * One that resumes takes over the place of an earlier process first (recipes/takeover.h), without an engine yet.
 *
 * Held is what the atomics say: `held`, set by the loop when the engine said so, and the session's safe-until, compared with
 * the time of the asking. Both only ever err towards "no". Letting go clears `held` on the caller's own thread, first.
 *
 * Failure modes: the acquire fails (the waiter or on_acquired learns why), but a session that is lost while nothing is held
 * yet is replaced, and the wait begins again at the end of the queue; it is lost (on_lost, at safe-until or when the key
 * was seen deleted); a waiter whose time was up before the loop answered leaves, and what he would have got is let go.
 */
#include "lib/lock_object.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/lock_value.h"
#include "recipes/home.h"
#include "recipes/queue.h"

static void leave_session(tenure_lock *l)
{
    l->engine = lock_free(l->engine);
    lib_session_unuse(&l->on);
}

/* ---- the end ---- */

/* A lock that was let go and has nothing under way is over. */
static void settle(tenure_lock *l)
{
    if (!l->is_stopped)
        return;
    if (l->state == LOST)
        l->code = TENURE_ELOST;
    if (l->state == LOST || l->state == FAILED)
        l->state = OVER;
    object_changed(&l->object);
}

void lib_lock_stop(tenure_lock *l, tn_ms now)
{
    atomic_store(&l->held, false);
    if (l->is_stopped)
        return;
    l->is_stopped = true;
    if (l->state == ACQUIRING) {
        if (l->engine) /* else the takeover ends by itself, and then this */
            lock_cancel(l->engine, now);
    } else if (l->state == HELD) {
        l->state = RELEASING;
        lock_release(l->engine, now);
        if (l->o.delay_ms == 0) /* else the revoke, when it is carried out first, looks like a loss */
            lib_session_unuse_soon(&l->on);
    }
    settle(l);
}

/* ---- what the engine says ---- */

static void note_key(tenure_lock *l)
{
    bytes key = lock_key(l->engine);
    memcpy(l->key_text, key.data, key.len); /* prefix, name, slash and 16 digits: it has room for that */
    l->key_text[key.len] = 0;
    atomic_store(&l->key, l->key_text + l->strip);
}

static void note_held(tenure_lock *l, int64_t token)
{
    l->state = HELD;
    scope_leave(&l->scope);
    note_key(l);
    atomic_store(&l->token, token);
    lib_session_publish(l->on.session);
    atomic_store(&l->believed_until, lock_believed_until(l->engine));
    atomic_store(&l->held, true);
}

static void note_failed(tenure_lock *l, int code, const struct tenure_error *error)
{
    l->state = FAILED;
    if (error)
        l->why = *error;
    else
        error_set(&l->why, code, "lock: %s", tenure_error_string(code));
    scope_leave(&l->scope);
    scope_word(&l->scope, code, "lock", &l->why);
    if (l->object.handle->state != HANDLE_OPEN && code == TENURE_ECANCELLED)
        error_set(&l->why, TENURE_ECLOSED, "lock: the handle was closed");
}

/* Answers the waiter. One who has failed, or is not there any more, leaves the lock to us. */
static void answer(tenure_lock *l)
{
    struct post *p = l->acquire;
    l->acquire = NULL;
    int code = l->state == HELD ? 0 : l->why.code;
    if (!post_done(p, code, &l->why) || code != 0)
        lib_lock_stop(l, handle_now(l->object.handle));
}

static void tell_acquired(tenure_lock *l, int code, int64_t token)
{
    if (l->acquire)
        answer(l);
    else if (l->o.on_acquired)
        l->o.on_acquired(l, code ? l->why.code : 0, token, code ? &l->why : NULL, l->o.user);
    settle(l);
}

static bool begin_again(tenure_lock *l);

static void on_acquired(void *user, int code, int64_t token, const struct tenure_error *error)
{
    tenure_lock *l = user;
    bool lease_is_gone = code == TENURE_ELOST || (l->resumes && code == TENURE_ENOTFOUND);
    if (lease_is_gone && begin_again(l))
        return;
    if (code == 0)
        note_held(l, token);
    else
        note_failed(l, code, error);
    tell_acquired(l, code, token);
}

static void on_lost(void *user, const struct tenure_error *why)
{
    tenure_lock *l = user;
    atomic_store(&l->held, false);
    if (l->state != HELD)
        return;
    l->state = LOST;
    l->why = *why;
    if (l->o.on_lost)
        l->o.on_lost(l, &l->why, l->o.user);
    settle(l);
}

static void on_released(void *user, int code)
{
    tenure_lock *l = user;
    l->code = code;
    l->state = OVER;
    object_changed(&l->object);
}

static void on_shared(void *user, int code)
{
    tenure_lock *l = user;
    void (*tell)(tenure_lock *, int, void *) = l->on_shared;
    l->on_shared = NULL;
    if (tell)
        tell(l, code, l->on_shared_user);
}

static void on_believed(void *user, tn_ms until)
{
    tenure_lock *l = user;
    atomic_store(&l->believed_until, until);
}

static const struct lock_callbacks callbacks = {
    .on_believed = on_believed,
    .on_acquired = on_acquired,
    .on_lost = on_lost,
    .on_released = on_released,
    .on_shared = on_shared,
};

/* ---- the object ---- */

static void lock_object_close(struct object *o, tn_ms now)
{
    lib_lock_stop(lock_of(o), now);
}

static bool is_over(const struct object *o)
{
    const tenure_lock *l = lock_of(o);
    return l->is_stopped && l->state == OVER;
}

static void last_word(struct object *o)
{
    tenure_lock *l = lock_of(o);
    if (l->unlock_is_sent) {
        struct tenure_error err = {0};
        if (l->code)
            error_set(&err, l->code, "unlock '%.150s': %s", atomic_load(&l->key), tenure_error_string(l->code));
        l->unlock_is_told = true;
        post_done(&l->unlock->post, l->code, &err);
    } else if (l->tell_released && l->o.on_released) {
        l->o.on_released(l->code, l->o.user);
    }
}

static void lock_object_free(struct object *o)
{
    tenure_lock *l = lock_of(o);
    takeover_drop(&l->takeover, handle_now(o->handle));
    leave_session(l);
    on_shared(l, TENURE_ECLOSED);
    if (l->acquire)
        post_done(l->acquire, TENURE_ECLOSED, NULL);
    if (l->unlock_is_sent && !l->unlock_is_told)
        post_done(&l->unlock->post, TENURE_ECLOSED, NULL);
    lib_lock_dealloc(l);
}

const struct object_type lib_lock_type = {
    .close = lock_object_close,
    .is_over = is_over,
    .last_word = last_word,
    .free = lock_object_free,
};

/* ---- making one, on the loop ---- */

/* What is left of the wait, as the engine counts it. */
static int64_t wait_left(const tenure_lock *l, tn_ms now)
{
    if (l->o.wait_ms <= 0)
        return 0;
    return l->wait_until > now ? l->wait_until - now : 1;
}

/* Of the place to resume. */
static tn_rev create_of(const tenure_lock *l)
{
    return l->object.handle->federated ? home_token_revision(l->o.resume_token) : l->o.resume_token;
}

static int engine_new(tenure_lock *l, tn_ms now, struct tenure_error *err)
{
    char *value = lib_lock_value(l, false);
    if (!value)
        return error_set(err, TENURE_ENOMEM, "lock: out of memory");
    struct lock_options opt = {
        .prefix = l->o.prefix,
        .rule = l->rule,
        .value = bytes_str(value),
        .try_only = l->o.wait_ms < 0,
        .wait_ms = wait_left(l, now),
        .delay_ms = l->o.delay_ms,
        .resume = l->resumes ? create_of(l) : 0,
        .homed = l->object.handle->federated,
    };
    int rc = lock_new(l->on.session->engine, l->name, &opt, &callbacks, l, &l->engine, err);
    free(value);
    if (rc == 0)
        rc = lock_acquire(l->engine, now, err);
    return rc;
}

static int resumed_session(tenure_lock *l, struct tenure_error *err)
{
    tenure_client *c = l->object.handle;
    struct lib_session *there = lib_session_find(c, l->o.resume_lease);
    struct session_options o = {.resume = l->o.resume_lease, .start_timeout_ms = c->call_timeout_ms};
    return there ? lib_session_join(there, &l->on, err) : lib_session_use_own(c, &o, &l->on, err);
}

static int use_session(tenure_lock *l, struct tenure_error *err)
{
    if (l->o.session)
        return lib_session_join(lib_session_of(l->o.session), &l->on, err);
    if (l->resumes)
        return resumed_session(l, err);
    return lib_session_use(l->object.handle, l->o.ttl_s, &l->on, err);
}

static int begin(tenure_lock *l, tn_ms now, struct tenure_error *err)
{
    tenure_client *c = l->object.handle;
    if (c->state != HANDLE_OPEN)
        return error_set(err, TENURE_ECLOSED, "lock '%.100s': the handle is closed", l->name);
    int rc = use_session(l, err);
    if (rc == 0)
        rc = engine_new(l, now, err);
    if (rc < 0)
        leave_session(l);
    return rc;
}

/* The session was lost before anything was held: that is no loss for the program, only a place in the queue. Not for a lock
 * that was given up, nor when the own key was deleted under a session that lives. */
static bool begin_again(tenure_lock *l)
{
    tn_ms now = handle_now(l->object.handle);
    struct tenure_error ignored;
    enum session_state session = session_state(l->on.session->engine);
    if (l->is_stopped || l->is_cancelled || l->o.session || session == SESSION_ALIVE || session == SESSION_STARTING)
        return false;
    if (l->o.wait_ms > 0 && l->wait_until <= now)
        return false;
    leave_session(l);
    l->resumes = false;
    return begin(l, now, &ignored) == 0;
}

/* ---- what an earlier process held ---- */

/* Ours or not: now as always, but that one begins with a place. */
static void on_taken_over(void *user, int code)
{
    tenure_lock *l = user;
    struct tenure_error err = {0};
    l->resumes = code == 0;
    int rc = l->is_stopped || l->is_cancelled
                 ? error_set(&err, TENURE_ECANCELLED, "lock '%.100s': the acquire was cancelled", l->name)
                 : begin(l, handle_now(l->object.handle), &err);
    if (rc == 0)
        return;
    note_failed(l, rc, &err);
    tell_acquired(l, rc, 0);
}

static int take_over(tenure_lock *l, tn_ms now, struct tenure_error *err)
{
    struct client *engine = l->object.handle->engine;
    struct takeover_callbacks cb = {.is_gone = l->o.resume_is_sure ? NULL : lock_value_is_gone,
                                    .on_done = on_taken_over};
    char *value = lock_value_new_mark(l->o.purpose ? l->o.purpose : l->object.handle->purpose,
                                      handle_wall_ms(l->object.handle), client_random(engine));
    char key[QUEUE_NAME_MAX + 18];
    if (!value)
        return error_set(err, TENURE_ENOMEM, "lock: out of memory");
    snprintf(key, sizeof key, "%s%s/%" PRIx64, l->o.prefix ? l->o.prefix : PREFIX_DEFAULT, l->name,
             (uint64_t)l->o.resume_lease);
    struct takeover_place place = {
        .key = bytes_str(key), .words = bytes_str(key), .lease = l->o.resume_lease, .create = create_of(l)};
    int rc = takeover_start(&l->takeover, engine, &place, bytes_str(value), &cb, l, now, err);
    free(value);
    return rc;
}

static int begin_first(tenure_lock *l, tn_ms now, struct tenure_error *err)
{
    if (!l->o.resume_token || l->object.handle->state != HANDLE_OPEN)
        return begin(l, now, err);
    int rc = queue_check_name(l->o.prefix ? l->o.prefix : PREFIX_DEFAULT, l->name, err);
    return rc < 0 ? rc : take_over(l, now, err);
}

/* The end comes by on_acquired, or by the takeover's. */
static void cancel(struct scope_link *link, tn_ms now)
{
    tenure_lock *l = CONTAINER_OF(link, tenure_lock, scope);
    l->is_cancelled = true;
    if (l->state == ACQUIRING && l->engine)
        lock_cancel(l->engine, now);
}

/* Takes l, also on failure. */
int lib_lock_enter(tenure_lock *l, struct tenure_error *err)
{
    tn_ms now = handle_now(l->object.handle);
    l->wait_until = l->o.wait_ms < TIMEOUT_MAX_MS ? now + l->o.wait_ms : TN_MS_NEVER;
    tenure_client *c = l->object.handle;
    int rc = scope_join(&l->scope, c, cancel, "lock", err);
    struct client_context *before = scope_enter(&l->scope, c);
    if (rc == 0)
        rc = begin_first(l, now, err);
    scope_exit(c, before);
    if (rc < 0)
        lib_lock_dealloc(l);
    else
        object_init(&l->object, l->object.handle, &lib_lock_type);
    return rc;
}
