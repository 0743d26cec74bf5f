/* See bench.h.
 *
 *     PREPARE (get: keys are put; watch: watches stand) --> MEASURE --time, total, signal--> DRAIN --> CLEAR --> over
 *
 * With a rate, calls are due at times of their own, and each one's time counts from when it was due: a server that stands still for a
 * second has kept all those waiting that would have come in it. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/bench.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "cli/signals.h"

#define KEY_MAX        96
#define WATCH_DRAIN_NS INT64_C(5000000000) /* for the last events */
#define WATCH_RATE     100

enum phase { PREPARE, MEASURE, DRAIN, CLEAR, OVER };

struct bench;

struct slot {
    struct bench *bench;
    int64_t due_ns;
    tenure_lock *lock; /* of a lock's slot, while it is asked for or held */
    bool is_busy, has_lock;
};

struct bench {
    const struct bench_options *o;
    struct bench_result *result;
    tenure_client *client;
    struct signals signals;
    enum phase phase;
    struct slot *slots;
    tenure_watch **watches;
    char *value;
    char prefix[KEY_MAX];
    size_t n_slots, busy, watching;
    int64_t begun, prepared; /* calls; keys */
    int64_t from_ns, until_ns, next_ns, step_ns;
    uint64_t expected; /* events */
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void failed(struct bench *b, int code, const struct tenure_error *err)
{
    if (b->result->failed++ > 0)
        return;
    b->result->why = err ? *err : (struct tenure_error){.code = code, .kind = tenure_error_kind(code)};
    if (!b->result->why.text[0])
        snprintf(b->result->why.text, sizeof b->result->why.text, "%s", tenure_error_string(code));
}

static void ended(struct slot *s, int code, const struct tenure_error *err)
{
    struct bench *b = s->bench;
    s->is_busy = false;
    b->busy--;
    if (code)
        failed(b, code, err);
    else if (b->phase != PREPARE && b->o->kind != BENCH_WATCH)
        spread_add(&b->result->times, (now_ns() - s->due_ns) / 1000);
}

/* ---- one call ---- */

static void on_put(void *user, int code, struct tenure_put_result *r, const struct tenure_error *err)
{
    tenure_put_free(r);
    ended(user, code, err);
}

static void on_get(void *user, int code, struct tenure_get_result *r, const struct tenure_error *err)
{
    tenure_get_free(r);
    ended(user, code, err);
}

static void key_of(const struct bench *b, int64_t i, char out[KEY_MAX + 32])
{
    snprintf(out, KEY_MAX + 32, "%s%08" PRId64, b->prefix, i % b->o->keys);
}

static int begin_put(struct slot *s, int64_t i, struct tenure_error *err)
{
    struct bench *b = s->bench;
    char key[KEY_MAX + 32];
    key_of(b, i, key);
    if (b->o->kind == BENCH_WATCH)
        memcpy(b->value, &s->due_ns, sizeof s->due_ns);
    return tenure_put_start(b->client, tenure_str(key), (struct tenure_bytes){b->value, (size_t)b->o->value_size}, NULL,
                            on_put, s, err);
}

static int begin_get(struct slot *s, int64_t i, struct tenure_error *err)
{
    struct bench *b = s->bench;
    struct tenure_get_options o = {.size = sizeof o, .serializable = b->o->serializable};
    char key[KEY_MAX + 32];
    key_of(b, i, key);
    return tenure_get_start(b->client, tenure_str(key), &o, on_get, s, err);
}

static void on_acquired(tenure_lock *lock, int code, tenure_token token, const struct tenure_error *err, void *user)
{
    struct slot *s = user;
    (void)token;
    if (!s->lock)
        return; /* given up a moment ago */
    s->has_lock = code == 0;
    if (code)
        failed(s->bench, code, err);
    s->lock = NULL;
    tenure_unlock_start(lock);
}

static void on_released(int code, void *user)
{
    struct slot *s = user;
    if (s->has_lock) {
        ended(s, code, NULL);
    } else { /* it failed, which is counted, or was given up */
        s->is_busy = false;
        s->bench->busy--;
    }
    s->has_lock = false;
}

/* Who still waits when the time is over would wait for all before it. */
static void give_up_locks(struct bench *b)
{
    for (size_t i = 0; i < b->n_slots; i++) {
        tenure_lock *lock = b->slots[i].lock;
        b->slots[i].lock = NULL;
        tenure_unlock_start(lock);
    }
}

static int begin_lock(struct slot *s, struct tenure_error *err)
{
    struct bench *b = s->bench;
    char name[KEY_MAX + 32];
    struct tenure_lock_options o = {.size = sizeof o,
                                    .prefix = b->prefix,
                                    .ttl_s = 10,
                                    .wait_ms = 60000,
                                    .purpose = "tenure bench",
                                    .on_acquired = on_acquired,
                                    .on_released = on_released,
                                    .user = s};
    snprintf(name, sizeof name, "%zu", b->o->apart ? (size_t)(s - b->slots) : 0);
    s->lock = tenure_lock_start(b->client, name, &o, err);
    return s->lock ? 0 : err->code ? err->code : TENURE_EINTERNAL;
}

static void begin(struct slot *s, int64_t due_ns)
{
    struct bench *b = s->bench;
    struct tenure_error err = {0};
    int64_t i = b->phase == PREPARE ? b->prepared++ : b->begun++;
    s->due_ns = due_ns;
    s->is_busy = true;
    b->busy++;
    int rc = b->o->kind == BENCH_LOCK                         ? begin_lock(s, &err)
             : b->o->kind == BENCH_GET && b->phase != PREPARE ? begin_get(s, i, &err)
                                                              : begin_put(s, i, &err);
    if (rc)
        ended(s, rc, &err);
}

/* ---- watches ---- */

static void on_created(void *user, int64_t revision)
{
    struct bench *b = user;
    (void)revision;
    b->watching++;
}

static void on_events(void *user, int64_t revision, const struct tenure_event *events, size_t n)
{
    struct bench *b = user;
    int64_t now = now_ns(), sent;
    (void)revision;
    for (size_t i = 0; i < n; i++) {
        if (events[i].type != TENURE_EVENT_PUT || events[i].kv.value.len < sizeof sent)
            continue;
        memcpy(&sent, events[i].kv.value.data, sizeof sent);
        spread_add(&b->result->times, (now - sent) / 1000);
    }
}

static void on_watch_end(void *user, int code, int64_t compact_revision, const struct tenure_error *err)
{
    (void)compact_revision;
    if (code != TENURE_ECLOSED)
        failed(user, code, err);
}

static bool begin_watches(struct bench *b)
{
    struct tenure_watch_options o = {.size = sizeof o,
                                     .prefix = true,
                                     .on_created = on_created,
                                     .on_events = on_events,
                                     .on_end = on_watch_end,
                                     .user = b};
    struct tenure_error err = {0};
    for (int64_t i = 0; i < b->o->clients; i++) {
        b->watches[i] = tenure_watch_start(b->client, tenure_str(b->prefix), &o, &err);
        if (!b->watches[i]) {
            failed(b, err.code, &err);
            return false;
        }
    }
    return true;
}

/* ---- the way ---- */

static bool is_ready(const struct bench *b)
{
    if (b->result->failed)
        return true;
    if (b->o->kind == BENCH_WATCH)
        return b->watching == (size_t)b->o->clients;
    return b->o->kind != BENCH_GET || (b->prepared >= b->o->keys && b->busy == 0);
}

static void begin_measuring(struct bench *b)
{
    b->phase = b->result->failed ? DRAIN : MEASURE;
    b->from_ns = b->next_ns = now_ns();
    b->until_ns = b->from_ns + b->o->duration_ms * 1000000;
    int64_t rate = b->o->rate ? b->o->rate : b->o->kind == BENCH_WATCH ? WATCH_RATE : 0;
    b->step_ns = rate ? 1000000000 / rate : 0;
}

static bool may_begin(const struct bench *b, int64_t now)
{
    if (b->phase == PREPARE)
        return b->o->kind == BENCH_GET && b->prepared < b->o->keys && !b->result->failed;
    return b->phase == MEASURE && (!b->o->total || b->begun < b->o->total) && (!b->step_ns || b->next_ns <= now);
}

static void begin_what_is_due(struct bench *b)
{
    int64_t now = now_ns();
    for (size_t i = 0; i < b->n_slots && may_begin(b, now); i++) {
        if (b->slots[i].is_busy)
            continue;
        begin(&b->slots[i], b->step_ns ? b->next_ns : now_ns());
        b->next_ns += b->step_ns;
    }
}

static bool is_drained(const struct bench *b, int64_t now)
{
    bool is_watched = b->o->kind != BENCH_WATCH || b->result->failed || b->result->times.n >= b->expected ||
                      now - b->until_ns > WATCH_DRAIN_NS;
    return b->busy == 0 && is_watched;
}

static void on_cleared(void *user, int code, struct tenure_delete_result *r, const struct tenure_error *err)
{
    struct bench *b = user;
    (void)err;
    tenure_delete_free(r);
    b->result->left = code ? -1 : 0;
    b->phase = OVER;
}

static void clear(struct bench *b)
{
    struct tenure_delete_options o = {.size = sizeof o, .prefix = true};
    struct tenure_error err = {0};
    b->phase = CLEAR;
    for (int64_t i = 0; b->o->kind == BENCH_WATCH && i < b->o->clients; i++) {
        tenure_watch_stop(b->watches[i]);
        b->watches[i] = NULL;
    }
    if (tenure_delete_start(b->client, tenure_str(b->prefix), &o, on_cleared, b, &err) < 0)
        on_cleared(b, err.code ? err.code : TENURE_EINTERNAL, NULL, &err);
}

static void stop_measuring(struct bench *b, int64_t now)
{
    b->phase = DRAIN;
    b->until_ns = now;
    give_up_locks(b);
    b->result->seconds = (double)(now - b->from_ns) / 1e9;
    b->expected = (uint64_t)(b->begun * b->o->clients);
}

static void step(struct bench *b)
{
    int64_t now = now_ns();
    if (b->phase == PREPARE && is_ready(b))
        begin_measuring(b);
    if (b->phase <= MEASURE)
        begin_what_is_due(b);
    bool is_all = b->o->total && b->begun >= b->o->total && b->busy == 0;
    if (b->phase == MEASURE && (now >= b->until_ns || is_all))
        stop_measuring(b, now);
    if (b->phase == DRAIN && is_drained(b, now))
        clear(b);
}

static void take_signals(struct bench *b)
{
    int signal;
    while ((signal = signals_next(&b->signals))) {
        if (!signals_is_end(signal) || b->phase >= DRAIN)
            continue;
        b->result->was_told_to_end = true;
        if (b->phase == MEASURE)
            stop_measuring(b, now_ns());
        b->phase = DRAIN;
    }
}

static int wait_ms(const struct bench *b)
{
    int wait = tenure_timeout_ms(b->client);
    int64_t due = b->phase == MEASURE ? b->until_ns : b->until_ns + WATCH_DRAIN_NS;
    if (b->phase == MEASURE && b->step_ns && b->next_ns < due && b->busy < b->n_slots)
        due = b->next_ns;
    int64_t left = (due - now_ns() + 999999) / 1000000;
    if (b->phase != MEASURE && b->phase != DRAIN)
        return wait;
    left = left < 0 ? 0 : left;
    return wait < 0 || left < wait ? (int)left : wait;
}

static void loop(struct bench *b)
{
    while (b->phase != OVER) {
        struct pollfd fds[] = {{.fd = tenure_fd(b->client), .events = POLLIN}, {.fd = b->signals.fd, .events = POLLIN}};
        step(b);
        if (b->phase == OVER)
            return;
        poll(fds, 2, wait_ms(b));
        tenure_turn(b->client);
        take_signals(b);
    }
}

static bool make_room(struct bench *b)
{
    b->n_slots = b->o->kind == BENCH_WATCH ? 64 : (size_t)b->o->clients;
    b->slots = calloc(b->n_slots, sizeof *b->slots);
    b->watches = calloc((size_t)b->o->clients, sizeof *b->watches);
    b->value = malloc((size_t)b->o->value_size + 1);
    if (!b->slots || !b->watches || !b->value)
        return false;
    memset(b->value, 'v', (size_t)b->o->value_size);
    for (size_t i = 0; i < b->n_slots; i++)
        b->slots[i].bench = b;
    return true;
}

int bench_run(const struct global_options *g, const struct bench_options *o, struct bench_result *ret)
{
    struct bench b = {.o = o, .result = ret, .signals.fd = -1};
    struct tenure_options options;
    struct tenure_error err = {0};
    struct timespec t;
    *ret = (struct bench_result){0};
    if (!connect_prepare("bench", g))
        return connect_code();
    connect_options(g, &options);
    clock_gettime(CLOCK_REALTIME, &t);
    snprintf(b.prefix, sizeof b.prefix, "/bench/%" PRId64 "-%09ld/", (int64_t)t.tv_sec, t.tv_nsec);
    bool is_good = make_room(&b) && signals_open(&b.signals);
    b.client = is_good ? tenure_open_poll(g->endpoints, &options, &err) : NULL;
    int code = EXIT_OK;
    if (!b.client) {
        err.code = is_good ? err.code : TENURE_ENOMEM;
        code = connect_refused("bench", g, &err);
    } else if (o->kind == BENCH_WATCH && !begin_watches(&b)) {
        code = connect_failed("bench", g, &ret->why);
    } else {
        loop(&b);
    }
    tenure_close(b.client);
    signals_close(&b.signals);
    if (ret->left)
        fprintf(stderr,
                "tenure bench: its keys could not be deleted; when the servers are well: tenure del --prefix %s\n",
                b.prefix);
    free(b.slots);
    free(b.watches);
    free(b.value);
    return code;
}
