/* Sessions: a lease that is renewed while the program lives, and what hangs on it: locks, elections, keys.
 *
 * Locks and elections make their own when none is given to them; a session of the program's own is for those who want
 * several things to be lost together, to hear of a bad connection before anything is lost, to tie renewals to a sign of
 * life, or to hand a lease over to a successor.
 *
 *     STARTING --granted--> CONNECTED <----> SUSPENDED --safe-until--> LOST
 *
 * CONNECTED: the server answers the renewals, one each third of the TTL. SUSPENDED: none that was sent within the last two
 * thirds of the TTL was answered; what is held is held still, but not for long. LOST, for good: safe-until has passed (the
 * time at which the last answered renewal was sent, plus the TTL, less 250 ms and 1 % of the TTL), or the lease was revoked,
 * or none was granted. From safe-until on the state is LOST, network or not, whoever asks.
 *
 * The handle's shared session, of the TTL in tenure_options, is the one that locks use by default; a session object for it
 * is a way to look at it and to beat it. When it is lost, the next lock opens another one; the object stays LOST.
 */
#ifndef TENURE_SESSION_H
#define TENURE_SESSION_H

#include <tenure/client.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

typedef struct tenure_session tenure_session;

enum tenure_session_state {
    TENURE_SESSION_STARTING,
    TENURE_SESSION_CONNECTED,
    TENURE_SESSION_SUSPENDED,
    TENURE_SESSION_LOST
};

struct tenure_session_options {
    size_t size;
    int64_t
        ttl_s; /* a session of its own with this TTL, from 2 s on; 0 = the handle's shared one, unless a field below says
                      that it cannot be: then one of its own with the handle's session_ttl_s */
    int own;   /* not 0: of its own in any case */
    int64_t
        resume_lease; /* take this lease over instead of having one granted (with the TTL that it has); 0 = none. The
                             caller knows that nobody else believes in it: its process is gone, or has left it. What
                             that one had under way for the lease's keys may still land behind the take-over */
    /* Not 0: the program promises to call tenure_session_beat at least this often. When it does not, renewals stop, so that a
     * program that hangs loses what it holds at safe-until, for another one to take it; they go on with its next beat if
     * that comes before. The first beat is the grant's. A session of its own only. */
    int64_t heartbeat_ms;
    /* A change of state; on the loop's thread. why: only with LOST. What hangs on the session was told first. May be NULL. */
    void (*on_state)(tenure_session *s, enum tenure_session_state state, const struct tenure_error *why, void *user);
    /* The close begun by tenure_session_close_start has ended; code 0 = revoked for sure (or shared, and let go of). */
    void (*on_closed)(int code, void *user);
    void *user;
};

/* Opens one and waits until it is CONNECTED; the handle's call timeout bounds that. o NULL: the shared one. NULL on failure:
 * TENURE_ETIMEOUT, TENURE_ENOTFOUND (resume_lease: there is no such lease), TENURE_EINVALID, … Free it by
 * tenure_session_close. Blocking handles. */
tenure_session *tenure_session_open(tenure_client *c, const struct tenure_session_options *o, struct tenure_error *err);
/* Begins to open one: it is STARTING, and may be given to locks and elections at once; on_state follows, with LOST when it
 * failed. One that is CONNECTED already (the shared one) tells nothing. NULL when it could not begin. Any handle; loop
 * thread for uv and poll. */
tenure_session *tenure_session_start(tenure_client *c, const struct tenure_session_options *o,
                                     struct tenure_error *err);

/* No I/O; any thread, as are all up to tenure_session_beat. */
enum tenure_session_state tenure_session_state(const tenure_session *s);
/* Readable from each change of state on (an eventfd): read its 8 bytes, then ask for the state. Owned by the session, there
 * as long as it; for the program's poll or select. */
int tenure_session_fd(const tenure_session *s);
/* Milliseconds until safe-until, unless a renewal is answered before; <= 0 = nothing on it is held. */
int64_t tenure_session_remaining_ms(const tenure_session *s);
/* Of the lease; 0 while there is none. Keys may be put with it: they go when the session does. */
int64_t tenure_session_lease(const tenure_session *s);
/* As granted, in seconds; 0 while it is STARTING. */
int64_t tenure_session_ttl_s(const tenure_session *s);
/* The program lives: see heartbeat_ms. Nothing without it, or when the session is lost. */
void tenure_session_beat(tenure_session *s);

/* Ends it and frees: revokes the lease, and with it all keys on it are gone; locks and elections on it, those that wait as well,
 * are told TENURE_ELOST. Of the shared one only this object goes. 0, or why the lease is not known to be revoked (it ends by itself then):
 * TENURE_ELOST when it had been lost. NULL is fine. Blocking handles, any thread but the loop's. */
int tenure_session_close(tenure_session *s, struct tenure_error *err);
/* The same without waiting; on_closed follows, never within the call, and s must not be used any more by then. NULL is fine.
 * Any handle; loop thread for uv and poll. */
void tenure_session_close_start(tenure_session *s);
/* Frees it and keeps the lease, with every key on it, for a successor who resumes it (resume_lease) before its TTL is over.
 * Nothing is sent. Locks and elections on it are told TENURE_ELOST, their keys stay. TENURE_EINVALID for the shared
 * one, and nothing happened; TENURE_ELOST when it had been lost (and it is freed). Any handle; any thread on a blocking one
 * but the loop's, loop thread else. */
int tenure_session_leave(tenure_session *s, struct tenure_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
