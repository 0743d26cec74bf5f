/* Who watches the election, in each process. Invariant M10: leaders are told in the order of their tokens, each of them led, and in
 * the end the last one is told: nobody, when all have stopped. */
#include <stdlib.h>

#include "locks.h"

struct watcher {
    struct actor *actor;
    struct observer *observer;
    tn_ms again_at;    /* it was refused, and asks again then */
    tn_rev told, last; /* 0 = nobody */
};

static void on_leader(void *user, const struct kv *leader, tn_rev revision)
{
    struct watcher *v = user;
    struct world *w = v->actor->world;
    v->told = leader->create_revision;
    SIM_TRACE(w, "client %d sees token %lld lead at revision %lld", v->actor->index, (long long)v->told,
              (long long)revision);
    if (v->told == 0)
        return;
    if (v->told < v->last)
        world_fail(w, "M10: client %d sees token %lld lead after %lld", v->actor->index, (long long)v->told,
                   (long long)v->last);
    if (!history_was_owner(&w->history, 1, v->told))
        world_fail(w, "M10: client %d sees token %lld lead, which never was first", v->actor->index,
                   (long long)v->told);
    v->last = v->told;
}

static void on_end(void *user, int code, const struct tenure_error *error)
{
    struct watcher *v = user;
    struct world *w = v->actor->world;
    (void)code;
    SIM_TRACE(w, "the observer of client %d ended: %s", v->actor->index, error->text);
    v->again_at = w->now + 500;
    if (!w->refused_at)
        world_fail(v->actor->world, "M10: the observer of client %d ended: %s", v->actor->index, error->text);
}

static void observe(struct watcher *v)
{
    struct actor *a = v->actor;
    struct world *w = a->world;
    struct observer_callbacks cb = {
        .on_leader = on_leader, .on_end = on_end, .broken_no_list = w->config.broken.no_list};
    struct tenure_error err = {0};
    v->again_at = TN_MS_NEVER;
    if (observer_start(a->client, ELECTION_NAME, NULL, &cb, v, w->now, &v->observer, &err) != 0)
        world_fail(w, "M10: an observer could not start: %s", err.text);
}

void watcher_start(struct actor *a)
{
    struct watcher *v = sim_alloc(sizeof *v);
    v->actor = a;
    a->locks->watcher = v;
    observe(v);
}

void watcher_step(struct actor *a)
{
    struct watcher *v = a->locks->watcher;
    if (v->again_at > a->world->now)
        return;
    observer_stop(v->observer, a->world->now);
    v->observer = NULL;
    observe(v);
}

tn_ms watcher_next(const struct actor *a)
{
    return a->locks->watcher->again_at;
}

void watcher_stop(struct actor *a)
{
    observer_stop(a->locks->watcher->observer, a->world->now);
    free(a->locks->watcher);
    a->locks->watcher = NULL;
}

void check_watcher(struct actor *a)
{
    const struct watcher *v = a->locks->watcher;
    tn_rev leads = history_lowest(&a->world->history, ELECTION_KEYS);
    if (v->told != leads)
        world_fail(a->world, "M10: in the end client %d sees token %lld lead, and %lld does", a->index,
                   (long long)v->told, (long long)leads);
}
