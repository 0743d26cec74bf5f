/* range: every option of a read, its errors, and what its numbers count. */
#include "world.h"

#include <stdio.h>
#include <string.h>

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

static void letters(struct world *w)
{
    put(w, "b", "3"); /* 2 */
    put(w, "a", "1"); /* 3 */
    put(w, "c", "2"); /* 4 */
    put(w, "a", "4"); /* 5 */
    world_commit(w);
}

static void the_three_forms_of_a_range(void **state)
{
    struct world *w = *state;
    letters(w);
    assert_string_equal(get(w, "a", NULL, 0), "a=4");
    assert_string_equal(get(w, "a", "c", 0), "a=4 b=3");
    assert_string_equal(get(w, "b", WORLD_FROM, 0), "b=3 c=2");
    assert_string_equal(get(w, "c", "a", 0), "");
    assert_string_equal(get(w, "x", NULL, 0), "");
}

static void everything_is_one_zero_byte_to_the_end(void **state)
{
    struct world *w = *state;
    letters(w);
    struct range_req req = {.range = {.key = bytes_of("", 1), .range_end = bytes_of("", 1)}};
    assert_string_equal(read_text(w, &req), "a=4 b=3 c=2");
}

static void a_read_sees_what_is_durable_and_nothing_newer(void **state)
{
    struct world *w = *state;
    letters(w);
    put(w, "a", "planned");
    assert_string_equal(get(w, "a", NULL, 0), "a=4");
    assert_string_equal(get(w, "a", NULL, 6), "<etcdserver: mvcc: required revision is a future revision>");
    world_commit(w);
    assert_string_equal(get(w, "a", NULL, 6), "a=planned");
}

static void the_past_stays_readable_down_to_the_compaction(void **state)
{
    struct world *w = *state;
    letters(w);
    del(w, "b", NULL);
    compact(w, 4);
    assert_string_equal(get(w, "a", "z", 3), "a=1 b=3");
    world_commit(w);
    world_trim_all(w);
    assert_string_equal(get(w, "a", "z", 3), "<etcdserver: mvcc: required revision has been compacted>");
    assert_string_equal(get(w, "a", "z", 4), "a=1 b=3 c=2");
    assert_string_equal(get(w, "a", "z", 5), "a=4 b=3 c=2");
    assert_string_equal(get(w, "a", "z", 6), "a=4 c=2");
    assert_string_equal(get(w, "a", "z", -7), "a=4 c=2");
}

static void keys_that_are_dead_are_seen_in_their_time_and_in_their_place(void **state)
{
    struct world *w = *state;
    letters(w);
    put(w, "d", "5"); /* 6 */
    world_commit(w);
    del(w, "a", "c");  /* 7 */
    del(w, "d", NULL); /* 8 */
    assert_string_equal(get(w, "a", "z", 0), "a=4 b=3 c=2 d=5");
    world_commit(w);
    assert_string_equal(get(w, "a", "z", 0), "c=2");
    put(w, "b", "again"); /* 9 */
    assert_string_equal(get(w, "a", "z", 0), "c=2");
    world_commit(w);
    assert_string_equal(get(w, "a", "z", 0), "b=again c=2");
    for (int restarted = 0; restarted < 2; restarted++) {
        assert_string_equal(get(w, "a", "z", 8), "c=2");
        assert_string_equal(get(w, "a", "z", 7), "c=2 d=5");
        assert_string_equal(get(w, "a", "z", 6), "a=4 b=3 c=2 d=5");
        assert_string_equal(get(w, "b", WORLD_FROM, 6), "b=3 c=2 d=5");
        assert_string_equal(get(w, "a", "b", 6), "a=4");
        assert_string_equal(get(w, "d", NULL, 6), "d=5");
        assert_string_equal(get(w, "d", NULL, 0), "");
        world_restart(w);
    }
    compact(w, 9);
    world_commit(w);
    world_trim_all(w);
    assert_string_equal(get(w, "a", "z", 0), "b=again c=2");
}

