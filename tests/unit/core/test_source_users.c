/* Who may read what of a copy whose source has users: nobody before they are known, then the same as there; a token is believed when its
 * user is known and the source was asked about it since the last change. */
#include "cases.h"
#include "store/auth.h"

static struct {
    struct core_forward *sent[16];
    char method[16][48], token[16][48];
    size_t n;
    unsigned asked;
} src;

static void *on_forward(void *user, const struct core_forward_req *req, struct core_forward *f,
                        enum etcd_error *ret_why)
{
    (void)user, (void)ret_why;
    size_t i = src.n++;
    assert_true(i < ARRAY_LEN(src.sent));
    snprintf(src.method[i], sizeof src.method[i], "%s/%s", req->service, req->method);
    snprintf(src.token[i], sizeof src.token[i], "%.*s", (int)req->token.len,
             req->token.data ? (const char *)req->token.data : "");
    src.sent[i] = f;
    return f;
}

static void on_cancel(void *user, void *handle)
{
    (void)user, (void)handle;
}

static void on_ask(void *user)
{
    (void)user;
    src.asked++;
}

static void on_describe(void *user, struct buf *out, tn_ms now)
{
    (void)user, (void)out, (void)now;
}

static const struct core_source source = {
    .forward = on_forward, .cancel = on_cancel, .ask = on_ask, .describe = on_describe};

static void begin(void)
{
    const struct world_options o = {.store = {.follows = true},
                                    .core = {.source = &source, .source_cluster = 0x50, .source_has_users = true}};
    memset(&src, 0, sizeof src);
    restart(&o);
}

/* The user u may read a; root is root. */
static void users(bool enabled, uint64_t revision, const char *may_read)
{
    bytes roles[] = {bytes_str("r")}, root[] = {bytes_str("root")};
    struct permission p = {PERMISSION_READ, {bytes_str(may_read), {0}}};
    struct store_user u[] = {{.name = bytes_str("root"), .roles = root, .n_roles = 1},
                             {.name = bytes_str("u"), .roles = roles, .n_roles = 1}};
    struct store_role r[] = {{.name = bytes_str("r"), .permissions = &p, .n_permissions = 1}};
    struct store_followed_auth all = {
        .enabled = enabled, .revision = revision, .users = u, .n_users = 2, .roles = r, .n_roles = 1};
    assert_int_equal(core_follow_users(here.w->core, &all, revision > 1, here.w->now), 0);
}

static struct call *read_of(const char *key)
{
    struct buf message;
    struct range_req req = {.range = {.key = bytes_str(key)}, .serializable = true};
    buf_init(&message);
    encode_range_req(&req, &message);
    struct call *call = client_ask(here.c, "/etcdserverpb.KV/Range", &message);
    world_settle(here.w);
    return call;
}

static void log_in(const char *name, const char *token)
{
    struct buf b;
    struct response_header h = {0};
    struct authenticate_resp resp = {.token = bytes_str(token)};
    struct authenticate_req req = {.name = bytes_str(name), .password = bytes_str("secret")};
    buf_init(&b);
    encode_authenticate_req(&req, &b);
    struct call *call = client_ask(here.c, "/etcdserverpb.Auth/Authenticate", &b);
    world_settle(here.w);
    assert_string_equal(src.method[src.n - 1], "etcdserverpb.Auth/Authenticate");
    buf_init(&b);
    encode_authenticate_resp(&h, &resp, &b);
    core_forward_end(src.sent[src.n - 1], GRPC_OK, "", buf_bytes(&b));
    buf_fini(&b);
    world_settle(here.w);
    assert_ok(call);
    here.c->token = token;
}

static void before_users_are_known_nothing_is_answered(void **state)
{
    (void)state;
    static const char *const paths[] = {"/etcdserverpb.KV/Range", "/etcdserverpb.KV/Txn",
                                        "/etcdserverpb.Maintenance/HashKV", "/etcdserverpb.Maintenance/Snapshot",
                                        "/etcdserverpb.Cluster/MemberList"};
    begin();
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct buf none;
        buf_init(&none);
        struct call *call = client_ask(here.c, paths[i], &none);
        world_settle(here.w);
        assert_error(call, ETCD_SOURCE_GONE);
    }
    struct call *watch = client_watch(here.c);
    call_watch(watch, &(struct watch_create_req){.range = {.key = bytes_str("a")}});
    world_settle(here.w);
    assert_error(watch, ETCD_SOURCE_GONE);
    assert_int_equal(src.n, 0);
    client_put(here.c, "a", "1");
    world_settle(here.w);
    assert_int_equal(src.n, 1); /* the source judges that */
    users(false, 2, "a");
    assert_ok(read_of("b"));
}

