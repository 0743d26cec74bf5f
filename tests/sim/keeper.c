/* Keys that stand while a client's process lives, and jobs that run once per period: a presence of each conflict rule, a member
 * of a group that all watch, and two jobs (at most once; run again when its runner died), all on one session of the client.
 *
 *   P1  nobody's key is replaced, but where it is taken over by name; at most one stands
 *   P2  who says that its key stands is right, as long as nobody broke into it
 *   P3  what was begun stands, or waits behind one that stands, once all is healed
 *   P4  a copy of the group is what is there
 *   J1  a period is run once (each attempt), and no two runs of a job are under way
 *   J2  no period is lost while somebody lives and nothing fails; what its runner left undone is run again */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "part.h"
#include "recipes/cron.h"
#include "recipes/presence.h"
#include "recipes/view.h"

#define GROUP    "/groups/g/"
#define PERIOD_S 4
#define CALM_MS  16000 /* from the end of all faults until everybody stops */
#define WAVERS   6000  /* answers that are late may cost a session even then */
#define BY_HAND  16
#define SETTLED  8000 /* from then on nothing that failed before is felt any more */

enum { KEEP_REFUSE, KEEP_OVER, KEEP_WAIT, KEEP_MEMBER, KEEPS };
enum { JOB_ONCE, JOB_AGAIN, JOBS };

static const char *const keep_keys[KEEP_MEMBER] = {"/p/refuse", "/p/over", "/p/wait"};
static const char *const job_paths[JOBS] = {"/cron/once", "/cron/again"};

struct keep {
    struct keeper *keeper;
    int kind;
    struct presence *presence;
    int64_t owner;
    bool adrift, stopping, ended;
    tn_rev broken; /* the create_revision that somebody deleted by hand */
    tn_ms stood_at;
    tn_ms next_at, stop_at, attach_at;
};

struct turn {
    struct keeper *keeper;
    int job;
    struct cron *cron;
    bool adrift, running, ended, stopping;
    struct cron_run run;
    tn_ms done_at, attach_at;
};

struct keeper {
    struct actor *actor;
    struct footing footing;
    struct keep keeps[KEEPS];
    struct turn turns[JOBS];
    struct view *view;
    tn_ms stop_at;
    bool is_checked;
};

/* ---- the truth ---- */

struct standing {
    int64_t owner; /* 0 = nobody */
    tn_rev create;
};
struct told_run {
    int job;
    int64_t time, attempt;
};
struct keeper_truth {
    struct standing keys[KEEP_MEMBER];
    struct told_run *runs;
    size_t n_runs;
    int64_t newest[JOBS], newest_attempt[JOBS]; /* claimed */
    bool newest_done[JOBS];
    int64_t before[JOBS],
        before_attempt[JOBS]; /* the period before it, which is the newest again when that one is given back */
    tn_seq by_hand[BY_HAND];  /* the newest deletions by somebody else */
    size_t n_by_hand;
};

static struct keeper_truth *truth_of(struct world *w)
{
    return w->part_truths[PART_KEEPER];
}

static void *truth_new(void)
{
    return sim_alloc(sizeof(struct keeper_truth));
}

static void truth_free(void *truth)
{
    free(((struct keeper_truth *)truth)->runs);
    free(truth);
}

static struct keep *keep_of_owner(struct world *w, int kind, int64_t owner)
{
    for (int i = 0; i < w->n_actors; i++) {
        struct keeper *k = part_state(&w->actors[i], PART_KEEPER);
        if (k && k->keeps[kind].presence && k->keeps[kind].owner == owner)
            return &k->keeps[kind];
    }
    return NULL;
}

static bool is_by_hand(const struct keeper_truth *t, tn_seq seq)
{
    for (size_t i = 0; i < BY_HAND && i < t->n_by_hand; i++)
        if (t->by_hand[i] == seq)
            return true;
    return false;
}