static void a_deletion_that_is_undone_leaves_its_key_alive(void **state)
{
    struct world *w = *state;
    letters(w);
    del(w, "a", "z");
    store_rollback(w->s);
    assert_string_equal(get(w, "a", "z", 0), "a=4 b=3 c=2");
    del(w, "a", "z");
    world_commit(w);
    put(w, "b", "never");
    store_rollback(w->s);
    assert_string_equal(get(w, "a", "z", 0), "");
    assert_string_equal(get(w, "a", "z", 5), "a=4 b=3 c=2");
    put(w, "b", "again");
    world_commit(w);
    assert_string_equal(get(w, "a", "z", 0), "b=again");
}

static void the_answer_counts_all_and_tells_the_current_revision(void **state)
{
    struct world *w = *state;
    letters(w);
    struct range_req req = {.range = range_of("a", "z"), .revision = 4, .limit = 2};
    struct range_resp resp;
    assert_int_equal(store_range(w->s, &req, &w->a, &resp), ETCD_OK);
    assert_int_equal(resp.revision, 5);
    assert_int_equal(resp.count, 3);
    assert_int_equal(resp.n_kvs, 2);
    assert_true(resp.more);
    req.limit = 3;
    assert_int_equal(store_range(w->s, &req, &w->a, &resp), ETCD_OK);
    assert_false(resp.more);
    req.count_only = true;
    assert_int_equal(store_range(w->s, &req, &w->a, &resp), ETCD_OK);
    assert_int_equal(resp.count, 3);
    assert_int_equal(resp.n_kvs, 0);
    assert_false(resp.more);
}

static const char *sorted(struct world *w, int32_t target, int32_t order, int64_t limit)
{
    struct range_req req = {.range = range_of("a", "z"), .sort_target = target, .sort_order = order, .limit = limit};
    return read_text(w, &req);
}

static void a_sort_orders_by_each_target(void **state)
{
    struct world *w = *state;
    letters(w);
    assert_string_equal(sorted(w, SORT_KEY, SORT_DESCEND, 0), "c=2 b=3 a=4");
    assert_string_equal(sorted(w, SORT_VERSION, SORT_DESCEND, 0), "a=4 b=3 c=2");
    assert_string_equal(sorted(w, SORT_VERSION, SORT_ASCEND, 0), "b=3 c=2 a=4");
    assert_string_equal(sorted(w, SORT_CREATE, SORT_ASCEND, 0), "b=3 a=4 c=2");
    assert_string_equal(sorted(w, SORT_CREATE, SORT_DESCEND, 2), "c=2 a=4");
    assert_string_equal(sorted(w, SORT_MOD, SORT_DESCEND, 1), "a=4");
    assert_string_equal(sorted(w, SORT_VALUE, SORT_NONE, 0), "c=2 b=3 a=4");
    assert_string_equal(sorted(w, SORT_VALUE, SORT_ASCEND, 1), "c=2");
}

/* As etcd: an order of NONE limits in order of key first, to one more than asked. */
static void a_limit_takes_the_first_of_the_whole_order(void **state)
{
    struct world *w = *state;
    enum { KEYS = 40 };
    char key[8], value[8];
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "k%02d", i * 17 % KEYS);
        snprintf(value, sizeof value, "%d", i * 7 % 5);
        put(w, key, value);
        if (i % 3 == 0)
            put(w, key, value);
    }
    world_commit(w);
    for (int32_t target = SORT_KEY; target <= SORT_VALUE; target++) {
        for (int64_t limit = 1; limit < 2 * KEYS; limit++) {
            const char *up = sorted(w, target, SORT_ASCEND, 0), *first = sorted(w, target, SORT_ASCEND, limit);
            assert_int_equal(strncmp(up, first, strlen(first)), 0);
            const char *down = sorted(w, target, SORT_DESCEND, 0), *last = sorted(w, target, SORT_DESCEND, limit);
            assert_int_equal(strncmp(down, last, strlen(last)), 0);
            assert_int_equal(strlen(last), strlen(first));
            arena_reset(&w->a);
        }
    }
}

static void a_target_without_order_sorts_what_the_limit_left(void **state)
{
    struct world *w = *state;
    letters(w);
    assert_string_equal(sorted(w, SORT_VALUE, SORT_NONE, 1), "b=3");
}

