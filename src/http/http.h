/* HTTP/1.1 beside gRPC on the same port, as an engine: one http_conn a connection; bytes and `now` in, bytes out.
 *
 *     request.c   a request's head and body (http-parser), one request after the other
 *     pages.c     what is answered from here: /version, /health, /livez, /readyz, ...
 *     gateway.c   etcd's JSON gateway: a call through a gRPC client engine that is joined to the connection's core_conn, so
 *                 that deadlines, tokens, limits, errors and backpressure are the core's own
 *     transcode.h JSON <-> protobuf; routes.h: etcd's paths
 *     access.c    CORS and the whitelist of host names
 *     metrics.c   the text of /metrics
 *     answer.c    what goes out: heads, errors, chunks
 *
 * Happy path: http_conn_new with what the connection has sent so far unread -> http_feed ... -> http_output, once a turn
 * and whenever the core has something for the core_conn -> http_conn_finished -> http_conn_free, then core_remove.
 *
 * Bounds: a head of HTTP_HEAD_MAX bytes and HTTP_HEADERS_MAX fields (431), a JSON value of body_bytes_max (413), bodies_bytes_max over all (503), one request
 * at a time with HTTP_AHEAD_MAX bytes of those behind it, HTTP_OUT_MAX bytes of output past which the core is asked for no
 * more. A peer that leaves a request unfinished, or takes nothing, for stall_ms is dropped. Thread: one caller at a time.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "base/buf.h"
#include "core/core.h"
#include "http/metrics.h"

#define HTTP_HEAD_MAX    ((size_t)64 << 10)
#define HTTP_HEADERS_MAX 100
#define HTTP_AHEAD_MAX   ((size_t)64 << 10)
#define HTTP_OUT_MAX     ((size_t)1 << 20)

struct http;
struct http_conn;

struct http_config {
    struct core *core;       /* borrowed */
    const char *const *cors; /* origins; none or "*" = all; borrowed */
    size_t n_cors;
    const char *const *hosts; /* host names that requests without TLS may be for; none or "*" = all; borrowed */
    size_t n_hosts;
    const char *version;                                   /* NULL = "3.7.0" */
    size_t body_bytes_max;                                 /* of one JSON value; 0 = 6 MiB */
    size_t bodies_bytes_max;                               /* of those under way, all connections; 0 = 256 MiB */
    int64_t stall_ms;                                      /* 0 = 30 s */
    void (*numbers)(void *user, struct http_numbers *ret); /* for /metrics; NULL = none */
    void *user;
};

int http_new(const struct http_config *config, struct http **ret) MUST_USE;
struct http *http_free(struct http *h); /* NULL is fine; NULL */
/* The wall clock, for the header Date: before input, so that others can tell by it how far their clocks are from ours. */
void http_set_date(struct http *h, int64_t unix_s);

/* core: the connection's place in the core, to which nothing was fed; borrowed, removed by the caller after http_conn_free.
 * secure: it came over TLS. NULL when out of memory. */
struct http_conn *http_conn_new(struct http *h, struct core_conn *core, bool secure, tn_ms now) MUST_USE;
/* What is served on the connection: from the first request on when it is told before http_feed. */
enum http_scope {
    HTTP_ALL,
    HTTP_PAGES, /* no gateway */
    HTTP_HEALTH /* metrics and health alone: nothing of the data */
};
void http_conn_restrict(struct http_conn *c, enum http_scope scope);
struct http_conn *http_conn_free(struct http_conn *c); /* NULL is fine; NULL */
void http_feed(struct http_conn *c, bytes in, tn_ms now);
/* Whether the driver should read more from the socket now. */
bool http_wants_input(const struct http_conn *c);
/* Appends bytes to write, at most bytes_max. Answers whether something went into the core, which then wants its turn. */
bool http_output(struct http_conn *c, struct buf *out, size_t bytes_max, tn_ms now);
/* No more is to be written or read: close the socket once what http_output gave is written. */
bool http_conn_finished(const struct http_conn *c);
/* Once a second. Answers why the peer is to be dropped now; NULL: it keeps up. */
const char *http_conn_check(struct http_conn *c, tn_ms now);

#endif