static void a_known_user_reads_what_he_may(void **state)
{
    (void)state;
    begin();
    users(true, 2, "a");
    assert_error(read_of("a"), ETCD_USER_EMPTY);
    log_in("u", "t.1");
    assert_ok(read_of("a"));
    assert_error(read_of("b"), ETCD_PERMISSION_DENIED);
    log_in("root", "t.2");
    assert_ok(read_of("b"));
    client_put(here.c, "a", "1");
    world_settle(here.w);
    assert_string_equal(src.token[src.n - 1], "t.2");
    here.c->token = NULL;
    client_put(here.c, "a", "1");
    world_settle(here.w);
    assert_string_equal(src.token[src.n - 1], "");
}

static void an_unknown_token_is_the_sources_business(void **state)
{
    (void)state;
    begin();
    users(true, 2, "a");
    here.c->token = "t.9";
    struct call *call = read_of("a");
    assert_int_equal(src.n, 1);
    assert_string_equal(src.token[0], "t.9");
    core_forward_end(src.sent[0], GRPC_UNAUTHENTICATED, "any words", bytes_of(NULL, 0));
    world_settle(here.w);
    assert_status(call, GRPC_UNAUTHENTICATED, "any words");
    struct call *watch = client_watch(here.c);
    call_watch(watch, &(struct watch_create_req){.range = {.key = bytes_str("a")}});
    world_settle(here.w);
    struct watch_resp got = got_watch(watch);
    assert_true(got.canceled && bytes_has_prefix(got.cancel_reason, bytes_str("rpc error: code = Unauthenticated")));
    struct buf none;
    buf_init(&none);
    call = client_ask(here.c, "/etcdserverpb.Maintenance/HashKV", &none);
    world_settle(here.w);
    assert_error(call, ETCD_INVALID_AUTH_TOKEN);
    assert_int_equal(src.n, 1);
}

/* Its password may be a new one. What comes meanwhile waits behind it. */
static void behind_a_change_a_token_is_asked_about(void **state)
{
    (void)state;
    begin();
    users(true, 2, "a");
    log_in("u", "t.1");
    struct call *watch = client_watch(here.c);
    users(true, 3, "b");
    size_t n = src.n;
    call_watch(watch, &(struct watch_create_req){.range = {.key = bytes_str("a")}});
    call_watch(watch, &(struct watch_create_req){.range = {.key = bytes_str("b")}});
    world_settle(here.w);
    assert_int_equal(src.n, n + 1);
    assert_string_equal(src.method[n], "etcdserverpb.KV/Range");
    assert_string_equal(src.token[n], "t.1");
    core_forward_end(src.sent[n], GRPC_PERMISSION_DENIED, "", bytes_of(NULL, 0));
    world_settle(here.w);
    assert_true(got_watch(watch).canceled);
    struct watch_resp got = got_watch(watch);
    assert_true(got.created && !got.canceled);
    assert_ok(read_of("b"));
    assert_int_equal(src.n, n + 1);
}

static void one_that_is_refused_is_forgotten(void **state)
{
    (void)state;
    begin();
    users(true, 2, "a");
    log_in("u", "t.1");
    users(true, 3, "a");
    size_t n = src.n;
    struct call *call = read_of("a");
    core_forward_end(src.sent[n], GRPC_UNAUTHENTICATED, etcd_error_text(ETCD_INVALID_AUTH_TOKEN), bytes_of(NULL, 0));
    world_settle(here.w);
    assert_int_equal(src.n, n + 2); /* now the read itself is sent on */
    core_forward_end(src.sent[n + 1], GRPC_UNAUTHENTICATED, etcd_error_text(ETCD_INVALID_AUTH_TOKEN),
                     bytes_of(NULL, 0));
    world_settle(here.w);
    assert_error(call, ETCD_INVALID_AUTH_TOKEN);
}

