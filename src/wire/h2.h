/* gRPC over HTTP/2 as a pure engine: bytes in, events out; sends in, bytes out. Both roles, on nghttp2.
 *
 * Happy path, server: h2_feed -> on_request, on_message …, on_half_close -> h2_send_message …, h2_finish -> h2_output.
 * Happy path, client: h2_call, h2_send_message, h2_half_close -> h2_output; h2_feed -> on_message …, on_status.
 *
 * Rules. (1) Callbacks come only from h2_feed and h2_output, never from a send. (2) In a callback every function of
 * this header may be called but h2_feed, h2_output and h2_free. (3) on_close comes exactly once a stream that
 * on_request or h2_call made known, as its last callback (also from h2_free); then the stream pointer is dead. (4)
 * Time comes in as `now`. (5) Nothing here touches a socket.
 *
 * What is answered here without asking the user: a content type that is not application/grpc… (HTTP 415), a method
 * that is not POST (405), a compressed message (UNIMPLEMENTED), a message longer than message_bytes_max
 * (RESOURCE_EXHAUSTED "grpc: received message larger than max (N vs. M)"), a broken frame (INTERNAL). A connection
 * error makes h2_feed answer an error after GOAWAY was queued: write h2_output once more, then close.
 */
#ifndef WIRE_H2_H
#define WIRE_H2_H

#include "api/etcd_error.h"
#include "base/blob.h"
#include "base/buf.h"
#include "base/error.h"

struct h2_conn;
struct h2_stream;

struct h2_limits {
    uint32_t streams_max;       /* open at once, announced; 0 = 100,000 */
    uint32_t message_bytes_max; /* received; 0 = 2 MiB for a server, 2 GiB - 1 for a client */
    uint32_t header_bytes_max;  /* a header list; 0 = 16 KiB */
    size_t input_bytes_max;     /* of unfinished messages over all streams; 0 = 16 MiB; at least message_bytes_max.
                                     Past it the stream that wants more ends with RESOURCE_EXHAUSTED */
    uint32_t resets_max_per_s;  /* streams reset by the peer a second, averaged over 10 s; 0 = 50,000 */
    uint32_t window_bytes;      /* receive window a stream and connection; 0 = 1 MiB */
    bool https;                 /* a client's: what :scheme says */
};

struct h2_header {
    bytes name, value;
};

struct h2_request {
    bytes path; /* "/etcdserverpb.KV/Put" */
    bytes authority;
    int64_t timeout_ms;              /* from grpc-timeout, rounded up; -1 = none given */
    const struct h2_header *headers; /* the other metadata, in order; borrowed for the callback */
    size_t n_headers;
};

struct h2_callbacks {
    /* Server. A new call. Set the stream's user pointer here. */
    void (*on_request)(void *user, struct h2_stream *st, const struct h2_request *req);
    /* Both. One whole message, borrowed for the callback. */
    void (*on_message)(void *user, struct h2_stream *st, bytes message);
    /* Server: the client sends no more (it still receives). */
    void (*on_half_close)(void *user, struct h2_stream *st);
    /* Client: the call ended with this status (from trailers, or made up where the peer broke the rules: UNKNOWN,
     * INTERNAL, UNAVAILABLE as gRPC maps HTTP status and RST codes). Comes before on_close unless the connection ended
     * or h2_reset ended the call. */
    void (*on_status)(void *user, struct h2_stream *st, enum grpc_status status, bytes text);
    /* Both. The stream is gone. */
    void (*on_close)(void *user, struct h2_stream *st);
    /* Both; may be NULL. Queued bytes of the stream fell to the low mark given to h2_notify_drain. */
    void (*on_drain)(void *user, struct h2_stream *st);
    /* Client; may be NULL. */
    void (*on_pong)(void *user, uint64_t opaque);
    /* Client; may be NULL. The peer takes no new calls on this connection; streams above last_stream_id were not
     * processed (h2_stream_id tells; they end by on_status UNAVAILABLE with h2_stream_unprocessed true). */
    void (*on_goaway)(void *user, uint32_t last_stream_id, uint32_t error_code, bytes debug);
};

