/* One thread, one poll over all sockets; a mutex around everything but the poll. Bytes are written to loopback sockets, whose
 * buffers take what a test sends; a short write waits in the pipe's buffer. */
#include "proxy.h"

#include <setjmp.h>
#include <stdarg.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNS_MAX = 64, PENDING_MAX = 1 << 20, SLOW_MS = 1000, DELAYED_MAX = 512 };

/* What was read at one time, and when it may go. Of the last one's place all that follows is kept, when there are too many. */
struct delayed {
    size_t len;
    int64_t due;
};

struct pipe_buf {
    unsigned char *data;
    size_t len;
    struct delayed delayed[DELAYED_MAX]; /* of the first bytes; what is behind them may go with them */
    size_t n_delayed;
};

struct conn {
    bool used;
    int client, server; /* -1 = none */
    struct pipe_buf up, down;
    int64_t slow_at; /* when the next byte may go */
    bool greeted;    /* a lie was told */
    uint32_t stream; /* the next one a lie is told about */
};

struct proxy {
    pthread_t thread;
    pthread_mutex_t mutex;
    int listener, wake;
    uint16_t port;
    struct sockaddr_in server;
    char url[64];
    atomic_int mode, delay_ms;
    atomic_size_t accepts, bytes;
    bool stop;
    struct conn conns[CONNS_MAX];
    size_t cut_up, cut_down;
    bool armed, has_cut;
    void (*on_cut)(void *user);
    void *user;
};

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- sockets ---- */

static struct sockaddr_in local(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int listen_on(uint16_t port, uint16_t *ret_port)
{
    struct sockaddr_in a = local(port);
    socklen_t len = sizeof a;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) != 0 || listen(fd, 100) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static void no_delay(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static int dial(const struct sockaddr_in *a)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)a, sizeof *a) != 0) {
        close(fd);
        return -1;
    }
    if (fd >= 0) {
        fcntl(fd, F_SETFL, O_NONBLOCK);
        no_delay(fd);
    }
    return fd;
}

static void conn_end(struct conn *c)
{
    if (!c->used)
        return;
    if (c->client >= 0)
        close(c->client);
    if (c->server >= 0)
        close(c->server);
    free(c->up.data);
    free(c->down.data);
    *c = (struct conn){.client = -1, .server = -1};
}

/* ---- bytes ---- */

static bool push(struct pipe_buf *b, const void *data, size_t len)
{
    if (b->len + len > PENDING_MAX)
        return false;
    unsigned char *more = realloc(b->data, b->len + len + 1);
    if (!more)
        return false;
    memcpy(more + b->len, data, len);
    b->data = more;
    b->len += len;
    return true;
}

/* False: the other side is gone. */
static bool flush(struct pipe_buf *b, int fd, size_t most)
{
    size_t n = b->len < most ? b->len : most;
    if (n == 0 || fd < 0)
        return true;
    ssize_t sent = send(fd, b->data, n, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR;
    memmove(b->data, b->data + sent, b->len - (size_t)sent);
    b->len -= (size_t)sent;
    if (b->len == 0)
        b->n_delayed = 0;
    return true;
}

static void delay(struct pipe_buf *b, size_t len, int64_t due)
{
    if (b->n_delayed < DELAYED_MAX)
        b->delayed[b->n_delayed++] = (struct delayed){.due = due};
    b->delayed[b->n_delayed - 1].len += len;
}

/* How many bytes have been here for long enough; flush follows. */
static size_t take_due(struct pipe_buf *b)
{
    int64_t now = now_ms();
    size_t n = 0, i = 0;
    for (; i < b->n_delayed && b->delayed[i].due <= now; i++)
        n += b->delayed[i].len;
    b->n_delayed -= i;
    memmove(b->delayed, b->delayed + i, b->n_delayed * sizeof b->delayed[0]);
    return n;
}

/* In PROXY_DELAY. What the socket does not take at once is delayed once more. */
static bool flush_due(struct pipe_buf *b, int fd)
{
    size_t n = take_due(b), before = b->len;
    bool is_well = flush(b, fd, n);
    size_t left = n - (before - b->len);
    if (is_well && left && b->n_delayed)
        b->delayed[0].len += left;
    else if (is_well && left)
        delay(b, left, now_ms());
    return is_well;
}

/* How many of n bytes may pass; fewer: it cuts behind them. */
static size_t allowed(struct proxy *p, size_t *left, size_t n)
{
    if (!p->armed || *left == SIZE_MAX)
        return n;
    if (n <= *left) {
        *left -= n;
        return n;
    }
    p->armed = false;
    p->has_cut = true;
    return *left;
}

/* What was allowed still arrives: the close behind it is an orderly one. */
static void cut(struct proxy *p, struct conn *c, bool up)
{
    flush(up ? &c->up : &c->down, up ? c->server : c->client, SIZE_MAX);
    conn_end(c);
    if (p->on_cut)
        p->on_cut(p->user);
}

/* ---- lies ---- */

static const unsigned char settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0};