static void when_nobody_can_be_asked_it_is_refused(void **state)
{
    (void)state;
    begin();
    users(true, 2, "a");
    log_in("u", "t.1");
    users(true, 3, "a");
    size_t n = src.n;
    struct call *call = read_of("a");
    core_forward_end(src.sent[n], GRPC_UNAVAILABLE, "gone", bytes_of(NULL, 0));
    world_settle(here.w);
    assert_status(call, GRPC_UNAVAILABLE, "gone");
    assert_int_equal(src.n, n + 1);
}

/* A change between the question and the answer is one that the answer may not know of. */
static void an_answer_of_before_a_change_does_not_count(void **state)
{
    (void)state;
    begin();
    users(true, 2, "a");
    log_in("u", "t.1");
    users(true, 3, "a");
    size_t n = src.n;
    struct call *call = read_of("a");
    users(true, 4, "a");
    core_forward_end(src.sent[n], GRPC_OK, "", bytes_of(NULL, 0));
    world_settle(here.w);
    assert_waits(call);
    assert_int_equal(src.n, n + 2);
    core_forward_end(src.sent[n + 1], GRPC_OK, "", bytes_of(NULL, 0));
    world_settle(here.w);
    assert_ok(call);
}

/* There a new password is seen by nothing else. Cut off, what was known counts on. */
static void without_a_revision_tokens_are_asked_about_again(void **state)
{
    (void)state;
    begin();
    users(true, 1, "a");
    log_in("u", "t.1");
    assert_ok(read_of("a"));
    size_t n = src.n;
    world_pass(here.w, 5500);
    core_users_stand(here.w->core, here.w->now);
    struct call *call = read_of("a");
    assert_int_equal(src.n, n + 1);
    core_forward_end(src.sent[n], GRPC_OK, "", bytes_of(NULL, 0));
    world_settle(here.w);
    assert_ok(call);
    world_pass(here.w, 20000);
    assert_ok(read_of("a"));
    assert_int_equal(src.n, n + 1);
}

/* It may have ended at the source although no user has changed. */
static void with_a_revision_tokens_are_asked_about_seldom(void **state)
{
    (void)state;
    begin();
    users(true, 2, "a");
    log_in("u", "t.1");
    size_t n = src.n;
    for (int i = 0; i < 5; i++) {
        world_pass(here.w, 10000);
        core_users_stand(here.w->core, here.w->now);
        assert_ok(read_of("a"));
    }
    assert_int_equal(src.n, n);
    world_pass(here.w, 15000);
    core_users_stand(here.w->core, here.w->now);
    struct call *call = read_of("a");
    assert_int_equal(src.n, n + 1);
    core_forward_end(src.sent[n], GRPC_UNAUTHENTICATED, etcd_error_text(ETCD_INVALID_AUTH_TOKEN), bytes_of(NULL, 0));
    world_settle(here.w);
    assert_int_equal(src.n, n + 2); /* it is not known any more: the read itself is sent on */
    core_forward_end(src.sent[n + 1], GRPC_UNAUTHENTICATED, etcd_error_text(ETCD_INVALID_AUTH_TOKEN),
                     bytes_of(NULL, 0));
    world_settle(here.w);
    assert_error(call, ETCD_INVALID_AUTH_TOKEN);
}

static void a_watch_that_is_not_permitted_any_more_ends(void **state)
{
    (void)state;
    begin();
    users(true, 2, "a");
    log_in("u", "t.1");
    struct call *watch = client_watch(here.c);
    call_watch(watch, &(struct watch_create_req){.range = {.key = bytes_str("a")}});
    world_settle(here.w);
    assert_false(got_watch(watch).canceled);
    users(true, 3, "b");
    world_pass(here.w, 300);
    struct watch_resp got = got_watch(watch);
    assert_true(got.canceled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(before_users_are_known_nothing_is_answered),
        CASE(a_known_user_reads_what_he_may),
        CASE(an_unknown_token_is_the_sources_business),
        CASE(behind_a_change_a_token_is_asked_about),
        CASE(one_that_is_refused_is_forgotten),
        CASE(when_nobody_can_be_asked_it_is_refused),
        CASE(an_answer_of_before_a_change_does_not_count),
        CASE(without_a_revision_tokens_are_asked_about_again),
        CASE(with_a_revision_tokens_are_asked_about_seldom),
        CASE(a_watch_that_is_not_permitted_any_more_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
