/* See link.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "busy/link.h"

enum { LINKS_MAX = 4096 };
#define RETRY_NS INT64_C(20000000)

static struct link *links;

int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

_Noreturn void die(const char *what)
{
    fprintf(stderr, "busy: %s\n", what);
    exit(2);
}

/* ---- the engine's callbacks ---- */

struct call {
    void *user;
    enum grpc_status status;
};

static void on_message(void *user, struct h2_stream *st, bytes message)
{
    struct link *l = user;
    struct call *c = h2_stream_user(st);
    l->cb->on_message(l, c->user, message);
}

static void on_status(void *user, struct h2_stream *st, enum grpc_status status, bytes text)
{
    struct call *c = h2_stream_user(st);
    (void)user, (void)text;
    c->status = status;
}

static void on_close(void *user, struct h2_stream *st)
{
    struct link *l = user;
    struct call *c = h2_stream_user(st);
    if (!c)
        return;
    l->cb->on_end(l, c->user, c->status);
    free(c);
}

static const struct h2_callbacks callbacks = {.on_message = on_message, .on_status = on_status, .on_close = on_close};

/* ---- the connection ---- */

struct link *link_new(int port, const struct link_callbacks *cb, void *user)
{
    struct link *l = calloc(1, sizeof *l);
    if (!l)
        die("out of memory");
    *l = (struct link){.port = port, .cb = cb, .user = user, .fd = -1, .next = links};
    buf_init(&l->out);
    links = l;
    return l;
}

static void begin(struct link *l)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)l->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        die("no more sockets");
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    l->connecting = true;
    if (connect(l->fd, (struct sockaddr *)&a, sizeof a) < 0 && errno != EINPROGRESS)
        link_cut(l);
}

static void stand(struct link *l)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
        link_cut(l);
        return;
    }
    struct h2_limits limits = {.streams_max = 1000000};
    l->connecting = false;
    l->h2 = h2_client_new(&limits, &callbacks, l);
    if (!l->h2)
        die("out of memory");
    l->up = true;
    if (l->cb->on_up)
        l->cb->on_up(l);
}

void link_cut(struct link *l)
{
    bool was_up = l->up;
    l->up = l->connecting = false;
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
    l->h2 = h2_free(l->h2); /* ends its calls */
    buf_reset(&l->out);
    l->written = 0;
    l->retry_at_ns = now_ns() + RETRY_NS;
    if (was_up && l->cb->on_down)
        l->cb->on_down(l);
}

static struct h2_stream *call(struct link *l, const char *path, bytes request, void *user)
{
    struct call *c = l->up ? malloc(sizeof *c) : NULL;
    if (!c)
        return NULL;
    *c = (struct call){.user = user, .status = GRPC_UNAVAILABLE};
    struct h2_header token = {bytes_str("token"), bytes_str(l->token ? l->token : "")};
    struct h2_stream *st = h2_call(l->h2, path, "localhost", -1, &token, l->token != NULL, c);
    if (!st) {
        free(c);
        return NULL;
    }
    if (h2_send_message(st, request))
        die("out of memory");
    return st;
}

struct h2_stream *link_stream(struct link *l, const char *path, bytes request, void *user)
{
    return call(l, path, request, user);
}

struct h2_stream *link_call(struct link *l, const char *path, bytes request, void *user)
{
    struct h2_stream *st = call(l, path, request, user);
    if (st && h2_half_close(st))
        die("out of memory");
    return st;
}

/* ---- the turn ---- */

static bool flush_out(struct link *l)
{
    bool ended = l->out.len == 0 && h2_output(l->h2, &l->out, 1 << 20);
    while (l->written < l->out.len) {
        ssize_t n = send(l->fd, l->out.data + l->written, l->out.len - l->written, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (n < 0)
            return false;
        l->written += (size_t)n;
    }
    buf_reset(&l->out);
    l->written = 0;
    return !ended;
}

static bool read_in(struct link *l)
{
    static uint8_t in[1 << 18];
    struct tenure_error err = {0};
    ssize_t n = recv(l->fd, in, sizeof in, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    return n > 0 && h2_feed(l->h2, bytes_of(in, (size_t)n), now_ns() / 1000000, &err) == 0;
}

static void turn(struct link *l, short revents, int64_t now)
{
    if (l->connecting && revents)
        stand(l);
    bool reads = now >= l->paused_until_ns, broken = (revents & (POLLHUP | POLLERR)) != 0;
    if (l->up && reads && (revents & POLLIN || broken) && !read_in(l))
        link_cut(l);
    else if (l->up && !reads && broken)
        link_cut(l);
    if (l->up && (l->written < l->out.len || h2_wants_output(l->h2)) && !flush_out(l))
        link_cut(l);
}

static size_t gather(struct pollfd *fds, struct link **of, int64_t now)
{
    size_t n = 0;
    for (struct link *l = links; l; l = l->next) {
        if (l->fd < 0 && now >= l->retry_at_ns)
            begin(l);
        if (l->fd < 0)
            continue;
        if (n == LINKS_MAX)
            die("too many connections");
        if (l->up && l->out.len == 0 && h2_wants_output(l->h2) && !flush_out(l)) {
            link_cut(l);
            continue;
        }
        bool reads = l->up && now >= l->paused_until_ns;
        fds[n].fd = l->fd;
        fds[n].events = (short)((reads ? POLLIN : 0) | (l->connecting || l->out.len > 0 ? POLLOUT : 0));
        of[n++] = l;
    }
    return n;
}

void links_turn(int timeout_ms, int extra_fd, bool *ret_extra)
{
    static struct pollfd fds[LINKS_MAX + 1];
    static struct link *of[LINKS_MAX];
    size_t n = gather(fds, of, now_ns());
    fds[n] = (struct pollfd){.fd = extra_fd, .events = POLLIN};
    if (poll(fds, n + 1, timeout_ms) < 0)
        return;
    int64_t now = now_ns();
    *ret_extra = (fds[n].revents & (POLLIN | POLLHUP)) != 0;
    for (size_t i = 0; i < n; i++) {
        if (fds[i].revents && of[i]->fd == fds[i].fd)
            turn(of[i], fds[i].revents, now);
    }
}