static void presence_row(struct world *w, int kind, const struct record *r)
{
    struct standing *s = &truth_of(w)->keys[kind];
    int64_t owner = r->tombstone ? 0 : sim_number(r->value);
    if (owner && s->owner && owner != s->owner && kind != KEEP_OVER)
        world_fail(w, "P1: %s of %lld was replaced by %lld", keep_keys[kind], (long long)s->owner, (long long)owner);
    struct keep *broken = r->tombstone && is_by_hand(truth_of(w), r->seq) ? keep_of_owner(w, kind, s->owner) : NULL;
    if (broken)
        broken->broken = s->create;
    *s = (struct standing){owner, r->create_revision};
}

static void period_row(struct world *w, int job, const struct record *r)
{
    struct keeper_truth *t = truth_of(w);
    size_t len = strlen(job_paths[job]) + strlen("/at/");
    struct cron_record record;
    int64_t time;
    if (!schedule_named(bytes_of(r->key.data + len, r->key.len - len), &time))
        return;
    if (r->tombstone && time == t->newest[job]) {
        t->newest[job] = t->before[job];
        t->newest_attempt[job] = t->before_attempt[job];
        t->newest_done[job] = false;
    }
    if (r->tombstone)
        return;
    if (!cron_read(r->value, &record)) {
        world_fail(w, "J1: %.*s says nothing", (int)r->key.len, (const char *)r->key.data);
        return;
    }
    if (time < t->newest[job])
        world_fail(w, "J1: %s: a period was claimed behind a later one", job_paths[job]);
    if (!record.done && time == t->newest[job] && record.attempt != t->newest_attempt[job] + 1 && r->version > 1)
        world_fail(w, "J1: %s: attempt %lld follows %lld", job_paths[job], (long long)record.attempt,
                   (long long)t->newest_attempt[job]);
    if (!record.done && job == JOB_ONCE && record.attempt > 1)
        world_fail(w, "J1: %s: a period is run again", job_paths[job]);
    if (time != t->newest[job]) {
        t->before[job] = t->newest[job];
        t->before_attempt[job] = t->newest_attempt[job];
    }
    t->newest[job] = time;
    t->newest_attempt[job] = record.attempt;
    t->newest_done[job] = record.done;
}

static void keeper_row(struct world *w, const struct record *r)
{
    char at[64];
    for (int k = 0; k < KEEP_MEMBER; k++)
        if (bytes_equal(r->key, bytes_str(keep_keys[k])))
            presence_row(w, k, r);
    for (int j = 0; j < JOBS; j++) {
        snprintf(at, sizeof at, "%s/at/", job_paths[j]);
        if (sim_under(r->key, at))
            period_row(w, j, r);
    }
}

/* ---- presences ---- */

static void on_present(void *user, tn_rev create)
{
    struct keep *k = user;
    SIM_TRACE(k->keeper->actor->world, "client %d: presence %d stands as %lld, since %lld", k->keeper->actor->index,
              k->kind, (long long)k->owner, (long long)create);
    k->keeper->actor->world->result.acquisitions++;
}

static void on_absent(void *user, const struct tenure_error *why)
{
    struct keep *k = user;
    SIM_TRACE(k->keeper->actor->world, "client %d: presence %d does not stand: %s", k->keeper->actor->index, k->kind,
              why->text);
    if (presence_stands(k->presence, k->keeper->actor->world->now))
        world_fail(k->keeper->actor->world, "L3: presence %d stands after its end was told", k->kind);
}

static void on_adrift(void *user, const struct tenure_error *why)
{
    struct keep *k = user;
    (void)why;
    k->adrift = true;
    k->attach_at = k->keeper->actor->world->now;
}

static void on_ended(void *user, int code, const struct tenure_error *why)
{
    struct keep *k = user;
    SIM_TRACE(k->keeper->actor->world, "client %d: presence %d has ended: %s", k->keeper->actor->index, k->kind,
              code ? why->text : "left");
    bool expected = code == 0 || (k->kind == KEEP_REFUSE && (code == TENURE_EEXISTS || code == TENURE_ELOST)) ||
                    (k->kind == KEEP_OVER && code == TENURE_ELOST) || k->stopping;
    if (!expected)
        world_fail(k->keeper->actor->world, "P3: presence %d ended: %s", k->kind, why->text);
    k->ended = true;
}

