/* A proxy in front of an HTTP/1.1 service that refuses requests with a stale fencing token, as an engine: bytes and `now` in, bytes
 * out. One fence_conn a connection of a client; one request at a time on it, each with a connection of its own to the
 * service, so that nothing which one request says can be read as part of another.
 *
 *     IDLE -> HEAD -> (refused: ANSWERED) -> WAITING -> CONNECTING -> PASSING -> IDLE, or over
 *
 * WAITING: somebody with a smaller token is still inside (turnstile.h). A request is inside until its answer has ended, or the service
 * has closed; a client that goes away meanwhile does not end it. When the answer does not come in time (504) it is given up, and
 * what the service still does with it is not known.
 *
 * Bounds: heads of PROXY_HEAD_MAX bytes and PROXY_HEADERS_MAX lines, FENCE_HIGH bytes of a body each way, then nothing more is
 * read; every stage has its time. Errors are answered as JSON. The driver's part: carry bytes, connect when fence_wants_back, call
 * fence_tick when fence_deadline is due, and look at those that fence_proxy_next names. Thread: one caller at a time. */
#ifndef HTTP_FENCE_PROXY_H
#define HTTP_FENCE_PROXY_H

#include "base/buf.h"
#include "http/turnstile.h"

#define FENCE_HEADER "Tenure-Fencing-Token"
#define FENCE_HIGH   ((size_t)128 << 10)

struct fence_proxy;
struct fence_conn;

struct fence_proxy_config {
    struct turnstile *turnstile; /* borrowed */
    const char *resource; /* all requests are for this one, borrowed; NULL: the first path_parts parts of the path */
    unsigned path_parts;
    /* Methods whose requests must show a token: 1 << HTTP_… of http-parser; fence_methods. Those of others are let through without
     * one, and compared when they have one. */
    uint64_t methods;
    bool missing_allowed; /* no request must */
    int64_t timeout_ms;   /* for the service to connect, and to go on with an answer; 0 = 30 s */
    int64_t stall_ms;     /* for a client to go on with a request, or to take an answer; 0 = 30 s */
    int64_t idle_ms;      /* between requests; 0 = 60 s */
};

struct fence_counts {
    uint64_t passed, fenced, refused, failed; /* requests: sent on; stale; refused otherwise; that the service failed */
};

/* "POST,PUT": a mask; "all"; NULL = all but GET, HEAD and OPTIONS. 0: a method that is none. */
uint64_t fence_methods(const char *list);

struct fence_proxy *fence_proxy_new(const struct fence_proxy_config *config) MUST_USE; /* NULL: no memory */
struct fence_proxy *fence_proxy_free(struct fence_proxy *p); /* no connection may be left; NULL is fine; NULL */
struct fence_counts fence_proxy_counts(const struct fence_proxy *p);
/* One that may go on because somebody else has left. NULL: none. */
struct fence_conn *fence_proxy_next(struct fence_proxy *p, tn_ms now);

/* owner: the driver's own, see fence_owner. NULL: no memory. */
struct fence_conn *fence_conn_new(struct fence_proxy *p, void *owner, tn_ms now) MUST_USE;
struct fence_conn *fence_conn_free(struct fence_conn *c); /* NULL is fine; NULL */
void *fence_owner(const struct fence_conn *c);

/* ---- the client's side ---- */
void fence_front_feed(struct fence_conn *c, bytes in, tn_ms now);
void fence_front_ended(struct fence_conn *c, tn_ms now);
bool fence_front_wants(const struct fence_conn *c);
/* Appends what is to be written, bytes_max at most. */
void fence_front_output(struct fence_conn *c, struct buf *out, size_t bytes_max, tn_ms now);
/* Nothing more will come of it, and all was taken: close the client's connection, free. */
bool fence_is_over(const struct fence_conn *c);

/* ---- the service's side ---- */
/* 0: no connection is wanted, close the one there is. Else the number of the request that wants one of its own: close one that was made
 * for another number, and connect. */
uint64_t fence_wants_back(const struct fence_conn *c);
void fence_back_connected(struct fence_conn *c, tn_ms now);
void fence_back_failed(struct fence_conn *c, const char *why, tn_ms now);
void fence_back_feed(struct fence_conn *c, bytes in, tn_ms now);
/* broken: by an error, so that an answer that ends with its connection has not ended. */
void fence_back_ended(struct fence_conn *c, bool broken, tn_ms now);
bool fence_back_reads(const struct fence_conn *c);
void fence_back_output(struct fence_conn *c, struct buf *out, size_t bytes_max, tn_ms now);

/* ---- time ---- */
tn_ms fence_deadline(const struct fence_conn *c); /* TN_MS_NEVER: nothing is due */
void fence_tick(struct fence_conn *c, tn_ms now);

#endif
