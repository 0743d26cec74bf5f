/* Several locks at once, whole, readers' and permits, over the real machine (recipes/several.h); and places with a rule of the
 * program's: two colours, of which one may be there at a time.
 *
 * Invariants: M9 at every instant; M7: who is told that he has none of several has none; C3: nobody waits for somebody who waits for
 * him; L2, L3, M5. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "locks.h"
#include "recipes/several.h"

enum { TTL_S = 2, PARTS_MAX = 3, LIMIT = 3 };

#define COLOUR_NAME "p"

static const char *const names[PARTS_MAX] = {"m0", "m1", "m2"};

/* A session, and whether it is over. */
struct stand {
    struct session *session;
    bool ended;
};

struct part {
    struct bundle *all;
    size_t number; /* of its name */
    struct rule rule;
    struct lock *lock;
    bool asked, failed, leaving, by_release, broken_into;
};

struct bundle {
    struct actor *actor;
    struct stand stand;
    struct several engine;
    struct part parts[PARTS_MAX];
    struct lock *kept[64]; /* those that a broken rule did not let go of, until the process is gone */
    size_t n_kept;
    bool active, over;
    tn_ms next_at, release_at, cancel_at, wait_until;
};

struct colour {
    struct actor *actor;
    struct stand stand;
    struct lock *lock;
    bool red, acquiring, done, broken_into;
    tn_ms next_at, release_at, cancel_at;
};

struct several_sim {
    struct bundle bundle;
    struct colour colour;
};

/* ---- sessions ---- */

static void on_session_lost(void *user, const struct tenure_error *why)
{
    (void)why;
    ((struct stand *)user)->ended = true;
}

static void on_session_closed(void *user, int code)
{
    (void)code;
    ((struct stand *)user)->ended = true;
}

/* A new one in place of one that is over, on which nothing is any more. */
static bool stand_up(struct actor *a, struct stand *s)
{
    static const struct session_callbacks cb = {.on_lost = on_session_lost, .on_closed = on_session_closed};
    struct tenure_error err = {0};
    struct session_options o = {.ttl_s = TTL_S};
    if (s->session && (s->ended || session_state(s->session) == SESSION_LOST))
        s->session = session_free(s->session);
    if (s->session)
        return true;
    s->ended = false;
    if (session_open(a->client, &o, &cb, s, a->world->now, &s->session, &err) != 0)
        world_fail(a->world, "a session could not open: %s", err.text);
    return s->session != NULL;
}

/* ---- a bundle's parts ---- */

static bool part_holds(const struct part *p)
{
    return p->lock && p->all->engine.state == SEVERAL_HELD && !p->leaving && !p->broken_into &&
           lock_held(p->lock, p->all->actor->world->now);
}

static void part_gone(struct part *p, int code)
{
    p->lock = lock_free(p->lock);
    several_released(&p->all->engine, code);
}

static void on_part_acquired(void *user, int code, int64_t token, const struct tenure_error *error)
{
    struct part *p = user;
    (void)token;
    p->asked = false;
    if (p->leaving && !p->by_release) {
        part_gone(p, 0);
        return;
    }
    p->failed = code != 0;
    if (!p->leaving)
        several_acquired(&p->all->engine, (size_t)(p - p->all->parts), code, error);
}

static void on_part_lost(void *user, const struct tenure_error *why)
{
    struct part *p = user;
    if (!p->leaving)
        several_lost(&p->all->engine, (size_t)(p - p->all->parts), why);
}

static void on_part_released(void *user, int code)
{
    struct part *p = user;
    part_gone(p, code);
}

