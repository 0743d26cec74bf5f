/* Taking over a place in a queue from a process that is gone: its key stands on, on its lease, until the lease ends. Who can
 * show that nobody believes in it any more may go on with it, with the same token, instead of waiting for that.
 *
 *   READING (one transaction: the place, and the words that say who stands there)
 *     -> judged by the caller -> TAKING (one transaction: the words are replaced by ours, if they are the same still and the
 *        place is) -> done
 *
 * Of several who try it one gets it, because the words of the others are not the same any more by then. Sent again until it
 * is known what became of it, or the call's time is over: the new words must be unlike anybody else's, another try's too.
 *
 * Pure; thread: the client's.
 */
#ifndef RECIPES_TAKEOVER_H
#define RECIPES_TAKEOVER_H

#include "client/client.h"

struct takeover_place {
    bytes key;   /* of the place */
    bytes words; /* the key whose value says who stands there; may be the same */
    tn_lease lease;
    tn_rev create;         /* of the place: the token */
    bool broken_unguarded; /* tests only: takes it whatever the words are by then */
};

struct takeover_callbacks {
    /* Whether the process that wrote the value is gone for sure. NULL: it is, the user said so. No call back into here. */
    bool (*is_gone)(void *user, bytes value);
    /* Once, last: 0 = it is ours; TENURE_ENOTFOUND = it does not stand; TENURE_EBUSY = who stands there may live;
     * TENURE_ECONFLICT = somebody else was first; or why the servers did not say. */
    void (*on_done)(void *user, int code);
};

struct takeover;

/* Copies place and value. *slot is set while it is under way, and emptied before on_done. TENURE_ENOMEM, TENURE_ELIMIT,
 * TENURE_ECLOSED: it did not begin. */
int takeover_start(struct takeover **slot, struct client *c, const struct takeover_place *place, bytes value,
                   const struct takeover_callbacks *cb, void *user, tn_ms now, struct tenure_error *err) MUST_USE;
/* Ends it; on_done does not come. Empties the slot; an empty one is fine. It may still be carried out. */
void takeover_drop(struct takeover **slot, tn_ms now);

#endif
