/* tenure rwlock: holds a read-write lock, or runs a command under it. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/lock_list.h"
#include "cli/run.h"
#include "cli/run_options.h"

static struct run_flags opt = {.ttl_s = 30, .timeout_ms = -1, .grace_ms = -1};
static bool reads, writes, list;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"read", 'r', OPTION_FLAG, NULL, "together with other readers", &reads},
        {"write", 'w', OPTION_FLAG, NULL, "alone", &writes},
        RUN_LOCK_OPTIONS(opt),
        {"list", 0, OPTION_FLAG, NULL, "show who holds it and who waits, and take no part", &list},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    struct run_options o = {.command = self->name, .g = g};
    char purpose[RUN_PURPOSE_MAX];
    if (list && argc == 1 && !reads && !writes)
        return lock_list_print(g, &(struct lock_list_of){self->name, argv[0], opt.whole_key, opt.region});
    if (list || reads == writes) {
        fprintf(stderr, "tenure rwlock: expected %s\ntry: tenure rwlock --help\n",
                list ? "one NAME behind --list, and nothing else" : "either --read or --write");
        return EXIT_LOCK_FAILED;
    }
    if (!run_options_fill(&o, &opt, argc, argv))
        return EXIT_LOCK_FAILED;
    o.claim.share = reads ? CLAIM_READ : CLAIM_WRITE;
    if (!opt.purpose && o.argv)
        o.claim.purpose = run_purpose(o.argv, purpose);
    return run_claimed(&o);
}

const struct command command_rwlock = {
    .name = "rwlock",
    .group = "Locks and elections",
    .summary = "run a command while reading or writing, many readers or one writer",
    .synopsis = "--read|--write [OPTIONS] NAME [--] [COMMAND [ARGUMENT...]]",
    .description =
        "Readers hold together, a writer alone, in one queue, first come, first served. `tenure lock NAME` and etcdctl's are\n"
        "writers in it. A reader cannot become a writer.\n"
        "\n"
        "All else is as with `tenure lock`: the token in TENURE_TOKEN, the process group, the signals, the terminal, and how\n"
        "COMMAND is ended before somebody else may hold it. Readers that hold together have different tokens: what refuses\n"
        "smaller tokens must remember those of writers only.",
    .examples = "tenure rwlock --read catalogue -- ./export.sh\n"
                "tenure rwlock --write catalogue --timeout 1m -- ./rebuild.sh\n"
                "tenure rwlock --list catalogue",
    .exits = RUN_EXITS,
    .options = options,
    .run = run,
    .starts_server = true,
    .stop_at_words = 1,
};
