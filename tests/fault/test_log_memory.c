/* Each allocation of a whole life of the log fails in turn, ours and SQLite's: the answer is "out of memory" or success
 * without it, nothing leaks, and what was acknowledged is there at the next start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "failmalloc.h"
#include "rig.h"

enum { ROWS = 3 };

struct life {
    struct rig rig;
    tn_seq acked;
    size_t replayed;
};

static int count_row(void *user, const struct record *r)
{
    (void)r;
    ++*(size_t *)user;
    return 0;
}

static int append_one(struct backend *b, struct life *life)
{
    uint8_t buf[256];
    struct record row = rig_row(backend_seq(b) + 1, 100, buf);
    struct backend_batch batch = {&row, 1, NULL, 0};
    struct backend_result result;
    backend_commit_now(b, &batch, &result);
    if (result.outcome != BACKEND_APPLIED)
        return result.error.code;
    life->acked = result.seq;
    return 0;
}

static int use(struct backend *b, struct life *life, struct tenure_error *error)
{
    int code = backend_replay(b, count_row, &life->replayed, error);
    for (int i = 0; i < ROWS && !code; i++)
        code = append_one(b, life);
    for (tn_lease id = 1; id < 2000 && !code; id++) /* the table of leases grows */
        backend_lease_store(b, id, id);
    return code;
}

/* Starts the log, uses it, closes it. */
static int live(void *user)
{
    struct life *life = user;
    struct tenure_error error = {0};
    struct backend *b = NULL;
    life->rig.config.dir = life->rig.dir;
    int code = backend_open(&life->rig.config, &b, &error);
    if (!code) {
        code = use(b, life, &error);
        backend_close(b);
    }
    return code;
}

static void life_init(struct life *life)
{
    *life = (struct life){0};
    rig_init(&life->rig, NULL);
    life->rig.config.ballast_bytes = -1;
    life->rig.config.wal_bytes_soft = 64 << 10;
    life->rig.config.on_done = NULL;
}

static void check_and_end(struct life *life)
{
    if (rig_open(&life->rig))
        fail_msg("refused: %s", life->rig.error.text);
    assert_false(life->rig.wrong);
    assert_true(life->rig.seq >= life->acked);
    assert_int_equal(life->rig.replayed, life->rig.seq);
    rig_fini(&life->rig);
}

static void our_own_allocations_may_fail(void **state)
{
    (void)state;
    struct life life;
    life_init(&life);
    assert_true(failmalloc_sweep(live, &life) > 0);
    check_and_end(&life);
}

/* ---- SQLite's ---- */

static sqlite3_mem_methods real;
static _Atomic int64_t until_failure; /* 0: none fails */
static _Atomic bool lasting;

static bool fails(void)
{
    if (until_failure == 0 || --until_failure > 0)
        return false;
    if (lasting)
        until_failure = 1;
    return true;
}

static void *failing_malloc(int size)
{
    return fails() ? NULL : real.xMalloc(size);
}

static void *failing_realloc(void *p, int size)
{
    return fails() ? NULL : real.xRealloc(p, size);
}

static void sweep_sqlite(bool all_later_ones)
{
    enum { ENOUGH = 100000 };
    int64_t n = 1;
    for (bool reached = true; reached; n += 1 + n / 50) {
        struct life life;
        life_init(&life);
        lasting = all_later_ones;
        until_failure = n;
        int code = live(&life);
        reached = all_later_ones ? until_failure == 1 : until_failure == 0;
        until_failure = 0;
        if (code && code != TENURE_ENOMEM)
            fail_msg("allocation %lld: %d", (long long)n, code);
        check_and_end(&life);
        assert_true(n < ENOUGH);
    }
    assert_true(n > 100);
}

static void one_of_sqlites_allocations_may_fail(void **state)
{
    (void)state;
    sweep_sqlite(false);
}

static void all_of_sqlites_allocations_may_fail_from_one_on(void **state)
{
    (void)state;
    sweep_sqlite(true);
}

int main(void)
{
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real);
    sqlite3_mem_methods failing = real;
    failing.xMalloc = failing_malloc;
    failing.xRealloc = failing_realloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &failing);
    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_allocations_may_fail),
        cmocka_unit_test(one_of_sqlites_allocations_may_fail),
        cmocka_unit_test(all_of_sqlites_allocations_may_fail_from_one_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
