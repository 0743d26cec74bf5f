/* One command under something that may be lost (a lock, a run of a schedule, an item of a queue), with all that it takes to have
 * it ended in time: the page, the guardian, the process group.
 *
 *   open --make--> made --let_go--> running --JOB_ENDED--> sweeping what is left of its group --is_gone, swept--> close
 *                                      \---lost, or safe-until is near: TERM, KILL---/
 *
 * A guardian is there from open to close, also while there is no command: what was being waited for is given back when tenure
 * is killed. One command a job; it is opened anew for the next one. One thread.
 */
#ifndef CLI_JOB_H
#define CLI_JOB_H

#include "cli/command.h"
#include "cli/enforce.h"
#include "cli/guardian.h"
#include "cli/spawn.h"

struct job_options {
    const char *who, *name; /* begin its messages: "tenure lock", "backup" */
    const struct global_options *g;
    int64_t grace_ms; /* between TERM and KILL */
};

struct job {
    const struct job_options *o;
    struct page *page; /* NULL: not open */
    struct enforcer enforcer;
    struct guardian guardian;
    int n_guardians;
    struct spawn ready; /* forked ahead of the time, not the command yet; pid 0: none */
    struct spawn child;
    const char *command; /* its first word */
    int status;          /* of its first process, once that ended */
    int code;            /* what that comes to: its exit code, 128 + signal, EXIT_LOCK_LOST when it was told to end */
    bool was_ended;      /* not by itself */
    bool told_ending;
    bool has_failed; /* no guardian is to be had */
};

/* False after having said why; then close it all the same. Borrows o. No process of this program's may be a child that is not
 * looked after here: all are collected. */
bool job_open(struct job *j, const struct job_options *o);
/* Tells the guardian to go, and does not wait for it: nothing is left to guard, and job_close is to follow. */
void job_dismiss(struct job *j);
/* Lets the guardian go and collects it. Of a zeroed one as well. */
void job_close(struct job *j);

/* The lease to be revoked should tenure die, and until when it is safe (<= 0: not known to be). Nothing when it is not open. */
void job_publish(struct job *j, int64_t lease, int64_t safe_until_ms);
/* Which descriptor to wait on for its sake, -1 = none. */
int job_fd(const struct job *j);
/* When it is readable, or at any time. False: the guardian is gone and there is no other to be had, said once; then the command
 * has been told to end. */
bool job_watch_guardian(struct job *j);
/* What is due by the clock; answers when to call again at the latest (INT64_MAX: when something changed). */
int64_t job_enforce(struct job *j, int64_t now_ms);

/* The process that is to become the command, forked while there is nothing else to do; its how is that of job_make, but for the
 * variables. Nothing when it is there already, or cannot be had: job_make does without. */
void job_make_ready(struct job *j, char **argv, const struct spawn_how *how);
void job_drop_ready(struct job *j); /* it shall not be; nothing when there is none */
/* Makes the command; it does not run yet. See spawn.h; TENURE_LEASE and TENURE_LEASES come to its variables, at most
 * JOB_VARIABLES_MAX then. False: errno says why. */
enum { JOB_VARIABLES_MAX = 15 };
bool job_make(struct job *j, char **argv, const struct spawn_how *how, int64_t lease);
/* It runs, or, when so little is left that it could not be ended in time, it never does: then it ends as one that was told to. */
void job_let_go(struct job *j, int64_t remaining_ms);
/* What it runs under is lost: TERM now, KILL soon. */
void job_lost(struct job *j);
/* Says once that it is told to end, and why, when it is. */
void job_tell_ending(struct job *j, const char *why);

enum job_news { JOB_NOTHING, JOB_STOPPED, JOB_ENDED };
/* The next that happened to the command, while it is awaited; collects all that ended, also what its processes left behind: tenure
 * is their reaper. JOB_STOPPED: by *ret_signal. JOB_ENDED: its first process; its code
 * stands, and what is left of its group has been told to end. */
enum job_news job_look(struct job *j, bool awaited, int *ret_signal);
/* After JOB_ENDED: whether nothing of its group is left. Then call job_swept. */
bool job_is_gone(const struct job *j);
void job_swept(struct job *j);

#endif
