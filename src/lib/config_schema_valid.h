/* Whether a text is a JSON Schema of draft 4. Pure. */
#ifndef LIB_CONFIG_SCHEMA_VALID_H
#define LIB_CONFIG_SCHEMA_VALID_H

#include <jansson.h>

#include "base/bytes.h"
#include "base/error.h"

/* Reads it as it is used: an object, and of no later draft as far as its own keywords show. The caller's to release.
 * TENURE_EINVALID, TENURE_ELIMIT: larger than 1 MiB. */
int config_schema_read(bytes text, json_t **ret, struct tenure_error *err) MUST_USE;

/* Before it is stored or tried: every keyword of draft 4 has a value of the right kind, at any depth. A schema with "strnig" as a type
 * would hold for everything. Keywords that draft 4 does not know are remarks. TENURE_EINVALID says where, and what was expected. */
int config_schema_valid(const json_t *schema, struct tenure_error *err) MUST_USE;

#endif
