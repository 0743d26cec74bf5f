/* grpc-timeout: every unit, always rounded up, nothing that is not of the form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "wire/grpc_timeout.h"

static void each_unit_is_read_and_rounded_up(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"0n", 0},
        {"1n", 1},
        {"1000000n", 1},
        {"1000001n", 2},
        {"0u", 0},
        {"1u", 1},
        {"1000u", 1},
        {"1001u", 2},
        {"5m", 5},
        {"1S", 1000},
        {"2M", 120000},
        {"1H", 3600000},
        {"00000007m", 7},
        {"99999999n", 100},
        {"99999999m", 99999999},
        {"99999999S", INT64_C(99999999000)},
        {"99999999M", INT64_C(5999999940000)},
        {"99999999H", INT64_C(359999996400000)},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ms = -1;
        assert_true(grpc_timeout_parse(bytes_str(cases[i].text), &ms));
        assert_int_equal(ms, cases[i].ms);
    }
}

static void what_is_not_of_the_form_is_refused(void **state)
{
    static const char *const cases[] = {"",    "S",    "5",          "5s",  "5 S",  "-5S",
                                        "+5S", "5.5S", "123456789S", "5SS", "0x5S", " 5S"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ms = -7;
        assert_false(grpc_timeout_parse(bytes_str(cases[i]), &ms));
        assert_int_equal(ms, -7);
    }
}

static void a_timeout_is_written_in_eight_digits_and_never_shorter(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "0m"},
        {1, "1m"},
        {99999999, "99999999m"},
        {100000000, "100000S"},
        {100000001, "100001S"},
        {INT64_C(99999999000), "99999999S"},
        {INT64_C(99999999001), "27778H"},
        {INT64_MAX, "99999999H"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[GRPC_TIMEOUT_SIZE];
        int64_t back;
        size_t len = grpc_timeout_print(cases[i].ms, out);
        assert_string_equal(out, cases[i].text);
        assert_int_equal(len, strlen(out));
        assert_true(grpc_timeout_parse(bytes_of(out, len), &back));
        assert_true(back >= cases[i].ms || cases[i].ms == INT64_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_unit_is_read_and_rounded_up),
        cmocka_unit_test(what_is_not_of_the_form_is_refused),
        cmocka_unit_test(a_timeout_is_written_in_eight_digits_and_never_shorter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
