/* A connection: what is read is parsed as far as may be, calls are moved on, what is to be written waits in `out`.
 *
 *     idle --first byte--> a request is open --end of its head--> answering --answer and request both ended--> idle
 *
 * Requests are answered in order because the next one is parsed only when the last one is over.
 */
#include <stdlib.h>

#include "http/internal.h"

size_t conn_pending(const struct http_conn *c)
{
    return c->out.len - c->out_at;
}

#define KEPT_MAX ((size_t)256 << 10)

void conn_trim(struct buf *b)
{
    if (b->cap > KEPT_MAX)
        buf_fini(b);
    buf_reset(b);
}

tn_ms conn_patience(const struct http_conn *c)
{
    return core_patience(c->http->config.core, c->now);
}

/* ---- life ---- */

struct http_conn *http_conn_new(struct http *h, struct core_conn *core, bool secure, tn_ms now)
{
    struct http_conn *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->client = h2_client_new(&(struct h2_limits){0}, &gateway_callbacks, c);
    if (!c->client) {
        free(c);
        return NULL;
    }
    c->http = h;
    c->core = core;
    c->secure = secure;
    c->now = now;
    c->took_at = conn_patience(c);
    c->since = TN_MS_NEVER;
    buf_init(&c->ahead);
    buf_init(&c->out);
    buf_init(&c->reply);
    request_init(c);
    h->counts.conns++;
    gateway_pump(c); /* the core is to see that somebody speaks */
    return c;
}

void http_conn_restrict(struct http_conn *c, enum http_scope scope)
{
    c->scope = scope;
}

struct http_conn *http_conn_free(struct http_conn *c)
{
    if (!c)
        return NULL;
    c->http->counts.conns--;
    h2_free(c->client);
    request_fini(c);
    buf_fini(&c->ahead);
    buf_fini(&c->out);
    buf_fini(&c->reply);
    free(c);
    return NULL;
}

/* ---- input ---- */

static bool may_parse(const struct http_conn *c)
{
    return !c->closing && !c->aborted && (c->request_open || !c->answering) && conn_pending(c) < HTTP_OUT_MAX;
}

static bytes ahead(const struct http_conn *c)
{
    return c->ahead.len > 0 ? bytes_of(c->ahead.data + c->ahead_at, c->ahead.len - c->ahead_at) : (bytes){0};
}

static void keep(struct http_conn *c, bytes in)
{
    if (c->closing || in.len == 0)
        return;
    buf_append_bytes(&c->ahead, in);
    if (buf_error(&c->ahead))
        c->aborted = true;
}

static void parse_ahead(struct http_conn *c)
{
    c->ahead_at += request_parse(c, ahead(c));
    if (ahead(c).len > 0)
        return;
    conn_trim(&c->ahead);
    c->ahead_at = 0;
}

/* A body may go on behind a stream's answer that has ended: it is read to its end, then the next request comes. */
static void advance(struct http_conn *c)
{
    gateway_pump(c);
    while (ahead(c).len > 0 && may_parse(c)) {
        parse_ahead(c);
        gateway_pump(c);
    }
    if (c->http->scratch.cap > HTTP_OUT_MAX)
        conn_trim(&c->http->scratch);
    if (core_conn_finished(c->core) && !c->closing) {
        if (c->answering)
            c->aborted = true;
        c->closing = true;
    }
}

void http_feed(struct http_conn *c, bytes in, tn_ms now)
{
    c->now = now;
    if (ahead(c).len == 0 && may_parse(c)) {
        size_t used = request_parse(c, in);
        in = bytes_of(in.data + used, in.len - used);
    }
    keep(c, in);
    advance(c);
}

bool http_wants_input(const struct http_conn *c)
{
    if (c->closing || c->aborted)
        return false;
    return ahead(c).len < HTTP_AHEAD_MAX && conn_pending(c) < HTTP_OUT_MAX && h2_queued(c->client) < HTTP_OUT_MAX;
}

/* ---- output ---- */

static void give(struct http_conn *c, struct buf *out, size_t bytes_max)
{
    size_t n = conn_pending(c) < bytes_max ? conn_pending(c) : bytes_max;
    if (n > 0) {
        buf_append(out, c->out.data + c->out_at, n);
        c->out_at += n;
        c->took_at = conn_patience(c);
    }
    if (conn_pending(c) > 0)
        return;
    conn_trim(&c->out);
    c->out_at = 0;
}

bool http_output(struct http_conn *c, struct buf *out, size_t bytes_max, tn_ms now)
{
    c->now = now;
    c->fed_core = false;
    advance(c);
    if (buf_error(&c->out))
        c->aborted = true;
    if (!c->aborted)
        give(c, out, bytes_max);
    return c->fed_core;
}

bool http_conn_finished(const struct http_conn *c)
{
    return c->aborted || (c->closing && !c->answering && conn_pending(c) == 0);
}

/* ---- peers that do not keep up ---- */

const char *http_conn_check(struct http_conn *c, tn_ms now)
{
    int64_t stall_ms = c->http->config.stall_ms;
    c->now = now;
    now = conn_patience(c);
    if (conn_pending(c) == 0)
        c->took_at = now;
    if (now - c->took_at >= stall_ms)
        return "it takes nothing of what it asked for";
    if (c->since != TN_MS_NEVER && now - c->since >= stall_ms)
        return "it left a request unfinished";
    return NULL;
}
