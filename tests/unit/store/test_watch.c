/* watch: what reaches a watcher, when, and what does not (W1 to W6, W8 to W12). */
#include "world.h"

#include "tenure/error.h"

static int setup(void **state)
{
    static struct world w;
    world_open(&w, NULL);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    world_close(*state);
    return 0;
}

static void events_come_once_they_are_durable(void **state)
{
    struct world *w = *state;
    watch(w, "a", NULL, 0, "one");
    watch(w, "", WORLD_FROM, 0, "all");
    put(w, "a", "1");
    put(w, "b", "2");
    assert_string_equal(drain(w), "");
    world_commit(w);
    assert_string_equal(drain(w), "one: PUT a=1@2; all: PUT a=1@2; all: PUT b=2@3");
    assert_string_equal(drain(w), "");
}

static void a_range_gets_what_lies_in_it_and_nothing_else(void **state)
{
    struct world *w = *state;
    watch(w, "b", "d", 0, "bd");
    watch(w, "c", WORLD_FROM, 0, "c..");
    watch(w, "c", NULL, 0, "c");
    for (const char *k = "abcde"; *k; k++)
        put(w, (char[]){*k, 0}, "x");
    world_commit(w);
    assert_string_equal(drain(w),
                        "bd: PUT b=x@3; c: PUT c=x@4; bd: PUT c=x@4; c..: PUT c=x@4; c..: PUT d=x@5; c..: PUT e=x@6");
}

static void a_start_in_the_past_reads_history(void **state)
{
    struct world *w = *state;
    put(w, "a", "1");
    put(w, "b", "2");
    del(w, "a", NULL);
    world_commit(w);
    watch(w, "a", NULL, 1, "a");
    watch(w, "a", "z", 3, "az");
    assert_string_equal(drain(w), "a: PUT a=1@2 DEL a@4; az: PUT b=2@3 DEL a@4");
    put(w, "a", "3");
    world_commit(w);
    assert_string_equal(drain(w), "a: PUT a=3@5; az: PUT a=3@5");
}

static void a_start_in_the_future_gets_nothing_older(void **state)
{
    struct world *w = *state;
    struct store_watcher *f = watch(w, "a", NULL, 4, "f");
    assert_true(store_watch_synced(w->s, f));
    assert_int_equal(store_watch_position(f), 4);
    put(w, "a", "1");
    put(w, "a", "2");
    world_commit(w);
    assert_string_equal(drain(w), "");
    put(w, "a", "3");
    world_commit(w);
    assert_string_equal(drain(w), "f: PUT a=3@4");
    assert_int_equal(store_watch_position(f), 5);
}

static void a_revision_is_never_split(void **state)
{
    struct world *w = *state;
    put(w, "k1", "x");
    put(w, "k2", "x");
    put(w, "k3", "x");
    del(w, "k", "l");
    put(w, "k4", "x");
    world_commit(w);
    watch(w, "k", "l", 1, "w");
    assert_string_equal(next_batch(w, 2), "w: PUT k1=x@2 PUT k2=x@3");
    assert_string_equal(next_batch(w, 2), "w: PUT k3=x@4");
    assert_string_equal(next_batch(w, 2), "w: DEL k1@5 DEL k2@5 DEL k3@5");
    assert_string_equal(next_batch(w, 2), "w: PUT k4=x@6");
    assert_string_equal(next_batch(w, 2), "");
}

static void filters_keep_events_back(void **state)
{
    struct world *w = *state;
    struct store_watcher *x;
    struct watch_create_req req = {.range = range_of("a", NULL), .start_revision = 1, .no_put = true};
    put(w, "a", "1");
    del(w, "a", NULL);
    world_commit(w);
    assert_int_equal(store_watch_add(w->s, &req, "dels", &x), ETCD_OK);
    req.no_put = false;
    req.no_delete = true;
    assert_int_equal(store_watch_add(w->s, &req, "puts", &x), ETCD_OK);
    assert_string_equal(drain(w), "dels: DEL a@3; puts: PUT a=1@2");
    put(w, "a", "2");
    del(w, "a", NULL);
    world_commit(w);
    assert_string_equal(drain(w), "puts: PUT a=2@4; dels: DEL a@5");
}

