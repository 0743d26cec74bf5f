/* Users and roles, in both forms: each request is made by one function, which either form ends its way. */
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

static void status_complete(struct ask *k, int code, const struct tenure_error *err)
{
    ((tenure_auth_status_cb)k->cb)(k->user, code, k->a != 0, (uint64_t)k->b, err);
}

ASK_COMPLETE(names_complete, tenure_names_cb, struct tenure_names)
ASK_COMPLETE(permissions_complete, tenure_permissions_cb, struct tenure_permissions)

#define CHANGE(words)                                                                                                  \
    {                                                                                                                  \
        .what = (words), .writes = true, .begin = begin, .result_free = free, .complete = ask_complete_done            \
    }
#define READ(words, fn)                                                                                                \
    {                                                                                                                  \
        .what = (words), .answers = true, .begin = begin, .convert = fn##_convert, .result_free = free,                \
        .complete = fn##_complete                                                                                      \
    }

static const struct ask_type types[] = {
    [CLIENT_AUTH_ENABLE] = CHANGE("auth enable"),
    [CLIENT_AUTH_DISABLE] = CHANGE("auth disable"),
    [CLIENT_AUTH_STATUS] = READ("auth status", status),
    [CLIENT_USER_ADD] = CHANGE("user add"),
    [CLIENT_USER_DELETE] = CHANGE("user delete"),
    [CLIENT_USER_PASSWORD] = CHANGE("user password"),
    [CLIENT_USER_GRANT] = CHANGE("user grant role"),
    [CLIENT_USER_REVOKE] = CHANGE("user revoke role"),
    [CLIENT_USER_GET] = READ("user get", names),
    [CLIENT_USER_LIST] = READ("user list", names),
    [CLIENT_ROLE_ADD] = CHANGE("role add"),
    [CLIENT_ROLE_DELETE] = CHANGE("role delete"),
    [CLIENT_ROLE_GRANT] = CHANGE("role grant"),
    [CLIENT_ROLE_REVOKE] = CHANGE("role revoke"),
    [CLIENT_ROLE_GET] = READ("role get", permissions),
    [CLIENT_ROLE_LIST] = READ("role list", names),
};

/* ---- requests: NULL with err filled ---- */

static struct ask *plain(tenure_client *c, bool blocks, enum client_auth_kind kind, struct tenure_error *err)
{
    struct ask *k = ask_enter(c, &types[kind], blocks, 0, err);
    if (k)
        k->req.auth.kind = kind;
    return k;
}

static struct ask *named(tenure_client *c, bool blocks, enum client_auth_kind kind, const char *name,
                         struct tenure_error *err)
{
    struct ask *k = plain(c, blocks, kind, err);
    return k && ask_keep_string(k, name, &k->req.auth.name, err) ? k : NULL;
}

static struct ask *user_and_role(tenure_client *c, bool blocks, enum client_auth_kind kind, const char *user,
                                 const char *role, struct tenure_error *err)
{
    struct ask *k = plain(c, blocks, kind, err);
    if (!k || !ask_keep_string(k, user, &k->req.auth.user_role.user, err) ||
        !ask_keep_string(k, role, &k->req.auth.user_role.role, err))
        return NULL;
    return k;
}

static struct ask *user_add(tenure_client *c, bool blocks, const char *name, const char *password,
                            struct tenure_error *err)
{
    struct ask *k = plain(c, blocks, CLIENT_USER_ADD, err);
    if (!k || !ask_keep_string(k, name, &k->req.auth.user_add.name, err) ||
        !ask_keep_string(k, password ? password : "", &k->req.auth.user_add.password, err))
        return NULL;
    k->req.auth.user_add.no_password = password == NULL;
    return k;
}

static struct ask *user_password(tenure_client *c, bool blocks, const char *name, const char *password,
                                 struct tenure_error *err)
{
    struct ask *k = plain(c, blocks, CLIENT_USER_PASSWORD, err);
    if (!k || !ask_keep_string(k, name, &k->req.auth.user_password.name, err) ||
        !ask_keep_string(k, password, &k->req.auth.user_password.password, err))
        return NULL;
    return k;
}

