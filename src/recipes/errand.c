/* What all errands have in common; see errand.h. */
#include "recipes/errand.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

enum { RETRY_MIN_MS = 25, RETRY_MAX_MS = 1000 };

void errand_init(struct errand *t, const struct errand_type *type, struct client *c, tn_ms until, errand_done done,
                 void *user)
{
    *t = (struct errand){.type = type,
                         .client = c,
                         .done = done,
                         .user = user,
                         .context = client_context_ref(client_context_now(c)),
                         .until = until,
                         .retry_at = TN_MS_NEVER};
    backoff_init(&t->backoff, RETRY_MIN_MS, RETRY_MAX_MS);
    rng_init(&t->rng, client_random(c));
}

/* Around what is called from elsewhere than its own calls. What is called may free it: the context lives on till exit. */
static struct client_context *enter(const struct errand *t)
{
    return client_context_use(t->client, client_context_ref(t->context));
}

static void leave(struct client *c, struct client_context *before)
{
    client_context_unref(client_context_use(c, before));
}

void errand_start(struct errand *t, tn_ms now)
{
    struct client_context *before = enter(t);
    t->type->step(t, now);
    leave(t->client, before);
}

/* ---- the end ---- */

static void stop_work(struct errand *t, tn_ms now)
{
    t->maybe = t->maybe || (t->op && t->writing);
    op_drop(&t->op, now);
    errand_unwatch(t, now);
    t->retry_at = TN_MS_NEVER;
}

void errand_end(struct errand *t, int code, const struct tenure_error *error, tn_ms now)
{
    if (t->over)
        return;
    stop_work(t, now);
    t->over = true;
    t->code = code;
    if (error && error != &t->error)
        t->error = *error;
    else if (!error && code)
        error_set(&t->error, code, "%s", tenure_error_string(code));
    else if (!error)
        error_clear(&t->error);
    if (code && t->maybe)
        t->error.applied = TENURE_APPLIED_MAYBE;
}

void errand_end_stopped(struct errand *t, int stop_code, const struct tenure_error *error, tn_ms now)
{
    struct tenure_error why = *error;
    if (stop_code && (error->code == TENURE_ECANCELLED || error->applied == TENURE_APPLIED_NO)) {
        if (stop_code == TENURE_ETIMEOUT)
            op_timeout_error(t->client, &why);
        else
            error_set(&why, stop_code, "%s", tenure_error_string(stop_code));
        why.applied = error->applied;
    }
    errand_end(t, why.code, &why, now);
}

int errand_fail(struct errand *t, tn_ms now, int code, const char *fmt, ...)
{
    struct tenure_error why;
    char text[sizeof why.text];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    error_set(&why, code, "%s", text);
    errand_end(t, code, &why, now);
    return code;
}

void errand_flush(struct errand *t)
{
    if (!t->over || t->told)
        return;
    t->told = true;
    t->done(t->user, t, t->code, &t->error);
}

void errand_stop(struct errand *t, int code, tn_ms now)
{
    if (t->over)
        return;
    if (code == TENURE_ETIMEOUT)
        op_timeout_error(t->client, &t->error);
    else
        error_set(&t->error, code, "%s", tenure_error_string(code));
    t->until = TN_MS_NEVER;
    struct client_context *before = enter(t);
    bool goes_on = t->type->on_stop && t->type->on_stop(t, now);
    leave(t->client, before);
    if (!goes_on)
        errand_end(t, code, &t->error, now);
}

void errand_abort(struct errand *t, int code, tn_ms now)
{
    errand_end(t, code, NULL, now);
    errand_flush(t);
}

struct errand *errand_free(struct errand *t, tn_ms now)
{
    if (!t)
        return NULL;
    stop_work(t, now);
    t->context = client_context_unref(t->context);
    t->type->free(t);
    return NULL;
}

/* ---- time ---- */

tn_ms errand_deadline(const struct errand *t)
{
    if (t->over)
        return t->told ? TN_MS_NEVER : 0;
    return t->retry_at < t->until ? t->retry_at : t->until;
}

