/* The durable log alone: commits and rows a second, CPU a row, latencies, beside a raw file with fdatasync in the same
 * minutes. Prints one line a case; medians over interleaved rounds, because a shared disk is never quiet.
 *
 *     bench-backend DIR [SECONDS-PER-CASE [ROUNDS]]
 *
 * A last case settles the size of a log whose keys are overwritten at random and compacted in slices. */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/rng.h"

enum { KEY = 32, VALUE = 256, SAMPLES_MAX = 1 << 20, ROUNDS_MAX = 32 };

struct figures {
    double commits_s, rows_s, cpu_us, p50, p99, p999, max;
    double wal_mib;
};

static char dir[256];
static int event;

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench-backend: %s: %s\n", what, why);
    exit(1);
}

/* ---- the log ---- */

static void on_done(void *user)
{
    uint64_t one = 1;
    (void)user;
    (void)!write(event, &one, sizeof one);
}

static int on_record(void *user, const struct record *r)
{
    (void)r;
    ++*(size_t *)user;
    return 0;
}

static void remove_log(void)
{
    static const char *const names[] = {"tenure.db", "tenure.db-wal", "leases", "lock", "ballast"};
    char path[300];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        (void)unlink(path);
    }
}

static struct backend *open_log(double *ret_open_s, size_t *ret_rows)
{
    struct backend_config config = {.dir = dir, .on_done = on_done};
    struct backend *b = NULL;
    struct tenure_error error;
    double begin = seconds(CLOCK_MONOTONIC);
    *ret_rows = 0;
    if (backend_open(&config, &b, &error) || backend_replay(b, on_record, ret_rows, &error))
        die("open", error.text);
    *ret_open_s = seconds(CLOCK_MONOTONIC) - begin;
    return b;
}

static void commit(struct backend *b, const struct backend_batch *batch, bool now)
{
    struct backend_result result;
    uint64_t count;
    if (now) {
        backend_commit_now(b, batch, &result);
    } else {
        backend_submit(b, batch);
        if (read(event, &count, sizeof count) != sizeof count || !backend_take(b, &result))
            die("take", "nothing");
    }
    if (result.outcome != BACKEND_APPLIED)
        die("commit", result.error.text);
}

static void fill(struct record *rows, size_t n, tn_seq first)
{
    static const uint8_t key[KEY], value[VALUE];
    for (size_t i = 0; i < n; i++) {
        tn_seq seq = first + (tn_seq)i;
        rows[i] = (struct record){.seq = seq,
                                  .kind = RECORD_KV,
                                  .last_of_command = true,
                                  .main = seq + 1,
                                  .key = {key, KEY},
                                  .value = {value, VALUE},
                                  .create_revision = seq + 1,
                                  .version = 1};
    }
}

static double wal_mib(void)
{
    char path[300];
    struct stat st;
    snprintf(path, sizeof path, "%s/tenure.db-wal", dir);
    return stat(path, &st) == 0 ? (double)st.st_size / (1 << 20) : 0;
}

static void percentiles(double *samples, size_t n, struct figures *ret)
{
    qsort(samples, n, sizeof *samples, compare);
    ret->p50 = samples[n / 2] * 1e6;
    ret->p99 = samples[n * 99 / 100] * 1e6;
    ret->p999 = samples[n * 999 / 1000] * 1e6;
    ret->max = samples[n - 1] * 1e6;
}

static struct figures run_log(size_t batch_rows, bool now, double duration)
{
    static double samples[SAMPLES_MAX];
    struct record *rows = calloc(batch_rows, sizeof *rows);
    struct figures f = {0};
    size_t n = 0, old;
    double opened;
    remove_log();
    struct backend *b = open_log(&opened, &old);
    double begin = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), at = begin;
    while (rows && at - begin < duration && n < SAMPLES_MAX) {
        fill(rows, batch_rows, backend_seq(b) + 1);
        commit(b, &(struct backend_batch){rows, batch_rows, NULL, 0}, now);
        double end = seconds(CLOCK_MONOTONIC);
        samples[n++] = end - at;
        at = end;
    }
    f.commits_s = (double)n / (at - begin);
    f.rows_s = f.commits_s * (double)batch_rows;
    f.cpu_us = (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e6 / (double)(n * batch_rows);
    f.wal_mib = wal_mib();
    percentiles(samples, n, &f);
    backend_close(b);
    free(rows);
    return f;
}

/* ---- the limit: a file written over, synced each time ---- */

static struct figures run_raw(size_t bytes, double duration)
{
    enum { SIZE = 8 << 20 };
    static double samples[SAMPLES_MAX];
    static uint8_t block[SIZE];
    char path[300];
    struct figures f = {0};
    size_t n = 0;
    snprintf(path, sizeof path, "%s/raw", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, block, SIZE) != SIZE || fsync(fd) < 0)
        die(path, "cannot be written");
    double begin = seconds(CLOCK_MONOTONIC), at = begin;
    for (off_t pos = 0; at - begin < duration && n < SAMPLES_MAX; pos = (pos + (off_t)bytes) % (SIZE / 2)) {
        if (pwrite(fd, block, bytes, pos) != (ssize_t)bytes || fdatasync(fd) < 0)
            die(path, "cannot be written");
        double end = seconds(CLOCK_MONOTONIC);
        samples[n++] = end - at;
        at = end;
    }
    f.commits_s = (double)n / (at - begin);
    percentiles(samples, n, &f);
    close(fd);
    (void)unlink(path);
    return f;
}