static void the_previous_value_is_the_one_before(void **state)
{
    struct world *w = *state;
    struct store_watcher *x;
    struct watch_create_req req = {.range = range_of("a", NULL), .prev_kv = true};
    assert_int_equal(store_watch_add(w->s, &req, "w", &x), ETCD_OK);
    put(w, "a", "1");
    put(w, "a", "2");
    del(w, "a", NULL);
    put(w, "a", "3");
    world_commit(w);
    const char *want = "w: PUT a=1@2; w: PUT a=2@3(1@2); w: DEL a@4(2@3); w: PUT a=3@5";
    assert_string_equal(drain(w), want);
}

static void a_previous_value_that_is_compacted_is_absent(void **state)
{
    struct world *w = *state;
    struct store_watcher *x;
    struct watch_create_req req = {.range = range_of("a", NULL), .prev_kv = true, .start_revision = 3};
    put(w, "a", "1");
    put(w, "a", "2");
    put(w, "a", "3");
    compact(w, 3);
    world_commit(w);
    assert_int_equal(store_watch_add(w->s, &req, "before", &x), ETCD_OK);
    assert_string_equal(drain(w), "before: PUT a=2@3 PUT a=3@4(2@3)");
    world_trim_all(w);
    assert_int_equal(store_watch_add(w->s, &req, "after", &x), ETCD_OK);
    assert_string_equal(drain(w), "after: PUT a=2@3 PUT a=3@4(2@3)");
}

static void a_start_below_the_compaction_is_told_so_once(void **state)
{
    struct world *w = *state;
    put(w, "a", "1");
    put(w, "a", "2");
    put(w, "a", "3");
    compact(w, 4);
    world_commit(w);
    struct store_watcher *x = watch(w, "a", NULL, 3, "old");
    watch(w, "a", NULL, 4, "edge");
    assert_string_equal(drain(w), "old: COMPACTED 4; edge: PUT a=3@4");
    assert_false(store_watch_synced(w->s, x));
    put(w, "a", "4");
    world_commit(w);
    assert_string_equal(drain(w), "edge: PUT a=4@5");
    store_watch_block(w->s, x, true);
    store_watch_block(w->s, x, false);
    assert_string_equal(drain(w), "");
}

static void a_delete_at_the_compaction_revision_is_not_lost(void **state)
{
    struct world *w = *state;
    put(w, "a", "1");
    put(w, "b", "1");
    del(w, "a", NULL); /* 4 */
    compact(w, 4);
    world_commit(w);
    world_trim_all(w);
    watch(w, "a", NULL, 4, "a");
    watch(w, "a", "c", 4, "ac");
    assert_string_equal(drain(w), "a: DEL a@4; ac: DEL a@4");
    world_restart(w);
    watch(w, "a", "c", 4, "ac");
    assert_string_equal(drain(w), "ac: DEL a@4");
}

static void a_blocked_watcher_reads_on_later(void **state)
{
    struct world *w = *state;
    struct store_watcher *slow = watch(w, "a", "b", 0, "slow");
    put(w, "a1", "x");
    world_commit(w);
    assert_string_equal(drain(w), "slow: PUT a1=x@2");
    store_watch_block(w->s, slow, true);
    store_watch_block(w->s, slow, true);
    for (int i = 0; i < 3; i++)
        put(w, "a2", "y");
    world_commit(w);
    assert_string_equal(drain(w), "");
    assert_false(store_watch_synced(w->s, slow));
    assert_int_equal(store_watch_position(slow), 3);
    store_watch_block(w->s, slow, false);
    assert_string_equal(drain(w), "slow: PUT a2=y@3 PUT a2=y@4 PUT a2=y@5");
    assert_true(store_watch_synced(w->s, slow));
}

