/* Between io_address and the system's sockaddr. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "io/socket.h"

static size_t known_unix(const struct io_address *a, struct io_sockaddr *ret)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&ret->addr;
    memset(ret, 0, sizeof *ret);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, a->path, sizeof a->path);
    ret->len = sizeof *un;
    return 1;
}

static bool known_v4(const char *host, uint16_t port, struct io_sockaddr *ret)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&ret->addr;
    memset(ret, 0, sizeof *ret);
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    ret->len = sizeof *in;
    return inet_pton(AF_INET, host, &in->sin_addr) == 1;
}

static bool known_v6(const char *host, uint16_t port, struct io_sockaddr *ret)
{
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)&ret->addr;
    memset(ret, 0, sizeof *ret);
    in->sin6_family = AF_INET6;
    in->sin6_port = htons(port);
    ret->len = sizeof *in;
    return inet_pton(AF_INET6, host, &in->sin6_addr) == 1;
}

size_t io_sockaddr_known(const struct io_address *a, struct io_sockaddr *ret)
{
    if (a->kind == IO_ADDRESS_UNIX)
        return known_unix(a, ret);
    if (strcmp(a->host, "localhost") == 0)
        return (size_t)known_v4("127.0.0.1", a->port, &ret[0]) + (size_t)known_v6("::1", a->port, &ret[1]);
    return known_v4(a->host, a->port, ret) || known_v6(a->host, a->port, ret) ? 1 : 0;
}

const char *io_sockaddr_text(const struct io_sockaddr *a, char *out, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "?";
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a->addr;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a->addr;
    if (a->addr.ss_family == AF_INET) {
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        snprintf(out, size, "%s:%u", host, ntohs(v4->sin_port));
    } else if (a->addr.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        snprintf(out, size, "[%s]:%u", host, ntohs(v6->sin6_port));
    } else {
        snprintf(out, size, "unix");
    }
    return out;
}

static bool unix_address(const struct io_sockaddr *from, struct io_address *ret)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&from->addr;
    size_t len =
        from->len > offsetof(struct sockaddr_un, sun_path) ? from->len - offsetof(struct sockaddr_un, sun_path) : 0;
    ret->kind = IO_ADDRESS_UNIX;
    if (len == 0 || un->sun_path[0] == 0 || len > sizeof ret->path)
        return false; /* without a name, or an abstract one */
    snprintf(ret->path, sizeof ret->path, "%.*s", (int)len, un->sun_path);
    return true;
}

bool io_socket_address(int fd, struct io_address *ret)
{
    struct io_sockaddr at = {.len = sizeof at.addr};
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&at.addr;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&at.addr;
    *ret = (struct io_address){.kind = IO_ADDRESS_TCP};
    if (getsockname(fd, (struct sockaddr *)&at.addr, &at.len) < 0)
        return false;
    if (at.addr.ss_family == AF_UNIX)
        return unix_address(&at, ret);
    ret->port = io_socket_port(fd);
    if (at.addr.ss_family == AF_INET)
        return inet_ntop(AF_INET, &v4->sin_addr, ret->host, sizeof ret->host) != NULL;
    return at.addr.ss_family == AF_INET6 && inet_ntop(AF_INET6, &v6->sin6_addr, ret->host, sizeof ret->host) != NULL;
}

bool io_socket_is_at(int fd, const struct io_address *a)
{
    struct io_address is;
    struct io_sockaddr known[IO_SOCKADDRS_MAX];
    if (!io_socket_address(fd, &is) || is.kind != a->kind)
        return false;
    if (a->kind == IO_ADDRESS_UNIX)
        return strcmp(is.path, a->path) == 0;
    size_t n = is.port == a->port ? io_sockaddr_known(a, known) : 0;
    for (size_t i = 0; i < n; i++) {
        char text[80], own[IO_ADDRESS_TEXT_MAX];
        if (strcmp(io_sockaddr_text(&known[i], text, sizeof text), io_address_authority(&is, own, sizeof own)) == 0)
            return true;
    }
    return false;
}

uint16_t io_socket_port(int fd)
{
    struct io_sockaddr a = {.len = sizeof a.addr};
    if (getsockname(fd, (struct sockaddr *)&a.addr, &a.len) < 0)
        return 0;
    if (a.addr.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&a.addr)->sin_port);
    return a.addr.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&a.addr)->sin6_port) : 0;
}

int io_socket_new(int family)
{
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}
