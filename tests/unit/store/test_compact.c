/* compact, trim, auto_compact: what compaction refuses, hides and drops, and when it is due. */
#include "world.h"

#include "store/internal.h"

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

static enum etcd_error try_compact(struct world *w, tn_rev revision)
{
    struct compact_req req = {.revision = revision};
    struct compact_resp resp;
    return store_compact(w->s, &req, &resp, &w->seq);
}

static void a_revision_is_compacted_once_and_not_ahead(void **state)
{
    struct world *w = *state;
    put(w, "a", "1");
    put(w, "a", "2");
    assert_int_equal(store_compacted(w->s), -1);
    assert_int_equal(try_compact(w, -5), ETCD_COMPACTED);
    assert_int_equal(try_compact(w, 4), ETCD_FUTURE_REV);
    assert_int_equal(try_compact(w, 3), ETCD_OK);
    assert_int_equal(try_compact(w, 3), ETCD_COMPACTED);
    assert_int_equal(try_compact(w, 2), ETCD_COMPACTED);
    assert_int_equal(store_compacted(w->s), -1);
    world_commit(w);
    assert_int_equal(store_compacted(w->s), 3);
    assert_int_equal(world_row(w, w->seq)->kind, RECORD_COMPACT);
    assert_int_equal(world_row(w, w->seq)->main, 3);
}

static void the_first_compaction_may_be_at_zero(void **state)
{
    struct world *w = *state;
    put(w, "a", "1");
    assert_int_equal(try_compact(w, 0), ETCD_OK);
    assert_int_equal(try_compact(w, 0), ETCD_COMPACTED);
    world_commit(w);
    assert_int_equal(store_compacted(w->s), 0);
    assert_int_equal(world_row(w, w->seq)->main, 0);
    assert_int_equal(try_compact(w, 0), ETCD_COMPACTED);
    assert_int_equal(try_compact(w, 1), ETCD_OK);
    store_rollback(w->s);
    assert_int_equal(try_compact(w, 0), ETCD_COMPACTED);
    assert_int_equal(try_compact(w, 1), ETCD_OK);
}

static void nothing_is_trimmed_before_it_is_durable(void **state)
{
    struct world *w = *state;
    put(w, "a", "1");
    put(w, "a", "2");
    world_commit(w);
    compact(w, 3);
    assert_int_equal(world_trim(w, 10), 0);
    store_rollback(w->s);
    assert_string_equal(get(w, "a", NULL, 2), "a=1");
    compact(w, 3);
    world_commit(w);
    assert_int_equal(world_trim(w, 10), 1);
}

/* The sequences that a trim of everything names, as a sum of bits from the first write (sequence 2) on. */
static unsigned trimmed(struct world *w)
{
    tn_seq seqs[32];
    unsigned bits = 0;
    size_t n = store_trim(w->s, ARRAY_LEN(seqs), seqs);
    for (size_t i = 0; i < n; i++)
        bits |= 1U << (seqs[i] - 2);
    assert_int_equal(store_trim(w->s, ARRAY_LEN(seqs), seqs), 0);
    return bits;
}

static void what_no_read_can_see_goes_and_nothing_else(void **state)
{
    struct world *w = *state;
    put(w, "a", "1");  /* rev 2, bit 0: overwritten */
    put(w, "b", "1");  /* rev 3, bit 1: deleted */
    put(w, "c", "1");  /* rev 4, bit 2: stays */
    put(w, "a", "2");  /* rev 5, bit 3: stays, the value at 7 */
    del(w, "b", NULL); /* rev 6, bit 4: its key is gone before 7 */
    put(w, "d", "1");  /* rev 7, bit 5 */
    put(w, "a", "3");  /* rev 8, bit 6 */
    compact(w, 7);     /* bit 7 */
    world_commit(w);
    int64_t before = store_memory(w->s);
    assert_int_equal(trimmed(w), 1U << 0 | 1U << 1 | 1U << 4);
    assert_true(store_memory(w->s) < before);
    assert_string_equal(get(w, "a", "z", 7), "a=2 c=1 d=1");
    assert_string_equal(get(w, "a", "z", 0), "a=3 c=1 d=1");
}

