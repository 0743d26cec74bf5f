/* Option structs of programs that were compiled with another version of the header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "lib/handle.h"

struct now {
    size_t size;
    int64_t old_field, new_field;
};
struct before {
    size_t size;
    int64_t old_field;
};
struct later {
    size_t size;
    int64_t old_field, new_field, unknown_field;
};

static void no_options_are_all_defaults(void **state)
{
    (void)state;
    struct now o = {1, 2, 3};
    assert_int_equal(options_take(&o, sizeof o, NULL, "x", NULL), 0);
    assert_int_equal(o.old_field, 0);
    assert_int_equal(o.new_field, 0);
}

static void an_older_program_leaves_new_fields_at_their_default(void **state)
{
    (void)state;
    struct now o = {.new_field = 99};
    struct before from = {.size = sizeof from, .old_field = 5};
    assert_int_equal(options_take(&o, sizeof o, &from, "x", NULL), 0);
    assert_int_equal(o.old_field, 5);
    assert_int_equal(o.new_field, 0);
}

static void a_newer_program_may_not_set_what_is_unknown_here(void **state)
{
    (void)state;
    struct now o;
    struct tenure_error err = {0};
    struct later from = {.size = sizeof from, .old_field = 5, .new_field = 6};
    assert_int_equal(options_take(&o, sizeof o, &from, "x", &err), 0);
    assert_int_equal(o.new_field, 6);
    from.unknown_field = 1;
    assert_int_equal(options_take(&o, sizeof o, &from, "x", &err), TENURE_EVERSION);
    assert_int_equal(err.kind, TENURE_KIND_USAGE);
}

static void a_forgotten_size_is_told(void **state)
{
    (void)state;
    struct now o, from = {.old_field = 5};
    struct tenure_error err = {0};
    assert_int_equal(options_take(&o, sizeof o, &from, "x", &err), TENURE_EINVALID);
    assert_non_null(strstr(err.text, "size"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_options_are_all_defaults),
        cmocka_unit_test(an_older_program_leaves_new_fields_at_their_default),
        cmocka_unit_test(a_newer_program_may_not_set_what_is_unknown_here),
        cmocka_unit_test(a_forgotten_size_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
