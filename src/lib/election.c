/* Elections: the engine's election as an object of a handle, with what other threads may ask of it.
 *
 * Whether it leads is what one atomic says, safe_until: set when the engine gained it, moved by renewals at the end of a
 * turn, 0 from the loss on; compared with the time of the asking. It only ever errs towards "no".
 *
 * The end: by itself (on_stopped says why) or by tenure_election_stop; freed when both have happened.
 */
#include <stdlib.h>
#include <unistd.h>

#include "lib/ask.h"
#include "lib/lock_value.h"
#include "lib/result.h"
#include "lib/session.h"
#include "lib/view.h"
#include "recipes/election.h"
#include "recipes/proclaim.h"

#define KEY_MAX 8192 /* prefix, name and lease are shorter */

struct stop {
    struct post post;
    tenure_election *election;
};

struct tenure_election {
    struct object object;
    struct election *engine;
    struct lib_session_user on; /* no session: the engine has one of its own */
    bool has_ended, is_stopped;
    struct list awaits; /* struct await.in_election: who waits for the leadership */
    size_t strip;       /* of a view: how much of the key is not shown */
    struct stop *stop;  /* made with it, so that stopping cannot fail */
    bool stop_is_sent, stop_is_told;
    void (*on_gained)(tenure_election *e, tenure_token token, void *user);
    void (*on_lost)(tenure_election *e, enum tenure_loss why, void *user);
    void (*on_stopped)(tenure_election *e, int code, const struct tenure_error *err, void *user);
    void *user;

    /* any thread */
    _Atomic(tn_ms) safe_until; /* 0 = does not lead */
    _Atomic(tenure_token) token;
    _Atomic(int64_t) lease;
    pthread_mutex_t key_mutex;
    char *key;               /* under the mutex; 0-terminated; NULL = none */
    struct tenure_error why; /* under the mutex */
};

static tenure_election *election_of(const struct object *o)
{
    return CONTAINER_OF(o, tenure_election, object);
}

/* ---- for other threads ---- */

/* A key that there is no memory for is shown as none. */
static void note_key(tenure_election *e)
{
    bytes key = view_strip(election_key(e->engine), e->strip);
    char *copy = key.len > 0 && key.len < KEY_MAX ? strndup((const char *)key.data, key.len) : NULL;
    pthread_mutex_lock(&e->key_mutex);
    free(e->key);
    e->key = copy;
    pthread_mutex_unlock(&e->key_mutex);
}

static void publish(struct object *o)
{
    tenure_election *e = election_of(o);
    atomic_store(&e->safe_until, e->has_ended ? 0 : election_safe_until(e->engine));
    atomic_store(&e->lease, e->has_ended ? 0 : election_lease(e->engine));
}

/* ---- who waits for it ---- */

struct await {
    struct post post;
    struct list in_election;
    tenure_election *election;
    struct scope_link scope;
};

static void await_end(struct await *a, int code, const struct tenure_error *err)
{
    list_remove(&a->in_election);
    scope_leave(&a->scope);
    post_done(&a->post, code, err);
}

static void await_cancel(struct scope_link *l, tn_ms now)
{
    struct tenure_error err;
    int code = error_set(&err, l->code, "election: %s",
                         l->code == TENURE_ETIMEOUT ? "not won within the time of the scope; it goes on" : "cancelled");
    (void)now;
    await_end(CONTAINER_OF(l, struct await, scope), code, &err);
}

static void answer_awaits(tenure_election *e, int code, const struct tenure_error *err)
{
    while (!list_empty(&e->awaits))
        await_end(LIST_ENTRY(e->awaits.next, struct await, in_election), code, err);
}

static bool is_given_up(struct post *p)
{
    pthread_mutex_lock(&p->mutex);
    bool yes = p->is_given_up;
    pthread_mutex_unlock(&p->mutex);
    return yes;
}

/* Whose time was over: so that they do not become more and more. */
static void drop_given_up(tenure_election *e)
{
    LIST_FOREACH_SAFE(it, &e->awaits)
    {
        struct await *a = LIST_ENTRY(it, struct await, in_election);
        if (is_given_up(&a->post))
            await_end(a, TENURE_ETIMEOUT, NULL);
    }
}

