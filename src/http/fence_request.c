/* A client's request on its way through: the head is collected, looked at, and written anew; the body is written behind it.
 *
 * http-parser stops behind each request. Its callbacks only note and queue. */
#include <inttypes.h>
#include <stdio.h>

#include "base/token.h"
#include "http/fence_internal.h"
#include "http/fence_path.h"

enum { HEAD_STOP = -1 };

static struct fence_conn *conn_of(http_parser *p)
{
    return p->data;
}

static int refuse(struct fence_conn *c, int status, const char *error, const char *message)
{
    c->closing = true; /* what follows in the stream is not understood, or not wanted */
    c->proxy->counts.refused++;
    fence_refuse(c, status, error, message, "");
    return HEAD_STOP;
}

/* ---- collecting ---- */

static int on_begin(http_parser *p)
{
    struct fence_conn *c = conn_of(p);
    c->number++;
    proxy_head_reset(&c->head);
    c->head_whole = c->request_whole = false;
    c->answer_begun = c->answer_whole = c->sent = false;
    c->expects = c->is_head = false;
    fence_move(c, FENCE_HEAD);
    return 0;
}

static int keep(struct fence_conn *c, bool kept)
{
    return kept ? 0 : refuse(c, 431, "too-large", "the request's head is too large");
}

static int on_url(http_parser *p, const char *at, size_t len)
{
    return keep(conn_of(p), proxy_head_first(&conn_of(p)->head, at, len));
}

static int on_field(http_parser *p, const char *at, size_t len)
{
    struct fence_conn *c = conn_of(p);
    return c->head_whole ? 0 : keep(c, proxy_head_name(&c->head, at, len)); /* trailers are dropped */
}

static int on_value(http_parser *p, const char *at, size_t len)
{
    struct fence_conn *c = conn_of(p);
    return c->head_whole ? 0 : keep(c, proxy_head_value(&c->head, at, len));
}

/* ---- the token ---- */

static int enter(struct fence_conn *c, const char *resource, int64_t token)
{
    struct tenure_error err = {0};
    int64_t seen = 0;
    int rc = turnstile_enter(c->proxy->config.turnstile, bytes_str(resource), token, &c->ticket, &seen, &err);
    if (rc == 0)
        return 0;
    if (rc != TENURE_EFENCED)
        return refuse(c, 503, "unavailable", err.text);
    c->closing = true;
    fence_refuse_stale(c, resource, token, seen);
    return HEAD_STOP;
}

/* Headers by which many services take a request for one of another method. */
static bool names_a_method(const struct proxy_head *h)
{
    return proxy_head_count_alike(h, "x-http-method-override") > 0 || proxy_head_count_alike(h, "x-http-method") > 0 ||
           proxy_head_count_alike(h, "x-method-override") > 0;
}

static bool needs_token(const struct fence_conn *c)
{
    const struct fence_proxy_config *config = &c->proxy->config;
    return !config->missing_allowed && ((config->methods >> c->front.method & 1) || names_a_method(&c->head));
}

/* 0: it may go on, inside or WAITING. */
static int check_token(struct fence_conn *c)
{
    const struct fence_proxy_config *config = &c->proxy->config;
    char resource[TURNSTILE_NAME_MAX];
    int64_t token;
    size_t n = proxy_head_count(&c->head, "tenure-fencing-token");
    const char *why = config->resource ? NULL
                                       : fence_path_resource(proxy_head_first_text(&c->head), config->path_parts,
                                                             resource, sizeof resource);
    if (why)
        return refuse(c, 400, "bad-request", why);
    if (proxy_head_count_alike(&c->head, "tenure-fencing-token") > n)
        return refuse(c, 400, "bad-token", "a header that differs from " FENCE_HEADER " by _ for - alone");
    if (n == 0 && !needs_token(c))
        return 0;
    if (n == 0)
        return refuse(c, 428, "token-missing",
                      "expected a header " FENCE_HEADER " with the fencing token of the lock's holder");
    if (n > 1 || !token_parse(proxy_head_get(&c->head, "tenure-fencing-token"), &token))
        return refuse(c, 400, "bad-token", "expected one header " FENCE_HEADER " with a number from 1 on");
    return enter(c, config->resource ? config->resource : resource, token);
}

/* ---- the head ---- */

