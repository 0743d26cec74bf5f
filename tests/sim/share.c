/* Readers, writers and permits of a client's process: two places at a time on one session, in the queue "rw" or "sem".
 * Invariants: M9 at every instant (check_shares), M2 and M6 when one is had, L2, L3, M5, M7; M8 by counting, in worlds where
 * nothing fails and nobody gives up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define TTL_S 2
#define LIMIT 3

static const char *const names[2] = {"rw", "sem"};
static const char *const paths[2] = {SHARE_RW_KEYS, SHARE_SEM_KEYS};

/* ---- what the rule allows, by the rows that are durable ---- */

static struct rule rule_of_row(const struct row *r, const char *path)
{
    struct rule rule = rule_of(bytes_of(r->key.data + strlen(path), r->key.len - strlen(path)));
    if (rule.kind == RULE_WHOLE && rule_is_shared(r->value))
        rule.kind = RULE_READ;
    return rule;
}

struct together {
    unsigned n, n_wholes, n_readers, n_permits;
    int64_t taken, limit;
};

static void add(struct together *t, const struct rule *rule)
{
    t->n++;
    t->n_wholes += rule->kind == RULE_WHOLE;
    t->n_readers += rule->kind == RULE_READ;
    t->n_permits += rule->kind == RULE_PERMIT;
    t->taken += rule->weight;
    if (rule->kind == RULE_PERMIT && rule->limit < t->limit)
        t->limit = rule->limit;
}

static bool may_be_together(const struct together *t)
{
    return t->n < 2 || t->n_readers == t->n || (t->n_permits == t->n && t->taken <= t->limit);
}

/* Those before it at the newest revision, and it: keys before it only ever go, so what was allowed once is. */
static bool was_allowed(const struct history *h, const char *path, const struct rule *own, tn_rev token)
{
    struct together t = {.limit = INT64_MAX};
    add(&t, own);
    for (size_t i = history_next(h, 0, path); i < h->n; i = history_next(h, i + 1, path)) {
        const struct row *r = &h->rows[i];
        if (r->tombstone || r->create_revision >= token || history_at(h, r->key, h->revision) != r)
            continue;
        struct rule rule = rule_of_row(r, path);
        add(&t, &rule);
    }
    return may_be_together(&t);
}

/* ---- what a place is told ---- */

static bool place_holds(const struct place *p)
{
    return p->lock && !p->acquiring && !p->done && !p->broken_into && lock_held(p->lock, p->actor->world->now);
}

static void check_had(struct place *p, tn_rev token)
{
    struct world *w = p->actor->world;
    bool whole = p->rule.kind == RULE_WHOLE;
    tn_rev *last = &w->last_share[p->queue], *last_whole = &w->last_whole[p->queue];
    SIM_TRACE(w, "client %d has its place %d in %s, token %lld", p->actor->index, p->number, names[p->queue],
              (long long)token);
    w->result.acquisitions++;
    if (p->broken_into)
        return; /* its proof may be older than the deletion by hand */
    if (!w->config.broken.skip_rule && !was_allowed(&w->history, paths[p->queue], &p->rule, token))
        world_fail(w, "M6: client %d was given a place in %s with token %lld, which those before it do not allow",
                   p->actor->index, names[p->queue], (long long)token);
    if (token <= (whole ? *last : *last_whole))
        world_fail(w, "M2: %s token %lld after %lld", names[p->queue], (long long)token,
                   (long long)(whole ? *last : *last_whole));
    if (token > *last)
        *last = token;
    if (whole && token > *last_whole)
        *last_whole = token;
}

static void on_acquired(void *user, int code, int64_t token, const struct tenure_error *error)
{
    struct place *p = user;
    struct world *w = p->actor->world;
    (void)error;
    p->acquiring = false;
    p->cancel_at = TN_MS_NEVER;
    if (code != 0) {
        SIM_TRACE(w, "client %d gave place %d up: %s", p->actor->index, p->number, tenure_error_string(code));
        p->done = true;
        return;
    }
    if (lock_held(p->lock, w->now))
        check_had(p, token);
    p->release_at = w->now + sim_between(w, 1, w->config.calm ? 200 : 1500);
    if (p->rule.kind == RULE_WHOLE && sim_chance(w, 40))
        p->share_at = w->now + sim_between(w, 0, 300);
}

