/* The Auth service. What changes something is a command of the store, judged by the planned state and answered when it is
 * durable; what only tells is answered at the durable state at once. Passwords are hashed and checked elsewhere
 * (login.c), and everything is judged again when that is done.
 *
 * Order of refusals, as etcd: a password too long, the token, root's permission, then what is wrong with the request. Only
 * that a name is taken or missing is found out before a password is hashed in vain; what is answered is the same.
 */
#include "core/auth.h"
#include "core/login.h"

#define SERVICE "etcdserverpb.Auth"

/* ---- what the changes share ---- */

static void answer_done(struct core_call *call, enum etcd_error e, tn_seq seq, enum write_kind kind)
{
    struct core *c = call->core;
    if (e != ETCD_OK) {
        call_fail_at(call, e, seq);
        return;
    }
    journal_planned(c, kind);
    encode_auth_done_resp(&c->header, store_revision_planned(c->store), &c->out);
    call_reply(call, seq);
}

/* Whether a change is taken from this caller now; ends the call otherwise. */
static bool is_taken(struct core_call *call, size_t request_bytes, enum write_kind kind, tn_ms now)
{
    return call_may_change_auth(call, request_bytes) && call_may_write(call, request_bytes, kind, now);
}

/* ---- the switch ---- */

static void auth_enable(struct core_call *call, bytes in, tn_ms now)
{
    tn_seq seq = 0;
    if (!call_decoded(call, decode_auth_empty_req(in, &call->core->arena)) || !is_taken(call, in.len, WRITE_GROWS, now))
        return;
    enum etcd_error e = store_auth_enable(call->core->store, &seq);
    log_write(&call->core->config.log, LOG_INFO, e ? "authentication cannot be enabled" : "authentication enabled",
              NULL);
    answer_done(call, e, seq, WRITE_GROWS);
}

static void auth_disable(struct core_call *call, bytes in, tn_ms now)
{
    tn_seq seq = 0;
    if (!call_decoded(call, decode_auth_empty_req(in, &call->core->arena)) || !is_taken(call, in.len, WRITE_GROWS, now))
        return;
    enum etcd_error e = store_auth_disable(call->core->store, &seq);
    log_write(&call->core->config.log, LOG_WARN, "authentication disabled", NULL);
    answer_done(call, e, seq, WRITE_GROWS);
}

/* Nobody need be somebody for this one, but a token that is shown must be right. */
static void auth_status(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct auth_user who;
    (void)now;
    if (!call_decoded(call, decode_auth_empty_req(in, &c->arena)))
        return;
    enum etcd_error e = auth_who(call, STORE_DURABLE, &who);
    if (e != ETCD_OK) {
        call_fail(call, e);
        return;
    }
    struct auth_status_resp resp = {
        .revision = store_revision(c->store),
        .enabled = store_auth_enabled(c->store, STORE_DURABLE),
        .auth_revision = store_auth_revision(c->store, STORE_DURABLE),
    };
    encode_auth_status_resp(&c->header, &resp, &c->out);
    call_reply(call, 0);
}

/* ---- logging in ---- */

/* A hash that no password has, where root has none either. */
#define NO_HASH "$2a$10$CwTycUXWue0Thq9StjUM0uJ8r7bq1q6yFZ3aA1uH0QK8b8dJ1YxqW"

static void log_refused(struct core_call *call, bytes name)
{
    char quoted[256];
    log_write(&call->core->config.log, LOG_WARN, "invalid authentication was requested", "user=%s peer=%s",
              log_quote(quoted, sizeof quoted, name), call->conn->peer);
}

static void give_token(struct core_call *call, const struct store_user *u, tn_ms now)
{
    struct core *c = call->core;
    struct authenticate_resp resp = {.revision = store_revision(c->store)};
    enum etcd_error e = auth_token_new(c, u, now, &resp.token);
    if (e != ETCD_OK) {
        call_fail(call, e);
        return;
    }
    encode_authenticate_resp(&c->header, &resp, &c->out);
    call_reply(call, 0);
}

