/* Writes of a configuration, with their history. Any thread but the loop's. */
#ifndef LIB_CONFIG_WRITE_H
#define LIB_CONFIG_WRITE_H

#include "lib/config_place.h"

/* As tenure_config_apply, behind its door. */
int config_write(tenure_client *c, const struct tenure_config_write *writes, size_t n, struct config_place *place,
                 const struct tenure_config_options *o, int64_t *ret_revision, struct tenure_error *err) MUST_USE;

/* Whether it will be taken, as far as no layer and no server is needed for that: keys, revisions, how many, none twice. */
int config_writes_check(const struct tenure_config_write *writes, size_t n, struct tenure_error *err) MUST_USE;

#endif
