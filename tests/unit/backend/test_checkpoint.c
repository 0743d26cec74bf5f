/* The WAL stays small under a writer that never rests, and never passes its hard bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rig.h"

enum { SOFT = 256 << 10, HARD = 2 << 20 };

static int set_up(void **state)
{
    struct rig *r = malloc(sizeof *r);
    rig_init(r, NULL);
    r->value_max = 2000;
    r->config.wal_bytes_soft = SOFT;
    r->config.wal_bytes_hard = HARD;
    r->config.wal_grow_after = 25;
    assert_int_equal(rig_open(r), 0);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    rig_fini(*state);
    free(*state);
    return 0;
}

static int64_t wal_size(const struct rig *r)
{
    char path[512];
    rig_path(r, "tenure.db-wal", path, sizeof path);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    int64_t size = ftell(f);
    fclose(f);
    return size;
}

/* A server with little to do stays small; the zeros come with load. */
static void the_wal_is_grown_ahead_once_there_is_load(void **state)
{
    struct rig *r = *state;
    for (int i = 0; i < 20; i++)
        rig_append(r, 1);
    assert_true(wal_size(r) < SOFT);
    for (int i = 0; i < 15; i++) /* few enough not to outgrow it by themselves */
        rig_append(r, 1);
    assert_int_equal(wal_size(r), 2 * SOFT);
}

/* Many times its size goes through it. */
static void it_goes_round_under_a_writer_that_never_rests(void **state)
{
    struct rig *r = *state;
    for (int i = 0; i < 600; i++) {
        rig_append(r, 20);
        rig_append_now(r, 1);
        assert_true(wal_size(r) <= HARD);
    }
    rig_close(r);
    assert_int_equal(rig_open(r), 0);
    assert_false(r->wrong);
    assert_int_equal(r->replayed, 600 * 21);
}

/* With no pass before the bound, commits wait there for the WAL to be emptied. */
static void the_bound_holds_without_any_help(void **state)
{
    struct rig *r = *state;
    rig_close(r);
    r->config.wal_bytes_soft = r->config.wal_bytes_hard = SOFT;
    assert_int_equal(rig_open(r), 0);
    for (int i = 0; i < 200; i++) {
        rig_append(r, 7);
        rig_append_now(r, 1);
        assert_true(wal_size(r) <= SOFT);
    }
    rig_close(r);
    assert_int_equal(rig_open(r), 0);
    assert_false(r->wrong);
    assert_int_equal(r->replayed, 1600);
}

/* One batch may be larger than the bound: it goes into a WAL that was emptied before it. */
static void a_batch_larger_than_the_bound_is_taken(void **state)
{
    struct rig *r = *state;
    rig_append(r, 5);
    rig_append(r, 4000);
    rig_append(r, 4000);
    rig_append(r, 1);
    rig_close(r);
    assert_int_equal(rig_open(r), 0);
    assert_false(r->wrong);
    assert_int_equal(r->replayed, 8006);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(the_wal_is_grown_ahead_once_there_is_load),
        T(it_goes_round_under_a_writer_that_never_rests),
        T(the_bound_holds_without_any_help),
        T(a_batch_larger_than_the_bound_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
