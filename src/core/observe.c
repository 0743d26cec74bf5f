/*     LOOKING --there is a leader: it is told--> AT_KEY (its proclamations are told) --its key is gone--> LOOKING
 *        `----there is none----> AT_QUEUE --the first put in the queue is told--> AT_KEY
 *
 * So leaders come in order, and the last one always; one that led only while its predecessor's end was on its way may be
 * left out, as in etcd.
 *
 * A client that takes nothing blocks its watcher in the store, which then reads history; what compaction took away meanwhile
 * is made up for by looking again. Whoever may not read the queue any more is told so instead of the next leader. Failure:
 * no memory ends the stream.
 */
#include "core/observe.h"

#include <stdlib.h>

#include "core/task.h"
#include "core/watching.h"
#include "store/auth.h"

#define OBSERVER_BYTES 800
#define STREAM_SHARE   4 /* it may queue this part of what its connection may */

struct observer {
    struct task task; /* in conn.waiting while it is blocked; else in no list */
    struct watch_sink sink;
    struct store_watcher *watcher;
    struct watch_user *user; /* who it is; NULL: authentication was off when it began */
    uint64_t auth_seen;
    bool at_queue, blocked;
    size_t bytes; /* its part of core.watch_bytes */
    size_t end_len;
    uint8_t ends[]; /* of the queue's range */
};

static struct key_range queue_of(const struct observer *o)
{
    return (struct key_range){bytes_of(o->ends, o->end_len), bytes_of(o->ends + o->end_len, o->end_len)};
}

static void unwatch(struct observer *o)
{
    if (o->watcher)
        store_watch_remove(o->task.call->core->store, o->watcher);
    o->watcher = NULL;
}

static void observer_free(struct task *t)
{
    struct observer *o = CONTAINER_OF(t, struct observer, task);
    unwatch(o);
    t->call->core->watch_bytes -= o->bytes;
    free(o->user);
    free(o);
}

/* ---- telling ---- */

/* False: the call has ended, and o with it. */
static bool tell(struct observer *o, const struct kv *kv, tn_rev revision)
{
    struct core_call *call = o->task.call;
    struct core *c = call->core;
    core_scratch(c);
    encode_leader_resp(&c->header, &(struct leader_resp){.revision = revision, .kv = *kv}, &c->out);
    if (!buf_error(&c->out))
        return call_send(call);
    call_fail(call, ETCD_OUT_OF_MEMORY);
    return false;
}

static void check_room(struct observer *o)
{
    struct core_call *call = o->task.call;
    size_t room = call->core->config.conn_output_max / STREAM_SHARE;
    if (o->blocked || (h2_stream_queued(call->stream) < room && !conn_is_full(call->conn)))
        return;
    o->blocked = true;
    store_watch_block(call->core->store, o->watcher, true);
    list_remove(&o->task.link);
    list_push_back(&call->conn->waiting, &o->task.link);
}

/* ---- watching ---- */

/* False: the call has ended. */
static bool watch(struct observer *o, struct key_range range, bool at_queue, tn_rev start)
{
    struct watch_create_req req = {.range = range, .start_revision = start, .no_delete = at_queue};
    struct core_call *call = o->task.call;
    unwatch(o);
    o->at_queue = at_queue;
    enum etcd_error e = store_watch_add(call->core->store, &req, &o->sink, &o->watcher);
    if (e != ETCD_OK)
        call_fail(call, e);
    else if (o->blocked)
        store_watch_block(call->core->store, o->watcher, true);
    return e == ETCD_OK;
}

/* The bytes of kv are the store's own and stay while there is a version of the key. */
static void follow(struct observer *o, const struct kv *kv, tn_rev told, tn_rev start)
{
    struct key_range key = {kv->key, bytes_of(NULL, 0)};
    if (watch(o, key, false, start) && tell(o, kv, told))
        check_room(o);
}

static void look(struct observer *o)
{
    struct core *c = o->task.call->core;
    tn_rev revision = store_revision(c->store);
    struct kv kv;
    if (store_queue_first(c->store, queue_of(o), &kv))
        follow(o, &kv, revision, revision + 1);
    else
        (void)watch(o, queue_of(o), true, revision + 1);
}

/* Tells puts of the leader's key up to its end, if that is among them. False: the call has ended. */
static bool tell_proclamations(struct observer *o, const struct store_watch_batch *b, bool *ret_gone)
{
    for (size_t i = 0; i < b->n_events && !*ret_gone; i++) {
        if (b->events[i].type == EVENT_DELETE)
            *ret_gone = true;
        else if (!tell(o, &b->events[i].kv, b->revision))
            return false;
    }
    return true;
}

static void on_event(struct watch_sink *sink, const struct store_watch_batch *b, tn_ms now)
{
    struct observer *o = CONTAINER_OF(sink, struct observer, sink);
    bool gone = b->compacted;
    (void)now;
    enum etcd_error e = watch_auth_still(o->task.call, o->user, &o->auth_seen, queue_of(o));
    if (e != ETCD_OK) {
        call_fail(o->task.call, e);
        return;
    }
    if (o->at_queue && b->n_events > 0) {
        struct kv first = b->events[0].kv;
        follow(o, &first, first.mod_revision, first.mod_revision + 1);
        return;
    }
    if (!tell_proclamations(o, b, &gone))
        return;
    if (gone)
        look(o);
    else
        check_room(o);
}

/* There is room again. */
static void observer_step(struct task *t, tn_ms now)
{
    struct observer *o = CONTAINER_OF(t, struct observer, task);
    (void)now;
    list_remove(&t->link);
    o->blocked = false;
    store_watch_block(t->call->core->store, o->watcher, false);
    t->call->core->fanout.more = true;
}

static const struct task_kind observer_kind = {.step = observer_step, .free = observer_free, .needs_room = true};

void observe_start(struct core_call *call, struct key_range queue)
{
    struct core *c = call->core;
    size_t bytes = OBSERVER_BYTES + 4 * queue.key.len;
    struct watch_user *user;
    enum etcd_error e = watch_auth_user(call, &user);
    if (e != ETCD_OK) {
        call_fail(call, e);
        return;
    }
    bool fits = bytes <= c->config.watch_bytes_max - c->watch_bytes;
    struct observer *o = fits ? calloc(1, sizeof *o + 2 * queue.key.len) : NULL;
    if (!o) {
        free(user);
        call_fail(call, fits ? ETCD_OUT_OF_MEMORY : ETCD_TOO_MANY_REQUESTS);
        return;
    }
    o->user = user;
    o->auth_seen = store_auth_changes(c->store);
    o->sink.deliver = on_event;
    o->end_len = queue.key.len;
    memcpy(o->ends, queue.key.data, queue.key.len);
    memcpy(o->ends + o->end_len, queue.range_end.data, queue.range_end.len);
    o->bytes = bytes;
    c->watch_bytes += bytes;
    task_start(call, &o->task, &observer_kind);
    list_remove(&o->task.link); /* it has nothing to do in slices */
    look(o);
}
