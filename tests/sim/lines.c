/* A priority queue, a delay queue, a barrier and a latch of a client's process: one put, one take, one step at the barrier and
 * one at the latch at a time. Checked against the rows that are durable, as they come:
 *
 *   Q1  an item is put once
 *   Q2  what is taken is the first of its queue, is told to one taker, and is not taken before it is due by that one's clock
 *   Q3  none is lost, but for takes that were cut off
 *   B3  a hold holds once, and only where nobody else's does; who waits passes when it is not held, or was not for a moment
 *   B4  as many are counted as have arrived; the latch opens with the last of them, and who waits passes when it is open */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "part.h"
#include "recipes/barrier.h"
#include "recipes/item_queue.h"
#include "recipes/latch.h"

#define PRIORITY_KEYS "/queues/p/"
#define DELAY_KEYS    "/queues/d/"
#define BARRIER_KEY   "/barriers/g"
#define COUNT_KEY     "/latches/l/count"
#define OPEN_KEY      "/latches/l/open"
#define ARRIVALS      "/latches/l/arrivals/"
#define ARRIVALS_N    2

enum { PUTS, TAKES, HOLDS, RELEASES, PASSES, ARRIVES, AWAITS, RESETS };
enum { SLOT_PUT, SLOT_TAKE, SLOT_BARRIER, SLOT_PASS, SLOT_LATCH, SLOT_AWAIT, SLOTS };

struct slot {
    struct lines *lines;
    struct errand *errand;
    int what, queue; /* 0 by priority, 1 by time */
    uint64_t number;
    tn_ms begun, next_at;
};

struct lines {
    struct actor *actor;
    struct footing footing;
    struct item_keys *keys[2];
    struct slot slots[SLOTS];
};

/* ---- the truth ---- */

struct line_item {
    int queue;
    int64_t rank; /* its number, or when it is due */
    tn_rev create;
    char key[64];
    bool lives, put_done, never;
    unsigned rows, had;
};

struct lines_truth {
    struct line_item *items;
    size_t n, cap;
    size_t n_live;
    unsigned cut_off;
    bool held, open;
    tn_ms held_at, released_at, closed_at; /* the last time */
    unsigned arrivals, counted;
    tn_ms reset_at;
};

static struct lines_truth *truth_of(struct world *w)
{
    return w->part_truths[PART_LINES];
}

static void *truth_new(void)
{
    return sim_alloc(sizeof(struct lines_truth));
}

static void truth_free(void *truth)
{
    free(((struct lines_truth *)truth)->items);
    free(truth);
}

static struct line_item *item_of(struct world *w, uint64_t number)
{
    struct lines_truth *t = truth_of(w);
    if (number >= t->cap) {
        size_t cap = number * 2 + 64;
        t->items = sim_grow(t->items, cap * sizeof *t->items);
        memset(t->items + t->cap, 0, (cap - t->cap) * sizeof *t->items);
        t->cap = cap;
    }
    t->n = number >= t->n ? number + 1 : t->n;
    return &t->items[number];
}

static void item_came(struct world *w, const struct record *r, const char *prefix, int queue)
{
    uint64_t number = (uint64_t)sim_number(r->value);
    struct line_item *i = item_of(w, number);
    if (++i->rows > 1)
        world_fail(w, "Q1: item %llu was put twice", (unsigned long long)number);
    i->queue = queue;
    i->rank = sim_number(bytes_of(r->key.data + strlen(prefix), r->key.len - strlen(prefix)));
    i->create = r->main;
    i->lives = true;
    truth_of(w)->n_live++;
    snprintf(i->key, sizeof i->key, "%.*s", (int)r->key.len, (const char *)r->key.data);
}

static bool is_before(const struct line_item *a, const struct line_item *b)
{
    if (a->rank != b->rank)
        return a->rank < b->rank;
    return a->queue == 0 && a->create < b->create;
}

static void item_went(struct world *w, const struct record *r)
{
    struct lines_truth *t = truth_of(w);
    struct line_item *gone = NULL;
    for (size_t i = 0; i < t->n && !gone; i++)
        if (t->items[i].lives && bytes_equal(bytes_str(t->items[i].key), r->key))
            gone = &t->items[i];
    if (!gone)
        return;
    gone->lives = false;
    t->n_live--;
    for (size_t i = 0; i < t->n; i++)
        if (t->items[i].lives && t->items[i].queue == gone->queue && is_before(&t->items[i], gone))
            world_fail(w, "Q2: item %td was taken before item %zu", gone - t->items, i);
}

static void barrier_row(struct world *w, const struct record *r)
{
    struct lines_truth *t = truth_of(w);
    t->held = !r->tombstone;
    if (r->tombstone) {
        t->released_at = w->now;
        return;
    }
    t->held_at = w->now;
    uint64_t number = (uint64_t)sim_number(r->value);
    if (r->version != 1)
        world_fail(w, "B3: hold %llu replaced another one", (unsigned long long)number);
    if (++item_of(w, number)->rows > 1)
        world_fail(w, "B3: hold %llu held twice", (unsigned long long)number);
}