static void say(struct conn *c, const void *data, size_t len)
{
    if (!push(&c->down, data, len) || !flush(&c->down, c->client, SIZE_MAX))
        conn_end(c);
}

static void say_of_stream(struct conn *c, enum proxy_mode mode)
{
    unsigned char id[4] = {0, 0, (unsigned char)(c->stream >> 8), (unsigned char)c->stream};
    if (mode == PROXY_RESET) {
        unsigned char frame[13] = {0, 0, 4, 3, 0};
        memcpy(frame + 5, id, 4);
        frame[12] = 8;
        say(c, frame, sizeof frame);
    } else {
        /* :status 200, content-type: application/grpc, grpc-status: 99; the end of headers and stream */
        static const unsigned char block[] = "\x88\x0f\x10\x10"
                                             "application/grpc"
                                             "\x00\x0bgrpc-status\x02"
                                             "99";
        unsigned char frame[9] = {0, 0, sizeof block - 1, 1, 5};
        memcpy(frame + 5, id, 4);
        say(c, frame, sizeof frame);
        if (c->used)
            say(c, block, sizeof block - 1);
    }
    c->stream += 2;
}

static bool is_lie(enum proxy_mode mode)
{
    return mode >= PROXY_GARBAGE && mode <= PROXY_WRONG;
}

