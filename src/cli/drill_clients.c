/* See drill_clients.h. The key's value is the number of the write; a write is never sent again, so each number is in history at most
 * once. Everything is bounded by WRITES_MAX: then the writer has seen enough and rests. */
#include "cli/drill_clients.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "io/loop.h"

enum { WRITES_MAX = 1 << 17, PAUSE_MS = 5, LOCK_TTL_S = 10, FIRST_MS = 20000, HISTORY_MS = 30000, LEASE_SPARE_S = 300 };

enum fate { UNCLEAR, ACKNOWLEDGED, REFUSED };

struct one_write {
    enum fate fate;
    int64_t revision; /* acknowledged: of it */
    bool in_history;
};

struct event {
    int64_t revision, number; /* number 0: not one of ours */
};

/* Filled on a handle's thread. */
struct events {
    pthread_mutex_t lock;
    struct event *all;
    size_t n, cap;
    bool ended; /* or no memory */
    char why[128];
};

struct drill_clients {
    char key[64], lock_name[64];
    int64_t call_ms, lease;
    tenure_client *writer, *reader, *holder, *watcher;
    pthread_t write_thread, read_thread;
    bool writes, reads;
    atomic_bool stop;
    atomic_int_least64_t newest; /* number of the newest write that was acknowledged */
    struct one_write *written;   /* by number; the writer's until it is joined */
    int64_t n_written, first_revision;
    struct events live;
    tenure_watch *watch;
    tenure_lock *lock;
    pthread_mutex_t lost_lock;
    struct drill_seen seen;
};

static void pause_ms(int64_t ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static void note_gap(int64_t *last, int64_t *longest)
{
    int64_t now = io_clock();
    if (*last && now - *last > *longest)
        *longest = now - *last;
    *last = now;
}

static int64_t number_of(const struct tenure_bytes *value)
{
    char text[24];
    snprintf(text, sizeof text, "%.*s", (int)(value->len < 23 ? value->len : 23), (const char *)value->data);
    return strtoll(text, NULL, 10);
}

/* ---- writing ---- */

static int put(struct drill_clients *d, int64_t number, int64_t *ret_revision, struct tenure_error *err)
{
    struct tenure_put_options o = {.size = sizeof o, .lease = d->lease, .timeout_ms = d->call_ms};
    struct tenure_put_result *r = NULL;
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, number);
    int rc = tenure_put(d->writer, tenure_str(d->key), tenure_str(text), &o, &r, err);
    *ret_revision = rc == 0 ? r->revision : 0;
    tenure_put_free(r);
    return rc;
}

static void *write_all(void *arg)
{
    struct drill_clients *d = arg;
    int64_t last = io_clock();
    while (!d->stop && d->n_written + 1 < WRITES_MAX) {
        struct tenure_error err = {0};
        struct one_write *w = &d->written[++d->n_written];
        int rc = put(d, d->n_written, &w->revision, &err);
        w->fate = rc == 0 ? ACKNOWLEDGED : err.applied == TENURE_APPLIED_NO ? REFUSED : UNCLEAR;
        if (rc == 0) {
            d->newest = d->n_written;
            note_gap(&last, &d->seen.writes.longest_gap_ms);
        }
        pause_ms(PAUSE_MS);
    }
    if (d->stop)
        note_gap(&last, &d->seen.writes.longest_gap_ms); /* the last one may never have come */
    return NULL;
}

/* ---- reading ---- */

static int read_newest(struct drill_clients *d, tenure_client *c, int64_t *ret_number, int64_t *ret_revision,
                       struct tenure_error *err)
{
    struct tenure_get_options o = {.size = sizeof o, .timeout_ms = d->call_ms};
    struct tenure_get_result *r = NULL;
    int rc = tenure_get(c, tenure_str(d->key), &o, &r, err);
    *ret_number = rc == 0 && r->n_kvs ? number_of(&r->kvs[0].value) : 0;
    if (ret_revision)
        *ret_revision = rc == 0 && r->n_kvs ? r->kvs[0].mod_revision : 0;
    tenure_get_free(r);
    return rc;
}

