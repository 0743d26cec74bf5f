/* The store engine: etcd's MVCC, transactions, leases, watches and compaction, in memory. Pure: a command and `now` in,
 * a reply and effects out; no clock, no thread, no I/O.
 *
 * Two points in time. The *planned* state is the newest: each command is judged against it and changes it at once, in
 * order of arrival, appending rows to the outbox. The *durable* state is what the log has confirmed. The caller's loop:
 *
 *   1. run commands (each answers with `seq`, the newest row it has seen: the reply is held until that is durable);
 *   2. store_outbox -> write the rows -> store_commit(seq) when they are durable, or store_rollback when they were not
 *      applied, which undoes the planned tail in memory;
 *   3. after a commit drain store_watch_next, and now and then store_trim.
 *
 * A command plans fully before it is visible: on any error, memory included, the planned state is as before. Reads by
 * store_range answer at the durable state at once; everything that may write, and all lease and member reads, are
 * answered from the planned state and gated by `seq`.
 *
 * Bytes in replies are borrowed from the store (keys, values) or the arena (arrays), valid until the next call that
 * changes the store. Thread: none of its own; one caller at a time.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "api/etcd_error.h"
#include "api/kv.h"
#include "api/lease.h"
#include "api/maintenance.h"
#include "api/watch.h"
#include "backend/record.h"
#include "base/arena.h"
#include "base/error.h"
#include "base/rng.h"

struct store;
struct store_watcher;

struct store_config {
    int64_t quota_bytes;     /* over memory and file; 0 = 2 GiB */
    int64_t lease_ttl_min_s; /* 0 = 2 s, as etcd at its defaults */
    uint32_t txn_ops_max;    /* 0 = 128 */
    size_t undo_entries_max; /* bound on the planned tail; 0 = 100,000; past it commands answer TOO_MANY_REQUESTS */
    size_t
        follow_bytes_max; /* the same of keys and values that store_follow planned; 0 = 64 MiB; one revision may be longer */
    uint64_t cluster_id, member_id; /* for an empty log; else the identity row wins */
    const char *member_name;
    bool broken_skip_gate; /* tests only: commands answer with seq 0, to show that the simulation finds it */
    /* It holds the copy of another's history (store_follow): leases of keys are numbers, and rows of leases, users and alarms,
     * which came with the first copy, stand in the log without meaning anything here. */
    bool follows;
    /* And of some of its keys alone, or of keys without their past: revisions are left out, of which nothing is here. */
    bool has_holes;
};

int store_new(const struct store_config *config, const struct rng *seed, struct store **ret) MUST_USE;
struct store *store_free(struct store *s); /* NULL is fine; NULL */

/* ---- start: replay, then ready ---- */

/* Applies one durable row, in order of sequence. TENURE_ECORRUPT names what does not fit (order, a version that does
 * not follow, an unknown kind); TENURE_ENOMEM. */
int store_replay(struct store *s, const struct record *r, struct tenure_error *err) MUST_USE;

/* Ends the replay. Every lease gets its full TTL from now; the caller may then lower single ones by
 * store_lease_restore, and nothing expires before now + min(TTL, 3 s). An empty log gets its identity row planned. */
int store_ready(struct store *s, tn_ms now, struct tenure_error *err) MUST_USE;
/* Sets a restored deadline (never earlier than now + min(TTL, 3 s), never later than now + TTL). Unknown ids: nothing.
 */
void store_lease_restore(struct store *s, tn_lease id, tn_ms deadline, tn_ms now);
/* Walks all leases: *cursor = 0 to begin; 0 at the end. */
tn_lease store_lease_next(const struct store *s, size_t *cursor);

/* ---- numbers ---- */
tn_rev store_revision(const struct store *s);         /* durable */
tn_rev store_revision_planned(const struct store *s); /* newest */
tn_rev store_compacted(const struct store *s);        /* durable compaction revision; -1 before the first */
tn_seq store_seq(const struct store *s);              /* durable */
tn_seq store_seq_planned(const struct store *s);
uint64_t store_cluster_id(const struct store *s);
uint64_t store_member_id(const struct store *s);
const char *store_member_name(const struct store *s); /* as the identity row says; "" when it has none */
int64_t store_memory(const struct store *s);          /* bytes of keys, values, history and their records */
int64_t store_keys(const struct store *s);            /* live keys at the planned state */
int64_t store_leases(const struct store *s);
int64_t store_watchers(const struct store *s);
/* Tells the store what the file holds, without what is free in it, so that the quota counts it. */
void store_set_file_bytes(struct store *s, int64_t bytes);
bool store_over_quota(const struct store *s);

