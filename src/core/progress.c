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

void progress_heard(struct watch *w, tn_ms now)
{
    if (!w->notify)
        return;
    w->heard_at = now;
    list_remove(&w->in_notify);
    list_push_back(&w->stream->call->core->notify, &w->in_notify);
}

static struct watch *longest_silent(const struct core *c)
{
    return list_empty(&c->notify) ? NULL : LIST_ENTRY(c->notify.next, struct watch, in_notify);
}

static void notify(struct watch *w, tn_ms now)
{
    struct watch_stream *ws = w->stream;
    progress_heard(w, now);
    if (!ws->blocked && store_watch_synced(ws->call->core->store, w->watcher))
        send_progress(ws, w->id);
}

void progress_run(struct core *c, tn_ms now)
{
    struct watch *w;
    answer_asked(c);
    while ((w = longest_silent(c)) && now - w->heard_at >= c->config.progress_ms)
        notify(w, now);
}

tn_ms progress_deadline(const struct core *c)
{
    struct watch *w = longest_silent(c);
    return w ? w->heard_at + c->config.progress_ms : TN_MS_NEVER;
}
