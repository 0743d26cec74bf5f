/* Queues of items and double barriers of a client's process: a put and a take at a time, in a FIFO queue or in one for work,
 * and a place in the rounds of two. Checked by the rows that are durable, as they come:
 *
 *   Q1  an item is put once
 *   Q2  what is taken from the FIFO queue is its oldest, and is told to one taker
 *   Q3  none is lost: had once (FIFO; at most one for each take that was cut off), had and acknowledged once (work)
 *   B1  a double barrier opens for n who have come and have not given up
 *   B2  it lets in n at most, and only those */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recipes/double_barrier.h"
#include "recipes/item_queue.h"
#include "world.h"

#define TTL_S        2
#define FIFO_KEYS    "/queues/f/"
#define WORK_KEYS    "/queues/w/"
#define WORK_BODIES  "/queues/w/items/"
#define WAITERS      "/barriers/b/waiters/"
#define FENCE        "/barriers/b/fence"
#define READY        "/barriers/b/ready"
#define PARTICIPANTS 2

enum what { IDLE, PUTS, TAKES, SETTLES };

struct job {
    struct jobs *jobs;
    struct errand *errand;
    enum what what;
    int queue; /* 0 FIFO, 1 work */
    uint64_t number;
    bool in_hand; /* (work) taken, not settled */
    enum item_settle how;
    struct item item;
    char id[32];
    tn_ms next_at;
};

struct jobs {
    struct actor *actor;
    struct item_keys *keys[2];
    struct session *session;
    bool ended;
    struct marks *marks;
    struct job put, take;

    struct session *round_session;
    bool round_ended;
    struct double_barrier *barrier;
    struct errand *round;
    bool leaving, round_over;
    tn_ms round_at, leave_at;
};

/* ---- the truth ---- */

struct record_of {
    bool put_done, never;
    unsigned rows, had, acks, doubtful_acks;
    int queue;
};

struct waiter {
    bytes key;
    tn_rev create, gone; /* gone: the revision of its end; 0 = stands */
    bool gave_up;
};

struct opening {
    tn_rev last;
    unsigned let_in;
};

struct jobs_truth {
    struct record_of *items;
    size_t n, cap;
    uint64_t *live; /* numbers in the FIFO queue, oldest first */
    size_t n_live, cap_live;
    size_t n_work;    /* keys of the one for work */
    unsigned cut_off; /* takes that may have had an item which nobody was told of */
    struct waiter *waiters;
    size_t n_waiters;
    struct opening *openings;
    size_t n_openings;
};

static struct jobs_truth *truth_of(struct world *w)
{
    if (!w->jobs_truth)
        w->jobs_truth = sim_alloc(sizeof *w->jobs_truth);
    return w->jobs_truth;
}

static struct record_of *item_of(struct world *w, uint64_t number)
{
    struct jobs_truth *t = truth_of(w);
    if (number < t->n)
        return &t->items[number];
    if (number >= t->cap) {
        size_t cap = number * 2 + 64;
        t->items = sim_grow(t->items, cap * sizeof *t->items);
        memset(t->items + t->cap, 0, (cap - t->cap) * sizeof *t->items);
        t->cap = cap;
    }
    t->n = number + 1;
    return &t->items[number];
}

static bool under(bytes key, const char *prefix)
{
    return bytes_has_prefix(key, bytes_str(prefix));
}

/* Rows' values end with a 0. */
static uint64_t number_of(bytes value)
{
    char text[24];
    size_t n = value.len < sizeof text - 1 ? value.len : sizeof text - 1;
    memcpy(text, value.len ? (const char *)value.data : "", n);
    text[n] = 0;
    return strtoull(text, NULL, 10);
}

static void item_came(struct world *w, const struct record *r)
{
    struct jobs_truth *t = truth_of(w);
    uint64_t number = number_of(r->value);
    if (++item_of(w, number)->rows > 1)
        world_fail(w, "Q1: item %llu was put twice", (unsigned long long)number);
    if (!under(r->key, FIFO_KEYS))
        return;
    if (t->n_live == t->cap_live) {
        t->cap_live = t->cap_live * 2 + 64;
        t->live = sim_grow(t->live, t->cap_live * sizeof *t->live);
    }
    t->live[t->n_live++] = number;
}

