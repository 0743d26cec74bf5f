/* The parts of `tenure snapshot`, a file each; cmd_snapshot.c has the options. Each answers the exit code and has said on
 * standard error what went wrong. */
#ifndef CLI_SNAPSHOT_H
#define CLI_SNAPSHOT_H

#include <tenure/tenure.h>

#include "cli/command.h"
#include "snapshot/export.h"

/* More revisions than a server makes between a backup and its loss: 100,000 a second for four months. See
 * docs/decisions/0012-restore.md. */
#define SNAPSHOT_BUMP (INT64_C(1) << 40)

struct snapshot_options {
    const char *data_dir, *name, *successor;
    const char *storage_version; /* of etcd, that a file of ours says it has; NULL = the newest */
    bool skip_hash_check, keep_revisions, mark_compacted, seal;
    bool quiet;   /* says nothing of what went well */
    int64_t bump; /* -1 = not given */
};

int snapshot_save(const struct snapshot_options *o, const struct global_options *g, const char *path);
/* Of a data directory whose server does not run. */
int snapshot_save_offline(const struct snapshot_options *o, const struct global_options *g, const char *path);
int snapshot_show_status(const struct snapshot_options *o, const struct global_options *g, const char *path);
int snapshot_restore(const struct snapshot_options *o, const struct global_options *g, const char *path);

/* The same without a word, for other commands: 0 or TENURE_E… with err filled. on_bytes (NULL = none) is told on the handle's
 * thread how much has come. */
int snapshot_fetch(tenure_client *c, size_t endpoint, const char *path, void (*on_bytes)(void *user, uint64_t bytes),
                   void *user, struct tenure_error *err);
/* Nothing is there, or an empty directory. */
bool snapshot_dir_is_new(const char *path);
struct snapshot_into {
    const char *dir, *name; /* the new directory, which becomes one as the last step; of the member, NULL = "default" */
    bool skip_hash_check;
    tn_rev bump;            /* 0 = every revision stays */
    const char *unfinished; /* NULL, or the text of BACKEND_UNFINISHED, which the directory gets */
    const char *replica;    /* the same of BACKEND_REPLICA: leases that keys name need not be there then */
};
int snapshot_restore_into(const struct snapshot_into *o, const char *path, struct snapshot_summary *ret,
                          struct tenure_error *err);
/* The same of rows that somebody gives: in order, the first one the identity, with these ids; on_row borrows what they point to until
 * give has answered. They leave the directory at that revision, and revisions may be missing. */
typedef int (*snapshot_on_row)(void *to, const struct record *row, struct tenure_error *err);
struct snapshot_rows {
    int (*give)(void *user, uint64_t cluster_id, uint64_t member_id, snapshot_on_row on_row, void *to,
                struct tenure_error *err);
    void *user;
    tn_rev revision;
};
int snapshot_rows_into(const struct snapshot_into *o, const struct snapshot_rows *rows, struct tenure_error *err);

#endif
