/* A server engine and a client engine joined by memory, each writing down what it is told: the tests compare that
 * record with what ought to have happened.
 *
 *     request 1 /svc/Call            message 1 "hello"           message 1 70000 bytes, crc 1234abcd
 *     half-close 1                   status 1 OK ""              close 1
 *     drain 1                        pong 7                      goaway last 3 NO_ERROR ""
 */
#ifndef TESTS_PAIR_H
#define TESTS_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "wire/h2.h"

struct side;
struct side {
    struct h2_conn *c;
    struct buf record; /* text, without an end mark */
    struct buf wire;   /* written by this side, not yet fed to the other */
    bool quiet;        /* nothing is written down */
    bool dead;         /* its h2_feed or h2_output answered an error */
    int error;
    struct tenure_error why;
    struct h2_stream *last; /* of the last request or call */
    uint64_t n_requests, n_messages, n_half_closes, n_statuses, n_closes, n_drains;
    bool last_unprocessed; /* of the stream last closed or answered by a status */

    /* What this side does besides; may be NULL. */
    void (*when_request)(struct side *s, struct h2_stream *st, const struct h2_request *req);
    void (*when_message)(struct side *s, struct h2_stream *st, bytes message);
    void (*when_half_close)(struct side *s, struct h2_stream *st);
    void (*when_status)(struct side *s, struct h2_stream *st, enum grpc_status status);
    void (*when_close)(struct side *s, struct h2_stream *st);
    void (*when_drain)(struct side *s, struct h2_stream *st);
    void *user;
};

struct pair {
    struct side server, client;
    tn_ms now;
    size_t piece_max;  /* feed in pieces of at most this; 0 = all at once */
    struct rng *rng;   /* then each piece is 1..piece_max at random */
    size_t output_max; /* for h2_output; 0 = 64 KiB */
};

/* NULL limits are the defaults. False when out of memory; pair_fini is then fine as well. */
bool pair_try_init(struct pair *p, const struct h2_limits *server, const struct h2_limits *client);
void pair_init(struct pair *p, const struct h2_limits *server, const struct h2_limits *client);
void pair_fini(struct pair *p);

/* Takes what a side has to write into its wire. Answers whether it wrote anything. */
bool side_write(struct pair *p, struct side *s);
/* Feeds bytes to a side, cut into pieces as the pair wants. */
void side_feed(struct pair *p, struct side *s, bytes in);
/* Moves bytes both ways until neither side has more to say. */
void pair_settle(struct pair *p);

/* Compares what a side wrote down since the last time with lines, and forgets it. */
void side_expect_at(struct side *s, const char *lines, const char *file, int line);
#define side_expect(s, lines) side_expect_at((s), (lines), __FILE__, __LINE__)
void side_forget(struct side *s);

struct h2_stream *pair_call(struct pair *p, const char *path); /* no timeout, no metadata */
void pair_send(struct h2_stream *st, const char *text);

/* For when_half_close and when_message of a server. */
void answer_ok(struct side *s, struct h2_stream *st);
void echo_message(struct side *s, struct h2_stream *st, bytes message);

#endif
