/* Plain structs of the KV service: the one vocabulary between wire, store, core, client and recipes. Pure data.
 *
 * All bytes are borrowed: by a request from whoever made it, by a reply from the arena or store named where the reply
 * is produced. Field meanings and defaults are etcd's (zero = default). */
#ifndef API_KV_H
#define API_KV_H

#include "base/bytes.h"

struct kv {
    bytes key, value;
    tn_rev create_revision, mod_revision;
    int64_t version; /* writes since creation; 0 = deleted */
    tn_lease lease;
};

/* range_end: empty = the one key; a single 0 byte = all keys >= key; else keys in [key, range_end). */
struct key_range {
    bytes key, range_end;
};

/* Whether k lies in r, by the three forms above. */
bool key_range_contains(struct key_range r, bytes k);
static inline bool key_range_is_single(struct key_range r)
{
    return r.range_end.len == 0;
}
static inline bool key_range_is_from(struct key_range r)
{
    return r.range_end.len == 1 && r.range_end.data[0] == 0;
}

struct response_header {
    uint64_t cluster_id, member_id;
    tn_rev revision;
    uint64_t raft_term;
};

enum sort_order { SORT_NONE = 0, SORT_ASCEND = 1, SORT_DESCEND = 2 };
enum sort_target { SORT_KEY = 0, SORT_VERSION = 1, SORT_CREATE = 2, SORT_MOD = 3, SORT_VALUE = 4 };

struct range_req {
    struct key_range range;
    int64_t limit;   /* <= 0 = none */
    tn_rev revision; /* <= 0 = newest */
    int32_t sort_order, sort_target;
    bool serializable, keys_only, count_only;
    tn_rev min_mod_revision, max_mod_revision, min_create_revision, max_create_revision;
};

struct range_resp {
    tn_rev revision; /* header: the store's current revision */
    struct kv *kvs;
    size_t n_kvs;
    bool more;
    int64_t count;
};

struct put_req {
    bytes key, value;
    tn_lease lease;
    bool prev_kv, ignore_value, ignore_lease;
};

struct put_resp {
    tn_rev revision;
    bool has_prev_kv;
    struct kv prev_kv;
};

struct delete_req {
    struct key_range range;
    bool prev_kv;
};

struct delete_resp {
    tn_rev revision;
    int64_t deleted;
    struct kv *prev_kvs;
    size_t n_prev_kvs;
};

enum compare_result { COMPARE_EQUAL = 0, COMPARE_GREATER = 1, COMPARE_LESS = 2, COMPARE_NOT_EQUAL = 3 };
enum compare_target { COMPARE_VERSION = 0, COMPARE_CREATE = 1, COMPARE_MOD = 2, COMPARE_VALUE = 3, COMPARE_LEASE = 4 };

struct compare {
    int32_t result, target; /* unknown numbers count as true, as in etcd */
    struct key_range range;
    int64_t number; /* of the union, where it fits target; else 0 */
    bytes value;    /* for COMPARE_VALUE */
};

enum op_kind { OP_NONE = 0, OP_RANGE, OP_PUT, OP_DELETE, OP_TXN };

struct txn_req;
struct txn_resp;

struct request_op {
    enum op_kind kind;
    union {
        struct range_req range;
        struct put_req put;
        struct delete_req del;
        struct txn_req *txn;
    };
};

struct response_op {
    enum op_kind kind;
    union {
        struct range_resp range;
        struct put_resp put;
        struct delete_resp del;
        struct txn_resp *txn;
    };
};

struct txn_req {
    struct compare *compares;
    size_t n_compares;
    struct request_op *success, *failure;
    size_t n_success, n_failure;
};

struct txn_resp {
    tn_rev revision;
    bool succeeded;
    struct response_op *responses;
    size_t n_responses;
};

struct compact_req {
    tn_rev revision;
    bool physical;
};

struct compact_resp {
    tn_rev revision;
};

/* Whether the transaction holds a put or delete on either path, nested ones included. */
bool txn_may_write(const struct txn_req *t);

#endif
