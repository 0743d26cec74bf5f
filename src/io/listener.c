/* Listening sockets on uv_poll and accept4. libuv's own listening cannot be paused, so a process out of descriptors would
 * spin on it. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/internal.h"
#include "io/listener.h"
#include "io/socket.h"
#include "io/timer.h"

#define ACCEPTS_MAX 64 /* a turn */
#define BACKLOG     1024
#define PAUSE_MS    100

struct io_listener {
    uv_poll_t poll;
    struct io_loop *loop;
    const struct io_listener_callbacks *cb;
    void *user;
    int fd;
    bool closed;
    struct io_timer *pause;
    struct io_address address;
    dev_t dev; /* of the socket file, so that only our own is removed */
    ino_t ino;
};

/* ---- accepting ---- */

static void poll_cb(uv_poll_t *h, int status, int events);

static void pause_fire(void *user)
{
    struct io_listener *s = user;
    uv_poll_start(&s->poll, UV_READABLE, poll_cb);
}

/* The callback is the last statement. */
static void pause_accepting(struct io_listener *s, int errnum)
{
    struct tenure_error why = {0};
    char text[IO_ADDRESS_TEXT_MAX];
    error_errno(&why, errnum, "%s: accept", io_address_text(&s->address, text, sizeof text));
    uv_poll_stop(&s->poll);
    io_timer_set(s->pause, io_now(s->loop) + PAUSE_MS);
    if (s->cb->on_pause)
        s->cb->on_pause(s->user, &why);
}

/* A client that went away between its SYN and our accept is no reason to stop. */
static bool is_passing(int errnum)
{
    return errnum == ECONNABORTED || errnum == EINTR || errnum == EPROTO || errnum == ENETDOWN || errnum == EHOSTDOWN ||
           errnum == ENONET || errnum == EHOSTUNREACH || errnum == ENETUNREACH || errnum == EOPNOTSUPP ||
           errnum == ENOPROTOOPT;
}

/* Answers whether to go on accepting. */
static bool accept_one(struct io_listener *s)
{
    char peer[80];
    struct io_sockaddr from = {.len = sizeof from.addr};
    int fd = accept4(s->fd, (struct sockaddr *)&from.addr, &from.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        s->cb->on_accept(s->user, fd, io_sockaddr_text(&from, peer, sizeof peer));
        return !s->closed;
    }
    if (is_passing(errno))
        return true;
    if (errno != EAGAIN && errno != EWOULDBLOCK)
        pause_accepting(s, errno);
    return false;
}

static void poll_cb(uv_poll_t *h, int status, int events)
{
    struct io_listener *s = h->data;
    (void)events;
    if (s->closed)
        return;
    if (status < 0) {
        pause_accepting(s, EIO);
        return;
    }
    for (int i = 0; i < ACCEPTS_MAX && accept_one(s); i++)
        ;
}

/* ---- binding ---- */

/* Whether somebody accepts connections on a socket file. */
static bool answers(const struct io_sockaddr *at)
{
    int fd = io_socket_new(AF_UNIX);
    if (fd < 0)
        return true; /* not known: rather keep the file */
    int rc = connect(fd, (const struct sockaddr *)&at->addr, at->len);
    bool alive = rc == 0 || errno != ECONNREFUSED;
    close(fd);
    return alive;
}

static int remove_stale(const struct io_address *a, const struct io_sockaddr *at, struct tenure_error *err)
{
    struct stat st;
    if (lstat(a->path, &st) < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "unix://%s", a->path);
    if (!S_ISSOCK(st.st_mode))
        return error_set(err, TENURE_EINVALID, "unix://%s: there is a file of that name, and it is not a socket",
                         a->path);
    if (answers(at))
        return error_set(err, TENURE_EBUSY, "unix://%s: another process listens there", a->path);
    if (unlink(a->path) < 0 && errno != ENOENT)
        return error_errno(err, errno, "unix://%s: remove the stale socket", a->path);
    return 0;
}

static int listen_error(struct io_listener *s, int errnum, struct tenure_error *err)
{
    char text[IO_ADDRESS_TEXT_MAX];
    io_address_text(&s->address, text, sizeof text);
    if (errnum == EADDRINUSE)
        return error_set(err, TENURE_EBUSY, "%s: another process listens there", text);
    if (errnum == EACCES || errnum == EPERM)
        return error_set(err, TENURE_EDENIED, "%s: no permission to listen there", text);
    if (errnum == EADDRNOTAVAIL)
        return error_set(err, TENURE_EINVALID, "%s: no such address on this machine", text);
    return error_set(err, TENURE_EIO, "%s: %s", text, strerror(errnum));
}