static void a_tombstone_at_the_compaction_revision_stays_until_the_next(void **state)
{
    struct world *w = *state;
    put(w, "a", "1");  /* rev 2, bit 0 */
    del(w, "a", NULL); /* rev 3, bit 1 */
    put(w, "b", "1");  /* rev 4, bit 2 */
    compact(w, 3);     /* bit 3 */
    world_commit(w);
    assert_int_equal(trimmed(w), 1U << 0);
    compact(w, 4);
    world_commit(w);
    assert_int_equal(trimmed(w), 1U << 1 | 1U << 3);
}

static void rows_of_revoked_leases_go_with_the_next_compaction(void **state)
{
    struct world *w = *state;
    grant(w, 7, 10); /* bit 0 */
    put_lease(w, "a", "1", 7);
    revoke(w, 7);     /* bits 2 and 3 */
    put(w, "b", "1"); /* rev 4, bit 4 */
    compact(w, 4);    /* bit 5 */
    grant(w, 8, 10);
    revoke(w, 8);
    world_commit(w);
    assert_int_equal(trimmed(w), 0xf);
    world_restart(w);
    assert_int_equal(trimmed(w), 0xf);
}

static void memory_returns_to_what_it_was(void **state)
{
    struct world *w = *state;
    put(w, "stays", "x");
    world_commit(w);
    int64_t before = store_memory(w->s);
    grant(w, 7, 10);
    for (int i = 0; i < 1000; i++) {
        put_lease(w, "k", "0123456789", 7);
        put(w, (char[]){'x', (char)('a' + i % 26), 0}, "v");
    }
    revoke(w, 7);
    del(w, "x", "y");
    put(w, "stays", "x");
    world_commit(w);
    assert_true(store_memory(w->s) > before + 2000 * 60);
    compact(w, store_revision(w->s));
    world_commit(w);
    world_trim_all(w);
    assert_int_equal(store_memory(w->s), before);
    assert_int_equal(w->s->garbage, 0);
}

static void a_slice_takes_no_more_than_asked(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 10; i++)
        put(w, "a", "x");
    compact(w, 11);
    world_commit(w);
    assert_int_equal(world_trim(w, 4), 4);
    assert_int_equal(world_trim(w, 4), 4);
    assert_int_equal(world_trim(w, 4), 1);
    assert_int_equal(world_trim(w, 4), 0);
}

/* Whatever number of slices was deleted, the log shows the same state. */
static void a_log_with_some_slices_deleted_shows_the_same(void **state)
{
    struct world *w = *state;
    grant(w, 7, 10);
    for (int i = 0; i < 5; i++) {
        put_lease(w, "a", "x", 7);
        put(w, "b", "y");
        del(w, "b", NULL);
    }
    revoke(w, 7);
    put(w, "c", "z");
    compact(w, 10);
    put(w, "a", "new");
    compact(w, store_revision_planned(w->s));
    world_commit(w);
    uint64_t digest = store_digest(w->s);
    int slices = 0;
    do {
        struct store *copy = NULL;
        assert_int_equal(world_replay(w, &copy, NULL), 0);
        assert_int_equal(store_digest(copy), digest);
        store_free(copy);
        slices++;
    } while (world_trim(w, 1) > 0);
    assert_int_equal(slices, 1 + 6 + 10 + 3);
}

/* ---- by itself ---- */

enum { HOUR = 3600 * 1000 };

static void history_older_than_the_retention_is_due(void **state)
{
    struct world *w = *state;
    put(w, "a", "1");
    put(w, "a", "2");
    world_commit(w);
    assert_int_equal(store_auto_compact(w->s, w->now, HOUR), 0);
    tn_rev due = 0;
    for (int second = 0; second < 2 * 3600 && !due; second++) {
        w->now += 1000;
        if (second == 1800)
            put(w, "a", "3");
        world_commit(w);
        due = store_auto_compact(w->s, w->now, HOUR);
    }
    assert_int_equal(due, 3);
    assert_in_range(w->now, HOUR, HOUR + 120 * 1000);
    compact(w, due);
    assert_int_equal(store_auto_compact(w->s, w->now, HOUR), 0);
    world_commit(w);
    world_trim_all(w);
    assert_int_equal(store_auto_compact(w->s, w->now, HOUR), 0);
}

