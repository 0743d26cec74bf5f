/* The parts of `tenure snapshot`, a file each; cmd_snapshot.c has the options. Each answers the exit code and has said on
 * standard error what went wrong. */
#ifndef CLI_SNAPSHOT_H
#define CLI_SNAPSHOT_H

#include "cli/command.h"

struct snapshot_options {
    const char *data_dir, *name, *successor;
    bool skip_hash_check, keep_revisions, mark_compacted, seal;
    int64_t bump; /* -1 = not given */
};

int snapshot_save(const struct snapshot_options *o, const struct global_options *g, const char *path);
/* Of a data directory whose server does not run. */
int snapshot_save_offline(const struct snapshot_options *o, const struct global_options *g, const char *path);
int snapshot_show_status(const struct snapshot_options *o, const struct global_options *g, const char *path);
int snapshot_restore(const struct snapshot_options *o, const struct global_options *g, const char *path);

#endif
