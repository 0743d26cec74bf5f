/* Sockets that systemd has opened and listens on already, so that clients can connect before the server runs: descriptors from
 * 3 on, LISTEN_FDS of them, for the process LISTEN_PID. A name (FileDescriptorName=) of https or unixs says that TLS is spoken
 * there. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/socket.h"
#include "server/internal.h"

#define FIRST_FD 3

static long number_of(const char *variable)
{
    const char *text = getenv(variable);
    char *end;
    long n = text ? strtol(text, &end, 10) : 0;
    return text && end != text && !*end ? n : 0;
}

/* The i-th of the names, between colons. */
static bool is_named_tls(const char *names, size_t i)
{
    for (; names && i > 0; i--) {
        names = strchr(names, ':');
        names = names ? names + 1 : NULL;
    }
    size_t len = names ? strcspn(names, ":") : 0;
    return (len == 5 && strncmp(names, "https", 5) == 0) || (len == 6 && strncmp(names, "unixs", 6) == 0);
}

int activate_find(struct activated *ret, struct tenure_error *err)
{
    const char *names = getenv("LISTEN_FDNAMES");
    long n = number_of("LISTEN_FDS");
    ret->n = 0;
    if (n <= 0 || number_of("LISTEN_PID") != getpid())
        return 0;
    if (n > ACTIVATED_MAX)
        return error_set(err, TENURE_EINVALID, "LISTEN_FDS: more than %d sockets", ACTIVATED_MAX);
    for (size_t i = 0; i < (size_t)n; i++) {
        int fd = FIRST_FD + (int)i;
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        ret->fds[i] = fd;
        ret->tls[i] = is_named_tls(names, i);
    }
    ret->n = (size_t)n;
    return 0;
}

int activate_take(struct activated *a, const struct io_address *at)
{
    for (size_t i = 0; i < a->n; i++) {
        int fd = a->fds[i];
        if (fd < 0 || !io_socket_is_at(fd, at))
            continue;
        a->fds[i] = -1;
        return fd;
    }
    return -1;
}

void activate_close(struct activated *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->fds[i] >= 0)
            close(a->fds[i]);
    a->n = 0;
}
