/* The watch of the source, revision by revision into the destination.
 *
 * It begins with the revision that is here already, not behind it: an old etcd leaves out deletes of the very revision that it is
 * compacted to, and so it says that it is compacted instead.
 *
 * A key that changes in several revisions is told as often, one transaction after the other, unless they wait for longer than
 * BEHIND_MS: a mirror that is behind makes many of them one, in which the last change of a key counts, and so comes nearer again. What waits is bounded: past QUEUE_BYTES the watch ends, and begins anew
 * when all that came is carried out. Compacted: everything is compared. */
#include "mirror/internal.h"

#include <stdlib.h>

#define WATCH_BYTES_MAX ((size_t)1 << 30) /* one revision may be a delete of millions of keys */

/* ---- what comes ---- */

static void chunk_free(struct carrier *c, struct chunk *k)
{
    c->queued -= k->arena.total;
    list_remove(&k->link);
    arena_fini(&k->arena);
    free(k);
}

static bool copy_event(struct arena *a, struct event *to, const struct event *e)
{
    *to = *e;
    to->has_prev_kv = false;
    to->kv.key = arena_copy(a, e->kv.key);
    to->kv.value = arena_copy(a, e->kv.value);
    return to->kv.key.data && to->kv.value.data;
}

static struct chunk *chunk_new(const struct event *events, size_t n)
{
    struct chunk *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    arena_init(&k->arena, 0);
    list_init(&k->link);
    k->events = arena_array(&k->arena, n, sizeof *events);
    bool good = k->events != NULL;
    for (; good && k->n < n; k->n++)
        good = copy_event(&k->arena, &k->events[k->n], &events[k->n]);
    if (good)
        return k;
    arena_fini(&k->arena);
    free(k);
    return NULL;
}

static void on_events(void *user, const struct client_watch_events *e)
{
    struct carrier *c = user;
    struct tenure_error err;
    size_t skip = 0;
    tn_ms now = carrier_now(c);
    if (c->watch_ended)
        return;
    while (skip < e->n_events && e->events[skip].kv.mod_revision <= c->told)
        skip++;
    if (skip == e->n_events) {
        c->progress = e->revision > c->progress ? e->revision : c->progress;
        return;
    }
    struct chunk *k = chunk_new(e->events + skip, e->n_events - skip);
    if (!k) {
        error_set(&err, TENURE_ENOMEM, "out of memory for the source's events");
        carrier_note(c, &err);
        c->watch_ended = true;
        return;
    }
    list_push_back(&c->chunks, &k->link);
    c->queued += k->arena.total;
    k->came = now;
    c->told = e->events[e->n_events - 1].kv.mod_revision;
    c->watch_ended = c->queued > QUEUE_BYTES;
    carrier_go_on(c, now);
}

static void on_end(void *user, int code, tn_rev compact_revision, const struct tenure_error *error)
{
    struct carrier *c = user;
    (void)compact_revision;
    c->watch_ended = true;
    if (code == TENURE_ECOMPACTED)
        c->compare_all = true;
    if (code != TENURE_ELIMIT)
        carrier_note(c, error);
    if (code != TENURE_ELIMIT && code != TENURE_ECOMPACTED)
        c->retry_at = carrier_now(c) + 200;
    carrier_asked(c); /* so that it runs */
}

static void begin_watch(struct carrier *c, tn_ms now)
{
    static const struct client_watch_callbacks callbacks = {.on_events = on_events, .on_end = on_end};
    struct tenure_error err = {0};
    struct watch_create_req req = {.range = {buf_bytes(&c->prefix), buf_bytes(&c->prefix_end)},
                                   .start_revision = c->told,
                                   .progress_notify = true,
                                   .fragment = true};
    client_bound_watches(c->source, WATCH_BYTES_MAX);
    c->watch_ended = false;
    c->watch = client_watch_start(c->source, &req, &callbacks, c, now, &err);
    if (!c->watch) {
        carrier_failed(c, err.code ? err.code : TENURE_ENOMEM, &err, now);
        return;
    }
    client_watch_overlap(c->watch);
    carrier_asked(c);
}

static void end_watch(struct carrier *c, tn_ms now)
{
    if (c->watch)
        client_watch_stop(c->source, c->watch, now);
    c->watch = NULL;
    c->watch_ended = false;
}

void follow_end(struct carrier *c, tn_ms now)
{
    end_watch(c, now);
    LIST_FOREACH_SAFE(it, &c->chunks)
    chunk_free(c, LIST_ENTRY(it, struct chunk, link));
    c->queued = 0;
    c->told = c->progress = 0;
    c->busy_txn = false;
}

/* ---- into one transaction ---- */

static size_t revision_len(const struct event *events, size_t n, size_t *ret_bytes)
{
    size_t len = 0;
    *ret_bytes = 0;
    while (len < n && events[len].kv.mod_revision == events[0].kv.mod_revision) {
        *ret_bytes += events[len].kv.key.len + events[len].kv.value.len;
        len++;
    }
    return len;
}