/* ---- what the engine says ---- */

static void on_gained(void *user, int64_t token)
{
    tenure_election *e = user;
    note_key(e);
    atomic_store(&e->token, token);
    publish(&e->object);
    answer_awaits(e, 0, NULL);
    if (e->on_gained)
        e->on_gained(e, token, e->user);
}

/* The engine's code does not tell an expiry from a lease that somebody ended; the time does. */
static enum tenure_loss loss_of(const tenure_election *e, const struct tenure_error *why, tn_ms safe_until)
{
    if (!why || why->code == 0)
        return TENURE_LOSS_RESIGNED;
    if (handle_clock(e->object.handle) < safe_until)
        return TENURE_LOSS_REVOKED;
    bool refused = client_keepalive_refusal(e->object.handle->engine)->kind == TENURE_KIND_DENIED;
    return refused ? TENURE_LOSS_REFUSED : TENURE_LOSS_EXPIRED;
}

static void note_why(tenure_election *e, const struct tenure_error *why)
{
    pthread_mutex_lock(&e->key_mutex);
    if (why)
        e->why = *why;
    else
        error_clear(&e->why);
    pthread_mutex_unlock(&e->key_mutex);
}

static void on_lost(void *user, const struct tenure_error *why)
{
    tenure_election *e = user;
    enum tenure_loss loss = loss_of(e, why, atomic_exchange(&e->safe_until, 0));
    note_why(e, why);
    if (e->on_lost)
        e->on_lost(e, loss, e->user);
}

static void on_stopped(void *user, int code, const struct tenure_error *error)
{
    tenure_election *e = user;
    e->has_ended = true;
    object_changed(&e->object);
    publish(&e->object);
    if (code)
        note_why(e, error);
    struct tenure_error ended;
    error_set(&ended, TENURE_ENOTHELD, "election: it has ended");
    answer_awaits(e, code ? code : ended.code, code && error ? error : &ended);
    if (e->on_stopped)
        e->on_stopped(e, code, error, e->user);
}

static void on_refused(void *user, const struct tenure_error *error)
{
    note_why(user, error);
}

static const struct election_callbacks callbacks = {
    .on_gained = on_gained,
    .on_lost = on_lost,
    .on_stopped = on_stopped,
    .on_refused = on_refused,
};

/* ---- the object ---- */

static tn_ms election_object_deadline(const struct object *o)
{
    const tenure_election *e = election_of(o);
    return e->has_ended ? TN_MS_NEVER : election_deadline(e->engine);
}

static void election_object_tick(struct object *o, tn_ms now)
{
    election_tick(election_of(o)->engine, now);
}

static void stop(tenure_election *e, tn_ms now)
{
    if (!e->is_stopped && !e->has_ended)
        election_stop(e->engine, now);
    e->is_stopped = true;
    object_changed(&e->object);
}

/* The session it borrows was given up just before. */
static void election_object_abort(struct object *o, tn_ms now)
{
    if (!election_of(o)->has_ended)
        election_tick(election_of(o)->engine, now);
}

static void election_object_close(struct object *o, tn_ms now)
{
    stop(election_of(o), now);
}

static bool is_over(const struct object *o)
{
    return election_of(o)->has_ended && election_of(o)->is_stopped;
}

static void last_word(struct object *o)
{
    tenure_election *e = election_of(o);
    if (!e->stop_is_sent)
        return;
    e->stop_is_told = true;
    post_done(&e->stop->post, 0, NULL);
}

static void election_object_free(struct object *o)
{
    tenure_election *e = election_of(o);
    struct tenure_error closed;
    error_set(&closed, TENURE_ECLOSED, "election: the handle was closed");
    answer_awaits(e, TENURE_ECLOSED, &closed);
    election_free(e->engine);
    lib_session_unuse(&e->on);
    if (!e->stop_is_sent)
        post_unref(&e->stop->post);
    else if (!e->stop_is_told)
        post_done(&e->stop->post, TENURE_ECLOSED, NULL);
    pthread_mutex_destroy(&e->key_mutex);
    free(e->key);
    free(e);
}

static const struct object_type election_type = {
    .deadline = election_object_deadline,
    .tick = election_object_tick,
    .publish = publish,
    .close = election_object_close,
    .abort = election_object_abort,
    .is_over = is_over,
    .last_word = last_word,
    .free = election_object_free,
};

