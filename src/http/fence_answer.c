/* The service's answer on its way back, and the answers that are the proxy's own. */
#include <inttypes.h>
#include <stdio.h>

#include "http/fence_internal.h"

static struct fence_conn *conn_of(http_parser *p)
{
    return p->data;
}

/* ---- our own ---- */

static const char *reason(int status)
{
    return http_status_str((enum http_status)status);
}

/* Of JSON; all that comes here is text without line ends, but of whom is not sure. */
static void write_text(struct buf *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            buf_append_byte(out, '\\');
        buf_append_byte(out, (unsigned char)*s >= 0x20 ? (uint8_t)*s : ' ');
    }
}

void fence_refuse(struct fence_conn *c, int status, const char *error, const char *message, const char *more)
{
    struct buf body;
    buf_init(&body);
    buf_printf(&body, "{\"error\":\"%s\",\"message\":\"", error);
    write_text(&body, message);
    buf_printf(&body, "\"%s}\n", more);
    if (!c->request_whole && !(c->head_whole && c->measure == PROXY_BODY_NONE))
        c->closing = true;
    c->keeps_alive = c->keeps_alive && !c->closing;
    buf_printf(&c->to_front,
               "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%sConnection: %s\r\n\r\n",
               status, reason(status), body.len, status == 503 ? "Retry-After: 1\r\n" : "",
               c->keeps_alive ? "keep-alive" : "close");
    if (!c->is_head)
        buf_append_bytes(&c->to_front, buf_bytes(&body));
    if (buf_error(&body))
        c->aborted = true;
    buf_fini(&body);
    c->answer_begun = c->answer_whole = true;
    fence_exchange_over(c);
}

void fence_refuse_stale(struct fence_conn *c, const char *resource, int64_t token, int64_t seen)
{
    char message[TURNSTILE_NAME_MAX + 160], more[2 * TURNSTILE_NAME_MAX + 120];
    struct buf name;
    buf_init(&name);
    write_text(&name, resource);
    buf_append_byte(&name, 0);
    const char *text = buf_error(&name) ? "" : (const char *)name.data;
    snprintf(message, sizeof message,
             "%s: token %" PRId64 " is refused, %" PRId64 " was there: somebody else holds the lock since then",
             resource, token, seen);
    snprintf(more, sizeof more, ",\"resource\":\"%s\",\"token\":%" PRId64 ",\"seen\":%" PRId64, text, token, seen);
    c->proxy->counts.fenced++;
    fence_refuse(c, 412, "fenced", message, more);
    buf_fini(&name);
}

static void service_failed(struct fence_conn *c, const char *why)
{
    c->proxy->counts.failed++;
    if (c->answer_begun)
        fence_abort(c); /* cut short, so that nobody takes it for whole */
    else
        fence_refuse(c, 502, "bad-gateway", why, "");
}

/* ---- the service's ---- */

static int on_begin(http_parser *p)
{
    struct fence_conn *c = conn_of(p);
    proxy_head_reset(&c->back_head);
    c->back_head_whole = false;
    return 0;
}

static int on_status(http_parser *p, const char *at, size_t len)
{
    return proxy_head_first(&conn_of(p)->back_head, at, len) ? 0 : -1;
}

static int on_field(http_parser *p, const char *at, size_t len)
{
    struct fence_conn *c = conn_of(p);
    return c->back_head_whole || proxy_head_name(&c->back_head, at, len) ? 0 : -1;
}

static int on_value(http_parser *p, const char *at, size_t len)
{
    struct fence_conn *c = conn_of(p);
    return c->back_head_whole || proxy_head_value(&c->back_head, at, len) ? 0 : -1;
}

static bool has_no_body(const struct fence_conn *c, unsigned status)
{
    return c->is_head || status == 204 || status == 304;
}

static void write_measure(struct fence_conn *c, unsigned status, enum proxy_body measure, uint64_t length)
{
    struct buf *out = &c->to_front;
    bool bare = has_no_body(c, status);
    c->back_chunked = !bare && measure != PROXY_BODY_LENGTH && !c->is_1_0;
    if (measure == PROXY_BODY_LENGTH && status != 204)
        buf_printf(out, "Content-Length: %" PRIu64 "\r\n", length);
    else if (c->back_chunked || (c->is_head && measure == PROXY_BODY_CHUNKED && !c->is_1_0))
        buf_printf(out, "Transfer-Encoding: chunked\r\n");
    else if (!bare)
        c->closing = true; /* its end is the connection's */
}

static int on_headers(http_parser *p)
{
    struct fence_conn *c = conn_of(p);
    enum proxy_body measure;
    uint64_t length;
    c->back_head_whole = true;
    if (p->status_code < 200)                  /* what is said before the answer; 101 was not asked for */
        return p->status_code == 101 ? -1 : 1; /* 1: without a body, whatever length it has */
    if (p->http_major != 1 || proxy_head_measure(&c->back_head, &measure, &length) ||
        (measure == PROXY_BODY_CHUNKED) != ((p->flags & F_CHUNKED) != 0))
        return -1;
    bytes text = proxy_head_first_text(&c->back_head);
    if (!c->request_whole)
        c->closing = true; /* the rest of the request is not wanted any more */
    buf_printf(&c->to_front, "HTTP/1.1 %u %.*s\r\n", p->status_code, (int)text.len, (const char *)text.data);
    proxy_head_write(&c->back_head, &c->to_front);
    write_measure(c, p->status_code, measure, length);
    c->keeps_alive = c->keeps_alive && !c->closing;
    buf_printf(&c->to_front, "Connection: %s\r\n\r\n", c->keeps_alive ? "keep-alive" : "close");
    c->answer_begun = true;
    return has_no_body(c, p->status_code) ? 1 : 0;
}

static int on_body(http_parser *p, const char *at, size_t len)
{
    struct fence_conn *c = conn_of(p);
    if (c->back_chunked)
        buf_printf(&c->to_front, "%zx\r\n", len);
    buf_append(&c->to_front, at, len);
    if (c->back_chunked)
        buf_append(&c->to_front, "\r\n", 2);
    return 0;
}

static int on_complete(http_parser *p)
{
    struct fence_conn *c = conn_of(p);
    if (!c->answer_begun)
        return 0; /* 1xx: the answer comes behind it */
    if (c->back_chunked)
        buf_printf(&c->to_front, "0\r\n\r\n");
    c->answer_whole = true;
    http_parser_pause(p, 1);
    return 0;
}

static const http_parser_settings settings = {
    .on_message_begin = on_begin,
    .on_status = on_status,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

void fence_answer_begin(struct fence_conn *c)
{
    http_parser_init(&c->back, HTTP_RESPONSE);
    c->back.data = c;
    c->back_chunked = false;
    proxy_head_reset(&c->back_head);
    c->back_head_whole = false;
}

void fence_answer_broken(struct fence_conn *c)
{
    if (c->front_ended)
        fence_abort(c);
    else
        service_failed(c, "the connection to the service broke before its answer was whole");
}

void fence_answer_feed(struct fence_conn *c, bytes in)
{
    size_t n = http_parser_execute(&c->back, &settings, (const char *)in.data, in.len);
    enum http_errno e = HTTP_PARSER_ERRNO(&c->back);
    if (c->front_ended)
        buf_reset(&c->to_front);
    if (buf_error(&c->to_front))
        fence_abort(c);
    else if (c->answer_whole)
        fence_exchange_over(c);
    else if (e != HPE_OK || n < in.len)
        service_failed(c, "what the service answered is no HTTP that can be passed on");
    else if (in.len == 0)
        service_failed(c, "the service closed the connection before its answer was whole");
}
