/* How often the thread that holds a re-entrant lock has acquired it: only the last release lets go. Whether it is held, and by
 * which thread, the owner knows. One thread enters and leaves; any may enter for it. */
#ifndef RECIPES_LEVELS_H
#define RECIPES_LEVELS_H

#include <stdatomic.h>
#include <stdbool.h>

struct levels {
    atomic_int n;
    bool broken_one; /* tests only: an inner release lets go */
};

/* Acquired for the first time. */
static inline void levels_begin(struct levels *l)
{
    atomic_store(&l->n, 1);
}

/* Once more; false when it is not held any more. */
static inline bool levels_enter(struct levels *l, bool held)
{
    if (held)
        atomic_fetch_add(&l->n, 1);
    return held;
}

/* Whether an outer level holds it still. */
static inline bool levels_leave(struct levels *l)
{
    return atomic_fetch_sub(&l->n, 1) > 1 && !l->broken_one;
}

#endif
