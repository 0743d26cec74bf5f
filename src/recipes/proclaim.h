/* Replacing the value of the own key while it stands: one guarded transaction, sent again until it is known what became of
 * it or the call's time is over. A life of its own: it ends exactly once, also when the election is gone by then.
 *
 * Guarded by the create_revision (the place is still ours) and the mod_revision (no late copy of an older proposal can
 * come over a newer one). Pure; thread: the client's.
 */
#ifndef RECIPES_PROCLAIM_H
#define RECIPES_PROCLAIM_H

#include "client/client.h"

struct proclaim_place {
    const char *path;
    tn_lease lease;
    tn_rev create, mod;
};

/* mod: of the own key, as it is known now; 0 when the proclaim failed. Called once, before done, unless forgotten. */
typedef void (*proclaim_ended)(void *owner, tn_rev mod);

struct proclaim;

/* Copies all. done(user): code 0, TENURE_ENOTHELD (the place is gone), or why it failed. *slot is set while it is under way;
 * at its end, or by proclaim_forget, it is emptied. TENURE_ENOMEM, TENURE_ELIMIT: it did not begin. */
int proclaim_start(struct proclaim **slot, struct client *c, const struct proclaim_place *place, bytes value,
                   proclaim_ended ended, void *owner, client_done_cb done, void *user, tn_ms now,
                   struct tenure_error *err) MUST_USE;
/* done still comes, with TENURE_ECANCELLED, or what it had come to already. */
void proclaim_cancel(struct proclaim *p, tn_ms now);
/* The owner goes away; done still comes. */
void proclaim_forget(struct proclaim **slot);

#endif
