/* The Lease service: grants, renewals on a stream, reads, revokes. */
#include "cases.h"

static void a_grant_takes_the_chosen_id_or_draws_one_and_raises_the_ttl(void **state)
{
    (void)state;
    struct call *chosen = client_grant(here.c, 5, 60), *drawn = client_grant(here.c, 0, 1);
    world_settle(here.w);
    assert_int_equal(got_grant(chosen).id, 5);
    assert_int_equal(got_grant(chosen).ttl_s, 60);
    assert_true(got_grant(drawn).id > 0);
    assert_int_equal(got_grant(drawn).ttl_s, 2);
}

static void errors_come_with_etcds_code_and_text(void **state)
{
    (void)state;
    grant(5, 60);
    struct call *twice = client_grant(here.c, 5, 60), *large = client_grant(here.c, 6, 9000000001);
    struct call *unknown = client_revoke(here.c, 77);
    world_settle(here.w);
    assert_status(twice, GRPC_FAILED_PRECONDITION, "etcdserver: lease already exists");
    assert_status(large, GRPC_OUT_OF_RANGE, "etcdserver: too large lease TTL");
    assert_status(unknown, GRPC_NOT_FOUND, "etcdserver: requested lease not found");
}

static void a_renewal_is_kept_before_it_is_answered(void **state)
{
    (void)state;
    grant(5, 10);
    struct call *s = client_keepalive(here.c);
    world_pass(here.w, 4000);
    tn_ms before = world_lease(here.w, 5);
    call_keepalive(s, 5);
    world_settle(here.w);
    assert_int_equal(got_keepalive(s).ttl_s, 10);
    assert_int_equal(world_lease(here.w, 5), before + 4000);
    assert_int_equal(world_lease(here.w, 5), here.w->now + 10000);
}

static void renewals_are_pipelined_and_answered_in_order(void **state)
{
    (void)state;
    struct call *s = client_keepalive(here.c);
    for (tn_lease id = 1; id <= 10; id++)
        grant(id, 60);
    for (tn_lease id = 1; id <= 12; id++)
        call_keepalive(s, id);
    world_settle(here.w);
    for (tn_lease id = 1; id <= 12; id++) {
        struct lease_keepalive_resp r = got_keepalive(s);
        assert_int_equal(r.id, id);
        assert_int_equal(r.ttl_s, id <= 10 ? 60 : 0);
    }
    assert_false(s->has_status); /* an unknown lease is no error */
}

static void a_renewal_of_a_grant_that_is_not_durable_waits_for_it(void **state)
{
    (void)state;
    here.w->log_held = true;
    client_grant(here.c, 5, 60);
    struct call *s = client_keepalive(here.c);
    call_keepalive(s, 5);
    call_half_close(s);
    world_settle(here.w);
    assert_waits(s);
    world_release(here.w, CORE_APPLIED);
    assert_int_equal(got_keepalive(s).ttl_s, 60);
    assert_ok(s); /* its client had nothing more to ask */
}

static void a_half_closed_stream_ends_when_all_is_answered(void **state)
{
    (void)state;
    struct call *s = client_keepalive(here.c);
    call_half_close(s);
    world_settle(here.w);
    assert_ok(s);
}

static void time_to_live_tells_what_is_left_and_the_keys(void **state)
{
    (void)state;
    grant(5, 10);
    put_leased("b", 5);
    put_leased("a", 5);
    world_pass(here.w, 4000);
    struct call *t = client_ttl(here.c, 5, true), *unknown = client_ttl(here.c, 6, true);
    world_settle(here.w);
    struct lease_ttl_resp r = got_ttl(t);
    assert_int_equal(r.granted_ttl_s, 10);
    assert_in_range(r.ttl_s, 5, 6);
    assert_int_equal(r.n_keys, 2);
    assert_int_equal(got_ttl(unknown).ttl_s, -1);
}

static void a_revoke_takes_the_keys_along_and_forgets_the_deadline(void **state)
{
    (void)state;
    grant(5, 10);
    put_leased("a", 5);
    put_leased("b", 5);
    struct call *r = client_revoke(here.c, 5);
    world_settle(here.w);
    assert_ok(r);
    assert_int_equal(count("a", "z"), 0);
    assert_int_equal(store_revision(here.w->store), 4); /* both in one revision */
    assert_int_equal(world_lease(here.w, 5), 0);
}

static void leases_are_listed(void **state)
{
    (void)state;
    struct response_header h;
    struct lease_list_resp r;
    struct buf b;
    grant(5, 60);
    grant(6, 30);
    buf_init(&b);
    encode_lease_list_req(&b);
    struct call *l = client_call(here.c, "/etcdserverpb.Lease/LeaseLeases", -1);
    call_say(l, &b);
    world_settle(here.w);
    assert_ok(l);
    assert_int_equal(decode_lease_list_resp(call_next(l), &here.w->arena, &h, &r), 0);
    assert_int_equal(r.n_ids, 2);
    assert_int_equal(r.ids[0], 6);
}

static void a_client_that_asks_on_and_on_and_takes_no_answers_is_turned_away(void **state)
{
    (void)state;
    struct world_options o = {.core = {.conn_output_max = 4096}};
    restart(&o);
    grant(5, 60);
    struct call *s = client_keepalive(here.c);
    world_settle(here.w);
    here.c->deaf = true;
    for (int i = 0; i < 2000 && core_wants_input(here.c->conn); i++) {
        call_keepalive(s, 5);
        world_turn(here.w);
    }
    struct core_stats stats;
    core_stats(here.w->core, &stats);
    assert_false(core_wants_input(here.c->conn));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_grant_takes_the_chosen_id_or_draws_one_and_raises_the_ttl),
        CASE(errors_come_with_etcds_code_and_text),
        CASE(a_renewal_is_kept_before_it_is_answered),
        CASE(renewals_are_pipelined_and_answered_in_order),
        CASE(a_renewal_of_a_grant_that_is_not_durable_waits_for_it),
        CASE(a_half_closed_stream_ends_when_all_is_answered),
        CASE(time_to_live_tells_what_is_left_and_the_keys),
        CASE(a_revoke_takes_the_keys_along_and_forgets_the_deadline),
        CASE(leases_are_listed),
        CASE(a_client_that_asks_on_and_on_and_takes_no_answers_is_turned_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
