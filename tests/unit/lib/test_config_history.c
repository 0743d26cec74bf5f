/* Records of a configuration's versions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "lib/config_history.h"

static void a_record_is_read_as_it_was_written(void **state)
{
    struct config_record r = {.value = bytes_of("a\xff\0", 3), .was = 7, .at_ms = 9, .who = "ann@db", .id = "x"}, got;
    struct arena a;
    (void)state;
    arena_init(&a, 0);
    char *text = config_record_write(&r);
    assert_true(config_record_read(bytes_str(text), &a, &got));
    assert_true(bytes_equal(got.value, r.value));
    assert_int_equal(got.was, 7);
    assert_int_equal(got.at_ms, 9);
    assert_string_equal(got.who, "ann@db");
    assert_null(got.comment);
    free(text);
    r.value = bytes_of("é", 2);
    text = config_record_write(&r);
    assert_non_null(strstr(text, "\"value\":\"é\""));
    assert_true(config_record_read(bytes_str(text), &a, &got));
    assert_string_equal((const char *)got.value.data, "é");
    free(text);
    r = (struct config_record){.comment = "gone"};
    text = config_record_write(&r);
    assert_true(config_record_read(bytes_str(text), &a, &got));
    assert_null(got.value.data);
    free(text);
    arena_fini(&a);
}

static void what_anybody_may_have_written_is_not_believed(void **state)
{
    static const char *const bad[] = {"", "{", "[]", "{}", "{\"value\": 1}", "{\"hex\": \"0\"}", "{\"hex\": \"zz\"}"};
    struct config_record got;
    struct arena a;
    (void)state;
    arena_init(&a, 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(config_record_read(bytes_str(bad[i]), &a, &got));
    arena_fini(&a);
}

static void versions_are_numbers_of_sixteen_digits(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a, 0);
    const char *key = config_version_key(&a, "/h/@/", 42);
    assert_string_equal(key, "/h/@/0000000000000042");
    assert_int_equal(config_version_of(bytes_str(key), 5), 42);
    assert_int_equal(config_version_of(bytes_str("/h/@/000000000000004x"), 5), 0);
    assert_int_equal(config_version_of(bytes_str("/h/@/42"), 5), 0);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_read_as_it_was_written),
        cmocka_unit_test(what_anybody_may_have_written_is_not_believed),
        cmocka_unit_test(versions_are_numbers_of_sixteen_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
