/* Runs the world from event to event, breaks things, and checks after each step what must hold at every instant (M1, L1). */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

void *sim_alloc(size_t size)
{
    void *p = calloc(1, size ? size : 1);
    if (!p)
        abort();
    return p;
}

void *sim_grow(void *p, size_t size)
{
    p = realloc(p, size);
    if (!p)
        abort();
    return p;
}

bytes sim_copy(bytes s)
{
    uint8_t *p = sim_alloc(s.len + 1);
    if (s.len)
        memcpy(p, s.data, s.len);
    return bytes_of(p, s.len);
}

const char *sim_text(bytes s)
{
    static char text[256];
    snprintf(text, sizeof text, "%.*s", (int)s.len, s.len ? (const char *)s.data : "");
    return text;
}

bool sim_chance(struct world *w, unsigned percent)
{
    return rng_below(&w->rng, 100) < percent;
}

tn_ms sim_between(struct world *w, tn_ms low, tn_ms high)
{
    return low + (tn_ms)rng_below(&w->rng, (uint64_t)(high - low + 1));
}

void world_trace(struct world *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("[%6lld] ", (long long)w->now);
    vprintf(fmt, ap);
    putchar('\n');
    va_end(ap);
}

void world_fail(struct world *w, const char *fmt, ...)
{
    va_list ap;
    if (w->result.failed)
        return;
    w->result.failed = true;
    int n = snprintf(w->result.text, sizeof w->result.text, "at %lld ms: ", (long long)w->now);
    va_start(ap, fmt);
    vsnprintf(w->result.text + n, sizeof w->result.text - (size_t)n, fmt, ap);
    va_end(ap);
    SIM_TRACE(w, "FAILED %s", w->result.text);
}

/* ---- what must hold at every instant ---- */

static void check_exclusion(struct world *w)
{
    int holder = -1, leader = -1;
    for (int i = 0; i < w->n_actors; i++) {
        if (actor_holds_lock(&w->actors[i])) {
            if (holder >= 0)
                world_fail(w, "M1: clients %d and %d hold the lock", holder, i);
            holder = i;
        }
        if (actor_leads(&w->actors[i])) {
            if (leader >= 0)
                world_fail(w, "M1: clients %d and %d lead", leader, i);
            leader = i;
        }
    }
    check_shares(w);
    if (w->config.locks)
        check_locks(w);
}

/* L1: no lease outlives its deadline by more than a second while the server runs freely and the disk has room. */
static void check_expiry(struct world *w)
{
    const struct server *s = &w->server;
    tn_ms quiet_since = s->up_since > s->stalled_at ? s->up_since : s->stalled_at;
    if (!s->up || w->disk.full_until > w->now - 3000 || quiet_since + 12000 > w->now)
        return;
    size_t cursor = 0;
    tn_lease id;
    tn_ms deadline;
    while ((id = store_lease_next(s->store, &cursor)) != 0)
        if (disk_lease_load(&w->disk, id, &deadline) && deadline + 1500 < w->now)
            world_fail(w, "L1: lease %llx is %lld ms over its deadline", (unsigned long long)id,
                       (long long)(w->now - deadline));
}

/* ---- faults ---- */

static void pause_actor(struct world *w, struct actor *a)
{
    a->paused_until = w->now + sim_between(w, 100, 6000);
    SIM_TRACE(w, "client %d is stopped until %lld", a->index, (long long)a->paused_until);
}

/* Half of the cuts end in one direction before they end in the other. */
static void cut_somebody(struct world *w)
{
    int client = (int)rng_below(&w->rng, (uint64_t)w->n_actors);
    tn_ms up = w->now + sim_between(w, 100, 6000), down = sim_chance(w, 50) ? up : w->now + sim_between(w, 0, 3000);
    bool both = sim_chance(w, 60);
    size_t endpoint = rng_below(&w->rng, ENDPOINTS);
    SIM_TRACE(w, "client %d is cut from %s until %lld, and back until %lld", client,
              both ? "the server" : "one endpoint", (long long)up, (long long)down);
    for (size_t e = 0; e < ENDPOINTS; e++)
        if (both || e == endpoint)
            net_cut(w, client, e, up, down);
}

/* Somebody with etcdctl deletes a key of the queue: its owner must notice, whatever it was doing. */
static void on_compacted(void *user, const struct client_result *r)
{
    (void)user, (void)r;
}

/* Up to a recent revision, so that whoever was cut off for a while has missed what is gone. */
static void compact(struct world *w, struct actor *a)
{
    struct compact_req req = {.revision = w->history.revision - sim_between(w, 0, 20)};
    struct tenure_error err;
    SIM_TRACE(w, "client %d compacts up to %lld", a->index, (long long)req.revision);
    if (req.revision > 0 && !client_compact(a->client, &req, NULL, on_compacted, NULL, w->now, &err))
        SIM_TRACE(w, "not compacted: %s", err.text);
}

