/* Keys in byte order, each with its value, one block of memory a key; which is what an exact copy of a range is made of. Pure;
 * thread: one caller at a time. */
#ifndef RECIPES_KEYSET_H
#define RECIPES_KEYSET_H

#include "api/kv.h"

struct keyset_entry {
    struct kv kv; /* its bytes are in data */
    uint8_t data[];
};

struct keyset {
    struct keyset_entry **entries;
    size_t len, cap;
};

void keyset_fini(struct keyset *s);
/* The first place that is not before key. */
size_t keyset_place(const struct keyset *s, bytes key);
bool keyset_is_at(const struct keyset *s, size_t at, bytes key);
/* A copy of kv at its place. What stood there is the caller's: *ret_was, NULL = nothing; TENURE_ENOMEM: as before. */
int keyset_put(struct keyset *s, const struct kv *kv, struct keyset_entry **ret_was) MUST_USE;
/* Takes it out; the caller's. */
struct keyset_entry *keyset_take(struct keyset *s, size_t at);
/* What it takes of memory. */
size_t keyset_bytes(const struct kv *kv);

#endif
