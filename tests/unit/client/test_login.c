/* Tokens: asked for once, before everything else, and again when they are refused; calls and streams do not notice. */
#include "cases.h"

static int logged_in_as(const char *user, const char *password, const char *token)
{
    struct client_config config = {.user = user, .password = password, .token = token};
    world_init(&w, 2, &config, 42);
    w.auth = true;
    return 0;
}

static int as_alice(void **state)
{
    (void)state;
    return logged_in_as("alice", "secret", NULL);
}

static int as_mallory(void **state)
{
    (void)state;
    return logged_in_as("mallory", "guess", NULL);
}

static int with_a_token(void **state)
{
    (void)state;
    return logged_in_as(NULL, NULL, "token-0");
}

static size_t n_logins(void)
{
    return mock_count_requests(&w, "/Authenticate", -1);
}

static void read_value(const char *key, const char *value)
{
    struct told t;
    get(&t, key);
    assert_true(world_until(&w, &t.done, 6000));
    assert_int_equal(t.code, 0);
    assert_string_equal(t.value, value);
}

static void one_token_is_asked_for_before_all_calls_and_goes_with_them(void **state)
{
    struct told a, b, c;
    (void)state;
    put(&a, "k", "v");
    put(&b, "k2", "v");
    get(&c, "k");
    world_run(&w, 1000);
    assert_true(a.done && b.done && c.done);
    assert_int_equal(a.code | b.code | c.code, 0);
    assert_int_equal(n_logins(), 1);
    assert_string_equal(w.requests[0].path, "/etcdserverpb.Auth/Authenticate");
    assert_string_equal(w.requests[0].token, "");
    for (size_t i = 1; i < w.n_requests; i++)
        assert_string_equal(w.requests[i].token, "token-1");
}

static struct told forwarded(bytes token)
{
    struct told t = {0};
    struct buf message;
    struct range_req req = {.range = {.key = bytes_str("k")}};
    buf_init(&message);
    encode_range_req(&req, &message);
    struct client_forward_req f = {
        .service = "etcdserverpb.KV", .method = "Range", .message = buf_bytes(&message), .token = token};
    assert_non_null(client_forward(w.client, &f, NULL, NULL, on_plain, &t, w.now, NULL));
    buf_fini(&message);
    assert_true(world_until(&w, &t.done, 2000));
    return t;
}

/* The client's own would make everybody what the client is; and theirs is theirs to renew. */
static void what_is_sent_on_goes_with_the_askers_token_or_none(void **state)
{
    (void)state;
    read_value("k", "");
    assert_int_equal(n_logins(), 1);
    struct told t = forwarded(bytes_of(NULL, 0));
    assert_int_not_equal(t.code, 0);
    assert_string_equal(mock_last_request(&w, "/Range")->token, "");
    t = forwarded(bytes_str("of-bob"));
    assert_string_equal(mock_last_request(&w, "/Range")->token, "of-bob");
    t = forwarded(bytes_str("token-1"));
    assert_int_equal(t.code, 0);
    assert_int_equal(n_logins(), 1);
    read_value("k", "");
    assert_string_equal(mock_last_request(&w, "/Range")->token, "token-1");
}

static void a_handle_without_work_does_not_log_in(void **state)
{
    (void)state;
    world_run(&w, 10000);
    assert_int_equal(w.n_requests, 0);
}

static void calls_that_name_an_endpoint_wait_for_the_token_too(void **state)
{
    struct told t = {0};
    (void)state;
    assert_non_null(client_status(w.client, 1, NULL, on_plain, &t, w.now, NULL));
    assert_true(world_until(&w, &t.done, 2000));
    assert_int_equal(t.code, 0);
    assert_string_equal(mock_last_request(&w, "/Status")->token, "token-1");
}

/* C1: a write that is refused for its token is sent again, and applied once. */
static void a_write_whose_token_expired_is_applied_once_with_the_next(void **state)
{
    struct told t;
    (void)state;
    warm_up();
    w.tokens_expired = true;
    put(&t, "k", "again");
    assert_true(world_until(&w, &t.done, 3000));
    assert_int_equal(t.code, 0);
    assert_int_equal(mock_applied(&w, "again"), 1);
    assert_int_equal(n_logins(), 2);
    assert_string_equal(mock_last_request(&w, "/Put")->token, "token-2");
}

static void many_calls_with_an_old_token_ask_for_one_new_token(void **state)
{
    struct told t[50];
    (void)state;
    warm_up();
    w.tokens_expired = true;
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        get(&t[i], "warm");
    world_run(&w, 2000);
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        assert_true(t[i].done && t[i].code == 0);
    assert_int_equal(n_logins(), 2);
}

