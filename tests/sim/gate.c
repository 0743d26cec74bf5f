/* A program whose main part beats a heartbeat, hangs now and then, and takes a lock with a delay, some levels deep. When its
 * process is killed the next one resumes what it held, with proof that it is gone: the words at the key name the process. Others
 * try that as well, also while it lives.
 *
 * Invariants: M1, M2, M5 to M7, L2, L3, L7 here; M3, M4, M11 in guarded.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "locks.h"

enum { BEAT_MS = 150 };

static struct world *world_of(const struct gate *k)
{
    return k->actor->world;
}

static struct notes *notes_of(const struct gate *k)
{
    return &locks_truth(world_of(k))->notes[k->actor->index];
}

bool gate_holds(const struct gate *k)
{
    return k->lock && !k->acquiring && !k->done && !k->broken_into && lock_held(k->lock, world_of(k)->now);
}

/* ---- what it is told ---- */

static void check_had(struct gate *k, tn_rev token)
{
    struct world *w = world_of(k);
    SIM_TRACE(w, "client %d has the lock with a delay, token %lld%s", k->actor->index, (long long)token,
              k->resumed ? ", resumed" : "");
    w->result.acquisitions++;
    w->result.resumed += k->resumed && token == k->resume_token;
    if (k->broken_into)
        return;
    if (!history_was_owner(&w->history, 2, token))
        world_fail(w, "M6: client %d was given the lock with a delay with token %lld, which never was first",
                   k->actor->index, (long long)token);
    if (k->resumed ? token < w->last_token[2] : token <= w->last_token[2])
        world_fail(w, "M2: token %lld of the lock with a delay after %lld", (long long)token,
                   (long long)w->last_token[2]);
    w->last_token[2] = token;
    guarded_had(w, token);
}

static void on_acquired(void *user, int code, int64_t token, const struct tenure_error *error)
{
    struct gate *k = user;
    struct world *w = world_of(k);
    (void)error;
    k->acquiring = false;
    k->cancel_at = TN_MS_NEVER;
    if (code != 0) {
        SIM_TRACE(w, "client %d gave the lock with a delay up: %s", k->actor->index, tenure_error_string(code));
        k->done = true;
        return;
    }
    k->token = token;
    k->resumed = k->resumed && token == k->resume_token;
    if (lock_held(k->lock, w->now))
        check_had(k, token);
    if (locks_truth(w)->taken_over == token)
        locks_truth(w)->taken_over = 0;
    if (!k->resumed && lock_held(k->lock, w->now) && sim_chance(w, 40))
        guard_begin(k);
    else /* who has a command of his own that may outlive him leaves nothing to resume */
        *notes_of(k) = (struct notes){.kept = true, .lease = session_lease(k->session), .token = token};
    levels_begin(&k->levels);
    k->depth = 1;
    k->writing = false;
    k->release_at = w->now + sim_between(w, 1, 1500);
    k->use_at = w->now + sim_between(w, 0, 200);
    k->enter_at = sim_chance(w, 40) ? w->now + sim_between(w, 1, 500) : TN_MS_NEVER;
}

static void on_lost(void *user, const struct tenure_error *why)
{
    struct gate *k = user;
    SIM_TRACE(world_of(k), "client %d lost the lock with a delay: %s", k->actor->index, why->text);
    if (lock_held(k->lock, world_of(k)->now))
        world_fail(world_of(k), "L3: held after the loss was told");
    notes_of(k)->kept = false;
    guard_lost(k);
    k->done = true;
}

static void on_released(void *user, int code)
{
    struct gate *k = user;
    (void)code;
    k->done = true;
}

/* ---- the session ---- */

/* What the loss is put down to is so. */
static void check_refusal(struct world *w, const struct tenure_error *why)
{
    if (!strstr(why->text, "refused"))
        return;
    w->result.refused++;
    if (!w->refused_at)
        world_fail(w, "L3: a session was lost because of a refusal, and nobody refuses: %s", why->text);
}

