/* A double-ended queue of pointers with access by place, in blocks of a fixed size: growing never copies what is there,
 * and dropping a long front costs one step a block. Pure. */
#ifndef STORE_DEQUE_H
#define STORE_DEQUE_H

#include "base/types.h"

enum { DEQUE_BLOCK = 512 };

struct deque {
    void ***blocks; /* a ring of `cap` places (a power of two or 0), `n_blocks` in use from `first` on */
    size_t cap, first, n_blocks;
    size_t head; /* place of the first item in the first block */
    size_t len;
};

void deque_init(struct deque *d);
void deque_fini(struct deque *d); /* the items belong to the caller */

int deque_grow(struct deque *d) MUST_USE;
/* Makes room so that the next push cannot fail. 0 or TENURE_ENOMEM. */
static inline int deque_reserve(struct deque *d)
{
    return d->head + d->len < d->n_blocks * DEQUE_BLOCK ? 0 : deque_grow(d);
}

static inline void **deque_slot(const struct deque *d, size_t i)
{
    size_t at = d->head + i;
    return &d->blocks[(d->first + at / DEQUE_BLOCK) & (d->cap - 1)][at % DEQUE_BLOCK];
}
/* The i-th from the front; i < len. */
static inline void *deque_at(const struct deque *d, size_t i)
{
    return *deque_slot(d, i);
}

void deque_push(struct deque *d, void *item); /* room was reserved */
void *deque_pop(struct deque *d);             /* the last; len > 0 */
void deque_drop(struct deque *d, size_t n);   /* the first n; n <= len */

#endif
