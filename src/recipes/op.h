/* A call of the client whose owner may go away before its answer comes.
 *
 * The client answers each call exactly once, also one that was cancelled, and always later. An object that is freed in
 * between must not be told. So each call has a small record of its own; the owner keeps one pointer, its slot:
 *
 *     op_txn(&l->op, …, on_entered, l, …)     the slot is set while the call is under way
 *     on_entered(l, result)                   the slot is empty again before this is called
 *     op_drop(&l->op, now)                    cancels; on_entered will not be called
 *     op_forget(&l->op)                       lets it run to its end unseen
 *
 * Pure; thread: the client's.
 */
#ifndef RECIPES_OP_H
#define RECIPES_OP_H

#include "client/client.h"

struct op;
typedef void (*op_done)(void *owner, const struct client_result *r);

/* Each begins a call (see client.h): 0, or the code in err and no call of done. *slot must be NULL; the owner keeps it at
 * the same address until done was called or the op was dropped, forgotten or moved. opt may be NULL. */
#define OP_CALL(name, req_type)                                                                                        \
    int op_##name(struct op **slot, struct client *c, const req_type *req, const struct client_call_options *opt,      \
                  op_done done, void *owner, tn_ms now, struct tenure_error *err) MUST_USE
OP_CALL(range, struct range_req);
OP_CALL(txn, struct txn_req);
OP_CALL(lease_grant, struct lease_grant_req);
OP_CALL(lease_revoke, struct lease_revoke_req);
OP_CALL(lease_keepalive_once, struct lease_keepalive_req);
OP_CALL(lease_ttl, struct lease_ttl_req);
#undef OP_CALL

/* Cancels the call; done still comes, with the outcome as far as it is known. An empty slot: nothing. */
void op_cancel(struct op **slot, tn_ms now);
/* Whether no server can have it yet; an empty slot: yes. */
bool op_is_unsent(struct op *const *slot);
/* Cancels it and tells nobody. Empties the slot. */
void op_drop(struct op **slot, tn_ms now);
/* That the time is over, with what the endpoints failed with, if they did: it may be why. */
void op_timeout_error(const struct client *c, struct tenure_error *ret);
/* Lets it run and tells nobody. Empties the slot. */
void op_forget(struct op **slot);
/* Another owner is told instead. to must be empty; from is afterwards. */
void op_move(struct op **from, struct op **to, op_done done, void *owner);

/* Whether it may go better when it is tried again: nobody could be reached, or not in time. */
bool op_may_retry(const struct client_result *r);
/* Whether its request may still be carried out, or was. Of a failed write. */
bool op_may_be_applied(const struct client_result *r);

#endif
