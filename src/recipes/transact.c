/* See transact.h. */
#include "recipes/transact.h"

#include <inttypes.h>
#include <stdlib.h>

enum { TOGETHER_MAX = 100, REST_MIN_MS = 2, REST_MAX_MS = 250, LOST_MAX = 5 };

struct transact {
    struct errand errand;
    struct transact_options o; /* its prefetch: in keys */
    struct stm set;
    struct arena keys; /* those of the prefetch */
    bytes *prefetch;
    struct arena wants_memory;
    bytes *wants;
    size_t n_wants, wants_cap;
    size_t asked; /* so many of the wants, the first ones, are being read */
    struct commit *commit;
    bool writes;
    int64_t attempt;
    unsigned lost;      /* attempts in a row that ended with a session */
    bool has_begun;     /* the errand was started */
    bool is_in_attempt; /* one is under way, between its first read and its commit */
    bool is_again;      /* it has had a pass */
    int stop_code;
    struct backoff rest;
    tn_rev revision;
};

static struct transact *transact_of(const struct errand *t)
{
    return CONTAINER_OF((struct errand *)t, struct transact, errand);
}

static void transact_free(struct errand *t)
{
    struct transact *x = transact_of(t);
    if (x->commit)
        commit_drop(&x->commit, client_now(t->client));
    stm_fini(&x->set);
    arena_fini(&x->keys);
    arena_fini(&x->wants_memory);
    free(x->wants);
    free(x);
}

static void fail_full(struct errand *t, int code, tn_ms now)
{
    errand_fail(t, now, code, "%s",
                code == TENURE_ELIMIT ? "more than 10,000 keys, or 64 MiB of keys and values" : "out of memory");
}

/* ---- attempts ---- */

static void forget_wants(struct transact *x)
{
    x->n_wants = x->asked = 0;
    arena_reset(&x->wants_memory);
}

/* The set is that of the next one already. */
static void next_attempt(struct errand *t, tn_ms now)
{
    struct transact *x = transact_of(t);
    forget_wants(x);
    x->is_in_attempt = false;
    if (t->over)
        return;
    if (x->stop_code)
        errand_end(t, x->stop_code, NULL, now);
    else if (x->attempt >= x->o.attempts_max)
        errand_fail(t, now, TENURE_ECONFLICT, "others were faster in %" PRId64 " attempts", x->attempt);
    else
        t->retry_at = now + backoff_failure(&x->rest, &t->rng);
}

/* ---- reading ---- */

int transact_want(struct errand *t, bytes key)
{
    struct transact *x = transact_of(t);
    if (x->n_wants >= STM_KEYS_MAX)
        return TENURE_ELIMIT;
    if (x->n_wants == x->wants_cap) {
        size_t cap = x->wants_cap ? 2 * x->wants_cap : 16;
        bytes *wants = realloc(x->wants, cap * sizeof *wants);
        if (!wants)
            return TENURE_ENOMEM;
        x->wants = wants;
        x->wants_cap = cap;
    }
    bytes copy = arena_copy(&x->wants_memory, key);
    if (!copy.data)
        return TENURE_ENOMEM;
    x->wants[x->n_wants++] = copy;
    return 0;
}

static void step(struct errand *t, tn_ms now);

static void noted(struct errand *t, int rc, tn_ms now)
{
    struct transact *x = transact_of(t);
    if (rc) {
        fail_full(t, rc, now);
        return;
    }
    x->n_wants -= x->asked;
    memmove(x->wants, x->wants + x->asked, x->n_wants * sizeof *x->wants);
    x->asked = 0;
    step(t, now);
}

static void on_one(struct errand *t, const struct client_result *r, tn_ms now)
{
    struct transact *x = transact_of(t);
    noted(t, stm_note(&x->set, x->wants[0], r->range), now);
}

static void on_several(struct errand *t, const struct client_result *r, tn_ms now)
{
    struct transact *x = transact_of(t);
    const struct range_resp *range;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < x->asked; i++) {
        if (!errand_range_at(r->txn, i, &range)) {
            errand_fail(t, now, TENURE_EPROTOCOL, "the answer is not one to this request");
            return;
        }
        struct range_resp one = *range;
        one.revision = r->txn->revision;
        rc = stm_note(&x->set, x->wants[i], &one);
    }
    noted(t, rc, now);
}

