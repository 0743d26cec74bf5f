/* A byte stream on uv_poll and the system's own recv and send.
 *
 * Not uv_tcp and uv_pipe: their writes raise SIGPIPE when the peer is gone, and a library may not ask its program to ignore
 * that signal; send with MSG_NOSIGNAL does not.
 *
 *     LOOKUP -> CONNECTING -> OPEN -> ENDED          Next: ENDED from each; CONNECTING again with the next address
 *                              OPEN -> DRAINING -> ENDED         TLS failed: its alert must not be lost in a reset
 *
 * With TLS the socket's bytes go through a session (tls_session.c) in both directions. It is OPEN during the handshake too;
 * the user is told of the connection when that is done. Each read is opened whole, into a buffer that all streams of the loop
 * share, so nothing that was read waits here; what is sealed goes out like plain bytes, or waits as the rest.
 *
 * The descriptor and its handle live in a small object of their own (struct socket), because libuv lets go of a handle only
 * some time after uv_close, while the next address is already being tried. A stream is freed when the last of its handles
 * and its lookup have called back.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/internal.h"
#include "io/socket.h"
#include "io/stream.h"
#include "io/tls_internal.h"

#define ANSWERS_MAX 65536 /* what TLS itself may have to say while the socket is busy */

enum stream_state { LOOKUP, CONNECTING, OPEN, DRAINING, ENDED };

struct socket {
    uv_poll_t poll;
    struct io_stream *stream; /* NULL once given up */
    struct io_loop *loop;
    int fd;
};

struct io_stream {
    struct io_loop *loop;
    const struct io_stream_callbacks *cb;
    void *user;
    enum stream_state state;
    bool closed;
    bool reading;
    int write_error; /* errno of a failed write, told from the loop */
    int events;      /* asked of libuv */
    struct socket *socket;
    uv_getaddrinfo_t *lookup;
    struct buf rest; /* what the socket has not taken, from rest_at on */
    size_t rest_at;
    struct target *target;   /* while connecting */
    struct tls_session *tls; /* NULL = plain */
    size_t answers;          /* sealed because of what was read, since the socket last took everything */
    bool shaking;            /* on_connect is due when the handshake is done */
};

/* Where to: the addresses still to be tried. */
struct target {
    struct io_sockaddr addrs[IO_SOCKADDRS_MAX];
    size_t n, next;
    char text[IO_ADDRESS_TEXT_MAX];
};

static void poll_cb(uv_poll_t *h, int status, int events);

/* ---- the descriptor ---- */

static void socket_closed_cb(uv_handle_t *h)
{
    struct socket *k = h->data;
    struct io_loop *l = k->loop;
    free(k);
    io_loop_release(l);
}

static void socket_close(struct io_stream *s)
{
    struct socket *k = s->socket;
    if (!k)
        return;
    s->socket = NULL;
    s->events = 0;
    k->stream = NULL;
    uv_close((uv_handle_t *)&k->poll, socket_closed_cb);
    close(k->fd);
}

/* Takes fd, also on failure. */
static int socket_open(struct io_stream *s, int fd, struct tenure_error *err)
{
    struct socket *k = calloc(1, sizeof *k);
    if (!k) {
        close(fd);
        return error_set(err, TENURE_ENOMEM, "connection: out of memory");
    }
    *k = (struct socket){.stream = s, .loop = s->loop, .fd = fd};
    int rc = uv_poll_init(s->loop->uv, &k->poll, fd);
    if (rc < 0) {
        close(fd);
        free(k);
        return io_uv_error(err, rc, "connection");
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* a unix socket refuses, and needs it not */
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on); /* HTTP/1.1 has no way to ask whether a peer is there */
    k->poll.data = k;
    io_loop_hold(s->loop);
    s->socket = k;
    return 0;
}

static int events_wanted(const struct io_stream *s)
{
    if (s->state == CONNECTING)
        return UV_WRITABLE;
    if (s->state != OPEN && s->state != DRAINING)
        return 0;
    bool write = s->rest.len > 0 || s->write_error;
    bool read = s->reading || s->state == DRAINING;
    return (read ? UV_READABLE : 0) | (write ? UV_WRITABLE : 0);
}

