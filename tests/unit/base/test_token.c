/* token: digits alone, from 1 to the greatest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/token.h"

static void numbers_from_one_on_are_tokens(void **state)
{
    (void)state;
    int64_t token;
    assert_true(token_parse(bytes_str("1"), &token));
    assert_int_equal(token, 1);
    assert_true(token_parse(bytes_str("00090344"), &token));
    assert_int_equal(token, 90344);
    assert_true(token_parse(bytes_str("9223372036854775807"), &token));
    assert_true(token == INT64_MAX);
}

static void nothing_else_is(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "0",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "0x1",
                                      "1.0",
                                      "1e3",
                                      "9223372036854775808",
                                      "99999999999999999999",
                                      "a",
                                      "1,2",
                                      "7f1b6d1c-0000-4000-8000-000000000000"};
    int64_t token = 5;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(token_parse(bytes_str(bad[i]), &token));
    assert_int_equal(token, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_from_one_on_are_tokens),
        cmocka_unit_test(nothing_else_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
