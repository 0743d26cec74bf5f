/* What the kinds of caches share: items. */
#ifndef LIB_CACHE_H
#define LIB_CACHE_H

#include <tenure/cache.h>

#include "recipes/keyset.h"

/* Of an entry, which it refers to; version 0 = there is no such key. Without the first `strip` bytes of its key. NULL: out of memory. */
struct tenure_cache_item *cache_item_new(struct keyset_entry *e, size_t strip, tn_rev revision, int64_t stale_ms)
    MUST_USE;

#endif
