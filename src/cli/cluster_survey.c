#include "cli/cluster_survey.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/connect.h"
#include "io/loop.h"

char *cluster_survey_addresses(const struct tenure_member_list *list)
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

static void ask(struct cluster_survey *s, struct cluster_row *r, const struct global_options *g)
{
    int64_t begun = io_clock();
    if (!r->has_endpoint) {
        snprintf(r->why.text, sizeof r->why.text, "it was added, and never started");
        return;
    }
    if (tenure_status(s->client, r->endpoint, g->call_timeout_ms, &r->status, &r->why) < 0)
        return;
    r->took_ms = io_clock() - begun;
    s->voters_up += !r->status->is_learner;
    s->has_alarm = s->has_alarm || r->status->n_errors > 0;
    if (r->status->raft_index > s->newest)
        s->newest = r->status->raft_index;
    if (r->status->leader)
        s->leader = r->status->leader;
}

static bool fill(struct cluster_survey *s, const struct global_options *g)
{
    struct tenure_options options;
    struct tenure_error err = {0};
    char *all = cluster_survey_addresses(s->list);
    connect_options(g, &options);
    s->rows = calloc(s->list->n ? s->list->n : 1, sizeof *s->rows);
    s->client = all && s->rows ? tenure_open(all, &options, &err) : NULL;
    free(all);
    if (!s->client) {
        fprintf(stderr, "tenure cluster: the members' client addresses: %s\n",
                err.text[0] ? err.text : "there are none");
        return false;
    }
    size_t endpoint = 0;
    for (size_t i = 0; i < s->list->n; i++) {
        struct cluster_row *r = &s->rows[i];
        r->member = &s->list->members[i];
        r->has_endpoint = r->member->n_client_urls > 0;
        r->endpoint = r->has_endpoint ? endpoint++ : 0;
        s->voters += !r->member->is_learner;
        ask(s, r, g);
    }
    return true;
}

const char *cluster_role(const struct cluster_survey *s, const struct cluster_row *r)
{
    if (!r->status)
        return "down";
    if (r->status->is_learner)
        return "learner";
    if (r->status->leader == 0)
        return "no leader";
    return r->status->member_id == s->leader ? "leader" : "follower";
}

bool cluster_survey(struct cluster_survey *s, tenure_client *c, const struct global_options *g, int *ret_code)
{
    struct tenure_error err = {0};
    *s = (struct cluster_survey){0};
    if (tenure_member_list(c, true, g->call_timeout_ms, &s->list, &err) < 0)
        *ret_code = connect_failed("cluster", g, &err);
    else if (fill(s, g))
        return true;
    else
        *ret_code = EXIT_FAILED;
    cluster_survey_free(s);
    return false;
}

void cluster_survey_free(struct cluster_survey *s)
{
    for (size_t i = 0; s->rows && i < s->list->n; i++)
        tenure_status_free(s->rows[i].status);
    free(s->rows);
    tenure_member_list_free(s->list);
    tenure_close(s->client);
    *s = (struct cluster_survey){0};
}

bool cluster_survey_has_quorum(const struct cluster_survey *s)
{
    return s->leader != 0 && s->voters_up > s->voters / 2;
}

const struct cluster_row *cluster_survey_find(const struct cluster_survey *s, const char *name)
{
    const struct cluster_row *found = NULL;
    char *end;
    uint64_t id = strtoull(name, &end, 16);
    for (size_t i = 0; i < s->list->n; i++) {
        const struct tenure_member *m = s->rows[i].member;
        if (*name && *end == 0 && m->id == id)
            return &s->rows[i];
        if (strcmp(m->name, name) != 0 || !*name)
            continue;
        if (found)
            return NULL;
        found = &s->rows[i];
    }
    return found;
}