static void begin_keep(struct keep *k)
{
    static const struct presence_callbacks cb = {
        .on_present = on_present, .on_absent = on_absent, .on_adrift = on_adrift, .on_ended = on_ended};
    static const enum presence_conflict rules[KEEPS] = {PRESENCE_REFUSE, PRESENCE_TAKE_OVER, PRESENCE_WAIT,
                                                        PRESENCE_WAIT};
    struct actor *a = k->keeper->actor;
    struct world *w = a->world;
    struct presence_options o = {.conflict = rules[k->kind],
                                 .broken_unguarded = w->config.broken.unguarded_presence,
                                 .broken_unhealed = w->config.broken.unhealed};
    char key[32], value[24];
    k->owner = (int64_t)++w->next_value;
    snprintf(value, sizeof value, "%lld", (long long)k->owner);
    snprintf(key, sizeof key, "%s", k->kind < KEEP_MEMBER ? keep_keys[k->kind] : "");
    if (k->kind == KEEP_MEMBER)
        snprintf(key, sizeof key, GROUP "m%d", a->index);
    if (presence_new(a->client, bytes_str(key), bytes_str(value), &o, &cb, k, &k->presence))
        abort();
    k->ended = k->stopping = false;
    k->adrift = true;
    k->attach_at = w->now;
    k->stop_at = sim_chance(w, 60) ? w->now + sim_between(w, 100, 8000) : TN_MS_NEVER;
}

static void over(struct keep *k)
{
    struct world *w = k->keeper->actor->world;
    k->presence = presence_free(k->presence);
    k->adrift = false;
    k->stop_at = k->attach_at = TN_MS_NEVER;
    k->next_at = w->finishing ? TN_MS_NEVER : w->now + sim_between(w, 50, 2000);
}

static void stop_keep(struct keep *k)
{
    k->stop_at = TN_MS_NEVER;
    k->stopping = true;
    if (presence_stop(k->presence, k->keeper->actor->world->now))
        over(k);
}

static void keep_step(struct keep *k, bool ready)
{
    struct world *w = k->keeper->actor->world;
    if (k->presence && k->ended)
        over(k);
    if (k->presence && !k->stopping && k->stop_at <= w->now)
        stop_keep(k);
    if (!k->presence && !w->finishing && k->next_at <= w->now)
        begin_keep(k);
    if (!k->presence || !k->adrift || k->stopping || k->attach_at > w->now)
        return;
    k->adrift =
        !ready || presence_attach(k->presence, k->keeper->footing.session, k->keeper->footing.marks, w->now) != 0;
    k->attach_at = k->adrift ? w->now + 20 : TN_MS_NEVER;
}

/* ---- jobs ---- */

static void on_run(void *user, const struct cron_run *run)
{
    struct turn *t = user;
    struct world *w = t->keeper->actor->world;
    struct keeper_truth *truth = truth_of(w);
    SIM_TRACE(w, "client %d runs %s of %lld, attempt %lld%s", t->keeper->actor->index, job_paths[t->job],
              (long long)run->time, (long long)run->attempt, run->late ? ", late" : "");
    w->result.acquisitions++;
    if (sim_chance(w, 5)) {
        cron_give_back(t->cron, w->now);
        return;
    }
    for (size_t i = 0; i < truth->n_runs; i++)
        if (truth->runs[i].job == t->job && truth->runs[i].time == run->time && truth->runs[i].attempt == run->attempt)
            world_fail(w, "J1: %s of %lld, attempt %lld, is run twice", job_paths[t->job], (long long)run->time,
                       (long long)run->attempt);
    truth->runs = sim_grow(truth->runs, (truth->n_runs + 1) * sizeof *truth->runs);
    truth->runs[truth->n_runs++] = (struct told_run){t->job, run->time, run->attempt};
    t->running = true;
    t->run = *run;
    t->done_at = w->now + sim_between(w, 0, 1000);
}