/* The request outlives this function when its caller gives up waiting, so the range is copied like all else. */
static struct ask *keep_range(struct ask *k, const struct tenure_permission_range *range, struct key_range *ret,
                              struct tenure_error *err)
{
    if (!range) {
        error_set(err, TENURE_EINVALID, "which keys is not said");
        return ask_drop(k, err);
    }
    struct range_words words = {
        .key = range->key, .prefix = range->prefix, .from_key = range->from_key, .range_end = range->range_end};
    if (range_of(&words, &k->arena, ret, err) < 0)
        return ask_drop(k, err);
    ret->key = ask_keep(k, ret->key);
    ret->range_end = ask_keep(k, ret->range_end);
    if (ret->key.data && (ret->range_end.data || ret->range_end.len == 0))
        return k;
    error_set(err, TENURE_ENOMEM, "out of memory");
    return ask_drop(k, err);
}

static struct ask *role_grant(tenure_client *c, bool blocks, const char *role, enum tenure_permission_type type,
                              const struct tenure_permission_range *range, struct tenure_error *err)
{
    struct ask *k = plain(c, blocks, CLIENT_ROLE_GRANT, err);
    if (!k)
        return NULL;
    struct role_grant_req *req = &k->req.auth.role_grant;
    req->has_permission = true;
    req->permission.type = (int32_t)type;
    return ask_keep_string(k, role, &req->role, err) ? keep_range(k, range, &req->permission.range, err) : NULL;
}

static struct ask *role_revoke(tenure_client *c, bool blocks, const char *role,
                               const struct tenure_permission_range *range, struct tenure_error *err)
{
    struct ask *k = plain(c, blocks, CLIENT_ROLE_REVOKE, err);
    if (!k || !ask_keep_string(k, role, &k->req.auth.role_revoke.role, err))
        return NULL;
    return keep_range(k, range, &k->req.auth.role_revoke.range, err);
}

/* ---- the two forms: make(blocks) is the request ---- */

#define BLOCK(ret, make)                                                                                               \
    do {                                                                                                               \
        struct tenure_error own = {0};                                                                                 \
        err = err ? err : &own;                                                                                        \
        return ask_finish((make), (ret), err);                                                                         \
    } while (0)
#define START(make)                                                                                                    \
    do {                                                                                                               \
        struct tenure_error own = {0};                                                                                 \
        err = err ? err : &own;                                                                                        \
        return ask_go((make), (void (*)(void))cb, user, err);                                                          \
    } while (0)

/* ---- the switch ---- */

int tenure_auth_enable(tenure_client *c, struct tenure_error *err)
{
    BLOCK(NULL, plain(c, true, CLIENT_AUTH_ENABLE, err));
}

int tenure_auth_enable_start(tenure_client *c, tenure_done_cb cb, void *user, struct tenure_error *err)
{
    START(plain(c, false, CLIENT_AUTH_ENABLE, err));
}

int tenure_auth_disable(tenure_client *c, struct tenure_error *err)
{
    BLOCK(NULL, plain(c, true, CLIENT_AUTH_DISABLE, err));
}

int tenure_auth_disable_start(tenure_client *c, tenure_done_cb cb, void *user, struct tenure_error *err)
{
    START(plain(c, false, CLIENT_AUTH_DISABLE, err));
}