static void check_password(struct core_call *call, bytes name, bytes password, bool unfit);

/* Something changed while the password was checked: perhaps the password. Then it is checked again. */
static void password_checked(struct core_call *call, struct login *l, tn_ms now)
{
    struct core *c = call->core;
    struct store_user u;
    if (l->job.result == CORE_PASSWORD_FAILED) {
        call_fail(call, ETCD_TOO_MANY_REQUESTS);
    } else if (store_auth_revision(c->store, STORE_DURABLE) != l->auth_revision) {
        check_password(call, login_name(l), bytes_str(l->job.password), l->unfit);
    } else if (l->job.result != CORE_PASSWORD_OK || l->unknown || l->unfit ||
               !store_user_find(c->store, STORE_DURABLE, login_name(l), &u)) {
        log_refused(call, login_name(l));
        call_fail(call, ETCD_AUTH_FAILED);
    } else if (!store_auth_enabled(c->store, STORE_DURABLE)) {
        call_fail(call, ETCD_AUTH_NOT_ENABLED);
    } else {
        give_token(call, &u, now);
    }
}

static bool has_zero(bytes s)
{
    return s.len > 0 && memchr(s.data, 0, s.len) != NULL;
}

static bool copy_hash(char to[CORE_HASH_MAX], bytes hash)
{
    if (hash.len == 0 || hash.len >= CORE_HASH_MAX || has_zero(hash))
        return false;
    memcpy(to, hash.data, hash.len);
    to[hash.len] = 0;
    return true;
}

/* Whoever is not there takes as long to be refused as who is. */
static void copy_any_hash(const struct core *c, char to[CORE_HASH_MAX])
{
    struct store_user root = {0};
    (void)store_user_find(c->store, STORE_DURABLE, bytes_str(AUTH_ROOT), &root);
    if (!copy_hash(to, root.hash))
        copy_hash(to, bytes_str(NO_HASH));
}

/* unfit: the password holds what C cannot, and is nobody's. */
static void check_password(struct core_call *call, bytes name, bytes password, bool unfit)
{
    struct core *c = call->core;
    struct store_user u = {0};
    bool known = store_user_find(c->store, STORE_DURABLE, name, &u);
    enum etcd_error e = ETCD_OK;
    if (!store_auth_enabled(c->store, STORE_DURABLE))
        e = ETCD_AUTH_NOT_ENABLED;
    else if (known && u.no_password)
        e = ETCD_NO_PASSWORD_USER;
    if (e != ETCD_OK) {
        call_fail(call, e);
        return;
    }
    struct login *l = login_new(call, name, (struct auth_user){0}, password);
    if (!l)
        return;
    l->auth_revision = store_auth_revision(c->store, STORE_DURABLE);
    l->unfit = unfit;
    l->unknown = !copy_hash(l->job.hash, u.hash);
    if (l->unknown)
        copy_any_hash(c, l->job.hash);
    login_submit(l, CORE_PASSWORD_CHECK, password_checked);
}

static void auth_authenticate(struct core_call *call, bytes in, tn_ms now)
{
    struct authenticate_req req;
    (void)now;
    if (call_decoded(call, decode_authenticate_req(in, &call->core->arena, &req)) && call_may_wait(call))
        check_password(call, req.name, req.password, has_zero(req.password));
}

/* ---- new passwords ---- */

/* In etcd it is hashed first of all, and that fails. */
static bool password_is_taken(struct core_call *call, bytes password)
{
    if (password.len <= AUTH_PASSWORD_MAX)
        return true;
    call_fail(call, ETCD_PASSWORD_TOO_LONG);
    return false;
}

