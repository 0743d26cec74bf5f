/* A configuration as one JSON value, and changes that settle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "cli/conf_tree.h"
#include "cli/settle.h"

#define ENTRY(k, v)                                                                                                    \
    {                                                                                                                  \
        .key = k, .value = v, .value_len = sizeof v - 1                                                                \
    }

static void is_tree(const struct tenure_config_entry *entries, size_t n, const char *keys, const char *wanted)
{
    const struct tenure_config_list list = {.n = n, .entries = entries};
    json_t *j = conf_tree(&list, keys);
    char *text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, wanted);
    free(text);
    json_decref(j);
}

static void keys_are_paths(void **state)
{
    const struct tenure_config_entry e[] = {ENTRY("b/db/pool/min", "1"), ENTRY("b/db/url", "u"), ENTRY("b/x", "")};
    (void)state;
    is_tree(e, 3, "b/", "{\"db\":{\"pool\":{\"min\":\"1\"},\"url\":\"u\"},\"x\":\"\"}");
    is_tree(e, 3, "", "{\"b\":{\"db\":{\"pool\":{\"min\":\"1\"},\"url\":\"u\"},\"x\":\"\"}}");
    is_tree(e, 0, "", "{}");
}

static void a_key_with_others_below_it_keeps_its_value(void **state)
{
    const struct tenure_config_entry e[] = {ENTRY("a", "own"), ENTRY("a/b", "1"), ENTRY("a/b/c", "2")},
                                     turned[] = {ENTRY("a/b", "1"), ENTRY("a", "own")};
    (void)state;
    is_tree(e, 3, "", "{\"a\":{\"\":\"own\",\"b\":{\"\":\"1\",\"c\":\"2\"}}}");
    is_tree(turned, 2, "", "{\"a\":{\"\":\"own\",\"b\":\"1\"}}");
}

static void what_cannot_be_used_is_not_in_it(void **state)
{
    struct tenure_config_entry e[] = {ENTRY("a", "sealed:v1:x"), ENTRY("b", "1")};
    (void)state;
    e[0].problem = "sealed";
    is_tree(e, 2, "", "{\"b\":\"1\"}");
}

static void changes_settle_when_it_is_quiet_or_at_the_latest(void **state)
{
    struct settle s;
    (void)state;
    settle_init(&s, 100, 250);
    assert_int_equal(settle_due_ms(&s), INT64_MAX);
    assert_false(settle_take(&s, 5000));
    settle_change(&s, 1000);
    assert_int_equal(settle_due_ms(&s), 1100);
    settle_change(&s, 1090);
    assert_false(settle_take(&s, 1100));
    assert_true(settle_take(&s, 1190));
    assert_int_equal(settle_due_ms(&s), INT64_MAX);
    for (int64_t t = 2000; t <= 2200; t += 50)
        settle_change(&s, t);
    assert_int_equal(settle_due_ms(&s), 2250);
    assert_true(settle_take(&s, 2250));
    settle_init(&s, 0, -1);
    settle_change(&s, 7);
    assert_true(settle_take(&s, 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_paths),
        cmocka_unit_test(a_key_with_others_below_it_keeps_its_value),
        cmocka_unit_test(what_cannot_be_used_is_not_in_it),
        cmocka_unit_test(changes_settle_when_it_is_quiet_or_at_the_latest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
