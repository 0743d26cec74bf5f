/* Lock-delay: after a holder was lost, nobody gets the lock for a while, so that what the lost one still has under way can
 * come to its end. Locks with the option keep it among themselves; others in the queue do not know it.
 *
 * Who is first with the option puts a record, `<path>\0delay`, outside of the queue and without a lease: who holds, and how
 * long to wait after him. It goes in the same transaction as the key of one who releases. One whose key goes without it
 * leaves it behind. Then the next one hangs it on a lease of that length, from the moment on that he first sees it: the
 * server counts, for all of them alike, also when he gives up waiting, and takes the record away at its end.
 *
 *   no record                     -> put the own one: held
 *   the own one                   -> held (an earlier copy of the request put it, or it was resumed)
 *   another one, without a lease  -> its holder is gone: grant a lease, put the record again on it, ask again
 *   another one, on a lease       -> wait until it is deleted, ask again
 *
 * Pure; thread: any (no state).
 */
#ifndef RECIPES_DELAY_H
#define RECIPES_DELAY_H

#include "recipes/queue.h"

enum { DELAY_MAX_MS = 60000, DELAY_RECORD_MAX = 96 };

struct delay_txn {
    struct txn_req req;
    struct compare compares[2];
    struct request_op success[1], failure[2];
    char record[DELAY_RECORD_MAX];
};

/* What the record of the place that was created at `create` holds: in out. */
bytes delay_record(tn_rev create, int64_t delay_ms, char out[DELAY_RECORD_MAX]);
/* Puts the record of the place that was created at `create` if that stands and there is no record. May be repeated. */
void delay_claim(const struct queue *q, tn_rev create, int64_t delay_ms, struct delay_txn *ret);
/* Puts the record again, on a lease, if it was last written at mod. May be repeated. */
void delay_count_down(const struct queue *q, tn_rev mod, bytes record, tn_lease lease, struct delay_txn *ret);

enum delay_answer { DELAY_OURS, DELAY_OUT /* the place is gone */, DELAY_LEFT_BEHIND, DELAY_COUNTING };

struct delay_view {
    enum delay_answer answer;
    tn_rev revision;
    tn_rev mod;       /* of the record */
    bytes record;     /* as it is; borrowed from the answer */
    int64_t delay_ms; /* that it asks for, 1 to DELAY_MAX_MS */
};

/* What the answer to delay_claim means. TENURE_EPROTOCOL. */
int delay_claimed(const struct queue *q, tn_rev create, int64_t delay_ms, const struct txn_resp *r,
                  struct delay_view *ret, struct tenure_error *err) MUST_USE;

#endif
