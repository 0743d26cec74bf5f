/* rng: the published sequences, and the shape of what is derived from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"

static void the_seed_is_spread_by_splitmix64(void **state)
{
    (void)state;
    /* The published first numbers of splitmix64 for this seed. */
    const uint64_t want[] = {6457827717110365317u, 3203168211198807973u, 9817491932198370423u, 4593380528125082431u};
    struct rng r;
    rng_init(&r, 1234567);
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_true(r.s[i] == want[i]);
}

static void the_sequence_is_that_of_xoshiro256starstar(void **state)
{
    (void)state;
    /* The published first numbers for the state 1, 2, 3, 4. */
    const uint64_t want[] = {11520u,
                             0u,
                             1509978240u,
                             1215971899390074240u,
                             1216172134540287360u,
                             607988272756665600u,
                             16172922978634559625u,
                             8476171486693032832u,
                             10595114339597558777u,
                             2904607092377533576u};
    struct rng r = {.s = {1, 2, 3, 4}};
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_true(rng_u64(&r) == want[i]);
}

static void the_same_seed_gives_the_same_numbers_and_another_does_not(void **state)
{
    (void)state;
    struct rng a, b, c;
    rng_init(&a, 0);
    rng_init(&b, 0);
    rng_init(&c, 1);
    size_t same_as_c = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t x = rng_u64(&a);
        assert_true(x == rng_u64(&b));
        same_as_c += x == rng_u64(&c);
    }
    assert_int_equal(same_as_c, 0);
}

static void numbers_below_a_bound_are_even_over_it(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 7);
    size_t seen[10] = {0};
    for (int i = 0; i < 100000; i++)
        seen[rng_below(&r, 10)]++;
    for (size_t i = 0; i < ARRAY_LEN(seen); i++)
        assert_in_range(seen[i], 9500, 10500);
}

static void numbers_below_an_extreme_bound_stay_below_it(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 7);
    uint64_t high = 0;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(rng_below(&r, 1), 0);
        uint64_t x = rng_below(&r, UINT64_MAX);
        assert_true(x < UINT64_MAX);
        high |= x;
        assert_true(rng_below(&r, (UINT64_C(1) << 63) + 1) <= UINT64_C(1) << 63);
    }
    assert_true(high >> 63);
}

/* A remainder of 2^64 numbers by this bound would favour its first third two to one. */
static void numbers_below_a_large_bound_are_even_over_it(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 7);
    size_t seen[3] = {0};
    for (int i = 0; i < 30000; i++)
        seen[rng_below(&r, UINT64_C(3) << 62) >> 62]++;
    for (size_t i = 0; i < ARRAY_LEN(seen); i++)
        assert_in_range(seen[i], 9700, 10300);
}

static void jitter_spreads_evenly_to_both_sides(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 3);
    int64_t low = INT64_MAX, high = 0, sum = 0;
    for (int i = 0; i < 100000; i++) {
        int64_t x = rng_jitter(&r, 1000, 25);
        low = x < low ? x : low;
        high = x > high ? x : high;
        sum += x;
    }
    assert_int_equal(low, 750);
    assert_int_equal(high, 1250);
    assert_in_range(sum / 100000, 997, 1003);
}

static void jitter_of_extremes_neither_overflows_nor_goes_below_zero(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 3);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(rng_jitter(&r, 0, 25), 0);
        assert_int_equal(rng_jitter(&r, -5, 25), 0);
        assert_int_equal(rng_jitter(&r, 77, 0), 77);
        assert_in_range(rng_jitter(&r, 10, 100), 0, 20);
        assert_in_range(rng_jitter(&r, 10, 400), 0, 20);
        assert_true(rng_jitter(&r, INT64_MAX, 100) >= 0);
        assert_true(rng_jitter(&r, INT64_MAX, 25) >= INT64_MAX / 100 * 74);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_seed_is_spread_by_splitmix64),
        cmocka_unit_test(the_sequence_is_that_of_xoshiro256starstar),
        cmocka_unit_test(the_same_seed_gives_the_same_numbers_and_another_does_not),
        cmocka_unit_test(numbers_below_a_bound_are_even_over_it),
        cmocka_unit_test(numbers_below_an_extreme_bound_stay_below_it),
        cmocka_unit_test(numbers_below_a_large_bound_are_even_over_it),
        cmocka_unit_test(jitter_spreads_evenly_to_both_sides),
        cmocka_unit_test(jitter_of_extremes_neither_overflows_nor_goes_below_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
