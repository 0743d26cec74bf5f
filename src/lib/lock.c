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
#include "lib/lock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/lock_value.h"
#include "lib/post.h"
#include "lib/session.h"
#include "lib/view.h"
#include "recipes/delay.h"
#include "recipes/levels.h"
#include "recipes/takeover.h"

#define PREFIX_DEFAULT "/locks/"

enum state { ACQUIRING, HELD, LOST, FAILED, RELEASING, OVER };

struct unlock {
    struct post post;
    tenure_lock *lock;
};

struct tenure_lock {
    struct object object;
    char *name;
    struct tenure_lock_options o; /* its strings: owned */
    size_t strip;                 /* of a view: how much of the key is not shown */
    struct rule rule;
    tn_ms wait_until;
    struct scope_link scope;    /* of the acquire */
    struct lib_session_user on; /* no session and engine NULL: it could not begin again */
    struct lock *engine;
    struct takeover *takeover; /* before the engine: the place of an earlier process */
    bool resumes;              /* it is ours */
    enum state state;
    bool is_stopped;   /* the program let go of it */
    bool is_cancelled; /* the acquire */
    int code;          /* of the end */
    struct tenure_error why;
    struct post *acquire;  /* the waiter for the acquire; NULL = none, or he was answered */
    struct unlock *unlock; /* made with the lock, so that letting go cannot fail */
    bool unlock_is_sent, unlock_is_told, tell_released;
    void (*on_shared)(tenure_lock *l, int code, void *user); /* who waits for a downgrade; NULL = nobody */
    void *on_shared_user;
    pthread_t owner;      /* of a re-entrant one: the thread that acquired it */
    struct levels levels; /* and how often it did */

    /* any thread */
    atomic_bool held;
    _Atomic(tenure_token) token;
    _Atomic(const char *) key;
    char key_text[];
};

static tenure_lock *lock_of(const struct object *o)
{
    return CONTAINER_OF(o, tenure_lock, object);
}

/* ---- memory ---- */

static void stop(tenure_lock *l, tn_ms now);

static void unlock_run(struct post *p, tn_ms now)
{
    tenure_lock *l = CONTAINER_OF(p, struct unlock, post)->lock;
    l->unlock_is_sent = true;
    stop(l, now);
}

static void unlock_free(struct post *p)
{
    free(CONTAINER_OF(p, struct unlock, post));
}

static struct unlock *unlock_new(tenure_lock *l)
{
    struct unlock *u = calloc(1, sizeof *u);
    if (!u || post_init(&u->post, unlock_run, unlock_free, NULL) < 0) {
        free(u);
        return NULL;
    }
    u->post.must_run = true;
    u->lock = l;
    return u;
}

/* The unlock belongs to whoever sent it. */
static void lock_dealloc(tenure_lock *l)
{
    if (l->unlock && !l->unlock_is_sent)
        post_unref(&l->unlock->post);
    scope_leave(&l->scope);
    if (l->rule.kind == RULE_CUSTOM)
        free(l->rule.user);
    free(l->name);
    free((char *)l->o.prefix);
    free((char *)l->o.purpose);
    free(l);
}

/* Replaces a borrowed string by a copy; NULL stays. Answers whether there was memory. */
static bool own_string(const char **s)
{
    const char *from = *s;
    *s = from ? strdup(from) : NULL;
    return !from || *s;
}

/* With a copy of what the program's own rule needs. */
static bool own_rule(tenure_lock *l, const char *name, const struct rule *rule)
{
    l->rule = *rule;
    if (rule->kind != RULE_CUSTOM)
        return true;
    const struct lib_place *from = rule->user;
    size_t size = sizeof *from + strlen(from->says) + 1;
    struct lib_place *p = malloc(size);
    l->rule.user = p;
    if (!p)
        return false;
    memcpy(p, from, size);
    p->path_len = strlen(l->o.prefix ? l->o.prefix : "/locks/") + strlen(name) + 1;
    return true;
}

