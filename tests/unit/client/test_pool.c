/* Connections: which one is used, when another is opened, how silence is noticed, and that nothing spins (C3, C4). */
#include "cases.h"

static void nothing_is_connected_before_it_is_needed(void **state)
{
    (void)state;
    world_run(&w, 10000);
    assert_int_equal(mock_conns(&w, -1), 0);
    assert_int_equal(client_deadline(w.client), TN_MS_NEVER);
    assert_false(client_is_connected(w.client));
    warm_up();
    assert_int_equal(mock_conns(&w, -1), 1);
    assert_true(client_is_connected(w.client));
}

static void one_connection_carries_everything(void **state)
{
    struct told t;
    (void)state;
    for (int i = 0; i < 50; i++) {
        put(&t, "k", "v");
        world_run(&w, 1000);
        assert_int_equal(t.code, 0);
    }
    assert_int_equal(w.endpoints[0].connects + w.endpoints[1].connects + w.endpoints[2].connects, 1);
}

static void clients_begin_at_different_endpoints(void **state)
{
    size_t begun[3] = {0};
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        world_init(&w, 3, NULL, seed);
        warm_up();
        begun[endpoint_in_use()]++;
        world_fini(&w);
    }
    for (size_t i = 0; i < 3; i++)
        assert_true(begun[i] > 5);
}

static void a_refused_connection_is_tried_elsewhere_at_once(void **state)
{
    struct told t;
    (void)state;
    w.endpoints[0].reach = MOCK_REFUSES;
    w.endpoints[1].reach = MOCK_REFUSES;
    put(&t, "k", "v");
    world_settle(&w);
    assert_int_equal(t.code, 0);
    assert_int_equal(endpoint_in_use(), 2);
}

static void a_connection_that_takes_long_gets_company(void **state)
{
    struct told t;
    (void)state;
    w.endpoints[0].reach = MOCK_BLACKHOLE;
    w.endpoints[1].reach = MOCK_STOPPED;
    tn_ms begin = w.now;
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 1000));
    assert_true(t.at - begin <= 500);
    world_run(&w, 10);
    assert_int_equal(mock_conns(&w, 2), 1); /* the others were given up */
    assert_int_equal(mock_conns(&w, -1), 1);
}

static void a_write_is_not_given_to_a_server_that_has_not_said_a_word(void **state)
{
    struct told t;
    (void)state;
    w.endpoints[0].reach = MOCK_STOPPED;
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 6000));
    assert_int_equal(t.code, TENURE_ETIMEOUT);
    assert_int_equal(t.error.applied, TENURE_APPLIED_NO);
    assert_non_null(strstr(t.error.text, "no greeting"));
}

static void dead_endpoints_are_tried_less_and_less_often(void **state)
{
    struct told t;
    struct client_call_options opt = {.timeout_ms = 600000};
    (void)state;
    w.endpoints[0].reach = MOCK_REFUSES;
    w.endpoints[1].reach = MOCK_REFUSES;
    put_opt(&t, "k", "v", &opt);
    world_run(&w, 60000);
    size_t tries = w.endpoints[0].connects + w.endpoints[1].connects;
    size_t turns = w.turns;
    assert_in_range(tries, 20, 60);
    world_run(&w, 60000);
    assert_in_range(w.endpoints[0].connects + w.endpoints[1].connects - tries, 20, 35); /* each about every 5 s */
    assert_true(w.turns - turns < 200);
    w.endpoints[1].reach = MOCK_UP;
    assert_true(world_until(&w, &t.done, 7000));
    assert_int_equal(t.code, 0);
}

static void a_server_that_greets_and_hangs_up_is_not_stormed(void **state)
{
    struct told t;
    struct client_call_options opt = {.timeout_ms = 600000};
    (void)state;
    mock_on(&w, "/Range", -1, MOCK_CUT);
    get_opt(&t, "k", &opt);
    world_run(&w, 60000);
    assert_in_range(w.endpoints[0].connects, 5, 40);
}

static void an_idle_client_sleeps(void **state)
{
    (void)state;
    warm_up();
    world_run(&w, 10000);
    size_t turns = w.turns;
    world_run(&w, 3600000);
    assert_true(w.turns - turns < 5);
    assert_int_equal(w.endpoints[0].pings, 0);
    assert_int_equal(mock_conns(&w, -1), 1);
}

static void what_nobody_needs_is_not_connected_again(void **state)
{
    (void)state;
    warm_up();
    mock_cut(&w, 0);
    world_run(&w, 60000);
    assert_int_equal(w.endpoints[0].connects, 1);
    assert_false(client_is_connected(w.client));
    warm_up();
    assert_int_equal(w.endpoints[0].connects, 2);
}

