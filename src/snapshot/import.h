/* Makes rows of our log of a bbolt file of etcd's, of any version from 3.4 to 3.7 or of ours: every revision, lease, user,
 * role, alarm and the compaction. Pure.
 *
 * The rows come in the order that the log wants: who we are, leases, keys by revision, the compaction, the rest. Where
 * compaction had removed revisions, sequences are left out, as if our own compaction had deleted those rows; the replay at
 * start holds a log to that. So a file that is damaged in a way its own checks cannot see is refused there, if not here.
 *
 * Failure modes: TENURE_ECORRUPT names the bucket and the entry, TENURE_ENOMEM, or what on_row answered.
 */
#ifndef SNAPSHOT_IMPORT_H
#define SNAPSHOT_IMPORT_H

#include "backend/record.h"
#include "bolt/reader.h"
#include "snapshot/export.h"

struct snapshot_import_options {
    uint64_t cluster_id, member_id; /* of the new server */
    bytes member_name;
    /* How far the revision goes on from the newest of the file, all before it being compacted: then no revision comes again
     * that was given out since the file was made. 0 = the file's revisions are kept as they are. */
    tn_rev bump;
};

/* r is borrowed by on_row, whose negative answer ends the import. */
int snapshot_import(const struct bolt_file *file, const struct snapshot_import_options *options,
                    int (*on_row)(void *user, const struct record *r, struct tenure_error *err), void *user,
                    struct snapshot_summary *ret, struct tenure_error *err) MUST_USE;

/* The value of one of meta's revisions ("scheduledCompactRev"); 0 when it is not there. */
int snapshot_meta_revision(const struct bolt_file *file, const char *name, tn_rev *ret, struct tenure_error *err)
    MUST_USE;

#endif