static void latch_row(struct world *w, const struct record *r)
{
    struct lines_truth *t = truth_of(w);
    if (sim_under(r->key, ARRIVALS)) {
        t->arrivals += r->tombstone ? -1 : r->version == 1;
        uint64_t number = r->tombstone ? 0 : (uint64_t)sim_number(r->value);
        if (number && ++item_of(w, number)->rows > 1)
            world_fail(w, "B4: arrival %llu was counted twice", (unsigned long long)number);
        t->reset_at = r->tombstone ? w->now : t->reset_at;
    } else if (bytes_equal(r->key, bytes_str(COUNT_KEY))) {
        t->counted = r->tombstone ? 0 : (unsigned)sim_number(r->value);
    } else if (bytes_equal(r->key, bytes_str(OPEN_KEY))) {
        t->open = !r->tombstone;
        t->closed_at = r->tombstone ? w->now : t->closed_at;
    }
}

static void lines_row(struct world *w, const struct record *r)
{
    struct lines_truth *t = truth_of(w);
    if (bytes_equal(r->key, bytes_str(BARRIER_KEY)))
        barrier_row(w, r);
    else if (sim_under(r->key, "/latches/l/"))
        latch_row(w, r);
    else if (r->tombstone && (sim_under(r->key, PRIORITY_KEYS) || sim_under(r->key, DELAY_KEYS)))
        item_went(w, r);
    else if (sim_under(r->key, PRIORITY_KEYS))
        item_came(w, r, PRIORITY_KEYS, 0);
    else if (sim_under(r->key, DELAY_KEYS))
        item_came(w, r, DELAY_KEYS, 1);
    if (!r->last_of_command)
        return;
    if (t->counted != t->arrivals)
        world_fail(w, "B4: %u have arrived, and %u are counted", t->arrivals, t->counted);
    if (t->open != (t->counted >= ARRIVALS_N))
        world_fail(w, "B4: %u have arrived, and the latch is %s", t->counted, t->open ? "open" : "shut");
}

static void check_end(struct world *w)
{
    struct lines_truth *t = truth_of(w);
    unsigned missing = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct line_item *k = &t->items[i];
        if (k->never && k->rows)
            world_fail(w, "C2: item %zu was reported as not put, and is there", i);
        if (k->put_done && !k->rows)
            world_fail(w, "KV3: item %zu was put, and never was there", i);
        missing += k->put_done && k->create && k->had == 0;
    }
    if (missing > t->cut_off)
        world_fail(w, "Q3: %u items are gone, and %u takes were cut off", missing, t->cut_off);
}

/* ---- what a slot is told ---- */

static void write_ended(struct slot *s, int code, const struct tenure_error *error)
{
    struct line_item *i = item_of(s->lines->actor->world, s->number);
    i->put_done = code == 0;
    i->never = code != 0 && error->applied == TENURE_APPLIED_NO;
}

static void take_ended(struct slot *s, struct errand *t, int code, const struct tenure_error *error)
{
    struct world *w = s->lines->actor->world;
    if (code) {
        truth_of(w)->cut_off += error->applied == TENURE_APPLIED_MAYBE;
        return;
    }
    const struct item *item = item_taken(t);
    uint64_t number = (uint64_t)sim_number(item->value);
    struct line_item *i = item_of(w, number);
    SIM_TRACE(w, "client %d has item %llu", s->lines->actor->index, (unsigned long long)number);
    w->result.acquisitions++;
    if (++i->had > 1)
        world_fail(w, "Q2: item %llu was told to two takers", (unsigned long long)number);
    if (i->queue == 1 && i->rank > sim_wall(s->lines->actor))
        world_fail(w, "Q2: item %llu was taken %lld ms before it was due", (unsigned long long)number,
                   (long long)(i->rank - sim_wall(s->lines->actor)));
}

static void check_passed(struct slot *s)
{
    struct world *w = s->lines->actor->world;
    const struct lines_truth *t = truth_of(w);
    if (s->what == PASSES && t->held && t->held_at < s->begun)
        world_fail(w, "B3: client %d passed a barrier that was held all along", s->lines->actor->index);
    if (s->what == AWAITS && !t->open && t->closed_at < s->begun)
        world_fail(w, "B4: client %d passed a latch that was shut all along", s->lines->actor->index);
    if (s->what == ARRIVES && t->arrivals == 0 && t->reset_at < s->begun)
        world_fail(w, "B4: client %d has arrived, and is not there", s->lines->actor->index);
}

