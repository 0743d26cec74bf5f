/* Keys and values: get, put, delete, transactions, compaction, watches, leases.
 *
 * Two forms of every call: `tenure_x` blocks (handles of tenure_open only) and `tenure_x_start` takes a completion. Inputs are
 * copied before the call returns. Results are one allocation, freed by the named function (NULL is fine for each of them);
 * what they point to lives as long, and each run of bytes in them has a 0 behind its end, not counted. A timeout of 0 means
 * the handle's default. Blocking calls answer 0 or TENURE_E… and fill err (NULL: no text wanted); err->applied says of a failed
 * write whether it took effect. A handle, name, function or place for an answer that is NULL where that is not allowed is
 * TENURE_EINVALID, in every function of the library; what frees or lets go takes NULL. They return at most 100 ms after their deadline, whatever the servers do.
 *
 * Errors common to all: TENURE_ETIMEOUT, TENURE_EUNAVAILABLE, TENURE_EDENIED, TENURE_ECLOSED, TENURE_EFORKED,
 * TENURE_ENOMEM, TENURE_ELIMIT (too many calls under way), TENURE_ETOOLARGE, TENURE_ENOSPACE, TENURE_EPROTOCOL,
 * TENURE_EINVALID (an empty key, options that contradict).
 */
#ifndef TENURE_KV_H
#define TENURE_KV_H

#include <stdbool.h>

#include <tenure/client.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct tenure_bytes {
    const void *data;
    size_t len;
};
/* Borrows a C string. */
struct tenure_bytes tenure_str(const char *s);

struct tenure_kv {
    struct tenure_bytes key, value;
    int64_t create_revision, mod_revision, version, lease;
};

/* ---- reading ---- */
enum tenure_order { TENURE_ORDER_NONE = 0, TENURE_ORDER_ASCEND = 1, TENURE_ORDER_DESCEND = 2 };
enum tenure_sort {
    TENURE_SORT_KEY = 0,
    TENURE_SORT_VERSION = 1,
    TENURE_SORT_CREATE = 2,
    TENURE_SORT_MOD = 3,
    TENURE_SORT_VALUE = 4
};

struct tenure_get_options {
    size_t size;
    bool prefix;                   /* all keys that begin with key */
    bool from_key;                 /* all keys >= key */
    struct tenure_bytes range_end; /* or: all keys in [key, range_end) */
    int64_t limit, revision;       /* 0 = none; 0 = newest */
    enum tenure_order order;
    enum tenure_sort sort;
    bool serializable, keys_only, count_only;
    int64_t min_mod_revision, max_mod_revision, min_create_revision, max_create_revision;
    int64_t timeout_ms;
};
struct tenure_get_result {
    int64_t revision; /* of the store when it answered */
    int64_t count;    /* keys in the range, whatever the limit */
    bool more;
    size_t n_kvs;
    const struct tenure_kv *kvs;
};
/* TENURE_ECOMPACTED, TENURE_EFUTURE for a revision that is gone or not there yet. No key found is success with n_kvs 0.
 * ret may be NULL: it is only asked whether it can be read. */
int tenure_get(tenure_client *c, struct tenure_bytes key, const struct tenure_get_options *o,
               struct tenure_get_result **ret, struct tenure_error *err);
void tenure_get_free(struct tenure_get_result *r); /* NULL is fine */

/* ---- writing ---- */
struct tenure_put_options {
    size_t size;
    int64_t lease;
    bool prev_kv, ignore_value, ignore_lease;
    int64_t timeout_ms;
};
struct tenure_put_result {
    int64_t revision;
    bool has_prev_kv;
    struct tenure_kv prev_kv;
};
/* ret may be NULL. TENURE_ENOTFOUND: the lease does not exist, or ignore_value on a missing key. */
int tenure_put(tenure_client *c, struct tenure_bytes key, struct tenure_bytes value, const struct tenure_put_options *o,
               struct tenure_put_result **ret, struct tenure_error *err);
void tenure_put_free(struct tenure_put_result *r);

