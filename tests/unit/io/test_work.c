/* Work on a thread of its own, and the sum that such work makes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "io/sha256.h"
#include "io/work.h"

struct task {
    struct io_loop *loop;
    pthread_t ran_on;
    int runs, dones;
};

static void run(void *user)
{
    struct task *t = user;
    t->ran_on = pthread_self();
    t->runs++;
}

static void done(void *user)
{
    struct task *t = user;
    t->dones++;
    io_loop_stop(t->loop);
}

static void work_runs_elsewhere_and_ends_here(void **state)
{
    (void)state;
    struct task t = {0};
    struct io_work *w;
    struct tenure_error err;
    assert_int_equal(io_loop_new(NULL, &t.loop, &err), 0);
    assert_int_equal(io_work_start(t.loop, run, done, &t, &w, &err), 0);
    io_loop_run(t.loop);
    assert_int_equal(t.runs, 1);
    assert_int_equal(t.dones, 1);
    assert_false(pthread_equal(t.ran_on, pthread_self()));
    io_loop_free(t.loop);
}

static void work_that_was_joined_tells_no_end(void **state)
{
    (void)state;
    struct task t = {0};
    struct io_work *w;
    struct tenure_error err;
    assert_int_equal(io_loop_new(NULL, &t.loop, &err), 0);
    assert_int_equal(io_work_start(t.loop, run, done, &t, &w, &err), 0);
    assert_null(io_work_join(w));
    assert_int_equal(t.runs, 1);
    io_loop_free(t.loop);
    assert_int_equal(t.dones, 0);
}

/* FIPS 180-2, appendix B. */
static void a_known_text_has_its_known_sum(void **state)
{
    (void)state;
    static const uint8_t want[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                   0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                   0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    struct io_sha256 *h;
    struct tenure_error err;
    uint8_t sum[IO_SHA256_LEN];
    assert_int_equal(io_sha256_new(&h, &err), 0);
    io_sha256_add(h, bytes_str("a"));
    io_sha256_add(h, bytes_str(""));
    io_sha256_add(h, bytes_str("bc"));
    assert_int_equal(io_sha256_end(h, sum, &err), 0);
    assert_memory_equal(sum, want, sizeof want);
    assert_int_equal(io_sha256_new(&h, &err), 0);
    assert_null(io_sha256_free(h));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_runs_elsewhere_and_ends_here),
        cmocka_unit_test(work_that_was_joined_tells_no_end),
        cmocka_unit_test(a_known_text_has_its_known_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
