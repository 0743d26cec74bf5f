/* A scheduler: a job that runs once per period over all machines that ask for it. Nobody leads: whoever's clock says first that
 * a period is due claims it, and a period is named by its time, so only one can.
 *
 * Keys: `/cron/<name>/at/<time>` for each period, with who ran it, when, and its result; `/cron/<name>/run/<time>` on the runner's
 * lease while it runs. Clocks that differ shift when a period runs, never how often; when one is far ahead, what it claimed is
 * not run again by those behind it.
 *
 * A schedule is "@every 90s" (s, m, h, d), "@hourly", "@daily", "@weekly", "@monthly", "@yearly", or five fields as in crontab:
 * "minute hour day month weekday".
 */
#ifndef TENURE_CRON_H
#define TENURE_CRON_H

#include <tenure/kv.h>
#include <tenure/lock.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

typedef struct tenure_cron tenure_cron;

struct tenure_cron_run {
    int64_t time;       /* of the period, Unix seconds */
    tenure_token token; /* grows from run to run */
    int64_t attempt;    /* from 1 on; more: an earlier runner died */
    bool late;          /* it had been missed, or is run again */
};

enum tenure_cron_missed {
    TENURE_CRON_SKIP = 0,    /* what could not begin in time is not run */
    TENURE_CRON_RUN_ONCE = 1 /* the newest of what was missed is run, late */
};

struct tenure_cron_options {
    size_t size;
    const char *prefix;     /* NULL = "/cron/" */
    const char *schedule;   /* the same for all who run this job */
    const char *utc_offset; /* of the five fields: "UTC" (NULL) or like "+02:00" */
    int64_t ttl_s;          /* 0 = on the handle's shared session; else on one of its own with this TTL */
    enum tenure_cron_missed missed;
    int64_t late_ms;   /* a period that begins later than this behind its time was missed; 0 = 60,000 */
    bool at_most_once; /* a period whose runner died is not run again; else it is, while no later one has begun */
    bool overlap;      /* a run may begin while another one is under way */
    int64_t history;   /* periods whose results are kept; 0 = 10 */
    const char *marks; /* prefix of the marks (see stm.h) */
    int64_t for_ms;    /* tenure_cron_run: how long; 0 = without end */
    /* The rest for tenure_cron_start; on the loop's thread. This process is to run it now, and to say tenure_cron_done. */
    void (*on_run)(tenure_cron *k, const struct tenure_cron_run *run, void *user);
    /* The session was lost while it ran (at safe-until, network or not), or its key was deleted: stop, others may run it now. */
    void (*on_lost)(tenure_cron *k, const struct tenure_cron_run *run, const struct tenure_error *why, void *user);
    /* The last callback: 0 = stopped, else why it ended by itself (denied, closed, no memory). */
    void (*on_end)(tenure_cron *k, int code, const struct tenure_error *err, void *user);
    void *user;
};

/* Runs job on the caller's thread, once for each period that this process wins, until job answers TENURE_ECANCELLED (that run counts
 * as done), or for_ms is over: 0. job's value is the run's result; it may ask tenure_cron_held. TENURE_EINVALID (the schedule,
 * named), TENURE_EDENIED, … Blocking handles, which must not be closed meanwhile. */
int tenure_cron_run(tenure_client *c, const char *name, const struct tenure_cron_options *o,
                    int (*job)(tenure_cron *k, const struct tenure_cron_run *run, void *arg), void *arg,
                    struct tenure_error *err);

/* Any handle; on_run is wanted. NULL on failure. Free it by tenure_cron_stop. */
tenure_cron *tenure_cron_start(tenure_client *c, const char *name, const struct tenure_cron_options *o,
                               struct tenure_error *err);
/* The run of that token has ended, with this result; text (UTF-8, may be NULL) is kept with it. TENURE_ENOTHELD: it is not under way,
 * or was lost. On a blocking handle: any thread. */
int tenure_cron_done(tenure_cron *k, tenure_token token, int result, const char *text, struct tenure_error *err);
/* True only while the run of that token is this process's alone. No I/O; any thread. */
bool tenure_cron_held(const tenure_cron *k, tenure_token token);
/* For how long that is so for sure, in milliseconds, unless the lease is renewed; <= 0: it is not so. No I/O; any thread. */
int64_t tenure_cron_remaining_ms(const tenure_cron *k, tenure_token token);
/* The lease under what this process runs; 0 while there is none. When it is revoked, the run is lost. No I/O; any thread. */
int64_t tenure_cron_lease(const tenure_cron *k);
/* No more runs; on_end follows unless it came before, and k is freed. Where a run is under way that is when tenure_cron_done was called
 * or the run was lost. On a blocking handle, from another thread than the loop's, waits for it, at most the call timeout. NULL
 * is fine. */
void tenure_cron_stop(tenure_cron *k);

enum tenure_cron_state {
    TENURE_CRON_RUNNING = 1,
    TENURE_CRON_DONE = 2,
    TENURE_CRON_DIED = 3 /* claimed, not done, and nobody runs it */
};
struct tenure_cron_entry {
    int64_t time; /* of the period, Unix seconds */
    enum tenure_cron_state state;
    tenure_token token; /* 0 where it died */
    int64_t attempt;
    int64_t began_ms, ended_ms; /* Unix time in milliseconds, of the runner's clock; 0 = not yet */
    int64_t result;
    const char *host, *text; /* "" where nothing is said */
    int64_t pid;
};
struct tenure_cron_list {
    int64_t revision;
    size_t n;
    const struct tenure_cron_entry *entries; /* the newest first */
};
/* What has been run, and what runs. prefix NULL = "/cron/". Blocking handles. */
int tenure_cron_list(tenure_client *c, const char *prefix, const char *name, struct tenure_cron_list **ret,
                     struct tenure_error *err);
void tenure_cron_list_free(struct tenure_cron_list *r);

/* The first time after `after` (Unix seconds) that the schedule means; TENURE_EINVALID says why it cannot be read. Pure. */
int tenure_cron_next(const char *schedule, const char *utc_offset, int64_t after, int64_t *ret,
                     struct tenure_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
