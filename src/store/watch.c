/* Adding, removing and blocking watchers, and what every batch is made of. See watch.h for the states.
 *
 * Failure modes: no memory for a watcher refuses it; no memory for what it should get makes it read that from history
 * later.
 */
#include "store/watch.h"

#include <assert.h>
#include <stdlib.h>

#include "store/internal.h"
#include "tenure/error.h"

enum { EVENTS_MIN = 64, EVENTS_KEEP = 4096 };

void watch_hub_init(struct watch_hub *hub)
{
    memset(hub, 0, sizeof *hub);
    watch_index_init(&hub->index);
    list_init(&hub->ready);
    list_init(&hub->behind);
}

void watch_hub_fini(struct watch_hub *hub)
{
    for (struct watch_node *n; (n = watch_index_any(&hub->index));) {
        watch_index_remove(&hub->index, n);
        free(CONTAINER_OF(n, struct store_watcher, node));
    }
    watch_index_fini(&hub->index);
    free(hub->matches);
    free(hub->events);
    free(hub->ordinals);
}

/* ---- adding and removing ---- */

/* Copies the range behind the watcher; an empty key is a single 0 byte. */
static struct store_watcher *watcher_new(const struct watch_create_req *req)
{
    struct key_range r = req->range;
    if (r.key.len == 0)
        r.key = bytes_of("", 1);
    struct store_watcher *w = calloc(1, sizeof *w + r.key.len + r.range_end.len);
    if (!w)
        return NULL;
    memcpy(w->range_data, r.key.data, r.key.len);
    if (r.range_end.len)
        memcpy(w->range_data + r.key.len, r.range_end.data, r.range_end.len);
    w->node.range.key = bytes_of(w->range_data, r.key.len);
    w->node.range.range_end = bytes_of(w->range_data + r.key.len, r.range_end.len);
    w->prev_kv = req->prev_kv;
    w->no_put = req->no_put;
    w->no_delete = req->no_delete;
    list_init(&w->node.key_node);
    list_init(&w->queue_node);
    return w;
}

static bool range_is_empty(struct key_range r)
{
    return !key_range_is_single(r) && !key_range_is_from(r) && bytes_compare(r.key, r.range_end) >= 0;
}

static void watcher_start(struct store *s, struct store_watcher *w, tn_rev start)
{
    w->next = start ? start : s->revision_durable + 1;
    if (w->next > s->revision_durable)
        w->state = WATCHER_LIVE;
    else
        watcher_fall_behind(s, w, w->next);
}

enum etcd_error store_watch_add(struct store *s, const struct watch_create_req *req, void *user,
                                struct store_watcher **ret)
{
    if (req->start_revision < 0)
        return ETCD_COMPACTED;
    if (range_is_empty(req->range))
        return ETCD_WATCH_EMPTY_RANGE;
    struct store_watcher *w = watcher_new(req);
    if (!w)
        return ETCD_OUT_OF_MEMORY;
    w->hub = &s->watch;
    w->user = user;
    w->node.id = s->watch.next_id++;
    w->node.priority = rng_u64(&s->rng);
    if (watch_index_add(&s->watch.index, &w->node) != 0) {
        free(w);
        return ETCD_OUT_OF_MEMORY;
    }
    if (s->watch.count++ == 0)
        s->watch.matched = s->revision_durable; /* there was nobody to match for */
    watcher_start(s, w, req->start_revision);
    *ret = w;
    return ETCD_OK;
}

void store_watch_remove(struct store *s, struct store_watcher *w)
{
    list_remove(&w->queue_node);
    watch_index_remove(&s->watch.index, &w->node);
    s->watch.count--;
    free(w);
}

/* ---- moving between states ---- */

void watcher_fall_behind(struct store *s, struct store_watcher *w, tn_rev next)
{
    assert(w->state != WATCHER_GONE);
    list_remove(&w->queue_node);
    w->state = WATCHER_BEHIND;
    w->next = next;
    if (!w->blocked)
        list_push_back(&s->watch.behind, &w->queue_node);
}

void watcher_go_live(struct watch_hub *hub, struct store_watcher *w)
{
    assert(w->state == WATCHER_BEHIND);
    list_remove(&w->queue_node);
    w->state = WATCHER_LIVE;
    if (w->next <= hub->matched)
        w->next = hub->matched + 1;
}

