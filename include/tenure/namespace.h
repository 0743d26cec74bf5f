/* A view of a handle in which all keys lie below a prefix: what is written as "a" through the view "app1/" is the key "app1/a",
 * and answers have the prefix taken off again, as Go's client/v3/namespace does.
 *
 * A view is a handle for: get, put, delete, transactions, watches, leases (their keys), iterators, locks (mutexes, read-write
 * locks, semaphores), their list, elections and observers. Their own prefixes ("/locks/") lie below it: a lock "x" there is
 * "app1//locks/x". Everything else that takes a handle refuses a view with TENURE_EINVALID: members, upkeep, users and what
 * drives the loop concern the handle itself, and recipes that are not named here are to be given prefixes of their own.
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

/* A view of c below prefix (copied; of a view: below that one's prefix). Freed by tenure_close, which closes nothing else, or with
 * c; what was begun through it goes on without it, but transactions and iterators being built must be freed before. NULL:
 * TENURE_EINVALID (an empty prefix; a byte 0 in it, as names of locks have none), TENURE_EFORKED, TENURE_ENOMEM. */
tenure_client *tenure_namespace(tenure_client *c, struct tenure_bytes prefix, struct tenure_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
