/* Lock and Unlock: one holder at a time, waiting without asking, and what happens to those who give up or are removed. */
#include "cases.h"

#define LOCK "/v3lockpb.Lock/"

static struct call *lock_for(struct client *c, const char *name, tn_lease lease, int64_t timeout_ms)
{
    struct buf b;
    buf_init(&b);
    encode_lock_req(&(struct lock_req){bytes_str(name), lease}, &b);
    struct call *call = client_call(c, LOCK "Lock", timeout_ms);
    call_say(call, &b);
    call_half_close(call);
    world_settle(here.w);
    return call;
}

static struct call *lock(const char *name, tn_lease lease)
{
    return lock_for(here.c, name, lease, -1);
}

static struct lock_resp got_lock(struct call *call)
{
    struct response_header h;
    struct lock_resp r;
    assert_ok(call);
    call->taken = 0;
    assert_int_equal(decode_lock_resp(call_next(call), &here.w->arena, &h, &r), 0);
    assert_int_equal(h.member_id, 0xe1);
    return r;
}

static struct call *unlock(bytes key)
{
    struct buf b;
    buf_init(&b);
    encode_unlock_req(key, &b);
    struct call *call = client_ask(here.c, LOCK "Unlock", &b);
    world_settle(here.w);
    return call;
}

static void leases(void)
{
    for (tn_lease id = 1; id <= 5; id++)
        grant(id, 1000);
}

/* ---- the queue ---- */

static void a_free_lock_is_had_at_once(void **state)
{
    (void)state;
    grant(0x1f, 60);
    struct lock_resp r = got_lock(lock("l", 0x1f));
    assert_bytes(r.key, "l/1f");
    assert_int_equal(r.revision, 2);
    assert_int_equal(count("l/", "l0"), 1);
}

/* M1 */
static void one_holds_it_and_the_others_follow_in_order(void **state)
{
    (void)state;
    leases();
    struct call *first = lock("l", 1), *second = lock("l", 2), *third = lock("l", 3), *other = lock("m", 4);
    assert_ok(first);
    assert_ok(other);
    assert_waits(second);
    assert_waits(third);
    struct call *freed = unlock(bytes_str("l/1"));
    assert_ok(freed);
    assert_ok(second);
    assert_waits(third);
    struct lock_resp r = got_lock(second);
    assert_bytes(r.key, "l/2");
    assert_int_equal(r.revision, store_revision(here.w->store));
    unlock(r.key);
    assert_ok(third);
}

static void keys_of_others_stand_in_the_same_queue(void **state)
{
    (void)state;
    leases();
    put("l/somebody", "");
    struct call *call = lock("l", 1);
    assert_waits(call);
    struct call *deleted = client_delete(here.c, "l/somebody", "");
    world_settle(here.w);
    assert_ok(deleted);
    assert_ok(call);
}

static void the_same_lease_is_one_place(void **state)
{
    (void)state;
    leases();
    struct lock_resp r = got_lock(lock("l", 1));
    struct call *waits = lock("l", 2), *again = lock("l", 1);
    assert_bytes(got_lock(again).key, "l/1");
    assert_waits(waits);
    assert_int_equal(count("l/", "l0"), 2);
    struct call *waits_too = lock("l", 2);
    assert_waits(waits_too);
    unlock(r.key);
    assert_ok(waits);
    assert_ok(waits_too);
}

static void a_lease_is_made_for_who_has_none(void **state)
{
    (void)state;
    leases();
    struct lock_resp r = got_lock(lock("l", 0));
    assert_int_equal(store_leases(here.w->store), 6);
    struct call *next = lock("l", 1);
    assert_waits(next);
    world_pass(here.w, 58000);
    assert_waits(next);
    world_pass(here.w, 3000);
    assert_ok(next);
    assert_int_equal(store_leases(here.w->store), 5);
    assert_true(r.key.len > 2);
}

static void a_negative_lease_is_written_as_go_does(void **state)
{
    (void)state;
    grant(-31, 60);
    assert_bytes(got_lock(lock("", -31)).key, "/-1f");
}

/* ---- errors ---- */

static void errors_come_with_code_unknown_and_etcds_words(void **state)
{
    (void)state;
    assert_status(lock("l", 77), GRPC_UNKNOWN, "etcdserver: requested lease not found");
    assert_status(unlock(bytes_str("")), GRPC_UNKNOWN, "etcdserver: key is not provided");
    assert_ok(unlock(bytes_str("nothing")));
    assert_int_equal(store_revision(here.w->store), 1);
}

