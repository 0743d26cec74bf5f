/* Where JSON values end, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/json_scan.h"

static void values_end_where_they_end(void **state)
{
    static const struct {
        const char *text;
        size_t used;
    } good[] = {
        {"{}", 2},    {" \n{} {}", 4},      {"[1,2]]", 5},      {"\"a\\\"b\" ", 6},
        {"true,", 4}, {"12 ", 2},           {"-0.5e+10]", 8},   {"{\"a\":[{},{\"b\":null}]}x", 21},
        {"0,", 1},    {"{\"}\":\"]\"}", 9}, {"[[[]],[ ]]", 10}, {"\"\\u00eF\"", 8},
    };
    struct json_scan s;
    size_t used;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        json_scan_init(&s);
        assert_int_equal(json_scan(&s, bytes_str(good[i].text), &used), JSON_WHOLE);
        assert_int_equal(used, good[i].used);
    }
}

static void it_is_the_same_byte_by_byte(void **state)
{
    static const char text[] = "{\"a\":[1.5e-3,true,false,null,\"\\n\\u0041\"],\"b\":{}}";
    struct json_scan s;
    size_t used;
    (void)state;
    json_scan_init(&s);
    for (size_t i = 0; i < sizeof text - 2; i++) {
        assert_int_equal(json_scan(&s, bytes_of(text + i, 1), &used), JSON_MORE);
        assert_int_equal(used, 1);
    }
    assert_int_equal(json_scan(&s, bytes_of(text + sizeof text - 2, 1), &used), JSON_WHOLE);
}

static void bad_syntax_is_told_in_gos_words(void **state)
{
    static const struct {
        const char *text, *error;
    } bad[] = {
        {"x", "invalid character 'x' looking for beginning of value"},
        {"{x", "invalid character 'x' looking for beginning of object key string"},
        {"{\"a\":1,}", "invalid character '}' looking for beginning of object key string"},
        {"{\"a\" 1", "invalid character '1' after object key"},
        {"{\"a\":1 1", "invalid character '1' after object key:value pair"},
        {"[1 2", "invalid character '2' after array element"},
        {"[1,]", "invalid character ']' looking for beginning of value"},
        {"\"\n", "invalid character '\\n' in string literal"},
        {"\"\\x", "invalid character 'x' in string escape code"},
        {"\"\\u12g", "invalid character 'g' in \\u hexadecimal character escape"},
        {"tru ", "invalid character ' ' in literal true (expecting 'e')"},
        {"-x", "invalid character 'x' in numeric literal"},
        {"1.x", "invalid character 'x' after decimal point in numeric literal"},
        {"1ex", "invalid character 'x' in exponent of numeric literal"},
        {"[01", "invalid character '1' after array element"},
        {"\x80", "invalid character '\\u0080' looking for beginning of value"},
        {"\xc3", "invalid character '\xc3\x83' looking for beginning of value"},
        {"\x01", "invalid character '\\x01' looking for beginning of value"},
        {"\"\t", "invalid character '\\t' in string literal"},
        {"\"\\'", "invalid character '\\'' in string escape code"},
        {"]", "invalid character ']' looking for beginning of value"},
        {"[}", "invalid character '}' looking for beginning of value"},
    };
    struct json_scan s;
    size_t used;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        json_scan_init(&s);
        assert_int_equal(json_scan(&s, bytes_str(bad[i].text), &used), JSON_WRONG);
        assert_string_equal(s.error, bad[i].error);
        assert_int_equal(json_scan_end(&s), JSON_WRONG);
    }
}

static void the_end_tells_nothing_from_something_cut_off(void **state)
{
    static const char *const cut[] = {"{", "[", "\"", "{\"a\"", "{\"a\":", "tr", "-", "1.", "1e", "[1"};
    struct json_scan s;
    size_t used;
    (void)state;
    json_scan_init(&s);
    assert_int_equal(json_scan_end(&s), JSON_MORE);
    assert_int_equal(json_scan(&s, bytes_str(" \t\r\n"), &used), JSON_MORE);
    assert_int_equal(json_scan_end(&s), JSON_MORE);
    assert_int_equal(json_scan(&s, bytes_str("12"), &used), JSON_MORE);
    assert_int_equal(json_scan_end(&s), JSON_WHOLE);
    for (size_t i = 0; i < ARRAY_LEN(cut); i++) {
        json_scan_init(&s);
        assert_int_equal(json_scan(&s, bytes_str(cut[i]), &used), JSON_MORE);
        assert_int_equal(json_scan_end(&s), JSON_WRONG);
        assert_string_equal(s.error, "unexpected EOF");
    }
}

static void depth_is_bounded(void **state)
{
    struct json_scan s;
    size_t used;
    (void)state;
    json_scan_init(&s);
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        assert_int_equal(json_scan(&s, bytes_str(i % 2 ? "[" : "{\"a\":"), &used), JSON_MORE);
    assert_int_equal(json_scan(&s, bytes_str("["), &used), JSON_WRONG);
    assert_string_equal(s.error, "exceeded max depth");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_end_where_they_end),
        cmocka_unit_test(it_is_the_same_byte_by_byte),
        cmocka_unit_test(bad_syntax_is_told_in_gos_words),
        cmocka_unit_test(the_end_tells_nothing_from_something_cut_off),
        cmocka_unit_test(depth_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