static int start_part(void *user, size_t i, struct tenure_error *err)
{
    static const struct lock_callbacks cb = {
        .on_acquired = on_part_acquired, .on_lost = on_part_lost, .on_released = on_part_released};
    struct bundle *b = user;
    struct part *p = &b->parts[i];
    struct world *w = b->actor->world;
    struct lock_options o = {.rule = p->rule, .broken_skip_verify = w->config.broken.skip_verify};
    if (b->wait_until != TN_MS_NEVER)
        o.wait_ms = b->wait_until > w->now ? b->wait_until - w->now : 1;
    if (i == 0 && !stand_up(b->actor, &b->stand))
        return TENURE_ENOMEM;
    int rc = lock_new(b->stand.session, names[p->number], &o, &cb, p, &p->lock, err);
    if (rc)
        return rc;
    p->asked = true;
    p->failed = p->leaving = p->broken_into = false;
    rc = lock_acquire(p->lock, w->now, err);
    if (rc)
        p->lock = lock_free(p->lock);
    return rc;
}

/* What follows is told by on_acquired of one that waits, by on_released of one that is held or lost, and by nothing else. */
static bool let_go(void *user, size_t i)
{
    struct bundle *b = user;
    struct part *p = &b->parts[i];
    if (!p->lock)
        return false;
    p->leaving = true;
    p->by_release = lock_state(p->lock) == LOCK_LOST || !p->asked;
    if (p->failed && lock_state(p->lock) == LOCK_IDLE)
        part_gone(p, 0);
    else
        lock_release(p->lock, b->actor->world->now);
    return true;
}

static bool in_time(void *user)
{
    const struct bundle *b = user;
    return b->wait_until > b->actor->world->now;
}

static void check_none(const struct bundle *b)
{
    for (size_t i = 0; i < b->engine.n; i++)
        if (b->parts[i].lock && lock_held(b->parts[i].lock, b->actor->world->now))
            world_fail(b->actor->world, "M7: client %d is told that it has none of several, and has %s",
                       b->actor->index, names[b->parts[i].number]);
}

static void on_all_acquired(void *user, int code)
{
    struct bundle *b = user;
    struct world *w = b->actor->world;
    SIM_TRACE(w, "client %d has several: %s", b->actor->index, code ? b->engine.why.text : "all");
    b->cancel_at = TN_MS_NEVER;
    if (code)
        check_none(b);
    w->result.acquisitions += code == 0;
    b->release_at = w->now + sim_between(w, 0, code ? 50 : 800);
}

static void on_one_lost(void *user, size_t i)
{
    struct bundle *b = user;
    SIM_TRACE(b->actor->world, "client %d lost %s of several", b->actor->index, names[b->parts[i].number]);
    if (b->parts[i].lock && lock_held(b->parts[i].lock, b->actor->world->now))
        world_fail(b->actor->world, "L3: held after the loss was told");
}

static void on_all_over(void *user)
{
    ((struct bundle *)user)->over = true;
}

static struct rule draw_rule(struct world *w)
{
    unsigned dice = (unsigned)rng_below(&w->rng, 10);
    struct rule r = {.kind = dice < 5 ? RULE_WHOLE : dice < 8 ? RULE_READ : RULE_PERMIT};
    if (r.kind == RULE_PERMIT) {
        r.limit = LIMIT;
        r.weight = sim_between(w, 1, LIMIT);
    }
    return r;
}

static int by_key(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    return several_order("/locks/", names[x->number], "/locks/", names[y->number]);
}

static void keep_rest(struct bundle *b)
{
    for (size_t i = 0; i < PARTS_MAX; i++)
        if (b->parts[i].lock && b->n_kept < sizeof b->kept / sizeof b->kept[0]) {
            b->kept[b->n_kept++] = b->parts[i].lock;
            b->parts[i].lock = NULL;
        }
}

static void draw_parts(struct bundle *b)
{
    struct world *w = b->actor->world;
    keep_rest(b);
    size_t first = (size_t)rng_below(&w->rng, PARTS_MAX), n = 1 + (size_t)rng_below(&w->rng, PARTS_MAX);
    for (size_t i = 0; i < n; i++)
        b->parts[i] = (struct part){.all = b, .number = (first + i) % PARTS_MAX, .rule = draw_rule(w)};
    if (!w->config.broken.unordered)
        qsort(b->parts, n, sizeof b->parts[0], by_key);
    b->engine.n = n;
}