static void delete_queue_key(struct world *w)
{
    struct actor *a = &w->actors[rng_below(&w->rng, (uint64_t)w->n_actors)];
    bytes key = a->lock ? lock_key(a->lock) : bytes_of(NULL, 0);
    int place = w->config.share && sim_chance(w, 60) ? (int)rng_below(&w->rng, PLACES) : -1;
    bool *broken_into = place < 0 ? &a->broken_into : &a->places[place].broken_into;
    if (place >= 0)
        key = share_key(a, place);
    if (w->config.locks && sim_chance(w, 60))
        key = locks_key(a, &broken_into);
    struct arena arena;
    struct delete_resp resp;
    tn_seq seq;
    if (!w->server.up || !key.len)
        return;
    arena_init(&arena, 0);
    struct delete_req req = {.range.key = key};
    if (store_delete(w->server.store, &req, &arena, &resp, &seq) == ETCD_OK) {
        *broken_into = true;
        const struct row *r = history_at(&w->history, key, w->history.revision);
        if (r && bytes_has_prefix(key, bytes_str(GATE_KEYS)))
            w->by_hand[a->index] = r->create_revision;
        SIM_TRACE(w, "somebody deletes a lock key of client %d", a->index);
    }
    arena_fini(&arena);
}

static void inject_fault(struct world *w)
{
    struct actor *a = &w->actors[rng_below(&w->rng, (uint64_t)w->n_actors)];
    switch (rng_below(&w->rng, w->config.locks ? 12 : 10)) {
    case 0:
    case 1:
        cut_somebody(w);
        break;
    case 2:
        net_reset(w, sim_chance(w, 30) ? -1 : a->index);
        break;
    case 3:
        pause_actor(w, a);
        break;
    case 4:
        if (w->server.up)
            server_crash(w, sim_between(w, 1, 3000));
        break;
    case 5:
        if (w->server.up && sim_chance(w, 50)) {
            w->server.paused_until = w->now + sim_between(w, 50, 4000);
            w->server.stalled_at = w->server.paused_until;
            SIM_TRACE(w, "the server is stopped until %lld", (long long)w->server.paused_until);
        }
        break;
    case 6:
        actor_kill(a);
        actor_start(a);
        break;
    case 7:
        if (sim_chance(w, 40))
            w->disk.full_until = w->now + sim_between(w, 10, 2000);
        break;
    case 8:
        delete_queue_key(w);
        break;
    case 9:
        compact(w, a);
        break;
    case 11: /* whoever has something to resume */
        a = locks_holder(w);
        if (a) {
            actor_kill(a);
            actor_start(a);
        }
        break;
    case 10:
        if (w->server.up && !w->refuse_until) {
            w->refuse_until = w->now + sim_between(w, 100, 5000);
            server_refuse(w, true);
        }
        break;
    }
    w->fault_at = w->now + sim_between(w, 50, 2500);
}

/* ---- steps ---- */

static tn_ms next_event(struct world *w)
{
    tn_ms at = net_next(w), t = server_next(w);
    at = t < at ? t : at;
    for (int i = 0; i < w->n_actors; i++)
        if ((t = actor_next(&w->actors[i])) < at)
            at = t;
    if (!w->finishing && w->fault_at < at)
        at = w->fault_at;
    if (w->refuse_until && w->refuse_until < at)
        at = w->refuse_until > w->now ? w->refuse_until : at;
    t = locks_world_next(w);
    return t < at ? t : at;
}

/* Sessions first: a process that was stopped learns of its loss before it reads what lies in its sockets. */
static void tick_sessions(struct world *w)
{
    for (int i = 0; i < w->n_actors; i++) {
        struct actor *a = &w->actors[i];
        if (a->paused_until > w->now)
            continue;
        if (a->session && session_deadline(a->session) <= w->now)
            session_tick(a->session, w->now);
        if (a->values)
            values_tick(a);
        if (a->share_session && session_deadline(a->share_session) <= w->now)
            session_tick(a->share_session, w->now);
        if (a->election && election_deadline(a->election) <= w->now)
            election_tick(a->election, w->now);
        if (a->jobs)
            jobs_tick(a);
        parts_tick(a);
        if (a->locks)
            locks_tick(a);
    }
}

/* Until its time is over, and then as soon as the server is up and its disk takes it. */
static void refuse(struct world *w)
{
    w->refused_at = w->refuse_until ? w->now : w->refused_at;
    if (!w->refuse_until || w->refuse_until > w->now || !w->server.up)
        return;
    w->refuse_until = server_refuse(w, false) ? 0 : w->now + 100;
}

