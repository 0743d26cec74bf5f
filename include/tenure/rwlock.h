/* Read-write locks: many readers, or one writer, in one queue with the mutex of that name, first come, first served.
 *
 * A lock had here is a tenure_lock like any other: tenure_lock_held, _token, _key, _lease and _remaining_ms ask about it,
 * tenure_unlock and tenure_unlock_start let it go (or give the waiting up), on_lost tells of its loss at safe-until.
 *
 * A reader holds as soon as no writer came before it, a writer when nobody did; so writers are not starved by readers, nor
 * readers by writers. Whoever takes the mutex of that name (tenure_lock_acquire, Go's concurrency package, etcdctl lock, the
 * v3lock service) is a writer here, and waits for readers too. A writer's release wakes the readers before the next writer
 * only; what a reader asks the server costs the same however many readers there are.
 *
 * Readers of one process hold together, each by a key of its own, also on the handle's shared session.
 *
 * A reader's token is greater than that of every writer before it and less than that of every writer after it. Readers that
 * hold together have different tokens in no useful order: a resource may refuse what carries less than the greatest token
 * that a *writer* has shown it, and must not remember those of readers.
 *
 * A reader cannot become a writer: two that try wait for each other for ever. Unlock, take the writer's lock, and look
 * again at what was read. A writer can become a reader without letting go: tenure_rwlock_downgrade.
 */
#ifndef TENURE_RWLOCK_H
#define TENURE_RWLOCK_H

#include <tenure/lock.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* Wait for the lock, as tenure_lock_acquire: with its options (wait_ms 0 = without end, -1 = not at all), its errors, NULL on
 * failure. Blocking handles, any thread but the loop's. A try that fails stood in the queue for the moment that it took. */
tenure_lock *tenure_rwlock_read(tenure_client *c, const char *name, const struct tenure_lock_options *o,
                                struct tenure_error *err);
tenure_lock *tenure_rwlock_write(tenure_client *c, const char *name, const struct tenure_lock_options *o,
                                 struct tenure_error *err);
/* Begin to acquire; o->on_acquired tells the end, as of tenure_lock_start. Any handle, loop thread for uv and poll. */
tenure_lock *tenure_rwlock_read_start(tenure_client *c, const char *name, const struct tenure_lock_options *o,
                                      struct tenure_error *err);
tenure_lock *tenure_rwlock_write_start(tenure_client *c, const char *name, const struct tenure_lock_options *o,
                                       struct tenure_error *err);

/* Makes a writer a reader, in its place and with its token: readers that wait for it alone come in, writers go on waiting.
 * lock: one from tenure_rwlock_write or tenure_lock_acquire that is held. From the call on the caller may only read, whatever
 * it answers; it goes on being tried in the background. 0: readers can come in. TENURE_ENOTHELD; TENURE_EINVALID (a
 * reader's, a permit); TENURE_EBUSY (done before); TENURE_ETIMEOUT: not yet, as far as is known, within the call timeout;
 * TENURE_ELOST, TENURE_ECANCELLED: it ended meanwhile. Blocking handles, any thread but the loop's. */
int tenure_rwlock_downgrade(tenure_lock *lock, struct tenure_error *err);
/* The same without waiting: on_done (may be NULL) tells the end, once, on the loop's thread, also when the lock ends first;
 * not when this call fails. Any handle; loop thread for uv and poll. */
int tenure_rwlock_downgrade_start(tenure_lock *lock, void (*on_done)(tenure_lock *lock, int code, void *user),
                                  void *user, struct tenure_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
