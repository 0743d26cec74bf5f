/* A lock that is there: what any thread may ask of it, the downgrade, and letting go. */
#include "lib/lock_object.h"

#include <stdlib.h>

tenure_client *lib_lock_handle(const tenure_lock *l)
{
    return l->object.handle;
}

/* ---- any thread ---- */

bool tenure_lock_held(const tenure_lock *lock)
{
    tenure_lock *l = (tenure_lock *)lock;
    return l && !handle_is_forked(l->object.handle) && atomic_load(&l->held) && lib_session_is_safe(l->on.session) &&
           handle_clock(l->object.handle) < atomic_load(&l->believed_until);
}

int64_t tenure_lock_remaining_ms(const tenure_lock *lock)
{
    tenure_lock *l = (tenure_lock *)lock;
    if (!l || handle_is_forked(l->object.handle) || !atomic_load(&l->held))
        return 0;
    tn_ms until = atomic_load(&l->on.session->safe_until), believed = atomic_load(&l->believed_until);
    return (believed < until ? believed : until) - handle_clock(l->object.handle);
}

tenure_token tenure_lock_token(const tenure_lock *lock)
{
    return lock ? atomic_load(&((tenure_lock *)lock)->token) : 0;
}

const char *tenure_lock_key(const tenure_lock *lock)
{
    return lock ? atomic_load(&((tenure_lock *)lock)->key) : "";
}

int64_t tenure_lock_lease(const tenure_lock *lock)
{
    return lock ? atomic_load(&((tenure_lock *)lock)->on.lease) : 0;
}

/* ---- sharing ---- */

int lib_lock_share(tenure_lock *l, void (*on_done)(tenure_lock *l, int code, void *user), void *user,
                   struct tenure_error *err)
{
    if (l->state != HELD || !l->engine || l->is_stopped)
        return error_set(err, TENURE_ENOTHELD, "downgrade: the lock is not held");
    char *value = lib_lock_value(l, true);
    if (!value)
        return error_set(err, TENURE_ENOMEM, "downgrade: out of memory");
    int rc = lock_share(l->engine, bytes_str(value), handle_now(l->object.handle), err);
    free(value);
    if (rc == 0) {
        l->on_shared = on_done;
        l->on_shared_user = user;
    }
    return rc;
}

/* ---- letting go ---- */

/* Whether an outer level holds it still. Only the owner's thread comes here. */
static bool leave_level(tenure_lock *l)
{
    return l->o.reentrant && levels_leave(&l->levels);
}

int tenure_unlock(tenure_lock *lock, struct tenure_error *err)
{
    if (!lock)
        return 0;
    tenure_client *c = lock->object.handle;
    int rc = handle_enter_blocking(c, "unlock", err);
    if (rc < 0)
        return rc;
    if (lock->o.reentrant && !pthread_equal(lock->owner, pthread_self()))
        return error_set(err, TENURE_EINVALID, "unlock '%.150s': another thread acquired it", lock->name);
    if (leave_level(lock))
        return tenure_lock_held(lock) ? 0 : error_set(err, TENURE_ELOST, "unlock '%.150s': it was lost", lock->name);
    atomic_store(&lock->held, false);
    struct post *p = &lock->unlock->post;
    tn_ms until = handle_clock(c) + c->call_timeout_ms + LATE_MS;
    rc = post_send(c, p, err);
    if (rc < 0)
        return rc;
    /* From here on the lock may be gone; the post is ours. */
    if (post_wait(p, until) != POST_DONE)
        rc = error_set(err, TENURE_ETIMEOUT, "unlock: no answer in time; it is freed when its lease ends");
    else
        rc = p->code;
    if (rc < 0 && rc != TENURE_ETIMEOUT && err)
        *err = p->error;
    post_unref(p);
    return rc;
}

static void unlock_start_run(void *arg)
{
    tenure_lock *l = arg;
    l->tell_released = true;
    lib_lock_stop(l, handle_now(l->object.handle));
}

void tenure_unlock_start(tenure_lock *lock)
{
    if (!lock || handle_is_forked(lock->object.handle))
        return;
    atomic_store(&lock->held, false);
    handle_sync(lock->object.handle, unlock_start_run, lock);
}