static void on_session_lost(void *user, const struct tenure_error *why)
{
    struct gate *k = user;
    SIM_TRACE(world_of(k), "client %d lost the session of its gate: %s", k->actor->index, why->text);
    world_of(k)->result.gated += session_gated(k->session) || strstr(why->text, "no sign of life") != NULL;
    check_refusal(world_of(k), why);
    k->ended = true;
}

/* Whoever opens it lives, and the gate counts from there. */
static void on_session_alive(void *user, tn_lease lease)
{
    struct gate *k = user;
    (void)lease;
    k->lived_at = world_of(k)->now;
}

static void on_session_closed(void *user, int code)
{
    struct gate *k = user;
    (void)code;
    k->ended = true;
}

static void open_session(struct gate *k, tn_lease resume)
{
    static const struct session_callbacks cb = {
        .on_alive = on_session_alive, .on_lost = on_session_lost, .on_closed = on_session_closed};
    struct world *w = world_of(k);
    struct tenure_error err = {0};
    k->gated = sim_chance(w, 80);
    struct session_options o = {.ttl_s = GATE_TTL_S,
                                .resume = resume,
                                .heartbeat_ms = k->gated ? HEARTBEAT_MS : 0,
                                .broken_gate = w->config.broken.open_gate};
    k->ended = false;
    if (session_open(k->actor->client, &o, &cb, k, w->now, &k->session, &err) != 0)
        world_fail(w, "a session could not open: %s", err.text);
}

/* ---- taking it ---- */

static void begin(struct gate *k, tn_rev resume)
{
    static const struct lock_callbacks cb = {
        .on_acquired = on_acquired, .on_lost = on_lost, .on_released = on_released};
    struct world *w = world_of(k);
    struct tenure_error err = {0};
    if (!resume)
        snprintf(k->words, sizeof k->words, "%d.%u.%llu", k->actor->index, k->actor->incarnation,
                 (unsigned long long)rng_u64(&w->rng));
    struct lock_options o = {.value = bytes_str(k->words),
                             .wait_ms = sim_chance(w, 30) ? sim_between(w, 50, 6000) : 0,
                             .try_only = !resume && sim_chance(w, 10),
                             .delay_ms = sim_chance(w, 50) ? 1000 : 2500,
                             .resume = resume,
                             .broken_skip_verify = w->config.broken.skip_verify,
                             .broken_delay = w->config.broken.skip_delay};
    if (!k->session)
        open_session(k, 0);
    if (!k->session || k->ended)
        return;
    k->resumed = resume != 0;
    if (lock_new(k->session, GATE_NAME, &o, &cb, k, &k->lock, &err) != 0 || lock_acquire(k->lock, w->now, &err) != 0) {
        k->lock = lock_free(k->lock);
        return;
    }
    SIM_TRACE(w, "client %d asks for the lock with a delay%s", k->actor->index, resume ? ", to resume" : "");
    k->acquiring = true;
    k->done = k->broken_into = false;
    k->release_at = k->enter_at = k->use_at = TN_MS_NEVER;
    k->cancel_at = sim_chance(w, 30) ? w->now + sim_between(w, 1, 3000) : TN_MS_NEVER;
}

/* A process is gone when another one has taken its place on the machine. */
static bool is_gone(void *user, bytes value)
{
    struct world *w = world_of(user);
    int index = -1;
    unsigned incarnation = 0;
    if (sscanf(sim_text(value), "%d.%u", &index, &incarnation) != 2 || index < 0 || index >= w->n_actors)
        return false;
    return w->config.broken.no_proof || w->actors[index].incarnation != incarnation;
}

static void on_taken_over(void *user, int code)
{
    struct gate *k = user;
    struct world *w = world_of(k);
    SIM_TRACE(w, "client %d takes over: %s", k->actor->index, code ? tenure_error_string(code) : "done");
    k->next_at = w->now + sim_between(w, 1, 300);
    if (code)
        return;
    *notes_of(k) = (struct notes){.kept = true, .lease = k->resume_lease, .token = k->resume_token};
    open_session(k, k->resume_lease);
    begin(k, k->resume_token);
}

