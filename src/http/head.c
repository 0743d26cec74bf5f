/* See head.h. */
#include "http/head.h"

#include <http_parser.h>
#include <stdlib.h>
#include <tenure/error.h>

#define HEAD_MAX ((size_t)64 << 10)

struct http_head {
    http_parser parser;
    size_t seen;
    int status; /* 0 = not known yet */
};

static int on_headers_complete(http_parser *p)
{
    struct http_head *s = p->data;
    if (p->status_code >= 200)
        s->status = (int)p->status_code;
    return 1; /* no body is waited for */
}

static const http_parser_settings settings = {.on_headers_complete = on_headers_complete};

struct http_head *http_head_new(void)
{
    struct http_head *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    http_parser_init(&s->parser, HTTP_RESPONSE);
    s->parser.data = s;
    return s;
}

struct http_head *http_head_free(struct http_head *s)
{
    free(s);
    return NULL;
}

int http_head_feed(struct http_head *s, bytes data)
{
    size_t room = s->seen < HEAD_MAX ? HEAD_MAX - s->seen : 0, n = data.len < room ? data.len : room;
    if (s->status)
        return s->status;
    http_parser_execute(&s->parser, &settings, (const char *)data.data, n);
    s->seen += n;
    if (s->status)
        return s->status;
    return HTTP_PARSER_ERRNO(&s->parser) || data.len == 0 || s->seen >= HEAD_MAX ? TENURE_EPROTOCOL : 0;
}