struct tenure_delete_options {
    size_t size;
    bool prefix, from_key;
    struct tenure_bytes range_end;
    bool prev_kv;
    int64_t timeout_ms;
};
struct tenure_delete_result {
    int64_t revision, deleted;
    size_t n_prev_kvs;
    const struct tenure_kv *prev_kvs;
};
/* ret may be NULL. */
int tenure_delete(tenure_client *c, struct tenure_bytes key, const struct tenure_delete_options *o,
                  struct tenure_delete_result **ret, struct tenure_error *err);
void tenure_delete_free(struct tenure_delete_result *r);

/* Drops history below revision; physical: and waits until the space is free. TENURE_ECOMPACTED when it was, TENURE_EFUTURE
 * when it is not there yet. */
int tenure_compact(tenure_client *c, int64_t revision, bool physical, int64_t timeout_ms, struct tenure_error *err);
/* The same without waiting; cb may be NULL. */
int tenure_compact_start(tenure_client *c, int64_t revision, bool physical, int64_t timeout_ms, tenure_done_cb cb,
                         void *user, struct tenure_error *err);

/* ---- transactions: if all compares hold, the then-operations, else the else-operations; one revision ---- */
typedef struct tenure_txn tenure_txn;
enum tenure_cmp { TENURE_EQ = 0, TENURE_GT = 1, TENURE_LT = 2, TENURE_NE = 3 };
enum tenure_txn_outcome { TENURE_TXN_FAILED = 0, TENURE_TXN_SUCCEEDED = 1 };

/* A builder; errors (memory, an empty key) stick and are answered by the commit. Copies all inputs. NULL only when memory
 * is short; every tenure_if/then/else takes NULL and then commit answers TENURE_ENOMEM. One thread at a time. */
tenure_txn *tenure_txn_new(tenure_client *c);
void tenure_txn_free(tenure_txn *t);
void tenure_if_version(tenure_txn *t, struct tenure_bytes key, enum tenure_cmp cmp, int64_t version);
void tenure_if_create_revision(tenure_txn *t, struct tenure_bytes key, enum tenure_cmp cmp, int64_t revision);
void tenure_if_mod_revision(tenure_txn *t, struct tenure_bytes key, enum tenure_cmp cmp, int64_t revision);
void tenure_if_lease(tenure_txn *t, struct tenure_bytes key, enum tenure_cmp cmp, int64_t lease);
void tenure_if_value(tenure_txn *t, struct tenure_bytes key, enum tenure_cmp cmp, struct tenure_bytes value);
void tenure_then_put(tenure_txn *t, struct tenure_bytes key, struct tenure_bytes value, int64_t lease);
void tenure_then_get(tenure_txn *t, struct tenure_bytes key, const struct tenure_get_options *o);
void tenure_then_delete(tenure_txn *t, struct tenure_bytes key, const struct tenure_delete_options *o);
void tenure_else_put(tenure_txn *t, struct tenure_bytes key, struct tenure_bytes value, int64_t lease);
void tenure_else_get(tenure_txn *t, struct tenure_bytes key, const struct tenure_get_options *o);
void tenure_else_delete(tenure_txn *t, struct tenure_bytes key, const struct tenure_delete_options *o);

enum tenure_target {
    TENURE_TARGET_VERSION = 0,
    TENURE_TARGET_CREATE = 1,
    TENURE_TARGET_MOD = 2,
    TENURE_TARGET_VALUE = 3,
    TENURE_TARGET_LEASE = 4
};
struct tenure_compare {
    size_t size;
    enum tenure_target target;
    enum tenure_cmp cmp;
    struct tenure_bytes key;
    bool prefix, from_key;         /* as of a get */
    struct tenure_bytes range_end; /* as of a get */
    int64_t number;                /* what it is compared with, but for values */
    struct tenure_bytes value;     /* of TENURE_TARGET_VALUE */
};
/* A compare with all that there is to say. Over a range it holds when it does for every key there; where there is none it is
 * judged as of a key whose numbers are all 0, and of values as false. */
