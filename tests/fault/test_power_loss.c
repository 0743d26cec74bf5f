/* KV3, KV7: after a loss of power at any call, whatever the disk kept of what was not synced, the real log opens again
 * and holds every acknowledged batch, at most the one under way besides, and nothing else. A refusal is a failure too:
 * a torn end is no damage.
 *
 *     test_power_loss [--seeds N] [--seed S]
 *
 * Each seed runs a random load (rows, deletes, both ways to commit, restarts, a WAL so small that it goes round all the
 * time) on the VFS that cuts the power at a random call. What that leaves is judged, and a copy of it is opened through the
 * VFS again, loaded further and cut once more, often in the middle of the recovery; and so on.
 *
 * That the test can fail is shown by a log that does not sync. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "powervfs.h"
#include "rig.h"

enum { SEQ_MAX = 4096, BATCHES = 60, ROWS_MAX = 20 };

static uint64_t first_seed = 1;
static uint64_t n_seeds = 200;

enum fate { THERE, DELETE_SUBMITTED, DELETED };

/* What the load knows, and at the cut, what had to be durable. */
struct truth {
    tn_seq acked, submitted;
    uint8_t fate[SEQ_MAX]; /* enum fate, by sequence */
};

struct world {
    struct rng rng;
    struct powervfs *vfs;
    struct rig *rig;       /* the log under load */
    struct rig *after;     /* what the cut left, to be judged */
    struct rig model;      /* the settings of all logs of this seed */
    unsigned mapping;      /* how the file `leases` fares at the cut */
    pthread_mutex_t mutex; /* the checkpoint thread may run into the cut */
    struct truth now, at_cut;
    bool cut;
};

/* ---- the load ---- */

static void note(struct world *w, size_t n_rows, const tn_seq *deletes, size_t n_deletes, enum fate fate)
{
    pthread_mutex_lock(&w->mutex);
    if (fate == DELETED)
        w->now.acked = w->rig->seq;
    else
        w->now.submitted = w->rig->seq + (tn_seq)n_rows;
    for (size_t i = 0; i < n_deletes; i++)
        w->now.fate[deletes[i]] = (uint8_t)fate;
    pthread_mutex_unlock(&w->mutex);
}

static size_t choose_deletes(struct world *w, tn_seq *ret, size_t max)
{
    size_t n = 0;
    for (size_t tries = 0; w->rig->seq > 1 && tries < max; tries++) {
        tn_seq seq = 1 + (tn_seq)rng_below(&w->rng, (uint64_t)w->rig->seq - 1);
        bool again = w->now.fate[seq] != THERE;
        for (size_t i = 0; i < n; i++)
            again |= ret[i] == seq;
        if (!again)
            ret[n++] = seq;
    }
    return n;
}

static void run_batch(struct world *w)
{
    tn_seq deletes[8];
    size_t n_deletes = rng_below(&w->rng, 4) ? 0 : choose_deletes(w, deletes, ARRAY_LEN(deletes));
    size_t n_rows = rng_below(&w->rng, 3) ? 1 : rng_below(&w->rng, ROWS_MAX + 1);
    if (n_rows + n_deletes == 0)
        n_rows = 1;
    note(w, n_rows, deletes, n_deletes, DELETE_SUBMITTED);
    struct backend_result result = rig_try(w->rig, n_rows, deletes, n_deletes, rng_below(&w->rng, 2));
    if (result.outcome != BACKEND_APPLIED)
        fail_msg("a batch was not applied: %s", result.error.text);
    note(w, 0, deletes, n_deletes, DELETED);
}

static void open_log(struct rig *r)
{
    if (rig_open(r))
        fail_msg("the log does not open: %s", r->error.text);
}

static bool was_cut(struct world *w)
{
    pthread_mutex_lock(&w->mutex);
    bool cut = w->cut;
    pthread_mutex_unlock(&w->mutex);
    return cut;
}

static void run_load(struct world *w)
{
    open_log(w->rig);
    for (int i = 0; i < BATCHES && !was_cut(w) && w->rig->seq < SEQ_MAX - ROWS_MAX - 1; i++) {
        run_batch(w);
        if (rng_below(&w->rng, 25) == 0) {
            rig_close(w->rig);
            open_log(w->rig);
        }
    }
    rig_close(w->rig);
}

/* ---- the cut ---- */

/* Written back wholly, not at all, or its sectors as they come (in a new file the others are zero). */
static void keep_mapping(struct world *w)
{
    size_t len = 0;
    uint8_t *data = w->mapping ? rig_read(w->rig, "leases", &len) : NULL;
    struct rng r;
    rng_init(&r, w->mapping);
    for (size_t at = 0; data && w->mapping > 1 && at + 512 <= len; at += 512) {
        if (rng_below(&r, 2))
            memset(data + at, 0, 512);
    }
    if (data)
        rig_write(w->after, "leases", data, len);
    free(data);
}

static void on_cut(void *user)
{
    struct world *w = user;
    pthread_mutex_lock(&w->mutex);
    w->at_cut = w->now;
    w->cut = true;
    pthread_mutex_unlock(&w->mutex);
    keep_mapping(w);
}

static bool seen_as_it_must(const struct world *w, tn_seq seq, bool all)
{
    bool there = rig_saw(w->after, seq);
    switch ((enum fate)w->at_cut.fate[seq]) {
    case THERE:
        return there;
    case DELETED:
        return !there;
    case DELETE_SUBMITTED: /* goes with its batch, which may be one of deletes alone */
        return w->at_cut.submitted == w->at_cut.acked || there == !all;
    }
    return false;
}