static void *read_all(void *arg)
{
    struct drill_clients *d = arg;
    int64_t last = io_clock();
    while (!d->stop) {
        struct tenure_error err = {0};
        int64_t known = d->newest, number;
        if (read_newest(d, d->reader, &number, NULL, &err) == 0) {
            d->seen.reads.answered++;
            d->seen.reads.stale += number < known;
            note_gap(&last, &d->seen.reads.longest_gap_ms);
        } else {
            d->seen.reads.failed++;
        }
        pause_ms(PAUSE_MS);
    }
    note_gap(&last, &d->seen.reads.longest_gap_ms);
    return NULL;
}

/* ---- watching ---- */

static void on_events(void *user, int64_t revision, const struct tenure_event *events, size_t n)
{
    struct events *e = user;
    (void)revision;
    pthread_mutex_lock(&e->lock);
    for (size_t i = 0; i < n && !e->ended; i++) {
        if (e->n == e->cap) {
            size_t cap = e->cap ? 2 * e->cap : 1024;
            struct event *more = cap <= 4 * WRITES_MAX ? realloc(e->all, cap * sizeof *more) : NULL;
            e->ended = !more;
            if (!more)
                break;
            e->all = more;
            e->cap = cap;
        }
        const struct tenure_kv *kv = &events[i].kv;
        e->all[e->n++] =
            (struct event){kv->mod_revision, events[i].type == TENURE_EVENT_PUT ? number_of(&kv->value) : 0};
    }
    pthread_mutex_unlock(&e->lock);
}

static void on_end(void *user, int code, int64_t compact_revision, const struct tenure_error *err)
{
    struct events *e = user;
    (void)code;
    (void)compact_revision;
    pthread_mutex_lock(&e->lock);
    e->ended = true;
    snprintf(e->why, sizeof e->why, "%.127s", err->text);
    pthread_mutex_unlock(&e->lock);
}

static tenure_watch *watch_from(struct drill_clients *d, tenure_client *c, struct events *e, struct tenure_error *err)
{
    struct tenure_watch_options o = {
        .size = sizeof o, .revision = d->first_revision, .on_events = on_events, .on_end = on_end, .user = e};
    return tenure_watch_start(c, tenure_str(d->key), &o, err);
}

/* Whether it has told this revision, within the time; false also when it has ended. */
static bool has_reached(struct events *e, int64_t revision, int64_t within_ms)
{
    int64_t until = io_clock() + within_ms;
    for (;;) {
        pthread_mutex_lock(&e->lock);
        bool there = e->n > 0 && e->all[e->n - 1].revision >= revision, over = e->ended;
        pthread_mutex_unlock(&e->lock);
        if (there || over || io_clock() >= until)
            return there;
        pause_ms(PAUSE_MS);
    }
}

/* ---- beginning ---- */

static void on_lost(tenure_lock *lock, const struct tenure_error *why, void *user)
{
    struct drill_clients *d = user;
    (void)lock;
    pthread_mutex_lock(&d->lost_lock);
    d->seen.lock.was_lost = true;
    snprintf(d->seen.lock.why, sizeof d->seen.lock.why, "%.127s", why->text);
    pthread_mutex_unlock(&d->lost_lock);
}

static int take_lock(struct drill_clients *d, struct tenure_error *err)
{
    struct tenure_lock_options o = {.size = sizeof o,
                                    .ttl_s = LOCK_TTL_S,
                                    .wait_ms = FIRST_MS,
                                    .purpose = "tenure cluster drill",
                                    .on_lost = on_lost,
                                    .user = d};
    d->lock = tenure_lock_acquire(d->holder, d->lock_name, &o, err);
    if (d->lock)
        d->seen.lock.token = tenure_lock_token(d->lock);
    return d->lock ? 0 : err->code;
}

