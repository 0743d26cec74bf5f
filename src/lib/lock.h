/* Locks of all kinds, for the files that give them their names: rwlock.c, semaphore.c, multilock.c. */
#ifndef LIB_LOCK_H
#define LIB_LOCK_H

#include "lib/handle.h"
#include "recipes/lock.h"

/* tenure_lock_acquire and tenure_lock_start, for a place with this rule. */
tenure_lock *lib_lock_acquire(tenure_client *c, const char *name, const struct rule *rule,
                              const struct tenure_lock_options *o, struct tenure_error *err) MUST_USE;
tenure_lock *lib_lock_start(tenure_client *c, const char *name, const struct rule *rule,
                            const struct tenure_lock_options *o, struct tenure_error *err) MUST_USE;
/* Makes a held writer a reader. on_done (may be NULL) comes once when this answers 0, never within it. Loop thread. */
int lib_lock_share(tenure_lock *l, void (*on_done)(tenure_lock *l, int code, void *user), void *user,
                   struct tenure_error *err) MUST_USE;
tenure_client *lib_lock_handle(const tenure_lock *l);

#endif
