/* Strings behind a struct in its one allocation, one after another, each with a 0 behind it: for lists that are freed by one call. Who
 * puts has measured first. Pure. */
#ifndef LIB_PUT_H
#define LIB_PUT_H

#include <string.h>

/* A copy at *at, which moves behind it. */
static inline const char *put_string(char **at, const void *s, size_t len)
{
    char *to = *at;
    if (len > 0)
        memcpy(to, s, len);
    to[len] = 0;
    *at += len + 1;
    return to;
}

/* s NULL: "". */
static inline const char *put_word(char **at, const char *s)
{
    return put_string(at, s, s ? strlen(s) : 0);
}

#endif
