/* Events: from an answer of the server to one call of on_events, each revision whole, in order, and once.
 *
 * An answer is copied and decoded into memory of its own, because it is delivered later. What the watch has seen already
 * is dropped: after a reconnect to a member that lags behind, older events may come again. Of fragments the revision that may
 * not be whole yet is kept, and those before it are delivered: all that a server has to tell may come as one answer. What a
 * watch has seen is counted by the events themselves, not by the answer's header: a server that catches a watch up sends
 * batches whose header is ahead of them.
 *
 * Failures. Undelivered events over the bound end the watch with TENURE_ELIMIT, behind what is queued. Events that go
 * back in revision within one answer, or an answer that cannot be read, make the stream untrustworthy: it is opened anew.
 */
#include <stdlib.h>

#include "client/internal.h"

/* ---- memory ---- */

static struct watch_batch *batch_new(struct client *c, struct client_watch *w, bytes message)
{
    struct watch_batch *b = malloc(sizeof *b + message.len);
    if (!b)
        return NULL;
    *b = (struct watch_batch){.watch = w, .bytes = sizeof *b + message.len};
    memcpy(b->message, message.data, message.len);
    delivery_init(&b->delivery, DELIVER_EVENTS);
    list_init(&b->link);
    list_init(&b->parts);
    arena_init(&b->arena, 0);
    c->watch_bytes += b->bytes;
    return b;
}

void watch_drop_batches(struct client *c, struct list *batches)
{
    while (!list_empty(batches))
        watch_batch_free(c, LIST_ENTRY(batches->next, struct watch_batch, link));
}

struct watch_batch *watch_batch_free(struct client *c, struct watch_batch *b)
{
    if (!b)
        return NULL;
    watch_drop_batches(c, &b->parts);
    deliver_never(c, &b->delivery);
    list_remove(&b->link);
    c->watch_bytes -= b->bytes;
    arena_fini(&b->arena);
    free(b);
    return NULL;
}

/* What its arena took since it held so much counts as well. */
static void count_arena(struct client *c, struct watch_batch *b, size_t since)
{
    c->watch_bytes += b->arena.total - since;
    b->bytes += b->arena.total - since;
}

/* With the events of the message but the first n of them. NULL: no memory, or it cannot be read. */
static struct watch_batch *batch_decode(struct client *c, struct client_watch *w, bytes message, size_t n,
                                        struct watch_resp *ret)
{
    struct watch_batch *b = batch_new(c, w, message);
    if (!b || decode_watch_resp(bytes_of(b->message, message.len), &b->arena, ret))
        return watch_batch_free(c, b);
    count_arena(c, b, 0);
    b->events = ret->events + n;
    b->n_events = ret->n_events - n;
    return b;
}

/* ---- order ---- */

static bool is_ordered(const struct event *events, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (events[i].kv.mod_revision < events[i - 1].kv.mod_revision)
            return false;
    }
    return true;
}

/* Skips what was seen before. */
static void drop_seen(struct watch_batch *b, tn_rev next_rev)
{
    while (b->n_events > 0 && b->events[0].kv.mod_revision < next_rev) {
        b->events++;
        b->n_events--;
    }
}

/* ---- fragments ---- */

/* Puts the events of the fragments before in front of b's. */
static int join_fragments(struct client *c, struct client_watch *w, struct watch_batch *b)
{
    size_t n = b->n_events, before = b->arena.total;
    if (list_empty(&w->fragments))
        return 0;
    LIST_FOREACH(it, &w->fragments)
    {
        n += LIST_ENTRY(it, struct watch_batch, link)->n_events;
    }
    struct event *all = arena_array(&b->arena, n, sizeof *all);
    if (!all)
        return TENURE_ENOMEM;
    size_t at = 0;
    LIST_FOREACH(it, &w->fragments)
    {
        struct watch_batch *part = LIST_ENTRY(it, struct watch_batch, link);
        memcpy(all + at, part->events, part->n_events * sizeof *all);
        at += part->n_events;
    }
    memcpy(all + at, b->events, b->n_events * sizeof *all);
    b->events = all;
    b->n_events = n;
    list_splice_back(&b->parts, &w->fragments);
    count_arena(c, b, before);
    return 0;
}

/* ---- what is whole ---- */