static void on_run_lost(void *user, const struct cron_run *run, const struct tenure_error *why)
{
    struct turn *t = user;
    (void)run, (void)why;
    if (cron_running(t->cron, t->keeper->actor->world->now))
        world_fail(t->keeper->actor->world, "L3: %s runs after its loss was told", job_paths[t->job]);
    t->running = false;
    t->done_at = TN_MS_NEVER;
}

static void on_cron_adrift(void *user, const struct tenure_error *why)
{
    struct turn *t = user;
    (void)why;
    t->adrift = true;
    t->attach_at = t->keeper->actor->world->now;
}

static void on_cron_end(void *user, int code, const struct tenure_error *why)
{
    struct turn *t = user;
    if (code)
        world_fail(t->keeper->actor->world, "J2: %s ended: %s", job_paths[t->job], why->text);
    t->ended = true;
}

static void begin_job(struct turn *t)
{
    static const struct cron_callbacks cb = {
        .on_run = on_run, .on_lost = on_run_lost, .on_adrift = on_cron_adrift, .on_end = on_cron_end};
    struct actor *a = t->keeper->actor;
    struct cron_options o = {.schedule.every_s = PERIOD_S,
                             .late_ms = 60000,
                             .run_missed = true,
                             .again = t->job == JOB_AGAIN,
                             .history = 3,
                             .broken_unguarded = a->world->config.broken.unguarded_claim,
                             .broken_lost_claim = a->world->config.broken.lost_claim};
    if (cron_start(a->client, bytes_str(job_paths[t->job]), &o, &cb, t, a->world->now, sim_wall(a), &t->cron, NULL))
        abort();
    t->adrift = true;
    t->attach_at = a->world->now;
}

static void turn_step(struct turn *t, bool ready)
{
    struct world *w = t->keeper->actor->world;
    if (t->running && t->done_at <= w->now) {
        t->running = false;
        t->done_at = TN_MS_NEVER;
        if (cron_done(t->cron, bytes_of(NULL, 0), w->now))
            abort();
    }
    if (!t->cron || !t->adrift || t->stopping || t->attach_at > w->now)
        return;
    t->adrift = !ready || cron_attach(t->cron, t->keeper->footing.session, t->keeper->footing.marks, w->now) != 0;
    t->attach_at = t->adrift ? w->now + 20 : TN_MS_NEVER;
}

static void stop_job(struct turn *t)
{
    if (t->cron && !t->stopping)
        t->ended = cron_stop(t->cron, t->keeper->actor->world->now);
    t->stopping = true;
}

/* ---- the group ---- */

static void on_change(void *user, tn_rev revision, const struct view_change *changes, size_t n)
{
    (void)user, (void)revision, (void)changes, (void)n;
}

static void on_view_end(void *user, int code, const struct tenure_error *error)
{
    struct keeper *k = user;
    if (code != TENURE_ECLOSED)
        world_fail(k->actor->world, "P4: a view ended: %s", error->text);
    k->view = view_stop(k->view, k->actor->world->now);
}

static void begin_view(struct keeper *k)
{
    static const struct view_callbacks cb = {.on_change = on_change, .on_end = on_view_end};
    static const char end[] = "/groups/g0";
    if (view_start(k->actor->client, (struct key_range){bytes_str(GROUP), bytes_str(end)}, &cb, k, k->actor->world->now,
                   &k->view, NULL))
        abort();
}

static void check_view(struct keeper *k)
{
    struct world *w = k->actor->world;
    tn_rev revision = view_revision(k->view);
    size_t live = 0;
    for (size_t i = 0; i < w->history.n; i++) {
        const struct row *r = &w->history.rows[i];
        if (r->main > revision || r->tombstone || !sim_under(r->key, GROUP) ||
            history_at(&w->history, r->key, revision) != r)
            continue;
        const struct kv *kv = view_find(k->view, r->key);
        if (!kv || kv->mod_revision != r->main || !bytes_equal(kv->value, r->value))
            world_fail(w, "P4: client %d has another %s in its copy", k->actor->index, (const char *)r->key.data);
        live++;
    }
    if (view_count(k->view) != live)
        world_fail(w, "P4: client %d has %zu members in its copy, where %zu are", k->actor->index, view_count(k->view),
                   live);
}

