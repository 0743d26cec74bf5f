/* A TCP proxy of the tests' own, between clients and a server at an address of IPv4, on a thread of its own. It cuts connections at a
 * chosen byte, and plays the endpoints that fail: silent, slow, half-open, lying. Any thread may call its functions.
 *
 * Failures to set it up fail the cmocka test.
 */
#ifndef TESTS_LIB_PROXY_H
#define TESTS_LIB_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum proxy_mode {
    PROXY_PASS,      /* carries bytes both ways */
    PROXY_SILENT,    /* accepts, reads, and never says a thing */
    PROXY_SLOW,      /* a byte a second to the client */
    PROXY_HALF_OPEN, /* what stands carries nothing any more, without an end; new connections are silent */
    PROXY_GARBAGE,   /* says what is no HTTP/2 */
    PROXY_HTTP1,     /* answers as an HTTP/1.1 server that refuses */
    PROXY_GOAWAY,    /* greets, then says GOAWAY that nothing was processed, to each connection */
    PROXY_RESET,     /* greets, and resets each stream, as CANCEL */
    PROXY_WRONG,     /* greets, and answers each stream with a gRPC status that does not exist */
    PROXY_REFUSE,    /* nobody listens */
    PROXY_END,       /* accepts and closes at once */
    PROXY_DELAY,     /* carries bytes both ways, each so much later: proxy_delay */
};

struct proxy;

/* Of several servers with commas the last. */
struct proxy *proxy_start(const char *server_url);
void proxy_free(struct proxy *p);             /* NULL is fine */
const char *proxy_url(const struct proxy *p); /* "http://127.0.0.1:PORT" */
/* For connections that stand and those to come; a lying mode ends those that stand. */
void proxy_set(struct proxy *p, enum proxy_mode mode);
/* How much later in each direction in PROXY_DELAY, for what comes from now on; 100 at first. */
void proxy_delay(struct proxy *p, int ms);
/* Connections accepted so far; bytes that clients have sent it so far. */
size_t proxy_accepts(const struct proxy *p);
size_t proxy_bytes(const struct proxy *p);

/* Ends the connection that carries the byte after `up` bytes to the server, or `down` to the client, from now on: in front of
 * that byte, which is lost. SIZE_MAX = never. on_cut, if not NULL, runs on the proxy's thread when it was cut, before any other
 * connection is served. Once. */
void proxy_cut(struct proxy *p, size_t up, size_t down, void (*on_cut)(void *user), void *user);
/* Whether it has cut since proxy_cut; disarms it. */
bool proxy_disarm(struct proxy *p);
/* Ends all connections now. */
void proxy_drop(struct proxy *p);

#endif
