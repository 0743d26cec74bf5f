/* backoff: doubling between its ends, and starting over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/backoff.h"

static void assert_wait_near(int64_t wait_ms, int64_t want_ms)
{
    assert_in_range(wait_ms, want_ms - want_ms / 4, want_ms + want_ms / 4);
}

static void waits_double_up_to_the_longest(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 1);
    struct backoff b;
    backoff_init(&b, 100, 1500);
    const int64_t want_ms[] = {100, 200, 400, 800, 1500, 1500, 1500};
    for (size_t i = 0; i < ARRAY_LEN(want_ms); i++)
        assert_wait_near(backoff_failure(&b, &r), want_ms[i]);
}

static void a_success_starts_over(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 1);
    struct backoff b;
    backoff_init(&b, 100, 100000);
    for (int i = 0; i < 8; i++)
        (void)backoff_failure(&b, &r);
    backoff_success(&b);
    assert_wait_near(backoff_failure(&b, &r), 100);
}

static void two_that_fail_together_do_not_come_back_together(void **state)
{
    (void)state;
    struct rng r, s;
    rng_init(&r, 1);
    rng_init(&s, 2);
    struct backoff a, b;
    backoff_init(&a, 1000, 100000);
    backoff_init(&b, 1000, 100000);
    int same = 0;
    for (int i = 0; i < 20; i++)
        same += backoff_failure(&a, &r) == backoff_failure(&b, &s);
    assert_true(same < 3);
}

static void the_longest_wait_may_be_the_largest_number(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 1);
    struct backoff b;
    backoff_init(&b, 1, INT64_MAX);
    for (int i = 0; i < 200; i++)
        assert_true(backoff_failure(&b, &r) >= 0);
    b.tries = UINT32_MAX;
    assert_true(backoff_failure(&b, &r) > INT64_MAX / 2);
    assert_true(backoff_failure(&b, &r) > INT64_MAX / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_double_up_to_the_longest),
        cmocka_unit_test(a_success_starts_over),
        cmocka_unit_test(two_that_fail_together_do_not_come_back_together),
        cmocka_unit_test(the_longest_wait_may_be_the_largest_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
