/* Base64 as Go's decoder takes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/base64.h"

static void expect(const char *text, const char *bytes_in, size_t len)
{
    uint8_t out[64];
    size_t n = 99;
    assert_true(base64_decode(bytes_str(text), out, &n));
    assert_int_equal(n, len);
    assert_true(n <= base64_room(strlen(text)));
    assert_memory_equal(out, bytes_in, len);
}

static void every_length_goes_there_and_back(void **state)
{
    uint8_t in[64], back[80];
    struct buf text;
    size_t n;
    (void)state;
    buf_init(&text);
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)(i * 37 + 200);
    for (size_t len = 0; len < sizeof in; len++) {
        buf_reset(&text);
        base64_encode(bytes_of(in, len), &text);
        assert_int_equal(text.len, (len + 2) / 3 * 4);
        assert_true(base64_decode(buf_bytes(&text), back, &n));
        assert_int_equal(n, len);
        assert_memory_equal(back, in, len);
    }
    buf_fini(&text);
}

static void both_alphabets_with_and_without_padding(void **state)
{
    (void)state;
    expect("YQ==", "a", 1);
    expect("YQ", "a", 1);
    expect("YWI=", "ab", 2);
    expect("YWI", "ab", 2);
    expect("YWJj", "abc", 3);
    expect("+/+/", "\xfb\xff\xbf", 3);
    expect("-_-_", "\xfb\xff\xbf", 3);
    expect("", "", 0);
    expect("YW\nJj\r\nYWJj", "abcabc", 6);
}

static void what_is_no_base64_is_refused(void **state)
{
    static const char *const bad[] = {"Y",    "YQ=",  "YQ===", "=",     "====",     "Y===",  "YQ==YQ==",
                                      "Y Q=", "+/-_", "YWJ!",  "YWJjY", "YWI=YWI=", "YWJj=", "\xc3\xa9"};
    uint8_t out[64];
    size_t n;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (base64_decode(bytes_str(bad[i]), out, &n))
            fail_msg("%s was taken", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_goes_there_and_back),
        cmocka_unit_test(both_alphabets_with_and_without_padding),
        cmocka_unit_test(what_is_no_base64_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
