/* The sessions under a handle's locks: one that they share, one of its own for each lock with a TTL, and those that the
 * program opened (open_session.c). Loop thread, but for lib_session_is_safe and lib_session_beat.
 *
 * The shared session is opened by the first that needs it. When it is lost, or could not be started, the next one opens
 * another. It is closed with the handle; any other one when the last that uses it is gone. */
#ifndef LIB_SESSION_H
#define LIB_SESSION_H

#include "lib/handle.h"
#include "recipes/session.h"

/* Embedded in a lock, or in what the program calls a session. */
struct lib_session_user {
    struct lib_session *session; /* NULL = on none */
    struct list in_session;
    _Atomic(tn_lease) lease; /* any thread; 0 = not granted yet */
    /* It is alive, suspended, answered again, lost or closed: see the engine. May be NULL. May call the program. */
    void (*on_change)(struct lib_session_user *u);
};

struct lib_session {
    struct object object;
    struct session *engine;
    struct list users;
    bool is_shared;
    bool ended; /* lost, failed or closed: the engine calls no more */
    bool closing;
    bool leaving;    /* its revoke is under way, closing comes at once */
    int end_code;    /* of the loss, or of the close */
    tn_ms beat_seen; /* the last beat that the engine was told of */
    /* any thread */
    _Atomic(tn_ms) safe_until; /* 0 = not to be believed in */
    _Atomic(tn_ms) suspended_from;
    bool has_gate;          /* fixed */
    _Atomic(tn_ms) beat_at; /* the program's last sign of life; the engine learns of it in its turn */
    atomic_bool is_gated;   /* and then at once */
};

/* A session to hang a lock on: the shared one for ttl_s 0. u must be on none. */
int lib_session_use(tenure_client *c, int64_t ttl_s, struct lib_session_user *u, struct tenure_error *err) MUST_USE;
/* One that nobody else gets, with these options. */
int lib_session_use_own(tenure_client *c, const struct session_options *o, struct lib_session_user *u,
                        struct tenure_error *err) MUST_USE;
/* The handle's session on that lease, NULL when there is none that lives. */
struct lib_session *lib_session_find(tenure_client *c, int64_t lease);
/* Where an object of the program's hangs: open_session.c. */
struct lib_session *lib_session_of(const tenure_session *s);
/* One that is there already. TENURE_ELOST when it has ended. */
int lib_session_join(struct lib_session *s, struct lib_session_user *u, struct tenure_error *err) MUST_USE;
/* Ends it now, whoever is on it: revokes its lease, or leaves it (session_leave). Nothing when it has ended. */
void lib_session_end(struct lib_session *s, bool leave, tn_ms now);
/* The program lives. Any thread, while s has a user. */
void lib_session_beat(struct lib_session *s);
void lib_session_unuse(struct lib_session_user *u); /* nothing when it is on none */
/* u is about to leave it, when the answer to what was just sent is there. A session that then has no purpose sends its revoke
 * along. */
void lib_session_unuse_soon(struct lib_session_user *u);
/* Tells other threads how long it is safe; the turn does it too. */
void lib_session_publish(struct lib_session *s);

/* True only while the lease is safe. Any thread, while s has a user. */
static inline bool lib_session_is_safe(const struct lib_session *s)
{
    return handle_clock(s->object.handle) < atomic_load((_Atomic(tn_ms) *)&s->safe_until);
}

#endif
