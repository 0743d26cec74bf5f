/* Where a version is known once it exists: in its key, in the history, among what compaction will drop, with its lease,
 * and in the counts. Installing and uninstalling are each other's mirror; undo and replay use the same two.
 *
 * Only the reserving steps can fail, and leave nothing changed but room.
 */
#include <assert.h>
#include <stdlib.h>

#include "store/internal.h"
#include "tenure/error.h"

static bool is_live(const struct version *v)
{
    return v && !version_is_tombstone(v);
}

/* May be among the dead. */
static bool is_dead(const struct key *k)
{
    const struct version *newest = key_newest(k);
    return newest && version_is_tombstone(newest);
}

/* Room was reserved. */
static void unbury(struct store *s, struct key *k)
{
    if (!btree_remove(&s->dead, k->item.key))
        return;
    int rc = btree_insert(&s->keys, &k->item);
    assert(rc == 0);
    (void)rc;
}

int install_reserve(struct store *s, struct key *k)
{
    if (is_dead(k) && btree_reserve(&s->keys) != 0)
        return TENURE_ENOMEM;
    if (key_reserve(k) != 0 || deque_reserve(&s->history) != 0)
        return TENURE_ENOMEM;
    if (deque_reserve(&s->overwrites) != 0 || deque_reserve(&s->tombstones) != 0)
        return TENURE_ENOMEM;
    return 0;
}

/* The key hangs on the lease of v, its newest version; without one, or for NULL, on none. */
static void lease_attach(struct store *s, struct key *k, const struct version *v)
{
    list_remove(&k->lease_node);
    struct lease *l = v && v->lease ? lease_find(&s->leases, v->lease) : NULL;
    if (l)
        list_push_back(&l->keys, &k->lease_node);
}

void version_install(struct store *s, struct key *k, struct version *v)
{
    struct version *before = key_newest(k);
    if (is_dead(k))
        unbury(s, k);
    key_push(k, v);
    deque_push(&s->history, v);
    if (is_live(before)) {
        deque_push(&s->overwrites, v);
        s->garbage += version_memory(before);
    }
    if (version_is_tombstone(v)) {
        deque_push(&s->tombstones, v);
        s->garbage += version_memory(v);
    }
    s->live_keys += is_live(v) - is_live(before);
    s->memory += version_memory(v);
    lease_attach(s, k, v);
}

void version_uninstall(struct store *s, struct version *v)
{
    struct key *k = v->key;
    struct version *popped = key_pop(k);
    assert(popped == v);
    popped = deque_pop(&s->history);
    assert(popped == v);
    struct version *before = key_newest(k);
    if (is_live(before)) {
        deque_pop(&s->overwrites);
        s->garbage -= version_memory(before);
    }
    if (version_is_tombstone(v)) {
        deque_pop(&s->tombstones);
        s->garbage -= version_memory(v);
    }
    s->live_keys -= is_live(v) - is_live(before);
    s->memory -= version_memory(v);
    lease_attach(s, k, before);
    free(popped);
    if (!before)
        store_key_remove(s, k);
}

struct key *store_key_find(const struct store *s, bytes name)
{
    struct btree_item *item = btree_find(&s->keys, name);
    if (!item && s->dead.len > 0)
        item = btree_find(&s->dead, name);
    return item ? CONTAINER_OF(item, struct key, item) : NULL;
}

struct key *store_key_add(struct store *s, bytes name)
{
    struct key *k = key_new(name);
    if (!k)
        return NULL;
    if (btree_insert(&s->keys, &k->item) != 0) {
        key_free(k);
        return NULL;
    }
    s->memory += key_memory(k);
    return k;
}

void store_key_remove(struct store *s, struct key *k)
{
    list_remove(&k->lease_node);
    if (!btree_remove(&s->keys, k->item.key))
        btree_remove(&s->dead, k->item.key);
    s->memory -= key_memory(k);
    key_free(k);
}

void store_key_bury(struct store *s, struct key *k)
{
    if (btree_reserve(&s->dead) != 0 || !btree_remove(&s->keys, k->item.key))
        return;
    int rc = btree_insert(&s->dead, &k->item);
    assert(rc == 0);
    (void)rc;
}
