/* Places in a queue with a rule of the program's own: what locks, read-write locks and semaphores are made of.
 *
 * Whoever asks puts a key behind those that are there. A function of the program is given all that were before it, oldest
 * first, and answers whose end to wait for; when that one has gone it is asked again; when it waits for nobody the place is
 * held. What it answers is proved by one read of the newest state, each time, as of every lock.
 *
 * To all others, mutexes, readers, permits and etcd's clients, such a place takes the whole: they wait for it. How it treats
 * them is its own affair; one that lets itself in beside a mutex takes part in nothing that the mutex promises.
 *
 * The function sees only those before its own place, and they only ever go: so of two places always the later one decides
 * whether both hold, and what may hold once must be allowed to hold for as long as nobody new comes before it, that is, always.
 * A rule that forbids with fewer before it what it allows with more lets two hold that should not.
 *
 * A place is a tenure_lock like any other: tenure_lock_held, _token, _key, _lease and _remaining_ms ask about it,
 * tenure_unlock and tenure_unlock_start let it go, on_lost tells of its loss at safe-until.
 */
#ifndef TENURE_PLACE_H
#define TENURE_PLACE_H

#include <tenure/lock.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct tenure_place_rule {
    size_t size;
    const char *says; /* what others like it may go by: in their shares[i].says; text, at most 512 bytes; NULL = "" */
    /* Given those before it, oldest first: the index of the one whose end to wait for; before->n (or more) = it may hold. Is not
     * called when there are none. A function of its arguments only: it must not call the library, may be called any number
     * of times, on the loop's thread, and before is gone when it returns. Never NULL. */
    size_t (*wait_for)(const struct tenure_lock_list *before, void *user);
    void *user;
};

/* Waits for the place, as tenure_lock_acquire: with its options (wait_ms 0 = without end, -1 = not at all), its errors, NULL on
 * failure. Blocking handles, any thread but the loop's. rule is copied, but user must live as long as the place. */
tenure_lock *tenure_place_acquire(tenure_client *c, const char *name, const struct tenure_place_rule *rule,
                                  const struct tenure_lock_options *o, struct tenure_error *err);
/* Begins to acquire; o->on_acquired tells the end, as of tenure_lock_start. Any handle, loop thread for uv and poll. */
tenure_lock *tenure_place_start(tenure_client *c, const char *name, const struct tenure_place_rule *rule,
                                const struct tenure_lock_options *o, struct tenure_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
