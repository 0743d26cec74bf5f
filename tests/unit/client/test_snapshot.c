/* client_snapshot: pieces as they come, one endpoint, no second try. */
#include "cases.h"

static struct {
    int pieces;
    char last[16];
    bool cancel;
    struct client_call *call;
} seen;

static void on_piece(void *user, const struct snapshot_resp *piece)
{
    (void)user;
    seen.pieces++;
    snprintf(seen.last, sizeof seen.last, "%.*s", (int)piece->blob.len, (const char *)piece->blob.data);
    assert_int_equal(piece->remaining_bytes, 7);
    if (seen.cancel)
        client_cancel(w.client, seen.call, w.now);
}

static void ask(struct told *t, size_t endpoint)
{
    struct tenure_error err;
    *t = (struct told){0};
    memset(&seen, 0, sizeof seen);
    seen.call = client_snapshot(w.client, endpoint, NULL, on_piece, on_plain, t, w.now, &err);
    assert_non_null(seen.call);
}

static void pieces_come_before_the_end(void **state)
{
    struct told t;
    (void)state;
    ask(&t, 1);
    assert_true(world_until(&w, &t.done, 4000));
    assert_int_equal(t.code, 0);
    assert_int_equal(t.times, 1);
    assert_int_equal(seen.pieces, 1);
    assert_string_equal(seen.last, "piece");
    assert_int_equal(endpoint_in_use(), 1);
}

static void a_stream_that_is_cut_is_not_begun_again(void **state)
{
    struct told t;
    (void)state;
    mock_on(&w, "/Snapshot", -1, MOCK_CUT);
    ask(&t, 0);
    assert_true(world_until(&w, &t.done, 4000));
    assert_int_equal(t.code, TENURE_EUNAVAILABLE);
    assert_int_equal(seen.pieces, 0);
}

static void what_the_server_refuses_is_told(void **state)
{
    struct told t;
    (void)state;
    struct mock_rule *r = mock_on(&w, "/Snapshot", 1, MOCK_ANSWER);
    r->status = GRPC_INTERNAL;
    r->text = "no room";
    ask(&t, 0);
    assert_true(world_until(&w, &t.done, 4000));
    assert_true(t.code < 0);
    assert_non_null(strstr(t.error.text, "no room"));
}

static void a_piece_may_cancel_the_call(void **state)
{
    struct told t;
    (void)state;
    ask(&t, 0);
    seen.cancel = true;
    assert_true(world_until(&w, &t.done, 4000));
    assert_int_equal(t.times, 1);
    assert_int_equal(seen.pieces, 1);
}

static void an_endpoint_that_is_not_there_is_named(void **state)
{
    struct tenure_error err;
    (void)state;
    assert_null(client_snapshot(w.client, 9, NULL, on_piece, on_plain, NULL, w.now, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
}

/* The login opens a connection of its own kind; when one of the two serves both, the call does not go down with the other. */
static void a_login_before_it_does_no_harm(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct client_config config = {.user = "alice", .password = "secret"};
        struct told t;
        world_init(&w, 1 + seed % 2, &config, seed);
        w.auth = true;
        ask(&t, 0);
        assert_true(world_until(&w, &t.done, 6000));
        if (t.code)
            fail_msg("seed %d: %s", (int)seed, t.error.text);
        world_fini(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE_2(pieces_come_before_the_end),
        CASE_2(a_stream_that_is_cut_is_not_begun_again),
        CASE_2(what_the_server_refuses_is_told),
        CASE_1(a_piece_may_cancel_the_call),
        CASE_1(an_endpoint_that_is_not_there_is_named),
        cmocka_unit_test(a_login_before_it_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
