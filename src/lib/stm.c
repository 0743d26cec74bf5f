/* Transactional memory on a blocking handle: the attempts, one after another, on the caller's thread. The sets are the
 * engine's (recipes/stm.h), reads are plain calls, and the commit is one on the handle's marks. What the function calls is here also
 * for the form that does not wait (stm_start.c): there a key that is not known is wanted, and the run ends.
 *
 * Failure modes: a conflict, a base revision that was compacted, marks whose session has ended before anything was applied:
 * run again. Everything else ends it, with what is known of the writes. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/backoff.h"
#include "lib/ask.h"
#include "lib/marks.h"
#include "lib/range.h"
#include "lib/result.h"
#include "lib/stm.h"
#include "lib/view.h"
#include "recipes/transact.h"

enum { TIMEOUT_MS = 30000, ATTEMPTS_MAX = 1000, FETCH_MAX = 100, REST_MIN_MS = 2, REST_MAX_MS = 250 };

/* ---- for body ---- */

static int stick(tenure_stm_view *v, int code, const struct tenure_error *why)
{
    v->code = code;
    v->why = *why;
    v->stale = code == TENURE_ECOMPACTED;
    return code;
}

static int stick_limit(tenure_stm_view *v, int code)
{
    struct tenure_error why;
    error_set(&why, code, "stm: %s",
              code == TENURE_ELIMIT ? "more than 10,000 keys, or 64 MiB of keys and values" : "out of memory");
    return stick(v, code, &why);
}

static int64_t left_ms(const tenure_stm_view *v)
{
    tn_ms left = v->until - handle_clock(v->root);
    return left > 0 ? left : 1;
}

static int check_key(tenure_stm_view *v, struct tenure_bytes key)
{
    struct tenure_error why;
    if (!v)
        return TENURE_EINVALID;
    if (v->code || (key.len > 0 && key.data))
        return v->code;
    error_set(&why, TENURE_EINVALID, key.len > 0 ? "stm: the key is NULL" : "stm: the key is empty");
    return stick(v, why.code, &why);
}

/* As it is in the set: borrowed, until the next one. */
static int whole_key(tenure_stm_view *v, struct tenure_bytes key, bytes *ret)
{
    int rc = check_key(v, key);
    if (rc)
        return rc;
    *ret = result_bytes_in(key);
    if (!v->errand || v->ns.len == 0)
        return 0;
    buf_reset(&v->key);
    buf_append_bytes(&v->key, v->ns);
    buf_append_bytes(&v->key, *ret);
    *ret = buf_bytes(&v->key);
    return buf_error(&v->key) ? stick_limit(v, TENURE_ENOMEM) : 0;
}

static int stick_waiting(tenure_stm_view *v)
{
    struct tenure_error why;
    error_set(&why, TENURE_EBUSY, "stm: a key is being read, and the function is run again when it is");
    v->waits = true;
    return stick(v, why.code, &why);
}

static struct kv kv_in(const struct tenure_kv *kv)
{
    return (struct kv){.key = result_bytes_in(kv->key),
                       .value = result_bytes_in(kv->value),
                       .create_revision = kv->create_revision,
                       .mod_revision = kv->mod_revision,
                       .version = kv->version,
                       .lease = kv->lease};
}

static int note(tenure_stm_view *v, struct tenure_bytes key, const struct tenure_get_result *r)
{
    struct kv kv = r->n_kvs ? kv_in(&r->kvs[0]) : (struct kv){0};
    struct range_resp answer = {.revision = r->revision, .kvs = &kv, .n_kvs = r->n_kvs ? 1 : 0};
    int rc = stm_note(v->set, result_bytes_in(key), &answer);
    return rc ? stick_limit(v, rc) : 0;
}

static struct tenure_get_options read_options(const tenure_stm_view *v)
{
    struct range_req req;
    stm_read(v->set, bytes_str(""), &req);
    return (struct tenure_get_options){.size = sizeof(struct tenure_get_options),
                                       .revision = req.revision,
                                       .serializable = req.serializable,
                                       .timeout_ms = left_ms(v)};
}

