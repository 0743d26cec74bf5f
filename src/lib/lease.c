/* Lease calls, in both forms. */
#include <stdlib.h>

#include "lib/ask.h"
#include "lib/result.h"
#include "lib/view.h"

#define BEGIN(name, field)                                                                                             \
    static int name##_begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err) \
    {                                                                                                                  \
        return client_lease_##name(k->handle->engine, &k->req.field, opt, ask_ended, k, now, err) ? 0 : err->code;     \
    }
BEGIN(grant, grant)
BEGIN(revoke, revoke)
BEGIN(keepalive_once, keepalive)
BEGIN(ttl, ttl)
#undef BEGIN

static int list_begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    return client_lease_list(k->handle->engine, opt, ask_ended, k, now, err) ? 0 : err->code;
}

static int grant_convert(struct ask *k, const struct client_result *r)
{
    k->a = r->grant->id;
    k->b = r->grant->ttl_s;
    return 0;
}

static int keepalive_convert(struct ask *k, const struct client_result *r)
{
    k->b = r->keepalive->ttl_s;
    return 0;
}

static int ttl_convert(struct ask *k, const struct client_result *r)
{
    for (size_t i = 0; i < r->ttl->n_keys; i++)
        r->ttl->keys[i] = view_strip(r->ttl->keys[i], k->strip);
    k->result = result_lease(r->ttl);
    return k->result ? 0 : TENURE_ENOMEM;
}

static int list_convert(struct ask *k, const struct client_result *r)
{
    k->result = result_leases(r->leases);
    return k->result ? 0 : TENURE_ENOMEM;
}

static void lease_complete(struct ask *k, int code, const struct tenure_error *err)
{
    ((tenure_lease_cb)k->cb)(k->user, code, k->a, k->b, err);
}

/* A renewal of a lease that is gone is answered with a TTL of 0. */
static int renewed(int64_t id, int64_t ttl_s, struct tenure_error *err)
{
    if (ttl_s > 0)
        return 0;
    return error_set(err, TENURE_ENOTFOUND, "lease %llx does not exist", (unsigned long long)id);
}

static void keepalive_complete(struct ask *k, int code, const struct tenure_error *err)
{
    struct tenure_error gone;
    if (code == 0) {
        code = renewed(k->a, k->b, &gone);
        err = code ? &gone : NULL;
    }
    ((tenure_lease_cb)k->cb)(k->user, code, k->a, k->b, err);
}

ASK_COMPLETE(ttl_complete, tenure_lease_info_cb, struct tenure_lease_info)
ASK_COMPLETE(list_complete, tenure_lease_list_cb, struct tenure_lease_list)

static const struct ask_type grant_type = {
    .what = "lease grant",
    .answers = true,
    .in_namespace = true,
    .writes = true,
    .begin = grant_begin,
    .convert = grant_convert,
    .result_free = free,
    .complete = lease_complete,
};
static const struct ask_type revoke_type = {
    .what = "lease revoke",
    .in_namespace = true,
    .writes = true,
    .begin = revoke_begin,
    .result_free = free,
    .complete = ask_complete_done,
};
static const struct ask_type keepalive_type = {
    .what = "lease keepalive",
    .in_namespace = true,
    .begin = keepalive_once_begin,
    .convert = keepalive_convert,
    .result_free = free,
    .complete = keepalive_complete,
};
static const struct ask_type ttl_type = {
    .what = "lease ttl",
    .answers = true,
    .in_namespace = true,
    .begin = ttl_begin,
    .convert = ttl_convert,
    .result_free = free,
    .complete = ttl_complete,
};
static const struct ask_type list_type = {
    .what = "lease list",
    .answers = true,
    .in_namespace = true,
    .begin = list_begin,
    .convert = list_convert,
    .result_free = free,
    .complete = list_complete,
};

/* ---- grant ---- */