static void read_wants(struct errand *t, tn_ms now)
{
    struct transact *x = transact_of(t);
    struct request_op ops[TOGETHER_MAX];
    struct txn_req req = {.success = ops, .n_success = x->n_wants < TOGETHER_MAX ? x->n_wants : TOGETHER_MAX};
    x->asked = req.n_success;
    for (size_t i = 0; i < x->asked; i++) {
        ops[i] = (struct request_op){.kind = OP_RANGE};
        stm_read(&x->set, x->wants[i], &ops[i].range);
    }
    if (x->asked == 1)
        errand_range(t, &ops[0].range, on_one, now);
    else
        errand_txn(t, &req, false, on_several, now);
}

/* What was read cannot be read on: from the beginning. */
static bool on_failed(struct errand *t, const struct client_result *r, tn_ms now)
{
    if (r->code != TENURE_ECOMPACTED)
        return false;
    stm_again(&transact_of(t)->set, 0, NULL, 0);
    next_attempt(t, now);
    return true;
}

/* ---- the commit ---- */

static bool names_a_lease(const struct transact *x)
{
    struct arena a;
    struct txn_req req;
    bool names = false;
    arena_init(&a, 0);
    if (stm_request(&x->set, &a, &req) == 0)
        for (size_t i = 0; i < req.n_success; i++)
            names |= req.success[i].kind == OP_PUT && req.success[i].put.lease;
    arena_fini(&a);
    return names;
}

/* The marks' lease is gone, or one that a key was to be put on: in that case the next session's will not help. */
static void session_lost(struct errand *t, const struct tenure_error *error, tn_ms now)
{
    struct transact *x = transact_of(t);
    if (++x->lost >= LOST_MAX && names_a_lease(x)) {
        errand_fail(t, now, TENURE_ENOTFOUND, "a lease that a key is put on does not exist");
    } else if (x->lost >= LOST_MAX) {
        errand_end(t, error->code, error, now);
    } else {
        stm_again(&x->set, 0, NULL, 0);
        next_attempt(t, now);
    }
}

static void on_committed(void *owner, const struct commit_result *r)
{
    struct errand *t = owner;
    struct transact *x = transact_of(t);
    tn_ms now = client_now(t->client);
    t->maybe = false;
    if (r->outcome == COMMIT_APPLIED) {
        x->revision = x->writes ? r->revision : 0;
        errand_end(t, 0, NULL, now);
    } else if (r->outcome == COMMIT_CONFLICT) {
        x->lost = 0;
        stm_again(&x->set, r->revision, r->others, r->n_others);
        next_attempt(t, now);
    } else if (!x->stop_code && r->code == TENURE_ELOST && r->error->applied == TENURE_APPLIED_NO) {
        session_lost(t, r->error, now);
    } else {
        errand_end_stopped(t, x->stop_code, r->error, now);
    }
    errand_flush(t);
}

static int send(struct errand *t, const struct txn_req *req, tn_ms now, struct tenure_error *err)
{
    struct transact *x = transact_of(t);
    struct commit_options o = {.until = t->until};
    struct marks *m = NULL;
    int rc = x->writes && x->o.marks ? x->o.marks(x->o.user, &m, err) : 0;
    if (rc)
        return rc;
    t->maybe = x->writes;
    rc = commit_start(&x->commit, t->client, m, req, &o, on_committed, t, now, err);
    if (rc)
        t->maybe = false;
    return rc;
}

static void commit(struct errand *t, tn_ms now)
{
    struct transact *x = transact_of(t);
    struct tenure_error err = {0};
    struct arena a;
    struct txn_req req;
    arena_init(&a, 0);
    if (stm_request(&x->set, &a, &req)) {
        fail_full(t, TENURE_ENOMEM, now);
    } else if (req.n_compares == 0 && req.n_success == 0) {
        errand_end(t, 0, NULL, now);
    } else {
        x->writes = req.n_success > 0;
        if (send(t, &req, now, &err))
            errand_end(t, err.code, &err, now);
    }
    arena_fini(&a);
}

/* ---- the function ---- */

