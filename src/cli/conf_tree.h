/* A configuration as one JSON value: an object for each part of a key, texts at its leaves. A key that has others below it is the entry ""
 * of its object. What templates are filled from. Pure. */
#ifndef CLI_CONF_TREE_H
#define CLI_CONF_TREE_H

#include <jansson.h>
#include <tenure/config.h>

/* keys: the part in front that is left out of all. Entries that cannot be used (sealed, and no key) are not in it. NULL: no
 * memory. */
json_t *conf_tree(const struct tenure_config_list *list, const char *keys);

#endif
