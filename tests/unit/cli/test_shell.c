/* What is printed for a shell is one word of it, whatever is in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/shell.h"

static void check(const char *text, const char *wanted)
{
    char *got = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&got, &size);
    assert_non_null(f);
    shell_print_word(f, text);
    assert_int_equal(fclose(f), 0);
    assert_string_equal(got, wanted);
    free(got);
}

static void what_means_nothing_to_a_shell_stays(void **state)
{
    (void)state;
    check("m4=http://10.0.0.4:2380,m5=http://h:1", "m4=http://10.0.0.4:2380,m5=http://h:1");
}

static void anything_else_is_quoted(void **state)
{
    (void)state;
    check("", "''");
    check("a b", "'a b'");
    check("$(reboot)", "'$(reboot)'");
    check("it's", "'it'\\''s'");
    check("a;b", "'a;b'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_means_nothing_to_a_shell_stays),
        cmocka_unit_test(anything_else_is_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
