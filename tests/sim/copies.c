/* Shared values: each client has a copy of one number, to which all add, and one of the range around it, in which keys come and
 * go; it reads them within a bound, at a revision and as the newest there is.
 *
 *   V1  a copy never goes back, and is what was there at its revision
 *   V2  what was acknowledged before the time that a copy calls itself current as of is in it
 *   V3  a read is what was asked for: the newest has all that was acknowledged when it was asked for; once all is healed it comes
 *   C1  each addition is made once, and is in its own client's copy when it has ended */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "part.h"
#include "recipes/number.h"
#include "recipes/replica.h"
#include "recipes/update.h"

#define NUMBER_KEY "v/n"
#define RANGE      "v/"
#define CALM_MS    8000
enum { COPY_VALUE, COPY_RANGE, COPIES, WAITS = 3, OTHERS = 4, TTL_MAX_MS = 20000 };

struct copy {
    struct copies *copies;
    int kind;
    struct replica *replica;
    tn_rev seen;
    tn_ms seen_at;
};

struct reading {
    struct copy *copy;
    struct replica_wait wait;
    struct replica_need need;
    tn_rev durable; /* when it was asked for */
    bool active;
};

struct copies {
    struct actor *actor;
    struct footing footing;
    struct copy all[COPIES];
    struct reading readings[WAITS];
    struct update *update;
    struct number_change change;
    bool adds; /* else: some other key, of the range */
    char other[16], text[24];
    bool deletes;
    struct kv was;
    tn_ms began, write_at, read_at, stop_at;
    bool is_last, is_stopped;
};

/* ---- the truth ---- */

struct durable {
    tn_ms at;
    tn_rev revision;
};
struct copies_truth {
    struct durable *all; /* by time and revision */
    size_t n, cap;
    int64_t additions, maybe;
};

static struct copies_truth *truth_of(struct world *w)
{
    return w->part_truths[PART_COPIES];
}

static void *truth_new(void)
{
    return sim_alloc(sizeof(struct copies_truth));
}

static void truth_free(void *truth)
{
    free(((struct copies_truth *)truth)->all);
    free(truth);
}

static void copies_row(struct world *w, const struct record *r)
{
    struct copies_truth *t = truth_of(w);
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 256;
        t->all = sim_grow(t->all, t->cap * sizeof *t->all);
    }
    t->all[t->n++] = (struct durable){w->now, r->main};
}

/* What was durable before that time: nothing is acknowledged earlier. */
static tn_rev durable_before(struct world *w, tn_ms time)
{
    const struct copies_truth *t = truth_of(w);
    for (size_t i = t->n; i-- > 0;)
        if (t->all[i].at < time)
            return t->all[i].revision;
    return 0;
}

/* ---- what is looked at ---- */

static void check_content(const struct copy *c)
{
    struct world *w = c->copies->actor->world;
    tn_rev revision = replica_revision(c->replica);
    size_t live = 0;
    for (size_t i = 0; i < w->history.n; i++) {
        const struct row *r = &w->history.rows[i];
        bool is_in = c->kind == COPY_RANGE ? sim_under(r->key, RANGE) : bytes_equal(r->key, bytes_str(NUMBER_KEY));
        if (!is_in || r->main > revision || r->tombstone || history_at(&w->history, r->key, revision) != r)
            continue;
        const struct kv *kv = replica_find(c->replica, r->key);
        if (!kv || kv->mod_revision != r->main || kv->version != r->version ||
            kv->create_revision != r->create_revision || !bytes_equal(kv->value, r->value))
            world_fail(w, "V1: client %d has another %s in copy %d", c->copies->actor->index, (const char *)r->key.data,
                       c->kind);
        live++;
    }
    if (replica_count(c->replica) != live)
        world_fail(w, "V1: client %d has %zu keys in copy %d, where %zu are", c->copies->actor->index,
                   replica_count(c->replica), c->kind, live);
}

static void check_copy(struct copy *c)
{
    struct world *w = c->copies->actor->world;
    tn_rev revision = replica_revision(c->replica);
    tn_ms current_at = replica_current_at(c->replica);
    if (revision < c->seen || current_at < c->seen_at)
        world_fail(w, "V1: copy %d of client %d goes back", c->kind, c->copies->actor->index);
    if (revision < durable_before(w, current_at))
        world_fail(
            w,
            "V2: copy %d of client %d is of revision %lld, and says that it is current as of a time when %lld was there",
            c->kind, c->copies->actor->index, (long long)revision, (long long)durable_before(w, current_at));
    c->seen = revision;
    c->seen_at = current_at;
}

static void check(struct world *w)
{
    for (int i = 0; i < w->n_actors; i++) {
        struct copies *c = part_state(&w->actors[i], PART_COPIES);
        for (int n = 0; c && n < COPIES; n++)
            if (c->all[n].replica)
                check_copy(&c->all[n]);
    }
}

/* ---- the copies ---- */