/* ---- starting ---- */

static void stop_run(struct post *p, tn_ms now)
{
    tenure_election *e = CONTAINER_OF(p, struct stop, post)->election;
    e->stop_is_sent = true;
    stop(e, now);
}

static void stop_free(struct post *p)
{
    free(CONTAINER_OF(p, struct stop, post));
}

static struct stop *stop_new(tenure_election *e, struct tenure_error *err)
{
    struct stop *s = calloc(1, sizeof *s);
    if (!s || post_init(&s->post, stop_run, stop_free, err) < 0) {
        free(s);
        return NULL;
    }
    s->post.must_run = true;
    s->election = e;
    return s;
}

static tenure_election *election_alloc(const struct tenure_election_options *o, struct tenure_error *err)
{
    tenure_election *e = calloc(1, sizeof *e);
    struct stop *s = e ? stop_new(e, err) : NULL;
    if (!s || pthread_mutex_init(&e->key_mutex, NULL) != 0) {
        if (s)
            post_unref(&s->post);
        free(e);
        error_set(err, TENURE_ENOMEM, "election: out of memory");
        return NULL;
    }
    e->stop = s;
    list_init(&e->awaits);
    e->on_gained = o->on_gained;
    e->on_lost = o->on_lost;
    e->on_stopped = o->on_stopped;
    e->user = o->user;
    return e;
}

struct start {
    tenure_client *handle;
    bytes ns;
    const char *name;
    struct tenure_election_options o;
    tenure_election *election;
    struct tenure_error *err;
};

static int begin(struct start *s, tenure_election *e)
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    struct election_options opt = {
        .prefix = s->o.prefix,
        .proposal = s->o.proposal.len ? result_bytes_in(s->o.proposal) : bytes_str(host),
        .preference = s->o.preference,
        .ttl_s = s->o.ttl_s,
        .wait_ms = s->o.wait_ms,
        .once = s->o.once,
        .homed = s->handle->federated,
        .resume_lease = s->o.resume_lease,
        .resume_token = s->o.resume_token,
        .is_gone = s->o.resume_is_sure ? NULL : lock_value_is_gone,
    };
    if (s->handle->state != HANDLE_OPEN)
        return error_set(s->err, TENURE_ECLOSED, "election '%.100s': the handle is closed", s->name);
    if (s->o.session) {
        int rc = lib_session_join(lib_session_of(s->o.session), &e->on, s->err);
        if (rc < 0)
            return rc;
        opt.session = e->on.session->engine;
    }
    char *prefix = s->ns.len > 0 ? view_recipe_prefix(s->ns, s->o.prefix, "/election/", s->err) : NULL;
    if (s->ns.len > 0 && !prefix)
        return TENURE_ENOMEM;
    if (prefix)
        opt.prefix = prefix;
    e->strip = s->ns.len;
    char *who = lock_value_new_mark(s->o.purpose ? s->o.purpose : s->handle->purpose, handle_wall_ms(s->handle),
                                    client_random(s->handle->engine));
    opt.note = bytes_str(who);
    int rc =
        who ? election_start(s->handle->engine, s->name, &opt, &callbacks, e, handle_now(s->handle), &e->engine, s->err)
            : error_set(s->err, TENURE_ENOMEM, "election: out of memory");
    free(who);
    free(prefix);
    return rc;
}

static void start_run(void *arg)
{
    struct start *s = arg;
    tenure_election *e = election_alloc(&s->o, s->err);
    if (!e)
        return;
    if (begin(s, e) < 0) {
        lib_session_unuse(&e->on);
        post_unref(&e->stop->post);
        pthread_mutex_destroy(&e->key_mutex);
        free(e);
        return;
    }
    object_init(&e->object, s->handle, &election_type);
    s->election = e;
}