static void begin_bundle(struct bundle *b)
{
    static const struct several_ops ops = {start_part, let_go, in_time, on_all_acquired, on_one_lost, on_all_over};
    struct world *w = b->actor->world;
    struct tenure_error err = {0};
    several_init(&b->engine, 0, &ops, b);
    b->engine.broken_keep = w->config.broken.keep_parts;
    draw_parts(b);
    b->over = false;
    b->release_at = TN_MS_NEVER;
    b->wait_until = sim_chance(w, 30) ? w->now + sim_between(w, 50, 4000) : TN_MS_NEVER;
    b->cancel_at = sim_chance(w, 25) ? w->now + sim_between(w, 1, 3000) : TN_MS_NEVER;
    b->active = several_begin(&b->engine, &err) == 0;
    SIM_TRACE(w, "client %d asks for %zu at once", b->actor->index, b->engine.n);
}

static void bundle_step(struct bundle *b)
{
    struct world *w = b->actor->world;
    if (b->active && b->over) {
        b->active = false;
        b->release_at = b->cancel_at = TN_MS_NEVER;
    }
    if (b->active && (b->cancel_at <= w->now || b->release_at <= w->now)) {
        b->cancel_at = b->release_at = TN_MS_NEVER;
        several_stop(&b->engine);
    } else if (!b->active && !w->finishing && b->next_at <= w->now) {
        b->next_at = w->now + sim_between(w, 10, 1000);
        begin_bundle(b);
    }
}

/* ---- colours ---- */

/* For the newest of those before it that has another colour; n: for nobody. */
static size_t wait_for(void *user, const struct kv *before, size_t n)
{
    const struct colour *c = user;
    for (size_t i = n; i-- > 0;)
        if (bytes_equal(before[i].value, bytes_str("red")) != c->red)
            return i;
    return n;
}

static bool colour_holds(const struct colour *c)
{
    return c->lock && !c->acquiring && !c->done && !c->broken_into && lock_held(c->lock, c->actor->world->now);
}

static void on_acquired(void *user, int code, int64_t token, const struct tenure_error *error)
{
    struct colour *c = user;
    struct world *w = c->actor->world;
    (void)error;
    c->acquiring = false;
    c->cancel_at = TN_MS_NEVER;
    c->done = code != 0;
    w->result.acquisitions += code == 0;
    c->release_at = w->now + sim_between(w, 0, 1000);
    SIM_TRACE(w, "client %d has a place as %s, token %lld: %s", c->actor->index, c->red ? "red" : "blue",
              (long long)token, tenure_error_string(code));
}

static void on_lost(void *user, const struct tenure_error *why)
{
    struct colour *c = user;
    (void)why;
    if (lock_held(c->lock, c->actor->world->now))
        world_fail(c->actor->world, "L3: held after the loss was told");
    c->done = true;
}

static void on_released(void *user, int code)
{
    (void)code;
    ((struct colour *)user)->done = true;
}

static void begin_colour(struct colour *c)
{
    static const struct lock_callbacks cb = {
        .on_acquired = on_acquired, .on_lost = on_lost, .on_released = on_released};
    struct world *w = c->actor->world;
    struct tenure_error err = {0};
    c->red = sim_chance(w, 50);
    struct lock_options o = {.rule = {.kind = RULE_CUSTOM, .wait_for = wait_for, .user = c},
                             .value = bytes_str(c->red ? "red" : "blue"),
                             .wait_ms = sim_chance(w, 30) ? sim_between(w, 50, 3000) : 0,
                             .try_only = sim_chance(w, 10),
                             .broken_rule = w->config.broken.skip_rule};
    if (!stand_up(c->actor, &c->stand) || lock_new(c->stand.session, COLOUR_NAME, &o, &cb, c, &c->lock, &err) != 0)
        return;
    c->acquiring = true;
    c->done = c->broken_into = false;
    c->release_at = TN_MS_NEVER;
    c->cancel_at = sim_chance(w, 25) ? w->now + sim_between(w, 1, 2000) : TN_MS_NEVER;
    if (lock_acquire(c->lock, w->now, &err) != 0)
        c->lock = lock_free(c->lock);
}

