/* A network of the tests' own between processes: carries TCP with a delay, in order and at full rate, and can be cut without a
 * word, healed and made narrow while it runs. harness.py has its class, Delayed; this is what it talks to.
 *
 * A link has a delay, a rate and two directions: `up` is what goes from those who connect to those who listen. Routes lead over a
 * link: an address that it listens at, and the one that it connects to; each may lie in a network namespace of its own, so that
 * two hosts without any network between them reach each other by their own addresses, over this and nothing else.
 *
 * A connection takes a round to be made, as TCP's. What is read is put into a queue with the time at which it may go on, so any
 * number of bytes are under way at once (HELD_MAX). While a direction is cut its bytes wait, FIN and RST with them, and nobody is
 * told: that is what TCP's sender and its retransmissions come to. At the end of the cut what waited goes on; or the connections
 * that stood are reset (a router that forgot them), or are silent for ever (one that drops what it does not know).
 *
 * Commands, one a line, each answered by one line, `ok …` or `error …`; it ends with its input:
 *
 *   link NAME DELAY_MS                        a new link; the delay is one way
 *   route LINK LISTEN TARGET [FROM_PID TO_PID]    IP:PORT each, port 0 = any; in the namespaces of two processes. `ok PORT`
 *   delay LINK MS      rate LINK BYTES_PER_S  (0 = without a limit; of a direction, over all its connections)
 *   cut LINK up|down|both                     heal LINK keep|reset|silent
 *   stats LINK                                `ok ACCEPTED OPEN UP DOWN HELD`: connections, bytes
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    LINKS_MAX = 64,
    ROUTES_MAX = 256,
    CONNS_MAX = 1024,
    READ_MAX = 64 * 1024,
    PACKET = 1460,      /* at least as much is read at once, or 20 ms of a rate */
    HELD_MAX = 8 << 20, /* of one direction of a connection; then its sender has to wait */
    NARROW_US = 50000,  /* as much may wait in front of a rate */
    NEVER = -1,
};

enum direction { UP, DOWN };
enum what { BYTES, FIN, RST };

struct chunk {
    struct chunk *next;
    enum what what;
    int64_t due_us;
    size_t len, sent;
    unsigned char data[];
};

/* One direction of a connection. */
struct lane {
    struct chunk *first, *last;
    size_t held;
    bool ended; /* nothing more will be read */
};

struct link {
    char name[128];
    int64_t delay_us, rate;
    bool is_cut[2];
    int64_t free_at[2]; /* when the last byte has passed the rate */
    uint64_t accepted, bytes[2];
};

struct route {
    struct link *link;
    int listener, target_ns; /* a namespace, -1 = our own */
    struct sockaddr_in target;
};

/* fd[UP] is who connected to us, fd[DOWN] whom we connect to: lane[d] is read from fd[d] and written to fd[!d]. */
struct conn {
    struct route *route; /* NULL: not used */
    int fd[2];
    struct lane lane[2];
    int64_t syn_at, open_at; /* when the other side is asked; when this side may know that it is open */
    bool is_asked, is_open, is_silent;
};

static struct link links[LINKS_MAX];
static struct route routes[ROUTES_MAX];
static struct conn conns[CONNS_MAX];
static size_t n_links, n_routes;
static int own_ns = -1;
static int64_t now; /* of this turn, in microseconds */

static int64_t clock_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t max_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- sockets, in whatever namespace ---- */

