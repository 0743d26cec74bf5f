/* A work queue as a source of work for a shift. The item is acknowledged when its command ended with 0, else given back to be taken
 * again later. Several at a time are several processes (workers.h): each has a lease, a guardian and a command of its own. */
#include "cli/queue_work.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/connect.h"
#include "cli/shift.h"
#include "cli/workers.h"
#include "io/loop.h"

#define RETRY_DELAY_MAX_MS 600000
#define TAKE_AGAIN_MS      1000 /* a take that failed sooner than that is not begun again */

struct source {
    const struct queue_work_options *o;
    struct shift shift;
    tenure_queue *queue;
    tenure_wait *take;
    struct tenure_queue_item *item;
    bool was_answered, is_stopping;
    bool is_done; /* of the item at hand: to be acknowledged */
    int64_t delay_ms;
    int64_t take_at_ms;
    char token[24], attempt[24];
    char **argv; /* of the item, with its value in place of {} */
    struct spawn_variable variables[6];
};

/* ---- the command's words and input ---- */

static size_t count(const char *word, const char *what)
{
    size_t n = 0;
    while ((word = strstr(word, what))) {
        word += strlen(what);
        n++;
    }
    return n;
}

static bool uses_value(char **argv)
{
    for (; *argv; argv++)
        if (count(*argv, "{}"))
            return true;
    return false;
}

/* Malloc'd. */
static char *word_with(const char *word, struct tenure_bytes value)
{
    char *out = malloc(strlen(word) + count(word, "{}") * value.len + 1), *at = out;
    while (out && *word) {
        bool here = strncmp(word, "{}", 2) == 0;
        if (here && value.len)
            memcpy(at, value.data, value.len);
        else if (!here)
            *at = *word;
        at += here ? value.len : 1;
        word += here ? 2 : 1;
    }
    if (out)
        *at = 0;
    return out;
}

static void free_words(struct source *q)
{
    for (char **word = q->argv; word && *word; word++)
        free(*word);
    free(q->argv);
    q->argv = NULL;
}

static bool fill_words(struct source *q)
{
    size_t n = 0;
    while (q->o->argv[n])
        n++;
    q->argv = calloc(n + 1, sizeof *q->argv);
    for (size_t i = 0; q->argv && i < n; i++)
        if (!(q->argv[i] = word_with(q->o->argv[i], q->item->value)))
            return false;
    return q->argv != NULL;
}

/* The value as something to read; a file that has no name. */
static bool fill_input(struct source *q)
{
    const char *data = q->item->value.data;
    int fd = memfd_create("tenure-item", MFD_CLOEXEC);
    for (size_t at = 0, len = q->item->value.len; fd >= 0 && at < len;) {
        ssize_t n = write(fd, data + at, len - at);
        if (n <= 0) {
            close(fd);
            return false;
        }
        at += (size_t)n;
    }
    if (fd >= 0)
        lseek(fd, 0, SEEK_SET);
    q->shift.input = fd;
    return fd >= 0;
}

static bool fill_work(struct source *q)
{
    snprintf(q->token, sizeof q->token, "%" PRId64, q->item->token);
    snprintf(q->attempt, sizeof q->attempt, "%" PRId64, q->item->deliveries);
    const struct spawn_variable variables[] = {{"TENURE_TOKEN", q->token},
                                               {"TENURE_KEY", q->item->key.data},
                                               {"TENURE_NAME", q->o->name},
                                               {"TENURE_ATTEMPT", q->attempt},
                                               {NULL, NULL}};
    memcpy(q->variables, variables, sizeof variables);
    if (!fill_input(q) || !fill_words(q))
        return false;
    q->shift.argv = q->argv;
    return true;
}

static void drop_item(struct source *q)
{
    if (q->shift.input >= 0)
        close(q->shift.input);
    q->shift.input = -1;
    free_words(q);
    tenure_queue_item_free(q->item);
    q->item = NULL;
}

/* ---- what becomes of it ---- */

static void over_by(struct source *q, const struct tenure_error *err)
{
    q->shift.is_over = true;
    if (err)
        q->shift.why_over = *err;
}

static void settle_item(struct source *q);