static void a_server_that_has_said_less_than_a_frame_has_not_greeted(void **state)
{
    struct told t;
    (void)state;
    w.endpoints[0].trickle = 1;
    put(&t, "k", "v");
    world_run(&w, 500);
    assert_int_equal(w.n_requests, 0);
    assert_true(world_until(&w, &t.done, 6000));
    assert_int_equal(w.n_requests, 1);
}

/* ---- silence ---- */

static void on_events(void *user, const struct client_watch_events *e)
{
    (void)user;
    (void)e;
}

static struct client_watch *open_watch(void)
{
    static const struct client_watch_callbacks cb = {.on_events = on_events};
    struct watch_create_req req = {.range = {.key = bytes_str("k")}};
    struct client_watch *watch = client_watch_start(w.client, &req, &cb, NULL, w.now, NULL);
    assert_non_null(watch);
    world_settle(&w);
    return watch;
}

static void an_open_stream_is_pinged_but_never_within_5_s(void **state)
{
    (void)state;
    struct client_watch *watch = open_watch();
    size_t pings = 0;
    tn_ms last = 0;
    for (int i = 0; i < 3000; i++) {
        world_run(&w, 20);
        if (w.endpoints[0].pings == pings)
            continue;
        assert_int_equal(w.endpoints[0].pings, pings + 1);
        assert_true(pings == 0 || w.now - last > 5000);
        pings++;
        last = w.now;
    }
    assert_in_range(pings, 9, 11);
    assert_int_equal(w.endpoints[0].connects, 1);
    client_watch_stop(w.client, watch, w.now);
}

static void traffic_makes_pings_needless(void **state)
{
    struct told t;
    (void)state;
    struct client_watch *watch = open_watch();
    for (int i = 0; i < 200; i++) {
        put(&t, "k", "v");
        world_run(&w, 100);
    }
    assert_int_equal(w.endpoints[0].pings, 0);
    client_watch_stop(w.client, watch, w.now);
}

static void silence_is_noticed_within_its_bound(void **state)
{
    (void)state;
    for (int64_t later = 0; later < 12000; later += 700) {
        setup_n(2);
        struct client_watch *watch = open_watch();
        size_t first = endpoint_in_use();
        world_run(&w, later);
        w.endpoints[first].swallows = true;
        world_run(&w, 9500); /* a ping each 5.5 s, 3 s of silence, and a connection */
        assert_int_equal(mock_conns(&w, (int)(1 - first)), 1);
        assert_int_equal(mock_last_request(&w, "/Watch")->endpoint, 1 - (int)first);
        client_watch_stop(w.client, watch, w.now);
        world_run(&w, 1);
        assert_int_equal(mock_conns(&w, (int)first), 0);
        world_fini(&w);
    }
}

static void an_endpoint_that_never_failed_comes_before_one_that_did(void **state)
{
    struct told t;
    (void)state;
    warm_up();
    size_t first = endpoint_in_use();
    w.endpoints[first].reach = MOCK_BLACKHOLE;
    get(&t, "k");
    assert_true(world_until(&w, &t.done, 5000));
    size_t second = endpoint_in_use();
    world_run(&w, 10000); /* the first has rested long enough to be tried again */
    w.endpoints[second].reach = MOCK_BLACKHOLE;
    get(&t, "k");
    assert_true(world_until(&w, &t.done, 5000));
    assert_int_equal(endpoint_in_use(), 3 - first - second);
    assert_int_equal(w.endpoints[first].connects, 1);
}

static void one_silent_server_is_given_a_fresh_connection(void **state)
{
    (void)state;
    struct client_watch *watch = open_watch();
    uint32_t requests = (uint32_t)mock_count_requests(&w, "/Watch", -1);
    w.endpoints[0].swallows = true;
    world_run(&w, 4000);
    w.endpoints[0].swallows = false; /* what was swallowed is gone for good: the old connection may be half dead */
    world_run(&w, 10000);
    assert_true(mock_count_requests(&w, "/Watch", -1) >= requests);
    struct told t;
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 5000));
    assert_int_equal(t.code, 0);
    client_watch_stop(w.client, watch, w.now);
}

