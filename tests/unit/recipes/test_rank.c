/* Ranks as text, and patience. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "recipes/rank.h"

static void a_rank_is_read_as_it_was_written(void **state)
{
    (void)state;
    static const int64_t preferences[] = {0, 1, -1, 4711, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof preferences / sizeof preferences[0]; i++) {
        char text[RANK_TEXT_MAX];
        struct rank r = rank_read(rank_write(&(struct rank){.preference = preferences[i], .ttl_s = 60}, text));
        assert_int_equal(r.preference, preferences[i]);
        assert_int_equal(r.ttl_s, 60);
    }
}

static void what_is_no_rank_counts_as_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "x",
        "-",
        " ",
        "{\"preference\":5}",
        "99999999999999999999 10",
        "1                                                                 1",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct rank r = rank_read(bytes_str(texts[i]));
        assert_int_equal(r.preference, 0);
        assert_int_equal(r.ttl_s, 0);
    }
    assert_int_equal(rank_read(bytes_of("7\0 9", 4)).preference, 7);
}

static void a_time_that_cannot_be_is_none_or_bounded(void **state)
{
    (void)state;
    assert_int_equal(rank_read(bytes_str("5")).preference, 5);
    assert_int_equal(rank_read(bytes_str("5")).ttl_s, 0);
    assert_int_equal(rank_read(bytes_str("5 -3")).ttl_s, 0);
    assert_int_equal(rank_read(bytes_str("5 x")).ttl_s, 0);
    assert_int_equal(rank_read(bytes_str("5 99999999999999999999")).ttl_s, 0);
    assert_int_equal(rank_read(bytes_str("5 9000000000")).ttl_s, RANK_TTL_MAX_S);
}

static void it_yields_for_three_times_and_begins_anew_behind_a_pause_of_more_than_two(void **state)
{
    (void)state;
    struct patience p = {0};
    for (tn_ms now = 1000; now <= 31000; now += 10000)
        assert_true(patience_yields(&p, 10, now));
    assert_false(patience_yields(&p, 10, 31001));
    assert_false(patience_yields(&p, 10, 51000)); /* not a pause yet: it is counted from the last yield */
    assert_true(patience_yields(&p, 10, 51001));
    assert_true(patience_yields(&p, 10, 71001));
    assert_true(patience_yields(&p, 10, 81001));
    assert_false(patience_yields(&p, 10, 81002));
}

static void a_longer_time_of_others_makes_it_more_patient(void **state)
{
    (void)state;
    struct patience p = {0};
    assert_true(patience_yields(&p, 5, 1000));
    assert_true(patience_yields(&p, 5, 11000));
    assert_false(patience_yields(&p, 5, 16001));
    assert_true(patience_yields(&p, 6, 16001));
    assert_true(patience_yields(&p, 60, 100000));
    assert_true(patience_yields(&p, INT64_MAX, 100000 + 60000)); /* and nothing overflows */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rank_is_read_as_it_was_written),
        cmocka_unit_test(what_is_no_rank_counts_as_nothing),
        cmocka_unit_test(a_time_that_cannot_be_is_none_or_bounded),
        cmocka_unit_test(it_yields_for_three_times_and_begins_anew_behind_a_pause_of_more_than_two),
        cmocka_unit_test(a_longer_time_of_others_makes_it_more_patient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
