/* tenure cluster backup: a checked snapshot into a folder, once or again and again.
 *
 *   WAITING --it is due--> TAKING --made--> WAITING
 *      ^                     |  not made: said, and due again after a pause that grows
 *      `---------------------'
 *
 * Happy path: one loop over the signals and a thread that takes one (cluster_take.c). When several do so into one folder, the lock
 * keeps them apart, and what one has made is nobody else's task any more. A signal ends it at any time: what is not whole has no
 * backup's name. Without --every or --schedule it is once round, and a failure is the end. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <tenure/cron.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/error.h"
#include "cli/cluster_care.h"
#include "cli/cluster_take.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "cli/signals.h"
#include "io/loop.h"

#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 300000
#define LOOK_MS      60000 /* the wall clock may be set */

struct backing {
    const struct global_options *g;
    struct signals signals;
    int done_fd;
    pthread_t thread;
    struct take take;
    struct backoff pause;
    struct rng rng;
    int64_t scheduled_s, retry_at; /* of the schedule, the time that is awaited; of io_clock, 0 = nothing failed */
    bool stays, has_made;
};

/* ---- telling ---- */

static const struct output_column columns[] = {
    {.path = "file", .heading = "FILE", .width = 40},
    {.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER, .width = 8},
    {.path = "size", .heading = "SIZE", .kind = OUTPUT_SIZE, .width = 7},
    {.path = "member", .heading = "MEMBER", .width = 8},
    {.path = "role", .heading = "ROLE", .width = 8},
    {.path = "removed", .heading = "REMOVED"},
    {0},
};
static const struct output_form form = {.columns = columns};

static void tell_text(const struct take *t)
{
    printf("%s/%s: revision %" PRId64 ", %.1f MB, of %s (%s), checked", t->dir.path, t->made.name, t->made.revision,
           (double)t->made.size / 1e6, t->made.member, t->role);
    if (json_array_size(t->removed))
        printf("; %zu older removed", json_array_size(t->removed));
    printf("\n");
}

static void tell(struct backing *b)
{
    struct take *t = &b->take;
    char time[BACKUP_TIME_LEN + 1];
    if (t->note[0])
        fprintf(stderr, "tenure cluster: %s\n", t->note);
    if (output_is_text(b->g)) {
        tell_text(t);
    } else {
        json_t *o = json_object();
        json_object_set_new(o, "file", json_string(t->made.name));
        json_object_set_new(o, "time", json_string(backup_time(t->made.made_ms, time)));
        json_object_set_new(o, "revision", json_integer(t->made.revision));
        json_object_set_new(o, "size", json_integer(t->made.size));
        json_object_set_new(o, "member", json_string(t->made.member));
        json_object_set_new(o, "role", json_string(t->role));
        json_object_set(o, "removed", t->removed);
        (b->stays ? output_event : output_print)(b->g, &form, o);
    }
    fflush(stdout);
    clearerr(stdout); /* it goes on when nobody reads that */
}

static void tell_failure(struct backing *b, int64_t again_ms)
{
    char time[BACKUP_TIME_LEN + 1];
    struct take *t = &b->take;
    fprintf(stderr, "tenure cluster: no backup: %s\n", t->error.text);
    if (!b->stays)
        return;
    const struct backup_entry *last = backup_dir_newest(&t->dir);
    fprintf(stderr, "tenure cluster: tried again in %.1f s; the last good one is %s\n", (double)again_ms / 1000,
            last ? backup_time(last->made_ms, time) : "none");
}

/* ---- when ---- */

/* Of the wall clock. What somebody else has made into this folder counts. */
static int64_t due_ms(struct backing *b)
{
    const struct backup_entry *last = backup_dir_newest(&b->take.dir);
    int64_t now = io_wall_ms();
    if (!b->stays)
        return now;
    if (cluster_care.every_ms && !last)
        return now;
    if (cluster_care.every_ms)
        return (last->made_ms < now ? last->made_ms : now) + cluster_care.every_ms;
    if (last && last->made_ms / 1000 >= b->scheduled_s && last->made_ms <= now)
        b->scheduled_s = 0;
    int64_t next;
    if (b->scheduled_s == 0 && tenure_cron_next(cluster_care.schedule, NULL, now / 1000, &next, NULL) == 0)
        b->scheduled_s = next;
    return b->scheduled_s * 1000;
}

/* -1 until something comes; 0 = now. */
static int wait_ms(struct backing *b)
{
    int64_t left = due_ms(b) - io_wall_ms(), pause = b->retry_at ? b->retry_at - io_clock() : 0;
    left = left > pause ? left : pause;
    return left <= 0 ? 0 : left > LOOK_MS ? LOOK_MS : (int)left;
}

/* ---- taking one ---- */

