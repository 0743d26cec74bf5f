/* tenure replica: a persistent copy of another server's keys that answers reads and watches, and sends on the rest.
 *
 *     cmd_replica.c   the command         replica_copy.c   the directory: the first copy, and the next one when the source has dropped
 *     replica_run.c   the server on it                      what this one lacks
 *     replica_ask.c   verify and status
 */
#ifndef CLI_REPLICA_H
#define CLI_REPLICA_H

#include <tenure/tenure.h>

#include "cli/command.h"

struct replica_options {
    const char *from, *data_dir, *listen, *advertise, *name;
    const char *tls_cert, *tls_key, *tls_client_ca;
    bool listen_anywhere;
    int64_t staleness_ms; /* 0 = however old */
    const char *when_stale;
};

/* Each answers the exit code. g: with the source as its endpoints. */
int replica_run(const struct replica_options *o, const struct global_options *g);
int replica_verify(const struct replica_options *o, const struct global_options *g);
int replica_status(const struct global_options *g);

/* ---- replica_copy.c: 0 or a code with err filled ---- */

/* The directory is there and a copy of *ret_cluster: made now, of what c reaches, when it was not. */
int replica_prepare(const char *dir, const char *name, tenure_client *c, uint64_t *ret_cluster,
                    struct tenure_error *err);
/* The source answers, and is one that must not be copied: another cluster than that, or one with authentication on. */
bool replica_is_refused(tenure_client *c, uint64_t cluster, struct tenure_error *err);
/* A copy as of now beside it; of that cluster. Takes the place of one that was left half done. */
int replica_copy_beside(const char *dir, const char *name, tenure_client *c, uint64_t cluster,
                        struct tenure_error *err);
/* That one takes its place; nobody serves the directory. */
int replica_take_beside(const char *dir, struct tenure_error *err);

#endif
