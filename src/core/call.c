/* One call from its headers to its status.
 *
 * Happy path of a unary one: call_new, a message, the service's function, call_reply: sent at once when what it has seen is
 * durable, else held by the gate. A call ends exactly once (`ended`); its memory goes with its stream.
 *
 * Failure modes: a reply that cannot be kept for lack of memory, after the store has changed, resets the call: a client
 * takes that as "maybe applied", which is the truth as far as it can know.
 */
#include <stdlib.h>

#include "core/call.h"
#include "core/login.h"
#include "core/task.h"
#include "core/waiter.h"
#include "core/watching.h"

struct core_call *call_new(struct core_conn *conn, struct h2_stream *st, const struct core_method *m,
                           struct method_counts *counts)
{
    struct core_call *call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->core = conn->core;
    call->conn = conn;
    call->stream = st;
    call->method = m;
    call->counts = counts;
    call->begun_at = conn->core->now;
    heap_node_init(&call->deadline);
    list_init(&call->held);
    list_init(&call->forwards);
    list_init(&call->reply.link);
    list_init(&call->reply.in_call);
    list_push_back(&conn->calls, &call->in_conn);
    h2_stream_set_user(st, call);
    conn->core->n_calls++;
    conn->core->calls_total++;
    return call;
}

static void count_end(struct core_call *call, enum grpc_status status)
{
    const struct core *c = call->core;
    call->counts->handled[status]++;
    if (c->config.time_calls)
        counts_time(call->counts, c->now - call->begun_at);
}

/* Lets go of all that a call holds while it waits; its stream may still have bytes to send. */
static void call_settle(struct core_call *call)
{
    deadline_stop(call);
    gate_drop_all(call);
    conn_unpark(call);
    login_forget(call);
    source_forget(call);
    if (call->watch)
        watch_stream_free(call->watch);
    call->watch = NULL;
    task_end(call);
    if (call->snapshot)
        snapshot_stream_free(call->snapshot);
    call->snapshot = NULL;
    waiter_end(call);
}

void call_free(struct core_call *call)
{
    if (!call->ended)
        count_end(call, GRPC_CANCELLED);
    call_settle(call);
    list_remove(&call->in_conn);
    call->core->n_calls--;
    if (call->token)
        explicit_bzero(call->token, call->token_len);
    free(call->token);
    free(call);
}

/* ---- ends ---- */

void call_reset(struct core_call *call)
{
    if (!call->ended)
        count_end(call, GRPC_UNKNOWN);
    call->ended = true;
    call_settle(call);
    h2_reset(call->stream);
    conn_touch(call->conn);
}

void call_finish(struct core_call *call, enum grpc_status status, const char *text)
{
    if (call->ended)
        return;
    call->ended = true;
    count_end(call, status);
    call_settle(call);
    if (h2_finish(call->stream, status, text) < 0)
        h2_reset(call->stream);
    conn_touch(call->conn);
}

/* Of services that are a client of the others in etcd only the text comes through; what is ours, or the call's, does not
 * change. */
static enum grpc_status status_of(const struct core_call *call, enum etcd_error e)
{
    bool plain = e == ETCD_DEADLINE_EXCEEDED || e == ETCD_STOPPED || e == ETCD_OUT_OF_MEMORY || e == ETCD_WRITE_MAYBE ||
                 e == ETCD_READ_ONLY || e == ETCD_SOURCE_GONE || e == ETCD_SOURCE_MAYBE;
    return call->method->tells_text_alone && !plain ? GRPC_UNKNOWN : etcd_error_status(e);
}

void call_fail(struct core_call *call, enum etcd_error e)
{
    call_finish(call, status_of(call, e), etcd_error_text(e));
}

void call_fail_at(struct core_call *call, enum etcd_error e, tn_seq seq)
{
    if (gate_passes(call->core, call, seq)) {
        call_fail(call, e);
        return;
    }
    if (!list_empty(&call->reply.in_call))
        return; /* a stream that ends already */
    call->reply.error = e;
    if (gate_hold(call, &call->reply, HELD_ERROR, seq) < 0)
        call_reset(call);
}

/* ---- replies ---- */

/* A reply longer than a client takes by default is refused with the words of gRPC. */
static void refuse_reply(struct core_call *call, int error)
{
    if (error == TENURE_ETOOLARGE)
        call_finish(call, GRPC_RESOURCE_EXHAUSTED, "grpc: trying to send message larger than max");
    else
        call_fail(call, ETCD_OUT_OF_MEMORY);
}

bool call_queue(struct core_call *call)
{
    int rc = h2_send_message(call->stream, buf_bytes(&call->core->out));
    call->counts->sent++;
    if (rc == 0)
        return true;
    call_reset(call);
    return false;
}

bool call_send(struct core_call *call)
{
    conn_touch(call->conn);
    return call_queue(call);
}

struct held *call_reply_held(struct core_call *call, tn_seq seq)
{
    struct core *c = call->core;
    if (buf_error(&c->out) || gate_hold(call, &call->reply, HELD_REPLY, seq) < 0) {
        call_reset(call);
        return NULL;
    }
    return &call->reply;
}

void call_reply(struct core_call *call, tn_seq seq)
{
    struct core *c = call->core;
    if (!gate_passes(c, call, seq)) {
        call_reply_held(call, seq);
        return;
    }
    if (buf_error(&c->out)) {
        if (seq == 0)
            refuse_reply(call, buf_error(&c->out));
        else
            call_reset(call);
        return;
    }
    if (call_send(call))
        call_finish(call, GRPC_OK, "");
}

/* ---- checks ---- */

bool call_decoded(struct core_call *call, int rc)
{
    if (rc == 0)
        return true;
    if (rc == TENURE_ENOMEM)
        call_fail(call, ETCD_OUT_OF_MEMORY);
    else
        call_finish(call, GRPC_INTERNAL, "grpc: error unmarshalling request: not a valid protobuf message");
    return false;
}

bool call_may_wait(struct core_call *call)
{
    if (!gate_is_full(call->core))
        return true;
    call_fail(call, ETCD_TOO_MANY_REQUESTS);
    return false;
}

/* What etcd bounds is the entry of its log: the request behind its tag and length, and a header with an id. */
#define ENTRY_BYTES 15

bool call_is_too_large(const struct core_call *call, size_t request_bytes)
{
    size_t length_bytes = 1;
    for (size_t n = request_bytes; n >= 0x80; n >>= 7)
        length_bytes++;
    return request_bytes + length_bytes + ENTRY_BYTES > call->core->config.request_bytes_max;
}

bool call_may_write(struct core_call *call, size_t request_bytes, enum write_kind kind, tn_ms now)
{
    enum etcd_error e =
        call_is_too_large(call, request_bytes) ? ETCD_REQUEST_TOO_LARGE : journal_refuses(call->core, kind, now);
    prompt_wrote(call->conn);
    if (e == ETCD_OK)
        return call_may_wait(call);
    call_fail(call, e);
    return false;
}
