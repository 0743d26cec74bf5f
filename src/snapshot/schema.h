/* Where etcd keeps what in its bbolt file (3.4 to 3.7), and the two messages that its values are. Pure.
 *
 *     key        revision -> KeyValue      main, '_', sub, and 't' behind it for a delete; both numbers big-endian
 *     lease      id -> Lease
 *     auth       authEnabled (one byte), authRevision (8 bytes)
 *     authUsers  name -> authpb.User;  authRoles  name -> authpb.Role
 *     alarm      AlarmMember -> nothing
 *     meta       consistent_index, term (8 bytes each), scheduledCompactRev, finishedCompactRev (as keys of `key`),
 *                storageVersion, confState (JSON)
 *     members    id in hex -> JSON;  members_removed;  cluster
 */
#ifndef SNAPSHOT_SCHEMA_H
#define SNAPSHOT_SCHEMA_H

#include "api/kv.h"
#include "base/buf.h"

#define SCHEMA_KEY             "key"
#define SCHEMA_LEASE           "lease"
#define SCHEMA_AUTH            "auth"
#define SCHEMA_AUTH_USERS      "authUsers"
#define SCHEMA_AUTH_ROLES      "authRoles"
#define SCHEMA_ALARM           "alarm"
#define SCHEMA_META            "meta"
#define SCHEMA_MEMBERS         "members"
#define SCHEMA_MEMBERS_REMOVED "members_removed"
#define SCHEMA_CLUSTER         "cluster"

enum { SCHEMA_REV_MAX = 18 }; /* bytes of a revision as a key */

struct schema_rev {
    tn_rev main;
    int64_t sub;
    bool tombstone;
};

/* Writes it to out (room for SCHEMA_REV_MAX), answers the length. */
size_t schema_rev_encode(struct schema_rev rev, uint8_t *out);
/* False when key is none. */
bool schema_rev_decode(bytes key, struct schema_rev *ret);

static inline void schema_put_u64(uint8_t *out, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(v >> (56 - 8 * i));
}
static inline uint64_t schema_get_u64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

/* mvccpb.KeyValue, byte for byte as etcd writes it: its hashes go over these bytes. Decoding borrows in; false when it is
 * malformed. */
void schema_kv_encode(const struct kv *kv, struct buf *out);
bool schema_kv_decode(bytes in, struct kv *ret);

struct schema_lease {
    tn_lease id;
    int64_t ttl_s;
};
/* leasepb.Lease */
void schema_lease_encode(const struct schema_lease *l, struct buf *out);
bool schema_lease_decode(bytes in, struct schema_lease *ret);

struct schema_alarm {
    uint64_t member_id;
    int64_t type;
};
/* etcdserverpb.AlarmMember */
void schema_alarm_encode(const struct schema_alarm *a, struct buf *out);
bool schema_alarm_decode(bytes in, struct schema_alarm *ret);

#endif
