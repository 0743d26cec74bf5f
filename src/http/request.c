/* A request as http-parser reads it: the head is collected, then it is known who answers, then the body goes where it
 * belongs.
 *
 *     head -> whole: host allowed? OPTIONS? gateway or page? -> body -> end: answer, unless the answer began before
 *
 * http-parser stops behind each request: the next one is read when this one is answered. Its callbacks only note and queue;
 * none of them frees anything.
 */
#include <ctype.h>
#include <stdlib.h>

#include "http/internal.h"

/* ---- the head ---- */

static struct http_conn *conn_of(http_parser *p)
{
    return p->data;
}

/* The JSON value under way, and its part of what all connections may hold of such. */
static void drop_value(struct http_conn *c)
{
    c->http->body_bytes -= c->req.value.len;
    conn_trim(&c->req.value);
}

static int on_begin(http_parser *p)
{
    struct http_conn *c = conn_of(p);
    struct request *r = &c->req;
    buf_reset(&r->head);
    r->target = (struct span){0};
    r->n_headers = 0;
    r->in_value = r->head_whole = false;
    r->path = r->query = r->host = (bytes){0};
    r->is_head = r->is_1_0 = r->misdirected = false;
    r->route = NULL;
    r->use = BODY_DROPPED;
    r->dropped = 0;
    r->value_whole = r->bad = false;
    drop_value(c);
    json_scan_init(&r->scan);
    c->request_open = true;
    c->answering = true;
    c->last = false;
    c->head_sent = c->replied = false;
    c->n_sent = 0;
    c->since = conn_patience(c);
    return 0;
}

/* Each of these answers what http-parser is to be told: -1 = stop. */
static int head_too_large(struct http_conn *c)
{
    answer_bad_request(c, HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE, "431 Request Header Fields Too Large");
    return -1;
}

static int out_of_memory(struct http_conn *c)
{
    c->aborted = true;
    return -1;
}

/* Appends to the head; the span grows. */
static int collect(struct http_conn *c, struct span *span, const char *at, size_t len)
{
    struct request *r = &c->req;
    if (r->head.len + len > HTTP_HEAD_MAX)
        return head_too_large(c);
    if (span->len == 0)
        span->at = (uint32_t)r->head.len;
    buf_append(&r->head, at, len);
    if (buf_error(&r->head))
        return out_of_memory(c);
    span->len += (uint32_t)len;
    return 0;
}

static int on_url(http_parser *p, const char *at, size_t len)
{
    struct http_conn *c = conn_of(p);
    return collect(c, &c->req.target, at, len);
}

static int on_header_field(http_parser *p, const char *at, size_t len)
{
    struct http_conn *c = conn_of(p);
    struct request *r = &c->req;
    if (r->head_whole) /* trailers of a chunked body say nothing to us */
        return 0;
    if (memchr(at, ' ', len)) /* http-parser lets it pass, and others read another name */
        return -1;
    if (r->n_headers == 0 || r->in_value) {
        if (r->n_headers == HTTP_HEADERS_MAX)
            return head_too_large(c);
        r->headers[r->n_headers++] = (struct header_line){0};
        r->in_value = false;
    }
    return collect(c, &r->headers[r->n_headers - 1].name, at, len);
}

static int on_header_value(http_parser *p, const char *at, size_t len)
{
    struct http_conn *c = conn_of(p);
    struct request *r = &c->req;
    if (r->head_whole || r->n_headers == 0)
        return 0;
    r->in_value = true;
    return collect(c, &r->headers[r->n_headers - 1].value, at, len);
}

static bytes span_of(const struct request *r, struct span s)
{
    return s.len > 0 ? bytes_of(r->head.data + s.at, s.len) : bytes_of("", 0);
}

static bool same_name(bytes a, const char *lower)
{
    if (a.len != strlen(lower))
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (tolower(a.data[i]) != lower[i])
            return false;
    }
    return true;
}

bytes request_header(const struct http_conn *c, const char *name)
{
    const struct request *r = &c->req;
    for (size_t i = 0; i < r->n_headers; i++) {
        if (!same_name(span_of(r, r->headers[i].name), name))
            continue;
        bytes value = span_of(r, r->headers[i].value);
        while (value.len > 0 && (value.data[value.len - 1] == ' ' || value.data[value.len - 1] == '\t'))
            value.len--;
        return value;
    }
    return (bytes){0};
}

static size_t count_headers(const struct http_conn *c, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < c->req.n_headers; i++)
        n += same_name(span_of(&c->req, c->req.headers[i].name), name);
    return n;
}

/* ---- the target ---- */