/* Asks libuv only for what has changed. */
static void update_events(struct io_stream *s)
{
    int events = events_wanted(s);
    if (!s->socket || events == s->events)
        return;
    s->events = events;
    if (events)
        uv_poll_start(&s->socket->poll, events, poll_cb);
    else
        uv_poll_stop(&s->socket->poll);
}

/* ---- ends ---- */

static void stream_free_if_done(struct io_stream *s)
{
    if (!s->closed || s->lookup)
        return;
    buf_fini(&s->rest);
    tls_session_free(s->tls);
    free(s->target);
    free(s);
}

/* The callback is the last statement: the stream may be gone after it. */
static void tell_end(struct io_stream *s, const struct tenure_error *error)
{
    if (s->shaking)
        s->cb->on_connect(s->user, error);
    else
        s->cb->on_end(s->user, error);
}

static void end(struct io_stream *s, int errnum)
{
    struct tenure_error error = {0};
    if (s->state == OPEN && s->tls && tls_session_state(s->tls) == TLS_FAILED)
        error = *tls_session_error(s->tls);
    else if (errnum == 0)
        error_set(&error, TENURE_ECLOSED, "the peer closed the connection%s",
                  s->shaking ? " in the TLS handshake" : "");
    else
        error_set(&error, TENURE_EUNAVAILABLE, "connection broken: %s", strerror(errnum));
    s->state = ENDED;
    socket_close(s);
    tell_end(s, &error);
}

/* ---- open ---- */

static bool deliver(struct io_stream *s, struct socket *k, bytes in);

