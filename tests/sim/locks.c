/* The parts of a process in a world of locks, together; see locks.h. */
#include <stdlib.h>

#include "locks.h"

struct locks_truth *locks_truth(struct world *w)
{
    if (!w->locks_truth)
        w->locks_truth = sim_alloc(sizeof *w->locks_truth);
    return w->locks_truth;
}

void locks_truth_free(struct world *w)
{
    struct locks_truth *t = w->locks_truth;
    while (t && t->flights) {
        struct flight *f = t->flights;
        t->flights = f->next;
        free(f);
    }
    for (int i = 0; t && i < CLIENTS_MAX; i++)
        guard_free(w, i);
    free(t);
    w->locks_truth = NULL;
}

void locks_start(struct actor *a)
{
    a->locks = sim_alloc(sizeof *a->locks);
    gate_start(a);
    several_start(a);
    watcher_start(a);
}

void locks_tick(struct actor *a)
{
    gate_tick(&a->locks->gate);
    several_tick(a);
}

void locks_step(struct actor *a)
{
    gate_step(&a->locks->gate);
    several_step(a);
    watcher_step(a);
}

tn_ms locks_next(const struct actor *a)
{
    tn_ms at = gate_next(&a->locks->gate), several = several_next(a);
    at = several < at ? several : at;
    return watcher_next(a) < at ? watcher_next(a) : at;
}

void locks_kill(struct actor *a)
{
    gate_kill(&a->locks->gate);
    several_kill(a);
    watcher_stop(a);
}

void locks_free(struct actor *a)
{
    gate_free(&a->locks->gate);
    several_free(a);
    free(a->locks);
    a->locks = NULL;
}

void locks_finish(struct actor *a)
{
    gate_finish(&a->locks->gate);
    several_finish(a);
}

bool locks_idle(const struct actor *a)
{
    return gate_idle(&a->locks->gate) && several_idle(a);
}

void locks_lease_ended(struct actor *a, tn_lease id)
{
    struct world *w = a->world;
    const struct gate *k = &a->locks->gate;
    several_lease_ended(a, id);
    if (k->session && !k->ended && session_lease(k->session) == id && session_valid(k->session, w->now))
        world_fail(w, "L2: lease %llx of a gate ended at the server, client %d believes in it for %lld ms more",
                   (unsigned long long)id, a->index, (long long)(session_safe_until(k->session) - w->now));
}

void locks_key_deleted(struct actor *a, bytes key)
{
    const struct gate *k = &a->locks->gate;
    several_key_deleted(a, key);
    if (gate_holds(k) && bytes_equal(lock_key(k->lock), key))
        world_fail(a->world, "M5: %.*s was deleted while client %d holds by it", (int)key.len, key.data, a->index);
}

bytes locks_key(struct actor *a, bool **ret_broken_into)
{
    struct gate *k = &a->locks->gate;
    if (sim_chance(a->world, 50))
        return several_key(a, ret_broken_into);
    *ret_broken_into = &k->broken_into;
    return k->lock ? lock_key(k->lock) : bytes_of(NULL, 0);
}

void locks_row(struct world *w, const struct record *r)
{
    guarded_row(w, r);
}

tn_ms locks_world_next(const struct world *w)
{
    tn_ms at = guarded_next(w);
    for (int i = 0; i < w->n_actors; i++) {
        tn_ms guard = guard_next(w, i);
        at = guard < at ? guard : at;
    }
    return at;
}

/* L7: nobody renews for a program that has given no sign of life. */
static void check_gate(struct world *w, const struct gate *k)
{
    tn_ms longest = k->lived_at + HEARTBEAT_MS + GATE_TTL_S * 1000;
    if (k->session && k->gated && !k->ended && session_valid(k->session, w->now) && w->now > longest)
        world_fail(w, "L7: the program of client %d hangs since %lld, and its session lives", k->actor->index,
                   (long long)k->lived_at);
}

void check_locks(struct world *w)
{
    int holder = -1;
    guarded_deliver(w);
    check_several(w);
    for (int i = 0; i < w->n_actors; i++) {
        const struct gate *k = &w->actors[i].locks->gate;
        check_gate(w, k);
        guard_step(w, i);
        if (!gate_holds(k))
            continue;
        if (holder >= 0)
            world_fail(w, "M1: clients %d and %d hold the lock with a delay", holder, i);
        holder = i;
    }
}

struct actor *locks_holder(struct world *w)
{
    for (int i = 0; i < w->n_actors; i++)
        if (gate_holds(&w->actors[i].locks->gate))
            return &w->actors[i];
    return NULL;
}

/* At the end, when all have stopped. */
void check_locks_end(struct world *w)
{
    static const char *const queues[] = {GATE_KEYS, "/locks/m0/", "/locks/m1/", "/locks/m2/", "/locks/p/"};
    for (size_t i = 0; i < ARRAY_LEN(queues); i++)
        if (history_live(&w->history, queues[i]))
            world_fail(w, "M7: keys are left below %s, where nobody stands", queues[i]);
    for (int i = 0; i < w->n_actors; i++)
        check_watcher(&w->actors[i]);
}
