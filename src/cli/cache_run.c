/* tenure cache run: the library's copies, one a prefix, written to the file when they change, and stamped when they were proved to be
 * current. The library asks the servers each check_ms; here its numbers are only read. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "cli/cache.h"
#include "cli/cache_file.h"
#include "cli/connect.h"
#include "cli/paths.h"
#include "cli/signals.h"
#include "io/atomic_file.h"
#include "io/loop.h"

enum { WRITE_PAUSE_MS = 100, UNHEARD_MS = 5000, FIRST_MS = 5000, CODE_NONE = -1 };

struct keeper {
    const struct global_options *g;
    const struct cache_flags *f;
    tenure_client *client;
    char path[4096];
    const char *const *prefixes;
    size_t n;
    tenure_cache *caches[CACHE_PREFIXES_MAX];
    struct signals signals;
    struct atomic_file file; /* the one that stands, locked; fd -1 = none yet */
    struct buf text;         /* behind its first line */
    int64_t as_of_ms;        /* that its first line says, on this boot's clock */
    int64_t next_write_ms;
    bool is_changed, is_unheard, is_failing;
};

static int failed(const struct keeper *k, const struct tenure_error *err)
{
    return connect_failed("cache", k->g, err);
}

/* The first time is the end; later on the copy that there is stays, until a newer one can be written. */
static int file_failed(struct keeper *k, const struct tenure_error *err)
{
    if (!k->is_failing)
        fprintf(stderr, "tenure cache: %s\n", err->text);
    k->is_failing = true;
    return k->file.fd < 0 || k->f->once ? EXIT_FAILED : CODE_NONE;
}

/* ---- the file ---- */

static struct cache_time as_of(int64_t stale_ms)
{
    struct cache_time t = cache_time_now();
    t.wall_ms -= stale_ms;
    t.boot_ms -= stale_ms;
    return t;
}

static const struct output_form form = {
    .columns = (const struct output_column[]){{.path = "file", .heading = "FILE"},
                                              {.path = "keys", .heading = "KEYS", .kind = OUTPUT_NUMBER},
                                              {.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER},
                                              {0}},
};

static void say_kept(const struct keeper *k, const struct tenure_cache_list *const *lists)
{
    size_t keys = 0;
    int64_t revision = 0;
    for (size_t i = 0; i < k->n; i++) {
        keys += lists[i]->n;
        revision = lists[i]->revision > revision ? lists[i]->revision : revision;
    }
    if (output_is_text(k->g)) {
        printf("%zu key%s at revision %" PRId64 " in %s\n", keys, keys == 1 ? "" : "s", revision, k->path);
    } else {
        json_t *o = json_object();
        output_set_bytes(o, "file", tenure_str(k->path));
        json_object_set_new(o, "keys", json_integer((json_int_t)keys));
        json_object_set_new(o, "revision", json_integer(revision));
        output_event(k->g, &form, o);
    }
    fflush(stdout);
}

static int write_file(struct keeper *k, const struct tenure_cache_list *const *lists, int64_t stale_ms)
{
    struct tenure_error err = {0};
    struct buf whole;
    struct cache_time t = as_of(stale_ms);
    struct atomic_file next = {.fd = -1};
    char line[CACHE_LINE];
    bool is_first = k->file.fd < 0;
    buf_reset(&k->text);
    buf_init(&whole);
    bool fits = cache_text_write(&k->text, k->prefixes, lists, k->n);
    cache_line_write(line, buf_bytes(&k->text), &t);
    buf_append(&whole, line, sizeof line);
    buf_append_bytes(&whole, buf_bytes(&k->text));
    int rc = !fits || buf_error(&whole)
                 ? error_set(&err, TENURE_ENOMEM, "%s: out of memory", k->path)
                 : atomic_file_begin(&next, k->path, ATOMIC_FILE_PRIVATE, buf_bytes(&whole), &err);
    rc = rc ? rc : atomic_file_commit(&next, &err);
    buf_fini(&whole);
    if (rc) {
        atomic_file_fini(&next);
        return file_failed(k, &err);
    }
    atomic_file_fini(&k->file);
    k->file = next;
    k->as_of_ms = t.boot_ms;
    k->is_changed = k->is_failing = false;
    if (is_first)
        say_kept(k, lists);
    return CODE_NONE;
}

/* Only the first line, in its place. */
static int stamp(struct keeper *k, int64_t stale_ms)
{
    struct tenure_error err;
    struct cache_time t = as_of(stale_ms);
    char line[CACHE_LINE];
    if (t.boot_ms <= k->as_of_ms)
        return CODE_NONE;
    cache_line_write(line, buf_bytes(&k->text), &t);
    ssize_t n = pwrite(k->file.fd, line, sizeof line, 0);
    if (n != (ssize_t)sizeof line) {
        error_errno(&err, n < 0 ? errno : ENOSPC, "%.150s", k->path);
        return file_failed(k, &err);
    }
    k->as_of_ms = t.boot_ms;
    return CODE_NONE;
}

/* ---- the copies ---- */

static void free_lists(struct tenure_cache_list **lists, size_t n)
{
    for (size_t i = 0; i < n; i++)
        tenure_cache_list_free(lists[i]);
}

static void say_heard(struct keeper *k, int64_t stale_ms)
{
    bool unheard = stale_ms > UNHEARD_MS + 2 * k->f->check_ms;
    if (unheard != k->is_unheard)
        fprintf(stderr, "tenure cache: the servers are %s\n",
                unheard ? "not heard: the copy stays as it is" : "heard again");
    k->is_unheard = unheard;
}

