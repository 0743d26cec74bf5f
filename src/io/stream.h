/* A byte stream: TCP (with TCP_NODELAY) or a unix socket, plain or with TLS.
 *
 * Happy path: io_stream_connect -> on_connect -> on_read …; once a turn, when io_stream_writable: io_stream_write what the
 * engine has. What the socket does not take at once is kept (at most that one buffer, so the caller's bound is the bound)
 * and on_writable tells when it is out.
 *
 * Failure modes: on_connect with an error, or on_end after it: the peer closed (TENURE_ECLOSED) or the connection broke
 * (TENURE_EUNAVAILABLE, with the system's text). After either nothing more comes; io_stream_close is still due. A peer
 * that is gone never raises SIGPIPE. A name with several addresses: each is tried in turn until one answers; names are
 * looked up on libuv's thread pool, numbers are not looked up at all.
 *
 * TLS: the callbacks see plain bytes; on_connect comes after the handshake, whose deadline is the caller's. A connection ends
 * for the reader with the peer's close_notify. A TLS failure is told by on_connect or on_end (TENURE_EDENIED: a certificate;
 * TENURE_EPROTOCOL); of an adopted stream the socket then stays until the peer has closed, so that the alert reaches it:
 * on_end comes once more, unless it is closed before.
 *
 * Callbacks come from the loop only, never from a function of this header; io_stream_close may be called in any of them.
 * Thread: the loop's.
 */
#ifndef IO_STREAM_H
#define IO_STREAM_H

#include "base/buf.h"
#include "io/address.h"
#include "io/loop.h"
#include "io/tls.h"

struct io_stream;

struct io_stream_callbacks {
    void (*on_connect)(void *user, const struct tenure_error *error); /* NULL = connected; unused for adopted ones */
    void (*on_read)(void *user, bytes in);                            /* borrowed for the call; not empty */
    void (*on_end)(void *user, const struct tenure_error *error);
    void (*on_writable)(void *user);
};

/* cb: borrowed, must outlive the stream. An error here comes at once, without a callback; one found later by on_connect.
 * Reading is on from the start. */
int io_stream_connect(struct io_loop *l, const struct io_address *to, const struct io_stream_callbacks *cb, void *user,
                      struct io_stream **ret, struct tenure_error *err) MUST_USE;
/* Takes fd, a connected stream socket, also on failure. */
int io_stream_adopt(struct io_loop *l, int fd, const struct io_stream_callbacks *cb, void *user, struct io_stream **ret,
                    struct tenure_error *err) MUST_USE;
/* The same with TLS as the client or server that the context is for; it is referred to until the stream is gone. tls NULL:
 * plain. */
int io_stream_connect_tls(struct io_loop *l, const struct io_address *to, struct io_tls *tls,
                          const struct io_stream_callbacks *cb, void *user, struct io_stream **ret,
                          struct tenure_error *err) MUST_USE;
int io_stream_adopt_tls(struct io_loop *l, int fd, struct io_tls *tls, const struct io_stream_callbacks *cb, void *user,
                        struct io_stream **ret, struct tenure_error *err) MUST_USE;
/* The other side of a TLS connection; NULL before the end of the handshake, after a failure, and for plain streams. */
const struct io_tls_peer *io_stream_tls_peer(const struct io_stream *s);
/* Pauses or resumes reading. Paused, neither bytes nor the peer's end arrive. */
void io_stream_reading(struct io_stream *s, bool on);
/* Connected and no write under way: io_stream_write may be called. */
bool io_stream_writable(const struct io_stream *s);
/* Writes all of out, now or as the socket takes it, and leaves out empty. Precondition: io_stream_writable. A failure
 * comes by on_end. */
void io_stream_write(struct io_stream *s, struct buf *out);
/* Tells the peer that nothing more will come (precondition: io_stream_writable); reading goes on, so that its last bytes do
 * not turn our close into a reset that takes our last ones with it. */
void io_stream_finish(struct io_stream *s);
/* The socket's descriptor, -1 while there is none: for a child of fork, which has a copy to close. */
int io_stream_fd(const struct io_stream *s);
/* Closes at once; bytes that are not out are lost. NULL is fine; NULL. */
struct io_stream *io_stream_close(struct io_stream *s);

#endif