static void blocking_between_match_and_delivery_loses_nothing(void **state)
{
    struct world *w = *state;
    struct store_watcher *one = watch(w, "a", NULL, 0, "1");
    struct store_watcher *two = watch(w, "a", NULL, 0, "2");
    put(w, "a", "x");
    put(w, "a", "y");
    world_commit(w);
    assert_string_equal(next_batch(w, 10), "1: PUT a=x@2");
    assert_int_equal(store_watch_position(one), 3);
    assert_int_equal(store_watch_position(two), 2);
    store_watch_block(w->s, one, true);
    store_watch_block(w->s, two, true);
    assert_string_equal(drain(w), "");
    store_watch_block(w->s, two, false);
    store_watch_block(w->s, one, false);
    assert_string_equal(drain(w), "2: PUT a=x@2 PUT a=y@3; 1: PUT a=y@3");
}

static void those_behind_take_turns(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 4; i++)
        put(w, "a", "x");
    world_commit(w);
    watch(w, "a", NULL, 2, "1");
    watch(w, "a", "b", 2, "2");
    assert_string_equal(drain_by(w, 2), "1: PUT a=x@2 PUT a=x@3; 2: PUT a=x@2 PUT a=x@3; 1: PUT a=x@4 PUT a=x@5; "
                                        "2: PUT a=x@4 PUT a=x@5");
}

static void events_undelivered_when_compaction_passes_still_come(void **state)
{
    struct world *w = *state;
    watch(w, "a", "b", 0, "live");
    put(w, "a", "1");
    put(w, "a", "2");
    del(w, "a", NULL);
    put(w, "b", "1");
    compact(w, 5);
    world_commit(w);
    world_trim_all(w);
    assert_string_equal(next_batch(w, 10), "live: PUT a=1@2");
    world_trim_all(w);
    assert_string_equal(drain(w), "live: PUT a=2@3; live: DEL a@4");
    world_trim_all(w);
    assert_string_equal(get(w, "a", "z", 0), "b=1");
}

static void a_watch_without_a_range_is_refused(void **state)
{
    struct world *w = *state;
    struct store_watcher *x;
    struct watch_create_req req = {.range = range_of("b", "b")};
    assert_int_equal(store_watch_add(w->s, &req, NULL, &x), ETCD_WATCH_EMPTY_RANGE);
    req.range = range_of("b", "a");
    assert_int_equal(store_watch_add(w->s, &req, NULL, &x), ETCD_WATCH_EMPTY_RANGE);
    req.start_revision = -1; /* this is looked at first */
    assert_int_equal(store_watch_add(w->s, &req, NULL, &x), ETCD_COMPACTED);
    req.range = range_of("b", NULL);
    assert_int_equal(store_watch_add(w->s, &req, NULL, &x), ETCD_COMPACTED);
    assert_int_equal(store_watchers(w->s), 0);
}

static void live_batches_of_one_revision_share_their_ordinals(void **state)
{
    struct world *w = *state;
    struct store_watch_batch b;
    put(w, "k1", "x");
    put(w, "k2", "x");
    world_commit(w);
    watch(w, "k2", NULL, 0, "k2");
    watch(w, "k", "l", 0, "all");
    del(w, "k", "l");
    world_commit(w);
    assert_true(store_watch_next(w->s, 10, &b));
    assert_int_equal(b.n_events, 2);
    assert_int_equal(b.ordinals[0], 0);
    assert_int_equal(b.ordinals[1], 1);
    assert_true(b.synced);
    assert_true(store_watch_next(w->s, 10, &b));
    assert_string_equal(b.user, "k2");
    assert_int_equal(b.n_events, 1);
    assert_int_equal(b.ordinals[0], 1);
    assert_false(store_watch_next(w->s, 10, &b));
}

static void a_watcher_may_go_while_it_has_matches(void **state)
{
    struct world *w = *state;
    struct store_watcher *one = watch(w, "a", NULL, 0, "1");
    struct store_watcher *two = watch(w, "a", "b", 0, "2");
    watch(w, "a", "c", 0, "3");
    put(w, "a", "x");
    world_commit(w);
    assert_string_equal(next_batch(w, 10), "1: PUT a=x@2");
    store_watch_remove(w->s, one);
    store_watch_remove(w->s, two);
    assert_string_equal(drain(w), "3: PUT a=x@2");
    assert_int_equal(store_watchers(w->s), 1);
}

