/* The sessions under a handle's locks: one that they share, and one of its own for each lock with a TTL. Loop thread, but
 * for lib_session_is_safe.
 *
 * The shared session is opened by the first lock that needs it. When it is lost, or could not be started, the next lock
 * opens another one. It is closed with the handle; a session of a lock's own when that lock is gone. */
#ifndef LIB_SESSION_H
#define LIB_SESSION_H

#include "lib/handle.h"
#include "recipes/session.h"

/* Embedded in a lock. */
struct lib_session_user {
    struct lib_session *session; /* NULL = on none */
    struct list in_session;
    _Atomic(tn_lease) lease; /* any thread; 0 = not granted yet */
};

struct lib_session {
    struct object object;
    struct session *engine;
    struct list users;
    bool is_shared;
    bool ended; /* lost, failed or closed: the engine calls no more */
    bool closing;
    _Atomic(tn_ms) safe_until; /* any thread; 0 = not to be believed in */
};

/* A session to hang a lock on: the shared one for ttl_s 0. u must be on none. */
int lib_session_use(tenure_client *c, int64_t ttl_s, struct lib_session_user *u, struct tenure_error *err) MUST_USE;
void lib_session_unuse(struct lib_session_user *u); /* nothing when it is on none */
/* Tells other threads how long it is safe; the turn does it too. */
void lib_session_publish(struct lib_session *s);

/* True only while the lease is safe. Any thread, while s has a user. */
static inline bool lib_session_is_safe(const struct lib_session *s)
{
    return io_clock() < atomic_load((_Atomic(tn_ms) *)&s->safe_until);
}

#endif