static tenure_lock *lock_alloc(tenure_client *c, const char *name, const struct rule *rule,
                               const struct tenure_lock_options *o, struct tenure_error *err)
{
    size_t prefix_len = o->prefix ? strlen(o->prefix) : sizeof "/locks/";
    tenure_lock *l = calloc(1, sizeof *l + prefix_len + strlen(name) + RULE_TAG_MAX + sizeof "/0123456789abcdef");
    if (!l) {
        error_set(err, TENURE_ENOMEM, "lock: out of memory");
        return NULL;
    }
    l->object.handle = c;
    l->o = *o;
    bool ruled = own_rule(l, name, rule);
    l->owner = pthread_self();
    levels_begin(&l->levels);
    atomic_init(&l->key, "");
    bool prefix = own_string(&l->o.prefix), purpose = own_string(&l->o.purpose); /* each, so that none stays borrowed */
    l->name = strdup(name);
    l->unlock = unlock_new(l);
    scope_take(&l->scope);
    if (ruled && prefix && purpose && l->name && l->unlock)
        return l;
    lock_dealloc(l);
    error_set(err, TENURE_ENOMEM, "lock: out of memory");
    return NULL;
}

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

static void stop(tenure_lock *l, tn_ms now)
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
        stop(l, handle_now(l->object.handle));
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

static const struct lock_callbacks callbacks = {
    .on_acquired = on_acquired,
    .on_lost = on_lost,
    .on_released = on_released,
    .on_shared = on_shared,
};

/* ---- the object ---- */

static void lock_object_close(struct object *o, tn_ms now)
{
    stop(lock_of(o), now);
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
    lock_dealloc(l);
}

static const struct object_type lock_type = {
    .close = lock_object_close,
    .is_over = is_over,
    .last_word = last_word,
    .free = lock_object_free,
};

/* ---- making one, on the loop ---- */

static char *value_new(const tenure_lock *l, bool shared)
{
    const char *purpose = l->o.purpose ? l->o.purpose : l->object.handle->purpose;
    int64_t since = handle_wall_ms(l->object.handle);
    if (l->rule.kind == RULE_CUSTOM)
        return lock_value_new_custom(purpose, since, ((const struct lib_place *)l->rule.user)->says);
    return lock_value_new_share(purpose, since, &l->rule, shared);
}

/* What is left of the wait, as the engine counts it. */
static int64_t wait_left(const tenure_lock *l, tn_ms now)
{
    if (l->o.wait_ms <= 0)
        return 0;
    return l->wait_until > now ? l->wait_until - now : 1;
}

