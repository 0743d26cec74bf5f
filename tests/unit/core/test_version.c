/* Versions by their first two numbers. */
#include "cases.h"

#include "core/version.h"

static void assert_version(const char *text, int64_t major, int64_t minor)
{
    struct version_pair v;
    if (!version_parse(bytes_str(text), &v) || v.major != major || v.minor != minor)
        fail_msg("'%s'", text);
}

static void two_numbers_count_and_the_rest_must_be_well_formed(void **state)
{
    (void)state;
    assert_version("3.6", 3, 6);
    assert_version("3.6.0", 3, 6);
    assert_version("13.16.99", 13, 16);
    assert_version("3.6.1-rc.0+build-5", 3, 6);
    assert_version("3.6.1+x", 3, 6);
}

static void everything_else_is_no_version(void **state)
{
    static const char *const bad[] = {
        "",       "3",       "3.",   ".6",   "3.6.",   "3.6.0.0", "v3.6",
        "3.6.1-", "3.6.1-$", "3.6 ", "3.-6", "3.6-rc", "3.x.1",   "99999999999999999999.1"};
    struct version_pair v;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (version_parse(bytes_str(bad[i]), &v))
            fail_msg("taken: '%s'", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_numbers_count_and_the_rest_must_be_well_formed),
        cmocka_unit_test(everything_else_is_no_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
