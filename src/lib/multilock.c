/* Several locks as one: each a lock of the handle (lock.c); the order in which they are taken and let go, and what becomes of all
 * when one fails, is the engine's (recipes/several.h).
 *
 * Held is what the atomics say, of this and of each part; they only ever err towards "no".
 *
 * The parts belong to the handle's list of objects like any other; a handle that closes ends this and them in any order, and
 * frees none before the end of the turn. Loop thread, but for what the header says.
 */
#include <stdlib.h>

#include "lib/lock.h"
#include "lib/post.h"
#include "lib/view.h"
#include "recipes/queue.h"
#include "recipes/several.h"

#define PREFIX_DEFAULT "/locks/"

struct part {
    tenure_multilock *all;
    size_t index; /* in the program's array */
    char *name, *prefix;
    struct rule rule;
    tenure_lock *lock; /* NULL = let go, or not begun */
};

struct unlock {
    struct post post;
    tenure_multilock *all;
};

/* What other threads read of a part, by the program's index. The lock stays until the program lets go of all. */
struct seen {
    _Atomic(tenure_lock *) lock;
    _Atomic(tenure_token) token;
};

struct tenure_multilock {
    struct object object;
    struct tenure_multilock_options o; /* purpose: owned */
    tn_ms wait_until;
    struct several engine;
    struct scope_link scope; /* of the acquire */
    struct post *acquire;    /* who waits for the acquire */
    struct unlock *unlock;   /* made at the beginning, so that letting go cannot fail */
    bool unlock_is_sent, unlock_is_told, tell_released;
    size_t n, strip;    /* strip: what of the keys a view does not show */
    struct part *parts; /* in the order of their keys */
    atomic_bool held;   /* any thread */
    struct seen seen[];
};

static tenure_multilock *multi_of(const struct object *o)
{
    return CONTAINER_OF(o, tenure_multilock, object);
}

/* ---- memory ---- */

static void stop(tenure_multilock *m);
static const struct several_ops engine_ops;

static void unlock_run(struct post *p, tn_ms now)
{
    tenure_multilock *m = CONTAINER_OF(p, struct unlock, post)->all;
    (void)now;
    m->unlock_is_sent = true;
    stop(m);
}

static void unlock_free(struct post *p)
{
    free(CONTAINER_OF(p, struct unlock, post));
}

static struct unlock *unlock_new(tenure_multilock *m)
{
    struct unlock *u = calloc(1, sizeof *u);
    if (!u || post_init(&u->post, unlock_run, unlock_free, NULL) < 0) {
        free(u);
        return NULL;
    }
    u->post.must_run = true;
    u->all = m;
    return u;
}

static void multi_dealloc(tenure_multilock *m)
{
    if (m->unlock && !m->unlock_is_sent)
        post_unref(&m->unlock->post);
    scope_leave(&m->scope);
    for (size_t i = 0; m->parts && i < m->n; i++) {
        free(m->parts[i].name);
        free(m->parts[i].prefix);
    }
    free(m->parts);
    free((char *)m->o.purpose);
    free(m);
}

/* ---- what is asked for ---- */

static enum rule_kind kind_of(enum tenure_lock_mode mode)
{
    return mode == TENURE_LOCK_READ ? RULE_READ : mode == TENURE_LOCK_PERMIT ? RULE_PERMIT : RULE_WHOLE;
}

static const struct tenure_multilock_part *part_at(const struct tenure_multilock_part *parts, size_t i)
{
    return (const struct tenure_multilock_part *)(const void *)((const char *)parts + i * parts->size);
}

