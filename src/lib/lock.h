/* Locks of all kinds, for the files that give them their names: rwlock.c, semaphore.c, multilock.c. */
#ifndef LIB_LOCK_H
#define LIB_LOCK_H

#include "lib/handle.h"
#include "recipes/lock.h"

struct scope_link;

/* tenure_lock_acquire and tenure_lock_start, for a place with this rule. part_of: what it is a part of, whose trace is its; or NULL. */
tenure_lock *lib_lock_acquire(tenure_client *c, const char *name, const struct rule *rule,
                              const struct tenure_lock_options *o, struct tenure_error *err) MUST_USE;
tenure_lock *lib_lock_start(tenure_client *c, const char *name, const struct rule *rule,
                            const struct tenure_lock_options *o, const struct scope_link *part_of,
                            struct tenure_error *err) MUST_USE;
/* Makes a held writer a reader. on_done (may be NULL) comes once when this answers 0, never within it. Loop thread. */
int lib_lock_share(tenure_lock *l, void (*on_done)(tenure_lock *l, int code, void *user), void *user,
                   struct tenure_error *err) MUST_USE;
/* The keys of a queue as its list; those of longer names left out. path_len: with the slash behind the name. NULL when out of
 * memory. tenure_lock_list_free. */
struct tenure_lock_list *lib_lock_list_of(const struct tenure_get_result *r, size_t path_len) MUST_USE;

/* A rule of the program's (place.c). One block of memory. */
struct lib_place {
    size_t (*wait_for)(const struct tenure_lock_list *before, void *user);
    void *user;
    size_t path_len, strip; /* of the queue's path with its slash; what of it a view does not show. Set by lock.c */
    char says[];
};
tenure_client *lib_lock_handle(const tenure_lock *l);

#endif
