/* Members' folders made of a snapshot by etcd's own tools. */
#ifndef CLI_CLUSTER_MAKE_H
#define CLI_CLUSTER_MAKE_H

#include "cli/cluster.h"

/* etcdutl, or etcdctl for 3.4 and 3.5. False after having said what to do about it. */
bool cluster_make_tool(const char *etcdutl, char *path, size_t size);
/* Runs a program to its end; what it says goes to the file `log`, which is named where it failed. */
bool cluster_make_run(const char *log, char **words);

struct cluster_make {
    const char *dir, *log;       /* where the members' folders go; what the tool says */
    const char *tool, *snapshot; /* the tool's path; the file */
    const char *peers, *token;   /* etcd's --initial-cluster, and its token */
};
/* Restored beside its place: a folder that has the member's name is whole, and is left as it is. False after having said why not. */
bool cluster_make_member(const struct cluster_make *m, const char *name, const char *peer_url);

#endif