/* A live watcher that is blocked leaves a place to read on from, whatever it was about to get. */
static void watcher_block(struct store *s, struct store_watcher *w)
{
    if (w->state == WATCHER_LIVE)
        watcher_fall_behind(s, w, store_watch_position(w));
    list_remove(&w->queue_node);
}

static void watcher_unblock(struct store *s, struct store_watcher *w)
{
    if (w->state != WATCHER_BEHIND)
        return;
    if (w->next > s->revision_durable)
        watcher_go_live(&s->watch, w);
    else
        list_push_back(&s->watch.behind, &w->queue_node);
}

void store_watch_block(struct store *s, struct store_watcher *w, bool blocked)
{
    if (w->blocked == blocked)
        return;
    w->blocked = blocked;
    if (blocked)
        watcher_block(s, w);
    else
        watcher_unblock(s, w);
}

struct key_range store_watch_range(const struct store_watcher *w)
{
    return w->node.range;
}

tn_rev store_watch_position(const struct store_watcher *w)
{
    if (w->state != WATCHER_LIVE)
        return w->next;
    tn_rev next = watcher_is_ready(w) ? w->hub->matched : w->hub->matched + 1;
    return next > w->next ? next : w->next;
}

bool store_watch_synced(const struct store *s, const struct store_watcher *w)
{
    return w->state != WATCHER_GONE && store_watch_position(w) > s->revision_durable;
}

int64_t store_watchers(const struct store *s)
{
    return s->watch.count;
}

/* ---- events ---- */

bool watcher_wants(const struct store_watcher *w, const struct version *v)
{
    return version_is_tombstone(v) ? !w->no_delete : !w->no_put;
}

int watch_events_reserve(struct watch_hub *hub, size_t n)
{
    if (n <= hub->events_cap)
        return 0;
    size_t cap = hub->events_cap ? 2 * hub->events_cap : EVENTS_MIN;
    if (cap < n)
        cap = n;
    struct event *events = realloc(hub->events, cap * sizeof *events);
    if (!events)
        return TENURE_ENOMEM;
    hub->events = events;
    uint32_t *ordinals = realloc(hub->ordinals, cap * sizeof *ordinals);
    if (!ordinals)
        return TENURE_ENOMEM;
    hub->ordinals = ordinals;
    hub->events_cap = cap;
    return 0;
}

/* The value before an event at or below the compaction revision lies at a revision that is compacted. */
static const struct version *version_previous(const struct store *s, const struct version *v)
{
    const struct version *before = v->main > s->compacted_durable ? key_before(v) : NULL;
    return before && !version_is_tombstone(before) ? before : NULL;
}

struct event watch_event(const struct store *s, const struct store_watcher *w, const struct version *v)
{
    struct event e = {.type = EVENT_PUT, .kv = version_kv(v)};
    if (version_is_tombstone(v)) {
        e.type = EVENT_DELETE;
        e.kv = (struct kv){.key = v->key->item.key, .mod_revision = v->main};
    }
    const struct version *before = w->prev_kv ? version_previous(s, v) : NULL;
    if (before) {
        e.has_prev_kv = true;
        e.prev_kv = version_kv(before);
    }
    return e;
}

/* What one huge revision needed is not kept. */
static void events_release(struct watch_hub *hub)
{
    if (hub->events_cap <= EVENTS_KEEP)
        return;
    free(hub->events);
    free(hub->ordinals);
    hub->events = NULL;
    hub->ordinals = NULL;
    hub->events_cap = 0;
}

bool store_watch_pending(const struct store *s)
{
    const struct watch_hub *hub = &s->watch;
    bool unmatched = hub->count > 0 && hub->matched < s->revision_durable;
    return unmatched || !list_empty(&hub->ready) || !list_empty(&hub->behind);
}

bool store_watch_next(struct store *s, size_t events_max, struct store_watch_batch *ret)
{
    events_release(&s->watch);
    do {
        if (watch_live_next(s, ret))
            return true;
    } while (watch_live_match(s));
    return watch_history_next(s, events_max ? events_max : 1, ret);
}
