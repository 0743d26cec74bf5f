/* Lists of configuration entries: layers made one, what is the same taken over, differences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/config_list.h"

static struct kv kv(const char *key, const char *value, tn_rev revision)
{
    return (struct kv){.key = bytes_str(key), .value = bytes_str(value), .mod_revision = revision};
}

static struct tenure_config_list *merged(const struct tenure_config_list *old, int64_t revision, const struct kv *low,
                                         size_t n_low, const struct kv *high, size_t n_high)
{
    const struct kv *lows[8], *highs[8];
    for (size_t i = 0; i < n_low; i++)
        lows[i] = &low[i];
    for (size_t i = 0; i < n_high; i++)
        highs[i] = &high[i];
    struct config_run runs[] = {{TENURE_CONFIG_DEFAULT, 1, lows, n_low}, {TENURE_CONFIG_SERVICE, 2, highs, n_high}};
    return config_list_merge(old, revision, runs, 2, NULL);
}

static void the_higher_layer_counts_and_keys_that_are_none_are_passed_over(void **state)
{
    struct kv low[] = {kv("/@x", "0", 1), kv("/a", "1", 2), kv("/a//b", "0", 3), kv("/c", "3", 4)};
    struct kv high[] = {kv("//a", "5", 5), kv("//b", "6", 6)};
    (void)state;
    struct tenure_config_list *l = merged(NULL, 9, low, 4, high, 2);
    assert_int_equal(l->n, 3);
    assert_int_equal(l->revision, 9);
    assert_string_equal(l->entries[0].key, "a");
    assert_string_equal(l->entries[0].value, "5");
    assert_int_equal(l->entries[0].revision, 5);
    assert_int_equal(l->entries[0].n_layers, 2);
    assert_int_equal(l->entries[0].layers[0].revision, 2);
    assert_int_equal(l->entries[1].layer, TENURE_CONFIG_SERVICE);
    assert_ptr_equal(tenure_config_find(l, "c"), &l->entries[2]);
    assert_null(tenure_config_find(l, "d"));
    tenure_config_list_free(l);
}

static void what_is_as_it_was_is_taken_over(void **state)
{
    struct kv low[] = {kv("/a", "1", 2), kv("/b", "3", 4)};
    struct kv high[] = {kv("//b", "5", 5)};
    (void)state;
    struct tenure_config_list *one = merged(NULL, 9, low, 2, high, 1);
    low[1] = kv("/b", "4", 10); /* beneath what counts */
    struct tenure_config_list *two = merged(one, 10, low, 2, high, 1);
    assert_ptr_equal(one->entries[0].value, two->entries[0].value);
    assert_ptr_not_equal(one->entries[1].value, two->entries[1].value);
    struct tenure_config_differences *d;
    assert_int_equal(tenure_config_diff(one, two, &d, NULL), 0);
    assert_int_equal(d->n, 0); /* the value is the same */
    tenure_config_differences_free(d);
    low[0] = kv("/a", "x", 2); /* another store, put back to an older state */
    struct tenure_config_list *three = merged(two, 11, low, 2, NULL, 0);
    assert_int_equal(tenure_config_diff(two, three, &d, NULL), 0);
    assert_int_equal(d->n, 2);
    assert_string_equal(d->changes[0].now->value, "x");
    assert_string_equal(d->changes[1].was->value, "5");
    tenure_config_differences_free(d);
    tenure_config_list_free(one); /* the others keep what they have */
    tenure_config_list_free(two);
    assert_string_equal(three->entries[0].value, "x");
    tenure_config_list_free(three);
}

static void a_sealed_value_without_a_key_has_a_problem(void **state)
{
    struct kv low[] = {kv("/a", "sealed:v1:AAAA", 2)};
    (void)state;
    struct tenure_config_list *l = merged(NULL, 9, low, 1, NULL, 0);
    assert_true(l->entries[0].is_sealed);
    assert_non_null(strstr(l->entries[0].problem, "\"a\""));
    assert_string_equal(l->entries[0].value, "sealed:v1:AAAA");
    tenure_config_list_free(l);
}

static void pairs_are_sorted_and_no_key_is_there_twice(void **state)
{
    struct config_pair pairs[] = {{"b", "2", 1}, {"a", "1", 1}}, twice[] = {{"a", "2", 1}, {"a", "1", 1}};
    struct tenure_config_list *l;
    struct tenure_error err;
    (void)state;
    assert_int_equal(config_list_of(pairs, 2, &l, &err), 0);
    assert_string_equal(l->entries[0].key, "a");
    tenure_config_list_free(l);
    assert_int_equal(config_list_of(twice, 2, &l, &err), TENURE_EINVALID);
    assert_int_equal(config_list_of(NULL, 0, &l, &err), 0);
    assert_int_equal(l->n, 0);
    tenure_config_list_free(l);
}

static void the_global_layer_counts_where_no_other_has_the_key(void **state)
{
    struct kv all[] = {kv("a", "g", 9), kv("b", "g", 9)}, own = kv("a", "d", 3);
    const struct kv *globals[] = {&all[0], &all[1]}, *owns[] = {&own};
    struct config_run runs[] = {{TENURE_CONFIG_DEFAULT, 0, owns, 1}, {TENURE_CONFIG_GLOBAL, 0, globals, 2}};
    (void)state;
    struct tenure_config_list *l = config_list_merge(NULL, 10, runs, 2, NULL);
    assert_non_null(l);
    assert_int_equal(l->n, 2);
    assert_string_equal(l->entries[0].value, "d");
    assert_int_equal(l->entries[0].layer, TENURE_CONFIG_DEFAULT);
    assert_int_equal(l->entries[0].layers[0].layer, TENURE_CONFIG_GLOBAL);
    assert_string_equal(l->entries[1].value, "g");
    assert_int_equal(l->entries[1].layer, TENURE_CONFIG_GLOBAL);
    struct tenure_config_list *again = config_list_merge(l, 11, runs, 2, NULL);
    assert_ptr_equal(again->entries[0].value, l->entries[0].value); /* nothing was made anew */
    tenure_config_list_free(again);
    tenure_config_list_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_global_layer_counts_where_no_other_has_the_key),
        cmocka_unit_test(the_higher_layer_counts_and_keys_that_are_none_are_passed_over),
        cmocka_unit_test(what_is_as_it_was_is_taken_over),
        cmocka_unit_test(a_sealed_value_without_a_key_has_a_problem),
        cmocka_unit_test(pairs_are_sorted_and_no_key_is_there_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
