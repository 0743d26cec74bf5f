/* From what a watch and a list of leases tell to rows of the log: the plan of one revision, and which leases came and went.
 * Pure.
 *
 * A watch tells everything that a row of a key holds, in the order of the places within a revision, so revisions, versions,
 * create revisions and with them HashKV come out as they were. Leases it tells only by name: who plans a revision grants those
 * that it names first, and what nobody names is found by comparing the lists of both sides. */
#ifndef CLI_MIGRATE_ROWS_H
#define CLI_MIGRATE_ROWS_H

#include "api/watch.h"
#include "backend/record.h"
#include "base/error.h"

/* Rows to be, in order. Keys and values are borrowed from who gave them. */
struct migrate_rows {
    struct record *rows;
    size_t n, cap, bytes;
    tn_seq seq;    /* of the last row of the log, these included */
    tn_rev newest; /* the revision behind it */
};

void migrate_rows_init(struct migrate_rows *r, tn_seq seq, tn_rev newest);
void migrate_rows_fini(struct migrate_rows *r);
/* They are in the log. */
void migrate_rows_clear(struct migrate_rows *r);

/* How many of the events, from the first one on, make one revision. */
size_t migrate_revision_len(const struct event *events, size_t n);

/* All events of one revision, as one command. TENURE_ECORRUPT: it is not the next one, or holds what no revision holds (no key, a
 * put at another revision, a key twice); the text names the revision. TENURE_ENOMEM. Nothing is added then. */
int migrate_add_revision(struct migrate_rows *r, const struct event *events, size_t n, struct tenure_error *err)
    MUST_USE;
int migrate_add_grant(struct migrate_rows *r, tn_lease id, int64_t ttl_s, struct tenure_error *err) MUST_USE;
/* Its keys must be gone. */
int migrate_add_revoke(struct migrate_rows *r, tn_lease id, struct tenure_error *err) MUST_USE;
int migrate_add_compaction(struct migrate_rows *r, tn_rev revision, struct tenure_error *err) MUST_USE;
/* One about users, roles or the switch, as it is. */
int migrate_add_auth(struct migrate_rows *r, struct record row, struct tenure_error *err) MUST_USE;
int migrate_add_disarm(struct migrate_rows *r, uint64_t member_id, int32_t type, struct tenure_error *err) MUST_USE;

/* Sorts both lists; hands those of `there` that are not `here` to on_new, those of `here` that are not `there` to on_gone, until one
 * answers below 0, which is the answer then. */
struct migrate_lease_diff {
    tn_lease *there, *here;
    size_t n_there, n_here;
    int (*on_new)(void *user, tn_lease id);
    int (*on_gone)(void *user, tn_lease id);
    void *user;
};
int migrate_diff_leases(struct migrate_lease_diff *d) MUST_USE;

#endif