static int options_check(const char *name, const struct tenure_election_options *options,
                         struct tenure_election_options *ret, struct tenure_error *err)
{
    if (!name || !name[0])
        return error_set(err, TENURE_EINVALID, "election: the name is empty");
    int rc = options_take(ret, sizeof *ret, options, "election", err);
    if (rc == 0 && (ret->wait_ms < 0 || ret->ttl_s < 0))
        rc = error_set(err, TENURE_EINVALID, "election '%.100s': a negative time", name);
    if (rc == 0 && ret->proposal.len > 0 && !ret->proposal.data)
        rc = error_set(err, TENURE_EINVALID, "election '%.100s': a proposal that has a length and no data", name);
    if (rc == 0 && ret->session && ret->ttl_s)
        rc = error_set(err, TENURE_EINVALID, "election '%.100s': a TTL beside a session, which has its own", name);
    if (rc == 0 && (ret->resume_token < 0 || !ret->resume_token != !ret->resume_lease))
        rc = error_set(err, TENURE_EINVALID, "election '%.100s': to resume it takes a lease and a token", name);
    if (rc == 0 && ret->resume_token && ret->session)
        rc = error_set(err, TENURE_EINVALID, "election '%.100s': what is resumed brings its own session", name);
    return rc;
}

tenure_election *tenure_election_start(tenure_client *c, const char *name, const struct tenure_election_options *o,
                                       struct tenure_error *err)
{
    struct tenure_error own = {0};
    bytes ns = view_of(&c);
    struct start s = {.handle = c, .ns = ns, .name = name, .err = err ? err : &own};
    if (handle_enter(c, err) < 0 || options_check(name, o, &s.o, err) < 0)
        return NULL;
    if (!handle_sync(c, start_run, &s))
        error_set(err, TENURE_ECLOSED, "election '%.100s': the handle is closed", name);
    return s.election;
}

/* ---- stopping ---- */

static void stop_elsewhere(tenure_election *e, tenure_client *c)
{
    struct post *p = &e->stop->post;
    tn_ms until = handle_clock(c) + c->call_timeout_ms + LATE_MS;
    if (post_send(c, p, NULL) < 0)
        return; /* closing, and that stops it */
    post_wait(p, until);
    post_unref(p);
}

void tenure_election_stop(tenure_election *e)
{
    if (!e || handle_is_forked(e->object.handle))
        return;
    tenure_client *c = e->object.handle;
    if (!handle_on_loop(c)) {
        stop_elsewhere(e, c);
        return;
    }
    struct client_context *before = scope_enter(NULL, c);
    stop(e, handle_now(c));
    scope_exit(c, before);
    handle_wants_turn(c);
}

/* ---- awaiting ---- */

static void await_run(struct post *p, tn_ms now)
{
    struct await *a = CONTAINER_OF(p, struct await, post);
    tenure_election *e = a->election;
    struct tenure_error err = {0};
    drop_given_up(e);
    int rc = scope_join(&a->scope, e->object.handle, await_cancel, "election", &err);
    if (rc < 0) {
        await_end(a, rc, &err);
    } else if (e->has_ended) {
        error_set(&err, TENURE_ENOTHELD, "election: it has ended");
        await_end(a, err.code, &err);
    } else if (election_leads(e->engine, now)) {
        await_end(a, 0, NULL);
    } else {
        list_push_back(&e->awaits, &a->in_election);
    }
}

static void await_free(struct post *p)
{
    struct await *a = CONTAINER_OF(p, struct await, post);
    scope_leave(&a->scope);
    free(a);
}

static int await_wait(tenure_client *c, struct post *p, tn_ms until, struct tenure_error *err)
{
    int rc = post_send(c, p, err);
    if (rc < 0)
        return rc;
    if (post_wait(p, until) != POST_DONE) { /* the loop may have been too late to say what is so all the while */
        bool leads = tenure_election_leads(CONTAINER_OF(p, struct await, post)->election);
        return leads ? 0 : error_set(err, TENURE_ETIMEOUT, "election: not won in time; it goes on");
    }
    if (p->code != 0 && err)
        *err = p->error;
    return p->code;
}

