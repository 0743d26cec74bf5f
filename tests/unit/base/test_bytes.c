/* bytes: comparing, prefixes and their range ends, UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"

static bytes prefix_end(bytes prefix)
{
    static uint8_t end[16];
    return bytes_of(end, bytes_prefix_end(prefix, end));
}

static void keys_sort_by_bytes_and_a_prefix_first(void **state)
{
    (void)state;
    assert_true(bytes_compare(bytes_str("a"), bytes_str("b")) < 0);
    assert_true(bytes_compare(bytes_str("b"), bytes_str("a")) > 0);
    assert_true(bytes_compare(bytes_str("a"), bytes_of("a\0", 2)) < 0);
    assert_true(bytes_compare(bytes_str("\x7f"), bytes_str("\x80")) < 0);
    assert_int_equal(bytes_compare(bytes_str("same"), bytes_str("same")), 0);
    assert_int_equal(bytes_compare(bytes_of(NULL, 0), bytes_str("")), 0);
    assert_true(bytes_compare(bytes_of(NULL, 0), bytes_str("a")) < 0);
}

static void equality_looks_at_length_and_zeros(void **state)
{
    (void)state;
    assert_true(bytes_equal(bytes_of(NULL, 0), bytes_str("")));
    assert_true(bytes_equal(bytes_of("a\0b", 3), bytes_of("a\0b", 3)));
    assert_false(bytes_equal(bytes_of("a\0b", 3), bytes_of("a\0c", 3)));
    assert_false(bytes_equal(bytes_str("a"), bytes_str("ab")));
}

static void every_key_has_the_empty_prefix_and_itself(void **state)
{
    (void)state;
    assert_true(bytes_has_prefix(bytes_str("key"), bytes_of(NULL, 0)));
    assert_true(bytes_has_prefix(bytes_str("key"), bytes_str("key")));
    assert_true(bytes_has_prefix(bytes_str("key"), bytes_str("k")));
    assert_false(bytes_has_prefix(bytes_str("key"), bytes_str("keys")));
    assert_false(bytes_has_prefix(bytes_str("key"), bytes_str("e")));
}

static void the_end_of_a_prefix_raises_its_last_byte(void **state)
{
    (void)state;
    assert_true(bytes_equal(prefix_end(bytes_str("abc")), bytes_str("abd")));
    assert_true(bytes_equal(prefix_end(bytes_of("a\0", 2)), bytes_of("a\1", 2)));
}

static void the_end_of_a_prefix_drops_trailing_ff(void **state)
{
    (void)state;
    assert_true(bytes_equal(prefix_end(bytes_str("ab\xff\xff")), bytes_str("ac")));
    assert_true(bytes_equal(prefix_end(bytes_str("\xfe")), bytes_str("\xff")));
}

static void a_prefix_without_an_end_asks_for_all_from_the_key_on(void **state)
{
    (void)state;
    assert_true(bytes_equal(prefix_end(bytes_str("")), bytes_of("\0", 1)));
    assert_true(bytes_equal(prefix_end(bytes_str("\xff\xff")), bytes_of("\0", 1)));
}

static void whole_characters_are_recognised(void **state)
{
    (void)state;
    assert_int_equal(bytes_utf8_char(bytes_str("a")), 1);
    assert_int_equal(bytes_utf8_char(bytes_of("\0", 1)), 1);
    assert_int_equal(bytes_utf8_char(bytes_str("\xc3\xa4x")), 2);
    assert_int_equal(bytes_utf8_char(bytes_str("\xe2\x82\xac")), 3);
    assert_int_equal(bytes_utf8_char(bytes_str("\xed\x9f\xbf")), 3);
    assert_int_equal(bytes_utf8_char(bytes_str("\xf4\x8f\xbf\xbf")), 4);
}

static void what_is_no_character_is_not_recognised(void **state)
{
    (void)state;
    assert_int_equal(bytes_utf8_char(bytes_of(NULL, 0)), 0);
    assert_int_equal(bytes_utf8_char(bytes_str("\x80")), 0);             /* continues nothing */
    assert_int_equal(bytes_utf8_char(bytes_str("\xc3")), 0);             /* cut short */
    assert_int_equal(bytes_utf8_char(bytes_str("\xe2\x82")), 0);         /* cut short */
    assert_int_equal(bytes_utf8_char(bytes_str("\xe2\x82x")), 0);        /* not continued */
    assert_int_equal(bytes_utf8_char(bytes_str("\xc0\x80")), 0);         /* overlong */
    assert_int_equal(bytes_utf8_char(bytes_str("\xe0\x9f\xbf")), 0);     /* overlong */
    assert_int_equal(bytes_utf8_char(bytes_str("\xf0\x8f\xbf\xbf")), 0); /* overlong */
    assert_int_equal(bytes_utf8_char(bytes_str("\xed\xa0\x80")), 0);     /* surrogate */
    assert_int_equal(bytes_utf8_char(bytes_str("\xf4\x90\x80\x80")), 0); /* past U+10FFFF */
    assert_int_equal(bytes_utf8_char(bytes_str("\xf5\x80\x80\x80")), 0);
    assert_int_equal(bytes_utf8_char(bytes_str("\xff")), 0);
}

static void a_cut_leaves_whole_characters(void **state)
{
    (void)state;
    bytes s = bytes_str("a\xe2\x82\xac\xc3\xa4"); /* 1 + 3 + 2 bytes */
    size_t want[] = {0, 1, 1, 1, 4, 4, 6, 6};
    for (size_t len_max = 0; len_max < ARRAY_LEN(want); len_max++)
        assert_int_equal(bytes_utf8_cut(s, len_max), want[len_max]);
}

static void a_cut_of_what_is_not_utf8_still_ends_within_the_bound(void **state)
{
    (void)state;
    bytes s = bytes_str("\x80\x80\x80\x80\x80\x80\xff\xff");
    for (size_t len_max = 0; len_max <= s.len; len_max++)
        assert_int_equal(bytes_utf8_cut(s, len_max), len_max);
    assert_int_equal(bytes_utf8_cut(bytes_of(NULL, 0), 5), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_sort_by_bytes_and_a_prefix_first),
        cmocka_unit_test(equality_looks_at_length_and_zeros),
        cmocka_unit_test(every_key_has_the_empty_prefix_and_itself),
        cmocka_unit_test(the_end_of_a_prefix_raises_its_last_byte),
        cmocka_unit_test(the_end_of_a_prefix_drops_trailing_ff),
        cmocka_unit_test(a_prefix_without_an_end_asks_for_all_from_the_key_on),
        cmocka_unit_test(whole_characters_are_recognised),
        cmocka_unit_test(what_is_no_character_is_not_recognised),
        cmocka_unit_test(a_cut_leaves_whole_characters),
        cmocka_unit_test(a_cut_of_what_is_not_utf8_still_ends_within_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
