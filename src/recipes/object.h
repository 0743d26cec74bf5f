/* What hangs on a session: locks, and the lanes they queue in. The inside of session.h, for this layer only.
 *
 * Engine first, user last. Within a client's completion or a tick an object changes itself, and posts what the user has
 * to be told (session_post); the outermost function ends with session_flush, which calls the users one by one. A user's
 * function may free any object and the session: so nothing is touched behind a flush, and no user is called from a
 * function that a user calls (there the post waits for the next session_tick, which is due at once).
 *
 * Pure; thread: the client's.
 */
#ifndef RECIPES_OBJECT_H
#define RECIPES_OBJECT_H

#include "base/heap.h"
#include "recipes/session.h"

struct session_object;

/* None of these calls the user, except deliver. All but deliver may be NULL. */
struct session_object_ops {
    void (*on_alive)(struct session_object *o, tn_ms now); /* the session has its lease */
    /* The session was lost, failed to start, or is being closed: it will never be valid again. Once. */
    void (*on_ended)(struct session_object *o, const struct tenure_error *why, tn_ms now);
    void (*on_timer)(struct session_object *o, tn_ms now); /* once for each session_set_timer */
    void (*on_dropped)(struct session_object *o); /* the session is being freed: o->session is NULL from now on */
    /* Calls the user once, as its last act; posts itself again first when more is to be told. */
    void (*deliver)(struct session_object *o);
};

struct session_object {
    const struct session_object_ops *ops;
    struct session *session; /* NULL before session_attach and when the session was freed */
    struct list in_session;  /* in the order of creation */
    struct list in_due;
    struct heap_node timer;
    struct client_context *context; /* counted; NULL = none: the client's present one in each of the functions above */
};

/* Adds o behind all others, with the client's present context. TENURE_ENOMEM. */
int session_attach(struct session *s, struct session_object *o, const struct session_object_ops *ops) MUST_USE;
/* Takes o off the session, its timer and its post; nothing when it is on none. */
void session_detach(struct session_object *o);
/* For functions that are called from elsewhere, around what o asks the client for: its context is the present one. */
struct client_context *session_object_enter(struct session_object *o);
void session_object_exit(struct session_object *o, struct client_context *before);
/* From now on x, or none. */
void session_object_set_context(struct session_object *o, struct client_context *x);
/* on_timer at or after `at`; replaces what was set; TN_MS_NEVER = none. Nothing when o is on no session. */
void session_set_timer(struct session_object *o, tn_ms at);
void session_post(struct session_object *o);
bool session_posted(const struct session_object *o);
/* Delivers everything posted, then the session's own news. Does nothing within itself. The session may be gone behind. */
void session_flush(struct session *s);

/* The objects of the session, oldest first (entries: struct session_object.in_session). */
struct list *session_objects(struct session *s);
/* Whether objects may use the lease: alive, or being granted (a call that overtakes the grant is told "no such lease"). */
bool session_is_open(const struct session *s, tn_ms now);
/* The id that the lease has, or will have. */
tn_lease session_lease_drawn(const struct session *s);
/* What was asked of the lease's keys before the session was alive proves nothing then: the lease may have run out meanwhile
 * and have been granted again under the same id, by a request whose answer had been lost. */
bool session_began_in_doubt(const struct session *s);
/* Ends the session when its time has come, as session_tick does, without the flush. Whether it is valid still. */
bool session_check(struct session *s, tn_ms now);

#endif
