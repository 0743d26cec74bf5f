#include "cli/conf_tree.h"

#include <string.h>

/* The object at this part of o; what stands there as a text becomes the entry "" of a new one. */
static json_t *step(json_t *o, const char *part, size_t len)
{
    json_t *at = json_object_getn(o, part, len);
    if (json_is_object(at))
        return at;
    json_t *object = json_object();
    if (at && object)
        json_object_set(object, "", at);
    return object && json_object_setn_new(o, part, len, object) == 0 ? object : NULL;
}

static bool add(json_t *root, const char *key, const char *value, size_t value_len)
{
    json_t *at = root;
    for (const char *slash; (slash = strchr(key, '/')); key = slash + 1)
        if (!(at = step(at, key, (size_t)(slash - key))))
            return false;
    json_t *there = json_object_get(at, key), *text = json_stringn_nocheck(value, value_len);
    if (json_is_object(there))
        return json_object_set_new_nocheck(there, "", text) == 0;
    return json_object_set_new_nocheck(at, key, text) == 0;
}

json_t *conf_tree(const struct tenure_config_list *list, const char *keys)
{
    size_t cut = strlen(keys);
    json_t *root = json_object();
    for (size_t i = 0; root && i < list->n; i++) {
        const struct tenure_config_entry *e = &list->entries[i];
        if (e->problem || strncmp(e->key, keys, cut) != 0)
            continue;
        if (!add(root, e->key + cut, e->value, e->value_len)) {
            json_decref(root);
            return NULL;
        }
    }
    return root;
}
