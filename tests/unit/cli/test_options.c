/* Reading of command lines by tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/options.h"

static struct {
    bool flag, verbose;
    const char *text, *endpoints;
    int64_t number, id, seconds, ms;
} opt;

static const struct option_spec own[] = {
    {"flag", 'f', OPTION_FLAG, NULL, "", &opt.flag},
    {"text", 't', OPTION_STRING, "TEXT", "", &opt.text},
    {"number", 'n', OPTION_INT, "N", "", &opt.number},
    {"id", 0, OPTION_HEX, "ID", "", &opt.id},
    {"ttl", 0, OPTION_SECONDS, "TIME", "", &opt.seconds},
    {"wait", 0, OPTION_DURATION, "TIME", "", &opt.ms},
    {NULL, 0, 0, NULL, NULL, NULL},
};
static const struct option_spec global[] = {
    {"endpoints", 0, OPTION_STRING, "URLS", "", &opt.endpoints},
    {"verbose", 'v', OPTION_FLAG, NULL, "", &opt.verbose},
    {NULL, 0, 0, NULL, NULL, NULL},
};

static int n_words;
static char *words[16];
static char line_buffer[256];
static char complaint[512];

static int reset(void **state)
{
    (void)state;
    memset(&opt, 0, sizeof opt);
    return 0;
}

/* Parses a line cut at spaces; what was said on stderr is in `complaint`. */
static bool parse_as(const char *line, int stop_at_words)
{
    int argc = 0, said[2];
    assert_true(strlen(line) < sizeof line_buffer);
    memcpy(line_buffer, line, strlen(line) + 1);
    for (char *p = line_buffer, *word; (word = strsep(&p, " "));)
        if (*word)
            words[argc++] = word;
    words[argc] = NULL;
    fflush(stderr);
    int old = dup(2);
    assert_int_equal(pipe2(said, O_NONBLOCK), 0);
    dup2(said[1], 2);
    bool ok = options_parse("tenure test", own, global, stop_at_words, argc, words, &n_words);
    fflush(stderr);
    dup2(old, 2);
    ssize_t n = read(said[0], complaint, sizeof complaint - 1);
    complaint[n > 0 ? n : 0] = 0;
    close(old);
    close(said[0]);
    close(said[1]);
    return ok;
}

static bool parse(const char *line)
{
    return parse_as(line, 0);
}

static void values_are_taken_behind_a_space_an_equals_sign_or_a_letter(void **state)
{
    (void)state;
    assert_true(parse("--text a"));
    assert_string_equal(opt.text, "a");
    assert_true(parse("--text=b"));
    assert_string_equal(opt.text, "b");
    assert_true(parse("-t c"));
    assert_string_equal(opt.text, "c");
    assert_true(parse("-td"));
    assert_string_equal(opt.text, "d");
    assert_true(parse("--text="));
    assert_string_equal(opt.text, "");
}

static void letters_of_flags_stand_together(void **state)
{
    (void)state;
    assert_true(parse("-fvn7"));
    assert_true(opt.flag && opt.verbose);
    assert_int_equal(opt.number, 7);
}

static void a_flag_takes_true_or_false_and_nothing_else(void **state)
{
    (void)state;
    assert_true(parse("--flag=true"));
    assert_true(opt.flag);
    assert_true(parse("--flag=false"));
    assert_false(opt.flag);
    assert_false(parse("--flag=maybe"));
    assert_non_null(strstr(complaint, "true or false"));
}

static void words_and_options_mix_and_words_keep_their_order(void **state)
{
    (void)state;
    assert_true(parse("a --flag b --endpoints=x c"));
    assert_int_equal(n_words, 3);
    assert_string_equal(words[0], "a");
    assert_string_equal(words[1], "b");
    assert_string_equal(words[2], "c");
    assert_null(words[3]);
    assert_string_equal(opt.endpoints, "x");
}

