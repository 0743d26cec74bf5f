/* tenure migrate: a server's data into a new directory while it serves; and --seal, for one that does not. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/migrate.h"
#include "cli/seal.h"

static struct {
    const char *seal, *successor;
    struct migrate_options m;
} opt;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"data-dir", 0, OPTION_STRING, "DIR", "the new directory, or that of a run before, which goes on",
         &opt.m.data_dir},
        {"until-in-step", 0, OPTION_FLAG, NULL, "end as soon as nothing is missing; not finished yet",
         &opt.m.until_in_step},
        {"close-source", 0, OPTION_FLAG, NULL, "when in step: let the source take no more writes, verify, finish",
         &opt.m.close_source},
        {"writers-stopped", 0, OPTION_FLAG, NULL,
         "the same where you have stopped all writers: the source stays as it is", &opt.m.writers_stopped},
        {"timeout", 0, OPTION_DURATION, "TIME", "give up after so long (exit code 4)", &opt.m.timeout_ms},
        {"name", 0, OPTION_STRING, "NAME", "of the new member (default)", &opt.m.name},
        {"seal", 0, OPTION_STRING, "DIR", "a data directory whose server does not run", &opt.seal},
        {"successor", 0, OPTION_STRING, "URLS", "who serves its data from now on", &opt.successor},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

/* NULL, or what does not go together. */
static const char *wrong(void)
{
    int ends = opt.m.until_in_step + opt.m.close_source + opt.m.writers_stopped;
    if ((opt.seal != NULL) != (opt.successor != NULL) || (!opt.seal && !opt.m.data_dir))
        return "expected --data-dir DIR, or --seal DIR --successor URLS";
    if (opt.seal && (opt.m.data_dir || ends || opt.m.timeout_ms || opt.m.name))
        return "--seal goes with --successor alone";
    if (ends > 1)
        return "only one of --until-in-step, --close-source, --writers-stopped";
    return NULL;
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    struct tenure_error err = {0};
    (void)argv;
    const char *why = argc > 0 ? "no words are expected behind the options" : wrong();
    if (why) {
        fprintf(stderr, "tenure migrate: %s\ntry: tenure migrate --help\n", why);
        return EXIT_USAGE;
    }
    if (!opt.seal)
        return migrate_run(&opt.m, g);
    if (seal_directory(opt.seal, opt.successor, &err) < 0)
        return connect_failed(self->name, g, &err);
    printf("%s is sealed: `tenure serve` refuses it and names %s\n", opt.seal, opt.successor);
    return EXIT_OK;
}

const struct command command_migrate = {
    .name = "migrate",
    .group = "Servers",
    .summary = "move a server's data while it serves",
    .synopsis = "--data-dir DIR [OPTIONS] | --seal DIR --successor URLS",
    .description =
        "Copies what the servers at --endpoints have, etcd of any version from 3.4 or `tenure serve`, into a new data\n"
        "directory for `tenure serve`, and follows them: every revision keeps its number, with its versions and leases.\n"
        "It says when it is in step and goes on until it is stopped (exit code 0) or finishes. Run again it goes on\n"
        "where it was, however it ended. Until it has finished, `tenure serve` refuses the directory. With authentication on\n"
        "the user needs the role root.\n\n"
        "--close-source finishes: when in step it raises etcd's alarm CORRUPT at the source, by which all that writes is\n"
        "refused there, durably, while reads go on; takes what is left; compares HashKV, leases and users of both sides;\n"
        "and lets the directory go. Where that fails the alarm is disarmed again. Then stop the source and start\n"
        "`tenure serve` on the directory, where every lease gets its full time. --writers-stopped leaves the source alone\n"
        "and finishes when it has had no new revision for two seconds.\n\n"
        "--seal: a sealed directory is refused by `tenure serve`, for good, with the successor's name: so two servers never\n"
        "give out the same revisions, and with them fencing tokens. Stop the server first. What is in it can still be\n"
        "read by `tenure snapshot save --data-dir`.",
    .examples = "tenure migrate --endpoints http://10.0.0.1:2379 --data-dir /var/lib/tenure\n"
                "tenure migrate --endpoints http://10.0.0.1:2379 --data-dir /var/lib/tenure --close-source\n"
                "tenure migrate --seal /var/lib/tenure --successor https://10.0.0.1:2379,https://10.0.0.2:2379",
    .exits = "4  stopped, or --timeout passed, before the end that was asked for: run it again",
    .options = options,
    .run = run,
};