static void *take_in_thread(void *arg)
{
    struct backing *b = arg;
    uint64_t one = 1;
    take_run(&b->take);
    return write(b->done_fd, &one, sizeof one) < 0 ? NULL : b;
}

static bool told_to_end(struct backing *b)
{
    bool ends = false;
    for (int signal; (signal = signals_next(&b->signals));)
        ends = ends || signals_is_end(signal);
    return ends;
}

static int code_of(const struct backing *b)
{
    return b->has_made && !b->retry_at ? EXIT_OK : EXIT_FAILED;
}

/* The thread may wait for a server for long: it ends with the process. */
static void end_while_taking(struct backing *b)
{
    take_clear(&b->take);
    fflush(NULL);
    _exit(code_of(b));
}

static void finish(struct backing *b)
{
    struct take *t = &b->take;
    if (t->rc == 0) {
        backoff_success(&b->pause);
        b->retry_at = b->scheduled_s = 0;
        b->has_made = true;
        if (t->made.name[0])
            tell(b);
        return;
    }
    int64_t pause = backoff_failure(&b->pause, &b->rng);
    b->retry_at = io_clock() + pause;
    tell_failure(b, pause);
}

/* False: told to end. */
static bool take_one(struct backing *b)
{
    struct pollfd fds[] = {{.fd = b->signals.fd, .events = POLLIN}, {.fd = b->done_fd, .events = POLLIN}};
    uint64_t count;
    b->take.due_ms = b->stays ? due_ms(b) : INT64_MAX;
    int rc = pthread_create(&b->thread, NULL, take_in_thread, b);
    if (rc) {
        b->take.rc = error_errno(&b->take.error, rc, "a thread");
        finish(b);
        return true;
    }
    while (!(fds[1].revents & POLLIN)) {
        poll(fds, 2, -1);
        if (told_to_end(b))
            end_while_taking(b);
    }
    pthread_join(b->thread, NULL);
    while (read(b->done_fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
    finish(b);
    return true;
}

/* False: told to end. */
static bool wait_for_it(struct backing *b)
{
    struct pollfd fd = {.fd = b->signals.fd, .events = POLLIN};
    for (int ms; (ms = wait_ms(b)) > 0;) {
        poll(&fd, 1, ms);
        if (told_to_end(b))
            return false;
    }
    return !told_to_end(b);
}

static int back_up(struct backing *b)
{
    if (!b->stays) {
        take_one(b);
        if (b->take.rc == 0)
            return EXIT_OK;
        return b->take.unavailable ? EXIT_UNAVAILABLE : EXIT_FAILED;
    }
    const struct backup_entry *last = backup_dir_newest(&b->take.dir);
    b->has_made = last != NULL;
    while (wait_for_it(b))
        take_one(b);
    return code_of(b);
}

/* ---- the command ---- */

static bool options_fit(void)
{
    const struct cluster_care *o = &cluster_care;
    struct tenure_error err = {0};
    int64_t next;
    const char *wrong = NULL;
    if (!o->to)
        wrong = "expected --to DIR";
    else if (o->every_ms && o->schedule)
        wrong = "either --every or --schedule";
    else if (o->every_ms && o->every_ms < 1000)
        wrong = "option --every: expected a second or more";
    else if (o->keep < 0)
        wrong = "option --keep: expected 1 or more";
    else if (o->schedule && tenure_cron_next(o->schedule, NULL, 0, &next, &err) < 0)
        wrong = err.text;
    if (wrong)
        fprintf(stderr, "tenure cluster: backup: %s\ntry: tenure cluster --help\n", wrong);
    return !wrong;
}

int cluster_backup(const struct global_options *g)
{
    struct backing b = {.g = g, .signals.fd = -1, .done_fd = -1, .take = {.g = g}};
    struct tenure_error err = {0};
    int code = EXIT_FAILED;
    if (!options_fit())
        return EXIT_USAGE;
    if (!connect_prepare("cluster", g))
        return connect_code();
    if (backup_dir_open(&b.take.dir, cluster_care.to, true, &err) < 0) {
        fprintf(stderr, "tenure cluster: %s\n", err.text);
        return EXIT_FAILED;
    }
    b.stays = cluster_care.every_ms || cluster_care.schedule;
    backoff_init(&b.pause, RETRY_MIN_MS,
                 cluster_care.every_ms && cluster_care.every_ms < RETRY_MAX_MS ? cluster_care.every_ms : RETRY_MAX_MS);
    rng_init(&b.rng, (uint64_t)io_clock_us() ^ (uint64_t)getpid());
    b.done_fd = eventfd(0, EFD_CLOEXEC);
    if (b.done_fd >= 0 && signals_open(&b.signals))
        code = back_up(&b);
    else
        fprintf(stderr, "tenure cluster: %s\n", strerror(errno));
    signals_close(&b.signals);
    if (b.done_fd >= 0)
        close(b.done_fd);
    take_fini(&b.take);
    return code;
}
