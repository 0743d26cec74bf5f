/* The Auth service, tokens and what they are worth, and permissions over the life of a stream. */
#include "auth_cases.h"

#include <stdlib.h>

#include "failmalloc.h"
#include "tenure/error.h"

static struct call *as_nobody(struct call *(*ask)(void))
{
    const char *was = here.c->token;
    here.c->token = NULL;
    struct call *call = ask();
    here.c->token = was;
    return call;
}

static struct call *ask_status(void)
{
    return ask_raw(here.c, AUTH "AuthStatus", bytes_of(NULL, 0));
}

static struct auth_status_resp got_status(struct call *call)
{
    struct auth_status_resp r;
    struct response_header h;
    assert_ok(call);
    assert_int_equal(decode_auth_status_resp(call_next(call), &here.w->arena, &h, &r), 0);
    assert_int_equal(h.revision, store_revision(here.w->store));
    assert_true(h.cluster_id != 0 && h.member_id != 0 && h.raft_term != 0);
    return r;
}

static const char *got_names(struct call *call)
{
    struct auth_names_resp r;
    struct response_header h;
    char text[256] = "";
    assert_ok(call);
    assert_int_equal(decode_auth_names_resp(call_next(call), &here.w->arena, &h, &r), 0);
    for (size_t i = 0; i < r.n_names; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%.*s", i ? " " : "", (int)r.names[i].len,
                 (const char *)r.names[i].data);
    return arena_strdup(&here.w->arena, text);
}

static struct call *get_key(const char *token)
{
    const char *was = here.c->token;
    here.c->token = token;
    struct call *call = client_range(here.c, "k", "");
    world_settle(here.w);
    here.c->token = was;
    return call;
}

static struct call *put_key(const char *token)
{
    const char *was = here.c->token;
    here.c->token = token;
    struct call *call = client_put(here.c, "k", "v");
    world_settle(here.w);
    here.c->token = was;
    return call;
}

/* ---- the service ---- */

static void users_and_roles_are_listed_and_told(void **state)
{
    (void)state;
    struct role_get_resp r;
    struct response_header h;
    begin_auth();
    assert_string_equal(got_names(ask_raw(here.c, AUTH "UserList", bytes_of(NULL, 0))), "none reader root writer");
    assert_string_equal(got_names(ask_raw(here.c, AUTH "RoleList", bytes_of(NULL, 0))), "read write");
    assert_string_equal(got_names(named("UserGet", "reader")), "read");
    struct call *call = named("RoleGet", "write");
    assert_ok(call);
    assert_int_equal(decode_role_get_resp(call_next(call), &here.w->arena, &h, &r), 0);
    assert_int_equal(r.n_permissions, 1);
    assert_int_equal(r.permissions[0].type, PERMISSION_WRITE);
    assert_bytes(r.permissions[0].range.key, "k");
    assert_error(named("UserGet", "x"), ETCD_USER_NOT_FOUND);
    assert_error(named("RoleGet", "root"), ETCD_ROLE_NOT_FOUND); /* granted, but never added */
    assert_ok(named("RoleAdd", "root"));
    call = named("RoleGet", "root");
    assert_int_equal(decode_role_get_resp(call_next(call), &here.w->arena, &h, &r), 0);
    assert_int_equal(r.permissions[0].type, PERMISSION_READWRITE);
    assert_int_equal(r.permissions[0].range.key.len, 0);
    assert_true(key_range_is_from(r.permissions[0].range));
}

static void status_tells_the_revision_and_needs_nobody(void **state)
{
    (void)state;
    struct auth_status_resp r = got_status(ask_status());
    assert_false(r.enabled);
    assert_int_equal(r.auth_revision, 1);
    begin_auth();
    r = got_status(as_nobody(ask_status));
    assert_true(r.enabled);
    assert_int_equal(r.auth_revision, 12);
}

