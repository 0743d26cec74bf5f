#include "cli/cluster_care.h"

#include <stdio.h>
#include <string.h>

struct cluster_care cluster_care;

int cluster_care_run(const struct global_options *g, const struct cluster_options *o, int argc, char **argv)
{
    cluster_care.to = o->to;
    if (argc == 1 && strcmp(argv[0], "backup") == 0)
        return cluster_backup(g);
    if (argc == 2 && strcmp(argv[0], "backups") == 0)
        return cluster_backups(g, argv[1]);
    if (argc == 2 && strcmp(argv[0], "restore") == 0)
        return cluster_restore(g, o, argv[1]);
    if (argc == 1 && strcmp(argv[0], "defrag") == 0)
        return cluster_defrag(g, o);
    if ((argc == 1 || argc == 2) && strcmp(argv[0], "drill") == 0)
        return cluster_drill(g, o, argc == 2 ? argv[1] : NULL);
    return -1;
}
