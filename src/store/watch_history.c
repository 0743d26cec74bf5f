/* Catching up: watchers that are behind read the history in turn, each a batch of whole revisions, until they have what
 * was matched live; from there on they are live.
 *
 * A watcher of one key reads that key's versions alone; one of a range walks the history, of which one call reads at
 * most a share, so that many watchers with few events do not stop the loop.
 *
 * Failure modes: a start below the compaction revision ends the watcher, told once; no memory leaves it where it is.
 */
#include "store/internal.h"

enum {
    STEPS_MAX = 32768,   /* versions looked at in one call */
    BYTES_MAX = 1 << 20, /* of keys and values in one batch: no revision is begun behind it */
};

enum reading { READING_MORE, READING_END, READING_NO_MEMORY };

struct reader {
    struct store *s;
    struct store_watcher *w;
    size_t events_max;
    size_t n;     /* events so far, in the hub's array */
    size_t bytes; /* of their keys and values */
    size_t steps; /* left in this call */
};

static bool reader_add(struct reader *r, const struct version *v)
{
    struct watch_hub *hub = &r->s->watch;
    if (watch_events_reserve(hub, r->n + 1) != 0)
        return false;
    struct event *e = &hub->events[r->n++];
    *e = watch_event(r->s, r->w, v);
    r->bytes += e->kv.key.len + e->kv.value.len + e->prev_kv.key.len + e->prev_kv.value.len;
    return true;
}

static bool is_full(const struct reader *r)
{
    return r->n >= r->events_max || r->steps == 0 || r->bytes >= BYTES_MAX;
}

static void reader_step(struct reader *r)
{
    if (r->steps > 0)
        r->steps--;
}

static enum reading read_from(struct reader *r, tn_rev next)
{
    r->w->next = next;
    return READING_MORE;
}

static enum reading read_end(struct reader *r)
{
    r->w->next = r->s->watch.matched + 1;
    return READING_END;
}

/* Each version is a revision of its own. */
static enum reading read_key(struct reader *r)
{
    struct key *k = store_key_find(r->s, r->w->node.range.key);
    for (size_t i = k ? key_lower_bound(k, r->w->next) : 0; k && i < key_len(k); i++) {
        const struct version *v = key_nth(k, i);
        if (v->main > r->s->watch.matched)
            break;
        if (is_full(r))
            return read_from(r, v->main);
        reader_step(r);
        if (watcher_wants(r->w, v) && !reader_add(r, v))
            return READING_NO_MEMORY;
    }
    return read_end(r);
}

/* A revision that does not fit any more is taken back whole, unless it is the first: that comes however long it is. */
static enum reading read_range(struct reader *r)
{
    tn_rev revision = 0;
    size_t whole = 0; /* events of the revisions before `revision` */
    for (size_t i = history_lower_bound(r->s, r->w->next); i < r->s->history.len; i++) {
        const struct version *v = history_at(r->s, i);
        if (v->main > r->s->watch.matched)
            break;
        if (v->main != revision) {
            revision = v->main;
            whole = r->n;
            if (is_full(r))
                return read_from(r, revision);
        }
        reader_step(r);
        if (!watcher_wants(r->w, v) || !key_range_contains(r->w->node.range, v->key->item.key))
            continue;
        if (!reader_add(r, v))
            return READING_NO_MEMORY;
        if (r->n > r->events_max && whole > 0) {
            r->n = whole;
            return read_from(r, revision);
        }
    }
    return read_end(r);
}

static void history_batch(struct reader *r, struct store_watch_batch *ret)
{
    *ret = (struct store_watch_batch){
        .watcher = r->w,
        .user = r->w->user,
        .revision = r->s->revision_durable,
        .events = r->s->watch.events,
        .n_events = r->n,
        .synced = store_watch_synced(r->s, r->w),
    };
}

static void gone_batch(struct store *s, struct store_watcher *w, struct store_watch_batch *ret)
{
    list_remove(&w->queue_node);
    w->state = WATCHER_GONE;
    *ret = (struct store_watch_batch){
        .watcher = w,
        .user = w->user,
        .revision = s->revision_durable,
        .compacted = true,
        .compact_revision = s->compacted_durable,
    };
}

/* The watcher goes to the end of the queue, or live. */
static enum reading reader_run(struct reader *r)
{
    list_remove(&r->w->queue_node);
    list_push_back(&r->s->watch.behind, &r->w->queue_node);
    enum reading reading = key_range_is_single(r->w->node.range) ? read_key(r) : read_range(r);
    if (reading == READING_END)
        watcher_go_live(&r->s->watch, r->w);
    return reading;
}

bool watch_history_next(struct store *s, size_t events_max, struct store_watch_batch *ret)
{
    struct reader r = {.s = s, .events_max = events_max, .steps = STEPS_MAX};
    while (!list_empty(&s->watch.behind) && r.steps > 0) {
        r.n = r.bytes = 0;
        r.w = LIST_ENTRY(s->watch.behind.next, struct store_watcher, queue_node);
        if (r.w->next < s->compacted_durable) {
            gone_batch(s, r.w, ret);
            return true;
        }
        if (reader_run(&r) == READING_NO_MEMORY)
            return false;
        if (r.n > 0) {
            history_batch(&r, ret);
            return true;
        }
        reader_step(&r); /* a watcher costs something even when there is nothing to read */
    }
    return false;
}