static void changes_have_etcds_errors_and_order(void **state)
{
    (void)state;
    assert_error(ask_raw(here.c, AUTH "AuthEnable", bytes_of(NULL, 0)), ETCD_ROOT_USER_NOT_EXIST);
    assert_error(user_add("", "p"), ETCD_USER_EMPTY);
    assert_error(new_password("x", "p"), ETCD_USER_NOT_FOUND);
    begin_auth();
    assert_error(user_add("root", "p"), ETCD_USER_ALREADY_EXIST);
    assert_error(named("UserDelete", "root"), ETCD_INVALID_AUTH_MGMT);
    assert_error(user_role("UserRevokeRole", "reader", "write"), ETCD_ROLE_NOT_GRANTED);
    static char long_one[74];
    memset(long_one, 'x', 73);
    assert_status(user_add("root", long_one), GRPC_UNKNOWN, "bcrypt: password length exceeds 72 bytes");
    here.c->token = "nonsense";
    assert_status(user_add("z", long_one), GRPC_UNKNOWN, "bcrypt: password length exceeds 72 bytes");
    assert_error(user_add("z", "p"), ETCD_INVALID_AUTH_TOKEN);
}

static void a_change_is_answered_when_it_is_durable(void **state)
{
    (void)state;
    begin_auth();
    here.w->log_held = true;
    struct call *call = named("UserDelete", "none");
    assert_waits(call);
    const char *token = token_for("reader"); /* logging in sees what is durable */
    assert_ok(get_key(token));
    assert_ok(user_role("UserRevokeRole", "reader", "read")->stream ? get_key(token) : NULL);
    struct call *denied = put_key(token);
    assert_waits(denied); /* judged by what is planned */
    world_release(here.w, CORE_APPLIED);
    assert_ok(call);
    assert_error(denied, ETCD_PERMISSION_DENIED);
    assert_error(get_key(token), ETCD_PERMISSION_DENIED);
}

static void a_change_that_the_disk_refused_never_was(void **state)
{
    (void)state;
    begin_auth();
    const char *token = token_for("writer");
    here.w->log_held = true;
    struct call *call = named("UserDelete", "writer");
    world_release(here.w, CORE_NOT_APPLIED);
    assert_error(call, ETCD_NO_SPACE);
    world_pass(here.w, 1100);
    assert_ok(put_key(token)); /* its login too */
}

/* ---- logging in ---- */

static void only_the_right_password_logs_in(void **state)
{
    (void)state;
    assert_error(login("root", "root"), ETCD_AUTH_NOT_ENABLED);
    begin_auth();
    here.c->token = NULL;
    assert_ok(login("root", "root"));
    assert_error(login("root", "wrong"), ETCD_AUTH_FAILED);
    assert_error(login("nobody", "root"), ETCD_AUTH_FAILED);
    assert_error(login("", ""), ETCD_AUTH_FAILED);
    size_t jobs = here.w->jobs_total;
    assert_error(login("nobody", "root"), ETCD_AUTH_FAILED);
    assert_int_equal(here.w->jobs_total, jobs + 1); /* who is not there takes as long to refuse */
    static const char zero[] = "\x0a\x04root\x12\x06root\0x";
    assert_error(ask_raw(here.c, AUTH "Authenticate", bytes_of(zero, sizeof zero - 1)), ETCD_AUTH_FAILED);
}

static void a_user_without_password_cannot_log_in(void **state)
{
    (void)state;
    begin_auth();
    struct user_add_req req = {.name = bytes_str("n"), .no_password = true};
    assert_ok(ASK(here.c, "UserAdd", encode_user_add_req, &req));
    assert_status(login("n", ""), GRPC_UNKNOWN, "auth: authentication failed, password was given for no password user");
    assert_ok(new_password("none", "")); /* no password fits an empty hash */
    assert_error(login("none", ""), ETCD_AUTH_FAILED);
    assert_error(login("none", "none"), ETCD_AUTH_FAILED);
}

