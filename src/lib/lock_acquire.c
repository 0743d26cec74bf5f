/* The doors of a lock: what is asked for is checked and copied, then begun on the loop, and waited for or not. A thread that has
 * a re-entrant one already gets it again here. */
#include "lib/lock_object.h"

#include <stdlib.h>

#include "lib/view.h"
#include "recipes/delay.h"

/* ---- at the door ---- */

static int resume_check(const char *name, struct tenure_lock_options *o, struct tenure_error *err)
{
    if (o->session && o->resume_token && !o->resume_lease)
        o->resume_lease = tenure_session_lease(o->session);
    if (o->resume_token < 0 || !o->resume_token != !o->resume_lease)
        return error_set(err, TENURE_EINVALID, "lock '%.100s': to resume it takes a lease and a token", name);
    if (o->session && o->resume_token && o->resume_lease != tenure_session_lease(o->session))
        return error_set(err, TENURE_EINVALID, "lock '%.100s': the session is not on the lease to resume", name);
    return 0;
}

static int options_check(const char *name, const struct rule *rule, const struct tenure_lock_options *options,
                         struct tenure_lock_options *ret, struct tenure_error *err)
{
    if (!name || !name[0])
        return error_set(err, TENURE_EINVALID, "lock: the name is empty");
    int rc = options_take(ret, sizeof *ret, options, "lock", err);
    if (rc == 0 && (ret->wait_ms < -1 || ret->ttl_s < 0))
        rc = error_set(err, TENURE_EINVALID, "lock '%.100s': a negative time", name);
    if (rc == 0 && ret->session && ret->ttl_s)
        rc = error_set(err, TENURE_EINVALID, "lock '%.100s': a TTL beside a session, which has its own", name);
    if (rc == 0 && (ret->delay_ms < 0 || ret->delay_ms > DELAY_MAX_MS))
        rc =
            error_set(err, TENURE_EINVALID, "lock '%.100s': a delay that is not within 0 to %d ms", name, DELAY_MAX_MS);
    if (rc == 0)
        rc = resume_check(name, ret, err);
    if (rc == 0 && (ret->delay_ms || ret->resume_token) && rule->kind != RULE_WHOLE)
        rc = error_set(err, TENURE_EINVALID, "lock '%.100s': readers and permits have no delay, and are not resumed",
                       name);
    if (rc == 0 && ret->reentrant && rule->kind != RULE_WHOLE)
        rc = error_set(err, TENURE_EINVALID, "lock '%.100s': readers and permits are not re-entrant", name);
    return rc;
}

struct start {
    tenure_lock *lock;
    struct tenure_error *err;
    int code;
};

static void start_run(void *arg)
{
    struct start *s = arg;
    s->code = lib_lock_enter(s->lock, s->err);
}

tenure_lock *lib_lock_start(tenure_client *c, const char *name, const struct rule *rule,
                            const struct tenure_lock_options *o, const struct scope_link *part_of,
                            struct tenure_error *err)
{
    struct tenure_lock_options own;
    bytes ns = view_of(&c);
    if (handle_enter(c, err) < 0 || options_check(name, rule, o, &own, err) < 0)
        return NULL;
    if (own.reentrant) {
        error_set(err, TENURE_EINVALID, "lock '%.100s': a re-entrant one needs a thread that waits for it", name);
        return NULL;
    }
    struct start s = {.lock = lib_lock_alloc(c, ns, name, rule, &own, err), .err = err};
    if (!s.lock)
        return NULL;
    if (part_of)
        scope_lend(&s.lock->scope, part_of);
    if (handle_sync(c, start_run, &s))
        return s.code == 0 ? s.lock : NULL;
    lib_lock_dealloc(s.lock);
    error_set(err, TENURE_ECLOSED, "lock '%.100s': the handle is closed", name);
    return NULL;
}

tenure_lock *tenure_lock_start(tenure_client *c, const char *name, const struct tenure_lock_options *o,
                               struct tenure_error *err)
{
    static const struct rule whole;
    return lib_lock_start(c, name, &whole, o, NULL, err);
}

/* ---- acquiring, blocking ---- */

struct acquire {
    struct post post;
    tenure_lock *lock; /* NULL once the loop has it */
    tenure_lock *got;
};

static void acquire_free(struct post *p)
{
    struct acquire *a = CONTAINER_OF(p, struct acquire, post);
    if (a->lock)
        lib_lock_dealloc(a->lock);
    free(a);
}

static bool is_same_name(const tenure_lock *a, const tenure_lock *b)
{
    const char *of_a = a->o.prefix ? a->o.prefix : PREFIX_DEFAULT, *of_b = b->o.prefix ? b->o.prefix : PREFIX_DEFAULT;
    return strcmp(a->name, b->name) == 0 && strcmp(of_a, of_b) == 0;
}

