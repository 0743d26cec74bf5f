/* The scheduler as an object of a handle, which brings it the wall clock and finds it a session, and another one after a loss.
 * A blocking runner is one whose on_run hands the run to the caller's thread. */
#include <tenure/cron.h>

#include <stdlib.h>
#include <time.h>

#include "api/lease.h"
#include "lib/cron_words.h"
#include "lib/marks.h"
#include "lib/post.h"
#include "lib/view.h"
#include "recipes/cron.h"

enum { ATTACH_AGAIN_MS = 1000, NAME_MAX_LEN = 2000, HISTORY = 10, HISTORY_MAX = 100000, LATE_DEFAULT_MS = 60000 };

struct stop {
    struct post post;
    tenure_cron *cron;
};

struct tenure_cron {
    struct object object;
    struct cron *engine;
    struct lib_session_user on;
    struct marks *own_marks;
    struct tenure_cron_options o;
    char *marks;
    tn_ms attach_at;
    bool has_ended, is_stopped;
    struct stop *stop; /* made with it, so that stopping cannot fail */
    bool stop_is_sent, stop_is_told;
    /* any thread */
    _Atomic(tenure_token) token; /* of the run under way; 0 = none */
    _Atomic(tn_ms) held_until;
};

static tenure_cron *cron_of(const struct object *o)
{
    return CONTAINER_OF(o, tenure_cron, object);
}

static void publish(struct object *o)
{
    tenure_cron *k = cron_of(o);
    bool runs = !k->has_ended && k->on.session && cron_running(k->engine, handle_now(o->handle));
    atomic_store(&k->held_until, runs ? session_safe_until(k->on.session->engine) : 0);
}

/* ---- sessions ---- */

static void leave_session(tenure_cron *k)
{
    k->own_marks = marks_free(k->own_marks);
    lib_session_unuse(&k->on);
}

static int marks_for(tenure_cron *k, struct marks **ret)
{
    if (k->o.ttl_s == 0)
        return lib_marks_beside(&k->on, k->marks, ret, NULL);
    int rc = marks_new(k->on.session->engine, k->marks, &k->own_marks);
    *ret = k->own_marks;
    return rc;
}

static void attach_or_later(tenure_cron *k, tn_ms now)
{
    struct marks *m = NULL;
    k->attach_at = now + ATTACH_AGAIN_MS;
    if (lib_session_use(k->object.handle, k->o.ttl_s, &k->on, NULL) < 0)
        return;
    if (marks_for(k, &m) < 0 || cron_attach(k->engine, k->on.session->engine, m, now) < 0)
        leave_session(k);
    else
        k->attach_at = TN_MS_NEVER;
}

/* ---- what the engine says ---- */

static struct tenure_cron_run run_of(const struct cron_run *run)
{
    return (struct tenure_cron_run){run->time, run->token, run->attempt, run->late};
}

static void on_run(void *user, const struct cron_run *run)
{
    tenure_cron *k = user;
    struct tenure_cron_run r = run_of(run);
    atomic_store(&k->token, r.token);
    publish(&k->object);
    k->o.on_run(k, &r, k->o.user);
}

static void on_lost(void *user, const struct cron_run *run, const struct tenure_error *why)
{
    tenure_cron *k = user;
    struct tenure_cron_run r = run_of(run);
    atomic_store(&k->token, 0);
    atomic_store(&k->held_until, 0);
    if (k->o.on_lost)
        k->o.on_lost(k, &r, why, k->o.user);
}

static void over(tenure_cron *k, int code, const struct tenure_error *why)
{
    if (k->has_ended)
        return;
    k->has_ended = true;
    k->attach_at = TN_MS_NEVER;
    atomic_store(&k->token, 0);
    atomic_store(&k->held_until, 0);
    object_changed(&k->object);
    if (k->o.on_end)
        k->o.on_end(k, code, code ? why : NULL, k->o.user);
}

/* The next session begins at once behind one that was lost, and after a while behind one that was refused before it began. */
static void on_adrift(void *user, const struct tenure_error *why)
{
    tenure_cron *k = user;
    tn_ms now = handle_now(k->object.handle);
    bool has_begun = atomic_load(&k->on.lease) != 0;
    leave_session(k);
    if (why->code != TENURE_EDENIED && !has_begun) {
        k->attach_at = now + ATTACH_AGAIN_MS;
        return;
    }
    if (why->code != TENURE_EDENIED) {
        attach_or_later(k, now);
        return;
    }
    cron_stop(k->engine, now);
    over(k, why->code, why);
}