static void a_password_that_changes_while_it_is_checked_is_checked_again(void **state)
{
    (void)state;
    begin_auth();
    here.w->passwords_held = true;
    struct call *old = login("none", "none"), *new = login("none", "other");
    here.w->passwords_held = false;
    assert_waits(old);
    assert_ok(new_password("none", "other"));
    world_do_passwords(here.w);
    world_settle(here.w);
    assert_error(old, ETCD_AUTH_FAILED);
    assert_ok(new);
}

static void a_call_that_ends_meanwhile_changes_nothing(void **state)
{
    (void)state;
    begin_auth();
    here.w->passwords_held = true;
    struct call *cancelled = user_add("z", "p"), *gone = user_add("y", "p");
    struct client *other = client_new(here.w);
    other->token = here.c->token;
    struct client *own = here.c;
    here.c = other;
    struct call *cut = user_add("x", "p");
    here.c = own;
    call_cancel(cancelled);
    world_settle(here.w);
    client_cut(other);
    (void)cut;
    world_do_passwords(here.w);
    world_settle(here.w);
    assert_ok(gone);
    here.w->passwords_held = false;
    assert_string_equal(got_names(ask_raw(here.c, AUTH "UserList", bytes_of(NULL, 0))), "none reader root writer y");
}

static void who_loses_root_while_a_password_is_hashed_adds_nobody(void **state)
{
    (void)state;
    begin_auth();
    assert_ok(user_role("UserGrantRole", "none", "root"));
    const char *root = here.c->token;
    here.c->token = token_for("none");
    here.w->passwords_held = true;
    struct call *call = user_add("z", "p");
    here.c->token = root;
    assert_ok(user_role("UserRevokeRole", "none", "root"));
    world_do_passwords(here.w);
    world_settle(here.w);
    assert_error(call, ETCD_PERMISSION_DENIED);
}

static void passwords_beyond_the_bound_are_refused(void **state)
{
    (void)state;
    struct world_options o = {.core = {.passwords_max = 2}};
    restart(&o);
    begin_auth();
    here.w->passwords_held = true;
    struct call *a = login("none", "none"), *b = login("none", "none");
    assert_error(login("none", "none"), ETCD_TOO_MANY_REQUESTS);
    world_do_passwords(here.w);
    world_settle(here.w);
    assert_ok(a);
    assert_ok(b);
    here.w->passwords_held = false;
    here.w->passwords_refused = true;
    assert_error(login("none", "none"), ETCD_TOO_MANY_REQUESTS);
}

static void passwords_that_wait_at_the_end_are_given_up(void **state)
{
    (void)state;
    begin_auth();
    here.w->passwords_held = true;
    struct call *call = login("none", "none");
    core_shutdown(here.w->core, here.w->now);
    world_settle(here.w);
    assert_error(call, ETCD_STOPPED);
    world_do_passwords(here.w);
}

/* ---- tokens ---- */

static void a_token_runs_out_unless_it_is_used(void **state)
{
    (void)state;
    begin_auth();
    const char *used = token_for("reader"), *unused = token_for("reader");
    for (int i = 0; i < 3; i++) {
        world_pass(here.w, 200000);
        assert_ok(get_key(used));
    }
    assert_error(get_key(unused), ETCD_INVALID_AUTH_TOKEN);
    world_pass(here.w, 300000);
    assert_error(get_key(used), ETCD_INVALID_AUTH_TOKEN);
}

static void a_token_ends_with_its_user_its_password_and_authentication(void **state)
{
    (void)state;
    begin_auth();
    const char *none = token_for("none"), *reader = token_for("reader"), *writer = token_for("writer");
    assert_ok(user_role("UserGrantRole", "none", "read"));
    assert_ok(get_key(none)); /* roles may change */
    assert_ok(new_password("none", "other"));
    assert_error(get_key(none), ETCD_INVALID_AUTH_TOKEN);
    assert_ok(named("UserDelete", "reader"));
    assert_error(get_key(reader), ETCD_INVALID_AUTH_TOKEN);
    assert_ok(user_add("reader", "reader"));
    assert_error(get_key(reader), ETCD_INVALID_AUTH_TOKEN);
    const char *root = here.c->token;
    assert_ok(ask_raw(here.c, AUTH "AuthDisable", bytes_of(NULL, 0)));
    assert_ok(get_key("nonsense")); /* nobody looks */
    here.c->token = NULL;
    assert_ok(ask_raw(here.c, AUTH "AuthEnable", bytes_of(NULL, 0)));
    assert_error(put_key(writer), ETCD_INVALID_AUTH_TOKEN);
    assert_error(put_key(root), ETCD_INVALID_AUTH_TOKEN);
}