void errand_tick(struct errand *t, tn_ms now)
{
    struct client *c = t->client;
    struct client_context *before = enter(t);
    if (!t->over && now >= t->until)
        errand_stop(t, TENURE_ETIMEOUT, now);
    if (!t->over && now >= t->retry_at) {
        t->retry_at = TN_MS_NEVER;
        t->type->step(t, now);
    }
    errand_flush(t);
    leave(c, before);
}

void errand_retry(struct errand *t, tn_ms now)
{
    if (!t->over)
        t->retry_at = now + backoff_failure(&t->backoff, &t->rng);
}

/* ---- requests ---- */

static void failed(struct errand *t, const struct client_result *r, tn_ms now)
{
    t->maybe = t->maybe || (t->writing && op_may_be_applied(r));
    if (op_may_retry(r) && r->code != TENURE_ENOMEM)
        errand_retry(t, now);
    else if (!t->type->on_failed || !t->type->on_failed(t, r, now))
        errand_end(t, r->code, r->error, now);
}

static void on_answer(void *owner, const struct client_result *r)
{
    struct errand *t = owner;
    tn_ms now = client_now(t->client);
    if (r->code) {
        failed(t, r, now);
    } else {
        t->maybe = t->maybe && !t->writing; /* the guard says whether an earlier copy was carried out */
        backoff_success(&t->backoff);
        t->answer(t, r, now);
    }
    errand_flush(t);
}

static struct client_call_options call_options(const struct errand *t, bool writes, tn_ms now)
{
    int64_t left = t->until == TN_MS_NEVER ? 0 : t->until - now;
    return (struct client_call_options){.timeout_ms = t->until != TN_MS_NEVER && left < 1 ? 1 : left,
                                        .repeatable = writes};
}

static void begin(struct errand *t, bool writes, errand_answer answer)
{
    assert(!t->op);
    t->writing = writes;
    t->answer = answer;
    t->retry_at = TN_MS_NEVER;
}

/* A request that could not begin: for want of memory it fails, past a bound it waits. */
static void begun(struct errand *t, int rc, const struct tenure_error *err, tn_ms now)
{
    if (rc == TENURE_ELIMIT)
        errand_retry(t, now);
    else if (rc)
        errand_end(t, rc, err, now);
}

void errand_txn(struct errand *t, const struct txn_req *req, bool writes, errand_answer answer, tn_ms now)
{
    struct tenure_error err = {0};
    struct client_call_options opt = call_options(t, writes, now);
    if (t->over)
        return;
    begin(t, writes, answer);
    begun(t, op_txn(&t->op, t->client, req, &opt, on_answer, t, now, &err), &err, now);
}

void errand_range(struct errand *t, const struct range_req *req, errand_answer answer, tn_ms now)
{
    struct tenure_error err = {0};
    struct client_call_options opt = call_options(t, false, now);
    if (t->over)
        return;
    begin(t, false, answer);
    begun(t, op_range(&t->op, t->client, req, &opt, on_answer, t, now, &err), &err, now);
}

void errand_grant(struct errand *t, const struct lease_grant_req *req, errand_answer answer, tn_ms now)
{
    struct tenure_error err = {0};
    struct client_call_options opt = call_options(t, false, now);
    if (t->over)
        return;
    begin(t, false, answer);
    begun(t, op_lease_grant(&t->op, t->client, req, &opt, on_answer, t, now, &err), &err, now);
}

void errand_keepalive(struct errand *t, const struct lease_keepalive_req *req, errand_answer answer, tn_ms now)
{
    struct tenure_error err = {0};
    struct client_call_options opt = call_options(t, false, now);
    if (t->over)
        return;
    begin(t, false, answer);
    begun(t, op_lease_keepalive_once(&t->op, t->client, req, &opt, on_answer, t, now, &err), &err, now);
}

/* ---- the watch ---- */

static void on_watch_events(void *user, const struct client_watch_events *e)
{
    struct errand *t = user;
    if (!t->over && e->n_events > 0)
        t->type->on_events(t, e, client_now(t->client));
    errand_flush(t);
}