static void options_may_stand_between_so_many_words(void **state)
{
    (void)state;
    assert_true(parse_as("a --flag b --text=x c --endpoints=y", 2));
    assert_int_equal(n_words, 4);
    assert_string_equal(words[2], "c");
    assert_string_equal(words[3], "--endpoints=y");
    assert_string_equal(opt.text, "x");
    assert_true(opt.flag);
    assert_null(opt.endpoints);
    assert_true(parse_as("a b --text=z -- --flag", 2));
    assert_int_equal(n_words, 3);
    assert_string_equal(words[2], "--flag");
}

static void two_dashes_end_the_options(void **state)
{
    (void)state;
    assert_true(parse("-- --flag -t"));
    assert_int_equal(n_words, 2);
    assert_string_equal(words[0], "--flag");
    assert_false(opt.flag);
}

static void one_dash_is_a_word(void **state)
{
    (void)state;
    assert_true(parse("-"));
    assert_int_equal(n_words, 1);
}

static void what_follows_a_commands_first_word_is_the_commands_own(void **state)
{
    (void)state;
    assert_true(parse_as("name --flag ls -t --text", 1));
    assert_true(opt.flag);
    assert_null(opt.text);
    assert_int_equal(n_words, 4);
    assert_string_equal(words[1], "ls");
    assert_string_equal(words[2], "-t");
}

static void two_dashes_between_name_and_command_are_dropped_once(void **state)
{
    (void)state;
    assert_true(parse_as("name -- sh -- x", 1));
    assert_int_equal(n_words, 4);
    assert_string_equal(words[1], "sh");
    assert_string_equal(words[2], "--");
}

static void mistakes_are_named(void **state)
{
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"--nonsense", "unknown option --nonsense"},
        {"--fla", "unknown option --fla"},
        {"-x", "unknown option -x"},
        {"-fx", "unknown option -x"},
        {"--text", "--text needs TEXT"},
        {"-n", "-n needs N"},
        {"--number 1x", "whole number"},
        {"--number=", "whole number"},
        {"--number 99999999999999999999", "whole number"},
        {"--id zz", "hexadecimal"},
        {"--ttl 1.5", "whole seconds"},
        {"--ttl soon", "whole seconds"},
        {"--wait -1", "duration"},
        {"--wait 5y", "duration"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_false(parse(cases[i].line));
        assert_non_null(strstr(complaint, cases[i].says));
        assert_non_null(strstr(complaint, "tenure test"));
    }
}

static void numbers_reach_their_bounds(void **state)
{
    (void)state;
    assert_true(parse("--number -9223372036854775808 --id ffffffffffffffff --ttl 2m"));
    assert_true(opt.number == INT64_MIN);
    assert_true(opt.id == -1);
    assert_int_equal(opt.seconds, 120);
    assert_true(parse("--id 0x694d77aa9e38260f"));
    assert_true(opt.id == 0x694d77aa9e38260f);
}

static void durations_have_units_and_are_seconds_without_one(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"0", 0},       {"10", 10000},   {"1.5", 1500},    {"500ms", 500}, {"30s", 30000},
                {"2m", 120000}, {"1h", 3600000}, {"1d", 86400000}, {"0.25s", 250}, {"1.0004", 1000}};
    static const char *const bad[] = {"",     "s",      "-1", "1 s", "1sec", "nan", "inf", "1e300", "99999999999999d",
                                      "5m3s", "0x1p3y", "--"};
    int64_t ms;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(duration_parse(good[i].text, &ms));
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ms = -7;
        assert_false(duration_parse(bad[i], &ms));
        assert_int_equal(ms, -7);
    }
}

#define T(name) cmocka_unit_test_setup(name, reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(values_are_taken_behind_a_space_an_equals_sign_or_a_letter),
        T(letters_of_flags_stand_together),
        T(a_flag_takes_true_or_false_and_nothing_else),
        T(words_and_options_mix_and_words_keep_their_order),
        T(options_may_stand_between_so_many_words),
        T(two_dashes_end_the_options),
        T(one_dash_is_a_word),
        T(what_follows_a_commands_first_word_is_the_commands_own),
        T(two_dashes_between_name_and_command_are_dropped_once),
        T(mistakes_are_named),
        T(numbers_reach_their_bounds),
        T(durations_have_units_and_are_seconds_without_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
