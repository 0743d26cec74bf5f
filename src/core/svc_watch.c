/* The Watch service: one stream carries any number of watches, created and cancelled by messages.
 *
 * Happy path: create -> `created` is queued at once -> the store's batches come by fanout.c -> cancel -> `canceled`. What
 * cannot be created is told in the stream (created and canceled, watch id -1, a reason), never as a status, because the
 * other watches go on.
 *
 * A watch whose start was compacted is told so by canceled and compact_revision. As in etcd its id stays taken and a later
 * cancel of it is answered; unlike etcd it does not hold up the stream's progress. At most WATCHES_DEAD_MAX such ids are
 * kept a stream, the oldest go first.
 *
 * A stream whose client takes nothing blocks its watchers in the store; they catch up from history when there is room.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/watching.h"
#include "store/auth.h"

/* A stream may queue this part of what its connection may, so that one that is stuck leaves room for others. */
#define STREAM_SHARE 4
/* What a watch costs without its range, roughly. */
#define WATCH_BYTES     512
#define DENIED_TEXT_MAX 160

/* ---- replies ---- */

static size_t room_of(const struct watch_stream *ws)
{
    return ws->call->core->config.conn_output_max / STREAM_SHARE;
}

static void queue_message(struct watch_stream *ws)
{
    struct core_call *call = ws->call;
    if (call->ended)
        return;
    if (buf_error(&call->core->out)) {
        call_reset(call);
        return;
    }
    if (call_queue(call) && h2_stream_queued(call->stream) > 2 * call->core->config.conn_output_max)
        call_fail(call, ETCD_TOO_MANY_REQUESTS);
}

void watch_send(struct watch_stream *ws)
{
    conn_touch(ws->call->conn);
    queue_message(ws);
}

static void reply(struct watch_stream *ws, const struct watch_resp *resp)
{
    core_scratch(ws->call->core);
    encode_watch_resp(resp, &ws->call->core->out);
    watch_send(ws);
}

static struct response_header header_at(const struct core *c, tn_rev revision)
{
    struct response_header h = c->header;
    h.revision = revision;
    return h;
}

/* As Go writes a status. */
static const char *status_name(enum grpc_status status)
{
    switch (status) {
    case GRPC_INVALID_ARGUMENT:
        return "InvalidArgument";
    case GRPC_UNAUTHENTICATED:
        return "Unauthenticated";
    default:
        return "PermissionDenied";
    }
}

/* What is refused for want of permission is told in the words of a gRPC error. etcd knows four of them and calls all others
 * "permission denied". */
static bytes denied_text(char *out, size_t size, enum etcd_error e)
{
    if (e != ETCD_INVALID_AUTH_TOKEN && e != ETCD_AUTH_OLD_REVISION && e != ETCD_USER_EMPTY)
        e = ETCD_PERMISSION_DENIED;
    snprintf(out, size, "rpc error: code = %s desc = %s", status_name(etcd_error_status(e)), etcd_error_text(e));
    return bytes_str(out);
}

static void reply_refused(struct watch_stream *ws, bytes why)
{
    struct core *c = ws->call->core;
    reply(ws, &(struct watch_resp){
                  .header = header_at(c, store_revision(c->store)),
                  .watch_id = -1,
                  .created = true,
                  .canceled = true,
                  .cancel_reason = why,
              });
}

static void reply_created(struct watch_stream *ws, int64_t id)
{
    struct core *c = ws->call->core;
    reply(ws, &(struct watch_resp){
                  .header = header_at(c, store_revision(c->store)),
                  .watch_id = id,
                  .created = true,
              });
}

/* Nobody waits for it: it goes along with what comes next. */
static void reply_canceled(struct watch_stream *ws, int64_t id)
{
    struct core *c = ws->call->core;
    struct watch_resp resp = {
        .header = header_at(c, store_revision(c->store)),
        .watch_id = id,
        .canceled = true,
    };
    core_scratch(c);
    encode_watch_resp(&resp, &c->out);
    conn_touch_patiently(ws->call->conn);
    queue_message(ws);
}

/* ---- the stream ---- */

