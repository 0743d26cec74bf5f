/* A binary heap in one array. Each node knows its place, so that removing or moving one costs a logarithm and no
 * search. Only growing the array can fail, and leaves the heap as it was.
 */
#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

#include "tenure/error.h"

enum { CAP_MIN = 16 };

void heap_init(struct heap *h)
{
    *h = (struct heap){0};
}

void heap_fini(struct heap *h)
{
    free(h->nodes);
    heap_init(h);
}

void heap_node_init(struct heap_node *n)
{
    *n = (struct heap_node){.index = SIZE_MAX};
}

int heap_reserve(struct heap *h, size_t more)
{
    if (more <= h->cap - h->len)
        return 0;
    if (more > SIZE_MAX / (4 * sizeof(struct heap_node *)) - h->len)
        return TENURE_ENOMEM;
    size_t cap = h->cap ? 2 * h->cap : CAP_MIN;
    if (cap < h->len + more)
        cap = h->len + more;
    struct heap_node **nodes = realloc(h->nodes, cap * sizeof(struct heap_node *));
    if (!nodes)
        return TENURE_ENOMEM;
    h->nodes = nodes;
    h->cap = cap;
    return 0;
}

static bool node_before(const struct heap_node *a, const struct heap_node *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void heap_place(struct heap *h, struct heap_node *n, size_t index)
{
    h->nodes[index] = n;
    n->index = index;
}

/* Moves the hole at index towards the top until n may fill it. */
static void heap_sift_up(struct heap *h, struct heap_node *n, size_t index)
{
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (!node_before(n, h->nodes[parent]))
            break;
        heap_place(h, h->nodes[parent], index);
        index = parent;
    }
    heap_place(h, n, index);
}

/* Moves the hole at index towards the bottom until n may fill it. */
static void heap_sift_down(struct heap *h, struct heap_node *n, size_t index)
{
    while (2 * index + 1 < h->len) {
        size_t child = 2 * index + 1;
        if (child + 1 < h->len && node_before(h->nodes[child + 1], h->nodes[child]))
            child++;
        if (!node_before(h->nodes[child], n))
            break;
        heap_place(h, h->nodes[child], index);
        index = child;
    }
    heap_place(h, n, index);
}

static void heap_sift(struct heap *h, struct heap_node *n, size_t index)
{
    if (index > 0 && node_before(n, h->nodes[(index - 1) / 2]))
        heap_sift_up(h, n, index);
    else
        heap_sift_down(h, n, index);
}

int heap_insert(struct heap *h, struct heap_node *n, tn_ms at)
{
    assert(!heap_contains(n));
    int rc = heap_reserve(h, 1);
    if (rc)
        return rc;
    n->at = at;
    n->order = h->next_order++;
    heap_sift_up(h, n, h->len++);
    return 0;
}

void heap_remove(struct heap *h, struct heap_node *n)
{
    if (!heap_contains(n))
        return;
    assert(n->index < h->len);
    assert(h->nodes[n->index] == n);
    size_t hole = n->index;
    struct heap_node *last = h->nodes[--h->len];
    n->index = SIZE_MAX;
    if (last != n)
        heap_sift(h, last, hole);
}

void heap_move(struct heap *h, struct heap_node *n, tn_ms at)
{
    assert(heap_contains(n));
    assert(h->nodes[n->index] == n);
    n->at = at;
    heap_sift(h, n, n->index);
}

struct heap_node *heap_first(const struct heap *h)
{
    return h->len ? h->nodes[0] : NULL;
}
