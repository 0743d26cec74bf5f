/* Socket addresses of an io_address, for stream and listener. */
#ifndef IO_SOCKET_H
#define IO_SOCKET_H

#include <sys/socket.h>

#include "io/address.h"

struct io_sockaddr {
    struct sockaddr_storage addr;
    socklen_t len;
};

#define IO_SOCKADDRS_MAX 8

/* The addresses that need no lookup: a unix path, a number, localhost (127.0.0.1 and ::1). Writes up to
 * IO_SOCKADDRS_MAX, answers how many; 0 = the name must be looked up. */
size_t io_sockaddr_known(const struct io_address *a, struct io_sockaddr *ret);
/* "127.0.0.1:40312", "[::1]:40312", "unix". Answers out. */
const char *io_sockaddr_text(const struct io_sockaddr *a, char *out, size_t size);
/* What a bound socket is called, without TLS. False: neither TCP nor a unix socket with a path. */
bool io_socket_address(int fd, struct io_address *ret);
/* Whether a listening socket is the one of that address: a name other than localhost is none's. */
bool io_socket_is_at(int fd, const struct io_address *a);
/* The local port of a bound socket; 0 when unknown. */
uint16_t io_socket_port(int fd);
/* A non-blocking, close-on-exec stream socket; -1 with errno. */
int io_socket_new(int family);

#endif