static void on_done(void *user, struct errand *t, int code, const struct tenure_error *error)
{
    struct slot *s = user;
    struct world *w = s->lines->actor->world;
    const struct lines_truth *truth = truth_of(w);
    if (s->what == PUTS || s->what == HOLDS)
        write_ended(s, code, error);
    if (s->what == TAKES)
        take_ended(s, t, code, error);
    if (s->what == HOLDS && code == TENURE_EEXISTS && !truth->held && truth->released_at < s->begun)
        world_fail(w, "B3: a barrier was held for client %d that nobody held", s->lines->actor->index);
    if (code == 0)
        check_passed(s);
    w->result.calls++;
    s->errand = errand_free(t, w->now);
    s->next_at = w->now + sim_between(w, w->finishing ? 20 : 0, w->finishing ? 100 : 400);
}

/* ---- what it does ---- */

static int64_t wall(void *user)
{
    return sim_wall(user);
}

static struct errand *new_put(struct slot *s, const struct item_env *env, tn_ms until)
{
    struct world *w = s->lines->actor->world;
    char value[24];
    s->what = PUTS;
    s->number = ++w->next_value;
    snprintf(value, sizeof value, "%llu", (unsigned long long)s->number);
    struct item_put o = {.value = bytes_str(value), .broken_unmarked = w->config.broken.unmarked_put};
    o.priority = (int64_t)rng_below(&w->rng, 4);
    o.due_ms = sim_wall(s->lines->actor) + (sim_chance(w, 30) ? 0 : sim_between(w, 0, 2500));
    item_of(w, s->number);
    return item_put(env, &o, until, on_done, s, NULL);
}

static bool has_live(struct world *w, int queue)
{
    struct lines_truth *t = truth_of(w);
    for (size_t i = 0; i < t->n; i++)
        if (t->items[i].lives && t->items[i].queue == queue)
            return true;
    return false;
}

static struct errand *new_take(struct slot *s, const struct item_env *env, tn_ms until)
{
    struct world *w = s->lines->actor->world;
    s->what = TAKES;
    struct item_take o = {.try_only = w->finishing || sim_chance(w, 20),
                          .broken_unguarded = w->config.broken.unguarded_take,
                          .broken_early = w->config.broken.early_take};
    return item_take(env, &o, !w->finishing && sim_chance(w, 50) ? TN_MS_NEVER : until, on_done, s, NULL);
}

static struct errand *new_queue_errand(struct slot *s, bool put, tn_ms until)
{
    struct lines *l = s->lines;
    struct world *w = l->actor->world;
    s->queue = w->finishing ? !has_live(w, 0) : sim_chance(w, 50);
    struct item_env env = {.client = l->actor->client,
                           .keys = l->keys[s->queue],
                           .marks = l->footing.marks,
                           .session = l->footing.session,
                           .wall = wall,
                           .wall_user = l->actor};
    return put ? new_put(s, &env, until) : new_take(s, &env, until);
}

static struct errand *new_barrier_errand(struct slot *s, int slot, tn_ms until)
{
    struct world *w = s->lines->actor->world;
    struct client *c = s->lines->actor->client;
    char value[24];
    unsigned dice = w->finishing ? 50 : (unsigned)rng_below(&w->rng, 100);
    struct barrier_options o = {.name = "g", .until = until, .broken_unmarked = w->config.broken.unmarked_hold};
    if (slot == SLOT_PASS) {
        s->what = PASSES;
        o.until = sim_chance(w, 50) ? until : TN_MS_NEVER;
        o.broken_blind = w->config.broken.blind_pass;
        return barrier_wait(c, &o, on_done, s, NULL);
    }
    if (dice < 50) {
        s->what = HOLDS;
        s->number = ++w->next_value;
        item_of(w, s->number);
        snprintf(value, sizeof value, "%llu", (unsigned long long)s->number);
        o.value = bytes_str(value);
        return barrier_hold(c, &o, on_done, s, NULL);
    }
    s->what = RELEASES;
    return barrier_release(c, &o, on_done, s, NULL);
}

static struct errand *new_latch_errand(struct slot *s, int slot, tn_ms until)
{
    struct world *w = s->lines->actor->world;
    struct client *c = s->lines->actor->client;
    char id[8], value[24];
    unsigned dice = w->finishing ? 0 : (unsigned)rng_below(&w->rng, 100);
    snprintf(id, sizeof id, "c%d", s->lines->actor->index);
    struct latch_options o = {.name = "l",
                              .id = id,
                              .n = ARRIVALS_N,
                              .until = until,
                              .broken_uncounted = w->config.broken.uncounted_arrival,
                              .broken_blind = w->config.broken.blind_pass};
    if (slot == SLOT_AWAIT) {
        s->what = AWAITS;
        o.until = sim_chance(w, 50) ? until : TN_MS_NEVER;
        return latch_wait(c, &o, on_done, s, NULL);
    }
    if (dice < 70) {
        s->what = ARRIVES;
        s->number = ++w->next_value;
        item_of(w, s->number);
        snprintf(value, sizeof value, "%llu", (unsigned long long)s->number);
        o.value = bytes_str(value);
        return latch_arrive(c, &o, on_done, s, NULL);
    }
    s->what = RESETS;
    return latch_reset(c, &o, on_done, s, NULL);
}

