/* What the files of regions share: keys, names and records. */
#ifndef LIB_REGION_H
#define LIB_REGION_H

#include <tenure/region.h>

#include "base/arena.h"
#include "lib/handle.h"
#include "recipes/home.h"

#define REGIONS_PREFIX  "/regions/"
#define REGION_NAME_MAX 63
#define REGION_HOME_MAX 1024 /* bytes of a prefix that has a home */

bool region_name_is_valid(const char *name);
int region_name_check(const char *name, struct tenure_error *err) MUST_USE;
/* A handle that blocks, and is no view. */
int region_enter(tenure_client *c, struct tenure_error *err) MUST_USE;
/* One key's value as text, malloc'd; "" where there is none; NULL with err filled. */
char *region_get_text(tenure_client *c, const char *key, int64_t *ret_mod, struct tenure_error *err) MUST_USE;
int region_no_memory(struct tenure_error *err);

#endif
