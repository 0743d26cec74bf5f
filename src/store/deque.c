/* Blocks lie in a ring of block pointers. One empty block is kept at the end, so that a queue whose ends move at the
 * same pace does not call malloc. Only growing can fail, and leaves the queue as it was.
 */
#include "store/deque.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tenure/error.h"

enum { RING_MIN = 4 };

void deque_init(struct deque *d)
{
    memset(d, 0, sizeof *d);
}

static void ***block_place(const struct deque *d, size_t i)
{
    return &d->blocks[(d->first + i) & (d->cap - 1)];
}

void deque_fini(struct deque *d)
{
    for (size_t i = 0; i < d->n_blocks; i++)
        free(*block_place(d, i));
    free(d->blocks);
    deque_init(d);
}

static int ring_double(struct deque *d)
{
    size_t cap = d->cap ? 2 * d->cap : RING_MIN;
    void ***blocks = malloc(cap * sizeof *blocks);
    if (!blocks)
        return TENURE_ENOMEM;
    for (size_t i = 0; i < d->n_blocks; i++)
        blocks[i] = *block_place(d, i);
    free(d->blocks);
    d->blocks = blocks;
    d->cap = cap;
    d->first = 0;
    return 0;
}

int deque_grow(struct deque *d)
{
    if (d->n_blocks == d->cap && ring_double(d) != 0)
        return TENURE_ENOMEM;
    void **block = malloc(DEQUE_BLOCK * sizeof *block);
    if (!block)
        return TENURE_ENOMEM;
    *block_place(d, d->n_blocks++) = block;
    return 0;
}

void deque_push(struct deque *d, void *item)
{
    assert(d->head + d->len < d->n_blocks * DEQUE_BLOCK);
    *deque_slot(d, d->len++) = item;
}

/* Frees blocks at the end until at most one is empty. */
static void blocks_trim(struct deque *d)
{
    size_t used = (d->head + d->len + DEQUE_BLOCK - 1) / DEQUE_BLOCK;
    while (d->n_blocks > used + 1)
        free(*block_place(d, --d->n_blocks));
}

void *deque_pop(struct deque *d)
{
    assert(d->len > 0);
    void *item = deque_at(d, --d->len);
    blocks_trim(d);
    return item;
}

/* The first block goes to the end, where blocks_trim decides whether it is wanted. */
static void block_rotate(struct deque *d)
{
    void **block = *block_place(d, 0);
    d->first = (d->first + 1) & (d->cap - 1);
    *block_place(d, d->n_blocks - 1) = block;
    d->head -= DEQUE_BLOCK;
}

void deque_drop(struct deque *d, size_t n)
{
    assert(n <= d->len);
    d->head += n;
    d->len -= n;
    while (d->head >= DEQUE_BLOCK) {
        block_rotate(d);
        blocks_trim(d);
    }
}
