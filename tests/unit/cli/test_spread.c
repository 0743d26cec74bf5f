/* How times spread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/spread.h"

static void nothing_has_no_times(void **state)
{
    struct spread s = {0};
    (void)state;
    assert_int_equal(spread_us(&s, 0.5), 0);
    assert_true(spread_mean_us(&s) == 0);
}

static void small_times_are_exact(void **state)
{
    struct spread s = {0};
    (void)state;
    for (int i = 1; i <= 50; i++)
        spread_add(&s, i);
    assert_int_equal(spread_us(&s, 0.5), 25);
    assert_int_equal(spread_us(&s, 0.99), 50);
    assert_int_equal(spread_us(&s, 1), 50);
    assert_int_equal(spread_us(&s, 0), 1);
    assert_true(spread_mean_us(&s) == 25.5);
}

static void large_times_are_within_a_bucket(void **state)
{
    (void)state;
    for (int64_t us = 64; us < INT64_C(1) << 36; us = us * 5 / 4 + 1) {
        struct spread s = {0};
        spread_add(&s, us);
        spread_add(&s, us * 2);
        int64_t half = spread_us(&s, 0.5);
        assert_true(half >= us && half <= us + us / SPREAD_FINE);
        assert_int_equal(spread_us(&s, 1), us * 2);
    }
}

static void what_is_beyond_all_buckets_is_counted(void **state)
{
    struct spread s = {0};
    (void)state;
    spread_add(&s, INT64_MAX);
    spread_add(&s, -5);
    assert_int_equal(s.n, 2);
    assert_int_equal(s.max_us, INT64_MAX);
    assert_int_equal(spread_us(&s, 0.5), 0);
    assert_true(spread_us(&s, 1) > INT64_C(1) << 36);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_has_no_times),
        cmocka_unit_test(small_times_are_exact),
        cmocka_unit_test(large_times_are_within_a_bucket),
        cmocka_unit_test(what_is_beyond_all_buckets_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