/* What was done since the start, as etcd counts it: operations within transactions too, whatever became of them. */
struct store_counts {
    uint64_t ranges, puts, deletes; /* operations; a delete of a range is one */
    uint64_t txns;                  /* commands of more than one operation */
    uint64_t put_bytes;             /* keys and values */
    uint64_t leases_granted, leases_revoked, leases_expired, leases_renewed;
};
const struct store_counts *store_counts(const struct store *s);

/* ---- commands: 0 (ETCD_OK) or the error to answer; *ret is written on success only. `seq` in each: what the reply must
 * wait for, also with an error. ---- */

/* Linearizable and serializable reads alike: at the durable state, no gate. */
enum etcd_error store_range(struct store *s, const struct range_req *req, struct arena *a, struct range_resp *ret)
    MUST_USE;

/* What is wrong with a range by itself: an empty key, a sort order that does not exist. */
enum etcd_error store_range_check(const struct range_req *req) MUST_USE;

/* One part of a range, in order of key. */
struct range_part_req {
    struct key_range range; /* from where this part begins */
    tn_rev revision;        /* at or below the durable one */
    size_t keys_max;        /* 0 = only count */
    size_t bytes_max;       /* of the answer, roughly; at least one key is given */
    size_t steps_max;       /* keys looked at, whether they live at the revision or not */
    bool keys_only;
};

struct range_part {
    struct kv *kvs;
    size_t n_kvs;
    int64_t count; /* live keys that were passed */
    size_t bytes;  /* of kvs when encoded, roughly */
    bool end;      /* the range was walked to its end; else: */
    bytes next;    /* where the next part begins; borrowed from the store */
    bool more;     /* ... and a live key is there */
};

/* FUTURE_REV, COMPACTED (also between two parts), OUT_OF_MEMORY. */
enum etcd_error store_range_part(struct store *s, const struct range_part_req *req, struct arena *a,
                                 struct range_part *ret) MUST_USE;

enum etcd_error store_put(struct store *s, const struct put_req *req, struct arena *a, struct put_resp *ret,
                          tn_seq *seq) MUST_USE;
enum etcd_error store_delete(struct store *s, const struct delete_req *req, struct arena *a, struct delete_resp *ret,
                             tn_seq *seq) MUST_USE;
/* A transaction that cannot write is a read: answered at the durable state with *seq = 0. */
enum etcd_error store_txn(struct store *s, const struct txn_req *req, struct arena *a, struct txn_resp *ret,
                          tn_seq *seq) MUST_USE;
/* What is wrong with a request by itself, whatever the state; the commands ask this first. */
enum etcd_error store_check_put(const struct put_req *req) MUST_USE;
enum etcd_error store_check_delete(const struct delete_req *req) MUST_USE;
enum etcd_error store_check_txn(const struct store *s, const struct txn_req *req, struct arena *a) MUST_USE;

enum etcd_error store_compact(struct store *s, const struct compact_req *req, struct compact_resp *ret, tn_seq *seq)
    MUST_USE;

enum etcd_error store_lease_grant(struct store *s, const struct lease_grant_req *req, tn_ms now,
                                  struct lease_grant_resp *ret, tn_seq *seq) MUST_USE;
enum etcd_error store_lease_revoke(struct store *s, const struct lease_revoke_req *req, struct lease_revoke_resp *ret,
                                   tn_seq *seq) MUST_USE;
/* Renews: makes no row; the new deadline is in *ret_deadline for the shared mapping (0 when the lease is unknown and
 * ret->ttl_s is 0). An expired lease whose revoke is not planned yet is renewed: input comes before expiry. */
enum etcd_error store_lease_keepalive(struct store *s, const struct lease_keepalive_req *req, tn_ms now,
                                      struct lease_keepalive_resp *ret, tn_ms *ret_deadline, tn_seq *seq) MUST_USE;
enum etcd_error store_lease_ttl(struct store *s, const struct lease_ttl_req *req, tn_ms now, struct arena *a,
                                struct lease_ttl_resp *ret, tn_seq *seq) MUST_USE;
