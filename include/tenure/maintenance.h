/* The upkeep of servers: how each one is, alarms, space, hashes, snapshots, leadership, downgrades.
 *
 * Most of these ask one server, named by its index among the handle's endpoints (tenure_endpoint, tenure/client.h): that one
 * answers or the call fails; no other is asked, and nothing is sent twice. TENURE_EINVALID for an index out of range.
 *
 * Two forms of every call, as in tenure/kv.h, whose rules and common errors apply: a timeout of 0 is the handle's default.
 * TENURE_EUNIMPLEMENTED where a server has no such call. With authentication on, most need the role root (TENURE_EDENIED).
 */
#ifndef TENURE_MAINTENANCE_H
#define TENURE_MAINTENANCE_H

#include <tenure/kv.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* ---- how a server is ---- */
struct tenure_status {
    const char *endpoint;
    const char *version;
    uint64_t cluster_id, member_id, leader, raft_term, raft_index;
    int64_t revision, db_size, db_size_in_use;
    bool is_learner;
    size_t n_errors;
    const char *const *errors;
    uint64_t raft_applied_index;
    int64_t db_size_quota;       /* 0 where the server does not say (before etcd 3.6) */
    const char *storage_version; /* "" where the server does not say (before etcd 3.6) */
};
void tenure_status_free(struct tenure_status *r); /* NULL is fine */
typedef void (*tenure_status_cb)(void *user, int code, struct tenure_status *r, const struct tenure_error *err);
/* Also of a member without a leader. */
int tenure_status(tenure_client *c, size_t index, int64_t timeout_ms, struct tenure_status **ret,
                  struct tenure_error *err);
/* As tenure_status, with a completion. */
int tenure_status_start(tenure_client *c, size_t index, int64_t timeout_ms, tenure_status_cb cb, void *user,
                        struct tenure_error *err);

typedef void (*tenure_health_cb)(void *user, int code, bool serving, const struct tenure_error *err);
/* Whether the server says by gRPC's health protocol that it serves. *ret_serving is set when it answered. */
int tenure_health(tenure_client *c, size_t index, int64_t timeout_ms, bool *ret_serving, struct tenure_error *err);
/* As tenure_health, with a completion. */
int tenure_health_start(tenure_client *c, size_t index, int64_t timeout_ms, tenure_health_cb cb, void *user,
                        struct tenure_error *err);

/* ---- alarms ---- */
enum tenure_alarm_type { TENURE_ALARM_NONE = 0, TENURE_ALARM_NOSPACE = 1, TENURE_ALARM_CORRUPT = 2 };
struct tenure_alarm {
    uint64_t member_id;
    enum tenure_alarm_type type;
};
struct tenure_alarm_list {
    size_t n;
    const struct tenure_alarm *alarms;
};
void tenure_alarm_list_free(struct tenure_alarm_list *r); /* NULL is fine */
typedef void (*tenure_alarm_list_cb)(void *user, int code, struct tenure_alarm_list *r, const struct tenure_error *err);
/* The alarms that are raised, of all members. */
int tenure_alarm_list(tenure_client *c, int64_t timeout_ms, struct tenure_alarm_list **ret, struct tenure_error *err);
/* As tenure_alarm_list, with a completion. */
int tenure_alarm_list_start(tenure_client *c, int64_t timeout_ms, tenure_alarm_list_cb cb, void *user,
                            struct tenure_error *err);
/* Ends one alarm. ret may be NULL: the alarm that was ended, or none when it was not raised. TENURE_EINVALID for
 * TENURE_ALARM_NONE. */
int tenure_alarm_disarm(tenure_client *c, const struct tenure_alarm *alarm, int64_t timeout_ms,
                        struct tenure_alarm_list **ret, struct tenure_error *err);
/* As tenure_alarm_disarm, with a completion, which may be NULL. */
int tenure_alarm_disarm_start(tenure_client *c, const struct tenure_alarm *alarm, int64_t timeout_ms,
                              tenure_alarm_list_cb cb, void *user, struct tenure_error *err);

/* ---- space and hashes ---- */
/* Gives unused space back to the file system. etcd answers nothing else meanwhile: give it a timeout that fits its size. */
int tenure_defragment(tenure_client *c, size_t index, int64_t timeout_ms, struct tenure_error *err);
/* As tenure_defragment, with a completion, which may be NULL. */
int tenure_defragment_start(tenure_client *c, size_t index, int64_t timeout_ms, tenure_done_cb cb, void *user,
                            struct tenure_error *err);

