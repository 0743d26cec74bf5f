#include "cli/name.h"

#include <stddef.h>
#include <string.h>

bool name_split(const char *given, bool whole_key, char **ret_prefix, const char **ret_name)
{
    const char *slash = whole_key ? strrchr(given, '/') : NULL;
    *ret_name = slash ? slash + 1 : given;
    *ret_prefix = whole_key ? strndup(given, (size_t)(*ret_name - given)) : NULL;
    return !whole_key || *ret_prefix;
}
