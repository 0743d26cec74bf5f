/* A double barrier: n participants enter together and leave together. Keys as in Go's recipe, under the path p =
 * `<prefix><name>`: `p/waiters/<id>` for each that is in, on its session's lease; `p/ready` once n are, whose value is the
 * create_revision of the nth (empty from a Go program). One key of our own: `p/fence`, moved by each that gives up before
 * the barrier has opened, so that it is not opened by who has seen it in.
 *
 *   enter:  one read, one transaction that puts the own key and shows the others. The nth puts `ready`; all others watch
 *           that key alone. n are in already: TENURE_EBUSY. The round before is still being left: waits for its end.
 *   leave:  who came first stays to the last, and waits for the newest; each other deletes its key and waits for the oldest.
 *           Whoever is the last deletes `ready` too. Counted are the keys of the own round, those older than its `ready`.
 *
 * A participant that dies: its key goes with its lease. Before the barrier has opened, another one has to come in its place
 * (enter waits until its deadline); afterwards it counts as having left. One whose lease ends in the very moment of the
 * opening counts as having been there. One that gives up never counts, unless its giving up could not be confirmed: then it
 * may count until its session has ended, which who uses this ends at once.
 *
 * Pure; thread: the client's.
 */
#ifndef RECIPES_DOUBLE_BARRIER_H
#define RECIPES_DOUBLE_BARRIER_H

#include "recipes/errand.h"
#include "recipes/object.h"

struct double_barrier;

struct double_barrier_options {
    const char *prefix; /* NULL = "/barriers/" */
    const char *name;
    int64_t n;
    bytes value;               /* who, for a person */
    bool broken_open_unfenced; /* tests only: opens whoever has given up meanwhile */
};

/* On a session of its own, which should be closed when it was left or could not be entered. Copies. TENURE_EINVALID,
 * TENURE_ENOMEM. */
int double_barrier_new(struct session *s, const struct double_barrier_options *o, struct double_barrier **ret,
                       struct tenure_error *err) MUST_USE;
/* Its errand must be over, or gone. NULL is fine; NULL. */
struct double_barrier *double_barrier_free(struct double_barrier *b);

/* Errands that have not begun; one at a time. Both end with TENURE_ELOST when the session is lost. NULL:
 * TENURE_ENOMEM. */
struct errand *double_barrier_enter(struct double_barrier *b, tn_ms until, errand_done done, void *user,
                                    struct tenure_error *err) MUST_USE;
struct errand *double_barrier_leave(struct double_barrier *b, tn_ms until, errand_done done, void *user,
                                    struct tenure_error *err) MUST_USE;
/* Which opening it was let in by: the create_revision of its newest participant. 0 while outside. */
tn_rev double_barrier_round(const struct double_barrier *b);
/* It has opened with us in it, and our lease is safe. */
bool double_barrier_is_inside(const struct double_barrier *b, tn_ms now);

#endif
