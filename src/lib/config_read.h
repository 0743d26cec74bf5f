/* What reads and writes of a configuration have in common. Any thread but the loop's. */
#ifndef LIB_CONFIG_READ_H
#define LIB_CONFIG_READ_H

#include "lib/config_place.h"

/* The door of a blocking call: options copied, places made (to be freed in any case; zeroed before). */
int config_enter(tenure_client *c, const char *what, const struct tenure_config_options *options,
                 struct tenure_config_options *ret_o, struct config_place *ret_place, struct tenure_error *err)
    MUST_USE;
int config_read(tenure_client *c, const char *keys, struct config_place *place, const struct tenure_config_options *o,
                struct tenure_config_list **ret, struct tenure_error *err) MUST_USE;

/* The value of an entry (NULL = there is none), or else fallback, malloc'd; config_typed.c. */
char *config_text(const struct tenure_config_entry *e, const char *fallback, struct tenure_error *err);

#endif