static void on_lost(void *user, const struct tenure_error *why)
{
    struct place *p = user;
    SIM_TRACE(p->actor->world, "client %d lost place %d: %s", p->actor->index, p->number, why->text);
    if (lock_held(p->lock, p->actor->world->now))
        world_fail(p->actor->world, "L3: held after the loss was told");
    p->done = true;
}

static void on_released(void *user, int code)
{
    struct place *p = user;
    (void)code;
    p->done = true;
}

static void on_shared(void *user, int code)
{
    struct place *p = user;
    SIM_TRACE(p->actor->world, "client %d shares place %d: %s", p->actor->index, p->number, tenure_error_string(code));
}

static void on_session_over(struct actor *a)
{
    a->share_session_ended = true;
}

static void on_session_lost(void *user, const struct tenure_error *why)
{
    (void)why;
    on_session_over(user);
}

static void on_session_closed(void *user, int code)
{
    (void)code;
    on_session_over(user);
}

/* ---- what it does ---- */

static void open_session(struct actor *a)
{
    static const struct session_callbacks cb = {.on_lost = on_session_lost, .on_closed = on_session_closed};
    struct tenure_error err = {0};
    struct session_options o = {.ttl_s = TTL_S};
    a->share_session_ended = false;
    if (session_open(a->client, &o, &cb, a, a->world->now, &a->share_session, &err) != 0)
        world_fail(a->world, "a session could not open: %s", err.text);
}

static struct rule draw_rule(struct world *w, int queue)
{
    struct rule rule = {0};
    if (queue == 0 && sim_chance(w, 65)) {
        rule.kind = RULE_READ;
    } else if (queue == 1 && sim_chance(w, w->config.calm ? 100 : 93)) {
        rule.kind = RULE_PERMIT;
        rule.limit = w->config.calm || sim_chance(w, 85) ? LIMIT : sim_between(w, 1, LIMIT + 2);
        rule.weight = sim_between(w, 1, rule.limit);
    }
    return rule;
}

static void begin(struct place *p)
{
    static const struct lock_callbacks cb = {
        .on_acquired = on_acquired, .on_lost = on_lost, .on_released = on_released, .on_shared = on_shared};
    struct actor *a = p->actor;
    struct world *w = a->world;
    struct tenure_error err = {0};
    bool calm = w->config.calm;
    p->queue = sim_chance(w, 50);
    p->rule = draw_rule(w, p->queue);
    struct lock_options o = {.rule = p->rule,
                             .wait_ms = !calm && sim_chance(w, 30) ? sim_between(w, 50, 3000) : 0,
                             .try_only = !calm && sim_chance(w, 10),
                             .broken_skip_verify = w->config.broken.skip_verify,
                             .broken_rule = w->config.broken.skip_rule,
                             .broken_herd = w->config.broken.herd};
    if (!a->share_session)
        open_session(a);
    if (!a->share_session || a->share_session_ended)
        return;
    if (lock_new(a->share_session, names[p->queue], &o, &cb, p, &p->lock, &err) != 0 ||
        lock_acquire(p->lock, w->now, &err) != 0) {
        p->lock = lock_free(p->lock);
        return;
    }
    SIM_TRACE(w, "client %d asks for place %d in %s, kind %d, %lld of %lld", a->index, p->number, names[p->queue],
              (int)p->rule.kind, (long long)p->rule.weight, (long long)p->rule.limit);
    p->acquiring = true;
    p->done = p->broken_into = false;
    p->cancel_at = !calm && sim_chance(w, 25) ? w->now + sim_between(w, 1, 2500) : TN_MS_NEVER;
}

static void share(struct place *p)
{
    struct tenure_error err;
    p->share_at = TN_MS_NEVER;
    if (p->done || p->acquiring || !lock_held(p->lock, p->actor->world->now))
        return;
    if (lock_share(p->lock, bytes_str(RULE_SHARED_VALUE), p->actor->world->now, &err) == 0)
        p->rule.kind = RULE_READ;
}

static void end(struct place *p)
{
    struct world *w = p->actor->world;
    w->result.looks += lock_looks(p->lock);
    p->lock = lock_free(p->lock);
    p->release_at = p->cancel_at = p->share_at = TN_MS_NEVER;
}

