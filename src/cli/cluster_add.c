/* tenure cluster add|promote: a member more, in the order that costs the quorum nothing.
 *
 *   all voters answer -> known as a learner, without a vote -> started by its owner -> caught up -> a voter
 *
 * Failure modes: what is ended by a signal or by --timeout stays where it stands, and the same command goes on from there: a member
 * with these peer addresses is not added a second time. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cluster_change.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "cli/shell.h"

enum { PEER_URLS_MAX = 16, START_VARIABLES = 4 };

struct peer_urls {
    char text[CHANGE_URLS_BYTES_MAX];
    size_t n;
    const char *urls[PEER_URLS_MAX + 1];
};

/* One more than there may be is counted and no further. */
static void split_urls(struct peer_urls *p, const char *urls)
{
    char *rest = NULL;
    p->n = 0;
    snprintf(p->text, sizeof p->text, "%s", urls);
    for (char *url = strtok_r(p->text, ",", &rest); url && p->n <= PEER_URLS_MAX; url = strtok_r(NULL, ",", &rest))
        p->urls[p->n++] = url;
}

/* It is printed for a shell, and becomes part of a list between '=' and ','. */
static bool is_name(const char *name)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t n = strlen(name);
    return n > 0 && n < CHANGE_NAME_BYTES_MAX && strspn(name, plain) == n;
}

bool change_has_urls(const struct cluster_options *o)
{
    struct peer_urls p;
    if (!o->peer_urls || strlen(o->peer_urls) >= CHANGE_URLS_BYTES_MAX || !strstr(o->peer_urls, "://")) {
        fprintf(stderr, "tenure cluster: expected --peer-urls URLS, such as http://10.0.0.4:2380\n");
        return false;
    }
    split_urls(&p, o->peer_urls);
    if (p.n > PEER_URLS_MAX) {
        fprintf(stderr, "tenure cluster: option --peer-urls: expected %d addresses at most: '%s' is one too many\n",
                PEER_URLS_MAX, p.urls[PEER_URLS_MAX]);
        return false;
    }
    if (o->name && !is_name(o->name)) {
        fprintf(stderr, "tenure cluster: option --name: expected letters, digits, '.', '_' and '-', not '%s'\n",
                o->name);
        return false;
    }
    return true;
}

/* ---- a learner becomes a voter ---- */

static void tell_the_way_on(const struct change *x, uint64_t id, bool is_unclear)
{
    const char *why = x->signal ? "interrupted: " : "";
    fprintf(stderr,
            "%sit %s a learner, without a vote; when it runs and has caught up: tenure cluster promote %" PRIx64 "\n"
            "the same command as before goes on with it as well; to give it up: tenure cluster remove %" PRIx64 "\n",
            why, is_unclear ? "may still be" : "is", id, id);
}

static bool has_vote(const struct change *x, uint64_t id)
{
    struct tenure_member_list *r = NULL;
    struct tenure_error err = {0};
    bool found = false;
    if (tenure_member_list(x->client, false, x->g->call_timeout_ms, &r, &err) < 0)
        return false;
    for (size_t i = 0; i < r->n && !found; i++)
        found = r->members[i].id == id && !r->members[i].is_learner;
    tenure_member_list_free(r);
    return found;
}

/* Refused is one that has not caught up, and one that has its vote by now: the list tells. */
static int promote(struct change *x, uint64_t id)
{
    struct tenure_error err = {0};
    bool is_unclear = false;
    while (tenure_member_promote(x->client, id, x->g->call_timeout_ms, NULL, &err) < 0) {
        is_unclear = is_unclear || err.applied != TENURE_APPLIED_NO;
        bool may_become =
            err.code == TENURE_ECONFLICT || err.kind == TENURE_KIND_UNAVAILABLE || err.kind == TENURE_KIND_TIMEOUT;
        if (may_become && has_vote(x, id))
            return 0;
        if (may_become && change_pause(x))
            continue;
        int code = x->signal ? EXIT_FAILED : connect_failed("cluster", x->g, &err);
        tell_the_way_on(x, id, is_unclear);
        return change_stop(x, code);
    }
    return 0;
}

/* It has a name once it was started. */
static int promote_and_tell(struct change *x, uint64_t id)
{
    if (promote(x, id) < 0 || change_look(x) < 0)
        return -1;
    const struct tenure_member *m = change_member(x, id);
    if (m)
        change_tell(x, m, "promoted", NULL);
    return 0;
}

/* ---- adding ---- */

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
        return change_stop(x, EXIT_FAILED);
    }
    return 0;
}

/* The value of etcd's --initial-cluster; NULL without memory. */
static char *initial_cluster(const struct tenure_member_list *r, uint64_t id, const char *name)
{
    char *all = NULL;
    size_t size = 0, n = 0;
    FILE *f = open_memstream(&all, &size);
    for (size_t i = 0; f && i < r->n; i++)
        for (size_t u = 0; u < r->members[i].n_peer_urls; u++)
            fprintf(f, "%s%s=%s", n++ ? "," : "", r->members[i].id == id ? name : r->members[i].name,
                    r->members[i].peer_urls[u]);
    if (f && fclose(f) == 0)
        return all;
    free(all);
    return NULL;
}