/* Answers whether the stream is still open. */
static bool read_some(struct io_stream *s, struct socket *k)
{
    ssize_t n;
    do
        n = recv(k->fd, s->loop->read_buffer, IO_READ_MAX, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return true;
    if (n <= 0) {
        end(s, n < 0 ? errno : 0);
        return false;
    }
    return deliver(s, k, bytes_of(s->loop->read_buffer, (size_t)n));
}

/* Sends data; what is not taken is the answer: how many bytes were. Errors go to write_error. */
static size_t send_some(struct io_stream *s, const uint8_t *data, size_t len)
{
    size_t sent = 0;
    while (sent < len) {
        ssize_t n = send(s->socket->fd, data + sent, len - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
            s->write_error = errno;
        if (n < 0)
            break;
        sent += (size_t)n;
    }
    return sent;
}

/* The callback is the last statement. */
static void write_rest(struct io_stream *s)
{
    s->rest_at += send_some(s, s->rest.data + s->rest_at, s->rest.len - s->rest_at);
    if (s->write_error) {
        end(s, s->write_error);
        return;
    }
    if (s->rest_at < s->rest.len)
        return;
    buf_fini(&s->rest);
    s->rest_at = 0;
    s->answers = 0;
    update_events(s);
    if (s->state == DRAINING)
        shutdown(s->socket->fd, SHUT_WR);
    else if (io_stream_writable(s))
        s->cb->on_writable(s->user);
}

int io_stream_fd(const struct io_stream *s)
{
    return s->socket ? s->socket->fd : -1;
}

static bool is_shaking(const struct io_stream *s)
{
    return s->tls && tls_session_state(s->tls) == TLS_HANDSHAKE;
}

bool io_stream_writable(const struct io_stream *s)
{
    return s->state == OPEN && s->rest.len == 0 && !s->write_error && !is_shaking(s);
}

/* Behind what waits already, or at once; what is left then moves into the stream with its memory. */
static void put(struct io_stream *s, struct buf *out)
{
    if (s->rest.len > 0) {
        buf_append_bytes(&s->rest, buf_bytes(out));
        if (buf_error(&s->rest))
            s->write_error = ENOMEM;
        out->len = 0;
        return;
    }
    size_t sent = send_some(s, out->data, out->len);
    if (sent < out->len && !s->write_error) {
        s->rest.data = out->data;
        s->rest.len = out->len;
        s->rest.cap = out->cap;
        s->rest_at = sent;
        out->data = NULL;
        out->cap = 0;
    }
    out->len = 0;
    update_events(s);
}

void io_stream_write(struct io_stream *s, struct buf *out)
{
    struct buf *sealed = &s->loop->sealed;
    if (!s->tls) {
        put(s, out);
        return;
    }
    buf_reset(sealed);
    if (tls_session_write(s->tls, buf_bytes(out), sealed) == TLS_FAILED)
        s->write_error = EPROTO;
    out->len = 0;
    put(s, sealed);
}

void io_stream_finish(struct io_stream *s)
{
    struct buf *sealed = &s->loop->sealed;
    if (s->tls) {
        buf_reset(sealed);
        tls_session_finish(s->tls, sealed);
        put(s, sealed);
    }
    if (s->rest.len == 0) /* else on_writable comes, and the caller again */
        shutdown(s->socket->fd, SHUT_WR);
}

/* So that the peer sees an end and not a cut; what the socket does not take at once is lost. */
static void say_goodbye(struct io_stream *s)
{
    struct buf *sealed = &s->loop->sealed;
    if (!s->tls || !s->socket || !io_stream_writable(s))
        return;
    buf_reset(sealed);
    tls_session_finish(s->tls, sealed);
    send_some(s, sealed->data, sealed->len);
}

struct io_stream *io_stream_close(struct io_stream *s)
{
    if (!s)
        return NULL;
    say_goodbye(s);
    s->closed = true;
    s->state = ENDED;
    socket_close(s);
    if (s->lookup)
        uv_cancel((uv_req_t *)s->lookup);
    stream_free_if_done(s);
    return NULL;
}

void io_stream_reading(struct io_stream *s, bool on)
{
    s->reading = on;
    update_events(s);
}

/* ---- TLS ---- */

const struct io_tls_peer *io_stream_tls_peer(const struct io_stream *s)
{
    enum tls_state state = s->tls ? tls_session_state(s->tls) : TLS_HANDSHAKE;
    return state == TLS_OPEN || state == TLS_CLOSED ? tls_session_peer(s->tls) : NULL;
}

/* The callback is the last statement. A server's end stays until the peer has taken the alert and closed: closing with its
 * bytes unread would reset the connection, and the alert with it. */
static void tls_failed(struct io_stream *s)
{
    if (s->shaking) {
        end(s, EPROTO);
        return;
    }
    s->state = DRAINING;
    if (s->rest.len == 0)
        shutdown(s->socket->fd, SHUT_WR);
    update_events(s);
    struct tenure_error error = *tls_session_error(s->tls); /* the stream may be closed before it is read */
    s->cb->on_end(s->user, &error);
}

/* A peer that makes TLS answer (key updates, refused renegotiations) and does not read the answers. */
static bool answers_too_much(struct io_stream *s, size_t len)
{
    s->answers = s->rest.len > 0 ? s->answers + len : 0;
    return s->answers > ANSWERS_MAX;
}

/* After a change of the session: what it has to say and to hand out. Answers whether the stream is still open. */
static bool hand_out(struct io_stream *s, struct socket *k, enum tls_state state, struct buf *plain)
{
    if (s->shaking && (state == TLS_OPEN || state == TLS_CLOSED)) {
        s->shaking = false;
        s->cb->on_connect(s->user, NULL);
        if (k->stream != s)
            return false;
    }
    if (plain->len > 0) {
        s->cb->on_read(s->user, buf_bytes(plain));
        if (k->stream != s)
            return false;
    }
    if (state == TLS_CLOSED)
        end(s, 0);
    else if (state == TLS_FAILED)
        tls_failed(s);
    return k->stream == s; /* k lives until libuv has called back for its close */
}

static bool deliver_tls(struct io_stream *s, struct socket *k, bytes in)
{
    struct buf *plain = &s->loop->plain, *sealed = &s->loop->sealed;
    buf_reset(plain);
    buf_reset(sealed);
    enum tls_state state = tls_session_read(s->tls, in, plain, sealed);
    size_t said = sealed->len;
    if (said > 0)
        put(s, sealed);
    if (answers_too_much(s, said)) {
        end(s, ENOBUFS);
        return false;
    }
    return hand_out(s, k, state, plain);
}

static bool deliver(struct io_stream *s, struct socket *k, bytes in)
{
    if (s->state == DRAINING)
        return true;
    if (s->tls)
        return deliver_tls(s, k, in);
    s->cb->on_read(s->user, in);
    return k->stream == s;
}

/* ---- broken ---- */

/* libuv polls no more once a socket is broken. What arrived before the break is still handed out. */
static void drain_broken(struct io_stream *s, struct socket *k)
{
    int errnum = 0;
    socklen_t len = sizeof errnum;
    getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &errnum, &len);
    while (s->reading) {
        ssize_t n = recv(k->fd, s->loop->read_buffer, IO_READ_MAX, 0);
        if (n <= 0)
            break;
        if (!deliver(s, k, bytes_of(s->loop->read_buffer, (size_t)n)))
            return;
    }
    end(s, errnum ? errnum : ECONNRESET);
}

static void open_event(struct io_stream *s, struct socket *k, int status, int events)
{
    if (s->write_error) {
        end(s, s->write_error);
        return;
    }
    if (status < 0) {
        drain_broken(s, k);
        return;
    }
    if ((events & UV_READABLE) && (s->reading || s->state == DRAINING) && !read_some(s, k))
        return;
    if ((events & UV_WRITABLE) && s->rest.len > 0)
        write_rest(s);
}

/* ---- connecting ---- */

/* Tries one address after another. 0: under way or connected at once (told by libuv either way); else the errno of the
 * last one, errnum when none was left. */
static int connect_next(struct io_stream *s, int errnum)
{
    struct target *t = s->target;
    while (t->next < t->n) {
        const struct io_sockaddr *a = &t->addrs[t->next++];
        int fd = io_socket_new(a->addr.ss_family);
        if (fd < 0 || (connect(fd, (const struct sockaddr *)&a->addr, a->len) < 0 && errno != EINPROGRESS)) {
            errnum = errno;
            if (fd >= 0)
                close(fd);
            continue;
        }
        struct tenure_error ignored;
        if (socket_open(s, fd, &ignored) < 0)
            return ENOMEM;
        s->state = CONNECTING;
        update_events(s);
        return 0;
    }
    return errnum;
}

static int connect_error(struct io_stream *s, int errnum, struct tenure_error *err)
{
    return error_set(err, errnum == ENOMEM ? TENURE_ENOMEM : TENURE_EUNAVAILABLE, "%s: %s", s->target->text,
                     strerror(errnum));
}

/* The callback is the last statement. */
static void connect_failed(struct io_stream *s, int errnum)
{
    struct tenure_error error = {0};
    connect_error(s, errnum, &error);
    s->state = ENDED;
    s->cb->on_connect(s->user, &error);
}

static void connect_event(struct io_stream *s)
{
    int errnum = 0;
    socklen_t len = sizeof errnum;
    getsockopt(s->socket->fd, SOL_SOCKET, SO_ERROR, &errnum, &len);
    if (errnum) {
        socket_close(s);
        errnum = connect_next(s, errnum);
        if (errnum)
            connect_failed(s, errnum);
        return;
    }
    s->state = OPEN;
    free(s->target);
    s->target = NULL;
    update_events(s);
    if (s->tls) {
        s->shaking = true;
        deliver_tls(s, s->socket, bytes_of(NULL, 0));
    } else {
        s->cb->on_connect(s->user, NULL);
    }
}

static void poll_cb(uv_poll_t *h, int status, int events)
{
    struct socket *k = h->data;
    struct io_stream *s = k->stream;
    if (!s)
        return;
    if (s->state == CONNECTING)
        connect_event(s);
    else if (s->state == OPEN || s->state == DRAINING)
        open_event(s, k, status, events);
}

static void take_addresses(struct target *t, const struct addrinfo *found)
{
    for (const struct addrinfo *a = found; a && t->n < IO_SOCKADDRS_MAX; a = a->ai_next) {
        if (a->ai_addrlen > sizeof t->addrs[0].addr)
            continue;
        memcpy(&t->addrs[t->n].addr, a->ai_addr, a->ai_addrlen);
        t->addrs[t->n++].len = a->ai_addrlen;
    }
}

static void lookup_failed(struct io_stream *s, int status)
{
    struct tenure_error error = {0};
    error_set(&error, TENURE_EUNAVAILABLE, "%s: %s", s->target->text, uv_strerror(status));
    s->state = ENDED;
    s->cb->on_connect(s->user, &error);
}

static void lookup_cb(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct io_stream *s = req->data;
    struct io_loop *l = s->loop;
    free(req);
    s->lookup = NULL;
    if (status == 0 && !s->closed)
        take_addresses(s->target, found);
    uv_freeaddrinfo(found);
    if (s->closed) {
        stream_free_if_done(s);
    } else if (status < 0) {
        lookup_failed(s, status);
    } else {
        int errnum = connect_next(s, EHOSTUNREACH);
        if (errnum)
            connect_failed(s, errnum);
    }
    io_loop_release(l);
}

static int lookup(struct io_stream *s, const struct io_address *to, struct tenure_error *err)
{
    char port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    snprintf(port, sizeof port, "%u", to->port);
    uv_getaddrinfo_t *req = calloc(1, sizeof *req);
    if (!req)
        return error_set(err, TENURE_ENOMEM, "%s: out of memory", s->target->text);
    req->data = s;
    int rc = uv_getaddrinfo(s->loop->uv, req, lookup_cb, to->host, port, &hints);
    if (rc < 0) {
        free(req);
        return io_uv_error(err, rc, s->target->text);
    }
    s->lookup = req;
    s->state = LOOKUP;
    io_loop_hold(s->loop);
    return 0;
}

/* ---- making one ---- */

static struct io_stream *stream_new(struct io_loop *l, const struct io_stream_callbacks *cb, void *user)
{
    struct io_stream *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->loop = l;
    s->cb = cb;
    s->user = user;
    s->reading = true;
    s->state = ENDED;
    buf_init(&s->rest);
    return s;
}

static int begin(struct io_stream *s, const struct io_address *to, struct tenure_error *err)
{
    s->target = calloc(1, sizeof *s->target);
    if (!s->target)
        return error_set(err, TENURE_ENOMEM, "connection: out of memory");
    io_address_text(to, s->target->text, sizeof s->target->text);
    s->target->n = io_sockaddr_known(to, s->target->addrs);
    if (s->target->n == 0)
        return lookup(s, to, err);
    int errnum = connect_next(s, EHOSTUNREACH);
    return errnum ? connect_error(s, errnum, err) : 0;
}

/* Whom the certificate of the other end is for, when nobody says otherwise. */
static const char *host_of(const struct io_address *a)
{
    return a->kind == IO_ADDRESS_UNIX ? "localhost" : a->host;
}

int io_stream_connect_tls(struct io_loop *l, const struct io_address *to, struct io_tls *tls,
                          const struct io_stream_callbacks *cb, void *user, struct io_stream **ret,
                          struct tenure_error *err)
{
    struct io_stream *s = stream_new(l, cb, user);
    if (!s)
        return error_set(err, TENURE_ENOMEM, "connection: out of memory");
    int rc = tls ? tls_session_new(tls, host_of(to), &s->tls, err) : 0;
    if (rc == 0)
        rc = begin(s, to, err);
    if (rc < 0) {
        io_stream_close(s);
        return rc;
    }
    *ret = s;
    return 0;
}

int io_stream_connect(struct io_loop *l, const struct io_address *to, const struct io_stream_callbacks *cb, void *user,
                      struct io_stream **ret, struct tenure_error *err)
{
    return io_stream_connect_tls(l, to, NULL, cb, user, ret, err);
}

int io_stream_adopt_tls(struct io_loop *l, int fd, struct io_tls *tls, const struct io_stream_callbacks *cb, void *user,
                        struct io_stream **ret, struct tenure_error *err)
{
    struct io_stream *s = stream_new(l, cb, user);
    if (!s) {
        close(fd);
        return error_set(err, TENURE_ENOMEM, "connection: out of memory");
    }
    int rc = socket_open(s, fd, err);
    if (rc == 0 && tls)
        rc = tls_session_new(tls, NULL, &s->tls, err);
    if (rc < 0) {
        io_stream_close(s);
        return rc;
    }
    s->state = OPEN;
    update_events(s);
    *ret = s;
    return 0;
}

int io_stream_adopt(struct io_loop *l, int fd, const struct io_stream_callbacks *cb, void *user, struct io_stream **ret,
                    struct tenure_error *err)
{
    return io_stream_adopt_tls(l, fd, NULL, cb, user, ret, err);
}
