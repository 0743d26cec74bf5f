/* Keys in byte order, each with its value, one block of memory a key; which is what an exact copy of a range is made of.
 *
 * A block never changes, and is counted: several sets can share it, and whoever was shown it can keep it, in any thread. A set is
 * for one caller at a time. Pure. */
#ifndef RECIPES_KEYSET_H
#define RECIPES_KEYSET_H

#include <stdatomic.h>

#include "api/kv.h"

struct keyset_entry {
    struct kv kv; /* its bytes are in data, with a 0 behind each run of them */
    atomic_uint refs;
    uint8_t data[];
};

struct keyset {
    struct keyset_entry **entries;
    size_t len, cap;
};

/* Of one more who has it; e. Any thread, as is keyset_unref, which takes NULL. */
struct keyset_entry *keyset_ref(struct keyset_entry *e);
void keyset_unref(struct keyset_entry *e);
/* Of a kv that is one's. */
static inline struct keyset_entry *keyset_entry_of(const struct kv *kv)
{
    return CONTAINER_OF((struct kv *)kv, struct keyset_entry, kv);
}

void keyset_fini(struct keyset *s); /* an all-zero one is empty; so it is afterwards */
/* The first place that is not before key. */
size_t keyset_place(const struct keyset *s, bytes key);
bool keyset_is_at(const struct keyset *s, size_t at, bytes key);
/* A copy of kv at its place. What stood there is the caller's: *ret_was, NULL = nothing; TENURE_ENOMEM: as before. */
int keyset_put(struct keyset *s, const struct kv *kv, struct keyset_entry **ret_was) MUST_USE;
/* Room for so many more, so that the next calls of keyset_share cannot fail. */
int keyset_reserve(struct keyset *s, size_t more) MUST_USE;
/* An entry of another set, at its place; there is room. *ret_was as of keyset_put. */
void keyset_share(struct keyset *s, struct keyset_entry *e, struct keyset_entry **ret_was);
/* NULL = it is not there. */
const struct kv *keyset_find(const struct keyset *s, bytes key);
/* Takes it out; the caller's. */
struct keyset_entry *keyset_take(struct keyset *s, size_t at);
/* What it takes of memory. */
size_t keyset_bytes(const struct kv *kv);

#endif
