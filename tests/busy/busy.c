/* A busy source and its replicas, seen by writers and watchers that judge what they see; who starts, kills and cuts the servers
 * is another (tests/e2e/test_replica_busy.py). Everything is in this one thread.
 *
 *     busy --source PORT --replicas PORT,… [--rate N] [--watchers N] [--seed S] [--value BYTES] [--keys N] [--inflight N]
 *          [--compact-ms MS] [--compact-behind REVISIONS] [--trouble-ms MS] [--old-etcd] [--rights-ms MS] [--late-ms MS]
 *
 * --rights-ms: authentication is on, and so often a right changes (users.h); --late-ms: after which no right that was taken counts.
 *
 * Reads lines: `status` prints one line of JSON; `finish` ends the writers, waits until every watcher was told all that there is,
 * prints such a line with what was found wrong, and ends: 0 when nothing was.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "busy/link.h"
#include "busy/users.h"
#include "busy/watchers.h"
#include "busy/writers.h"

enum { REPLICAS_MAX = 16, FINISH_S = 120 };

static struct {
    int replicas[REPLICAS_MAX];
    struct writers_options writers;
    struct watchers_options watchers;
    struct users_options users;
    struct court court;
    int64_t begun_ns, stopped_ns;
    tn_rev last;
} run = {.writers = {.rate = 500,
                     .inflight = 128,
                     .value_bytes = 64,
                     .keys = 2000,
                     .seed = 1,
                     .compact_ms = 1000,
                     .compact_behind = 5000},
         .watchers = {.n = 20, .seed = 1, .trouble_ms = 1000},
         .users = {.late_ms = 10000}};

static void say_number(const char *name, uint64_t n)
{
    printf("\"%s\": %" PRIu64 ", ", name, n);
}

static void say_users(void)
{
    struct users_counts u;
    users_counts(&u);
    if (!users_on())
        return;
    say_number("logins", u.logins);
    say_number("rights_changed", u.changes);
    say_number("watches_tried", u.tried);
    say_number("watches_created", u.created);
    say_number("watches_denied", u.denied);
    say_number("puts_told", u.told);
    printf("\"known_ms\": [%.1f, %.1f, %.1f], ", (double)u.known_us[0] / 1e3, (double)u.known_us[1] / 1e3,
           (double)u.known_us[2] / 1e3);
}

static void say(void)
{
    struct watchers_counts w;
    const struct writers_counts *c = writers_counts();
    const struct verdicts *v = &run.court.verdicts;
    watchers_counts(&w);
    int64_t until = run.stopped_ns ? run.stopped_ns : now_ns();
    printf("{\"seconds\": %.1f, ", (double)(until - run.begun_ns) / 1e9);
    printf("\"rate\": %.0f, ", (double)c->done / ((double)(until - run.begun_ns) / 1e9));
    say_number("done", c->done);
    say_number("failed", c->failed);
    say_number("late", c->late);
    say_number("puts", c->puts);
    say_number("txns", c->txns);
    say_number("deletes", c->deletes);
    say_number("leases", c->leases);
    say_number("forwarded", c->forwarded);
    say_number("compactions", c->compactions);
    say_number("revision", (uint64_t)run.court.history.last);
    say_number("changes", run.court.history.n);
    say_number("sessions", w.sessions);
    say_number("cuts", w.cuts);
    say_number("pauses", w.pauses);
    say_number("lost_connections", w.lost_connections);
    say_number("recorder_lost", w.recorder_lost);
    say_number("responses", v->responses);
    say_number("events", v->events);
    say_number("progress", v->progress);
    say_number("compacted", v->compacted);
    say_number("without_prev", v->without_prev);
    say_number("deletes_lost", v->deletes_lost);
    printf("\"lag_ms\": [%.1f, %.1f, %.1f], ", (double)w.lag_us[0] / 1e3, (double)w.lag_us[1] / 1e3,
           (double)w.lag_us[2] / 1e3);
    say_users();
    printf("\"wrong\": %" PRIu64 "}\n", verdicts_wrong(v));
    fflush(stdout);
}

static int say_end(bool came)
{
    char text[256] = "";
    uint64_t missing = writers_missing(text, sizeof text);
    const struct verdicts *v = &run.court.verdicts;
    for (int i = 0; i < JUDGE_RULES; i++) {
        if (v->wrong[i])
            printf("wrong: %s, and %" PRIu64 " more\n", v->text[i], v->wrong[i] - 1);
    }
    if (missing)
        printf("wrong: %s, and %" PRIu64 " more\n", text, missing - 1);
    if (!came) {
        printf("wrong: not every watcher has come to revision %" PRId64 "; the history to %" PRId64 "\n", run.last,
               run.court.history.last);
        watchers_say();
        users_say();
    }
    say();
    return verdicts_wrong(v) || missing || !came;
}

/* ---- commands ---- */

