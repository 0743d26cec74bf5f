/* What `etcdutl snapshot status` says of a snapshot, in the same numbers, after the same check of the whole file. Pure.
 */
#ifndef SNAPSHOT_STATUS_H
#define SNAPSHOT_STATUS_H

#include "bolt/reader.h"

struct snapshot_status {
    uint32_t hash; /* CRC-32C of all names of buckets, keys and values, in order */
    tn_rev revision;
    int64_t keys;  /* that live at that revision */
    uint64_t size; /* of the bbolt file */
    bytes version; /* of the storage; empty before 3.6. Borrows the file. */
};

/* TENURE_ECORRUPT, TENURE_ENOMEM. */
int snapshot_status(const struct bolt_file *file, struct snapshot_status *ret, struct tenure_error *err) MUST_USE;

#endif