static void item_went(struct world *w, bytes key)
{
    struct jobs_truth *t = truth_of(w);
    const struct row *before = history_at(&w->history, key, w->history.revision - 1);
    if (!before || t->n_live == 0)
        return;
    uint64_t number = number_of(before->value);
    if (t->live[0] != number)
        world_fail(w, "Q2: item %llu was taken before item %llu", (unsigned long long)number,
                   (unsigned long long)t->live[0]);
    size_t i = 0;
    while (i < t->n_live && t->live[i] != number)
        i++;
    if (i == t->n_live)
        return;
    t->n_live--;
    memmove(t->live + i, t->live + i + 1, (t->n_live - i) * sizeof *t->live);
}

static void waiter_row(struct world *w, const struct record *r)
{
    struct jobs_truth *t = truth_of(w);
    if (!r->tombstone) {
        t->waiters = sim_grow(t->waiters, (t->n_waiters + 1) * sizeof *t->waiters);
        t->waiters[t->n_waiters++] = (struct waiter){.key = sim_copy(r->key), .create = r->main};
        return;
    }
    for (size_t i = 0; i < t->n_waiters; i++)
        if (!t->waiters[i].gone && bytes_equal(t->waiters[i].key, r->key))
            t->waiters[i].gone = r->main;
}

/* Who gives up moves the fence in the same transaction. */
static void fence_row(struct world *w, const struct record *r)
{
    struct jobs_truth *t = truth_of(w);
    for (size_t i = 0; i < t->n_waiters; i++)
        if (t->waiters[i].gone == r->main)
            t->waiters[i].gave_up = true;
}

static void ready_row(struct world *w, const struct record *r)
{
    struct jobs_truth *t = truth_of(w);
    tn_rev last = (tn_rev)number_of(r->value), before = t->n_openings ? t->openings[t->n_openings - 1].last : 0;
    unsigned n = 0;
    for (size_t i = 0; i < t->n_waiters; i++)
        n += t->waiters[i].create > before && t->waiters[i].create <= last && !t->waiters[i].gave_up;
    SIM_TRACE(w, "the barrier opens for those up to %lld: %u", (long long)last, n);
    if (n < PARTICIPANTS)
        world_fail(w, "B1: the barrier opened for %u of %d", n, PARTICIPANTS);
    t->openings = sim_grow(t->openings, (t->n_openings + 1) * sizeof *t->openings);
    t->openings[t->n_openings++] = (struct opening){.last = last};
}

void jobs_row(struct world *w, const struct record *r)
{
    if (under(r->key, WORK_KEYS) && r->tombstone)
        truth_of(w)->n_work--;
    else if (under(r->key, WORK_KEYS) && r->version == 1)
        truth_of(w)->n_work++;
    if (under(r->key, WAITERS))
        waiter_row(w, r);
    else if (bytes_equal(r->key, bytes_str(FENCE)) && !r->tombstone)
        fence_row(w, r);
    else if (bytes_equal(r->key, bytes_str(READY)) && !r->tombstone)
        ready_row(w, r);
    else if (r->tombstone && under(r->key, FIFO_KEYS))
        item_went(w, r->key);
    else if (!r->tombstone && (under(r->key, FIFO_KEYS) || under(r->key, WORK_BODIES)))
        item_came(w, r);
}

void jobs_truth_free(struct world *w)
{
    struct jobs_truth *t = w->jobs_truth;
    if (!t)
        return;
    for (size_t i = 0; i < t->n_waiters; i++)
        free((void *)t->waiters[i].key.data);
    free(t->waiters);
    free(t->openings);
    free(t->items);
    free(t->live);
    free(t);
    w->jobs_truth = NULL;
}

/* ---- what a job is told ---- */

static void put_ended(struct job *k, int code, const struct tenure_error *error)
{
    struct record_of *i = item_of(k->jobs->actor->world, k->number);
    i->put_done = code == 0;
    i->never = code != 0 && error->applied == TENURE_APPLIED_NO;
}

static void take_ended(struct job *k, struct errand *t, int code, const struct tenure_error *error)
{
    struct world *w = k->jobs->actor->world;
    if (code) {
        truth_of(w)->cut_off += k->queue == 0 && error->applied == TENURE_APPLIED_MAYBE;
        return;
    }
    k->item = *item_taken(t);
    k->number = number_of(k->item.value);
    snprintf(k->id, sizeof k->id, "%.*s", (int)k->item.id.len, (const char *)k->item.id.data);
    k->item.id = bytes_str(k->id);
    k->item.value = k->item.key = bytes_of(NULL, 0);
    SIM_TRACE(w, "client %d has item %llu, delivery %lld", k->jobs->actor->index, (unsigned long long)k->number,
              (long long)k->item.deliveries);
    w->result.acquisitions++;
    if (++item_of(w, k->number)->had > 1 && k->queue == 0)
        world_fail(w, "Q2: item %llu was told to two takers", (unsigned long long)k->number);
    k->in_hand = k->queue == 1;
}

