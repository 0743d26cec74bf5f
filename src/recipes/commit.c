/* Commits and their marks: see commit.h. */
#include "recipes/commit.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/txn_copy.h"
#include "base/backoff.h"
#include "recipes/op.h"

enum { MARK_LEN = 16, MOVED_MAX = 8, FENCE_MIN_MS = 50, FENCE_MAX_MS = 2000, REQUEST_BYTES_MAX = 256 * 1024 * 1024 };

/* A key of ours, free or used by one commit. Where it stands is what we know of it; a late commit may have moved it. */
struct mark {
    struct list in_free;
    unsigned number;
    tn_rev mod; /* 0 = absent */
};

struct marks {
    struct session_object object;
    struct client *client;
    struct list all;  /* struct commit.in_marks */
    struct list free; /* struct mark.in_free */
    unsigned n_marks;
    unsigned refs; /* whose maker is one */
    bool ended;
    struct tenure_error why;
    char prefix[];
};

enum commit_state { COMMIT_WAITING, COMMIT_MAKING, COMMIT_SENT, COMMIT_RESTING, COMMIT_FENCING };

struct commit {
    struct list in_marks;
    struct commit **slot; /* NULL: nobody is told */
    struct client *client;
    struct marks *marks; /* NULL = without, or gone */
    struct mark *mark;
    enum commit_state state;
    struct arena arena;
    struct txn_req req; /* with room for our compare and operations behind its own */
    bytes key;          /* of the mark */
    char value[MARK_LEN + 2];
    struct commit_options opt;
    struct client_context *context; /* counted; NULL = none */
    struct op *op;
    bool lease_is_gone;
    bool doubtful; /* a copy may have been applied, or be on its way */
    bool cancelled;
    unsigned moved;
    struct tenure_error denied;  /* what the servers said, while it is found out which key they mean */
    struct tenure_error failure; /* why it was fenced, when that was no guard; code 0 = none */
    tn_ms rest_until;
    struct backoff backoff;
    struct rng rng;
    commit_done done;
    void *owner;
};

/* ---- marks ---- */

static struct mark *mark_take(struct marks *m)
{
    if (!list_empty(&m->free)) {
        struct mark *mark = LIST_ENTRY(m->free.next, struct mark, in_free);
        list_remove(&mark->in_free);
        return mark;
    }
    struct mark *mark = m->n_marks < COMMIT_MARKS_MAX ? calloc(1, sizeof *mark) : NULL;
    if (!mark)
        return NULL;
    list_init(&mark->in_free);
    mark->number = m->n_marks++;
    return mark;
}

static void mark_give(struct commit *t)
{
    if (!t->mark)
        return;
    if (t->marks)
        list_push_front(&t->marks->free, &t->mark->in_free);
    else
        free(t->mark);
    t->mark = NULL;
}

/* ---- life ---- */

static void commit_free(struct commit *t)
{
    if (t->slot)
        *t->slot = NULL;
    mark_give(t);
    list_remove(&t->in_marks);
    client_context_unref(t->context);
    arena_fini(&t->arena);
    free(t);
}

/* It leaves the marks first: who is told may end them (marks_free), and with them all commits that are there still. */
static void end(struct commit *t, const struct commit_result *r)
{
    commit_done done = t->slot ? t->done : NULL;
    void *owner = t->owner;
    if (t->slot)
        *t->slot = NULL;
    t->slot = NULL;
    mark_give(t);
    list_remove(&t->in_marks);
    t->marks = NULL;
    struct client_context *before = client_context_use(t->client, t->context);
    struct client *c = t->client;
    if (done)
        done(owner, r);
    client_context_use(c, before);
    commit_free(t);
}

static void end_failed(struct commit *t, int code, enum tenure_applied applied, const char *text)
{
    struct tenure_error why;
    error_set(&why, code, "%s", text);
    why.applied = applied;
    end(t, &(struct commit_result){
               .outcome = COMMIT_FAILED, .code = code, .error = &why, .lease_is_gone = t->lease_is_gone});
}

/* The doubt that there is, as the word for it. */
static enum tenure_applied doubt(const struct commit *t)
{
    return t->doubtful ? TENURE_APPLIED_MAYBE : TENURE_APPLIED_NO;
}

static void end_lost(struct commit *t)
{
    end_failed(t, TENURE_ELOST, doubt(t), "the lease of the marks has ended");
}

/* ---- the requests ---- */

