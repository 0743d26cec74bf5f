/* `tenure cron`: running a job (cron_run.c), and showing what was run (cron_show.c). */
#ifndef CLI_CRON_H
#define CLI_CRON_H

#include <tenure/cron.h>

#include "cli/command.h"

struct cron_run_options {
    struct tenure_cron_options cron; /* schedule and rules; the callbacks are cron_run's */
    const char *name;
    char **argv;
    int64_t ttl_s, grace_ms;
    int64_t timeout_ms; /* < 0: without end */
    bool once;
};

/* Stays until told to end, or behind the first run; the exit code. */
int cron_run_job(const struct global_options *g, const struct cron_run_options *o);

enum { CRON_TIME_LEN = 20 };
/* "2026-11-28T02:00:00Z" */
const char *cron_time(int64_t unix_s, char out[CRON_TIME_LEN + 1]);

/* Each answers the exit code. */
int cron_show_all(const struct global_options *g);
int cron_show_runs(const struct global_options *g, const char *name);
int cron_show_next(const struct global_options *g, const char *schedule, const char *utc_offset);

#endif
