/* A limit over time: ten seconds' worth at once, then as fast as it refills. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "wire/h2_limit.h"

static size_t take_all(struct h2_limit *l, tn_ms now)
{
    size_t n = 0;
    while (h2_limit_take(l, now))
        n++;
    return n;
}

static void ten_seconds_worth_may_come_at_once(void **state)
{
    (void)state;
    struct h2_limit l;
    h2_limit_init(&l, 5);
    assert_int_equal(take_all(&l, 1000), 50);
    assert_false(h2_limit_take(&l, 1000));
}

static void room_comes_back_with_time_and_not_beyond_ten_seconds(void **state)
{
    (void)state;
    struct h2_limit l;
    h2_limit_init(&l, 5);
    take_all(&l, 0);
    assert_int_equal(take_all(&l, 199), 0);
    assert_int_equal(take_all(&l, 200), 1);
    assert_int_equal(take_all(&l, 1200), 5);
    assert_int_equal(take_all(&l, INT64_MAX / 2), 50);

    h2_limit_init(&l, 5); /* nor on top of room that was not used */
    assert_true(h2_limit_take(&l, 0));
    assert_int_equal(take_all(&l, 9000), 50);
}

static void a_clock_that_goes_back_brings_nothing(void **state)
{
    (void)state;
    struct h2_limit l;
    h2_limit_init(&l, 1);
    take_all(&l, 100000);
    assert_int_equal(take_all(&l, 50000), 0);
    assert_int_equal(take_all(&l, 51000), 1);
}

static void the_largest_rate_does_not_overflow(void **state)
{
    (void)state;
    struct h2_limit l;
    h2_limit_init(&l, UINT32_MAX);
    for (tn_ms now = 0; now < 100; now++)
        assert_true(h2_limit_take(&l, now * 1000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_seconds_worth_may_come_at_once),
        cmocka_unit_test(room_comes_back_with_time_and_not_beyond_ten_seconds),
        cmocka_unit_test(a_clock_that_goes_back_brings_nothing),
        cmocka_unit_test(the_largest_rate_does_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