/* 1: it is in the batch; 0: a call was begun; -1: out of memory. */
static int add_event(struct carrier *c, const struct event *e, tn_ms now)
{
    tn_lease lease = 0;
    if (e->type == EVENT_PUT && !leases_map(c, e->kv.lease, &lease, now))
        return 0;
    bytes key = carrier_map(c, &c->batch.arena, e->kv.key);
    bool good = e->type == EVENT_PUT ? batch_put(c, key, e->kv.value, lease) : batch_delete(c, key);
    if (good && e->type == EVENT_PUT)
        batch_note_check(c, &e->kv);
    return good ? 1 : -1;
}

static int add_events(struct carrier *c, const struct event *events, size_t n, tn_ms now)
{
    int rc = 1;
    for (size_t i = 0; i < n && rc == 1; i++)
        rc = add_event(c, &events[i], now);
    return rc;
}

/* Whether a transaction that has other revisions already can take these as well. A key twice: only when the mirror is behind. */
static bool goes_along(struct carrier *c, const struct event *events, size_t n, size_t size)
{
    size_t fresh = 0;
    if (n > c->ops_max || c->batch.arena.total > TOGETHER_BYTES)
        return false;
    for (size_t i = 0; i < n; i++) {
        bytes key = carrier_map(c, &c->batch.arena, events[i].kv.key);
        bool has = key.data && batch_has(c, key);
        if (!key.data || (has && !c->behind))
            return false;
        fresh += !has;
    }
    return batch_takes(c, fresh, size);
}

/* As many as one transaction takes, of a revision that does not fit into one. */
static size_t part_len(const struct carrier *c, const struct event *events, size_t n)
{
    size_t len = 0, size = 0;
    while (len < n && len < c->ops_max) {
        size += events[len].kv.key.len + events[len].kv.value.len;
        if (len > 0 && size > c->bytes_max)
            break;
        len++;
    }
    return len;
}

/* The first revision that waits, or what is left of it, alone. */
static int add_first(struct carrier *c, const struct event *events, size_t n, tn_ms now)
{
    struct record *a = &c->batch.after;
    tn_rev revision = events[0].kv.mod_revision;
    size_t done = a->part && a->part_of == revision ? (size_t)a->part : 0;
    if (done > n)
        done = n; /* another history would be the only way; the check at the start finds it */
    size_t len = part_len(c, events + done, n - done);
    int rc = add_events(c, events + done, len, now);
    bool whole = done + len == n;
    a->revision = whole ? revision : a->revision;
    a->part_of = whole ? 0 : revision;
    a->part = whole ? 0 : (int64_t)(done + len);
    return rc;
}

/* All that fits. */
static int fill(struct carrier *c, tn_ms now)
{
    bool first = true;
    LIST_FOREACH(it, &c->chunks)
    {
        struct chunk *k = LIST_ENTRY(it, struct chunk, link);
        for (size_t at = k->i, len, size; at < k->n; at += len) {
            const struct event *e = &k->events[at];
            len = revision_len(e, k->n - at, &size);
            int rc = 1;
            if (first)
                rc = add_first(c, e, len, now);
            else if (c->batch.after.part || !goes_along(c, e, len, size))
                return 1;
            else
                rc = add_events(c, e, len, now);
            if (rc != 1)
                return rc;
            if (!c->batch.after.part)
                c->batch.after.revision = e->kv.mod_revision;
            first = false;
        }
    }
    return 1;
}

tn_ms follow_behind_at(const struct carrier *c)
{
    return LIST_ENTRY(c->chunks.next, const struct chunk, link)->came + BEHIND_MS;
}

static void carry(struct carrier *c, tn_ms now)
{
    struct tenure_error err;
    batch_begin(c);
    c->behind = now >= follow_behind_at(c);
    int rc = fill(c, now);
    if (rc > 0)
        batch_commit(c, now);
    else if (rc < 0) {
        error_set(&err, TENURE_ENOMEM, "out of memory");
        carrier_retry(c, &err, now);
    }
}

void follow_carried_out(struct carrier *c)
{
    LIST_FOREACH_SAFE(it, &c->chunks)
    {
        struct chunk *k = LIST_ENTRY(it, struct chunk, link);
        while (k->i < k->n && k->events[k->i].kv.mod_revision <= c->rec.revision)
            k->i++;
        if (k->i < k->n)
            return;
        chunk_free(c, k);
    }
}

/* ---- on and on ---- */

/* The record alone: that the mirror lives, and that there is nothing up to there. */
static void beat(struct carrier *c, tn_ms now)
{
    batch_begin(c);
    if (c->progress > c->batch.after.revision && c->batch.after.part == 0)
        c->batch.after.revision = c->progress;
    batch_commit(c, now);
}

void follow_go_on(struct carrier *c, tn_ms now)
{
    c->state = CARRIER_FOLLOWING;
    if (foreign_undo(c, now))
        return;
    if (!list_empty(&c->chunks)) {
        if (!c->stuck || now >= follow_behind_at(c)) /* what comes meanwhile may help */
            carry(c, now);
        return;
    }
    if (c->compare_all) {
        follow_end(c, now);
        carrier_move(c, STEP_LOOK);
        return;
    }
    if (c->watch_ended)
        end_watch(c, now);
    if (!c->watch)
        begin_watch(c, now);
    if (c->watch && now - c->written_at >= c->k.heartbeat_ms)
        beat(c, now);
}