static void on_settled(void *user, int code, const struct tenure_error *err)
{
    struct source *q = user;
    bool is_lost = code == TENURE_ELOST || tenure_queue_remaining_ms(q->queue, q->item) <= 0;
    bool again = code == TENURE_EUNAVAILABLE || code == TENURE_ETIMEOUT;
    if (code && again && !is_lost) {
        settle_item(q);
        return;
    }
    if (code && is_lost && q->is_done)
        shift_say(&q->shift, "lost before the item could be acknowledged, it is delivered again",
                  err ? err->text : NULL);
    else if (code && !is_lost)
        shift_say(&q->shift, "what became of the item could not be written down", err ? err->text : NULL);
    drop_item(q);
    if (q->is_stopping)
        over_by(q, NULL);
    else
        q->shift.is_settled = true;
}

static void settle_item(struct source *q)
{
    struct tenure_error err = {0};
    int rc = q->is_done ? tenure_queue_ack_start(q->queue, q->item, on_settled, q, &err)
                        : tenure_queue_nack_start(q->queue, q->item, q->delay_ms, on_settled, q, &err);
    if (rc < 0)
        on_settled(q, rc == TENURE_EUNAVAILABLE ? TENURE_EINTERNAL : rc, &err);
}

/* The delay doubles with each delivery. */
static int64_t delay_of(const struct source *q)
{
    int64_t ms = q->o->retry_delay_ms;
    for (int64_t n = 1; n < q->item->deliveries && ms < RETRY_DELAY_MAX_MS; n++)
        ms *= 2;
    return ms < RETRY_DELAY_MAX_MS || ms == q->o->retry_delay_ms ? ms : RETRY_DELAY_MAX_MS;
}

static const char *id_of(const struct source *q)
{
    const char *key = q->item->key.data, *slash = strrchr(key, '/');
    return slash ? slash + 1 : key;
}

static void say_failed(const struct source *q, const char *how, int number)
{
    char text[256];
    int id = (int)strcspn(id_of(q), ".");
    bool dies = q->o->attempts_max && q->item->deliveries >= q->o->attempts_max;
    int n = snprintf(text, sizeof text, "item %.*s: %s %d in attempt %" PRId64 ", ", id, id_of(q), how, number,
                     q->item->deliveries);
    if (dies)
        snprintf(text + n, sizeof text - (size_t)n, "goes to the dead letters");
    else
        snprintf(text + n, sizeof text - (size_t)n, "again in %g s", (double)q->delay_ms / 1000);
    shift_say(&q->shift, text, NULL);
}

static void failed(struct source *q, const char *how, int number)
{
    q->delay_ms = delay_of(q);
    say_failed(q, how, number);
    settle_item(q);
}

static void settle(void *user, int code, bool was_ended)
{
    struct source *q = user;
    int status = q->shift.status;
    q->is_done = code == 0 && !was_ended;
    q->delay_ms = 0;
    if (q->is_done || was_ended)
        settle_item(q);
    else if (WIFSIGNALED(status))
        failed(q, "signal", WTERMSIG(status));
    else
        failed(q, "exit code", code);
}

/* ---- taking ---- */

static void want(void *user);

static void take_failed(struct source *q, int code, const struct tenure_error *err)
{
    bool again = code == TENURE_ELOST || code == TENURE_EUNAVAILABLE || code == TENURE_ETIMEOUT;
    if (q->is_stopping)
        over_by(q, NULL);
    else if (again && io_clock() >= q->take_at_ms + TAKE_AGAIN_MS)
        want(q);
    else
        over_by(q, err);
}

static void on_item(void *user, int code, struct tenure_queue_item *item, const struct tenure_error *err)
{
    struct source *q = user;
    tenure_wait *take = q->take;
    q->take = NULL;
    tenure_wait_stop(take);
    if (code) {
        take_failed(q, code, err);
        return;
    }
    q->item = item;
    q->is_done = false;
    q->delay_ms = 0;
    if (q->is_stopping) { /* it came with the last word */
        settle_item(q);
    } else if (uses_value(q->o->argv) && memchr(item->value.data, 0, item->value.len)) {
        shift_say(&q->shift, "the item has a zero byte in it, which no argument can have: use standard input", NULL);
        q->shift.code = EXIT_CANNOT_RUN;
        failed(q, "exit code", EXIT_CANNOT_RUN);
    } else if (!fill_work(q)) {
        shift_say(&q->shift, "no memory for the item", NULL);
        q->shift.code = EXIT_LOCK_FAILED;
        failed(q, "exit code", EXIT_LOCK_FAILED);
    } else {
        q->shift.has_work = true;
    }
}

