/* The calls about users and roles. All of them change or tell what an administrator sees; a change is a write like others,
 * so a lost answer is "maybe". */
#include "client/calls.h"

static int done_answer(bytes in, struct arena *a, struct client_result *r)
{
    tn_rev revision;
    return decode_auth_done_resp(in, a, &r->header, &revision);
}

DECODE_INTO(status_answer, auth_status_resp, auth_status, decode_auth_status_resp)
DECODE_INTO(names_answer, auth_names_resp, names, decode_auth_names_resp)
DECODE_INTO(role_answer, role_get_resp, role, decode_role_get_resp)

#define PATH(name) "/etcdserverpb.Auth/" name
#define WRITE(name)                                                                                                    \
    {                                                                                                                  \
        .path = PATH(name), .is_write = true, .decode = done_answer                                                    \
    }

static const struct call_kind kinds[] = {
    [CLIENT_AUTH_ENABLE] = WRITE("AuthEnable"),
    [CLIENT_AUTH_DISABLE] = WRITE("AuthDisable"),
    [CLIENT_AUTH_STATUS] = {.path = PATH("AuthStatus"), .decode = status_answer},
    [CLIENT_USER_ADD] = WRITE("UserAdd"),
    [CLIENT_USER_DELETE] = WRITE("UserDelete"),
    [CLIENT_USER_PASSWORD] = WRITE("UserChangePassword"),
    [CLIENT_USER_GRANT] = WRITE("UserGrantRole"),
    [CLIENT_USER_REVOKE] = WRITE("UserRevokeRole"),
    [CLIENT_USER_GET] = {.path = PATH("UserGet"), .decode = names_answer},
    [CLIENT_USER_LIST] = {.path = PATH("UserList"), .decode = names_answer},
    [CLIENT_ROLE_ADD] = WRITE("RoleAdd"),
    [CLIENT_ROLE_DELETE] = WRITE("RoleDelete"),
    [CLIENT_ROLE_GRANT] = WRITE("RoleGrantPermission"),
    [CLIENT_ROLE_REVOKE] = WRITE("RoleRevokePermission"),
    [CLIENT_ROLE_GET] = {.path = PATH("RoleGet"), .decode = role_answer},
    [CLIENT_ROLE_LIST] = {.path = PATH("RoleList"), .decode = names_answer},
};

/* etcd has two shapes of request for a user and a role: the user's field has a number of its own only in name. */
static void encode(const struct client_auth_req *r, struct buf *out)
{
    switch (r->kind) {
    case CLIENT_AUTH_ENABLE:
    case CLIENT_AUTH_DISABLE:
    case CLIENT_AUTH_STATUS:
    case CLIENT_USER_LIST:
    case CLIENT_ROLE_LIST:
        encode_auth_empty_req(out);
        break;
    case CLIENT_USER_DELETE:
    case CLIENT_USER_GET:
    case CLIENT_ROLE_ADD:
    case CLIENT_ROLE_DELETE:
    case CLIENT_ROLE_GET:
        encode_auth_name_req(r->name, out);
        break;
    case CLIENT_USER_ADD:
        encode_user_add_req(&r->user_add, out);
        break;
    case CLIENT_USER_PASSWORD:
        encode_user_password_req(&r->user_password, out);
        break;
    case CLIENT_USER_GRANT:
    case CLIENT_USER_REVOKE:
        encode_user_role_req(&r->user_role, out);
        break;
    case CLIENT_ROLE_GRANT:
        encode_role_grant_req(&r->role_grant, out);
        break;
    case CLIENT_ROLE_REVOKE:
        encode_role_revoke_req(&r->role_revoke, out);
        break;
    }
}

struct client_call *client_auth(struct client *c, const struct client_auth_req *req,
                                const struct client_call_options *opt, client_done_cb cb, void *user, tn_ms now,
                                struct tenure_error *err)
{
    struct client_call *call = client_call_new(c, &kinds[req->kind], opt, cb, user, err);
    if (!call)
        return NULL;
    encode(req, &call->request);
    return call_submit(c, call, now, err);
}
