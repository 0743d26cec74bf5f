/* From the store's batches to the watch streams.
 *
 * Happy path of a live event: the store hands it to all its watchers one after another; it is encoded for the first (once
 * with prev_kv, once without), and each stream gets a small head of its own in front of the shared bytes. What comes from
 * history is encoded for the one watcher that catches up.
 *
 * A response carries whole revisions. One that is large and has several events is cut where its client asked for
 * fragments. Failure: without memory for an event its stream is reset; its client resumes from what it has seen.
 */
#include <stdlib.h>

#include "base/blob.h"
#include "core/watching.h"

#define EVENTS_MAX 100  /* a batch; one revision may have more */
#define WORK_MAX   4096 /* batches and events a turn */
#define SHARED_MAX 1024 /* events of one revision kept encoded */

void fanout_init(struct fanout *f)
{
    buf_init(&f->encoded);
}

static void forget_shared(struct fanout *f)
{
    for (size_t i = 0; i < f->n_shared; i++) {
        blob_unref(f->shared[i].form[0]);
        blob_unref(f->shared[i].form[1]);
    }
    f->n_shared = 0;
}

void fanout_fini(struct fanout *f)
{
    forget_shared(f);
    free(f->shared);
    free(f->parts);
    buf_fini(&f->encoded);
}

/* ---- encoding ---- */

/* The place of an event of this revision; NULL: not shared, or no memory. */
static struct shared_event *shared_slot(struct fanout *f, tn_rev revision, uint32_t ordinal)
{
    if (ordinal >= SHARED_MAX)
        return NULL;
    if (f->revision != revision) {
        forget_shared(f);
        f->revision = revision;
    }
    if (ordinal >= f->cap_shared) {
        size_t cap = ordinal < 8 ? 8 : 2 * (size_t)ordinal;
        struct shared_event *grown = realloc(f->shared, cap * sizeof *grown);
        if (!grown)
            return NULL;
        f->shared = grown;
        f->cap_shared = cap;
    }
    while (f->n_shared <= ordinal)
        f->shared[f->n_shared++] = (struct shared_event){{NULL, NULL}};
    return &f->shared[ordinal];
}

static struct blob *encode_shared(struct fanout *f, const struct event *e, uint32_t ordinal)
{
    struct shared_event *slot = shared_slot(f, e->kv.mod_revision, ordinal);
    if (!slot)
        return NULL;
    struct blob **form = &slot->form[e->has_prev_kv];
    if (!*form) {
        buf_reset(&f->encoded);
        encode_event_field(e, &f->encoded);
        *form = buf_error(&f->encoded) ? NULL : blob_copy(buf_bytes(&f->encoded));
    }
    return *form;
}

static bool reserve_parts(struct fanout *f, size_t n)
{
    if (n <= f->cap_parts)
        return true;
    struct h2_part *grown = realloc(f->parts, n * sizeof *grown);
    if (!grown)
        return false;
    f->parts = grown;
    f->cap_parts = n;
    return true;
}

static size_t part_len(const struct h2_part *p)
{
    return p->shared ? p->shared->len : p->plain.len;
}

/* Parts 1 … n are the events, all shared. */
static bool share_events(struct fanout *f, const struct store_watch_batch *b)
{
    for (size_t i = 0; i < b->n_events; i++) {
        struct blob *blob = encode_shared(f, &b->events[i], b->ordinals[i]);
        if (!blob)
            return false;
        f->parts[i + 1] = (struct h2_part){.shared = blob};
    }
    return true;
}

/* Parts 1 … n are the events, one behind the other in `encoded`. */
static bool encode_events(struct fanout *f, const struct store_watch_batch *b)
{
    buf_reset(&f->encoded);
    for (size_t i = 0; i < b->n_events; i++) {
        size_t at = f->encoded.len;
        encode_event_field(&b->events[i], &f->encoded);
        f->parts[i + 1] = (struct h2_part){.plain = {NULL, f->encoded.len - at}};
    }
    if (buf_error(&f->encoded))
        return false;
    const uint8_t *at = f->encoded.data;
    for (size_t i = 1; i <= b->n_events; i++) {
        f->parts[i].plain.data = at;
        at += f->parts[i].plain.len;
    }
    return true;
}