/* Whether who asked may still, and the log takes it; ends the call otherwise. */
static bool is_still_taken(struct core_call *call, const struct login *l, tn_ms now)
{
    struct core *c = call->core;
    if (l->job.result != CORE_PASSWORD_OK) {
        call_fail(call, ETCD_TOO_MANY_REQUESTS);
        return false;
    }
    enum etcd_error e = store_auth_check_admin(c->store, STORE_DURABLE, l->by);
    if (e == ETCD_OK)
        e = store_auth_check_admin(c->store, STORE_PLANNED, l->by);
    if (e != ETCD_OK) {
        auth_refuse(call, e);
        return false;
    }
    return call_may_write(call, 0, WRITE_GROWS, now);
}

static void user_hashed(struct core_call *call, struct login *l, tn_ms now)
{
    tn_seq seq = 0;
    if (!is_still_taken(call, l, now))
        return;
    enum etcd_error e = store_user_add(call->core->store, login_name(l), bytes_str(l->job.hash), false, &seq);
    answer_done(call, e, seq, WRITE_GROWS);
}

static void password_hashed(struct core_call *call, struct login *l, tn_ms now)
{
    tn_seq seq = 0;
    if (!is_still_taken(call, l, now))
        return;
    enum etcd_error e = store_user_set_password(call->core->store, login_name(l), bytes_str(l->job.hash), &seq);
    answer_done(call, e, seq, WRITE_GROWS);
}

/* Who asks, for when the hash is there. */
static void hash_password(struct core_call *call, bytes name, bytes password,
                          void (*then)(struct core_call *call, struct login *l, tn_ms now))
{
    struct auth_user by = {0};
    enum etcd_error e = has_zero(password) ? ETCD_PASSWORD_WITH_ZERO : auth_who(call, STORE_DURABLE, &by);
    if (e == ETCD_OK && by.revision == 0)
        e = auth_who(call, STORE_PLANNED, &by);
    struct login *l = e == ETCD_OK ? login_new(call, name, by, password) : NULL;
    if (e != ETCD_OK)
        auth_refuse(call, e);
    else if (l)
        login_submit(l, CORE_PASSWORD_HASH, then);
}

static void user_add(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct user_add_req req;
    tn_seq seq = 0;
    if (!call_decoded(call, decode_user_add_req(in, &c->arena, &req)) ||
        (!req.no_password && !password_is_taken(call, req.password)) || !is_taken(call, in.len, WRITE_GROWS, now))
        return;
    enum etcd_error e = store_user_can_add(c->store, req.name);
    if (e == ETCD_OK && !req.no_password) {
        hash_password(call, req.name, req.password, user_hashed);
        return;
    }
    e = store_user_add(c->store, req.name, bytes_of(NULL, 0), true, &seq);
    answer_done(call, e, seq, WRITE_GROWS);
}

/* An empty one leaves the user with a hash that no password has, as in etcd. */
static void user_change_password(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct user_password_req req;
    struct store_user u;
    tn_seq seq = 0;
    if (!call_decoded(call, decode_user_password_req(in, &c->arena, &req)) || !password_is_taken(call, req.password) ||
        !is_taken(call, in.len, WRITE_GROWS, now))
        return;
    bool known = store_user_find(c->store, STORE_PLANNED, req.name, &u);
    if (known && !u.no_password && req.password.len > 0) {
        hash_password(call, req.name, req.password, password_hashed);
        return;
    }
    enum etcd_error e = store_user_set_password(c->store, req.name, bytes_of(NULL, 0), &seq);
    answer_done(call, e, seq, WRITE_GROWS);
}

/* ---- users ---- */

static void user_delete(struct core_call *call, bytes in, tn_ms now)
{
    bytes name;
    tn_seq seq = 0;
    if (!call_decoded(call, decode_auth_name_req(in, &call->core->arena, &name)) ||
        !is_taken(call, in.len, WRITE_FREES, now))
        return;
    enum etcd_error e = store_user_delete(call->core->store, name, &seq);
    answer_done(call, e, seq, WRITE_FREES);
}

