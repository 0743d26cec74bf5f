/* A function run as a transaction in memory (stm.h) without a thread that could wait for it: as an errand.
 *
 *     run the function -- it needs keys --> read them -- they have come --> run it again, from its beginning
 *           +-- it has ended --> commit --> done, or a conflict: a rest, and the next attempt
 *
 * One attempt may so be several passes. Each sees what was read by those before it, and nothing of what they wrote; so a
 * function whose answers depend on nothing but the set comes further each time. Reads that end a pass are what a round trip costs:
 * keys that are wanted together are read together.
 *
 * An attempt whose base revision was compacted, and one that was provably not applied because the marks' session has ended,
 * is run again as after a conflict.
 *
 * Pure; thread: the client's. The function is called from client_deliver and errand_tick, never from errand_start. It may stop the
 * errand.
 */
#ifndef RECIPES_TRANSACT_H
#define RECIPES_TRANSACT_H

#include "recipes/commit.h"
#include "recipes/errand.h"
#include "recipes/stm.h"

enum { TRANSACT_COMMIT = 0, TRANSACT_WAIT = 1 };

struct transact_options {
    enum stm_isolation isolation;
    const bytes *prefetch; /* read before the first pass of each attempt that does not know them; copied */
    size_t n_prefetch;
    int64_t attempts_max; /* then TENURE_ECONFLICT */
    tn_ms until;
    /* One pass. TRANSACT_COMMIT; TRANSACT_WAIT (it has called transact_want); or a TENURE_E… code with err filled, which ends it. */
    int (*body)(void *user, struct errand *t, struct stm *set, struct tenure_error *err);
    /* The marks of a commit that writes; NULL: without. */
    int (*marks)(void *user, struct marks **ret, struct tenure_error *err);
    void *user; /* of these two */
};

struct transact_result {
    tn_rev revision; /* where it was applied; 0 = nothing was written */
    int64_t attempts;
};

/* NULL with err filled: TENURE_ENOMEM, TENURE_ELIMIT. */
struct errand *transact(struct client *c, const struct transact_options *o, errand_done done, void *user,
                        struct tenure_error *err) MUST_USE;
/* For body: a key that has to be read before it can go on; copied. TENURE_ENOMEM, TENURE_ELIMIT. */
int transact_want(struct errand *t, bytes key) MUST_USE;
/* Which attempt this is, from 1 on. */
int64_t transact_attempt(const struct errand *t);
struct transact_result transact_result(const struct errand *t);

#endif
