/* Rows of the log that memory has let go of, to be deleted lowest sequence first.
 *
 * They come in the order in which they were superseded, which is scattered over the log: deleted so, each row costs the log
 * a page of its own. Gathered first, and taken by sequence, neighbours share their page.
 *
 * Deleting by sequence keeps what a cut in between must not break: a row goes before whatever superseded it (a version
 * before its tombstone, a grant before its revoke), as that has the greater sequence and is never let go of earlier.
 *
 * Pure. Bounded: DOOMED_MAX. */
#ifndef CORE_DOOMED_H
#define CORE_DOOMED_H

#include "base/types.h"

#define DOOMED_MAX 32768

struct doomed {
    size_t n;
    tn_seq heap[DOOMED_MAX];
};

static inline size_t doomed_room(const struct doomed *d)
{
    return DOOMED_MAX - d->n;
}

void doomed_add(struct doomed *d, tn_seq seq); /* needs room */
tn_seq doomed_take(struct doomed *d);          /* the lowest; needs one */

#endif
