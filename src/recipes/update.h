/* Changing one key as a function of what it holds, once: read, work out, commit under the guard that nobody wrote in between;
 * after a conflict, which brings what is there now, at once again.
 *
 * Pure; thread: the client's.
 */
#ifndef RECIPES_UPDATE_H
#define RECIPES_UPDATE_H

#include "recipes/commit.h"

enum update_verdict { UPDATE_PUT, UPDATE_DELETE, UPDATE_LEAVE /* it is as it should be: ends with what is there */ };

/* What shall be there instead of kv (version 0 = absent): one of the verdicts, with *ret_value borrowed until it is called
 * again or the update ends; or a TENURE_E… code with err filled, which ends it, nothing written. May be called often. */
typedef int (*update_compute)(void *owner, const struct kv *kv, bytes *ret_value, struct tenure_error *err);

struct update_result {
    int code; /* 0 = it is as the last compute said */
    const struct tenure_error *error;
    tn_rev revision; /* where it was written; LEAVE: the key's mod_revision */
    bool written;
};
typedef void (*update_done)(void *owner, const struct update_result *r);

struct update;

/* Copies key. m NULL: without marks. `until` ends it; so do UPDATE_TRIES_MAX conflicts (TENURE_ECONFLICT). done comes once,
 * never within the call. *slot is set while it is under way. TENURE_ENOMEM, TENURE_ELIMIT, TENURE_ELOST. */
enum { UPDATE_TRIES_MAX = 10000 };
int update_start(struct update **slot, struct client *c, struct marks *m, bytes key, tn_ms until,
                 update_compute compute, update_done done, void *owner, tn_ms now, struct tenure_error *err) MUST_USE;
/* Within compute: the revision of the store at which kv was so. */
tn_rev update_seen_at(const struct update *u);
/* done still comes, with TENURE_ECANCELLED, or what it had come to already. An empty slot: nothing. */
void update_cancel(struct update **slot, tn_ms now);
/* It ends soon, unseen; whether the last write was applied is not told. Empties the slot. */
void update_drop(struct update **slot, tn_ms now);

#endif