static void take_over(struct gate *k, const struct notes *n)
{
    struct world *w = world_of(k);
    struct takeover_callbacks cb = {.is_gone = is_gone, .on_done = on_taken_over};
    struct tenure_error err;
    char key[64];
    snprintf(key, sizeof key, GATE_KEYS "%llx", (unsigned long long)n->lease);
    snprintf(k->words, sizeof k->words, "%d.%u.%llu", k->actor->index, k->actor->incarnation,
             (unsigned long long)rng_u64(&w->rng));
    struct takeover_place place = {.key = bytes_str(key),
                                   .words = bytes_str(key),
                                   .lease = n->lease,
                                   .create = n->token,
                                   .broken_unguarded = w->config.broken.unguarded_takeover};
    k->resume_lease = n->lease;
    k->resume_token = n->token;
    notes_of(k)->kept = false;
    SIM_TRACE(w, "client %d would take over %s", k->actor->index, key);
    if (takeover_start(&k->takeover, k->actor->client, &place, bytes_str(k->words), &cb, k, w->now, &err) != 0)
        SIM_TRACE(w, "it did not begin: %s", err.text);
}

/* Somebody else who has nothing to do tries at the same time. */
static void call_rival(struct gate *k)
{
    struct world *w = world_of(k);
    for (int i = 0; i < w->n_actors; i++) {
        struct gate *rival = &w->actors[i].locks->gate;
        if (rival == k || rival->lock || rival->takeover || w->actors[i].paused_until > w->now)
            continue;
        rival->session = session_free(rival->session); /* its lease runs out */
        rival->ended = false;
        take_over(rival, &(struct notes){true, notes_of(k)->lease, notes_of(k)->token});
        return;
    }
}

/* Its own notes, or, seldom, what somebody else has noted. */
static const struct notes *notes_to_use(struct gate *k)
{
    struct world *w = world_of(k);
    const struct notes *own = notes_of(k);
    if (own->kept && sim_chance(w, 80)) {
        call_rival(k);
        return own;
    }
    const struct notes *other = &locks_truth(w)->notes[rng_below(&w->rng, (uint64_t)w->n_actors)];
    return other->kept && sim_chance(w, 40) ? other : NULL;
}

static void ask(struct gate *k)
{
    struct world *w = world_of(k);
    const struct notes *n = k->session ? NULL : notes_to_use(k);
    k->next_at = w->now + sim_between(w, 10, 1500);
    if (n)
        take_over(k, &(struct notes){true, n->lease, n->token});
    else if (k->session && sim_chance(w, 30))
        session_close(k->session, w->now);
    else
        begin(k, 0);
}

/* ---- what it does ---- */

/* M5: an inner release lets nothing go. What is noted goes before the place does. */
static void leave_level(struct gate *k)
{
    struct world *w = world_of(k);
    k->release_at = TN_MS_NEVER;
    k->depth--;
    if (levels_leave(&k->levels)) {
        k->release_at = w->now + sim_between(w, 1, 500);
        return;
    }
    if (k->depth > 0)
        world_fail(w, "M5: client %d lets the lock go, which an outer level holds", k->actor->index);
    notes_of(k)->kept = false;
    guard_end(k);
    locks_truth(w)->released = k->token;
    SIM_TRACE(w, "client %d releases the lock with a delay", k->actor->index);
    lock_release(k->lock, w->now);
}

static void hold(struct gate *k)
{
    struct world *w = world_of(k);
    if (k->enter_at <= w->now) {
        k->enter_at = TN_MS_NEVER;
        k->depth += levels_enter(&k->levels, lock_held(k->lock, w->now));
    }
    if (k->use_at <= w->now) {
        k->use_at = w->now + sim_between(w, 10, 300);
        guarded_use(k);
    }
    if (k->release_at <= w->now)
        leave_level(k);
}

static void clean_up(struct gate *k)
{
    if (k->lock && k->done) {
        k->lock = lock_free(k->lock);
        k->release_at = k->cancel_at = k->enter_at = k->use_at = TN_MS_NEVER;
    }
    if (!k->lock && k->session && k->ended) {
        k->session = session_free(k->session);
        k->ended = false;
    }
}

