/* What the files of the store share: its state and the steps that they are made of. Nobody else includes this.
 *
 * A command is command_begin, steps that each add one row or fail without a change, then command_end, or command_abort,
 * which undoes the steps that were made. */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include "base/btree.h"
#include "store/auth_state.h"
#include "store/deque.h"
#include "store/fact.h"
#include "store/key.h"
#include "store/lease_set.h"
#include "store/store.h"
#include "store/tail.h"
#include "store/watch.h"

/* A compaction that was planned; the newest durable one counts, rows of older ones are trimmed. */
struct compaction {
    struct list node; /* in store.compactions */
    tn_rev revision;
    tn_rev revision_before; /* planned compaction revision to go back to */
    tn_rev reached;         /* the revision that its row tells, where there may be holes; else 0 */
    tn_seq seq;
};

/* What replay has to remember until it ends. */
struct replay {
    bool done, any_gap;
    bool in_command;   /* the last row does not end its command */
    int64_t missing;   /* rows since the last one of a key */
    tn_seq gap_before; /* the last row with missing ones right before it */
    tn_rev excused_by; /* rows are missing that only a compaction at this revision or above may have dropped */
    int64_t sub;       /* of the last row of a key */
    bool last_was_put;
    bool in_auth;     /* the command that goes on is one about authentication */
    int64_t dangling; /* live keys whose lease is not there */
};

enum { AUTO_COMPACT_SAMPLES = 64 };

/* The revision at some times in the last retention period, oldest first. */
struct auto_compact {
    struct {
        tn_ms at;
        tn_rev revision;
    } samples[AUTO_COMPACT_SAMPLES];
    size_t first, len;
};

/* What a compaction hashed before it dropped anything. */
struct hash_kept {
    tn_rev revision, compacted;
    uint32_t hash;
};

struct store {
    struct store_config config; /* with the defaults filled in; member_name is NULL */
    struct rng rng;
    uint64_t cluster_id, member_id;
    char *member_name;

    struct btree keys;       /* of struct key */
    struct btree dead;       /* keys whose newest version is a durable tombstone: only reads of the past see them */
    struct deque history;    /* all versions from the compaction revision on, oldest first */
    struct deque overwrites; /* versions that made a live one garbage, oldest first */
    struct deque tombstones; /* oldest first */
    struct list compactions; /* oldest first */
    struct lease_set leases;
    struct auth auth;
    struct facts facts;
    struct list hashes; /* under way */
    struct hash_kept hashes_kept[10];
    size_t n_hashes_kept; /* oldest first */
    struct watch_hub watch;

    tn_rev revision, revision_durable;
    tn_rev compacted, compacted_durable;
    tn_seq seq, seq_durable;
    struct tail tail;
    size_t command_first;  /* length of the tail when the command began */
    uint32_t command_subs; /* rows of keys that it made */
    size_t follow_bytes;   /* keys and values in the tail; counted where another's history is followed */

    struct store_counts counts;
    int64_t live_keys, memory, garbage, file_bytes;
    struct version **scratch; /* for ranges and deletes, one at a time */
    size_t scratch_cap;
    struct replay replay;
    struct auto_compact auto_compact;
};

/* ---- command.c: the life of a command ---- */

/* ETCD_TOO_MANY_REQUESTS when the tail is too long. */
enum etcd_error command_begin(struct store *s) MUST_USE;
void command_end(struct store *s);
void command_abort(struct store *s);
/* The revision that the command's rows have. */
static inline tn_rev command_revision(const struct store *s)
{
    return s->revision + 1;
}
/* The revision that the command sees: its own once it wrote. */
static inline tn_rev command_sees(const struct store *s)
{
    return s->revision + (s->command_subs > 0);
}
/* What a reply to a command must wait for. */
static inline tn_seq command_gate(const struct store *s)
{
    return s->config.broken_skip_gate ? 0 : s->seq;
}
/* Room for one more row, entry included. */
int command_reserve(struct store *s) MUST_USE;
/* Adds the row: seq is filled in. Room was reserved. */
void command_add(struct store *s, struct planned entry, struct record row);
/* Takes the newest entry back. */
void undo_last(struct store *s);

/* ---- install.c: a version in the indexes ---- */

/* Room for one more version of k in the indexes. 0 or TENURE_ENOMEM. */
int install_reserve(struct store *s, struct key *k) MUST_USE;
/* Makes v the newest version of k. */
void version_install(struct store *s, struct key *k, struct version *v);
/* Takes the newest of all versions out and frees it, with its key where that was all. */
void version_uninstall(struct store *s, struct version *v);
struct key *store_key_find(const struct store *s, bytes name); /* dead or not; NULL when absent */
/* A new key in the tree. NULL when out of memory. */
struct key *store_key_add(struct store *s, bytes name) MUST_USE;
void store_key_remove(struct store *s, struct key *k);
/* Puts k, whose newest version is a durable tombstone, among the dead. Without memory it stays where it is: that costs time. */
void store_key_bury(struct store *s, struct key *k);