static void settle_ended(struct job *k, int code, const struct tenure_error *error)
{
    struct world *w = k->jobs->actor->world;
    struct record_of *i = item_of(w, k->number);
    k->in_hand = code != 0 && code != TENURE_ELOST; /* what may have been done is tried again: ELOST when it was */
    if (k->how != ITEM_ACK)
        return;
    i->acks += code == 0;
    i->doubtful_acks += code != 0 && error->applied == TENURE_APPLIED_MAYBE;
    if (i->acks > 1)
        world_fail(w, "Q3: item %llu was acknowledged twice", (unsigned long long)k->number);
}

static void on_done(void *user, struct errand *t, int code, const struct tenure_error *error)
{
    struct job *k = user;
    struct world *w = k->jobs->actor->world;
    if (k->what == PUTS)
        put_ended(k, code, error);
    else if (k->what == TAKES)
        take_ended(k, t, code, error);
    else
        settle_ended(k, code, error);
    k->errand = errand_free(t, w->now);
    k->next_at = w->now + sim_between(w, 0, w->finishing ? 20 : 400);
}

/* ---- what it does ---- */

static void on_session_lost(void *user, const struct tenure_error *why)
{
    (void)why;
    *(bool *)user = true;
}

static void on_session_closed(void *user, int code)
{
    (void)code;
    *(bool *)user = true;
}

static struct session *open_session(struct actor *a, bool *ended)
{
    static const struct session_callbacks cb = {.on_lost = on_session_lost, .on_closed = on_session_closed};
    struct session_options o = {.ttl_s = TTL_S};
    struct session *s = NULL;
    *ended = false;
    if (session_open(a->client, &o, &cb, ended, a->world->now, &s, NULL) != 0)
        world_fail(a->world, "a session could not open");
    return s;
}

static bool has_session(struct jobs *j)
{
    if (j->session && j->ended && !j->put.errand && !j->take.errand && !marks_busy(j->marks)) {
        j->marks = marks_free(j->marks);
        j->session = session_free(j->session);
    }
    if (!j->session) {
        j->session = open_session(j->actor, &j->ended);
        if (!j->session || marks_new(j->session, NULL, &j->marks) != 0)
            abort();
    }
    return !j->ended && session_is_open(j->session, j->actor->world->now);
}

static int64_t wall_now;
static int64_t wall(void *user)
{
    (void)user;
    return wall_now;
}

static struct item_env env_of(const struct job *k)
{
    struct jobs *j = k->jobs;
    return (struct item_env){
        .client = j->actor->client, .keys = j->keys[k->queue], .marks = j->marks, .session = j->session, .wall = wall};
}

static void begin(struct job *k, enum what what, struct errand *t)
{
    k->what = what;
    k->errand = t;
    if (t)
        errand_start(t, k->jobs->actor->world->now);
}

static void begin_put(struct job *k)
{
    struct world *w = k->jobs->actor->world;
    char value[24];
    k->queue = sim_chance(w, 50);
    k->number = ++w->next_value;
    item_of(w, k->number)->queue = k->queue;
    snprintf(value, sizeof value, "%llu", (unsigned long long)k->number);
    struct item_env env = env_of(k);
    struct item_put o = {.value = bytes_str(value), .broken_unmarked = w->config.broken.unmarked_put};
    begin(k, PUTS, item_put(&env, &o, w->now + sim_between(w, 200, 4000), on_done, k, NULL));
}

static void begin_take(struct job *k)
{
    struct world *w = k->jobs->actor->world;
    k->queue = w->finishing ? truth_of(w)->n_live == 0 : sim_chance(w, 50);
    struct item_env env = env_of(k);
    struct item_take o = {.try_only = w->finishing || sim_chance(w, 20),
                          .broken_unguarded = w->config.broken.unguarded_take};
    tn_ms until = sim_chance(w, 50) || w->finishing ? w->now + sim_between(w, 50, 4000) : TN_MS_NEVER;
    begin(k, TAKES, item_take(&env, &o, until, on_done, k, NULL));
}

static void begin_settle(struct job *k)
{
    struct world *w = k->jobs->actor->world;
    struct item_env env = env_of(k);
    k->how = w->finishing || sim_chance(w, 75) ? ITEM_ACK : ITEM_NACK;
    struct item_settlement o = {.how = k->how, .item = &k->item};
    begin(k, SETTLES, item_settle(&env, &o, w->now + sim_between(w, 200, 4000), on_done, k, NULL));
}

