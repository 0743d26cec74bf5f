/* Live events: one durable revision after another is matched against the index, which gives each watcher concerned a
 * chain of matches; then the watchers get theirs one after another. A revision is matched once, so a watcher that is
 * unblocked, or catches up, meanwhile finds its place by `matched` alone.
 *
 * Failure modes: no memory, or more matches than MATCHES_MAX, for a revision: the watchers concerned fall behind, and
 * read it from history.
 */
#include <assert.h>
#include <stdlib.h>

#include "store/internal.h"
#include "tenure/error.h"

enum {
    MATCHES_MIN = 256,
    MATCHES_MAX = 1 << 18, /* 4 MiB */
};

tn_rev watch_live_floor(const struct watch_hub *hub)
{
    if (hub->count == 0)
        return INT64_MAX;
    return list_empty(&hub->ready) ? hub->matched + 1 : hub->matched;
}

static int matches_reserve(struct watch_hub *hub)
{
    if (hub->n_matches < hub->matches_cap)
        return 0;
    size_t cap = hub->matches_cap ? 2 * hub->matches_cap : MATCHES_MIN;
    if (cap > MATCHES_MAX)
        return TENURE_ELIMIT;
    struct watch_match *matches = realloc(hub->matches, cap * sizeof *matches);
    if (!matches)
        return TENURE_ENOMEM;
    hub->matches = matches;
    hub->matches_cap = cap;
    return 0;
}

/* Appends to the chain of w; room was reserved. */
static void match_add(struct watch_hub *hub, struct store_watcher *w, struct version *v, uint32_t ordinal)
{
    uint32_t at = (uint32_t)hub->n_matches++;
    hub->matches[at] = (struct watch_match){.version = v, .ordinal = ordinal, .next = MATCH_END};
    if (watcher_is_ready(w)) {
        hub->matches[w->match_last].next = at;
    } else {
        w->match_first = at;
        list_push_back(&hub->ready, &w->queue_node);
    }
    w->match_last = at;
}

struct match_user {
    struct store *s;
    struct version *version;
    uint32_t ordinal;
};

static void match_cb(void *user, struct watch_node *n)
{
    struct match_user *m = user;
    struct store_watcher *w = CONTAINER_OF(n, struct store_watcher, node);
    if (w->state != WATCHER_LIVE || w->next > m->version->main || !watcher_wants(w, m->version))
        return;
    if (matches_reserve(&m->s->watch) == 0)
        match_add(&m->s->watch, w, m->version, m->ordinal);
    else
        watcher_fall_behind(m->s, w, m->version->main);
}

/* Of a store with holes the next revision that has anything, or the durable one: there may be millions in between. */
static void skip_holes(struct store *s, size_t next)
{
    tn_rev main = next < s->history.len ? history_at(s, next)->main : s->revision_durable;
    s->watch.matched = main < s->revision_durable ? main : s->revision_durable;
}

bool watch_live_match(struct store *s)
{
    struct watch_hub *hub = &s->watch;
    assert(list_empty(&hub->ready));
    if (hub->count == 0 || hub->matched >= s->revision_durable)
        return false;
    hub->matched++;
    hub->n_matches = 0;
    struct match_user m = {.s = s};
    size_t first = history_lower_bound(s, hub->matched);
    if (s->config.has_holes)
        skip_holes(s, first);
    for (size_t i = first; i < s->history.len; i++) {
        m.version = history_at(s, i);
        if (m.version->main != hub->matched)
            break;
        watch_index_match(&hub->index, m.version->key->item.key, match_cb, &m);
        m.ordinal++;
    }
    return true;
}

static size_t chain_len(const struct watch_hub *hub, const struct store_watcher *w)
{
    size_t n = 0;
    for (uint32_t at = w->match_first; at != MATCH_END; at = hub->matches[at].next)
        n++;
    return n;
}

static size_t chain_take(struct store *s, struct store_watcher *w)
{
    struct watch_hub *hub = &s->watch;
    size_t n = 0;
    for (uint32_t at = w->match_first; at != MATCH_END; at = hub->matches[at].next) {
        hub->events[n] = watch_event(s, w, hub->matches[at].version);
        hub->ordinals[n++] = hub->matches[at].ordinal;
    }
    return n;
}

static void live_batch(struct store *s, struct store_watcher *w, struct store_watch_batch *ret)
{
    *ret = (struct store_watch_batch){
        .watcher = w,
        .user = w->user,
        .revision = s->revision_durable,
        .n_events = chain_take(s, w),
        .synced = s->watch.matched == s->revision_durable,
    };
    ret->events = s->watch.events;
    ret->ordinals = s->watch.ordinals;
}

bool watch_live_next(struct store *s, struct store_watch_batch *ret)
{
    struct watch_hub *hub = &s->watch;
    while (!list_empty(&hub->ready)) {
        struct store_watcher *w = LIST_ENTRY(hub->ready.next, struct store_watcher, queue_node);
        list_remove(&w->queue_node);
        if (watch_events_reserve(hub, chain_len(hub, w)) == 0) {
            live_batch(s, w, ret);
            return true;
        }
        watcher_fall_behind(s, w, hub->matched);
    }
    return false;
}
