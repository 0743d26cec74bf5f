/* A lock as an object of a handle, for the files that make up its life; no other includes this.
 *
 *     lock_alloc.c     its memory                          lock.c          its states, on the loop
 *     lock_acquire.c   the doors of start and acquire      lock_held.c     what it is asked, and letting go
 */
#ifndef LIB_LOCK_OBJECT_H
#define LIB_LOCK_OBJECT_H

#include "lib/lock.h"
#include "lib/post.h"
#include "lib/session.h"
#include "recipes/levels.h"
#include "recipes/takeover.h"

#define PREFIX_DEFAULT "/locks/"

enum lock_object_state { ACQUIRING, HELD, LOST, FAILED, RELEASING, OVER };

struct unlock {
    struct post post;
    tenure_lock *lock;
};

struct tenure_lock {
    struct object object;
    char *name;
    struct tenure_lock_options o; /* its strings: owned */
    size_t strip;                 /* of a view: how much of the key is not shown */
    struct rule rule;
    tn_ms wait_until;
    struct scope_link scope;    /* of the acquire */
    struct lib_session_user on; /* no session and engine NULL: it could not begin again */
    struct lock *engine;
    struct takeover *takeover; /* before the engine: the place of an earlier process */
    bool resumes;              /* it is ours */
    enum lock_object_state state;
    bool is_stopped;   /* the program let go of it */
    bool is_cancelled; /* the acquire */
    int code;          /* of the end */
    struct tenure_error why;
    struct post *acquire;  /* the waiter for the acquire; NULL = none, or he was answered */
    struct unlock *unlock; /* made with the lock, so that letting go cannot fail */
    bool unlock_is_sent, unlock_is_told, tell_released;
    void (*on_shared)(tenure_lock *l, int code, void *user); /* who waits for a downgrade; NULL = nobody */
    void *on_shared_user;
    pthread_t owner;      /* of a re-entrant one: the thread that acquired it */
    struct levels levels; /* and how often it did */

    /* any thread */
    atomic_bool held;
    _Atomic(tn_ms) believed_until; /* what the authority of its home says; TN_MS_NEVER = it wants none */
    _Atomic(tenure_token) token;
    _Atomic(const char *) key;
    char key_text[];
};

/* A copy of what is given, with the prefix below ns. NULL with err filled. */
tenure_lock *lib_lock_alloc(tenure_client *c, bytes ns, const char *name, const struct rule *rule,
                            const struct tenure_lock_options *o, struct tenure_error *err) MUST_USE;
void lib_lock_dealloc(tenure_lock *l);
/* What stands in its key, malloc'd: as asked for, or as a reader's. NULL when out of memory. */
char *lib_lock_value(const tenure_lock *l, bool shared) MUST_USE;

/* Loop thread: begins it, and takes l, also on failure; the program lets go of it. */
int lib_lock_enter(tenure_lock *l, struct tenure_error *err) MUST_USE;
void lib_lock_stop(tenure_lock *l, tn_ms now);
extern const struct object_type lib_lock_type;

static inline tenure_lock *lock_of(const struct object *o)
{
    return CONTAINER_OF(o, tenure_lock, object);
}

#endif
