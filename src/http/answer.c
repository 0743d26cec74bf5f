/* What goes out: heads, whole answers, and those that grow. An answer says that it is the connection's last one, when it is.
 */
#include "http/internal.h"

static const char *reason(int status)
{
    switch (status) {
#define REASON(number, name, text)                                                                                     \
    case number:                                                                                                       \
        return #text;
        HTTP_STATUS_MAP(REASON)
#undef REASON
    case 499:
        return "Client Closed Request";
    default:
        return "status";
    }
}

static void cors_headers(struct http_conn *c)
{
    bytes origin = access_origin(c);
    if (origin.len == 0)
        return;
    buf_printf(&c->out,
               "Access-Control-Allow-Headers: accept, content-type, authorization\r\n"
               "Access-Control-Allow-Methods: POST, GET, OPTIONS, PUT, DELETE\r\n"
               "Access-Control-Allow-Origin: %.*s\r\n",
               (int)origin.len, (const char *)origin.data);
}

static void begin_head(struct http_conn *c, int status, const char *type, const char *more)
{
    c->http->counts.answers[status / 100]++;
    buf_printf(&c->out, "HTTP/1.%d %d %s\r\n%s", !c->req.is_1_0, status, reason(status), more);
    cors_headers(c);
    if (type)
        buf_printf(&c->out, "Content-Type: %s\r\n", type);
    if (c->http->date[0])
        buf_printf(&c->out, "Date: %s\r\n", c->http->date);
}

static void end_head(struct http_conn *c)
{
    if (c->last && !c->req.is_1_0)
        buf_append_bytes(&c->out, bytes_str("Connection: close\r\n"));
    else if (!c->last && c->req.is_1_0)
        buf_append_bytes(&c->out, bytes_str("Connection: keep-alive\r\n"));
    buf_append_bytes(&c->out, bytes_str("\r\n"));
}

static void answered(struct http_conn *c)
{
    c->answering = false;
    if (c->last)
        c->closing = true;
}

void answer(struct http_conn *c, int status, const char *type, const char *more, bytes body)
{
    begin_head(c, status, type, more);
    buf_printf(&c->out, "Content-Length: %zu\r\n", body.len);
    end_head(c);
    if (!c->req.is_head)
        buf_append_bytes(&c->out, body);
    answered(c);
}

void answer_error(struct http_conn *c, int status, const char *more, const char *text)
{
    struct buf body;
    char lines[160];
    buf_init(&body);
    buf_printf(&body, "%s\n", text);
    snprintf(lines, sizeof lines, "%sX-Content-Type-Options: nosniff\r\n", more);
    answer(c, status, "text/plain; charset=utf-8", lines, buf_bytes(&body));
    if (buf_error(&body))
        c->aborted = true;
    buf_fini(&body);
}

void answer_bad_request(struct http_conn *c, int status, const char *text)
{
    c->last = true;
    c->closing = true;
    if (c->answering && c->head_sent) { /* behind the beginning of an answer nothing else can be said */
        c->aborted = true;
        return;
    }
    c->answering = true;
    answer(c, status, "text/plain; charset=utf-8", "", bytes_str(text));
}

void answer_continue(struct http_conn *c)
{
    buf_append_bytes(&c->out, bytes_str("HTTP/1.1 100 Continue\r\n\r\n"));
}

/* HTTP/1.0 knows no chunks: there the end of the connection ends the answer. */
void answer_begin(struct http_conn *c, int status, const char *type, const char *more)
{
    if (c->req.is_1_0)
        c->last = true;
    begin_head(c, status, type, more);
    if (!c->req.is_1_0)
        buf_append_bytes(&c->out, bytes_str("Transfer-Encoding: chunked\r\n"));
    end_head(c);
    c->head_sent = true;
}

void answer_part(struct http_conn *c, bytes part)
{
    if (c->req.is_head || part.len == 0)
        return;
    if (!c->req.is_1_0)
        buf_printf(&c->out, "%zx\r\n", part.len);
    buf_append_bytes(&c->out, part);
    if (!c->req.is_1_0)
        buf_append_bytes(&c->out, bytes_str("\r\n"));
}

void answer_end(struct http_conn *c)
{
    if (!c->req.is_1_0 && !c->req.is_head)
        buf_append_bytes(&c->out, bytes_str("0\r\n\r\n"));
    answered(c);
}
