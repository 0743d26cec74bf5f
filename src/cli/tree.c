#include "cli/tree.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/proc.h"

#define PROCESSES_MAX 65536

struct snapshot {
    struct proc *all; /* owned */
    bool *is_below;   /* owned */
    size_t n, room;
};

static bool grow(struct snapshot *s)
{
    size_t room = s->room ? s->room * 2 : 256;
    struct proc *all = room <= PROCESSES_MAX ? realloc(s->all, room * sizeof *all) : NULL;
    if (!all)
        return false;
    s->all = all;
    s->room = room;
    return true;
}

static bool add(const struct proc *p, void *user)
{
    struct snapshot *s = user;
    if (s->n == s->room && !grow(s))
        return false; /* what was seen so far has to do */
    s->all[s->n++] = *p;
    return true;
}

static bool parent_is_below(const struct snapshot *s, pid_t ppid)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->all[i].pid == ppid)
            return s->is_below[i];
    return false;
}

/* Those whose parents are gone are known by their environment. */
static void mark_by_lease(struct snapshot *s, pid_t except, int64_t lease)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->all[i].pid != except && s->all[i].runs)
            s->is_below[i] = proc_runs_under(s->all[i].pid, lease);
}

/* One generation a pass; a pass that finds nobody is the last. */
static void mark(struct snapshot *s, pid_t root, pid_t except)
{
    for (bool found = true; found;) {
        found = false;
        for (size_t i = 0; i < s->n; i++) {
            const struct proc *p = &s->all[i];
            if (s->is_below[i] || p->pid == except || p->pid == root ||
                ((root <= 1 || p->ppid != root) && !parent_is_below(s, p->ppid)))
                continue;
            s->is_below[i] = found = true;
        }
    }
}

static void keep(struct tree *t, pid_t pid)
{
    for (int i = 0; i < t->n; i++)
        if (t->members[i].pid == pid)
            return;
    int fd = t->n < TREE_MAX ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (fd < 0)
        return;
    t->members[t->n].pid = pid;
    t->members[t->n++].fd = fd;
}

void tree_collect(struct tree *t, pid_t root, pid_t except, pid_t group, int64_t lease)
{
    struct snapshot s = {0};
    if ((root > 1 || lease) && proc_each(add, &s) && s.n && (s.is_below = calloc(s.n, sizeof *s.is_below))) {
        if (lease)
            mark_by_lease(&s, except, lease);
        mark(&s, root, except);
        for (size_t i = 0; i < s.n; i++)
            if (s.is_below[i] && s.all[i].runs && s.all[i].pgrp != group)
                keep(t, s.all[i].pid);
    }
    free(s.all);
    free(s.is_below);
}

static void send_signal(int fd, int signal)
{
    syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0);
}

void tree_signal(const struct tree *t, int signal)
{
    for (int i = 0; i < t->n; i++) {
        send_signal(t->members[i].fd, signal);
        if (signal == SIGTERM)
            send_signal(t->members[i].fd, SIGCONT);
    }
}

void tree_clear(struct tree *t)
{
    for (int i = 0; i < t->n; i++)
        close(t->members[i].fd);
    t->n = 0;
}
