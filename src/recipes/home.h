/* Where keys have their home: the records that say which region may write below a prefix, and the fencing tokens that follow from them.
 *
 *     /federation/homes<prefix>   {"region":"eu","epoch":3}      in the cluster of every region
 *
 * With "authority":true nothing is given out there without the home's authority (authority.h).
 *
 * A prefix begins and ends with '/'. Of several that cover a key the longest counts; none: the key belongs to its cluster alone,
 * epoch 0. A record is only ever replaced by one of a greater epoch, by a transaction that compares its mod_revision; it is never
 * deleted (an epoch that begins anew would make old tokens the greater ones).
 *
 * Who needs the home of one key asks for its candidates in one transaction:
 *
 *     struct buf k; buf_init(&k);
 *     for (size_t at = 0; home_candidate(key, &at, &k); …)      // "/federation/homes/", "/federation/homes/locks/", …
 *         … one get each; the last that is there counts
 *
 * and who follows many of them ranges over home_range() and asks home_covering.
 *
 * A token is epoch * 2^44 + create_revision, where the epoch is the one at that revision in the key's own cluster: the candidates are
 * read at create_revision, not now, so that the tokens of one cluster grow with their revisions. A promotion writes the greater
 * epoch into the new home before anything else is written there: so each of its tokens is above all of the old home's, those included
 * that the old home gives out while it is cut off.
 *
 * Pure; any thread.
 */
#ifndef RECIPES_HOME_H
#define RECIPES_HOME_H

#include "api/kv.h"
#include "base/buf.h"

#define HOME_KEYS       "/federation/homes"  /* with the prefix behind it */
#define HOME_REGION_KEY "/federation/region" /* the name of this cluster's own region, as it is */
/* Of homes that want authority (authority.h), with the prefix behind each. */
#define HOME_AUTHORITY_KEYS "/federation/authority"
#define HOME_ASKS_KEYS      "/federation/asks"
enum { HOME_REGION_MAX = 63, HOME_TOKEN_BITS = 44, HOME_EPOCH_MAX = (1 << 19) - 1 };
enum { HOME_WORD_TTL_MAX = 3600 };

struct home {
    char region[HOME_REGION_MAX + 1];
    int64_t epoch;  /* from 1 on */
    bool authority; /* nothing is given out there without the word of authority.h */
};

/* What stands under HOME_AUTHORITY_KEYS: in the home's cluster the word of its authority, in others a place of it.
 *
 *     {"region":"eu","epoch":3,"ttl":15,"left_ms":13800,"seen":4711}
 */
struct home_word {
    struct home home;
    int64_t ttl_s;
    int64_t left_ms; /* at home: for so long from the moment at which it had seen `seen` */
    tn_rev seen;     /* the newest revision of HOME_ASKS_KEYS<prefix> that it answers; 0 = none */
};

/* [a-z0-9-]{1,63} */
bool home_region_is_good(bytes name);
/* Begins and ends with '/', has no 0 byte. */
bool home_prefix_is_good(bytes prefix);

/* A record's value. TENURE_ECORRUPT when it is none: a bad name, an epoch below 1 or above HOME_EPOCH_MAX. Members that are unknown here
 * are passed over. */
int home_parse(bytes value, struct home *ret) MUST_USE;
/* Appends a record's value. */
void home_format(const struct home *h, struct buf *to);

/* The same of a word. */
int home_word_parse(bytes value, struct home_word *ret) MUST_USE;
void home_word_format(const struct home_word *w, struct buf *to);

/* All records. */
struct key_range home_range(void);
/* The prefix that a record's key is about; empty when it is no record's key. Borrows. */
bytes home_prefix_of(bytes record_key);
/* Of records in any order, the place of the one that covers key: SIZE_MAX when none does. */
size_t home_covering(const struct kv *records, size_t n, bytes key);
/* The keys of the records that can cover key, shortest first: *at is 0 at first. Replaces what `to` has. False: there are no more. */
bool home_candidate(bytes key, size_t *at, struct buf *to);

/* 0 for an epoch or revision that has no place in a token. */
int64_t home_token(int64_t epoch, tn_rev create_revision);
int64_t home_token_epoch(int64_t token);
tn_rev home_token_revision(int64_t token);

#endif
