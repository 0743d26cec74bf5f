/* Completions: from client_deliver only, each once, and free to start, cancel and stop anything. */
#include "cases.h"

static void nothing_is_called_from_inside_another_function(void **state)
{
    struct told t;
    (void)state;
    warm_up();
    struct client_call *call = put(&t, "k", "v");
    client_cancel(w.client, call, w.now);
    assert_false(t.done);
    client_tick(w.client, w.now + 10000);
    assert_false(t.done);
    assert_true(client_deadline(w.client) <= w.now + 10000); /* the driver is to come round at once */
    assert_true(client_deliver(w.client));
    assert_true(t.done);
    assert_false(client_deliver(w.client));
    w.now += 10000;
}

static void completions_can_be_called_one_by_one(void **state)
{
    struct told first, second;
    (void)state;
    warm_up();
    client_cancel(w.client, put(&first, "k", "v"), w.now);
    client_cancel(w.client, put(&second, "k", "v"), w.now);
    assert_int_equal(client_deliveries(w.client), 2);
    assert_true(client_deliver_one(w.client));
    assert_true(first.done && !second.done);
    assert_true(client_deliver_one(w.client));
    assert_true(second.done);
    assert_int_equal(client_deliveries(w.client), 0);
    assert_false(client_deliver_one(w.client));
}

struct chain {
    int left, done;
};

static void on_link(void *user, const struct client_result *r)
{
    struct chain *c = user;
    struct put_req req = {.key = bytes_str("k"), .value = bytes_str("v")};
    assert_int_equal(r->code, 0);
    c->done++;
    if (c->left-- > 0)
        assert_non_null(client_put(w.client, &req, NULL, on_link, c, w.now, NULL));
}

static void a_completion_may_start_the_next_call(void **state)
{
    struct chain c = {.left = 20};
    struct put_req req = {.key = bytes_str("k"), .value = bytes_str("v")};
    (void)state;
    assert_non_null(client_put(w.client, &req, NULL, on_link, &c, w.now, NULL));
    world_run(&w, 1000);
    assert_int_equal(c.done, 21);
}

static struct client_call *victim;
static struct told victim_told;

static void on_cancel_other(void *user, const struct client_result *r)
{
    (void)user;
    (void)r;
    client_cancel(w.client, victim, w.now);
}

static void a_completion_may_cancel_another_call_whose_own_is_due(void **state)
{
    struct put_req req = {.key = bytes_str("k"), .value = bytes_str("v")};
    (void)state;
    assert_non_null(client_put(w.client, &req, NULL, on_cancel_other, NULL, w.now, NULL));
    victim = put(&victim_told, "k", "v");
    world_run(&w, 1000);
    assert_int_equal(victim_told.times, 1);
    assert_int_equal(victim_told.code, 0); /* it had ended before: that is its result */
}

static int spins;

static void on_spin(void *user, const struct client_result *r)
{
    struct put_req req = {.key = bytes_str("k"), .value = bytes_str("v")};
    (void)user;
    (void)r;
    spins++;
    struct client_call *call = client_put(w.client, &req, NULL, on_spin, NULL, w.now, NULL);
    if (call)
        client_cancel(w.client, call, w.now);
}

static void a_completion_that_always_makes_another_does_not_hold_the_turn(void **state)
{
    struct put_req req = {.key = bytes_str("k"), .value = bytes_str("v")};
    (void)state;
    struct client_call *call = client_put(w.client, &req, NULL, on_spin, NULL, w.now, NULL);
    client_cancel(w.client, call, w.now);
    assert_true(client_deliver(w.client));
    assert_true(spins <= 2);
    assert_true(client_deadline(w.client) <= w.now);
    client_close(w.client, w.now); /* now client_put answers NULL, and it ends */
    while (client_deliver(w.client))
        ;
}

static struct client_watch *other_watch;
static int other_calls;

static void on_other_event(void *user, const struct client_watch_events *e)
{
    (void)user;
    (void)e;
    other_calls++;
}

static void on_event_stop_other(void *user, const struct client_watch_events *e)
{
    (void)user;
    (void)e;
    if (other_watch)
        client_watch_stop(w.client, other_watch, w.now);
    other_watch = NULL;
}

static void a_callback_may_stop_another_watch_whose_events_are_due(void **state)
{
    static const struct client_watch_callbacks stopper = {.on_events = on_event_stop_other};
    static const struct client_watch_callbacks other = {.on_events = on_other_event};
    struct watch_create_req req = {.range = {.key = bytes_str("k")}};
    (void)state;
    struct client_watch *first = client_watch_start(w.client, &req, &stopper, NULL, w.now, NULL);
    other_watch = client_watch_start(w.client, &req, &other, NULL, w.now, NULL);
    world_settle(&w);
    mock_put(&w, "k", "v");
    mock_put(&w, "k", "v");
    world_settle(&w);
    assert_int_equal(other_calls, 0);
    assert_null(other_watch);
    client_watch_stop(w.client, first, w.now);
}

static void on_close_client(void *user, const struct client_result *r)
{
    note(user, r);
    client_close(w.client, w.now);
}

static void a_completion_may_close_the_client(void **state)
{
    struct told closer = {0}, other;
    struct put_req req = {.key = bytes_str("k"), .value = bytes_str("v")};
    (void)state;
    mock_on(&w, "/Range", -1, MOCK_IGNORE);
    get(&other, "k");
    assert_non_null(client_put(w.client, &req, NULL, on_close_client, &closer, w.now, NULL));
    world_run(&w, 100);
    assert_int_equal(closer.code, 0);
    assert_int_equal(other.code, TENURE_ECLOSED);
    assert_int_equal(mock_conns(&w, -1), 0);
}

static void undelivered_completions_are_dropped_with_the_client(void **state)
{
    struct told t;
    (void)state;
    put(&t, "k", "v");
    client_close(w.client, w.now);
    client_close(w.client, w.now); /* twice is fine */
    w.client = client_free(w.client);
    assert_false(t.done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE_1(nothing_is_called_from_inside_another_function),
        CASE_1(completions_can_be_called_one_by_one),
        CASE_1(a_completion_may_start_the_next_call),
        CASE_1(a_completion_may_cancel_another_call_whose_own_is_due),
        CASE_1(a_completion_that_always_makes_another_does_not_hold_the_turn),
        CASE_1(a_callback_may_stop_another_watch_whose_events_are_due),
        CASE_1(a_completion_may_close_the_client),
        CASE_1(undelivered_completions_are_dropped_with_the_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