static void filters_leave_out_by_revision_before_the_limit(void **state)
{
    struct world *w = *state;
    letters(w);
    struct range_req req = {.range = range_of("a", "z"), .min_mod_revision = 4, .limit = 1};
    struct range_resp resp;
    assert_string_equal(read_text(w, &req), "a=4");
    assert_int_equal(store_range(w->s, &req, &w->a, &resp), ETCD_OK);
    assert_true(resp.more);
    assert_int_equal(resp.count, 3);
    req = (struct range_req){.range = req.range, .max_mod_revision = 4};
    assert_string_equal(read_text(w, &req), "b=3 c=2");
    req = (struct range_req){.range = req.range, .min_create_revision = 3};
    assert_string_equal(read_text(w, &req), "a=4 c=2");
    req = (struct range_req){.range = req.range, .max_create_revision = 3};
    assert_string_equal(read_text(w, &req), "a=4 b=3");
    req = (struct range_req){.range = req.range, .max_create_revision = -1};
    assert_string_equal(read_text(w, &req), "");
}

static void keys_only_leaves_out_value_and_lease(void **state)
{
    struct world *w = *state;
    struct range_resp resp;
    grant(w, 7, 10);
    put_lease(w, "a", "1", 7);
    world_commit(w);
    struct range_req req = {.range = range_of("a", NULL), .keys_only = true};
    assert_int_equal(store_range(w->s, &req, &w->a, &resp), ETCD_OK);
    assert_int_equal(resp.kvs[0].value.len, 0);
    assert_int_equal(resp.kvs[0].lease, 0);
    assert_int_equal(resp.kvs[0].version, 1);
    assert_int_equal(resp.kvs[0].mod_revision, 2);
}

static enum etcd_error refused(struct world *w, struct range_req req)
{
    struct range_resp resp;
    return store_range(w->s, &req, &w->a, &resp);
}

static void what_is_wrong_with_a_request_is_said_first(void **state)
{
    struct world *w = *state;
    assert_int_equal(refused(w, (struct range_req){.revision = 99}), ETCD_EMPTY_KEY);
    struct range_req req = {.range = range_of("a", NULL), .sort_order = 3, .revision = 99};
    assert_int_equal(refused(w, req), ETCD_INVALID_SORT_OPTION);
    req.sort_order = -1;
    assert_int_equal(refused(w, req), ETCD_INVALID_SORT_OPTION);
    req.sort_order = 0;
    req.sort_target = 5;
    assert_int_equal(refused(w, req), ETCD_INVALID_SORT_OPTION);
    req.sort_target = 0;
    assert_int_equal(refused(w, req), ETCD_FUTURE_REV);
}

static void a_limit_beyond_all_numbers_is_no_limit(void **state)
{
    struct world *w = *state;
    letters(w);
    struct range_req req = {.range = range_of("a", "z"), .limit = INT64_MAX};
    assert_string_equal(read_text(w, &req), "a=4 b=3 c=2");
}

static void an_arena_that_is_full_refuses_the_read(void **state)
{
    struct world *w = *state;
    letters(w);
    struct arena small;
    struct range_resp resp;
    struct range_req req = {.range = range_of("a", "z")};
    arena_init(&small, 100);
    assert_int_equal(store_range(w->s, &req, &small, &resp), ETCD_OUT_OF_MEMORY);
    arena_fini(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_three_forms_of_a_range, setup, teardown),
        cmocka_unit_test_setup_teardown(everything_is_one_zero_byte_to_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(a_read_sees_what_is_durable_and_nothing_newer, setup, teardown),
        cmocka_unit_test_setup_teardown(the_past_stays_readable_down_to_the_compaction, setup, teardown),
        cmocka_unit_test_setup_teardown(the_answer_counts_all_and_tells_the_current_revision, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sort_orders_by_each_target, setup, teardown),
        cmocka_unit_test_setup_teardown(a_limit_takes_the_first_of_the_whole_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_target_without_order_sorts_what_the_limit_left, setup, teardown),
        cmocka_unit_test_setup_teardown(filters_leave_out_by_revision_before_the_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_only_leaves_out_value_and_lease, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_wrong_with_a_request_is_said_first, setup, teardown),
        cmocka_unit_test_setup_teardown(a_limit_beyond_all_numbers_is_no_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_that_are_dead_are_seen_in_their_time_and_in_their_place, setup, teardown),
        cmocka_unit_test_setup_teardown(a_deletion_that_is_undone_leaves_its_key_alive, setup, teardown),
        cmocka_unit_test_setup_teardown(an_arena_that_is_full_refuses_the_read, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
