/* Streams: from the first byte to on_close, what they send, and the messages in what they receive.
 *
 * Sending: a message goes into the stream's queue; nghttp2 asks h2_read_cb how much of it to put into the next DATA
 * frame (at most 16 KiB and what the windows allow) and h2_send_data_cb then moves it straight into the output. With
 * an empty queue the stream is deferred until h2_stream_resume.
 *
 * Streams are used again: a connection keeps a few closed ones with their small buffers, so that a steady sequence of
 * calls does not allocate here.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/h2_internal.h"

enum { SPARES_MAX = 64, FRAME_HEAD = 9 };

/* ---- life ---- */

static struct h2_stream *take_spare(struct h2_conn *c)
{
    struct h2_stream *st = c->spares;
    c->spares = st->next_spare;
    c->n_spares--;
    return st;
}

struct h2_stream *h2_stream_new(struct h2_conn *c)
{
    struct h2_stream *st = c->spares ? take_spare(c) : calloc(1, sizeof *st);
    if (!st)
        return NULL;
    struct h2_queue out = st->out;
    *st = (struct h2_stream){.conn = c, .out = out};
    list_init(&st->drain_node);
    list_init(&st->in_node);
    list_push_back(&c->streams, &st->node);
    c->n_streams++;
    return st;
}

static void drop_output(struct h2_stream *st)
{
    st->conn->queued -= st->out.bytes;
    h2_queue_drop(&st->out);
}

void h2_stream_close(struct h2_stream *st)
{
    struct h2_conn *c = st->conn;
    assert(!st->closed);
    st->closed = true;
    drop_output(st);
    list_remove(&st->drain_node);
    list_remove(&st->in_node);
    list_remove(&st->node);
    list_push_back(&c->dead, &st->node);
    c->n_streams--;
    c->cb.on_close(c->user, st);
}

static void stream_free(struct h2_stream *st)
{
    h2_queue_fini(&st->out);
    free(st);
}

static void bury(struct h2_conn *c, struct h2_stream *st)
{
    list_remove(&st->node);
    grpc_in_fini(&st->in, &c->input);
    free(st->text);
    st->text = NULL;
    if (c->n_spares == SPARES_MAX || c->freeing) {
        stream_free(st);
        return;
    }
    st->next_spare = c->spares;
    c->spares = st;
    c->n_spares++;
}

void h2_streams_bury(struct h2_conn *c)
{
    while (!list_empty(&c->dead))
        bury(c, LIST_ENTRY(c->dead.next, struct h2_stream, node));
}

static void close_all(struct list *streams)
{
    while (!list_empty(streams))
        h2_stream_close(LIST_ENTRY(streams->next, struct h2_stream, node));
}

void h2_streams_fini(struct h2_conn *c)
{
    close_all(&c->streams);
    close_all(&c->abandoned);
    h2_streams_bury(c);
    while (c->spares)
        stream_free(take_spare(c));
}

/* ---- ending ---- */

void h2_stream_abandon(struct h2_stream *st)
{
    struct h2_conn *c = st->conn;
    nghttp2_session_set_stream_user_data(c->session, st->id, NULL);
    if (nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_CANCEL))
        h2_fail_nghttp2(c, NGHTTP2_ERR_NOMEM);
    st->unprocessed = st->abandoned = true;
    list_remove(&st->node);
    list_push_back(&c->abandoned, &st->node);
}

/* The message that may be under way stays until the stream is closed: a callback may be looking at it. */
void h2_stream_reset(struct h2_stream *st, uint32_t error_code)
{
    struct h2_conn *c = st->conn;
    if (st->reset || st->closed)
        return;
    st->reset = st->deaf = true;
    drop_output(st);
    if (c->unusable || st->abandoned)
        return;
    if (!c->server && !st->written)
        h2_stream_abandon(st);
    else if (nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, st->id, error_code))
        h2_fail_nghttp2(c, NGHTTP2_ERR_NOMEM);
}

void h2_reset(struct h2_stream *st)
{
    h2_stream_reset(st, NGHTTP2_CANCEL);
}

/* ---- sending ---- */

int h2_stream_resume(struct h2_stream *st)
{
    if (!st->deferred || st->conn->unusable)
        return 0;
    st->deferred = false;
    int rc = nghttp2_session_resume_data(st->conn->session, st->id);
    return rc == NGHTTP2_ERR_NOMEM ? TENURE_ENOMEM : 0;
}

int h2_send_parts(struct h2_stream *st, const struct h2_part *parts, size_t n)
{
    if (st->closed || st->reset || st->ending || st->conn->unusable)
        return 0; /* nobody would get it, and on_close says or said so */
    size_t before = st->out.bytes;
    int rc = h2_queue_push(&st->out, parts, n);
    if (rc)
        return rc;
    st->conn->queued += st->out.bytes - before;
    return st->submitted ? h2_stream_resume(st) : h2_server_submit(st);
}

int h2_send_message(struct h2_stream *st, bytes message)
{
    const struct h2_part part = {.plain = message};
    return h2_send_parts(st, &part, 1);
}

/* How the end of our side is said: trailers by a server, END_STREAM with the last bytes by a client. */
static int say_end(struct h2_stream *st, uint32_t *data_flags)
{
    *data_flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!st->conn->server)
        return 0;
    *data_flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    return h2_server_trailers(st);
}

