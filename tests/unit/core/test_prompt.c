/* Who answers an event by a write at once, and is therefore waited for. */
#include "cases.h"
#include "core/state.h"

enum { LEARNT = 3 };

static struct client *other;

/* The second client watches everything. */
static int setup_prompt(void **state)
{
    setup(state);
    other = client_new(here.w);
    call_watch(client_watch(other), &(struct watch_create_req){.range = {bytes_str("a"), bytes_str("b")}});
    world_settle(here.w);
    return 0;
}

#define PROMPT_CASE(f) cmocka_unit_test_setup_teardown(f, setup_prompt, teardown)

static void tell(void)
{
    put("a", "an event");
}

static void answer(void)
{
    struct call *call = client_put(other, "z", "an answer");
    world_settle(here.w);
    assert_ok(call);
}

static void be_quick(int times)
{
    for (int i = 0; i < times; i++) {
        tell();
        answer();
    }
}

static bool is_expected(void)
{
    return core_expects_write(here.w->core);
}

static void one_that_answers_events_by_writes_is_expected_until_it_has_written(void **state)
{
    (void)state;
    be_quick(LEARNT);
    assert_false(is_expected());
    tell();
    assert_true(is_expected());
    answer();
    assert_false(is_expected());
}

static void one_that_did_so_less_often_is_not_expected(void **state)
{
    (void)state;
    be_quick(LEARNT - 1);
    tell();
    assert_false(is_expected());
}

static void one_that_only_reads_in_answer_is_not_expected(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * LEARNT; i++) {
        tell();
        client_range(other, "a", NULL);
        world_settle(here.w);
        assert_false(is_expected());
    }
}

static void one_that_takes_its_time_is_not_expected(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * LEARNT; i++) {
        tell();
        world_pass(here.w, 5);
        answer();
    }
    tell();
    assert_false(is_expected());
}

static void one_that_leaves_out_an_answer_begins_anew(void **state)
{
    (void)state;
    be_quick(LEARNT);
    tell();
    tell();
    assert_false(is_expected());
    answer();
    be_quick(LEARNT - 1);
    tell();
    assert_true(is_expected());
}

static void nobody_is_expected_for_long(void **state)
{
    (void)state;
    be_quick(LEARNT);
    tell();
    world_pass(here.w, 5);
    assert_false(is_expected());
}

static void one_that_was_expected_in_vain_has_to_earn_it(void **state)
{
    (void)state;
    be_quick(2 * LEARNT);
    tell();
    assert_true(is_expected());
    core_expected_in_vain(here.w->core);
    assert_false(is_expected());
    answer();
    be_quick(5 * LEARNT);
    tell();
    assert_false(is_expected());
    answer();
    be_quick(10 * LEARNT);
    tell();
    assert_true(is_expected());
}

static void one_that_is_gone_is_not_expected(void **state)
{
    (void)state;
    be_quick(LEARNT);
    tell();
    assert_true(is_expected());
    client_cut(other);
    assert_false(is_expected());
}

static void rows_that_no_batch_has_taken_wait(void **state)
{
    (void)state;
    assert_false(core_batch_waits(here.w->core));
    here.w->log_held = true;
    client_put(here.c, "a", "1");
    world_settle(here.w);
    assert_false(core_batch_waits(here.w->core)); /* they are in the one under way */
    world_release(here.w, CORE_APPLIED);
    assert_false(core_batch_waits(here.w->core));
}

static void who_is_waited_for_is_written_to_first_and_who_waits_for_nothing_last(void **state)
{
    (void)state;
    struct core *c = here.w->core;
    struct core_conn *one = LIST_ENTRY(c->conns.next, struct core_conn, in_core);
    struct core_conn *two = LIST_ENTRY(c->conns.prev, struct core_conn, in_core);
    assert_ptr_not_equal(one, two);
    conn_touch_patiently(one);
    assert_null(core_next_urgent(c));
    conn_touch(two);
    conn_touch_patiently(two);
    assert_ptr_equal(core_next_urgent(c), two);
    assert_null(core_next_urgent(c));
    assert_ptr_equal(core_next_dirty(c), one);
    assert_null(core_next_dirty(c));
    conn_touch_patiently(one);
    conn_touch(two);
    conn_touch(one);
    assert_ptr_equal(core_next_urgent(c), two);
    assert_ptr_equal(core_next_urgent(c), one);
    conn_touch(one);
    conn_touch(two);
    conn_touch_first(two);
    assert_ptr_equal(core_next_dirty(c), two);
    assert_ptr_equal(core_next_dirty(c), one);
    assert_null(core_next_dirty(c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMPT_CASE(one_that_answers_events_by_writes_is_expected_until_it_has_written),
        PROMPT_CASE(one_that_did_so_less_often_is_not_expected),
        PROMPT_CASE(one_that_only_reads_in_answer_is_not_expected),
        PROMPT_CASE(one_that_takes_its_time_is_not_expected),
        PROMPT_CASE(one_that_leaves_out_an_answer_begins_anew),
        PROMPT_CASE(nobody_is_expected_for_long),
        PROMPT_CASE(one_that_was_expected_in_vain_has_to_earn_it),
        PROMPT_CASE(one_that_is_gone_is_not_expected),
        PROMPT_CASE(who_is_waited_for_is_written_to_first_and_who_waits_for_nothing_last),
        PROMPT_CASE(rows_that_no_batch_has_taken_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