static void assert_plain(const struct request_op *ops, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert(ops[i].kind == OP_PUT || ops[i].kind == OP_RANGE || ops[i].kind == OP_DELETE);
}

/* With room for our compare and operations. */
static bool copy_request(struct commit *t, const struct txn_req *req)
{
    assert_plain(req->success, req->n_success);
    assert_plain(req->failure, req->n_failure);
    return txn_copy_into(&t->arena, req, 1, &t->req);
}

static bool name_mark(struct commit *t)
{
    char key[COMMIT_PREFIX_MAX + 64];
    int len = snprintf(key, sizeof key, "%s%" PRIx64 "/%u", t->marks->prefix,
                       (uint64_t)session_lease(t->marks->object.session), t->mark->number);
    t->key = arena_copy(&t->arena, bytes_of(key, (size_t)len));
    return t->key.data != NULL;
}

static bytes mark_value(const struct commit *t, bool fence)
{
    return bytes_of(t->value, fence ? MARK_LEN + 1 : MARK_LEN);
}

static struct request_op put_mark(const struct commit *t, bool fence)
{
    return (struct request_op){
        .kind = OP_PUT,
        .put = {.key = t->key, .value = mark_value(t, fence), .lease = session_lease(t->marks->object.session)}};
}

static void on_answer(void *owner, const struct client_result *r);

static int send(struct commit *t, const struct txn_req *req, tn_ms until, tn_ms now, struct tenure_error *err)
{
    struct client_call_options opt = {.timeout_ms = until > now ? until - now : 1, .repeatable = t->mark != NULL};
    struct client_context *before = client_context_use(t->client, t->context);
    int rc = op_txn(&t->op, t->client, req, &opt, on_answer, t, now, err);
    client_context_use(t->client, before);
    return rc;
}

/* Ours goes behind the caller's, where there is room for it. */
static int send_commit(struct commit *t, tn_ms now, struct tenure_error *err)
{
    struct txn_req req = t->req;
    t->state = COMMIT_SENT;
    t->doubtful = false;
    if (t->mark) {
        req.compares[req.n_compares++] =
            (struct compare){.target = COMPARE_MOD, .range.key = t->key, .number = t->mark->mod};
        req.success[req.n_success++] = put_mark(t, false);
        req.failure[req.n_failure++] = (struct request_op){.kind = OP_RANGE, .range.range.key = t->key};
    }
    return send(t, &req, t->opt.until, now, err);
}

/* Puts the mark before its first use, so that it can be known by a mod_revision. Its absence would do, but for a lease of which a
 * copy of the grant may be on its way: that one can live again after its end, and its marks be absent again. */
static int send_making(struct commit *t, tn_ms now, struct tenure_error *err)
{
    struct compare absent = {.target = COMPARE_MOD, .range.key = t->key, .number = 0};
    struct request_op put = put_mark(t, true), look = {.kind = OP_RANGE, .range.range.key = t->key};
    struct txn_req req = {
        .compares = &absent, .n_compares = 1, .success = &put, .n_success = 1, .failure = &look, .n_failure = 1};
    t->state = COMMIT_MAKING;
    return send(t, &req, t->opt.until, now, err);
}

/* Moves the mark, if no copy did, and asks what a conflict asks. Its operations are those of the failure branch, which has
 * one place more: the put or the look at the mark. */
static int send_fence(struct commit *t, tn_ms now, struct tenure_error *err)
{
    struct compare guard = {.target = COMPARE_MOD, .range.key = t->key, .number = t->mark->mod};
    size_t n = t->req.n_failure;
    struct request_op *put = txn_copy_ops(&t->arena, t->req.failure, n, 1);
    if (!put)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    put[n] = put_mark(t, true);
    t->req.failure[n] = (struct request_op){.kind = OP_RANGE, .range.range.key = t->key};
    struct txn_req req = {.compares = &guard,
                          .n_compares = 1,
                          .success = put,
                          .n_success = n + 1,
                          .failure = t->req.failure,
                          .n_failure = n + 1};
    tn_ms until = t->opt.settle ? now + FENCE_MAX_MS : t->opt.until;
    t->state = COMMIT_FENCING;
    return send(t, &req, until, now, err);
}

/* ---- doubt ---- */

static void rest(struct commit *t, tn_ms now);

