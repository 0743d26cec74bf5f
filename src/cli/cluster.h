/* What the actions of `tenure cluster` share. */
#ifndef CLI_CLUSTER_H
#define CLI_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "cli/command.h"

enum { CLUSTER_MEMBERS_MAX = 7, CLUSTER_PATH_MAX = 4096, CLUSTER_DIR_MAX = CLUSTER_PATH_MAX - 64 };

/* ---- a cluster on this machine ---- */

struct cluster_member {
    char name[16];
    int client_port, peer_port; /* on 127.0.0.1 */
    bool is_removed;            /* from the cluster: it is not started any more */
};

/* Kept in DIR/cluster.json, so that the members find each other again. */
struct cluster_layout {
    char dir[CLUSTER_DIR_MAX];
    size_t n;
    struct cluster_member members[CLUSTER_MEMBERS_MAX];
};

/* Takes the folder, then reads its layout, or makes one of n members (0 = as many as there are, 3 of a new one) whose ports begin
 * with `port` (0 = free ones). Who holds the lock runs, or makes, the folder's cluster; it goes with the descriptor. Answers that, or
 * -1 after having said why not, with the exit code in ret_code. */
int cluster_layout_open(struct cluster_layout *l, const char *dir, size_t n, int port, int *ret_code);
/* Writes it down again, by who holds the lock. False after having said why not. */
bool cluster_layout_save(const struct cluster_layout *l);
/* Of a folder that has one, whoever holds the lock. False after having said why not. */
bool cluster_layout_read(struct cluster_layout *l, const char *dir);
/* The program with which its members are started from now on (NULL = the one of whoever starts them). False after having said why not. */
bool cluster_layout_use(const struct cluster_layout *l, const char *program);
/* That program; false when there is none. */
bool cluster_layout_program(const struct cluster_layout *l, char *out, size_t size);
/* Whether nobody listens on 127.0.0.1:port. */
bool cluster_port_is_free(int port);
/* Comma-separated addresses for clients. */
void cluster_layout_endpoints(const struct cluster_layout *l, char *out, size_t size);
/* The value of etcd's --initial-cluster. */
void cluster_layout_peers(const struct cluster_layout *l, char *out, size_t size);

#define CLUSTER_TOKEN    "tenure-dev"
#define CLUSTER_ADOPTING "adopting" /* a file in the folder of a cluster that adopt has not finished */

/* ---- DIR/NAME.pid ---- */

/* For people and tests; the cluster does without. */
void cluster_pid_write(const struct cluster_layout *l, const struct cluster_member *m, pid_t pid);
void cluster_pid_forget(const struct cluster_layout *l, const struct cluster_member *m);
/* The process that the file names, if it still runs and is the member: one that a killed `tenure cluster dev` left, on its way out.
 * 0 = there is none, and the file is gone then. */
pid_t cluster_pid_left(const struct cluster_layout *l, const struct cluster_member *m);

/* ---- the actions ---- */

struct cluster_options {
    const char *action; /* as typed */
    const char *data_dir, *etcd, *etcdutl;
    const char *members_text; /* --members as typed: how many, or of a plan who */
    int64_t members, port;    /* port: -1 = not given */
    /* of a change */
    const char *peer_urls, *name;
    bool force;
    int64_t timeout_ms;
    /* of a restart of all */
    const char *with, *to, *backup;
    /* of a plan */
    const char *config_dir, *ca_cert, *ca_key;
    bool insecure, renew;
    int64_t days;
    bool strict, quick; /* status: warnings count; only what the members say themselves */
};

int cluster_dev(const struct global_options *g, const struct cluster_options *o);
int cluster_adopt(const struct global_options *g, const struct cluster_options *o, const char *from);
/* Each in steps that leave a quorum at any time, with checks before and after. `who`: a member's name or id. */
int cluster_add(const struct global_options *g, const struct cluster_options *o);
int cluster_promote(const struct global_options *g, const struct cluster_options *o, const char *who);
int cluster_remove(const struct global_options *g, const struct cluster_options *o, const char *who);
int cluster_replace(const struct global_options *g, const struct cluster_options *o, const char *who);
/* The files of a cluster on hosts of its own, into dir; its certificates. */
int cluster_plan(const struct global_options *g, const struct cluster_options *o, const char *dir);
int cluster_certs(const struct global_options *g, const struct cluster_options *o, const char *dir);
/* Every member, one after the other, by a command; to another version. */
int cluster_rolling_restart(const struct global_options *g, const struct cluster_options *o);
int cluster_upgrade(const struct global_options *g, const struct cluster_options *o);
int cluster_status(const struct global_options *g, const struct cluster_options *o);

#endif