static int part_take(struct part *p, bytes ns, const struct tenure_multilock_part *from, struct tenure_error *err)
{
    struct tenure_multilock_part own;
    int rc = options_take(&own, sizeof own, from, "multilock", err);
    if (rc < 0)
        return rc;
    rc = queue_check_name(own.prefix ? own.prefix : PREFIX_DEFAULT, own.name, err);
    if (rc < 0)
        return error_wrap(err, "multilock");
    p->rule.kind = kind_of(own.mode);
    if (p->rule.kind == RULE_PERMIT) {
        p->rule.weight = own.weight;
        p->rule.limit = own.limit;
    }
    if (!rule_is_valid(&p->rule) || (own.mode != TENURE_LOCK_WHOLE && p->rule.kind == RULE_WHOLE))
        return error_set(err, TENURE_EINVALID, "multilock '%.100s': a mode or weight that cannot be", own.name);
    p->name = strdup(own.name);
    p->prefix = view_recipe_prefix(ns, own.prefix, PREFIX_DEFAULT, NULL);
    return p->name && p->prefix ? 0 : error_set(err, TENURE_ENOMEM, "multilock: out of memory");
}

static int by_key(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    return several_order(x->prefix, x->name, y->prefix, y->name);
}

static int parts_take(tenure_multilock *m, bytes ns, const struct tenure_multilock_part *parts,
                      struct tenure_error *err)
{
    for (size_t i = 0; i < m->n; i++) {
        m->parts[i].all = m;
        m->parts[i].index = i;
        int rc = part_take(&m->parts[i], ns, part_at(parts, i), err);
        if (rc < 0)
            return rc;
    }
    qsort(m->parts, m->n, sizeof *m->parts, by_key);
    for (size_t i = 1; i < m->n; i++)
        if (by_key(&m->parts[i - 1], &m->parts[i]) == 0)
            return error_set(err, TENURE_EINVALID, "multilock: '%.100s' is named twice", m->parts[i].name);
    return 0;
}

static int options_check(struct tenure_multilock_options *o, const struct tenure_multilock_options *from,
                         const struct tenure_multilock_part *parts, size_t n, struct tenure_error *err)
{
    int rc = options_take(o, sizeof *o, from, "multilock", err);
    if (rc == 0 && (!parts || n == 0 || n > TENURE_MULTILOCK_MAX || parts->size < sizeof parts->size))
        rc = error_set(err, TENURE_EINVALID, "multilock: between 1 and %d parts, with their size set",
                       TENURE_MULTILOCK_MAX);
    if (rc == 0 && (o->wait_ms < -1 || o->ttl_s < 0))
        rc = error_set(err, TENURE_EINVALID, "multilock: a negative time");
    return rc;
}

static tenure_multilock *multi_new(tenure_client *c, bytes ns, const struct tenure_multilock_part *parts, size_t n,
                                   const struct tenure_multilock_options *o, struct tenure_error *err)
{
    struct tenure_multilock_options own;
    if (options_check(&own, o, parts, n, err) < 0)
        return NULL;
    tenure_multilock *m = calloc(1, sizeof *m + n * sizeof m->seen[0]);
    if (!m) {
        error_set(err, TENURE_ENOMEM, "multilock: out of memory");
        return NULL;
    }
    m->object.handle = c;
    m->o = own;
    m->o.purpose = own.purpose ? strdup(own.purpose) : NULL;
    scope_take(&m->scope);
    m->n = n;
    m->strip = ns.len;
    several_init(&m->engine, n, &engine_ops, m);
    m->parts = calloc(n, sizeof *m->parts);
    m->unlock = unlock_new(m);
    if (!m->parts || !m->unlock || (own.purpose && !m->o.purpose))
        error_set(err, TENURE_ENOMEM, "multilock: out of memory");
    else if (parts_take(m, ns, parts, err) == 0)
        return m;
    multi_dealloc(m);
    return NULL;
}

/* ---- what the engine does and says ---- */

static void on_part_released(int code, void *user)
{
    several_released(&((struct part *)user)->all->engine, code);
}

static void on_part_acquired(tenure_lock *l, int code, tenure_token token, const struct tenure_error *err, void *user)
{
    struct part *p = user;
    if (p->lock != l)
        return; /* it was let go meanwhile */
    if (code == 0)
        atomic_store(&p->all->seen[p->index].token, token);
    several_acquired(&p->all->engine, (size_t)(p - p->all->parts), code, err);
}