/* A request that is under way will see the state anew by itself. */
static void on_watch_end(void *user, int code, tn_rev compact_revision, const struct tenure_error *error)
{
    struct errand *t = user;
    tn_ms now = client_now(t->client);
    (void)compact_revision;
    errand_unwatch(t, now);
    bool missed =
        code == TENURE_ECOMPACTED || code == TENURE_ELIMIT || code == TENURE_EUNAVAILABLE || code == TENURE_ETIMEOUT;
    if (!missed)
        errand_end(t, code, error, now);
    else if (!t->op && t->retry_at == TN_MS_NEVER && !t->over)
        t->type->step(t, now);
    errand_flush(t);
}

void errand_watch(struct errand *t, struct key_range range, tn_rev seen, bool deletes_only, bool puts_only, tn_ms now)
{
    static const struct client_watch_callbacks cb = {.on_events = on_watch_events, .on_end = on_watch_end};
    struct watch_create_req req = {
        .range = range, .start_revision = seen + 1, .no_put = deletes_only, .no_delete = puts_only};
    struct tenure_error err = {0};
    if (t->over)
        return;
    errand_unwatch(t, now);
    t->watch = client_watch_start(t->client, &req, &cb, t, now, &err);
    if (!t->watch)
        errand_end(t, err.code, &err, now);
}

void errand_unwatch(struct errand *t, tn_ms now)
{
    if (t->watch)
        client_watch_stop(t->client, t->watch, now);
    t->watch = NULL;
}

/* ---- answers and requests ---- */

bool errand_range_at(const struct txn_resp *r, size_t i, const struct range_resp **ret)
{
    if (i >= r->n_responses || r->responses[i].kind != OP_RANGE)
        return false;
    *ret = &r->responses[i].range;
    return true;
}

tn_rev errand_mod_of(const struct range_resp *r)
{
    return r->n_kvs ? r->kvs[0].mod_revision : 0;
}

static void place_one(uint8_t **at, const char *s)
{
    size_t len = strlen(s);
    memcpy(*at, s, len);
    *at += len;
}

bytes errand_place(uint8_t **at, const char *prefix, const char *name, const char *rest)
{
    uint8_t *from = *at;
    place_one(at, prefix);
    place_one(at, name);
    place_one(at, rest);
    return bytes_of(from, (size_t)(*at - from));
}

size_t errand_bare_prefix(const char *prefix, size_t root_len)
{
    size_t len = strlen(prefix);
    while (len > root_len && prefix[len - 1] == '/')
        len--;
    return len;
}

void request_begin(struct errand_request *t)
{
    t->req = (struct txn_req){.compares = t->compares, .success = t->success, .failure = t->failure};
}

void request_if(struct errand_request *t, struct key_range keys, enum compare_target target, enum compare_result result,
                int64_t number)
{
    assert(t->req.n_compares < ERRAND_OPS_MAX);
    t->compares[t->req.n_compares++] =
        (struct compare){.range = keys, .target = target, .result = result, .number = number};
}

static struct request_op *then(struct errand_request *t)
{
    assert(t->req.n_success < ERRAND_OPS_MAX);
    return &t->success[t->req.n_success++];
}

void request_then_get(struct errand_request *t, const struct range_req *r)
{
    *then(t) = (struct request_op){.kind = OP_RANGE, .range = *r};
}

void request_then_put(struct errand_request *t, bytes key, bytes value, tn_lease lease)
{
    *then(t) = (struct request_op){.kind = OP_PUT, .put = {.key = key, .value = value, .lease = lease}};
}

void request_then_delete(struct errand_request *t, struct key_range keys)
{
    *then(t) = (struct request_op){.kind = OP_DELETE, .del.range = keys};
}

void request_else_get(struct errand_request *t, const struct range_req *r)
{
    assert(t->req.n_failure < ERRAND_OPS_MAX);
    t->failure[t->req.n_failure++] = (struct request_op){.kind = OP_RANGE, .range = *r};
}
