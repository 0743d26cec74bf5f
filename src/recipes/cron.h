/* A job that runs once per period over all machines. Nobody is elected: whoever's clock says first that a period is due
 * claims it, by one transaction that only one can win, because a period is named by its time.
 *
 *     <path>/at/<time>    the period: {"state":"claimed" or "done","attempt":N,…}, for good; the newest `history` are kept
 *     <path>/run/<time>   its run, on the runner's lease; its create_revision is the token
 *
 * A claim wants that there is no period of this or a later time, and, unless runs may overlap, that no run is under way. So
 * clocks that differ shift when a period runs, never how often; and what a clock far ahead claimed is not run again by those
 * behind it. A run key that went while its period is not done belonged to somebody who died: with `again` the newest period is
 * claimed once more, with a higher attempt (at least once); else it stays as it is (at most once).
 *
 * Pure: an object on a session, which its owner attaches, and again after a loss (as a presence). The owner brings the wall
 * clock with each tick. Claims are commits that are settled. Thread: the client's. Callbacks come last.
 */
#ifndef RECIPES_CRON_H
#define RECIPES_CRON_H

#include "recipes/commit.h"
#include "recipes/schedule.h"

struct cron;

struct cron_options {
    struct schedule schedule;
    int64_t late_ms; /* what begins later than this behind its time was missed */
    bool run_missed; /* the newest that was missed is run, once; else it is skipped */
    bool again;
    bool overlap;
    int64_t history;                          /* periods kept, at least 1 */
    bool broken_unguarded, broken_lost_claim; /* tests only: claims without guards; leaves one in doubt where it is */
    bytes who;                                /* JSON members that say who runs: "\"host\":\"a\"" */
};

struct cron_run {
    int64_t time; /* of the period, Unix seconds */
    int64_t token;
    int64_t attempt; /* from 1 on */
    bool late;       /* it had been missed */
};

struct cron_callbacks {
    /* It was claimed: run it, and say so by cron_done. */
    void (*on_run)(void *user, const struct cron_run *run);
    /* The session was lost while it ran, or its run key: somebody else may run it now. */
    void (*on_lost)(void *user, const struct cron_run *run, const struct tenure_error *why);
    void (*on_adrift)(void *user, const struct tenure_error *why); /* attach another session */
    void (*on_end)(void *user, int code,
                   const struct tenure_error *why); /* stopped (0), denied, no memory: the last call */
};

/* Copies path and who. TENURE_ENOMEM, TENURE_ELIMIT. */
int cron_start(struct client *c, bytes path, const struct cron_options *opt, const struct cron_callbacks *cb,
               void *user, tn_ms now, int64_t wall_ms, struct cron **ret, struct tenure_error *err) MUST_USE;
int cron_attach(struct cron *k, struct session *s, struct marks *m, tn_ms now) MUST_USE;
/* The run has ended: result is JSON members, "\"code\":0". Written until it stands or the
 * session ends. Nothing when it was lost. TENURE_ENOMEM: it still runs. */
int cron_done(struct cron *k, bytes result, tn_ms now) MUST_USE;
/* The run that was told, or is not told yet, was not begun and will not be: its period is free again for others, as if it had
 * never been claimed. Nothing when none is under way. */
void cron_give_back(struct cron *k, tn_ms now);
/* No new runs; a claim under way is given back. true: it has ended; else on_end follows, when that is settled, and a run was done or lost. */
bool cron_stop(struct cron *k, tn_ms now);
struct cron *cron_free(struct cron *k);

tn_ms cron_deadline(const struct cron *k);
void cron_tick(struct cron *k, tn_ms now, int64_t wall_ms);
bool cron_running(const struct cron *k, tn_ms now);       /* a run of ours, on a session that is valid */
bool cron_awaits_done(const struct cron *k);              /* a run of ours, valid or not */
int64_t cron_next(const struct cron *k, int64_t wall_ms); /* the next time, Unix seconds; 0 = none */

/* What a period's value says; false when it is none. */
struct cron_record {
    bool done;
    int64_t attempt;
};
bool cron_read(bytes value, struct cron_record *ret);

#endif
