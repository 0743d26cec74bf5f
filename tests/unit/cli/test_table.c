/* Aligned columns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/table.h"

static void add(struct table *t, const char *text)
{
    table_add(t, text, strlen(text));
}

static void expect(struct table *t, size_t line_max, bool bold, const char *wanted)
{
    struct buf out;
    buf_init(&out);
    assert_true(table_write(t, &out, line_max, bold));
    buf_append_byte(&out, 0);
    assert_string_equal((const char *)out.data, wanted);
    buf_fini(&out);
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
    struct table t;
    (void)state;
    table_init(&t, 3);
    t.right[1] = true;
    add(&t, "NAME"), add(&t, "N"), add(&t, "TEXT");
    add(&t, "a"), add(&t, "1"), add(&t, "x");
    add(&t, "longer"), add(&t, "22222"), add(&t, "");
    expect(&t, 0, false, "NAME        N  TEXT\na           1  x\nlonger  22222  -\n");
    table_fini(&t);
}

static void a_stream_keeps_its_widths(void **state)
{
    struct table t;
    (void)state;
    table_init(&t, 2);
    t.widths[0] = 5;
    add(&t, "A"), add(&t, "B");
    expect(&t, 0, false, "A      B\n");
    add(&t, "seven77"), add(&t, "1");
    expect(&t, 0, false, "seven77  1\n");
    add(&t, "x"), add(&t, "2");
    expect(&t, 0, false, "x        2\n");
    table_fini(&t);
}

static void wide_and_combining_characters_are_counted_as_terminals_do(void **state)
{
    struct table t;
    (void)state;
    assert_int_equal(table_width("abc", 3), 3);
    assert_int_equal(table_width("\xc3\xa4", 2), 1);                 /* ä */
    assert_int_equal(table_width("a\xcc\x88", 3), 1);                /* a and two dots that go above it */
    assert_int_equal(table_width("\xe6\x97\xa5\xe6\x9c\xac", 6), 4); /* two of CJK */
    assert_int_equal(table_width("\xf0\x9f\x98\x80", 4), 2);         /* an emoji */
    assert_int_equal(table_width("\xc3", 1), 1);                     /* cut off */
    assert_int_equal(table_width("\xff\xfe", 2), 2);                 /* no text at all */
    table_init(&t, 2);
    add(&t, "\xe6\x97\xa5\xe6\x9c\xac"), add(&t, "x");
    add(&t, "abcdef"), add(&t, "y");
    expect(&t, 0, false, "\xe6\x97\xa5\xe6\x9c\xac    x\nabcdef  y\n");
    table_fini(&t);
}

static void control_characters_do_not_reach_the_terminal(void **state)
{
    struct table t;
    (void)state;
    table_init(&t, 1);
    add(&t, "a\nb\tc\rd\033[2J\177\xc2\x9b");
    table_add(&t, "x\0y", 3);
    expect(&t, 0, false, "a\\nb\\tc\\rd\\x1b[2J\\x7f\\x9b\nx\\x00y\n");
    table_fini(&t);
}

static void lines_are_cut_where_there_is_no_room(void **state)
{
    struct table t;
    (void)state;
    table_init(&t, 2);
    add(&t, "KEY"), add(&t, "VALUE");
    add(&t, "abc"), add(&t, "0123456789");
    add(&t, "abc"), add(&t, "01234");
    expect(&t, 10, true, "\033[1mKEY  VALUE\033[0m\nabc  0123\xe2\x80\xa6\nabc  01234\n");
    add(&t, "abc"), add(&t, "\xe6\x97\xa5\xe6\x9c\xac\xe6\x97\xa5"); /* half a wide one is none */
    expect(&t, 9, false, "abc  \xe6\x97\xa5\xe2\x80\xa6\n");
    table_fini(&t);
}

static void a_row_that_is_not_whole_is_dropped(void **state)
{
    struct table t;
    (void)state;
    table_init(&t, 2);
    add(&t, "a"), add(&t, "b"), add(&t, "c");
    expect(&t, 0, false, "a  b\n");
    add(&t, "d"), add(&t, "e");
    expect(&t, 0, false, "d  e\n");
    expect(&t, 0, false, "");
    table_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(a_stream_keeps_its_widths),
        cmocka_unit_test(wide_and_combining_characters_are_counted_as_terminals_do),
        cmocka_unit_test(control_characters_do_not_reach_the_terminal),
        cmocka_unit_test(lines_are_cut_where_there_is_no_room),
        cmocka_unit_test(a_row_that_is_not_whole_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
