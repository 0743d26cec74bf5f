#include "writer.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "say.h"
#include "store.h"

#define QUEUE_MAX  256
#define BATCH_MAX  32
#define BOOKING_MS 3000 /* to be taken up by the writer; after that it is certainly not booked */
#define AGAIN_MS   200  /* until the book is asked for again, which the database did not give */

struct writer {
    struct coordination *coordination; /* NULL: does not begin yet */
    struct pg pg;
    struct book book;
    int64_t loaded;  /* the token under which the book was read; 0: it was not, or is not the database's any more */
    int64_t refused; /* the last token that the fence refused, as it will ever do */
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t wake;   /* the writer */
    pthread_cond_t done;   /* those who wait */
    struct booking *first, **last;
    size_t n;
    bool woken, stops;
    int64_t fenced;
};

/* ---- those who bring bookings ---- */

void writer_book(struct writer *w, struct booking *b)
{
    b->deadline_ms = now_ms() + BOOKING_MS;
    b->next = NULL;
    b->done = false;
    b->verdict = UNAVAILABLE;
    pthread_mutex_lock(&w->mutex);
    if (!w->stops && w->coordination && w->n < QUEUE_MAX) {
        *w->last = b;
        w->last = &b->next;
        w->n++;
        pthread_cond_signal(&w->wake);
        while (!b->done) /* the writer answers each, and what it does is bounded */
            pthread_cond_wait(&w->done, &w->mutex);
    }
    pthread_mutex_unlock(&w->mutex);
}

/* verdict UNDECIDED: each has its own already. */
static void answer(struct writer *w, struct booking *batch, enum verdict verdict)
{
    pthread_mutex_lock(&w->mutex);
    for (struct booking *b = batch, *next; b; b = next) {
        next = b->next; /* b is its owner's from here on */
        if (verdict != UNDECIDED)
            b->verdict = verdict;
        b->done = true;
    }
    pthread_cond_broadcast(&w->done);
    pthread_mutex_unlock(&w->mutex);
}

/* ---- the writer ---- */

/* Waits for bookings, a change of leadership or the end. Takes up to BATCH_MAX. again: not longer than AGAIN_MS. */
static struct booking *take(struct writer *w, bool again)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += AGAIN_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    int rc = 0;
    pthread_mutex_lock(&w->mutex);
    while (!w->first && !w->woken && !w->stops && rc == 0)
        rc = again ? pthread_cond_timedwait(&w->wake, &w->mutex, &until) : pthread_cond_wait(&w->wake, &w->mutex);
    w->woken = false;
    struct booking *batch = w->first, **end = &batch;
    for (int i = 0; *end && i < BATCH_MAX; i++, w->n--)
        end = &(*end)->next;
    w->first = *end;
    if (!w->first)
        w->last = &w->first;
    *end = NULL;
    pthread_mutex_unlock(&w->mutex);
    return batch;
}

/* Those of a batch that are still waited for. (A process that was stopped finds bookings from long ago in its hands.) */
static struct booking *in_time(struct writer *w, struct booking *batch)
{
    struct booking *late = NULL, *timely = NULL, **end = &timely;
    int64_t now = now_ms();
    for (struct booking *b = batch, *next; b; b = next) {
        next = b->next;
        if (b->deadline_ms < now) {
            b->next = late;
            late = b;
        } else {
            b->next = NULL;
            *end = b;
            end = &b->next;
        }
    }
    answer(w, late, UNAVAILABLE);
    return timely;
}

static void note_fenced(struct writer *w, int64_t token)
{
    pthread_mutex_lock(&w->mutex);
    w->fenced++;
    pthread_mutex_unlock(&w->mutex);
    w->refused = token;
    say("fenced: a greater token than %" PRId64 " was there", token);
}