static void fence(struct commit *t, tn_ms now)
{
    struct tenure_error err;
    if (!t->marks || t->marks->ended)
        end_lost(t);
    else if (t->cancelled && !t->opt.settle)
        end_failed(t, TENURE_ECANCELLED, doubt(t), "cancelled");
    else if (send_fence(t, now, &err) == 0)
        return;
    else if (t->opt.settle)
        rest(t, now);
    else
        end_failed(t, err.code, TENURE_APPLIED_MAYBE, err.text);
}

static tn_ms due_at(const struct commit *t)
{
    if (t->state == COMMIT_RESTING)
        return t->rest_until;
    return t->state == COMMIT_WAITING ? t->opt.until : TN_MS_NEVER;
}

/* The marks' timer is for the first of all commits that rest between two fences or wait for the lease. */
static void arm(struct marks *m)
{
    tn_ms first = TN_MS_NEVER;
    LIST_FOREACH(it, &m->all)
    {
        tn_ms at = due_at(LIST_ENTRY(it, struct commit, in_marks));
        first = at < first ? at : first;
    }
    session_set_timer(&m->object, first);
}

static void rest(struct commit *t, tn_ms now)
{
    if (t->marks->ended) {
        end_lost(t);
        return;
    }
    t->state = COMMIT_RESTING;
    t->rest_until = now + backoff_failure(&t->backoff, &t->rng);
    arm(t->marks);
}

/* ---- answers ---- */

static void applied(struct commit *t, tn_rev at, const struct response_op *answers, size_t n)
{
    if (t->mark)
        t->mark->mod = at;
    end(t, &(struct commit_result){.outcome = COMMIT_APPLIED, .revision = at, .answers = answers, .n_answers = n});
}

static void applied_now(struct commit *t, const struct txn_resp *r)
{
    bool fits = r->n_responses == t->req.n_success + (t->mark != NULL);
    applied(t, r->revision, fits ? r->responses : NULL, fits ? t->req.n_success : 0);
}

static void conflict(struct commit *t, const struct txn_resp *r)
{
    end(t,
        &(struct commit_result){
            .outcome = COMMIT_CONFLICT, .revision = r->revision, .others = r->responses, .n_others = t->req.n_failure});
}

/* Behind a fence: by a guard that failed, or by what made the fence necessary. */
static void not_applied(struct commit *t, const struct txn_resp *r)
{
    if (t->failure.code)
        end_failed(t, t->failure.code, TENURE_APPLIED_NO, t->failure.text);
    else
        conflict(t, r);
}

static void moved(struct commit *t, const struct txn_resp *r, tn_rev mod, tn_ms now)
{
    struct tenure_error err;
    t->mark->mod = mod; /* all copies sent so far are dead */
    t->doubtful = false;
    if (t->state == COMMIT_FENCING)
        not_applied(t, r);
    else if (++t->moved > MOVED_MAX)
        end_failed(t, TENURE_ECONFLICT, TENURE_APPLIED_NO, "somebody else keeps writing the mark");
    else if (t->cancelled)
        end_failed(t, TENURE_ECANCELLED, TENURE_APPLIED_NO, "cancelled");
    else if (send_commit(t, now, &err))
        end_failed(t, err.code, TENURE_APPLIED_NO, err.text);
}

/* The lease has ended; if it lives all the same, it was granted anew under its id, and the mark begins anew as well. */
static void vanished(struct commit *t)
{
    t->mark->mod = 0;
    end_lost(t);
}

static const struct range_resp *mark_seen(const struct commit *t, const struct txn_resp *r)
{
    if (r->n_responses != t->req.n_failure + 1 || r->responses[t->req.n_failure].kind != OP_RANGE)
        return NULL;
    return &r->responses[t->req.n_failure].range;
}

/* A guard failed, the mark's or another. */
static void refused(struct commit *t, const struct txn_resp *r, tn_ms now)
{
    const struct range_resp *seen = mark_seen(t, r);
    tn_rev mod = seen && seen->n_kvs ? seen->kvs[0].mod_revision : 0;
    bool absurd = t->state == COMMIT_FENCING && mod == t->mark->mod;
    if (!seen || absurd)
        end_failed(t, TENURE_EPROTOCOL, TENURE_APPLIED_MAYBE, "the answer is not one to this request");
    else if (mod && bytes_equal(seen->kvs[0].value, mark_value(t, false)))
        applied(t, mod, NULL, 0);
    else if (mod && bytes_equal(seen->kvs[0].value, mark_value(t, true))) {
        t->mark->mod = mod;
        not_applied(t, r);
    } else if (mod == 0 && t->mark->mod)
        vanished(t);
    else if (mod != t->mark->mod)
        moved(t, r, mod, now);
    else if (t->doubtful)
        fence(t, now);
    else
        conflict(t, r);
}

