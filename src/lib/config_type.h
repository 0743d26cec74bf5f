/* From the text of a value to what it means. Pure. */
#ifndef LIB_CONFIG_TYPE_H
#define LIB_CONFIG_TYPE_H

#include "base/bytes.h"

/* Each answers whether the text, all of it, is one; white space around it is passed over. */
bool config_type_int(bytes text, int64_t *ret) MUST_USE;
bool config_type_float(bytes text, double *ret) MUST_USE;
bool config_type_bool(bytes text, bool *ret) MUST_USE;
bool config_type_duration(bytes text, int64_t *ret_ms) MUST_USE;
bool config_type_size(bytes text, int64_t *ret_bytes) MUST_USE;

#endif
