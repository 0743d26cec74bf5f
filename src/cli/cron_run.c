/* The scheduler as a source of work for a shift. A run whose command was told to end has not been done: its lease is revoked, so
 * that others may run it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "cli/connect.h"
#include "cli/cron.h"
#include "cli/shift.h"

#define KEY_BYTES_MAX 2200

struct source {
    const struct cron_run_options *o;
    struct shift shift;
    tenure_cron *cron;
    struct tenure_cron_run run; /* at hand; token 0 = none */
    bool is_giving_up;          /* what is at hand: it is settled when it is lost */
    char token[24], attempt[24], time[CRON_TIME_LEN + 1], key[KEY_BYTES_MAX];
    struct spawn_variable variables[8];
};

/* ---- what the library says ---- */

static void on_run(tenure_cron *k, const struct tenure_cron_run *run, void *user)
{
    struct source *c = user;
    (void)k;
    c->run = *run;
    c->is_giving_up = false;
    cron_time(run->time, c->time);
    snprintf(c->token, sizeof c->token, "%" PRId64, run->token);
    snprintf(c->attempt, sizeof c->attempt, "%" PRId64, run->attempt);
    snprintf(c->key, sizeof c->key, "/cron/%s/run/%s", c->o->name, c->time);
    const struct spawn_variable variables[] = {{"TENURE_TOKEN", c->token},
                                               {"TENURE_KEY", c->key},
                                               {"TENURE_NAME", c->o->name},
                                               {"TENURE_TIME", c->time},
                                               {"TENURE_ATTEMPT", c->attempt},
                                               {"TENURE_LATE", run->late ? "1" : "0"},
                                               {NULL, NULL}};
    memcpy(c->variables, variables, sizeof variables);
    c->shift.has_work = true;
}

static void on_lost(tenure_cron *k, const struct tenure_cron_run *run, const struct tenure_error *why, void *user)
{
    struct source *c = user;
    (void)k;
    if (run->token != c->run.token)
        return;
    c->run.token = 0;
    c->shift.is_lost = true;
    c->shift.why_lost = *why;
    c->shift.is_settled = c->is_giving_up;
}

static void on_end(tenure_cron *k, int code, const struct tenure_error *err, void *user)
{
    struct source *c = user;
    (void)k;
    c->shift.is_over = true;
    c->shift.is_settled = c->shift.is_settled || c->is_giving_up; /* nobody says any more that it is lost */
    if (code && err)
        c->shift.why_over = *err;
}

/* ---- what the shift asks for ---- */

static void want(void *user)
{
    (void)user; /* it comes by itself */
}

static void stop(void *user)
{
    struct source *c = user;
    tenure_cron *k = c->cron;
    c->cron = NULL;
    tenure_cron_stop(k);
}

static void text_of(int status, int code, char *out, size_t size)
{
    if (WIFSIGNALED(status))
        snprintf(out, size, "killed by signal %d", WTERMSIG(status));
    else
        snprintf(out, size, "exit code %d", code);
}

static void settle(void *user, int code, bool was_ended)
{
    struct source *c = user;
    struct tenure_error err = {0};
    char text[64], said[128];
    int64_t token = c->run.token;
    if (token == 0 || c->shift.is_over) {
        c->shift.is_settled = true;
        return;
    }
    if (was_ended) {
        c->is_giving_up = true;
        tenure_lease_revoke_start(c->shift.client, tenure_cron_lease(c->cron), NULL, NULL, &err);
        return;
    }
    text_of(c->shift.status, code, text, sizeof text);
    snprintf(said, sizeof said, "the run of %s ended: %s", c->time, text);
    if (code || c->shift.o->g->verbose)
        shift_say(&c->shift, said, NULL);
    c->run.token = 0;
    c->shift.is_settled = true;
    if (tenure_cron_done(c->cron, token, code, text, &err) < 0)
        shift_say(&c->shift, "its end could not be written down", err.text);
}

static bool was_answered(const void *user)
{
    return tenure_cron_lease(((const struct source *)user)->cron) != 0;
}

static int64_t lease(const void *user)
{
    return tenure_cron_lease(((const struct source *)user)->cron);
}

static int64_t remaining_ms(void *user)
{
    const struct source *c = user;
    return tenure_cron_remaining_ms(c->cron, c->run.token);
}

static const struct shift_type type = {.want = want,
                                       .stop = stop,
                                       .settle = settle,
                                       .was_answered = was_answered,
                                       .lease = lease,
                                       .remaining_ms = remaining_ms};

/* ---- the whole ---- */

static bool open_source(struct source *c, const struct global_options *g)
{
    struct tenure_options options;
    struct tenure_error err = {0};
    struct tenure_cron_options o = c->o->cron;
    if (!connect_prepare("cron", g))
        return false;
    connect_options(g, &options);
    options.session_ttl_s = c->o->ttl_s;
    o.on_run = on_run;
    o.on_lost = on_lost;
    o.on_end = on_end;
    o.user = c;
    c->shift.client = tenure_open_poll(g->endpoints, &options, &err);
    if (c->shift.client)
        c->cron = tenure_cron_start(c->shift.client, c->o->name, &o, &err);
    if (c->cron)
        return true;
    connect_failed("cron", g, &err);
    return false;
}

int cron_run_job(const struct global_options *g, const struct cron_run_options *o)
{
    struct source c = {.o = o};
    const struct shift_options so = {.type = &type,
                                     .user = &c,
                                     .command = "cron",
                                     .name = o->name,
                                     .g = g,
                                     .argv = o->argv,
                                     .grace_ms = o->grace_ms,
                                     .timeout_ms = o->timeout_ms,
                                     .once = o->once};
    int code = EXIT_LOCK_FAILED;
    if (shift_begin(&c.shift, &so)) {
        c.shift.variables = c.variables;
        if (open_source(&c, g))
            code = shift_run(&c.shift);
        tenure_close(c.shift.client);
    }
    shift_end(&c.shift);
    return code;
}