static int hex(uint8_t c)
{
    return isdigit(c) ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* Undoes %XX in place; a path with a broken one is left as it is. */
static bytes decode(uint8_t *s, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        int high = s[i] == '%' && len - i > 2 ? hex(s[i + 1]) : -1, low = high >= 0 ? hex(s[i + 2]) : -1;
        if (low >= 0)
            i += 2;
        s[n++] = low >= 0 ? (uint8_t)(high << 4 | low) : s[i];
    }
    return bytes_of(s, n);
}

/* The old name of the gateway. */
static bytes accept_v3beta(bytes path)
{
    static const char beta[] = "/v3beta/", v3[] = "/v3/";
    if (!bytes_has_prefix(path, bytes_str(beta)))
        return path;
    uint8_t *at = (uint8_t *)path.data + (sizeof beta - sizeof v3);
    memcpy(at, v3, sizeof v3 - 1);
    return bytes_of(at, path.len - (sizeof beta - sizeof v3));
}

static void split_target(struct http_conn *c)
{
    struct request *r = &c->req;
    uint8_t *at = r->head.data + r->target.at, *end = at + r->target.len;
    r->host = request_header(c, "host");
    if (at < end && *at != '/') { /* as to a proxy: http://host/path */
        uint8_t *authority = memmem(at, (size_t)(end - at), "://", 3);
        uint8_t *path = authority ? memchr(authority + 3, '/', (size_t)(end - authority - 3)) : NULL;
        if (authority)
            r->host = bytes_of(authority + 3, (size_t)((path ? path : end) - authority - 3));
        at = path ? path : end;
    }
    uint8_t *query = memchr(at, '?', (size_t)(end - at));
    r->query = query ? bytes_of(query + 1, (size_t)(end - query - 1)) : (bytes){0};
    r->path = accept_v3beta(decode(at, (size_t)((query ? query : end) - at)));
}

/* ---- who answers ---- */

static void route(struct http_conn *c)
{
    struct request *r = &c->req;
    if (!access_check(c))
        return;
    if (r->method == HTTP_OPTIONS)
        answer(c, HTTP_STATUS_OK, NULL, "", (bytes){0});
    else if (pages_redirect(c))
        return;
    else if (c->scope != HTTP_ALL || !bytes_has_prefix(r->path, bytes_str("/v3/")))
        pages_answer(c);
    else if (!(r->route = route_find(r->path)))
        gateway_refuse(c, GRPC_NOT_FOUND, "Not Found");
    else if (r->method != HTTP_POST)
        gateway_refuse(c, GRPC_UNIMPLEMENTED, "Method Not Allowed");
    else
        gateway_begin(c);
}

static bool has_body(const http_parser *p)
{
    return p->flags & F_CHUNKED || (p->content_length > 0 && p->content_length != UINT64_MAX);
}

static bool is_gateway(const struct http_conn *c)
{
    return c->scope == HTTP_ALL && c->req.method == HTTP_POST && route_find(c->req.path);
}

static bool expects(const struct http_conn *c, const http_parser *p)
{
    return has_body(p) && !c->req.is_1_0 && same_name(request_header(c, "expect"), "100-continue");
}

/* A body that nobody wants is read to its end, so that the connection can go on; but one that is long, or that the client
 * may not send at all now that it has its answer, ends the connection. */
static bool is_last_for_its_body(const struct http_conn *c, const http_parser *p)
{
    bool long_body = !(p->flags & F_CHUNKED) && p->content_length > HTTP_DISCARD_MAX;
    return has_body(p) && !is_gateway(c) && (long_body || expects(c, p));
}

static int on_headers_complete(http_parser *p)
{
    struct http_conn *c = conn_of(p);
    struct request *r = &c->req;
    p->upgrade = 0; /* another protocol is not taken up: the answer is HTTP/1.1 */
    r->method = p->method;
    r->is_head = r->method == HTTP_HEAD;
    r->is_1_0 = p->http_major == 1 && p->http_minor == 0;
    r->head_whole = true;
    split_target(c);
    c->last = !http_should_keep_alive(p) || is_last_for_its_body(c, p);
    if (p->http_major != 1) {
        answer_bad_request(c, HTTP_STATUS_HTTP_VERSION_NOT_SUPPORTED, "505 HTTP Version Not Supported");
        return -1;
    }
    if (!r->is_1_0 && r->host.data == NULL) {
        answer_bad_request(c, HTTP_STATUS_BAD_REQUEST, "400 Bad Request: missing required Host header");
        return -1;
    }
    if (count_headers(c, "host") > 1 || (r->method != HTTP_OPTIONS && (r->path.len == 0 || r->path.data[0] != '/'))) {
        answer_bad_request(c, HTTP_STATUS_BAD_REQUEST, "400 Bad Request");
        return -1;
    }
    if (request_header(c, "expect").len > 0 && !same_name(request_header(c, "expect"), "100-continue")) {
        answer_bad_request(c, HTTP_STATUS_EXPECTATION_FAILED, "");
        return -1;
    }
    route(c);
    if (c->answering && expects(c, p))
        answer_continue(c);
    return c->aborted ? -1 : 0;
}

