/* One backup: a snapshot of a follower, checked, into a folder that others may write into as well. */
#ifndef CLI_CLUSTER_TAKE_H
#define CLI_CLUSTER_TAKE_H

#include <jansson.h>
#include <tenure/tenure.h>

#include "cli/backup_dir.h"
#include "cli/command.h"

struct take {
    const struct global_options *g;
    struct backup_dir dir; /* open */
    int64_t due_ms;        /* wall clock: a good one that was made since is enough; INT64_MAX: it is not */

    /* what came out */
    int rc;
    bool unavailable; /* no server answered */
    struct tenure_error error;
    struct backup_entry made; /* no name: somebody else had made one */
    const char *role;
    char note[256]; /* what is to be known of it; "" = nothing */
    json_t *removed;
};

/* Blocks; any thread. What failed is written down in the folder. */
void take_run(struct take *t);
/* Removes what is not whole. */
void take_clear(const struct take *t);
void take_fini(struct take *t); /* of a zeroed one as well */

#endif
