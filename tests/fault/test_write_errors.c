/* C2, KV3: each write, sync and truncation of a load fails in turn, once or from then on. What was answered is kept:
 * applied rows are there after a restart, not applied ones are not, one that may be is whole or absent. Power is cut at
 * the end, so that what was not synced does not count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "powervfs.h"
#include "rig.h"

enum { BATCHES = 14, ROWS = 9 };

struct run {
    struct powervfs *vfs;
    struct rig rig;
    tn_seq maybe;         /* newest row of the batch that may be applied, or 0 */
    unsigned not_applied; /* batches */
    bool failed;          /* the call that was to fail was reached */
};

static void run_init(struct run *x)
{
    *x = (struct run){0};
    rig_init(&x->rig, NULL);
    x->vfs = powervfs_new();
    x->rig.config.vfs = powervfs_name();
    x->rig.config.ballast_bytes = -1;
    x->rig.config.wal_bytes_soft = 24 << 10; /* every few batches a checkpoint */
    x->rig.config.wal_bytes_hard = 64 << 10;
    x->rig.config.wal_grow_after = 1;
    x->rig.value_max = 1000;
    assert_int_equal(rig_open(&x->rig), 0);
    rig_append(&x->rig, 3);
}

static void try_batch(struct run *x, size_t rows, bool now)
{
    struct backend_result result = rig_try(&x->rig, rows, NULL, 0, now);
    if (result.outcome == BACKEND_NOT_APPLIED) {
        assert_int_equal(result.error.applied, TENURE_APPLIED_NO);
        x->not_applied++;
    } else if (result.outcome == BACKEND_MAYBE_APPLIED) {
        assert_int_equal(result.error.applied, TENURE_APPLIED_MAYBE);
        assert_false(backend_idle(x->rig.b));
        x->maybe = x->rig.seq + (tn_seq)rows;
    }
    if (result.outcome != BACKEND_APPLIED)
        assert_true(result.error.text[0] && result.error.code < 0 && result.error.kind != TENURE_KIND_NONE);
}

/* All batches, and some at the end: a log that had no room must take it once there is room. A failure of a checkpoint
 * beside the writer is answered with a later batch, which may be one of these. */
static void run_load(struct run *x)
{
    for (int i = 0; i < BATCHES && !x->maybe; i++)
        try_batch(x, i % 3 == 2 ? ROWS : 1, i % 2);
    x->failed = powervfs_failed(x->vfs);
    for (enum powervfs_op op = 0; op < POWERVFS_OPS; op++)
        powervfs_fail(x->vfs, op, 0, 0, false);
    unsigned not_applied = x->not_applied;
    enum { AT_LAST = 10 };
    for (int i = 0; i < AT_LAST && !x->maybe; i++)
        try_batch(x, 2, false);
    assert_int_equal(x->not_applied, not_applied);
}

static void check_after_cut(struct run *x, uint64_t seed)
{
    struct rig after;
    rig_init(&after, NULL);
    after.value_max = x->rig.value_max;
    powervfs_cut(x->vfs, seed, after.dir);
    size_t len = 0;
    uint8_t *mapping = rig_read(&x->rig, "leases", &len);
    rig_write(&after, "leases", mapping, len);
    free(mapping);
    if (rig_open(&after))
        fail_msg("refused: %s", after.error.text);
    if (after.wrong || (after.seq != x->rig.seq && after.seq != x->maybe) || after.replayed != (size_t)after.seq)
        fail_msg("%lld rows, %lld applied, %lld perhaps", (long long)after.seq, (long long)x->rig.seq,
                 (long long)x->maybe);
    rig_fini(&after);
}

static void run_fini(struct run *x)
{
    rig_fini(&x->rig);
    powervfs_free(x->vfs);
}

/* Runs the load with the n-th call of a kind failing; false when there were not so many. */
static bool run_with(enum powervfs_op op, uint64_t n, int rc, bool lasting, struct run *x)
{
    run_init(x);
    powervfs_fail(x->vfs, op, n, rc, lasting);
    run_load(x);
    check_after_cut(x, n);
    rig_close(&x->rig); /* with the files as they are: a restart without a loss of power */
    tn_seq applied = x->rig.seq;
    if (rig_open(&x->rig))
        fail_msg("refused at a restart: %s", x->rig.error.text);
    assert_true(!x->rig.wrong && (x->rig.seq == applied || x->rig.seq == x->maybe));
    rig_append(&x->rig, 1);
    return x->failed;
}

