/* Makes etcd's bbolt file of the rows of our log, in one pass: keys go out as they come, because the log has them in etcd's
 * order; leases, users and the like are few and are kept until the end. Pure.
 *
 * Happy path: snapshot_export_new, snapshot_export_row for each row of the log up to the end of a command, in order of
 * sequence, snapshot_export_finish. The file is as etcd 3.7 would have it: every revision that compaction has left, leases
 * with their TTL, users, roles, alarms, this member.
 *
 * Failure modes: TENURE_ENOMEM, TENURE_ECORRUPT (rows out of order), or what the output answered. Errors are sticky. Thread:
 * none of its own.
 */
#ifndef SNAPSHOT_EXPORT_H
#define SNAPSHOT_EXPORT_H

#include "backend/record.h"
#include "bolt/writer.h"

struct snapshot_export;

/* What the log does not say. Borrowed while the export lives; may be all zero. */
struct snapshot_facts {
    const char *storage_version; /* NULL = "3.7.0" */
    const char *const *client_urls;
    size_t n_client_urls;
    uint64_t term; /* 0 = 2 */
};

struct snapshot_summary {
    tn_rev revision, compacted;
    int64_t rows;   /* of keys: all revisions */
    int64_t leases; /* that stand */
    uint64_t bytes; /* of the file */
};

/* 0 or TENURE_ENOMEM. */
int snapshot_export_new(const struct bolt_output *out, const struct snapshot_facts *facts, struct snapshot_export **ret)
    MUST_USE;
struct snapshot_export *snapshot_export_free(struct snapshot_export *x); /* NULL is fine; NULL */

/* r is borrowed for the call. */
int snapshot_export_row(struct snapshot_export *x, const struct record *r, struct tenure_error *err) MUST_USE;
int snapshot_export_finish(struct snapshot_export *x, struct snapshot_summary *ret, struct tenure_error *err) MUST_USE;

#endif