/* The heartbeat; false: the program hangs, and only the client's loop goes on. */
static bool lives(struct gate *k)
{
    struct world *w = world_of(k);
    if (!w->finishing && k->hang_at <= w->now) {
        k->hung_until = w->now + sim_between(w, 100, 6000);
        k->hang_at = k->hung_until + sim_between(w, 1000, 15000);
        SIM_TRACE(w, "the program of client %d hangs until %lld", k->actor->index, (long long)k->hung_until);
    }
    if (k->hung_until > w->now)
        return false;
    k->lived_at = w->now;
    if (k->session && k->beat_at <= w->now)
        session_beat(k->session, w->now, w->now);
    if (k->beat_at <= w->now)
        k->beat_at = w->now + BEAT_MS;
    return true;
}

void gate_step(struct gate *k)
{
    struct world *w = world_of(k);
    if (!lives(k))
        return;
    guard_publish(k);
    clean_up(k);
    if (k->takeover)
        return;
    if (k->lock && k->acquiring && k->cancel_at <= w->now) {
        k->cancel_at = TN_MS_NEVER;
        SIM_TRACE(w, "client %d cancels the lock with a delay", k->actor->index);
        lock_cancel(k->lock, w->now);
    } else if (k->lock && !k->acquiring && !k->done) {
        hold(k);
    } else if (!k->lock && !w->finishing && k->next_at <= w->now) {
        ask(k);
    }
}

/* ---- for the actor ---- */

void gate_start(struct actor *a)
{
    struct world *w = a->world;
    struct gate *k = &a->locks->gate;
    k->actor = a;
    k->next_at = w->now + sim_between(w, 0, 500);
    k->hang_at = w->now + sim_between(w, 1000, 15000);
    k->lived_at = w->now;
    k->levels.broken_one = w->config.broken.one_level;
    k->release_at = k->cancel_at = k->enter_at = k->use_at = TN_MS_NEVER;
}

/* Before the client's completions, as a driver does. The words to take a place over with are of no use to a process that is
 * gone, so the notes say what they said. */
void gate_tick(struct gate *k)
{
    tn_ms now = world_of(k)->now;
    if (k->session && session_deadline(k->session) <= now)
        session_tick(k->session, now);
}

tn_ms gate_next(const struct gate *k)
{
    const struct world *w = world_of(k);
    bool hangs = k->hung_until > w->now, free_now = !k->lock && !k->takeover && !w->finishing;
    const tn_ms times[] = {k->cancel_at,
                           k->release_at,
                           k->enter_at,
                           k->use_at,
                           k->session ? k->beat_at : TN_MS_NEVER,
                           free_now ? k->next_at : TN_MS_NEVER,
                           w->finishing ? TN_MS_NEVER : k->hang_at,
                           (k->lock && k->done) || (k->session && k->ended && !k->lock) ? w->now : TN_MS_NEVER};
    tn_ms at = TN_MS_NEVER;
    for (size_t i = 0; i < ARRAY_LEN(times); i++)
        at = times[i] < at ? times[i] : at;
    at = hangs && at < k->hung_until ? k->hung_until : at;
    tn_ms session = k->session ? session_deadline(k->session) : TN_MS_NEVER;
    return session < at ? session : at;
}

void gate_kill(struct gate *k)
{
    struct tenure_error why = {.code = TENURE_ELOST, .kind = TENURE_KIND_LOST};
    struct notes notes = *notes_of(k);
    takeover_drop(&k->takeover, world_of(k)->now);
    if (k->session && session_state(k->session) != SESSION_LOST)
        session_give_up(k->session, &why, world_of(k)->now);
    *notes_of(k) = notes;
}

void gate_free(struct gate *k)
{
    takeover_drop(&k->takeover, world_of(k)->now);
    k->lock = lock_free(k->lock);
    k->session = session_free(k->session);
}

void gate_finish(struct gate *k)
{
    k->hung_until = 0;
    if (k->lock && k->acquiring)
        lock_cancel(k->lock, world_of(k)->now);
    k->cancel_at = TN_MS_NEVER;
}

bool gate_idle(const struct gate *k)
{
    return !k->lock && !k->takeover;
}
