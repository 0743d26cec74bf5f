/* tenure cluster drill: kills a member while clients read, write, hold a lock and watch, and tells what they saw.
 *
 *   the cluster is whole -> clients run -> the kill -> a new leader -> whole again -> clients end, and their history is judged
 *
 * A member of a `tenure cluster dev` is killed by its process, which is compared with what runs there before; others by a command.
 * Nothing is killed while a voter is missing, nor in a cluster that does not bear the loss. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cluster_care.h"
#include "cli/cluster_drill.h"
#include "cli/cluster_guard.h"
#include "cli/cluster_survey.h"
#include "cli/connect.h"
#include "cli/spawn.h"
#include "io/loop.h"

#define CALL_MS     2000   /* of a client's call, unless --call-timeout says otherwise */
#define STEADY_MS   500    /* before the kill, and behind the end */
#define LONGEST_MS  120000 /* until it has to be whole, unless --timeout says otherwise */
#define GONE_MS     10000  /* how long a command may take until the member is away */
#define STATUS_MS   500
#define ASK_MS      20
#define BEHIND_MAX  100 /* entries: then it has caught up */
#define COMMAND_MAX 4096
#define NAME_CHARS  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

struct drill {
    const struct global_options *g;
    const struct cluster_layout *layout; /* NULL = --with */
    struct cluster_survey survey;
    const struct cluster_row *victim;
    uint64_t old_term; /* one that is back soon may lead again, in a later one */
    int64_t killed_at, longest_ms;
    struct drill_result result;
    const char *with; /* what kills it; NULL = its process is killed */
};

static void pause_ms(int64_t ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* ---- before ---- */

static bool is_sure(const struct drill *d)
{
    char answer[16] = "";
    if (cluster_care.yes)
        return true;
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        fprintf(stderr, "tenure cluster: drill kills %s (%s): give --yes if that is meant\n", d->victim->member->name,
                d->result.role);
        return false;
    }
    fprintf(stderr, "kill %s (%s) of %zu members now? [y/N] ", d->victim->member->name, d->result.role,
            d->survey.list->n);
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static bool is_whole(const struct cluster_survey *s)
{
    if (cluster_survey_has_quorum(s) && s->voters_up == s->voters)
        return true;
    fprintf(stderr, "tenure cluster: drill: %zu of %zu voters answer: make it whole first (tenure cluster status)\n",
            s->voters_up, s->voters);
    return false;
}

/* False after having said why nothing may be killed. */
static bool may_kill(const struct drill *d)
{
    const struct cluster_survey *s = &d->survey;
    if (!is_whole(s))
        return false;
    if (s->voters < 3)
        fprintf(stderr, "tenure cluster: drill: a cluster of %zu does not bear the loss of one\n", s->voters);
    else if (strspn(d->victim->member->name, NAME_CHARS) != strlen(d->victim->member->name) ||
             !d->victim->member->name[0])
        fprintf(stderr, "tenure cluster: drill: the member's name is none for a command\n");
    else
        return true;
    return false;
}

static bool choose(struct drill *d, const char *who)
{
    const struct cluster_survey *s = &d->survey;
    d->victim = who ? cluster_survey_find(s, who) : NULL;
    for (size_t i = 0; !who && i < s->list->n; i++)
        if (s->rows[i].member->id == s->leader)
            d->victim = &s->rows[i];
    if (!d->victim) {
        fprintf(stderr, "tenure cluster: drill: there is no %s\n", who ? who : "leader");
        return false;
    }
    d->result.member = d->victim->member->name;
    d->result.role = cluster_role(s, d->victim);
    d->result.leader_was_asked = d->victim->member->id == s->leader;
    return true;
}

/* Just before the kill: time has gone by since it was chosen. */
static bool is_as_chosen(struct drill *d)
{
    struct tenure_status *s = NULL;
    struct tenure_error err = {0};
    bool is_same = d->victim->has_endpoint &&
                   tenure_status(d->survey.client, d->victim->endpoint, STATUS_MS * 10, &s, &err) == 0 &&
                   (s->leader == d->victim->member->id) == d->result.leader_was_asked;
    if (is_same)
        d->old_term = s->raft_term;
    else
        fprintf(stderr, "tenure cluster: drill: %s is not the %s any more: nothing was killed; run it again\n",
                d->victim->member->name, d->result.role);
    tenure_status_free(s);
    return is_same;
}

/* ---- the kill ---- */

static bool kill_process(struct drill *d)
{
    for (size_t i = 0; i < d->layout->n; i++) {
        const struct cluster_member *m = &d->layout->members[i];
        if (strcmp(m->name, d->victim->member->name) != 0)
            continue;
        pid_t pid = cluster_pid_left(d->layout, m);
        d->result.pid = (int)pid;
        d->killed_at = io_clock();
        if (pid && kill(pid, SIGKILL) == 0)
            return true;
    }
    fprintf(stderr, "tenure cluster: drill: %s has no process of %s\n", d->victim->member->name, d->layout->dir);
    return false;
}

/* The command with the member's name in place of each {name}; the name has no character that a shell reads. */
static bool fill_in(const char *command, const char *name, char out[COMMAND_MAX])
{
    static const char place[] = "{name}";
    size_t at = 0;
    for (const char *c = command; *c && at < COMMAND_MAX;) {
        bool here = strncmp(c, place, sizeof place - 1) == 0;
        at += (size_t)snprintf(out + at, COMMAND_MAX - at, "%.*s", here ? 64 : 1, here ? name : c);
        c += here ? sizeof place - 1 : 1;
    }
    return at < COMMAND_MAX;
}

static bool run_command(struct drill *d)
{
    char command[COMMAND_MAX];
    char *argv[] = {"sh", "-c", command, NULL};
    static const struct spawn_variable none = {NULL, NULL};
    struct spawn child;
    sigset_t mask;
    int status = -1;
    if (!fill_in(d->with, d->victim->member->name, command)) {
        fprintf(stderr, "tenure cluster: drill: the command is too long\n");
        return false;
    }
    sigprocmask(SIG_SETMASK, NULL, &mask);
    d->killed_at = io_clock();
    if (spawn_make_as(&child, argv,
                      &(struct spawn_how){.variables = &none, .mask = &mask, .input = -1, .output = STDERR_FILENO})) {
        spawn_go(&child);
        while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR)
            ;
        spawn_fini(&child);
    }
    if (status != 0)
        fprintf(stderr, "tenure cluster: drill: %s: failed\n", command);
    return status == 0;
}

