/* Listening sockets. Accepts on readiness, a bounded number a turn. Out of descriptors (EMFILE …): pauses for 100 ms
 * instead of spinning, and says so once by on_pause. A unix socket file left by a dead server is replaced; one on which
 * somebody answers is TENURE_EBUSY. Thread: the loop's. */
#ifndef IO_LISTENER_H
#define IO_LISTENER_H

#include "io/address.h"
#include "io/loop.h"

struct io_listener;

struct io_listener_callbacks {
    /* A connection: fd is handed over (io_stream_adopt or close). peer: "127.0.0.1:40312" or "unix"; borrowed. */
    void (*on_accept)(void *user, int fd, const char *peer);
    /* May be NULL. */
    void (*on_pause)(void *user, const struct tenure_error *why);
};

/* Names are looked up at once and must have one address (localhost: 127.0.0.1). TENURE_EBUSY, TENURE_EDENIED,
 * TENURE_EINVALID, TENURE_EIO, each with the address in the text. */
int io_listener_new(struct io_loop *l, const struct io_address *at, const struct io_listener_callbacks *cb, void *user,
                    struct io_listener **ret, struct tenure_error *err) MUST_USE;
/* The same on a socket that already listens (systemd's): takes fd, also on failure; its file stays when it is closed. at: what it
 * is called. */
int io_listener_adopt(struct io_loop *l, int fd, const struct io_address *at, const struct io_listener_callbacks *cb,
                      void *user, struct io_listener **ret, struct tenure_error *err) MUST_USE;
/* As asked for, with the real port. */
const struct io_address *io_listener_address(const struct io_listener *s);
/* Also removes the socket file. NULL is fine; NULL. */
struct io_listener *io_listener_close(struct io_listener *s);

#endif