/* Over a day of steady writing what is due is always about an hour old. */
static void what_is_due_follows_the_clock_by_the_retention(void **state)
{
    struct world *w = *state;
    enum { STEP = 10000, STEPS = 24 * HOUR / STEP };
    int due_times = 0;
    for (int i = 0; i < STEPS; i++) {
        w->now += STEP;
        put(w, "a", "x"); /* revision i + 2 at time (i + 1) * STEP */
        world_commit(w);
        tn_rev due = store_auto_compact(w->s, w->now, HOUR);
        if (!due)
            continue;
        tn_ms age = (i + 2 - due) * (tn_ms)STEP;
        assert_in_range(age, HOUR, HOUR + HOUR / 40);
        compact(w, due);
        world_commit(w);
        world_trim_all(w);
        due_times++;
    }
    assert_in_range(due_times, 23 * 50, 23 * 70);
    assert_in_range(store_revision(w->s) - store_compacted(w->s), HOUR / STEP, HOUR / STEP + 30);
}

static void history_larger_than_its_share_is_due_at_once(void **state)
{
    struct world *w = *state;
    char value[1000];
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = 0;
    world_close(w);
    world_open(w, &(struct store_config){.quota_bytes = 1000 * 1000});
    for (int i = 0; i < 90; i++)
        put(w, "a", value);
    world_commit(w);
    assert_int_equal(store_auto_compact(w->s, w->now, 0), 0);
    for (int i = 0; i < 30; i++)
        put(w, "a", value);
    world_commit(w);
    tn_rev due = store_auto_compact(w->s, w->now, 0);
    assert_in_range(due, 50, 80);
    compact(w, due);
    assert_int_equal(store_auto_compact(w->s, w->now, 0), 0);
    world_commit(w);
    assert_int_equal(store_auto_compact(w->s, w->now, 0), 0);
    world_trim_all(w);
    assert_int_equal(store_auto_compact(w->s, w->now, 0), 0);
}

static void keys_that_live_are_no_history(void **state)
{
    struct world *w = *state;
    world_close(w);
    world_open(w, &(struct store_config){.quota_bytes = 100 * 1000});
    for (int i = 0; i < 300; i++)
        put(w, (char[]){(char)('a' + i / 26), (char)('a' + i % 26), 0}, "value");
    world_commit(w);
    assert_true(store_memory(w->s) > 10 * 1000);
    assert_int_equal(store_auto_compact(w->s, w->now, 0), 0);
}

/* Leases without keys make rows and no revision: the log must let go of them all the same. */
static void leases_that_come_and_go_do_not_pile_up(void **state)
{
    struct world *w = *state;
    size_t held = 0;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 5000; i++) {
            grant(w, 7, 10);
            revoke(w, 7);
        }
        world_commit(w);
        assert_int_equal(store_auto_compact(w->s, w->now, HOUR), 0);
        world_commit(w);
        world_trim_all(w);
    }
    for (size_t i = 0; i < w->log_len; i++)
        held += !w->log[i].deleted;
    assert_in_range(held, 1, 2 * 10000 + 5);
    assert_int_equal(store_revision(w->s), 1);
    world_restart(w);
    put(w, "a", "1");
    put(w, "a", "2");
    world_commit(w);
    assert_string_equal(get(w, "a", NULL, 2), "a=1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_revision_is_compacted_once_and_not_ahead, setup, teardown),
        cmocka_unit_test_setup_teardown(the_first_compaction_may_be_at_zero, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_trimmed_before_it_is_durable, setup, teardown),
        cmocka_unit_test_setup_teardown(what_no_read_can_see_goes_and_nothing_else, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tombstone_at_the_compaction_revision_stays_until_the_next, setup, teardown),
        cmocka_unit_test_setup_teardown(rows_of_revoked_leases_go_with_the_next_compaction, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_returns_to_what_it_was, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slice_takes_no_more_than_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(a_log_with_some_slices_deleted_shows_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(history_older_than_the_retention_is_due, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_due_follows_the_clock_by_the_retention, setup, teardown),
        cmocka_unit_test_setup_teardown(history_larger_than_its_share_is_due_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_that_live_are_no_history, setup, teardown),
        cmocka_unit_test_setup_teardown(leases_that_come_and_go_do_not_pile_up, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
