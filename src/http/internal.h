/* What the files of http share: a connection, its request under way, its call. */
#ifndef HTTP_INTERNAL_H
#define HTTP_INTERNAL_H

#include <http_parser.h>
#include <stdio.h>

#include "http/http.h"
#include "http/json_scan.h"
#include "http/routes.h"
#include "wire/h2.h"

#define HTTP_DISCARD_MAX ((size_t)256 << 10) /* of a body that nobody reads: more closes the connection */

struct http {
    struct http_config config;
    struct buf pipe;    /* between the two engines of a connection */
    struct buf scratch; /* one message, either form */
    struct http_counts counts;
    size_t body_bytes; /* of JSON values under way, all connections */
    char date[40];     /* empty: not known */
    int64_t date_s;    /* the same, as it was told */
};

/* A name or value within the head. */
struct span {
    uint32_t at, len;
};

struct header_line {
    struct span name, value;
};

/* Where a request's body goes. */
enum body_use {
    BODY_DROPPED,
    BODY_ONE,  /* the first JSON value of it is the request */
    BODY_MANY, /* each value is a message of the call */
};

struct request {
    struct buf head; /* the target, then names and values */
    struct span target;
    struct header_line headers[HTTP_HEADERS_MAX];
    size_t n_headers;
    bool in_value; /* of the last header line */
    bool head_whole;
    bytes path, query, host; /* within head, once it is whole; path is decoded */
    bool is_head, is_1_0;
    bool misdirected; /* not for a host that is served */
    enum http_method method;
    const struct route *route; /* NULL: not of the gateway */

    enum body_use use;
    struct json_scan scan;
    struct buf value; /* the JSON value under way */
    bool value_whole; /* BODY_ONE: the rest is ignored */
    bool bad;         /* what follows is no JSON */
    size_t dropped;
};

struct http_conn {
    struct http *http;
    struct core_conn *core;
    struct h2_conn *client;
    http_parser parser;
    struct request req;
    tn_ms now;
    tn_ms since;   /* by conn_patience: when what the peer has begun and not ended began; TN_MS_NEVER: nothing */
    tn_ms took_at; /* when output was last taken, or there was none */

    struct buf ahead; /* read, and not parsed yet */
    size_t ahead_at;
    struct buf out;
    size_t out_at;

    enum http_scope scope;
    bool secure;
    bool request_open; /* its end has not been read */
    bool answering;    /* its answer has not ended */
    bool closing;      /* nothing more is parsed; over once all is out */
    bool last;         /* this answer is the last one: it says so */
    bool aborted;      /* over at once */
    bool fed_core;

    /* ---- the call of a gateway request (gateway.c) ---- */
    struct h2_stream *stream;
    struct buf reply; /* JSON of a unary call */
    bool replied;
    bool head_sent; /* of a stream's answer */
    size_t n_sent;  /* messages sent */
};

/* ---- request.c ---- */
void request_init(struct http_conn *c);
void request_fini(struct http_conn *c);
/* Parses until the end of a request, or of `in`; answers how much of it was used. */
size_t request_parse(struct http_conn *c, bytes in);
/* A header's value, names in lower case; len 0 when absent (data NULL). */
bytes request_header(const struct http_conn *c, const char *name);

/* ---- access.c ---- */
/* Whether the request may go on; answers it otherwise. */
bool access_check(struct http_conn *c);
/* The value of Access-Control-Allow-Origin; len 0: none. */
bytes access_origin(const struct http_conn *c);

/* ---- pages.c ---- */
void pages_answer(struct http_conn *c);
/* Sends a client with a path that is not plain ("//version") to the one that is; false: it is plain. */
bool pages_redirect(struct http_conn *c);

/* ---- gateway.c ---- */
/* The head is whole: streams begin here. */
void gateway_begin(struct http_conn *c);
/* A JSON value of the body is whole. */
void gateway_value(struct http_conn *c, bytes json);
/* What came is no JSON, or not of the request's type. */
void gateway_bad_value(struct http_conn *c, const char *text);
/* The body ended, and its last value was told. */
void gateway_body_ended(struct http_conn *c);
/* Refuses a request with a status and text of gRPC. */
void gateway_refuse(struct http_conn *c, enum grpc_status status, const char *text);
/* Moves bytes between the two engines until nothing moves. */
void gateway_pump(struct http_conn *c);
int gateway_http_status(enum grpc_status status);
extern const struct h2_callbacks gateway_callbacks;

/* ---- answer.c ---- */
/* A whole answer; more: further header lines, each with its end, or "". */
void answer(struct http_conn *c, int status, const char *type, const char *more, bytes body);
/* As Go's http.Error: plain text and a new line. */
void answer_error(struct http_conn *c, int status, const char *more, const char *text);
/* Of a syntax that cannot be followed: the connection ends. */
void answer_bad_request(struct http_conn *c, int status, const char *text);
void answer_continue(struct http_conn *c);
/* An answer of unknown length: its head, a part, its end. */
void answer_begin(struct http_conn *c, int status, const char *type, const char *more);
void answer_part(struct http_conn *c, bytes part);
void answer_end(struct http_conn *c);

/* ---- conn.c ---- */
size_t conn_pending(const struct http_conn *c);
/* Empties it, and gives much memory back. */
void conn_trim(struct buf *b);
/* The time by which slow peers are judged. */
tn_ms conn_patience(const struct http_conn *c);

#endif