static int fetch_one(tenure_stm_view *v, struct tenure_bytes key)
{
    struct tenure_error why;
    struct tenure_get_result *r = NULL;
    struct tenure_get_options o = read_options(v);
    int rc = tenure_get(v->handle, key, &o, &r, &why);
    rc = rc ? stick(v, rc, &why) : note(v, key, r);
    tenure_get_free(r);
    return rc;
}

/* All at one revision, those known already left out. */
static int fetch_together(tenure_stm_view *v, const struct tenure_bytes *keys, size_t n)
{
    struct tenure_error why = {0};
    struct tenure_txn_result *r = NULL;
    struct tenure_get_options o = read_options(v);
    tenure_txn *t = tenure_txn_new(v->handle);
    o.timeout_ms = 0;
    for (size_t i = 0; i < n; i++)
        tenure_then_get(t, keys[i], &o);
    int rc = tenure_txn_commit(t, left_ms(v), &r, &why);
    rc = rc ? stick(v, rc, &why) : 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct tenure_get_result got = *r->ops[i].get;
        got.revision = r->revision;
        rc = note(v, keys[i], &got);
    }
    tenure_txn_result_free(r);
    tenure_txn_free(t);
    return rc;
}

static int want_all(tenure_stm_view *v, const struct tenure_bytes *keys, size_t n)
{
    struct kv kv;
    bytes key;
    size_t wanted = 0;
    int rc = v->code;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = whole_key(v, keys[i], &key);
        if (rc || stm_find(v->set, key, &kv))
            continue;
        rc = transact_want(v->errand, key);
        rc = rc ? stick_limit(v, rc) : 0;
        wanted++;
    }
    return rc || !wanted ? rc : stick_waiting(v);
}

static int fetch_all(tenure_stm_view *v, const struct tenure_bytes *keys, size_t n)
{
    struct tenure_bytes unknown[FETCH_MAX];
    size_t n_unknown = 0;
    struct kv kv;
    int rc = v->code;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = check_key(v, keys[i]);
        if (rc == 0 && stm_find(v->set, result_bytes_in(keys[i]), &kv) == 0)
            unknown[n_unknown++] = keys[i];
        if (rc == 0 && n_unknown == FETCH_MAX) {
            rc = fetch_together(v, unknown, n_unknown);
            n_unknown = 0;
        }
    }
    if (rc == 0 && n_unknown == 1)
        rc = fetch_one(v, unknown[0]);
    else if (rc == 0 && n_unknown > 1)
        rc = fetch_together(v, unknown, n_unknown);
    return rc;
}

int tenure_stm_fetch(tenure_stm_view *v, const struct tenure_bytes *keys, size_t n)
{
    if (!v || (n > 0 && !keys))
        return TENURE_EINVALID;
    return v->errand ? want_all(v, keys, n) : fetch_all(v, keys, n);
}

int tenure_stm_get(tenure_stm_view *v, struct tenure_bytes key, struct tenure_kv *ret)
{
    struct kv kv;
    bytes whole;
    int rc = whole_key(v, key, &whole);
    if (rc == 0 && stm_find(v->set, whole, &kv) == 0) {
        rc = v->errand ? want_all(v, &key, 1) : fetch_one(v, key);
        if (rc == 0 && stm_find(v->set, whole, &kv) == 0)
            rc = stick_limit(v, TENURE_ENOMEM);
    }
    if (rc)
        return rc;
    kv.key = view_strip(kv.key, v->errand ? v->ns.len : 0);
    if (ret)
        *ret = result_kv(&kv);
    return kv.version ? 0 : TENURE_ENOTFOUND;
}

