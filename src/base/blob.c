/* One allocation holds the count and the bytes; the last blob_unref frees it. Fails only by running out of memory. */
#include "base/blob.h"

#include <assert.h>
#include <stdlib.h>

struct blob *blob_new(size_t len)
{
    if (len > SIZE_MAX - sizeof(struct blob))
        return NULL;
    struct blob *b = malloc(sizeof *b + len);
    if (!b)
        return NULL;
    b->refs = 1;
    b->len = len;
    return b;
}

struct blob *blob_copy(bytes s)
{
    struct blob *b = blob_new(s.len);
    if (!b)
        return NULL;
    if (s.len)
        memcpy(b->data, s.data, s.len);
    return b;
}

struct blob *blob_ref(struct blob *b)
{
    assert(b->refs > 0);
    assert(b->refs < UINT32_MAX);
    b->refs++;
    return b;
}

struct blob *blob_unref(struct blob *b)
{
    if (!b)
        return NULL;
    assert(b->refs > 0);
    if (--b->refs == 0)
        free(b);
    return NULL;
}