static void step(struct world *w, tn_ms until)
{
    tn_ms at = next_event(w);
    w->now = at < until ? (at > w->now ? at : w->now) : until;
    w->result.events++;
    if (w->server.up && w->server.paused_until <= w->now)
        core_turn(w->server.core, w->now);
    tick_sessions(w);
    net_deliver(w);
    server_turn(w);
    for (int i = 0; i < w->n_actors; i++)
        actor_turn(&w->actors[i]);
    check_exclusion(w);
    parts_check(w);
    check_expiry(w);
    refuse(w);
    if (!w->finishing && w->fault_at <= w->now)
        inject_fault(w);
}

static void run_until(struct world *w, tn_ms until)
{
    uint64_t steps_at_one_time = 0;
    tn_ms last = -1;
    while (w->now < until && !w->result.failed) {
        step(w, until);
        steps_at_one_time = w->now == last ? steps_at_one_time + 1 : 0;
        last = w->now;
        if (steps_at_one_time > 10000)
            world_fail(w, "C4: time stands still");
    }
}

/* ---- the end: all is healed, everybody stops, and what was promised must have come ---- */

static void check_refused(struct world *w)
{
    for (struct op *op = w->refused; op; op = op->next) {
        size_t times;
        if (op->kind != 3 && history_has_value(&w->history, bytes_str(op->value), &times))
            world_fail(w, "C2: %s=%s was reported as not applied, and is there", op->key, op->value);
    }
}

static void check_once(struct world *w)
{
    size_t times;
    for (size_t i = 0; i < w->history.n && !w->result.failed; i++) {
        const struct row *r = &w->history.rows[i];
        if (!r->tombstone && r->key.data[0] == 'k' && history_has_value(&w->history, r->value, &times) && times > 1)
            world_fail(w, "C1: %.*s was applied %zu times", (int)r->value.len, r->value.data, times);
    }
}

static void finish(struct world *w)
{
    w->finishing = true;
    w->server.paused_until = 0;
    w->disk.full_until = 0;
    w->refuse_until = w->refuse_until ? w->now : 0;
    memset(w->cut_until, 0, sizeof w->cut_until);
    SIM_TRACE(w, "all is healed");
    for (int i = 0; i < w->n_actors; i++)
        actor_finish(&w->actors[i]);
    run_until(w, w->now + 25000);
    for (int i = 0; i < w->n_actors && !w->result.failed; i++) {
        if (!actor_idle(&w->actors[i]))
            world_fail(w, "C3: client %d has not ended what it began%s%s", i, w->actors[i].lock ? " (lock)" : "",
                       w->actors[i].election ? " (election)" : "");
        else
            actor_check_watch_end(&w->actors[i]), actor_check_follow(&w->actors[i]);
    }
    if (!w->result.failed && (history_live(&w->history, LOCK_KEYS) || history_live(&w->history, ELECTION_KEYS)))
        world_fail(w, "M7: keys are left in a queue that nobody stands in");
    if (!w->result.failed && w->config.locks)
        check_locks_end(w);
    if (!w->result.failed && (history_live(&w->history, SHARE_RW_KEYS) || history_live(&w->history, SHARE_SEM_KEYS)))
        world_fail(w, "M7: keys are left in a shared queue that nobody stands in");
    if (!w->result.failed)
        check_herd(w);
    if (!w->result.failed && w->config.jobs)
        check_jobs(w);
    parts_check_end(w);
    if (!w->result.failed) {
        check_refused(w);
        check_once(w);
        if (w->config.values)
            values_check(w);
    }
}

static void tear_down(struct world *w)
{
    w->now += 1;
    for (int i = 0; i < w->n_actors; i++)
        actor_kill(&w->actors[i]);
    if (w->server.up)
        server_crash(w, 0);
    net_free(w);
    disk_free(&w->disk);
    history_free(&w->history);
    jobs_truth_free(w);
    parts_end(w);
    locks_truth_free(w);
    while (w->refused) {
        struct op *op = w->refused;
        w->refused = op->next;
        free(op);
    }
}

void sim_run(const struct sim_config *config, struct sim_result *ret)
{
    struct world *w = sim_alloc(sizeof *w);
    w->config = *config;
    rng_init(&w->rng, config->seed);
    list_init(&w->links);
    w->history.revision = 1; /* where an empty store stands */
    w->now = 1000;
    w->fault_at = config->calm ? TN_MS_NEVER : w->now + 1000;
    parts_begin(w);
    server_start(w);
    w->n_actors = 2 + (int)rng_below(&w->rng, CLIENTS_MAX - 1);
    for (int i = 0; i < w->n_actors; i++) {
        w->actors[i] = (struct actor){.world = w, .index = i};
        actor_start(&w->actors[i]);
    }
    run_until(w, w->now + (config->length_ms ? config->length_ms : 30000));
    if (!w->result.failed)
        finish(w);
    w->result.revisions = (uint64_t)w->history.revision;
    bool failed = w->result.failed;
    tear_down(w);
    w->result.failed = failed;
    *ret = w->result;
    free(w);
}
