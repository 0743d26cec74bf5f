/* Looking after a cluster: backup, backups, restore, drill, defrag. The actions of `tenure cluster` that change no member. */
#ifndef CLI_CLUSTER_CARE_H
#define CLI_CLUSTER_CARE_H

#include "cli/cluster.h"

struct cluster_care {
    /* backup, backups */
    const char *to, *schedule; /* to: the folder; --to is upgrade's too */
    int64_t every_ms, keep, keep_for_ms, max_age_ms;
    bool check;
    bool yes;    /* drill */
    bool always; /* defrag */
};

/* Their rows of the table of options; they fill this. */
extern struct cluster_care cluster_care;
/* clang-format off */
#define CLUSTER_CARE_OPTIONS                                                                                            \
    {"every", 0, OPTION_DURATION, "TIME", "backup: stay, and make one this often", &cluster_care.every_ms},             \
    {"schedule", 0, OPTION_STRING, "CRON", "backup: stay, and make one at these times (five fields, UTC)",              \
     &cluster_care.schedule},                                                                                           \
    {"keep", 0, OPTION_INT, "N", "backup: the newest N stay, older ones are removed", &cluster_care.keep},              \
    {"keep-for", 0, OPTION_DURATION, "TIME", "backup: those that are younger stay, older ones are removed",             \
     &cluster_care.keep_for_ms},                                                                                        \
    {"check", 0, OPTION_FLAG, NULL, "backups: read and check each file again", &cluster_care.check},                    \
    {"max-age", 0, OPTION_DURATION, "TIME", "backups: it is 1 when the newest good one is older",                       \
     &cluster_care.max_age_ms},                                                                                         \
    {"yes", 0, OPTION_FLAG, NULL, "drill: do not ask", &cluster_care.yes},                                              \
    {"always", 0, OPTION_FLAG, NULL, "defrag: also where little would come of it", &cluster_care.always}
/* clang-format on */

/* -1: it is none of these actions. */
int cluster_care_run(const struct global_options *g, const struct cluster_options *o, int argc, char **argv);

int cluster_backup(const struct global_options *g);
int cluster_backups(const struct global_options *g, const char *dir);
int cluster_restore(const struct global_options *g, const struct cluster_options *o, const char *from);

int cluster_defrag(const struct global_options *g, const struct cluster_options *o);
/* who NULL = the leader */
int cluster_drill(const struct global_options *g, const struct cluster_options *o, const char *who);

#endif
