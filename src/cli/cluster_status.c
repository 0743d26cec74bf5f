/* tenure cluster status: every member of the cluster, whichever of them are named, what its loss would mean, and what will not do for
 * ever: disks, clocks, certificates, faults of versions. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cluster.h"
#include "cli/cluster_survey.h"
#include "cli/connect.h"
#include "cli/health.h"
#include "cli/output.h"

#define BEHIND_MAX 1000 /* entries of the log */
#define DAY_S      86400

struct report {
    struct cluster_survey survey;
    struct health_server *servers; /* one for each row */
    json_t *warnings;
    bool is_bad;
};

/* ---- what was found ---- */

static void found(void *user, enum doctor_level level, const char *about, const char *advice, const char *text)
{
    struct report *r = user;
    if (level == DOCTOR_OK)
        return;
    r->is_bad = r->is_bad || level == DOCTOR_BAD;
    json_t *o = json_pack("{s:s,s:s,s:s}", "level", level == DOCTOR_BAD ? "bad" : "warn", "about", about, "text", text);
    if (advice)
        json_object_set_new(o, "advice", json_string(advice));
    json_array_append_new(r->warnings, o);
}

static const char *title(const struct cluster_row *row)
{
    return row->member->name[0] ? row->member->name : row->has_endpoint ? row->member->client_urls[0] : "a new member";
}

/* Of an upgrade that was left half way, or one who was forgotten. */
static void compare_versions(struct report *r)
{
    const struct cluster_row *low = NULL, *high = NULL;
    char text[256];
    for (size_t i = 0; i < r->survey.list->n; i++) {
        const struct cluster_row *row = &r->survey.rows[i];
        if (!row->status)
            continue;
        if (!low || health_version_compare(row->status->version, low->status->version) < 0)
            low = row;
        if (!high || health_version_compare(row->status->version, high->status->version) > 0)
            high = row;
    }
    if (!low || health_version_compare(low->status->version, high->status->version) == 0)
        return;
    snprintf(text, sizeof text, "%.64s runs %.32s, %.64s runs %.32s", title(low), low->status->version, title(high),
             high->status->version);
    found(r, DOCTOR_WARN, "versions", "finish the upgrade: tenure cluster upgrade", text);
}

/* Once for all members of a version: "m1, m2 run 3.4.23: ..." */
static void tell_faults(struct report *r)
{
    const struct health_fault *f;
    for (size_t i = 0, at = 0; i < r->survey.list->n; i++, at = 0) {
        const struct health_server *h = &r->servers[i];
        struct buf names;
        char advice[64], text[512];
        size_t before = 0, n = 0;
        while (before < i &&
               (!r->servers[before].version || !h->version || strcmp(r->servers[before].version, h->version) != 0))
            before++;
        if (!h->version || before < i)
            continue;
        buf_init(&names);
        for (size_t k = i; k < r->survey.list->n; k++)
            if (r->servers[k].version && strcmp(r->servers[k].version, h->version) == 0)
                buf_printf(&names, "%s%s", n++ ? ", " : "", r->servers[k].name);
        while ((f = health_fault_next(h->version, h->in_cluster, &at))) {
            snprintf(advice, sizeof advice, "upgrade to %s or later", f->fixed);
            snprintf(text, sizeof text, "of %.*s: %s", names.len < 256 ? (int)names.len : 256, (const char *)names.data,
                     f->what);
            char about[64];
            snprintf(about, sizeof about, "etcd %.32s", h->version);
            found(r, DOCTOR_WARN, about, advice, text);
        }
        buf_fini(&names);
    }
}

static void compare_logs(struct report *r)
{
    for (size_t i = 0; i < r->survey.list->n; i++) {
        const struct cluster_row *row = &r->survey.rows[i];
        char text[64];
        uint64_t behind = row->status ? r->survey.newest - row->status->raft_index : 0;
        snprintf(text, sizeof text, "%" PRIu64 " entries behind", behind);
        if (behind > BEHIND_MAX)
            found(r, DOCTOR_WARN, title(row), "look at its disk and its network", text);
    }
}

static bool look(struct report *r, const struct global_options *g, bool quick)
{
    size_t n = r->survey.list->n;
    r->servers = calloc(n ? n : 1, sizeof *r->servers);
    if (!r->servers)
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct cluster_row *row = &r->survey.rows[i];
        r->servers[i] = (struct health_server){.fsync_ms = -1, .commit_ms = -1};
        if (row->status) /* the others would only cost time */
            r->servers[i] = (struct health_server){.fsync_ms = -1,
                                                   .commit_ms = -1,
                                                   .name = title(row),
                                                   .endpoint = row->member->client_urls[0],
                                                   .version = row->status->version,
                                                   .in_cluster = n > 1};
    }
    if (!quick) {
        health_ask(r->servers, n, g, true);
        health_tell(r->servers, n, found, r);
    }
    tell_faults(r);
    compare_versions(r);
    compare_logs(r);
    return true;
}

