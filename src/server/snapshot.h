/* The driver of core's snapshots: etcd's file is made of the log on a thread of its own, into a temporary file in the data
 * directory that has no name any more, so that it is gone whatever happens.
 *
 * Thread: the loop's. */
#ifndef SERVER_SNAPSHOT_H
#define SERVER_SNAPSHOT_H

#include "server/internal.h"

/* core_snapshots: user is the struct server. */
extern const struct core_snapshots snapshot_driver;

/* Removes what an earlier process may have left. */
void snapshot_clean(const struct server *s);
/* Ends what is being made. The core must not be asked for more. */
void snapshot_stop(struct server *s);

#endif
