/* never_older: reads do not go back in time, whichever endpoint answers. */
#include "cases.h"

static int two_in_order(void **state)
{
    static const struct client_config config = {.never_older = true};
    (void)state;
    world_init(&w, 2, &config, 42);
    return 0;
}

static int one_in_order(void **state)
{
    static const struct client_config config = {.never_older = true};
    (void)state;
    world_init(&w, 1, &config, 42);
    return 0;
}

static void an_older_answer_is_asked_for_elsewhere(void **state)
{
    struct told t;
    (void)state;
    put(&t, "a", "1");
    assert_true(world_until(&w, &t.done, 4000));
    size_t here = endpoint_in_use();
    w.endpoints[here].behind = 1;
    get(&t, "a");
    assert_true(world_until(&w, &t.done, 4000));
    assert_int_equal(t.code, 0);
    assert_int_equal(t.revision, w.revision);
    assert_int_equal(endpoint_in_use(), 1 - here);
}

static void one_that_lags_is_waited_for(void **state)
{
    struct told t;
    (void)state;
    put(&t, "a", "1");
    assert_true(world_until(&w, &t.done, 4000));
    w.endpoints[0].behind = 1;
    get(&t, "a");
    world_run(&w, 500);
    assert_false(t.done);
    w.endpoints[0].behind = 0;
    assert_true(world_until(&w, &t.done, 4000));
    assert_int_equal(t.code, 0);
}

static void one_that_stays_behind_is_named_in_the_end(void **state)
{
    struct told t;
    (void)state;
    put(&t, "a", "1");
    assert_true(world_until(&w, &t.done, 4000));
    w.endpoints[0].behind = 1;
    get(&t, "a");
    assert_true(world_until(&w, &t.done, 10000));
    assert_int_equal(t.code, TENURE_ETIMEOUT);
    assert_non_null(strstr(t.error.text, "older than"));
}

static void what_a_watch_showed_counts_too(void **state)
{
    struct told t;
    (void)state;
    static const struct client_watch_callbacks none = {0};
    struct watch_create_req req = {.range = {.key = bytes_str("k")}};
    struct tenure_error err;
    struct client_watch *watch = client_watch_start(w.client, &req, &none, NULL, w.now, &err);
    world_run(&w, 100);
    mock_put(&w, "k", "v");
    world_run(&w, 100);
    w.endpoints[0].behind = 1;
    get(&t, "k");
    assert_true(world_until(&w, &t.done, 10000));
    assert_int_equal(t.code, TENURE_ETIMEOUT);
    client_watch_stop(w.client, watch, w.now);
}

static void without_the_option_an_older_answer_is_one(void **state)
{
    struct told t;
    (void)state;
    put(&t, "a", "1");
    assert_true(world_until(&w, &t.done, 4000));
    w.endpoints[0].behind = 1;
    get(&t, "a");
    assert_true(world_until(&w, &t.done, 4000));
    assert_int_equal(t.code, 0);
    assert_int_equal(t.revision, w.revision - 1);
}

#define IN_ORDER(f, setup) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ORDER(an_older_answer_is_asked_for_elsewhere, two_in_order),
        IN_ORDER(one_that_lags_is_waited_for, one_in_order),
        IN_ORDER(one_that_stays_behind_is_named_in_the_end, one_in_order),
        IN_ORDER(what_a_watch_showed_counts_too, one_in_order),
        CASE_1(without_the_option_an_older_answer_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