int tenure_stm_put(tenure_stm_view *v, struct tenure_bytes key, struct tenure_bytes value, int64_t lease)
{
    bytes whole;
    int rc = whole_key(v, key, &whole);
    if (rc)
        return rc;
    if (value.len > 0 && !value.data) {
        struct tenure_error why;
        error_set(&why, TENURE_EINVALID, "stm: the value is NULL");
        return stick(v, why.code, &why);
    }
    rc = stm_put(v->set, whole, result_bytes_in(value), lease);
    return rc ? stick_limit(v, rc) : 0;
}

int tenure_stm_delete(tenure_stm_view *v, struct tenure_bytes key)
{
    bytes whole;
    int rc = whole_key(v, key, &whole);
    if (rc)
        return rc;
    rc = stm_delete(v->set, whole);
    return rc ? stick_limit(v, rc) : 0;
}

int64_t tenure_stm_attempt(const tenure_stm_view *v)
{
    return v ? v->attempt : 0;
}

/* ---- the commit ---- */

static void on_committed(void *owner, const struct commit_result *r)
{
    struct ask *k = owner;
    struct client_result end = {.code = r->code, .error = r->error};
    k->a = r->outcome;
    k->b = r->revision;
    if (r->outcome == COMMIT_CONFLICT && r->n_others > 0) {
        struct txn_resp others = {
            .revision = r->revision, .responses = (struct response_op *)r->others, .n_responses = r->n_others};
        k->result = result_txn(&others); /* without memory the next attempt reads itself */
    }
    ask_ended(k, &end);
}

static int commit_begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    struct marks *m = NULL;
    struct commit_options o = {.until = now + opt->timeout_ms};
    int rc = k->req.commit.unmarked ? 0 : lib_marks_use(k->handle, k->req.commit.marks, &m, err);
    if (rc)
        return rc;
    return commit_start(&k->req.commit.commit, k->handle->engine, m, k->req.commit.txn, &o, on_committed, k, now, err);
}

static void cancel(struct ask *k, tn_ms now)
{
    commit_cancel(&k->req.commit.commit, now);
}

static const struct ask_type read_type = {.what = "stm", .begin = commit_begin, .cancel = cancel, .result_free = free};
static const struct ask_type write_type = {
    .what = "stm", .writes = true, .begin = commit_begin, .cancel = cancel, .result_free = free};

static bool put_below(bytes ns, bytes *key, struct arena *a)
{
    *key = range_key_below(ns, *key, a);
    return key->data != NULL;
}

static bool put_op_below(bytes ns, struct request_op *op, struct arena *a)
{
    if (op->kind == OP_PUT)
        return put_below(ns, &op->put.key, a);
    return put_below(ns, op->kind == OP_DELETE ? &op->del.range.key : &op->range.range.key, a);
}

/* Of a transaction that stm_request made: single keys, each named once in a place. */
static bool put_all_below(bytes ns, struct txn_req *txn, struct arena *a)
{
    bool ok = true;
    for (size_t i = 0; ok && i < txn->n_compares; i++)
        ok = put_below(ns, &txn->compares[i].range.key, a);
    for (size_t i = 0; ok && i < txn->n_success; i++)
        ok = put_op_below(ns, &txn->success[i], a);
    for (size_t i = 0; ok && i < txn->n_failure; i++)
        ok = put_op_below(ns, &txn->failure[i], a);
    return ok;
}

static int build(struct ask *k, const tenure_stm_view *v, const struct tenure_stm_options *o)
{
    struct txn_req *txn = arena_zalloc(&k->arena, sizeof *txn);
    if (!txn || stm_request(v->set, &k->arena, txn) || (v->ns.len > 0 && !put_all_below(v->ns, txn, &k->arena)))
        return TENURE_ENOMEM;
    k->req.commit.txn = txn;
    k->req.commit.unmarked = o->unmarked || txn->n_success == 0;
    k->req.commit.marks = arena_printf(&k->arena, "%.*s%s", (int)v->ns.len, v->ns.len ? (const char *)v->ns.data : "",
                                       o->marks ? o->marks : MARKS_PREFIX);
    return k->req.commit.marks ? 0 : TENURE_ENOMEM;
}