/* Whether a slot has something to do: at the end only what lets others go. */
static bool is_wanted(const struct lines *l, int slot)
{
    struct lines_truth *t = truth_of(l->actor->world);
    if (!l->actor->world->finishing)
        return true;
    return (slot == SLOT_TAKE && t->n_live) || (slot == SLOT_BARRIER && t->held) || (slot == SLOT_LATCH && !t->open);
}

static void begin(struct lines *l, int slot)
{
    struct world *w = l->actor->world;
    struct slot *s = &l->slots[slot];
    tn_ms until = w->now + sim_between(w, 200, 4000);
    if (slot <= SLOT_TAKE && !footing_ready(&l->footing, l->slots[0].errand || l->slots[1].errand)) {
        s->next_at = w->now + 5;
        return;
    }
    s->begun = w->now;
    s->errand = slot <= SLOT_TAKE   ? new_queue_errand(s, slot == SLOT_PUT, until)
                : slot <= SLOT_PASS ? new_barrier_errand(s, slot, until)
                                    : new_latch_errand(s, slot, until);
    if (!s->errand)
        abort();
    errand_start(s->errand, w->now);
}

/* ---- the part ---- */

static void *lines_start(struct actor *a)
{
    struct lines *l = sim_alloc(sizeof *l);
    *l = (struct lines){.actor = a, .footing.actor = a};
    l->keys[0] = item_keys_new(ITEM_PRIORITY, NULL, "p", NULL);
    l->keys[1] = item_keys_new(ITEM_DELAY, NULL, "d", NULL);
    if (!l->keys[0] || !l->keys[1])
        abort();
    for (int i = 0; i < SLOTS; i++)
        l->slots[i] = (struct slot){.lines = l, .next_at = a->world->now + sim_between(a->world, 0, 500)};
    return l;
}

static void lines_tick(void *p)
{
    struct lines *l = p;
    tn_ms now = l->actor->world->now;
    footing_tick(&l->footing);
    for (int i = 0; i < SLOTS; i++)
        if (l->slots[i].errand && errand_deadline(l->slots[i].errand) <= now)
            errand_tick(l->slots[i].errand, now);
}

static void lines_step(void *p)
{
    struct lines *l = p;
    for (int i = 0; i < SLOTS; i++)
        if (!l->slots[i].errand && l->slots[i].next_at <= l->actor->world->now && is_wanted(l, i))
            begin(l, i);
}

static tn_ms lines_next(const void *p)
{
    const struct lines *l = p;
    tn_ms at = footing_next(&l->footing), soon = l->actor->world->now + 1;
    for (int i = 0; i < SLOTS; i++) {
        const struct slot *s = &l->slots[i];
        if (s->errand)
            at = sim_earlier(at, errand_deadline(s->errand));
        else if (is_wanted(l, i))
            at = sim_earlier(at, s->next_at > soon ? s->next_at : soon);
    }
    return at;
}

static void lines_finish(void *p)
{
    struct lines *l = p;
    if (l->slots[SLOT_TAKE].errand)
        errand_stop(l->slots[SLOT_TAKE].errand, TENURE_ECANCELLED, l->actor->world->now);
}

static bool lines_idle(const void *p)
{
    const struct lines *l = p;
    for (int i = 0; i < SLOTS; i++)
        if (l->slots[i].errand || is_wanted(l, i))
            return false;
    return true;
}

static void lines_kill(void *p)
{
    struct lines *l = p;
    struct world *w = l->actor->world;
    struct slot *take = &l->slots[SLOT_TAKE];
    truth_of(w)->cut_off += take->errand != NULL;
    for (int i = 0; i < SLOTS; i++)
        l->slots[i].errand = errand_free(l->slots[i].errand, w->now);
    footing_kill(&l->footing);
}

static void lines_free(void *p)
{
    struct lines *l = p;
    footing_free(&l->footing);
    free(l->keys[0]);
    free(l->keys[1]);
    free(l);
}

const struct part_ops lines_part = {.name = "lines",
                                    .start = lines_start,
                                    .tick = lines_tick,
                                    .step = lines_step,
                                    .next = lines_next,
                                    .finish = lines_finish,
                                    .idle = lines_idle,
                                    .kill = lines_kill,
                                    .free = lines_free,
                                    .row = lines_row,
                                    .check_end = check_end,
                                    .truth_new = truth_new,
                                    .truth_free = truth_free};