ssize_t h2_read_cb(nghttp2_session *session, int32_t stream_id, uint8_t *data, size_t len, uint32_t *data_flags,
                   nghttp2_data_source *source, void *user)
{
    (void)session;
    (void)stream_id;
    (void)data;
    (void)user;
    struct h2_stream *st = source->ptr;
    size_t n = st->out.bytes < len ? st->out.bytes : len;
    if (n == 0 && !st->ending) {
        st->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *data_flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n == st->out.bytes && st->ending && say_end(st, data_flags))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return (ssize_t)n;
}

static void judge_drain(struct h2_stream *st)
{
    struct h2_conn *c = st->conn;
    if (!st->drain_armed || st->out.bytes > st->drain_low)
        return;
    st->drain_armed = false;
    list_push_back(&c->drained, &st->drain_node);
}

int h2_send_data_cb(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t len,
                    nghttp2_data_source *source, void *user)
{
    (void)session;
    (void)frame;
    struct h2_conn *c = user;
    struct h2_stream *st = source->ptr;
    uint8_t *to = buf_reserve(c->out, FRAME_HEAD + len);
    if (!to)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    memcpy(to, head, FRAME_HEAD);
    h2_queue_take(&st->out, to + FRAME_HEAD, len);
    buf_added(c->out, FRAME_HEAD + len);
    c->queued -= len;
    judge_drain(st);
    return c->out->len >= c->out_len_max ? NGHTTP2_ERR_PAUSE : 0;
}

void h2_notify_drain(struct h2_stream *st, size_t low)
{
    if (st->closed)
        return;
    list_remove(&st->drain_node);
    st->drain_low = low;
    st->drain_armed = true;
    judge_drain(st);
}

/* on_drain may ask to be called again: that is for the next round, or this one might not end. */
void h2_streams_drained(struct h2_conn *c)
{
    struct list due;
    list_init(&due);
    list_splice_back(&due, &c->drained);
    while (!list_empty(&due)) {
        struct h2_stream *st = LIST_ENTRY(due.next, struct h2_stream, drain_node);
        list_remove(&st->drain_node);
        if (c->cb.on_drain)
            c->cb.on_drain(c->user, st);
    }
}

/* ---- receiving ---- */

static void receive_failed(struct h2_stream *st, enum grpc_status status, const char *text)
{
    if (!st->conn->server) {
        h2_client_broken(st, status, text);
        return;
    }
    st->deaf = true;
    if (h2_finish(st, status, text))
        h2_stream_reset(st, NGHTTP2_INTERNAL_ERROR);
}

static void receive_error(struct h2_stream *st, enum grpc_in_result why)
{
    char text[80];
    switch (why) {
    case GRPC_IN_COMPRESSED:
        receive_failed(st, GRPC_UNIMPLEMENTED, "grpc: compressed messages are not supported");
        break;
    case GRPC_IN_TOO_LARGE:
        snprintf(text, sizeof text, "grpc: received message larger than max (%u vs. %u)", st->in.len,
                 st->conn->limits.message_bytes_max);
        receive_failed(st, GRPC_RESOURCE_EXHAUSTED, text);
        break;
    case GRPC_IN_OVER_BUDGET:
        receive_failed(st, GRPC_RESOURCE_EXHAUSTED, "grpc: too many unfinished messages on this connection");
        break;
    case GRPC_IN_NO_MEMORY:
        receive_failed(st, GRPC_RESOURCE_EXHAUSTED, "grpc: out of memory");
        break;
    default:
        receive_failed(st, GRPC_INTERNAL, "grpc: malformed message frame");
        break;
    }
}

/* Keeps the list of unfinished messages in the order in which they began. */
static void note_unfinished(struct h2_stream *st, bool began)
{
    struct h2_conn *c = st->conn;
    if (!grpc_in_unfinished(&st->in)) {
        list_remove(&st->in_node);
    } else if (began || list_empty(&st->in_node)) {
        list_remove(&st->in_node);
        st->in_since = c->now;
        list_push_back(&c->unfinished, &st->in_node);
    }
}

void h2_stream_receive(struct h2_stream *st, bytes chunk)
{
    struct h2_conn *c = st->conn;
    bytes message;
    bool finished_one = false;
    enum grpc_in_result r = GRPC_IN_MORE;
    while (!st->deaf) {
        r = grpc_in_next(&st->in, &chunk, c->limits.message_bytes_max, &c->input, &message);
        if (r != GRPC_IN_MESSAGE)
            break;
        finished_one = true;
        c->cb.on_message(c->user, st, message);
    }
    if (st->deaf) {
        list_remove(&st->in_node);
        return;
    }
    if (r != GRPC_IN_MORE) {
        list_remove(&st->in_node);
        receive_error(st, r);
        return;
    }
    note_unfinished(st, finished_one);
}

/* ---- small answers ---- */

void h2_stream_set_user(struct h2_stream *st, void *user)
{
    st->user = user;
}

void *h2_stream_user(const struct h2_stream *st)
{
    return st->user;
}

uint32_t h2_stream_id(const struct h2_stream *st)
{
    return (uint32_t)st->id;
}

struct h2_conn *h2_stream_conn(const struct h2_stream *st)
{
    return st->conn;
}

size_t h2_stream_queued(const struct h2_stream *st)
{
    return st->out.bytes;
}

bool h2_stream_unprocessed(const struct h2_stream *st)
{
    return st->unprocessed;
}