/* From what the conflict brought to what the next attempt begins with. */
static void again_with(tenure_stm_view *v, const struct ask *k)
{
    const struct tenure_txn_result *r = k->result;
    size_t n = r ? r->n_ops : 0;
    struct response_op *others = calloc(n + 1, sizeof *others);
    struct kv *kvs = calloc(n + 1, sizeof *kvs);
    for (size_t i = 0; others && kvs && i < n; i++) {
        const struct tenure_get_result *got = r->ops[i].get;
        others[i].kind = got ? OP_RANGE : OP_NONE;
        if (!got || got->n_kvs == 0)
            continue;
        kvs[i] = kv_in(&got->kvs[0]);
        others[i].range = (struct range_resp){.revision = k->b, .kvs = &kvs[i], .n_kvs = 1};
    }
    stm_again(v->set, k->b, others, others && kvs ? n : 0);
    free(others);
    free(kvs);
}

/* 0 = applied (or nothing to apply), 1 = run again, else the error. */
static int commit(tenure_stm_view *v, const struct tenure_stm_options *o, struct tenure_error *err)
{
    struct ask *k = ask_new(v->root, stm_writes(v->set) ? &write_type : &read_type, left_ms(v), err);
    if (!k)
        return err->code;
    int rc = build(k, v, o) ? error_set(err, TENURE_ENOMEM, "stm: out of memory") : 0;
    bool empty = rc == 0 && k->req.commit.txn->n_compares == 0 && k->req.commit.txn->n_success == 0;
    if (rc == 0 && !empty) {
        rc = ask_block(k, err);
        if (rc == 0 && k->a == COMMIT_CONFLICT) {
            again_with(v, k);
            rc = 1;
        } else if (rc == 0 && o->ret_revision) {
            *o->ret_revision = stm_writes(v->set) ? k->b : 0;
        }
    }
    ask_free(k);
    return rc;
}

/* ---- the attempts ---- */

int stm_options_check(struct tenure_stm_options *o, struct tenure_error *err)
{
    if ((unsigned)o->isolation > TENURE_STM_READ_COMMITTED || o->timeout_ms < 0 || o->attempts_max < 0 ||
        (o->n_prefetch > 0 && !o->prefetch))
        return error_set(err, TENURE_EINVALID, "stm: an option has no meaning");
    o->timeout_ms = o->timeout_ms ? o->timeout_ms : TIMEOUT_MS;
    if (o->timeout_ms > TIMEOUT_MAX_MS)
        o->timeout_ms = TIMEOUT_MAX_MS;
    o->attempts_max = o->attempts_max ? o->attempts_max : ATTEMPTS_MAX;
    return 0;
}

/* A lease that is not there may be the marks', which will have another one, or one that the function put a key on: then it is
 * of no use to run it again. */
static int check_leases(tenure_stm_view *v, struct tenure_error *err)
{
    struct arena a;
    struct txn_req txn;
    arena_init(&a, 0);
    int rc = stm_request(v->set, &a, &txn);
    for (size_t i = 0; rc == 0 && i < txn.n_success; i++) {
        struct tenure_lease_info *info = NULL;
        int64_t lease = txn.success[i].kind == OP_PUT ? txn.success[i].put.lease : 0;
        if (lease && tenure_lease_ttl(v->handle, lease, false, &info, NULL) == 0 && info->ttl_s < 0)
            rc = error_set(err, TENURE_ENOTFOUND, "stm: lease %" PRIx64 " does not exist", (uint64_t)lease);
        tenure_lease_info_free(info);
    }
    arena_fini(&a);
    return rc;
}