static bool is_drained(const struct jobs *j)
{
    const struct jobs_truth *t = truth_of(j->actor->world);
    return t->n_live == 0 && t->n_work == 0;
}

static void work(struct jobs *j)
{
    struct world *w = j->actor->world;
    bool put_due = !j->put.errand && !w->finishing && j->put.next_at <= w->now;
    bool take_due =
        !j->take.errand && j->take.next_at <= w->now && (!w->finishing || j->take.in_hand || !is_drained(j));
    if (!put_due && !take_due)
        return;
    if (!has_session(j)) { /* the lost one is still in use: soon again */
        j->put.next_at = put_due ? w->now + 5 : j->put.next_at;
        j->take.next_at = take_due ? w->now + 5 : j->take.next_at;
        return;
    }
    if (put_due)
        begin_put(&j->put);
    if (take_due && j->take.in_hand)
        begin_settle(&j->take);
    else if (take_due)
        begin_take(&j->take);
}

/* ---- rounds ---- */

static void on_round(void *user, struct errand *t, int code, const struct tenure_error *error)
{
    struct jobs *j = user;
    struct world *w = j->actor->world;
    struct jobs_truth *truth = truth_of(w);
    j->round = errand_free(t, w->now);
    SIM_TRACE(w, "client %d: %s the barrier: %s", j->actor->index, j->leaving ? "leaves" : "enters",
              code ? error->text : "fine");
    j->round_over = j->leaving || code != 0;
    if (j->round_over)
        return;
    tn_rev last = double_barrier_round(j->barrier);
    struct opening *o = NULL;
    for (size_t i = 0; i < truth->n_openings; i++)
        if (truth->openings[i].last == last)
            o = &truth->openings[i];
    if (!o || ++o->let_in > PARTICIPANTS)
        world_fail(w, "B2: client %d was let in by a barrier that has not opened for it", j->actor->index);
    j->leave_at = w->now + sim_between(w, 0, 500);
}

static void begin_round(struct jobs *j)
{
    struct world *w = j->actor->world;
    struct double_barrier_options o = {
        .name = "b", .n = PARTICIPANTS, .broken_open_unfenced = w->config.broken.unfenced_open};
    j->round_session = open_session(j->actor, &j->round_ended);
    if (!j->round_session || double_barrier_new(j->round_session, &o, &j->barrier, NULL) != 0)
        abort();
    j->leaving = j->round_over = false;
    j->leave_at = TN_MS_NEVER;
    j->round = double_barrier_enter(j->barrier, w->now + sim_between(w, 20, 2500), on_round, j, NULL);
    errand_start(j->round, w->now);
}

static void leave_round(struct jobs *j)
{
    struct world *w = j->actor->world;
    j->leave_at = TN_MS_NEVER;
    j->leaving = true;
    j->round = double_barrier_leave(j->barrier, w->now + sim_between(w, 500, 5000), on_round, j, NULL);
    j->round_over = j->round == NULL;
    if (j->round)
        errand_start(j->round, w->now);
}

static void round_step(struct jobs *j)
{
    struct world *w = j->actor->world;
    if (j->barrier && j->round_over && !j->round) {
        j->barrier = double_barrier_free(j->barrier);
        session_close(j->round_session, w->now);
        j->round_at = w->now + sim_between(w, 1, 1500);
    }
    if (j->round_session && !j->barrier && j->round_ended)
        j->round_session = session_free(j->round_session);
    if (j->barrier && !j->round && j->leave_at <= w->now)
        leave_round(j);
    else if (!j->round_session && !w->finishing && j->round_at <= w->now)
        begin_round(j);
}

/* ---- for the actor and the world ---- */

void jobs_start(struct actor *a)
{
    struct world *w = a->world;
    struct jobs *j = sim_alloc(sizeof *j);
    *j = (struct jobs){.actor = a, .round_at = w->now + sim_between(w, 0, 500), .leave_at = TN_MS_NEVER};
    j->put = (struct job){.jobs = j, .next_at = w->now + sim_between(w, 0, 500)};
    j->take = (struct job){.jobs = j, .next_at = w->now + sim_between(w, 0, 500)};
    j->keys[0] = item_keys_new(ITEM_FIFO, NULL, "f", NULL);
    j->keys[1] = item_keys_new(ITEM_WORK, NULL, "w", NULL);
    if (!j->keys[0] || !j->keys[1])
        abort();
    a->jobs = j;
}