static void fenced(struct commit *t, const struct txn_resp *r)
{
    t->mark->mod = r->revision;
    not_applied(t, r);
}

/* ---- which key is refused ---- */

static bytes first_key(const struct commit *t)
{
    const struct request_op *op = t->req.n_success ? &t->req.success[0] : NULL;
    if (op && op->kind == OP_PUT)
        return op->put.key;
    if (op)
        return op->kind == OP_DELETE ? op->del.range.key : op->range.range.key;
    return t->req.n_compares ? t->req.compares[0].range.key : bytes_of(NULL, 0);
}

static void on_probed(void *owner, const struct client_result *r)
{
    struct commit *t = owner;
    struct tenure_error *why = &t->denied;
    char text[sizeof why->text];
    bytes key = r->code ? t->key : first_key(t);
    int len = (int)(key.len < 100 ? key.len : 100);
    if (r->code == TENURE_EDENIED)
        snprintf(text, sizeof text, "%.120s: the mark '%.*s' may not be written", why->text, len,
                 (const char *)key.data);
    else if (r->code == 0)
        snprintf(text, sizeof text, "%.120s: not to its mark, but to what is written or read with '%.*s'", why->text,
                 len, (const char *)key.data);
    else
        snprintf(text, sizeof text, "%s", why->text);
    end_failed(t, TENURE_EDENIED, TENURE_APPLIED_NO, text);
}

/* The servers do not say which. One that can never be applied, with the mark alone, tells whether it is that. */
static bool probe(struct commit *t, const struct client_result *r, tn_ms now)
{
    struct compare never = {.target = COMPARE_MOD, .range.key = t->key, .number = INT64_MAX};
    struct request_op put = put_mark(t, true);
    struct txn_req req = {.compares = &never, .n_compares = 1, .success = &put, .n_success = 1};
    struct client_call_options opt = {.timeout_ms = t->opt.until > now ? t->opt.until - now : 1, .repeatable = true};
    t->denied = *r->error;
    return op_txn(&t->op, t->client, &req, &opt, on_probed, t, now, NULL) == 0;
}

static void failed(struct commit *t, const struct client_result *r, tn_ms now)
{
    enum tenure_applied before = doubt(t);
    t->doubtful = before == TENURE_APPLIED_MAYBE || op_may_be_applied(r);
    bool dead = r->etcd == ETCD_LEASE_NOT_FOUND && t->mark;
    t->lease_is_gone = dead;
    if (r->code == TENURE_EDENIED && t->mark && t->marks && !t->doubtful && !t->cancelled && probe(t, r, now))
        return;
    if (t->state == COMMIT_MAKING) /* nothing of the request was sent */
        end_failed(t, dead ? TENURE_ELOST : r->code, TENURE_APPLIED_NO, r->error->text);
    else if (dead)
        end_lost(t);
    else if (r->code == TENURE_ECLOSED || !t->mark || !t->marks)
        end_failed(t, r->code, r->code == TENURE_ECLOSED ? doubt(t) : r->error->applied, r->error->text);
    else if (t->state == COMMIT_FENCING && t->opt.settle)
        rest(t, now);
    else if (t->doubtful && t->opt.settle) {
        t->failure = *r->error;
        t->failure.code = r->code;
        fence(t, now);
    } else {
        end_failed(t, r->code, doubt(t), r->error->text);
    }
}

/* By this, or by a copy of it, or of one before it. */
static void made(struct commit *t, const struct txn_resp *r, tn_ms now)
{
    struct tenure_error err;
    const struct range_resp *seen =
        !r->succeeded && r->n_responses == 1 && r->responses[0].kind == OP_RANGE ? &r->responses[0].range : NULL;
    if (!r->succeeded && (!seen || seen->n_kvs != 1)) {
        end_failed(t, TENURE_EPROTOCOL, TENURE_APPLIED_NO, "the answer is not one to this request");
        return;
    }
    t->mark->mod = seen ? seen->kvs[0].mod_revision : r->revision;
    if (send_commit(t, now, &err))
        end_failed(t, err.code, TENURE_APPLIED_NO, err.text);
}

