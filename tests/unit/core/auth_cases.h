/* What the tests of authentication share: users, roles and logins through the wire. */
#ifndef TESTS_UNIT_CORE_AUTH_CASES_H
#define TESTS_UNIT_CORE_AUTH_CASES_H

#include "cases.h"

#define AUTH "/etcdserverpb.Auth/"

/* Asks with the client's token; the reply is in the call. */
static inline struct call *ask_raw(struct client *c, const char *path, bytes message)
{
    struct buf b;
    buf_init(&b);
    buf_append_bytes(&b, message);
    struct call *call = client_call(c, path, -1);
    call_say(call, &b);
    call_half_close(call);
    world_settle(here.w);
    return call;
}

#define ASK(c, method, encode, req)                                                                                    \
    ({                                                                                                                 \
        struct buf out_;                                                                                               \
        buf_init(&out_);                                                                                               \
        encode(req, &out_);                                                                                            \
        struct call *call_ = ask_raw(c, AUTH method, buf_bytes(&out_));                                                \
        buf_fini(&out_);                                                                                               \
        call_;                                                                                                         \
    })

static inline struct call *user_add(const char *name, const char *password)
{
    struct user_add_req req = {.name = bytes_str(name), .password = bytes_str(password)};
    return ASK(here.c, "UserAdd", encode_user_add_req, &req);
}

static inline struct call *new_password(const char *name, const char *password)
{
    struct user_password_req req = {.name = bytes_str(name), .password = bytes_str(password)};
    return ASK(here.c, "UserChangePassword", encode_user_password_req, &req);
}

static inline struct call *user_role(const char *method, const char *user, const char *role)
{
    struct user_role_req req = {bytes_str(user), bytes_str(role)};
    struct buf b;
    char path[64];
    snprintf(path, sizeof path, AUTH "%s", method);
    buf_init(&b);
    encode_user_role_req(&req, &b);
    struct call *call = ask_raw(here.c, path, buf_bytes(&b));
    buf_fini(&b);
    return call;
}

static inline struct call *named(const char *method, const char *name)
{
    struct buf b;
    char path[64];
    snprintf(path, sizeof path, AUTH "%s", method);
    buf_init(&b);
    encode_auth_name_req(bytes_str(name), &b);
    struct call *call = ask_raw(here.c, path, buf_bytes(&b));
    buf_fini(&b);
    return call;
}

static inline struct call *permit(const char *role, int type, const char *key, const char *range_end)
{
    struct role_grant_req req = {bytes_str(role), true, {type, {bytes_str(key), bytes_str(range_end)}}};
    return ASK(here.c, "RoleGrantPermission", encode_role_grant_req, &req);
}

static inline struct call *login(const char *name, const char *password)
{
    struct authenticate_req req = {bytes_str(name), bytes_str(password)};
    return ASK(here.c, "Authenticate", encode_authenticate_req, &req);
}

/* Lives until the world ends. */
static inline const char *token_of(struct call *call)
{
    struct response_header h;
    struct authenticate_resp r;
    assert_ok(call);
    call->taken = 0;
    assert_int_equal(decode_authenticate_resp(call_next(call), &here.w->arena, &h, &r), 0);
    return (const char *)arena_copy(&here.w->arena, r.token).data;
}

/* Logs in without disturbing who the client is. */
static inline const char *token_for(const char *name)
{
    const char *was = here.c->token;
    here.c->token = NULL;
    const char *token = token_of(login(name, name));
    here.c->token = was;
    return token;
}

/* Users root, none, reader, writer, each with its name as password: reader may read "k", writer write it. Authentication
 * is on, and the client is root. */
static inline void begin_auth(void)
{
    static const char *const users[] = {"root", "none", "reader", "writer"};
    for (size_t i = 0; i < ARRAY_LEN(users); i++)
        assert_ok(user_add(users[i], users[i]));
    assert_ok(named("RoleAdd", "read"));
    assert_ok(named("RoleAdd", "write"));
    assert_ok(permit("read", PERMISSION_READ, "k", ""));
    assert_ok(permit("write", PERMISSION_WRITE, "k", ""));
    assert_ok(user_role("UserGrantRole", "root", "root"));
    assert_ok(user_role("UserGrantRole", "reader", "read"));
    assert_ok(user_role("UserGrantRole", "writer", "write"));
    assert_ok(ask_raw(here.c, AUTH "AuthEnable", bytes_of(NULL, 0)));
    here.c->token = token_for("root");
}

#endif