/* True: the one to finish. The end of the input is as well. */
static bool read_command(void)
{
    char text[256];
    ssize_t n = read(STDIN_FILENO, text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    if (strstr(text, "status"))
        say();
    return n <= 0 || strstr(text, "finish");
}

static int finish(void)
{
    bool ignored, stopped = false, came = false;
    int64_t until = now_ns() + FINISH_S * INT64_C(1000000000);
    run.stopped_ns = now_ns();
    while (!came && now_ns() < until) {
        links_turn(2, -1, &ignored);
        watchers_turn(now_ns());
        users_turn(now_ns());
        bool given = users_finish();
        if (!stopped && writers_stop()) {
            stopped = true;
            run.last = writers_last() > run.court.history.last ? writers_last() : run.court.history.last;
        }
        came = stopped && watchers_finish(run.last) && given;
    }
    return say_end(came);
}

/* ---- options ---- */

static void parse_replicas(char *text)
{
    for (char *one; (one = strsep(&text, ",")) && run.writers.n_replicas < REPLICAS_MAX;)
        run.replicas[run.writers.n_replicas++] = atoi(one);
    run.writers.replicas = run.watchers.replicas = run.replicas;
    run.watchers.n_replicas = run.users.n_replicas = run.writers.n_replicas;
    run.users.replicas = run.replicas;
}

static void parse(int argc, char **argv)
{
    enum { SOURCE, REPLICAS, RATE, WATCHERS, SEED, VALUE, KEYS, INFLIGHT, COMPACT, BEHIND, TROUBLE, OLD, RIGHTS, LATE };
    static const struct option options[] = {{"source", 1, NULL, SOURCE},
                                            {"replicas", 1, NULL, REPLICAS},
                                            {"rate", 1, NULL, RATE},
                                            {"watchers", 1, NULL, WATCHERS},
                                            {"seed", 1, NULL, SEED},
                                            {"value", 1, NULL, VALUE},
                                            {"keys", 1, NULL, KEYS},
                                            {"inflight", 1, NULL, INFLIGHT},
                                            {"compact-ms", 1, NULL, COMPACT},
                                            {"compact-behind", 1, NULL, BEHIND},
                                            {"trouble-ms", 1, NULL, TROUBLE},
                                            {"old-etcd", 0, NULL, OLD},
                                            {"rights-ms", 1, NULL, RIGHTS},
                                            {"late-ms", 1, NULL, LATE},
                                            {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        int64_t n = optarg && c != REPLICAS ? strtoll(optarg, NULL, 10) : 0;
        switch (c) {
        case SOURCE:
            run.writers.source = run.watchers.source = run.users.source = (int)n;
            break;
        case REPLICAS:
            parse_replicas(optarg);
            break;
        case RATE:
            run.writers.rate = (double)n;
            break;
        case WATCHERS:
            run.watchers.n = (size_t)n;
            break;
        case SEED:
            run.writers.seed = run.watchers.seed = run.users.seed = (uint64_t)n;
            break;
        case VALUE:
            run.writers.value_bytes = (size_t)n;
            break;
        case KEYS:
            run.writers.keys = (uint64_t)n;
            break;
        case INFLIGHT:
            run.writers.inflight = (size_t)n;
            break;
        case COMPACT:
            run.writers.compact_ms = n;
            break;
        case BEHIND:
            run.writers.compact_behind = n;
            break;
        case TROUBLE:
            run.watchers.trouble_ms = n;
            break;
        case OLD:
            run.court.deletes_may_be_lost = true;
            break;
        case RIGHTS:
            run.users.on = true;
            run.users.change_ms = n;
            break;
        case LATE:
            run.users.late_ms = n;
            break;
        default:
            die("see the head of busy.c for the options");
        }
    }
    if (!run.writers.source || !run.writers.n_replicas)
        die("expected --source PORT --replicas PORT,…");
}

int main(int argc, char **argv)
{
    bool command = false;
    court_init(&run.court);
    parse(argc, argv);
    run.begun_ns = now_ns();
    users_start(&run.users, &run.court);
    watchers_start(&run.watchers, &run.court);
    writers_start(&run.writers, &run.court);
    for (;;) {
        links_turn(2, STDIN_FILENO, &command);
        if (command && read_command())
            return finish();
        watchers_turn(now_ns());
        writers_turn(now_ns());
        users_turn(now_ns());
    }
}
