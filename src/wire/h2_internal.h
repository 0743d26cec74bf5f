/* The inside of the HTTP/2 engine, shared by its files: h2_conn.c owns the connection, h2_session.c is nghttp2's side
 * of it, h2_stream.c the streams and what they send, h2_server.c and h2_client.c the two roles. Pure.
 *
 * A stream's life:
 *
 *     open ──(on_stream_close of nghttp2)──────────────> closed ──(end of h2_feed, h2_output, h2_free)──> spare or freed
 *       └──(client: given up before it was written)──> abandoned ──(the next h2_feed, h2_output)──> closed
 *
 * It is in exactly one list of its connection: streams while open, abandoned, dead once closed, spares.
 */
#ifndef WIRE_H2_INTERNAL_H
#define WIRE_H2_INTERNAL_H

#include <nghttp2/nghttp2.h>

#include "base/list.h"
#include "tenure/error.h"
#include "wire/grpc_frame.h"
#include "wire/h2.h"
#include "wire/h2_headers.h"
#include "wire/h2_limit.h"
#include "wire/h2_memory.h"
#include "wire/h2_queue.h"

struct h2_stream {
    struct h2_conn *conn;
    struct list node;
    struct h2_stream *next_spare;
    void *user;
    int32_t id;

    bool closed;    /* on_close has begun: nothing may be done with it */
    bool reset;     /* by us: nothing more is sent or delivered */
    bool deaf;      /* messages are no longer delivered: half-closed, finished or reset */
    bool submitted; /* nghttp2 has our HEADERS and asks read_cb for data */
    bool deferred;  /* read_cb had nothing; nghttp2 must be told of more */
    bool ending;    /* our side ends behind what is queued */

    struct h2_queue out;
    size_t drain_low;
    bool drain_armed;
    struct list drain_node; /* in conn->drained, when on_drain is due */

    struct grpc_in in;
    tn_ms in_since;      /* when the unfinished message began */
    struct list in_node; /* in conn->unfinished, oldest first */

    /* server */
    enum grpc_status status; /* to be sent when ending */
    char *text;              /* percent-encoded; NULL = none; owned */
    const char *told_name;   /* metadata of h2_tell; NULL = none */
    int64_t told;

    /* client */
    bool written;   /* HEADERS went out */
    bool abandoned; /* is in that list */
    bool unprocessed;
    bool answered;     /* the first header list of the answer was seen */
    bool status_given; /* on_status was called */
};

struct h2_conn {
    nghttp2_session *session;
    struct h2_memory memory; /* of session */
    bool server;
    struct h2_limits limits;
    struct h2_callbacks cb;
    void *user;
    tn_ms now; /* of the last h2_feed */

    struct list streams, abandoned, dead;
    struct h2_stream *spares;
    size_t n_streams; /* open or abandoned */
    size_t n_spares;
    size_t queued; /* over all streams */
    struct list drained;
    struct list unfinished;
    struct grpc_budget input;
    struct h2_limit resets;

    struct h2_headers headers; /* the list under way */
    bool headers_open;
    tn_ms headers_since;
    struct h2_header *metadata; /* of the request being announced */
    size_t metadata_cap;

    struct buf early; /* written during h2_feed, for the next h2_output */
    struct buf *out;  /* while nghttp2 writes: where to */
    size_t out_len_max;

    int64_t timeout_ms_before; /* client: of the last call */

    bool inside; /* h2_feed, h2_output or h2_free is running */
    bool freeing;
    bool established;
    bool goaway_received;
    bool unusable;             /* nghttp2's session must not be called again, but to delete it */
    bool reported;             /* the caller knows of error */
    struct tenure_error error; /* why the connection ended; code 0 = it has not */
};

/* ---- h2_session.c ---- */
/* Sets up nghttp2's session and queues our SETTINGS. 0 or an error of nghttp2. */
int h2_session_open(struct h2_conn *c) MUST_USE;
/* The peer cost us a reset; too many end the connection. */
void h2_count_reset(struct h2_conn *c);
struct h2_stream *h2_find(struct h2_conn *c, int32_t id);

/* ---- h2_conn.c ---- */
/* Ends the connection, first reason wins. */
void h2_fail(struct h2_conn *c, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The same for what nghttp2 answered. */
void h2_fail_nghttp2(struct h2_conn *c, int nghttp2_code);

/* A literal as name or value of a header, not copied by nghttp2. */
#define H2_NV(name, value, value_len, flags)                                                                           \
    {                                                                                                                  \
        (uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, (value_len),                                          \
            (uint8_t)(NGHTTP2_NV_FLAG_NO_COPY_NAME | (flags))                                                          \
    }
#define H2_NV_STATIC(name, value) H2_NV(name, value, sizeof(value) - 1, NGHTTP2_NV_FLAG_NO_COPY_VALUE)

/* ---- h2_stream.c ---- */
struct h2_stream *h2_stream_new(struct h2_conn *c) MUST_USE; /* NULL when out of memory */
/* Calls on_close and puts it to the dead. */
void h2_stream_close(struct h2_stream *st);
void h2_streams_bury(struct h2_conn *c); /* frees the dead, or keeps them as spares */
void h2_streams_fini(struct h2_conn *c);
/* Ends the stream with an error code; what is queued is dropped. */
void h2_stream_reset(struct h2_stream *st, uint32_t error_code);
/* Client: takes a stream that was never written out of nghttp2's hands. */
void h2_stream_abandon(struct h2_stream *st);
/* Tells nghttp2 that there is something to send again. 0 or TENURE_ENOMEM. */
int h2_stream_resume(struct h2_stream *st) MUST_USE;
/* Messages out of a chunk of DATA. */
void h2_stream_receive(struct h2_stream *st, bytes chunk);
/* Calls on_drain for those that are due. */
void h2_streams_drained(struct h2_conn *c);
/* nghttp2's callbacks for sending DATA. */
ssize_t h2_read_cb(nghttp2_session *session, int32_t stream_id, uint8_t *data, size_t len, uint32_t *data_flags,
                   nghttp2_data_source *source, void *user);
int h2_send_data_cb(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t len,
                    nghttp2_data_source *source, void *user);

/* ---- h2_server.c ---- */
/* The request's header list is whole. */
void h2_server_request(struct h2_conn *c, int32_t id);
/* A header list behind it is: trailers, if it keeps the rules. */
void h2_server_trailers_received(struct h2_conn *c, int32_t id, bool end);
void h2_server_half_closed(struct h2_stream *st);
int h2_server_submit(struct h2_stream *st) MUST_USE;   /* response HEADERS, in front of the first message */
int h2_server_trailers(struct h2_stream *st) MUST_USE; /* 0 or an error of nghttp2 */

/* ---- h2_client.c ---- */
/* A header list of the answer is whole; end: nothing follows. */
void h2_client_response(struct h2_stream *st, bool end);
void h2_client_end_of_data(struct h2_stream *st);
void h2_client_closed(struct h2_stream *st, uint32_t error_code);
void h2_client_goaway(struct h2_conn *c, const nghttp2_goaway *frame);
/* Ends the call with a status of our making, because of what came from the peer. */
void h2_client_broken(struct h2_stream *st, enum grpc_status status, const char *text);
/* on_status and on_close for those given up. */
void h2_client_abandoned(struct h2_conn *c);

#endif