static void user_grant_role(struct core_call *call, bytes in, tn_ms now)
{
    struct user_role_req req;
    tn_seq seq = 0;
    if (!call_decoded(call, decode_user_role_req(in, &call->core->arena, &req)) ||
        !is_taken(call, in.len, WRITE_GROWS, now))
        return;
    enum etcd_error e = store_user_grant_role(call->core->store, &req, &seq);
    answer_done(call, e, seq, WRITE_GROWS);
}

static void user_revoke_role(struct core_call *call, bytes in, tn_ms now)
{
    struct user_role_req req;
    tn_seq seq = 0;
    if (!call_decoded(call, decode_user_role_req(in, &call->core->arena, &req)) ||
        !is_taken(call, in.len, WRITE_FREES, now))
        return;
    enum etcd_error e = store_user_revoke_role(call->core->store, &req, &seq);
    answer_done(call, e, seq, WRITE_FREES);
}

/* ---- roles ---- */

static void role_add(struct core_call *call, bytes in, tn_ms now)
{
    bytes name;
    tn_seq seq = 0;
    if (!call_decoded(call, decode_auth_name_req(in, &call->core->arena, &name)) ||
        !is_taken(call, in.len, WRITE_GROWS, now))
        return;
    enum etcd_error e = store_role_add(call->core->store, name, &seq);
    answer_done(call, e, seq, WRITE_GROWS);
}

static void role_delete(struct core_call *call, bytes in, tn_ms now)
{
    bytes name;
    tn_seq seq = 0;
    if (!call_decoded(call, decode_auth_name_req(in, &call->core->arena, &name)) ||
        !is_taken(call, in.len, WRITE_FREES, now))
        return;
    enum etcd_error e = store_role_delete(call->core->store, name, &seq);
    answer_done(call, e, seq, WRITE_FREES);
}

static void role_grant_permission(struct core_call *call, bytes in, tn_ms now)
{
    struct role_grant_req req;
    tn_seq seq = 0;
    if (!call_decoded(call, decode_role_grant_req(in, &call->core->arena, &req)) ||
        !is_taken(call, in.len, WRITE_GROWS, now))
        return;
    enum etcd_error e = store_role_grant(call->core->store, &req, &seq);
    answer_done(call, e, seq, WRITE_GROWS);
}

static void role_revoke_permission(struct core_call *call, bytes in, tn_ms now)
{
    struct role_revoke_req req;
    tn_seq seq = 0;
    if (!call_decoded(call, decode_role_revoke_req(in, &call->core->arena, &req)) ||
        !is_taken(call, in.len, WRITE_FREES, now))
        return;
    enum etcd_error e = store_role_revoke(call->core->store, &req, &seq);
    answer_done(call, e, seq, WRITE_FREES);
}

/* ---- what there is ---- */

static void answer_names(struct core_call *call, const bytes *names, size_t n)
{
    struct core *c = call->core;
    struct auth_names_resp resp = {.revision = store_revision(c->store), .names = (bytes *)names, .n_names = n};
    encode_auth_names_resp(&c->header, &resp, &c->out);
    call_reply(call, 0);
}

/* Root sees all, the others themselves. */
static void user_get(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct auth_user who;
    struct store_user u;
    bytes name;
    (void)now;
    if (!call_decoded(call, decode_auth_name_req(in, &c->arena, &name)))
        return;
    enum etcd_error e = auth_who(call, STORE_DURABLE, &who);
    if (e == ETCD_OK && !bytes_equal(name, who.name))
        e = store_auth_check_admin(c->store, STORE_DURABLE, who);
    if (e == ETCD_OK && !store_user_find(c->store, STORE_DURABLE, name, &u))
        e = ETCD_USER_NOT_FOUND;
    if (e == ETCD_OK)
        answer_names(call, u.roles, u.n_roles);
    else
        call_fail(call, e);
}

static bool has_role(const struct core *c, bytes user, bytes role)
{
    struct store_user u;
    return store_user_find(c->store, STORE_DURABLE, user, &u) && store_user_has_role(&u, role);
}

