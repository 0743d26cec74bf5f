/* The rule when a command is told to end and when it is killed (M12). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/page.h"

#define GRACE      500
#define LEAD       50
#define SAFE_UNTIL 10000

static int setup(void **state)
{
    struct page *p = page_new(GRACE);
    assert_non_null(p);
    atomic_store(&p->safe_until_ms, SAFE_UNTIL);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    page_free(*state);
    return 0;
}

static void the_grace_is_a_quarter_of_the_ttl_and_at_most_five_seconds(void **state)
{
    (void)state;
    assert_int_equal(page_grace_ms(2), 500);
    assert_int_equal(page_grace_ms(20), 5000);
    assert_int_equal(page_grace_ms(3600), 5000);
}

static void without_a_command_nothing_is_ever_due(void **state)
{
    int64_t next;
    assert_int_equal(page_due(*state, SAFE_UNTIL * 2, &next), PAGE_NOTHING);
    assert_true(next == INT64_MAX);
}

static void a_command_is_told_to_end_a_grace_before_safe_until(void **state)
{
    int64_t next;
    assert_true(page_run(*state, 77));
    assert_int_equal(page_due(*state, SAFE_UNTIL - GRACE - 1, &next), PAGE_NOTHING);
    assert_int_equal(next, SAFE_UNTIL - GRACE);
    assert_int_equal(page_due(*state, SAFE_UNTIL - GRACE, &next), PAGE_TERM);
}

static void a_renewal_moves_the_end_on(void **state)
{
    struct page *p = *state;
    int64_t next;
    page_run(p, 77);
    atomic_store(&p->safe_until_ms, SAFE_UNTIL + 3000);
    assert_int_equal(page_due(p, SAFE_UNTIL, &next), PAGE_NOTHING);
    assert_int_equal(next, SAFE_UNTIL + 3000 - GRACE);
}

static void it_is_killed_before_safe_until_and_only_once(void **state)
{
    int64_t next;
    page_run(*state, 77);
    assert_true(page_end(*state, INT64_MAX));
    assert_int_equal(page_due(*state, SAFE_UNTIL - LEAD - 1, &next), PAGE_NOTHING);
    assert_int_equal(next, SAFE_UNTIL - LEAD);
    assert_int_equal(page_due(*state, SAFE_UNTIL - LEAD, &next), PAGE_KILL);
    page_killed(*state);
    assert_int_equal(page_due(*state, SAFE_UNTIL - LEAD, &next), PAGE_NOTHING);
}

static void a_renewal_that_comes_after_the_ending_began_does_not_stop_it(void **state)
{
    struct page *p = *state;
    int64_t next;
    page_run(p, 77);
    page_end(p, INT64_MAX);
    atomic_store(&p->safe_until_ms, SAFE_UNTIL * 2);
    assert_int_equal(page_due(p, SAFE_UNTIL - LEAD, &next), PAGE_KILL);
}

static void of_two_who_end_it_one_sends_the_signal_and_the_earlier_time_counts(void **state)
{
    int64_t next;
    page_run(*state, 77);
    assert_true(page_end(*state, 8000));
    assert_false(page_end(*state, 7000));
    assert_false(page_end(*state, 9000));
    page_due(*state, 0, &next);
    assert_int_equal(next, 7000);
}

static void a_command_that_ended_by_itself_is_not_said_to_have_been_ended(void **state)
{
    page_run(*state, 77);
    assert_true(page_sweep(*state, 8000));
    assert_false(page_end(*state, 8000));
    assert_int_equal(atomic_load(&((struct page *)*state)->phase), PAGE_SWEEPING);
}

static void a_command_whose_ending_had_begun_did_not_end_by_itself(void **state)
{
    page_run(*state, 77);
    page_end(*state, 8000);
    assert_false(page_sweep(*state, 9000));
}

static void what_is_left_of_the_group_is_killed_in_time_as_well(void **state)
{
    int64_t next;
    page_run(*state, 77);
    page_sweep(*state, SAFE_UNTIL + 400);
    assert_int_equal(page_due(*state, SAFE_UNTIL - LEAD, &next), PAGE_KILL);
}

static void no_command_begins_that_could_not_be_ended_before_safe_until_M12(void **state)
{
    assert_true(page_may_run(*state, LEAD + 1));
    assert_false(page_may_run(*state, LEAD));
    assert_false(page_may_run(*state, 0));
}

static void no_command_runs_when_it_is_over(void **state)
{
    struct page *p = *state;
    atomic_store(&p->phase, PAGE_OVER);
    assert_false(page_run(p, 77));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_grace_is_a_quarter_of_the_ttl_and_at_most_five_seconds),
        T(without_a_command_nothing_is_ever_due),
        T(a_command_is_told_to_end_a_grace_before_safe_until),
        T(a_renewal_moves_the_end_on),
        T(it_is_killed_before_safe_until_and_only_once),
        T(a_renewal_that_comes_after_the_ending_began_does_not_stop_it),
        T(of_two_who_end_it_one_sends_the_signal_and_the_earlier_time_counts),
        T(a_command_that_ended_by_itself_is_not_said_to_have_been_ended),
        T(a_command_whose_ending_had_begun_did_not_end_by_itself),
        T(what_is_left_of_the_group_is_killed_in_time_as_well),
        T(no_command_begins_that_could_not_be_ended_before_safe_until_M12),
        T(no_command_runs_when_it_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
