/* Walking the keys of a range in order, whether they live or not.
 */
#include <stdlib.h>

#include "store/internal.h"
#include "tenure/error.h"

enum {
    SCRATCH_MIN = 64,
    SCRATCH_KEEP = 8192,
};

static bool scan_holds(const struct scan *scan, bytes key)
{
    return key_range_is_from(scan->range) || bytes_compare(key, scan->range.range_end) < 0;
}

static struct key *scan_take(struct scan *scan, struct btree_item *item)
{
    if (!item || !scan_holds(scan, item->key))
        return NULL;
    return CONTAINER_OF(item, struct key, item);
}

struct key *scan_first(const struct store *s, struct scan *scan, struct key_range range)
{
    scan->range = range;
    scan->cursor = (struct btree_cursor){0};
    if (key_range_is_single(range))
        return store_key_find(s, range.key);
    return scan_take(scan, btree_seek(&s->keys, range.key, &scan->cursor));
}

struct key *scan_next(struct scan *scan)
{
    if (key_range_is_single(scan->range))
        return NULL;
    return scan_take(scan, btree_next(&scan->cursor));
}

int scratch_reserve(struct store *s, size_t n)
{
    if (n <= s->scratch_cap)
        return 0;
    size_t cap = s->scratch_cap ? 2 * s->scratch_cap : SCRATCH_MIN;
    if (cap < n)
        cap = n;
    struct version **scratch = realloc(s->scratch, cap * sizeof(struct version *));
    if (!scratch)
        return TENURE_ENOMEM;
    s->scratch = scratch;
    s->scratch_cap = cap;
    return 0;
}

void scratch_release(struct store *s)
{
    if (s->scratch_cap <= SCRATCH_KEEP)
        return;
    free(s->scratch);
    s->scratch = NULL;
    s->scratch_cap = 0;
}
