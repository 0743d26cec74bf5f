/* A server's data as a file of etcd's, for the command line. Any thread but the loop's. */
#ifndef LIB_SNAPSHOT_H
#define LIB_SNAPSHOT_H

#include <tenure/client.h>

#include "api/cluster.h"

/* Asks the endpoint of that index and calls on_piece for each piece, on the handle's thread, while this one waits. There is no
 * deadline of the whole: a server that falls silent is noticed. on_piece cannot end it early. */
int lib_snapshot(tenure_client *c, size_t endpoint, void (*on_piece)(void *user, const struct snapshot_resp *piece),
                 void *user, struct tenure_error *err);

#endif
