/* tenure cluster add|promote|remove|replace: the members of a cluster change, one at a time, and never so that a majority is missing.
 *
 * add:     all voters answer -> known as a learner, which costs the quorum nothing -> started by its owner -> caught up -> a voter
 * remove:  those who are left have a majority without it -> it leads no more -> removed -> somebody leads
 * replace: of one that lives add, then remove; of one that is gone remove first, which makes the others' majority smaller
 *
 * Failure modes: each step that does not come about within --timeout ends it where it stands, which is said with the way on. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cluster.h"
#include "cli/cluster_survey.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "io/loop.h"

enum { PEER_URLS_MAX = 16, LOOK_AGAIN_MS = 200, URLS_BYTES_MAX = 4096, NAME_BYTES_MAX = 256 };
#define TIMEOUT_MS (10 * 60 * 1000)

struct change {
    const struct global_options *g;
    const struct cluster_options *o;
    tenure_client *client;
    struct cluster_survey survey;
    int64_t until;
    int code;
};

static int stop(struct change *x, int code)
{
    if (x->code == EXIT_OK)
        x->code = code;
    return -1;
}

static bool open_change(struct change *x, const struct global_options *g, const struct cluster_options *o)
{
    *x = (struct change){.g = g, .o = o, .until = io_clock() + (o->timeout_ms > 0 ? o->timeout_ms : TIMEOUT_MS)};
    x->client = connect_open("cluster", g);
    if (!x->client)
        x->code = connect_code();
    return x->client != NULL;
}

static int close_change(struct change *x)
{
    cluster_survey_free(&x->survey);
    tenure_close(x->client);
    return x->code;
}

static int look(struct change *x)
{
    int code = EXIT_OK;
    cluster_survey_free(&x->survey);
    return cluster_survey(&x->survey, x->client, x->g, &code) ? 0 : stop(x, code);
}

/* False when time is over. */
static bool pause_a_moment(const struct change *x)
{
    nanosleep(&(struct timespec){.tv_nsec = LOOK_AGAIN_MS * 1000000L}, NULL);
    return io_clock() < x->until;
}

/* etcd takes no change while its members have not all been connected for some seconds, as right after the start. */
static bool is_too_early(const struct change *x, const struct tenure_error *err)
{
    bool is_later = err->kind == TENURE_KIND_UNAVAILABLE || err->kind == TENURE_KIND_TIMEOUT;
    return is_later && err->applied == TENURE_APPLIED_NO && pause_a_moment(x);
}

static void tell(const struct change *x, const struct tenure_member *m, const char *what)
{
    static const struct output_column columns[] = {{.path = "member", .heading = "MEMBER", .width = 16},
                                                   {.path = "name", .heading = "NAME"},
                                                   {.path = "done", .heading = "DONE"},
                                                   {0}};
    static const struct output_form form = {.columns = columns};
    char id[32];
    snprintf(id, sizeof id, "%" PRIx64, m->id);
    if (output_is_text(x->g)) {
        printf("%s %s%s%s\n", what, m->name[0] ? m->name : id, m->name[0] ? ", member " : "", m->name[0] ? id : "");
    } else {
        json_t *o = json_object();
        json_object_set_new(o, "member", json_string(id));
        json_object_set_new(o, "name", json_string(m->name));
        json_object_set_new(o, "done", json_string(what));
        output_event(x->g, &form, o);
    }
    fflush(stdout);
}

static const struct cluster_row *find(struct change *x, const char *who)
{
    const struct cluster_row *r = cluster_survey_find(&x->survey, who);
    if (!r) {
        fprintf(stderr,
                "tenure cluster: '%s' is the name or id of no member, or of several\ntry: tenure cluster status\n",
                who);
        stop(x, EXIT_FAILED);
    }
    return r;
}

/* ---- a learner becomes a voter ---- */

static int promote(struct change *x, uint64_t id)
{
    for (;;) {
        struct tenure_error err = {0};
        if (tenure_member_promote(x->client, id, x->g->call_timeout_ms, NULL, &err) == 0)
            return 0;
        bool is_behind =
            err.code == TENURE_ECONFLICT || err.kind == TENURE_KIND_UNAVAILABLE || err.kind == TENURE_KIND_TIMEOUT;
        if (!is_behind || !pause_a_moment(x)) {
            int code = connect_failed("cluster", x->g, &err);
            fprintf(stderr,
                    "it is a learner, without a vote; when it runs and has caught up: tenure cluster promote %" PRIx64
                    "\n",
                    id);
            return stop(x, code);
        }
    }
}