static void a_server_that_only_dribbles_is_left(void **state)
{
    struct told t;
    (void)state;
    struct client_watch *watch = open_watch();
    size_t first = endpoint_in_use();
    w.endpoints[first].trickle = 1;
    for (int i = 0; i < 40; i++) {
        mock_put(&w, "k", "a value long enough to take its time"); /* there is always another byte on its way */
        world_run(&w, 500);
    }
    assert_int_equal(mock_last_request(&w, "/Watch")->endpoint, 1 - (int)first);
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 100));
    assert_int_equal(t.code, 0);
    client_watch_stop(w.client, watch, w.now);
}

static void a_connection_that_recovers_is_kept(void **state)
{
    struct told t;
    (void)state;
    warm_up();
    size_t first = endpoint_in_use();
    w.endpoints[1 - first].reach = MOCK_REFUSES;
    struct mock_rule *r = mock_on(&w, "/Put", 1, MOCK_LATE);
    r->delay_ms = 4500;
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 5000));
    assert_int_equal(t.code, 0); /* the write was not given up with the doubt */
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 100));
    assert_int_equal(t.code, 0);
}

/* Reads are unanswered for a while, which puts the connection in doubt; then all answers come. */
static void doubt_and_recover(struct told *t)
{
    size_t first = endpoint_in_use();
    w.endpoints[first].latency_ms = 1200;
    get(&t[0], "k");
    world_run(&w, 2000);
    put(&t[1], "k", "v"); /* kept back while in doubt */
    world_run(&w, 300);
    w.endpoints[first].latency_ms = 0;
    assert_false(t[0].done);
    assert_true(world_until(&w, &t[0].done, 500));
    world_settle(&w);
}

static void doubt_ends_with_a_byte(void **state)
{
    struct told t[2];
    (void)state;
    warm_up();
    size_t first = endpoint_in_use(), other = 1 - first;
    w.endpoints[other].reach = MOCK_BLACKHOLE;
    doubt_and_recover(t);
    assert_int_equal(t[0].code, 0);
    assert_true(world_until(&w, &t[1].done, 1000)); /* it went out as soon as the doubt was over */
    assert_int_equal(t[1].code, 0);
    assert_int_equal(w.endpoints[other].connects, 1);
    char errors[200];
    client_endpoint_errors(w.client, errors, sizeof errors);
    assert_null(strstr(errors, w.endpoints[first].url));
    w.endpoints[other].reach = MOCK_UP;
    for (int i = 0; i < 20; i++) {
        world_run(&w, 1000);
        warm_up();
    }
    assert_int_equal(w.endpoints[other].connects, 1); /* there was no reason for another try */
    assert_int_equal(endpoint_in_use(), first);
}

static void a_candidate_that_comes_too_late_is_not_needed(void **state)
{
    struct told t[2];
    (void)state;
    warm_up();
    size_t first = endpoint_in_use(), other = 1 - first;
    w.endpoints[other].latency_ms = 450;
    doubt_and_recover(t);
    world_run(&w, 3000);
    assert_int_equal(w.endpoints[other].accepts, 1);
    warm_up();
    assert_int_equal(endpoint_in_use(), first);
    assert_int_equal(mock_conns(&w, (int)other), 0);
}

static void short_calls_on_a_dead_connection_find_another_in_the_end(void **state)
{
    struct told t;
    struct client_call_options opt = {.timeout_ms = 200};
    size_t failed = 0;
    (void)state;
    warm_up();
    w.endpoints[endpoint_in_use()].swallows = true;
    for (int i = 0; i < 100; i++) {
        put_opt(&t, "k", "v", &opt);
        world_run(&w, 250);
        failed += t.code != 0;
    }
    assert_true(failed < 30);
    assert_int_equal(t.code, 0);
}

static void connections_left_with_writes_under_way_are_bounded(void **state)
{
    static struct told t[60];
    struct client_call_options opt = {.timeout_ms = 3600000};
    size_t most = 0, ended = 0;
    (void)state;
    mock_on(&w, "/Put", -1, MOCK_IGNORE);
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        put_opt(&t[i], "k", "v", &opt);
        world_settle(&w);
        mock_goaway(&w, 0);
        world_run(&w, 6000);
        most = mock_conns(&w, -1) > most ? mock_conns(&w, -1) : most;
    }
    assert_in_range(most, 10, 20);
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        ended += t[i].done;
        if (t[i].done)
            assert_int_equal(t[i].error.applied, TENURE_APPLIED_MAYBE);
    }
    assert_in_range(ended, 40, 59);
}

/* ---- going away ---- */