static void pass(struct errand *t, tn_ms now)
{
    struct transact *x = transact_of(t);
    struct tenure_error err = {0};
    int rc = x->is_again ? stm_rewind(&x->set) : 0;
    if (rc) {
        fail_full(t, rc, now);
        return;
    }
    x->is_again = true;
    forget_wants(x);
    rc = x->o.body(x->o.user, t, &x->set, &err);
    if (t->over)
        return;
    if (rc == TRANSACT_WAIT && x->n_wants > 0)
        read_wants(t, now);
    else if (rc == TRANSACT_COMMIT)
        commit(t, now);
    else
        errand_end(t, rc < 0 ? rc : TENURE_EINTERNAL, &err, now);
}

/* A new attempt reads what the function is known to need before it is run. */
static int want_prefetch(struct errand *t)
{
    struct transact *x = transact_of(t);
    struct kv kv;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < x->o.n_prefetch; i++)
        if (stm_find(&x->set, x->prefetch[i], &kv) == 0)
            rc = transact_want(t, x->prefetch[i]);
    return rc;
}

static void begin_attempt(struct errand *t, tn_ms now)
{
    struct transact *x = transact_of(t);
    x->attempt++;
    x->is_in_attempt = true;
    x->is_again = false;
    int rc = want_prefetch(t);
    if (rc)
        fail_full(t, rc, now);
    else if (x->n_wants > 0)
        read_wants(t, now);
    else
        pass(t, now);
}

/* The time of the next attempt has come, or that of a read that failed; or what was wanted is there. */
static void step(struct errand *t, tn_ms now)
{
    struct transact *x = transact_of(t);
    if (t->over || x->commit || t->op)
        return;
    if (!x->has_begun) {
        x->has_begun = true;
        t->retry_at = now; /* not within errand_start */
    } else if (x->n_wants > 0) {
        read_wants(t, now);
    } else if (x->is_in_attempt) {
        pass(t, now);
    } else {
        begin_attempt(t, now);
    }
}

/* What became of it is told by the commit, which is bounded by the deadline. */
static bool on_stop(struct errand *t, tn_ms now)
{
    struct transact *x = transact_of(t);
    if (!x->commit || x->stop_code)
        return x->commit != NULL;
    x->stop_code = t->error.code;
    commit_cancel(&x->commit, now);
    return true;
}

/* ---- life ---- */

static const struct errand_type transact_type = {
    .step = step, .on_stop = on_stop, .on_failed = on_failed, .free = transact_free};

static int copy_prefetch(struct transact *x, const struct transact_options *o)
{
    if (o->n_prefetch > STM_KEYS_MAX)
        return TENURE_ELIMIT;
    x->prefetch = arena_array(&x->keys, o->n_prefetch + 1, sizeof *x->prefetch);
    for (size_t i = 0; x->prefetch && i < o->n_prefetch; i++) {
        x->prefetch[i] = arena_copy(&x->keys, o->prefetch[i]);
        if (!x->prefetch[i].data)
            return TENURE_ENOMEM;
    }
    return x->prefetch ? 0 : TENURE_ENOMEM;
}

struct errand *transact(struct client *c, const struct transact_options *o, errand_done done, void *user,
                        struct tenure_error *err)
{
    struct transact *x = calloc(1, sizeof *x);
    if (!x) {
        error_set(err, TENURE_ENOMEM, "out of memory");
        return NULL;
    }
    errand_init(&x->errand, &transact_type, c, o->until, done, user);
    x->o = *o;
    stm_init(&x->set, o->isolation);
    arena_init(&x->keys, 0);
    arena_init(&x->wants_memory, 0);
    backoff_init(&x->rest, REST_MIN_MS, REST_MAX_MS);
    int rc = copy_prefetch(x, o);
    if (rc == 0)
        return &x->errand;
    error_set(err, rc, "%s", rc == TENURE_ELIMIT ? "more than 10,000 keys" : "out of memory");
    transact_free(&x->errand);
    return NULL;
}

int64_t transact_attempt(const struct errand *t)
{
    return transact_of(t)->attempt;
}

struct transact_result transact_result(const struct errand *t)
{
    const struct transact *x = transact_of(t);
    return (struct transact_result){.revision = x->revision, .attempts = x->attempt};
}
