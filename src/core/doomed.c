/* A binary min-heap. */
#include "core/doomed.h"

#include <assert.h>

void doomed_add(struct doomed *d, tn_seq seq)
{
    assert(d->n < DOOMED_MAX);
    size_t at = d->n++;
    for (; at > 0 && d->heap[(at - 1) / 2] > seq; at = (at - 1) / 2)
        d->heap[at] = d->heap[(at - 1) / 2];
    d->heap[at] = seq;
}

tn_seq doomed_take(struct doomed *d)
{
    assert(d->n > 0);
    tn_seq first = d->heap[0], last = d->heap[--d->n];
    size_t at = 0;
    for (size_t child = 1; child < d->n; child = 2 * at + 1) {
        if (child + 1 < d->n && d->heap[child + 1] < d->heap[child])
            child++;
        if (d->heap[child] >= last)
            break;
        d->heap[at] = d->heap[child];
        at = child;
    }
    d->heap[at] = last;
    return first;
}
