/* How far a clock is off, from answers in whole seconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/offset.h"

#define S INT64_C(1000000)

/* Another clock that is ahead by so much, asked at these moments, with the answer made half way. */
static struct offset look(int64_t ahead_us, int64_t from_us, int64_t step_us, int n, int64_t takes_us)
{
    struct offset o = {0};
    for (int i = 0; i < n; i++) {
        int64_t sent = from_us + i * step_us, theirs = sent + takes_us / 2 + ahead_us;
        offset_seen(&o, sent, sent + takes_us, theirs / S);
    }
    return o;
}

static void one_answer_tells_it_to_half_a_second(void **state)
{
    struct offset o = {0};
    int64_t us = 7, error = 7;
    (void)state;
    assert_false(offset_get(&o, &us, &error));
    assert_false(offset_is_within(&o, S));
    offset_seen(&o, 1000 * S, 1000 * S + 20000, 1000);
    assert_true(offset_get(&o, &us, &error));
    assert_true(us - error <= 0 && us + error >= 0);
    assert_in_range(error, S / 2, S / 2 + 20000);
    assert_true(offset_is_within(&o, S));
    assert_false(offset_is_within(&o, S / 4));
}

static void many_over_a_second_tell_it_to_their_step(void **state)
{
    static const int64_t ahead[] = {0, 1, -1, 123456, -654321, 3 * S, -100 * S - 5, 400000000 * S};
    (void)state;
    for (size_t i = 0; i < sizeof ahead / sizeof *ahead; i++)
        for (int64_t from = 500000000 * S; from < 500000001 * S; from += 77777) {
            int64_t us, error;
            struct offset o = look(ahead[i], from, 40000, 27, 4000);
            assert_true(offset_get(&o, &us, &error));
            assert_true(error <= 25000);
            assert_true(us - error <= ahead[i] && ahead[i] <= us + error);
            assert_true(offset_is_within(&o, 25000));
        }
}

static void a_clock_that_is_set_meanwhile_is_unknown(void **state)
{
    int64_t us, error;
    (void)state;
    struct offset o = look(0, 1000 * S, 40000, 27, 4000);
    offset_seen(&o, 1002 * S, 1002 * S + 10, 1009);
    assert_false(offset_get(&o, &us, &error));
    assert_true(o.has_jumped);
    assert_true(offset_is_within(&o, 1)); /* there is nothing more to ask for */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_answer_tells_it_to_half_a_second),
        cmocka_unit_test(many_over_a_second_tell_it_to_their_step),
        cmocka_unit_test(a_clock_that_is_set_meanwhile_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
