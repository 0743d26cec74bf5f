/* An immutable run of bytes with a reference count: one encoding shared by many watchers. Pure; loop thread only
 * (the count is not atomic). */
#ifndef BASE_BLOB_H
#define BASE_BLOB_H

#include "base/bytes.h"

struct blob {
    uint32_t refs;
    size_t len;
    uint8_t data[];
};

/* A blob of len bytes with one reference, content undefined until the caller fills it once. NULL when out of memory. */
struct blob *blob_new(size_t len) MUST_USE;
/* Copies. NULL when out of memory. */
struct blob *blob_copy(bytes s) MUST_USE;
struct blob *blob_ref(struct blob *b);
/* Drops one reference; frees at the last. NULL is fine. Always answers NULL. */
struct blob *blob_unref(struct blob *b);

static inline bytes blob_bytes(const struct blob *b)
{
    return b ? bytes_of(b->data, b->len) : bytes_of(NULL, 0);
}

#endif
