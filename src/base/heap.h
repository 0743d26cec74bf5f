/* Intrusive binary min-heap of deadlines with a stable tie-break (insertion number), so that the same inputs give the
 * same order. Used for lease expiry and for all timers of the engines. Pure. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include "base/types.h"

struct heap_node {
    tn_ms at;       /* read only outside heap.c; change it by heap_move */
    uint64_t order; /* tie-break, set by heap_insert */
    size_t index;   /* place in the array; SIZE_MAX while outside */
};

struct heap {
    struct heap_node **nodes;
    size_t len, cap;
    uint64_t next_order;
};

void heap_init(struct heap *h);
void heap_fini(struct heap *h); /* the nodes belong to the caller */
void heap_node_init(struct heap_node *n);
/* Makes room so that the next `more` insertions cannot fail. 0 or TENURE_ENOMEM. */
int heap_reserve(struct heap *h, size_t more) MUST_USE;
/* n must be outside. 0 or TENURE_ENOMEM (never after heap_reserve). */
int heap_insert(struct heap *h, struct heap_node *n, tn_ms at) MUST_USE;
void heap_remove(struct heap *h, struct heap_node *n); /* does nothing when n is outside */
void heap_move(struct heap *h, struct heap_node *n, tn_ms at);
struct heap_node *heap_first(const struct heap *h); /* NULL when empty */
static inline bool heap_contains(const struct heap_node *n)
{
    return n->index != SIZE_MAX;
}

#endif
