/* See lease_set.h. Only lease_new and lease_set_reserve can fail.
 */
#include "store/lease_set.h"

#include <assert.h>
#include <stdlib.h>

#include "tenure/error.h"

void lease_set_init(struct lease_set *set)
{
    *set = (struct lease_set){0};
    map_init(&set->by_id);
    heap_init(&set->expiry);
    list_init(&set->revoked);
}

void lease_set_fini(struct lease_set *set)
{
    size_t cursor = 0;
    for (struct lease *l; (l = map_next(&set->by_id, &cursor));)
        lease_free(l);
    LIST_FOREACH_SAFE(it, &set->revoked)
    lease_free(LIST_ENTRY(it, struct lease, revoked_node));
    map_fini(&set->by_id);
    heap_fini(&set->expiry);
}

struct lease *lease_new(tn_lease id, int64_t ttl_s)
{
    struct lease *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->id = id;
    l->ttl_s = ttl_s;
    heap_node_init(&l->expiry);
    list_init(&l->keys);
    list_init(&l->revoked_node);
    return l;
}

struct lease *lease_free(struct lease *l)
{
    free(l);
    return NULL;
}

int64_t lease_memory(void)
{
    enum { INDEX_COST = 64 }; /* a place in the map and in the heap, and the allocator's share */
    return (int64_t)sizeof(struct lease) + INDEX_COST;
}

struct lease *lease_find(const struct lease_set *set, tn_lease id)
{
    return map_get(&set->by_id, (uint64_t)id);
}

int lease_set_reserve(struct lease_set *set)
{
    int rc = map_reserve(&set->by_id, 1);
    return rc ? rc : heap_reserve(&set->expiry, 1);
}

static tn_ms relative(const struct lease_set *set, tn_ms deadline)
{
    return deadline == TN_MS_NEVER ? TN_MS_NEVER : deadline - set->shift;
}

void lease_add(struct lease_set *set, struct lease *l, tn_ms deadline)
{
    int rc = map_put(&set->by_id, (uint64_t)l->id, l);
    assert(rc == 0);
    rc = heap_insert(&set->expiry, &l->expiry, relative(set, deadline));
    assert(rc == 0);
    (void)rc;
}

void lease_remove(struct lease_set *set, struct lease *l)
{
    struct lease *removed = map_remove(&set->by_id, (uint64_t)l->id);
    assert(removed == l);
    (void)removed;
    heap_remove(&set->expiry, &l->expiry);
}

void lease_set_revoked(struct lease_set *set, struct lease *l, tn_seq revoke_seq)
{
    l->revoke_seq = revoke_seq;
    list_push_back(&set->revoked, &l->revoked_node);
    set->n_revoked++;
}

void lease_clear_revoked(struct lease_set *set, struct lease *l)
{
    l->revoke_seq = 0;
    list_remove(&l->revoked_node);
    set->n_revoked--;
}

tn_ms lease_deadline(const struct lease_set *set, const struct lease *l)
{
    return l->expiry.at == TN_MS_NEVER ? TN_MS_NEVER : l->expiry.at + set->shift;
}

void lease_set_deadline(struct lease_set *set, struct lease *l, tn_ms deadline)
{
    heap_move(&set->expiry, &l->expiry, relative(set, deadline));
}

struct lease *lease_first(const struct lease_set *set)
{
    struct heap_node *first = heap_first(&set->expiry);
    return first ? CONTAINER_OF(first, struct lease, expiry) : NULL;
}

bool lease_expires_before(const struct lease *a, const struct lease *b)
{
    if (a->expiry.at != b->expiry.at)
        return a->expiry.at < b->expiry.at;
    return a->expiry.order < b->expiry.order;
}