static int bind_and_listen(struct io_listener *s, const struct io_sockaddr *at, struct tenure_error *err)
{
    int on = 1, family = at->addr.ss_family;
    s->fd = io_socket_new(family);
    if (s->fd < 0)
        return listen_error(s, errno, err);
    if (family != AF_UNIX)
        setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (family == AF_INET6)
        setsockopt(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(s->fd, (const struct sockaddr *)&at->addr, at->len) < 0 || listen(s->fd, BACKLOG) < 0)
        return listen_error(s, errno, err);
    if (family != AF_UNIX)
        s->address.port = io_socket_port(s->fd);
    return 0;
}

static void remember_file(struct io_listener *s)
{
    struct stat st;
    if (lstat(s->address.path, &st) == 0) {
        s->dev = st.st_dev;
        s->ino = st.st_ino;
    }
}

static int find_address(const struct io_address *a, struct io_sockaddr *ret, struct tenure_error *err)
{
    struct io_sockaddr known[IO_SOCKADDRS_MAX];
    if (io_sockaddr_known(a, known) > 0) {
        *ret = known[0];
        return 0;
    }
    char port[8];
    struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    snprintf(port, sizeof port, "%u", a->port);
    int rc = getaddrinfo(a->host, port, &hints, &found);
    if (rc != 0)
        return error_set(err, TENURE_EINVALID, "http%s://%s:%s: %s", a->tls ? "s" : "", a->host, port,
                         gai_strerror(rc));
    memcpy(&ret->addr, found->ai_addr, found->ai_addrlen);
    ret->len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

static int open_socket(struct io_listener *s, struct tenure_error *err)
{
    struct io_sockaddr at = {0};
    int rc = find_address(&s->address, &at, err);
    if (rc == 0 && s->address.kind == IO_ADDRESS_UNIX)
        rc = remove_stale(&s->address, &at, err);
    if (rc == 0)
        rc = bind_and_listen(s, &at, err);
    if (rc == 0 && s->address.kind == IO_ADDRESS_UNIX)
        remember_file(s);
    return rc;
}

static void remove_file(const struct io_listener *s)
{
    struct stat st;
    if (s->ino && lstat(s->address.path, &st) == 0 && st.st_ino == s->ino && st.st_dev == s->dev)
        unlink(s->address.path);
}

/* ---- life ---- */

static int start(struct io_listener *s, struct tenure_error *err)
{
    int rc = s->fd < 0 ? open_socket(s, err) : 0;
    if (rc == 0)
        rc = io_timer_new(s->loop, pause_fire, s, &s->pause, err);
    if (rc < 0)
        return rc;
    rc = uv_poll_init(s->loop->uv, &s->poll, s->fd);
    if (rc < 0)
        return io_uv_error(err, rc, "listener");
    io_loop_hold(s->loop);
    s->poll.data = s;
    uv_poll_start(&s->poll, UV_READABLE, poll_cb);
    return 0;
}

int io_listener_adopt(struct io_loop *l, int fd, const struct io_address *at, const struct io_listener_callbacks *cb,
                      void *user, struct io_listener **ret, struct tenure_error *err)
{
    struct io_listener *s = calloc(1, sizeof *s);
    if (!s) {
        if (fd >= 0)
            close(fd);
        return error_set(err, TENURE_ENOMEM, "listener: out of memory");
    }
    *s = (struct io_listener){.loop = l, .cb = cb, .user = user, .fd = fd, .address = *at};
    int rc = start(s, err);
    if (rc < 0) {
        remove_file(s);
        io_timer_close(s->pause);
        if (s->fd >= 0)
            close(s->fd);
        free(s);
        return rc;
    }
    *ret = s;
    return 0;
}

int io_listener_new(struct io_loop *l, const struct io_address *at, const struct io_listener_callbacks *cb, void *user,
                    struct io_listener **ret, struct tenure_error *err)
{
    return io_listener_adopt(l, -1, at, cb, user, ret, err);
}

const struct io_address *io_listener_address(const struct io_listener *s)
{
    return &s->address;
}

static void closed_cb(uv_handle_t *h)
{
    struct io_listener *s = h->data;
    struct io_loop *l = s->loop;
    free(s);
    io_loop_release(l);
}

struct io_listener *io_listener_close(struct io_listener *s)
{
    if (!s)
        return NULL;
    s->closed = true;
    remove_file(s);
    s->pause = io_timer_close(s->pause);
    uv_close((uv_handle_t *)&s->poll, closed_cb);
    close(s->fd);
    return NULL;
}