static int first_write(struct drill_clients *d, int64_t longest_ms, struct tenure_error *err)
{
    int64_t ttl_s = longest_ms / 1000 + LEASE_SPARE_S;
    int rc = tenure_lease_grant(d->writer, ttl_s, 0, &d->lease, NULL, err);
    if (rc == 0)
        rc = put(d, 1, &d->first_revision, err);
    d->n_written = 1;
    d->written[1] = (struct one_write){.fate = ACKNOWLEDGED, .revision = d->first_revision};
    d->newest = 1;
    return rc;
}

static int open_all(struct drill_clients *d, const char *endpoints, const struct tenure_options *o,
                    struct tenure_error *err)
{
    tenure_client **const handles[] = {&d->writer, &d->reader, &d->holder, &d->watcher};
    for (size_t i = 0; i < sizeof handles / sizeof *handles; i++) {
        *handles[i] = tenure_open(endpoints, o, err);
        if (!*handles[i])
            return err->code;
    }
    return 0;
}

static int begin(struct drill_clients *d, const char *endpoints, const struct tenure_options *o, int64_t longest_ms,
                 struct tenure_error *err)
{
    int rc = d->written ? open_all(d, endpoints, o, err) : error_set(err, TENURE_ENOMEM, "out of memory");
    if (rc == 0)
        rc = first_write(d, longest_ms, err);
    if (rc == 0)
        rc = take_lock(d, err);
    if (rc)
        return rc;
    d->watch = watch_from(d, d->watcher, &d->live, err);
    if (!d->watch)
        return err->code;
    if (!has_reached(&d->live, d->first_revision, FIRST_MS))
        return error_set(err, TENURE_ETIMEOUT, "a watch told nothing");
    d->writes = pthread_create(&d->write_thread, NULL, write_all, d) == 0;
    d->reads = pthread_create(&d->read_thread, NULL, read_all, d) == 0;
    return d->writes && d->reads ? 0 : error_set(err, TENURE_ENOMEM, "no thread can be made");
}

struct drill_clients *drill_clients_start(const char *endpoints, const struct tenure_options *o, int64_t call_ms,
                                          int64_t longest_ms, struct tenure_error *err)
{
    struct drill_clients *d = calloc(1, sizeof *d);
    if (!d) {
        error_set(err, TENURE_ENOMEM, "out of memory");
        return NULL;
    }
    d->call_ms = call_ms;
    d->written = calloc(WRITES_MAX, sizeof *d->written);
    pthread_mutex_init(&d->live.lock, NULL);
    pthread_mutex_init(&d->lost_lock, NULL);
    unsigned mark = (unsigned)(io_wall_ms() ^ io_clock_us());
    snprintf(d->lock_name, sizeof d->lock_name, "tenure-drill-%08x", mark);
    snprintf(d->key, sizeof d->key, "/tenure-drill/%08x", mark);
    if (begin(d, endpoints, o, longest_ms, err) == 0)
        return d;
    struct drill_seen ignored;
    drill_clients_end(d, &ignored);
    return NULL;
}

/* ---- judging ---- */

static void judge_writes(struct drill_clients *d, const struct events *history)
{
    struct drill_seen *s = &d->seen;
    for (size_t i = 0; i < history->n; i++) {
        const struct event *e = &history->all[i];
        struct one_write *w = e->number > 0 && e->number <= d->n_written ? &d->written[e->number] : NULL;
        if (!w)
            continue;
        s->writes.wrongly_applied +=
            w->in_history || w->fate == REFUSED || (w->fate == ACKNOWLEDGED && w->revision != e->revision);
        w->in_history = true;
    }
    for (int64_t i = 1; i <= d->n_written; i++) {
        const struct one_write *w = &d->written[i];
        s->writes.unclear_applied += w->fate == UNCLEAR && w->in_history;
        s->writes.lost += w->fate == ACKNOWLEDGED && !w->in_history;
    }
}

