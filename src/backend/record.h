/* The row of the durable log: the one vocabulary between the store, which makes and replays rows, and the backend, which
 * keeps them. Pure data; the only header of the backend that the store may see.
 *
 * Every command makes one row or more; the rows of one command have adjacent sequences and are committed together.
 * A key's row holds what etcd's key bucket holds, so that hashes, snapshots and moves to etcd need no migration. */
#ifndef BACKEND_RECORD_H
#define BACKEND_RECORD_H

#include "base/bytes.h"

enum record_kind {
    RECORD_KV = 1,           /* a put, or a delete when tombstone */
    RECORD_LEASE_GRANT = 2,  /* lease = id, version = granted TTL in seconds */
    RECORD_LEASE_REVOKE = 3, /* lease = id; its keys' tombstones are rows of the same command before it */
    RECORD_COMPACT =
        4, /* main = the compaction revision; create = in a log with holes: the newest revision that is known */
    RECORD_IDENTITY = 5, /* the first row: create = cluster id, lease = member id (as bit patterns), key = name */
    /* The state of authentication. main = the revision that the command left, version = the auth revision that it made.
     * key = name, value = etcd's authpb.User or authpb.Role; tombstone: it was deleted, no value. */
    RECORD_AUTH_SWITCH = 6, /* sub = 1: enabled, 0: disabled; no key */
    RECORD_AUTH_USER = 7,
    RECORD_AUTH_ROLE = 8,
    RECORD_ALARM = 9,     /* lease = member id (as bit pattern), version = type; tombstone: disarmed */
    RECORD_PEER_URLS = 10 /* value = the member's addresses for peers, each with a 0 byte behind it */
};

static inline bool record_is_auth(enum record_kind k)
{
    return k >= RECORD_AUTH_SWITCH && k <= RECORD_AUTH_ROLE;
}

struct record {
    tn_seq seq; /* dense: 1, 2, 3 … */
    enum record_kind kind;
    bool tombstone;
    bool last_of_command; /* this row ends its command: a batch never cuts a command */
    tn_rev main;          /* revision */
    int64_t sub;          /* place within the revision */
    bytes key, value;
    tn_rev create_revision;
    int64_t version;
    tn_lease lease;
};

#endif
