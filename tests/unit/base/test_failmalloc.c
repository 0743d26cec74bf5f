/* failmalloc: the helper that others rely on does make allocations fail, and notices who does not cope. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "failmalloc.h"
#include "tenure/error.h"

/* volatile keeps the compiler from removing allocations that nothing uses. */
static void *volatile held;

static bool allocate(void)
{
    held = malloc(10);
    bool worked = held != NULL;
    free(held);
    return worked;
}

static void only_the_chosen_allocation_fails(void **state)
{
    (void)state;
    failmalloc_at(2);
    assert_true(allocate());
    assert_false(failmalloc_hit());
    errno = 0;
    assert_false(allocate());
    assert_int_equal(errno, ENOMEM);
    assert_true(allocate());
    assert_true(failmalloc_hit());
    assert_int_equal(failmalloc_count(), 3);
    failmalloc_off();
}

static void all_later_allocations_fail_too(void **state)
{
    (void)state;
    failmalloc_from(2);
    assert_true(allocate());
    assert_false(allocate());
    assert_false(allocate());
    failmalloc_off();
    assert_true(allocate());
    assert_false(failmalloc_hit());
}

static void zeroing_and_resizing_fail_as_well(void **state)
{
    (void)state;
    failmalloc_from(1);
    held = calloc(1, 1);
    assert_null(held);
    failmalloc_off();
    char *text = malloc(2);
    assert_non_null(text);
    text[0] = 'x';
    failmalloc_at(1);
    char *longer = realloc(text, 100);
    if (longer)
        fail();
    else
        assert_int_equal(text[0], 'x');
    free(longer ? longer : text);
    failmalloc_off();
}

static int three_allocations(void *user)
{
    int *runs = user;
    (*runs)++;
    for (int i = 0; i < 3; i++) {
        if (!allocate())
            return TENURE_ENOMEM;
    }
    return 0;
}

static void a_sweep_fails_each_allocation_once_alone_and_once_with_all_later(void **state)
{
    (void)state;
    int runs = 0;
    assert_int_equal(failmalloc_sweep(three_allocations, &runs), 6);
    assert_int_equal(runs, 1 + 3 + 1 + 3 + 1);
    assert_true(allocate());
}

static int one_allocation_it_can_do_without(void *user)
{
    (void)user;
    (void)allocate();
    return 0;
}

static void a_scenario_may_do_without(void **state)
{
    (void)state;
    assert_int_equal(failmalloc_sweep(one_allocation_it_can_do_without, NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_chosen_allocation_fails),
        cmocka_unit_test(all_later_allocations_fail_too),
        cmocka_unit_test(zeroing_and_resizing_fail_as_well),
        cmocka_unit_test(a_sweep_fails_each_allocation_once_alone_and_once_with_all_later),
        cmocka_unit_test(a_scenario_may_do_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
