/* Several locks at once, all or nothing: mutexes, readers, writers and permits in any mixture.
 *
 * They are taken one after another in the order of their keys (prefix and name, byte by byte), whatever the order in which
 * the program names them. So programs that take several locks only this way never wait for each other in a circle; one that
 * holds a lock and then takes several, or takes them one by one in another order, can still do so.
 *
 * While not all are held nothing is: when one cannot be had in time, those that were are let go, and the call fails. One
 * that is lost meanwhile (with its session) is no loss for the program: all are let go and the taking begins again.
 */
#ifndef TENURE_MULTILOCK_H
#define TENURE_MULTILOCK_H

#include <tenure/lock.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

typedef struct tenure_multilock tenure_multilock;

#define TENURE_MULTILOCK_MAX 64

/* One of the locks. */
struct tenure_multilock_part {
    size_t size; /* sizeof this struct, the same in all of an array */
    const char *name;
    const char *prefix; /* NULL = "/locks/" */
    enum tenure_lock_mode mode;
    int64_t weight, limit; /* of a permit: see semaphore.h */
};

struct tenure_multilock_options {
    size_t size;
    int64_t ttl_s;       /* 0 = the handle's shared session; else each lock has a session of its own with this TTL */
    int64_t wait_ms;     /* for all together; 0 = without end, -1 = not at all (TENURE_EBUSY) */
    const char *purpose; /* shown to those who wait; NULL = the handle's */
    /* May be NULL. All were held, and the one with this index (in the program's array) is not any more; on the loop's thread,
     * once. The others stay until tenure_multilock_unlock, but tenure_multilock_held is false from now on. */
    void (*on_lost)(tenure_multilock *m, size_t index, const struct tenure_error *why, void *user);
    /* Only for tenure_multilock_start: code 0 = all are held. Else it is over, and waits to be freed by
     * tenure_multilock_unlock or tenure_multilock_unlock_start, here or later. */
    void (*on_acquired)(tenure_multilock *m, int code, const struct tenure_error *err, void *user);
    /* The release begun by tenure_multilock_unlock_start has ended: 0 = all are freed for sure, else they are when their
     * leases end. */
    void (*on_released)(int code, void *user);
    void *user;
    tenure_session *session; /* the session that all of them hang on; with it ttl_s must be 0; NULL = as ttl_s says */
};

/* Waits for all of them. parts is copied. NULL on failure: as tenure_lock_acquire for the first that fails, and TENURE_EINVALID
 * (none, more than TENURE_MULTILOCK_MAX, two with the same key, a mode or weight that cannot be). Free it by
 * tenure_multilock_unlock. Blocking handles, any thread but the loop's. */
tenure_multilock *tenure_multilock_acquire(tenure_client *c, const struct tenure_multilock_part *parts, size_t n,
                                           const struct tenure_multilock_options *o, struct tenure_error *err);
/* Begins to acquire; o->on_acquired tells the end. NULL when it could not begin. Any handle, loop thread for uv and poll. */
tenure_multilock *tenure_multilock_start(tenure_client *c, const struct tenure_multilock_part *parts, size_t n,
                                         const struct tenure_multilock_options *o, struct tenure_error *err);

/* True only while all of them are held. No I/O; any thread, any time between acquire and unlock. */
bool tenure_multilock_held(const tenure_multilock *m);
/* Milliseconds until the first safe-until of them; <= 0 = not held. Any thread. */
int64_t tenure_multilock_remaining_ms(const tenure_multilock *m);
/* The fencing token of the lock with this index in the program's array; also after a loss; 0 before. Any thread. */
tenure_token tenure_multilock_token(const tenure_multilock *m, size_t index);
/* Its key, static while m lives; "" before it is held. Any thread. */
const char *tenure_multilock_key(const tenure_multilock *m, size_t index);

/* Releases all in reverse, or gives the waiting up, and frees. 0, or why they are not known to be freed: TENURE_ELOST when one
 * had been lost before. NULL is fine. Blocking handles, any thread but the loop's. */
int tenure_multilock_unlock(tenure_multilock *m, struct tenure_error *err);
/* The same without waiting; on_released follows, never within the call, and m must not be used any more by then. NULL is
 * fine. Any handle; loop thread for uv and poll. */
void tenure_multilock_unlock_start(tenure_multilock *m);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
