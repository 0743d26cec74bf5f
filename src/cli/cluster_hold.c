/* What an answer does not tell: whether the process that gives it is still the one of before. Its connections end with it. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cluster_roll.h"
#include "io/address.h"

#define CONNECT_MS   2000
#define DEFAULT_PORT 2379
#define SILENT_S     2 /* of a host that has gone without a word: three questions, so many seconds apart */
#define QUESTIONS    3

static int connect_to(const struct addrinfo *a)
{
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol), why = 0;
    socklen_t len = sizeof why;
    if (fd < 0)
        return -1;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    if (connect(fd, a->ai_addr, a->ai_addrlen) == 0 ||
        (errno == EINPROGRESS && poll(&p, 1, CONNECT_MS) == 1 &&
         getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len) == 0 && why == 0))
        return fd;
    close(fd);
    return -1;
}

static void ask_now_and_then(int fd)
{
    int on = 1, seconds = SILENT_S, times = QUESTIONS;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof times);
}

int hold_open(const char *url)
{
    struct io_address at;
    struct tenure_error err = {0};
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all = NULL;
    char port[8];
    int fd = -1;
    if (io_address_parse(url, DEFAULT_PORT, &at, &err) < 0 || at.kind != IO_ADDRESS_TCP)
        return -1;
    snprintf(port, sizeof port, "%u", at.port);
    if (getaddrinfo(at.host, port, &hints, &all) != 0)
        return -1;
    for (struct addrinfo *a = all; a && fd < 0; a = a->ai_next)
        fd = connect_to(a);
    freeaddrinfo(all);
    if (fd >= 0)
        ask_now_and_then(fd);
    return fd;
}

bool hold_has_ended(int fd)
{
    char any[512];
    ssize_t n;
    while ((n = recv(fd, any, sizeof any, MSG_DONTWAIT)) > 0)
        ; /* what a server says by itself */
    return n == 0 || (errno != EAGAIN && errno != EINTR);
}
