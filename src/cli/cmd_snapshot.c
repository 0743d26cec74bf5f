/* tenure snapshot save|status|restore. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/snapshot.h"

static struct snapshot_options opt;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"data-dir", 0, OPTION_STRING, "DIR", "restore: the new one; save: of a stopped server, instead of asking one",
         &opt.data_dir},
        {"seal", 0, OPTION_FLAG, NULL, "save --data-dir: seal it for good, see tenure migrate", &opt.seal},
        {"successor", 0, OPTION_STRING, "URLS", "save --seal: who serves the data from now on", &opt.successor},
        {"skip-hash-check", 0, OPTION_FLAG, NULL, "restore: take a file without a checksum, or with a wrong one",
         &opt.skip_hash_check},
        {"keep-revisions", 0, OPTION_FLAG, NULL,
         "restore: every revision stays; only where the old server is sealed or gone with nothing newer",
         &opt.keep_revisions},
        {"bump-revision", 0, OPTION_INT, "N", "restore: go on N revisions later (2^40)", &opt.bump},
        {"mark-compacted", 0, OPTION_FLAG, NULL, "restore: goes with --bump-revision, as in etcdutl",
         &opt.mark_compacted},
        {"name", 0, OPTION_STRING, "NAME", "restore: of the new member (default)", &opt.name},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    opt = (struct snapshot_options){.bump = -1};
    return table;
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    (void)self;
    if (argc == 2 && strcmp(argv[0], "save") == 0)
        return opt.data_dir ? snapshot_save_offline(&opt, g, argv[1]) : snapshot_save(&opt, g, argv[1]);
    if (argc == 2 && strcmp(argv[0], "status") == 0)
        return snapshot_show_status(&opt, g, argv[1]);
    if (argc == 2 && strcmp(argv[0], "restore") == 0)
        return snapshot_restore(&opt, g, argv[1]);
    fprintf(stderr, "tenure snapshot: expected save FILE, status FILE or restore FILE --data-dir DIR\n"
                    "try: tenure snapshot --help\n");
    return EXIT_USAGE;
}

const struct command command_snapshot = {
    .name = "snapshot",
    .group = "Servers",
    .summary = "save, look at and restore snapshots, of etcd as well",
    .synopsis = "save FILE | status FILE | restore FILE --data-dir DIR",
    .description =
        "A snapshot is a file of etcd's: everything at one revision, with its history, leases, users and roles. Those of any\n"
        "etcd from 3.4 to 3.7 and ours are the same; `etcdutl snapshot restore` takes ours.\n\n"
        "save asks the first endpoint; FILE appears when it is whole. status prints hash, revision, keys that live, size and\n"
        "storage version.\n\n"
        "restore makes a new data directory, and leaves it only if a server could start from it. By default the revision\n"
        "goes on 2^40 later than the snapshot's and what was before counts as compacted, so that fencing tokens are greater\n"
        "than any that was given out since, and every watcher begins anew. --keep-revisions keeps each revision where it\n"
        "is: for a move, after the old server was sealed. Leases get their full time.",
    .examples = "tenure snapshot save backup.db\n"
                "tenure snapshot status backup.db -o table\n"
                "tenure snapshot restore backup.db --data-dir /var/lib/tenure\n"
                "tenure snapshot save --data-dir /var/lib/tenure --seal --successor http://10.0.0.1:2379 move.db",
    .options = options,
    .run = run,
};
