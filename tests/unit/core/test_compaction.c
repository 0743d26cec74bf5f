/* Compaction: by hand, waiting for the trim, and by itself. */
#include "cases.h"

static void versions(int n)
{
    for (int i = 0; i < n; i++)
        client_put(here.c, "a", "1");
    world_settle(here.w);
}

static void superseded_rows_leave_the_log_with_the_next_batches(void **state)
{
    (void)state;
    versions(2000);
    struct call *k = client_compact(here.c, 2000, false);
    world_settle(here.w);
    assert_ok(k);
    assert_int_equal(here.w->deletes_total, 1998);
    assert_int_equal(count("a", ""), 1);
}

static void a_physical_compaction_waits_for_the_trim(void **state)
{
    (void)state;
    versions(2000);
    here.w->log_held = true;
    struct call *k = client_compact(here.c, 2000, true);
    world_settle(here.w);
    assert_waits(k);
    here.w->log_held = false;
    here.w->log_ms = 5;
    for (int i = 0; i < 1000 && !k->has_status; i++)
        world_pass(here.w, 1);
    assert_ok(k);
    assert_int_equal(here.w->deletes_total, 1998); /* durable, not just under way */
}

static void a_physical_compaction_with_nothing_to_trim_is_answered(void **state)
{
    (void)state;
    put("a", "1");
    struct call *k = client_compact(here.c, 2, true);
    world_settle(here.w);
    assert_ok(k);
}

static void deletes_that_found_no_room_go_again(void **state)
{
    (void)state;
    versions(100);
    struct call *k = client_compact(here.c, 100, true);
    world_turn(here.w);
    world_turn(here.w); /* the compaction is under way */
    while (here.w->batch_deletes == 0)
        world_turn(here.w);
    size_t batches = here.w->batches;
    here.w->outcome = CORE_NOT_APPLIED;
    world_turn(here.w);
    here.w->outcome = CORE_APPLIED;
    assert_true(core_is_full(here.w->core));
    world_pass(here.w, 500);
    assert_int_equal(here.w->batches, batches); /* not in a circle */
    assert_waits(k);
    world_pass(here.w, 1000);
    assert_int_equal(here.w->deletes_total, 98);
    assert_ok(k);
}

static void history_older_than_the_retention_is_compacted_by_itself(void **state)
{
    (void)state;
    struct world_options o = {.core = {.retention_ms = 60000}};
    restart(&o);
    for (int i = 0; i < 10; i++) {
        put("a", "1");
        world_pass(here.w, 10000);
    }
    assert_true(store_compacted(here.w->store) > 1);
    assert_true(store_compacted(here.w->store) < 8);
    world_pass(here.w, 200000);
    assert_int_equal(count("a", ""), 1);
    assert_true(here.w->deletes_total >= 8);
}

static void so_many_revisions_are_kept_and_looked_after_every_five_minutes(void **state)
{
    (void)state;
    struct world_options o = {.core = {.retention_ms = -1, .retention_revs = 10}};
    restart(&o);
    world_pass(here.w, 1000);
    versions(50);
    world_pass(here.w, 290000);
    assert_true(store_compacted(here.w->store) < 1);
    world_pass(here.w, 10000);
    assert_int_equal(store_compacted(here.w->store), 41); /* of 51 */
    versions(5);
    world_pass(here.w, 290000);
    assert_int_equal(store_compacted(here.w->store), 41);
    world_pass(here.w, 310000);
    assert_int_equal(store_compacted(here.w->store), 46);
    world_pass(here.w, 600000); /* nothing new: nothing to do */
    assert_int_equal(store_compacted(here.w->store), 46);
}

/* Leases that come and go without a revision: enough for the policy to plan a row of its own. */
static void churn_leases(void)
{
    for (tn_lease id = 1; id <= 11000; id++) {
        struct lease_grant_resp resp;
        tn_seq seq;
        struct lease_grant_req req = {.id = id, .ttl_s = 5};
        assert_int_equal(store_lease_grant(here.w->store, &req, here.w->now, &resp, &seq), ETCD_OK);
    }
    world_settle(here.w);
    world_pass(here.w, 5000);
    world_settle(here.w);
    assert_int_equal(store_leases(here.w->store), 0);
}

