/* Progress: "you have seen everything up to this revision", by interval for watches that asked for it (progress_notify), and
 * by hand for a whole stream (watch id -1).
 *
 * It is queued behind the events that it speaks of, on the same stream, and no later event has a revision at or below its
 * own. A stream is told when all its watchers have got every durable event; one that waits for a future revision, or was
 * cancelled by compaction, does not hold it up (in etcd it does, and a stream without watchers gets no answer).
 */
#include "core/watching.h"

static void send_progress(struct watch_stream *ws, int64_t id)
{
    struct core *c = ws->call->core;
    struct watch_resp resp = {.header = c->header, .watch_id = id};
    resp.header.revision = store_revision(c->store);
    core_scratch(c);
    encode_watch_resp(&resp, &c->out);
    watch_send(ws);
}

/* ---- by hand ---- */

/* The one found behind moves to the front: asked again soon, it is the first to be looked at. */
static bool is_synced(struct watch_stream *ws)
{
    struct core *c = ws->call->core;
    if (ws->blocked)
        return false;
    LIST_FOREACH(it, &ws->alive)
    {
        if (store_watch_synced(c->store, LIST_ENTRY(it, struct watch, in_stream)->watcher))
            continue;
        list_remove(it);
        list_push_front(&ws->alive, it);
        return false;
    }
    return true;
}

void progress_ask(struct watch_stream *ws)
{
    if (is_synced(ws))
        send_progress(ws, -1);
    else if (list_empty(&ws->in_progress))
        list_push_back(&ws->call->core->progress, &ws->in_progress);
}

static void answer_asked(struct core *c)
{
    LIST_FOREACH_SAFE(it, &c->progress)
    {
        struct watch_stream *ws = LIST_ENTRY(it, struct watch_stream, in_progress);
        if (!is_synced(ws))
            continue;
        list_remove(&ws->in_progress);
        send_progress(ws, -1);
    }
}

/* ---- by interval ---- */

/* As etcd's: up to a tenth more, so that watches made together are not told together. */
int progress_begin(struct watch *w, tn_ms now)
{
    struct core *c = w->stream->call->core;
    int64_t tenth = c->config.progress_ms / 10;
    w->interval = c->config.progress_ms + (tenth > 0 ? (int64_t)rng_below(&c->config.seed, (uint64_t)tenth) : 0);
    w->heard_at = now;
    return heap_insert(&c->notify, &w->in_notify, now + w->interval);
}

void progress_forget(struct watch *w)
{
    heap_remove(&w->stream->call->core->notify, &w->in_notify);
}

static void notify(struct watch *w, tn_ms now)
{
    struct watch_stream *ws = w->stream;
    progress_heard(w, now);
    if (!ws->blocked && store_watch_synced(ws->call->core->store, w->watcher))
        send_progress(ws, w->id);
}

/* What a watch hears meanwhile only moves the time at which it is due when that is looked at. */
void progress_run(struct core *c, tn_ms now)
{
    struct heap_node *first;
    answer_asked(c);
    while ((first = heap_first(&c->notify)) && first->at <= now) {
        struct watch *w = CONTAINER_OF(first, struct watch, in_notify);
        bool silent = now - w->heard_at >= w->interval;
        heap_move(&c->notify, first, (silent ? now : w->heard_at) + w->interval);
        if (silent)
            notify(w, now);
    }
}

tn_ms progress_deadline(const struct core *c)
{
    struct heap_node *first = heap_first(&c->notify);
    return first ? first->at : TN_MS_NEVER;
}
