/* The connection: its life, its errors, and the way in and out.
 *
 * Happy path: h2_feed hands the bytes to nghttp2, whose callbacks (h2_session.c) become ours; what nghttp2 has to say
 * at once (SETTINGS, acknowledgements, WINDOW_UPDATE) it then writes into `early`. h2_output gives out `early`, then
 * all that nghttp2 has, DATA straight from the streams' queues.
 *
 * nghttp2 does not tell when it gives a connection up: it queues a GOAWAY. That is why h2_feed writes early: the GOAWAY
 * is seen by before_frame_cb, and h2_feed can answer the error. Failures inside nghttp2 (no memory) make the session
 * unusable; nothing more is sent then.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "wire/h2_internal.h"

enum { EARLY_MAX = 16 * 1024, EARLY_KEPT_MAX = 1024 };

/* ---- errors ---- */

void h2_fail(struct h2_conn *c, int code, const char *fmt, ...)
{
    if (c->error.code)
        return;
    char text[sizeof c->error.text];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    error_set(&c->error, code, "%s", text);
}

void h2_fail_nghttp2(struct h2_conn *c, int nghttp2_code)
{
    c->unusable = true;
    switch (nghttp2_code) {
    case NGHTTP2_ERR_NOMEM:
    case NGHTTP2_ERR_CALLBACK_FAILURE: /* a callback of ours fails for want of memory only */
        h2_fail(c, TENURE_ENOMEM, "HTTP/2: out of memory");
        break;
    case NGHTTP2_ERR_FLOODED:
        h2_fail(c, TENURE_ELIMIT, "HTTP/2: the peer asks for more acknowledgements than it takes");
        break;
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
        h2_fail(c, TENURE_EPROTOCOL, "HTTP/2: the peer does not begin with HTTP/2's preface");
        break;
    default:
        h2_fail(c, TENURE_EPROTOCOL, "HTTP/2: %s", nghttp2_strerror(nghttp2_code));
        break;
    }
}

/* Answers the connection's error the first time it is asked after one happened. */
static int report(struct h2_conn *c, struct tenure_error *err)
{
    if (!c->error.code)
        return 0;
    c->reported = true;
    if (err)
        *err = c->error;
    return c->error.code;
}

/* ---- life ---- */

static uint32_t or_default(uint32_t value, uint32_t default_value)
{
    return value ? value : default_value;
}

static void set_limits(struct h2_conn *c, const struct h2_limits *asked)
{
    struct h2_limits l = asked ? *asked : (struct h2_limits){0};
    l.streams_max = or_default(l.streams_max, 100000);
    l.message_bytes_max = or_default(l.message_bytes_max, c->server ? 2 << 20 : INT32_MAX);
    l.header_bytes_max = or_default(l.header_bytes_max, 16 << 10);
    l.input_bytes_max = l.input_bytes_max ? l.input_bytes_max : 16 << 20;
    if (l.input_bytes_max < l.message_bytes_max)
        l.input_bytes_max = l.message_bytes_max;
    l.resets_max_per_s = or_default(l.resets_max_per_s, 50000);
    l.window_bytes = or_default(l.window_bytes, 1 << 20);
    if (l.window_bytes > INT32_MAX)
        l.window_bytes = INT32_MAX;
    c->limits = l;
    c->input.max = l.input_bytes_max;
    h2_limit_init(&c->resets, l.resets_max_per_s);
    h2_headers_init(&c->headers, l.header_bytes_max);
}

static struct h2_conn *conn_new(bool server, const struct h2_limits *limits, const struct h2_callbacks *cb, void *user)
{
    struct h2_conn *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->server = server;
    c->cb = *cb;
    c->user = user;
    set_limits(c, limits);
    h2_memory_init(&c->memory);
    list_init(&c->streams);
    list_init(&c->abandoned);
    list_init(&c->dead);
    list_init(&c->drained);
    list_init(&c->unfinished);
    buf_init(&c->early);
    if (h2_session_open(c))
        return h2_free(c);
    return c;
}

struct h2_conn *h2_server_new(const struct h2_limits *limits, const struct h2_callbacks *cb, void *user)
{
    return conn_new(true, limits, cb, user);
}

struct h2_conn *h2_client_new(const struct h2_limits *limits, const struct h2_callbacks *cb, void *user)
{
    return conn_new(false, limits, cb, user);
}

