/* A configuration as environment variables: db/url is db_url, or DB_URL; what no name may have is an underscore. Pure. */
#ifndef CLI_CONF_ENV_H
#define CLI_CONF_ENV_H

#include <tenure/config.h>

#include "base/error.h"
#include "cli/spawn.h"

struct conf_env {
    struct spawn_variable *all; /* by key, ended by a NULL name; owned */
    size_t n;
};

/* keys: the part in front that is left out of all names. TENURE_EINVALID: two keys have one name, or a value has a byte 0;
 * TENURE_EDENIED: a value cannot be opened; TENURE_ENOMEM. */
int conf_env_make(struct conf_env *ret, const struct tenure_config_list *list, const char *keys, bool upcase,
                  struct tenure_error *err) MUST_USE;
void conf_env_fini(struct conf_env *e); /* of a zeroed one as well */
bool conf_env_equal(const struct conf_env *a, const struct conf_env *b);

#endif
