/* `tenure lock` and `tenure elect` at work: asks for the lock, runs the command under it, or holds it until told to stop,
 * and lets it go on every way out.
 *
 *   CLAIMING --held--> HOLDING --command ended, told to stop--> SWEEPING --group gone--> RELEASING --> DONE
 *      |                  \----lost: TERM, KILL before safe-until--/                       ^
 *      \-- refused, timed out, told to stop -----------------------------------------------/
 *
 * Happy path: one loop over the library's descriptor, the signals and the guardian's socket. After each turn the instant up
 * to which the lock is safe is published for the guardian.
 *
 * Failure modes: no server, or not in time: nothing runs. The lease cannot be renewed: the group gets TERM at safe-until less
 * the grace and KILL before safe-until, from here or from the guardian, whoever gets to run. The lock is gone at once (somebody
 * revoked the lease or deleted the key): TERM at once, KILL a second later. The guardian is gone: a new one, or, when there is
 * none to be had, the command is ended. Tenure is stopped: it renews nothing, so the guardian ends the command in time.
 */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "cli/claim.h"

struct run_options {
    const char *command; /* "lock" or "elect" */
    const struct global_options *g;
    struct claim_options claim;
    int64_t grace_ms; /* between TERM and KILL */
    char **argv;      /* the command to run; NULL: print the key and hold */
};

/* Answers the exit code: the command's own, 128 + signal, or EXIT_LOCK_…. */
int run_claimed(const struct run_options *o);

#endif
