/* nghttp2's session: how it is set up, and what it tells us, made into what the roles and streams understand.
 *
 * nghttp2's own limiter of resets counts against no clock of ours, closes a connection after a burst of 1,000 and so
 * hits honest clients, whose way of cancelling a call is a reset: it is switched off, ours (h2_limit.h) takes its
 * place.
 */
#include "wire/h2_internal.h"

/* ---- callbacks of nghttp2: receiving ---- */

struct h2_stream *h2_find(struct h2_conn *c, int32_t id)
{
    return nghttp2_session_get_stream_user_data(c->session, id);
}

static int begin_headers_cb(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session;
    (void)frame;
    struct h2_conn *c = user;
    h2_headers_begin(&c->headers);
    c->headers_open = true;
    c->headers_since = c->now;
    return 0;
}

static int header_cb(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
    (void)session;
    (void)frame;
    (void)flags;
    struct h2_conn *c = user;
    h2_headers_add(&c->headers, bytes_of(name, name_len), bytes_of(value, value_len));
    return 0;
}

static int data_cb(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data, size_t len,
                   void *user)
{
    (void)session;
    (void)flags;
    struct h2_stream *st = h2_find(user, stream_id);
    if (st)
        h2_stream_receive(st, bytes_of(data, len));
    return 0;
}

static void headers_received(struct h2_conn *c, const nghttp2_frame *frame)
{
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    c->headers_open = false;
    if (c->server && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        h2_server_request(c, frame->hd.stream_id);
    else if (c->server)
        h2_server_trailers_received(c, frame->hd.stream_id, end);
    struct h2_stream *st = h2_find(c, frame->hd.stream_id);
    if (!st)
        return;
    if (!c->server)
        h2_client_response(st, end);
    else if (end)
        h2_server_half_closed(st);
}

static void data_ended(struct h2_conn *c, const nghttp2_frame *frame)
{
    struct h2_stream *st = frame->hd.flags & NGHTTP2_FLAG_END_STREAM ? h2_find(c, frame->hd.stream_id) : NULL;
    if (!st)
        return;
    if (c->server)
        h2_server_half_closed(st);
    else
        h2_client_end_of_data(st);
}

/* Counts what breaks a rule too: or a peer could have streams reset without end by breaking one on each. */
void h2_count_reset(struct h2_conn *c)
{
    if (h2_limit_take(&c->resets, c->now))
        return;
    h2_fail(c, TENURE_ELIMIT, "HTTP/2: the peer resets more than %u streams a second", c->limits.resets_max_per_s);
    if (nghttp2_session_terminate_session(c->session, NGHTTP2_ENHANCE_YOUR_CALM))
        c->unusable = true;
}

static void pong(struct h2_conn *c, const nghttp2_ping *frame)
{
    uint64_t opaque;
    memcpy(&opaque, frame->opaque_data, sizeof opaque);
    if (c->cb.on_pong)
        c->cb.on_pong(c->user, opaque);
}

static int frame_received_cb(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session;
    struct h2_conn *c = user;
    c->established = true;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        headers_received(c, frame);
        break;
    case NGHTTP2_DATA:
        data_ended(c, frame);
        break;
    case NGHTTP2_RST_STREAM:
        h2_count_reset(c);
        break;
    case NGHTTP2_PING:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK)
            pong(c, &frame->ping);
        break;
    case NGHTTP2_GOAWAY:
        if (!c->server)
            h2_client_goaway(c, &frame->goaway);
        break;
    default:
        break;
    }
    return 0;
}

/* A frame against the rules costs us a RST_STREAM: it counts like one of the peer's. */
static int invalid_frame_cb(nghttp2_session *session, const nghttp2_frame *frame, int code, void *user)
{
    (void)session;
    (void)code;
    struct h2_conn *c = user;
    if (frame->hd.type == NGHTTP2_HEADERS)
        c->headers_open = false;
    h2_count_reset(c);
    return 0;
}

static int stream_close_cb(nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *user)
{
    (void)session;
    struct h2_conn *c = user;
    struct h2_stream *st = h2_find(c, stream_id);
    if (!st)
        return 0;
    if (!c->server)
        h2_client_closed(st, error_code);
    h2_stream_close(st);
    return 0;
}

/* ---- callbacks of nghttp2: sending ---- */

static void goaway_leaves(struct h2_conn *c, const nghttp2_goaway *frame)
{
    if (frame->error_code == NGHTTP2_NO_ERROR)
        return;
    if (frame->opaque_data_len)
        h2_fail(c, TENURE_EPROTOCOL, "HTTP/2: %s: %.*s", nghttp2_http2_strerror(frame->error_code),
                (int)frame->opaque_data_len, (const char *)frame->opaque_data);
    else
        h2_fail(c, TENURE_EPROTOCOL, "HTTP/2: %s", nghttp2_http2_strerror(frame->error_code));
}

static int before_frame_cb(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session;
    struct h2_conn *c = user;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        goaway_leaves(c, &frame->goaway);
    if (!c->server && frame->hd.type == NGHTTP2_HEADERS) {
        struct h2_stream *st = h2_find(c, frame->hd.stream_id);
        if (st)
            st->written = true;
    }
    return 0;
}

/* A server that has said all while the client still sends asks it to stop, as RFC 9113 8.1 allows. */
static int frame_sent_cb(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2_conn *c = user;
    bool ends = frame->hd.type == NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
    if (!c->server || !ends || nghttp2_session_get_stream_remote_close(session, frame->hd.stream_id) != 0)
        return 0;
    int rc = nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    return rc ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* ---- setting up ---- */

static void set_callbacks(nghttp2_session_callbacks *cb)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, begin_headers_cb);
    nghttp2_session_callbacks_set_on_header_callback(cb, header_cb);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, data_cb);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, frame_received_cb);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, invalid_frame_cb);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, stream_close_cb);
    nghttp2_session_callbacks_set_before_frame_send_callback(cb, before_frame_cb);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, frame_sent_cb);
    nghttp2_session_callbacks_set_send_data_callback(cb, h2_send_data_cb);
}

/* Closed streams are not kept for the tree of priorities: with 100,000 allowed streams it would keep as many. A server
 * judges header lists itself (h2_headers.h): grpc-go as of etcdctl 3.4 sends a whole URL as :authority, which nghttp2's
 * own rules would reset. */
static void set_options(nghttp2_option *option, bool server)
{
    nghttp2_option_set_no_http_messaging(option, server);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_stream_reset_rate_limit(option, UINT64_MAX, UINT64_MAX);
}

static int open_session(struct h2_conn *c)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    int rc = nghttp2_session_callbacks_new(&callbacks);
    rc = rc ? rc : nghttp2_option_new(&option);
    if (!rc) {
        set_callbacks(callbacks);
        set_options(option, c->server);
        rc = c->server ? nghttp2_session_server_new3(&c->session, callbacks, c, option, &c->memory.mem)
                       : nghttp2_session_client_new3(&c->session, callbacks, c, option, &c->memory.mem);
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return rc;
}

static int greet(struct h2_conn *c)
{
    const nghttp2_settings_entry both[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, c->limits.window_bytes},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, c->limits.header_bytes_max},
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, c->server ? c->limits.streams_max : 0},
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
    };
    size_t n = c->server ? ARRAY_LEN(both) - 1 : ARRAY_LEN(both); /* a server must not speak of push */
    int rc = nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, both, n);
    if (rc)
        return rc;
    return nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, (int32_t)c->limits.window_bytes);
}

int h2_session_open(struct h2_conn *c)
{
    int rc = open_session(c);
    return rc ? rc : greet(c);
}
