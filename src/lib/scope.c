/* A tree of scopes has one mutex, its root's. Under it: who is a member, who is a child, whether it is cancelled. It is taken
 * before a handle's mutex of posts, never inside.
 *
 * A scope lives as long as the program's reference, its children and its calls; so the root, and with it the mutex, as long as
 * any of the tree.
 */
#include "lib/scope.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/handle.h"
#include "lib/trace.h"

struct tenure_scope {
    atomic_uint refs;
    tenure_scope *parent, *root;    /* the parent is counted, and with it the root, which is its own */
    struct client_context *context; /* of its calls; counted; NULL = none */
    pid_t pid;
    tn_ms until; /* by this clock: */
    bool on_kit;
    void *kit_user;
    atomic_bool cancelled;
    pthread_mutex_t mutex; /* of the whole tree; the root's alone is used */
    struct list in_parent; /* this and the rest: under the mutex */
    struct list children;
    struct list members; /* struct scope_link.in_scope */
    size_t n_members;
};

static _Thread_local tenure_scope *in_use;

/* ---- time ----
 *
 * A scope belongs to no handle, but to the test kit that its thread has made last, if there is one: several tests in one
 * process, each on its kit's time. When that kit is gone its time stands still. */

static _Thread_local struct {
    tn_ms (*now)(void *user);
    void *user;
} kit_clock;

void lib_kit_set_clock(tn_ms (*clock)(void *user), void *user)
{
    if (!clock && kit_clock.user != user)
        return;
    kit_clock.now = clock;
    kit_clock.user = clock ? user : NULL;
}

/* Of what has a deadline. */
static tn_ms clock_of(const tenure_scope *s)
{
    if (!s->on_kit)
        return io_clock();
    return kit_clock.now && kit_clock.user == s->kit_user ? kit_clock.now(kit_clock.user) : INT64_MIN;
}

static void begin_time(tenure_scope *s, int64_t timeout_ms)
{
    s->on_kit = kit_clock.now != NULL;
    s->kit_user = kit_clock.user;
    s->until = TN_MS_NEVER;
    if (timeout_ms > 0)
        s->until = clock_of(s) + (timeout_ms < TIMEOUT_MAX_MS ? timeout_ms : TIMEOUT_MAX_MS);
}

/* ---- life ---- */