void tenure_if(tenure_txn *t, const struct tenure_compare *compare);
/* Puts with all options; timeout_ms there means nothing. */
void tenure_then_put_with(tenure_txn *t, struct tenure_bytes key, struct tenure_bytes value,
                          const struct tenure_put_options *o);
void tenure_else_put_with(tenure_txn *t, struct tenure_bytes key, struct tenure_bytes value,
                          const struct tenure_put_options *o);
/* A transaction as an operation of another: its compares are judged before anything is written. Copies inner, which stays the
 * caller's, with its error. At most 16 within each other. */
void tenure_then_txn(tenure_txn *t, const tenure_txn *inner);
void tenure_else_txn(tenure_txn *t, const tenure_txn *inner);

enum tenure_op { TENURE_OP_GET = 1, TENURE_OP_PUT = 2, TENURE_OP_DELETE = 3, TENURE_OP_TXN = 4 };
struct tenure_txn_result;
struct tenure_op_result {
    enum tenure_op op;
    const struct tenure_get_result *get; /* the one that fits op; freed with the whole */
    const struct tenure_put_result *put;
    const struct tenure_delete_result *del;
    const struct tenure_txn_result *txn; /* its revision is the outer one's */
};
struct tenure_txn_result {
    enum tenure_txn_outcome outcome;
    int64_t revision;
    size_t n_ops;
    const struct tenure_op_result *ops;
    bool
        ops_unknown; /* of an exact one: outcome and revision are known, what the operations answered is not any more; n_ops 0 */
};
/* Makes the commit exact: it is sent again when its answer was lost, never applied twice, and asked after until it is known
 * whether it was applied and by which branch; the answers of its operations are read again from history where they can be.
 * For this it writes a mark in the same revision (see marks_prefix in client.h), on a lease that ends with the handle; the first
 * one costs three round trips, later ones one. Without it, and without tenure_options.exact_guarded, a transaction whose answer
 * was lost fails with applied = maybe. So does an exact one only when nobody could be asked before its deadline, it was
 * cancelled, or no server was reached for a minute. One operation less than the server allows fits into each branch. */
void tenure_txn_exact(tenure_txn *t, bool exact);
/* Commits; t can be committed again or freed. ret may be NULL. Answers 0 for both outcomes; look at (*ret)->outcome. */
int tenure_txn_commit(tenure_txn *t, int64_t timeout_ms, struct tenure_txn_result **ret, struct tenure_error *err);
void tenure_txn_result_free(struct tenure_txn_result *r);

/* ---- compare and set: written only if nobody else wrote in between; exact, as tenure_txn_exact says ---- */
struct tenure_cas_result {
    enum tenure_txn_outcome outcome; /* TENURE_TXN_FAILED: the key's mod_revision is another one, nothing was written */
    int64_t revision;                /* of the write; or of the store when it was judged */
    bool has_kv;                     /* there is a kv: */
    struct tenure_kv kv; /* what the key holds instead; when written: what it held before, if prev_kv was asked for */
};
/* Puts, or deletes, the key if its mod_revision is mod_revision (as a get, a watch or an earlier write told it); 0 = if it does
 * not exist. Answers 0 for both outcomes; look at (*ret)->outcome, and try again with (*ret)->kv.mod_revision where that makes
 * sense. ret may be NULL. TENURE_ENOTFOUND: the lease does not exist. TENURE_EINVALID: delete_if of more than one key, or with
 * mod_revision 0; a negative mod_revision. */
int tenure_put_if(tenure_client *c, struct tenure_bytes key, struct tenure_bytes value, int64_t mod_revision,
                  const struct tenure_put_options *o, struct tenure_cas_result **ret, struct tenure_error *err);
int tenure_delete_if(tenure_client *c, struct tenure_bytes key, int64_t mod_revision,
                     const struct tenure_delete_options *o, struct tenure_cas_result **ret, struct tenure_error *err);
void tenure_cas_free(struct tenure_cas_result *r); /* NULL is fine */

