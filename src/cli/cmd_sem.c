/* tenure sem: holds permits of a semaphore, or runs a command under them. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/lock_list.h"
#include "cli/run.h"
#include "cli/run_options.h"

static struct run_flags opt = {.ttl_s = 30, .timeout_ms = -1, .grace_ms = -1};
static int64_t limit, weight = 1;
static bool list;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"limit", 'n', OPTION_INT, "N", "how much may be held together", &limit},
        {"weight", 0, OPTION_INT, "N", "how much of it this one takes (default 1)", &weight},
        RUN_LOCK_OPTIONS(opt),
        {"list", 0, OPTION_FLAG, NULL, "show who holds it and who waits, and take no part", &list},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

static int wrong(const char *what)
{
    fprintf(stderr, "tenure sem: expected %s\ntry: tenure sem --help\n", what);
    return EXIT_LOCK_FAILED;
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    struct run_options o = {.command = self->name, .g = g};
    char purpose[RUN_PURPOSE_MAX];
    if (list && argc == 1)
        return lock_list_print(g, &(struct lock_list_of){self->name, argv[0], opt.whole_key, opt.region});
    if (list)
        return wrong("one NAME behind --list, and no command");
    if (limit < 1 || limit > TENURE_SEMAPHORE_LIMIT_MAX)
        return wrong("--limit N, from 1 to 1000000000");
    if (weight < 1 || weight > limit)
        return wrong("--weight N, from 1 to the limit");
    if (!run_options_fill(&o, &opt, argc, argv))
        return EXIT_LOCK_FAILED;
    o.claim.share = CLAIM_PERMIT;
    o.claim.weight = weight;
    o.claim.limit = limit;
    if (!opt.purpose && o.argv)
        o.claim.purpose = run_purpose(o.argv, purpose);
    return run_claimed(&o);
}

const struct command command_sem = {
    .name = "sem",
    .group = "Locks and elections",
    .summary = "run a command while holding one of N permits",
    .synopsis = "--limit N [OPTIONS] NAME [--] [COMMAND [ARGUMENT...]]",
    .description =
        "At most N commands run together, or fewer when some have a greater --weight; who waits is served first come, first\n"
        "served, and big ones are not overtaken. Each states the limit, and the smallest that is stated counts for it, so\n"
        "a limit is changed by programs that come with another one. `tenure lock NAME` takes the whole.\n"
        "\n"
        "All else is as with `tenure lock`: the token in TENURE_TOKEN, the process group, the signals, the terminal, and how\n"
        "COMMAND is ended before its permit can be somebody else's.",
    .examples = "tenure sem --limit 3 transcode -- ./transcode.sh film.mkv\n"
                "tenure sem --limit 8 --weight 4 --timeout 10m build -- make -j4\n"
                "tenure sem --list transcode",
    .exits = RUN_EXITS,
    .options = options,
    .run = run,
    .starts_server = true,
    .stop_at_words = 1,
};