/* It has a name once it was started. */
static int promote_and_tell(struct change *x, uint64_t id)
{
    if (promote(x, id) < 0 || look(x) < 0)
        return -1;
    for (size_t i = 0; i < x->survey.list->n; i++)
        if (x->survey.list->members[i].id == id)
            tell(x, &x->survey.list->members[i], "promoted");
    return 0;
}

/* ---- adding ---- */

static size_t split_urls(const char *urls, char copy[URLS_BYTES_MAX], const char **ret)
{
    size_t n = 0;
    char *rest = NULL;
    snprintf(copy, URLS_BYTES_MAX, "%s", urls);
    for (char *url = strtok_r(copy, ",", &rest); url && n < PEER_URLS_MAX; url = strtok_r(NULL, ",", &rest))
        ret[n++] = url;
    return n;
}

static int check_voters(struct change *x)
{
    for (size_t i = 0; i < x->survey.list->n; i++) {
        const struct cluster_row *r = &x->survey.rows[i];
        if (r->status || r->member->is_learner || x->o->force)
            continue;
        fprintf(
            stderr,
            "tenure cluster: %s does not answer (%s): mend or remove it first, so that the new one does not have to make up for it\n"
            "--force adds all the same\n",
            r->member->name[0] ? r->member->name : "a member", r->why.text);
        return stop(x, EXIT_FAILED);
    }
    return 0;
}

/* What the new member has to be started with, in etcd's own variables. */
static void tell_how_to_start(const struct change *x, const struct tenure_member_list *r, const char *name)
{
    printf(
        "export ETCD_NAME=%s\nexport ETCD_INITIAL_CLUSTER_STATE=existing\nexport ETCD_INITIAL_ADVERTISE_PEER_URLS=%s\n",
        name, x->o->peer_urls);
    printf("export ETCD_INITIAL_CLUSTER=");
    for (size_t i = 0, n = 0; i < r->n; i++)
        for (size_t u = 0; u < r->members[i].n_peer_urls; u++)
            printf("%s%s=%s", n++ ? "," : "", r->members[i].id == r->added ? name : r->members[i].name,
                   r->members[i].peer_urls[u]);
    printf("\n");
    fflush(stdout);
    fprintf(
        stderr,
        "start it with these variables, an empty data directory and its own --listen-client-urls, --advertise-client-urls and "
        "--listen-peer-urls; it gets its vote when it has caught up\n");
}

static int add(struct change *x)
{
    char copy[URLS_BYTES_MAX];
    const char *urls[PEER_URLS_MAX];
    struct tenure_member_list *r = NULL;
    struct tenure_error err = {0};
    if (look(x) < 0 || check_voters(x) < 0)
        return -1;
    size_t n = split_urls(x->o->peer_urls, copy, urls);
    while (tenure_member_add(x->client, urls, n, true, x->g->call_timeout_ms, &r, &err) < 0)
        if (!is_too_early(x, &err))
            return stop(x, connect_failed("cluster", x->g, &err));
    uint64_t id = r->added;
    char fallback[32];
    snprintf(fallback, sizeof fallback, "m%" PRIx64, id >> 48);
    if (output_is_text(x->g))
        tell_how_to_start(x, r, x->o->name ? x->o->name : fallback);
    for (size_t i = 0; i < r->n && !output_is_text(x->g); i++)
        if (r->members[i].id == id)
            tell(x, &r->members[i], "added");
    tenure_member_list_free(r);
    return promote_and_tell(x, id);
}

/* ---- removing ---- */

static int check_rest(struct change *x, const struct cluster_row *r)
{
    size_t left = x->survey.voters - !r->member->is_learner;
    size_t up = x->survey.voters_up - (r->status && !r->status->is_learner);
    if (left > 0 && up > left / 2)
        return 0;
    if (left == 0)
        fprintf(stderr, "tenure cluster: %s is the only member with a vote\n", r->member->name);
    else
        fprintf(
            stderr,
            "tenure cluster: without %s %zu of %zu voters would answer, which is no majority: bring others back first\n",
            r->member->name[0] ? r->member->name : "it", up, left);
    return stop(x, EXIT_FAILED);
}

