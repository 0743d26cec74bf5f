/* Happy path, for each member: all are there and have caught up -> it leads no more -> the command -> its old process has ended -> it is
 * back, on three looks in a row. Failure modes: whatever does not come about ends all where it stands, with the other members left
 * alone; none is touched while another one is missing. */
#include "cli/cluster_roll.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/connect.h"
#include "cli/output.h"
#include "cli/shell.h"
#include "io/address.h"
#include "io/loop.h"

#define TIMEOUT_MS   (10 * 60 * 1000)
#define BEHIND_MAX   1000 /* entries of the log */
#define LOOKS_IN_ROW 3
#define ASK_MS       1000
#define ENDS_MS      30000 /* of the old process, when the command has gone well */
#define FORCED_MS    5000  /* the same, when it may also not be seen */
#define RAN_MAX      64

/* ---- how they are ---- */

int roll_begin(struct change *x)
{
    if (change_look(x) < 0)
        return -1;
    tenure_close(x->client); /* it may know one of them alone, which is to be restarted */
    x->client = x->survey.client;
    x->survey.client = NULL;
    return change_look(x);
}

static const char *title(const struct tenure_member *m)
{
    return m->name[0] ? m->name : "a member without a name";
}

/* NULL, or what is wrong with the member. */
static const char *complaint(const struct cluster_survey *s, const struct cluster_row *r)
{
    if (!r->status)
        return r->why.text;
    if (!r->status->leader)
        return "it knows no leader";
    if (s->newest - r->status->raft_index > BEHIND_MAX || s->newest - r->status->raft_applied_index > BEHIND_MAX)
        return "it has not caught up";
    return NULL;
}

static const char *first_complaint(const struct cluster_survey *s, const struct cluster_row **ret)
{
    for (size_t i = 0; i < s->list->n; i++) {
        const char *why = complaint(s, &s->rows[i]);
        *ret = &s->rows[i];
        if (why)
            return why;
    }
    return NULL;
}

int roll_check(struct change *x)
{
    const struct cluster_row *r = NULL;
    const struct cluster_survey *s = &x->survey;
    const char *why = first_complaint(s, &r);
    if (why)
        fprintf(stderr, "tenure cluster: %s: %s: mend it first, nothing was done\ntry: tenure cluster status\n",
                title(r->member), why);
    else if (s->voters_up - 1 <= s->voters / 2 && !x->o->force)
        fprintf(
            stderr,
            "tenure cluster: of %zu voters none can restart without the others losing their majority\n--force does it all the same\n",
            s->voters);
    else
        return 0;
    return change_stop(x, EXIT_FAILED);
}

/* A look that fails is one at which they are not well. */
static bool are_well(struct change *x)
{
    const struct cluster_row *r;
    int code = x->code;
    if (change_look(x) == 0)
        return !first_complaint(&x->survey, &r) && cluster_survey_has_quorum(&x->survey);
    x->code = code;
    return false;
}

static int await_all(struct change *x)
{
    int in_row = 0;
    do {
        in_row = are_well(x) ? in_row + 1 : 0;
        if (in_row == LOOKS_IN_ROW)
            return 0;
    } while (change_pause(x));
    const struct cluster_row *r = NULL;
    const char *why = x->survey.list ? first_complaint(&x->survey, &r) : NULL;
    fprintf(stderr,
            "tenure cluster: %s%s%s: stopped here, the other members were left alone\ntry: tenure cluster status\n",
            why         ? title(r->member)
            : x->signal ? "told to end"
                        : "not all are there in time",
            why ? ": " : "", why ? why : "");
    return change_stop(x, EXIT_FAILED);
}

/* ---- the command ---- */

static void print_value(FILE *to, const struct cluster_row *r, const char *name)
{
    struct io_address at;
    struct tenure_error err = {0};
    char id[32];
    const char *endpoint = r->member->client_urls[0];
    snprintf(id, sizeof id, "%" PRIx64, r->member->id);
    if (strcmp(name, "host") == 0)
        shell_print_word(to, io_address_parse(endpoint, 0, &at, &err) == 0 ? at.host : endpoint);
    else
        shell_print_word(to, strcmp(name, "name") == 0 ? r->member->name : strcmp(name, "id") == 0 ? id : endpoint);
}

