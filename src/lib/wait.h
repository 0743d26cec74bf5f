/* An errand as an object of a handle: for a blocked thread, or with a completion. Embedded at the start of each kind, on the
 * heap, counted: one reference is the asker's, one the loop's.
 *
 *     wait_new -> the kind copies its inputs -> wait_block (any thread) -> takes the result -> wait_unref
 *                                            -> wait_begin (any thread) -> the loop: complete, once; freed when it was let
 *                                               go of (tenure_wait_stop, or detached from the start)
 */
#ifndef LIB_WAIT_H
#define LIB_WAIT_H

#include <tenure/wait.h>

#include "lib/post.h"
#include "recipes/errand.h"

struct wait_type {
    const char *what; /* "barrier": in error texts */
    /* On the loop: makes the errand, with wait_done and the wait as its user. NULL with err filled. */
    struct errand *(*begin)(tenure_wait *w, tn_ms now, struct tenure_error *err);
    /* Takes the result, or changes the end (w->code, w->error), before the errand is freed. true: it begins again, by another
     * errand. May be NULL. */
    bool (*ended)(tenure_wait *w, struct errand *t, tn_ms now);
    void (*complete)(tenure_wait *w); /* calls the program; NULL where there is only a blocking form */
    void (*gone)(tenure_wait *w);     /* off the handle, on the loop; may be NULL */
    void (*free)(tenure_wait *w);     /* what the kind owns, and w */
};

struct tenure_wait {
    struct object object;
    struct post post;
    const struct wait_type *type;
    tenure_client *handle;
    int64_t timeout_ms; /* as asked */
    bool is_wait;       /* timeout 0 = without end; else the handle's default */
    tn_ms until;
    struct scope_link scope;
    unsigned again; /* begun again in a second, the one that ends at */
    tn_ms again_until;
    struct errand *errand;         /* NULL before it began and when it has ended */
    bool is_blocking, is_detached; /* nobody will stop it */
    bool has_ended, is_stopped, is_cancelled;
    int code;
    struct tenure_error error;
    void (*cb)(void); /* the program's, cast back by complete; NULL = none */
    void *user;
};

/* The size bytes begin with a struct tenure_wait; the rest is zero. timeout_ms: see is_wait; -1 is the kind's business. NULL
 * with err filled. */
tenure_wait *wait_new(tenure_client *c, size_t size, const struct wait_type *type, int64_t timeout_ms, bool is_wait,
                      struct tenure_error *err) MUST_USE;
/* Whatever scope the thread has in use, it is not part of it: for what lets go. */
void wait_without_scope(tenure_wait *w);
void wait_unref(tenure_wait *w);
/* Waits for its end. Precondition: handle_enter_blocking. w is the caller's still, with what `ended` left in it. */
int wait_block(tenure_wait *w, struct tenure_error *err) MUST_USE;
/* Begins; 0: complete will come. Takes w when it fails, or when it is detached: then nobody stops it. */
int wait_begin(tenure_wait *w, bool is_detached, void (*cb)(void), void *user, struct tenure_error *err) MUST_USE;
/* A errand_done. */
void wait_done(void *user, struct errand *t, int code, const struct tenure_error *error);

#endif
