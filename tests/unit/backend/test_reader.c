/* backend/reader: the log is read beside the writer, in slices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"

struct seen {
    tn_seq last;
    int64_t n;
    tn_seq stop_at; /* 0 = never */
};

static int see(void *user, const struct record *r)
{
    struct seen *s = user;
    assert_true(r->seq > s->last);
    assert_true(r->seq == rig_row(r->seq, 0, (uint8_t[64]){0}).seq);
    s->last = r->seq;
    s->n++;
    return r->seq == s->stop_at ? TENURE_ECANCELLED : 0;
}

static int set_up(void **state)
{
    static struct rig r;
    rig_init(&r, NULL);
    assert_int_equal(rig_open(&r), 0);
    rig_append(&r, 500);
    *state = &r;
    return 0;
}

static int tear_down(void **state)
{
    rig_fini(*state);
    return 0;
}

static void slices_make_the_whole_while_the_writer_goes_on(void **state)
{
    struct rig *r = *state;
    struct backend_reader *reader;
    struct tenure_error err;
    struct seen seen = {0};
    tn_seq at = 0, upto = backend_seq(r->b);
    int64_t n;
    assert_int_equal(backend_reader_open(r->b, &reader, &err), 0);
    while ((n = backend_reader_next(reader, &at, upto, 7, see, &seen, &err)) > 0) {
        assert_true(n <= 7);
        rig_append(r, 3);
        assert_int_equal(seen.last, at);
    }
    assert_int_equal(n, 0);
    assert_int_equal(seen.n, 500);
    assert_int_equal(at, upto);
    assert_null(backend_reader_close(reader));
}

static void deleted_rows_are_passed_over(void **state)
{
    struct rig *r = *state;
    struct backend_reader *reader;
    struct seen seen = {0};
    tn_seq at = 0;
    rig_delete(r, (const tn_seq[]){3, 4, 5, 499}, 4);
    assert_int_equal(backend_reader_open(r->b, &reader, NULL), 0);
    assert_int_equal(backend_reader_next(reader, &at, 500, 1000, see, &seen, NULL), 496);
    assert_int_equal(backend_reader_next(reader, &at, 500, 1000, see, &seen, NULL), 0);
    backend_reader_close(reader);
}

static void the_caller_can_end_it(void **state)
{
    struct rig *r = *state;
    struct backend_reader *reader;
    struct seen seen = {.stop_at = 50};
    tn_seq at = 0;
    assert_int_equal(backend_reader_open(r->b, &reader, NULL), 0);
    assert_int_equal(backend_reader_next(reader, &at, 500, 1000, see, &seen, NULL), TENURE_ECANCELLED);
    assert_int_equal(seen.n, 50);
    backend_reader_close(reader);
}

/* An unused reader must not keep the WAL from going round. */
static void a_reader_between_two_slices_holds_nothing_up(void **state)
{
    struct rig *r = *state;
    struct backend_reader *reader;
    struct seen seen = {0};
    tn_seq at = 0;
    assert_int_equal(backend_reader_open(r->b, &reader, NULL), 0);
    assert_int_equal(backend_reader_next(reader, &at, 500, 10, see, &seen, NULL), 10);
    r->config.wal_bytes_soft = 0;
    for (int i = 0; i < 60; i++)
        rig_append(r, 2000);
    assert_true(backend_size(r->b) < (INT64_C(100) << 20));
    assert_int_equal(backend_reader_next(reader, &at, 500, 1000, see, &seen, NULL), 490);
    backend_reader_close(reader);
}

static void a_third_reader_is_refused(void **state)
{
    struct rig *r = *state;
    struct backend_reader *readers[3];
    struct tenure_error err;
    assert_int_equal(backend_reader_open(r->b, &readers[0], &err), 0);
    assert_int_equal(backend_reader_open(r->b, &readers[1], &err), 0);
    assert_true(backend_reader_open(r->b, &readers[2], &err) < 0);
    backend_reader_close(readers[0]);
    backend_reader_close(readers[1]);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(slices_make_the_whole_while_the_writer_goes_on), T(deleted_rows_are_passed_over), T(the_caller_can_end_it),
        T(a_reader_between_two_slices_holds_nothing_up),   T(a_third_reader_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
