/* What the actions of `tenure cluster` share. */
#ifndef CLI_CLUSTER_H
#define CLI_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/command.h"

enum { CLUSTER_MEMBERS_MAX = 7, CLUSTER_PATH_MAX = 4096, CLUSTER_DIR_MAX = CLUSTER_PATH_MAX - 64 };

/* ---- a cluster on this machine ---- */

struct cluster_member {
    char name[16];
    int client_port, peer_port; /* on 127.0.0.1 */
};

/* Kept in DIR/cluster.json, so that the members find each other again. */
struct cluster_layout {
    char dir[CLUSTER_DIR_MAX];
    size_t n;
    struct cluster_member members[CLUSTER_MEMBERS_MAX];
};

/* Reads the folder's layout, or makes one of n members (0 = as many as there are, 3 of a new one) whose ports begin with `port` (0 =
 * free ones), and the folder. False after having said why not, with the exit code in ret_code. */
bool cluster_layout_open(struct cluster_layout *l, const char *dir, size_t n, int port, int *ret_code);
/* Comma-separated addresses for clients. */
void cluster_layout_endpoints(const struct cluster_layout *l, char *out, size_t size);
/* The value of etcd's --initial-cluster. */
void cluster_layout_peers(const struct cluster_layout *l, char *out, size_t size);

#define CLUSTER_TOKEN    "tenure-dev"
#define CLUSTER_ADOPTING "adopting" /* a file in the folder of a cluster that adopt has not finished */

/* Who holds this lock runs, or makes, the folder's cluster; it goes with the descriptor. -1 after having said why not. */
int cluster_lock(const struct cluster_layout *l);
/* A program of etcd's: the file that the option names, or else `name` on the PATH. False after having said what to do about it;
 * install NULL = says nothing. */
bool cluster_program(const char *option, const char *value, const char *name, const char *install, char *path,
                     size_t size);

/* ---- the actions ---- */

struct cluster_options {
    const char *data_dir, *etcd, *etcdutl;
    int64_t members, port;
    /* of a change */
    const char *peer_urls, *name;
    bool force;
    int64_t timeout_ms;
};

int cluster_dev(const struct global_options *g, const struct cluster_options *o);
int cluster_adopt(const struct global_options *g, const struct cluster_options *o, const char *from);
/* Each in steps that leave a quorum at any time, with checks before and after. `who`: a member's name or id. */
int cluster_add(const struct global_options *g, const struct cluster_options *o);
int cluster_promote(const struct global_options *g, const struct cluster_options *o, const char *who);
int cluster_remove(const struct global_options *g, const struct cluster_options *o, const char *who);
int cluster_replace(const struct global_options *g, const struct cluster_options *o, const char *who);
int cluster_status(const struct global_options *g);

#endif