static struct watch_stream *stream_of(struct core_call *call)
{
    if (call->watch)
        return call->watch;
    struct watch_stream *ws = calloc(1, sizeof *ws);
    if (!ws)
        return NULL;
    ws->call = call;
    map_init(&ws->by_id);
    list_init(&ws->alive);
    list_init(&ws->dead);
    list_init(&ws->in_blocked);
    list_init(&ws->in_progress);
    call->watch = ws;
    return ws;
}

static void stop_watching(struct watch *w)
{
    struct core *c = w->stream->call->core;
    store_watch_remove(c->store, w->watcher);
    w->watcher = NULL;
    c->watch_bytes -= w->bytes;
    w->bytes = 0;
}

static void watch_free(struct watch *w)
{
    struct watch_stream *ws = w->stream;
    if (w->watcher)
        stop_watching(w);
    else
        ws->n_dead--;
    map_remove(&ws->by_id, (uint64_t)w->id);
    list_remove(&w->in_stream);
    progress_forget(w);
    free(w->user);
    free(w);
}

void watch_stream_free(struct watch_stream *ws)
{
    while (!list_empty(&ws->alive))
        watch_free(LIST_ENTRY(ws->alive.next, struct watch, in_stream));
    while (!list_empty(&ws->dead))
        watch_free(LIST_ENTRY(ws->dead.next, struct watch, in_stream));
    map_fini(&ws->by_id);
    list_remove(&ws->in_blocked);
    list_remove(&ws->in_progress);
    free(ws);
}

/* ---- room ---- */

void watch_check_room(struct watch_stream *ws)
{
    struct core_call *call = ws->call;
    if (ws->blocked || (h2_stream_queued(call->stream) < room_of(ws) && !conn_is_full(call->conn)))
        return;
    ws->blocked = true;
    list_push_back(&call->conn->blocked, &ws->in_blocked);
    LIST_FOREACH(it, &ws->alive)
    {
        store_watch_block(call->core->store, LIST_ENTRY(it, struct watch, in_stream)->watcher, true);
    }
}

void watch_unblock(struct watch_stream *ws)
{
    struct core_call *call = ws->call;
    if (h2_stream_queued(call->stream) > room_of(ws) / 2)
        return;
    ws->blocked = false;
    list_remove(&ws->in_blocked);
    LIST_FOREACH(it, &ws->alive)
    {
        store_watch_block(call->core->store, LIST_ENTRY(it, struct watch, in_stream)->watcher, false);
    }
    call->core->fanout.more = true;
}

/* ---- create ---- */

static int64_t draw_id(struct watch_stream *ws)
{
    while (map_get(&ws->by_id, (uint64_t)ws->next_id))
        ws->next_id++;
    return ws->next_id;
}

/* Puts the watch under its id; answers why not. */
static enum etcd_error enter(struct watch_stream *ws, struct watch *w, const struct watch_create_req *req)
{
    if (ws->by_id.len >= ws->call->core->config.watches_max)
        return ETCD_TOO_MANY_REQUESTS;
    w->id = req->watch_id ? req->watch_id : draw_id(ws);
    if (req->watch_id && map_get(&ws->by_id, (uint64_t)w->id))
        return ETCD_WATCH_DUPLICATE_ID;
    if (map_put(&ws->by_id, (uint64_t)w->id, w) < 0)
        return ETCD_OUT_OF_MEMORY;
    if (!req->watch_id)
        ws->next_id++;
    return ETCD_OK;
}

static enum etcd_error watch_new(struct watch_stream *ws, const struct watch_create_req *req, struct watch **ret)
{
    struct core *c = ws->call->core;
    size_t cost = WATCH_BYTES + req->range.key.len + req->range.range_end.len;
    if (cost > c->config.watch_bytes_max - c->watch_bytes)
        return ETCD_TOO_MANY_REQUESTS;
    struct watch *w = calloc(1, sizeof *w);
    if (!w)
        return ETCD_OUT_OF_MEMORY;
    *w = (struct watch){.stream = ws, .bytes = cost, .prev_kv = req->prev_kv, .fragment = req->fragment};
    enum etcd_error e = store_watch_add(c->store, req, &w->sink, &w->watcher);
    if (e == ETCD_OK)
        e = enter(ws, w, req);
    if (e != ETCD_OK) {
        if (w->watcher)
            store_watch_remove(c->store, w->watcher);
        free(w);
        return e;
    }
    c->watch_bytes += cost;
    list_push_back(&ws->alive, &w->in_stream);
    heap_node_init(&w->in_notify);
    *ret = w;
    return ETCD_OK;
}

