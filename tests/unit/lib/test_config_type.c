/* Texts of values, and what they mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/config_type.h"

#define B(s) bytes_of(s, sizeof(s) - 1)

static void whole_numbers(void **state)
{
    int64_t n = 0;
    (void)state;
    assert_true(config_type_int(B("12"), &n) && n == 12);
    assert_true(config_type_int(B(" -7\n"), &n) && n == -7);
    assert_true(config_type_int(B("0x1f"), &n) && n == 31);
    assert_true(config_type_int(B("010"), &n) && n == 10);
    assert_true(config_type_int(B("9223372036854775807"), &n) && n == INT64_MAX);
    assert_false(config_type_int(B("9223372036854775808"), &n));
    assert_false(config_type_int(B(""), &n));
    assert_false(config_type_int(B("- 1"), &n));
    assert_false(config_type_int(B("1.0"), &n));
    assert_false(config_type_int(B("1\0"), &n));
    assert_false(config_type_int(B("12 apples"), &n));
}

static void numbers(void **state)
{
    double d = 0;
    (void)state;
    assert_true(config_type_float(B("2.5"), &d) && d == 2.5);
    assert_true(config_type_float(B("-1e3"), &d) && d == -1000);
    assert_true(config_type_float(B(".5"), &d) && d == 0.5);
    assert_false(config_type_float(B("nan"), &d));
    assert_false(config_type_float(B("inf"), &d));
    assert_false(config_type_float(B("0x10"), &d));
    assert_false(config_type_float(B("1e999"), &d));
    assert_false(config_type_float(B("1e"), &d));
    assert_false(config_type_float(B("2,5"), &d));
    assert_false(config_type_float(B("."), &d));
}

static void truths(void **state)
{
    bool b = false;
    (void)state;
    assert_true(config_type_bool(B("TRUE"), &b) && b);
    assert_true(config_type_bool(B("on"), &b) && b);
    assert_true(config_type_bool(B("1"), &b) && b);
    assert_true(config_type_bool(B("No"), &b) && !b);
    assert_true(config_type_bool(B("0"), &b) && !b);
    assert_false(config_type_bool(B("2"), &b));
    assert_false(config_type_bool(B(""), &b));
    assert_false(config_type_bool(B("yess"), &b));
}

static void times(void **state)
{
    int64_t ms = 0;
    (void)state;
    assert_true(config_type_duration(B("250ms"), &ms) && ms == 250);
    assert_true(config_type_duration(B("1h30m"), &ms) && ms == 5400000);
    assert_true(config_type_duration(B("1.5s"), &ms) && ms == 1500);
    assert_true(config_type_duration(B("2d"), &ms) && ms == 172800000);
    assert_true(config_type_duration(B("-3s"), &ms) && ms == -3000);
    assert_true(config_type_duration(B("999us"), &ms) && ms == 0);
    assert_true(config_type_duration(B("0"), &ms) && ms == 0);
    assert_true(config_type_duration(B("1.999999999d"), &ms) && ms > 172799000 - 864000);
    assert_false(config_type_duration(B("10"), &ms));
    assert_false(config_type_duration(B("10 s"), &ms));
    assert_false(config_type_duration(B("s"), &ms));
    assert_false(config_type_duration(B("1w"), &ms));
    assert_false(config_type_duration(B("1.s"), &ms));
    assert_false(config_type_duration(B("999999999999d"), &ms));
}

static void sizes(void **state)
{
    int64_t n = 0;
    (void)state;
    assert_true(config_type_size(B("512"), &n) && n == 512);
    assert_true(config_type_size(B("64KiB"), &n) && n == 65536);
    assert_true(config_type_size(B("1.5 GiB"), &n) && n == 1610612736);
    assert_true(config_type_size(B("10MB"), &n) && n == 10000000);
    assert_true(config_type_size(B("2G"), &n) && n == (int64_t)2 << 30);
    assert_false(config_type_size(B("-1"), &n));
    assert_false(config_type_size(B("1XB"), &n));
    assert_false(config_type_size(B("9999999999T"), &n));
    assert_false(config_type_size(B("KB"), &n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers), cmocka_unit_test(numbers), cmocka_unit_test(truths),
        cmocka_unit_test(times),         cmocka_unit_test(sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
