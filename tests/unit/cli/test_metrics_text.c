/* Numbers and quantiles in the text of /metrics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/scrape.h"

static void numbers_are_found_by_their_names(void **state)
{
    double v = 7;
    (void)state;
    assert_true(metrics_number("# TYPE a gauge\na 12\nab 13", "a", &v));
    assert_true(v == 12);
    assert_true(metrics_number("ab 13\na 1.25e+06", "a", &v));
    assert_true(v == 1250000);
    assert_false(metrics_number("# a 12\nab 13\na{x=\"y\"} 4\n a 9", "a", &v));
    assert_false(metrics_number("", "a", &v));
}

#define HEAD "# HELP x_seconds A.\n# TYPE x_seconds histogram\n"

static void a_quantile_lies_within_its_bucket(void **state)
{
    static const struct {
        const char *text;
        double wanted, count;
    } rows[] = {
        /* all below 1 ms: spread evenly */
        {HEAD
         "x_seconds_bucket{le=\"0.001\"} 100\nx_seconds_bucket{le=\"0.002\"} 100\nx_seconds_bucket{le=\"+Inf\"} 100\n"
         "x_seconds_sum 1\nx_seconds_count 100\n",
         0.00099, 100},
        /* the last two of 100 are between 8 and 16 ms */
        {HEAD
         "x_seconds_bucket{le=\"0.008\"} 98\nx_seconds_bucket{le=\"0.016\"} 100\nx_seconds_bucket{le=\"+Inf\"} 100\n",
         0.012, 100},
        /* beyond the last bound */
        {HEAD
         "x_seconds_bucket{le=\"0.008\"} 10\nx_seconds_bucket{le=\"8.192\"} 20\nx_seconds_bucket{le=\"+Inf\"} 1000\n",
         8.192, 1000},
        {HEAD "x_seconds_bucket{le=\"0.5\"} 1e+06\nx_seconds_bucket{le=\"+Inf\"} 1e+06", 0.495, 1000000},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double v = -1, count = -1;
        assert_true(metrics_quantile(rows[i].text, "x_seconds", 0.99, &v, &count));
        assert_true(v > rows[i].wanted - 1e-9 && v < rows[i].wanted + 1e-9);
        assert_true(count == rows[i].count);
    }
}

static void what_counted_nothing_has_none(void **state)
{
    static const char *const rows[] = {
        "",
        "x_seconds_bucket{le=\"0.5\"} 0\nx_seconds_bucket{le=\"+Inf\"} 0\n",
        "xx_seconds_bucket{le=\"0.5\"} 5\n",
        "x_seconds_bucket{le=\"0.5",
        "x_seconds_bucket{le=\"0.5\"}",
        "x_seconds_bucket{le=\"0.5\"} NaN\n",
        "x_seconds_bucket{le=\"0.5\"} -4\n",
        "x_seconds_count 5\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double v, count;
        assert_false(metrics_quantile(rows[i], "x_seconds", 0.99, &v, &count));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_found_by_their_names),
        cmocka_unit_test(a_quantile_lies_within_its_bucket),
        cmocka_unit_test(what_counted_nothing_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
