/* The words of exact.h: a transaction with its mark, what an answer to it means, and what its operations answered when only
 * the mark is left to tell. Pure.
 *
 *     if mod_revision(mark) == the slot's, then: the user's transaction, whose branches also put the mark
 *     else: read the mark
 */
#ifndef RECIPES_EXACT_WORDS_H
#define RECIPES_EXACT_WORDS_H

#include "api/kv.h"
#include "base/arena.h"

struct exact_mark {
    bytes key;
    tn_rev mod; /* the mark's mod_revision before */
    tn_lease lease;
    uint64_t number; /* of this transaction; no other has it */
};

/* What is sent; borrows t and the mark. fenced: the mark is put in the failure branch as well, so that a copy that is still
 * under way can do nothing any more (else only where that branch writes). NULL when out of memory. */
struct txn_req *exact_wrap(struct arena *a, const struct txn_req *t, const struct exact_mark *m, bool fenced) MUST_USE;

enum exact_answer {
    EXACT_DONE,     /* this copy was carried out: ret_resp is the user's answer */
    EXACT_FOUND,    /* an earlier copy was: `succeeded`, `revision` */
    EXACT_OVERTAKEN /* the slot moved on without this transaction, or its key is gone */
};
struct exact_verdict {
    enum exact_answer answer;
    bool succeeded;
    tn_rev revision;
    tn_rev mod;    /* the mark's mod_revision now; 0 = as before (DONE), or it is not there */
    tn_rev create; /* its create_revision, where it was read */
    struct txn_resp resp;
};
/* TENURE_EPROTOCOL when it is no answer to exact_wrap(t). ret borrows r. */
int exact_read(const struct txn_req *t, uint64_t number, const struct txn_resp *r, struct exact_verdict *ret) MUST_USE;
/* What a mark that was read says: whether it is that of `number`. */
bool exact_is_mark(const struct kv *mark, uint64_t number, bool *ret_succeeded);

/* The reads that show what the operations of a branch answered that was carried out at `revision`. ret->n_success 0: nothing
 * has to be read. False: that cannot be told any more (nested ones; a read between two writes of the same keys). */
bool exact_reads(struct arena *a, const struct txn_req *t, bool succeeded, tn_rev revision, struct txn_req *ret)
    MUST_USE;
/* The user's answer from that to those reads (NULL when there were none). 0, TENURE_EPROTOCOL, TENURE_ENOMEM. */
int exact_rebuild(struct arena *a, const struct txn_req *t, bool succeeded, tn_rev revision,
                  const struct txn_resp *reads, struct txn_resp *ret) MUST_USE;

#endif