int tenure_election_await(tenure_election *e, int64_t wait_ms, struct tenure_error *err)
{
    if (!e)
        return error_set(err, TENURE_EINVALID, "election: there is none");
    tenure_client *c = e->object.handle;
    int rc = handle_enter_blocking(c, "election", err);
    if (rc < 0)
        return rc;
    if (wait_ms < 0)
        return error_set(err, TENURE_EINVALID, "election: a negative time");
    struct await *a = calloc(1, sizeof *a);
    if (!a || post_init(&a->post, await_run, await_free, err) < 0) {
        free(a);
        return error_set(err, TENURE_ENOMEM, "election: out of memory");
    }
    a->election = e;
    list_init(&a->in_election);
    scope_take(&a->scope);
    tn_ms until = wait_ms == 0 || wait_ms > TIMEOUT_MAX_MS ? TN_MS_NEVER : handle_clock(c) + wait_ms;
    rc = await_wait(c, &a->post, until, err);
    post_unref(&a->post);
    return rc;
}

/* ---- any thread ---- */

bool tenure_election_leads(const tenure_election *e)
{
    return tenure_election_remaining_ms(e) > 0;
}

int64_t tenure_election_remaining_ms(const tenure_election *e)
{
    tn_ms until = e ? atomic_load(&((tenure_election *)e)->safe_until) : 0;
    return until == 0 || handle_is_forked(e->object.handle) ? 0 : until - handle_clock(e->object.handle);
}

tenure_token tenure_election_token(const tenure_election *e)
{
    return e ? atomic_load(&((tenure_election *)e)->token) : 0;
}

int64_t tenure_election_lease(const tenure_election *e)
{
    return e ? atomic_load(&((tenure_election *)e)->lease) : 0;
}

void tenure_election_why(const tenure_election *election, struct tenure_error *ret)
{
    tenure_election *e = (tenure_election *)election;
    if (!ret)
        return;
    if (!e) {
        error_set(ret, TENURE_EINVALID, "the election is NULL");
        return;
    }
    pthread_mutex_lock(&e->key_mutex);
    *ret = e->why;
    pthread_mutex_unlock(&e->key_mutex);
}

void tenure_election_key(const tenure_election *election, char *out, size_t size)
{
    tenure_election *e = (tenure_election *)election;
    if (!out || size == 0)
        return;
    out[0] = 0;
    if (!e)
        return;
    pthread_mutex_lock(&e->key_mutex);
    size_t len = e->key ? strnlen(e->key, size - 1) : 0;
    if (len > 0)
        memcpy(out, e->key, len);
    out[len] = 0;
    pthread_mutex_unlock(&e->key_mutex);
}

/* ---- the proposal ---- */

static void on_proclaimed(void *user, const struct client_result *r)
{
    struct ask *k = user;
    k->req.proclaim.proclaim = NULL;
    ask_ended(k, r);
}

static int proclaim_begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    tenure_election *e = k->req.proclaim.election;
    (void)opt;
    if (e->has_ended || !election_leads(e->engine, now))
        return error_set(err, TENURE_ENOTHELD, "proclaim: this candidate does not lead");
    int rc = election_proclaim(e->engine, k->req.proclaim.proposal, on_proclaimed, k, now, err);
    if (rc == 0)
        k->req.proclaim.proclaim = election_proclaiming(e->engine);
    return rc;
}

static void proclaim_cancelled(struct ask *k, tn_ms now)
{
    if (k->req.proclaim.proclaim)
        proclaim_cancel(k->req.proclaim.proclaim, now);
}

static const struct ask_type proclaim_type = {
    .what = "proclaim", .writes = true, .begin = proclaim_begin, .cancel = proclaim_cancelled, .result_free = free};

int tenure_election_proclaim(tenure_election *e, struct tenure_bytes proposal, struct tenure_error *err)
{
    struct tenure_error own = {0};
    if (!e || (proposal.len > 0 && !proposal.data))
        return error_set(err, TENURE_EINVALID, "proclaim: the election, or the data of the proposal, is NULL");
    tenure_client *c = e->object.handle;
    err = err ? err : &own;
    int rc = handle_enter_blocking(c, "proclaim", err);
    struct ask *k = rc < 0 ? NULL : ask_new(c, &proclaim_type, 0, err);
    if (!k)
        return err->code;
    k->req.proclaim.election = e;
    k->req.proclaim.proposal = ask_keep(k, result_bytes_in(proposal));
    if (proposal.len > 0 && !k->req.proclaim.proposal.data)
        rc = error_set(err, TENURE_ENOMEM, "proclaim: out of memory");
    else
        rc = ask_block(k, err);
    ask_free(k);
    return rc;
}