static struct call *get_with(const struct h2_header *headers, size_t n)
{
    struct client *c = here.c;
    struct call *call = client_call_with(c, "/etcdserverpb.KV/Range", headers, n);
    struct range_req req = {.range = {bytes_str("k"), {0}}};
    struct buf b;
    buf_init(&b);
    encode_range_req(&req, &b);
    call_say(call, &b);
    world_settle(here.w);
    return call;
}

static void the_first_token_in_the_metadata_counts(void **state)
{
    (void)state;
    begin_auth();
    bytes good = bytes_str(token_for("reader")), bad = bytes_str("bad");
    char bearer[64];
    snprintf(bearer, sizeof bearer, "Bearer %s", (const char *)good.data);
    struct h2_header twice[] = {{bytes_str("token"), good}, {bytes_str("token"), good}};
    struct h2_header first[] = {{bytes_str("token"), bad}, {bytes_str("token"), good}};
    struct h2_header authorization[] = {{bytes_str("authorization"), bytes_str(bearer)}};
    struct h2_header both[] = {{bytes_str("authorization"), bad}, {bytes_str("token"), good}};
    struct h2_header empty[] = {{bytes_str("token"), bytes_of("", 0)}};
    assert_ok(get_with(twice, 2));
    assert_error(get_with(first, 2), ETCD_INVALID_AUTH_TOKEN);
    assert_ok(get_with(authorization, 1));
    assert_ok(get_with(both, 2));
    assert_error(get_with(empty, 1), ETCD_INVALID_AUTH_TOKEN);
    assert_error(get_with(NULL, 0), ETCD_USER_EMPTY);
}

static void a_certificate_stands_for_its_user_where_there_is_no_token(void **state)
{
    (void)state;
    begin_auth();
    here.c->token = NULL;
    core_conn_set_cert_user(here.c->conn, bytes_str("reader"));
    struct h2_header gateway[] = {{bytes_str("grpcgateway-accept"), bytes_str("*/*")}};
    assert_ok(get_with(NULL, 0));
    assert_error(put_key(NULL), ETCD_PERMISSION_DENIED);
    assert_error(get_with(gateway, 1), ETCD_USER_EMPTY); /* the gateway's own certificate is nobody's */
    assert_error(get_key("nonsense"), ETCD_INVALID_AUTH_TOKEN);
    core_conn_set_cert_user(here.c->conn, bytes_str("stranger"));
    assert_error(get_with(NULL, 0), ETCD_PERMISSION_DENIED);
    core_conn_set_cert_user(here.c->conn, bytes_of(NULL, 0));
    assert_error(get_with(NULL, 0), ETCD_USER_EMPTY);
}

/* ---- signed tokens: here "NAME@REVISION" ---- */

static int sign(void *user, bytes name, uint64_t revision, struct buf *out)
{
    (void)user;
    if (bytes_equal(name, bytes_str("writer")))
        return TENURE_EDENIED;
    buf_append_bytes(out, name);
    buf_printf(out, "@%d", (int)revision);
    return 0;
}

static int verify(void *user, bytes token, struct arena *a, bytes *ret_name, uint64_t *ret_revision)
{
    (void)user;
    const uint8_t *at = memchr(token.data, '@', token.len);
    if (!at)
        return TENURE_EDENIED;
    *ret_name = bytes_of(token.data, (size_t)(at - token.data));
    *ret_revision =
        strtoull((const char *)arena_copy(a, bytes_of(at + 1, token.len - ret_name->len - 1)).data, NULL, 10);
    return 0;
}

