/* What the files of the fencing proxy share. */
#ifndef HTTP_FENCE_INTERNAL_H
#define HTTP_FENCE_INTERNAL_H

#include <http_parser.h>

#include "http/fence_proxy.h"
#include "http/proxy_head.h"

enum fence_stage { FENCE_IDLE, FENCE_HEAD, FENCE_WAITING, FENCE_CONNECTING, FENCE_PASSING, FENCE_ANSWERED };

struct fence_proxy {
    struct fence_proxy_config config;
    struct fence_counts counts;
};

struct fence_conn {
    struct fence_proxy *proxy;
    void *owner;
    enum fence_stage stage;
    uint64_t number; /* of the request, on this connection */
    struct turnstile_ticket ticket;
    tn_ms now, since; /* when the stage, or the part of it that is waited for, last went on */

    /* ---- the request ---- */
    http_parser front;
    struct proxy_head head;
    struct buf ahead; /* read, and not parsed yet */
    bool head_whole, request_whole;
    bool front_ended; /* the client is gone */
    bool closing;     /* nothing more is parsed; over when all is out */
    bool aborted;     /* over at once */
    bool is_1_0, is_head, keeps_alive, expects;
    enum proxy_body measure;
    struct buf to_front;
    tn_ms took_at; /* when the client last took something, or there was nothing to take */

    /* ---- the answer ---- */
    http_parser back;
    struct proxy_head back_head;
    bool back_head_whole, answer_begun, answer_whole;
    bool back_chunked; /* we write the answer in chunks */
    bool sent;         /* something of the request was given out for the service */
    struct buf to_back;
};

/* ---- fence_request.c ---- */
void fence_request_init(struct fence_conn *c);
/* Parses what is there until the end of a request. */
void fence_request_parse(struct fence_conn *c);
/* ---- fence_answer.c ---- */
void fence_answer_begin(struct fence_conn *c);
/* in empty: the service has closed. */
void fence_answer_feed(struct fence_conn *c, bytes in);
void fence_answer_broken(struct fence_conn *c); /* no more of it will come */
/* An answer of our own, as JSON: error is a word for programs. The exchange is over. more: further members, or "". */
void fence_refuse(struct fence_conn *c, int status, const char *error, const char *message, const char *more);
void fence_refuse_stale(struct fence_conn *c, const char *resource, int64_t token, int64_t seen);
/* ---- fence_proxy.c ---- */
void fence_move(struct fence_conn *c, enum fence_stage stage);
/* Some of a request's body came, or went. It buys no time when somebody with a greater token waits for the end of this one. */
void fence_went_on(struct fence_conn *c);
/* The answer has ended: leaves the resource, and goes on with the next request or ends. */
void fence_exchange_over(struct fence_conn *c);
/* The same where the connection cannot go on. */
void fence_abort(struct fence_conn *c);

#endif
