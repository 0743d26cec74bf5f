/* A borrowed run of bytes: pointer and length, never owned, may hold zeros. Pure. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <string.h>

#include "base/types.h"

typedef struct bytes {
    const uint8_t *data; /* may be NULL when len is 0 */
    size_t len;
} bytes;

static inline bytes bytes_of(const void *data, size_t len)
{
    return (bytes){(const uint8_t *)data, len};
}

/* Borrows a C string without its end mark. */
static inline bytes bytes_str(const char *s)
{
    return (bytes){(const uint8_t *)s, s ? strlen(s) : 0};
}

static inline bool bytes_equal(bytes a, bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Byte order, shorter first when one is the start of the other: etcd's key order. */
static inline int bytes_compare(bytes a, bytes b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.data, b.data, n) : 0;
    if (c != 0)
        return c;
    return a.len < b.len ? -1 : a.len > b.len;
}

static inline bool bytes_has_prefix(bytes s, bytes prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.data, prefix.data, prefix.len) == 0);
}

/* Writes the end of the range of all keys that begin with prefix (prefix with its last byte below 0xff raised, the
 * rest cut) into out, which has room for prefix.len + 1 bytes, and returns its length. For an empty prefix or one of
 * 0xff only the end is the single byte 0: "all from key on" in etcd's terms. */
size_t bytes_prefix_end(bytes prefix, uint8_t *out);

/* How many bytes the UTF-8 character at the start of s has (1..4); 0 when s is empty or does not start with a whole,
 * allowed one (RFC 3629: no overlong forms, no surrogates). */
size_t bytes_utf8_char(bytes s);

/* The most bytes of s, at most len_max, that do not end within a UTF-8 character. */
size_t bytes_utf8_cut(bytes s, size_t len_max);

/* U+0080 to U+009F in UTF-8 at a string's c: control characters, which a terminal may take for the beginning of a command. */
static inline bool bytes_is_c1(const char *c)
{
    return (unsigned char)c[0] == 0xc2 && (unsigned char)c[1] >= 0x80 && (unsigned char)c[1] <= 0x9f;
}

#endif