/* ---- sending ---- */

/* One response with the events of parts[from] … parts[to - 1]; the head takes the place before them. */
static bool send_part(struct watch *w, tn_rev revision, size_t from, size_t to, bool fragment)
{
    struct core_call *call = w->stream->call;
    struct core *c = call->core;
    struct watch_resp head = {.header = c->header, .watch_id = w->id, .fragment = fragment};
    head.header.revision = revision;
    core_scratch(c);
    encode_watch_resp(&head, &c->out);
    if (buf_error(&c->out))
        return false;
    c->fanout.parts[from - 1] = (struct h2_part){.plain = buf_bytes(&c->out)};
    call->counts->sent++;
    c->events_total += to - from;
    return h2_send_parts(call->stream, &c->fanout.parts[from - 1], to - from + 1) == 0;
}

/* What the head of a response costs, with the mark of a fragment or without. */
static size_t head_len(const struct watch *w, tn_rev revision, bool fragment)
{
    struct core *c = w->stream->call->core;
    struct watch_resp head = {.header = c->header, .watch_id = w->id, .fragment = fragment};
    head.header.revision = revision;
    core_scratch(c);
    encode_watch_resp(&head, &c->out);
    return c->out.len;
}

/* Where a fragment that begins at `from` ends: at least one event, else as many as fit. */
static size_t fragment_end(const struct fanout *f, size_t from, size_t end, size_t head, size_t bytes_max)
{
    size_t to = from, len = head;
    do
        len += part_len(&f->parts[to++]);
    while (to < end && len + part_len(&f->parts[to]) < bytes_max);
    return to;
}

/* As etcd: as long as the longest message that is taken, everything counted. */
static bool send_fragments(struct watch *w, tn_rev revision, size_t n, size_t bytes_max)
{
    struct core *c = w->stream->call->core;
    size_t to = fragment_end(&c->fanout, 1, n + 1, head_len(w, revision, false), bytes_max);
    if (to > n)
        return send_part(w, revision, 1, n + 1, false);
    size_t head = head_len(w, revision, true);
    for (size_t from = 1; from <= n; from = to) {
        to = fragment_end(&c->fanout, from, n + 1, head, bytes_max);
        if (!send_part(w, revision, from, to, to <= n))
            return false;
    }
    return true;
}

static bool send_events(struct watch *w, tn_rev revision, size_t n)
{
    if (w->fragment)
        return send_fragments(w, revision, n, core_message_max(w->stream->call->core));
    return send_part(w, revision, 1, n + 1, false);
}

static void deliver(struct core *c, const struct store_watch_batch *b, tn_ms now)
{
    struct fanout *f = &c->fanout;
    struct watch_sink *sink = b->user;
    if (sink->deliver) {
        sink->deliver(sink, b, now);
        return;
    }
    struct watch *w = CONTAINER_OF(sink, struct watch, sink);
    if (!watch_is_permitted(w))
        return;
    if (b->compacted) {
        watch_compacted(w, b->compact_revision);
        return;
    }
    if (b->n_events == 0)
        return;
    bool ok = reserve_parts(f, b->n_events + 1) && ((b->ordinals && share_events(f, b)) || encode_events(f, b)) &&
              send_events(w, b->revision, b->n_events);
    if (!ok) {
        call_reset(w->stream->call);
        return;
    }
    conn_touch(w->stream->call->conn);
    prompt_told(w->stream->call->conn);
    progress_heard(w, now);
    watch_check_room(w->stream);
}

void fanout_run(struct core *c, tn_ms now)
{
    struct store_watch_batch b;
    c->fanout.more = true;
    for (size_t work = 0; work < WORK_MAX; work += 1 + b.n_events) {
        if (!store_watch_next(c->store, EVENTS_MAX, &b)) {
            forget_shared(&c->fanout);
            c->fanout.more = store_watch_pending(c->store);
            return;
        }
        deliver(c, &b, now);
    }
}