/* ---- rounds ---- */

static double median(struct figures *all, size_t rounds, size_t offset)
{
    double values[ROUNDS_MAX];
    for (size_t i = 0; i < rounds; i++)
        memcpy(&values[i], (const char *)&all[i] + offset, sizeof values[i]);
    qsort(values, rounds, sizeof *values, compare);
    return values[rounds / 2];
}

static void print_case(const char *name, struct figures *all, size_t rounds)
{
#define MEDIAN(field) median(all, rounds, offsetof(struct figures, field))
    printf(
        "%-28s %9.0f commits/s %10.0f rows/s %7.2f us CPU/row  p50 %6.0f p99 %6.0f p99.9 %6.0f max %6.0f us  WAL %4.1f MiB\n",
        name, MEDIAN(commits_s), MEDIAN(rows_s), MEDIAN(cpu_us), MEDIAN(p50), MEDIAN(p99), MEDIAN(p999), MEDIAN(max),
        MEDIAN(wal_mib));
}

static void compare_speeds(double duration, size_t rounds)
{
    static const struct {
        const char *name;
        size_t batch;
        bool now;
    } cases[] = {
        {"1 row, on the caller", 1, true},
        {"1 row, on the writer", 1, false},
        {"16 rows", 16, false},
        {"64 rows", 64, false},
        {"256 rows", 256, false},
    };
    static struct figures log[ARRAY_LEN(cases)][ROUNDS_MAX], raw[ROUNDS_MAX];
    for (size_t round = 0; round < rounds; round++) {
        raw[round] = run_raw(4120, duration / 2);
        for (size_t i = 0; i < ARRAY_LEN(cases); i++)
            log[i][round] = run_log(cases[i].batch, cases[i].now, duration);
    }
    print_case("raw 4 KiB and fdatasync", raw, rounds);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        print_case(cases[i].name, log[i], rounds);
}

/* ---- starting and settling ---- */

static void show_start(void)
{
    enum { ROWS = 500000, BATCH = 1000 };
    struct record *rows = calloc(BATCH, sizeof *rows);
    double opened;
    size_t n;
    remove_log();
    struct backend *b = open_log(&opened, &n);
    printf("start of an empty log        %9.1f ms\n", opened * 1e3);
    for (tn_seq seq = 0; rows && seq < ROWS; seq += BATCH) {
        fill(rows, BATCH, seq + 1);
        commit(b, &(struct backend_batch){rows, BATCH, NULL, 0}, false);
    }
    backend_close(b);
    b = open_log(&opened, &n);
    printf("start with %zu rows      %9.1f ms, %.2f us a row, checks included\n", n, opened * 1e3,
           opened * 1e6 / (double)n);
    backend_close(b);
    free(rows);
}

/* KEYS keys, overwritten at random; each round the superseded rows are deleted in slices. */
static void show_settled_size(void)
{
    enum { KEYS = 20000, ROUNDS = 40, SLICE = 500 };
    static tn_seq newest[KEYS];
    static tn_seq dead[KEYS];
    static struct record rows[KEYS];
    struct rng rng;
    double opened;
    size_t n_rows;
    rng_init(&rng, 1);
    remove_log();
    struct backend *b = open_log(&opened, &n_rows);
    int64_t dense = 0;
    for (int round = 0; round <= ROUNDS; round++) {
        size_t n = round == 0 ? KEYS : KEYS / 4, n_dead = 0;
        tn_seq first = backend_seq(b) + 1;
        for (size_t i = 0; i < n; i++) {
            size_t key = round == 0 ? i : (size_t)rng_below(&rng, KEYS);
            if (newest[key])
                dead[n_dead++] = newest[key];
            newest[key] = first + (tn_seq)i;
        }
        fill(rows, n, first);
        commit(b, &(struct backend_batch){rows, n, NULL, 0}, false);
        for (size_t i = 0; i < n_dead; i += SLICE)
            commit(b, &(struct backend_batch){NULL, 0, dead + i, n_dead - i < SLICE ? n_dead - i : SLICE}, false);
        if (round == 0) {
            backend_close(b);
            b = open_log(&opened, &n_rows);
            dense = backend_size_in_use(b);
        }
    }
    backend_close(b);
    b = open_log(&opened, &n_rows);
    char path[300];
    struct stat st;
    snprintf(path, sizeof path, "%s/tenure.db", dir);
    stat(path, &st);
    printf("settled size of %zu rows   in use %.2f, file %.2f times the dense one, after overwriting all %d times\n",
           n_rows, (double)backend_size_in_use(b) / (double)dense, (double)st.st_size / (double)dense, ROUNDS / 4);
    backend_close(b);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        die("usage", "bench-backend DIR [SECONDS-PER-CASE [ROUNDS]]");
    double duration = argc > 2 ? strtod(argv[2], NULL) : 2;
    size_t rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : 3;
    snprintf(dir, sizeof dir, "%s/bench-backend", argv[1]);
    event = eventfd(0, EFD_CLOEXEC);
    (void)mkdir(dir, 0700);
    compare_speeds(duration, rounds < 1 ? 1 : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds);
    show_start();
    show_settled_size();
    remove_log();
    (void)rmdir(dir);
    return 0;
}
