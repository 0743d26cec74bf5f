/* See check.h. */
#include "cli/check.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
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

void check_init(struct check *c, const struct check_options *o, const char *address, int port, int64_t now_ms)
{
    size_t len = strlen(address);
    bool in_brackets = address[0] == '[' && address[len - 1] == ']';
    *c = (struct check){.o = *o, .fd = -1, .port = port, .at_ms = o->kind == CHECK_NONE ? INT64_MAX : now_ms};
    c->command = (struct spawn){.go_fd = -1, .error_fd = -1};
    snprintf(c->name, sizeof c->name, "%.*s", (int)(in_brackets ? len - 2 : len), address + in_brackets);
    snprintf(c->host, sizeof c->host, strchr(c->name, ':') ? "[%.250s]:%d" : "%.250s:%d", c->name, port);
}

static void end_connection(struct check *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->answer = http_head_free(c->answer);
    c->is_connected = false;
}

/* One that cannot die yet (a file system that hangs) is collected later. */
static void end_process(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, WNOHANG);
}

static void end_resolving(struct check *c)
{
    end_connection(c);
    if (c->resolver)
        end_process(c->resolver);
    c->resolver = 0;
    c->is_resolving = false;
}

static void end_asking(struct check *c)
{
    end_resolving(c);
    if (c->command.pid)
        group_signal(c->command.pid, SIGKILL); /* also what one that has ended left there */
    if (c->command.pid && !c->has_ended)
        end_process(c->command.pid);
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

/* ---- asking: a command ---- */

static enum check_result ask_command(struct check *c, int64_t now_ms)
{
    static const struct spawn_variable none[] = {{NULL, NULL}};
    char *argv[] = {"sh", "-c", (char *)c->o.what, NULL};
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const struct spawn_how how = {.variables = none, .mask = &c->o.mask, .input = null, .output = STDERR_FILENO};
    c->has_ended = false;
    bool made = spawn_make_as(&c->command, argv, &how);
    int why = errno;
    if (null >= 0)
        close(null);
    if (!made)
        return failed(c, now_ms, strerror(why));
    spawn_go(&c->command);
    return CHECK_NOTHING;
}

/* ---- asking: an address ---- */

/* Fills addresses; 0, or what getaddrinfo says. */
static int look_up(struct check *c, int flags)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags}, *found = NULL;
    char service[16];
    snprintf(service, sizeof service, "%d", c->port);
    int rc = getaddrinfo(c->name, service, &hints, &found);
    c->n_addresses = c->next = 0;
    for (struct addrinfo *a = rc == 0 ? found : NULL; a && c->n_addresses < CHECK_ADDRESSES_MAX; a = a->ai_next) {
        struct check_address *to = &c->addresses[c->n_addresses++];
        to->len = a->ai_addrlen;
        memcpy(&to->to, a->ai_addr, a->ai_addrlen);
    }
    if (rc == 0)
        freeaddrinfo(found);
    return rc;
}

/* To the next address that takes a connection at all; more are tried when it does not answer. */
static enum check_result connect_next(struct check *c, int64_t now_ms)
{
    int why = 0;
    while (c->next < c->n_addresses) {
        const struct check_address *to = &c->addresses[c->next++];
        int left = c->n_addresses - c->next + 1;
        end_connection(c);
        c->move_on_ms = now_ms + (c->at_ms - now_ms) / left;
        c->fd = socket(to->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        c->answer = c->o.kind == CHECK_HTTP ? http_head_new() : NULL;
        if (c->fd >= 0 && (c->o.kind != CHECK_HTTP || c->answer) &&
            (connect(c->fd, (const struct sockaddr *)&to->to, to->len) == 0 || errno == EINPROGRESS))
            return CHECK_NOTHING;
        why = errno;
    }
    return failed(c, now_ms, strerror(why));
}

/* In the resolver: the addresses, or (a byte) why there are none. They fit into a pipe. */
static _Noreturn void resolve(struct check *c, int to)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signed char why = (signed char)look_up(c, 0);
    size_t size = (size_t)c->n_addresses * sizeof c->addresses[0];
    ssize_t n = why ? write(to, &why, 1) : write(to, c->addresses, size);
    _exit(n < 0);
}

static enum check_result begin_resolving(struct check *c, int64_t now_ms)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return failed(c, now_ms, strerror(errno));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        resolve(c, fds[1]);
    }
    close(fds[1]);
    c->fd = fds[0];
    c->is_resolving = pid > 0;
    c->resolver = pid > 0 ? pid : 0;
    return pid > 0 ? CHECK_NOTHING : failed(c, now_ms, strerror(errno));
}

static enum check_result resolved(struct check *c, int64_t now_ms)
{
    ssize_t n = read(c->fd, c->addresses, sizeof c->addresses);
    int why = n == 1 ? *(const signed char *)(const void *)c->addresses : EAI_FAIL;
    c->n_addresses = n > 1 ? (int)((size_t)n / sizeof c->addresses[0]) : 0;
    c->next = 0;
    end_resolving(c);
    if (c->n_addresses > 0)
        return connect_next(c, now_ms);
    snprintf(c->why, sizeof c->why, "%.100s: %s", c->name, gai_strerror(why));
    return failed(c, now_ms, c->why);
}

static enum check_result ask(struct check *c, int64_t now_ms)
{
    c->is_asking = true;
    c->is_connected = false;
    c->at_ms = c->move_on_ms = now_ms + c->o.timeout_ms;
    if (c->o.kind == CHECK_CMD)
        return ask_command(c, now_ms);
    return look_up(c, AI_NUMERICHOST) == 0 ? connect_next(c, now_ms) : begin_resolving(c, now_ms);
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
    if (why && c->next < c->n_addresses)
        return connect_next(c, now_ms);
    if (why)
        return failed(c, now_ms, strerror(why));
    c->is_connected = true;
    c->move_on_ms = c->at_ms;
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
    if (c->resolver && pid == c->resolver) {
        c->resolver = 0;
        return true;
    }
    if (!c->command.pid || pid != c->command.pid)
        return false;
    c->has_ended = true;
    c->status = status;
    return true;
}

/* ---- the turn ---- */

struct pollfd check_poll(const struct check *c)
{
    return (struct pollfd){.fd = c->is_asking ? c->fd : -1,
                           .events = c->is_connected || c->is_resolving ? POLLIN : POLLOUT};
}

int64_t check_due(const struct check *c)
{
    return c->is_asking && c->move_on_ms < c->at_ms ? c->move_on_ms : c->at_ms;
}

enum check_result check_turn(struct check *c, int64_t now_ms)
{
    struct pollfd fd = check_poll(c);
    if (!c->is_asking)
        return now_ms >= c->at_ms ? ask(c, now_ms) : CHECK_NOTHING;
    if (c->o.kind == CHECK_CMD && c->has_ended)
        return ended(c, now_ms);
    if (fd.fd >= 0 && poll(&fd, 1, 0) > 0 && fd.revents) {
        enum check_result r = c->is_resolving   ? resolved(c, now_ms)
                              : c->is_connected ? answered(c, now_ms)
                                                : connected(c, now_ms);
        if (r != CHECK_NOTHING)
            return r;
    }
    if (now_ms >= c->move_on_ms && now_ms < c->at_ms)
        return connect_next(c, now_ms);
    return now_ms >= c->at_ms ? failed(c, now_ms, "no answer in time") : CHECK_NOTHING;
}
