/* The file `ballast`: blocks kept aside, given back to the file system when it is full, so that what frees room (expiry,
 * revoke, compaction) can be written. A log that is hardly used has a small one, which grows when there is more to free.
 * Loop thread releases, writer restores and grows: each call is safe against the other. */
#ifndef BACKEND_BALLAST_H
#define BACKEND_BALLAST_H

#include <pthread.h>

#include "backend/dir.h"
#include "base/types.h"

struct ballast {
    const struct dir *dir;
    int64_t bytes; /* 0 = none wanted */
    int64_t full;  /* what it grows to */
    pthread_mutex_t mutex;
    bool there;
};

/* Puts it there when there is room, at first with so many bytes (at most full). Borrows d. */
void ballast_init(struct ballast *b, const struct dir *d, int64_t first, int64_t full);
void ballast_fini(struct ballast *b); /* the file stays */
bool ballast_release(struct ballast *b);
/* Whether it is wanted and gone. */
bool ballast_wanting(struct ballast *b);
/* Whether it is smaller than it should be in the end. */
bool ballast_is_small(struct ballast *b);
/* From now on it is full: grows when there is room. */
void ballast_grow(struct ballast *b);
/* Puts it back when that leaves as much room again three times over. */
void ballast_restore(struct ballast *b);

#endif