/* With its names replaced, each by one word of the shell; it reads nothing, and what it prints goes to standard error. */
static char *line_for(const char *command, const struct cluster_row *r)
{
    static const char *const names[] = {"name", "host", "id", "endpoint"};
    char *line = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&line, &size);
    if (!f)
        return NULL;
    fputs("{ ", f);
    while (*command) {
        size_t i = 0, n = 0;
        for (; i < sizeof names / sizeof *names; i++) {
            n = strlen(names[i]);
            if (command[0] == '{' && strncmp(command + 1, names[i], n) == 0 && command[1 + n] == '}')
                break;
        }
        if (i < sizeof names / sizeof *names) {
            print_value(f, r, names[i]);
            command += n + 2;
        } else {
            fputc(*command++, f);
        }
    }
    fputs("\n} </dev/null >&2", f);
    if (fclose(f) == 0)
        return line;
    free(line);
    return NULL;
}

static int run_command(struct change *x, const struct cluster_row *r, const char *command)
{
    static const struct spawn_variable none = {NULL, NULL};
    char *line = line_for(command, r);
    int64_t left = x->until - io_clock();
    int code = line ? shell_run(line, &none, &x->signals, left > 0 ? left : 1, &x->signal) : SHELL_FAILED;
    free(line);
    if (code == 0)
        return 0;
    if (code == SHELL_INTERRUPTED)
        fprintf(stderr, "tenure cluster: told to end while %s was being restarted", title(r->member));
    else if (code == SHELL_TIMEOUT)
        fprintf(stderr, "tenure cluster: the command for %s took too long and was ended", title(r->member));
    else if (code == SHELL_FAILED)
        fprintf(stderr, "tenure cluster: the command for %s cannot be run", title(r->member));
    else
        fprintf(stderr, "tenure cluster: the command for %s ended with code %d", title(r->member), code);
    fprintf(stderr, ": stopped here, the other members were left alone\n");
    return change_stop(x, EXIT_FAILED);
}

/* ---- its process ---- */

/* Whether the one member that the handle knows answers, over the connection that all calls share. */
static bool answers(tenure_client *c, int64_t timeout_ms, struct tenure_error *err)
{
    struct tenure_member_list *r = NULL;
    bool ok = tenure_member_list(c, true, timeout_ms, &r, err) == 0;
    tenure_member_list_free(r);
    return ok;
}

/* A handle on this member alone, which has a connection to it; NULL after having said why not. */
static tenure_client *hold(struct change *x, const struct cluster_row *r)
{
    struct tenure_options options;
    struct tenure_error err = {0};
    connect_options(x->g, &options);
    tenure_client *c = tenure_open(r->member->client_urls[0], &options, &err);
    if (c && answers(c, x->g->call_timeout_ms, &err))
        return c;
    change_stop(x, connect_failed("cluster", x->g, &err));
    tenure_close(c);
    return NULL;
}

static uint64_t connections(tenure_client *c)
{
    struct tenure_stats s = {.size = sizeof s};
    struct tenure_error err = {0};
    return tenure_stats(c, &s, &err) == 0 ? s.connections : 0;
}

/* The answers of the old process are no sign that the new one is well. Its connections end with it: an answer over another one is the
 * new one's. */
static int await_new_process(struct change *x, tenure_client *held, uint64_t before, const char *who)
{
    int64_t until = io_clock() + (x->o->force ? FORCED_MS : ENDS_MS);
    bool is_new = false;
    do {
        struct tenure_error err = {0};
        bool is_there = answers(held, ASK_MS, &err);
        is_new = is_there && connections(held) > before;
        if (!is_there && until < x->until)
            until = x->until; /* it is gone, and comes when it comes */
    } while (!is_new && io_clock() < until && change_pause(x));
    if (is_new || (x->o->force && !x->signal))
        return 0;
    fprintf(
        stderr,
        "tenure cluster: the command for %s went well, and its process is still the same, or does not come back: stopped here\n",
        who);
    return change_stop(x, EXIT_FAILED);
}

/* ---- one after the other ---- */

bool roll_is_version(const char *runs, const char *wanted)
{
    size_t n = strlen(wanted);
    return strncmp(runs, wanted, n) == 0 && (runs[n] == 0 || runs[n] == '.' || runs[n] == '-');
}