/* 0 = applied, 1 = run again, else body's value or an error; *ret_failed says that err is filled. */
static int attempt(tenure_stm_view *v, const struct tenure_stm_options *o, int (*body)(tenure_stm_view *, void *),
                   void *arg, struct tenure_error *err, int *ret_value)
{
    v->attempt++;
    v->code = 0;
    v->stale = false;
    *ret_value = tenure_stm_fetch(v, o->prefetch, o->n_prefetch) ? 0 : body(v, arg);
    if (v->stale) {
        stm_again(v->set, 0, NULL, 0);
        return 1;
    }
    if (v->code) {
        *err = v->why;
        *ret_value = 0;
        return v->code;
    }
    if (*ret_value) {
        error_set(err, *ret_value < 0 ? *ret_value : TENURE_EINTERNAL, "stm: the function answered %d", *ret_value);
        return *ret_value;
    }
    int rc = commit(v, o, err);
    bool lost_unapplied = rc == TENURE_ELOST && err->applied == TENURE_APPLIED_NO;
    if (lost_unapplied)
        rc = check_leases(v, err);
    if (!lost_unapplied || rc)
        return rc;
    stm_again(v->set, 0, NULL, 0);
    return 1;
}

static void rest(tenure_stm_view *v, struct backoff *b, struct rng *r)
{
    int64_t ms = backoff_failure(b, r), left = left_ms(v);
    ms = ms < left ? ms : left;
    tn_ms until = handle_clock(v->root) + ms;
    while (v->root->kit && v->root->kit->wait(v->root->kit_user, until, true)) {
    }
    if (v->root->kit)
        return;
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&ts, &ts) != 0 && errno == EINTR) {
    }
}

static int run(tenure_stm_view *v, const struct tenure_stm_options *o, int (*body)(tenure_stm_view *, void *),
               void *arg, struct tenure_error *err)
{
    struct backoff backoff;
    struct rng rng;
    uint64_t seed = (uint64_t)(uintptr_t)v;
    int value = 0, rc;
    if (v->root->kit)
        seed = v->root->kit->random(v->root->kit_user);
    else if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) < 0)
        seed ^= (uint64_t)handle_clock(v->root);
    rng_init(&rng, seed);
    backoff_init(&backoff, REST_MIN_MS, REST_MAX_MS);
    while ((rc = attempt(v, o, body, arg, err, &value)) == 1 && value == 0) {
        if (v->attempt >= o->attempts_max)
            return error_set(err, TENURE_ECONFLICT, "stm: others were faster in %lld attempts", (long long)v->attempt);
        if (handle_clock(v->root) >= v->until)
            return error_set(err, TENURE_ETIMEOUT, "stm: others were faster until the deadline, in %lld attempts",
                             (long long)v->attempt);
        rest(v, &backoff, &rng);
    }
    return value ? value : rc;
}

int tenure_stm(tenure_client *c, const struct tenure_stm_options *options, int (*body)(tenure_stm_view *v, void *arg),
               void *arg, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_stm_options o;
    struct arena memory; /* of the namespace's prefix: a view may be closed meanwhile */
    bytes ns = view_of(&c);
    err = err ? err : &own;
    int rc = handle_enter_blocking(c, "stm", err);
    rc = rc < 0 ? rc : options_take(&o, sizeof o, options, "stm", err);
    rc = rc < 0 ? rc : stm_options_check(&o, err);
    if (rc == 0 && !body)
        rc = error_set(err, TENURE_EINVALID, "stm: there is no function");
    if (rc < 0)
        return rc;
    tenure_client view = {0};
    struct stm set;
    tenure_stm_view v = {.handle = c, .root = c, .set = &set, .until = handle_clock(c) + o.timeout_ms};
    arena_init(&memory, 0);
    if (ns.len > 0) {
        v.ns = arena_copy(&memory, ns);
        if (!v.ns.data)
            return error_set(err, TENURE_ENOMEM, "stm: out of memory");
        view_init(&view, c, v.ns);
        v.handle = &view;
    }
    handle_ref(c);
    stm_init(&set, (enum stm_isolation)o.isolation);
    if (o.ret_revision)
        *o.ret_revision = 0;
    rc = run(&v, &o, body, arg, err);
    if (o.ret_attempts)
        *o.ret_attempts = v.attempt;
    stm_fini(&set);
    handle_free(c);
    arena_fini(&memory);
    return rc;
}
