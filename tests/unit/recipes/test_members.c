/* Members of JSON objects read in place: what is there, what is not, and text that means harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "recipes/members.h"

static struct buf b;

static int begin(void **state)
{
    (void)state;
    buf_init(&b);
    return 0;
}

static int end(void **state)
{
    (void)state;
    buf_fini(&b);
    return 0;
}

static bool text_is(const char *json, const char *name, const char *wanted)
{
    buf_reset(&b);
    return members_text(bytes_str(json), name, &b) && bytes_equal(buf_bytes(&b), bytes_str(wanted));
}

static void members_are_found_by_name(void **state)
{
    (void)state;
    static const char json[] =
        "{\"a\":{\"b\":\"inner\"},\"b\":\"outer\",\"n\":-9223372036854775808,\"m\":9223372036854775807,"
        "\"l\":[ 1 , {\"x\":2}, \"three\" ]}";
    int64_t n = 0;
    assert_true(members_is_object(bytes_str(json)));
    assert_true(text_is(json, "b", "outer"));
    assert_true(members_int(bytes_str(json), "n", &n));
    assert_true(n == INT64_MIN);
    assert_true(members_int(bytes_str(json), "m", &n));
    assert_true(n == INT64_MAX);
    assert_false(members_int(bytes_str(json), "b", &n));
    assert_false(members_int(bytes_str(json), "none", &n));
    assert_false(text_is(json, "n", "-9223372036854775808"));
}

static void an_array_is_read_item_by_item(void **state)
{
    (void)state;
    bytes array, item;
    size_t at = 0;
    assert_true(members_find(bytes_str("{\"l\":[ 1 , {\"x\":2}, \"three\" ]}"), "l", &array));
    assert_true(members_next_item(array, &at, &item) && bytes_equal(item, bytes_str("1")));
    assert_true(members_next_item(array, &at, &item) && bytes_equal(item, bytes_str("{\"x\":2}")));
    assert_true(members_next_item(array, &at, &item) && bytes_equal(item, bytes_str("\"three\"")));
    assert_false(members_next_item(array, &at, &item));
    at = 0;
    assert_false(members_next_item(bytes_str("[]"), &at, &item));
    assert_false(members_next_item(bytes_str("1"), &at, &item));
}

static void numbers_past_their_bounds_are_none(void **state)
{
    (void)state;
    int64_t n = 7;
    assert_false(members_int(bytes_str("{\"n\":9223372036854775808}"), "n", &n));
    assert_false(members_int(bytes_str("{\"n\":-9223372036854775809}"), "n", &n));
    assert_false(members_int(bytes_str("{\"n\":-}"), "n", &n));
    assert_false(members_int(bytes_str("{\"n\":1e3}"), "n", &n));
    assert_int_equal(n, 7);
}

static void escapes_are_resolved(void **state)
{
    (void)state;
    assert_true(text_is("{\"t\":\"a\\n\\\"\\\\\\/\\u00e4\\ud83d\\ude00\"}", "t", "a\n\"\\/\xc3\xa4\xf0\x9f\x98\x80"));
    assert_false(text_is("{\"t\":\"\\x\"}", "t", "x"));
    assert_false(text_is("{\"t\":\"\\ud83d\"}", "t", ""));
    assert_false(text_is("{\"t\":\"\\ude00\"}", "t", ""));
    assert_false(text_is("{\"t\":\"\\u12\"}", "t", ""));
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    buf_append_bytes(&b, bytes_str("{\"t\":"));
    members_put_text(&b, bytes_of("a\"\\\n\x01\x7f\xc3\xa4", 8));
    buf_append_bytes(&b, bytes_str("}"));
    char json[100];
    memcpy(json, b.data, b.len);
    json[b.len] = 0;
    assert_true(text_is(json, "t", "a\"\\\n\x01\x7f\xc3\xa4"));
    buf_reset(&b);
    members_put_text(&b, bytes_of("\xff", 1));
    assert_true(bytes_equal(buf_bytes(&b), bytes_str("\"\xef\xbf\xbd\"")));
}

static void what_ends_too_early_is_no_object(void **state)
{
    (void)state;
    static const char whole[] = " {\"a\":[1,{\"b\":\"c\\\"\"}],\"d\":-1} ";
    bytes out;
    for (size_t i = 0; i < sizeof whole - 3; i++)
        assert_false(members_is_object(bytes_of(whole, i)));
    assert_true(members_is_object(bytes_str(whole)));
    assert_false(members_is_object(bytes_str("{\"a\":[1}")));
    assert_false(members_is_object(bytes_str("{\"a\" 1}")));
    assert_false(members_is_object(bytes_str("{,\"a\":1}")));
    assert_false(members_is_object(bytes_str("{\"a\":1,}")));
    assert_false(members_is_object(bytes_of(NULL, 0)));
    assert_false(members_find(bytes_str("[\"a\",1]"), "a", &out));
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    char json[200] = "{\"a\":";
    for (int i = 0; i < 40; i++)
        strcat(json, "[");
    assert_false(members_is_object(bytes_str(json)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(members_are_found_by_name, begin, end),
        cmocka_unit_test(an_array_is_read_item_by_item),
        cmocka_unit_test(numbers_past_their_bounds_are_none),
        cmocka_unit_test_setup_teardown(escapes_are_resolved, begin, end),
        cmocka_unit_test_setup_teardown(what_is_written_is_read_again, begin, end),
        cmocka_unit_test(what_ends_too_early_is_no_object),
        cmocka_unit_test(nesting_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
