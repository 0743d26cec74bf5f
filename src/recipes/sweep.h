/* Takes away a key that nobody wants any more, behind the user's back: it hangs on a session that goes on, and to delete it did
 * not succeed. Tried until it has an answer, or is denied, or the session ends, with whose lease the key goes too.
 *
 * One small object on the session each, which frees itself. Pure; thread: the client's. Calls nobody back.
 */
#ifndef RECIPES_SWEEP_H
#define RECIPES_SWEEP_H

#include "recipes/object.h"

/* The key that was created at `create` on the session's lease. Copies key. Without memory, or on a session that has ended: not. */
void sweep_key(struct session *s, bytes key, tn_rev create, tn_ms now);

#endif