static tenure_scope *ref(tenure_scope *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

static void unref(tenure_scope *s)
{
    while (s && atomic_fetch_sub(&s->refs, 1) == 1) {
        tenure_scope *parent = s->parent;
        pthread_mutex_lock(&s->root->mutex);
        list_remove(&s->in_parent);
        pthread_mutex_unlock(&s->root->mutex);
        pthread_mutex_destroy(&s->mutex);
        client_context_unref(s->context);
        free(s);
        s = parent;
    }
}

static tenure_scope *scope_alloc(const struct tenure_scope_options *o)
{
    tenure_scope *s = calloc(1, sizeof *s);
    if (!s || pthread_mutex_init(&s->mutex, NULL) != 0) {
        free(s);
        return NULL;
    }
    atomic_init(&s->refs, 1);
    list_init(&s->in_parent);
    list_init(&s->children);
    list_init(&s->members);
    s->pid = getpid();
    s->root = s;
    begin_time(s, o->timeout_ms);
    return s;
}

static void become_child(tenure_scope *s, tenure_scope *parent)
{
    s->parent = ref(parent);
    s->root = parent->root;
    if (parent->until < s->until && parent->on_kit == s->on_kit && parent->kit_user == s->kit_user)
        s->until = parent->until;
    pthread_mutex_lock(&s->root->mutex);
    list_push_back(&parent->children, &s->in_parent);
    atomic_store(&s->cancelled, atomic_load(&parent->cancelled));
    pthread_mutex_unlock(&s->root->mutex);
}

/* Of a child that says nothing of its own it is the parent's; of one that says a part, the rest is. */
static bool make_context(tenure_scope *s, struct tenure_scope_options *o)
{
    struct client_context *parents = s->parent ? s->parent->context : NULL;
    if (!o->traceparent && !o->user && !o->user_free) {
        s->context = client_context_ref(parents);
        return true;
    }
    if (!o->traceparent) {
        o->traceparent = client_context_traceparent(parents);
        o->tracestate = client_context_tracestate(parents);
    }
    s->context = client_context_new(o->traceparent, o->tracestate, o->user, o->user_free);
    if (s->context && parents && !o->user && !o->user_free)
        client_context_borrow_user(s->context, parents);
    return s->context != NULL;
}

tenure_scope *tenure_scope_new(const struct tenure_scope_options *options, struct tenure_error *err)
{
    struct tenure_scope_options o;
    if (options_take(&o, sizeof o, options, "scope", err) < 0)
        return NULL;
    if (o.timeout_ms < 0) {
        error_set(err, TENURE_EINVALID, "scope: a timeout of %lld ms", (long long)o.timeout_ms);
        return NULL;
    }
    if (trace_check(o.traceparent, o.tracestate, err) < 0)
        return NULL;
    tenure_scope *s = scope_alloc(&o);
    if (s && o.parent && o.parent->pid == s->pid)
        become_child(s, o.parent);
    if (s && !make_context(s, &o)) {
        unref(s);
        s = NULL;
    }
    if (!s)
        error_set(err, TENURE_ENOMEM, "scope: out of memory");
    return s;
}

tenure_scope *tenure_scope_use(tenure_scope *scope)
{
    tenure_scope *before = in_use;
    in_use = scope;
    return before;
}

void tenure_scope_free(tenure_scope *scope)
{
    if (in_use == scope)
        in_use = NULL;
    if (scope && scope->pid == getpid()) /* else its mutex may be held for ever */
        unref(scope);
}

/* ---- cancelling, any thread ---- */

static void hand_to_loop(struct scope_link *l)
{
    tenure_client *c = l->handle;
    pthread_mutex_lock(&c->posts.mutex);
    if (!l->code && !c->posts.closed) {
        l->code = TENURE_ECANCELLED;
        list_push_back(&c->scopes.cancelled, &l->in_handle);
        driver_wake(c);
    }
    pthread_mutex_unlock(&c->posts.mutex);
}

/* As deep as the program nests. */
static void cancel_tree(tenure_scope *s)
{
    LIST_FOREACH(it, &s->members)
    {
        hand_to_loop(LIST_ENTRY(it, struct scope_link, in_scope));
    }
    LIST_FOREACH(it, &s->children)
    {
        tenure_scope *child = LIST_ENTRY(it, tenure_scope, in_parent);
        if (!atomic_exchange(&child->cancelled, true))
            cancel_tree(child);
    }
}

void tenure_scope_cancel(tenure_scope *scope)
{
    if (!scope || scope->pid != getpid())
        return;
    pthread_mutex_lock(&scope->root->mutex);
    if (!atomic_exchange(&scope->cancelled, true))
        cancel_tree(scope);
    pthread_mutex_unlock(&scope->root->mutex);
}

int tenure_scope_code(const tenure_scope *scope)
{
    if (!scope)
        return 0;
    if (atomic_load(&((tenure_scope *)scope)->cancelled))
        return TENURE_ECANCELLED;
    return scope->until != TN_MS_NEVER && clock_of(scope) >= scope->until ? TENURE_ETIMEOUT : 0;
}

size_t tenure_scope_calls(const tenure_scope *scope)
{
    tenure_scope *s = (tenure_scope *)scope;
    if (!s || s->pid != getpid())
        return 0;
    pthread_mutex_lock(&s->root->mutex);
    size_t n = s->n_members;
    pthread_mutex_unlock(&s->root->mutex);
    return n;
}

/* ---- calls ---- */

void scope_take(struct scope_link *l)
{
    if (!in_use || in_use->pid != getpid())
        return;
    l->scope = ref(in_use);
    l->context = client_context_ref(in_use->context);
}

void scope_lend(struct scope_link *l, const struct scope_link *from)
{
    l->context = client_context_ref(from->context);
}

struct client_context *scope_enter(const struct scope_link *l, struct tenure_client *c)
{
    return c->engine ? client_context_use(c->engine, l ? l->context : NULL) : NULL;
}

void scope_exit(struct tenure_client *c, struct client_context *before)
{
    if (c->engine)
        client_context_use(c->engine, before);
}

static int over(int code, const char *what, struct tenure_error *err)
{
    return error_set(err, code, code == TENURE_ETIMEOUT ? "%s: the time of its scope is over" : "%s: cancelled", what);
}

int scope_check(const struct scope_link *l, const char *what, struct tenure_error *err)
{
    int code = l->scope ? tenure_scope_code(l->scope) : 0;
    return code ? over(code, what, err) : 0;
}

/* By the handle's clock. It is another one than the scope's where a program has both, a kit and real handles, or two kits: then
 * what is left now is left there. */
tn_ms scope_until(const struct scope_link *l, const struct tenure_client *c, tn_ms until)
{
    tenure_scope *s = l->scope;
    if (!s || s->until == TN_MS_NEVER)
        return until;
    tn_ms now = clock_of(s);
    if (now == INT64_MIN)
        return until;
    tn_ms at = s->on_kit || c->kit ? handle_clock(c) + (s->until - now) : s->until;
    return at < until ? at : until;
}

/* Answers the code of a scope that is over. */
static int join_members(struct scope_link *l)
{
    tenure_scope *s = l->scope;
    pthread_mutex_lock(&s->root->mutex);
    int code = tenure_scope_code(s);
    if (!code) {
        list_push_back(&s->members, &l->in_scope);
        s->n_members++;
    }
    pthread_mutex_unlock(&s->root->mutex);
    return code;
}

int scope_join(struct scope_link *l, struct tenure_client *c, void (*cancel)(struct scope_link *l, tn_ms now),
               const char *what, struct tenure_error *err)
{
    if (!l->scope)
        return 0;
    int rc = driver_make_wake(c, err);
    if (rc < 0)
        return rc;
    list_init(&l->in_scope);
    list_init(&l->in_handle);
    heap_node_init(&l->timer);
    l->handle = c;
    l->cancel = cancel;
    tn_ms until = scope_until(l, c, TN_MS_NEVER);
    if (until != TN_MS_NEVER && heap_insert(&c->scopes.timers, &l->timer, until))
        return error_set(err, TENURE_ENOMEM, "%s: out of memory", what);
    int code = join_members(l);
    if (code)
        heap_remove(&c->scopes.timers, &l->timer);
    l->has_joined = code == 0;
    return code ? over(code, what, err) : 0;
}

static void leave_members(struct scope_link *l)
{
    tenure_scope *s = l->scope;
    pthread_mutex_lock(&s->root->mutex);
    list_remove(&l->in_scope);
    s->n_members--;
    pthread_mutex_lock(&l->handle->posts.mutex);
    list_remove(&l->in_handle);
    pthread_mutex_unlock(&l->handle->posts.mutex);
    pthread_mutex_unlock(&s->root->mutex);
    heap_remove(&l->handle->scopes.timers, &l->timer);
    l->has_joined = false;
}

void scope_leave(struct scope_link *l)
{
    l->context = client_context_unref(l->context);
    if (!l->scope)
        return;
    if (l->has_joined)
        leave_members(l);
    unref(l->scope);
    l->scope = NULL;
}

int scope_word(const struct scope_link *l, int code, const char *what, struct tenure_error *err)
{
    if (code != TENURE_ECANCELLED || l->code != TENURE_ETIMEOUT)
        return code;
    enum tenure_applied applied = err->applied;
    over(TENURE_ETIMEOUT, what, err);
    err->applied = applied;
    return TENURE_ETIMEOUT;
}

/* ---- the turn ---- */

static struct scope_link *next_cancelled(tenure_client *c)
{
    struct scope_link *l = NULL;
    pthread_mutex_lock(&c->posts.mutex);
    if (!list_empty(&c->scopes.cancelled)) {
        l = LIST_ENTRY(c->scopes.cancelled.next, struct scope_link, in_handle);
        list_remove(&l->in_handle);
    }
    pthread_mutex_unlock(&c->posts.mutex);
    return l;
}

/* Whose time is over; one that is being cancelled already is left alone. */
static struct scope_link *next_late(tenure_client *c, tn_ms now)
{
    struct heap_node *first;
    while ((first = heap_first(&c->scopes.timers)) && first->at <= now) {
        struct scope_link *l = CONTAINER_OF(first, struct scope_link, timer);
        heap_remove(&c->scopes.timers, first);
        pthread_mutex_lock(&c->posts.mutex);
        bool first_to = l->code == 0;
        if (first_to)
            l->code = TENURE_ETIMEOUT;
        pthread_mutex_unlock(&c->posts.mutex);
        if (first_to)
            return l;
    }
    return NULL;
}

void scopes_run(struct tenure_client *c, tn_ms now)
{
    struct scope_link *l;
    while ((l = next_cancelled(c)) != NULL)
        l->cancel(l, now);
    while ((l = next_late(c, now)) != NULL)
        l->cancel(l, now);
}

tn_ms scopes_deadline(const struct tenure_client *c)
{
    const struct heap_node *first = heap_first(&c->scopes.timers);
    return first ? first->at : TN_MS_NEVER;
}

void scopes_init(struct scopes *s)
{
    list_init(&s->cancelled);
    heap_init(&s->timers);
}

void scopes_fini(struct scopes *s)
{
    heap_fini(&s->timers);
}
