/* tenure cron: runs a command on a schedule, once over all machines that do; shows what was run. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/cron.h"
#include "cli/page.h"

#define TTL_MAX_S 9000000

static struct {
    int64_t ttl_s, grace_ms, timeout_ms, late_ms, history;
    const char *missed, *utc_offset;
    bool at_most_once, overlap, once;
} opt = {.ttl_s = 30, .grace_ms = -1, .timeout_ms = -1, .late_ms = 60000, .history = 10, .missed = "skip"};

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"utc-offset", 0, OPTION_STRING, "OFFSET", "of the five fields, such as +02:00 (default UTC)", &opt.utc_offset},
        {"missed", 0, OPTION_STRING, "RULE", "what could not begin in time: skip (default), or once, the newest of it",
         &opt.missed},
        {"late", 0, OPTION_DURATION, "TIME", "what begins later than this behind its time was missed (default 60s)",
         &opt.late_ms},
        {"at-most-once", 0, OPTION_FLAG, NULL, "a run whose machine died is not run again", &opt.at_most_once},
        {"overlap", 0, OPTION_FLAG, NULL, "a run may begin while another member still runs", &opt.overlap},
        {"history", 0, OPTION_INT, "N", "so many runs are remembered (default 10)", &opt.history},
        {"once", 0, OPTION_FLAG, NULL, "end behind the first run, with its exit code", &opt.once},
        {"timeout", 0, OPTION_DURATION, "TIME", "end when there was nothing to run for so long (default: never)",
         &opt.timeout_ms},
        {"ttl", 0, OPTION_SECONDS, "TIME",
         "others may run it again this long after tenure was last heard of (default 30s)", &opt.ttl_s},
        {"grace", 0, OPTION_DURATION, "TIME",
         "from TERM to KILL when it is lost (default: a quarter of the TTL, at most 5s)", &opt.grace_ms},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

static int wrong(const char *what)
{
    fprintf(stderr, "tenure cron: %s\ntry: tenure cron --help\n", what);
    return EXIT_LOCK_FAILED;
}

static int start(const struct global_options *g, const char *name, const char *schedule, char **argv)
{
    struct tenure_error err = {0};
    int64_t at;
    bool once = strcmp(opt.missed, "once") == 0;
    if (!name[0] || strchr(name, '/'))
        return wrong("expected a NAME without a slash");
    if (tenure_cron_next(schedule, opt.utc_offset, 0, &at, &err) < 0)
        return wrong(err.text);
    if (!once && strcmp(opt.missed, "skip") != 0)
        return wrong("option --missed: expected skip or once");
    if (opt.ttl_s < 2 || opt.ttl_s > TTL_MAX_S)
        return wrong("option --ttl: expected 2s to 9000000s");
    if (opt.grace_ms * 2 > opt.ttl_s * 1000)
        return wrong("option --grace: expected at most half of the TTL");
    if (opt.history < 1 || opt.history > 100000)
        return wrong("option --history: expected 1 to 100000");
    struct cron_run_options o = {
        .cron = {.size = sizeof o.cron,
                 .schedule = schedule,
                 .utc_offset = opt.utc_offset,
                 .missed = once ? TENURE_CRON_RUN_ONCE : TENURE_CRON_SKIP,
                 .late_ms = opt.late_ms > 0 ? opt.late_ms : 1,
                 .at_most_once = opt.at_most_once,
                 .overlap = opt.overlap,
                 .history = opt.history},
        .name = name,
        .argv = argv,
        .ttl_s = opt.ttl_s,
        .grace_ms = opt.grace_ms < 0 ? page_grace_ms(opt.ttl_s) : opt.grace_ms,
        .timeout_ms = opt.timeout_ms,
        .once = opt.once,
    };
    return cron_run_job(g, &o);
}

static bool is_action(const char *word)
{
    return strcmp(word, "list") == 0 || strcmp(word, "status") == 0 || strcmp(word, "next") == 0;
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    (void)self;
    if (argc == 1 && strcmp(argv[0], "list") == 0)
        return cron_show_all(g);
    if (argc == 2 && strcmp(argv[0], "status") == 0)
        return cron_show_runs(g, argv[1]);
    if (argc == 2 && strcmp(argv[0], "next") == 0)
        return cron_show_next(g, argv[1], opt.utc_offset);
    if (argc > 0 && is_action(argv[0]))
        return wrong("list takes no words, status a NAME and next a SCHEDULE in quotes; a job cannot be named so");
    if (argc < 3)
        return wrong("expected NAME SCHEDULE COMMAND [ARGUMENT...], list, status NAME or next SCHEDULE");
    return start(g, argv[0], argv[1], argv + 2);
}

const struct command command_cron = {
    .name = "cron",
    .group = "Locks and elections",
    .summary = "run a command on a schedule, once over all machines",
    .synopsis = "[OPTIONS] NAME SCHEDULE [--] COMMAND [ARGUMENT...] | list | status NAME | next SCHEDULE",
    .description =
        "Start it with the same NAME, SCHEDULE and COMMAND on as many machines as you like: it stays in the foreground, and each\n"
        "time that the schedule means, exactly one of them runs COMMAND. Nobody leads: who says first that it is time runs\n"
        "it. SCHEDULE is \"minute hour day month weekday\" as in crontab(5), in UTC or at --utc-offset, \"@every 90s\" (s, m, h,\n"
        "d), @hourly, @daily, @weekly, @monthly or @yearly.\n"
        "\n"
        "A run whose machine dies, is cut off, or is stopped for longer than the TTL is run again by another one, as long as\n"
        "no later time has been run: COMMAND may have been at work already, so it runs at least once. With --at-most-once it\n"
        "is not run again. A command that fails has been run: its exit code is remembered and said, nothing is repeated.\n"
        "While one runs no other begins, unless all are given --overlap: of what comes due meanwhile the newest begins when it\n"
        "has ended. What could not begin within --late (nobody was there, or the one before took too long) is skipped, or,\n"
        "with --missed once, the newest of it is run. The first time that a NAME is run nothing has been missed.\n"
        "\n"
        "COMMAND finds the fencing token in TENURE_TOKEN, a number that grows from run to run, and in TENURE_TIME the time that\n"
        "it is run for, as 2026-11-28T02:00:00Z; in TENURE_ATTEMPT which attempt at it this is; in TENURE_LATE 1 where that was\n"
        "missed; and TENURE_NAME, TENURE_KEY and TENURE_LEASE. It reads nothing; its output is tenure's. It runs under a guardian\n"
        "as that of `tenure lock` does: it has ended before somebody else may run it again.\n"
        "\n"
        "INT, TERM, HUP or QUIT: no other run begins, and tenure ends when COMMAND has; a second signal is passed on to\n"
        "COMMAND. USR1 and USR2 are passed on to it.\n"
        "\n"
        "list shows each job's last run, status NAME its last runs, the newest first: done, failed (with the exit code),\n"
        "running, or died. next prints the next five times of a schedule.",
    .examples = "tenure cron backup '30 2 * * *' --utc-offset +01:00 -- ./backup.sh\n"
                "tenure cron clean-up '@every 90s' -- ./clean-up.sh\n"
                "tenure cron report @daily --missed once --at-most-once -- ./report.sh\n"
                "tenure cron list\n"
                "tenure cron status backup -o json\n"
                "tenure cron next '*/5 8-17 * * mon-fri'",
    .exits = "0  told to end\n"
             "121  --once: lost, the command was ended\n"
             "124  --once: there was nothing to run within --timeout\n"
             "125  tenure's own failure: usage, no server\n"
             "N  --once: the command's own; 126 it cannot be executed, 127 there is none, 128+N it died of signal N",
    .options = options,
    .run = run,
    .starts_server = true,
    .stop_at_words = 2,
};
