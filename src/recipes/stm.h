/* Software transactional memory: what one attempt of a transaction has read and wants to write, and the guards under which
 * the server may apply it.
 *
 *     begin -> stm_find: known already, or read it by stm_read and tell by stm_note -> stm_put, stm_delete
 *           -> stm_request: the guarded transaction -> applied, or conflict: stm_again with its answer, and once more
 *
 * The guards are those of etcd's own client (clientv3/concurrency):
 *
 *     serializable snapshot   each key read still has the mod_revision that was read, and no key written was changed behind
 *                             the first read; all reads are of the revision of the first one
 *     serializable            each key read still has its mod_revision; reads as above
 *     repeatable reads        the same guards; reads may be of different revisions, each key is read once
 *     read committed          none; each key is read once
 *
 * With the first two, the answer to a conflict holds all keys read, so that the next attempt reads them without a round trip.
 *
 * Bounds: STM_KEYS_MAX keys read and written, STM_BYTES_MAX of keys and values. Pure; thread: one caller at a time.
 */
#ifndef RECIPES_STM_H
#define RECIPES_STM_H

#include "api/kv.h"
#include "base/arena.h"

enum { STM_KEYS_MAX = 10000, STM_BYTES_MAX = 64 * 1024 * 1024 };

enum stm_isolation { STM_SERIALIZABLE_SNAPSHOT, STM_SERIALIZABLE, STM_REPEATABLE_READS, STM_READ_COMMITTED };

struct stm_entry;

struct stm {
    enum stm_isolation isolation;
    struct arena arenas[2];     /* of this attempt, and the one that the next attempt will have */
    unsigned now;               /* which of them is this attempt's */
    struct stm_entry **entries; /* by key */
    size_t len, cap;
    size_t bytes; /* of keys and values */
    tn_rev base;  /* at which the next read is made; 0 = the newest */
    tn_rev least; /* the lowest revision that a read was answered at; 0 = nothing was read */
    /* tests only: reads are not guarded, unread writes are not, reads are of the newest revision */
    bool broken_unguarded, broken_unfenced, broken_newest;
};

void stm_init(struct stm *s, enum stm_isolation isolation);
void stm_fini(struct stm *s);

/* The key as this attempt sees it: 1 = known, *ret borrowed until the attempt's end (version 0 = absent); 0 = it has to be
 * read. */
int stm_find(struct stm *s, bytes key, struct kv *ret) MUST_USE;
/* How to read it. */
void stm_read(const struct stm *s, bytes key, struct range_req *ret);
/* What the read was answered. Copies. TENURE_ENOMEM, TENURE_ELIMIT. */
int stm_note(struct stm *s, bytes key, const struct range_resp *r) MUST_USE;

/* The same attempt from its beginning: what was read is known still, and guarded; what was written is forgotten. TENURE_ENOMEM. */
int stm_rewind(struct stm *s) MUST_USE;

/* Both replace what was written to the key before; copy. TENURE_ENOMEM, TENURE_ELIMIT. */
int stm_put(struct stm *s, bytes key, bytes value, tn_lease lease) MUST_USE;
int stm_delete(struct stm *s, bytes key) MUST_USE;

bool stm_writes(const struct stm *s);
/* The transaction, copied into a. Nothing to guard and nothing to write makes an empty one. TENURE_ENOMEM. */
int stm_request(const struct stm *s, struct arena *a, struct txn_req *ret) MUST_USE;
/* The next attempt begins, with what the answer to a conflict brought at that revision (n 0: nothing; it brings nothing either
 * when memory is short). */
void stm_again(struct stm *s, tn_rev revision, const struct response_op *others, size_t n);

#endif