struct h2_conn *h2_free(struct h2_conn *c)
{
    if (!c)
        return NULL;
    assert(!c->inside);
    c->inside = c->freeing = true;
    h2_streams_fini(c);
    nghttp2_session_del(c->session);
    h2_memory_fini(&c->memory);
    h2_headers_fini(&c->headers);
    free(c->metadata);
    buf_fini(&c->early);
    free(c);
    return NULL;
}

/* ---- in and out ---- */

/* Lets nghttp2 write one frame or a few into out. False when it has nothing more, or must not go on. */
static bool write_some(struct h2_conn *c, struct buf *out)
{
    const uint8_t *data;
    ssize_t n = nghttp2_session_mem_send(c->session, &data);
    if (n < 0)
        h2_fail_nghttp2(c, (int)n);
    if (n <= 0)
        return false;
    buf_append(out, data, (size_t)n);
    return true;
}

static void write_until(struct h2_conn *c, struct buf *out, size_t len_max, bool only_control)
{
    c->out = out;
    c->out_len_max = len_max;
    while (!c->unusable && out->len < len_max) {
        if (only_control && nghttp2_session_get_outbound_queue_size(c->session) == 0)
            break;
        if (!write_some(c, out))
            break;
    }
    if (buf_error(out) && !c->unusable)
        h2_fail_nghttp2(c, NGHTTP2_ERR_NOMEM);
    c->out = NULL;
}

static void deliver_due(struct h2_conn *c)
{
    h2_client_abandoned(c);
    h2_streams_drained(c);
}

int h2_feed(struct h2_conn *c, bytes in, tn_ms now, struct tenure_error *err)
{
    assert(!c->inside);
    if (c->error.code)
        return report(c, err);
    c->inside = true;
    c->now = now;
    ssize_t n = nghttp2_session_mem_recv(c->session, in.data, in.len);
    if (n < 0)
        h2_fail_nghttp2(c, (int)n);
    write_until(c, &c->early, EARLY_MAX, true);
    deliver_due(c);
    h2_streams_bury(c);
    c->inside = false;
    return report(c, err);
}

static void give_early(struct h2_conn *c, struct buf *out)
{
    buf_append_bytes(out, buf_bytes(&c->early));
    if (c->early.cap > EARLY_KEPT_MAX)
        buf_fini(&c->early);
    buf_reset(&c->early);
}

int h2_output(struct h2_conn *c, struct buf *out, size_t bytes_max)
{
    assert(!c->inside);
    size_t len_max = out->len + (bytes_max < SIZE_MAX - out->len ? bytes_max : SIZE_MAX - out->len);
    c->inside = true;
    if (c->early.len)
        give_early(c, out);
    deliver_due(c);
    write_until(c, out, len_max, false);
    deliver_due(c);
    h2_streams_bury(c);
    c->inside = false;
    return c->reported ? 0 : report(c, NULL);
}

bool h2_wants_output(const struct h2_conn *c)
{
    if (c->early.len > 0 || (c->error.code && !c->reported))
        return true;
    if (!list_empty(&c->abandoned) || !list_empty(&c->drained))
        return true;
    return !c->unusable && nghttp2_session_want_write(c->session);
}

bool h2_done(const struct h2_conn *c)
{
    if (h2_wants_output(c))
        return false;
    return c->error.code || !nghttp2_session_want_read(c->session);
}

bool h2_established(const struct h2_conn *c)
{
    return c->established;
}

bool h2_input_stalled(const struct h2_conn *c, tn_ms since)
{
    if (c->headers_open && c->headers_since < since)
        return true;
    if (list_empty(&c->unfinished))
        return false;
    return LIST_ENTRY(c->unfinished.next, struct h2_stream, in_node)->in_since < since;
}

size_t h2_queued(const struct h2_conn *c)
{
    return c->queued + c->early.len;
}

size_t h2_streams(const struct h2_conn *c)
{
    return c->n_streams;
}

int h2_ping(struct h2_conn *c, uint64_t opaque)
{
    uint8_t data[8];
    memcpy(data, &opaque, sizeof data);
    if (c->unusable)
        return TENURE_ECLOSED;
    return nghttp2_submit_ping(c->session, NGHTTP2_FLAG_NONE, data) ? TENURE_ENOMEM : 0;
}

void h2_goaway(struct h2_conn *c)
{
    if (c->unusable)
        return;
    int32_t last = nghttp2_session_get_last_proc_stream_id(c->session);
    int rc = nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0);
    if (rc == NGHTTP2_ERR_NOMEM)
        h2_fail_nghttp2(c, rc);
}
