/* Compare and set: a put or a delete under the key's mod_revision, as an exact transaction of one compare and two operations. */
#include <stdlib.h>

#include "lib/exact.h"
#include "lib/request.h"
#include "lib/result.h"
#include "lib/view.h"

static int cas_convert(struct ask *k, const struct client_result *r)
{
    view_strip_txn(r->txn, k->strip);
    k->result = result_cas(r->txn);
    return k->result ? 0 : TENURE_ENOMEM;
}

static void cas_complete(struct ask *k, int code, const struct tenure_error *err)
{
    struct tenure_cas_result *r = k->result;
    k->result = NULL;
    ((tenure_cas_cb)k->cb)(k->user, code, r, err);
}

static const struct ask_type put_if_type = {
    .what = "put_if",
    .in_namespace = true,
    .writes = true,
    .begin = lib_exact_begin,
    .cancel = lib_exact_cancel,
    .convert = cas_convert,
    .result_free = free,
    .complete = cas_complete,
};

static const struct ask_type delete_if_type = {
    .what = "delete_if",
    .in_namespace = true,
    .writes = true,
    .begin = lib_exact_begin,
    .cancel = lib_exact_cancel,
    .convert = cas_convert,
    .result_free = free,
    .complete = cas_complete,
};

void tenure_cas_free(struct tenure_cas_result *r)
{
    free(r);
}

/* ---- the transaction ---- */

struct cas {
    struct txn_req req;
    struct compare compare;
    struct request_op then, other;
};

/* Around c->then, in memory of the call. */
static void cas_init(struct cas *c, bytes key, int64_t mod_revision)
{
    c->compare =
        (struct compare){.result = COMPARE_EQUAL, .target = COMPARE_MOD, .range = {.key = key}, .number = mod_revision};
    c->other = (struct request_op){.kind = OP_RANGE, .range = {.range = {.key = key}}};
    c->req = (struct txn_req){.compares = &c->compare,
                              .n_compares = 1,
                              .success = &c->then,
                              .n_success = 1,
                              .failure = &c->other,
                              .n_failure = 1};
}

static int put_request(struct ask *k, struct tenure_bytes key, struct tenure_bytes value, int64_t mod_revision,
                       const struct tenure_put_options *o, struct tenure_error *err)
{
    struct cas *c = arena_zalloc(&k->arena, sizeof *c);
    if (!c)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    if (mod_revision < 0)
        return error_set(err, TENURE_EINVALID, "mod_revision %lld is below 0", (long long)mod_revision);
    struct put_req *put = &c->then.put;
    int rc = request_put(k->ns, key, value, o, &k->arena, put, err);
    if (rc < 0)
        return rc;
    put->key = ask_keep(k, put->key);
    put->value = ask_keep(k, put->value);
    if (!put->key.data || (value.len > 0 && !put->value.data))
        return error_set(err, TENURE_ENOMEM, "out of memory");
    c->then.kind = OP_PUT;
    cas_init(c, put->key, mod_revision);
    k->req.txn.txn = &c->req;
    return 0;
}

static int delete_request(struct ask *k, struct tenure_bytes key, int64_t mod_revision,
                          const struct tenure_delete_options *o, struct tenure_error *err)
{
    struct cas *c = arena_zalloc(&k->arena, sizeof *c);
    if (!c)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    if (mod_revision <= 0)
        return error_set(err, TENURE_EINVALID, "mod_revision %lld is not above 0", (long long)mod_revision);
    if (o->prefix || o->from_key || o->range_end.len > 0)
        return error_set(err, TENURE_EINVALID, "more than one key");
    struct delete_req *del = &c->then.del;
    int rc = request_delete(k->ns, key, o, &k->arena, del, err);
    if (rc < 0)
        return rc;
    del->range.key = ask_keep(k, del->range.key);
    if (!del->range.key.data)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    c->then.kind = OP_DELETE;
    cas_init(c, del->range.key, mod_revision);
    k->req.txn.txn = &c->req;
    return 0;
}

static struct ask *put_new(tenure_client *c, bool blocks, struct tenure_bytes key, struct tenure_bytes value,
                           int64_t mod_revision, const struct tenure_put_options *options, struct tenure_error *err)
{
    struct tenure_put_options o;
    if (options_take(&o, sizeof o, options, "put_if", err) < 0)
        return NULL;
    struct ask *k = ask_enter(c, &put_if_type, blocks, o.timeout_ms, err);
    return !k || put_request(k, key, value, mod_revision, &o, err) == 0 ? k : ask_drop(k, err);
}

static struct ask *delete_new(tenure_client *c, bool blocks, struct tenure_bytes key, int64_t mod_revision,
                              const struct tenure_delete_options *options, struct tenure_error *err)
{
    struct tenure_delete_options o;
    if (options_take(&o, sizeof o, options, "delete_if", err) < 0)
        return NULL;
    struct ask *k = ask_enter(c, &delete_if_type, blocks, o.timeout_ms, err);
    return !k || delete_request(k, key, mod_revision, &o, err) == 0 ? k : ask_drop(k, err);
}

/* ---- the two forms ---- */

int tenure_put_if(tenure_client *c, struct tenure_bytes key, struct tenure_bytes value, int64_t mod_revision,
                  const struct tenure_put_options *o, struct tenure_cas_result **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(put_new(c, true, key, value, mod_revision, o, err), ret, err);
}

int tenure_delete_if(tenure_client *c, struct tenure_bytes key, int64_t mod_revision,
                     const struct tenure_delete_options *o, struct tenure_cas_result **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(delete_new(c, true, key, mod_revision, o, err), ret, err);
}

int tenure_put_if_start(tenure_client *c, struct tenure_bytes key, struct tenure_bytes value, int64_t mod_revision,
                        const struct tenure_put_options *o, tenure_cas_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(put_new(c, false, key, value, mod_revision, o, err), (void (*)(void))cb, user, err);
}

int tenure_delete_if_start(tenure_client *c, struct tenure_bytes key, int64_t mod_revision,
                           const struct tenure_delete_options *o, tenure_cas_cb cb, void *user,
                           struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(delete_new(c, false, key, mod_revision, o, err), (void (*)(void))cb, user, err);
}