/* ---- completions: the same calls without waiting. The callback comes exactly once, from the loop, also after a close
 * (TENURE_ECLOSED); its result is NULL when code != 0, else it belongs to the callback, which frees it. ---- */
typedef void (*tenure_get_cb)(void *user, int code, struct tenure_get_result *r, const struct tenure_error *err);
typedef void (*tenure_put_cb)(void *user, int code, struct tenure_put_result *r, const struct tenure_error *err);
typedef void (*tenure_delete_cb)(void *user, int code, struct tenure_delete_result *r, const struct tenure_error *err);
typedef void (*tenure_cas_cb)(void *user, int code, struct tenure_cas_result *r, const struct tenure_error *err);
typedef void (*tenure_txn_cb)(void *user, int code, struct tenure_txn_result *r, const struct tenure_error *err);
/* 0, or why the call could not begin (then the callback does not come). cb may be NULL for the writes. */
int tenure_get_start(tenure_client *c, struct tenure_bytes key, const struct tenure_get_options *o, tenure_get_cb cb,
                     void *user, struct tenure_error *err);
int tenure_put_start(tenure_client *c, struct tenure_bytes key, struct tenure_bytes value,
                     const struct tenure_put_options *o, tenure_put_cb cb, void *user, struct tenure_error *err);
int tenure_delete_start(tenure_client *c, struct tenure_bytes key, const struct tenure_delete_options *o,
                        tenure_delete_cb cb, void *user, struct tenure_error *err);
int tenure_put_if_start(tenure_client *c, struct tenure_bytes key, struct tenure_bytes value, int64_t mod_revision,
                        const struct tenure_put_options *o, tenure_cas_cb cb, void *user, struct tenure_error *err);
int tenure_delete_if_start(tenure_client *c, struct tenure_bytes key, int64_t mod_revision,
                           const struct tenure_delete_options *o, tenure_cas_cb cb, void *user,
                           struct tenure_error *err);
int tenure_txn_start(tenure_txn *t, int64_t timeout_ms, tenure_txn_cb cb, void *user, struct tenure_error *err);

/* ---- watches ---- */
typedef struct tenure_watch tenure_watch;
enum tenure_event_type { TENURE_EVENT_PUT = 0, TENURE_EVENT_DELETE = 1 };
struct tenure_event {
    enum tenure_event_type type;
    struct tenure_kv kv;
    bool has_prev_kv;
    struct tenure_kv prev_kv;
};
/* A watch that resyncs (option `resync`) begins with all keys of its range, as puts, and then tells the events behind them. Where
 * the servers have compacted what it missed, or more events wait than the handle holds, it does not end: it lists the range again
 * and tells the exact difference to what it told before, as puts (with the revisions that the keys have) and deletes (with the
 * revision of the list). So whoever applies what on_events brings has an exact copy of the range at the revision told, whenever he
 * is not between BEGIN and END. */
enum tenure_resync_mark {
    TENURE_RESYNC_BEGIN, /* why: 0 the first list, TENURE_ECOMPACTED, TENURE_ELIMIT; revision: told up to there, 0 = nothing yet.
                            May come again before END: a list had to be begun anew */
    TENURE_RESYNC_END /* revision: what was told is the range at that one */
};
struct tenure_watch_options {
    size_t size;
    bool prefix, from_key;
    struct tenure_bytes range_end;
    int64_t revision; /* the first wanted; 0 = from now on */
    bool prev_kv, no_put, no_delete, progress_notify;
    void (*on_created)(void *user, int64_t revision);
    /* Whole revisions, in order, each once; n 0 is a progress notice up to revision. Borrowed for the call, and the runs of
     * bytes without a 0 behind: they lie in what was received. */
    void (*on_events)(void *user, int64_t revision, const struct tenure_event *events, size_t n);
    /* The watch ended by itself (compacted: read again from compact_revision; limit; denied; closed). */
    void (*on_end)(void *user, int code, int64_t compact_revision, const struct tenure_error *err);
    void *user;
    bool resync; /* see above; not with revision, no_put, no_delete; on_created does not come */
    /* What a watch that resyncs remembers of what it told, at most: keys, and bytes of keys, about 100 for each, and with prev_kv
     * of values. 0 = 1,000,000; 256 MiB. When there is more, it ends: on_end with TENURE_ELIMIT. */
    size_t keys_max, bytes_max;
    void (*on_resync)(void *user, enum tenure_resync_mark mark, int why, int64_t revision); /* may be NULL */
};
/* Lost connections are resumed behind the last revision seen, nothing missed, nothing twice. Any handle; callbacks on the
 * loop's thread. NULL on failure. */
