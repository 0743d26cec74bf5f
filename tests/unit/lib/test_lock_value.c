/* What lock keys say, and what is made of values that others wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "lib/lock_value.h"

static struct lock_words read_text(const char *text)
{
    struct lock_words w;
    lock_value_read(bytes_str(text), &w);
    return w;
}

static void says_nothing(bytes value)
{
    struct lock_words w;
    lock_value_read(value, &w);
    assert_null(w.host);
    assert_null(w.purpose);
    assert_int_equal(w.pid, 0);
    assert_int_equal(w.since_ms, 0);
    lock_words_fini(&w);
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    char *value = lock_value_new("say \"hi\"\n\\ \xc3\xa9 \x01", 1700000000000);
    struct lock_words w = read_text(value);
    assert_string_equal(w.purpose, "say \"hi\"\n\\ \xc3\xa9 \x01");
    assert_int_equal(w.pid, getpid());
    assert_int_equal(w.since_ms, 1700000000000);
    assert_non_null(w.host);
    lock_words_fini(&w);
    free(value);
}

static void a_reader_and_a_permit_say_so(void **state)
{
    (void)state;
    static const struct rule read = {.kind = RULE_READ},
                             permit = {.kind = RULE_PERMIT, .weight = 2, .limit = 5, .number = 0};
    char *value = lock_value_new_share("p", 1700000000000, &read, false);
    assert_ptr_equal(strstr(value, "{\"mode\":\"read\",\"host\":"), value);
    free(value);
    value = lock_value_new_share("p", 1700000000000, &permit, false);
    assert_ptr_equal(strstr(value, "{\"mode\":\"permit\",\"weight\":2,\"limit\":5,"), value);
    struct lock_words w = read_text(value);
    assert_string_equal(w.purpose, "p");
    lock_words_fini(&w);
    free(value);
}

static void a_writer_that_reads_is_told_by_the_beginning_and_by_nothing_that_a_purpose_says(void **state)
{
    (void)state;
    static const struct rule whole;
    char *value = lock_value_new_share("p", 1700000000000, &whole, true);
    assert_true(rule_is_shared(bytes_str(value)));
    free(value);
    value = lock_value_new("{\"tenure\":\"shared\"}", 1700000000000);
    assert_false(rule_is_shared(bytes_str(value)));
    free(value);
}

static void a_purpose_is_cut_where_it_is_no_text_or_too_long(void **state)
{
    (void)state;
    char *value = lock_value_new("good \xff bad", 1700000000000);
    struct lock_words w = read_text(value);
    assert_string_equal(w.purpose, "good ");
    lock_words_fini(&w);
    free(value);
    char *much = malloc(100001);
    memset(much, 'x', 100000);
    much[100000] = 0;
    value = lock_value_new(much, 1700000000000);
    assert_true(strlen(value) < 2000);
    free(value);
    free(much);
    value = lock_value_new(NULL, 1700000000000);
    w = read_text(value);
    assert_string_equal(w.purpose, "");
    lock_words_fini(&w);
    free(value);
}

static void values_of_others_say_nothing_and_do_no_harm(void **state)
{
    (void)state;
    says_nothing(bytes_of(NULL, 0));
    says_nothing(bytes_str("host-1"));
    says_nothing(bytes_str("{"));
    says_nothing(bytes_str("[1,2]"));
    says_nothing(bytes_str("{\"host\":1,\"pid\":\"7\",\"since\":null,\"purpose\":{}}"));
    says_nothing(bytes_str("{\"host\":\"a\",\"host\""));
    char *deep = malloc(4000);
    memset(deep, '[', 4000);
    memcpy(deep, "{\"a\":", 5);
    says_nothing(bytes_of(deep, 4000));
    free(deep);
    char *large = calloc(1, 100000);
    memset(large, ' ', 100000);
    memcpy(large, "{\"pid\":7}", 9);
    says_nothing(bytes_of(large, 100000));
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(a_reader_and_a_permit_say_so),
        cmocka_unit_test(a_writer_that_reads_is_told_by_the_beginning_and_by_nothing_that_a_purpose_says),
        cmocka_unit_test(a_purpose_is_cut_where_it_is_no_text_or_too_long),
        cmocka_unit_test(values_of_others_say_nothing_and_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
