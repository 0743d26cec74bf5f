/* tenure cluster remove|replace: the members of a cluster change, one at a time, and never so that a majority is missing.
 *
 * remove:  those who are left have a majority without it -> it leads no more -> removed -> somebody leads
 * replace: of one that lives add, then remove; of one that is gone remove first, which makes the others' majority smaller
 *
 * Failure modes: each step that does not come about within --timeout ends it where it stands, which is said with the way on. */
#include "cli/cluster_change.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/connect.h"
#include "cli/output.h"
#include "io/loop.h"

#define LOOK_AGAIN_MS 200
#define TIMEOUT_MS    (10 * 60 * 1000)

int change_stop(struct change *x, int code)
{
    if (x->code == EXIT_OK)
        x->code = code;
    return -1;
}

bool change_open(struct change *x, const struct global_options *g, const struct cluster_options *o)
{
    *x = (struct change){
        .g = g, .o = o, .signals.fd = -1, .until = io_clock() + (o->timeout_ms > 0 ? o->timeout_ms : TIMEOUT_MS)};
    if (!signals_open(&x->signals)) {
        perror("tenure cluster: signals");
        x->code = EXIT_FAILED;
        return false;
    }
    x->client = connect_open("cluster", g);
    if (!x->client)
        x->code = connect_code();
    return x->client != NULL;
}

int change_close(struct change *x)
{
    cluster_guard_release(&x->guard);
    cluster_survey_free(&x->survey);
    tenure_close(x->client);
    signals_close(&x->signals);
    if (x->signal)
        signals_die(x->signal, false);
    return x->code;
}

/* Without a quorum nobody can: what needs one says so itself. */
static int keep_others_away(struct change *x)
{
    char *all = cluster_survey_addresses(x->survey.list);
    int code = all ? cluster_guard_take(&x->guard, all, x->g, x->o->action) : EXIT_OK;
    free(all);
    return code == EXIT_OK ? 0 : change_stop(x, code);
}

static int look(struct change *x)
{
    int code = EXIT_OK;
    cluster_survey_free(&x->survey);
    return cluster_survey(&x->survey, x->client, x->g, &code) ? 0 : change_stop(x, code);
}

/* Looks again with the lock: another change may have ended between the two, or have been waited for. */
int change_look(struct change *x)
{
    if (look(x) < 0)
        return -1;
    if (!cluster_survey_has_quorum(&x->survey) || cluster_guard_has(&x->guard))
        return 0;
    return keep_others_away(x) < 0 ? -1 : look(x);
}

bool change_pause(struct change *x)
{
    struct pollfd fd = {.fd = x->signals.fd, .events = POLLIN};
    poll(&fd, 1, LOOK_AGAIN_MS);
    for (int signal; (signal = signals_next(&x->signals));) {
        if (signals_is_end(signal))
            x->signal = signal;
        else if (signal == SIGTSTP)
            signals_stop_self(false);
    }
    return !x->signal && io_clock() < x->until;
}

void change_tell(const struct change *x, const struct tenure_member *m, const char *what, json_t *start)
{
    static const struct output_column columns[] = {{.path = "member", .heading = "MEMBER", .width = 16},
                                                   {.path = "name", .heading = "NAME"},
                                                   {.path = "done", .heading = "DONE"},
                                                   {0}};
    static const struct output_form form = {.columns = columns};
    char id[32];
    snprintf(id, sizeof id, "%" PRIx64, m->id);
    if (output_is_text(x->g)) {
        printf("%s%s %s%s%s\n", what, strchr(what, ' ') ? ":" : "", m->name[0] ? m->name : id,
               m->name[0] ? ", member " : "", m->name[0] ? id : "");
        json_decref(start);
    } else {
        json_t *o = json_object();
        json_object_set_new(o, "member", json_string(id));
        json_object_set_new(o, "name", json_string(m->name));
        json_object_set_new(o, "done", json_string(what));
        if (start)
            json_object_set_new(o, "start", start);
        output_event(x->g, &form, o);
    }
    fflush(stdout);
}

/* ---- finding ---- */

static void print_members(const struct change *x)
{
    fprintf(stderr, "the members are");
    for (size_t i = 0; i < x->survey.list->n; i++) {
        const struct tenure_member *m = &x->survey.list->members[i];
        fprintf(stderr, "%s %s%s%" PRIx64 "%s", i ? "," : "", m->name, m->name[0] ? " (" : "", m->id,
                m->name[0] ? ")" : " (no name until it is started)");
    }
    fprintf(stderr, "\n");
}

