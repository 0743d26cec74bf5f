/* Several places as one: taken one after the other in the order of their keys, the same for everybody, so that no two wait for
 * each other; let go in reverse. Either all are had, or none.
 *
 *     ACQUIRING (at part `at`) -> HELD -> LOST                     Next: RETREATING from each, when the owner lets go
 *          |    ^                                                   or a part fails, and then OVER or FAILED -> OVER
 *          +-> RETREATING (parts are being let go, in reverse)
 *
 * A part that is lost before all are held (their session went) leads to RETREATING and ACQUIRING from the beginning.
 *
 * Pure: the parts are the owner's, who acquires them, lets them go and says what became of them. Callbacks come last. Thread:
 * the client's.
 */
#ifndef RECIPES_SEVERAL_H
#define RECIPES_SEVERAL_H

#include <stddef.h>

#include "base/error.h"

enum several_state {
    SEVERAL_ACQUIRING,
    SEVERAL_RETREATING,
    SEVERAL_HELD,
    SEVERAL_LOST,
    SEVERAL_FAILED, /* nothing is had any more, and the owner has not let go yet */
    SEVERAL_OVER
};

struct several_ops {
    /* Begins to acquire part i; several_acquired says how it ended, later. Else a code below 0, and err. */
    int (*start)(void *user, size_t i, struct tenure_error *err);
    /* Lets part i go, whatever it is at; several_released follows, or comes within. False: it was not begun. */
    bool (*let_go)(void *user, size_t i);
    /* Whether there is time for another try. */
    bool (*in_time)(void *user);
    /* The acquire ended, once: 0 = all are held; else why says it. May call several_stop. */
    void (*on_acquired)(void *user, int code);
    void (*on_lost)(void *user, size_t i); /* after on_acquired with 0 */
    void (*on_over)(void *user);           /* last */
};

struct several {
    const struct several_ops *ops;
    void *user;
    size_t n;
    enum several_state state;
    bool is_stopped; /* the owner let go of it */
    bool is_told;    /* how the acquire ended */
    bool again;      /* the retreat leads to another try */
    size_t at;       /* the part that is being acquired */
    size_t n_leaving;
    int code; /* of the release */
    struct tenure_error why;
    bool broken_keep; /* tests only: a part that fails leaves the others as they are */
};

void several_init(struct several *s, size_t n, const struct several_ops *ops, void *user);
/* Begins. What its first part says when it cannot begin; nothing has begun then. */
int several_begin(struct several *s, struct tenure_error *err) MUST_USE;
/* Lets go of all, or gives the acquire up: on_over follows, or comes within. Idempotent. why.code may say before why it ends. */
void several_stop(struct several *s);
/* Ends the acquire with this reason, when that is told still; the owner lets go then. Nothing when all are held. */
void several_cancel(struct several *s, const struct tenure_error *why);
void several_acquired(struct several *s, size_t i, int code, const struct tenure_error *err);
void several_lost(struct several *s, size_t i, const struct tenure_error *why);
void several_released(struct several *s, int code);

/* The order: by the bytes of prefix and name together. */
int several_order(const char *prefix_a, const char *name_a, const char *prefix_b, const char *name_b);

#endif
