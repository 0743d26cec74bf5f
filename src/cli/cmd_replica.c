/* tenure replica: a copy of another server that answers reads and watches. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/replica.h"

static struct replica_options opt;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"from", 0, OPTION_STRING, "URLS", "the source: etcd, `tenure serve`, or another replica (else --endpoints)",
         &opt.from},
        {"data-dir", 0, OPTION_STRING, "DIR", "where the copy is kept", &opt.data_dir},
        {"listen", 0, OPTION_STRING, "URLS", "addresses to serve on (default http://127.0.0.1:2379)", &opt.listen},
        {"advertise", 0, OPTION_STRING, "URLS", "what the member list names (default: those)", &opt.advertise},
        {"name", 0, OPTION_STRING, "NAME", "in the member list (default replica)", &opt.name},
        {"prefix", 0, OPTION_LIST, "PREFIX", "only keys that begin with it; may be given several times", &opt.prefixes},
        {"others", 0, OPTION_STRING, "WHAT",
         "refuse reads of keys that are not held (default), or forward them to the source", &opt.others},
        {"max-staleness", 0, OPTION_DURATION, "TIME", "a copy that may be older answers no serializable read by itself",
         &opt.staleness_ms},
        {"when-stale", 0, OPTION_STRING, "WHAT", "refuse such a read (default), or forward it", &opt.when_stale},
        {"listen-cert", 0, OPTION_STRING, "FILE", "certificate for https", &opt.tls_cert},
        {"listen-key", 0, OPTION_STRING, "FILE", "its key", &opt.tls_key},
        {"listen-client-ca", 0, OPTION_STRING, "FILE", "clients must have a certificate that this one has signed",
         &opt.tls_client_ca},
        {"auth-token", 0, OPTION_STRING, "KIND",
         "jwt with its options, as of serve: how the source's signed tokens are verified", &opt.auth_token},
        {"insecure-listen-anywhere", 0, OPTION_FLAG, NULL, "addresses that others reach, with anyone let in",
         &opt.listen_anywhere},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

static bool is_known(const char *what)
{
    return !what || strcmp(what, "refuse") == 0 || strcmp(what, "forward") == 0;
}

/* NULL, or what is wrong. */
static const char *wrong(void)
{
    struct replica_prefixes prefixes;
    const char *why = replica_prefixes(&opt.prefixes, &prefixes);
    if (why)
        return why;
    if (!opt.data_dir)
        return "expected --data-dir DIR";
    if (!is_known(opt.when_stale))
        return "--when-stale: expected refuse or forward";
    if (!is_known(opt.others))
        return "--others: expected refuse or forward";
    if (opt.others && !opt.prefixes.n)
        return "--others goes with --prefix";
    return opt.when_stale && !opt.staleness_ms ? "--when-stale goes with --max-staleness" : NULL;
}

static int usage(const char *why)
{
    fprintf(stderr, "tenure replica: %s\ntry: tenure replica --help\n", why);
    return EXIT_USAGE;
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    struct global_options source = *g;
    (void)self;
    if (argc == 1 && strcmp(argv[0], "verify") == 0)
        return opt.from ? replica_verify(&opt, g) : usage("verify: expected --from URLS, the source");
    if (argc == 1 && strcmp(argv[0], "status") == 0)
        return replica_status(g);
    const char *why = argc > 0 ? "expected verify, status or nothing" : wrong();
    if (why)
        return usage(why);
    if (opt.from)
        source.endpoints = opt.from;
    if (!opt.listen)
        opt.listen = "http://127.0.0.1:2379";
    return replica_run(&opt, &source);
}

const struct command command_replica = {
    .name = "replica",
    .group = "Servers",
    .summary = "a copy of a server near its readers, that keeps revisions",
    .synopsis = "--from URLS --data-dir DIR [--prefix PREFIX] [OPTIONS] | verify --from URLS | status",
    .description =
        "Copies what the source has, etcd of any version from 3.4, `tenure serve` or another replica, into a data directory\n"
        "and follows it: every revision keeps its number, with its versions and leases; compactions follow within a second.\n"
        "Restarted it goes on from its directory. Every etcd client can talk to it: ranges, watches from any revision kept,\n"
        "snapshots and HashKV are answered from the copy; writes, leases, locks and elections are sent on to the source,\n"
        "whose answer is the answer.\n\n"
        "A serializable read is answered at once, with how old the copy is at most, in milliseconds, as metadata\n"
        "tenure-staleness (-1: not known). Others first ask the source for its revision and wait until the copy has that.\n"
        "Cut from the source it goes on answering serializable reads and watches; the others fail, and nothing was done.\n\n"
        "When the source has compacted what the copy lacks, a new copy is made while the old one answers, and takes its\n"
        "place: what was before the source's compaction is compacted here too. A source that was restored from an older\n"
        "state, or is another cluster, is refused: the replica ends with exit code 1.\n\n"
        "With --prefix it holds these keys alone, at the source's revisions. Reads and watches of others are refused with a word\n"
        "that names what is held; --others forward sends the reads on. Such a copy has no history from before it began, and\n"
        "neither HashKV nor snapshots; verify compares its keys. Its directory is bound to its prefixes.\n\n"
        "verify compares HashKV at one revision of the source with the replicas at --endpoints. status says how far they\n"
        "are, and how old.\n\n"
        "Of a source that has authentication on --user (or --cert) names one with the role root; then everybody reads here\n"
        "what he may read there, with a token of the source's that he gets here, and a change of users or roles counts within\n"
        "two seconds (etcd 3.4: ten). Without a user such a source is refused; who may reach the replica is decided by its\n"
        "addresses and certificates.",
    .examples = "tenure replica --from http://10.0.0.1:2379,http://10.0.0.2:2379 --data-dir /var/lib/tenure-replica\n"
                "tenure replica --from http://10.0.0.1:2379 --data-dir /var/lib/part --prefix /services/\n"
                "tenure get --prefix /services/ --endpoints http://127.0.0.1:2379\n"
                "tenure replica verify --from http://10.0.0.1:2379 --endpoints http://127.0.0.1:2379",
    .exits = "1  the source has another history; verify: they differ",
    .options = options,
    .run = run,
};