static void on_end(void *user, int code, const struct tenure_error *why)
{
    over(user, code, why);
}

static const struct cron_callbacks callbacks = {
    .on_run = on_run, .on_lost = on_lost, .on_adrift = on_adrift, .on_end = on_end};

/* ---- the object ---- */

static tn_ms cron_object_deadline(const struct object *o)
{
    const tenure_cron *k = cron_of(o);
    tn_ms at = k->has_ended ? TN_MS_NEVER : cron_deadline(k->engine);
    return k->attach_at < at ? k->attach_at : at;
}

static void cron_object_tick(struct object *o, tn_ms now)
{
    tenure_cron *k = cron_of(o);
    if (k->attach_at <= now)
        attach_or_later(k, now);
    if (!k->has_ended)
        cron_tick(k->engine, now, handle_wall_ms(k->object.handle));
}

static void stop(tenure_cron *k, tn_ms now)
{
    bool was_stopped = k->is_stopped;
    k->is_stopped = true;
    k->attach_at = TN_MS_NEVER;
    object_changed(&k->object);
    if (!was_stopped && !k->has_ended && cron_stop(k->engine, now))
        over(k, 0, NULL);
}

/* A run under way has nobody to end it any more: it counts as died, when the session is closed behind it. */
static void cron_object_close(struct object *o, tn_ms now)
{
    tenure_cron *k = cron_of(o);
    struct tenure_error why;
    stop(k, now);
    if (k->has_ended || !cron_awaits_done(k->engine))
        return;
    error_set(&why, TENURE_ECLOSED, "the handle was closed");
    over(k, TENURE_ECLOSED, &why);
}

static void cron_object_abort(struct object *o, tn_ms now)
{
    tenure_cron *k = cron_of(o);
    struct tenure_error why;
    stop(k, now);
    error_set(&why, TENURE_ECLOSED, "the handle was closed");
    over(k, TENURE_ECLOSED, &why);
}

static bool is_over(const struct object *o)
{
    return cron_of(o)->has_ended && cron_of(o)->is_stopped;
}

static void last_word(struct object *o)
{
    tenure_cron *k = cron_of(o);
    if (!k->stop_is_sent)
        return;
    k->stop_is_told = true;
    post_done(&k->stop->post, 0, NULL);
}

static void dealloc(tenure_cron *k)
{
    if (k->stop && !k->stop_is_sent)
        post_unref(&k->stop->post);
    else if (k->stop && !k->stop_is_told)
        post_done(&k->stop->post, TENURE_ECLOSED, NULL);
    free(k->marks);
    free(k);
}

static void cron_object_free(struct object *o)
{
    tenure_cron *k = cron_of(o);
    k->engine = cron_free(k->engine);
    leave_session(k);
    dealloc(k);
}

static const struct object_type cron_type = {
    .deadline = cron_object_deadline,
    .tick = cron_object_tick,
    .publish = publish,
    .close = cron_object_close,
    .abort = cron_object_abort,
    .is_over = is_over,
    .last_word = last_word,
    .free = cron_object_free,
};

/* ---- starting ---- */

static void stop_run(struct post *post, tn_ms now)
{
    tenure_cron *k = CONTAINER_OF(post, struct stop, post)->cron;
    k->stop_is_sent = true;
    stop(k, now);
}

static void stop_free(struct post *post)
{
    free(CONTAINER_OF(post, struct stop, post));
}

static struct stop *stop_new(tenure_cron *k)
{
    struct stop *s = calloc(1, sizeof *s);
    if (!s || post_init(&s->post, stop_run, stop_free, NULL) < 0) {
        free(s);
        return NULL;
    }
    s->post.must_run = true;
    s->cron = k;
    return s;
}

struct start {
    tenure_client *handle;
    const char *path;
    struct tenure_cron_options *o;
    struct schedule schedule;
    tenure_cron *cron;
    struct tenure_error *err;
};

static tenure_cron *cron_alloc(const struct start *s)
{
    tenure_cron *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    k->o = *s->o;
    k->marks = s->o->marks ? strdup(s->o->marks) : NULL;
    k->stop = stop_new(k);
    if ((!s->o->marks || k->marks) && k->stop)
        return k;
    dealloc(k);
    return NULL;
}

