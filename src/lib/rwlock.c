/* Readers' and writers' locks: locks with another rule (lock.c). A writer's is the mutex. The downgrade is carried to the loop
 * and waited for there: by the caller's thread, or by nobody. */
#include <stdlib.h>

#include "lib/lock.h"
#include "lib/post.h"

static const struct rule reader = {.kind = RULE_READ};

tenure_lock *tenure_rwlock_read(tenure_client *c, const char *name, const struct tenure_lock_options *o,
                                struct tenure_error *err)
{
    return lib_lock_acquire(c, name, &reader, o, err);
}

tenure_lock *tenure_rwlock_write(tenure_client *c, const char *name, const struct tenure_lock_options *o,
                                 struct tenure_error *err)
{
    return tenure_lock_acquire(c, name, o, err);
}

tenure_lock *tenure_rwlock_read_start(tenure_client *c, const char *name, const struct tenure_lock_options *o,
                                      struct tenure_error *err)
{
    return lib_lock_start(c, name, &reader, o, NULL, err);
}

tenure_lock *tenure_rwlock_write_start(tenure_client *c, const char *name, const struct tenure_lock_options *o,
                                       struct tenure_error *err)
{
    return tenure_lock_start(c, name, o, err);
}

/* ---- the downgrade ---- */

struct downgrade {
    struct post post;
    tenure_lock *lock;
};

static void downgrade_free(struct post *p)
{
    free(CONTAINER_OF(p, struct downgrade, post));
}

static void downgrade_ended(tenure_lock *lock, int code, void *user)
{
    struct tenure_error err = {0};
    (void)lock;
    if (code)
        error_set(&err, code, "downgrade: the lock ended before it was shared");
    post_done(user, code, &err);
}

static void downgrade_run(struct post *p, tn_ms now)
{
    struct tenure_error err = {0};
    (void)now;
    int rc = lib_lock_share(CONTAINER_OF(p, struct downgrade, post)->lock, downgrade_ended, p, &err);
    if (rc < 0)
        post_done(p, rc, &err);
}

int tenure_rwlock_downgrade(tenure_lock *lock, struct tenure_error *err)
{
    if (!lock)
        return error_set(err, TENURE_EINVALID, "downgrade: the lock is NULL");
    tenure_client *c = lib_lock_handle(lock);
    int rc = handle_enter_blocking(c, "downgrade", err);
    if (rc < 0)
        return rc;
    struct downgrade *d = calloc(1, sizeof *d);
    if (!d || post_init(&d->post, downgrade_run, downgrade_free, err) < 0) {
        free(d);
        return error_set(err, TENURE_ENOMEM, "downgrade: out of memory");
    }
    d->lock = lock;
    d->post.must_run = true; /* the lock may not be there any more for one that runs later than it is waited for */
    tn_ms until = handle_clock(c) + c->call_timeout_ms + LATE_MS;
    rc = post_send(c, &d->post, err);
    if (rc == 0 && post_wait(&d->post, until) != POST_DONE)
        rc = error_set(err, TENURE_ETIMEOUT, "downgrade: no answer in time; it goes on being tried");
    else if (rc == 0 && (rc = d->post.code) < 0 && err)
        *err = d->post.error;
    post_unref(&d->post);
    return rc;
}

struct start {
    tenure_lock *lock;
    void (*on_done)(tenure_lock *lock, int code, void *user);
    void *user;
    struct tenure_error *err;
    int code;
};

static void start_run(void *arg)
{
    struct start *s = arg;
    s->code = lib_lock_share(s->lock, s->on_done, s->user, s->err);
}

int tenure_rwlock_downgrade_start(tenure_lock *lock, void (*on_done)(tenure_lock *lock, int code, void *user),
                                  void *user, struct tenure_error *err)
{
    if (!lock)
        return error_set(err, TENURE_EINVALID, "downgrade: the lock is NULL");
    struct start s = {.lock = lock, .on_done = on_done, .user = user, .err = err};
    int rc = handle_enter(lib_lock_handle(lock), err);
    if (rc < 0)
        return rc;
    if (!handle_sync(lib_lock_handle(lock), start_run, &s))
        return error_set(err, TENURE_ECLOSED, "downgrade: the handle is closed");
    return s.code;
}
