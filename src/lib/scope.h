/* The loop's side of scopes (tenure/scope.h): whatever can be cancelled embeds a link.
 *
 *     door, any thread      scope_take: notes the scope that the thread has in use
 *     loop, at its start    scope_join: from here on cancel may be called; or it is over already
 *     loop, at its end      scope_leave: never again
 *
 * Who cancels, on whatever thread, puts the links of the scope's calls into their handles' lists and wakes their loops; each
 * loop calls its own (scopes_run). So links come and go on their loop alone, and cancel may end what the link is part of.
 *
 * Without a scope in use all this is a look at a pointer.
 */
#ifndef LIB_SCOPE_H
#define LIB_SCOPE_H

#include <tenure/scope.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/types.h"

struct client_context;
struct tenure_client;

struct scope_link {
    tenure_scope *scope;            /* counted; NULL = none */
    struct client_context *context; /* the scope's, or one that was lent; counted; NULL = none */
    int code; /* 0, or why it was cancelled: TENURE_ECANCELLED, TENURE_ETIMEOUT; the loop's once it has left */
    /* the rest: while it has joined */
    struct list in_scope;  /* under the tree's mutex */
    struct list in_handle; /* waits for the loop; under the mutex of posts */
    struct heap_node timer;
    struct tenure_client *handle;
    void (*cancel)(struct scope_link *l, tn_ms now);
    bool has_joined;
};

/* What belongs to a handle. */
struct scopes {
    struct list cancelled; /* struct scope_link.in_handle; under the mutex of posts */
    struct heap timers;    /* the loop's */
};

/* Takes the present thread's scope into a zeroed link. Any thread. */
void scope_take(struct scope_link *l);
/* The code and text of a scope that is over already; 0 without one. Any thread. */
int scope_check(const struct scope_link *l, const char *what, struct tenure_error *err) MUST_USE;
/* The deadline, or until if that is earlier. Any thread. */
tn_ms scope_until(const struct scope_link *l, const struct tenure_client *c, tn_ms until);
/* cancel comes at most once, from the turn, until scope_leave. 0; TENURE_ECANCELLED, TENURE_ETIMEOUT: the scope is over,
 * TENURE_ENOMEM: not joined. */
int scope_join(struct scope_link *l, struct tenure_client *c, void (*cancel)(struct scope_link *l, tn_ms now),
               const char *what, struct tenure_error *err) MUST_USE;
/* Lets go of the scope; fine when it never joined or has left. The loop's thread once it has joined, else any. */
void scope_leave(struct scope_link *l);

/* Around what the loop asks the engine for on behalf of what l is part of: it carries its context, or none; l NULL: none. */
struct client_context *scope_enter(const struct scope_link *l, struct tenure_client *c);
void scope_exit(struct tenure_client *c, struct client_context *before);
/* The same trace as of another's, for a part of what that belongs to, without being a call of its scope. l has none yet. */
void scope_lend(struct scope_link *l, const struct scope_link *from);

/* Runs what must not belong to the thread's scope: the pair brackets it. */
static inline tenure_scope *scope_aside(void)
{
    return tenure_scope_use(NULL);
}
static inline void scope_back(tenure_scope *before)
{
    tenure_scope_use(before);
}

/* How a call ended, to be asked when it has left: the engine's word "cancelled" may mean that the scope's time was over; then
 * err says so. */
int scope_word(const struct scope_link *l, int code, const char *what, struct tenure_error *err);

/* In each turn: calls cancel of those whose scope was cancelled or whose time is over. */
void scopes_run(struct tenure_client *c, tn_ms now);
tn_ms scopes_deadline(const struct tenure_client *c);
void scopes_init(struct scopes *s);
void scopes_fini(struct scopes *s);

#endif