/* Stands, or waits behind one that does. */
static void note_standing(struct keep *k)
{
    struct world *w = k->keeper->actor->world;
    int64_t owner = k->kind == KEEP_WAIT ? truth_of(w)->keys[KEEP_WAIT].owner : 0;
    if (!k->presence)
        return;
    bool behind = presence_state(k->presence) == PRESENCE_BLOCKED && owner && keep_of_owner(w, k->kind, owner);
    if (behind || presence_stands(k->presence, w->now))
        k->stood_at = w->now;
}

/* ---- when all has been calm for a while ---- */

static void check_settled(struct keeper *k)
{
    struct world *w = k->actor->world;
    for (int i = 0; i < KEEPS; i++) {
        const struct keep *p = &k->keeps[i];
        const struct standing *s = i < KEEP_MEMBER ? &truth_of(w)->keys[i] : NULL;
        if (!p->presence || p->ended || p->stopping)
            continue;
        bool stands = presence_stands(p->presence, w->now);
        if (p->stood_at < w->now - WAVERS)
            world_fail(w, "P3: presence %d of client %d does not stand (state %d)", i, k->actor->index,
                       (int)presence_state(p->presence));
        if (stands && s && s->owner != p->owner)
            world_fail(w, "P3: presence %d of client %d does not stand, and has not heard of it", i, k->actor->index);
    }
    check_view(k);
}

static bool lives(const struct world *w, int job, const char *dir, int64_t time)
{
    char key[64], name[SCHEDULE_TIME_LEN + 1];
    schedule_name(time, name);
    snprintf(key, sizeof key, "%s/%s/%s", job_paths[job], dir, name);
    const struct row *r = history_at(&w->history, bytes_str(key), w->history.revision);
    return r && !r->tombstone;
}

/* Answers that are late may cost a session even when nothing fails. Who had claimed a period by it does not run it, nor does
 * anybody else when it is to be run at most once; else somebody will, soon. */
static bool has_lost_it(const struct world *w, int job, int64_t time, int64_t to)
{
    bool is_abandoned = lives(w, job, "at", time) && !lives(w, job, "run", time);
    return is_abandoned && (job == JOB_ONCE || time + PERIOD_S > to);
}

/* J2. Clocks are off by less than a second, and a run takes no longer than one. */
static void check_periods(struct world *w)
{
    struct keeper_truth *t = truth_of(w);
    int64_t from = (sim_wall(&w->actors[0]) - (CALM_MS - SETTLED)) / 1000, to = sim_wall(&w->actors[0]) / 1000 - 3;
    for (int j = 0; j < JOBS; j++) {
        for (int64_t time = from / PERIOD_S * PERIOD_S + PERIOD_S; time <= to; time += PERIOD_S) {
            bool ran = false;
            for (size_t i = 0; i < t->n_runs; i++)
                ran |= t->runs[i].job == j && t->runs[i].time == time;
            if (!ran && !has_lost_it(w, j, time, to))
                world_fail(w, "J2: %s of %lld was run by nobody", job_paths[j], (long long)time);
        }
    }
    bool running = false;
    for (int i = 0; i < w->n_actors; i++) {
        const struct keeper *k = part_state(&w->actors[i], PART_KEEPER);
        running |= cron_awaits_done(k->turns[JOB_AGAIN].cron) || k->turns[JOB_AGAIN].running;
    }
    if (!t->newest_done[JOB_AGAIN] && !running && t->newest[JOB_AGAIN] < to)
        world_fail(w, "J2: %s of %lld was not done, and nobody runs it again", job_paths[JOB_AGAIN],
                   (long long)t->newest[JOB_AGAIN]);
}

static void stop_all(struct keeper *k)
{
    k->stop_at = TN_MS_NEVER;
    check_settled(k);
    if (k->actor->index == 0)
        check_periods(k->actor->world);
    k->is_checked = true;
}

