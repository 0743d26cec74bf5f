/* A view of a handle in which all keys lie below a prefix: what is written as "a" through the view "app1/" is the key "app1/a",
 * and answers have the prefix taken off again, as Go's client/v3/namespace does.
 *
 * A view is a handle for everything that has keys: get, put, delete, compare and set, transactions (exact ones too), iterators,
 * watches, leases (their keys), and every recipe: locks of all kinds and their list, elections and observers, barriers,
 * latches, double barriers, queues, counters, ids, transactional memory, presences, groups, the scheduler, and the server's own
 * locks and elections. Their own prefixes ("/locks/", and "/marks/" of the marks that they write) lie below it: a lock "x"
 * there is the key "app1//locks/x". Nothing done through a view writes, or names to the program, a key outside of it; names of
 * different namespaces never meet. Give namespaces names of which none begins with another's, by a slash at the end, say.
 *
 * What has no keys is the handle's: tenure_session_open and tenure_session_start on a view open a session of the handle (NULL
 * options: its shared one, the same for all views), whose lease keys of any namespace may hang on; tenure_stats,
 * tenure_endpoints and tenure_endpoint answer for the handle, and tenure_compact is of the whole store. Leases have no names:
 * tenure_lease_list lists all, and any may be revoked. Everything else that takes a handle refuses a view with TENURE_EINVALID:
 * members, upkeep, users and what drives the loop.
 *
 * It has no connection, thread or session of its own, and costs a few hundred bytes. Any thread, as the handle.
 */
#ifndef TENURE_NAMESPACE_H
#define TENURE_NAMESPACE_H

#include <tenure/kv.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* A view of c below prefix (copied; of a view: below that one's prefix). Freed by tenure_close, which closes nothing else, by
 * tenure_close_start, which calls back later, from the loop, or with c; what was begun through it goes on without it, but
 * transactions being built must be freed before. NULL: TENURE_EINVALID (an empty prefix; a byte 0 in it, as names of locks have none), TENURE_EFORKED, TENURE_ENOMEM. */
tenure_client *tenure_namespace(tenure_client *c, struct tenure_bytes prefix, struct tenure_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