static void rows_that_were_rolled_back_are_no_events(void **state)
{
    struct world *w = *state;
    size_t n;
    watch(w, "a", NULL, 0, "w");
    put(w, "a", "gone");
    store_outbox(w->s, 10, &n);
    store_rollback(w->s);
    assert_string_equal(drain(w), "");
    put(w, "a", "kept");
    world_commit(w);
    assert_string_equal(drain(w), "w: PUT a=kept@2");
}

/* A call reads a share of the history only, and says that it is not done. */
static void a_long_history_is_read_in_shares(void **state)
{
    struct world *w = *state;
    struct store_watch_batch b;
    enum { N = 70000 };
    for (int i = 0; i < N; i++) {
        put(w, "noise", "x");
        if (i % 1000 == 0)
            world_commit(w);
    }
    put(w, "z", "found");
    world_commit(w);
    watch(w, "y", "zz", 2, "w");
    int calls = 0;
    while (!store_watch_next(w->s, 10, &b) && calls < 10) {
        assert_true(store_watch_pending(w->s));
        calls++;
    }
    assert_in_range(calls, 1, 5);
    assert_int_equal(b.n_events, 1);
    assert_true(b.synced);
    assert_false(store_watch_next(w->s, 10, &b));
    assert_false(store_watch_pending(w->s));
}

/* A batch has a bound in bytes, too, so that a past of large values does not come as one message. */
static void a_history_of_large_values_is_read_in_pieces(void **state)
{
    struct world *w = *state;
    struct store_watch_batch b;
    enum { N = 20, LEN = 300 * 1024 };
    static char value[LEN + 1];
    memset(value, 'v', LEN);
    for (int i = 0; i < N; i++)
        put(w, i % 2 ? "big/1" : "big/2", value);
    world_commit(w);
    watch(w, "big/", "big0", 2, "range");
    watch(w, "big/1", NULL, 2, "key");
    size_t events = 0, most = 0;
    tn_rev last[2] = {0};
    while (store_watch_next(w->s, 1000, &b)) {
        bool is_key = strcmp(b.user, "key") == 0;
        for (size_t i = 0; i < b.n_events; i++) {
            assert_true(b.events[i].kv.mod_revision > last[is_key]);
            last[is_key] = b.events[i].kv.mod_revision;
        }
        events += b.n_events;
        most = b.n_events > most ? b.n_events : most;
    }
    assert_int_equal(events, N + N / 2);
    assert_int_equal(most, 4); /* 1 MiB is passed with the fourth */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(events_come_once_they_are_durable, setup, teardown),
        cmocka_unit_test_setup_teardown(a_range_gets_what_lies_in_it_and_nothing_else, setup, teardown),
        cmocka_unit_test_setup_teardown(a_start_in_the_past_reads_history, setup, teardown),
        cmocka_unit_test_setup_teardown(a_start_in_the_future_gets_nothing_older, setup, teardown),
        cmocka_unit_test_setup_teardown(a_revision_is_never_split, setup, teardown),
        cmocka_unit_test_setup_teardown(filters_keep_events_back, setup, teardown),
        cmocka_unit_test_setup_teardown(the_previous_value_is_the_one_before, setup, teardown),
        cmocka_unit_test_setup_teardown(a_previous_value_that_is_compacted_is_absent, setup, teardown),
        cmocka_unit_test_setup_teardown(a_start_below_the_compaction_is_told_so_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_delete_at_the_compaction_revision_is_not_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(a_blocked_watcher_reads_on_later, setup, teardown),
        cmocka_unit_test_setup_teardown(blocking_between_match_and_delivery_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(those_behind_take_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(events_undelivered_when_compaction_passes_still_come, setup, teardown),
        cmocka_unit_test_setup_teardown(a_watch_without_a_range_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(live_batches_of_one_revision_share_their_ordinals, setup, teardown),
        cmocka_unit_test_setup_teardown(a_watcher_may_go_while_it_has_matches, setup, teardown),
        cmocka_unit_test_setup_teardown(rows_that_were_rolled_back_are_no_events, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_history_is_read_in_shares, setup, teardown),
        cmocka_unit_test_setup_teardown(a_history_of_large_values_is_read_in_pieces, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