/* Once all have looked. */
static void stop_behind(struct keeper *k)
{
    struct world *w = k->actor->world;
    for (int i = 0; i < w->n_actors; i++)
        if (!((const struct keeper *)part_state(&w->actors[i], PART_KEEPER))->is_checked)
            return;
    for (int i = 0; i < KEEPS; i++)
        if (k->keeps[i].presence && !k->keeps[i].stopping)
            stop_keep(&k->keeps[i]);
    for (int i = 0; i < JOBS; i++)
        stop_job(&k->turns[i]);
    k->view = view_stop(k->view, w->now);
}

/* ---- at each instant ---- */

static void check(struct world *w)
{
    int holder[KEEP_MEMBER] = {-1, -1, -1}, runner[JOBS] = {-1, -1};
    for (int i = 0; i < w->n_actors; i++) {
        const struct keeper *k = part_state(&w->actors[i], PART_KEEPER);
        for (int n = 0; n < KEEP_MEMBER; n++) {
            const struct keep *p = &k->keeps[n];
            if (n == KEEP_OVER || !p->presence || !presence_stands(p->presence, w->now) ||
                presence_create(p->presence) == p->broken)
                continue;
            if (holder[n] >= 0)
                world_fail(w, "P1: %s stands for clients %d and %d", keep_keys[n], holder[n], i);
            if (truth_of(w)->keys[n].owner != p->owner)
                world_fail(w, "P2: %s does not stand for client %d", keep_keys[n], i);
            holder[n] = i;
        }
        for (int n = 0; n < JOBS; n++) {
            const struct turn *t = &k->turns[n];
            if (!t->cron || !t->running || !cron_running(t->cron, w->now))
                continue;
            if (runner[n] >= 0)
                world_fail(w, "J1: %s is run by clients %d and %d", job_paths[n], runner[n], i);
            runner[n] = i;
        }
    }
}

/* Somebody deletes one of the keys with etcdctl: it heals. */
static void break_in(struct world *w)
{
    int kind = (int)rng_below(&w->rng, KEEP_MEMBER);
    const struct standing *s = &truth_of(w)->keys[kind];
    struct delete_resp resp;
    struct arena arena;
    tn_seq seq;
    if (!w->server.up || !s->owner)
        return;
    arena_init(&arena, 0);
    struct delete_req req = {.range.key = bytes_str(keep_keys[kind])};
    if (store_delete(w->server.store, &req, &arena, &resp, &seq) == ETCD_OK && resp.deleted)
        truth_of(w)->by_hand[truth_of(w)->n_by_hand++ % BY_HAND] = seq;
    arena_fini(&arena);
    SIM_TRACE(w, "somebody deletes %s", keep_keys[kind]);
}

/* ---- the part ---- */

static void *keeper_start(struct actor *a)
{
    struct world *w = a->world;
    struct keeper *k = sim_alloc(sizeof *k);
    *k = (struct keeper){.actor = a, .footing.actor = a, .stop_at = TN_MS_NEVER};
    for (int i = 0; i < KEEPS; i++) {
        k->keeps[i] = (struct keep){.keeper = k, .kind = i, .stop_at = TN_MS_NEVER, .attach_at = TN_MS_NEVER};
        k->keeps[i].next_at = w->now + sim_between(w, 0, 2000);
    }
    begin_view(k);
    for (int i = 0; i < JOBS; i++) {
        k->turns[i] = (struct turn){.keeper = k, .job = i, .done_at = TN_MS_NEVER};
        begin_job(&k->turns[i]);
    }
    return k;
}

static void keeper_tick(void *p)
{
    struct keeper *k = p;
    struct world *w = k->actor->world;
    footing_tick(&k->footing);
    if (k->view && view_deadline(k->view) <= w->now)
        view_tick(k->view, w->now);
    for (int i = 0; i < JOBS; i++)
        if (k->turns[i].cron)
            cron_tick(k->turns[i].cron, w->now, sim_wall(k->actor));
}

static bool is_in_use(const struct keeper *k)
{
    for (int i = 0; i < KEEPS; i++)
        if (k->keeps[i].presence && !k->keeps[i].adrift)
            return true;
    for (int i = 0; i < JOBS; i++)
        if (k->turns[i].cron && !k->turns[i].adrift)
            return true;
    return false;
}

