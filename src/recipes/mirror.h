/* An exact copy of the keys of a queue, ordered by create_revision: who is first, and who would be next. Fed by a list and
 * the watch events behind it. Bounded. Pure; thread: one caller at a time.
 */
#ifndef RECIPES_MIRROR_H
#define RECIPES_MIRROR_H

#include "api/kv.h"

enum { MIRROR_KEYS_MAX = 100000, MIRROR_BYTES_MAX = 64 * 1024 * 1024 };

struct mirror {
    struct mirror_entry **entries; /* by create_revision, then key */
    size_t len, cap;
    size_t bytes;
};

void mirror_init(struct mirror *m);
void mirror_fini(struct mirror *m);
void mirror_clear(struct mirror *m);
/* Copies; replaces the same key. TENURE_ENOMEM; TENURE_ELIMIT past the bounds. The copy is as before then. */
int mirror_put(struct mirror *m, const struct kv *kv) MUST_USE;
void mirror_delete(struct mirror *m, bytes key); /* nothing when it is not there */
/* The one with the lowest create_revision, borrowed until the next change; false when there is none. */
bool mirror_first(const struct mirror *m, struct kv *ret);

#endif
