/* One connection to a server on a loopback port, made again whenever it is lost, for programs that play many clients in one
 * thread: gRPC calls go out and answers come in by wire's engine. Nothing is retried or resumed here: what is seen is the server.
 *
 *     link_new -> links_turn … (on_up: calls may begin; the callbacks of h2.h; on_down: all calls have ended) -> link_free
 */
#ifndef BUSY_LINK_H
#define BUSY_LINK_H

#include "wire/h2.h"

struct link;

struct link_callbacks {
    void (*on_up)(struct link *l); /* may be NULL */
    void (*on_down)(struct link *l);
    void (*on_message)(struct link *l, void *call, bytes message);
    /* code: of the status, or UNAVAILABLE where the connection ended. Once a call, the last. */
    void (*on_end)(struct link *l, void *call, enum grpc_status code);
};

struct link {
    int port;
    const struct link_callbacks *cb;
    void *user;
    const char *token;       /* of the user who calls from now on; NULL = nobody */
    int64_t paused_until_ns; /* not read before: a slow reader */

    /* link.c's */
    int fd; /* -1: not connected */
    bool up, connecting;
    int64_t retry_at_ns;
    struct h2_conn *h2;
    struct buf out;
    size_t written;
    struct link *next;
};

int64_t now_ns(void);
_Noreturn void die(const char *what);

/* Freed when the program ends. */
struct link *link_new(int port, const struct link_callbacks *cb, void *user);
/* Ends the connection now; it is made again, to `port` if that was changed. */
void link_cut(struct link *l);
/* NULL: there is no connection. The request is copied. */
struct h2_stream *link_call(struct link *l, const char *path, bytes request, void *call);
/* The same, without a half-close: a stream. */
struct h2_stream *link_stream(struct link *l, const char *path, bytes request, void *call);
/* Waits for up to so long, then reads and writes what can be. */
void links_turn(int timeout_ms, int extra_fd, bool *ret_extra);

#endif