static void a_signed_token_is_of_the_revision_that_it_was_made_at(void **state)
{
    (void)state;
    struct world_options o = {.core = {.token_sign = sign, .token_verify = verify}};
    restart(&o);
    begin_auth();
    const char *token = token_for("reader");
    assert_string_equal(token, "reader@12");
    assert_ok(get_key(token));
    assert_error(get_key("reader"), ETCD_INVALID_AUTH_TOKEN);
    assert_error(get_key("reader@11"), ETCD_AUTH_OLD_REVISION);
    assert_error(get_key("reader@13"), ETCD_AUTH_OLD_REVISION);
    assert_error(get_key("reader@0"), ETCD_USER_EMPTY);
    assert_error(get_key("gone@12"), ETCD_PERMISSION_DENIED);
    assert_error(put_key("writer@11"), ETCD_AUTH_OLD_REVISION);
    assert_ok(put_key("writer@13"));
    assert_status(login("writer", "writer"), GRPC_UNKNOWN, "auth: token signing attempted with verify-only key");
    assert_ok(user_role("UserGrantRole", "none", "read")); /* root's own token does not age for this */
    assert_error(get_key(token), ETCD_AUTH_OLD_REVISION);
}

/* ---- streams ---- */

static struct call *watching(const char *token, const char *key)
{
    const char *was = here.c->token;
    here.c->token = token;
    struct call *s = client_watch(here.c);
    here.c->token = was;
    call_watch(s, &(struct watch_create_req){.range = {bytes_str(key), {0}}});
    world_settle(here.w);
    return s;
}

static void assert_denied(struct call *s, const char *reason)
{
    struct watch_resp r = got_watch(s);
    assert_true(r.canceled);
    assert_false(r.created);
    assert_int_equal(r.watch_id, 0);
    assert_bytes(r.cancel_reason, reason);
    assert_int_equal(r.n_events, 0);
}

#define DENIED "rpc error: code = PermissionDenied desc = etcdserver: permission denied"

static void a_watch_ends_when_its_user_may_not_read_any_more(void **state)
{
    (void)state;
    begin_auth();
    struct call *s = watching(token_for("reader"), "k"), *root = watching(here.c->token, "k");
    assert_false(got_watch(s).canceled);
    put("k", "seen");
    assert_int_equal(got_watch(s).n_events, 1);
    assert_ok(user_role("UserRevokeRole", "reader", "read"));
    world_pass(here.w, 300);
    assert_denied(s, DENIED); /* before there is an event to tell */
    put("k", "unseen");
    assert_true(got_nothing(s));
    assert_false(s->has_status); /* the stream goes on */
    assert_false(got_watch(root).canceled);
    assert_int_equal(got_watch(root).n_events, 1);
    assert_int_equal(got_watch(root).n_events, 1);
    assert_int_equal(store_watchers(here.w->store), 1);
}

static void no_event_of_the_batch_that_takes_the_permission_away_is_seen(void **state)
{
    (void)state;
    begin_auth();
    struct call *s = watching(token_for("reader"), "k");
    assert_false(got_watch(s).canceled);
    here.w->log_held = true;
    (void)user_role("UserRevokeRole", "none", "x"); /* opens a batch */
    (void)named("RoleDelete", "read");
    (void)put_key(here.c->token);
    world_release(here.w, CORE_APPLIED);
    assert_denied(s, DENIED);
    assert_true(got_nothing(s));
}

static void a_watch_ends_with_its_user(void **state)
{
    (void)state;
    begin_auth();
    struct call *s = watching(token_for("reader"), "k");
    assert_false(got_watch(s).canceled);
    assert_ok(named("UserDelete", "reader"));
    world_pass(here.w, 300);
    assert_denied(s, DENIED);
}

