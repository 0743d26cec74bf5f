/* See auth.h.
 *
 * A simple token stands for the login of its user: it counts as long as, at the durable state, the user is there with the
 * password that it was given out for, and authentication was not turned off and on since. So nothing need be told to the
 * tokens when a user is deleted or changes its password, and an undone change leaves them as they were.
 *
 * What is answered without waiting for the newest log row (status, hashes, what a lease has left) is asked at both points in
 * time: neither a permission that is not durable nor one that is about to be gone is enough.
 */
#include "core/auth.h"

#include "tenure/error.h"

static bool is_off(const struct core_call *call)
{
    return !store_auth_in_use(call->core->store);
}

/* ---- who ---- */

static enum etcd_error who_by_simple_token(struct core_call *call, enum store_view v, struct auth_user *ret)
{
    struct core *c = call->core;
    struct store_user u;
    struct token *t = token_use(&c->tokens, bytes_of(call->token, call->token_len), c->now);
    if (!t)
        return ETCD_INVALID_AUTH_TOKEN;
    bool counts = store_user_find(c->store, STORE_DURABLE, token_name(t), &u) && u.login == t->login &&
                  store_auth_enabled_since(c->store) == t->enabled_since;
    if (!counts) {
        token_remove(&c->tokens, t);
        return ETCD_INVALID_AUTH_TOKEN;
    }
    *ret = (struct auth_user){token_name(t), store_auth_revision(c->store, v)};
    return ETCD_OK;
}

static enum etcd_error who_by_signed_token(struct core_call *call, struct auth_user *ret)
{
    struct core *c = call->core;
    struct auth_user who = {0};
    int rc = c->config.token_verify(c->config.user, bytes_of(call->token, call->token_len), &c->arena, &who.name,
                                    &who.revision);
    if (rc)
        return rc == TENURE_ENOMEM ? ETCD_OUT_OF_MEMORY : ETCD_INVALID_AUTH_TOKEN;
    *ret = who;
    return ETCD_OK;
}

/* Of a copy: by what its source gave out. */
static enum etcd_error who_at_source(struct core_call *call, enum store_view v, struct auth_user *ret)
{
    bytes name;
    if (source_knows(call, &name)) {
        *ret = (struct auth_user){name, store_auth_revision(call->core->store, v)};
        return ETCD_OK;
    }
    return source_believes_signatures(call->core) ? who_by_signed_token(call, ret) : ETCD_INVALID_AUTH_TOKEN;
}

enum etcd_error auth_who(struct core_call *call, enum store_view v, struct auth_user *ret)
{
    const struct core_conn *conn = call->conn;
    const struct core *c = call->core;
    *ret = (struct auth_user){0}; /* and so it stays with an error */
    if (!store_auth_enabled(c->store, v))
        return ETCD_OK;
    if (call->token && c->config.source)
        return who_at_source(call, v, ret);
    if (call->token)
        return c->config.token_verify ? who_by_signed_token(call, ret) : who_by_simple_token(call, v, ret);
    if (conn->cert_user && !call->by_gateway)
        *ret = (struct auth_user){bytes_of(conn->cert_user, conn->cert_user_len), store_auth_revision(c->store, v)};
    return ETCD_OK;
}

/* ---- new tokens ---- */