static void lie(struct conn *c, enum proxy_mode mode)
{
    static const unsigned char goaway[] = {0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const char http1[] = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
    static const char garbage[] = "\xff\xfe\xfd this is not the protocol that you are looking for \x00\x01\x02";
    bool first = !c->greeted;
    c->greeted = true;
    if (first && mode == PROXY_GARBAGE)
        say(c, garbage, sizeof garbage);
    else if (first && mode == PROXY_HTTP1)
        say(c, http1, sizeof http1 - 1);
    else if (first)
        say(c, settings, sizeof settings);
    if (c->used && first && mode == PROXY_GOAWAY)
        say(c, goaway, sizeof goaway);
    if (first)
        c->stream = 1;
    /* About each stream, opened or soon to be: a lie in any case. */
    if (c->used && !first && (mode == PROXY_RESET || mode == PROXY_WRONG) && c->stream < 60000)
        say_of_stream(c, mode);
}

/* ---- the loop ---- */

static void take_client(struct proxy *p)
{
    int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    enum proxy_mode mode = (enum proxy_mode)atomic_load(&p->mode);
    if (fd < 0)
        return;
    atomic_fetch_add(&p->accepts, 1);
    struct conn *c = NULL;
    for (size_t i = 0; i < CONNS_MAX && !c; i++)
        c = p->conns[i].used ? NULL : &p->conns[i];
    bool dials = mode == PROXY_PASS || mode == PROXY_SLOW || mode == PROXY_DELAY;
    int server = c && dials ? dial(&p->server) : -1;
    if (!c || mode == PROXY_END || (dials && server < 0)) {
        close(fd);
        if (server >= 0)
            close(server);
        return;
    }
    no_delay(fd);
    *c = (struct conn){.used = true, .client = fd, .server = server};
}

static void from_client(struct proxy *p, struct conn *c, enum proxy_mode mode)
{
    unsigned char bytes[65536];
    ssize_t n = recv(c->client, bytes, sizeof bytes, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        conn_end(c);
        return;
    }
    atomic_fetch_add(&p->bytes, (size_t)n);
    if (is_lie(mode)) {
        lie(c, mode);
        return;
    }
    if (c->server < 0 || mode == PROXY_SILENT || mode == PROXY_HALF_OPEN)
        return;
    size_t may = allowed(p, &p->cut_up, (size_t)n);
    if (!push(&c->up, bytes, may))
        conn_end(c);
    else if (may < (size_t)n)
        cut(p, c, true);
    else if (mode == PROXY_DELAY)
        delay(&c->up, may, now_ms() + atomic_load(&p->delay_ms));
    else if (!flush(&c->up, c->server, SIZE_MAX))
        conn_end(c);
}

static void from_server(struct proxy *p, struct conn *c, enum proxy_mode mode)
{
    unsigned char bytes[65536];
    ssize_t n = recv(c->server, bytes, sizeof bytes, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        conn_end(c);
        return;
    }
    if (mode == PROXY_SILENT || mode == PROXY_HALF_OPEN)
        return;
    size_t may = allowed(p, &p->cut_down, (size_t)n);
    if (!push(&c->down, bytes, may))
        conn_end(c);
    else if (may < (size_t)n)
        cut(p, c, false);
    else if (mode == PROXY_DELAY)
        delay(&c->down, may, now_ms() + atomic_load(&p->delay_ms));
    else if (mode != PROXY_SLOW && !flush(&c->down, c->client, SIZE_MAX))
        conn_end(c);
}

static void serve(struct proxy *p, struct conn *c, short client_events, short server_events)
{
    enum proxy_mode mode = (enum proxy_mode)atomic_load(&p->mode);
    if (client_events & (POLLIN | POLLHUP | POLLERR))
        from_client(p, c, mode);
    if (c->used && server_events & (POLLIN | POLLHUP | POLLERR))
        from_server(p, c, mode);
    if (c->used && mode == PROXY_DELAY && (!flush_due(&c->up, c->server) || !flush_due(&c->down, c->client)))
        conn_end(c);
    if (c->used && mode != PROXY_DELAY && !flush(&c->up, c->server, SIZE_MAX))
        conn_end(c);
    if (c->used && mode == PROXY_PASS && !flush(&c->down, c->client, SIZE_MAX))
        conn_end(c);
    if (c->used && mode == PROXY_SLOW && c->slow_at <= now_ms()) {
        c->slow_at = now_ms() + SLOW_MS;
        if (!flush(&c->down, c->client, 1))
            conn_end(c);
    }
}

static void follow_mode(struct proxy *p)
{
    bool wants = atomic_load(&p->mode) != PROXY_REFUSE;
    if (!wants && p->listener >= 0) {
        close(p->listener);
        p->listener = -1;
    } else if (wants && p->listener < 0) {
        p->listener = listen_on(p->port, &p->port);
    }
}

static size_t poll_set(struct proxy *p, struct pollfd *fds)
{
    fds[0] = (struct pollfd){.fd = p->wake, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = p->listener, .events = POLLIN};
    bool is_delayed = atomic_load(&p->mode) == PROXY_DELAY; /* then the clock says when bytes may go */
    for (size_t i = 0; i < CONNS_MAX; i++) {
        struct conn *c = &p->conns[i];
        short down = c->used && c->down.len && atomic_load(&p->mode) == PROXY_PASS ? POLLOUT : 0;
        fds[2 + 2 * i] = (struct pollfd){.fd = c->used ? c->client : -1, .events = (short)(POLLIN | down)};
        fds[3 + 2 * i] = (struct pollfd){.fd = c->used ? c->server : -1,
                                         .events = (short)(POLLIN | (c->up.len && !is_delayed ? POLLOUT : 0))};
    }
    return 2 + 2 * CONNS_MAX;
}

static void *run(void *arg)
{
    struct proxy *p = arg;
    static __thread struct pollfd fds[2 + 2 * CONNS_MAX];
    pthread_mutex_lock(&p->mutex);
    while (!p->stop) {
        uint64_t count;
        follow_mode(p);
        size_t n = poll_set(p, fds);
        int mode = atomic_load(&p->mode);
        int wait_ms = mode == PROXY_DELAY ? 2 : mode == PROXY_SLOW || p->listener < 0 ? 50 : -1;
        pthread_mutex_unlock(&p->mutex);
        int ready = poll(fds, n, wait_ms);
        pthread_mutex_lock(&p->mutex);
        if (ready > 0 && fds[0].revents && read(p->wake, &count, sizeof count) < 0)
            continue;
        for (size_t i = 0; i < CONNS_MAX; i++)
            if (p->conns[i].used && p->conns[i].client == fds[2 + 2 * i].fd)
                serve(p, &p->conns[i], fds[2 + 2 * i].revents, fds[3 + 2 * i].revents);
        if (ready > 0 && fds[1].revents && p->listener == fds[1].fd && p->listener >= 0)
            take_client(p);
    }
    pthread_mutex_unlock(&p->mutex);
    return NULL;
}

static void wake(struct proxy *p)
{
    uint64_t one = 1;
    assert_int_equal(write(p->wake, &one, sizeof one), sizeof one);
}

/* ---- for tests ---- */

struct proxy *proxy_start(const char *server_url)
{
    struct proxy *p = calloc(1, sizeof *p);
    assert_non_null(p);
    const char *colon = strrchr(server_url, ':'), *host = colon;
    char address[32];
    while (host > server_url && host[-1] != '/')
        host--;
    snprintf(address, sizeof address, "%.*s", (int)(colon - host), host);
    p->server = local((uint16_t)atoi(colon + 1));
    assert_int_equal(inet_pton(AF_INET, address, &p->server.sin_addr), 1);
    for (size_t i = 0; i < CONNS_MAX; i++)
        p->conns[i] = (struct conn){.client = -1, .server = -1};
    p->cut_up = p->cut_down = SIZE_MAX;
    atomic_store(&p->delay_ms, 100);
    p->listener = listen_on(0, &p->port);
    p->wake = eventfd(0, EFD_CLOEXEC);
    assert_true(p->listener >= 0 && p->wake >= 0);
    snprintf(p->url, sizeof p->url, "http://127.0.0.1:%u", p->port);
    pthread_mutex_init(&p->mutex, NULL);
    assert_int_equal(pthread_create(&p->thread, NULL, run, p), 0);
    return p;
}

void proxy_free(struct proxy *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->mutex);
    p->stop = true;
    pthread_mutex_unlock(&p->mutex);
    wake(p);
    pthread_join(p->thread, NULL);
    for (size_t i = 0; i < CONNS_MAX; i++)
        conn_end(&p->conns[i]);
    if (p->listener >= 0)
        close(p->listener);
    close(p->wake);
    pthread_mutex_destroy(&p->mutex);
    free(p);
}

