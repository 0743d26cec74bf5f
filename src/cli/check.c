/* See check.h. */
#include "cli/check.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/group.h"
#include "http/head.h"

bool check_parse(const char *text, struct check_options *ret)
{
    if (strcmp(text, "tcp") == 0)
        ret->kind = CHECK_TCP;
    else if (strncmp(text, "http:/", 6) == 0 && !strpbrk(text, " \r\n"))
        ret->kind = CHECK_HTTP;
    else if (strncmp(text, "cmd:", 4) == 0 && text[4])
        ret->kind = CHECK_CMD;
    else
        return false;
    ret->what = ret->kind == CHECK_HTTP ? text + 5 : text + 4;
    return true;
}

static bool look_up(struct check *c, const char *address, int port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    int rc = getaddrinfo(address, service, &hints, &found);
    if (rc != 0) {
        snprintf(c->why, sizeof c->why, "%.100s: %s", address, gai_strerror(rc));
        return false;
    }
    memcpy(&c->to, found->ai_addr, found->ai_addrlen);
    c->to_len = found->ai_addrlen;
    freeaddrinfo(found);
    snprintf(c->host, sizeof c->host, strchr(address, ':') ? "[%.250s]:%d" : "%.250s:%d", address, port);
    return true;
}

bool check_init(struct check *c, const struct check_options *o, const char *address, int port, int64_t now_ms)
{
    *c = (struct check){.o = *o, .fd = -1, .at_ms = o->kind == CHECK_NONE ? INT64_MAX : now_ms};
    c->command = (struct spawn){.go_fd = -1, .error_fd = -1};
    return o->kind == CHECK_NONE || o->kind == CHECK_CMD || look_up(c, address, port);
}

static void end_asking(struct check *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->answer = http_head_free(c->answer);
    if (c->command.pid && !c->has_ended) {
        group_signal(c->command.pid, SIGKILL);
        waitpid(c->command.pid, NULL,
                WNOHANG); /* one that cannot die yet (a file system that hangs) is collected later */
    }
    spawn_fini(&c->command);
    c->command = (struct spawn){.go_fd = -1, .error_fd = -1};
    c->is_asking = false;
}

void check_fini(struct check *c)
{
    end_asking(c);
    c->at_ms = INT64_MAX;
}

static enum check_result result(struct check *c, int64_t now_ms, bool passed)
{
    end_asking(c);
    c->at_ms = now_ms + c->o.interval_ms;
    return passed ? CHECK_PASSED : CHECK_FAILED;
}

static enum check_result failed(struct check *c, int64_t now_ms, const char *why)
{
    if (why != c->why)
        snprintf(c->why, sizeof c->why, "%s", why);
    return result(c, now_ms, false);
}

/* ---- asking ---- */

static enum check_result ask_command(struct check *c, int64_t now_ms)
{
    static const struct spawn_variable none[] = {{NULL, NULL}};
    char *argv[] = {"sh", "-c", (char *)c->o.what, NULL};
    c->has_ended = false;
    if (!spawn_make(&c->command, argv, none, &c->o.mask))
        return failed(c, now_ms, strerror(errno));
    spawn_go(&c->command);
    return CHECK_NOTHING;
}

static enum check_result ask(struct check *c, int64_t now_ms)
{
    c->is_asking = true;
    c->is_connected = false;
    c->at_ms = now_ms + c->o.timeout_ms;
    if (c->o.kind == CHECK_CMD)
        return ask_command(c, now_ms);
    c->fd = socket(c->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    c->answer = c->o.kind == CHECK_HTTP ? http_head_new() : NULL;
    if (c->fd < 0 || (c->o.kind == CHECK_HTTP && !c->answer))
        return failed(c, now_ms, strerror(errno));
    if (connect(c->fd, (struct sockaddr *)&c->to, c->to_len) < 0 && errno != EINPROGRESS)
        return failed(c, now_ms, strerror(errno));
    return CHECK_NOTHING;
}

/* ---- answers ---- */

static bool send_request(const struct check *c)
{
    char request[2048];
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: tenure\r\nAccept: */*\r\nConnection: close\r\n\r\n",
                     c->o.what, c->host);
    return n < (int)sizeof request && send(c->fd, request, (size_t)n, MSG_NOSIGNAL) == n;
}

/* POLLOUT of a socket that connects: it has, or could not. */
static enum check_result connected(struct check *c, int64_t now_ms)
{
    int why = 0;
    socklen_t len = sizeof why;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &why, &len);
    if (why)
        return failed(c, now_ms, strerror(why));
    c->is_connected = true;
    if (c->o.kind == CHECK_TCP)
        return result(c, now_ms, true);
    return send_request(c) ? CHECK_NOTHING : failed(c, now_ms, "the request could not be sent");
}

static enum check_result answered(struct check *c, int64_t now_ms)
{
    char data[4096];
    ssize_t n = recv(c->fd, data, sizeof data, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? CHECK_NOTHING : failed(c, now_ms, strerror(errno));
    int status = http_head_feed(c->answer, bytes_of(data, (size_t)n));
    if (status == 0)
        return CHECK_NOTHING;
    if (status < 0)
        return failed(c, now_ms, "the answer is no HTTP");
    snprintf(c->why, sizeof c->why, "HTTP status %d", status);
    return status < 400 ? result(c, now_ms, true) : failed(c, now_ms, c->why);
}

static enum check_result ended(struct check *c, int64_t now_ms)
{
    if (WIFSIGNALED(c->status))
        snprintf(c->why, sizeof c->why, "the command died of signal %d", WTERMSIG(c->status));
    else
        snprintf(c->why, sizeof c->why, "the command's exit code is %d", WEXITSTATUS(c->status));
    return WIFEXITED(c->status) && WEXITSTATUS(c->status) == 0 ? result(c, now_ms, true) : failed(c, now_ms, c->why);
}

bool check_child_ended(struct check *c, pid_t pid, int status)
{
    if (!c->command.pid || pid != c->command.pid)
        return false;
    c->has_ended = true;
    c->status = status;
    return true;
}

/* ---- the turn ---- */

struct pollfd check_poll(const struct check *c)
{
    return (struct pollfd){.fd = c->is_asking ? c->fd : -1, .events = c->is_connected ? POLLIN : POLLOUT};
}

int64_t check_due(const struct check *c)
{
    return c->at_ms;
}

enum check_result check_turn(struct check *c, int64_t now_ms)
{
    struct pollfd fd = check_poll(c);
    if (!c->is_asking)
        return now_ms >= c->at_ms ? ask(c, now_ms) : CHECK_NOTHING;
    if (c->o.kind == CHECK_CMD && c->has_ended)
        return ended(c, now_ms);
    if (fd.fd >= 0 && poll(&fd, 1, 0) > 0 && fd.revents) {
        enum check_result r = c->is_connected ? answered(c, now_ms) : connected(c, now_ms);
        if (r != CHECK_NOTHING)
            return r;
    }
    return now_ms >= c->at_ms ? failed(c, now_ms, "no answer in time") : CHECK_NOTHING;
}