static int begin(const struct start *s, tenure_cron *k)
{
    char *who = cron_who_new();
    struct cron_options opt = {
        .schedule = s->schedule,
        .late_ms = k->o.late_ms ? k->o.late_ms : LATE_DEFAULT_MS,
        .run_missed = k->o.missed == TENURE_CRON_RUN_ONCE,
        .again = !k->o.at_most_once,
        .overlap = k->o.overlap,
        .history = k->o.history ? k->o.history : HISTORY,
        .who = bytes_str(who),
    };
    tn_ms now = handle_now(s->handle);
    int rc = who ? cron_start(s->handle->engine, bytes_str(s->path), &opt, &callbacks, k, now,
                              handle_wall_ms(s->handle), &k->engine, s->err)
                 : error_set(s->err, TENURE_ENOMEM, "cron: out of memory");
    free(who);
    return rc;
}

static void start_run(void *arg)
{
    struct start *s = arg;
    if (s->handle->state != HANDLE_OPEN) {
        error_set(s->err, TENURE_ECLOSED, "cron: the handle is closed");
        return;
    }
    tenure_cron *k = cron_alloc(s);
    if (!k) {
        error_set(s->err, TENURE_ENOMEM, "cron: out of memory");
        return;
    }
    if (begin(s, k) < 0) {
        dealloc(k);
        return;
    }
    object_init(&k->object, s->handle, &cron_type);
    attach_or_later(k, handle_now(s->handle));
    s->cron = k;
}

static int check(const char *name, struct tenure_cron_options *o, struct schedule *ret, struct tenure_error *err)
{
    if (!name || !name[0] || strchr(name, '/') || strlen(name) > NAME_MAX_LEN ||
        (o->prefix && strlen(o->prefix) > NAME_MAX_LEN))
        return error_set(err, TENURE_EINVALID, "cron: a name that is empty, has a slash or is longer than %d bytes",
                         NAME_MAX_LEN);
    if (o->ttl_s < 0 || o->ttl_s == 1 || o->ttl_s > LEASE_TTL_MAX_S ||
        (o->marks && strlen(o->marks) > COMMIT_PREFIX_MAX) || (unsigned)o->missed > TENURE_CRON_RUN_ONCE ||
        o->late_ms < 0 || o->history < 0 || o->history > HISTORY_MAX || o->for_ms < 0 || !o->on_run)
        return error_set(err, TENURE_EINVALID, "cron '%.100s': an option has no meaning", name);
    return schedule_parse(o->schedule, o->utc_offset, ret, err);
}

/* "<prefix><name>", malloc'd. */
static char *path_of(const char *prefix, const char *name)
{
    prefix = prefix ? prefix : "/cron/";
    size_t prefix_len = strlen(prefix), name_len = strlen(name);
    char *path = malloc(prefix_len + name_len + 2);
    if (!path)
        return NULL;
    memcpy(path, prefix, prefix_len);
    memcpy(path + prefix_len, name, name_len + 1);
    return path;
}

static tenure_cron *cron_begin_on(tenure_client *c, const char *name, struct tenure_cron_options *o,
                                  struct tenure_error *err)
{
    struct start s = {.handle = c, .o = o, .err = err};
    if (check(name, o, &s.schedule, err) < 0)
        return NULL;
    char *path = path_of(o->prefix, name);
    s.path = path;
    if (!path)
        error_set(err, TENURE_ENOMEM, "cron: out of memory");
    else if (!handle_sync(c, start_run, &s))
        error_set(err, TENURE_ECLOSED, "cron: the handle is closed");
    free(path);
    return s.cron;
}

/* The keys, and the marks, below a view's prefix. */
static tenure_cron *cron_begin(tenure_client *c, bytes ns, const char *name, struct tenure_cron_options *o,
                               struct tenure_error *err)
{
    if (ns.len == 0)
        return cron_begin_on(c, name, o, err);
    char *prefix = view_recipe_prefix(ns, o->prefix, "/cron/", err);
    char *marks = prefix ? view_recipe_prefix(ns, o->marks, MARKS_PREFIX, err) : NULL;
    o->prefix = prefix;
    o->marks = marks;
    tenure_cron *k = marks ? cron_begin_on(c, name, o, err) : NULL;
    free(prefix);
    free(marks);
    return k;
}

tenure_cron *tenure_cron_start(tenure_client *c, const char *name, const struct tenure_cron_options *options,
                               struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_cron_options o;
    bytes ns = view_of(&c);
    err = err ? err : &own;
    if (handle_enter(c, err) < 0 || options_take(&o, sizeof o, options, "cron", err) < 0)
        return NULL;
    return cron_begin(c, ns, name, &o, err);
}

