/* tenure region init|add|remove|list|status|home|promote|hold|sync. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/region.h"

static struct region_options opt;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"distance", 0, OPTION_LIST, "REGION=MS", "add: how far REGION is from there, in milliseconds; may be repeated",
         &opt.distances},
        {"prefix", 0, OPTION_STRING, "PREFIX", "promote: of what it becomes the home", &opt.prefix},
        {"instead-of", 0, OPTION_STRING, "REGION", "promote: of all that has its home there", &opt.instead_of},
        {"save", 0, OPTION_STRING, "FILE",
         "sync: keeps what an old home alone has, with -REGION-epoch-N in the name (default federation.jsonl)",
         &opt.save},
        {"no-wait", 0, OPTION_FLAG, NULL, "promote: what the old home's mirrors have not copied yet is left behind",
         &opt.no_wait},
        {"timeout", 0, OPTION_DURATION, "TIME",
         "promote: wait for those mirrors no longer (default 1m, 0 = without end)", &opt.timeout_ms},
        {"force", 0, OPTION_FLAG, NULL,
         "add: also when it cannot be reached; promote: also when the old home does not answer", &opt.force},
        {"authority", 0, OPTION_FLAG, NULL,
         "home: gives nothing out without its authority, which hold renews in the others", &opt.authority},
        {"no-authority", 0, OPTION_FLAG, NULL, "home: does not want it any more; all regions must answer",
         &opt.no_authority},
        {"ttl", 0, OPTION_SECONDS, "TIME",
         "hold: how long its authority outlives what renews it, 4s to 1h (default 15s)", &opt.ttl_s},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    opt = (struct region_options){.timeout_ms = 60000, .ttl_s = 15};
    return table;
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    const char *what = argc > 0 ? argv[0] : "";
    (void)self;
    if ((argc == 2 || argc == 3) && strcmp(what, "init") == 0)
        return region_init(g, argv[1], argc == 3 ? argv[2] : NULL);
    if (argc == 3 && strcmp(what, "add") == 0)
        return region_add(g, &opt, argv[1], argv[2]);
    if (argc == 2 && strcmp(what, "remove") == 0)
        return region_remove(g, &opt, argv[1]);
    if (argc == 1 && strcmp(what, "list") == 0)
        return region_list(g);
    if (argc == 1 && strcmp(what, "status") == 0)
        return region_status(g);
    if (argc >= 1 && argc <= 3 && strcmp(what, "home") == 0)
        return region_home(g, &opt, argc > 1 ? argv[1] : NULL, argc > 2 ? argv[2] : NULL);
    if (argc == 2 && strcmp(what, "promote") == 0)
        return region_promote(g, &opt, argv[1]);
    if (argc >= 2 && strcmp(what, "hold") == 0)
        return region_hold(g, &opt, (size_t)argc - 1, argv + 1);
    if (argc == 1 && strcmp(what, "sync") == 0)
        return region_sync(g, &opt);
    fprintf(
        stderr,
        "tenure region: expected init NAME [URLS], add NAME URLS, remove NAME, list, status, sync, promote NAME, hold PREFIX... or home "
        "[PREFIX [NAME]]\ntry: tenure region --help\n");
    return EXIT_USAGE;
}

const struct command command_region = {
    .name = "region",
    .group = "Servers",
    .summary = "clusters in several places that know each other, and which is home to what",
    .synopsis =
        "init NAME [URLS] | add NAME URLS [--distance REGION=MS] | remove NAME | list | status | home [PREFIX [NAME [--authority]]] | promote NAME --prefix PREFIX [--no-wait] | promote NAME --instead-of REGION | hold PREFIX... [--ttl TIME] | sync [--save FILE]",
    .description =
        "Each region is a cluster of its own. init gives the cluster at hand its name, once; add makes another one known to it and\n"
        "to all that it knows, and the other way round (a cluster that has no name yet gets that one). URLS is where the others find\n"
        "it, with commas between; of init the endpoints at hand unless said otherwise.\n\n"
        "home says which region is the home of all keys that begin with PREFIX, the longest prefix counts: locks, elections and\n"
        "configuration below it are written there alone. Who asks for them says `tenure lock --region home NAME`. A home is moved by\n"
        "promote, never by home.\n\n"
        "promote makes NAME the home of PREFIX, or of all that had its home in REGION, with a greater epoch, so that each of its tokens\n"
        "is greater than all of the old home. An old home that answers hands over: its holders lose what they have, and it gives out\n"
        "no more; then it is waited until the mirrors at NAME have all that it had (exit code 3: they have not by --timeout), and where\n"
        "there is none that is said. One that does not answer may be cut off and well, and goes on giving out what is its own: that\n"
        "takes --force, and a majority of the regions where there are more than two. Interrupted, it can be run again; of two that were\n"
        "interrupted the one that is run again counts. sync tells a region that comes back; what an old home alone has is kept in a\n"
        "file first.\n\n"
        "With --authority a home gives nothing out without its authority: a lease in other regions, that hold renews there, in as many as\n"
        "make a majority of all regions together with the home (of 2 or 3: one other). hold runs in each region that is to be home, as a\n"
        "service; several there: one does it. A home that is cut off, or whose hold does not run, has none after that time; who\n"
        "holds something there has lost it by then, by his own clock. Then promote needs no --force.\n\n"
        "status asks all regions at once, and is 0 when all answer and agree. One that was away is told by sync what it missed.",
    .examples = "tenure region init eu http://10.1.0.1:2379,http://10.1.0.2:2379\n"
                "tenure region add us http://10.2.0.1:2379 --distance eu=80\n"
                "tenure region home /locks/ eu\n"
                "tenure region home /locks/nightly-backup\n"
                "tenure region home /locks/ eu --authority\n"
                "tenure region hold /locks/ /election/\n"
                "tenure region promote us --instead-of eu --force\n"
                "tenure region status",
    .options = options,
    .run = run,
};