const char *proxy_url(const struct proxy *p)
{
    return p->url;
}

static void end_all(struct proxy *p)
{
    for (size_t i = 0; i < CONNS_MAX; i++)
        conn_end(&p->conns[i]);
}

void proxy_set(struct proxy *p, enum proxy_mode mode)
{
    pthread_mutex_lock(&p->mutex);
    atomic_store(&p->mode, (int)mode);
    follow_mode(p);
    if (is_lie(mode) || mode == PROXY_REFUSE || mode == PROXY_END)
        end_all(p);
    pthread_mutex_unlock(&p->mutex);
    wake(p);
}

void proxy_delay(struct proxy *p, int ms)
{
    atomic_store(&p->delay_ms, ms);
}

size_t proxy_accepts(const struct proxy *p)
{
    return atomic_load(&p->accepts);
}

size_t proxy_bytes(const struct proxy *p)
{
    return atomic_load(&p->bytes);
}

void proxy_cut(struct proxy *p, size_t up, size_t down, void (*on_cut)(void *user), void *user)
{
    pthread_mutex_lock(&p->mutex);
    p->cut_up = up;
    p->cut_down = down;
    p->on_cut = on_cut;
    p->user = user;
    p->armed = true;
    p->has_cut = false;
    pthread_mutex_unlock(&p->mutex);
}

bool proxy_disarm(struct proxy *p)
{
    pthread_mutex_lock(&p->mutex);
    bool has_cut = p->has_cut;
    p->armed = p->has_cut = false;
    p->cut_up = p->cut_down = SIZE_MAX;
    pthread_mutex_unlock(&p->mutex);
    return has_cut;
}

void proxy_drop(struct proxy *p)
{
    pthread_mutex_lock(&p->mutex);
    end_all(p);
    pthread_mutex_unlock(&p->mutex);
    wake(p);
}
