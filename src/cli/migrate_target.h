/* The new data directory while a migration fills it: its log, written row by row, and the state that these rows make, held in memory
 * as a server would hold it, so that nothing goes in that could not be read back. One thread.
 *
 * The directory is locked, so nobody else writes; no clock runs for its leases; and until the migration is finished a server
 * refuses it (BACKEND_UNFINISHED). What is in it is therefore exactly the source's past, and its revision is the progress. */
#ifndef CLI_MIGRATE_TARGET_H
#define CLI_MIGRATE_TARGET_H

#include "backend/backend.h"
#include "cli/migrate_rows.h"
#include "cli/migrate_users.h"
#include "store/store.h"

struct migrate_target {
    const char *dir;
    struct backend *backend;
    struct store *store;
    struct migrate_rows rows; /* in the store, but not in the log yet */
    uint64_t source;          /* the cluster id of the source */
};

/* Reads the directory. TENURE_ECONFLICT: no migration into it is under way; else as backend_open, backend_replay. */
int migrate_target_open(struct migrate_target *t, const char *dir, struct tenure_error *err) MUST_USE;
void migrate_target_close(struct migrate_target *t); /* fine when half open */
/* What the file BACKEND_UNFINISHED says. */
void migrate_target_note(uint64_t source, char *out, size_t size);

tn_rev migrate_target_revision(const struct migrate_target *t);
bool migrate_target_has_lease(const struct migrate_target *t, tn_lease id);

/* Each plans one command and keeps what it borrows until migrate_target_commit. */
int migrate_target_revise(struct migrate_target *t, const struct event *events, size_t n, struct tenure_error *err)
    MUST_USE;
int migrate_target_grant(struct migrate_target *t, tn_lease id, int64_t ttl_s, struct tenure_error *err) MUST_USE;
/* Those leases that are not in ids (which is sorted) and have no key are revoked; *ret_left: how many are not there but have keys. Those
 * that are only in ids go to on_new. */
int migrate_target_match_leases(struct migrate_target *t, tn_lease *ids, size_t n,
                                int (*on_new)(void *user, tn_lease id), void *user, size_t *ret_left,
                                struct tenure_error *err) MUST_USE;
/* Every row that was planned goes into the log, durably. */
int migrate_target_commit(struct migrate_target *t, struct tenure_error *err) MUST_USE;

/* ---- the end: nothing is planned any more behind migrate_target_hash ---- */

/* What makes the source's users of ours, at once into the log. */
int migrate_target_set_users(struct migrate_target *t, const struct migrate_users *ours,
                             const struct migrate_users *theirs, struct tenure_error *err) MUST_USE;
/* A compaction of the source, where it lies above ours. */
int migrate_target_compact(struct migrate_target *t, tn_rev revision, struct tenure_error *err) MUST_USE;
/* The alarm by which the source was closed, should the copy have it. */
int migrate_target_disarm(struct migrate_target *t, struct tenure_error *err) MUST_USE;
/* Ends the planning, with a server's check of the whole, and answers HashKV. */
int migrate_target_hash(struct migrate_target *t, uint32_t *ret, struct tenure_error *err) MUST_USE;
/* From now on a server takes the directory: durable. Closes it. */
int migrate_target_finish(struct migrate_target *t, struct tenure_error *err) MUST_USE;

#endif
