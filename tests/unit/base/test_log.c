/* log: lines, levels, quoting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"

struct sink {
    int lines;
    enum log_level level;
    char line[2048];
};

static void sink_line(void *user, enum log_level level, const char *line)
{
    struct sink *s = user;
    s->lines++;
    s->level = level;
    assert_true(strlen(line) < sizeof s->line);
    memcpy(s->line, line, strlen(line) + 1);
}

static const char *quote(bytes s)
{
    static char out[64];
    return log_quote(out, sizeof out, s);
}

static void a_line_has_level_message_and_pairs(void **state)
{
    (void)state;
    struct sink s = {0};
    struct log log = {.min = LOG_INFO, .sink = sink_line, .user = &s};
    log_write(&log, LOG_WARN, "lease expired", "lease=%d ttl=%d", 7587, 10);
    assert_string_equal(s.line, "level=warn msg=\"lease expired\" lease=7587 ttl=10");
    assert_int_equal(s.level, LOG_WARN);
}

static void a_line_without_pairs_ends_with_the_message(void **state)
{
    (void)state;
    struct sink s = {0};
    struct log log = {.min = LOG_DEBUG, .sink = sink_line, .user = &s};
    log_write(&log, LOG_DEBUG, "say \"hello\"", NULL);
    assert_string_equal(s.line, "level=debug msg=\"say \\\"hello\\\"\"");
    log_write(&log, LOG_ERROR, "", NULL);
    assert_string_equal(s.line, "level=error msg=\"\"");
}

static void lines_below_the_level_are_dropped(void **state)
{
    (void)state;
    struct sink s = {0};
    struct log log = {.min = LOG_WARN, .sink = sink_line, .user = &s};
    log_write(&log, LOG_DEBUG, "a", NULL);
    log_write(&log, LOG_INFO, "a", NULL);
    assert_int_equal(s.lines, 0);
    log_write(&log, LOG_WARN, "a", NULL);
    log_write(&log, LOG_ERROR, "a", NULL);
    assert_int_equal(s.lines, 2);
}

static void without_a_log_or_a_sink_nothing_happens(void **state)
{
    (void)state;
    struct log log = {.min = LOG_DEBUG};
    log_write(NULL, LOG_ERROR, "a", "b=%d", 1);
    log_write(&log, LOG_ERROR, "a", "b=%d", 1);
}

static void a_value_with_line_breaks_stays_one_line(void **state)
{
    (void)state;
    struct sink s = {0};
    struct log log = {.sink = sink_line, .user = &s};
    log_write(&log, LOG_INFO, "a\nb", "c=%s",
              "d\nlevel=error\x1b[0m\xc2\x9b"
              "0m\xc2\xa3");
    assert_string_equal(s.line, "level=info msg=\"a\\nb\" c=d level=error [0m  0m\xc2\xa3");
}

static void a_line_over_a_kibibyte_is_cut_at_a_whole_character(void **state)
{
    (void)state;
    struct sink s = {0};
    struct log log = {.sink = sink_line, .user = &s};
    log_write(&log, LOG_INFO, "m", "v=%2000s", "x");
    assert_int_equal(strlen(s.line), 1024);
    char euros[1200];
    for (size_t i = 0; i + 3 < sizeof euros; i += 3)
        memcpy(euros + i, "\xe2\x82\xac", 4);
    log_write(&log, LOG_INFO, "m", "v=%s", euros);
    assert_in_range(strlen(s.line), 1022, 1024);
    assert_memory_equal(s.line + strlen(s.line) - 3, "\xe2\x82\xac", 3);
}

static void a_message_that_is_too_long_is_cut_but_stays_quoted(void **state)
{
    (void)state;
    struct sink s = {0};
    struct log log = {.sink = sink_line, .user = &s};
    char msg[2000];
    memset(msg, '"', sizeof msg - 1);
    msg[sizeof msg - 1] = 0;
    log_write(&log, LOG_INFO, msg, "end=%d", 1);
    assert_true(strlen(s.line) < 1024);
    assert_non_null(strstr(s.line, "\\\"\" end=1"));
}

static void text_is_quoted_as_it_is(void **state)
{
    (void)state;
    assert_string_equal(quote(bytes_str("a b=c")), "\"a b=c\"");
    assert_string_equal(quote(bytes_str("\xc3\xa4\xe2\x82\xac")), "\"\xc3\xa4\xe2\x82\xac\"");
    assert_string_equal(quote(bytes_of(NULL, 0)), "\"\"");
}

static void what_would_break_a_line_is_escaped(void **state)
{
    (void)state;
    assert_string_equal(quote(bytes_str("a\"b\\c")), "\"a\\\"b\\\\c\"");
    assert_string_equal(quote(bytes_str("\n\r\t")), "\"\\n\\r\\t\"");
    assert_string_equal(quote(bytes_of("\0\x1b\x7f", 3)), "\"\\x00\\x1b\\x7f\"");
    assert_string_equal(quote(bytes_str("\xff\xc3")), "\"\\xff\\xc3\"");
    assert_string_equal(quote(bytes_str("\xc0\x80")), "\"\\xc0\\x80\"");
}

static void a_quoted_value_is_cut_to_fit_with_its_closing_quote(void **state)
{
    (void)state;
    char out[8];
    assert_string_equal(log_quote(out, 7, bytes_str("abcdef")), "\"abcd\"");
    assert_string_equal(log_quote(out, 7, bytes_str("abc\n")), "\"abc\"");
    assert_string_equal(log_quote(out, 7, bytes_str("abc\xc3\xa4")), "\"abc\"");
    assert_string_equal(log_quote(out, 3, bytes_str("a")), "\"\"");
    assert_string_equal(log_quote(out, 2, bytes_str("a")), "");
    assert_string_equal(log_quote(out, 1, bytes_str("a")), "");
    out[0] = 'x';
    assert_ptr_equal(log_quote(out, 0, bytes_str("a")), out);
    assert_int_equal(out[0], 'x');
}

static void levels_have_names(void **state)
{
    (void)state;
    assert_string_equal(log_level_name(LOG_DEBUG), "debug");
    assert_string_equal(log_level_name(LOG_INFO), "info");
    assert_string_equal(log_level_name(LOG_WARN), "warn");
    assert_string_equal(log_level_name(LOG_ERROR), "error");
    assert_string_equal(log_level_name((enum log_level)17), "error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_level_message_and_pairs),
        cmocka_unit_test(a_line_without_pairs_ends_with_the_message),
        cmocka_unit_test(lines_below_the_level_are_dropped),
        cmocka_unit_test(without_a_log_or_a_sink_nothing_happens),
        cmocka_unit_test(a_value_with_line_breaks_stays_one_line),
        cmocka_unit_test(a_line_over_a_kibibyte_is_cut_at_a_whole_character),
        cmocka_unit_test(a_message_that_is_too_long_is_cut_but_stays_quoted),
        cmocka_unit_test(text_is_quoted_as_it_is),
        cmocka_unit_test(what_would_break_a_line_is_escaped),
        cmocka_unit_test(a_quoted_value_is_cut_to_fit_with_its_closing_quote),
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
