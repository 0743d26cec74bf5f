/* Restarting all members of a cluster, one at a time: for `tenure cluster rolling-restart` and `upgrade`. One thread. */
#ifndef CLI_CLUSTER_ROLL_H
#define CLI_CLUSTER_ROLL_H

#include "cli/cluster_change.h"

struct roll {
    const char *command; /* a line of shell, with {name}, {host}, {id} and {endpoint} */
    /* Instead of that: 0, or a code by change_stop. Borrows. */
    int (*restart)(struct change *x, const struct cluster_row *r, void *user);
    /* NULL, or who is left alone. */
    bool (*passes)(const struct change *x, const struct cluster_row *r, void *user);
    void *user;
    bool stays;          /* it is no restart: its process stays, and what it says of itself is enough */
    const char *version; /* who runs it already is left alone, and who does not run it then ends all; NULL = any */
};

/* Looks at all members, by the addresses that they have themselves from now on. */
int roll_begin(struct change *x);
/* Whether all answer, follow a leader, and have most of them left while one restarts. */
int roll_check(struct change *x);
/* Followers first; the leader last, when it has handed over. Each is back and has caught up before the next one; what does not come about
 * within --timeout for a member ends it there. */
int roll_all(struct change *x, const struct roll *r);
/* "3.5" is the version of whoever runs 3.5.x, "3.5.1" that of who runs that. */
bool roll_is_version(const char *runs, const char *wanted);

#endif