/* NULL when the log holds what it must. */
static const char *judge(const struct world *w)
{
    static char says[128];
    const struct truth *t = &w->at_cut;
    tn_seq seq = w->after->seq;
    if (w->after->wrong)
        return "a row is not what was written";
    if (seq != t->acked && seq != t->submitted) {
        snprintf(says, sizeof says, "it ends at %lld; %lld acknowledged, %lld submitted", (long long)seq,
                 (long long)t->acked, (long long)t->submitted);
        return says;
    }
    for (tn_seq s = 1; s <= seq; s++) {
        if (!seen_as_it_must(w, s, seq == t->submitted)) {
            snprintf(says, sizeof says, "row %lld is %s", (long long)s, rig_saw(w->after, s) ? "back" : "gone");
            return says;
        }
    }
    return NULL;
}

/* What is on the disk is the truth from here on. */
static void accept(struct world *w)
{
    w->now = (struct truth){.acked = w->after->seq, .submitted = w->after->seq};
    for (tn_seq s = 1; s <= w->after->seq; s++)
        w->now.fate[s] = rig_saw(w->after, s) ? THERE : DELETED;
}

/* ---- one seed ---- */

static struct rig *rig_new(const struct world *w)
{
    struct rig *r = malloc(sizeof *r);
    assert_non_null(r);
    rig_init(r, NULL);
    r->value_max = w->model.value_max;
    r->config.wal_bytes_soft = w->model.config.wal_bytes_soft;
    r->config.wal_bytes_hard = w->model.config.wal_bytes_hard;
    r->config.ballast_bytes = -1;
    r->config.no_sync = w->model.config.no_sync;
    return r;
}

static struct rig *rig_free(struct rig *r)
{
    rig_fini(r);
    free(r);
    return NULL;
}

static void world_init(struct world *w, uint64_t seed, bool no_sync)
{
    static const size_t value_sizes[] = {0, 100, 100, 1500, 9000};
    *w = (struct world){0};
    rng_init(&w->rng, seed);
    pthread_mutex_init(&w->mutex, NULL);
    w->model.value_max = value_sizes[rng_below(&w->rng, ARRAY_LEN(value_sizes))];
    w->model.config.wal_bytes_soft = (int64_t)(20 + rng_below(&w->rng, 200)) << 10;
    w->model.config.wal_bytes_hard = w->model.config.wal_bytes_soft + (int64_t)(rng_below(&w->rng, 300) << 10);
    w->model.config.no_sync = no_sync;
    w->rig = rig_new(w);
}

static void world_fini(struct world *w)
{
    w->rig = rig_free(w->rig);
    pthread_mutex_destroy(&w->mutex);
}

static void load_until_cut(struct world *w, uint64_t calls)
{
    w->cut = false;
    w->mapping = (unsigned)rng_below(&w->rng, 6);
    w->vfs = powervfs_new();
    w->rig->config.vfs = powervfs_name();
    powervfs_cut_at(w->vfs, 1 + rng_below(&w->rng, calls), rng_u64(&w->rng), w->after->dir, on_cut, w);
    run_load(w);
    if (!w->cut) {
        powervfs_cut(w->vfs, rng_u64(&w->rng), w->after->dir);
        on_cut(w);
    }
    w->vfs = powervfs_free(w->vfs);
}

/* Loads the log, cuts the power within about so many calls, and judges what is left; an untouched copy of that takes the
 * log's place, so that the next cut may hit its recovery. NULL when all is well. */
static const char *load_and_cut(struct world *w, uint64_t calls)
{
    static char refused[300];
    w->after = rig_new(w);
    load_until_cut(w, calls);
    w->rig = rig_free(w->rig);
    w->rig = rig_new(w);
    rig_copy(w->after->dir, w->rig->dir);
    const char *complaint = NULL;
    if (rig_open(w->after)) {
        snprintf(refused, sizeof refused, "refused: %s", w->after->error.text);
        complaint = refused;
    } else {
        complaint = judge(w);
        accept(w);
    }
    w->after = rig_free(w->after);
    return complaint;
}

static const char *run_seed(uint64_t seed, bool no_sync)
{
    static const uint64_t calls[] = {500, 40, 400, 100};
    struct world *w = malloc(sizeof *w);
    assert_non_null(w);
    world_init(w, seed, no_sync);
    const char *complaint = NULL;
    for (size_t i = 0; i < ARRAY_LEN(calls) && !complaint; i++)
        complaint = load_and_cut(w, calls[i]);
    world_fini(w);
    free(w);
    return complaint;
}

static void no_acknowledged_row_is_lost_and_no_torn_end_refused(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + n_seeds; seed++) {
        const char *complaint = run_seed(seed, false);
        if (complaint)
            fail_msg("seed %llu: %s", (unsigned long long)seed, complaint);
    }
}

static void a_log_that_does_not_sync_is_found_out(void **state)
{
    (void)state;
    unsigned found = 0;
    for (uint64_t seed = 1; seed <= 30; seed++)
        found += run_seed(seed, true) != NULL;
    assert_true(found > 0);
}

int main(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t number = strtoull(argv[i + 1], NULL, 10);
        if (!strcmp(argv[i], "--seeds"))
            n_seeds = number;
        else if (!strcmp(argv[i], "--seed"))
            first_seed = number, n_seeds = 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_acknowledged_row_is_lost_and_no_torn_end_refused),
        cmocka_unit_test(a_log_that_does_not_sync_is_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
