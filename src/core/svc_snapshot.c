/* Maintenance.Snapshot: the whole of the data as a file of etcd's, in pieces, and its SHA-256 behind it.
 *
 *     waiting --its turn--> making --the driver is done--> sending <--room--> blocked --all sent--> ended
 *
 * The driver makes the file beside the loop, one at a time, from the rows of the log up to what is durable when it begins.
 * While it does, no row is deleted: superseded ones wait in the log, and those that are to be deleted within this process
 * wait in memory, a bounded number. The file is a temporary one of the driver's; a client that reads slowly costs its disk
 * space and SENT_MAX bytes of memory.
 *
 * A call may end at any point: what was being made for it is given up. Before the next is made, the rows that waited are
 * deleted, or CALM_MS have passed: clients that ask for one snapshot after another do not keep compaction from its work.
 */
#include <stdlib.h>

#include "core/auth.h"
#include "core/call.h"

enum {
    STREAMS_MAX = 4,       /* each has a file of its own */
    PIECE = 32 << 10,      /* as etcd */
    SENT_MAX = 256 << 10,  /* queued a stream */
    SLICE_MAX = 256 << 10, /* read a turn and stream */
    CALM_MS = 5000,
};

enum snapshot_state { SNAPSHOT_WAITING, SNAPSHOT_MAKING, SNAPSHOT_SENDING, SNAPSHOT_BLOCKED };

struct snapshot_stream {
    struct core_call *call;
    enum snapshot_state state;
    struct list link; /* in snapshots.waiting or .sending; else alone */
    struct core_snapshot file;
    uint64_t sent;
    uint8_t piece[PIECE];
};

void snapshots_init(struct snapshots *s)
{
    list_init(&s->waiting);
    list_init(&s->sending);
}

/* ---- the end of a call ---- */

void snapshot_stream_free(struct snapshot_stream *st)
{
    struct core *c = st->call->core;
    struct snapshots *s = &c->snapshots;
    list_remove(&st->link);
    if (s->maker == st) {
        s->maker = NULL;
        c->config.snapshots->cancel(c->config.user);
    }
    if (st->state >= SNAPSHOT_SENDING)
        c->config.snapshots->drop(c->config.user, st->file.handle);
    s->n--;
    free(st);
}

/* ---- making ---- */

bool snapshots_hold_deletes(const struct core *c)
{
    return c->snapshots.making;
}

/* Deletes that are on their way would come between two reads of the log. */
static bool may_begin(const struct core *c)
{
    bool calm = c->now >= c->snapshots.calm_at || compaction_is_done(c);
    return calm && !c->snapshots.making && (!c->journal.in_flight || c->journal.n_deletes_sent == 0);
}

static void begin(struct core *c, struct snapshot_stream *st)
{
    struct snapshots *s = &c->snapshots;
    struct tenure_error err = {0};
    list_remove(&st->link);
    st->state = SNAPSHOT_MAKING;
    if (c->config.snapshots->make(c->config.user, store_seq(c->store), &err) < 0) {
        call_finish(st->call, GRPC_UNAVAILABLE, err.text);
        return;
    }
    s->making = true;
    s->maker = st;
}

static void begin_next(struct core *c)
{
    struct snapshots *s = &c->snapshots;
    while (!list_empty(&s->waiting) && may_begin(c))
        begin(c, LIST_ENTRY(s->waiting.next, struct snapshot_stream, link));
}

void core_snapshot_made(struct core *c, const struct core_snapshot *made, const struct tenure_error *err, tn_ms now)
{
    struct snapshots *s = &c->snapshots;
    struct snapshot_stream *st = s->maker;
    core_clock(c, now);
    s->making = false;
    s->maker = NULL;
    s->calm_at = c->now + CALM_MS;
    if (!st && made)
        c->config.snapshots->drop(c->config.user, made->handle);
    if (!st)
        return;
    if (!made) {
        call_finish(st->call, GRPC_INTERNAL, err->text);
        return;
    }
    st->file = *made;
    st->state = SNAPSHOT_SENDING;
    list_push_back(&s->sending, &st->link);
}

/* ---- sending ---- */

static bool send_piece(struct snapshot_stream *st, bytes piece)
{
    struct core *c = st->call->core;
    struct snapshot_resp resp = {
        .remaining_bytes = st->file.bytes - st->sent, .blob = piece, .version = bytes_str(CORE_STORAGE_VERSION)};
    core_scratch(c);
    encode_snapshot_resp(&resp, &c->out);
    if (buf_error(&c->out)) {
        call_reset(st->call);
        return false;
    }
    return call_send(st->call);
}

/* False when the call has ended. */
static bool send_next(struct snapshot_stream *st)
{
    struct core *c = st->call->core;
    uint64_t left = st->file.bytes - st->sent;
    size_t n = left < PIECE ? (size_t)left : PIECE;
    struct tenure_error err = {0};
    if (left == 0) {
        if (send_piece(st, bytes_of(st->file.sha256, sizeof st->file.sha256)))
            call_finish(st->call, GRPC_OK, "");
        return false;
    }
    if (c->config.snapshots->read(c->config.user, st->file.handle, st->sent, st->piece, n, &err) < 0) {
        call_finish(st->call, GRPC_INTERNAL, err.text);
        return false;
    }
    st->sent += n;
    return send_piece(st, bytes_of(st->piece, n));
}

static void send_slice(struct snapshot_stream *st)
{
    struct core_call *call = st->call;
    for (size_t n = 0; n < SLICE_MAX; n += PIECE) {
        if (h2_stream_queued(call->stream) >= SENT_MAX || conn_is_full(call->conn)) {
            st->state = SNAPSHOT_BLOCKED;
            list_remove(&st->link);
            h2_notify_drain(call->stream, SENT_MAX / 2);
            return;
        }
        if (!send_next(st))
            return;
    }
}

void snapshot_drained(struct core_call *call)
{
    struct snapshot_stream *st = call->snapshot;
    if (!st || st->state != SNAPSHOT_BLOCKED)
        return;
    st->state = SNAPSHOT_SENDING;
    list_push_back(&call->core->snapshots.sending, &st->link);
}

void snapshots_run(struct core *c)
{
    begin_next(c);
    LIST_FOREACH_SAFE(it, &c->snapshots.sending)
    {
        send_slice(LIST_ENTRY(it, struct snapshot_stream, link));
    }
}

tn_ms snapshots_deadline(const struct core *c)
{
    const struct snapshots *s = &c->snapshots;
    if (!list_empty(&s->sending))
        return c->now;
    return list_empty(&s->waiting) || s->making || c->now >= s->calm_at ? TN_MS_NEVER : s->calm_at;
}

/* ---- the call ---- */

void snapshot_message(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct snapshots *s = &c->snapshots;
    (void)now;
    if (call->snapshot || !call_decoded(call, decode_snapshot_req(in, &c->arena)) || !call_is_admin(call))
        return;
    if (!c->config.snapshots) {
        call_finish(call, GRPC_UNIMPLEMENTED, "tenure: this server makes no snapshots");
        return;
    }
    struct snapshot_stream *st = s->n < STREAMS_MAX ? calloc(1, sizeof *st) : NULL;
    if (!st) {
        call_fail(call, s->n < STREAMS_MAX ? ETCD_OUT_OF_MEMORY : ETCD_TOO_MANY_REQUESTS);
        return;
    }
    st->call = call;
    list_init(&st->link);
    list_push_back(&s->waiting, &st->link);
    call->snapshot = st;
    s->n++;
    begin_next(c);
}
