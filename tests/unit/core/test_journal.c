/* Batches that fail: a full disk, and a disk that failed. */
#include "cases.h"

static struct call *keepalive;

static struct txn_req failing_compare(struct compare *compare, struct request_op *op)
{
    *compare = (struct compare){.target = COMPARE_CREATE, .range = {bytes_str("a"), {0}}};
    *op = (struct request_op){.kind = OP_PUT, .put = {.key = bytes_str("a")}};
    return (struct txn_req){.compares = compare, .n_compares = 1, .success = op, .n_success = 1};
}

/* A put and all that saw it, waiting for the log. */
static struct call *p, *t, *behind;

static void wait_for_the_log(void)
{
    struct compare compare;
    struct request_op op;
    struct txn_req req = failing_compare(&compare, &op);
    here.w->log_held = true;
    p = client_put(here.c, "a", "1");
    t = client_txn(here.c, &req);
    world_settle(here.w);
    behind = client_put(here.c, "b", "1"); /* not in the batch under way */
    world_settle(here.w);
}

static void on_a_full_disk_the_tail_is_undone_and_its_calls_say_so(void **state)
{
    (void)state;
    wait_for_the_log();
    world_release(here.w, CORE_NOT_APPLIED);
    assert_status(p, GRPC_RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded");
    assert_error(t, ETCD_NO_SPACE);
    assert_error(behind, ETCD_NO_SPACE);
    assert_int_equal(store_revision_planned(here.w->store), 1);
    assert_int_equal(count("a", "z"), 0);
}

static void a_full_disk_is_tried_once_a_second_and_goes_on_when_there_is_room(void **state)
{
    (void)state;
    wait_for_the_log();
    world_release(here.w, CORE_NOT_APPLIED);
    struct call *refused = client_put(here.c, "c", "1");
    world_settle(here.w);
    assert_error(refused, ETCD_NO_SPACE);
    world_pass(here.w, 1100);
    put("c", "1");
    put("d", "1");
    assert_int_equal(count("a", "z"), 2);
}

static void while_a_full_disk_is_tried_only_one_write_goes_along(void **state)
{
    (void)state;
    wait_for_the_log();
    world_release(here.w, CORE_NOT_APPLIED);
    world_pass(here.w, 1100);
    here.w->log_held = true;
    struct call *probe = client_put(here.c, "c", "1");
    struct call *other = client_put(here.c, "d", "1");
    world_settle(here.w);
    assert_waits(probe);
    assert_error(other, ETCD_NO_SPACE);
    world_release(here.w, CORE_NOT_APPLIED);
    assert_error(probe, ETCD_NO_SPACE);
}

static void a_full_disk_does_not_end_the_streams_of_sessions(void **state)
{
    (void)state;
    grant(5, 60);
    keepalive = client_keepalive(here.c);
    here.w->log_held = true;
    client_put(here.c, "a", "1");
    call_keepalive(keepalive, 5);
    call_keepalive(keepalive, 6);
    call_keepalive(keepalive, 5);
    world_settle(here.w);
    world_release(here.w, CORE_NOT_APPLIED);
    assert_int_equal(got_keepalive(keepalive).ttl_s, 60);
    struct lease_keepalive_resp unknown = got_keepalive(keepalive);
    assert_int_equal(unknown.id, 6);
    assert_int_equal(unknown.ttl_s, 0);
    assert_int_equal(got_keepalive(keepalive).id, 5);
    assert_false(keepalive->has_status);
}

static void an_undone_grant_is_forgotten_by_the_mapping(void **state)
{
    (void)state;
    here.w->log_held = true;
    struct call *g = client_grant(here.c, 5, 60);
    world_settle(here.w);
    assert_int_not_equal(world_lease(here.w, 5), 0);
    world_release(here.w, CORE_NOT_APPLIED);
    assert_error(g, ETCD_NO_SPACE);
    assert_int_equal(world_lease(here.w, 5), 0);
}

static void a_write_that_frees_room_asks_for_the_ballast_and_uses_it(void **state)
{
    (void)state;
    grant(5, 60);
    here.w->log_held = true;
    struct call *r = client_revoke(here.c, 5);
    world_settle(here.w);
    world_release(here.w, CORE_NOT_APPLIED);
    assert_error(r, ETCD_NO_SPACE);
    assert_true(core_wants_room(here.w->core));
    core_ballast(here.w->core, true, here.w->now);
    assert_false(core_wants_room(here.w->core));
    r = client_revoke(here.c, 5);
    world_settle(here.w);
    assert_ok(r);
    /* The room belongs to such writes until the ballast is back. */
    world_pass(here.w, 5000);
    struct call *w = client_put(here.c, "a", "1");
    world_settle(here.w);
    assert_error(w, ETCD_NO_SPACE);
    core_ballast(here.w->core, false, here.w->now);
    put("a", "1");
    assert_false(core_is_full(here.w->core));
}

static void a_full_disk_shows_in_the_status(void **state)
{
    (void)state;
    struct status_resp s;
    struct buf b;
    wait_for_the_log();
    world_release(here.w, CORE_NOT_APPLIED);
    buf_init(&b);
    encode_status_req(&b);
    struct call *call = client_call(here.c, "/etcdserverpb.Maintenance/Status", -1);
    call_say(call, &b);
    world_settle(here.w);
    assert_ok(call);
    assert_int_equal(decode_status_resp(call_next(call), &here.w->arena, &s), 0);
    assert_int_equal(s.n_errors, 1);
    assert_bytes(s.errors[0], "memberID:225 alarm:NOSPACE");
}

static void a_failed_disk_answers_maybe_for_what_was_under_way_and_no_for_what_was_behind(void **state)
{
    (void)state;
    wait_for_the_log();
    world_release(here.w, CORE_MAYBE_APPLIED);
    assert_error(p, ETCD_WRITE_MAYBE);
    assert_error(t, ETCD_WRITE_MAYBE);
    assert_error(behind, ETCD_READ_ONLY);
}

static void after_a_failed_disk_reads_go_on_and_writes_do_not(void **state)
{
    (void)state;
    put("x", "1");
    grant(5, 60);
    wait_for_the_log();
    world_release(here.w, CORE_MAYBE_APPLIED);
    assert_int_equal(count("a", "z"), 1);
    struct call *w = client_put(here.c, "c", "1");
    struct call *ttl = client_ttl(here.c, 5, false);
    world_settle(here.w);
    assert_error(w, ETCD_READ_ONLY);
    assert_int_equal(got_ttl(ttl).granted_ttl_s, 60);
    size_t batches = here.w->batches;
    world_pass(here.w, 100000); /* leases run out, and nothing is written */
    assert_int_equal(here.w->batches, batches);
}

/* Its end may be on disk: a renewal answered now would promise what a restart may not keep. */
static void a_lease_whose_end_is_in_doubt_is_renewed_no_more(void **state)
{
    (void)state;
    grant(5, 60);
    grant(6, 60);
    here.w->log_held = true;
    client_revoke(here.c, 5);
    world_settle(here.w);
    world_release(here.w, CORE_MAYBE_APPLIED);
    struct call *five = client_keepalive(here.c), *six = client_keepalive(here.c);
    call_keepalive(five, 5);
    call_keepalive(six, 6);
    world_settle(here.w);
    assert_error(five, ETCD_WRITE_MAYBE);
    assert_int_equal(got_keepalive(six).ttl_s, 60);
}

static void a_lone_write_is_told_from_several(void **state)
{
    (void)state;
    struct core *core = here.w->core;
    here.w->log_held = true;
    assert_false(core_batch_is_single(core));
    client_put(here.c, "z", "1");
    world_settle(here.w); /* under way */
    assert_false(core_batch_is_single(core));
    client_put(here.c, "a", "1");
    world_settle(here.w);
    assert_false(core_batch_is_single(core));
    world_release(here.w, CORE_APPLIED);
    here.w->log_held = here.w->in_flight = true; /* the world takes no batch */
    client_put(here.c, "b", "1");
    world_turn(here.w);
    world_turn(here.w);
    assert_true(core_batch_is_single(core));
    client_put(here.c, "c", "1");
    world_turn(here.w);
    world_turn(here.w);
    assert_false(core_batch_is_single(core));
    here.w->log_held = here.w->in_flight = false;
    world_settle(here.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(on_a_full_disk_the_tail_is_undone_and_its_calls_say_so),
        CASE(a_full_disk_is_tried_once_a_second_and_goes_on_when_there_is_room),
        CASE(while_a_full_disk_is_tried_only_one_write_goes_along),
        CASE(a_full_disk_does_not_end_the_streams_of_sessions),
        CASE(an_undone_grant_is_forgotten_by_the_mapping),
        CASE(a_write_that_frees_room_asks_for_the_ballast_and_uses_it),
        CASE(a_full_disk_shows_in_the_status),
        CASE(a_failed_disk_answers_maybe_for_what_was_under_way_and_no_for_what_was_behind),
        CASE(after_a_failed_disk_reads_go_on_and_writes_do_not),
        CASE(a_lease_whose_end_is_in_doubt_is_renewed_no_more),
        CASE(a_lone_write_is_told_from_several),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
