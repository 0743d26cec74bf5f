/* tenure cluster status: every member of the cluster, whichever of them are named, and what its loss would mean. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/cluster.h"
#include "cli/cluster_survey.h"
#include "cli/connect.h"
#include "cli/output.h"

/* ---- printing ---- */

static json_t *row_json(const struct cluster_survey *s, const struct cluster_row *r)
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
    {.path = "alarms", .heading = "ALARMS", .optional = true},
    {.path = "error", .heading = "ERROR", .optional = true},
    {0},
};
static const struct output_form form = {.lists = {"members"}, .columns = columns};

static void print(const struct cluster_survey *s, const struct global_options *g)
{
    char id[32];
    json_t *o = json_object(), *list = json_array();
    snprintf(id, sizeof id, "%" PRIx64, s->list->cluster_id);
    for (size_t i = 0; i < s->list->n; i++)
        json_array_append_new(list, row_json(s, &s->rows[i]));
    json_object_set_new(o, "cluster", json_string(id));
    json_object_set_new(o, "quorum", json_boolean(cluster_survey_has_quorum(s)));
    json_object_set_new(o, "voters", json_integer((json_int_t)s->voters));
    json_object_set_new(o, "voters_up", json_integer((json_int_t)s->voters_up));
    json_object_set_new(o, "members", list);
    output_print(g, &form, o);
    if (output_is_text(g))
        print_sum(s);
}

int cluster_status(const struct global_options *g)
{
    struct cluster_survey s;
    int code = EXIT_OK;
    tenure_client *c = connect_open("cluster", g);
    if (!c)
        return connect_code();
    if (cluster_survey(&s, c, g, &code)) {
        print(&s, g);
        code = cluster_survey_has_quorum(&s) && !s.has_alarm && s.voters_up == s.voters ? EXIT_OK : EXIT_FAILED;
    }
    cluster_survey_free(&s);
    tenure_close(c);
    return code;
}