struct outcomes {
    unsigned runs, not_applied, maybe;
    unsigned unnoticed; /* runs in which a call failed and all batches were applied */
};

static struct outcomes sweep(enum powervfs_op op, int rc, bool lasting)
{
    struct outcomes out = {0};
    enum { ENOUGH = 400 };
    for (uint64_t n = 1; n < ENOUGH; n++) {
        struct run x;
        bool failed = run_with(op, n, rc, lasting, &x);
        out.runs++;
        out.not_applied += x.not_applied != 0;
        out.maybe += x.maybe != 0;
        out.unnoticed += failed && !x.maybe && !x.not_applied;
        run_fini(&x);
        if (!failed)
            break;
    }
    return out;
}

static void a_full_disk_at_any_write_is_not_applied_and_passes(void **state)
{
    (void)state;
    struct outcomes out = sweep(POWERVFS_WRITE, SQLITE_FULL, false);
    assert_int_equal(out.maybe, 0);
    assert_true(out.not_applied > BATCHES);
}

/* Frames of a transaction that was undone must not stand where the next one may be torn: with the mark of a commit among
 * them, that would pass for damage. */
static void what_a_full_disk_cut_short_is_removed_from_the_wal(void **state)
{
    (void)state;
    struct run x;
    size_t before = 0, after = 0;
    run_init(&x);
    rig_append(&x.rig, 1); /* behind it the writer has made the WAL as large as it gets */
    rig_append(&x.rig, 1);
    free(rig_read(&x.rig, "tenure.db-wal", &before));
    powervfs_fail(x.vfs, POWERVFS_WRITE, 4, SQLITE_FULL, false);
    try_batch(&x, ROWS, true);
    assert_int_equal(x.not_applied, 1);
    free(rig_read(&x.rig, "tenure.db-wal", &after));
    assert_true(after < before);
    assert_int_equal((after - 32) % (24 + 4096), 0);
    rig_append(&x.rig, ROWS);
    check_after_cut(&x, 1);
    run_fini(&x);
}

static void a_disk_that_stays_full_takes_rows_again_once_there_is_room(void **state)
{
    (void)state;
    struct outcomes out = sweep(POWERVFS_WRITE, SQLITE_FULL, true);
    assert_int_equal(out.maybe, 0);
    assert_true(out.not_applied > BATCHES);
}

static void a_failed_sync_is_maybe_applied_and_the_last_batch(void **state)
{
    (void)state;
    struct outcomes out = sweep(POWERVFS_SYNC, SQLITE_IOERR_FSYNC, false);
    assert_int_equal(out.not_applied, 0);
    assert_true(out.maybe >= BATCHES);
    assert_in_range(out.unnoticed, 0,
                    1); /* that of the zeros which make the WAL larger, once; all of a checkpoint count */
}

static void syncs_that_go_on_failing_are_too(void **state)
{
    (void)state;
    struct outcomes out = sweep(POWERVFS_SYNC, SQLITE_IOERR_FSYNC, true);
    assert_int_equal(out.not_applied, 0);
    assert_true(out.maybe >= BATCHES);
}

static void a_failed_write_is_maybe_applied_and_the_last_batch(void **state)
{
    (void)state;
    struct outcomes out = sweep(POWERVFS_WRITE, SQLITE_IOERR_WRITE, false);
    assert_int_equal(out.not_applied, 0);
    assert_true(out.maybe >= BATCHES);
}

static void a_failed_truncation_loses_nothing(void **state)
{
    (void)state;
    (void)sweep(POWERVFS_TRUNCATE, SQLITE_IOERR_TRUNCATE, false);
    (void)sweep(POWERVFS_TRUNCATE, SQLITE_IOERR_TRUNCATE, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_at_any_write_is_not_applied_and_passes),
        cmocka_unit_test(what_a_full_disk_cut_short_is_removed_from_the_wal),
        cmocka_unit_test(a_disk_that_stays_full_takes_rows_again_once_there_is_room),
        cmocka_unit_test(a_failed_sync_is_maybe_applied_and_the_last_batch),
        cmocka_unit_test(syncs_that_go_on_failing_are_too),
        cmocka_unit_test(a_failed_write_is_maybe_applied_and_the_last_batch),
        cmocka_unit_test(a_failed_truncation_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