static void many_changes_are_looked_at_now_and_then_but_events_are_never_early(void **state)
{
    (void)state;
    begin_auth();
    assert_ok(user_role("UserGrantRole", "none", "read")); /* looked at */
    struct call *s = watching(token_for("reader"), "k");
    assert_false(got_watch(s).canceled);
    assert_ok(user_role("UserRevokeRole", "none", "read"));
    assert_ok(user_role("UserRevokeRole", "reader", "read")); /* too soon to look at all of them again */
    assert_true(got_nothing(s));
    put("k", "unseen");
    assert_denied(s, DENIED);
}

static void a_watch_made_before_authentication_must_show_who_it_is(void **state)
{
    (void)state;
    struct call *s = watching(NULL, "k"), *own = NULL;
    struct client *trusted = client_new(here.w);
    core_conn_set_cert_user(trusted->conn, bytes_str("reader"));
    struct client *first = here.c;
    here.c = trusted;
    own = watching(NULL, "k");
    here.c = first;
    assert_false(got_watch(s).canceled);
    assert_false(got_watch(own).canceled);
    begin_auth();
    world_pass(here.w, 300);
    assert_denied(s, "rpc error: code = InvalidArgument desc = etcdserver: user name is empty");
    put("k", "v");
    assert_int_equal(got_watch(own).n_events, 1);
}

static void a_refused_watch_says_why_in_the_stream(void **state)
{
    (void)state;
    begin_auth();
    struct call *s = watching("nonsense", "k");
    struct watch_resp r = got_watch(s);
    assert_true(r.created && r.canceled);
    assert_int_equal(r.watch_id, -1);
    assert_bytes(r.cancel_reason, "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token");
    assert_int_equal(r.header.revision, store_revision(here.w->store));
    assert_false(s->has_status);
    s = client_watch(here.c);
    call_watch(s, &(struct watch_create_req){.range = {bytes_str("k"), {0}}, .start_revision = -1});
    world_settle(here.w);
    assert_bytes(got_watch(s).cancel_reason, "etcdserver: mvcc: required revision has been compacted");
}

static void a_range_that_is_streamed_ends_when_users_or_roles_change(void **state)
{
    (void)state;
    struct world_options o = {.core = {.conn_output_max = 4096}};
    struct range_req req = {.range = {bytes_str("k"), bytes_str("l")}};
    char key[16], value[600] = "";
    struct buf b;
    restart(&o);
    memset(value, 'v', sizeof value - 1);
    for (int i = 0; i < 60; i++) {
        snprintf(key, sizeof key, "k%02d", i);
        put(key, value);
    }
    begin_auth();
    assert_ok(permit("read", PERMISSION_READ, "k", "l"));
    struct client *reader = client_new(here.w);
    reader->token = token_for("reader");
    reader->deaf = true;
    struct call *call = client_call(reader, "/etcdserverpb.KV/RangeStream", -1);
    buf_init(&b);
    encode_range_req(&req, &b);
    call_say(call, &b);
    call_half_close(call);
    world_settle(here.w);
    assert_ok(named("RoleDelete", "read"));
    reader->deaf = false;
    world_settle(here.w);
    assert_error(call, ETCD_AUTH_OLD_REVISION);
    assert_true(call->n_messages > 0);
}

static void a_keepalive_ends_when_the_keys_of_its_lease_may_not_be_written_any_more(void **state)
{
    (void)state;
    grant(5, 100);
    put_leased("k", 5);
    begin_auth();
    const char *root = here.c->token;
    here.c->token = token_for("writer");
    struct call *s = client_keepalive(here.c);
    here.c->token = root;
    call_keepalive(s, 5);
    world_settle(here.w);
    assert_int_equal(got_keepalive(s).ttl_s, 100);
    assert_ok(user_role("UserRevokeRole", "writer", "write"));
    here.w->log_held = true;
    (void)named("RoleAdd", "x"); /* planned: a refusal waits for it */
    call_keepalive(s, 5);
    call_keepalive(s, 5);
    world_settle(here.w);
    assert_false(s->has_status);
    world_release(here.w, CORE_APPLIED);
    assert_error(s, ETCD_PERMISSION_DENIED);
}

