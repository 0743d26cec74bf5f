/* Transactions that end with a definite answer (docs/decisions/0015-exact.md): none is applied twice, also without a guard, and
 * one whose answer was lost is asked after until it is known whether it was applied, and how it ended.
 *
 * Each carries a mark: a key of this object's own, `<prefix><lease>/<slot>`, written in the same revision and compared in the
 * same transaction. A slot's mod_revision never comes back, so a copy that is late finds another one and does nothing. The
 * marks are on one lease: when that is gone no late copy can put its mark any more, so it fails as a whole. A slot serves one
 * transaction at a time and is used again: there are as many keys as transactions were under way at once.
 *
 *     TENURE_APPLIED_MAYBE is left: the deadline passed, the call was cancelled or the client closed before anybody answered;
 *     or the marks' lease ended (a silence longer than its TTL, a server restored from a backup) while a copy was in doubt.
 *
 * What it costs: one key more in each revision, the grant of a lease before the first one, its renewals (three in its TTL of 60 s), and one
 * more lease to revoke at the end. Who asks needs the permission to write under the prefix.
 *
 * Pure: an engine on the client's vocabulary; thread: the client's. Callbacks come from client_deliver only.
 */
#ifndef RECIPES_EXACT_H
#define RECIPES_EXACT_H

#include "client/client.h"

#define EXACT_PREFIX "/marks/"

struct exact;
struct exact_call;

/* As client_done_cb, with r->txn; `complete` false: it was carried out, at r->txn->revision and by the branch that
 * r->txn->succeeded names, but what its operations answered is not known any more (n_responses 0). */
typedef void (*exact_done)(void *user, const struct client_result *r, bool complete);

/* prefix NULL = EXACT_PREFIX; copied. ttl_s of the marks' lease, 0 = 60. NULL: out of memory. */
struct exact *exact_new(struct client *c, const char *prefix, int64_t ttl_s) MUST_USE;
/* Copies req. timeout_ms 0 = 5 s. NULL: why is in err, done is not called; else it is, once. */
struct exact_call *exact_txn(struct exact *e, const struct txn_req *req, int64_t timeout_ms, exact_done done,
                             void *user, tn_ms now, struct tenure_error *err) MUST_USE;
/* done still comes, with TENURE_ECANCELLED, or what was known already. */
void exact_cancel(struct exact_call *k, tn_ms now);
/* Revokes the lease of the marks; done, if not NULL, comes once: at once when there is none. Calls under way are
 * cancelled; they and later ones end with TENURE_ECLOSED. */
void exact_close(struct exact *e, void (*done)(void *user), void *user, tn_ms now);
/* NULL is fine; NULL. Calls under way must have ended (a client that was closed has ended them). */
struct exact *exact_free(struct exact *e);
bool exact_busy(const struct exact *e); /* calls are under way */
/* Keys of marks that this object made, for tests. */
size_t exact_slots(const struct exact *e);

#endif