/* CODE_NONE: go on. */
static int keep(struct keeper *k)
{
    struct tenure_cache_list *lists[CACHE_PREFIXES_MAX];
    struct tenure_error err = {0};
    int64_t stale_ms = 0;
    size_t n = 0;
    int rc = 0;
    for (; n < k->n && (rc = tenure_cache_cached_list(k->caches[n], tenure_str(""), NULL, &lists[n], &err)) == 0; n++)
        stale_ms = lists[n]->stale_ms > stale_ms ? lists[n]->stale_ms : stale_ms;
    int code = CODE_NONE;
    if (rc == TENURE_EUNAVAILABLE) {
        free_lists(lists, n);
        k->is_changed = false; /* the first state will be word enough */
        return code;
    }
    if (rc)
        code = failed(k, &err);
    else if (k->is_changed || k->file.fd < 0)
        code = write_file(k, (const struct tenure_cache_list *const *)lists, stale_ms);
    else
        code = stamp(k, stale_ms);
    if (code == CODE_NONE)
        say_heard(k, stale_ms);
    free_lists(lists, n);
    return code == CODE_NONE && k->f->once ? EXIT_OK : code;
}

static bool open_copies(struct keeper *k, tenure_client *c, struct tenure_error *err)
{
    struct tenure_cache_options o = {
        .size = sizeof o, .prefix = true, .check_ms = k->f->check_ms, .keys_max = (size_t)k->f->keys_max};
    for (size_t i = 0; i < k->n; i++) {
        k->caches[i] = tenure_cache_open(c, tenure_str(k->prefixes[i]), &o, err);
        if (!k->caches[i])
            return false;
    }
    return true;
}

/* ---- the loop ---- */

static void take_word(struct keeper *k, const struct pollfd *fds)
{
    uint64_t count;
    for (size_t i = 0; i < k->n; i++)
        if (fds[i + 1].revents && read(fds[i + 1].fd, &count, sizeof count) > 0)
            k->is_changed = true;
}

/* Half as long as the library asks, so that the file lags behind by no more. Changes that come fast are written together. */
static int wait_for_word(struct keeper *k)
{
    struct pollfd fds[CACHE_PREFIXES_MAX + 1] = {{.fd = k->signals.fd, .events = POLLIN}};
    int64_t now = io_clock(), wait_ms = k->is_changed ? k->next_write_ms - now : k->f->check_ms / 2 + 1;
    size_t n = k->is_changed ? 0 : k->n;
    for (size_t i = 0; i < n; i++)
        fds[i + 1] = (struct pollfd){.fd = tenure_cache_fd(k->caches[i]), .events = POLLIN};
    poll(fds, n + 1, wait_ms > 0 ? wait_ms > 60000 ? 60000 : (int)wait_ms : 0);
    for (int sig; (sig = signals_next(&k->signals)) != 0;) {
        if (signals_is_end(sig))
            return EXIT_OK;
        if (sig == SIGTSTP)
            signals_stop_self(false);
    }
    if (n > 0)
        take_word(k, fds);
    return CODE_NONE;
}

static int go_on(struct keeper *k)
{
    int64_t until = io_clock() + (k->g->call_timeout_ms ? k->g->call_timeout_ms : FIRST_MS);
    int code = CODE_NONE;
    k->is_changed = true;
    while (code == CODE_NONE) {
        code = wait_for_word(k);
        if (code != CODE_NONE || (k->is_changed && io_clock() < k->next_write_ms))
            continue;
        k->next_write_ms = io_clock() + WRITE_PAUSE_MS;
        code = keep(k);
        if (code == CODE_NONE && k->f->once && io_clock() > until) {
            struct tenure_error err;
            connect_silence(k->client, "no server answered in time", &err);
            code = failed(k, &err);
        }
    }
    return code;
}

/* Of one that another process keeps. */
static bool is_free(const struct keeper *k)
{
    int fd = open(k->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool is_free = fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (fd >= 0)
        close(fd);
    if (!is_free)
        fprintf(stderr, "tenure cache: %s: another `tenure cache run` keeps it\n", k->path);
    return is_free;
}

static int run_on(struct keeper *k)
{
    struct tenure_error err = {0};
    tenure_client *c = k->client = connect_open("cache", k->g);
    if (!c)
        return connect_code();
    int code = open_copies(k, c, &err) ? go_on(k) : failed(k, &err);
    for (size_t i = 0; i < k->n; i++)
        tenure_cache_close(k->caches[i]);
    tenure_close(c);
    return code;
}

int cache_run(const struct global_options *g, const struct cache_flags *f, int n, char **prefixes)
{
    struct keeper k = {.g = g, .f = f, .prefixes = (const char *const *)prefixes, .n = (size_t)n, .file = {.fd = -1}};
    if (!cache_path(f, k.path, sizeof k.path))
        return EXIT_USAGE;
    paths_make_parents(k.path);
    if (!is_free(&k))
        return EXIT_FAILED;
    if (!signals_open(&k.signals)) {
        fprintf(stderr, "tenure cache: signals cannot be read\n");
        return EXIT_FAILED;
    }
    buf_init(&k.text);
    int code = run_on(&k);
    buf_fini(&k.text);
    atomic_file_fini(&k.file);
    signals_close(&k.signals);
    return code;
}
