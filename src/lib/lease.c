/* Lease calls, blocking. */
#include <stdlib.h>

#include "lib/ask.h"
#include "lib/result.h"

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
    k->a = r->keepalive->ttl_s;
    return 0;
}

static int ttl_convert(struct ask *k, const struct client_result *r)
{
    k->result = result_lease(r->ttl);
    return k->result ? 0 : TENURE_ENOMEM;
}

static int list_convert(struct ask *k, const struct client_result *r)
{
    k->result = result_leases(r->leases);
    return k->result ? 0 : TENURE_ENOMEM;
}

static const struct ask_type grant_type = {
    .what = "lease grant", .writes = true, .begin = grant_begin, .convert = grant_convert, .result_free = free};
static const struct ask_type revoke_type = {
    .what = "lease revoke", .writes = true, .begin = revoke_begin, .result_free = free};
static const struct ask_type keepalive_type = {
    .what = "lease keepalive", .begin = keepalive_once_begin, .convert = keepalive_convert, .result_free = free};
static const struct ask_type ttl_type = {
    .what = "lease ttl", .begin = ttl_begin, .convert = ttl_convert, .result_free = free};
static const struct ask_type list_type = {
    .what = "lease list", .begin = list_begin, .convert = list_convert, .result_free = free};

/* A call at the door of a blocking function; NULL with err filled. */
static struct ask *enter(tenure_client *c, const struct ask_type *type, struct tenure_error *err)
{
    return handle_enter_blocking(c, type->what, err) < 0 ? NULL : ask_new(c, type, 0, err);
}

int tenure_lease_grant(tenure_client *c, int64_t ttl_s, int64_t id, int64_t *ret_id, int64_t *ret_ttl_s,
                       struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    if (ttl_s <= 0 || ttl_s > LEASE_TTL_MAX_S)
        return error_set(err, TENURE_EINVALID, "lease grant: a TTL of %lld s is not within 1 to %lld", (long long)ttl_s,
                         (long long)LEASE_TTL_MAX_S);
    struct ask *k = enter(c, &grant_type, err);
    if (!k)
        return err->code;
    k->req.grant = (struct lease_grant_req){.ttl_s = ttl_s, .id = id};
    int rc = ask_block(k, err);
    if (rc == 0 && ret_id)
        *ret_id = k->a;
    if (rc == 0 && ret_ttl_s)
        *ret_ttl_s = k->b;
    ask_free(k);
    return rc;
}

int tenure_lease_revoke(tenure_client *c, int64_t id, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    struct ask *k = enter(c, &revoke_type, err);
    if (!k)
        return err->code;
    k->req.revoke = (struct lease_revoke_req){.id = id};
    int rc = ask_block(k, err);
    ask_free(k);
    return rc;
}

int tenure_lease_keepalive(tenure_client *c, int64_t id, int64_t *ret_ttl_s, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    struct ask *k = enter(c, &keepalive_type, err);
    if (!k)
        return err->code;
    k->req.keepalive = (struct lease_keepalive_req){.id = id};
    int rc = ask_block(k, err);
    if (rc == 0 && k->a <= 0)
        rc = error_set(err, TENURE_ENOTFOUND, "lease %llx does not exist", (unsigned long long)id);
    if (rc == 0 && ret_ttl_s)
        *ret_ttl_s = k->a;
    ask_free(k);
    return rc;
}

int tenure_lease_ttl(tenure_client *c, int64_t id, bool keys, struct tenure_lease_info **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    struct ask *k = enter(c, &ttl_type, err);
    if (!k)
        return err->code;
    k->req.ttl = (struct lease_ttl_req){.id = id, .keys = keys};
    int rc = ask_block(k, err);
    if (rc == 0 && ret) {
        *ret = k->result;
        k->result = NULL;
    }
    ask_free(k);
    return rc;
}

int tenure_lease_list(tenure_client *c, struct tenure_lease_list **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    struct ask *k = enter(c, &list_type, err);
    if (!k)
        return err->code;
    int rc = ask_block(k, err);
    if (rc == 0 && ret) {
        *ret = k->result;
        k->result = NULL;
    }
    ask_free(k);
    return rc;
}