/* ---- ending a run ---- */

struct done {
    tenure_cron *cron;
    tenure_token token;
    char *result;
    int code;
};

static void done_run(void *arg)
{
    struct done *d = arg;
    tenure_cron *k = d->cron;
    if (k->has_ended || d->token == 0 || atomic_load(&k->token) != d->token)
        return;
    d->code = cron_done(k->engine, bytes_str(d->result), handle_now(k->object.handle));
    if (d->code == 0) {
        atomic_store(&k->token, 0);
        atomic_store(&k->held_until, 0);
    }
}

int tenure_cron_done(tenure_cron *k, tenure_token token, int result, const char *text, struct tenure_error *err)
{
    if (!k)
        return error_set(err, TENURE_EINVALID, "cron: NULL");
    tenure_client *c = k->object.handle;
    int rc = handle_enter(c, err);
    if (rc < 0)
        return rc;
    struct done d = {.cron = k, .token = token, .result = cron_result_new(result, text), .code = TENURE_ENOTHELD};
    if (!d.result)
        return error_set(err, TENURE_EINVALID, "cron: the text of the result is no UTF-8");
    handle_sync(c, done_run, &d);
    free(d.result);
    return d.code ? error_set(err, d.code, "cron: %s", tenure_error_string(d.code)) : 0;
}

int64_t tenure_cron_remaining_ms(const tenure_cron *cron, tenure_token token)
{
    tenure_cron *k = (tenure_cron *)cron;
    if (!k || handle_is_forked(k->object.handle) || token == 0)
        return 0;
    tn_ms until = atomic_load(&k->held_until); /* before the token: a later run's must not count for this one */
    return atomic_load(&k->token) == token ? until - handle_clock(k->object.handle) : 0;
}

bool tenure_cron_held(const tenure_cron *k, tenure_token token)
{
    return tenure_cron_remaining_ms(k, token) > 0;
}

int64_t tenure_cron_lease(const tenure_cron *k)
{
    return k ? atomic_load(&((tenure_cron *)k)->on.lease) : 0;
}

/* ---- stopping ---- */

static void stop_elsewhere(tenure_cron *k, tenure_client *c)
{
    struct post *post = &k->stop->post;
    tn_ms until = handle_clock(c) + c->call_timeout_ms + LATE_MS;
    if (post_send(c, post, NULL) < 0)
        return; /* closing, and that stops it */
    post_wait(post, until);
    post_unref(post);
}

void tenure_cron_stop(tenure_cron *k)
{
    if (!k || handle_is_forked(k->object.handle))
        return;
    tenure_client *c = k->object.handle;
    if (!handle_on_loop(c)) {
        stop_elsewhere(k, c);
        return;
    }
    struct client_context *before = scope_enter(NULL, c);
    stop(k, handle_now(c));
    scope_exit(c, before);
    handle_wants_turn(c);
}

/* ---- on the caller's thread ---- */

struct runner {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool has_run, has_ended;
    struct scope_link scope;
    struct tenure_cron_run run;
    int code;
    struct tenure_error why;
};

static void runner_on_run(tenure_cron *k, const struct tenure_cron_run *run, void *user)
{
    struct runner *r = user;
    (void)k;
    pthread_mutex_lock(&r->mutex);
    r->has_run = true;
    r->run = *run;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->mutex);
}

/* One that was not begun yet is not begun any more. */
static void runner_on_lost(tenure_cron *k, const struct tenure_cron_run *run, const struct tenure_error *why,
                           void *user)
{
    struct runner *r = user;
    (void)k, (void)why;
    pthread_mutex_lock(&r->mutex);
    if (r->has_run && r->run.token == run->token)
        r->has_run = false;
    pthread_mutex_unlock(&r->mutex);
}

static void runner_on_end(tenure_cron *k, int code, const struct tenure_error *err, void *user)
{
    struct runner *r = user;
    (void)k;
    pthread_mutex_lock(&r->mutex);
    r->has_ended = true;
    r->code = code;
    if (code && err)
        r->why = *err;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->mutex);
}

/* In the test kit waiting is what moves the world; a callback must find the mutex free. */
static void await_run_in_kit(const tenure_client *c, struct runner *r, tn_ms until)
{
    for (bool begins = true; !r->has_run && !r->has_ended; begins = false)
        if (handle_clock(c) >= until || !c->kit->wait(c->kit_user, until, begins))
            return;
}