static void colour_step(struct colour *c)
{
    struct world *w = c->actor->world;
    if (c->lock && c->done) {
        c->lock = lock_free(c->lock);
        c->release_at = c->cancel_at = TN_MS_NEVER;
    }
    if (c->lock && c->acquiring && c->cancel_at <= w->now) {
        c->cancel_at = TN_MS_NEVER;
        lock_cancel(c->lock, w->now);
    } else if (c->lock && !c->acquiring && !c->done && c->release_at <= w->now) {
        c->release_at = TN_MS_NEVER;
        lock_release(c->lock, w->now);
    } else if (!c->lock && !w->finishing && c->next_at <= w->now) {
        c->next_at = w->now + sim_between(w, 10, 800);
        begin_colour(c);
    }
}

/* ---- for the actor ---- */

void several_start(struct actor *a)
{
    struct world *w = a->world;
    struct several_sim *s = sim_alloc(sizeof *s);
    s->bundle.actor = s->colour.actor = a;
    s->bundle.next_at = w->now + sim_between(w, 0, 500);
    s->colour.next_at = w->now + sim_between(w, 0, 500);
    s->bundle.release_at = s->bundle.cancel_at = s->colour.release_at = s->colour.cancel_at = TN_MS_NEVER;
    a->locks->several = s;
}

static void tick(struct stand *s, tn_ms now)
{
    if (s->session && session_deadline(s->session) <= now)
        session_tick(s->session, now);
}

void several_tick(struct actor *a)
{
    tick(&a->locks->several->bundle.stand, a->world->now);
    tick(&a->locks->several->colour.stand, a->world->now);
}

void several_step(struct actor *a)
{
    bundle_step(&a->locks->several->bundle);
    colour_step(&a->locks->several->colour);
}

tn_ms several_next(const struct actor *a)
{
    const struct world *w = a->world;
    const struct bundle *b = &a->locks->several->bundle;
    const struct colour *c = &a->locks->several->colour;
    const tn_ms times[] = {b->release_at,
                           b->cancel_at,
                           c->release_at,
                           c->cancel_at,
                           w->finishing || b->active ? TN_MS_NEVER : b->next_at,
                           w->finishing || c->lock ? TN_MS_NEVER : c->next_at,
                           b->stand.session ? session_deadline(b->stand.session) : TN_MS_NEVER,
                           c->stand.session ? session_deadline(c->stand.session) : TN_MS_NEVER,
                           (b->active && b->over) || (c->lock && c->done) ? w->now : TN_MS_NEVER};
    tn_ms at = TN_MS_NEVER;
    for (size_t i = 0; i < ARRAY_LEN(times); i++)
        at = times[i] < at ? times[i] : at;
    return at;
}

static void give_up(struct stand *s, tn_ms now)
{
    struct tenure_error why = {.code = TENURE_ELOST, .kind = TENURE_KIND_LOST};
    if (s->session && session_state(s->session) != SESSION_LOST)
        session_give_up(s->session, &why, now);
}

/* The process is gone: nothing is told to anybody. */
void several_kill(struct actor *a)
{
    struct several_sim *s = a->locks->several;
    for (size_t i = 0; i < PARTS_MAX; i++)
        s->bundle.parts[i].lock = lock_free(s->bundle.parts[i].lock);
    while (s->bundle.n_kept > 0)
        lock_free(s->bundle.kept[--s->bundle.n_kept]);
    s->colour.lock = lock_free(s->colour.lock);
    give_up(&s->bundle.stand, a->world->now);
    give_up(&s->colour.stand, a->world->now);
}

