/* A barrier: a key that holds everybody up as long as it exists. Keys as in Go's recipe: the barrier "b" is the key
 * `<prefix>b`; who holds creates it, who releases deletes it, who waits watches it alone.
 *
 * A hold is told once and done once: with the key a mark is written, `<prefix without slash>.marks/b`, whose value names the
 * newest requests (recent.h) and whose mod_revision is the guard. So a copy of a request whose answer was lost does nothing, even when others
 * have released the barrier and held it in between, and its sender learns that it held. The mark stays: one small key a name.
 *
 * Pure; thread: the client's.
 */
#ifndef RECIPES_BARRIER_H
#define RECIPES_BARRIER_H

#include "recipes/errand.h"

struct barrier_options {
    const char *prefix; /* NULL = "/barriers/" */
    size_t root_len;    /* of the prefix: what no key leaves */
    const char *name;
    bytes value;   /* (hold) who holds, for a person */
    bool try_only; /* (wait) TENURE_EBUSY instead of waiting */
    tn_ms until;
    bool broken_unmarked; /* tests only: (hold) without its mark */
    bool broken_blind;    /* tests only: (wait) passes without looking again */
};

/* Each makes an errand that has not begun. What it is given is copied. NULL: TENURE_EINVALID, TENURE_ENOMEM in err.
 * hold: TENURE_EEXISTS when it is held. release: fine when it is not held; only the hold seen at the call is ended.
 * wait: ends when it is not held, or was not for a moment since the wait began. */
struct errand *barrier_hold(struct client *c, const struct barrier_options *o, errand_done done, void *user,
                            struct tenure_error *err) MUST_USE;
struct errand *barrier_release(struct client *c, const struct barrier_options *o, errand_done done, void *user,
                               struct tenure_error *err) MUST_USE;
struct errand *barrier_wait(struct client *c, const struct barrier_options *o, errand_done done, void *user,
                            struct tenure_error *err) MUST_USE;

#endif
