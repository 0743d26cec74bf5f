/* tenure migrate --seal: what is done to the old data directory before its data serves elsewhere. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/seal.h"

static struct {
    const char *seal, *successor;
} opt;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"seal", 0, OPTION_STRING, "DIR", "a data directory whose server does not run", &opt.seal},
        {"successor", 0, OPTION_STRING, "URLS", "who serves its data from now on", &opt.successor},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    struct tenure_error err = {0};
    (void)argv;
    if (argc > 0 || !opt.seal || !opt.successor) {
        fprintf(stderr, "tenure migrate: expected --seal DIR --successor URLS\ntry: tenure migrate --help\n");
        return EXIT_USAGE;
    }
    if (seal_directory(opt.seal, opt.successor, &err) < 0)
        return connect_failed(self->name, g, &err);
    printf("%s is sealed: `tenure serve` refuses it and names %s\n", opt.seal, opt.successor);
    return EXIT_OK;
}

const struct command command_migrate = {
    .name = "migrate",
    .group = "Servers",
    .summary = "seal a data directory before its data serves elsewhere",
    .synopsis = "--seal DIR --successor URLS",
    .description =
        "A sealed directory is refused by `tenure serve`, for good, with the successor's name: so two servers never give\n"
        "out the same revisions, and with them fencing tokens. Stop the server first. What is in it can still be read by\n"
        "`tenure snapshot save --data-dir`.\n\n"
        "To move: stop the server; seal; `tenure snapshot save --data-dir DIR FILE`; restore FILE elsewhere with its\n"
        "revisions kept (`etcdutl snapshot restore`, or `tenure snapshot restore --keep-revisions`); start that one.",
    .examples = "tenure migrate --seal /var/lib/tenure --successor https://10.0.0.1:2379,https://10.0.0.2:2379",
    .options = options,
    .run = run,
};