static int hand_over(struct change *x, uint64_t id)
{
    if (x->survey.leader != id || x->survey.voters < 2)
        return 0;
    const struct tenure_member *m = change_member(x, id);
    if (change_take_leadership_from(x, id) < 0)
        return -1;
    change_tell(x, m, "handed over", NULL);
    while (!are_well(x) || x->survey.leader == id)
        if (!change_pause(x)) {
            fprintf(stderr, "tenure cluster: the leader does not hand over: stopped here\n");
            return change_stop(x, EXIT_FAILED);
        }
    return 0;
}

static const struct cluster_row *row(const struct change *x, uint64_t id)
{
    for (size_t i = 0; i < x->survey.list->n; i++)
        if (x->survey.rows[i].member->id == id)
            return &x->survey.rows[i];
    return NULL;
}

static int check_version(struct change *x, const struct roll *r, const struct cluster_row *it)
{
    if (!r->version || roll_is_version(it->status->version, r->version))
        return 0;
    fprintf(stderr, "tenure cluster: %s is back and runs %s, not %s: stopped here\n", title(it->member),
            it->status->version, r->version);
    return change_stop(x, EXIT_FAILED);
}

static int restart(struct change *x, const struct roll *r, uint64_t id)
{
    x->until = io_clock() + (x->o->timeout_ms > 0 ? x->o->timeout_ms : TIMEOUT_MS);
    if (await_all(x) < 0 || hand_over(x, id) < 0)
        return -1;
    const struct cluster_row *it = row(x, id);
    if (!it || !it->has_endpoint) {
        fprintf(stderr, "tenure cluster: %" PRIx64 " is no member any more: stopped here\n", id);
        return change_stop(x, EXIT_FAILED);
    }
    if (r->stays)
        return r->restart(x, it, r->user) < 0 ? -1 : await_all(x);
    tenure_client *held = hold(x, it);
    if (!held)
        return -1;
    uint64_t before = connections(held);
    int rc = r->restart ? r->restart(x, it, r->user) : run_command(x, it, r->command);
    if (rc == 0)
        rc = await_new_process(x, held, before, title(it->member));
    tenure_close(held);
    if (rc < 0 || await_all(x) < 0)
        return -1;
    it = row(x, id);
    if (!it || check_version(x, r, it) < 0)
        return change_stop(x, EXIT_FAILED);
    change_tell(x, it->member, "restarted", NULL);
    return 0;
}

static bool is_in(uint64_t id, const uint64_t *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (all[i] == id)
            return true;
    return false;
}

/* The next one of those that are not done, whoever leads by now last. */
static const struct cluster_row *next_of(const struct change *x, const struct roll *r, const uint64_t *done, size_t n)
{
    const struct cluster_row *last = NULL;
    for (size_t i = 0; i < x->survey.list->n; i++) {
        const struct cluster_row *it = &x->survey.rows[i];
        if (is_in(it->member->id, done, n) || (r->passes && r->passes(x, it, r->user)) ||
            (r->version && it->status && roll_is_version(it->status->version, r->version)))
            continue;
        if (it->member->id != x->survey.leader)
            return it;
        last = it;
    }
    return last;
}

int roll_all(struct change *x, const struct roll *r)
{
    uint64_t done[RAN_MAX];
    size_t n = 0;
    const struct cluster_row *it;
    if (roll_check(x) < 0)
        return -1;
    while (n < RAN_MAX && (it = next_of(x, r, done, n))) {
        uint64_t id = done[n++] = it->member->id;
        if (restart(x, r, id) < 0)
            return -1;
    }
    return 0;
}

/* ---- the action ---- */

int cluster_rolling_restart(const struct global_options *g, const struct cluster_options *o)
{
    struct change x;
    struct roll r = {.command = o->with};
    if (!o->with || !*o->with) {
        fprintf(
            stderr,
            "tenure cluster: expected --with COMMAND, which restarts one, such as 'ssh {host} systemctl restart etcd'\n");
        return EXIT_USAGE;
    }
    if (change_open(&x, g, o) && roll_begin(&x) == 0 && roll_all(&x, &r) == 0 && output_is_text(g))
        printf("all %zu members were restarted\n", x.survey.list->n);
    return change_close(&x);
}