/* ---- memory ---- */

static bool login_with_failing(size_t at)
{
    world_free(here.w);
    here.w = world_new(NULL);
    here.c = client_new(here.w);
    begin_auth();
    here.c->token = token_for("root");
    struct call *s = watching(here.c->token, "k"), *asked[6];
    struct user_add_req add = {.name = bytes_str("z"), .password = bytes_str("p")};
    struct authenticate_req log_in = {bytes_str("none"), bytes_str("none")};
    struct buf b, out;
    (void)s;
    buf_init(&b);
    buf_init(&out);
    assert_non_null(buf_reserve(&out, 1 << 20));
#define SAY(i, method, encode, req)                                                                                    \
    encode(req, &b);                                                                                                   \
    asked[i] = client_call(here.c, AUTH method, -1);                                                                   \
    call_say(asked[i], &b)
    SAY(0, "UserAdd", encode_user_add_req, &add);
    SAY(1, "Authenticate", encode_authenticate_req, &log_in);
    SAY(2, "UserGet", encode_auth_name_req, bytes_str("reader"));
    SAY(3, "RoleGet", encode_auth_name_req, bytes_str("read"));
    SAY(4, "UserList", encode_auth_name_req, bytes_of(NULL, 0));
    SAY(5, "RoleDelete", encode_auth_name_req, bytes_str("read"));
    assert_int_equal(h2_output(here.c->h2, &b, 1 << 20), 0);
    failmalloc_at(at);
    core_turn(here.w->core, here.w->now);
    core_feed(here.c->conn, buf_bytes(&b), here.w->now);
    core_run(here.w->core, here.w->now);
    core_output(here.c->conn, &out, 1 << 20, here.w->now);
    bool hit = failmalloc_hit();
    failmalloc_off();
    buf_fini(&b);
    buf_fini(&out);
    client_cut(here.c);
    here.c = client_new(here.w);
    world_settle(here.w);
    here.c->token = token_for("root"); /* whoever comes next is served */
    put("z", "1");
    return hit;
}

static void memory_that_runs_short_costs_no_more_than_the_call(void **state)
{
    (void)state;
    size_t at = 1;
    while (login_with_failing(at))
        at++;
    assert_true(at > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(users_and_roles_are_listed_and_told),
        CASE(status_tells_the_revision_and_needs_nobody),
        CASE(changes_have_etcds_errors_and_order),
        CASE(a_change_is_answered_when_it_is_durable),
        CASE(a_change_that_the_disk_refused_never_was),
        CASE(only_the_right_password_logs_in),
        CASE(a_user_without_password_cannot_log_in),
        CASE(a_password_that_changes_while_it_is_checked_is_checked_again),
        CASE(a_call_that_ends_meanwhile_changes_nothing),
        CASE(who_loses_root_while_a_password_is_hashed_adds_nobody),
        CASE(passwords_beyond_the_bound_are_refused),
        CASE(passwords_that_wait_at_the_end_are_given_up),
        CASE(a_token_runs_out_unless_it_is_used),
        CASE(a_token_ends_with_its_user_its_password_and_authentication),
        CASE(the_first_token_in_the_metadata_counts),
        CASE(a_certificate_stands_for_its_user_where_there_is_no_token),
        CASE(a_signed_token_is_of_the_revision_that_it_was_made_at),
        CASE(a_watch_ends_when_its_user_may_not_read_any_more),
        CASE(no_event_of_the_batch_that_takes_the_permission_away_is_seen),
        CASE(a_watch_ends_with_its_user),
        CASE(many_changes_are_looked_at_now_and_then_but_events_are_never_early),
        CASE(a_watch_made_before_authentication_must_show_who_it_is),
        CASE(a_refused_watch_says_why_in_the_stream),
        CASE(a_range_that_is_streamed_ends_when_users_or_roles_change),
        CASE(a_keepalive_ends_when_the_keys_of_its_lease_may_not_be_written_any_more),
        CASE(memory_that_runs_short_costs_no_more_than_the_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
