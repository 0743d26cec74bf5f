/* KV.RangeStream: a range of any size as a stream of chunks, all read at the revision that was the newest when the stream
 * began (or the one that was asked for).
 *
 *     READING --a chunk a slice--> READING …
 *        |  the last chunk that the limit allows, and there is more
 *        v
 *     COUNTING (what lies behind it) --> the last chunk
 *
 * As in etcd the first chunk has at most 10 keys, then their number is doubled or halved so that a chunk has about the size
 * of the largest request; header, more and count are on the last chunk alone. Beyond etcd no chunk is longer than
 * KEYS_MAX keys or twice that size, however the sizes of the values change, and nothing is read while the client takes
 * nothing.
 *
 * Failure: a compaction past the revision ends the stream with COMPACTED, as in etcd; a change of users or roles while it
 * runs with AUTH_OLD_REVISION, which etcd tells behind the last chunk, and we before the next one.
 */
#include <stdlib.h>

#include "core/auth.h"
#include "core/task.h"

#define KEYS_FIRST 10
#define KEYS_MAX   8192 /* of a chunk */
#define STEPS_MAX  8192 /* keys looked at in one slice */

struct range_stream {
    struct task task;
    struct buf start;     /* the key at which the next chunk begins */
    struct buf count_at;  /* COUNTING: the key to go on from */
    struct buf range_end; /* as asked for */
    tn_rev revision, header_revision;
    int64_t limit;          /* of all chunks; INT64_MAX = none */
    size_t chunk;           /* keys of the next chunk */
    int64_t count;          /* keys sent */
    int64_t behind;         /* COUNTING: keys behind the last chunk so far */
    uint64_t auth_revision; /* that its client was permitted at; 0 = authentication is off */
    bool counting, counted, keys_only, count_only;
};

static bool set_bytes(struct buf *b, bytes from)
{
    buf_reset(b);
    buf_append_bytes(b, from);
    return !buf_error(b);
}

static void stream_free(struct task *t)
{
    struct range_stream *rs = CONTAINER_OF(t, struct range_stream, task);
    buf_fini(&rs->start);
    buf_fini(&rs->count_at);
    buf_fini(&rs->range_end);
    free(rs);
}

/* ---- sending ---- */

/* Answers whether the stream goes on. */
static bool send_chunk(struct range_stream *rs, const struct range_part *part, bool last, int64_t behind)
{
    struct core_call *call = rs->task.call;
    struct core *c = call->core;
    struct range_resp resp = {.kvs = part->kvs, .n_kvs = part->n_kvs};
    if (last) {
        resp.revision = rs->header_revision;
        resp.more = behind > 0 && !rs->count_only;
        resp.count = rs->count + (int64_t)part->n_kvs + behind;
    }
    encode_range_stream_resp(last ? &c->header : NULL, &resp, part->bytes, &c->out);
    if (buf_error(&c->out)) {
        call_fail(call, ETCD_OUT_OF_MEMORY);
        return false;
    }
    if (!call_send(call))
        return false;
    if (last)
        call_finish(call, GRPC_OK, "");
    return !last;
}

/* As etcd: outside of half to twice the wanted size the number of keys is doubled or halved. */
static void adjust_chunk(struct range_stream *rs, size_t bytes)
{
    size_t wanted = rs->task.call->core->config.request_bytes_max;
    if (bytes < wanted / 2)
        rs->chunk *= 2;
    else if (bytes > wanted * 2)
        rs->chunk /= 2;
    if (rs->chunk == 0)
        rs->chunk = 1;
    if (rs->chunk > KEYS_MAX)
        rs->chunk = KEYS_MAX;
}

/* ---- reading ---- */

static enum etcd_error read_part(struct range_stream *rs, const struct buf *from, size_t keys_max,
                                 struct range_part *ret)
{
    struct core *c = rs->task.call->core;
    struct range_part_req req = {
        .range = {buf_bytes(from), buf_bytes(&rs->range_end)},
        .revision = rs->revision,
        .keys_max = keys_max,
        .bytes_max = 2 * (size_t)c->config.request_bytes_max,
        .steps_max = STEPS_MAX,
        .keys_only = rs->keys_only,
    };
    return store_range_part(c->store, &req, &c->arena, ret);
}

static bool is_limited(const struct range_stream *rs, const struct range_part *part)
{
    return rs->count + (int64_t)part->n_kvs == rs->limit;
}

/* Sends what there is and goes on behind it; nothing is sent for a stretch of deleted keys. */
static enum etcd_error send_and_go_on(struct range_stream *rs, const struct range_part *part)
{
    size_t bytes = part->bytes, n = part->n_kvs;
    if (!set_bytes(&rs->start, part->next))
        return ETCD_OUT_OF_MEMORY;
    if (n == 0 || !send_chunk(rs, part, false, 0))
        return ETCD_OK;
    rs->count += (int64_t)n;
    adjust_chunk(rs, bytes);
    return ETCD_OK;
}

