/* tenure cache: the last known copy of keys on disk, and who leads. */
#include <stdio.h>
#include <string.h>

#include "cli/cache.h"
#include "cli/cache_file.h"
#include "cli/commands.h"

static struct cache_flags opt = {.max_stale_ms = -1, .check_ms = 1000, .keys_max = 100000};

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"file", 0, OPTION_STRING, "FILE", "the copy (default: cache, in the user's state folder)", &opt.file},
        {"max-staleness", 0, OPTION_DURATION, "TIME", "get, list, leader: refuse what may be older (exit code 3)",
         &opt.max_stale_ms},
        {"ask", 0, OPTION_FLAG, NULL, "get, list, leader: instead ask the servers, also when there is no copy",
         &opt.ask},
        {"follow", 0, OPTION_FLAG, NULL, "leader: go on with a line each time when it changes", &opt.follow},
        {"check", 0, OPTION_DURATION, "TIME", "run: prove so often that the copy is current (default 1s)",
         &opt.check_ms},
        {"keys-max", 0, OPTION_INT, "N", "run: end rather than hold more keys of a prefix (default 100000)",
         &opt.keys_max},
        {"once", 0, OPTION_FLAG, NULL, "run: write the copy, and end", &opt.once},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

static int wrong(const char *what)
{
    fprintf(stderr, "tenure cache: %s\ntry: tenure cache --help\n", what);
    return EXIT_USAGE;
}

static int run_action(const struct global_options *g, int argc, char **argv)
{
    if (argc < 1 || argc > CACHE_PREFIXES_MAX)
        return wrong("expected run PREFIX..., 32 of them at most ('' is all keys)");
    for (int i = 0; i < argc; i++)
        for (int k = 0; k < argc; k++)
            if (k != i && strncmp(argv[k], argv[i], strlen(argv[i])) == 0)
                return wrong("one of the prefixes has another one within it");
    if (opt.check_ms < 50 || opt.keys_max < 1)
        return wrong("--check is 50ms at least, --keys-max 1");
    return cache_run(g, &opt, argc, argv);
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    const char *action = argc > 0 ? argv[0] : "";
    (void)self;
    if (opt.follow && (strcmp(action, "leader") != 0 || opt.file))
        return wrong("--follow belongs to leader, without --file");
    if (strcmp(action, "run") == 0)
        return run_action(g, argc - 1, argv + 1);
    if (strcmp(action, "get") == 0 && argc == 2 && argv[1][0])
        return cache_get(g, &opt, argv[1]);
    if (strcmp(action, "list") == 0 && argc <= 2)
        return cache_list(g, &opt, argc > 1 ? argv[1] : "");
    if (strcmp(action, "leader") == 0 && argc <= 2)
        return cache_leader(g, &opt, argc > 1 ? argv[1] : NULL);
    return wrong("expected run PREFIX..., get KEY, list [PREFIX] or leader [NAME]");
}

const struct command command_cache = {
    .name = "cache",
    .group = "Keys and values",
    .summary = "a last known copy of keys on disk, read without a server; who leads",
    .synopsis = "run PREFIX... [--file FILE] | get KEY | list [PREFIX] | leader [NAME]",
    .description =
        "run keeps a copy of all keys that begin with the prefixes in FILE, until it is stopped: of one revision a prefix, replaced\n"
        "as a whole when something has changed, on one watch each, over lost connections and compactions. The servers are\n"
        "asked each --check whether it is current, and FILE says as of when it is. What nobody may read but you is in it: its mode\n"
        "is 0600. One process keeps it at a time.\n"
        "\n"
        "get prints a value, list keys and values, from FILE, without a server. In JSON stale_ms says how old it may be: everything\n"
        "that was acknowledged before is in it, whichever server did. Of a copy from before the last boot that is by the wall clock.\n"
        "A key that is not there is exit code 1.\n"
        "\n"
        "leader prints who leads the election NAME, without NAME all elections: asks the servers, or, with --file, reads the copy, of\n"
        "which /election/ has to be a prefix. Nobody leads is exit code 1.",
    .examples = "tenure cache run /config/ /services/ --file /run/app/copy\n"
                "tenure cache get /config/limit --file /run/app/copy --max-staleness 30s\n"
                "tenure cache get /config/limit --file /run/app/copy --max-staleness 1s --ask\n"
                "tenure cache run /config/ --once\n"
                "tenure cache list /config/ -o json\n"
                "tenure cache leader scheduler\n"
                "tenure cache leader --follow",
    .exits = "1  get: no such key; leader: nobody leads\n"
             "3  the copy is older than --max-staleness",
    .options = options,
    .run = run,
};