int tenure_auth_status(tenure_client *c, bool *ret_enabled, uint64_t *ret_revision, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    struct ask *k = plain(c, true, CLIENT_AUTH_STATUS, err);
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

int tenure_auth_status_start(tenure_client *c, tenure_auth_status_cb cb, void *user, struct tenure_error *err)
{
    START(plain(c, false, CLIENT_AUTH_STATUS, err));
}

/* ---- users ---- */

int tenure_user_add(tenure_client *c, const char *name, const char *password, struct tenure_error *err)
{
    BLOCK(NULL, user_add(c, true, name, password, err));
}

int tenure_user_add_start(tenure_client *c, const char *name, const char *password, tenure_done_cb cb, void *user,
                          struct tenure_error *err)
{
    START(user_add(c, false, name, password, err));
}

int tenure_user_delete(tenure_client *c, const char *name, struct tenure_error *err)
{
    BLOCK(NULL, named(c, true, CLIENT_USER_DELETE, name, err));
}

int tenure_user_delete_start(tenure_client *c, const char *name, tenure_done_cb cb, void *user,
                             struct tenure_error *err)
{
    START(named(c, false, CLIENT_USER_DELETE, name, err));
}

int tenure_user_set_password(tenure_client *c, const char *name, const char *password, struct tenure_error *err)
{
    BLOCK(NULL, user_password(c, true, name, password, err));
}

int tenure_user_set_password_start(tenure_client *c, const char *name, const char *password, tenure_done_cb cb,
                                   void *user, struct tenure_error *err)
{
    START(user_password(c, false, name, password, err));
}

int tenure_user_grant_role(tenure_client *c, const char *name, const char *role, struct tenure_error *err)
{
    BLOCK(NULL, user_and_role(c, true, CLIENT_USER_GRANT, name, role, err));
}

int tenure_user_grant_role_start(tenure_client *c, const char *name, const char *role, tenure_done_cb cb, void *user,
                                 struct tenure_error *err)
{
    START(user_and_role(c, false, CLIENT_USER_GRANT, name, role, err));
}

int tenure_user_revoke_role(tenure_client *c, const char *name, const char *role, struct tenure_error *err)
{
    BLOCK(NULL, user_and_role(c, true, CLIENT_USER_REVOKE, name, role, err));
}

int tenure_user_revoke_role_start(tenure_client *c, const char *name, const char *role, tenure_done_cb cb, void *user,
                                  struct tenure_error *err)
{
    START(user_and_role(c, false, CLIENT_USER_REVOKE, name, role, err));
}

int tenure_user_get(tenure_client *c, const char *name, struct tenure_names **ret, struct tenure_error *err)
{
    BLOCK(ret, named(c, true, CLIENT_USER_GET, name, err));
}

int tenure_user_get_start(tenure_client *c, const char *name, tenure_names_cb cb, void *user, struct tenure_error *err)
{
    START(named(c, false, CLIENT_USER_GET, name, err));
}

int tenure_user_list(tenure_client *c, struct tenure_names **ret, struct tenure_error *err)
{
    BLOCK(ret, plain(c, true, CLIENT_USER_LIST, err));
}

int tenure_user_list_start(tenure_client *c, tenure_names_cb cb, void *user, struct tenure_error *err)
{
    START(plain(c, false, CLIENT_USER_LIST, err));
}

void tenure_names_free(struct tenure_names *r)
{
    free(r);
}

/* ---- roles ---- */

int tenure_role_add(tenure_client *c, const char *name, struct tenure_error *err)
{
    BLOCK(NULL, named(c, true, CLIENT_ROLE_ADD, name, err));
}

int tenure_role_add_start(tenure_client *c, const char *name, tenure_done_cb cb, void *user, struct tenure_error *err)
{
    START(named(c, false, CLIENT_ROLE_ADD, name, err));
}

int tenure_role_delete(tenure_client *c, const char *name, struct tenure_error *err)
{
    BLOCK(NULL, named(c, true, CLIENT_ROLE_DELETE, name, err));
}

int tenure_role_delete_start(tenure_client *c, const char *name, tenure_done_cb cb, void *user,
                             struct tenure_error *err)
{
    START(named(c, false, CLIENT_ROLE_DELETE, name, err));
}

int tenure_role_get(tenure_client *c, const char *name, struct tenure_permissions **ret, struct tenure_error *err)
{
    BLOCK(ret, named(c, true, CLIENT_ROLE_GET, name, err));
}

int tenure_role_get_start(tenure_client *c, const char *name, tenure_permissions_cb cb, void *user,
                          struct tenure_error *err)
{
    START(named(c, false, CLIENT_ROLE_GET, name, err));
}

int tenure_role_list(tenure_client *c, struct tenure_names **ret, struct tenure_error *err)
{
    BLOCK(ret, plain(c, true, CLIENT_ROLE_LIST, err));
}

int tenure_role_list_start(tenure_client *c, tenure_names_cb cb, void *user, struct tenure_error *err)
{
    START(plain(c, false, CLIENT_ROLE_LIST, err));
}

void tenure_permissions_free(struct tenure_permissions *r)
{
    free(r);
}

int tenure_role_grant(tenure_client *c, const char *role, enum tenure_permission_type type,
                      const struct tenure_permission_range *range, struct tenure_error *err)
{
    BLOCK(NULL, role_grant(c, true, role, type, range, err));
}

int tenure_role_grant_start(tenure_client *c, const char *role, enum tenure_permission_type type,
                            const struct tenure_permission_range *range, tenure_done_cb cb, void *user,
                            struct tenure_error *err)
{
    START(role_grant(c, false, role, type, range, err));
}

int tenure_role_revoke(tenure_client *c, const char *role, const struct tenure_permission_range *range,
                       struct tenure_error *err)
{
    BLOCK(NULL, role_revoke(c, true, role, range, err));
}

int tenure_role_revoke_start(tenure_client *c, const char *role, const struct tenure_permission_range *range,
                             tenure_done_cb cb, void *user, struct tenure_error *err)
{
    START(role_revoke(c, false, role, range, err));
}
