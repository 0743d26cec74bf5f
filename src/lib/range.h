/* A key and what its options say of a range, as etcd's key and range_end. Pure. */
#ifndef LIB_RANGE_H
#define LIB_RANGE_H

#include <tenure/kv.h>

#include "api/kv.h"
#include "base/arena.h"
#include "base/error.h"

struct range_words {
    struct tenure_bytes key;
    bool prefix, from_key;
    struct tenure_bytes range_end;
    bytes ns; /* what all keys lie below; empty = nothing */
};

/* Borrows key and range_end, or copies them below ns; what is made new is in a. from_key goes to the end of ns. TENURE_EINVALID: no key, or two of the three at once.
 * TENURE_ENOMEM. */
int range_of(const struct range_words *w, struct arena *a, struct key_range *ret, struct tenure_error *err) MUST_USE;
/* The key below ns, copied into a; key itself where there is no ns. data NULL: out of memory. */
bytes range_key_below(bytes ns, bytes key, struct arena *a) MUST_USE;

#endif