/* Before the client's completions, as a driver does. */
void jobs_tick(struct actor *a)
{
    struct jobs *j = a->jobs;
    tn_ms now = a->world->now;
    wall_now = now;
    if (j->session && session_deadline(j->session) <= now)
        session_tick(j->session, now);
    if (j->round_session && session_deadline(j->round_session) <= now)
        session_tick(j->round_session, now);
    if (j->put.errand && errand_deadline(j->put.errand) <= now)
        errand_tick(j->put.errand, now);
    if (j->take.errand && errand_deadline(j->take.errand) <= now)
        errand_tick(j->take.errand, now);
    if (j->round && errand_deadline(j->round) <= now)
        errand_tick(j->round, now);
}

void jobs_step(struct actor *a)
{
    work(a->jobs);
    round_step(a->jobs);
}

static tn_ms earlier(tn_ms a, tn_ms b)
{
    return a < b ? a : b;
}

tn_ms jobs_next(const struct actor *a)
{
    const struct jobs *j = a->jobs;
    bool finishing = a->world->finishing;
    tn_ms at = j->leave_at;
    at = j->session ? earlier(at, session_deadline(j->session)) : at;
    at = j->round_session ? earlier(at, session_deadline(j->round_session)) : at;
    at = j->put.errand ? earlier(at, errand_deadline(j->put.errand)) : finishing ? at : earlier(at, j->put.next_at);
    if (j->take.errand)
        at = earlier(at, errand_deadline(j->take.errand));
    else if (!finishing || j->take.in_hand || !is_drained(j))
        at = earlier(at, j->take.next_at > a->world->now ? j->take.next_at : a->world->now + 1);
    at = j->round ? earlier(at, errand_deadline(j->round)) : at;
    if (j->barrier && j->round_over && !j->round)
        at = a->world->now;
    if (!j->round_session && !finishing)
        at = earlier(at, j->round_at);
    return at;
}

static void give_up(struct session *s, tn_ms now)
{
    struct tenure_error why = {.code = TENURE_ELOST, .kind = TENURE_KIND_LOST};
    if (s && session_state(s) != SESSION_LOST)
        session_give_up(s, &why, now);
}

/* The process is gone: what was under way is told to nobody. */
void jobs_kill(struct actor *a)
{
    struct jobs *j = a->jobs;
    struct world *w = a->world;
    truth_of(w)->cut_off += j->take.errand && j->take.what == TAKES && j->take.queue == 0;
    if (j->take.errand && j->take.what == SETTLES && j->take.how == ITEM_ACK)
        item_of(w, j->take.number)->doubtful_acks++;
    j->put.errand = errand_free(j->put.errand, w->now);
    j->take.errand = errand_free(j->take.errand, w->now);
    j->round = errand_free(j->round, w->now);
    j->barrier = double_barrier_free(j->barrier);
    give_up(j->session, w->now);
    give_up(j->round_session, w->now);
}

void jobs_free(struct actor *a)
{
    struct jobs *j = a->jobs;
    j->marks = marks_free(j->marks);
    j->session = session_free(j->session);
    j->round_session = session_free(j->round_session);
    free(j->keys[0]);
    free(j->keys[1]);
    free(j);
    a->jobs = NULL;
}

void jobs_finish(struct actor *a)
{
    struct jobs *j = a->jobs;
    if (j->take.errand && j->take.what == TAKES)
        errand_stop(j->take.errand, TENURE_ECANCELLED, a->world->now);
}

bool jobs_idle(const struct actor *a)
{
    const struct jobs *j = a->jobs;
    return !j->put.errand && !j->take.errand && !j->take.in_hand && !j->round && !j->barrier && is_drained(j);
}

void check_jobs(struct world *w)
{
    struct jobs_truth *t = truth_of(w);
    unsigned missing = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct record_of *k = &t->items[i];
        unsigned long long number = i;
        if (k->never && k->rows)
            world_fail(w, "C2: item %llu was reported as not put, and is there", number);
        if (k->put_done && !k->rows)
            world_fail(w, "KV3: item %llu was put, and never was there", number);
        missing += k->put_done && k->queue == 0 && k->had == 0;
        if (k->put_done && k->queue == 1 && k->had == 0)
            world_fail(w, "Q3: item %llu was delivered to nobody", number);
        if (k->put_done && k->queue == 1 && k->acks + k->doubtful_acks == 0)
            world_fail(w, "Q3: item %llu went without an acknowledgement", number);
    }
    if (missing > t->cut_off)
        world_fail(w, "Q3: %u items are gone, and %u takes were cut off", missing, t->cut_off);
}