/* ---- the body ---- */

static void take_value(struct http_conn *c)
{
    struct request *r = &c->req;
    gateway_value(c, buf_bytes(&r->value));
    drop_value(c);
    json_scan_init(&r->scan);
    r->value_whole = r->use == BODY_ONE;
}

static int too_large(struct http_conn *c)
{
    answer_bad_request(c, HTTP_STATUS_PAYLOAD_TOO_LARGE, "413 Payload Too Large");
    return -1;
}

static int too_busy(struct http_conn *c)
{
    answer_bad_request(c, HTTP_STATUS_SERVICE_UNAVAILABLE, "503 Service Unavailable");
    return -1;
}

static int read_values(struct http_conn *c, bytes in)
{
    struct request *r = &c->req;
    while (in.len > 0 && !r->bad && !r->value_whole && c->answering) {
        size_t used;
        enum json_scanned found = json_scan(&r->scan, in, &used);
        if (r->value.len + used > c->http->config.body_bytes_max)
            return too_large(c);
        if (c->http->body_bytes + used > c->http->config.bodies_bytes_max)
            return too_busy(c);
        buf_append(&r->value, in.data, used);
        if (buf_error(&r->value))
            return out_of_memory(c);
        c->http->body_bytes += used;
        in = bytes_of(in.data + used, in.len - used);
        if (found == JSON_WHOLE)
            take_value(c);
        else if (found == JSON_WRONG)
            gateway_bad_value(c, r->scan.error);
    }
    return 0;
}

/* The body of a stream's request may stay open; only a value that was begun is to be ended. */
static void look_at_clock(struct http_conn *c)
{
    const struct request *r = &c->req;
    if (!r->route || r->route->kind == ROUTE_UNARY)
        return;
    if (r->value.len == 0)
        c->since = TN_MS_NEVER;
    else if (c->since == TN_MS_NEVER)
        c->since = conn_patience(c);
}

static int on_body(http_parser *p, const char *at, size_t len)
{
    struct http_conn *c = conn_of(p);
    struct request *r = &c->req;
    int rc = 0;
    if (r->use != BODY_DROPPED && !r->bad && !r->value_whole && c->answering)
        rc = read_values(c, bytes_of(at, len));
    else if ((r->dropped += len) > HTTP_DISCARD_MAX)
        c->closing = true;
    look_at_clock(c);
    return rc || c->aborted || c->closing ? -1 : 0;
}

static void end_value(struct http_conn *c)
{
    struct request *r = &c->req;
    if (r->bad || r->value_whole)
        return;
    enum json_scanned found = json_scan_end(&r->scan);
    if (found == JSON_WHOLE)
        take_value(c);
    else if (found == JSON_WRONG)
        gateway_bad_value(c, r->scan.error);
}

static int on_message_complete(http_parser *p)
{
    struct http_conn *c = conn_of(p);
    c->request_open = false;
    c->since = TN_MS_NEVER;
    if (c->req.use != BODY_DROPPED && c->answering)
        end_value(c);
    if (c->req.use != BODY_DROPPED && c->answering)
        gateway_body_ended(c);
    http_parser_pause(p, 1);
    return 0;
}

static const http_parser_settings settings = {
    .on_message_begin = on_begin,
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- all ---- */

void request_init(struct http_conn *c)
{
    http_parser_init(&c->parser, HTTP_REQUEST);
    c->parser.data = c;
    buf_init(&c->req.head);
    buf_init(&c->req.value);
}

void request_fini(struct http_conn *c)
{
    buf_fini(&c->req.head);
    drop_value(c);
    buf_fini(&c->req.value);
}

size_t request_parse(struct http_conn *c, bytes in)
{
    size_t n = http_parser_execute(&c->parser, &settings, (const char *)in.data, in.len);
    enum http_errno e = HTTP_PARSER_ERRNO(&c->parser);
    if (e == HPE_PAUSED)
        http_parser_pause(&c->parser, 0);
    else if (e == HPE_HEADER_OVERFLOW && !c->closing)
        answer_bad_request(c, HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE, "431 Request Header Fields Too Large");
    else if (e == HPE_INVALID_TRANSFER_ENCODING && !c->closing)
        answer_bad_request(c, HTTP_STATUS_NOT_IMPLEMENTED, "Unsupported transfer encoding");
    else if (e != HPE_OK && !c->closing)
        answer_bad_request(c, HTTP_STATUS_BAD_REQUEST, "400 Bad Request");
    if (e != HPE_OK && e != HPE_PAUSED)
        c->request_open = false;
    return n;
}
