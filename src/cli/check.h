/* Whether a service is well: a connection to its port, an HTTP request to it, or a command, asked again and again.
 *
 *   WAITING --time--> ASKING --answer, or out of time--> WAITING
 *
 * A host's name is looked up each time, and its addresses are tried one after the other until one takes the connection, each for its
 * share of the time that is left. Nothing blocks, a name's server least of all: it is asked by a process of its own. A command's standard
 * output is this program's standard error; what it leaves in its group is killed.
 *
 * Its driver polls what check_poll names until check_due, and calls check_turn. One thread. */
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

enum { CHECK_ADDRESSES_MAX = 8 };

struct check_address {
    struct sockaddr_storage to;
    socklen_t len;
};

struct http_head;
struct check {
    struct check_options o;
    char name[256]; /* of the host, or its address, without brackets */
    int port;
    struct check_address addresses[CHECK_ADDRESSES_MAX];
    int n_addresses, next; /* the one to be tried next */
    char host[280];        /* for HTTP: what the request is for */
    bool is_asking, is_connected;
    int64_t at_ms;      /* WAITING: when to ask; ASKING: when its time is over; INT64_MAX = never */
    int64_t move_on_ms; /* ASKING: when the next address is tried */
    int fd;             /* of the connection, or what the name's addresses come from; -1 = none */
    bool is_resolving;  /* fd is of the resolver */
    pid_t resolver;     /* that looks the name up; 0 = none, or it has ended */
    struct http_head *answer;
    struct spawn command; /* pid 0 = none */
    bool has_ended;       /* the command, with this status */
    int status;
    char why[160]; /* of the last failure */
};

/* "tcp", "http:/path", "cmd:words". False for anything else. */
bool check_parse(const char *text, struct check_options *ret);
/* Borrows o's strings. address: a name, or an address, with or without brackets. */
void check_init(struct check *c, const struct check_options *o, const char *address, int port, int64_t now_ms);
void check_fini(struct check *c);

/* What to poll; fd -1 when nothing is. */
struct pollfd check_poll(const struct check *c);
int64_t check_due(const struct check *c);
/* A child of this process has ended; false when it is none of the check's. */
bool check_child_ended(struct check *c, pid_t pid, int status);
enum check_result check_turn(struct check *c, int64_t now_ms);

#endif
