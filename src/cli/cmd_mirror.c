/* tenure mirror: prefixes of one cluster copied into others. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/mirror.h"
#include "mirror/carrier.h"

static struct mirror_options opt;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"from", 0, OPTION_STRING, "URLS", "the cluster that is copied", &opt.from},
        {"to", 0, OPTION_LIST, "URLS", "the cluster that it is copied to; may be given several times", &opt.to},
        {"prefix", 0, OPTION_LIST, "PREFIX", "keys that begin with it; may be given several times", &opt.prefixes},
        {"to-prefix", 0, OPTION_STRING, "PREFIX", "begin with that one at the destination (default: the same)",
         &opt.to_prefix},
        {"name", 0, OPTION_STRING, "NAME", "of this mirror, under which its progress is kept (default mirror)",
         &opt.name},
        {"from-user", 0, OPTION_STRING, "NAME[:PASSWORD]", "who reads there (default: --user, the credential file)",
         &opt.from_user},
        {"to-user", 0, OPTION_STRING, "NAME[:PASSWORD]", "who writes there (the same)", &opt.to_user},
        {"from-context", 0, OPTION_STRING, "NAME", "instead of --from: servers and user of that context",
         &opt.from_context},
        {"to-context", 0, OPTION_LIST, "NAME", "instead of --to", &opt.to_context},
        {"replace", 0, OPTION_FLAG, NULL, "delete what the destination has there and did not come from this mirror",
         &opt.replace},
        {"once", 0, OPTION_FLAG, NULL, "end when all is as it was at the source when it began", &opt.once},
        {"timeout", 0, OPTION_DURATION, "TIME", "with --once: end after that long, with exit code 3", &opt.timeout_ms},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

static bool overlap(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    return strncmp(a, b, na < nb ? na : nb) == 0;
}

/* NULL, or what is wrong. */
static const char *wrong_prefixes(void)
{
    if (opt.prefixes.n == 0 || opt.prefixes.n > MIRROR_PREFIXES_MAX)
        return "expected --prefix, 1 to 16 times";
    if (opt.to_prefix && opt.prefixes.n > 1)
        return "--to-prefix goes with one --prefix";
    const char *why = opt.to_prefix ? carrier_prefix_is_bad(bytes_str(opt.to_prefix)) : NULL;
    for (size_t i = 0; i < opt.prefixes.n && !why; i++) {
        why = carrier_prefix_is_bad(bytes_str(opt.prefixes.values[i]));
        for (size_t j = 0; j < i && !why; j++)
            if (overlap(opt.prefixes.values[i], opt.prefixes.values[j]))
                why = "one --prefix lies within another";
    }
    return why;
}

static const char *wrong(void)
{
    size_t n = opt.to.n + opt.to_context.n;
    if (!opt.from == !opt.from_context)
        return "expected --from URLS or --from-context NAME, the cluster to copy";
    if (n == 0 || n > MIRROR_DESTINATIONS_MAX)
        return "expected --to URLS or --to-context NAME, 1 to 16 times: where to copy it";
    if (!carrier_name_is_good(bytes_str(opt.name)))
        return "--name: expected letters, digits, '.', '_', '-', at most 63";
    if (opt.timeout_ms && !opt.once)
        return "--timeout goes with --once";
    return wrong_prefixes();
}

static int usage(const char *why)
{
    fprintf(stderr, "tenure mirror: %s\ntry: tenure mirror --help\n", why);
    return EXIT_USAGE;
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    (void)self;
    if (argc == 1 && strcmp(argv[0], "status") == 0)
        return opt.to.n + opt.to_context.n > 1 ? usage("status: of one cluster at a time") : mirror_status(&opt, g);
    if (!opt.name)
        opt.name = "mirror";
    const char *why = argc > 0 ? "expected status or nothing" : wrong();
    return why ? usage(why) : mirror_run(&opt, g);
}

const struct command command_mirror = {
    .name = "mirror",
    .group = "Servers",
    .summary = "prefixes of one cluster copied into others, continuously",
    .synopsis = "--from URLS --to URLS --prefix PREFIX [OPTIONS] | status [--to URLS] [--name NAME]",
    .description =
        "Copies what lies below each PREFIX at the source, etcd of any version from 3.4 or `tenure serve`, to every destination,\n"
        "and then each change, until it is told to end. A revision of the source is one transaction there, in parts only when it\n"
        "has more than 127 operations; small ones that follow each other go together. Deletes are kept, whatever was down when.\n\n"
        "How far it is stands in a record in the destination, /federation/mirrors/NAME/PREFIX, which every transaction\n"
        "compares and writes. Run again it goes on from there, also in the middle of the first copy; what the source has\n"
        "compacted meanwhile is found by an exact comparison. A second mirror of the same NAME takes over: the first one writes\n"
        "nothing more, and ends with exit code 1. Destinations go on each at its own pace.\n\n"
        "Keys with a lease get one of the mirror's own, of the same TTL, which it keeps alive: they go when the lease ends\n"
        "at the source, and run out when the mirror is down for longer than that.\n\n"
        "Refused, with exit code 1: a destination that has keys there already (--replace deletes them); a prefix that the source\n"
        "itself holds as a copy, so that there are no loops; one that another mirror copies to; a source that is another\n"
        "cluster than was copied, or was restored from an older state (--replace begins anew). Where regions say which is a\n"
        "prefix's home, only that one is copied; the mirror waits until its source is the home.\n\n"
        "status shows the mirrors that copy to a cluster: revision, how many revisions of the source it may be behind, how\n"
        "old the copy was at most, what was copied, and what went wrong last.",
    .examples = "tenure mirror --from http://10.0.0.1:2379 --to http://10.0.0.2:2379 --prefix /config/ --name eu-us\n"
                "tenure mirror --from http://10.0.0.1:2379 --to http://10.0.0.2:2379 --prefix /config/ --once\n"
                "tenure mirror status --to http://10.0.0.2:2379",
    .exits = "1  it must not be copied, or another mirror of that name has taken over\n"
             "3  --once: not done within --timeout; without one, nothing went forward for a minute",
    .no_servers = true,
    .options = options,
    .run = run,
};