/* Answers whether there is a run. */
static bool await_run(const tenure_client *c, struct runner *r, tn_ms until, struct tenure_cron_run *ret)
{
    if (c->kit)
        await_run_in_kit(c, r, until);
    pthread_mutex_lock(&r->mutex);
    while (!c->kit && !r->has_run && !r->has_ended && handle_clock(c) < until) {
        struct timespec at;
        tn_ms left = until - handle_clock(c);
        left = left < 1000 ? left : 1000; /* the condition's clock stands still in suspend, ours does not */
        clock_gettime(CLOCK_REALTIME, &at);
        int64_t ns = at.tv_nsec + left * 1000000;
        at.tv_sec += ns / 1000000000;
        at.tv_nsec = ns % 1000000000;
        pthread_cond_timedwait(&r->changed, &r->mutex, &at);
    }
    bool any = r->has_run && !r->has_ended;
    *ret = r->run;
    r->has_run = false;
    pthread_mutex_unlock(&r->mutex);
    return any;
}

static void run_all(tenure_cron *k, struct runner *r, tn_ms until,
                    int (*job)(tenure_cron *k, const struct tenure_cron_run *run, void *arg), void *arg)
{
    struct tenure_cron_run run;
    while (await_run(k->object.handle, r, until, &run)) {
        int result = job(k, &run, arg);
        tenure_cron_done(k, run.token, result == TENURE_ECANCELLED ? 0 : result, NULL, NULL);
        if (result == TENURE_ECANCELLED)
            return;
    }
}

static void runner_cancel(struct scope_link *l, tn_ms now)
{
    struct runner *r = CONTAINER_OF(l, struct runner, scope);
    struct tenure_error err;
    (void)now;
    error_set(&err, l->code, "cron: %s", l->code == TENURE_ETIMEOUT ? "the time of its scope is over" : "cancelled");
    runner_on_end(NULL, err.code, &err, r);
}

struct joining {
    struct runner *runner;
    tenure_client *handle;
};

static void join_run(void *arg)
{
    struct joining *j = arg;
    struct tenure_error err = {0};
    int rc = scope_join(&j->runner->scope, j->handle, runner_cancel, "cron", &err);
    if (rc < 0)
        runner_on_end(NULL, rc, &err, j->runner);
}

static void give_back(tenure_cron *k, const struct tenure_cron_run *run, void *user)
{
    (void)run, (void)user;
    atomic_store(&k->token, 0);
    atomic_store(&k->held_until, 0);
    cron_give_back(k->engine, handle_now(k->object.handle));
}

/* The runner goes; what it was told and has not begun it will not begin. */
static void silence(void *arg)
{
    tenure_cron *k = arg;
    struct runner *r = k->o.user;
    scope_leave(&r->scope);
    k->o.on_run = give_back;
    k->o.on_lost = NULL;
    k->o.on_end = NULL;
    k->o.user = NULL;
    if (r->has_run && !k->has_ended)
        give_back(k, &r->run, NULL);
}

int tenure_cron_run(tenure_client *c, const char *name, const struct tenure_cron_options *options,
                    int (*job)(tenure_cron *k, const struct tenure_cron_run *run, void *arg), void *arg,
                    struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_cron_options o;
    struct runner r = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    bytes ns = view_of(&c);
    err = err ? err : &own;
    int rc = handle_enter_blocking(c, "cron", err);
    rc = rc < 0 ? rc : options_take(&o, sizeof o, options, "cron", err);
    if (rc == 0 && !job)
        rc = error_set(err, TENURE_EINVALID, "cron: there is no job");
    if (rc < 0)
        return rc;
    o.on_run = runner_on_run;
    o.on_lost = runner_on_lost;
    o.on_end = runner_on_end;
    o.user = &r;
    scope_take(&r.scope);
    rc = scope_check(&r.scope, "cron", err);
    tenure_cron *k = rc < 0 ? NULL : cron_begin(c, ns, name, &o, err);
    if (!k) {
        scope_leave(&r.scope);
        return err->code;
    }
    struct joining j = {&r, c};
    handle_sync(c, join_run, &j); /* a handle that was closed has told the runner so */
    run_all(k, &r, o.for_ms ? handle_clock(c) + o.for_ms : TN_MS_NEVER, job, arg);
    handle_sync(c, silence, k); /* the runner lies on our stack */
    tenure_cron_stop(k);
    pthread_cond_destroy(&r.changed);
    pthread_mutex_destroy(&r.mutex);
    if (r.code)
        *err = r.why;
    return r.code;
}
