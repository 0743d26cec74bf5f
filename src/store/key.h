/* A key with its versions, and a version: one key at one revision. Pure data and memory; what a version means to
 * leases, history and counts is in install.c.
 *
 * Sizes matter: a million keys are a million of each, so a version has its value inline, and a key with one version
 * (the common case) has no array. */
#ifndef STORE_KEY_H
#define STORE_KEY_H

#include "api/kv.h"
#include "base/btree.h"
#include "base/list.h"

struct key;

/* Constant from the moment it is installed; a row that was handed out borrows its value. */
struct version {
    struct key *key; /* the owner */
    tn_rev main;
    tn_rev create_revision;
    int64_t version; /* writes since creation; 0 = a tombstone */
    tn_lease lease;
    tn_seq seq; /* of its row in the log */
    uint32_t sub;
    uint32_t value_len;
    uint8_t value[];
};

struct versions {
    uint32_t first, len, cap; /* the places first .. first + len - 1 of at are in use */
    struct version *at[];
};

struct key {
    struct btree_item item; /* in the store's tree; the bytes are data[] */
    struct list lease_node; /* in the list of the lease of the newest planned version; else alone */
    uintptr_t slot;         /* 0, a struct version, or a struct versions marked by the lowest bit */
    uint8_t data[];
};

static inline bool version_is_tombstone(const struct version *v)
{
    return v->version == 0;
}
static inline bytes version_value(const struct version *v)
{
    return bytes_of(v->value, v->value_len);
}
static inline size_t version_bytes(const struct version *v)
{
    return v->key->item.key.len + v->value_len;
}
static inline struct kv version_kv(const struct version *v)
{
    return (struct kv){
        .key = v->key->item.key,
        .value = version_value(v),
        .create_revision = v->create_revision,
        .mod_revision = v->main,
        .version = v->version,
        .lease = v->lease,
    };
}

/* Copies value (value.len <= UINT32_MAX); all else is for the caller to fill. NULL when out of memory. */
struct version *version_new(bytes value) MUST_USE;
/* A key without versions; copies name. NULL when out of memory. */
struct key *key_new(bytes name) MUST_USE;
/* Frees the key with all its versions. NULL is fine. */
void key_free(struct key *k);

/* What a version and a key cost in memory, the allocator's and the indexes' share included. */
int64_t version_memory(const struct version *v);
int64_t key_memory(const struct key *k);

/* Makes room so that the next key_push cannot fail. 0 or TENURE_ENOMEM. */
int key_reserve(struct key *k) MUST_USE;
/* Appends v, which is newer than all others; k owns it now. */
void key_push(struct key *k, struct version *v);
/* Takes the newest out again; the caller owns it. */
struct version *key_pop(struct key *k);
/* Takes the oldest out; the caller owns it. */
struct version *key_drop(struct key *k);

size_t key_len(const struct key *k);
/* The i-th, oldest first; i < key_len. */
struct version *key_nth(const struct key *k, size_t i);
struct version *key_newest(const struct key *k); /* NULL when there is none */
/* The place of the first version with main >= rev; key_len when there is none. */
size_t key_lower_bound(const struct key *k, tn_rev rev);
/* The newest with main <= rev, a tombstone too; NULL when there is none. */
struct version *key_at(const struct key *k, tn_rev rev);
/* As key_at, but NULL for a tombstone: what a read at rev sees. */
struct version *key_live_at(const struct key *k, tn_rev rev);
/* The version before v, a tombstone too; NULL when there is none or compaction dropped it. */
struct version *key_before(const struct version *v);

#endif
