/* tenure cluster: the options and the names of the actions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cluster_care.h"
#include "cli/commands.h"
#include "cli/paths.h"

static struct cluster_options opt;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"members", 0, OPTION_STRING, "N|LIST",
         "dev, adopt, restore: how many, 1, 3, 5 or 7 (default 3); plan, restore: NAME=ADDRESS,...", &opt.members_text},
        {"data-dir", 0, OPTION_STRING, "DIR",
         "dev, adopt, restore: where their data and logs are; plan: on the hosts (/var/lib/etcd/{name})",
         &opt.data_dir},
        {"port", 0, OPTION_INT, "FIRST",
         "dev, adopt, restore, plan: two each from here on (default 2379); not plan: 0 = any free ones", &opt.port},
        {"etcd", 0, OPTION_STRING, "FILE",
         "dev: the program (default: etcd on the PATH); plan: on the hosts (default /usr/bin/etcd)", &opt.etcd},
        {"config-dir", 0, OPTION_STRING, "DIR", "plan: where the files are, on the hosts (default /etc/etcd)",
         &opt.config_dir},
        {"ca-cert", 0, OPTION_STRING, "FILE", "plan: your authority's certificate (default: a new one in DIR/ca)",
         &opt.ca_cert},
        {"ca-key", 0, OPTION_STRING, "FILE", "plan: your authority's key", &opt.ca_key},
        {"insecure", 0, OPTION_FLAG, NULL, "plan: without TLS", &opt.insecure},
        {"days", 0, OPTION_INT, "N", "plan, certs: how long new certificates are good (default 365)", &opt.days},
        {"renew", 0, OPTION_FLAG, NULL, "certs: makes all of them anew; the authority stays", &opt.renew},
        {"etcdutl", 0, OPTION_STRING, "FILE",
         "adopt, restore: what restores a snapshot (default: etcdutl, or etcdctl, on the PATH)", &opt.etcdutl},
        {"peer-urls", 0, OPTION_STRING, "URLS", "add, replace: where the other members find the new one",
         &opt.peer_urls},
        {"name", 0, OPTION_STRING, "NAME", "add, replace: what the new one is to be called", &opt.name},
        {"with", 0, OPTION_STRING, "COMMAND",
         "rolling-restart, upgrade: what restarts {name}, {host}, {id} or {endpoint}; drill: kills {name}", &opt.with},
        {"to", 0, OPTION_STRING, "VERSION|DIR", "upgrade: such as 3.5, or 3.5.21; backup: the folder of the files",
         &opt.to},
        {"backup", 0, OPTION_STRING, "FILE", "upgrade: a snapshot of today; one that is not there is made",
         &opt.backup},
        {"force", 0, OPTION_FLAG, NULL,
         "add: when a member does not answer; rolling-restart, upgrade: without a majority", &opt.force},
        {"timeout", 0, OPTION_DURATION, "TIME",
         "how long a change may take; rolling-restart, upgrade: each member (default 10m)", &opt.timeout_ms},
        {"strict", 0, OPTION_FLAG, NULL, "status: it is 1 for what it warns of too", &opt.strict},
        {"quick", 0, OPTION_FLAG, NULL, "status: without disks, clocks and certificates, which take up to 1.5 s",
         &opt.quick},
        CLUSTER_CARE_OPTIONS,
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    opt = (struct cluster_options){.port = -1};
    cluster_care = (struct cluster_care){0};
    return table;
}

/* The options of a cluster on this machine. */
static bool check(void)
{
    static char place[CLUSTER_PATH_MAX];
    char *end = "";
    opt.members = opt.members_text ? strtoll(opt.members_text, &end, 10) : 0; /* 0: it was not said */
    opt.port = opt.port == -1 ? 2379 : opt.port;
    if (*end || opt.members > CLUSTER_MEMBERS_MAX || (opt.members_text && (opt.members < 1 || opt.members % 2 == 0))) {
        fprintf(stderr,
                "tenure cluster: option --members: expected 1, 3, 5 or 7: an even one more bears no more losses\n");
        return false;
    }
    if (opt.port < 0 || opt.port > 65535 - 2 * CLUSTER_MEMBERS_MAX) {
        fprintf(stderr, "tenure cluster: option --port: expected 0 to %d\n", 65535 - 2 * CLUSTER_MEMBERS_MAX);
        return false;
    }
    if (opt.data_dir)
        return true;
    if (!paths_state("cluster-dev", place, sizeof place)) {
        fprintf(stderr, "tenure cluster: there is no folder for this user's data: give --data-dir DIR\n");
        return false;
    }
    paths_make_parents(place);
    opt.data_dir = place;
    return true;
}

