/* Signals to a group, and the question whether it is gone. The kernel's answer (ESRCH) settles it nearly always; it counts
 * dead processes that a parent has not collected (a stopped tenure, an init that collects nothing), so then /proc is read. */
#include "cli/group.h"

#include <errno.h>
#include <signal.h>

#include "cli/proc.h"

void group_signal(pid_t pgid, int signal)
{
    if (pgid <= 1)
        return;
    kill(-pgid, signal);
    if (signal == SIGTERM)
        kill(-pgid, SIGCONT);
}

struct search {
    pid_t pgid;
    bool found;
};

static bool look(const struct proc *p, void *user)
{
    struct search *s = user;
    s->found = p->pgrp == s->pgid && p->runs;
    return !s->found;
}

bool group_alive(pid_t pgid)
{
    struct search s = {.pgid = pgid};
    if (pgid <= 1 || (kill(-pgid, 0) < 0 && errno == ESRCH))
        return false;
    return !proc_each(look, &s) || s.found; /* in doubt it lives */
}
