/* One change of a cluster at a time, whoever makes it and from where: a lock in the cluster itself, /locks/tenure-cluster. Two that restart,
 * add or kill members at once would each see the others' members as whole, and take a majority away together. One thread. */
#ifndef CLI_CLUSTER_GUARD_H
#define CLI_CLUSTER_GUARD_H

#include <tenure/tenure.h>

#include "cli/command.h"

struct cluster_guard { /* begins zeroed */
    tenure_client *client;
    tenure_lock *lock;
    bool is_denied; /* this user may not; it goes on without, which was said */
};

/* Whether it is held, or not to be had. Where it is not, what was seen of the cluster before it is taken may be true no more. */
bool cluster_guard_has(const struct cluster_guard *c);
/* Takes it, or takes it again when it was lost; endpoints: of the members, of which most answer; what: "upgrade". EXIT_OK, also while it
 * is held, or a code after having said who has it. A process of this machine that is no more is waited for until its lease ends. */
int cluster_guard_take(struct cluster_guard *c, const char *endpoints, const struct global_options *g,
                       const char *what);
void cluster_guard_release(struct cluster_guard *c);

#endif
