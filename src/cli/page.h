/* What `tenure lock` shares with its guardian: a page of memory with the instant up to which the lock is safe and the
 * process group that may run until then, and the rule what is to be done with that group when.
 *
 *   IDLE --command made--> RUNNING --it ended by itself--> SWEEPING --> KILLED
 *                             \---------safe-until near, or lost--> ENDING --/
 *   from any: OVER (tenure ends in order: nothing is left to guard)
 *
 * Whoever sees first that the time has come acts: the guardian, or tenure itself; the other finds the phase moved on. So a
 * stop, a hang or the death of either leaves one who ends the command.
 *
 * Pure apart from the shared memory; any process. Times are milliseconds of CLOCK_BOOTTIME.
 */
#ifndef CLI_PAGE_H
#define CLI_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum page_phase {
    PAGE_IDLE,     /* no command. Next: RUNNING, OVER */
    PAGE_RUNNING,  /* the command may run. Next: SWEEPING, ENDING */
    PAGE_SWEEPING, /* its first process ended by itself, others of its group were told to end. Next: KILLED, OVER */
    PAGE_ENDING,   /* the lock is lost or about to be; the group was told to end. Next: KILLED, OVER */
    PAGE_KILLED,   /* the group was killed. Next: OVER */
    PAGE_OVER,
};

struct page {
    _Atomic int64_t safe_until_ms;    /* never later than the truth; 0 = nothing is held */
    _Atomic int64_t kill_at_ms;       /* of SWEEPING and ENDING; only ever moves to an earlier time */
    _Atomic int64_t lease;            /* to be revoked should tenure die; 0 = none */
    _Atomic int64_t lease_of_command; /* that it was started under */
    _Atomic int pgid;                 /* 0 = none */
    _Atomic int phase;
    _Atomic int guardian_pid; /* 0 = none */
    int tenure_pid;
    bool tenure_was_alone; /* it had no children (of a shell that executed it) when this began */
    int64_t grace_ms;      /* between TERM and KILL */
    int64_t lead_ms;       /* KILL comes this long before safe-until, so that the group is gone by then */
};

/* A page of the calling process, shared with those that it forks; NULL when there is no memory. */
struct page *page_new(int64_t grace_ms);
void page_free(struct page *p); /* NULL is fine */

/* min(5 s, TTL/4) */
int64_t page_grace_ms(int64_t ttl_s);

enum page_action { PAGE_NOTHING, PAGE_TERM, PAGE_KILL };
/* What is due at now, and at which time to ask again at the latest (INT64_MAX: only when the page changed). */
enum page_action page_due(const struct page *p, int64_t now_ms, int64_t *ret_next_ms);

/* Whether a command may begin with so much left until safe-until: it must be possible to end it before. */
bool page_may_run(const struct page *p, int64_t remaining_ms);
/* IDLE -> RUNNING. False: it is over. */
bool page_run(struct page *p, int pgid);
/* RUNNING -> SWEEPING, KILL at the latest at kill_at_ms. False: the ending had begun before. */
bool page_sweep(struct page *p, int64_t kill_at_ms);
/* RUNNING -> ENDING, KILL at the latest at kill_at_ms (safe-until allowing). True for the one who has to send TERM. */
bool page_end(struct page *p, int64_t kill_at_ms);
/* SWEEPING, ENDING -> KILLED. */
void page_killed(struct page *p);
/* Nothing of the command is left. */
void page_gone(struct page *p);

#endif