enum etcd_error store_lease_list(struct store *s, struct arena *a, struct lease_list_resp *ret, tn_seq *seq) MUST_USE;

/* Alarms. While NOSPACE stands, what grows is refused with NO_SPACE; while CORRUPT stands, all that writes is refused with
 * CORRUPT, and leases do not run out. */
enum etcd_error store_alarm(struct store *s, const struct alarm_req *req, struct arena *a, struct alarm_resp *ret,
                            tn_seq *seq) MUST_USE;
/* Whether an alarm of that type stands, for any member. */
bool store_alarmed(const struct store *s, int32_t type);
/* Those that stand as far as is durable, in order of type and member. */
enum etcd_error store_alarms(const struct store *s, struct arena *a, struct alarm **ret, size_t *ret_n) MUST_USE;

/* The addresses for peers that the member is listed with. */
enum etcd_error store_set_peer_urls(struct store *s, const bytes *urls, size_t n, struct arena *a, tn_seq *seq)
    MUST_USE;
enum etcd_error store_peer_urls(const struct store *s, struct arena *a, bytes **ret, size_t *ret_n, tn_seq *seq)
    MUST_USE;

/* One whole revision of the history that this store follows: its events in order, all with the next revision behind the planned
 * one (with holes: with one behind it); everything they say becomes so, numbers included. 0; TENURE_ECORRUPT: they do not continue what is here (the text says how;
 * nothing was changed); TENURE_ELIMIT: too much is planned and not durable; TENURE_ENOMEM. */
int store_follow(struct store *s, const struct event *events, size_t n, struct tenure_error *err) MUST_USE;
/* Of a store with holes: up to that revision, which is a newer one, nothing happened to its keys. TENURE_ELIMIT, TENURE_ENOMEM. */
int store_follow_to(struct store *s, tn_rev revision) MUST_USE;

/* When the next lease expires; TN_MS_NEVER. */
tn_ms store_lease_deadline(const struct store *s);
/* Plans the revoke of at most max leases whose deadline is <= now; answers how many. Memory short: fewer, try later.
 * The ids revoked are written to ids (room for max) so that the mapping forgets them. */
size_t store_lease_expire(struct store *s, tn_ms now, size_t max, tn_lease *ids);
/* Moves every deadline later by delta: the loop was stopped that long and renewals lie unread in the sockets. */
void store_lease_shift(struct store *s, tn_ms delta);

/* ---- the log ---- */

/* The planned rows not yet handed out, oldest first, at most max rows, cut only behind whole commands (one command
 * longer than max comes whole). Marks them handed out. The rows and what they point to stay valid and unchanged until
 * store_commit or store_rollback has passed them; the array until the next store_outbox. */
const struct record *store_outbox(struct store *s, size_t max, size_t *ret_n);
bool store_outbox_empty(const struct store *s);
/* All rows up to seq are durable. Cannot fail. Watch events of the new revisions become ready. */
void store_commit(struct store *s, tn_seq seq);
/* Undoes everything planned behind the durable state, handed out or not. Cannot fail. */
void store_rollback(struct store *s);

/* ---- compaction in slices ---- */

/* Drops from memory up to max superseded versions at or below the durable compaction revision, writes the sequences of
 * their rows to seqs (room for max) for the log to delete, answers how many; 0 when nothing is left to do. Rows of
 * revoked leases and of older compactions come along. All of them lie before the row of the newest compaction. The log
 * must delete them in this order (any number at once): it then never shows a state that was not. */
size_t store_trim(struct store *s, size_t max, tn_seq *seqs);
/* Whether store_trim would find something now: after a compaction became durable, also one that store_auto_compact
 * planned by itself, and again when live watchers were given what they still needed. Cheap enough for every turn. */
bool store_trim_pending(const struct store *s);
/* The revision up to which history should be compacted now by the default policy (history older than an hour, or
 * history memory over a tenth of the quota, whichever comes first), or 0. Call about once a second; keeps the times it
 * needs itself. Where many leases were revoked and no revision was made that could be compacted, it plans by itself a
 * compaction row that repeats the last revision, so that their rows can be trimmed. */
tn_rev store_auto_compact(struct store *s, tn_ms now, int64_t retention_ms);
/* Plans that row, where one is due, for whoever has another policy for revisions. */
void store_compact_rows(struct store *s);

/* ---- queues: keys of a range in order of their create revision ---- */