static void answer_role(struct core_call *call, const struct store_role *r)
{
    static const struct permission all = {PERMISSION_READWRITE, {{NULL, 0}, {(const uint8_t *)"", 1}}};
    struct core *c = call->core;
    struct role_get_resp resp = {.revision = store_revision(c->store),
                                 .permissions = (struct permission *)r->permissions,
                                 .n_permissions = r->n_permissions};
    if (bytes_equal(r->name, bytes_str(AUTH_ROOT))) {
        resp.permissions = (struct permission *)&all;
        resp.n_permissions = 1;
    }
    encode_role_get_resp(&c->header, &resp, &c->out);
    call_reply(call, 0);
}

/* Root sees all, the others the roles that they have. */
static void role_get(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct auth_user who;
    struct store_role r;
    bytes name;
    (void)now;
    if (!call_decoded(call, decode_auth_name_req(in, &c->arena, &name)))
        return;
    enum etcd_error e = auth_who(call, STORE_DURABLE, &who);
    if (e == ETCD_OK && !has_role(c, who.name, name))
        e = store_auth_check_admin(c->store, STORE_DURABLE, who);
    if (e == ETCD_OK && !store_role_find(c->store, STORE_DURABLE, name, &r))
        e = ETCD_ROLE_NOT_FOUND;
    if (e == ETCD_OK)
        answer_role(call, &r);
    else
        call_fail(call, e);
}

static void answer_list(struct core_call *call, size_t n, bytes (*name_at)(const struct store *s, size_t i))
{
    struct core *c = call->core;
    bytes *names = arena_array(&c->arena, n, sizeof *names);
    for (size_t i = 0; names && i < n; i++)
        names[i] = name_at(c->store, i);
    if (names)
        answer_names(call, names, n);
    else
        call_fail(call, ETCD_OUT_OF_MEMORY);
}

static bytes user_name_at(const struct store *s, size_t i)
{
    struct store_user u;
    store_user_at(s, STORE_DURABLE, i, &u);
    return u.name;
}

static bytes role_name_at(const struct store *s, size_t i)
{
    struct store_role r;
    store_role_at(s, STORE_DURABLE, i, &r);
    return r.name;
}

static void user_list(struct core_call *call, bytes in, tn_ms now)
{
    (void)now;
    if (call_decoded(call, decode_auth_empty_req(in, &call->core->arena)) && call_is_admin(call))
        answer_list(call, store_users(call->core->store, STORE_DURABLE), user_name_at);
}

static void role_list(struct core_call *call, bytes in, tn_ms now)
{
    (void)now;
    if (call_decoded(call, decode_auth_empty_req(in, &call->core->arena)) && call_is_admin(call))
        answer_list(call, store_roles(call->core->store, STORE_DURABLE), role_name_at);
}

#define METHOD(method, function)                                                                                       \
    {                                                                                                                  \
        .service = SERVICE, .name = method, .may_wait = true, .on_message = function                                   \
    }
const struct core_method auth_methods[] = {
    METHOD("Authenticate", auth_authenticate),
    METHOD("AuthEnable", auth_enable),
    METHOD("AuthDisable", auth_disable),
    METHOD("AuthStatus", auth_status),
    METHOD("UserAdd", user_add),
    METHOD("UserGet", user_get),
    METHOD("UserList", user_list),
    METHOD("UserDelete", user_delete),
    METHOD("UserChangePassword", user_change_password),
    METHOD("UserGrantRole", user_grant_role),
    METHOD("UserRevokeRole", user_revoke_role),
    METHOD("RoleAdd", role_add),
    METHOD("RoleGet", role_get),
    METHOD("RoleList", role_list),
    METHOD("RoleDelete", role_delete),
    METHOD("RoleGrantPermission", role_grant_permission),
    METHOD("RoleRevokePermission", role_revoke_permission),
};
const size_t auth_methods_len = ARRAY_LEN(auth_methods);
