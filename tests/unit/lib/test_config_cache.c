/* The last-known-good copy of a configuration, as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "lib/config_cache.h"

static char *copy(void)
{
    struct kv a = {.key = bytes_str("/a"), .value = bytes_of("x\xff", 2), .mod_revision = 3},
              b = {.key = bytes_str("/b"), .value = bytes_str("\"1\""), .mod_revision = 4},
              c = {.key = bytes_str("//b"), .value = bytes_str("sealed:v1:x"), .mod_revision = 5};
    const struct kv *low[] = {&a, &b}, *high[] = {&c};
    struct config_run runs[] = {{TENURE_CONFIG_DEFAULT, 1, low, 2}, {TENURE_CONFIG_INSTANCE, 2, high, 1}};
    char *text = config_cache_write("the view", 9, 77, runs, 2);
    assert_non_null(text);
    return text;
}

static void what_was_written_is_read(void **state)
{
    struct tenure_config_list *l = NULL;
    struct tenure_error err;
    int64_t written = 0;
    (void)state;
    char *text = copy();
    assert_int_equal(config_cache_read(bytes_str(text), "the view", NULL, &l, &written, &err), 0);
    assert_int_equal(written, 77);
    assert_int_equal(l->revision, 9);
    assert_int_equal(l->n, 2);
    assert_int_equal(l->entries[0].value_len, 2);
    assert_memory_equal(l->entries[0].value, "x\xff", 2);
    assert_int_equal(l->entries[0].revision, 3);
    assert_int_equal(l->entries[1].layer, TENURE_CONFIG_INSTANCE);
    assert_true(l->entries[1].is_sealed);
    assert_string_equal(l->entries[1].layers[0].value, "\"1\"");
    tenure_config_list_free(l);
    assert_int_equal(config_cache_read(bytes_str(text), "another", NULL, &l, &written, &err), TENURE_ECORRUPT);
    free(text);
}

static void no_changed_byte_and_no_missing_one_is_taken(void **state)
{
    struct tenure_config_list *l = NULL;
    struct tenure_error err;
    int64_t written;
    (void)state;
    char *text = copy();
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(config_cache_read(bytes_of(text, i), "the view", NULL, &l, &written, &err), TENURE_ECORRUPT);
        text[i] ^= 1;
        int rc = config_cache_read(bytes_of(text, len), "the view", NULL, &l, &written, &err);
        assert_int_equal(rc, TENURE_ECORRUPT);
        text[i] ^= 1;
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(no_changed_byte_and_no_missing_one_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
