/* Whether a service is well: a connection to its port, an HTTP request to it, or a command, asked again and again.
 *
 *   WAITING --time--> ASKING --answer, or out of time--> WAITING
 *
 * Nothing blocks: its driver polls what check_poll names until check_due, and calls check_turn. One thread. */
#ifndef CLI_CHECK_H
#define CLI_CHECK_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "cli/spawn.h"

enum check_kind { CHECK_NONE, CHECK_TCP, CHECK_HTTP, CHECK_CMD };
enum check_result { CHECK_NOTHING, CHECK_PASSED, CHECK_FAILED };

struct check_options {
    enum check_kind kind;
    const char *what; /* the path of HTTP, the words of CMD for the shell */
    int64_t interval_ms, timeout_ms;
    sigset_t mask; /* that a command begins with */
};

struct http_head;
struct check {
    struct check_options o;
    struct sockaddr_storage to;
    socklen_t to_len;
    char host[280]; /* for HTTP: what the request is for */
    bool is_asking, is_connected;
    int64_t at_ms; /* WAITING: when to ask; ASKING: when its time is over; INT64_MAX = never */
    int fd;        /* -1 = none */
    struct http_head *answer;
    struct spawn command; /* pid 0 = none */
    bool has_ended;       /* the command, with this status */
    int status;
    char why[160]; /* of the last failure */
};

/* "tcp", "http:/path", "cmd:words". False for anything else. */
bool check_parse(const char *text, struct check_options *ret);
/* Borrows o's strings. Looks the address up, which may take a while. False (why says it) when there is no such one. */
bool check_init(struct check *c, const struct check_options *o, const char *address, int port, int64_t now_ms);
void check_fini(struct check *c);

/* What to poll; fd -1 when nothing is. */
struct pollfd check_poll(const struct check *c);
int64_t check_due(const struct check *c);
/* A child of this process has ended; false when it is none of the check's. */
bool check_child_ended(struct check *c, pid_t pid, int status);
enum check_result check_turn(struct check *c, int64_t now_ms);

#endif
