/* JSON Schemas of a configuration: which there are, and whether entries fit them. What checks is a shared object of its own
 * (src/schema), loaded when there is a schema. */
#ifndef LIB_CONFIG_SCHEMA_H
#define LIB_CONFIG_SCHEMA_H

#include "lib/config_list.h"
#include "lib/config_place.h"

/* A schema of all keys that begin with keys. */
struct config_schema {
    const char *keys;
    bytes text;
    bool is_partial; /* what is wanted but not there is no fault: others may have it */
};

/* TENURE_EINVALID: they do not fit, or it is no schema; TENURE_EUNAVAILABLE. Any thread. */
int config_schema_check(const struct tenure_config_list *list, const struct config_schema *schema,
                        struct tenure_error *err) MUST_USE;

/* Whether what is to be written fits the schemas of its keys. TENURE_EINVALID. Any thread but the loop's. */
int config_schema_check_writes(tenure_client *c, const struct tenure_config_write *writes, size_t n,
                               struct config_place *place, const struct tenure_config_options *o,
                               struct tenure_error *err) MUST_USE;

/* The keys ("", "a/", "a/b/") above a key or above keys, shortest first. TENURE_EINVALID: more than CONFIG_SCHEMAS_MAX levels. */
enum { CONFIG_SCHEMAS_MAX = 16 };
int config_schema_above(struct arena *a, const char *keys, const char *ret[CONFIG_SCHEMAS_MAX], size_t *ret_n,
                        struct tenure_error *err) MUST_USE;

#endif