static int engine_new(tenure_lock *l, tn_ms now, struct tenure_error *err)
{
    char *value = value_new(l, false);
    if (!value)
        return error_set(err, TENURE_ENOMEM, "lock: out of memory");
    struct lock_options opt = {
        .prefix = l->o.prefix,
        .rule = l->rule,
        .value = bytes_str(value),
        .try_only = l->o.wait_ms < 0,
        .wait_ms = wait_left(l, now),
        .delay_ms = l->o.delay_ms,
        .resume = l->resumes ? l->o.resume_token : 0,
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

/* lock_alloc with the prefix below ns. */
static tenure_lock *alloc_below(tenure_client *c, bytes ns, const char *name, const struct rule *rule,
                                const struct tenure_lock_options *o, struct tenure_error *err)
{
    struct tenure_lock_options below = *o;
    char *prefix = ns.len > 0 ? view_recipe_prefix(ns, o->prefix, "/locks/", err) : NULL;
    if (ns.len > 0 && !prefix)
        return NULL;
    if (prefix)
        below.prefix = prefix;
    tenure_lock *l = lock_alloc(c, name, rule, &below, err);
    if (l)
        l->strip = ns.len;
    if (l && l->rule.kind == RULE_CUSTOM)
        ((struct lib_place *)l->rule.user)->strip = ns.len;
    free(prefix);
    return l;
}

/* ---- what an earlier process held ---- */

static bool is_gone(void *user, bytes value)
{
    struct lock_words words;
    (void)user;
    lock_value_read(value, &words);
    bool gone = process_is_gone(&words.process);
    lock_words_fini(&words);
    return gone;
}

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
    struct takeover_callbacks cb = {.is_gone = l->o.resume_is_sure ? NULL : is_gone, .on_done = on_taken_over};
    char *value = lock_value_new_mark(l->o.purpose ? l->o.purpose : l->object.handle->purpose,
                                      handle_wall_ms(l->object.handle), client_random(engine));
    char key[QUEUE_NAME_MAX + 18];
    if (!value)
        return error_set(err, TENURE_ENOMEM, "lock: out of memory");
    snprintf(key, sizeof key, "%s%s/%" PRIx64, l->o.prefix ? l->o.prefix : PREFIX_DEFAULT, l->name,
             (uint64_t)l->o.resume_lease);
    struct takeover_place place = {
        .key = bytes_str(key), .words = bytes_str(key), .lease = l->o.resume_lease, .create = l->o.resume_token};
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
static int lock_enter(tenure_lock *l, struct tenure_error *err)
{
    tn_ms now = handle_now(l->object.handle);
    l->wait_until = l->o.wait_ms < TIMEOUT_MAX_MS ? now + l->o.wait_ms : TN_MS_NEVER;
    int rc = scope_join(&l->scope, l->object.handle, cancel, "lock", err);
    if (rc == 0)
        rc = begin_first(l, now, err);
    if (rc < 0)
        lock_dealloc(l);
    else
        object_init(&l->object, l->object.handle, &lock_type);
    return rc;
}

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
    s->code = lock_enter(s->lock, s->err);
}

tenure_lock *lib_lock_start(tenure_client *c, const char *name, const struct rule *rule,
                            const struct tenure_lock_options *o, struct tenure_error *err)
{
    struct tenure_lock_options own;
    bytes ns = view_of(&c);
    if (handle_enter(c, err) < 0 || options_check(name, rule, o, &own, err) < 0)
        return NULL;
    if (own.reentrant) {
        error_set(err, TENURE_EINVALID, "lock '%.100s': a re-entrant one needs a thread that waits for it", name);
        return NULL;
    }
    struct start s = {.lock = alloc_below(c, ns, name, rule, &own, err), .err = err};
    if (!s.lock)
        return NULL;
    if (handle_sync(c, start_run, &s))
        return s.code == 0 ? s.lock : NULL;
    lock_dealloc(s.lock);
    error_set(err, TENURE_ECLOSED, "lock '%.100s': the handle is closed", name);
    return NULL;
}

tenure_lock *tenure_lock_start(tenure_client *c, const char *name, const struct tenure_lock_options *o,
                               struct tenure_error *err)
{
    static const struct rule whole;
    return lib_lock_start(c, name, &whole, o, err);
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
        lock_dealloc(a->lock);
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
        tenure_lock *other = o->type == &lock_type ? lock_of(o) : NULL;
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
    int rc = lock_enter(l, &err);
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
    a->lock = alloc_below(c, ns, name, rule, o, err);
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

/* ---- sharing ---- */

int lib_lock_share(tenure_lock *l, void (*on_done)(tenure_lock *l, int code, void *user), void *user,
                   struct tenure_error *err)
{
    if (l->state != HELD || !l->engine || l->is_stopped)
        return error_set(err, TENURE_ENOTHELD, "downgrade: the lock is not held");
    char *value = value_new(l, true);
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

tenure_client *lib_lock_handle(const tenure_lock *l)
{
    return l->object.handle;
}

/* ---- any thread ---- */

bool tenure_lock_held(const tenure_lock *lock)
{
    tenure_lock *l = (tenure_lock *)lock;
    return l && !handle_is_forked(l->object.handle) && atomic_load(&l->held) && lib_session_is_safe(l->on.session);
}

int64_t tenure_lock_remaining_ms(const tenure_lock *lock)
{
    tenure_lock *l = (tenure_lock *)lock;
    if (!l || handle_is_forked(l->object.handle) || !atomic_load(&l->held))
        return 0;
    return atomic_load(&l->on.session->safe_until) - handle_clock(l->object.handle);
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
    stop(l, handle_now(l->object.handle));
}

void tenure_unlock_start(tenure_lock *lock)
{
    if (!lock || handle_is_forked(lock->object.handle))
        return;
    atomic_store(&lock->held, false);
    handle_sync(lock->object.handle, unlock_start_run, lock);
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
