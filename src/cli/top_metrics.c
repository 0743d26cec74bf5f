/* What a server counts, from its /metrics: the same names on `tenure serve` and etcd. HTTP/1.0, so that the answer comes whole and without
 * chunks. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/top.h"
#include "io/loop.h"

#define ANSWER_MAX (4u << 20)

static int64_t *number_of(const char *name, size_t len, struct top_numbers *n)
{
    const struct {
        const char *name;
        int64_t *number;
    } names[] = {{"etcd_mvcc_put_total", &n->puts},
                 {"etcd_mvcc_delete_total", &n->deletes},
                 {"etcd_mvcc_range_total", &n->ranges},
                 {"etcd_debugging_mvcc_events_total", &n->events},
                 {"etcd_debugging_mvcc_watcher_total", &n->watchers}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i].name) == len && memcmp(names[i].name, name, len) == 0)
            return names[i].number;
    return NULL;
}

void top_metrics_of(const char *text, struct top_numbers *ret)
{
    *ret = (struct top_numbers){-1, -1, -1, -1, -1};
    while (*text) {
        size_t line = strcspn(text, "\n"), name = strcspn(text, " \n");
        int64_t *number = name < line ? number_of(text, name, ret) : NULL;
        double value = number ? strtod(text + name, NULL) : 0; /* Go writes large ones as 1.2e+07 */
        if (number && value >= 0 && value < 9e15)
            *number = (int64_t)value;
        text += line + (text[line] == '\n');
    }
}

/* ---- asking ---- */

static bool ready(int fd, short events, int64_t until_ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    int64_t left = until_ms - io_clock();
    return left > 0 && poll(&p, 1, (int)left) == 1;
}

static int connect_to(const char *host, const char *port, int64_t until_ms)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int error = 0;
    socklen_t len = sizeof error;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return -1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool begun = fd >= 0 && (connect(fd, found->ai_addr, found->ai_addrlen) == 0 || errno == EINPROGRESS);
    freeaddrinfo(found);
    if (begun && ready(fd, POLLOUT, until_ms) && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool read_all(int fd, int64_t until_ms, struct buf *to)
{
    for (;;) {
        uint8_t *room = buf_reserve(to, 16384);
        if (!room || !ready(fd, POLLIN, until_ms))
            return false;
        ssize_t n = recv(fd, room, 16384, 0);
        if (n == 0)
            return true;
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (n > 0)
            buf_added(to, (size_t)n);
    }
}

/* "[::1]:2379" without its brackets, in two. */
static bool split(const char *endpoint, char host[256], char port[16])
{
    const char *rest = strncmp(endpoint, "http://", 7) == 0 ? endpoint + 7 : endpoint;
    const char *colon = strrchr(rest, ':');
    if (strstr(rest, "//") || !colon || colon - rest >= 250)
        return false; /* TLS, or no address of the network */
    bool bracketed = *rest == '[' && colon > rest + 2;
    snprintf(host, 256, "%.*s", (int)(colon - rest) - (bracketed ? 2 : 0), rest + (bracketed ? 1 : 0));
    snprintf(port, 16, "%.*s", (int)strspn(colon + 1, "0123456789"), colon + 1);
    return *host && *port;
}

bool top_metrics(const char *endpoint, int64_t timeout_ms, struct top_numbers *ret)
{
    char host[256], port[16], request[400];
    int64_t until_ms = io_clock() + timeout_ms;
    struct buf answer;
    if (!split(endpoint, host, port))
        return false;
    int fd = connect_to(host, port, until_ms);
    if (fd < 0)
        return false;
    buf_init(&answer);
    answer.len_max = ANSWER_MAX;
    int n = snprintf(request, sizeof request, "GET /metrics HTTP/1.0\r\nHost: %s\r\n\r\n", host);
    bool fine = send(fd, request, (size_t)n, MSG_NOSIGNAL) == n && read_all(fd, until_ms, &answer);
    close(fd);
    buf_append_byte(&answer, 0);
    fine = fine && !buf_error(&answer) && answer.len > 12 && memcmp(answer.data + 9, "200", 3) == 0;
    if (fine)
        top_metrics_of((const char *)answer.data, ret);
    buf_fini(&answer);
    return fine;
}
