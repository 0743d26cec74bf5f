/* What strings and numbers say, and the walk over values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/json.h"

static void numbers_are_whole_in_any_form(void **state)
{
    static const struct {
        const char *text;
        bool negative;
        uint64_t value;
    } good[] = {
        {"0", false, 0},
        {"-0", false, 0},
        {"1", false, 1},
        {"-12", true, 12},
        {"1.0", false, 1},
        {"1e3", false, 1000},
        {"1.5e1", false, 15},
        {"1500e-2", false, 15},
        {"0e99999999999", false, 0},
        {"0.000", false, 0},
        {"9223372036854775807", false, INT64_MAX},
        {"-9223372036854775808", true, UINT64_C(1) << 63},
        {"18446744073709551615", false, UINT64_MAX},
        {"1.8446744073709551615e19", false, UINT64_MAX},
        {"100000000000000000000000e-20", false, 1000},
    };
    static const char *const bad[] = {
        "0.5", "1e-1", "18446744073709551616", "1e20", "99999999999999999999", "1e99999999999", "x", ""};
    bool negative;
    uint64_t v;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (!json_whole(bytes_str(good[i].text), &negative, &v))
            fail_msg("%s was refused", good[i].text);
        assert_int_equal(negative, good[i].negative);
        assert_true(v == good[i].value);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (json_whole(bytes_str(bad[i]), &negative, &v))
            fail_msg("%s was taken", bad[i]);
    }
}

static void strings_are_unescaped(void **state)
{
    struct buf scratch;
    bytes s;
    (void)state;
    buf_init(&scratch);
    assert_true(json_unquote(bytes_str("\"plain\""), &scratch, &s));
    assert_true(bytes_equal(s, bytes_str("plain")));
    assert_true(json_unquote(bytes_str("\"a\\n\\\"\\/\\u0041\\u00e9\\u20ac\\ud83d\\ude00z\""), &scratch, &s));
    assert_true(bytes_equal(s, bytes_str("a\n\"/A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z")));
    assert_true(json_unquote(bytes_str("\"\\u0000\""), &scratch, &s));
    assert_int_equal(s.len, 1);
    assert_false(json_unquote(bytes_str("\"\\ud83d\""), &scratch, &s));
    assert_false(json_unquote(bytes_str("\"\\ude00\""), &scratch, &s));
    assert_false(json_unquote(bytes_str("\"\\ud83d\\u0041\""), &scratch, &s));
    assert_false(json_unquote(bytes_str("\"\xff\""), &scratch, &s));
    buf_fini(&scratch);
}

static void what_is_quoted_can_be_read_again(void **state)
{
    struct buf out, scratch;
    bytes s, all = bytes_of("\0\x01\b\f\n\r\t\"\\/<\x7f\xc3\xa9", 14);
    (void)state;
    buf_init(&out);
    buf_init(&scratch);
    json_quote(all, &out);
    assert_true(json_unquote(buf_bytes(&out), &scratch, &s));
    assert_true(bytes_equal(s, all));
    buf_reset(&out);
    json_quote(bytes_str("a\xff\xc3z"), &out);
    assert_true(bytes_equal(buf_bytes(&out), bytes_str("\"a\xef\xbf\xbd\xef\xbf\xbdz\"")));
    buf_fini(&out);
    buf_fini(&scratch);
}

static void the_walk_finds_members_and_skips_what_is_not_wanted(void **state)
{
    struct json j = json_of(bytes_str(" {\"skip\":[{\"x\":\"}\"},[],1e5],\"n\" : 5 , \"o\":{ } } "));
    size_t line, column;
    (void)state;
    assert_int_equal(json_peek(&j), JSON_OBJECT);
    json_begin(&j);
    assert_true(json_more(&j));
    assert_true(bytes_equal(json_key(&j), bytes_str("\"skip\"")));
    assert_int_equal(json_peek(&j), JSON_ARRAY);
    json_skip(&j);
    assert_true(json_more(&j));
    assert_true(bytes_equal(json_key(&j), bytes_str("\"n\"")));
    assert_int_equal(json_peek(&j), JSON_NUMBER);
    assert_true(bytes_equal(json_raw(&j), bytes_str("5")));
    assert_true(json_more(&j));
    (void)json_key(&j);
    assert_int_equal(json_peek(&j), JSON_OBJECT);
    json_begin(&j);
    assert_false(json_more(&j));
    assert_false(json_more(&j));
    assert_int_equal(json_peek(&j), JSON_NONE);
    struct json lines = json_of(bytes_str("{\n  x"));
    json_position(&lines, 4, &line, &column);
    assert_int_equal(line, 2);
    assert_int_equal(column, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_whole_in_any_form),
        cmocka_unit_test(strings_are_unescaped),
        cmocka_unit_test(what_is_quoted_can_be_read_again),
        cmocka_unit_test(the_walk_finds_members_and_skips_what_is_not_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