static void on_change(void *user, tn_rev revision, const struct view_change *changes, size_t n)
{
    const struct copy *c = user;
    (void)revision, (void)changes, (void)n;
    if (sim_chance(c->copies->actor->world, 20))
        check_content(c);
}

static void on_end(void *user, int code, const struct tenure_error *error)
{
    const struct copy *c = user;
    if (code != TENURE_ECLOSED)
        world_fail(c->copies->actor->world, "V3: a copy ended: %s", error->text);
}

static void begin_copy(struct copies *c, int kind)
{
    static const struct replica_callbacks cb = {.on_change = on_change, .on_end = on_end};
    struct world *w = c->actor->world;
    struct replica_options o = {.range.key = bytes_str(NUMBER_KEY),
                                .check_ms = sim_chance(w, 50) ? sim_between(w, 100, 3000) : 0,
                                .broken_from_receipt = w->config.broken.aged_from_receipt};
    if (kind == COPY_RANGE)
        o.range = (struct key_range){bytes_str(RANGE), bytes_str("v0")};
    c->all[kind] = (struct copy){.copies = c, .kind = kind};
    if (replica_start(c->actor->client, &o, &cb, &c->all[kind], w->now, &c->all[kind].replica, NULL))
        abort();
}

/* ---- reading ---- */

static void on_read(void *user, int code, const struct tenure_error *error)
{
    struct reading *r = user;
    struct copies *c = r->copy->copies;
    struct world *w = c->actor->world;
    r->active = false;
    w->result.calls++;
    if (code == 0) {
        const struct replica *replica = r->copy->replica;
        if ((r->need.asked && replica_revision(replica) < r->durable) || replica_revision(replica) < r->need.revision ||
            replica_current_at(replica) < r->need.since)
            world_fail(w, "V3: a read of client %d is not what was asked for", c->actor->index);
        check_content(r->copy);
    } else if (code == TENURE_EFUTURE && r->need.revision <= r->durable) {
        world_fail(w, "V3: client %d was told that the past is the future", c->actor->index);
    } else if (c->is_last && code != TENURE_EFUTURE) {
        world_fail(w, "V3: client %d cannot read though all is healed: %s", c->actor->index, error->text);
    }
}

static void begin_read(struct copies *c, struct reading *r, int kind, struct replica_need need, tn_ms until)
{
    struct world *w = c->actor->world;
    r->copy = &c->all[kind];
    r->need = need;
    r->durable = w->history.revision;
    r->active = replica_wait(r->copy->replica, &r->wait, &need, until, on_read, r, w->now, NULL) == 0;
}

static void read_something(struct copies *c)
{
    struct world *w = c->actor->world;
    struct replica_need need = {0};
    int64_t which = sim_between(w, 0, 3);
    if (which == 0)
        need.since = w->now > 2000 ? w->now - sim_between(w, 1, 2000) : 0;
    else if (which == 1)
        need.revision = w->history.revision + (sim_chance(w, 10) ? 1000 : 0);
    else
        need.asked = true;
    for (int i = 0; i < WAITS; i++) {
        if (!c->readings[i].active) {
            begin_read(c, &c->readings[i], (int)sim_between(w, 0, 1), need, w->now + sim_between(w, 50, 5000));
            break;
        }
    }
    for (int i = 0; i < WAITS; i++)
        if (c->readings[i].active && sim_chance(w, 3))
            replica_cancel(&c->readings[i].wait);
}

/* ---- writing ---- */

static int compute(void *owner, const struct kv *kv, bytes *ret_value, struct tenure_error *err)
{
    struct copies *c = owner;
    c->was = *kv;
    if (c->adds)
        return number_compute(&c->change, kv, ret_value, err);
    *ret_value = bytes_str(c->text);
    return c->deletes ? UPDATE_DELETE : UPDATE_PUT;
}

static void learn(struct copies *c, tn_rev revision)
{
    char text[NUMBER_TEXT_MAX];
    struct kv kv = {.key = bytes_str(NUMBER_KEY),
                    .value = number_write(c->change.result, text),
                    .create_revision = c->was.version ? c->was.create_revision : revision,
                    .mod_revision = revision,
                    .version = c->was.version + 1,
                    .lease = c->was.lease};
    struct replica *r = c->all[COPY_VALUE].replica;
    replica_wrote(r, revision, &kv, c->began);
    if (replica_revision(r) > 0 && replica_revision(r) < revision)
        world_fail(c->actor->world, "C1: client %d does not see what it has written", c->actor->index);
}

static void on_updated(void *owner, const struct update_result *r)
{
    struct copies *c = owner;
    struct world *w = c->actor->world;
    w->result.calls++;
    if (c->adds && r->code == 0)
        truth_of(w)->additions++;
    else if (c->adds && r->error->applied == TENURE_APPLIED_MAYBE)
        truth_of(w)->maybe++;
    if (c->adds && r->code == 0 && c->all[COPY_VALUE].replica)
        learn(c, r->revision);
}