/* ---- printing ---- */

static double rounded(double ms)
{
    return (double)(int64_t)(ms * 10 + (ms < 0 ? -0.5 : 0.5)) / 10;
}

static void health_json(const struct health_server *h, json_t *o)
{
    int64_t offset, error;
    if (offset_get(&h->page.clock, &offset, &error)) {
        json_object_set_new(o, "clock_offset_ms", json_real(rounded((double)offset / 1000)));
        json_object_set_new(o, "clock_error_ms", json_real(rounded((double)error / 1000)));
    }
    if (h->fsync_ms >= 0) {
        json_object_set_new(o, "fsync_p99_ms", json_real(rounded(h->fsync_ms)));
        json_object_set_new(o, "fsyncs", json_integer((json_int_t)h->fsyncs));
    }
    if (h->commit_ms >= 0) {
        json_object_set_new(o, "commit_p99_ms", json_real(rounded(h->commit_ms)));
        json_object_set_new(o, "commits", json_integer((json_int_t)h->commits));
    }
    if (h->page.why.text[0])
        json_object_set_new(o, "pages_error", json_string(h->page.why.text));
    if (h->has_certificate)
        json_object_set_new(o, "certificate_days", json_integer(h->certificate_s / DAY_S - (h->certificate_s < 0)));
    else if (h->certificate_why.text[0])
        json_object_set_new(o, "certificate_error", json_string(h->certificate_why.text));
    json_t *faults = json_array();
    const struct health_fault *f;
    for (size_t at = 0; (f = health_fault_next(h->version, h->in_cluster, &at));)
        json_array_append_new(faults, json_pack("{s:s,s:s}", "fault", f->what, "fixed", f->fixed));
    if (json_array_size(faults))
        json_object_set(o, "faults", faults);
    json_decref(faults);
}

static json_t *row_json(const struct cluster_survey *s, const struct cluster_row *r, const struct health_server *h)
{
    char id[32];
    json_t *o = json_object();
    snprintf(id, sizeof id, "%" PRIx64, r->member->id);
    json_object_set_new(o, "member", json_string(id));
    json_object_set_new(o, "name", json_string(r->member->name));
    if (r->has_endpoint)
        json_object_set_new(o, "endpoint", json_string(r->member->client_urls[0]));
    json_object_set_new(o, "role", json_string(cluster_role(s, r)));
    if (!r->status) {
        json_object_set_new(o, "error", json_string(r->why.text));
        return o;
    }
    json_object_set_new(o, "version", json_string(r->status->version));
    json_object_set_new(o, "revision", json_integer(r->status->revision));
    json_object_set_new(o, "term", json_integer((json_int_t)r->status->raft_term));
    json_object_set_new(o, "index", json_integer((json_int_t)r->status->raft_index));
    json_object_set_new(o, "behind", json_integer((json_int_t)(s->newest - r->status->raft_index)));
    json_object_set_new(o, "db_size", json_integer(r->status->db_size));
    json_object_set_new(o, "db_size_in_use", json_integer(r->status->db_size_in_use));
    json_object_set_new(o, "answered_ms", json_integer(r->took_ms));
    json_t *alarms = json_array();
    for (size_t i = 0; i < r->status->n_errors; i++)
        json_array_append_new(alarms, json_string(r->status->errors[i]));
    if (r->status->n_errors)
        json_object_set(o, "alarms", alarms);
    json_decref(alarms);
    health_json(h, o);
    return o;
}

static void print_sum(const struct cluster_survey *s)
{
    size_t needed = s->voters / 2 + 1;
    if (cluster_survey_has_quorum(s))
        printf("%zu of %zu voters answer; %zu more may be lost\n", s->voters_up, s->voters, s->voters_up - needed);
    else
        printf("%zu of %zu voters answer%s: no quorum, nothing is written; bring %zu back\n", s->voters_up, s->voters,
               s->leader ? "" : " and none knows a leader", s->voters_up < needed ? needed - s->voters_up : 0);
}

