/* The token: for a user and a password the servers give one, and it goes with every call and stream from then on.
 *
 * Happy path: with the first work there is, one Authenticate call is sent before everything else, which waits for it. Tokens
 * are the cluster's, so one serves on every endpoint.
 *
 * Failures. A token that is refused (it expired, a server forgot it, the users changed) is asked for anew, once for all
 * calls that were refused with it: they wait, and are sent again, because a refusal by token comes before a request is
 * looked at. Streams are opened anew with the new one. Authentication that is off: calls go without a token, and being
 * asked for one later is a refusal like others. A user or password that is refused ends what waits, with that reason, and
 * is tried again for later work, spaced by a backoff: the server pays for each try with a password hash. Servers that
 * cannot be reached are the calls' own business: they wait until their deadlines.
 */
#include <stdlib.h>

#include "client/calls.h"

enum { RETRY_MIN_MS = 25, RETRY_MAX_MS = 1000 };

DECODE_INTO(token_answer, authenticate_resp, authenticate, decode_authenticate_resp)

static const struct call_kind login_kind = {
    .path = "/etcdserverpb.Auth/Authenticate", .is_login = true, .decode = token_answer};

/* ---- life ---- */

static void wipe(char **secret, size_t len)
{
    if (*secret)
        explicit_bzero(*secret, len);
    free(*secret);
    *secret = NULL;
}

static void drop_token(struct login *l)
{
    wipe(&l->token, l->token_len);
    l->token_len = 0;
}

void login_zero(struct client *c)
{
    struct login *l = &c->login;
    list_init(&l->waiting);
    heap_node_init(&l->timer.node);
    backoff_init(&l->backoff, RETRY_MIN_MS, RETRY_MAX_MS);
    l->retry_at = INT64_MIN;
    l->done_at = TN_MS_NEVER;
}

static int keep_token(struct login *l, bytes token)
{
    char *copy = token.len ? malloc(token.len) : NULL;
    if (token.len && !copy)
        return TENURE_ENOMEM;
    drop_token(l);
    if (copy)
        memcpy(copy, token.data, token.len);
    l->token = copy;
    l->token_len = token.len;
    l->number++;
    return 0;
}

static int keep_user(struct login *l, const struct client_config *config)
{
    l->user = strdup(config->user);
    l->password = strdup(config->password ? config->password : "");
    l->state = LOGIN_NEEDED;
    return l->user && l->password ? 0 : TENURE_ENOMEM;
}

int login_init(struct client *c, const struct client_config *config, struct tenure_error *err)
{
    struct login *l = &c->login;
    int rc = timer_init(c, &l->timer, TIMER_LOGIN);
    if (config->token && (config->user || config->password))
        return error_set(err, TENURE_EINVALID, "a token says who asks: give a user or a token, not both");
    if (config->password && !config->user)
        return error_set(err, TENURE_EINVALID, "there is a password, but no user");
    if (rc == 0 && config->token)
        rc = keep_token(l, bytes_str(config->token));
    if (rc == 0 && config->user)
        rc = keep_user(l, config);
    return rc ? error_set(err, rc, "out of memory") : 0;
}

void login_fini(struct client *c)
{
    struct login *l = &c->login;
    drop_token(l);
    wipe(&l->password, l->password ? strlen(l->password) : 0);
    wipe(&l->user, 0);
}

/* ---- the answer ---- */

static void retry_later(struct client *c)
{
    struct login *l = &c->login;
    l->state = LOGIN_NEEDED;
    l->retry_at = time_after(c->now, backoff_failure(&l->backoff, &c->rng));
    client_unsettle(c);
}

static void logged_in(struct client *c, bytes token)
{
    struct login *l = &c->login;
    if (keep_token(l, token) < 0) {
        retry_later(c);
        return;
    }
    l->state = LOGIN_DONE;
    l->done_at = c->now;
    LIST_FOREACH(it, &c->conns)
    {
        struct conn *conn = LIST_ENTRY(it, struct conn, link);
        if (conn_takes_calls(conn))
            calls_flush(c, conn);
    }
    LIST_FOREACH(it, &c->pinned)
    {
        (void)pool_pinned(c, LIST_ENTRY(it, struct client_call, link)->endpoint); /* its connection may have ended */
    }
    client_unsettle(c);
}

/* The users or the words are wrong: nothing that waits can go on. */
static void denied(struct client *c, const struct tenure_error *error)
{
    struct tenure_error why = *error;
    error_wrap(&why, "login as user \"%.64s\"", c->login.user);
    calls_denied(c, &why);
    watches_denied(c, &why);
    keepalives_denied(c, &why);
    retry_later(c);
}

static bool is_lasting(const struct client_result *r)
{
    return r->code == TENURE_EDENIED || r->code == TENURE_EINVALID || r->code == TENURE_EUNIMPLEMENTED;
}

static void on_answer(void *user, const struct client_result *r)
{
    struct client *c = user;
    if (r->code == 0)
        logged_in(c, r->authenticate->token);
    else if (r->etcd == ETCD_AUTH_NOT_ENABLED)
        logged_in(c, bytes_of(NULL, 0));
    else if (is_lasting(r))
        denied(c, r->error);
    else
        retry_later(c);
    client_settle(c);
}

/* ---- asking ---- */

static bool ask(struct client *c)
{
    struct login *l = &c->login;
    struct authenticate_req req = {.name = bytes_str(l->user), .password = bytes_str(l->password)};
    struct client_call *call = client_call_new(c, &login_kind, NULL, on_answer, c, NULL);
    if (!call)
        return false;
    encode_authenticate_req(&req, &call->request);
    l->state = LOGIN_ASKING; /* before the call is sent: settling comes back here */
    return call_submit(c, call, c->now, NULL) != NULL;
}

void login_settle(struct client *c)
{
    struct login *l = &c->login;
    if (l->state != LOGIN_NEEDED || c->closed || (!client_has_work(c) && list_empty(&c->pinned)))
        return;
    if (c->now < l->retry_at)
        timer_arm(c, &l->timer, l->retry_at);
    else if (!ask(c))
        retry_later(c);
}

bool login_refused(struct client *c, uint64_t number, enum etcd_error e)
{
    struct login *l = &c->login;
    if (!l->user || (e != ETCD_INVALID_AUTH_TOKEN && e != ETCD_AUTH_OLD_REVISION && e != ETCD_USER_EMPTY))
        return false;
    if (l->state != LOGIN_DONE || number != l->number)
        return true; /* another one is there, or on its way */
    drop_token(l);
    if (c->now - l->done_at < STEADY_MS) {
        retry_later(c);
        return true;
    }
    backoff_success(&l->backoff);
    l->state = LOGIN_NEEDED;
    client_unsettle(c);
    return true;
}