void several_free(struct actor *a)
{
    struct several_sim *s = a->locks->several;
    session_free(s->bundle.stand.session);
    session_free(s->colour.stand.session);
    free(s);
    a->locks->several = NULL;
}

/* Who waits goes on waiting: all must have had their turn by the end. */
void several_finish(struct actor *a)
{
    a->locks->several->bundle.cancel_at = a->locks->several->colour.cancel_at = TN_MS_NEVER;
}

bool several_idle(const struct actor *a)
{
    return !a->locks->several->bundle.active && !a->locks->several->colour.lock;
}

static void stand_lease_ended(struct actor *a, const struct stand *s, tn_lease id)
{
    tn_ms now = a->world->now;
    if (s->session && !s->ended && session_lease(s->session) == id && session_valid(s->session, now))
        world_fail(a->world, "L2: lease %llx of several ended at the server, client %d believes in it for %lld ms more",
                   (unsigned long long)id, a->index, (long long)(session_safe_until(s->session) - now));
}

void several_lease_ended(struct actor *a, tn_lease id)
{
    stand_lease_ended(a, &a->locks->several->bundle.stand, id);
    stand_lease_ended(a, &a->locks->several->colour.stand, id);
}

void several_key_deleted(struct actor *a, bytes key)
{
    const struct several_sim *s = a->locks->several;
    bool hit = colour_holds(&s->colour) && bytes_equal(lock_key(s->colour.lock), key);
    for (size_t i = 0; i < PARTS_MAX; i++)
        hit = hit || (part_holds(&s->bundle.parts[i]) && bytes_equal(lock_key(s->bundle.parts[i].lock), key));
    if (hit)
        world_fail(a->world, "M5: %.*s was deleted while client %d holds by it", (int)key.len, key.data, a->index);
}

bytes several_key(struct actor *a, bool **ret_broken_into)
{
    struct several_sim *s = a->locks->several;
    size_t i = (size_t)rng_below(&a->world->rng, PARTS_MAX + 1);
    struct lock *lock = i < PARTS_MAX ? s->bundle.parts[i].lock : s->colour.lock;
    *ret_broken_into = i < PARTS_MAX ? &s->bundle.parts[i].broken_into : &s->colour.broken_into;
    return lock ? lock_key(lock) : bytes_of(NULL, 0);
}

/* ---- M9 ---- */

static void check_name(struct world *w, size_t number)
{
    int64_t wholes = 0, readers = 0, permits = 0, taken = 0;
    for (int i = 0; i < w->n_actors * PARTS_MAX; i++) {
        const struct part *p = &w->actors[i / PARTS_MAX].locks->several->bundle.parts[i % PARTS_MAX];
        if (!p->lock || p->number != number || !part_holds(p))
            continue;
        wholes += p->rule.kind == RULE_WHOLE;
        readers += p->rule.kind == RULE_READ;
        permits += p->rule.kind == RULE_PERMIT;
        taken += p->rule.weight;
    }
    int kinds = (wholes > 0) + (readers > 0) + (permits > 0);
    if (wholes > 1 || kinds > 1 || taken > LIMIT)
        world_fail(w, "M9: %lld whole, %lld readers and %lld permits of %lld hold %s at once", (long long)wholes,
                   (long long)readers, (long long)permits, (long long)taken, names[number]);
}

void check_several(struct world *w)
{
    int red = 0, blue = 0;
    for (size_t n = 0; n < PARTS_MAX; n++)
        check_name(w, n);
    for (int i = 0; i < w->n_actors; i++) {
        const struct colour *c = &w->actors[i].locks->several->colour;
        red += colour_holds(c) && c->red;
        blue += colour_holds(c) && !c->red;
    }
    if (red && blue)
        world_fail(w, "M9: %d red and %d blue are there at once", red, blue);
}
