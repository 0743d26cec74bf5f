/* Option structs that grow: the program's size says which version it was compiled with. */
#include <string.h>

#include "lib/handle.h"

static bool all_zero(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

int options_take(void *dst, size_t dst_size, const void *src, const char *what, struct tenure_error *err)
{
    size_t size = 0;
    memset(dst, 0, dst_size);
    if (!src)
        return 0;
    memcpy(&size, src, sizeof size);
    if (size < sizeof size)
        return error_set(err, TENURE_EINVALID, "%s: options.size is not set to the size of the struct", what);
    if (size > dst_size && !all_zero((const unsigned char *)src + dst_size, size - dst_size))
        return error_set(err, TENURE_EVERSION,
                         "%s: an option is set that this library (" TENURE_VERSION ") does not know", what);
    memcpy(dst, src, size < dst_size ? size : dst_size);
    return 0;
}