static struct ask *grant_new(tenure_client *c, bool blocks, int64_t ttl_s, int64_t id, struct tenure_error *err)
{
    if (ttl_s <= 0 || ttl_s > LEASE_TTL_MAX_S) {
        error_set(err, TENURE_EINVALID, "lease grant: a TTL of %lld s is not within 1 to %lld", (long long)ttl_s,
                  (long long)LEASE_TTL_MAX_S);
        return NULL;
    }
    struct ask *k = ask_enter(c, &grant_type, blocks, 0, err);
    if (k)
        k->req.grant = (struct lease_grant_req){.ttl_s = ttl_s, .id = id};
    return k;
}

int tenure_lease_grant(tenure_client *c, int64_t ttl_s, int64_t id, int64_t *ret_id, int64_t *ret_ttl_s,
                       struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    if (id == 0 && !ret_id)
        return error_set(err, TENURE_EINVALID, "lease grant: nobody would know the lease");
    struct ask *k = grant_new(c, true, ttl_s, id, err);
    if (!k)
        return err->code;
    int rc = ask_block(k, err);
    if (rc == 0 && ret_id)
        *ret_id = k->a;
    if (rc == 0 && ret_ttl_s)
        *ret_ttl_s = k->b;
    ask_free(k);
    return rc;
}

int tenure_lease_grant_start(tenure_client *c, int64_t ttl_s, int64_t id, tenure_lease_cb cb, void *user,
                             struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(grant_new(c, false, ttl_s, id, err), (void (*)(void))cb, user, err);
}

/* ---- revoke ---- */

static struct ask *revoke_new(tenure_client *c, bool blocks, int64_t id, struct tenure_error *err)
{
    struct ask *k = ask_enter(c, &revoke_type, blocks, 0, err);
    if (k)
        k->req.revoke = (struct lease_revoke_req){.id = id};
    return k;
}

int tenure_lease_revoke(tenure_client *c, int64_t id, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(revoke_new(c, true, id, err), NULL, err);
}

int tenure_lease_revoke_start(tenure_client *c, int64_t id, tenure_done_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(revoke_new(c, false, id, err), (void (*)(void))cb, user, err);
}

/* ---- keepalive ---- */

static struct ask *keepalive_new(tenure_client *c, bool blocks, int64_t id, struct tenure_error *err)
{
    struct ask *k = ask_enter(c, &keepalive_type, blocks, 0, err);
    if (!k)
        return NULL;
    k->req.keepalive = (struct lease_keepalive_req){.id = id};
    k->a = id;
    return k;
}

int tenure_lease_keepalive(tenure_client *c, int64_t id, int64_t *ret_ttl_s, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    struct ask *k = keepalive_new(c, true, id, err);
    if (!k)
        return err->code;
    int rc = ask_block(k, err);
    if (rc == 0)
        rc = renewed(id, k->b, err);
    if (rc == 0 && ret_ttl_s)
        *ret_ttl_s = k->b;
    ask_free(k);
    return rc;
}

int tenure_lease_keepalive_start(tenure_client *c, int64_t id, tenure_lease_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(keepalive_new(c, false, id, err), (void (*)(void))cb, user, err);
}

/* ---- reading ---- */

static struct ask *ttl_new(tenure_client *c, bool blocks, int64_t id, bool keys, struct tenure_error *err)
{
    struct ask *k = ask_enter(c, &ttl_type, blocks, 0, err);
    if (k)
        k->req.ttl = (struct lease_ttl_req){.id = id, .keys = keys};
    return k;
}

int tenure_lease_ttl(tenure_client *c, int64_t id, bool keys, struct tenure_lease_info **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(ttl_new(c, true, id, keys, err), ret, err);
}

int tenure_lease_ttl_start(tenure_client *c, int64_t id, bool keys, tenure_lease_info_cb cb, void *user,
                           struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(ttl_new(c, false, id, keys, err), (void (*)(void))cb, user, err);
}

int tenure_lease_list(tenure_client *c, struct tenure_lease_list **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(ask_enter(c, &list_type, true, 0, err), ret, err);
}

int tenure_lease_list_start(tenure_client *c, tenure_lease_list_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(ask_enter(c, &list_type, false, 0, err), (void (*)(void))cb, user, err);
}
