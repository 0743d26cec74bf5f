/* Exact transactions (recipes/exact.h) of a handle, and of each namespace of it: made with the first one, its lease is revoked
 * when the handle closes. Loop
 * thread. */
#ifndef LIB_EXACT_H
#define LIB_EXACT_H

#include "lib/ask.h"

/* Begins k->req.txn.txn as one; its end comes by ask_ended, k->a then says whether the answers of its operations are lost. 0, or a
 * code with err filled. */
int lib_exact_begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err) MUST_USE;
/* For ask_type.cancel. */
void lib_exact_cancel(struct ask *k, tn_ms now);

#endif
