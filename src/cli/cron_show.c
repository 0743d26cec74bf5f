#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/connect.h"
#include "cli/cron.h"
#include "cli/output.h"

#define ROOT      "/cron/"
#define NAMES_MAX 10000
#define NEXT      5 /* times that are shown */

const char *cron_time(int64_t unix_s, char out[CRON_TIME_LEN + 1])
{
    time_t t = (time_t)unix_s;
    struct tm tm;
    if (unix_s <= 0 || !gmtime_r(&t, &tm) || strftime(out, CRON_TIME_LEN + 1, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        memcpy(out, "-", 2);
    return out;
}

static const char *state_of(const struct tenure_cron_entry *e)
{
    switch (e->state) {
    case TENURE_CRON_RUNNING:
        return "running";
    case TENURE_CRON_DONE:
        return e->result ? "failed" : "done";
    case TENURE_CRON_DIED:
        return "died";
    }
    return "?";
}

static json_t *entry_json(const struct tenure_cron_entry *e)
{
    char time[CRON_TIME_LEN + 1];
    json_t *o = json_object();
    output_set_bytes(o, "time", tenure_str(cron_time(e->time, time)));
    output_set_bytes(o, "state", tenure_str(state_of(e)));
    json_object_set_new(o, "attempt", json_integer(e->attempt));
    if (e->token)
        json_object_set_new(o, "token", json_integer(e->token));
    if (e->state == TENURE_CRON_DONE)
        json_object_set_new(o, "result", json_integer(e->result));
    json_object_set_new(o, "began_ms", json_integer(e->began_ms));
    json_object_set_new(o, "ended_ms", json_integer(e->ended_ms));
    output_set_bytes(o, "host", tenure_str(e->host));
    json_object_set_new(o, "pid", json_integer(e->pid));
    output_set_bytes(o, "text", tenure_str(e->text));
    return o;
}

/* "1.250s" */
static void show_took(const json_t *record, struct buf *to)
{
    int64_t began = json_integer_value(json_object_get(record, "began_ms"));
    int64_t ended = json_integer_value(json_object_get(record, "ended_ms"));
    if (began && ended >= began)
        buf_printf(to, "%" PRId64 ".%03ds", (ended - began) / 1000, (int)((ended - began) % 1000));
}

#define RUN_COLUMNS                                                                                                    \
    {.path = "time", .heading = "TIME"}, {.path = "state", .heading = "STATE"},                                        \
        {.path = "result", .heading = "RESULT", .kind = OUTPUT_NUMBER},                                                \
        {.path = "attempt", .heading = "ATTEMPT", .kind = OUTPUT_NUMBER},                                              \
        {.path = "ended_ms", .heading = "TOOK", .show = show_took}, {.path = "host", .heading = "HOST"},               \
        {.path = "pid", .heading = "PID", .kind = OUTPUT_POSITIVE}, {.path = "text", .heading = "TEXT"},               \
    {                                                                                                                  \
        0                                                                                                              \
    }

static const struct output_form runs_form = {.lists = {"runs"}, .columns = (const struct output_column[]){RUN_COLUMNS}};

static json_t *runs_json(const char *name, const struct tenure_cron_list *r)
{
    json_t *o = json_object(), *runs = json_array();
    for (size_t i = 0; i < r->n; i++)
        json_array_append_new(runs, entry_json(&r->entries[i]));
    output_set_bytes(o, "name", tenure_str(name));
    json_object_set_new(o, "revision", json_integer(r->revision));
    json_object_set_new(o, "runs", runs);
    return o;
}

int cron_show_runs(const struct global_options *g, const char *name)
{
    struct tenure_error err = {0};
    struct tenure_cron_list *r = NULL;
    tenure_client *c = connect_open("cron", g);
    if (!c)
        return EXIT_USAGE;
    int code = tenure_cron_list(c, NULL, name, &r, &err) < 0 ? connect_failed("cron", g, &err) : EXIT_OK;
    if (code == EXIT_OK)
        output_print(g, &runs_form, runs_json(name, r));
    tenure_cron_list_free(r);
    tenure_close(c);
    return code;
}

/* ---- all jobs ---- */

/* The name of the first job whose keys come behind `from`, which becomes the first key behind those of that job. Malloc'd; NULL: no
 * more, or *ret_code is not 0. */
static char *next_name(tenure_client *c, char **from, int *ret_code, struct tenure_error *err)
{
    struct tenure_get_result *r = NULL;
    struct tenure_get_options o = {.size = sizeof o, .range_end = tenure_str("/cron0"), .limit = 1, .keys_only = true};
    char *name = NULL, *next = NULL;
    *ret_code = tenure_get(c, tenure_str(*from), &o, &r, err);
    if (*ret_code < 0 || r->n_kvs == 0) {
        tenure_get_free(r);
        return NULL;
    }
    const char *key = r->kvs[0].key.data;
    size_t len = r->kvs[0].key.len - strlen(ROOT);
    const char *slash = memchr(key + strlen(ROOT), '/', len);
    name = strndup(key + strlen(ROOT), slash ? (size_t)(slash - key) - strlen(ROOT) : len);
    if (!name || asprintf(&next, slash ? ROOT "%s0" : ROOT "%s\x01", name) < 0)
        *ret_code = TENURE_ENOMEM;
    free(*from);
    *from = *ret_code == 0 ? next : NULL;
    tenure_get_free(r);
    return name;
}

static const struct output_form jobs_form = {
    .lists = {"jobs"}, .columns = (const struct output_column[]){{.path = "name", .heading = "NAME"}, RUN_COLUMNS}};

/* The last run, with the job's name. */
static int add_job(tenure_client *c, const char *name, json_t *jobs, struct tenure_error *err)
{
    struct tenure_cron_list *r = NULL;
    int rc = tenure_cron_list(c, NULL, name, &r, err);
    if (rc == 0 && r->n) {
        json_t *o = json_object(), *last = entry_json(&r->entries[0]);
        output_set_bytes(o, "name", tenure_str(name));
        json_object_update(o, last);
        json_decref(last);
        json_array_append_new(jobs, o);
    }
    tenure_cron_list_free(r);
    return rc;
}

int cron_show_all(const struct global_options *g)
{
    struct tenure_error err = {0};
    tenure_client *c = connect_open("cron", g);
    json_t *o = json_object(), *jobs = json_array();
    char *from = strdup(ROOT), *name;
    int rc = from ? 0 : TENURE_ENOMEM;
    json_object_set_new(o, "jobs", jobs);
    for (int i = 0; c && rc == 0 && i < NAMES_MAX && (name = next_name(c, &from, &rc, &err)); i++) {
        if (rc == 0)
            rc = add_job(c, name, jobs, &err);
        free(name);
    }
    int code = !c ? EXIT_USAGE : rc < 0 ? connect_failed("cron", g, &err) : EXIT_OK;
    if (code == EXIT_OK)
        output_print(g, &jobs_form, o);
    else
        json_decref(o);
    free(from);
    tenure_close(c);
    return code;
}

/* ---- the times to come ---- */

static const struct output_form times_form = {
    .lists = {"times"}, .columns = (const struct output_column[]){{.path = "time", .heading = "TIME"}, {0}}};

static int print_next(const struct global_options *g, json_t *times)
{
    if (output_is_text(g)) {
        for (size_t i = 0; i < json_array_size(times); i++)
            puts(json_string_value(json_array_get(times, i)));
        json_decref(times);
    } else {
        json_t *o = json_object();
        json_object_set_new(o, "times", times);
        output_print(g, &times_form, o);
    }
    return EXIT_OK;
}

int cron_show_next(const struct global_options *g, const char *schedule, const char *utc_offset)
{
    struct tenure_error err = {0};
    char text[CRON_TIME_LEN + 1];
    int64_t at = (int64_t)time(NULL);
    json_t *times = json_array();
    for (int i = 0; i < NEXT; i++) {
        if (tenure_cron_next(schedule, utc_offset, at, &at, &err) < 0) {
            fprintf(stderr, "tenure cron: %s\n", err.text);
            json_decref(times);
            return EXIT_LOCK_FAILED;
        }
        if (at == 0)
            break;
        json_array_append_new(times, json_string(cron_time(at, text)));
    }
    return print_next(g, times);
}