static void on_part_lost(tenure_lock *l, const struct tenure_error *why, void *user)
{
    struct part *p = user;
    (void)l;
    several_lost(&p->all->engine, (size_t)(p - p->all->parts), why);
}

static int64_t wait_left(const tenure_multilock *m)
{
    tn_ms left = m->wait_until - handle_now(m->object.handle);
    if (m->o.wait_ms <= 0)
        return m->o.wait_ms;
    return left > 1 ? left : 1;
}

static int start_part(void *user, size_t i, struct tenure_error *err)
{
    tenure_multilock *m = user;
    struct part *p = &m->parts[i];
    struct tenure_error own = {0};
    struct tenure_lock_options o = {.size = sizeof o,
                                    .prefix = p->prefix,
                                    .ttl_s = m->o.ttl_s,
                                    .wait_ms = wait_left(m),
                                    .purpose = m->o.purpose,
                                    .on_lost = on_part_lost,
                                    .on_acquired = on_part_acquired,
                                    .on_released = on_part_released,
                                    .user = p,
                                    .session = m->o.session};
    tenure_scope *before = scope_aside(); /* it is the whole that is cancelled, not a part */
    p->lock = lib_lock_start(m->object.handle, p->name, &p->rule, &o, &m->scope, &own);
    scope_back(before);
    if (!p->lock && err)
        *err = own;
    return p->lock ? 0 : own.code ? own.code : TENURE_EINTERNAL;
}

static bool let_go_of_part(void *user, size_t i)
{
    tenure_multilock *m = user;
    tenure_lock *l = m->parts[i].lock;
    m->parts[i].lock = NULL;
    tenure_unlock_start(l);
    return l != NULL;
}

static bool in_time(void *user)
{
    const tenure_multilock *m = user;
    return m->o.wait_ms == 0 || m->wait_until > handle_now(m->object.handle);
}

static void all_held(tenure_multilock *m)
{
    for (size_t i = 0; i < m->n; i++)
        atomic_store(&m->seen[m->parts[i].index].lock, m->parts[i].lock);
    atomic_store(&m->held, true);
}

/* A waiter who has failed, or is not there any more, leaves all to us. */
static void on_acquired(void *user, int code)
{
    tenure_multilock *m = user;
    struct tenure_error *why = &m->engine.why;
    struct post *p = m->acquire;
    m->acquire = NULL;
    scope_leave(&m->scope);
    if (code)
        code = scope_word(&m->scope, code, "multilock", why);
    else
        all_held(m);
    if (!p) {
        if (m->o.on_acquired)
            m->o.on_acquired(m, code, code ? why : NULL, m->o.user);
    } else if (!post_done(p, code, why) || code != 0) {
        stop(m);
    }
}

static void on_lost(void *user, size_t i)
{
    tenure_multilock *m = user;
    atomic_store(&m->held, false);
    if (m->o.on_lost)
        m->o.on_lost(m, m->parts[i].index, &m->engine.why, m->o.user);
}

static void on_over(void *user)
{
    object_changed(&((tenure_multilock *)user)->object);
}

static const struct several_ops engine_ops = {
    .start = start_part,
    .let_go = let_go_of_part,
    .in_time = in_time,
    .on_acquired = on_acquired,
    .on_lost = on_lost,
    .on_over = on_over,
};

static void stop(tenure_multilock *m)
{
    atomic_store(&m->held, false);
    several_stop(&m->engine);
}

static void cancel(struct scope_link *l, tn_ms now)
{
    tenure_multilock *m = CONTAINER_OF(l, tenure_multilock, scope);
    struct tenure_error err;
    (void)now;
    error_set(&err, TENURE_ECANCELLED, "multilock: cancelled");
    several_cancel(&m->engine, &err);
}

/* ---- the object ---- */

static void multi_close(struct object *o, tn_ms now)
{
    tenure_multilock *m = multi_of(o);
    (void)now;
    if (!m->engine.is_told)
        error_set(&m->engine.why, TENURE_ECLOSED, "multilock: the handle was closed");
    stop(m);
}

static bool is_over(const struct object *o)
{
    return multi_of(o)->engine.is_stopped && multi_of(o)->engine.state == SEVERAL_OVER;
}