/* The lock of that name that l's thread has already. */
static tenure_lock *find_outer(const tenure_lock *l)
{
    LIST_FOREACH(it, &l->object.handle->objects)
    {
        struct object *o = LIST_ENTRY(it, struct object, in_handle);
        tenure_lock *other = o->type == &lib_lock_type ? lock_of(o) : NULL;
        if (other && other->o.reentrant && other->rule.kind == l->rule.kind && !other->is_stopped &&
            pthread_equal(other->owner, l->owner) && (other->state == HELD || other->state == LOST) &&
            is_same_name(other, l))
            return other;
    }
    return NULL;
}

static void enter_again(struct acquire *a, tenure_lock *outer)
{
    struct tenure_error err = {0};
    a->got = outer;
    if (!levels_enter(&outer->levels, tenure_lock_held(outer))) {
        error_set(&err, TENURE_ELOST, "lock '%.150s': it was lost, and is not let go of yet", outer->name);
        post_done(&a->post, err.code, &err);
        return;
    }
    if (!post_done(&a->post, 0, NULL))
        (void)levels_leave(&outer->levels); /* nobody waits any more */
}

static void acquire_run(struct post *p, tn_ms now)
{
    struct acquire *a = CONTAINER_OF(p, struct acquire, post);
    struct tenure_error err = {0};
    tenure_lock *l = a->lock, *outer = l->o.reentrant ? find_outer(l) : NULL;
    (void)now;
    if (outer) {
        enter_again(a, outer);
        return;
    }
    a->lock = NULL;
    a->got = l;
    l->acquire = p;
    int rc = lib_lock_enter(l, &err);
    if (rc < 0)
        post_done(p, rc, &err);
}

static struct acquire *acquire_new(tenure_client *c, bytes ns, const char *name, const struct rule *rule,
                                   const struct tenure_lock_options *o, struct tenure_error *err)
{
    struct acquire *a = calloc(1, sizeof *a);
    if (!a || post_init(&a->post, acquire_run, acquire_free, err) < 0) {
        free(a);
        error_set(err, TENURE_ENOMEM, "lock: out of memory");
        return NULL;
    }
    a->lock = lib_lock_alloc(c, ns, name, rule, o, err);
    if (a->lock)
        return a;
    post_unref(&a->post);
    return NULL;
}

/* A wait without end ends when the session or the servers end it; a try by the deadlines of its two calls. */
static tn_ms acquire_until(const tenure_client *c, int64_t wait_ms)
{
    if (wait_ms == 0 || wait_ms > TIMEOUT_MAX_MS)
        return TN_MS_NEVER;
    return handle_clock(c) + (wait_ms > 0 ? wait_ms : 2 * c->call_timeout_ms) + LATE_MS;
}

/* A process that was stopped just now may have been given what is past its time already. */
static tenure_lock *acquired(tenure_lock *l, struct tenure_error *err)
{
    if (tenure_lock_held(l))
        return l;
    error_set(err, TENURE_ELOST, "lock '%.150s': lost before it could be used", tenure_lock_key(l));
    tenure_unlock(l, NULL);
    return NULL;
}

tenure_lock *lib_lock_acquire(tenure_client *c, const char *name, const struct rule *rule,
                              const struct tenure_lock_options *o, struct tenure_error *err)
{
    struct tenure_lock_options own;
    bytes ns = view_of(&c);
    if (handle_enter_blocking(c, "lock", err) < 0 || options_check(name, rule, o, &own, err) < 0)
        return NULL;
    own.on_acquired = NULL;
    own.on_released = NULL;
    tn_ms until = acquire_until(c, own.wait_ms);
    struct acquire *a = acquire_new(c, ns, name, rule, &own, err);
    if (!a)
        return NULL;
    tenure_lock *l = NULL;
    if (post_send(c, &a->post, err) == 0) {
        if (post_wait(&a->post, until) != POST_DONE)
            error_set(err, TENURE_ETIMEOUT, "lock '%.150s': not acquired in time", name);
        else if (a->post.code == 0)
            l = acquired(a->got, err);
        else if (err)
            *err = a->post.error;
    }
    post_unref(&a->post);
    return l;
}

tenure_lock *tenure_lock_acquire(tenure_client *c, const char *name, const struct tenure_lock_options *o,
                                 struct tenure_error *err)
{
    static const struct rule whole;
    return lib_lock_acquire(c, name, &whole, o, err);
}

int tenure_with_lock(tenure_client *c, const char *name, const struct tenure_lock_options *o,
                     int (*work)(tenure_lock *lock, void *arg), void *arg, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    if (!work)
        return error_set(err, TENURE_EINVALID, "lock: there is no work to do under it");
    tenure_lock *lock = tenure_lock_acquire(c, name, o, err);
    if (!lock)
        return err->code;
    int rc = work(lock, arg);
    bool held = tenure_lock_held(lock);
    tenure_token token = tenure_lock_token(lock);
    tenure_unlock(lock, NULL);
    if (!held)
        return error_set(err, TENURE_ELOST, "lock '%.100s': lost while the work ran (token %lld)", name,
                         (long long)token);
    return rc;
}
