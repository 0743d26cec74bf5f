/* The guardian: a small process beside `tenure lock` that ends the command in time when tenure itself cannot.
 *
 * It shares the page with tenure, sleeps until the page says that something is due, and sees by the closing of a socket that
 * tenure is gone. It is in a session of its own, so neither a signal to tenure's group nor the terminal reaches it, and it
 * ignores every signal that can be ignored: it ends with tenure.
 *
 *   tenure stopped or hung   safe-until is not moved on: TERM at safe-until less the grace, KILL before safe-until
 *   tenure killed            TERM at once, KILL after the grace, and when the group is gone the lease is revoked
 *   guardian killed          tenure sees the socket close and starts another one
 *   both killed              the command's first process gets TERM from the kernel; what it started is on its own
 *
 * What the command has started and what left its group (setsid) is ended as well while tenure is alive or its parents are;
 * see enforce.h.
 */
#ifndef CLI_GUARDIAN_H
#define CLI_GUARDIAN_H

#include <sys/types.h>

#include "cli/page.h"

struct guardian {
    pid_t pid; /* 0 = none */
    int fd;    /* readable (end of file) when the guardian is gone */
};

struct guardian_options {
    const char *who; /* begins its messages: "tenure lock" */
    struct page *page;
    /* Called in the guardian when tenure died and the group is gone; must return by until_ms. */
    void (*revoke)(void *user, int64_t lease, int64_t until_ms);
    void *user;
};

/* Forks it. False (errno says why) when that fails. It keeps no descriptor of this process but standard error. */
bool guardian_start(struct guardian *g, const struct guardian_options *o);
/* The page has changed so that something may be due earlier than it knows. */
void guardian_poke(const struct guardian *g);
/* Marks the page as over and lets it go; guardian_stop collects it. */
void guardian_dismiss(struct guardian *g, struct page *p);
/* Marks the page as over, lets it go and collects it. Nothing for a zeroed or dead one. */
void guardian_stop(struct guardian *g, struct page *p);
/* After fd became readable: collects the dead process. */
void guardian_bury(struct guardian *g);

#endif