const struct cluster_row *change_find(struct change *x, const char *who)
{
    const struct cluster_row *r = cluster_survey_find(&x->survey, who);
    if (r)
        return r;
    size_t n = 0;
    for (size_t i = 0; i < x->survey.list->n; i++)
        n += strcmp(x->survey.list->members[i].name, who) == 0;
    fprintf(stderr,
            n > 1 ? "tenure cluster: '%s' is the name of several members: say which by its id\n"
                  : "tenure cluster: '%s' is the name or id of no member\n",
            who);
    print_members(x);
    change_stop(x, EXIT_FAILED);
    return NULL;
}

const struct tenure_member *change_member(const struct change *x, uint64_t id)
{
    for (size_t i = 0; i < x->survey.list->n; i++)
        if (x->survey.list->members[i].id == id)
            return &x->survey.list->members[i];
    return NULL;
}

/* ---- removing ---- */

/* Now, to agree to it, and without the member, to go on. */
static int check_majorities(struct change *x, const struct cluster_row *r)
{
    size_t left = x->survey.voters - !r->member->is_learner;
    size_t up = x->survey.voters_up - (r->status && !r->status->is_learner);
    bool can_agree = x->survey.voters_up > x->survey.voters / 2;
    if (can_agree && left > 0 && up > left / 2)
        return 0;
    if (!can_agree && up > left / 2)
        fprintf(
            stderr,
            "tenure cluster: %zu of %zu voters answer, which is no majority: nobody can be removed until others are back\n",
            x->survey.voters_up, x->survey.voters);
    else if (left == 0)
        fprintf(stderr, "tenure cluster: %s is the only member with a vote\n", r->member->name);
    else
        fprintf(
            stderr,
            "tenure cluster: without %s %zu of %zu voters would answer, which is no majority: bring others back first\n",
            r->member->name[0] ? r->member->name : "it", up, left);
    return change_stop(x, EXIT_FAILED);
}

int change_take_leadership_from(struct change *x, uint64_t id)
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
    return change_stop(x, connect_failed("cluster", x->g, &err));
}

int change_await_leader(struct change *x)
{
    do {
        if (change_look(x) < 0)
            return -1;
        if (cluster_survey_has_quorum(&x->survey))
            return 0;
    } while (change_pause(x));
    fprintf(stderr, "tenure cluster: nobody leads\ntry: tenure cluster status\n");
    return change_stop(x, EXIT_FAILED);
}

/* Who takes itself out may answer with its own end; its id is removed once, however often that is asked for. */
static int remove_id(struct change *x, uint64_t id)
{
    struct tenure_error err = {0};
    bool is_unclear = false;
    while (tenure_member_remove(x->client, id, x->g->call_timeout_ms, NULL, &err) < 0) {
        if (is_unclear && err.code == TENURE_ENOTFOUND)
            return 0;
        bool is_later = err.kind == TENURE_KIND_UNAVAILABLE || err.kind == TENURE_KIND_TIMEOUT;
        is_unclear = is_unclear || err.applied != TENURE_APPLIED_NO;
        if (is_later && change_pause(x))
            continue;
        if (is_unclear)
            err.applied = TENURE_APPLIED_MAYBE; /* by an attempt before the last one */
        return change_stop(x, connect_failed("cluster", x->g, &err));
    }
    return 0;
}

static int remove_member(struct change *x, const char *who)
{
    char name[CHANGE_NAME_BYTES_MAX];
    const struct cluster_row *r = change_look(x) < 0 ? NULL : change_find(x, who);
    if (!r || check_majorities(x, r) < 0 || change_take_leadership_from(x, r->member->id) < 0)
        return -1;
    struct tenure_member gone = {.id = r->member->id, .name = name};
    snprintf(name, sizeof name, "%s", r->member->name);
    if (remove_id(x, gone.id) < 0)
        return -1;
    change_tell(x, &gone, "removed", NULL);
    return change_await_leader(x);
}

/* ---- the actions ---- */

int cluster_remove(const struct global_options *g, const struct cluster_options *o, const char *who)
{
    struct change x;
    if (change_open(&x, g, o))
        remove_member(&x, who);
    return change_close(&x);
}

int cluster_replace(const struct global_options *g, const struct cluster_options *o, const char *who)
{
    struct change x;
    char id[32];
    if (!change_has_urls(o))
        return EXIT_USAGE;
    if (!change_open(&x, g, o) || change_look(&x) < 0)
        return change_close(&x);
    const struct cluster_row *old = change_find(&x, who);
    if (!old) {
        fprintf(stderr, "one that was removed already, and whose successor is missing: tenure cluster add\n");
        return change_close(&x);
    }
    bool lives = old->status != NULL;
    x.replaced = lives ? old->member->id : 0;
    snprintf(id, sizeof id, "%" PRIx64, old->member->id); /* the new one may have its name */
    if (lives ? change_add(&x) == 0 : remove_member(&x, id) == 0)
        lives ? remove_member(&x, id) : change_add(&x);
    return change_close(&x);
}
