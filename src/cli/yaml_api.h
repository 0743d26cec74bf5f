/* libyaml, loaded when a configuration file is read: few have one, and nobody else is to pay for it. Called through the table
 * as io/openssl_api.h does. */
#ifndef CLI_YAML_API_H
#define CLI_YAML_API_H

#include <yaml.h>

#include "base/error.h"

#define YAML_FUNCTIONS(X)                                                                                              \
    X(yaml_event_delete)                                                                                               \
    X(yaml_parser_delete)                                                                                              \
    X(yaml_parser_initialize)                                                                                          \
    X(yaml_parser_parse)                                                                                               \
    X(yaml_parser_set_input_string)

struct yaml {
#define YAML_MEMBER(name) __typeof__(name) *name;
    YAML_FUNCTIONS(YAML_MEMBER)
#undef YAML_MEMBER
};

/* NULL: the library is missing (TENURE_EUNAVAILABLE). One thread. */
const struct yaml *yaml_load(struct tenure_error *err);

#endif
