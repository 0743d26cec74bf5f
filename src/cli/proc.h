/* What /proc says of processes: state, parent, group. */
#ifndef CLI_PROC_H
#define CLI_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct proc {
    pid_t pid, ppid, pgrp;
    bool runs; /* neither dead and uncollected nor vanishing */
};

/* Calls each for every process until it answers false. False when /proc cannot be read. */
bool proc_each(bool (*each)(const struct proc *p, void *user), void *user);

/* Whether the environment that the process was executed with names the lease in PROC_LEASES. Of another user's: no. */
#define PROC_LEASES "TENURE_LEASES"
bool proc_runs_under(pid_t pid, int64_t lease);

/* Whether this process is known to have no child. One thread. */
bool proc_has_no_child(void);

#endif
