/* The home of what is written into the layer of all regions. */
#ifndef LIB_CONFIG_HOME_H
#define LIB_CONFIG_HOME_H

#include "base/arena.h"
#include "lib/region.h"

struct config_home {
    const char *record; /* the key of the home's record; NULL = there is none */
    int64_t mod_revision;
};

/* Whether this cluster is the home of all paths (at least one), which have one home. What it answers is in a. TENURE_ECONFLICT: another
 * region is, or they have several. A name without a home belongs to its cluster alone: 0, and no record. */
int config_home_check(tenure_client *c, const char *const *paths, size_t n, struct arena *a, struct config_home *ret,
                      struct tenure_error *err) MUST_USE;

#endif