/* Both are in the order of revisions, or the watch is wrong. */
static void judge_watch(struct drill_clients *d, const struct events *history)
{
    size_t at = 0;
    int64_t last = 0;
    pthread_mutex_lock(&d->live.lock);
    d->seen.watch.events = (int64_t)d->live.n;
    d->seen.watch.ended = d->live.ended;
    memcpy(d->seen.watch.why, d->live.why, sizeof d->seen.watch.why);
    for (size_t i = 0; i < d->live.n; i++) {
        d->seen.watch.doubled += d->live.all[i].revision <= last;
        last = d->live.all[i].revision;
    }
    for (size_t i = 0; i < history->n; i++) {
        while (at < d->live.n && d->live.all[at].revision < history->all[i].revision)
            at++;
        d->seen.watch.missed += at == d->live.n || d->live.all[at].revision != history->all[i].revision;
    }
    pthread_mutex_unlock(&d->live.lock);
}

/* What the store says now of all that was; by a watch from the beginning, on a handle that has nothing to resume. */
static void judge(struct drill_clients *d)
{
    struct events history = {0};
    struct tenure_error err = {0};
    int64_t number, revision, until = io_clock() + HISTORY_MS;
    int rc;
    pthread_mutex_init(&history.lock, NULL);
    while ((rc = read_newest(d, d->reader, &number, &revision, &err)) < 0 && io_clock() < until)
        pause_ms(PAUSE_MS);
    tenure_watch *w = rc ? NULL : watch_from(d, d->reader, &history, &err);
    d->seen.is_judged = w && revision > 0 && has_reached(&history, revision, HISTORY_MS);
    if (d->seen.is_judged)
        (void)has_reached(&d->live, revision, HISTORY_MS);
    tenure_watch_stop(w);
    if (d->seen.is_judged) {
        judge_writes(d, &history);
        judge_watch(d, &history);
    } else {
        snprintf(d->seen.why_not, sizeof d->seen.why_not, "%.127s",
                 history.why[0] ? history.why
                 : err.text[0]  ? err.text
                                : "the key is gone");
    }
    free(history.all);
    pthread_mutex_destroy(&history.lock);
}

static void count_writes(struct drill_clients *d)
{
    for (int64_t i = 1; i <= d->n_written; i++) {
        d->seen.writes.acknowledged += d->written[i].fate == ACKNOWLEDGED;
        d->seen.writes.refused += d->written[i].fate == REFUSED;
        d->seen.writes.unclear += d->written[i].fate == UNCLEAR;
    }
}

static void let_go(struct drill_clients *d)
{
    if (!d->lock)
        return;
    pthread_mutex_lock(&d->lost_lock);
    bool lost = d->seen.lock.was_lost;
    pthread_mutex_unlock(&d->lost_lock);
    lost = lost || !tenure_lock_held(d->lock);
    tenure_unlock(d->lock, NULL);
    d->seen.lock.was_lost = lost;
}

void drill_clients_end(struct drill_clients *d, struct drill_seen *ret)
{
    d->stop = true;
    if (d->writes)
        pthread_join(d->write_thread, NULL);
    if (d->reads)
        pthread_join(d->read_thread, NULL);
    if (d->writes && d->reads) {
        count_writes(d);
        judge(d);
    }
    let_go(d);
    tenure_watch_stop(d->watch);
    if (d->lease)
        (void)tenure_lease_revoke(d->writer, d->lease, NULL); /* the key goes with it */
    tenure_close(d->writer);
    tenure_close(d->reader);
    tenure_close(d->holder);
    tenure_close(d->watcher);
    *ret = d->seen;
    free(d->live.all);
    free(d->written);
    pthread_mutex_destroy(&d->live.lock);
    pthread_mutex_destroy(&d->lost_lock);
    free(d);
}