/* What an action takes that was not given, or given too much. */
static int say_expected(int argc, char **argv)
{
    static const struct {
        const char *name, *word;
        bool optional;
    } actions[] = {
        {"dev", NULL, false},         {"adopt", "DIR", false},        {"plan", "DIR", false},
        {"certs", "DIR", false},      {"status", NULL, false},        {"add", NULL, false},
        {"promote", "MEMBER", false}, {"remove", "MEMBER", false},    {"replace", "MEMBER", false},
        {"upgrade", NULL, false},     {"backup", NULL, false},        {"rolling-restart", NULL, false},
        {"backups", "DIR", false},    {"restore", "FILE|DIR", false}, {"defrag", NULL, false},
        {"drill", "MEMBER", true},
    };
    for (size_t i = 0; argc > 0 && i < sizeof actions / sizeof *actions; i++) {
        const char *name = actions[i].name, *word = actions[i].word;
        if (strcmp(argv[0], name) != 0)
            continue;
        if (!word)
            fprintf(stderr, "tenure cluster: %s takes no words, only options, and there is '%s'\n", name, argv[1]);
        else if (argc == 1)
            fprintf(stderr, "tenure cluster: %s: expected %s\n", name, word);
        else
            fprintf(stderr, "tenure cluster: %s: expected one %s%s, and there is '%s' as well\n", name, word,
                    actions[i].optional ? " at most" : "", argv[2]);
        fprintf(stderr, "try: tenure cluster --help\n");
        return EXIT_USAGE;
    }
    fprintf(
        stderr,
        "tenure cluster: expected dev, adopt DIR, plan DIR, certs DIR, status, add, promote MEMBER, remove MEMBER, replace MEMBER, rolling-restart, upgrade, backup, backups DIR, restore FILE, defrag or drill\ntry: tenure cluster --help\n");
    return EXIT_USAGE;
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(const struct global_options *g, const struct cluster_options *o, const char *who);
    } changes[] = {{"promote", cluster_promote},
                   {"remove", cluster_remove},
                   {"replace", cluster_replace},
                   {"plan", cluster_plan},
                   {"certs", cluster_certs}};
    (void)self;
    opt.action = argc > 0 ? argv[0] : "";
    if (argc == 1 && strcmp(argv[0], "dev") == 0)
        return check() ? cluster_dev(g, &opt) : EXIT_USAGE;
    if (argc == 2 && strcmp(argv[0], "adopt") == 0)
        return check() ? cluster_adopt(g, &opt, argv[1]) : EXIT_USAGE;
    if (argc == 1 && strcmp(argv[0], "status") == 0)
        return cluster_status(g, &opt);
    if (argc == 1 && strcmp(argv[0], "add") == 0)
        return cluster_add(g, &opt);
    if (argc == 1 && strcmp(argv[0], "rolling-restart") == 0)
        return cluster_rolling_restart(g, &opt);
    if (argc == 1 && strcmp(argv[0], "upgrade") == 0)
        return cluster_upgrade(g, &opt);
    for (size_t i = 0; argc == 2 && i < sizeof changes / sizeof *changes; i++)
        if (strcmp(argv[0], changes[i].name) == 0)
            return changes[i].run(g, &opt, argv[1]);
    int code = cluster_care_run(g, &opt, argc, argv);
    return code >= 0 ? code : say_expected(argc, argv);
}