static void without_space_nothing_is_left_behind(void **state)
{
    (void)state;
    struct alarm_req req = {ALARM_ACTIVATE, {0xe1, ALARM_NOSPACE}};
    struct buf b;
    buf_init(&b);
    leases();
    encode_alarm_req(&req, &b);
    client_ask(here.c, "/etcdserverpb.Maintenance/Alarm", &b);
    world_settle(here.w);
    assert_status(lock("l", 1), GRPC_UNKNOWN, "etcdserver: mvcc: database space exceeded");
    assert_status(lock("l", 0), GRPC_UNKNOWN, "etcdserver: mvcc: database space exceeded");
    assert_int_equal(store_leases(here.w->store), 5);
}

/* M6: who waits and whose key goes is told at once, not when its turn comes. */
static void who_is_removed_learns_it_at_once(void **state)
{
    (void)state;
    leases();
    struct call *holder = lock("l", 1), *second = lock("l", 2), *third = lock("l", 3);
    struct call *revoked = client_revoke(here.c, 2);
    world_settle(here.w);
    assert_ok(revoked);
    assert_ok(holder);
    assert_status(second, GRPC_UNKNOWN, "mutex: session is expired");
    assert_waits(third);
    unlock(bytes_str("l/1"));
    assert_ok(third);
}

static void a_key_that_was_put_again_is_another_one(void **state)
{
    (void)state;
    leases();
    lock("l", 1);
    struct call *second = lock("l", 2);
    struct request_op ops[] = {{.kind = OP_DELETE, .del = {.range = {bytes_str("l/2"), {0}}}}};
    here.w->log_held = true;
    client_txn(here.c, &(struct txn_req){.success = ops, .n_success = 1});
    client_put(here.c, "l/2", "");
    world_turn(here.w);
    world_turn(here.w);
    world_release(here.w, CORE_APPLIED);
    assert_status(second, GRPC_UNKNOWN, "mutex: session is expired");
}

/* M1: all are gone at once, and nobody whose own key went is told to have it. */
static void nobody_has_a_lock_whose_key_is_gone(void **state)
{
    (void)state;
    leases();
    struct call *first = lock("l", 1), *second = lock("l", 2), *third = lock("l", 3);
    struct call *deleted = client_delete(here.c, "l/", "l0");
    world_settle(here.w);
    assert_ok(deleted);
    assert_ok(first);
    assert_status(second, GRPC_UNKNOWN, "mutex: session is expired");
    assert_status(third, GRPC_UNKNOWN, "mutex: session is expired");
}

/* ---- giving up: M7 ---- */

static void who_gives_up_leaves_no_key(void **state)
{
    (void)state;
    leases();
    struct client *other = client_new(here.w);
    struct call *holder = lock("l", 1);
    struct call *cancelled = lock("l", 2), *late = lock_for(here.c, "l", 3, 500), *cut = lock_for(other, "l", 4, -1);
    struct call *last = lock("l", 5);
    assert_int_equal(count("l/", "l0"), 5);
    call_cancel(cancelled);
    world_settle(here.w);
    assert_int_equal(count("l/2", ""), 0);
    world_pass(here.w, 600);
    assert_error(late, ETCD_DEADLINE_EXCEEDED);
    assert_int_equal(count("l/3", ""), 0);
    client_cut(other);
    world_settle(here.w);
    assert_int_equal(count("l/", "l0"), 2);
    assert_waits(last);
    assert_false(cut->has_status);
    assert_ok(holder);
    unlock(bytes_str("l/1"));
    assert_ok(last);
}

static void the_lease_that_was_made_goes_along(void **state)
{
    (void)state;
    leases();
    lock("l", 1);
    struct call *call = lock("l", 0);
    assert_int_equal(store_leases(here.w->store), 6);
    call_cancel(call);
    world_settle(here.w);
    assert_int_equal(store_leases(here.w->store), 5);
    assert_int_equal(count("l/", "l0"), 1);
}

/* The key is another call's. */
static void who_asks_twice_and_gives_up_once_keeps_the_key(void **state)
{
    (void)state;
    leases();
    lock("l", 1);
    struct call *first = lock("l", 2), *second = lock("l", 2);
    call_cancel(second);
    world_settle(here.w);
    assert_int_equal(count("l/2", ""), 1);
    unlock(bytes_str("l/1"));
    assert_ok(first);
}

static void giving_up_before_it_is_durable_leaves_no_key(void **state)
{
    (void)state;
    leases();
    here.w->log_held = true;
    struct call *call = lock("l", 1);
    assert_waits(call);
    call_cancel(call);
    world_turn(here.w);
    world_release(here.w, CORE_APPLIED);
    assert_int_equal(count("l/", "l0"), 0);
    assert_int_equal(store_revision(here.w->store), 3);
}

/* ---- the gate and the disk ---- */