/* The last chunk tells how much there is: it is read again once that is known, in several when so many newer keys stand
 * between its own by then that one slice does not pass them all. */
static enum etcd_error begin_counting(struct range_stream *rs, const struct range_part *part)
{
    rs->counting = true;
    return set_bytes(&rs->count_at, part->next) ? ETCD_OK : ETCD_OUT_OF_MEMORY;
}

static enum etcd_error read_chunk(struct range_stream *rs)
{
    struct range_part part;
    int64_t left = rs->limit - rs->count;
    size_t keys = left < (int64_t)rs->chunk ? (size_t)left : rs->chunk;
    enum etcd_error e = read_part(rs, &rs->start, keys, &part);
    if (e)
        return e;
    bool limited = is_limited(rs, &part);
    if (part.end || (limited && rs->counted))
        (void)send_chunk(rs, &part, true, part.end ? 0 : rs->behind);
    else if (limited)
        return begin_counting(rs, &part);
    else
        return send_and_go_on(rs, &part);
    return ETCD_OK;
}

static enum etcd_error count_some(struct range_stream *rs)
{
    struct range_part part;
    enum etcd_error e = read_part(rs, &rs->count_at, 0, &part);
    if (e)
        return e;
    rs->behind += part.count;
    if (!part.end)
        return set_bytes(&rs->count_at, part.next) ? ETCD_OK : ETCD_OUT_OF_MEMORY;
    rs->counting = false;
    rs->counted = true;
    if (rs->count_only)
        (void)send_chunk(rs, &(struct range_part){0}, true, rs->behind);
    return ETCD_OK;
}

static void stream_step(struct task *t, tn_ms now)
{
    struct range_stream *rs = CONTAINER_OF(t, struct range_stream, task);
    struct core_call *call = t->call;
    (void)now;
    enum etcd_error e = ETCD_OK;
    if (rs->auth_revision != 0 && rs->auth_revision != store_auth_revision(call->core->store, STORE_DURABLE))
        e = ETCD_AUTH_OLD_REVISION;
    else
        e = rs->counting ? count_some(rs) : read_chunk(rs);
    if (e)
        call_fail(call, e);
}

static const struct task_kind range_stream_kind = {.step = stream_step, .free = stream_free, .needs_room = true};

/* ---- the request ---- */

/* Answers whether it can be streamed; ends the call otherwise. */
static bool is_streamable(struct core_call *call, const struct range_req *req)
{
    enum etcd_error e = store_range_check(req);
    bool by_key = req->sort_order == SORT_NONE || (req->sort_target == SORT_KEY && req->sort_order == SORT_ASCEND);
    if (e)
        call_fail(call, e);
    else if (!by_key)
        call_finish(call, GRPC_UNIMPLEMENTED, "RangeStream does not support custom sort orders");
    else if (req->min_mod_revision || req->max_mod_revision || req->min_create_revision || req->max_create_revision)
        call_finish(call, GRPC_UNIMPLEMENTED, "RangeStream does not support revision filters");
    return !call->ended;
}

static struct range_stream *stream_new(const struct core *c, const struct range_req *req)
{
    struct range_stream *rs = calloc(1, sizeof *rs);
    if (!rs)
        return NULL;
    buf_init(&rs->start);
    buf_init(&rs->count_at);
    buf_init(&rs->range_end);
    rs->header_revision = store_revision(c->store);
    rs->revision = req->revision > 0 ? req->revision : rs->header_revision;
    if (store_auth_enabled(c->store, STORE_DURABLE))
        rs->auth_revision = store_auth_revision(c->store, STORE_DURABLE);
    rs->limit = req->limit > 0 ? req->limit : INT64_MAX;
    rs->chunk = KEYS_FIRST;
    rs->keys_only = req->keys_only;
    rs->counting = rs->count_only = req->count_only;
    struct buf *first = rs->counting ? &rs->count_at : &rs->start;
    if (set_bytes(first, req->range.key) && set_bytes(&rs->range_end, req->range.range_end))
        return rs;
    stream_free(&rs->task);
    return NULL;
}

void kv_range_stream(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct range_req req;
    (void)now;
    if (!call_decoded(call, decode_range_req(in, &c->arena, &req)) || !is_streamable(call, &req) ||
        !call_may_range(call, &req))
        return;
    struct range_stream *rs = stream_new(c, &req);
    if (rs)
        task_start(call, &rs->task, &range_stream_kind);
    else
        call_fail(call, ETCD_OUT_OF_MEMORY);
}