const struct command command_cluster = {
    .name = "cluster",
    .group = "Servers",
    .summary = "a real etcd cluster: run one here, look after one",
    .synopsis =
        "dev [--members N] [--data-dir DIR] [--port FIRST] | adopt DIR [--members N] [--data-dir DIR] | plan DIR --members NAME=ADDRESS,... | certs DIR [--renew] | status [--strict | --quick] | add --peer-urls URLS | promote MEMBER | remove MEMBER | replace MEMBER --peer-urls URLS | rolling-restart --with COMMAND | upgrade --to VERSION --backup FILE [--with COMMAND] | backup --to DIR [--every TIME | --schedule CRON] [--keep N] [--keep-for TIME] | backups DIR [--check] [--max-age TIME] | restore FILE|DIR --data-dir DIR [--members N] | defrag [--always] | drill [MEMBER] --yes {--data-dir DIR | --with COMMAND}",
    .description =
        "dev runs a cluster of real etcd members on this machine, in the foreground, for development and for tests of what\n"
        "happens when one dies. It prints where they are, for `eval` or to be copied, once a linearizable read was answered.\n"
        "The members are its children: one that is killed is started again, and they end with it; the data stay for the next\n"
        "time. DIR/NAME.pid has a member's process, DIR/NAME.log what it says.\n\n"
        "adopt turns the data directory of a `tenure serve` that was stopped into such a cluster: revisions, leases, users and\n"
        "fencing tokens go on. The old directory is sealed first: `tenure serve` refuses it from then on and names the new\n"
        "addresses. It can be run again when it was interrupted. dev, or etcd itself on each member's folder, starts it.\n\n"
        "plan writes into DIR what each host of a cluster needs: etcd's config file, a systemd unit, certificates by an authority\n"
        "of its own (or yours), the environment of clients, and the steps, in DIR/README.md. Run again it keeps what is good, makes\n"
        "anew what runs out within 30 days, and plans the new ones among --members as those who join. certs says how long\n"
        "the certificates are good, and is 1 when one of them is due.\n\n"
        "status asks every member of the cluster, whichever of them are named, from one member's own memory, so that it\n"
        "answers without a quorum too: role, lag, space, alarms, and how far its clock is from this machine's, what syncs of its\n"
        "disk take (p99, since it was started), how long its certificate is good, and which faults its version has. It is 0\n"
        "when all voters answer, know a leader and have no alarm, and no certificate ran out; with --strict also nothing else\n"
        "is warned of: a slow disk, clocks a second apart, a certificate of its last 30 days, a version with stale reads.\n\n"
        "add, remove and replace change the members one at a time, in an order that leaves a majority at any moment, and refuse\n"
        "what would not. A new one is a learner, without a vote, until it is started and has caught up; what it has to be\n"
        "started with is printed. A leader hands over before it is removed. One that lives is replaced by adding first, one\n"
        "that is gone by removing first. `tenure member` has the single calls, without the checks.\n\n"
        "rolling-restart runs a command for each member, followers first, the leader last and when it has handed over. Each is back and\n"
        "has caught up before the next one; what goes wrong ends it there, with a majority that was never at risk.\n\n"
        "upgrade does the same for another version of etcd, by a command that installs it and restarts, after it has looked at all\n"
        "versions (one minor version at a time), alarms and the backup; without --with it looks, and says the steps. The members of dev\n"
        "become another program: upgrade --data-dir DIR --etcd FILE --backup FILE. Interrupted, it goes on when it is run again.\n\n"
        "backup writes a snapshot into a folder: of a follower where there is one, with its checksum, each of its pages and its\n"
        "revision checked, and named when it is on the disk. With --every or --schedule it stays and makes one after the other;\n"
        "one that fails is told and tried again after a pause that grows, and the older ones stay. Only files that it has\n"
        "written are ever removed, and the newest good one never. Several may write into one folder. backups lists them; it is 0\n"
        "when there is a good one, none is damaged and the last attempt was one.\n\n"
        "restore makes a whole new cluster of one backup, or of the newest good one of a folder: the revision goes on 2^40 later,\n"
        "everything before counts as compacted, so that fencing tokens grow and old watches are told to begin anew. For members\n"
        "on other hosts (--members a=10.0.0.1,b=10.0.0.2,c=10.0.0.3) it makes their folders and says how to start them.\n\n"
        "defrag gives unused space back to the file system, one member after another in the order of rolling-restart, since etcd answers\n"
        "nothing meanwhile; members that would gain less than 1 MB, or less than 16 MB and a tenth, are left alone (--always).\n\n"
        "drill kills the leader, or MEMBER, while clients of its own write, read, hold a lock and watch, waits until the cluster is whole\n"
        "again, and tells what they saw. It is 0 when no acknowledged write was lost, no read was stale, the lock was held throughout and\n"
        "the watch missed nothing. A member of dev is killed by its process (--data-dir), another by a command (--with).",
    .examples = "tenure cluster dev --members 3 --data-dir /var/tmp/three\n"
                "tenure cluster adopt /var/lib/tenure --data-dir /var/tmp/three\n"
                "tenure cluster plan ./prod --members a=10.0.0.1,b=10.0.0.2,c=10.0.0.3\n"
                "tenure cluster status --endpoints http://127.0.0.1:2379\n"
                "tenure cluster replace m2 --name m4 --peer-urls http://10.0.0.4:2380\n"
                "tenure cluster rolling-restart --with 'ssh root@{host} systemctl restart etcd'\n"
                "kill -9 $(cat /var/tmp/three/m1.pid)\n"
                "tenure cluster backup --to /var/lib/backups --every 1h --keep 24 --keep-for 7d\n"
                "tenure cluster backups /var/lib/backups --max-age 2h\n"
                "tenure cluster restore /var/lib/backups --data-dir /var/tmp/again\n"
                "tenure cluster drill --data-dir /var/tmp/three --yes",
    .options = options,
    .run = run,
};