/* Each letter equally likely: what is drawn beyond a multiple of their number is thrown away. */
static void draw_letters(struct core *c, char letters[TOKEN_LETTERS])
{
    static const char all[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    enum { N = sizeof all - 1, FAIR = 256 / N * N };
    for (size_t i = 0; i < TOKEN_LETTERS;) {
        uint8_t b = 0;
        if (c->config.random)
            c->config.random(c->config.user, &b, 1);
        else
            b = (uint8_t)rng_below(&c->config.seed, FAIR);
        if (b < FAIR)
            letters[i++] = all[b % N];
    }
}

static enum etcd_error sign_token(struct core *c, const struct store_user *u, bytes *ret)
{
    struct buf b;
    buf_init(&b);
    int rc = c->config.token_sign(c->config.user, u->name, store_auth_revision(c->store, STORE_DURABLE), &b);
    if (rc == 0)
        rc = buf_error(&b);
    if (rc == 0) {
        *ret = arena_copy(&c->arena, buf_bytes(&b));
        rc = ret->data ? 0 : TENURE_ENOMEM;
    }
    buf_fini(&b);
    if (rc == 0)
        return ETCD_OK;
    return rc == TENURE_ENOMEM ? ETCD_OUT_OF_MEMORY : ETCD_TOKEN_VERIFY_ONLY;
}

enum etcd_error auth_token_new(struct core *c, const struct store_user *u, tn_ms now, bytes *ret)
{
    char letters[TOKEN_LETTERS];
    if (c->config.token_sign)
        return sign_token(c, u, ret);
    draw_letters(c, letters);
    struct token *t = token_add(&c->tokens, u->name, letters, now);
    explicit_bzero(letters, sizeof letters);
    if (!t)
        return ETCD_OUT_OF_MEMORY;
    t->login = u->login;
    t->enabled_since = store_auth_enabled_since(c->store);
    *ret = bytes_of(t->text, t->text_len);
    return ETCD_OK;
}

/* ---- checks at both points in time ---- */

typedef enum etcd_error (*check_fn)(const struct store *s, enum store_view v, struct auth_user who, tn_lease id);

static enum etcd_error check_in(struct core_call *call, enum store_view v, check_fn check, tn_lease id)
{
    struct auth_user who;
    enum etcd_error e = auth_who(call, v, &who);
    return e ? e : check(call->core->store, v, who, id);
}

static enum etcd_error check_in_both(struct core_call *call, check_fn check, tn_lease id)
{
    if (is_off(call))
        return ETCD_OK;
    enum etcd_error e = check_in(call, STORE_DURABLE, check, id);
    return e ? e : check_in(call, STORE_PLANNED, check, id);
}

static enum etcd_error is_somebody(const struct store *s, enum store_view v, struct auth_user who, tn_lease id)
{
    (void)id;
    bool known = who.name.len > 0 || who.revision > 0;
    return store_auth_enabled(s, v) && !known ? ETCD_USER_EMPTY : ETCD_OK;
}

static enum etcd_error is_admin(const struct store *s, enum store_view v, struct auth_user who, tn_lease id)
{
    (void)id;
    return store_auth_check_admin(s, v, who);
}

static enum etcd_error may_write_lease(const struct store *s, enum store_view v, struct auth_user who, tn_lease id)
{
    enum etcd_error e = is_somebody(s, v, who, id);
    return e ? e : store_auth_check_lease_write(s, v, who, id);
}

static enum etcd_error may_read_lease(const struct store *s, enum store_view v, struct auth_user who, tn_lease id)
{
    enum etcd_error e = is_somebody(s, v, who, id);
    return e ? e : store_auth_check_lease_read(s, v, who, id);
}

static enum etcd_error may_read_leases(const struct store *s, enum store_view v, struct auth_user who, tn_lease id)
{
    enum etcd_error e = is_somebody(s, v, who, id);
    return e ? e : store_auth_check_leases_read(s, v, who);
}

enum etcd_error auth_authenticated(struct core_call *call)
{
    return check_in_both(call, is_somebody, 0);
}

enum etcd_error auth_admin(struct core_call *call)
{
    return check_in_both(call, is_admin, 0);
}

enum etcd_error auth_lease_revoke(struct core_call *call, tn_lease id)
{
    return check_in_both(call, may_write_lease, id);
}

enum etcd_error auth_lease_renew(struct core_call *call, tn_lease id)
{
    return check_in_both(call, may_write_lease, id);
}

enum etcd_error auth_lease_ttl(struct core_call *call, const struct lease_ttl_req *req)
{
    return check_in_both(call, req->keys ? may_read_lease : is_somebody, req->id);
}

enum etcd_error auth_lease_list(struct core_call *call)
{
    return check_in_both(call, may_read_leases, 0);
}

/* ---- requests about keys: what is wrong by itself, the token, the size, the permission ---- */

enum etcd_error auth_range(struct core_call *call, const struct range_req *req)
{
    struct auth_user who;
    if (is_off(call))
        return ETCD_OK;
    enum etcd_error e = store_range_check(req);
    if (!e)
        e = auth_who(call, STORE_DURABLE, &who);
    return e ? e : store_auth_check_range(call->core->store, who, req);
}

/* The log entry of etcd names who asks. */
static enum etcd_error check_size(const struct core_call *call, size_t request_bytes, struct auth_user who)
{
    size_t named = who.name.len ? 4 + who.name.len : 0;
    return call_is_too_large(call, request_bytes + named) ? ETCD_REQUEST_TOO_LARGE : ETCD_OK;
}

enum etcd_error auth_put(struct core_call *call, const struct put_req *req, size_t request_bytes)
{
    struct auth_user who;
    if (is_off(call))
        return ETCD_OK;
    enum etcd_error e = store_check_put(req);
    if (!e)
        e = auth_who(call, STORE_PLANNED, &who);
    if (!e)
        e = check_size(call, request_bytes, who);
    return e ? e : store_auth_check_put(call->core->store, who, req);
}

enum etcd_error auth_delete(struct core_call *call, const struct delete_req *req, size_t request_bytes)
{
    struct auth_user who;
    if (is_off(call))
        return ETCD_OK;
    enum etcd_error e = store_check_delete(req);
    if (!e)
        e = auth_who(call, STORE_PLANNED, &who);
    if (!e)
        e = check_size(call, request_bytes, who);
    return e ? e : store_auth_check_delete(call->core->store, who, req);
}

enum etcd_error auth_txn(struct core_call *call, const struct txn_req *req, size_t request_bytes)
{
    struct core *c = call->core;
    struct auth_user who;
    if (is_off(call))
        return ETCD_OK;
    enum etcd_error e = store_check_txn(c->store, req, &c->arena);
    if (!e)
        e = auth_who(call, txn_may_write(req) ? STORE_PLANNED : STORE_DURABLE, &who);
    if (!e && txn_may_write(req))
        e = check_size(call, request_bytes, who);
    return e ? e : store_auth_check_txn(c->store, who, req, &c->arena);
}

enum etcd_error auth_change(struct core_call *call, size_t request_bytes)
{
    struct auth_user who;
    if (is_off(call))
        return ETCD_OK;
    enum etcd_error e = auth_who(call, STORE_PLANNED, &who);
    if (!e)
        e = check_size(call, request_bytes, who);
    return e ? e : auth_admin(call);
}

/* ---- the same, ending the call ---- */

void auth_refuse(struct core_call *call, enum etcd_error e)
{
    call_fail_at(call, e, store_auth_seq(call->core->store));
}

static bool passes(struct core_call *call, enum etcd_error e)
{
    if (e == ETCD_OK)
        return true;
    auth_refuse(call, e);
    return false;
}

bool call_is_authenticated(struct core_call *call)
{
    return passes(call, auth_authenticated(call));
}

bool call_is_admin(struct core_call *call)
{
    return passes(call, auth_admin(call));
}

bool call_may_change_auth(struct core_call *call, size_t request_bytes)
{
    return passes(call, auth_change(call, request_bytes));
}

bool call_may_range(struct core_call *call, const struct range_req *req)
{
    return passes(call, auth_range(call, req));
}

bool call_may_put(struct core_call *call, const struct put_req *req, size_t request_bytes)
{
    return passes(call, auth_put(call, req, request_bytes));
}

bool call_may_delete(struct core_call *call, const struct delete_req *req, size_t request_bytes)
{
    return passes(call, auth_delete(call, req, request_bytes));
}

bool call_may_txn(struct core_call *call, const struct txn_req *req, size_t request_bytes)
{
    return passes(call, auth_txn(call, req, request_bytes));
}

bool call_may_revoke(struct core_call *call, tn_lease id)
{
    return passes(call, auth_lease_revoke(call, id));
}

bool call_may_see_lease(struct core_call *call, const struct lease_ttl_req *req)
{
    return passes(call, auth_lease_ttl(call, req));
}

bool call_may_list_leases(struct core_call *call)
{
    return passes(call, auth_lease_list(call));
}