static void an_old_auth_revision_is_a_reason_for_a_new_token(void **state)
{
    struct told t;
    (void)state;
    warm_up();
    struct mock_rule *r = mock_on(&w, "/Put", 1, MOCK_ANSWER);
    r->status = GRPC_INVALID_ARGUMENT;
    r->text = etcd_error_text(ETCD_AUTH_OLD_REVISION);
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 3000));
    assert_int_equal(t.code, 0);
    assert_int_equal(n_logins(), 2);
}

/* A server that refuses every token it gave: bounded, and the caller hears why. */
static void a_call_gives_up_after_a_few_tokens(void **state)
{
    struct told t;
    (void)state;
    warm_up();
    struct mock_rule *r = mock_on(&w, "/Put", -1, MOCK_ANSWER);
    r->status = GRPC_UNAUTHENTICATED;
    r->text = etcd_error_text(ETCD_INVALID_AUTH_TOKEN);
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 6000));
    assert_int_equal(t.code, TENURE_EDENIED);
    assert_int_equal(t.error.applied, TENURE_APPLIED_NO);
    assert_int_equal(n_logins(), 4);
}

static void what_one_may_not_do_is_no_reason_for_a_new_token(void **state)
{
    struct told t;
    (void)state;
    warm_up();
    struct mock_rule *r = mock_on(&w, "/Put", -1, MOCK_ANSWER);
    r->status = GRPC_PERMISSION_DENIED;
    r->text = etcd_error_text(ETCD_PERMISSION_DENIED);
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 3000));
    assert_int_equal(t.code, TENURE_EDENIED);
    assert_int_equal(n_logins(), 1);
}

static void a_wrong_password_ends_what_waits_and_says_so(void **state)
{
    struct told t;
    (void)state;
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.code, TENURE_EDENIED);
    assert_int_equal(t.error.applied, TENURE_APPLIED_NO);
    assert_non_null(strstr(t.error.text, "mallory"));
    assert_non_null(strstr(t.error.text, "authentication failed"));
    assert_null(strstr(t.error.text, "guess"));
    assert_int_equal(mock_applied(&w, "v"), 0);
}

/* C4 */
static void wrong_passwords_are_not_tried_in_a_loop(void **state)
{
    struct told t;
    (void)state;
    for (int i = 0; i < 20; i++) {
        put(&t, "k", "v");
        assert_true(world_until(&w, &t.done, 5000));
        assert_int_equal(t.code, TENURE_EDENIED);
    }
    assert_true(n_logins() <= 20);
    assert_true(w.requests[w.n_requests - 1].at - w.requests[0].at > 5000);
}

static void without_authentication_calls_go_without_a_token(void **state)
{
    struct told t;
    (void)state;
    w.auth = false;
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.code, 0);
    assert_string_equal(mock_last_request(&w, "/Put")->token, "");
    w.auth = true; /* switched on while we are connected */
    read_value("k", "v");
    assert_string_equal(mock_last_request(&w, "/Range")->token, "token-1");
}

static void a_token_of_the_callers_own_is_sent_and_never_replaced(void **state)
{
    struct told t;
    (void)state;
    get(&t, "k");
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.code, 0);
    assert_string_equal(mock_last_request(&w, "/Range")->token, "token-0");
    w.tokens_expired = true;
    get(&t, "k");
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.code, TENURE_EDENIED);
    assert_int_equal(n_logins(), 0);
}

/* ---- streams ---- */

struct seen {
    size_t n_events;
    int ended;
};

static void on_events(void *user, const struct client_watch_events *e)
{
    ((struct seen *)user)->n_events += e->n_events;
}

static void on_end(void *user, int code, tn_rev compact_revision, const struct tenure_error *error)
{
    (void)compact_revision;
    (void)error;
    ((struct seen *)user)->ended = code;
}

static const struct client_watch_callbacks watch_callbacks = {.on_events = on_events, .on_end = on_end};

static struct client_watch *watch(struct seen *seen)
{
    struct watch_create_req req = {.range = {.key = bytes_str("k")}};
    struct client_watch *watch = client_watch_start(w.client, &req, &watch_callbacks, seen, w.now, NULL);
    assert_non_null(watch);
    return watch;
}

/* W6: also those between the two streams. */
static void a_watch_goes_on_with_the_next_token_and_misses_nothing(void **state)
{
    struct seen seen = {0}, second = {0};
    (void)state;
    struct client_watch *a = watch(&seen);
    world_run(&w, 1000);
    mock_put(&w, "k", "1");
    world_run(&w, 1000);
    w.tokens_expired = true;
    mock_put(&w, "k", "2");
    struct client_watch *b = watch(&second); /* its create is refused on the stream that both share */
    world_run(&w, 3000);
    mock_put(&w, "k", "3");
    world_run(&w, 1000);
    assert_int_equal(seen.n_events, 3);
    assert_int_equal(second.n_events, 1);
    assert_int_equal(seen.ended | second.ended, 0);
    assert_int_equal(n_logins(), 2);
    client_watch_stop(w.client, a, w.now);
    client_watch_stop(w.client, b, w.now);
}

