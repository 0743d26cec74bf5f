/* tenure elect: leads, or runs a command while leading, or follows who leads. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/lock_list.h"
#include "cli/observe.h"
#include "cli/run.h"
#include "cli/run_options.h"

static struct run_flags opt = {.ttl_s = 10, .timeout_ms = -1, .grace_ms = -1};
static const char *value;
static int64_t preference;
static bool observing, once, list;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"ttl", 0, OPTION_SECONDS, "TIME", "another may lead this long after tenure was last heard of (default 10s)",
         &opt.ttl_s},
        {"value", 0, OPTION_STRING, "TEXT", "the proposal, shown to those who observe (default: the host's name)",
         &value},
        {"preference", 0, OPTION_INT, "N",
         "who waits with a greater N leads before; any whole number of 64 bits, 0 is everybody's who says none",
         &preference},
        {"timeout", 0, OPTION_DURATION, "TIME", "campaign no longer than this (default: without end)", &opt.timeout_ms},
        {"purpose", 0, OPTION_STRING, "TEXT", "shown by --list (default: the command)", &opt.purpose},
        {"grace", 0, OPTION_DURATION, "TIME",
         "from TERM to KILL when it is lost (default: a quarter of the TTL, at most 5s)", &opt.grace_ms},
        {"region", 0, OPTION_STRING, "NAME",
         "campaign in that region; home: where the name has its home (tenure help region)", &opt.region},
        {"prefix", 0, OPTION_FLAG, NULL, "NAME is the key as it is, not a name under /election/", &opt.whole_key},
        {"observe", 0, OPTION_FLAG, NULL, "print who leads, as it changes, and take no part", &observing},
        {"list", 0, OPTION_FLAG, NULL, "show who leads and who waits, in order, and take no part", &list},
        {"once", 0, OPTION_FLAG, NULL, "with --observe: print who leads now, and end", &once},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

static int wrong(const char *what)
{
    fprintf(stderr, "tenure elect: %s\ntry: tenure elect --help\n", what);
    return EXIT_LOCK_FAILED;
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    struct run_options o = {.command = self->name, .g = g};
    char purpose[RUN_PURPOSE_MAX];
    if (opt.region && observing)
        return wrong("--region belongs to a candidate or to --list: observe at the region itself, by --endpoints");
    if (list && (argc != 1 || observing || once))
        return wrong("--list takes one NAME and no command");
    if (list)
        return election_list_print(g, &(struct lock_list_of){self->name, argv[0], opt.whole_key, opt.region});
    if (observing && argc != 1)
        return wrong("--observe takes one NAME and no command");
    if (observing)
        return observe(g, argv[0], opt.whole_key, once);
    if (once)
        return wrong("--once belongs to --observe");
    if (!run_options_fill(&o, &opt, argc, argv))
        return EXIT_LOCK_FAILED;
    if (!opt.purpose && o.argv)
        o.claim.purpose = run_purpose(o.argv, purpose);
    o.claim.election = true;
    o.claim.proposal = value;
    o.claim.preference = preference;
    return run_claimed(&o);
}

const struct command command_elect = {
    .name = "elect",
    .group = "Locks and elections",
    .summary = "run a command while leading, or lead, or see who leads",
    .synopsis = "[OPTIONS] NAME [--] [COMMAND [ARGUMENT...]]",
    .description =
        "Campaigns for the leadership NAME, runs COMMAND while it leads, resigns when COMMAND ends and answers its exit code.\n"
        "Programs that use etcd's election recipe stand in the same election (`etcdctl elect /election/NAME`).\n"
        "\n"
        "All else is as with `tenure lock`: the fencing token in TENURE_TOKEN, the process group, the signals, the terminal,\n"
        "and how COMMAND is ended before another can lead.\n"
        "\n"
        "Without COMMAND: prints the key and the token when it leads, and leads until INT, TERM or HUP, or until it is lost.\n"
        "\n"
        "With --observe: prints for each leader a line with its proposal, token and key, until it is stopped.\n"
        "\n"
        "With --preference: when a leadership ends, the candidate with the greatest N leads next, of equals the first that came.\n"
        "One that comes later does not end a leadership. Programs with another recipe count as 0 and let nobody pass.\n"
        "\n"
        "With --list: prints who leads and who waits behind, in the order in which they came.",
    .examples = "tenure elect scheduler --value \"$HOSTNAME\" -- ./scheduler\n"
                "tenure elect scheduler --preference 10 -- ./scheduler\n"
                "tenure elect scheduler --observe\n"
                "tenure elect --list scheduler\n"
                "tenure elect scheduler --observe --once -o json",
    .exits = RUN_EXITS "\n1  --observe --once: nobody leads",
    .options = options,
    .run = run,
    .starts_server = true,
    .stop_at_words = 1,
};