static void want_item(struct source *q)
{
    struct tenure_error err = {0};
    q->take_at_ms = io_clock();
    q->take = tenure_queue_take_start(q->queue, 0, on_item, q, &err);
    if (!q->take)
        over_by(q, &err);
}

static void on_length(void *user, int code, int64_t length, const struct tenure_error *err)
{
    struct source *q = user;
    (void)length;
    q->was_answered = code == 0;
    if (code || q->is_stopping)
        over_by(q, q->is_stopping ? NULL : err);
    else
        want_item(q);
}

/* The first time it is found out whether anybody answers at all: a take would wait without end. */
static void want(void *user)
{
    struct source *q = user;
    struct tenure_error err = {0};
    if (q->was_answered)
        want_item(q);
    else if (tenure_queue_length_start(q->queue, on_length, q, &err) < 0)
        over_by(q, &err);
}

static void stop(void *user)
{
    struct source *q = user;
    tenure_wait *take = q->take;
    q->is_stopping = true;
    q->take = NULL;
    if (take)
        tenure_wait_stop(take);
    else if (!q->item)
        over_by(q, NULL);
}

static bool was_answered(const void *user)
{
    return ((const struct source *)user)->was_answered;
}

static int64_t lease(const void *user)
{
    return tenure_queue_item_lease(((const struct source *)user)->item);
}

static int64_t remaining_ms(void *user)
{
    struct source *q = user;
    int64_t ms = q->item ? tenure_queue_remaining_ms(q->queue, q->item) : 0;
    if (q->item && ms <= 0 && !q->shift.is_lost) {
        q->shift.is_lost = true;
        snprintf(q->shift.why_lost.text, sizeof q->shift.why_lost.text, "the claim on the item has ended");
    }
    return ms;
}

static const struct shift_type type = {.want = want,
                                       .stop = stop,
                                       .settle = settle,
                                       .was_answered = was_answered,
                                       .lease = lease,
                                       .remaining_ms = remaining_ms};

/* ---- the whole ---- */

static bool open_source(struct source *q, const struct global_options *g)
{
    struct tenure_options options;
    struct tenure_error err = {0};
    struct tenure_queue_options o = {
        .size = sizeof o, .kind = TENURE_QUEUE_WORK, .ttl_s = q->o->ttl_s, .deliveries_max = q->o->attempts_max};
    connect_options(g, &options);
    q->shift.client = tenure_open_poll(g->endpoints, &options, &err);
    if (q->shift.client)
        q->queue = tenure_queue_open(q->shift.client, q->o->name, &o, &err);
    if (q->queue)
        return true;
    connect_failed("queue", g, &err);
    return false;
}

struct worker {
    const struct global_options *g;
    const struct queue_work_options *o;
};

static int work(void *user)
{
    const struct worker *w = user;
    struct source q = {.o = w->o};
    const struct shift_options so = {.type = &type,
                                     .user = &q,
                                     .command = "queue",
                                     .name = w->o->name,
                                     .g = w->g,
                                     .argv = w->o->argv,
                                     .grace_ms = w->o->grace_ms,
                                     .timeout_ms = w->o->timeout_ms,
                                     .once = w->o->once};
    int code = EXIT_LOCK_FAILED;
    if (shift_begin(&q.shift, &so)) {
        q.shift.variables = q.variables;
        if (open_source(&q, w->g))
            code = shift_run(&q.shift);
        tenure_queue_close(q.queue);
        tenure_close(q.shift.client);
    }
    drop_item(&q);
    shift_end(&q.shift);
    return code;
}

int queue_work(const struct global_options *g, const struct queue_work_options *o)
{
    struct worker w = {.g = g, .o = o};
    if (!connect_prepare("queue", g))
        return EXIT_LOCK_FAILED;
    return o->concurrency > 1 ? workers_run("tenure queue", (int)o->concurrency, work, &w) : work(&w);
}
