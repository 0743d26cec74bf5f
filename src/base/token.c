/* See token.h. */
#include "base/token.h"

bool token_parse(bytes text, int64_t *ret)
{
    int64_t v = 0;
    for (size_t i = 0; i < text.len; i++) {
        int digit = text.data[i] - '0';
        if (digit < 0 || digit > 9 || v > (INT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    if (v == 0)
        return false;
    *ret = v;
    return true;
}