static void last_word(struct object *o)
{
    tenure_multilock *m = multi_of(o);
    struct tenure_error err = {0};
    if (m->engine.code)
        error_set(&err, m->engine.code, "multilock: %s", tenure_error_string(m->engine.code));
    if (m->unlock_is_sent) {
        m->unlock_is_told = true;
        post_done(&m->unlock->post, m->engine.code, &err);
    } else if (m->tell_released && m->o.on_released) {
        m->o.on_released(m->engine.code, m->o.user);
    }
}

static void multi_free(struct object *o)
{
    tenure_multilock *m = multi_of(o);
    if (m->acquire)
        post_done(m->acquire, TENURE_ECLOSED, NULL);
    if (m->unlock_is_sent && !m->unlock_is_told)
        post_done(&m->unlock->post, TENURE_ECLOSED, NULL);
    multi_dealloc(m);
}

static const struct object_type multi_type = {
    .close = multi_close,
    .is_over = is_over,
    .last_word = last_word,
    .free = multi_free,
};

/* ---- beginning, on the loop ---- */

struct start {
    tenure_multilock *all;
    struct post *waiter;
    bool began;
    struct tenure_error *err;
};

static void begin(void *arg)
{
    struct start *s = arg;
    tenure_multilock *m = s->all;
    tenure_client *c = m->object.handle;
    if (c->state != HANDLE_OPEN) {
        error_set(s->err, TENURE_ECLOSED, "multilock: the handle is closed");
        return;
    }
    tn_ms now = handle_now(c);
    m->wait_until = m->o.wait_ms < TIMEOUT_MAX_MS ? now + m->o.wait_ms : TN_MS_NEVER;
    if (scope_join(&m->scope, c, cancel, "multilock", s->err) < 0)
        return;
    if (several_begin(&m->engine, s->err) < 0) {
        scope_leave(&m->scope);
        return;
    }
    s->began = true;
    m->acquire = s->waiter;
    object_init(&m->object, c, &multi_type);
}

tenure_multilock *tenure_multilock_start(tenure_client *c, const struct tenure_multilock_part *parts, size_t n,
                                         const struct tenure_multilock_options *o, struct tenure_error *err)
{
    bytes ns = view_of(&c);
    if (handle_enter(c, err) < 0)
        return NULL;
    struct start s = {.all = multi_new(c, ns, parts, n, o, err), .err = err};
    if (!s.all)
        return NULL;
    if (!handle_sync(c, begin, &s))
        error_set(err, TENURE_ECLOSED, "multilock: the handle is closed");
    if (s.began)
        return s.all;
    multi_dealloc(s.all);
    return NULL;
}

/* ---- blocking ---- */

struct acquire {
    struct post post;
    tenure_multilock *all; /* NULL once the loop has it */
    tenure_multilock *got;
};

static void acquire_free(struct post *p)
{
    struct acquire *a = CONTAINER_OF(p, struct acquire, post);
    if (a->all)
        multi_dealloc(a->all);
    free(a);
}

static void acquire_run(struct post *p, tn_ms now)
{
    struct acquire *a = CONTAINER_OF(p, struct acquire, post);
    struct tenure_error err = {0};
    struct start s = {.all = a->all, .waiter = p, .err = &err};
    (void)now;
    a->got = a->all;
    a->all = NULL;
    begin(&s);
    if (s.began)
        return;
    a->all = a->got;
    a->got = NULL;
    post_done(p, err.code, &err);
}

static struct acquire *acquire_new(tenure_multilock *m, struct tenure_error *err)
{
    struct acquire *a = calloc(1, sizeof *a);
    if (!a || post_init(&a->post, acquire_run, acquire_free, err) < 0) {
        free(a);
        multi_dealloc(m);
        error_set(err, TENURE_ENOMEM, "multilock: out of memory");
        return NULL;
    }
    a->all = m;
    return a;
}

