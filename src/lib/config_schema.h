/* JSON Schemas of a configuration. */
#ifndef LIB_CONFIG_SCHEMA_H
#define LIB_CONFIG_SCHEMA_H

#include "lib/config_place.h"

/* Whether what is to be written fits the schemas of its keys. TENURE_EINVALID. Any thread but the loop's. */
int config_schema_check_writes(tenure_client *c, const struct tenure_config_write *writes, size_t n,
                               struct config_place *place, const struct tenure_config_options *o,
                               struct tenure_error *err) MUST_USE;

#endif
