/* A watch that resyncs, in a client's process: a copy made of nothing but what it told, compared with the truth at each revision
 * that it told. Invariant: W16. */
#include <stdio.h>
#include <string.h>

#include "world.h"

#define KEYS       "k/"
#define IN_SYNC_MS 15000 /* of a healed network, in which a segment may still take long */

static struct told_key *find(struct actor *a, bytes key)
{
    struct told_key *free_one = NULL;
    for (size_t i = 0; i < ARRAY_LEN(a->told_keys); i++) {
        struct told_key *t = &a->told_keys[i];
        if (t->key[0] && bytes_equal(bytes_str(t->key), key))
            return t;
        if (!t->key[0])
            free_one = t;
    }
    return free_one;
}

static void apply(struct actor *a, const struct event *e)
{
    struct told_key *t = find(a, e->kv.key);
    if (e->type == EVENT_DELETE && !t->key[0])
        world_fail(a->world, "W16: client %d was told that %.*s is gone, of which it did not know", a->index,
                   (int)e->kv.key.len, e->kv.key.data);
    *t = (struct told_key){0};
    if (e->type == EVENT_DELETE)
        return;
    snprintf(t->key, sizeof t->key, "%.*s", (int)e->kv.key.len, (const char *)e->kv.key.data);
    snprintf(t->value, sizeof t->value, "%.*s", (int)e->kv.value.len,
             e->kv.value.len ? (const char *)e->kv.value.data : "");
    t->mod = e->kv.mod_revision;
}

static void check(struct actor *a, tn_rev revision)
{
    struct world *w = a->world;
    for (int i = 0; i < 4; i++) { /* the keys that actors write */
        char key[16];
        snprintf(key, sizeof key, KEYS "%d", i);
        const struct row *r = history_at(&w->history, bytes_str(key), revision);
        const struct told_key *t = find(a, bytes_str(key));
        bool lives = r && !r->tombstone, told = t && t->key[0];
        if (lives != told || (lives && (t->mod != r->main || !bytes_equal(bytes_str(t->value), r->value))))
            world_fail(w, "W16: client %d was told %s=%s of revision %lld, at revision %lld it is %s of %lld", a->index,
                       key, told ? t->value : "(nothing)", told ? (long long)t->mod : 0, (long long)revision,
                       lives ? (const char *)r->value.data : "(nothing)", r ? (long long)r->main : 0);
    }
}

static void on_resync(void *user, int why, tn_rev revision)
{
    struct actor *a = user;
    SIM_TRACE(a->world, "client %d resyncs from revision %lld: %s", a->index, (long long)revision,
              why ? tenure_error_string(why) : "the first time");
    if (a->resync_since == TN_MS_NEVER)
        a->resync_since = a->world->now;
    a->world->result.resyncs += why != 0;
}

static void on_synced(void *user, tn_rev revision)
{
    struct actor *a = user;
    SIM_TRACE(a->world, "client %d is in sync at revision %lld", a->index, (long long)revision);
    a->resync_since = TN_MS_NEVER;
    if (revision > a->world->history.revision)
        world_fail(a->world, "KV3: a list shows revision %lld, which is not durable", (long long)revision);
    check(a, revision);
}

static void on_events(void *user, const struct client_watch_events *e)
{
    struct actor *a = user;
    for (size_t i = 0; i < e->n_events; i++)
        apply(a, &e->events[i]);
    if (a->resync_since == TN_MS_NEVER)
        check(a, e->revision);
}

static void on_end(void *user, int code, const struct tenure_error *error)
{
    struct actor *a = user;
    if (code != TENURE_ECLOSED)
        world_fail(a->world, "W16: a watch that resyncs ended: %s", error->text);
}

void actor_start_follow(struct actor *a)
{
    static const struct follow_callbacks cb = {
        .on_resync = on_resync, .on_synced = on_synced, .on_events = on_events, .on_end = on_end};
    struct world *w = a->world;
    struct tenure_error err = {0};
    struct follow_options o = {.range = {bytes_str(KEYS), bytes_str("k0")},
                               .prev_kv = sim_chance(w, 50),
                               .page_max = (size_t)sim_between(w, 1, 5),
                               .broken_skip_absent = w->config.broken.skip_absent};
    memset(a->told_keys, 0, sizeof a->told_keys);
    a->resync_since = w->now;
    a->follow = follow_start(a->client, &o, &cb, a, w->now, &err);
    if (!a->follow)
        world_fail(w, "W16: a watch that resyncs could not start: %s", err.text);
}

void actor_check_follow(struct actor *a)
{
    tn_ms now = a->world->now;
    if (!a->follow)
        return;
    if (a->resync_since != TN_MS_NEVER && now - a->resync_since > IN_SYNC_MS)
        world_fail(a->world, "W16: client %d is not in sync for %lld ms", a->index, (long long)(now - a->resync_since));
    else if (a->resync_since == TN_MS_NEVER)
        check(a, a->world->history.revision);
}