typedef void (*tenure_hash_cb)(void *user, int code, uint32_t hash, const struct tenure_error *err);
/* Of a server's whole data, its own bookkeeping included: says nothing across versions. */
int tenure_hash(tenure_client *c, size_t index, int64_t timeout_ms, uint32_t *ret_hash, struct tenure_error *err);
/* As tenure_hash, with a completion. */
int tenure_hash_start(tenure_client *c, size_t index, int64_t timeout_ms, tenure_hash_cb cb, void *user,
                      struct tenure_error *err);

struct tenure_hash_kv {
    uint32_t hash;
    int64_t revision;         /* the newest when it was made */
    int64_t compact_revision; /* -1 = nothing was ever compacted; members agree only with equal ones */
    int64_t hash_revision;    /* up to which it goes; 0 where the server does not say (before etcd 3.6) */
};
typedef void (*tenure_hash_kv_cb)(void *user, int code, const struct tenure_hash_kv *hash,
                                  const struct tenure_error *err);
/* Of all keys with their history up to a revision (0 = the newest): equal on members with equal data. TENURE_ECOMPACTED,
 * TENURE_EFUTURE. */
int tenure_hash_kv(tenure_client *c, size_t index, int64_t revision, int64_t timeout_ms, struct tenure_hash_kv *ret,
                   struct tenure_error *err);
/* As tenure_hash_kv, with a completion. */
int tenure_hash_kv_start(tenure_client *c, size_t index, int64_t revision, int64_t timeout_ms, tenure_hash_kv_cb cb,
                         void *user, struct tenure_error *err);

/* ---- snapshots ---- */
/* One piece of a snapshot, borrowed for the call; remaining: bytes of the data behind it, as far as the server says. Not 0
 * ends the call with TENURE_ECANCELLED. On the loop's thread. */
typedef int (*tenure_snapshot_piece_cb)(void *user, const void *data, size_t len, uint64_t remaining);
/* A server's whole data as etcd's file: the database and 32 bytes of SHA-256 behind it, which `tenure snapshot` and
 * `etcdutl snapshot` verify and restore. A stream that is cut fails, however much has come. timeout_ms 0: no deadline of the
 * whole; a server that falls silent is noticed all the same. */
int tenure_snapshot(tenure_client *c, size_t index, int64_t timeout_ms, tenure_snapshot_piece_cb on_piece, void *user,
                    struct tenure_error *err);
/* As tenure_snapshot; cb comes behind the last piece. */
int tenure_snapshot_start(tenure_client *c, size_t index, int64_t timeout_ms, tenure_snapshot_piece_cb on_piece,
                          tenure_done_cb cb, void *user, struct tenure_error *err);
/* As tenure_snapshot, written to a descriptor by the handle's thread: while that write blocks, the handle does nothing else,
 * so give a slow target a handle of its own. TENURE_EIO, TENURE_ENOSPACE when it cannot be written. */
int tenure_snapshot_fd(tenure_client *c, size_t index, int64_t timeout_ms, int fd, struct tenure_error *err);

/* ---- leadership and versions ---- */
/* Makes another member the leader; index must be the leader's own (else TENURE_EUNAVAILABLE). TENURE_ECONFLICT: target is no
 * member that could lead. */
int tenure_move_leader(tenure_client *c, size_t index, uint64_t target, int64_t timeout_ms, struct tenure_error *err);
/* As tenure_move_leader, with a completion, which may be NULL. */
int tenure_move_leader_start(tenure_client *c, size_t index, uint64_t target, int64_t timeout_ms, tenure_done_cb cb,
                             void *user, struct tenure_error *err);

enum tenure_downgrade { TENURE_DOWNGRADE_VALIDATE = 0, TENURE_DOWNGRADE_ENABLE = 1, TENURE_DOWNGRADE_CANCEL = 2 };
/* The cluster's version, borrowed for the callback. */
typedef void (*tenure_downgrade_cb)(void *user, int code, const char *version, const struct tenure_error *err);
/* Asks whether the cluster may go down to a version ("3.6"), allows it, or takes that back (version NULL). *ret_version, where
 * wanted: the cluster's version now, to be freed by free(). Since etcd 3.5. TENURE_EINVALID, TENURE_EBUSY, TENURE_ECONFLICT
 * (there is none to cancel). */
int tenure_downgrade(tenure_client *c, enum tenure_downgrade action, const char *version, int64_t timeout_ms,
                     char **ret_version, struct tenure_error *err);
/* As tenure_downgrade, with a completion, which may be NULL. */
int tenure_downgrade_start(tenure_client *c, enum tenure_downgrade action, const char *version, int64_t timeout_ms,
                           tenure_downgrade_cb cb, void *user, struct tenure_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
