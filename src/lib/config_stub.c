/* What is to come of config.h: refuses what has to be refused, and answers that it is not there yet. */
#include <tenure/config.h>

#include <stdlib.h>

#include "base/error.h"

static int none(int bad, struct tenure_error *err)
{
    return error_set(err, bad ? TENURE_EINVALID : TENURE_EUNIMPLEMENTED,
                     bad ? "config: an argument is NULL" : "config: not there yet");
}
int tenure_config_schema_set(tenure_client *c, const char *keys, const char *schema,
                             const struct tenure_config_options *o, struct tenure_error *err)
{
    (void)schema, (void)o;
    return none(!c || !keys, err);
}

int tenure_config_schema_get(tenure_client *c, const char *keys, const struct tenure_config_options *o, char **ret,
                             struct tenure_error *err)
{
    (void)o;
    return none(!c || !keys || !ret, err);
}

int tenure_config_check(const struct tenure_config_list *list, const char *keys, const char *schema,
                        struct tenure_error *err)
{
    return none(!list || !keys || !schema, err);
}