static void deliver_batch(struct client *c, struct client_watch *w, struct watch_batch *b)
{
    w->next_rev = b->revision + 1;
    order_saw(c, b->revision);
    list_push_back(&w->batches, &b->link);
    deliver_later(c, &b->delivery);
}

/* A notice says that everything up to its revision was sent; one from a lagging member may be old news. */
static void take_progress(struct client *c, struct client_watch *w, struct watch_batch *b, tn_rev revision)
{
    b->revision = revision;
    if (revision >= w->next_rev)
        deliver_batch(c, w, b);
    else
        watch_batch_free(c, b);
}

static void take_events(struct client *c, struct client_watch *w, struct watch_batch *b)
{
    drop_seen(b, w->next_rev);
    if (b->n_events == 0) {
        watch_batch_free(c, b);
        return;
    }
    b->revision = b->events[b->n_events - 1].kv.mod_revision;
    deliver_batch(c, w, b);
}

/* ---- answers in fragments ---- */

static tn_rev last_revision(const struct watch_batch *b)
{
    return b->events[b->n_events - 1].kv.mod_revision;
}

/* How many events are before the newest revision: these are whole. */
static size_t whole_events(const struct watch_batch *b)
{
    size_t n = b->n_events;
    while (n > 0 && b->events[n - 1].kv.mod_revision == last_revision(b))
        n--;
    return n;
}

/* What is kept, and b's events behind it. False: no memory. */
static bool deliver_kept(struct client *c, struct client_watch *w, struct watch_batch *b)
{
    if (join_fragments(c, w, b)) {
        watch_batch_free(c, b);
        return false;
    }
    take_events(c, w, b);
    return true;
}

static tn_rev kept_revision(const struct client_watch *w)
{
    return last_revision(LIST_ENTRY(w->fragments.prev, struct watch_batch, link));
}

/* b begins another revision than the one that is kept. */
static bool deliver_all_kept(struct client *c, struct client_watch *w)
{
    struct watch_batch *last = LIST_ENTRY(w->fragments.prev, struct watch_batch, link);
    list_remove(&last->link);
    return deliver_kept(c, w, last);
}

/* Takes b, which has events, in order behind those that are kept; these are of one revision. */
static bool take_fragment(struct client *c, struct client_watch *w, struct watch_batch *b, bytes message)
{
    struct watch_resp ignored;
    struct watch_batch *rest = b;
    size_t whole = whole_events(b);
    bool rc = true;
    if (whole > 0) {
        rest = batch_decode(c, w, message, whole, &ignored);
        b->n_events = whole;
        rc = deliver_kept(c, w, b);
    } else if (!list_empty(&w->fragments) && kept_revision(w) < last_revision(b)) {
        rc = deliver_all_kept(c, w);
    }
    if (!rc || !rest) {
        watch_batch_free(c, rest);
        return false;
    }
    list_push_back(&w->fragments, &rest->link);
    return true;
}

/* ---- answers ---- */

static bool is_behind_kept(const struct client_watch *w, const struct watch_batch *b)
{
    return b->n_events == 0 || list_empty(&w->fragments) || b->events[0].kv.mod_revision >= kept_revision(w);
}

static bool take_decoded(struct client *c, struct client_watch *w, struct watch_batch *b, const struct watch_resp *r,
                         bytes message)
{
    if (!is_ordered(b->events, b->n_events) || !is_behind_kept(w, b)) {
        watch_batch_free(c, b);
        return false;
    }
    if (r->fragment && b->n_events > 0)
        return take_fragment(c, w, b, message);
    if (r->fragment) {
        watch_batch_free(c, b);
        return true;
    }
    if (b->n_events > 0 || !list_empty(&w->fragments))
        return deliver_kept(c, w, b);
    take_progress(c, w, b, r->header.revision);
    return true;
}

bool watch_take(struct client *c, struct client_watch *w, bytes message)
{
    struct watch_resp r;
    struct watch_batch *b = batch_decode(c, w, message, 0, &r);
    if (!b || !take_decoded(c, w, b, &r, message))
        return false;
    if (c->watch_bytes > c->watch_bytes_max)
        watch_end(c, w, TENURE_ELIMIT, 0, "more events wait to be delivered than the client is set to hold");
    return true;
}