tenure_watch *tenure_watch_start(tenure_client *c, struct tenure_bytes key, const struct tenure_watch_options *o,
                                 struct tenure_error *err);
/* Ends and frees; no callback comes after it has returned, except to the very callback that called it. NULL is fine. */
void tenure_watch_stop(tenure_watch *w);

/* ---- leases ---- */
/* ttl_s is raised to the server's minimum: see *ret_ttl_s (may be NULL). id 0 = one is drawn, and told by *ret_id, which may be
 * NULL for any other id. TENURE_EEXISTS for an id in use. */
int tenure_lease_grant(tenure_client *c, int64_t ttl_s, int64_t id, int64_t *ret_id, int64_t *ret_ttl_s,
                       struct tenure_error *err);
int tenure_lease_revoke(tenure_client *c, int64_t id, struct tenure_error *err); /* TENURE_ENOTFOUND */
/* Renews once. TENURE_ENOTFOUND when the lease is gone. ret_ttl_s may be NULL. */
int tenure_lease_keepalive(tenure_client *c, int64_t id, int64_t *ret_ttl_s, struct tenure_error *err);
struct tenure_lease_info {
    int64_t id, ttl_s, granted_ttl_s; /* ttl_s -1: unknown lease */
    size_t n_keys;
    const struct tenure_bytes *keys;
};
/* How long a lease still lives, and with `keys` what is attached to it. An unknown lease is success with ttl_s -1. */
int tenure_lease_ttl(tenure_client *c, int64_t id, bool keys, struct tenure_lease_info **ret, struct tenure_error *err);
void tenure_lease_info_free(struct tenure_lease_info *r);
struct tenure_lease_list {
    size_t n;
    const int64_t *ids; /* the one that ends first in front */
};
/* All leases that are alive. */
int tenure_lease_list(tenure_client *c, struct tenure_lease_list **ret, struct tenure_error *err);
void tenure_lease_list_free(struct tenure_lease_list *r);

/* The same without waiting. Of a grant or a renewal: the lease, and how long it lives; of failures only code and err say
 * something. */
typedef void (*tenure_lease_cb)(void *user, int code, int64_t id, int64_t ttl_s, const struct tenure_error *err);
typedef void (*tenure_lease_info_cb)(void *user, int code, struct tenure_lease_info *r, const struct tenure_error *err);
typedef void (*tenure_lease_list_cb)(void *user, int code, struct tenure_lease_list *r, const struct tenure_error *err);
/* As tenure_lease_grant, with a completion. */
int tenure_lease_grant_start(tenure_client *c, int64_t ttl_s, int64_t id, tenure_lease_cb cb, void *user,
                             struct tenure_error *err);
/* As tenure_lease_revoke, with a completion, which may be NULL. */
int tenure_lease_revoke_start(tenure_client *c, int64_t id, tenure_done_cb cb, void *user, struct tenure_error *err);
/* As tenure_lease_keepalive, with a completion, which may be NULL. */
int tenure_lease_keepalive_start(tenure_client *c, int64_t id, tenure_lease_cb cb, void *user,
                                 struct tenure_error *err);
/* As tenure_lease_ttl, with a completion. */
int tenure_lease_ttl_start(tenure_client *c, int64_t id, bool keys, tenure_lease_info_cb cb, void *user,
                           struct tenure_error *err);
/* As tenure_lease_list, with a completion. */
int tenure_lease_list_start(tenure_client *c, tenure_lease_list_cb cb, void *user, struct tenure_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
