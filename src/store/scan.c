/* Walking the keys of a range in order. Those that live, or may do so once what is planned is durable, are in one tree; those
 * that are dead for good, until they are put anew, in another, which only reads of the past walk along with the first: what
 * came and went until the next compaction costs reads of the present nothing.
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

static struct key *first_dead(const struct store *s, struct scan *scan, struct key_range range, tn_rev at)
{
    if (at >= s->revision_durable || s->dead.len == 0)
        return NULL;
    return scan_take(scan, btree_seek(&s->dead, range.key, &scan->dead_cursor));
}

/* The one of the two that comes first; the other is kept. */
static struct key *scan_choose(struct scan *scan, struct key *k, struct key *dead)
{
    scan->other_is_dead = !dead || (k && bytes_compare(k->item.key, dead->item.key) < 0);
    scan->other = scan->other_is_dead ? dead : k;
    return scan->other_is_dead ? k : dead;
}

struct key *scan_first(const struct store *s, struct scan *scan, struct key_range range, tn_rev at)
{
    *scan = (struct scan){.range = range, .other_is_dead = true};
    if (key_range_is_single(range))
        return store_key_find(s, range.key);
    struct key *k = scan_take(scan, btree_seek(&s->keys, range.key, &scan->cursor));
    return scan_choose(scan, k, first_dead(s, scan, range, at));
}

struct key *scan_next(struct scan *scan)
{
    if (key_range_is_single(scan->range))
        return NULL;
    bool dead = !scan->other_is_dead;
    struct key *next = scan_take(scan, btree_next(dead ? &scan->dead_cursor : &scan->cursor));
    if (!scan->other && !dead)
        return next;
    return dead ? scan_choose(scan, scan->other, next) : scan_choose(scan, next, scan->other);
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
