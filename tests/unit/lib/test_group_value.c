/* What members' keys say, and what is made of values that others wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/group_value.h"

static void comes_back_as(const char *data, const char *wanted)
{
    struct group_words w;
    char *value = group_value_new(data, INT64_C(1700000000000));
    assert_non_null(value);
    group_value_read(bytes_str(value), &w);
    assert_string_equal(w.data, wanted);
    assert_int_equal(w.pid, getpid());
    assert_true(w.since_ms > INT64_C(1600000000000));
    assert_non_null(w.host);
    group_words_fini(&w);
    free(value);
}

static void data_comes_back(void **state)
{
    (void)state;
    comes_back_as(NULL, "");
    comes_back_as("", "");
    comes_back_as("say \"hi\"\n\xc3\xa9", "say \"hi\"\n\xc3\xa9");
    comes_back_as("{\"port\": 80}", "{\"port\":80}");
    comes_back_as("[1, 2]", "[1,2]");
    comes_back_as("{no JSON", "{no JSON");
    comes_back_as("12", "12");
    char *value = group_value_new("{\"port\": 80}", 1700000000000);
    assert_non_null(strstr(value, "\"since\":1700000000000,\"data\":{\"port\":80}"));
    free(value);
}

static void only_text_fits(void **state)
{
    (void)state;
    assert_true(group_data_fits(NULL));
    assert_true(group_data_fits("\xc3\xa9"));
    assert_false(group_data_fits("a\xff"));
    assert_false(group_data_fits("\xc3"));
}

static void says_nothing(const char *value)
{
    struct group_words w;
    group_value_read(bytes_str(value), &w);
    assert_null(w.host);
    assert_null(w.data);
    assert_int_equal(w.pid, 0);
    assert_int_equal(w.since_ms, 0);
    group_words_fini(&w);
}

static void other_values_say_nothing(void **state)
{
    (void)state;
    says_nothing("");
    says_nothing("10.0.0.1");
    says_nothing("{");
    says_nothing("[]");
    says_nothing("{}");
    says_nothing("{\"host\":1,\"pid\":\"x\",\"since\":[]}");
    says_nothing("{\"host\":\"a\"}x");
    char *much = malloc((1 << 20) + 10);
    memset(much, '{', (1 << 20) + 9);
    much[(1 << 20) + 9] = 0;
    says_nothing(much);
    free(much);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_comes_back),
        cmocka_unit_test(only_text_fits),
        cmocka_unit_test(other_values_say_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
