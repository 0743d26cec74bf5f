/* The gate: nothing that depends on what is not durable yet leaves the server. */
#include "cases.h"

static void a_put_is_answered_only_when_it_is_durable(void **state)
{
    (void)state;
    here.w->log_held = true;
    struct call *p = client_put(here.c, "a", "1");
    world_settle(here.w);
    assert_waits(p);
    world_pass(here.w, 5000);
    assert_waits(p);
    world_release(here.w, CORE_APPLIED);
    assert_ok(p);
}

static void with_the_gate_taken_out_a_put_is_answered_before_it_is_durable(void **state)
{
    (void)state;
    struct world_options o = {.core = {.broken_skip_gate = true}};
    restart(&o);
    here.w->log_held = true;
    struct call *p = client_put(here.c, "a", "1");
    world_settle(here.w);
    assert_ok(p); /* the rule above would have found it */
}

static void a_read_is_answered_at_once_and_does_not_see_what_waits(void **state)
{
    (void)state;
    put("a", "old");
    here.w->log_held = true;
    struct call *p = client_put(here.c, "a", "new");
    struct call *r = client_range(here.c, "a", "");
    world_settle(here.w);
    assert_waits(p);
    struct range_resp got = got_range(r);
    assert_bytes(got.kvs[0].value, "old");
    assert_int_equal(got.revision, 2);
    world_release(here.w, CORE_APPLIED);
    r = client_range(here.c, "a", "");
    world_settle(here.w);
    assert_bytes(got_range(r).kvs[0].value, "new");
}

/* It was judged against what is not durable: its answer speaks of it. */
static void a_failed_compare_waits_for_what_it_saw(void **state)
{
    (void)state;
    struct compare compare = {.target = COMPARE_CREATE, .range = {bytes_str("a"), {0}}};
    struct request_op op = {.kind = OP_PUT, .put = {.key = bytes_str("a")}};
    struct txn_req req = {.compares = &compare, .n_compares = 1, .success = &op, .n_success = 1};
    here.w->log_held = true;
    struct call *p = client_put(here.c, "a", "1");
    struct call *t = client_txn(here.c, &req);
    world_settle(here.w);
    assert_waits(p);
    assert_waits(t);
    world_release(here.w, CORE_APPLIED);
    assert_false(got_txn(t, NULL).succeeded);
}

static void a_lease_read_waits_for_the_grant_it_saw(void **state)
{
    (void)state;
    here.w->log_held = true;
    client_grant(here.c, 5, 60);
    struct call *t = client_ttl(here.c, 5, false);
    world_settle(here.w);
    assert_waits(t);
    world_release(here.w, CORE_APPLIED);
    assert_int_equal(got_ttl(t).granted_ttl_s, 60);
}

static void replies_leave_in_the_order_of_their_writes(void **state)
{
    (void)state;
    enum { N = 20 };
    struct call *calls[N];
    here.w->log_held = true;
    for (int i = 0; i < N; i++)
        calls[i] = client_put(here.c, "a", "1");
    world_settle(here.w);
    world_release(here.w, CORE_APPLIED);
    for (int i = 0; i < N; i++)
        assert_int_equal(got_put(calls[i], NULL).revision, 2 + i);
}

static void writes_that_wait_go_into_one_batch(void **state)
{
    (void)state;
    here.w->log_held = true;
    client_put(here.c, "a", "1");
    world_settle(here.w);
    for (int i = 0; i < 10; i++)
        client_put(here.c, "a", "2");
    world_settle(here.w);
    size_t before = here.w->batches;
    world_release(here.w, CORE_APPLIED);
    assert_int_equal(here.w->batches, before + 1);
    assert_int_equal(here.w->batch_rows, 10);
}

static void a_batch_lets_out_only_what_it_made_durable(void **state)
{
    (void)state;
    here.w->log_held = true;
    struct call *first = client_put(here.c, "a", "1");
    world_settle(here.w);
    struct call *behind = client_put(here.c, "a", "2");
    world_settle(here.w);
    here.w->log_held = false;
    here.w->log_ms = 50;
    world_turn(here.w); /* ends the first batch and takes the second */
    world_turn(here.w);
    assert_ok(first);
    assert_waits(behind);
    world_pass(here.w, 50);
    assert_ok(behind);
}

static void a_client_that_left_does_not_disturb_those_who_wait(void **state)
{
    (void)state;
    struct client *other = client_new(here.w);
    here.w->log_held = true;
    client_put(other, "a", "1");
    struct call *gone = client_put(here.c, "b", "2");
    struct call *p = client_put(here.c, "c", "3");
    world_settle(here.w);
    client_cut(other);
    call_cancel(gone);
    world_settle(here.w);
    world_release(here.w, CORE_APPLIED);
    assert_ok(p);
    assert_int_equal(count("a", "z"), 3);
}

static void a_large_reply_is_kept_whole(void **state)
{
    (void)state;
    static char big[5000];
    memset(big, 'v', sizeof big - 1);
    put("a", big);
    here.w->log_held = true;
    struct call *p = client_put_req(here.c, &(struct put_req){.key = bytes_str("a"), .prev_kv = true});
    world_settle(here.w);
    assert_waits(p);
    world_release(here.w, CORE_APPLIED);
    assert_bytes(got_put(p, NULL).prev_kv.value, big);
}

static void too_many_waiting_bytes_refuse_further_writes(void **state)
{
    (void)state;
    struct world_options o = {.core = {.waiting_bytes_max = 1000}};
    restart(&o);
    here.w->log_held = true;
    struct call *last = NULL;
    for (int i = 0; i < 20; i++)
        last = client_put(here.c, "a", "1");
    world_settle(here.w);
    assert_status(last, GRPC_RESOURCE_EXHAUSTED, "etcdserver: too many requests");
    tn_rev planned = store_revision_planned(here.w->store);
    assert_true(planned < 21); /* what was refused was not planned either */
    world_release(here.w, CORE_APPLIED);
    put("a", "2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_put_is_answered_only_when_it_is_durable),
        CASE(with_the_gate_taken_out_a_put_is_answered_before_it_is_durable),
        CASE(a_read_is_answered_at_once_and_does_not_see_what_waits),
        CASE(a_failed_compare_waits_for_what_it_saw),
        CASE(a_lease_read_waits_for_the_grant_it_saw),
        CASE(replies_leave_in_the_order_of_their_writes),
        CASE(writes_that_wait_go_into_one_batch),
        CASE(a_batch_lets_out_only_what_it_made_durable),
        CASE(a_client_that_left_does_not_disturb_those_who_wait),
        CASE(a_large_reply_is_kept_whole),
        CASE(too_many_waiting_bytes_refuse_further_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