static void rows_of_revoked_leases_go_though_no_revision_is_compacted(void **state)
{
    (void)state;
    struct world_options o = {.core = {.retention_ms = 3600000}};
    restart(&o);
    churn_leases();
    world_pass(here.w, 2000);
    assert_int_equal(store_revision(here.w->store), 1);
    assert_int_equal(here.w->deletes_total, 22000);
    churn_leases(); /* now not even the compaction revision moves */
    world_pass(here.w, 2000);
    assert_int_equal(here.w->deletes_total, 44001); /* and the row of the first compaction */
}

static void they_go_as_well_where_revisions_are_counted(void **state)
{
    (void)state;
    struct world_options o = {.core = {.retention_ms = -1, .retention_revs = 10}};
    restart(&o);
    world_pass(here.w, 1000);
    churn_leases();
    world_pass(here.w, 310000);
    assert_int_equal(here.w->deletes_total, 22000);
    assert_int_equal(store_revision(here.w->store), 1);
}

static void on_a_failed_disk_no_row_is_planned_that_readers_would_wait_for(void **state)
{
    (void)state;
    struct world_options o = {.core = {.retention_ms = 3600000}};
    restart(&o);
    world_pass(here.w, 500); /* the leases end between two looks of the policy */
    churn_leases();
    here.w->log_held = true;
    client_put(here.c, "a", "1");
    world_settle(here.w);
    world_release(here.w, CORE_MAYBE_APPLIED);
    world_pass(here.w, 2000);
    struct call *k = client_ttl(here.c, 5, false);
    world_settle(here.w);
    assert_ok(k);
}

static void what_a_watcher_has_still_to_get_is_trimmed_when_it_has_it(void **state)
{
    (void)state;
    struct call *watch = client_watch(here.c);
    call_watch(watch, &(struct watch_create_req){.range = {bytes_str("a"), {0}}, .prev_kv = true});
    world_settle(here.w);
    put("a", "1");
    for (int i = 0; i < 5; i++)
        client_put(here.c, "a", "2");
    struct call *k = client_compact(here.c, 7, false); /* one batch: durable before the events are out */
    world_settle(here.w);
    assert_ok(k);
    assert_int_equal(here.w->deletes_total, 5);
}

static void begin_a_long_compaction(void)
{
    versions(3000);
    client_compact(here.c, 3000, false);
    while (here.w->batch_deletes == 0)
        world_turn(here.w);
}

static void a_long_compaction_goes_in_short_batches(void **state)
{
    (void)state;
    begin_a_long_compaction();
    for (int i = 0; i < 100; i++) {
        assert_true(here.w->batch_deletes <= 256);
        world_turn(here.w);
    }
    assert_int_equal(here.w->deletes_total, 2998);
}

/* What waits for the write would otherwise wait for hundreds of deletes as well. */
static void a_write_takes_few_deletes_along(void **state)
{
    (void)state;
    begin_a_long_compaction();
    client_put(here.c, "b", "1");
    do
        world_turn(here.w);
    while (here.w->batch_rows == 0);
    assert_int_equal(here.w->batch_rows, 1);
    assert_int_equal(here.w->batch_deletes, 64);
}

/* Or garbage would grow while writers are busy. */
static void many_writes_take_more_deletes_along_than_they_are(void **state)
{
    (void)state;
    begin_a_long_compaction();
    here.w->log_held = true;
    for (int i = 0; i < 200; i++)
        client_put(here.c, "b", "1");
    world_settle(here.w);
    here.w->log_held = false;
    do
        world_turn(here.w);
    while (here.w->batch_rows == 0);
    assert_int_equal(here.w->batch_rows, 200);
    assert_true(here.w->batch_deletes > 200);
    world_settle(here.w);
    assert_int_equal(here.w->deletes_total, 2998);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(superseded_rows_leave_the_log_with_the_next_batches),
        CASE(a_physical_compaction_waits_for_the_trim),
        CASE(a_physical_compaction_with_nothing_to_trim_is_answered),
        CASE(deletes_that_found_no_room_go_again),
        CASE(history_older_than_the_retention_is_compacted_by_itself),
        CASE(so_many_revisions_are_kept_and_looked_after_every_five_minutes),
        CASE(rows_of_revoked_leases_go_though_no_revision_is_compacted),
        CASE(they_go_as_well_where_revisions_are_counted),
        CASE(on_a_failed_disk_no_row_is_planned_that_readers_would_wait_for),
        CASE(what_a_watcher_has_still_to_get_is_trimmed_when_it_has_it),
        CASE(a_long_compaction_goes_in_short_batches),
        CASE(a_write_takes_few_deletes_along),
        CASE(many_writes_take_more_deletes_along_than_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