static void write_something(struct copies *c)
{
    struct world *w = c->actor->world;
    c->adds = sim_chance(w, 50);
    c->deletes = sim_chance(w, 40);
    c->change = (struct number_change){.kind = NUMBER_ADD, .number = 1};
    snprintf(c->other, sizeof c->other, "v/k%d", (int)sim_between(w, 0, OTHERS));
    snprintf(c->text, sizeof c->text, "%lld", (long long)w->now);
    c->began = w->now;
    struct marks *m = c->adds ? c->footing.marks : NULL;
    if (update_start(&c->update, c->actor->client, m, bytes_str(c->adds ? NUMBER_KEY : c->other),
                     w->now + sim_between(w, 200, 3000), compute, on_updated, c, w->now, NULL))
        c->write_at = w->now + 50;
}

/* ---- the part ---- */

static void *copies_start(struct actor *a)
{
    struct copies *c = sim_alloc(sizeof *c);
    *c = (struct copies){.actor = a, .footing.actor = a, .stop_at = TN_MS_NEVER};
    c->write_at = a->world->now + sim_between(a->world, 0, 300);
    c->read_at = a->world->now + sim_between(a->world, 0, 300);
    for (int i = 0; i < COPIES; i++)
        begin_copy(c, i);
    return c;
}

static void copies_tick(void *p)
{
    struct copies *c = p;
    footing_tick(&c->footing);
    for (int i = 0; i < COPIES; i++)
        if (c->all[i].replica && replica_deadline(c->all[i].replica) <= c->actor->world->now)
            replica_tick(c->all[i].replica, c->actor->world->now);
}

static bool is_reading(const struct copies *c)
{
    for (int i = 0; i < WAITS; i++)
        if (c->readings[i].active)
            return true;
    return false;
}

/* Once all is healed each copy is read a last time. */
static void finish_step(struct copies *c)
{
    struct world *w = c->actor->world;
    if (c->stop_at > w->now || is_reading(c) || c->is_stopped)
        return;
    if (!c->is_last) {
        c->is_last = true;
        for (int i = 0; i < COPIES; i++)
            begin_read(c, &c->readings[i], i, (struct replica_need){.asked = true}, w->now + TTL_MAX_MS);
        return;
    }
    for (int i = 0; i < COPIES; i++)
        c->all[i].replica = replica_stop(c->all[i].replica, w->now);
    c->is_stopped = true;
}

static void copies_step(void *p)
{
    struct copies *c = p;
    struct world *w = c->actor->world;
    if (w->finishing) {
        finish_step(c);
        return;
    }
    if (c->read_at <= w->now) {
        c->read_at = w->now + sim_between(w, 1, 300);
        read_something(c);
    }
    if (c->write_at > w->now)
        return;
    c->write_at = w->now + sim_between(w, 1, 200);
    if (!c->update && footing_ready(&c->footing, false))
        write_something(c);
}

static tn_ms copies_next(const void *p)
{
    const struct copies *c = p;
    bool finishing = c->actor->world->finishing;
    tn_ms at = footing_next(&c->footing);
    for (int i = 0; i < COPIES; i++)
        at = c->all[i].replica ? sim_earlier(at, replica_deadline(c->all[i].replica)) : at;
    if (finishing)
        return c->is_stopped || is_reading(c) ? at : sim_earlier(at, c->stop_at);
    return sim_earlier(at, sim_earlier(c->read_at, c->write_at));
}

static void copies_finish(void *p)
{
    struct copies *c = p;
    c->stop_at = c->actor->world->now + CALM_MS;
}

static bool copies_idle(const void *p)
{
    const struct copies *c = p;
    return !c->update && !is_reading(c) && c->is_stopped;
}

static void copies_kill(void *p)
{
    struct copies *c = p;
    tn_ms now = c->actor->world->now;
    if (c->update && c->adds)
        truth_of(c->actor->world)->maybe++;
    update_drop(&c->update, now);
    for (int i = 0; i < COPIES; i++)
        c->all[i].replica = replica_stop(c->all[i].replica, now);
    for (int i = 0; i < WAITS; i++)
        c->readings[i].active = false;
    footing_kill(&c->footing);
}

static void copies_free(void *p)
{
    footing_free(&((struct copies *)p)->footing);
    free(p);
}

static void check_end(struct world *w)
{
    const struct copies_truth *t = truth_of(w);
    const struct row *r = history_at(&w->history, bytes_str(NUMBER_KEY), w->history.revision);
    int64_t n = r ? sim_number(r->value) : 0;
    if (n < t->additions || n > t->additions + t->maybe)
        world_fail(w, "C1: the value is %lld after %lld additions and %lld that may be", (long long)n,
                   (long long)t->additions, (long long)t->maybe);
}

const struct part_ops copies_part = {.name = "copies",
                                     .start = copies_start,
                                     .tick = copies_tick,
                                     .step = copies_step,
                                     .next = copies_next,
                                     .finish = copies_finish,
                                     .idle = copies_idle,
                                     .kill = copies_kill,
                                     .free = copies_free,
                                     .row = copies_row,
                                     .check = check,
                                     .check_end = check_end,
                                     .truth_new = truth_new,
                                     .truth_free = truth_free};