static int ns_of(const char *pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/ns/net", pid);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static int socket_in(int ns)
{
    if (ns >= 0 && setns(ns, CLONE_NEWNET) != 0)
        return -1;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (ns >= 0 && setns(own_ns, CLONE_NEWNET) != 0)
        abort();
    return fd;
}

static bool address_of(const char *text, struct sockaddr_in *ret)
{
    char ip[64];
    unsigned port;
    if (sscanf(text, "%63[^:]:%u", ip, &port) != 2 || port > 65535)
        return false;
    *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return inet_pton(AF_INET, ip, &ret->sin_addr) == 1;
}

static int listen_at(int ns, struct sockaddr_in at, unsigned *ret_port)
{
    socklen_t len = sizeof at;
    int one = 1, fd = socket_in(ns);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    *ret_port = ntohs(at.sin_port);
    return fd;
}

/* ---- what is under way ---- */

static struct lane *lane_of(struct conn *c, enum direction d)
{
    return &c->lane[d];
}

/* When n bytes that are sent now have arrived: behind those before them. */
static int64_t due(const struct conn *c, enum direction d, size_t n)
{
    struct link *l = c->route->link;
    int64_t start = d == UP ? max_of(now, c->open_at) : now;
    if (l->rate > 0) {
        start = max_of(start, l->free_at[d]) + (int64_t)n * 1000000 / l->rate;
        l->free_at[d] = start;
    }
    const struct chunk *last = c->lane[d].last;
    return max_of(start + l->delay_us, last ? last->due_us : 0);
}

static void send_off(struct conn *c, enum direction d, enum what what, const void *data, size_t n)
{
    struct lane *lane = lane_of(c, d);
    struct chunk *k = malloc(sizeof *k + n);
    if (!k)
        abort();
    *k = (struct chunk){.what = what, .len = n, .due_us = due(c, d, n)};
    if (n > 0)
        memcpy(k->data, data, n);
    if (lane->last)
        lane->last->next = k;
    else
        lane->first = k;
    lane->last = k;
    lane->held += n;
    lane->ended = lane->ended || what != BYTES;
    c->route->link->bytes[d] += n;
}

static void drop_first(struct lane *lane)
{
    struct chunk *k = lane->first;
    lane->first = k->next;
    if (!lane->first)
        lane->last = NULL;
    lane->held -= k->len;
    free(k);
}

static void close_side(struct conn *c, enum direction side, bool as_reset)
{
    struct linger at_once = {.l_onoff = 1};
    if (c->fd[side] < 0)
        return;
    if (as_reset)
        setsockopt(c->fd[side], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(c->fd[side]);
    c->fd[side] = -1;
}

static void end(struct conn *c, bool as_reset)
{
    for (enum direction d = UP; d <= DOWN; d++) {
        close_side(c, d, as_reset);
        while (c->lane[d].first)
            drop_first(&c->lane[d]);
    }
    c->route = NULL;
}

/* ---- a connection's life ---- */

static void accept_one(struct route *r)
{
    int fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), one = 1;
    struct conn *c = conns;
    while (c < conns + CONNS_MAX && c->route)
        c++;
    if (fd < 0)
        return;
    if (c == conns + CONNS_MAX) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int64_t delay = r->link->delay_us;
    *c = (struct conn){.route = r, .fd = {fd, -1}, .syn_at = now + delay, .open_at = now + 2 * delay};
    r->link->accepted++;
}

static void ask_other_side(struct conn *c)
{
    struct route *r = c->route;
    c->is_asked = true;
    c->fd[DOWN] = socket_in(r->target_ns);
    int rc = c->fd[DOWN] < 0 ? -1 : connect(c->fd[DOWN], (struct sockaddr *)&r->target, sizeof r->target);
    if (rc == 0)
        c->is_open = true;
    else if (c->fd[DOWN] < 0 || errno != EINPROGRESS)
        send_off(c, DOWN, RST, NULL, 0);
}

static void other_side_answered(struct conn *c)
{
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(c->fd[DOWN], SOL_SOCKET, SO_ERROR, &error, &len);
    if (error == 0) {
        c->is_open = true;
        return;
    }
    close_side(c, DOWN, false);
    send_off(c, DOWN, RST, NULL, 0);
}

static void read_lane(struct conn *c, enum direction d)
{
    static unsigned char bytes[READ_MAX];
    int64_t rate = c->route->link->rate, most = rate > 0 ? max_of(rate / 50, PACKET) : READ_MAX;
    ssize_t n = recv(c->fd[d], bytes, most < READ_MAX ? (size_t)most : READ_MAX, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (c->is_silent) {
        if (n <= 0)
            close_side(c, d, false);
        return;
    }
    send_off(c, d, n > 0 ? BYTES : n == 0 ? FIN : RST, bytes, n > 0 ? (size_t)n : 0);
    if (n < 0)
        close_side(c, d, false);
}

static bool may_go(const struct conn *c, enum direction d)
{
    const struct lane *lane = &c->lane[d];
    return lane->first && !c->is_silent && !c->route->link->is_cut[d] && (d == DOWN || c->is_open);
}

/* False: the connection is over. */
static bool write_lane(struct conn *c, enum direction d)
{
    struct lane *lane = lane_of(c, d);
    int to = c->fd[!d];
    while (may_go(c, d) && lane->first->due_us <= now) {
        struct chunk *k = lane->first;
        if (k->what == RST)
            return false;
        if (k->what == FIN && to >= 0)
            shutdown(to, SHUT_WR);
        ssize_t n = k->what == BYTES && to >= 0 ? send(to, k->data + k->sent, k->len - k->sent, MSG_NOSIGNAL) : 0;
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (n < 0) { /* the sender is told a delay later */
            send_off(c, !d, RST, NULL, 0);
            close_side(c, !d, false);
            return true;
        }
        k->sent += (size_t)n;
        if (to >= 0 && k->sent < k->len)
            return true;
        drop_first(lane);
    }
    return true;
}

static bool is_over(const struct conn *c)
{
    if (c->is_silent)
        return c->fd[UP] < 0 && c->fd[DOWN] < 0;
    return c->lane[UP].ended && c->lane[DOWN].ended && !c->lane[UP].first && !c->lane[DOWN].first;
}

/* What is due. */
static void advance(struct conn *c)
{
    if (!c->is_asked && !c->is_silent && c->syn_at <= now && !c->route->link->is_cut[UP])
        ask_other_side(c);
    if (!write_lane(c, UP) || !write_lane(c, DOWN))
        end(c, true);
    else if (is_over(c))
        end(c, false);
}

/* ---- commands ---- */

static struct link *find_link(const char *name)
{
    for (size_t i = 0; i < n_links; i++)
        if (strcmp(links[i].name, name) == 0)
            return &links[i];
    return NULL;
}

static const char *add_link(const char *name, const char *delay_ms)
{
    if (n_links == LINKS_MAX || find_link(name))
        return "error there is one of that name, or there are too many\n";
    struct link *l = &links[n_links++];
    *l = (struct link){.delay_us = (int64_t)(atof(delay_ms) * 1000)};
    snprintf(l->name, sizeof l->name, "%s", name);
    return "ok\n";
}

static const char *add_route(struct link *l, char words[][128], int n)
{
    static char answer[256];
    bool elsewhere = n == 6;
    struct sockaddr_in at;
    struct route r = {.link = l, .target_ns = elsewhere ? ns_of(words[5]) : -1};
    int from = elsewhere ? ns_of(words[4]) : -1;
    if (n_routes == ROUTES_MAX || !address_of(words[2], &at) || !address_of(words[3], &r.target) ||
        (elsewhere && (from < 0 || r.target_ns < 0)))
        return "error no such route\n";
    unsigned port = 0;
    r.listener = listen_at(from, at, &port);
    if (from >= 0)
        close(from);
    if (r.listener < 0) {
        snprintf(answer, sizeof answer, "error %s: %s\n", words[2], strerror(errno));
        return answer;
    }
    routes[n_routes++] = r;
    snprintf(answer, sizeof answer, "ok %u\n", port);
    return answer;
}

static const char *cut(struct link *l, const char *which)
{
    l->is_cut[UP] = l->is_cut[UP] || strcmp(which, "down") != 0;
    l->is_cut[DOWN] = l->is_cut[DOWN] || strcmp(which, "up") != 0;
    return "ok\n";
}

/* What waited arrives now at the earliest, each connection's in its order. */
static void release(struct conn *c)
{
    for (enum direction d = UP; d <= DOWN; d++)
        for (struct chunk *k = c->lane[d].first; k; k = k->next)
            k->due_us = max_of(k->due_us, now + c->route->link->delay_us);
    c->syn_at = max_of(c->syn_at, now);
    c->open_at = max_of(c->open_at, c->is_asked ? 0 : now + 2 * c->route->link->delay_us);
}

static const char *heal(struct link *l, const char *how)
{
    for (struct conn *c = conns; c < conns + CONNS_MAX && (l->is_cut[UP] || l->is_cut[DOWN]); c++) {
        if (!c->route || c->route->link != l)
            continue;
        release(c);
        if (strcmp(how, "reset") == 0)
            end(c, true);
        else if (strcmp(how, "silent") == 0)
            c->is_silent = true;
    }
    l->is_cut[UP] = l->is_cut[DOWN] = false;
    return "ok\n";
}

static const char *stats(const struct link *l)
{
    static char answer[160];
    size_t open = 0, held = 0;
    for (const struct conn *c = conns; c < conns + CONNS_MAX; c++)
        if (c->route && c->route->link == l) {
            open++;
            held += c->lane[UP].held + c->lane[DOWN].held;
        }
    snprintf(answer, sizeof answer, "ok %llu %zu %llu %llu %zu\n", (unsigned long long)l->accepted, open,
             (unsigned long long)l->bytes[UP], (unsigned long long)l->bytes[DOWN], held);
    return answer;
}

static const char *obey(const char *line)
{
    char words[6][128] = {"", "", "", "", "", ""};
    int n =
        sscanf(line, "%127s %127s %127s %127s %127s %127s", words[0], words[1], words[2], words[3], words[4], words[5]);
    if (n == 3 && strcmp(words[0], "link") == 0)
        return add_link(words[1], words[2]);
    struct link *l = find_link(words[1]);
    if (!l)
        return "error there is no such link\n";
    if ((n == 4 || n == 6) && strcmp(words[0], "route") == 0)
        return add_route(l, words, n);
    if (n == 3 && strcmp(words[0], "delay") == 0)
        return l->delay_us = (int64_t)(atof(words[2]) * 1000), "ok\n";
    if (n == 3 && strcmp(words[0], "rate") == 0)
        return l->rate = atoll(words[2]), "ok\n";
    if (n == 3 && strcmp(words[0], "cut") == 0)
        return cut(l, words[2]);
    if (n == 3 && strcmp(words[0], "heal") == 0)
        return heal(l, words[2]);
    if (n == 2 && strcmp(words[0], "stats") == 0)
        return stats(l);
    return "error nobody knows what that means\n";
}

/* False: whoever commanded is gone. */
static bool read_commands(void)
{
    static char text[4096];
    static size_t len;
    ssize_t n = read(STDIN_FILENO, text + len, sizeof text - 1 - len);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    len += (size_t)n;
    text[len] = '\0';
    char *line = text, *line_end;
    while ((line_end = strchr(line, '\n'))) {
        *line_end = '\0';
        const char *answer = obey(line);
        if (write(STDOUT_FILENO, answer, strlen(answer)) < 0)
            return false;
        line = line_end + 1;
    }
    len -= (size_t)(line - text);
    memmove(text, line, len);
    return len < sizeof text - 1;
}

/* ---- the turn ---- */

static void sooner(int64_t *next, int64_t at)
{
    if (at > now && (*next == NEVER || at < *next))
        *next = at;
}

/* What is to be waited for at one side of a connection. */
static short wants(const struct conn *c, enum direction d, int64_t *next)
{
    const struct lane *in = &c->lane[d], *out = &c->lane[!d];
    const struct link *l = c->route->link;
    short events = 0;
    if (d == DOWN && !c->is_open)
        return POLLOUT;
    bool is_wide = l->rate == 0 || l->free_at[d] - now < NARROW_US;
    if (c->is_silent || (!in->ended && in->held < HELD_MAX && is_wide))
        events |= POLLIN;
    if (!is_wide)
        sooner(next, l->free_at[d] - NARROW_US + 1);
    if (may_go(c, !d)) {
        if (out->first->due_us <= now)
            events |= POLLOUT;
        else
            sooner(next, out->first->due_us);
    }
    return events;
}

static struct pollfd polled[1 + ROUTES_MAX + 2 * CONNS_MAX];
static struct conn *polled_conn[1 + ROUTES_MAX + 2 * CONNS_MAX];

/* How many descriptors; *next is when something is due. */
static size_t collect(int64_t *next)
{
    size_t n = 0;
    *next = NEVER;
    polled[n++] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    for (size_t i = 0; i < n_routes; i++)
        polled[n++] = (struct pollfd){.fd = routes[i].listener, .events = POLLIN};
    for (struct conn *c = conns; c < conns + CONNS_MAX; c++) {
        if (!c->route)
            continue;
        if (!c->is_asked && !c->is_silent && !c->route->link->is_cut[UP])
            sooner(next, c->syn_at);
        for (enum direction d = UP; d <= DOWN; d++) {
            short events = c->fd[d] < 0 ? 0 : wants(c, d, next);
            /* Without a wish the descriptor is not there: a side that has reset would be told again and again. */
            polled[n] = (struct pollfd){.fd = events ? c->fd[d] : -1, .events = events};
            polled_conn[n++] = c;
        }
    }
    return n;
}

static void serve(size_t n)
{
    for (size_t i = 0; i < n_routes && 1 + i < n; i++)
        if (polled[1 + i].revents)
            accept_one(&routes[i]);
    for (size_t i = 1 + n_routes; i < n; i++) {
        struct conn *c = polled_conn[i];
        enum direction d = (i - 1 - n_routes) % 2 == 0 ? UP : DOWN;
        if (!polled[i].revents || c->fd[d] != polled[i].fd)
            continue;
        if (d == DOWN && !c->is_open)
            other_side_answered(c);
        else if (polled[i].events & POLLIN)
            read_lane(c, d);
    }
    for (struct conn *c = conns; c < conns + CONNS_MAX; c++)
        if (c->route)
            advance(c);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1000);
    own_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    for (;;) {
        int64_t next;
        now = clock_us();
        size_t n = collect(&next);
        int64_t wait = next == NEVER ? 0 : next - now;
        struct timespec ts = {.tv_sec = wait / 1000000, .tv_nsec = wait % 1000000 * 1000};
        if (ppoll(polled, n, next == NEVER ? NULL : &ts, NULL) < 0)
            continue;
        now = clock_us();
        size_t routes_before = n_routes;
        if (polled[0].revents && !read_commands())
            return 0;
        if (n_routes == routes_before)
            serve(n);
    }
}
