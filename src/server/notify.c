/* Telling systemd (Type=notify) that the server is ready, stops, or reads its files again, and that its loop still turns: a
 * datagram of lines to the socket NOTIFY_SOCKET. Nobody listens, or its queue is full: then nothing is said, and nothing
 * waits. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "server/internal.h"

/* Half of what systemd waits for, and a turn comes twice a second at least. */
static tn_ms watchdog_interval(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (!usec || (pid && strtol(pid, NULL, 10) != getpid()))
        return 0;
    long long us = strtoll(usec, NULL, 10);
    return us > 0 ? us / 2000 + 1 : 0;
}

/* A path, or an abstract name behind '@'. */
static socklen_t address_of(const char *name, struct sockaddr_un *un)
{
    size_t len = strlen(name);
    memset(un, 0, sizeof *un);
    un->sun_family = AF_UNIX;
    if ((name[0] != '/' && name[0] != '@') || len >= sizeof un->sun_path)
        return 0;
    memcpy(un->sun_path, name, len);
    if (name[0] == '@')
        un->sun_path[0] = 0;
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '/'));
}

void notify_open(struct server *s)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un un;
    socklen_t len = name ? address_of(name, &un) : 0;
    s->notify = (struct notify){.fd = -1};
    if (len == 0)
        return;
    s->notify.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->notify.fd >= 0 && connect(s->notify.fd, (struct sockaddr *)&un, len) < 0)
        notify_close(s);
    s->notify.every = watchdog_interval();
}

void notify_close(struct server *s)
{
    if (s->notify.fd >= 0)
        close(s->notify.fd);
    s->notify.fd = -1;
}

static void say(struct server *s, const char *text)
{
    if (s->notify.fd < 0)
        return;
    ssize_t ignored = send(s->notify.fd, text, strlen(text), MSG_NOSIGNAL);
    (void)ignored;
}

void notify_ready(struct server *s)
{
    char text[1200], line[1000];
    if (s->notify.fd < 0)
        return;
    server_ready_line(s, line, sizeof line);
    snprintf(text, sizeof text, "READY=1\nMAINPID=%ld\nSTATUS=%s", (long)getpid(), line);
    say(s, text);
}

void notify_stopping(struct server *s)
{
    say(s, "STOPPING=1\nSTATUS=ending what is under way");
}

void notify_reloading(struct server *s)
{
    char text[100];
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
             (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
    say(s, text);
}

void notify_watchdog(struct server *s, tn_ms now)
{
    if (s->notify.fd < 0 || s->notify.every == 0 || now < s->notify.next)
        return;
    s->notify.next = now + s->notify.every;
    say(s, "WATCHDOG=1");
}