/* ---- behind it ---- */

static const char *name_of(const struct drill *d, uint64_t id)
{
    for (size_t i = 0; i < d->survey.list->n; i++)
        if (d->survey.list->members[i].id == id)
            return d->survey.list->members[i].name;
    return "?";
}

struct look {
    size_t up;
    uint64_t newest, oldest, leader;
    bool agree, victim_is_up;
};

/* Every member once; whether a new leader is there is seen on the way. */
static void look_around(struct drill *d, struct look *k)
{
    *k = (struct look){.oldest = UINT64_MAX, .agree = true};
    for (size_t i = 0; i < d->survey.list->n; i++) {
        const struct cluster_row *r = &d->survey.rows[i];
        struct tenure_status *s = NULL;
        struct tenure_error err = {0};
        if (!r->has_endpoint || r->member->is_learner ||
            tenure_status(d->survey.client, r->endpoint, STATUS_MS, &s, &err) < 0)
            continue;
        k->up++;
        k->victim_is_up = k->victim_is_up || r == d->victim;
        k->newest = s->raft_applied_index > k->newest ? s->raft_applied_index : k->newest;
        k->oldest = s->raft_applied_index < k->oldest ? s->raft_applied_index : k->oldest;
        k->agree = k->agree && s->leader && (!k->leader || k->leader == s->leader);
        k->leader = s->leader ? s->leader : k->leader;
        if (d->result.leader_was_asked && !d->result.leader && s->leader && s->raft_term > d->old_term) {
            d->result.leader = name_of(d, s->leader);
            d->result.leader_ms = io_clock() - d->killed_at;
        }
        tenure_status_free(s);
    }
}

