/* Rows to delete come out by sequence, whatever order they came in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "core/doomed.h"

static struct doomed set;

static int begin(void **state)
{
    (void)state;
    set.n = 0;
    return 0;
}

static void the_lowest_goes_first(void **state)
{
    (void)state;
    static const tn_seq in[] = {7, 3, 9, 1, 8, 2};
    for (size_t i = 0; i < ARRAY_LEN(in); i++)
        doomed_add(&set, in[i]);
    assert_int_equal(doomed_take(&set), 1);
    assert_int_equal(doomed_take(&set), 2);
    doomed_add(&set, 5);
    static const tn_seq out[] = {3, 5, 7, 8, 9};
    for (size_t i = 0; i < ARRAY_LEN(out); i++)
        assert_int_equal(doomed_take(&set), out[i]);
    assert_int_equal(set.n, 0);
}

static void a_full_one_empties_in_order(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 1);
    while (doomed_room(&set) > 0)
        doomed_add(&set, (tn_seq)rng_below(&rng, 1000000));
    assert_int_equal(set.n, DOOMED_MAX);
    tn_seq before = -1;
    for (size_t i = 0; i < DOOMED_MAX; i++) {
        tn_seq seq = doomed_take(&set);
        assert_true(seq >= before);
        before = seq;
    }
    assert_int_equal(doomed_room(&set), DOOMED_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_lowest_goes_first, begin),
        cmocka_unit_test_setup(a_full_one_empties_in_order, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