static void keeper_step(void *p)
{
    struct keeper *k = p;
    struct world *w = k->actor->world;
    bool stopped = w->finishing && k->is_checked;
    bool ready = !stopped && footing_ready(&k->footing, is_in_use(k));
    for (int i = 0; i < KEEPS; i++) {
        keep_step(&k->keeps[i], ready);
        note_standing(&k->keeps[i]);
    }
    for (int i = 0; i < JOBS; i++)
        turn_step(&k->turns[i], ready);
    if (!w->finishing && sim_chance(w, 1) && k->actor->index == 0)
        break_in(w);
    if (w->finishing && k->stop_at <= w->now)
        stop_all(k);
    if (stopped)
        stop_behind(k);
}

static tn_ms keeper_next(const void *p)
{
    const struct keeper *k = p;
    const struct world *w = k->actor->world;
    tn_ms at = sim_earlier(footing_next(&k->footing), w->finishing ? k->stop_at : TN_MS_NEVER);
    at = k->view ? sim_earlier(at, view_deadline(k->view)) : at;
    for (int i = 0; i < KEEPS; i++) {
        const struct keep *e = &k->keeps[i];
        tn_ms own = e->presence ? sim_earlier(e->ended ? w->now : e->stop_at, e->adrift ? e->attach_at : TN_MS_NEVER)
                                : e->next_at;
        at = w->finishing && !e->presence ? at : sim_earlier(at, own);
    }
    for (int i = 0; i < JOBS; i++) {
        const struct turn *t = &k->turns[i];
        at = sim_earlier(at, t->done_at);
        at = t->cron && !t->ended ? sim_earlier(at, cron_deadline(t->cron)) : at;
        at = t->adrift && !t->stopping ? sim_earlier(at, t->attach_at) : at;
    }
    if (w->finishing && k->is_checked && k->view)
        at = sim_earlier(at, w->now + 1);
    return at;
}

static void keeper_finish(void *p)
{
    struct keeper *k = p;
    k->stop_at = k->actor->world->now + CALM_MS;
    for (int i = 0; i < KEEPS; i++)
        k->keeps[i].stop_at = TN_MS_NEVER;
}

static bool keeper_idle(const void *p)
{
    const struct keeper *k = p;
    for (int i = 0; i < KEEPS; i++)
        if (k->keeps[i].presence)
            return false;
    return k->turns[0].ended && k->turns[1].ended;
}

static void keeper_kill(void *p)
{
    struct keeper *k = p;
    for (int i = 0; i < KEEPS; i++)
        k->keeps[i].presence = presence_free(k->keeps[i].presence);
    for (int i = 0; i < JOBS; i++)
        k->turns[i].cron = cron_free(k->turns[i].cron);
    k->view = view_stop(k->view, k->actor->world->now);
    footing_kill(&k->footing);
}

static void keeper_free(void *p)
{
    footing_free(&((struct keeper *)p)->footing);
    free(p);
}

static void check_end(struct world *w)
{
    if (history_live(&w->history, "/p/") || history_live(&w->history, GROUP))
        world_fail(w, "M7: keys of presences are left that nobody keeps");
    for (int j = 0; j < JOBS; j++) {
        char runs[32];
        snprintf(runs, sizeof runs, "%s/run/", job_paths[j]);
        if (history_live(&w->history, runs))
            world_fail(w, "M7: a run of %s is left that nobody is at", job_paths[j]);
    }
}

const struct part_ops keeper_part = {.name = "keeper",
                                     .start = keeper_start,
                                     .tick = keeper_tick,
                                     .step = keeper_step,
                                     .next = keeper_next,
                                     .finish = keeper_finish,
                                     .idle = keeper_idle,
                                     .kill = keeper_kill,
                                     .free = keeper_free,
                                     .row = keeper_row,
                                     .check = check,
                                     .check_end = check_end,
                                     .truth_new = truth_new,
                                     .truth_free = truth_free};