struct h2_conn *h2_server_new(const struct h2_limits *limits, const struct h2_callbacks *cb, void *user) MUST_USE;
struct h2_conn *h2_client_new(const struct h2_limits *limits, const struct h2_callbacks *cb, void *user) MUST_USE;
struct h2_conn *h2_free(struct h2_conn *c); /* NULL is fine; NULL */

/* 0, or a TENURE_E… code with err filled: queue is to be flushed and the connection closed. */
int h2_feed(struct h2_conn *c, bytes in, tn_ms now, struct tenure_error *err) MUST_USE;
/* Appends what is to be written, until about bytes_max were added or nothing is left; call again after each h2_feed
 * and each send. 0, or a TENURE_E… code when the connection ended in a way that h2_feed has not answered yet: write
 * what was appended, then close. */
int h2_output(struct h2_conn *c, struct buf *out, size_t bytes_max) MUST_USE;
/* Whether the peer has begun to speak HTTP/2: its preface and its first frame were right. */
bool h2_established(const struct h2_conn *c);
bool h2_wants_output(const struct h2_conn *c);
/* Nothing more will be sent or received (GOAWAY both said and all streams ended, or a fatal error). */
bool h2_done(const struct h2_conn *c);

/* Whether an unfinished message or header block has been under way since before `since`: a peer that sends slowly. */
bool h2_input_stalled(const struct h2_conn *c, tn_ms since);
/* Bytes the peer's windows or our driver have not taken yet, over all streams. */
size_t h2_queued(const struct h2_conn *c);
size_t h2_streams(const struct h2_conn *c);

/* ---- streams ---- */
void h2_stream_set_user(struct h2_stream *st, void *user);
void *h2_stream_user(const struct h2_stream *st);
uint32_t h2_stream_id(const struct h2_stream *st);
struct h2_conn *h2_stream_conn(const struct h2_stream *st);
size_t h2_stream_queued(const struct h2_stream *st);
/* Client: provably not processed by the peer (REFUSED_STREAM, or above GOAWAY's last id, or never written). */
bool h2_stream_unprocessed(const struct h2_stream *st);
/* Calls on_drain once, when h2_stream_queued falls to low or below. */
void h2_notify_drain(struct h2_stream *st, size_t low);

/* One gRPC message made of the parts one behind the other, so that a shared encoding is not copied per stream: each
 * part is either a blob (a reference is taken) or plain bytes (copied). 0 or TENURE_ENOMEM (then reset the stream). */
struct h2_part {
    struct blob *shared; /* or NULL: */
    bytes plain;
};
int h2_send_parts(struct h2_stream *st, const struct h2_part *parts, size_t n) MUST_USE;
int h2_send_message(struct h2_stream *st, bytes message) MUST_USE; /* copies */

/* Server: a number that goes along in front of the first message, as metadata; one a stream. name: a literal. */
void h2_tell(struct h2_stream *st, const char *name, int64_t number);
/* Client: whether the server has told that number in front of its answer. name: "tenure-staleness" is the one that is kept. */
bool h2_told(const struct h2_stream *st, int64_t *ret);
/* Server: ends the call, behind what is queued, with grpc-status and grpc-message (percent-encoded here). */
int h2_finish(struct h2_stream *st, enum grpc_status status, const char *text) MUST_USE;
/* Both: ends the call now (RST_STREAM CANCEL), dropping what is queued. on_close follows from h2_feed/h2_output. */
void h2_reset(struct h2_stream *st);

/* ---- client ---- */
/* Opens a call. timeout_ms < 0 = none. headers: further metadata. Copies all. NULL when out of memory or after
 * GOAWAY. */
struct h2_stream *h2_call(struct h2_conn *c, const char *path, const char *authority, int64_t timeout_ms,
                          const struct h2_header *headers, size_t n_headers, void *stream_user) MUST_USE;
int h2_half_close(struct h2_stream *st) MUST_USE;
int h2_ping(struct h2_conn *c, uint64_t opaque) MUST_USE;

/* Both: GOAWAY NO_ERROR; no new streams, the open ones end by themselves. */
void h2_goaway(struct h2_conn *c);

#endif