static void create(struct watch_stream *ws, const struct watch_create_req *req, tn_ms now)
{
    struct core *c = ws->call->core;
    struct watch *w = NULL;
    struct watch_user *user = NULL;
    char text[DENIED_TEXT_MAX];
    if (c->config.n_source_parts && !source_holds(c, req->range)) {
        char not_held[SOURCE_TEXT_MAX + 64] = "rpc error: code = FailedPrecondition desc = ";
        size_t len = strlen(not_held);
        source_not_held(c, not_held + len, SOURCE_TEXT_MAX);
        reply_refused(ws, bytes_str(not_held));
        return;
    }
    enum etcd_error e = req->start_revision < 0 ? ETCD_OK : watch_auth_create(ws->call, req->range, &user);
    if (e != ETCD_OK) {
        reply_refused(ws, e == ETCD_OUT_OF_MEMORY ? bytes_str(etcd_error_text(e)) : denied_text(text, sizeof text, e));
        return;
    }
    e = watch_new(ws, req, &w);
    if (e == ETCD_OK && req->progress_notify && progress_begin(w, now) < 0) {
        watch_free(w);
        e = ETCD_OUT_OF_MEMORY;
    }
    if (e != ETCD_OK) {
        free(user);
        reply_refused(ws, bytes_str(etcd_error_text(e)));
        return;
    }
    w->user = user;
    w->auth_seen = store_auth_changes(c->store);
    if (ws->blocked)
        store_watch_block(c->store, w->watcher, true);
    reply_created(ws, w->id);
}

/* ---- cancel ---- */

static void cancel(struct watch_stream *ws, int64_t id)
{
    struct watch *w = map_get(&ws->by_id, (uint64_t)id);
    if (!w)
        return;
    watch_free(w);
    reply_canceled(ws, id);
}

void watch_deny(struct watch *w, enum etcd_error why)
{
    struct watch_stream *ws = w->stream;
    char text[DENIED_TEXT_MAX];
    int64_t id = w->id;
    watch_free(w);
    reply(ws, &(struct watch_resp){
                  .header = header_at(ws->call->core, store_revision(ws->call->core->store)),
                  .watch_id = id,
                  .canceled = true,
                  .cancel_reason = denied_text(text, sizeof text, why),
              });
}

void watch_compacted(struct watch *w, tn_rev compact_revision)
{
    struct watch_stream *ws = w->stream;
    stop_watching(w);
    progress_forget(w);
    list_remove(&w->in_stream);
    list_push_back(&ws->dead, &w->in_stream);
    if (++ws->n_dead > WATCHES_DEAD_MAX)
        watch_free(LIST_ENTRY(ws->dead.next, struct watch, in_stream));
    reply(ws, &(struct watch_resp){
                  .header = header_at(ws->call->core, 0),
                  .watch_id = w->id,
                  .canceled = true,
                  .compact_revision = compact_revision,
              });
}

/* ---- messages ---- */

static void watch_message(struct core_call *call, bytes in, tn_ms now)
{
    struct watch_req req;
    if (!call_decoded(call, decode_watch_req(in, &call->core->arena, &req)))
        return;
    struct watch_stream *ws = stream_of(call);
    if (!ws)
        call_fail(call, ETCD_OUT_OF_MEMORY);
    else if (req.kind == WATCH_REQ_CREATE)
        create(ws, &req.create, now);
    else if (req.kind == WATCH_REQ_CANCEL)
        cancel(ws, req.cancel_id);
    else if (req.kind == WATCH_REQ_PROGRESS)
        progress_ask(ws);
}

/* A half-closed stream goes on delivering, as in etcd. */
const struct core_method watch_methods[] = {
    {.service = "etcdserverpb.Watch", .name = "Watch", .is_stream = true, .on_message = watch_message},
};
const size_t watch_methods_len = ARRAY_LEN(watch_methods);
