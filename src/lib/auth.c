/* Users and roles, blocking. */
#include <tenure/auth.h>

#include <stdlib.h>

#include "lib/ask.h"
#include "lib/range.h"
#include "lib/result.h"

static int begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    return client_auth(k->handle->engine, &k->req.auth, opt, ask_ended, k, now, err) ? 0 : err->code;
}

static int status_convert(struct ask *k, const struct client_result *r)
{
    k->a = r->auth_status->enabled;
    k->b = (int64_t)r->auth_status->auth_revision;
    return 0;
}

static int names_convert(struct ask *k, const struct client_result *r)
{
    k->result = result_names(r->names->names, r->names->n_names);
    return k->result ? 0 : TENURE_ENOMEM;
}

static int permissions_convert(struct ask *k, const struct client_result *r)
{
    k->result = result_permissions(r->role);
    return k->result ? 0 : TENURE_ENOMEM;
}

#define CHANGE(words)                                                                                                  \
    {                                                                                                                  \
        .what = (words), .writes = true, .begin = begin, .result_free = free                                           \
    }
#define READ(words, fn)                                                                                                \
    {                                                                                                                  \
        .what = (words), .begin = begin, .convert = (fn), .result_free = free                                          \
    }

static const struct ask_type types[] = {
    [CLIENT_AUTH_ENABLE] = CHANGE("auth enable"),
    [CLIENT_AUTH_DISABLE] = CHANGE("auth disable"),
    [CLIENT_AUTH_STATUS] = READ("auth status", status_convert),
    [CLIENT_USER_ADD] = CHANGE("user add"),
    [CLIENT_USER_DELETE] = CHANGE("user delete"),
    [CLIENT_USER_PASSWORD] = CHANGE("user password"),
    [CLIENT_USER_GRANT] = CHANGE("user grant role"),
    [CLIENT_USER_REVOKE] = CHANGE("user revoke role"),
    [CLIENT_USER_GET] = READ("user get", names_convert),
    [CLIENT_USER_LIST] = READ("user list", names_convert),
    [CLIENT_ROLE_ADD] = CHANGE("role add"),
    [CLIENT_ROLE_DELETE] = CHANGE("role delete"),
    [CLIENT_ROLE_GRANT] = CHANGE("role grant"),
    [CLIENT_ROLE_REVOKE] = CHANGE("role revoke"),
    [CLIENT_ROLE_GET] = READ("role get", permissions_convert),
    [CLIENT_ROLE_LIST] = READ("role list", names_convert),
};

/* ---- what all share ---- */

/* Waits for the answer and hands over its result, where one is wanted. */
static int finish(struct ask *k, void *ret_result, struct tenure_error *err)
{
    void **ret = ret_result;
    int rc = ask_block(k, err);
    if (rc == 0 && ret) {
        *ret = k->result;
        k->result = NULL;
    }
    ask_free(k);
    return rc;
}

static struct ask *enter(tenure_client *c, enum client_auth_kind kind, struct tenure_error *err)
{
    const struct ask_type *type = &types[kind];
    struct ask *k = handle_enter_blocking(c, type->what, err) < 0 ? NULL : ask_new(c, type, 0, err);
    if (k)
        k->req.auth.kind = kind;
    return k;
}

/* A copy of a string for the request; false, with k freed, when there is none. */
static bool keep(struct ask *k, const char *s, bytes *ret, struct tenure_error *err)
{
    if (s) {
        *ret = ask_keep(k, bytes_str(s));
        if (ret->data || ret->len == 0)
            return true;
    }
    error_set(err, s ? TENURE_ENOMEM : TENURE_EINVALID, s ? "%s: out of memory" : "%s: a name is NULL", k->type->what);
    ask_free(k);
    return false;
}

static int ask_nothing(tenure_client *c, enum client_auth_kind kind, void *ret_result, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    struct ask *k = enter(c, kind, err);
    return k ? finish(k, ret_result, err) : err->code;
}

static int ask_name(tenure_client *c, enum client_auth_kind kind, const char *name, void *ret_result,
                    struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    struct ask *k = enter(c, kind, err);
    if (!k || !keep(k, name, &k->req.auth.name, err))
        return err->code;
    return finish(k, ret_result, err);
}

static int ask_user_role(tenure_client *c, enum client_auth_kind kind, const char *user, const char *role,
                         struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    struct ask *k = enter(c, kind, err);
    if (!k || !keep(k, user, &k->req.auth.user_role.user, err) || !keep(k, role, &k->req.auth.user_role.role, err))
        return err->code;
    return finish(k, NULL, err);
}

/* ---- the switch ---- */

int tenure_auth_enable(tenure_client *c, struct tenure_error *err)
{
    return ask_nothing(c, CLIENT_AUTH_ENABLE, NULL, err);
}

int tenure_auth_disable(tenure_client *c, struct tenure_error *err)
{
    return ask_nothing(c, CLIENT_AUTH_DISABLE, NULL, err);
}

