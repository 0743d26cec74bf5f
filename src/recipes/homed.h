/* Whether the cluster that a lock is asked for in is its home, and for which epoch: asked when its turn has come, and again when
 * something of it has changed while it is held.
 *
 * One linearizable transaction: the own key stands at its create_revision, all home records (home.h), and the cluster's own name. The
 * epoch of the token must be the one that counted when the own key was created, so that tokens of one cluster grow with their
 * revisions. History is not asked for it, which may have been compacted while one waited: records are only ever replaced, so one that
 * was last written before the key says what counted then; one that was written since means that the place is too old, and it is left
 * for one at the end of the queue. What counts now is the home: an acquire elsewhere is refused.
 *
 * Pure; thread: any (no state).
 */
#ifndef RECIPES_HOMED_H
#define RECIPES_HOMED_H

#include "recipes/home.h"
#include "recipes/queue.h"

enum { HOMED_RECORDS_MAX = 10000 };

struct homed_txn {
    struct txn_req req;
    struct compare compare;
    struct request_op success[2], failure;
};

/* May be repeated. Borrows from q. */
void homed_ask(const struct queue *q, tn_rev create, struct homed_txn *ret);

enum homed_answer {
    HOMED_HERE,     /* see epoch; 0 = the key has no home, and belongs to its cluster alone */
    HOMED_OUT,      /* the own key is gone */
    HOMED_SINCE,    /* the home is this region, by a record that was written behind the key */
    HOMED_ELSEWHERE /* another region is the home: error says so */
};

struct homed_view {
    enum homed_answer answer;
    tn_rev revision; /* of the answer */
    int64_t epoch;
    bool authority; /* it wants authority, by the record of this prefix, which is borrowed from the answer */
    bytes prefix;
    struct tenure_error error;
};

/* TENURE_EPROTOCOL; TENURE_ECORRUPT: the record that counts cannot be read; TENURE_ELIMIT: too many records, or a revision that has no
 * place in a token. */
int homed_answered(const struct queue *q, tn_rev create, const struct txn_resp *r, struct homed_view *ret,
                   struct tenure_error *err) MUST_USE;

#endif