struct store_place {
    bool stands;   /* the key is there, and is the one that was created at that revision */
    bool is_first; /* nobody is before it; else: */
    bytes before;  /* the key right before it; borrowed from the store */
};

/* Where the key created at that revision stands, at the durable state or at the planned one. */
void store_queue_place(const struct store *s, struct key_range queue, bytes key, tn_rev create, bool planned,
                       struct store_place *ret);
/* The first at the durable state. */
bool store_queue_first(const struct store *s, struct key_range queue, struct kv *ret);

/* ---- HashKV, in slices ---- */

struct store_hash;
enum store_hash_state { STORE_HASH_MORE, STORE_HASH_DONE, STORE_HASH_NO_MEMORY };
enum { STORE_HASHES_MAX = 8 }; /* under way at one time */

/* Begins one at revision (0 = the durable one; below: of nothing). COMPACTED, FUTURE_REV; TOO_MANY_REQUESTS while as many
 * as may be are under way; OUT_OF_MEMORY. It holds up trimming until it ends. */
enum etcd_error store_hash_begin(struct store *s, tn_rev revision, struct store_hash **ret) MUST_USE;
/* The hash that a compaction, just become durable, makes of all up to its revision before anything is trimmed, with the
 * compaction revision of before it; NULL when that is not the one it followed, or there is no room. */
struct store_hash *store_hash_begin_compaction(struct store *s, tn_rev before);
/* Keeps the result of that, once it is done, to be answered for its revision. The ten newest are kept. */
void store_hash_keep(struct store_hash *h);
/* One slice: about as much as looking at that many keys. */
enum store_hash_state store_hash_step(struct store_hash *h, size_t work) MUST_USE;
void store_hash_result(const struct store_hash *h, struct hash_kv_resp *ret); /* once it is done */
struct store_hash *store_hash_end(struct store_hash *h);                      /* NULL is fine; NULL */
/* Whether any is under way. */
bool store_hashing(const struct store *s);

/* ---- watches ---- */

struct store_watch_batch {
    struct store_watcher *watcher;
    void *user;      /* as given to store_watch_add */
    tn_rev revision; /* header revision: the durable one */
    bool compacted;  /* the start lies below the compaction revision: no events, compact_revision says where */
    tn_rev compact_revision;
    const struct event *events; /* whole revisions only; borrowed until the next call on the store */
    size_t n_events;
    /* Live events of one revision come to all its watchers one after another: the same (revision, index) is the same
     * event, so one encoding serves all. ordinals[i] is the event's index within its revision; NULL when the batch
     * comes from history. prev_kv is filled for watchers that asked for it. */
    const uint32_t *ordinals;
    bool synced; /* the watcher is now up to the durable revision */
};

/* Adds a watcher; it gets nothing before the next store_watch_next. Checks: WATCH_EMPTY_RANGE; negative start ->
 * COMPACTED. NO memory -> OUT_OF_MEMORY. */
enum etcd_error store_watch_add(struct store *s, const struct watch_create_req *req, void *user,
                                struct store_watcher **ret) MUST_USE;
void store_watch_remove(struct store *s, struct store_watcher *w);
/* A blocked watcher (its stream has no room) gets nothing; unblocked it catches up from history. Costs no memory that
 * grows with what it misses. */
void store_watch_block(struct store *s, struct store_watcher *w, bool blocked);
/* Whether all durable events were delivered to w (a watcher waiting for a future revision is not behind). */
bool store_watch_synced(const struct store *s, const struct store_watcher *w);
/* Of the request that made it. */
struct key_range store_watch_range(const struct store_watcher *w);
/* The first revision that w has not got yet. */
tn_rev store_watch_position(const struct store_watcher *w);
/* The next ready batch: live events first, revision by revision, then watchers that catch up, fairly, each at most
 * events_max events and about 1 MiB a batch (but always whole revisions). False when nothing is ready. TENURE_ENOMEM is absorbed: the
 * watcher concerned falls back to history. */
bool store_watch_next(struct store *s, size_t events_max, struct store_watch_batch *ret);
/* After store_watch_next answered false: whether it did so only because the share of history that one call reads is
 * used up (or memory was short), so that it must be called again in the next turn. */
bool store_watch_pending(const struct store *s);

/* ---- for tests: a digest of the whole durable state, equal for equal states ---- */
uint64_t store_digest(const struct store *s);

#endif