/* All voters, one leader, nobody behind; and the one that was killed was away before. A process that was killed was away, seen or not;
 * of a command nobody knows. */
static void await_whole(struct drill *d)
{
    struct look k;
    int64_t until = d->killed_at + d->longest_ms;
    bool was_away = false;
    d->result.whole_ms = -1;
    for (;; pause_ms(ASK_MS)) {
        look_around(d, &k);
        int64_t now = io_clock();
        was_away = was_away || !k.victim_is_up || d->result.leader;
        if ((was_away || now - d->killed_at > GONE_MS) && k.up == d->survey.voters && k.agree &&
            k.newest - k.oldest <= BEHIND_MAX) {
            d->result.whole_ms = now - d->killed_at;
            d->result.never_away = d->with && !was_away;
            return;
        }
        if (now >= until)
            return;
    }
}

/* ---- all of it ---- */

static int play(struct drill *d)
{
    struct tenure_options options;
    struct tenure_error err = {0};
    char *all = cluster_survey_addresses(d->survey.list);
    connect_options(d->g, &options);
    struct drill_clients *clients =
        all ? drill_clients_start(all, &options, d->g->call_timeout_ms ? d->g->call_timeout_ms : CALL_MS, d->longest_ms,
                                  &err)
            : NULL;
    free(all);
    if (!clients)
        return connect_failed("cluster", d->g, &err);
    pause_ms(STEADY_MS);
    bool killed = is_as_chosen(d) && (d->with ? run_command(d) : kill_process(d));
    if (killed) {
        await_whole(d);
        pause_ms(STEADY_MS);
    }
    drill_clients_end(clients, &d->result.seen);
    if (!killed)
        return EXIT_FAILED;
    drill_judge(&d->result);
    drill_tell(d->g, &d->result);
    return d->result.n_wrong ? EXIT_FAILED : EXIT_OK;
}

/* Two drills, or one beside an upgrade, would take a majority away together. Looked at again with the lock: what was under way before may
 * have left less than there was. */
static int play_alone(struct drill *d, tenure_client *c)
{
    struct cluster_survey now = {.list = NULL};
    struct cluster_guard guard = {.client = NULL};
    char *all = cluster_survey_addresses(d->survey.list);
    int code = all ? cluster_guard_take(&guard, all, d->g, "drill") : EXIT_FAILED;
    free(all);
    if (code == EXIT_OK && cluster_survey(&now, c, d->g, &code))
        code = is_whole(&now) ? play(d) : EXIT_FAILED;
    cluster_survey_free(&now);
    cluster_guard_release(&guard);
    return code;
}

static int drill_on(struct drill *d, const struct global_options *g, const char *who)
{
    int code = EXIT_FAILED;
    d->g = g;
    tenure_client *c = connect_open("cluster", g);
    if (!c)
        return connect_code();
    if (cluster_survey(&d->survey, c, g, &code)) {
        code = EXIT_FAILED;
        if (choose(d, who) && may_kill(d))
            code = is_sure(d) ? play_alone(d, c) : EXIT_USAGE;
    }
    cluster_survey_free(&d->survey);
    tenure_close(c);
    return code;
}

int cluster_drill(const struct global_options *g, const struct cluster_options *o, const char *who)
{
    static char endpoints[CLUSTER_PATH_MAX];
    struct cluster_layout layout;
    struct global_options own = *g;
    struct drill d = {.longest_ms = o->timeout_ms ? o->timeout_ms : LONGEST_MS, .with = o->with};
    if (!o->data_dir == !o->with) {
        fprintf(stderr, "tenure cluster: drill: expected --data-dir of a `tenure cluster dev`, or --with COMMAND\n");
        return EXIT_USAGE;
    }
    if (o->data_dir) {
        if (!cluster_layout_read(&layout, o->data_dir))
            return EXIT_USAGE;
        cluster_layout_endpoints(&layout, endpoints, sizeof endpoints);
        own.endpoints = endpoints;
        d.layout = &layout;
    }
    return drill_on(&d, &own, who);
}
