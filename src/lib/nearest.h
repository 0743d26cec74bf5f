/* Which regions, in which order, and from which of them to choose. Pure. */
#ifndef LIB_NEAREST_H
#define LIB_NEAREST_H

#include <tenure/region.h>

#include "base/bytes.h"

/* From the own region to one of the list: as the own one's record says, else as the other one's does; 0 to itself; -1 = nobody says. */
int64_t nearest_distance(const struct tenure_region_list *all, const struct tenure_region *to);
/* Indexes into all->regions of those that are wanted (nearest_wants), the nearest first; ret has room for all->n. The own one first, then by
 * distance, then those without, by name. Answers how many. */
size_t nearest_order(const struct tenure_region_list *all, const char *wanted, size_t *ret);
/* Whether a region is among those wanted: NULL or "all", or names with commas between. */
bool nearest_wants(const char *wanted, const char *name);
/* The first name in wanted that the list does not have, and is not the own one's; empty = all are there. */
bytes nearest_unknown(const struct tenure_region_list *all, const char *wanted);

/* What is known of a region. */
enum nearest_state {
    NEAREST_UNKNOWN, /* it was not heard yet, or never will be */
    NEAREST_KNOWN,
    NEAREST_OLD /* known, and not heard for a while */
};
struct nearest_look {
    /* Of the i-th nearest region, as it is now; when wait is true it may come back later, when that is known. */
    enum nearest_state (*state)(void *user, size_t i, bool wait);
    /* Whether one is to be had there, and it is taken then. lax: also one that does not serve. */
    bool (*take)(void *user, size_t i, bool lax);
    void *user;
};
/* Takes one, of the nearest region that has one: those that serve before others (with lax), and of regions that are heard before those that
 * are not. A region is waited for while none that is nearer has one. Answers which; n = there is none. */
size_t nearest_take(const struct nearest_look *look, size_t n, bool lax);

#endif
