/* defrag: free pages are given back in slices, batches go on between them, and no row is touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rig.h"

static int set_up(void **state)
{
    struct rig *r = malloc(sizeof *r);
    rig_init(r, NULL);
    r->value_max = 500;
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    rig_fini(*state);
    free(*state);
    return 0;
}

static size_t db_size(const struct rig *r)
{
    size_t len = 0;
    free(rig_read(r, "tenure.db", &len));
    return len;
}

/* Rows 1 to n, of which all but the last 100 are deleted. */
static void fill_and_empty(struct rig *r, size_t n)
{
    tn_seq gone[100];
    for (size_t i = 0; i < n; i += 500)
        rig_append(r, 500);
    for (size_t i = 0; i + 100 < n; i += 100) {
        for (size_t k = 0; k < 100; k++)
            gone[k] = (tn_seq)(i + k + 1);
        rig_delete(r, gone, 100);
    }
}

static int wait_for_end(struct rig *r)
{
    int code = -1;
    struct tenure_error error;
    pthread_mutex_lock(&r->mutex);
    while (!backend_take_defragmented(r->b, &code, &error))
        pthread_cond_wait(&r->cond, &r->mutex);
    pthread_mutex_unlock(&r->mutex);
    return code;
}

static void assert_what_is_left(struct rig *r, size_t rows)
{
    rig_close(r);
    assert_int_equal(rig_open(r), 0);
    assert_false(r->wrong);
    assert_int_equal(r->replayed, rows);
}

static void the_file_gets_smaller_and_the_rows_stay(void **state)
{
    struct rig *r = *state;
    assert_int_equal(rig_open(r), 0);
    fill_and_empty(r, 5000);
    rig_close(r);
    assert_int_equal(rig_open(r), 0);
    size_t before = db_size(r);
    int64_t in_use = backend_size_in_use(r->b);
    backend_defragment(r->b);
    assert_int_equal(wait_for_end(r), 0);
    assert_true(backend_size_in_use(r->b) <= in_use);
    assert_what_is_left(r, 100);
    assert_true(db_size(r) < before / 4);
    /* Nothing left to do is fine as well. */
    backend_defragment(r->b);
    assert_int_equal(wait_for_end(r), 0);
}

static void batches_go_on_meanwhile(void **state)
{
    struct rig *r = *state;
    assert_int_equal(rig_open(r), 0);
    fill_and_empty(r, 5000);
    backend_defragment(r->b);
    /* On this thread: the rig takes each on_done for the end of a batch. */
    for (int i = 0; i < 20; i++)
        rig_append_now(r, 4);
    assert_int_equal(wait_for_end(r), 0);
    assert_what_is_left(r, 180);
}

static void a_process_killed_afterwards_loses_nothing(void **state)
{
    struct rig *r = *state;
    assert_int_equal(rig_open(r), 0);
    fill_and_empty(r, 5000);
    backend_defragment(r->b);
    rig_append_now(r, 1);
    assert_int_equal(wait_for_end(r), 0);
    rig_crash(r);
    assert_int_equal(rig_open(r), 0);
    assert_false(r->wrong);
    assert_int_equal(r->replayed, 101);
}

static void closing_does_not_wait_for_it(void **state)
{
    struct rig *r = *state;
    assert_int_equal(rig_open(r), 0);
    fill_and_empty(r, 5000);
    backend_defragment(r->b);
    assert_what_is_left(r, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_file_gets_smaller_and_the_rows_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(batches_go_on_meanwhile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_process_killed_afterwards_loses_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closing_does_not_wait_for_it, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