/* What the new member has to be started with, in etcd's own variables. */
static int tell_how_to_start(struct change *x, const struct tenure_member_list *r, uint64_t id)
{
    char fallback[32], *cluster;
    snprintf(fallback, sizeof fallback, "m%" PRIx64, id >> 48);
    const struct tenure_member *m = NULL;
    for (size_t i = 0; i < r->n; i++)
        if (r->members[i].id == id)
            m = &r->members[i];
    const char *name = x->o->name ? x->o->name : m && m->name[0] ? m->name : fallback;
    cluster = initial_cluster(r, id, name);
    const char *const start[START_VARIABLES][2] = {{"ETCD_NAME", name},
                                                   {"ETCD_INITIAL_CLUSTER_STATE", "existing"},
                                                   {"ETCD_INITIAL_ADVERTISE_PEER_URLS", x->o->peer_urls},
                                                   {"ETCD_INITIAL_CLUSTER", cluster}};
    if (!m || !cluster) {
        fprintf(stderr, "tenure cluster: %s\n", m ? "out of memory" : "the new member is not in the list of all");
        free(cluster);
        return change_stop(x, EXIT_FAILED);
    }
    if (output_is_text(x->g)) {
        for (size_t i = 0; i < START_VARIABLES; i++) {
            printf("export %s=", start[i][0]);
            shell_print_word(stdout, start[i][1]);
            printf("\n");
        }
        fflush(stdout);
        fprintf(
            stderr,
            "start it with these variables, an empty data directory and its own --listen-client-urls, --advertise-client-urls and "
            "--listen-peer-urls; it gets its vote when it has caught up\n");
    } else {
        json_t *o = json_object();
        for (size_t i = 0; i < START_VARIABLES; i++)
            json_object_set_new(o, start[i][0], json_string(start[i][1]));
        change_tell(x, m, "added", o);
    }
    free(cluster);
    return 0;
}

/* The member that has one of these addresses: of an add that was interrupted; NULL. */
static const struct tenure_member *begun_before(const struct change *x, const struct peer_urls *p)
{
    for (size_t i = 0; i < x->survey.list->n; i++) {
        const struct tenure_member *m = &x->survey.list->members[i];
        for (size_t u = 0; u < m->n_peer_urls; u++)
            for (size_t k = 0; k < p->n; k++)
                if (strcmp(m->peer_urls[u], p->urls[k]) == 0)
                    return m;
    }
    return NULL;
}

/* Nobody is added twice: etcd would refuse the address. */
static int go_on_with(struct change *x, const struct tenure_member *m)
{
    uint64_t id = m->id;
    if (id == x->replaced) {
        fprintf(stderr,
                "tenure cluster: the one that is to be replaced has this peer address, and lives: stop it before\n");
        return change_stop(x, EXIT_FAILED);
    }
    if (x->o->name && m->name[0] && strcmp(m->name, x->o->name) != 0) {
        fprintf(stderr, "tenure cluster: member %s has this peer address already\n", m->name);
        return change_stop(x, EXIT_FAILED);
    }
    if (!m->is_learner) {
        change_tell(x, m, "already votes", NULL);
        return 0;
    }
    fprintf(stderr, "tenure cluster: member %" PRIx64 " was added before: going on with it\n", id);
    return tell_how_to_start(x, x->survey.list, id) < 0 ? -1 : promote_and_tell(x, id);
}

/* An answer that was lost is looked for among the members: the same addresses are taken once. etcd takes nobody while its members have
 * not all been connected for some seconds, as right after the start. */
static int ask_for_it(struct change *x, const struct peer_urls *p, struct tenure_member_list **ret)
{
    struct tenure_error err = {0};
    bool is_unclear = false;
    while (tenure_member_add(x->client, p->urls, p->n, true, x->g->call_timeout_ms, ret, &err) < 0) {
        bool is_later = err.kind == TENURE_KIND_UNAVAILABLE || err.kind == TENURE_KIND_TIMEOUT;
        is_unclear = is_unclear || err.applied != TENURE_APPLIED_NO;
        if (is_unclear && (is_later || err.code == TENURE_EEXISTS)) {
            if (change_look(x) < 0) {
                fprintf(stderr, "it may or may not be added: the same command again finds out, and goes on\n");
                return -1;
            }
            if (begun_before(x, p))
                return 0;
        }
        if (is_later && change_pause(x))
            continue;
        int code = connect_failed("cluster", x->g, &err);
        if (is_unclear)
            fprintf(stderr, "the same command again finds out, and goes on\n");
        return change_stop(x, code);
    }
    return 0;
}

int change_add(struct change *x)
{
    struct peer_urls p;
    struct tenure_member_list *r = NULL;
    split_urls(&p, x->o->peer_urls);
    if (change_look(x) < 0)
        return -1;
    const struct tenure_member *begun = begun_before(x, &p);
    if (begun)
        return go_on_with(x, begun);
    if (check_voters(x) < 0 || ask_for_it(x, &p, &r) < 0)
        return -1;
    if (!r)
        return go_on_with(x, begun_before(x, &p));
    uint64_t id = r->added;
    int rc = tell_how_to_start(x, r, id);
    tenure_member_list_free(r);
    return rc < 0 ? -1 : promote_and_tell(x, id);
}

/* ---- the actions ---- */

int cluster_add(const struct global_options *g, const struct cluster_options *o)
{
    struct change x;
    if (!change_has_urls(o))
        return EXIT_USAGE;
    if (change_open(&x, g, o))
        change_add(&x);
    return change_close(&x);
}

int cluster_promote(const struct global_options *g, const struct cluster_options *o, const char *who)
{
    struct change x;
    if (change_open(&x, g, o) && change_look(&x) == 0) {
        const struct cluster_row *r = change_find(&x, who);
        if (r && !r->member->is_learner)
            change_tell(&x, r->member, "already votes", NULL);
        else if (r)
            promote_and_tell(&x, r->member->id);
    }
    return change_close(&x);
}