static void print_warnings(const json_t *warnings)
{
    size_t i;
    json_t *o;
    json_array_foreach(warnings, i, o)
    {
        const char *advice = json_string_value(json_object_get(o, "advice"));
        printf("%-4s  %s: %s\n", json_string_value(json_object_get(o, "level")),
               json_string_value(json_object_get(o, "about")), json_string_value(json_object_get(o, "text")));
        if (advice)
            printf("      try: %s\n", advice);
    }
}

/* "+0.03 s ± 0.04" */
static void show_clock(const json_t *record, struct buf *to)
{
    const json_t *offset = json_object_get(record, "clock_offset_ms"),
                 *error = json_object_get(record, "clock_error_ms");
    if (offset)
        buf_printf(to, "%+.2f s ± %.2f", json_real_value(offset) / 1000, json_real_value(error) / 1000);
    else if (json_object_get(record, "pages_error"))
        buf_printf(to, "unknown");
}

static const struct output_column columns[] = {
    {.path = "name", .heading = "NAME"},
    {.path = "member", .heading = "MEMBER"},
    {.path = "role", .heading = "ROLE"},
    {.path = "endpoint", .heading = "ENDPOINT"},
    {.path = "version", .heading = "VERSION"},
    {.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER},
    {.path = "behind", .heading = "BEHIND", .kind = OUTPUT_NUMBER},
    {.path = "db_size", .heading = "SIZE", .kind = OUTPUT_SIZE},
    {.path = "db_size_in_use", .heading = "IN USE", .kind = OUTPUT_SIZE},
    {.path = "answered_ms", .heading = "MS", .kind = OUTPUT_NUMBER},
    {.path = "fsync_p99_ms", .heading = "FSYNC MS", .kind = OUTPUT_NUMBER, .optional = true},
    {.path = "commit_p99_ms", .heading = "COMMIT MS", .kind = OUTPUT_NUMBER, .optional = true},
    {.path = "clock_offset_ms", .heading = "CLOCK", .optional = true, .show = show_clock},
    {.path = "certificate_days", .heading = "CERT DAYS", .kind = OUTPUT_NUMBER, .optional = true},
    {.path = "alarms", .heading = "ALARMS", .optional = true},
    {.path = "error", .heading = "ERROR", .optional = true},
    {0},
};
static const struct output_form form = {.lists = {"members"}, .columns = columns};

static void print(struct report *r, const struct global_options *g, bool is_well)
{
    const struct cluster_survey *s = &r->survey;
    struct health_spread spread;
    char id[32];
    json_t *o = json_object(), *list = json_array();
    snprintf(id, sizeof id, "%" PRIx64, s->list->cluster_id);
    for (size_t i = 0; i < s->list->n; i++)
        json_array_append_new(list, row_json(s, &s->rows[i], &r->servers[i]));
    json_object_set_new(o, "cluster", json_string(id));
    json_object_set_new(o, "well", json_boolean(is_well));
    json_object_set_new(o, "quorum", json_boolean(cluster_survey_has_quorum(s)));
    json_object_set_new(o, "voters", json_integer((json_int_t)s->voters));
    json_object_set_new(o, "voters_up", json_integer((json_int_t)s->voters_up));
    if (health_spread(r->servers, s->list->n, &spread)) {
        json_object_set_new(o, "clocks_apart_ms", json_real(rounded((double)spread.apart_us / 1000)));
        json_object_set_new(o, "clocks_error_ms", json_real(rounded((double)spread.error_us / 1000)));
    }
    json_object_set_new(o, "members", list);
    json_object_set(o, "warnings", r->warnings);
    output_print(g, &form, o);
    if (output_is_text(g)) {
        print_sum(s);
        print_warnings(r->warnings);
    }
}

int cluster_status(const struct global_options *g, const struct cluster_options *options)
{
    struct report r = {.warnings = json_array()};
    const struct cluster_survey *s = &r.survey;
    int code = EXIT_OK;
    tenure_client *c = connect_open("cluster", g);
    if (c && cluster_survey(&r.survey, c, g, &code)) {
        if (look(&r, g, options->quick)) {
            bool is_well = cluster_survey_has_quorum(s) && !s->has_alarm && s->voters_up == s->voters && !r.is_bad &&
                           (!options->strict || json_array_size(r.warnings) == 0);
            code = is_well ? EXIT_OK : EXIT_FAILED;
            print(&r, g, is_well);
            health_free(r.servers, s->list->n);
        } else {
            code = EXIT_FAILED;
        }
    }
    if (!c)
        code = connect_code();
    free(r.servers);
    cluster_survey_free(&r.survey);
    json_decref(r.warnings);
    tenure_close(c);
    return code;
}
