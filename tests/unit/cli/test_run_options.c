/* What `tenure lock` and `tenure elect` make of their words and flags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/name.h"
#include "cli/run_options.h"

static const struct run_flags defaults = {.ttl_s = 30, .timeout_ms = -1, .grace_ms = -1};

static bool fill(struct run_options *o, const struct run_flags *f, char **argv)
{
    int argc = 0;
    while (argv[argc])
        argc++;
    *o = (struct run_options){.command = "lock"};
    return run_options_fill(o, f, argc, argv);
}

static void the_words_behind_the_name_are_the_command(void **state)
{
    struct run_options o;
    char *argv[] = {"a", "ls", "-l", NULL};
    (void)state;
    assert_true(fill(&o, &defaults, argv));
    assert_string_equal(o.claim.name, "a");
    assert_ptr_equal(o.argv, argv + 1);
    assert_int_equal(o.grace_ms, 5000);
    assert_true(o.claim.timeout_ms < 0);
}

static void without_further_words_there_is_no_command(void **state)
{
    struct run_options o;
    (void)state;
    assert_true(fill(&o, &defaults, (char *[]){"a", NULL}));
    assert_null(o.argv);
}

static void a_name_is_needed(void **state)
{
    struct run_options o;
    (void)state;
    assert_false(fill(&o, &defaults, (char *[]){NULL}));
    assert_false(fill(&o, &defaults, (char *[]){"", NULL}));
}

static void times_out_of_range_are_refused(void **state)
{
    struct run_options o;
    struct run_flags f = defaults;
    char *argv[] = {"a", NULL};
    (void)state;
    f.ttl_s = 0;
    assert_false(fill(&o, &f, argv));
    f.ttl_s = INT64_MAX / 1000;
    assert_false(fill(&o, &f, argv));
    f = defaults;
    f.grace_ms = 15001;
    assert_false(fill(&o, &f, argv));
    f.grace_ms = INT64_C(9000000000000000);
    assert_false(fill(&o, &f, argv));
    f.grace_ms = 15000;
    assert_true(fill(&o, &f, argv));
    assert_int_equal(o.grace_ms, 15000);
    f.grace_ms = 0;
    assert_true(fill(&o, &f, argv));
    assert_int_equal(o.grace_ms, 0);
}

static void the_purpose_is_the_command_line(void **state)
{
    char out[RUN_PURPOSE_MAX];
    (void)state;
    assert_string_equal(run_purpose((char *[]){"pg_dump", "-f", "out.sql", NULL}, out), "pg_dump -f out.sql");
    assert_string_equal(run_purpose((char *[]){NULL}, out), "");
}

static void a_long_purpose_is_cut_between_characters(void **state)
{
    char out[RUN_PURPOSE_MAX], word[1000];
    (void)state;
    memset(word, 'x', sizeof word - 1);
    word[sizeof word - 1] = 0;
    run_purpose((char *[]){word, "more", NULL}, out);
    assert_int_equal(strlen(out), RUN_PURPOSE_MAX - 1);
    for (size_t shift = 0; shift < 2; shift++) {
        for (size_t i = shift; i + 2 < sizeof word; i += 2)
            memcpy(word + i, "\xc3\xa4", 2);
        run_purpose((char *[]){word, NULL}, out);
        assert_true((strlen(out) - shift) % 2 == 0);
    }
}

static void a_purpose_that_ends_at_the_bound_stays_within_it(void **state)
{
    char word[RUN_PURPOSE_MAX], *argv[] = {word, "x", "y", NULL};
    (void)state;
    for (size_t len = RUN_PURPOSE_MAX - 4; len < RUN_PURPOSE_MAX; len++) {
        char *out = malloc(RUN_PURPOSE_MAX); /* so that a byte too many is found */
        memset(word, 'a', len);
        word[len] = 0;
        assert_true(strlen(run_purpose(argv, out)) < RUN_PURPOSE_MAX);
        free(out);
    }
}

static void a_name_is_under_the_usual_prefix_unless_it_is_the_whole_key(void **state)
{
    static const struct {
        const char *given;
        bool whole;
        const char *prefix, *name;
    } cases[] = {
        {"a", false, NULL, "a"}, {"a/b", false, NULL, "a/b"}, {"a", true, "", "a"},
        {"/a", true, "/", "a"},  {"/a/b", true, "/a/", "b"},  {"/a/", true, "/a/", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *prefix;
        const char *name;
        assert_true(name_split(cases[i].given, cases[i].whole, &prefix, &name));
        assert_string_equal(name, cases[i].name);
        assert_true(!prefix == !cases[i].prefix);
        if (prefix)
            assert_string_equal(prefix, cases[i].prefix);
        free(prefix);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_words_behind_the_name_are_the_command),
        cmocka_unit_test(without_further_words_there_is_no_command),
        cmocka_unit_test(a_name_is_needed),
        cmocka_unit_test(times_out_of_range_are_refused),
        cmocka_unit_test(the_purpose_is_the_command_line),
        cmocka_unit_test(a_long_purpose_is_cut_between_characters),
        cmocka_unit_test(a_purpose_that_ends_at_the_bound_stays_within_it),
        cmocka_unit_test(a_name_is_under_the_usual_prefix_unless_it_is_the_whole_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