static const char *find_fault(struct fence_conn *c)
{
    uint64_t length;
    bytes target = proxy_head_first_text(&c->head);
    const char *why = proxy_head_measure(&c->head, &c->measure, &length);
    size_t hosts = proxy_head_count(&c->head, "host");
    if (why)
        return why;
    if (hosts > 1 || (hosts == 0 && !c->is_1_0))
        return "expected one header Host";
    if (c->is_1_0 && c->measure == PROXY_BODY_CHUNKED)
        return "HTTP/1.0 has no chunks";
    if (target.len == 0 ||
        (target.data[0] != '/' && !(c->front.method == HTTP_OPTIONS && proxy_same_word(target, "*"))))
        return "expected a path as the request's target";
    /* What http-parser reads as the body is what the service is told. */
    if ((c->measure == PROXY_BODY_CHUNKED) != ((c->front.flags & F_CHUNKED) != 0) ||
        (c->measure == PROXY_BODY_LENGTH && c->front.content_length != length))
        return "the length of the body is not clear";
    return NULL;
}

static void write_head(struct fence_conn *c)
{
    bytes target = proxy_head_first_text(&c->head);
    buf_printf(&c->to_back, "%s %.*s HTTP/1.1\r\n", http_method_str(c->front.method), (int)target.len,
               (const char *)target.data);
    proxy_head_write(&c->head, &c->to_back);
    if (c->is_1_0 && proxy_head_count(&c->head, "host") == 0)
        buf_printf(&c->to_back, "Host: localhost\r\n");
    if (c->measure == PROXY_BODY_CHUNKED)
        buf_printf(&c->to_back, "Transfer-Encoding: chunked\r\n");
    else if (c->measure == PROXY_BODY_LENGTH)
        buf_printf(&c->to_back, "Content-Length: %" PRIu64 "\r\n", c->front.content_length);
    buf_printf(&c->to_back, "Via: 1.%d tenure\r\nConnection: close\r\n\r\n", c->is_1_0 ? 0 : 1);
}

static int on_headers(http_parser *p)
{
    struct fence_conn *c = conn_of(p);
    p->upgrade = 0;
    c->head_whole = true;
    c->is_1_0 = p->http_major == 1 && p->http_minor == 0;
    c->is_head = p->method == HTTP_HEAD;
    c->keeps_alive = http_should_keep_alive(p) != 0;
    if (p->http_major != 1)
        return refuse(c, 505, "bad-request", "expected HTTP/1.1");
    if (p->method == HTTP_CONNECT)
        return refuse(c, 405, "bad-request", "CONNECT is not passed on");
    const char *why = find_fault(c);
    if (why)
        return refuse(c, 400, "bad-request", why);
    c->expects = !c->is_1_0 && proxy_same_word(proxy_head_get(&c->head, "expect"), "100-continue") &&
                 c->measure != PROXY_BODY_NONE;
    if (check_token(c) < 0)
        return HEAD_STOP;
    write_head(c);
    fence_move(c, c->ticket.state == TURNSTILE_WAITING ? FENCE_WAITING : FENCE_CONNECTING);
    return 0;
}

/* ---- the body ---- */

static int on_body(http_parser *p, const char *at, size_t len)
{
    struct fence_conn *c = conn_of(p);
    if (c->measure == PROXY_BODY_CHUNKED)
        buf_printf(&c->to_back, "%zx\r\n", len);
    buf_append(&c->to_back, at, len);
    if (c->measure == PROXY_BODY_CHUNKED)
        buf_append(&c->to_back, "\r\n", 2);
    fence_went_on(c);
    return 0;
}

static int on_complete(http_parser *p)
{
    struct fence_conn *c = conn_of(p);
    if (c->measure == PROXY_BODY_CHUNKED)
        buf_printf(&c->to_back, "0\r\n\r\n");
    c->request_whole = true;
    c->since = c->now;
    http_parser_pause(p, 1);
    return 0;
}

static const http_parser_settings settings = {
    .on_message_begin = on_begin,
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

void fence_request_init(struct fence_conn *c)
{
    http_parser_init(&c->front, HTTP_REQUEST);
    c->front.data = c;
}

static bool may_parse(const struct fence_conn *c)
{
    return c->ahead.len > 0 && !c->closing && !c->aborted && (c->stage <= FENCE_HEAD || !c->request_whole);
}

void fence_request_parse(struct fence_conn *c)
{
    while (may_parse(c)) {
        size_t n = http_parser_execute(&c->front, &settings, (const char *)c->ahead.data, c->ahead.len);
        enum http_errno e = HTTP_PARSER_ERRNO(&c->front);
        buf_consume(&c->ahead, n < c->ahead.len ? n : c->ahead.len);
        if (e == HPE_PAUSED)
            http_parser_pause(&c->front, 0);
        else if (e != HPE_OK && !c->closing && !c->aborted && c->stage <= FENCE_HEAD)
            refuse(c, e == HPE_HEADER_OVERFLOW ? 431 : 400, "bad-request", http_errno_description(e));
        else if (e != HPE_OK && !c->closing)
            fence_abort(c); /* in the middle of a body that the service has begun to read */
    }
    if (buf_error(&c->to_back))
        fence_abort(c);
}