/* The leadership goes to another voter that answers, so that nobody waits for an election. */
static int take_leadership_from(struct change *x, uint64_t id)
{
    struct tenure_error err = {0};
    const struct cluster_row *leader = NULL, *next = NULL;
    for (size_t i = 0; i < x->survey.list->n; i++) {
        const struct cluster_row *r = &x->survey.rows[i];
        if (r->member->id == id)
            leader = r;
        else if (r->status && !r->status->is_learner && (!next || r->status->raft_index > next->status->raft_index))
            next = r;
    }
    if (!leader || !leader->status || x->survey.leader != id || !next)
        return 0;
    if (tenure_move_leader(x->survey.client, leader->endpoint, next->member->id, x->g->call_timeout_ms, &err) == 0)
        return 0;
    return stop(x, connect_failed("cluster", x->g, &err));
}

static int await_leader(struct change *x)
{
    do {
        if (look(x) < 0)
            return -1;
        if (cluster_survey_has_quorum(&x->survey))
            return 0;
    } while (pause_a_moment(x));
    fprintf(stderr, "tenure cluster: nobody leads\ntry: tenure cluster status\n");
    return stop(x, EXIT_FAILED);
}

/* Who takes itself out may answer with its own end: the list tells. */
static bool is_out(struct change *x, uint64_t id)
{
    if (look(x) < 0)
        return false;
    for (size_t i = 0; i < x->survey.list->n; i++)
        if (x->survey.list->members[i].id == id)
            return false;
    return true;
}

static int remove_id(struct change *x, uint64_t id)
{
    struct tenure_error err = {0};
    while (tenure_member_remove(x->client, id, x->g->call_timeout_ms, NULL, &err) < 0) {
        if (err.applied != TENURE_APPLIED_NO && is_out(x, id))
            return 0;
        if (!is_too_early(x, &err))
            return stop(x, connect_failed("cluster", x->g, &err));
    }
    return 0;
}

static int remove_member(struct change *x, const char *who)
{
    char name[NAME_BYTES_MAX];
    const struct cluster_row *r = look(x) < 0 ? NULL : find(x, who);
    if (!r || check_rest(x, r) < 0 || take_leadership_from(x, r->member->id) < 0)
        return -1;
    struct tenure_member gone = {.id = r->member->id, .name = name};
    snprintf(name, sizeof name, "%s", r->member->name);
    if (remove_id(x, gone.id) < 0)
        return -1;
    tell(x, &gone, "removed");
    return await_leader(x);
}

/* ---- the actions ---- */

static bool has_urls(const struct cluster_options *o)
{
    if (o->peer_urls && strlen(o->peer_urls) < URLS_BYTES_MAX && strstr(o->peer_urls, "://"))
        return true;
    fprintf(stderr, "tenure cluster: expected --peer-urls URLS, such as http://10.0.0.4:2380\n");
    return false;
}

int cluster_add(const struct global_options *g, const struct cluster_options *o)
{
    struct change x;
    if (!has_urls(o))
        return EXIT_USAGE;
    if (open_change(&x, g, o))
        add(&x);
    return close_change(&x);
}

int cluster_promote(const struct global_options *g, const struct cluster_options *o, const char *who)
{
    struct change x;
    if (open_change(&x, g, o) && look(&x) == 0) {
        const struct cluster_row *r = find(&x, who);
        if (r && !r->member->is_learner) {
            fprintf(stderr, "tenure cluster: %s is no learner: it has a vote\n", r->member->name);
            stop(&x, EXIT_FAILED);
        } else if (r) {
            promote_and_tell(&x, r->member->id);
        }
    }
    return close_change(&x);
}

int cluster_remove(const struct global_options *g, const struct cluster_options *o, const char *who)
{
    struct change x;
    if (open_change(&x, g, o))
        remove_member(&x, who);
    return close_change(&x);
}

int cluster_replace(const struct global_options *g, const struct cluster_options *o, const char *who)
{
    struct change x;
    char id[32];
    if (!has_urls(o))
        return EXIT_USAGE;
    if (!open_change(&x, g, o) || look(&x) < 0)
        return close_change(&x);
    const struct cluster_row *old = find(&x, who);
    if (!old)
        return close_change(&x);
    bool lives = old->status != NULL;
    snprintf(id, sizeof id, "%" PRIx64, old->member->id); /* the new one may have its name */
    if (lives ? add(&x) == 0 : remove_member(&x, id) == 0)
        lives ? remove_member(&x, id) : add(&x);
    return close_change(&x);
}