static void nobody_has_it_before_it_is_durable(void **state)
{
    (void)state;
    leases();
    here.w->log_held = true;
    struct call *call = lock("l", 1);
    assert_waits(call);
    world_release(here.w, CORE_APPLIED);
    assert_ok(call);
    here.w->log_held = true;
    struct call *second = lock("l", 2);
    struct call *freed = unlock(bytes_str("l/1"));
    assert_waits(second);
    assert_waits(freed);
    world_release(here.w, CORE_APPLIED);
    assert_ok(freed);
    assert_ok(second);
}

static void what_was_not_applied_holds_nothing(void **state)
{
    (void)state;
    leases();
    here.w->log_held = true;
    struct call *call = lock("l", 1), *made = lock("m", 0);
    world_release(here.w, CORE_NOT_APPLIED);
    assert_status(call, GRPC_UNKNOWN, "etcdserver: mvcc: database space exceeded");
    assert_status(made, GRPC_UNKNOWN, "etcdserver: mvcc: database space exceeded");
    assert_int_equal(store_leases(here.w->store), 5);
    world_pass(here.w, 3000);
    assert_int_equal(count("l/", "n"), 0);
    assert_int_equal(store_revision(here.w->store), 1);
    assert_ok(lock("l", 2));
}

/* The removal of a key that finds no room is tried again. */
static void a_key_goes_when_there_is_room_again(void **state)
{
    (void)state;
    leases();
    lock("l", 1);
    struct call *second = lock("l", 2);
    here.w->log_held = true;
    call_cancel(second);
    world_turn(here.w);
    world_turn(here.w);
    world_release(here.w, CORE_NOT_APPLIED);
    world_pass(here.w, 3000);
    assert_int_equal(count("l/", "l0"), 1);
}

static void a_shutdown_ends_those_who_wait_and_their_keys(void **state)
{
    (void)state;
    leases();
    struct call *holder = lock("l", 1), *waits = lock("l", 2);
    assert_ok(holder);
    core_shutdown(here.w->core, here.w->now);
    assert_false(core_drained(here.w->core));
    world_settle(here.w);
    assert_error(waits, ETCD_STOPPED);
    assert_int_equal(store_keys(here.w->store), 1);
    assert_true(core_drained(here.w->core));
}

/* ---- bounds ---- */

static void so_many_wait_at_most(void **state)
{
    (void)state;
    struct world_options o = {.core = {.watch_bytes_max = 8000}};
    restart(&o);
    leases();
    struct call *all[10];
    size_t refused = 0;
    lock("l", 1);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        all[i] = lock("l", 2);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        refused += all[i]->has_status;
    assert_true(refused > 2 && refused < 8);
    assert_status(all[9], GRPC_UNKNOWN, "etcdserver: too many requests");
    /* What they had is given back. */
    unlock(bytes_str("l/1"));
    unlock(bytes_str("l/2"));
    for (size_t i = 0; i < 20; i++) {
        assert_ok(lock("l", 3));
    }
}

/* M8 */
static void a_long_queue_moves_one_by_one(void **state)
{
    (void)state;
    enum { N = 200 };
    struct call *all[N];
    char key[32];
    for (tn_lease i = 0; i < N; i++) {
        grant(i + 1, 1000);
        all[i] = lock("l", i + 1);
    }
    for (tn_lease i = 0; i < N; i++) {
        assert_ok(all[i]);
        if (i + 1 < N)
            assert_waits(all[i + 1]);
        snprintf(key, sizeof key, "l/%llx", (unsigned long long)(i + 1));
        unlock(bytes_str(key));
    }
    assert_int_equal(count("l/", "l0"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_free_lock_is_had_at_once),
        CASE(one_holds_it_and_the_others_follow_in_order),
        CASE(keys_of_others_stand_in_the_same_queue),
        CASE(the_same_lease_is_one_place),
        CASE(a_lease_is_made_for_who_has_none),
        CASE(a_negative_lease_is_written_as_go_does),
        CASE(errors_come_with_code_unknown_and_etcds_words),
        CASE(without_space_nothing_is_left_behind),
        CASE(who_is_removed_learns_it_at_once),
        CASE(a_key_that_was_put_again_is_another_one),
        CASE(nobody_has_a_lock_whose_key_is_gone),
        CASE(who_gives_up_leaves_no_key),
        CASE(the_lease_that_was_made_goes_along),
        CASE(who_asks_twice_and_gives_up_once_keeps_the_key),
        CASE(giving_up_before_it_is_durable_leaves_no_key),
        CASE(nobody_has_it_before_it_is_durable),
        CASE(what_was_not_applied_holds_nothing),
        CASE(a_key_goes_when_there_is_room_again),
        CASE(a_shutdown_ends_those_who_wait_and_their_keys),
        CASE(so_many_wait_at_most),
        CASE(a_long_queue_moves_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
