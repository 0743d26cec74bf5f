/* `tenure cron` and `tenure queue work`: waits for work, runs the command for it under guard, says what became of it, and waits for
 * the next, until it is told to end. Where work comes from is a struct shift_type; it lives on a handle in this program's own loop.
 *
 *   WAITING --work--> WORKING --command ended--> SWEEPING --group gone--> SETTLING --+--> WAITING
 *      |                 \--lost: TERM, KILL before safe-until--/                    |
 *      \-- told to end, nothing came in time, it went wrong --> STOPPING --> OVER <--/ once, or told to end
 *
 * Told to end while a command runs: nothing new is taken, and the command goes on to its end; told again, it is told as well.
 * A lost run does not end it. One thread.
 */
#ifndef CLI_SHIFT_H
#define CLI_SHIFT_H

#include <tenure/tenure.h>

#include "cli/job.h"
#include "cli/signals.h"

struct shift_type {
    /* The first one asks the servers for something as well. shift.has_work follows, or is_over; or code and is_settled, of work that no
     * command can be run for. */
    void (*want)(void *user);
    /* No more work is wanted; is_over follows. Work that comes nevertheless is given back. */
    void (*stop)(void *user);
    /* The command has ended, with this code, and its group is gone. was_ended: it was told to, so the work is not done. is_settled
     * follows, perhaps at once. */
    void (*settle)(void *user, int code, bool was_ended);
    bool (*was_answered)(const void *user); /* a server has said something */
    int64_t (*lease)(const void *user);     /* 0 = none */
    int64_t (*remaining_ms)(void *user);    /* of the work at hand; <= 0: not known to be this program's */
};

struct shift_options {
    const struct shift_type *type;
    void *user;
    const char *command; /* "cron" */
    const char *name;    /* begins messages */
    const struct global_options *g;
    char **argv;
    int64_t grace_ms;
    int64_t timeout_ms; /* ends when no work came for so long; < 0: never */
    bool once;          /* ends behind the first */
};

struct shift {
    const struct shift_options *o;
    tenure_client *client; /* the source's, which opens and closes it */
    /* ---- what the source says, for the next turn ---- */
    bool has_work, is_lost, is_settled, is_over;
    char **argv;                      /* of the work */
    struct spawn_variable *variables; /* of the work, for its command */
    int input;                        /* its standard input; -1 = /dev/null */
    struct tenure_error why_lost;
    struct tenure_error why_over; /* code not 0: it went wrong by itself */
    /* ---- what the source may want to know ---- */
    int status; /* of the last command, as waitpid says */
    int code;   /* of the last work; its own but for the first word above */
    /* ---- its own ---- */
    int phase;
    char who[32];
    struct job_options job_options;
    struct job job;
    struct signals signals;
    bool is_ending, has_failed, was_answered;
    int64_t call_timeout_ms;
    int64_t answer_until_ms, idle_until_ms, stop_until_ms; /* BOOTTIME */
};

/* Before the handle is opened. False after having said why; then shift_end it all the same. Borrows o. */
bool shift_begin(struct shift *s, const struct shift_options *o);
/* To its end; the exit code: of the command when once, 0 when told to end, EXIT_LOCK_TIMEOUT when once and nothing came, else
 * EXIT_LOCK_FAILED, having said why. */
int shift_run(struct shift *s);
void shift_end(struct shift *s);
/* "tenure COMMAND: NAME: what: more" on standard error. more may be NULL. */
void shift_say(const struct shift *s, const char *what, const char *more);

#endif