static void on_answer(void *owner, const struct client_result *r)
{
    struct commit *t = owner;
    tn_ms now = client_now(t->client);
    if (r->code == 0 && t->state == COMMIT_MAKING) {
        made(t, r->txn, now);
        return;
    }
    t->doubtful = t->doubtful || (r->code == 0 && r->maybe_before);
    if (r->code)
        failed(t, r, now);
    else if (r->txn->succeeded && t->state == COMMIT_FENCING)
        fenced(t, r->txn);
    else if (r->txn->succeeded)
        applied_now(t, r->txn);
    else if (t->mark)
        refused(t, r->txn, now);
    else
        conflict(t, r->txn);
}

/* ---- the session ---- */

static struct marks *marks_of(struct session_object *o)
{
    return CONTAINER_OF(o, struct marks, object);
}

static int begin(struct commit *t, tn_ms now, struct tenure_error *err)
{
    if (t->marks && !name_mark(t))
        return error_set(err, TENURE_ENOMEM, "out of memory");
    if (t->mark && t->mark->mod == 0 && session_began_in_doubt(t->marks->object.session))
        return send_making(t, now, err);
    return send_commit(t, now, err);
}

/* Which may not tell anybody: who waits and cannot begin is told by deliver, as one whose session has ended is. */
static void marks_on_alive(struct session_object *o, tn_ms now)
{
    struct marks *m = marks_of(o);
    LIST_FOREACH(it, &m->all)
    {
        struct commit *t = LIST_ENTRY(it, struct commit, in_marks);
        if (t->state == COMMIT_WAITING && !t->cancelled && begin(t, now, NULL)) {
            t->state = COMMIT_WAITING;
            session_post(o);
        }
    }
}

static void marks_on_ended(struct session_object *o, const struct tenure_error *why, tn_ms now)
{
    struct marks *m = marks_of(o);
    (void)now;
    m->ended = true;
    m->why = *why;
    session_post(o);
}

static void marks_on_timer(struct session_object *o, tn_ms now)
{
    (void)now;
    session_post(o);
}

/* One whose turn it is: it waits in vain, or its rest is over. */
static struct commit *next_due(struct marks *m, tn_ms now)
{
    LIST_FOREACH(it, &m->all)
    {
        struct commit *t = LIST_ENTRY(it, struct commit, in_marks);
        bool idle = t->state == COMMIT_WAITING || t->state == COMMIT_RESTING;
        bool vain = t->state == COMMIT_WAITING && (t->cancelled || session_state(m->object.session) == SESSION_ALIVE);
        if (idle && (m->ended || vain || due_at(t) <= now))
            return t;
    }
    return NULL;
}

static void wake(struct commit *t, tn_ms now)
{
    if (t->state == COMMIT_RESTING)
        fence(t, now);
    else if (t->cancelled)
        end_failed(t, TENURE_ECANCELLED, TENURE_APPLIED_NO, "cancelled");
    else if (t->marks->ended)
        end_failed(t, t->marks->why.code, TENURE_APPLIED_NO, t->marks->why.text);
    else if (t->opt.until <= now)
        end_failed(t, TENURE_ETIMEOUT, TENURE_APPLIED_NO, "no lease was granted in time");
    else
        end_failed(t, TENURE_ENOMEM, TENURE_APPLIED_NO, "out of memory");
}

static void marks_deliver(struct session_object *o)
{
    struct marks *m = marks_of(o);
    tn_ms now = client_now(m->client);
    struct commit *t = next_due(m, now);
    if (!t) {
        arm(m);
        return;
    }
    session_post(o);
    if (t->state == COMMIT_RESTING)
        t->rest_until = TN_MS_NEVER;
    wake(t, now);
}

static void marks_on_dropped(struct session_object *o)
{
    marks_of(o)->ended = true;
}

static const struct session_object_ops marks_ops = {
    .on_alive = marks_on_alive,
    .on_ended = marks_on_ended,
    .on_timer = marks_on_timer,
    .on_dropped = marks_on_dropped,
    .deliver = marks_deliver,
};

int marks_new(struct session *s, const char *prefix, struct marks **ret)
{
    prefix = prefix ? prefix : MARKS_PREFIX;
    size_t len = strlen(prefix);
    struct marks *m = len <= COMMIT_PREFIX_MAX ? calloc(1, sizeof *m + len + 1) : NULL;
    if (!m)
        return TENURE_ENOMEM;
    memcpy(m->prefix, prefix, len + 1);
    m->client = session_client(s);
    m->refs = 1;
    list_init(&m->all);
    list_init(&m->free);
    if (session_attach(s, &m->object, &marks_ops)) {
        free(m);
        return TENURE_ENOMEM;
    }
    session_object_set_context(&m->object, NULL); /* each commit has its own */
    *ret = m;
    return 0;
}