/* Nothing is believed that was known before: not under another token, and not after an outcome that is not clear. */
static enum pg_outcome load(struct writer *w, int64_t token)
{
    enum pg_outcome outcome = store_load(&w->pg, token, &w->book);
    w->loaded = outcome == PG_DONE ? token : 0;
    if (outcome == PG_DONE)
        say("took over the book with token %" PRId64 ", %zu accounts", token, w->book.n);
    else if (outcome == PG_FENCED)
        note_fenced(w, token);
    return outcome;
}

/* The rest of the business that a booking has. It is here, between the question whether it leads and the write, that a leader may be
 * stopped for longer than its lease: no program can close this gap by asking once more. */
static void think(const struct rules *rules)
{
    if (rules->think_ms > 0)
        nanosleep(&(struct timespec){.tv_sec = rules->think_ms / 1000, .tv_nsec = rules->think_ms % 1000 * 1000000},
                  NULL);
}

static void write_batch(struct writer *w, int64_t token, struct booking *batch)
{
    struct rules rules;
    coordination_rules(w->coordination, &rules);
    think(&rules);
    enum pg_outcome outcome = store_write(&w->pg, token, &w->book, &rules, batch);
    if (outcome != PG_DONE)
        w->loaded = 0;
    if (outcome == PG_FENCED)
        note_fenced(w, token);
    answer(w, batch,
           outcome == PG_DONE      ? UNDECIDED
           : outcome == PG_FENCED  ? NOT_LEADER
           : outcome == PG_REFUSED ? UNAVAILABLE
                                   : UNCLEAR);
}

/* True: the book is wanted and not there. */
static bool serve(struct writer *w, struct booking *batch)
{
    int64_t token = coordination_token(w->coordination);
    if (!token || token == w->refused) {
        answer(w, batch, NOT_LEADER);
        return false;
    }
    enum pg_outcome outcome = w->loaded == token ? PG_DONE : load(w, token);
    batch = in_time(w, batch);
    if (outcome == PG_DONE && batch)
        write_batch(w, token, batch);
    else
        answer(w, batch, outcome == PG_FENCED ? NOT_LEADER : UNAVAILABLE);
    return w->loaded != token && w->refused != token;
}

static bool has_stopped(struct writer *w)
{
    pthread_mutex_lock(&w->mutex);
    bool is = w->stops && !w->first;
    pthread_mutex_unlock(&w->mutex);
    return is;
}

static void *run(void *arg)
{
    struct writer *w = arg;
    bool again = false;
    while (!has_stopped(w)) {
        struct booking *batch = take(w, again);
        again = serve(w, batch);
    }
    pg_close(&w->pg);
    return NULL;
}

void writer_wake(void *writer)
{
    struct writer *w = writer;
    pthread_mutex_lock(&w->mutex);
    w->woken = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->mutex);
}

int64_t writer_fenced(struct writer *w)
{
    pthread_mutex_lock(&w->mutex);
    int64_t n = w->fenced;
    pthread_mutex_unlock(&w->mutex);
    return n;
}

struct writer *writer_new(const char *conninfo)
{
    pthread_condattr_t attr;
    struct writer *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->pg = (struct pg){.conninfo = conninfo, .name = "ledgerd writer"};
    w->last = &w->first;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->done, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
    return w;
}

int writer_begin(struct writer *w, struct coordination *c)
{
    pthread_mutex_lock(&w->mutex);
    w->coordination = c;
    pthread_mutex_unlock(&w->mutex);
    w->has_thread = pthread_create(&w->thread, NULL, run, w) == 0;
    return w->has_thread ? 0 : -1;
}

void writer_stop(struct writer *w)
{
    pthread_mutex_lock(&w->mutex);
    w->stops = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->mutex);
    if (w->has_thread)
        pthread_join(w->thread, NULL);
    w->has_thread = false;
}

void writer_free(struct writer *w)
{
    if (!w)
        return;
    pthread_cond_destroy(&w->wake);
    pthread_cond_destroy(&w->done);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}
