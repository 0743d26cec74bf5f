/* tenure cluster status: every member of the cluster, whichever of them are named, and what its loss would mean. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cluster.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "io/loop.h"

struct row {
    const struct tenure_member *member;
    size_t endpoint; /* of the handle over all members */
    bool has_endpoint;
    struct tenure_status *status; /* NULL: it did not answer */
    struct tenure_error why;
    int64_t took_ms;
};

struct table {
    struct tenure_member_list *list;
    struct row *rows;
    tenure_client *client;
    size_t voters, voters_up;
    uint64_t newest; /* the largest raft index seen */
    uint64_t leader; /* 0 = nobody names one */
    bool has_alarm;
};

/* The first client address of each member that has one, in the order of the rows. */
static char *addresses(const struct tenure_member_list *list)
{
    char *all = NULL;
    size_t size = 0, n = 0;
    FILE *f = open_memstream(&all, &size);
    for (size_t i = 0; f && i < list->n; i++)
        if (list->members[i].n_client_urls)
            fprintf(f, "%s%s", n++ ? "," : "", list->members[i].client_urls[0]);
    if (f && fclose(f) == 0 && n > 0)
        return all;
    free(all);
    return NULL;
}

static void ask(struct table *t, struct row *r, const struct global_options *g)
{
    int64_t begun = io_clock();
    if (!r->has_endpoint) {
        snprintf(r->why.text, sizeof r->why.text, "it was added, and never started");
        return;
    }
    if (tenure_status(t->client, r->endpoint, g->call_timeout_ms, &r->status, &r->why) < 0)
        return;
    r->took_ms = io_clock() - begun;
    t->voters_up += !r->status->is_learner;
    t->has_alarm = t->has_alarm || r->status->n_errors > 0;
    if (r->status->raft_index > t->newest)
        t->newest = r->status->raft_index;
    if (r->status->leader)
        t->leader = r->status->leader;
}

static bool fill(struct table *t, const struct global_options *g)
{
    struct tenure_options options;
    struct tenure_error err = {0};
    char *all = addresses(t->list);
    connect_options(g, &options);
    t->rows = calloc(t->list->n ? t->list->n : 1, sizeof *t->rows);
    t->client = all && t->rows ? tenure_open(all, &options, &err) : NULL;
    free(all);
    if (!t->client) {
        fprintf(stderr, "tenure cluster: the members' client addresses: %s\n",
                err.text[0] ? err.text : "there are none");
        return false;
    }
    size_t endpoint = 0;
    for (size_t i = 0; i < t->list->n; i++) {
        struct row *r = &t->rows[i];
        r->member = &t->list->members[i];
        r->has_endpoint = r->member->n_client_urls > 0;
        r->endpoint = r->has_endpoint ? endpoint++ : 0;
        t->voters += !r->member->is_learner;
        ask(t, r, g);
    }
    return true;
}

static const char *role(const struct table *t, const struct row *r)
{
    if (!r->status)
        return "down";
    if (r->status->is_learner)
        return "learner";
    if (r->status->leader == 0)
        return "no leader";
    return r->status->member_id == t->leader ? "leader" : "follower";
}

/* ---- printing ---- */

static json_t *row_json(const struct table *t, const struct row *r)
{
    char id[32];
    json_t *o = json_object();
    snprintf(id, sizeof id, "%" PRIx64, r->member->id);
    json_object_set_new(o, "member", json_string(id));
    json_object_set_new(o, "name", json_string(r->member->name));
    if (r->has_endpoint)
        json_object_set_new(o, "endpoint", json_string(r->member->client_urls[0]));
    json_object_set_new(o, "role", json_string(role(t, r)));
    if (!r->status) {
        json_object_set_new(o, "error", json_string(r->why.text));
        return o;
    }
    json_object_set_new(o, "version", json_string(r->status->version));
    json_object_set_new(o, "revision", json_integer(r->status->revision));
    json_object_set_new(o, "term", json_integer((json_int_t)r->status->raft_term));
    json_object_set_new(o, "index", json_integer((json_int_t)r->status->raft_index));
    json_object_set_new(o, "behind", json_integer((json_int_t)(t->newest - r->status->raft_index)));
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

static bool has_quorum(const struct table *t)
{
    return t->leader != 0 && t->voters_up > t->voters / 2;
}

static void print_sum(const struct table *t)
{
    size_t needed = t->voters / 2 + 1;
    if (has_quorum(t))
        printf("%zu of %zu voters answer; %zu more may be lost\n", t->voters_up, t->voters, t->voters_up - needed);
    else
        printf("%zu of %zu voters answer%s: no quorum, nothing is written; bring %zu back\n", t->voters_up, t->voters,
               t->leader ? "" : " and none knows a leader", t->voters_up < needed ? needed - t->voters_up : 0);
}

static const struct output_column columns[] = {
    {.path = "name", .heading = "NAME"},
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

static void print(const struct table *t, const struct global_options *g)
{
    char id[32];
    json_t *o = json_object(), *list = json_array();
    snprintf(id, sizeof id, "%" PRIx64, t->list->cluster_id);
    for (size_t i = 0; i < t->list->n; i++)
        json_array_append_new(list, row_json(t, &t->rows[i]));
    json_object_set_new(o, "cluster", json_string(id));
    json_object_set_new(o, "quorum", json_boolean(has_quorum(t)));
    json_object_set_new(o, "voters", json_integer((json_int_t)t->voters));
    json_object_set_new(o, "voters_up", json_integer((json_int_t)t->voters_up));
    json_object_set_new(o, "members", list);
    output_print(g, &form, o);
    if (output_is_text(g))
        print_sum(t);
}

int cluster_status(const struct global_options *g)
{
    struct table t = {0};
    struct tenure_error err = {0};
    tenure_client *c = connect_open("cluster", g);
    if (!c)
        return connect_code();
    int code = EXIT_OK;
    /* From one member's own memory: it answers without a quorum too, which is when this is asked. */
    if (tenure_member_list(c, true, g->call_timeout_ms, &t.list, &err) < 0)
        code = connect_failed("cluster", g, &err);
    else if (!fill(&t, g))
        code = EXIT_FAILED;
    if (code == EXIT_OK) {
        print(&t, g);
        code = has_quorum(&t) && !t.has_alarm && t.voters_up == t.voters ? EXIT_OK : EXIT_FAILED;
    }
    for (size_t i = 0; t.rows && i < t.list->n; i++)
        tenure_status_free(t.rows[i].status);
    free(t.rows);
    tenure_member_list_free(t.list);
    tenure_close(t.client);
    tenure_close(c);
    return code;
}
