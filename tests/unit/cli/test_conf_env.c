/* Environment variables from a configuration: names, twins, what cannot be one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/conf_env.h"

static struct tenure_error err;

#define ENTRY(k, v)                                                                                                    \
    {                                                                                                                  \
        .key = k, .value = v, .value_len = sizeof v - 1                                                                \
    }

static int make(struct conf_env *e, const struct tenure_config_entry *entries, size_t n, bool upcase)
{
    struct tenure_config_list list = {.n = n, .entries = entries};
    return conf_env_make(e, &list, "billing/", upcase, &err);
}

static void names_are_what_a_shell_takes(void **state)
{
    const struct tenure_config_entry entries[] = {ENTRY("billing/2nd", "a"), ENTRY("billing/db/max-conn", "b"),
                                                  ENTRY("billing/\xc3\xa9x.y", "c")};
    struct conf_env e;
    (void)state;
    assert_int_equal(make(&e, entries, 3, false), 0);
    assert_string_equal(e.all[0].name, "_2nd");
    assert_string_equal(e.all[1].name, "db_max_conn");
    assert_string_equal(e.all[1].value, "b");
    assert_string_equal(e.all[2].name, "__x_y");
    assert_null(e.all[3].name);
    conf_env_fini(&e);
    assert_int_equal(make(&e, entries, 3, true), 0);
    assert_string_equal(e.all[1].name, "DB_MAX_CONN");
    conf_env_fini(&e);
}

static void two_keys_of_one_name_are_refused(void **state)
{
    const struct tenure_config_entry entries[] = {ENTRY("billing/a-b", "1"), ENTRY("billing/a/b", "2")},
                                     capitals[] = {ENTRY("billing/A", "1"), ENTRY("billing/a", "2")};
    struct conf_env e;
    (void)state;
    assert_int_equal(make(&e, entries, 2, false), TENURE_EINVALID);
    assert_string_equal(err.text, "billing/a-b and billing/a/b would both be the variable a_b");
    assert_int_equal(make(&e, capitals, 2, true), TENURE_EINVALID);
    assert_int_equal(make(&e, capitals, 2, false), 0);
    conf_env_fini(&e);
}

static void what_no_variable_can_have_is_refused(void **state)
{
    struct tenure_config_entry entries[] = {ENTRY("billing/a", "1"), ENTRY("billing/b", "2\0003")};
    struct conf_env e;
    (void)state;
    assert_int_equal(make(&e, entries, 2, false), TENURE_EINVALID);
    assert_non_null(strstr(err.text, "billing/b"));
    entries[0].problem = "sealed, and no key";
    assert_int_equal(make(&e, entries, 1, false), TENURE_EDENIED);
    assert_string_equal(err.text, "billing/a: sealed, and no key");
}

static void environments_are_compared(void **state)
{
    const struct tenure_config_entry a[] = {ENTRY("billing/a", "1"), ENTRY("billing/b", "2")},
                                     b[] = {ENTRY("billing/a", "1"), ENTRY("billing/b", "3")};
    struct conf_env ea, eb, ec, none;
    (void)state;
    assert_int_equal(make(&ea, a, 2, false), 0);
    assert_int_equal(make(&eb, b, 2, false), 0);
    assert_int_equal(make(&ec, a, 1, false), 0);
    assert_int_equal(make(&none, a, 0, false), 0);
    assert_true(conf_env_equal(&ea, &ea));
    assert_false(conf_env_equal(&ea, &eb));
    assert_false(conf_env_equal(&ea, &ec));
    assert_false(conf_env_equal(&ec, &none));
    assert_null(none.all[0].name);
    conf_env_fini(&ea);
    conf_env_fini(&eb);
    conf_env_fini(&ec);
    conf_env_fini(&none);
    conf_env_fini(&(struct conf_env){0});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_what_a_shell_takes),
        cmocka_unit_test(two_keys_of_one_name_are_refused),
        cmocka_unit_test(what_no_variable_can_have_is_refused),
        cmocka_unit_test(environments_are_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