static tn_ms acquire_until(const tenure_client *c, size_t n, int64_t wait_ms)
{
    if (wait_ms == 0 || wait_ms > TIMEOUT_MAX_MS)
        return TN_MS_NEVER;
    return handle_clock(c) + (wait_ms > 0 ? wait_ms : 2 * (int64_t)n * c->call_timeout_ms) + LATE_MS;
}

static tenure_multilock *acquired(tenure_multilock *m, struct tenure_error *err)
{
    if (tenure_multilock_held(m))
        return m;
    error_set(err, TENURE_ELOST, "multilock: lost before it could be used");
    tenure_multilock_unlock(m, NULL);
    return NULL;
}

tenure_multilock *tenure_multilock_acquire(tenure_client *c, const struct tenure_multilock_part *parts, size_t n,
                                           const struct tenure_multilock_options *o, struct tenure_error *err)
{
    bytes ns = view_of(&c);
    if (handle_enter_blocking(c, "multilock", err) < 0)
        return NULL;
    tenure_multilock *m = multi_new(c, ns, parts, n, o, err);
    if (!m)
        return NULL;
    m->o.on_acquired = NULL;
    m->o.on_released = NULL;
    tn_ms until = acquire_until(c, n, m->o.wait_ms);
    struct acquire *a = acquire_new(m, err);
    if (!a)
        return NULL;
    m = NULL;
    if (post_send(c, &a->post, err) == 0) {
        if (post_wait(&a->post, until) != POST_DONE)
            error_set(err, TENURE_ETIMEOUT, "multilock: not acquired in time");
        else if (a->post.code == 0)
            m = acquired(a->got, err);
        else if (err)
            *err = a->post.error;
    }
    post_unref(&a->post);
    return m;
}

/* ---- any thread ---- */

int64_t tenure_multilock_remaining_ms(const tenure_multilock *all)
{
    tenure_multilock *m = (tenure_multilock *)all;
    int64_t least = INT64_MAX;
    if (!m || handle_is_forked(m->object.handle) || !atomic_load(&m->held))
        return 0;
    for (size_t i = 0; i < m->n; i++) {
        int64_t left = tenure_lock_remaining_ms(atomic_load(&m->seen[i].lock));
        least = left < least ? left : least;
    }
    return least;
}

bool tenure_multilock_held(const tenure_multilock *m)
{
    return tenure_multilock_remaining_ms(m) > 0;
}

tenure_token tenure_multilock_token(const tenure_multilock *m, size_t index)
{
    return m && index < m->n ? atomic_load(&((tenure_multilock *)m)->seen[index].token) : 0;
}

const char *tenure_multilock_key(const tenure_multilock *m, size_t index)
{
    tenure_lock *l = m && index < m->n ? atomic_load(&((tenure_multilock *)m)->seen[index].lock) : NULL;
    return l ? tenure_lock_key(l) + m->strip : "";
}

/* ---- letting go, for the program ---- */

int tenure_multilock_unlock(tenure_multilock *m, struct tenure_error *err)
{
    if (!m)
        return 0;
    tenure_client *c = m->object.handle;
    int rc = handle_enter_blocking(c, "multilock unlock", err);
    if (rc < 0)
        return rc;
    atomic_store(&m->held, false);
    struct post *p = &m->unlock->post;
    tn_ms until = handle_clock(c) + c->call_timeout_ms + LATE_MS;
    rc = post_send(c, p, err);
    if (rc < 0)
        return rc;
    /* From here on m may be gone; the post is ours. */
    if (post_wait(p, until) != POST_DONE)
        rc = error_set(err, TENURE_ETIMEOUT, "multilock unlock: no answer in time; it is freed when its leases end");
    else if ((rc = p->code) < 0 && err)
        *err = p->error;
    post_unref(p);
    return rc;
}

static void unlock_start_run(void *arg)
{
    tenure_multilock *m = arg;
    m->tell_released = true;
    stop(m);
}

void tenure_multilock_unlock_start(tenure_multilock *m)
{
    if (!m || handle_is_forked(m->object.handle))
        return;
    atomic_store(&m->held, false);
    handle_sync(m->object.handle, unlock_start_run, m);
}