static void a_watch_that_nobody_may_open_ends(void **state)
{
    struct seen seen = {0};
    (void)state;
    struct client_watch *a = watch(&seen);
    world_run(&w, 1000);
    assert_int_equal(seen.ended, TENURE_EDENIED);
    client_watch_stop(w.client, a, w.now);
}

static void on_renewed(void *user, tn_ms sent_at, int64_t ttl_s)
{
    (void)sent_at;
    (void)ttl_s;
    ++*(int *)user;
}

static void keepalives_go_on_with_the_next_token(void **state)
{
    static const struct client_keepalive_callbacks cb = {.on_renewed = on_renewed};
    int renewed = 0;
    (void)state;
    tn_lease id = mock_lease(&w);
    struct client_keepalive *k = client_keepalive_start(w.client, id, 6, w.now, &cb, &renewed, w.now, NULL);
    assert_non_null(k);
    world_run(&w, 3000);
    assert_true(renewed >= 1);
    int before = renewed;
    w.tokens_expired = true;
    mock_cut(&w, endpoint_in_use());
    world_run(&w, 6000);
    assert_true(renewed > before);
    assert_int_equal(n_logins(), 2);
    client_keepalive_stop(w.client, k, w.now);
}

/* ---- faults ---- */

static void a_login_that_is_not_answered_moves_to_another_endpoint(void **state)
{
    struct told t;
    (void)state;
    mock_on(&w, "/Authenticate", 1, MOCK_IGNORE);
    get(&t, "k");
    assert_true(world_until(&w, &t.done, 5000));
    assert_int_equal(t.code, 0);
}

static void a_call_does_not_wait_for_a_login_longer_than_its_deadline(void **state)
{
    struct told t;
    struct client_call_options opt = {.timeout_ms = 500};
    (void)state;
    mock_on(&w, "/Authenticate", -1, MOCK_IGNORE);
    tn_ms begun = w.now;
    get_opt(&t, "k", &opt);
    assert_true(world_until(&w, &t.done, 5000));
    assert_int_equal(t.code, TENURE_ETIMEOUT);
    assert_true(t.at <= begun + 500 + 100);
}

static void closing_while_logging_in_ends_every_call(void **state)
{
    struct told t;
    (void)state;
    mock_on(&w, "/Authenticate", -1, MOCK_IGNORE);
    get(&t, "k");
    world_run(&w, 100);
    client_close(w.client, w.now);
    while (client_deliver(w.client)) {
    }
    assert_true(t.done);
    assert_int_equal(t.code, TENURE_ECLOSED);
}

static void a_user_and_a_token_do_not_go_together(void **state)
{
    struct client_config both = {.user = "alice", .password = "secret", .token = "t"};
    struct client_config half = {.password = "secret"};
    (void)state;
    assert_int_equal(world_try_init(&w, 1, &both, 1), TENURE_EINVALID);
    world_fini(&w);
    assert_int_equal(world_try_init(&w, 1, &half, 1), TENURE_EINVALID);
    world_fini(&w);
}

int main(void)
{
#define ALICE(f) cmocka_unit_test_setup_teardown(f, as_alice, teardown)
    const struct CMUnitTest tests[] = {
        ALICE(one_token_is_asked_for_before_all_calls_and_goes_with_them),
        ALICE(a_handle_without_work_does_not_log_in),
        ALICE(what_is_sent_on_goes_with_the_askers_token_or_none),
        ALICE(calls_that_name_an_endpoint_wait_for_the_token_too),
        ALICE(a_write_whose_token_expired_is_applied_once_with_the_next),
        ALICE(many_calls_with_an_old_token_ask_for_one_new_token),
        ALICE(an_old_auth_revision_is_a_reason_for_a_new_token),
        ALICE(a_call_gives_up_after_a_few_tokens),
        ALICE(what_one_may_not_do_is_no_reason_for_a_new_token),
        cmocka_unit_test_setup_teardown(a_wrong_password_ends_what_waits_and_says_so, as_mallory, teardown),
        cmocka_unit_test_setup_teardown(wrong_passwords_are_not_tried_in_a_loop, as_mallory, teardown),
        ALICE(without_authentication_calls_go_without_a_token),
        cmocka_unit_test_setup_teardown(a_token_of_the_callers_own_is_sent_and_never_replaced, with_a_token, teardown),
        ALICE(a_watch_goes_on_with_the_next_token_and_misses_nothing),
        cmocka_unit_test_setup_teardown(a_watch_that_nobody_may_open_ends, as_mallory, teardown),
        ALICE(keepalives_go_on_with_the_next_token),
        ALICE(a_login_that_is_not_answered_moves_to_another_endpoint),
        ALICE(a_call_does_not_wait_for_a_login_longer_than_its_deadline),
        ALICE(closing_while_logging_in_ends_every_call),
        cmocka_unit_test(a_user_and_a_token_do_not_go_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