int tenure_auth_status(tenure_client *c, bool *ret_enabled, uint64_t *ret_revision, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    struct ask *k = enter(c, CLIENT_AUTH_STATUS, err);
    if (!k)
        return err->code;
    int rc = ask_block(k, err);
    if (rc == 0 && ret_enabled)
        *ret_enabled = k->a;
    if (rc == 0 && ret_revision)
        *ret_revision = (uint64_t)k->b;
    ask_free(k);
    return rc;
}

/* ---- users ---- */

int tenure_user_add(tenure_client *c, const char *name, const char *password, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    struct ask *k = enter(c, CLIENT_USER_ADD, err);
    if (!k || !keep(k, name, &k->req.auth.user_add.name, err) ||
        !keep(k, password ? password : "", &k->req.auth.user_add.password, err))
        return err->code;
    k->req.auth.user_add.no_password = password == NULL;
    return finish(k, NULL, err);
}

int tenure_user_delete(tenure_client *c, const char *name, struct tenure_error *err)
{
    return ask_name(c, CLIENT_USER_DELETE, name, NULL, err);
}

int tenure_user_set_password(tenure_client *c, const char *name, const char *password, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    struct ask *k = enter(c, CLIENT_USER_PASSWORD, err);
    if (!k || !keep(k, name, &k->req.auth.user_password.name, err) ||
        !keep(k, password, &k->req.auth.user_password.password, err))
        return err->code;
    return finish(k, NULL, err);
}

int tenure_user_grant_role(tenure_client *c, const char *user, const char *role, struct tenure_error *err)
{
    return ask_user_role(c, CLIENT_USER_GRANT, user, role, err);
}

int tenure_user_revoke_role(tenure_client *c, const char *user, const char *role, struct tenure_error *err)
{
    return ask_user_role(c, CLIENT_USER_REVOKE, user, role, err);
}

int tenure_user_get(tenure_client *c, const char *name, struct tenure_names **ret, struct tenure_error *err)
{
    return ask_name(c, CLIENT_USER_GET, name, ret, err);
}

int tenure_user_list(tenure_client *c, struct tenure_names **ret, struct tenure_error *err)
{
    return ask_nothing(c, CLIENT_USER_LIST, ret, err);
}

void tenure_names_free(struct tenure_names *r)
{
    free(r);
}

/* ---- roles ---- */

int tenure_role_add(tenure_client *c, const char *name, struct tenure_error *err)
{
    return ask_name(c, CLIENT_ROLE_ADD, name, NULL, err);
}

int tenure_role_delete(tenure_client *c, const char *name, struct tenure_error *err)
{
    return ask_name(c, CLIENT_ROLE_DELETE, name, NULL, err);
}

int tenure_role_get(tenure_client *c, const char *name, struct tenure_permissions **ret, struct tenure_error *err)
{
    return ask_name(c, CLIENT_ROLE_GET, name, ret, err);
}

int tenure_role_list(tenure_client *c, struct tenure_names **ret, struct tenure_error *err)
{
    return ask_nothing(c, CLIENT_ROLE_LIST, ret, err);
}

void tenure_permissions_free(struct tenure_permissions *r)
{
    free(r);
}

/* The request outlives this function when its caller gives up waiting, so the range is copied like all else. */
static bool keep_range(struct ask *k, const struct tenure_permission_range *range, struct key_range *ret,
                       struct tenure_error *err)
{
    struct range_words words = {
        .key = range->key, .prefix = range->prefix, .from_key = range->from_key, .range_end = range->range_end};
    int rc = range_of(&words, &k->arena, ret, err);
    if (rc < 0) {
        error_wrap(err, "%s", k->type->what);
        ask_free(k);
        return false;
    }
    ret->key = ask_keep(k, ret->key);
    ret->range_end = ask_keep(k, ret->range_end);
    if (ret->key.data && (ret->range_end.data || ret->range_end.len == 0))
        return true;
    error_set(err, TENURE_ENOMEM, "%s: out of memory", k->type->what);
    ask_free(k);
    return false;
}

int tenure_role_grant(tenure_client *c, const char *role, enum tenure_permission_type type,
                      const struct tenure_permission_range *range, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    struct ask *k = enter(c, CLIENT_ROLE_GRANT, err);
    if (!k)
        return err->code;
    struct role_grant_req *req = &k->req.auth.role_grant;
    req->has_permission = true;
    req->permission.type = (int32_t)type;
    if (!keep(k, role, &req->role, err) || !keep_range(k, range, &req->permission.range, err))
        return err->code;
    return finish(k, NULL, err);
}

int tenure_role_revoke(tenure_client *c, const char *role, const struct tenure_permission_range *range,
                       struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    struct ask *k = enter(c, CLIENT_ROLE_REVOKE, err);
    if (!k || !keep(k, role, &k->req.auth.role_revoke.role, err) ||
        !keep_range(k, range, &k->req.auth.role_revoke.range, err))
        return err->code;
    return finish(k, NULL, err);
}