/* ---- write.c: puts and deletes inside a command ---- */

enum etcd_error write_put(struct store *s, const struct put_req *req, struct put_resp *ret) MUST_USE;
enum etcd_error write_delete(struct store *s, const struct delete_req *req, struct arena *a, struct delete_resp *ret)
    MUST_USE;
/* v becomes the newest version of the key, with all numbers that it has but its place. Takes v. */
enum etcd_error write_version(struct store *s, struct key *k, bytes name, struct version *v) MUST_USE;
/* One tombstone for k, whose newest version lives. */
enum etcd_error write_tombstone(struct store *s, struct key *k) MUST_USE;
/* Whether the put can be done at the planned state: lease and previous value exist where wanted. */
enum etcd_error write_check(const struct store *s, const struct put_req *req) MUST_USE;

/* ---- scan.c: keys of a range ---- */

struct scan {
    struct key_range range;
    struct btree_cursor cursor, dead_cursor;
    struct key *other; /* of the tree from which the last one did not come: the next one there */
    bool other_is_dead;
};
/* All keys of the range that live at revision `at`, and some that do not. NULL at the end. at is the durable revision or a newer
 * one, else the dead are walked over too. */
struct key *scan_first(const struct store *s, struct scan *scan, struct key_range range, tn_rev at);
struct key *scan_next(struct scan *scan);
/* Room for n versions in s->scratch. 0 or TENURE_ENOMEM. */
int scratch_reserve(struct store *s, size_t n) MUST_USE;
/* Gives a large scratch back. */
void scratch_release(struct store *s);

/* ---- range.c ---- */

/* Reads with `current` as the newest revision. */
enum etcd_error range_read(struct store *s, const struct range_req *req, tn_rev current, tn_rev compacted,
                           struct arena *a, struct range_resp *ret) MUST_USE;

/* ---- request_check.c, overlap.c: what is wrong with a request by itself ---- */

enum etcd_error check_range(const struct range_req *req) MUST_USE;
enum etcd_error check_put(const struct put_req *req) MUST_USE;
enum etcd_error check_delete(const struct delete_req *req) MUST_USE;
enum etcd_error check_txn(const struct txn_req *req, uint32_t ops_max) MUST_USE;
/* ETCD_DUPLICATE_KEY when two operations that can both run change one key. */
enum etcd_error check_overlap(const struct txn_req *req, struct arena *a) MUST_USE;

/* ---- compare.c ---- */

/* Whether all compares of t hold at revision `at`. */
bool compare_all(const struct store *s, const struct txn_req *t, tn_rev at);

/* ---- quota.c ---- */

/* ETCD_NO_SPACE when `more` bytes do not fit. */
enum etcd_error quota_check(const struct store *s, int64_t more) MUST_USE;
int64_t quota_put_cost(const struct put_req *req);
int64_t quota_txn_cost(const struct txn_req *req); /* 0 when it puts nothing on either path */

/* ---- alarm.c ---- */

/* What CORRUPT answers to all that writes. */
enum etcd_error alarm_check(const struct store *s) MUST_USE;

/* ---- hash.c ---- */

/* What can be read at this revision and above must stay. */
tn_rev hash_floor(const struct store *s);

/* ---- compact.c ---- */

/* The newest durable compaction; NULL when there is none. */
struct compaction *compaction_durable(const struct store *s);
/* Plans a compaction up to rev. */
enum etcd_error compaction_plan(struct store *s, tn_rev rev) MUST_USE;
/* Plans the same compaction once more, to tell that the store has come to that revision: its row takes the place of the one before.
 * */
enum etcd_error compaction_plan_reached(struct store *s, tn_rev reached) MUST_USE;

/* ---- replay.c ---- */

/* Whether a row of a key can follow what the key's newest version (NULL = none) is. 0 or TENURE_ECORRUPT. */
int row_check_key(const struct record *r, const struct version *before, struct tenure_error *err) MUST_USE;

/* ---- auth_replay.c ---- */

/* gap: rows may be missing before it. */
int auth_replay(struct store *s, const struct record *r, bool gap, struct tenure_error *err) MUST_USE;

/* ---- history.c ---- */

/* The place in s->history of the first version with main >= rev; its length when there is none. */
size_t history_lower_bound(const struct store *s, tn_rev rev);
static inline struct version *history_at(const struct store *s, size_t i)
{
    return deque_at(&s->history, i);
}

#endif