static void place_step(struct place *p)
{
    struct world *w = p->actor->world;
    if (p->lock && p->done)
        end(p);
    if (p->lock && p->acquiring && p->cancel_at <= w->now) {
        p->cancel_at = TN_MS_NEVER;
        lock_cancel(p->lock, w->now);
    } else if (p->lock && p->share_at <= w->now) {
        share(p);
    } else if (p->lock && !p->acquiring && !p->done && p->release_at <= w->now) {
        p->release_at = TN_MS_NEVER;
        SIM_TRACE(w, "client %d releases place %d", p->actor->index, p->number);
        lock_release(p->lock, w->now);
    } else if (!p->lock && !w->finishing && p->next_at <= w->now) {
        p->next_at = w->now + sim_between(w, 1, w->config.calm ? 30 : 800);
        begin(p);
    }
}

/* ---- for the actor and the world ---- */

void share_start(struct actor *a)
{
    for (int i = 0; i < PLACES; i++)
        a->places[i] = (struct place){.actor = a,
                                      .number = i,
                                      .next_at = a->world->now + sim_between(a->world, 0, 500),
                                      .release_at = TN_MS_NEVER,
                                      .cancel_at = TN_MS_NEVER,
                                      .share_at = TN_MS_NEVER};
}

static bool is_empty(const struct actor *a)
{
    for (int i = 0; i < PLACES; i++)
        if (a->places[i].lock)
            return false;
    return true;
}

void share_step(struct actor *a)
{
    for (int i = 0; i < PLACES; i++)
        place_step(&a->places[i]);
    if (a->share_session && a->share_session_ended && is_empty(a)) {
        a->share_session = session_free(a->share_session);
        a->share_session_ended = false;
    }
}

tn_ms share_next(const struct actor *a)
{
    tn_ms at = a->share_session ? session_deadline(a->share_session) : TN_MS_NEVER;
    for (int i = 0; i < PLACES; i++) {
        const struct place *p = &a->places[i];
        const tn_ms times[] = {p->cancel_at, p->release_at, p->share_at,
                               p->lock || a->world->finishing ? TN_MS_NEVER : p->next_at};
        for (size_t k = 0; k < ARRAY_LEN(times); k++)
            at = times[k] < at ? times[k] : at;
        if (p->lock && p->done)
            at = a->world->now;
    }
    return at;
}

void share_kill(struct actor *a)
{
    struct tenure_error why = {.code = TENURE_ELOST, .kind = TENURE_KIND_LOST};
    if (a->share_session && session_state(a->share_session) != SESSION_LOST)
        session_give_up(a->share_session, &why, a->world->now);
}

void share_free(struct actor *a)
{
    for (int i = 0; i < PLACES; i++)
        a->places[i].lock = lock_free(a->places[i].lock);
    a->share_session = session_free(a->share_session);
    a->share_session_ended = false;
}

/* Who waits goes on waiting: all must have had their turn by the end, or a wake was lost. */
void share_finish(struct actor *a)
{
    for (int i = 0; i < PLACES; i++)
        a->places[i].cancel_at = TN_MS_NEVER;
}

bool share_idle(const struct actor *a)
{
    return is_empty(a);
}

bytes share_key(const struct actor *a, int number)
{
    return a->places[number].lock ? lock_key(a->places[number].lock) : bytes_of(NULL, 0);
}

void share_key_deleted(struct actor *a, bytes key)
{
    for (int i = 0; i < PLACES; i++)
        if (place_holds(&a->places[i]) && bytes_equal(lock_key(a->places[i].lock), key))
            world_fail(a->world, "M5: %.*s was deleted while client %d holds by it", (int)key.len, key.data, a->index);
}

void check_shares(struct world *w)
{
    for (int q = 0; q < 2; q++) {
        struct together t = {.limit = INT64_MAX};
        for (int i = 0; i < w->n_actors * PLACES; i++) {
            const struct place *p = &w->actors[i / PLACES].places[i % PLACES];
            if (p->queue == q && place_holds(p))
                add(&t, &p->rule);
        }
        if (!may_be_together(&t))
            world_fail(w, "M9: %u hold %s at once: %u whole, %u readers, %u permits of %lld", t.n, names[q], t.n_wholes,
                       t.n_readers, t.n_permits, (long long)t.taken);
    }
}

/* Each that was had was let go. A release makes one look, or those it lets in; who is let in makes one more look at most. */
void check_herd(struct world *w)
{
    uint64_t most = 2 * w->result.acquisitions + 10;
    if (w->config.calm && w->result.looks > most)
        world_fail(w, "M8: %llu looks for %llu acquisitions", (unsigned long long)w->result.looks,
                   (unsigned long long)w->result.acquisitions);
}
