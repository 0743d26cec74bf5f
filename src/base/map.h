/* Hash map from a 64-bit number to a pointer (leases, streams, calls). Open addressing, grows by doubling; never
 * iterates in an order that depends on addresses. Pure. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/types.h"

struct map_slot {
    uint64_t key;
    void *value; /* NULL = free */
};
struct map {
    struct map_slot *slots;
    size_t cap; /* power of two or 0 */
    size_t len;
};

void map_init(struct map *m);
void map_fini(struct map *m);
/* Makes room for `more` further keys, so that map_put cannot fail. 0 or TENURE_ENOMEM. */
int map_reserve(struct map *m, size_t more) MUST_USE;
/* Sets or replaces; value is not NULL. 0 or TENURE_ENOMEM. */
int map_put(struct map *m, uint64_t key, void *value) MUST_USE;
void *map_get(const struct map *m, uint64_t key); /* NULL when absent */
void *map_remove(struct map *m, uint64_t key);    /* the value removed, or NULL */
/* Walks all values: start with *cursor = 0; NULL at the end. The map must not change meanwhile. */
void *map_next(const struct map *m, size_t *cursor);

#endif
