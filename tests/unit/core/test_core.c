/* The turn: a held-up process, leases that run out, deadlines of calls, shutdown. */
#include "cases.h"

static void a_lease_that_runs_out_takes_its_keys_in_one_revision(void **state)
{
    (void)state;
    grant(5, 10);
    put_leased("a", 5);
    put_leased("b", 5);
    world_pass(here.w, 9900);
    assert_int_equal(count("a", "z"), 2);
    world_pass(here.w, 700);
    assert_int_equal(count("a", "z"), 0);
    assert_int_equal(store_revision(here.w->store), 4);
    assert_int_equal(world_lease(here.w, 5), 0);
}

static void a_renewed_lease_lives_on(void **state)
{
    (void)state;
    grant(5, 10);
    put_leased("a", 5);
    struct call *s = client_keepalive(here.c);
    for (int i = 0; i < 10; i++) {
        world_pass(here.w, 5000);
        call_keepalive(s, 5);
        world_settle(here.w);
        assert_int_equal(got_keepalive(s).ttl_s, 10);
    }
    assert_int_equal(count("a", ""), 1);
    world_pass(here.w, 10600);
    assert_int_equal(count("a", ""), 0);
}

/* The process stood still for an hour: the renewal that lies unread in the socket was in time. */
static void after_a_stop_leases_get_the_time_on_top(void **state)
{
    (void)state;
    grant(5, 10);
    put_leased("a", 5);
    struct call *s = client_keepalive(here.c);
    world_pass(here.w, 5000);
    call_keepalive(s, 5);
    world_stop(here.w, 3600000);
    world_settle(here.w);
    assert_int_equal(got_keepalive(s).ttl_s, 10);
    assert_int_equal(count("a", ""), 1);
}

static void after_a_stop_a_lease_without_renewal_still_runs_out(void **state)
{
    (void)state;
    grant(5, 10);
    put_leased("a", 5);
    world_pass(here.w, 5000);
    world_stop(here.w, 3600000);
    world_settle(here.w);
    assert_int_equal(count("a", ""), 1);
    world_pass(here.w, 6000);
    assert_int_equal(count("a", ""), 0);
}

static void the_core_asks_to_be_called_twice_a_second_so_that_a_stop_is_noticed(void **state)
{
    (void)state;
    world_settle(here.w);
    assert_in_range(core_deadline(here.w->core) - here.w->now, 1, 500);
}

static void many_leases_that_run_out_at_once_are_ended_in_slices(void **state)
{
    (void)state;
    for (tn_lease id = 1; id <= 200; id++)
        client_grant(here.c, id, 10);
    world_settle(here.w);
    assert_int_equal(store_leases(here.w->store), 200);
    world_pass(here.w, 10600);
    assert_int_equal(store_leases(here.w->store), 0);
}

/* ---- grpc-timeout ---- */

static struct call *put_within(int64_t timeout_ms)
{
    struct buf b;
    buf_init(&b);
    encode_put_req(&(struct put_req){.key = bytes_str("a")}, &b);
    struct call *p = client_call(here.c, "/etcdserverpb.KV/Put", timeout_ms);
    call_say(p, &b);
    call_half_close(p);
    return p;
}

static void a_call_whose_deadline_passes_while_it_waits_ends_and_may_still_be_applied(void **state)
{
    (void)state;
    here.w->log_held = true;
    struct call *p = put_within(1000), *patient = put_within(100000);
    world_pass(here.w, 900);
    assert_waits(p);
    world_pass(here.w, 200);
    assert_error(p, ETCD_DEADLINE_EXCEEDED);
    assert_waits(patient);
    world_release(here.w, CORE_APPLIED);
    assert_ok(patient);
    assert_int_equal(count("a", ""), 1);
    assert_int_equal(store_revision(here.w->store), 3);
}

static void a_call_that_was_answered_has_no_deadline_any_more(void **state)
{
    (void)state;
    struct call *p = put_within(1000);
    world_settle(here.w);
    assert_ok(p);
    world_pass(here.w, 2000);
    assert_ok(p);
}

static void a_stream_ends_at_its_deadline_too(void **state)
{
    (void)state;
    struct call *s = client_call(here.c, "/etcdserverpb.Watch/Watch", 500);
    call_watch(s, &(struct watch_create_req){.range = {bytes_str("a"), {0}}});
    world_pass(here.w, 600);
    assert_error(s, ETCD_DEADLINE_EXCEEDED);
    assert_int_equal(store_watchers(here.w->store), 0);
}

/* ---- shutdown ---- */

static void a_shutdown_ends_streams_and_lets_writes_under_way_be_answered(void **state)
{
    (void)state;
    struct call *w = client_watch(here.c), *k = client_keepalive(here.c);
    call_watch(w, &(struct watch_create_req){.range = {bytes_str("a"), {0}}});
    world_settle(here.w);
    here.w->log_held = true;
    struct call *p = client_put(here.c, "a", "1");
    world_settle(here.w);
    core_shutdown(here.w->core, here.w->now);
    world_settle(here.w);
    assert_status(w, GRPC_UNAVAILABLE, "etcdserver: server stopped");
    assert_status(k, GRPC_UNAVAILABLE, "etcdserver: server stopped");
    assert_waits(p);
    assert_false(core_drained(here.w->core));
    world_release(here.w, CORE_APPLIED);
    assert_ok(p);
    assert_true(core_drained(here.w->core));
}

static void a_connection_that_said_nothing_does_not_hold_up_a_shutdown(void **state)
{
    (void)state;
    struct client *silent = client_new(here.w);
    silent->mute = silent->deaf = true;
    world_settle(here.w);
    core_shutdown(here.w->core, here.w->now);
    world_settle(here.w);
    assert_true(core_drained(here.w->core));
    assert_true(silent->dropped);
}

static void after_a_shutdown_no_connection_is_accepted(void **state)
{
    (void)state;
    core_shutdown(here.w->core, here.w->now);
    struct client *late = client_new(here.w);
    assert_null(late->conn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_lease_that_runs_out_takes_its_keys_in_one_revision),
        CASE(a_renewed_lease_lives_on),
        CASE(after_a_stop_leases_get_the_time_on_top),
        CASE(after_a_stop_a_lease_without_renewal_still_runs_out),
        CASE(the_core_asks_to_be_called_twice_a_second_so_that_a_stop_is_noticed),
        CASE(many_leases_that_run_out_at_once_are_ended_in_slices),
        CASE(a_call_whose_deadline_passes_while_it_waits_ends_and_may_still_be_applied),
        CASE(a_call_that_was_answered_has_no_deadline_any_more),
        CASE(a_stream_ends_at_its_deadline_too),
        CASE(a_shutdown_ends_streams_and_lets_writes_under_way_be_answered),
        CASE(a_connection_that_said_nothing_does_not_hold_up_a_shutdown),
        CASE(after_a_shutdown_no_connection_is_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
