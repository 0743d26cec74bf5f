/* The queue of completions: filled by everything else, emptied by client_deliver alone, which runs the caller's code.
 *
 * A completion may start and cancel anything: so an entry is taken out of the queue, and all that belongs to it is
 * settled, before its callback is called, and nothing of it is touched afterwards but what the callback could not free.
 * What callbacks add is delivered in the same call while it is no more than what was there before; the rest is left, and
 * client_deadline says "now": a callback that always cancels what it starts does not hold the driver's turn for ever.
 */
#include <assert.h>

#include "client/internal.h"

void delivery_init(struct delivery *d, enum delivery_kind kind)
{
    list_init(&d->link);
    d->kind = kind;
}

void deliver_later(struct client *c, struct delivery *d)
{
    if (!list_empty(&d->link))
        return;
    list_push_back(&c->deliveries, &d->link);
    c->n_deliveries++;
}

void deliver_never(struct client *c, struct delivery *d)
{
    if (list_empty(&d->link))
        return;
    list_remove(&d->link);
    c->n_deliveries--;
}

/* ---- watches ---- */

/* Its context is the present one while it is told, and lives as long, should it be stopped meanwhile. */
static struct client_context *watch_enter(struct client *c, const struct client_watch *w)
{
    return client_context_use(c, client_context_ref(w->context));
}

static void watch_exit(struct client *c, struct client_context *before)
{
    client_context_unref(client_context_use(c, before));
}

static void deliver_created(struct client *c, struct client_watch *w)
{
    struct client_context *before = watch_enter(c, w);
    if (w->cb.on_created)
        w->cb.on_created(w->user, w->created_revision);
    watch_exit(c, before);
}

/* The callback may stop the watch, and read the reason behind that. */
static void deliver_end(struct client *c, struct client_watch *w)
{
    struct client_context *before = watch_enter(c, w);
    struct tenure_error error = w->end_error;
    if (w->cb.on_end)
        w->cb.on_end(w->user, w->end_code, w->end_compact_revision, &error);
    watch_exit(c, before);
}

static void deliver_events(struct client *c, struct watch_batch *b)
{
    struct client_watch *w = b->watch;
    struct client_watch_events e = {.revision = b->revision, .events = b->events, .n_events = b->n_events};
    struct client_context *before = watch_enter(c, w);
    list_remove(&b->link); /* from now on not the watch's any more: the callback may stop it */
    if (w->cb.on_events)
        w->cb.on_events(w->user, &e);
    watch_exit(c, before);
    watch_batch_free(c, b);
}

/* ---- keepalives ---- */

/* Both may be due; a callback for the first may have freed k, so only one is called, and the other queued again before. */
static void deliver_keepalive(struct client *c, struct client_keepalive *k)
{
    if (k->renewed) {
        k->renewed = false;
        if (k->gone)
            deliver_later(c, &k->delivery);
        if (k->cb.on_renewed)
            k->cb.on_renewed(k->user, k->renewed_sent_at, k->renewed_ttl_s);
    } else if (k->gone) {
        k->gone = false;
        if (k->cb.on_gone)
            k->cb.on_gone(k->user);
    }
}

/* ---- the queue ---- */

static void deliver_one(struct client *c)
{
    struct delivery *d = LIST_ENTRY(c->deliveries.next, struct delivery, link);
    deliver_never(c, d);
    switch (d->kind) {
    case DELIVER_CALL:
        call_deliver(c, CONTAINER_OF(d, struct client_call, delivery));
        break;
    case DELIVER_CREATED:
        deliver_created(c, CONTAINER_OF(d, struct client_watch, created));
        break;
    case DELIVER_EVENTS:
        deliver_events(c, CONTAINER_OF(d, struct watch_batch, delivery));
        break;
    case DELIVER_END:
        deliver_end(c, CONTAINER_OF(d, struct client_watch, end));
        break;
    case DELIVER_KEEPALIVE:
        deliver_keepalive(c, CONTAINER_OF(d, struct client_keepalive, delivery));
        break;
    }
}

size_t client_deliveries(const struct client *c)
{
    return c->n_deliveries;
}

bool client_deliver_one(struct client *c)
{
    assert(!c->delivering);
    if (list_empty(&c->deliveries))
        return false;
    c->delivering = true;
    deliver_one(c);
    c->delivering = false;
    return true;
}

bool client_deliver(struct client *c)
{
    size_t turns = 2 * c->n_deliveries;
    bool any = turns > 0;
    for (; turns > 0 && client_deliver_one(c); turns--) {
    }
    return any;
}