static void leave_marks(struct commit *t, tn_ms now)
{
    if (t->slot)
        *t->slot = NULL;
    t->slot = NULL;
    op_drop(&t->op, now);
    t->marks = NULL;
    commit_free(t);
}

struct marks *marks_free(struct marks *m)
{
    if (!m)
        return NULL;
    tn_ms now = client_now(m->client);
    while (!list_empty(&m->all))
        leave_marks(LIST_ENTRY(m->all.next, struct commit, in_marks), now);
    while (!list_empty(&m->free)) {
        struct mark *mark = LIST_ENTRY(m->free.next, struct mark, in_free);
        list_remove(&mark->in_free);
        free(mark);
    }
    session_detach(&m->object);
    m->ended = true;
    return marks_unref(m);
}

struct marks *marks_ref(struct marks *m)
{
    if (m)
        m->refs++;
    return m;
}

struct marks *marks_unref(struct marks *m)
{
    if (m && --m->refs == 0)
        free(m);
    return NULL;
}

bool marks_usable(const struct marks *m, tn_ms now)
{
    return !m->ended && m->object.session && session_is_open(m->object.session, now);
}

bool marks_busy(const struct marks *m)
{
    return !list_empty(&m->all);
}

/* ---- starting and stopping ---- */

static struct commit *commit_new(struct client *c, struct marks *m, const struct txn_req *req,
                                 const struct commit_options *opt)
{
    struct commit *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    list_init(&t->in_marks);
    arena_init(&t->arena, REQUEST_BYTES_MAX);
    t->client = c;
    t->context = client_context_ref(client_context_now(c));
    t->marks = m;
    t->opt = *opt;
    backoff_init(&t->backoff, FENCE_MIN_MS, FENCE_MAX_MS);
    rng_init(&t->rng, client_random(c));
    snprintf(t->value, sizeof t->value, "%016" PRIx64 "-", client_random(c));
    if (!copy_request(t, req)) {
        commit_free(t);
        return NULL;
    }
    return t;
}

static int take_mark(struct commit *t, struct tenure_error *err)
{
    if (!t->marks)
        return 0;
    t->mark = mark_take(t->marks);
    if (!t->mark)
        return error_set(err, t->marks->n_marks < COMMIT_MARKS_MAX ? TENURE_ENOMEM : TENURE_ELIMIT,
                         "no mark for one more transaction");
    list_push_back(&t->marks->all, &t->in_marks);
    return 0;
}

int commit_start(struct commit **slot, struct client *c, struct marks *m, const struct txn_req *req,
                 const struct commit_options *opt, commit_done done, void *owner, tn_ms now, struct tenure_error *err)
{
    assert(!*slot && (m || !opt->settle));
    if (m && !marks_usable(m, now))
        return error_set(err, TENURE_ELOST, "the lease of the marks has ended");
    struct commit *t = commit_new(c, m, req, opt);
    if (!t)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    int rc = take_mark(t, err);
    if (rc == 0 && (!m || session_state(m->object.session) == SESSION_ALIVE))
        rc = begin(t, now, err);
    if (rc) {
        commit_free(t);
        return rc;
    }
    t->done = done;
    t->owner = owner;
    t->slot = slot;
    *slot = t;
    if (m)
        arm(m);
    return 0;
}

void commit_cancel(struct commit **slot, tn_ms now)
{
    struct commit *t = *slot;
    if (!t || t->cancelled)
        return;
    t->cancelled = true;
    if (t->state == COMMIT_SENT || t->state == COMMIT_MAKING || (t->state == COMMIT_FENCING && !t->opt.settle))
        op_cancel(&t->op, now);
    else if (t->state == COMMIT_WAITING)
        session_post(&t->marks->object);
}

void commit_drop(struct commit **slot, tn_ms now)
{
    struct commit *t = *slot;
    if (!t)
        return;
    *slot = NULL;
    t->slot = NULL;
    if (t->state == COMMIT_WAITING || t->state == COMMIT_MAKING || !t->opt.settle) {
        op_drop(&t->op, now);
        commit_free(t);
    } else if (!t->cancelled) {
        t->cancelled = true;
        if (t->state == COMMIT_SENT)
            op_cancel(&t->op, now);
    }
}