static void a_goaway_moves_the_streams(void **state)
{
    (void)state;
    struct client_watch *watch = open_watch();
    size_t first = endpoint_in_use();
    mock_goaway(&w, first);
    world_run(&w, 1000);
    assert_int_equal(mock_last_request(&w, "/Watch")->endpoint, 1 - (int)first);
    assert_int_equal(mock_conns(&w, (int)first), 0);
    assert_int_equal(mock_watchers(&w), 1);
    client_watch_stop(w.client, watch, w.now);
}

static void the_errors_of_endpoints_are_told_and_forgotten(void **state)
{
    char text[200], cut[10];
    struct told t;
    (void)state;
    client_endpoint_errors(w.client, text, sizeof text);
    assert_string_equal(text, "");
    w.endpoints[0].reach = w.endpoints[1].reach = MOCK_REFUSES;
    put(&t, "k", "v");
    world_run(&w, 100);
    client_endpoint_errors(w.client, text, sizeof text);
    assert_string_equal(text, "http://e0:1: connection refused; http://e1:1: connection refused");
    client_endpoint_errors(w.client, cut, sizeof cut);
    assert_string_equal(cut, "http://e0");
    w.endpoints[0].reach = MOCK_UP;
    assert_true(world_until(&w, &t.done, 5000));
    client_endpoint_errors(w.client, text, sizeof text);
    assert_string_equal(text, "http://e1:1: connection refused");
    assert_int_equal(client_endpoints(w.client), 2);
    assert_string_equal(client_endpoint(w.client, 1), "http://e1:1");
    assert_null(client_endpoint(w.client, 2));
}

/* ---- the driver's side ---- */

static void words_about_connections_that_are_gone_are_ignored(void **state)
{
    struct buf out;
    (void)state;
    warm_up();
    buf_init(&out);
    client_connected(w.client, 99, w.now);
    client_connect_failed(w.client, 99, NULL, w.now);
    client_feed(w.client, 99, bytes_str("xxx"), w.now);
    client_disconnected(w.client, 0, NULL, w.now);
    client_output(w.client, 99, &out, 100, w.now);
    client_connected(w.client, 1, w.now); /* a second time */
    client_feed(w.client, 1, bytes_of(NULL, 0), w.now);
    assert_int_equal(out.len, 0);
    buf_fini(&out);
    warm_up();
    assert_int_equal(w.endpoints[0].connects, 1);
}

static void endpoints_that_cannot_be_read_are_named(void **state)
{
    static const char *const bad[][2] = {{"http://a:1", "ftp://b:1"}, {"http://a:1", ""}, {"http://", "x"}};
    struct client *c;
    struct tenure_error err;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct client_config config = {.endpoints = bad[i], .n_endpoints = 2};
        rng_init(&config.seed, 1);
        assert_int_equal(client_new(&config, 0, &c, &err), TENURE_EINVALID);
        assert_non_null(strstr(err.text, i == 2 ? "\"http://\"" : bad[i][1]));
    }
    struct client_config none = {.n_endpoints = 0};
    assert_int_equal(client_new(&none, 0, &c, &err), TENURE_EINVALID);
    assert_null(client_free(NULL));
}

static void an_endpoint_that_is_added_takes_calls_over(void **state)
{
    struct told t;
    struct tenure_error err;
    (void)state;
    w.endpoints[0].reach = MOCK_REFUSES;
    get(&t, "a");
    world_run(&w, 300);
    assert_false(t.done);
    assert_int_equal(client_endpoint_add(w.client, "ftp://x", &err), TENURE_EINVALID);
    assert_int_equal(client_endpoints(w.client), 1);
    w.n_endpoints = 2; /* the world's second one, which the client did not know */
    snprintf(w.endpoints[1].url, sizeof w.endpoints[1].url, "http://e1:1");
    assert_int_equal(client_endpoint_add(w.client, w.endpoints[1].url, &err), 0);
    assert_string_equal(client_endpoint(w.client, 1), w.endpoints[1].url);
    assert_true(world_until(&w, &t.done, 3000));
    assert_int_equal(t.code, 0);
    assert_int_equal(endpoint_in_use(), 1);
}

/* The world's endpoints, made known to a client that began without any. */
static void learn(size_t i, unsigned place)
{
    struct tenure_error err;
    size_t index = client_endpoints(w.client);
    snprintf(w.endpoints[i].url, sizeof w.endpoints[i].url, "http://e%zu:1", i);
    w.n_endpoints = w.n_endpoints > i ? w.n_endpoints : i + 1;
    assert_int_equal(client_endpoint_add(w.client, w.endpoints[i].url, &err), 0);
    client_endpoint_place(w.client, index, place);
}

