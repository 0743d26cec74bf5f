/* Transactions as text: words, compares, operations, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "cli/txn_text.h"

static char line[512];
static char *word[TXN_WORDS_MAX + 1];
static size_t len[TXN_WORDS_MAX];
static const char *why;

static int split(const char *text)
{
    snprintf(line, sizeof line, "%s", text);
    why = NULL;
    return txn_words(line, word, len, &why);
}

static void words_are_cut(void **state)
{
    (void)state;
    assert_int_equal(split("  put a  'b c' \"d \\\"e\\\"\"\tx'y'z\n"), 5);
    assert_string_equal(word[0], "put");
    assert_string_equal(word[1], "a");
    assert_string_equal(word[2], "b c");
    assert_string_equal(word[3], "d \"e\"");
    assert_string_equal(word[4], "xyz");
    assert_null(word[5]);
    assert_int_equal(split(""), 0);
    assert_int_equal(split("''"), 1);
    assert_int_equal(len[0], 0);
}

static void escapes_mean_what_go_means(void **state)
{
    (void)state;
    assert_int_equal(split("\"\\n\\t\\\\\\x00\\x7f\\u00e9\\u20ac\" '\\n'"), 2);
    assert_int_equal(len[0], 10);
    assert_memory_equal(word[0], "\n\t\\\0\x7f\xc3\xa9\xe2\x82\xac", 10);
    assert_string_equal(word[1], "\\n");
}

static void bad_words_are_refused(void **state)
{
    static const char *const bad[] = {"'a",       "\"a",         "\"a\\\"",   "\"\\q\"",
                                      "\"\\x0\"", "\"\\ud800\"", "\"\\u12\"", "\"\\"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(split(bad[i]), -1);
        assert_non_null(why);
    }
    char *p = line;
    for (int i = 0; i <= TXN_WORDS_MAX; i++)
        p += sprintf(p, "w ");
    assert_int_equal(txn_words(line, word, len, &why), -1);
    assert_string_equal(why, "more than 32 words");
}

static bool compare(const char *text, struct tenure_compare *ret)
{
    snprintf(line, sizeof line, "%s", text);
    why = NULL;
    return txn_compare(line, ret, &why);
}

static void compares_are_read(void **state)
{
    static const struct {
        const char *text;
        enum tenure_target target;
        enum tenure_cmp cmp;
        const char *key;
        int64_t number;
    } cases[] = {
        {"mod(\"a\") = \"5\"", TENURE_TARGET_MOD, TENURE_EQ, "a", 5},
        {"m(a) > 5\n", TENURE_TARGET_MOD, TENURE_GT, "a", 5},
        {"create(\"a)b\") < \"7\"", TENURE_TARGET_CREATE, TENURE_LT, "a)b", 7},
        {"c('a\\') != -1", TENURE_TARGET_CREATE, TENURE_NE, "a\\", -1},
        {"  ver(\"\\\")\") = 0", TENURE_TARGET_VERSION, TENURE_EQ, "\")", 0},
        {"version(a)=x", TENURE_TARGET_VERSION, TENURE_EQ, NULL, 0},
        {"lease(a) = 694d77aa9e38260f", TENURE_TARGET_LEASE, TENURE_EQ, "a", 0x694d77aa9e38260f},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tenure_compare c;
        assert_int_equal(compare(cases[i].text, &c), cases[i].key != NULL);
        if (!cases[i].key)
            continue;
        assert_int_equal(c.target, cases[i].target);
        assert_int_equal(c.cmp, cases[i].cmp);
        assert_int_equal(c.key.len, strlen(cases[i].key));
        assert_memory_equal(c.key.data, cases[i].key, c.key.len);
        assert_int_equal(c.number, cases[i].number);
    }
}

static void values_are_bytes(void **state)
{
    struct tenure_compare c;
    (void)state;
    assert_true(compare("value(a) = \"x\\x00y\"", &c));
    assert_int_equal(c.target, TENURE_TARGET_VALUE);
    assert_int_equal(c.value.len, 3);
    assert_memory_equal(c.value.data, "x\0y", 3);
}

static void bad_compares_say_what_was_expected(void **state)
{
    static const char *const bad[] = {"",
                                      "mod",
                                      "mod(",
                                      "mod(a",
                                      "mode(a) = 1",
                                      "mod() = 1",
                                      "mod(a b) = 1",
                                      "mod(a) = x",
                                      "mod(a) = 1x",
                                      "mod(a) == 1",
                                      "mod(a) =",
                                      "mod(a) = 1 2",
                                      "mod(a)",
                                      "lease(a) = g",
                                      "mod(a) = 99999999999999999999",
                                      "value(a) = 'x"};
    struct tenure_compare c;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(compare(bad[i], &c));
        assert_non_null(why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_cut),         cmocka_unit_test(escapes_mean_what_go_means),
        cmocka_unit_test(bad_words_are_refused), cmocka_unit_test(compares_are_read),
        cmocka_unit_test(values_are_bytes),      cmocka_unit_test(bad_compares_say_what_was_expected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
