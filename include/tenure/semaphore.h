/* Semaphores: permits with weights, which together never weigh more than the limit.
 *
 * A permit is a tenure_lock like any other: tenure_lock_held, _token, _key, _lease and _remaining_ms ask about it,
 * tenure_unlock and tenure_unlock_start give it back (or give the waiting up), on_lost tells of its loss at safe-until.
 * Permits of one process each have a key of their own, also on the handle's shared session.
 *
 * First come, first served, whatever the weights: a big one is not overtaken by small ones that would fit. A release wakes
 * the first of those who wait, when there is room for it, and costs the same however many wait.
 *
 * Nobody keeps the limit: each participant states it, and the smallest that is stated, by anybody in the queue before a
 * permit or by itself, counts for it. So no holder ever sees more than *it* agreed to, and a limit can be changed by
 * programs that come with another one: a smaller one counts from the first who states it, a greater one when those who
 * stated the smaller one have gone.
 *
 * Whoever takes the mutex of that name (tenure_lock_acquire, a writer or reader of rwlock.h, Go's concurrency package,
 * etcdctl lock) takes the whole: it waits for all permits before it, and all behind wait for it.
 *
 * The token of a permit grows with the order in which they were asked for; holders at one time have different ones.
 */
#ifndef TENURE_SEMAPHORE_H
#define TENURE_SEMAPHORE_H

#include <tenure/lock.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

#define TENURE_SEMAPHORE_LIMIT_MAX 1000000000

/* Waits until `weight` of `limit` can be had, as tenure_lock_acquire: with its options (wait_ms 0 = without end, -1 = not at
 * all), its errors, NULL on failure. TENURE_EINVALID too when not 1 <= weight <= limit <= TENURE_SEMAPHORE_LIMIT_MAX.
 * Blocking handles, any thread but the loop's. A try that fails stood in the queue for the moment that it took. */
tenure_lock *tenure_semaphore_acquire(tenure_client *c, const char *name, int64_t weight, int64_t limit,
                                      const struct tenure_lock_options *o, struct tenure_error *err);
/* Begins to acquire; o->on_acquired tells the end, as of tenure_lock_start. Any handle, loop thread for uv and poll. */
tenure_lock *tenure_semaphore_start(tenure_client *c, const char *name, int64_t weight, int64_t limit,
                                    const struct tenure_lock_options *o, struct tenure_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