static int without_endpoints(void **state)
{
    struct client_config config = {.endpoints_come = true};
    (void)state;
    world_init(&w, 0, &config, 42);
    return 0;
}

static void calls_wait_for_endpoints_that_come(void **state)
{
    struct told t, late;
    (void)state;
    client_no_endpoints(w.client, "nobody has said where");
    get(&late, "a");
    assert_true(world_until(&w, &late.done, 6000));
    assert_int_equal(late.code, TENURE_ETIMEOUT);
    assert_non_null(strstr(late.error.text, "nobody has said where"));
    get(&t, "a");
    world_run(&w, 1000);
    assert_false(t.done);
    learn(0, 1);
    assert_true(world_until(&w, &t.done, 3000));
    assert_int_equal(t.code, 0);
}

static void the_first_place_is_tried_first(void **state)
{
    struct told t;
    (void)state;
    learn(0, 2);
    learn(1, 3);
    learn(2, 1);
    get(&t, "a");
    assert_true(world_until(&w, &t.done, 3000));
    assert_int_equal(endpoint_in_use(), 2);
    w.endpoints[2].reach = MOCK_REFUSES;
    mock_cut(&w, 2);
    get(&t, "b");
    assert_true(world_until(&w, &t.done, 3000));
    assert_int_equal(endpoint_in_use(), 0);
}

static void one_that_has_left_is_not_connected_to_until_it_comes_back(void **state)
{
    struct told t;
    (void)state;
    learn(0, 1);
    get(&t, "a");
    assert_true(world_until(&w, &t.done, 3000));
    client_endpoints_leave(w.client);
    get(&t, "b"); /* what stands is used */
    assert_true(world_until(&w, &t.done, 3000));
    assert_int_equal(t.code, 0);
    mock_cut(&w, 0);
    get(&t, "c");
    world_run(&w, 2000);
    assert_false(t.done);
    client_endpoint_place(w.client, 0, 1);
    assert_true(world_until(&w, &t.done, 3000));
    assert_int_equal(t.code, 0);
}

static void those_given_by_hand_keep_their_place(void **state)
{
    struct told t;
    (void)state;
    client_endpoint_place(w.client, 0, 9);
    client_endpoints_leave(w.client);
    learn(1, 1);
    get(&t, "a");
    assert_true(world_until(&w, &t.done, 3000));
    assert_int_equal(endpoint_in_use(), 0);
}

#define CASE_0(f) cmocka_unit_test_setup_teardown(f, without_endpoints, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE_0(calls_wait_for_endpoints_that_come),
        CASE_0(the_first_place_is_tried_first),
        CASE_0(one_that_has_left_is_not_connected_to_until_it_comes_back),
        CASE_1(those_given_by_hand_keep_their_place),
        CASE_2(nothing_is_connected_before_it_is_needed),
        CASE_3(one_connection_carries_everything),
        cmocka_unit_test(clients_begin_at_different_endpoints),
        CASE_3(a_refused_connection_is_tried_elsewhere_at_once),
        CASE_3(a_connection_that_takes_long_gets_company),
        CASE_1(a_write_is_not_given_to_a_server_that_has_not_said_a_word),
        CASE_2(dead_endpoints_are_tried_less_and_less_often),
        CASE_1(a_server_that_greets_and_hangs_up_is_not_stormed),
        CASE_1(an_idle_client_sleeps),
        CASE_1(what_nobody_needs_is_not_connected_again),
        CASE_1(a_server_that_has_said_less_than_a_frame_has_not_greeted),
        CASE_1(an_open_stream_is_pinged_but_never_within_5_s),
        CASE_1(traffic_makes_pings_needless),
        cmocka_unit_test(silence_is_noticed_within_its_bound),
        CASE_3(an_endpoint_that_never_failed_comes_before_one_that_did),
        CASE_1(one_silent_server_is_given_a_fresh_connection),
        CASE_2(a_server_that_only_dribbles_is_left),
        CASE_2(a_connection_that_recovers_is_kept),
        CASE_2(doubt_ends_with_a_byte),
        CASE_2(a_candidate_that_comes_too_late_is_not_needed),
        CASE_2(short_calls_on_a_dead_connection_find_another_in_the_end),
        CASE_1(connections_left_with_writes_under_way_are_bounded),
        CASE_2(a_goaway_moves_the_streams),
        CASE_2(the_errors_of_endpoints_are_told_and_forgotten),
        CASE_1(words_about_connections_that_are_gone_are_ignored),
        cmocka_unit_test(endpoints_that_cannot_be_read_are_named),
        CASE_1(an_endpoint_that_is_added_takes_calls_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
