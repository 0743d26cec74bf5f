/* Comparing what one must not find byte by byte. Pure. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/bytes.h"

/* In a time that only the lengths say anything about. */
static inline bool secret_equal(bytes a, bytes b)
{
    uint8_t differ = 0;
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        differ |= a.data[i] ^ b.data[i];
    return differ == 0;
}

#endif
