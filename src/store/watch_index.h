/* Which watchers an event of a key concerns: watchers of one key by that key, watchers of a range in a tree of
 * intervals. Finding costs a logarithm and the matches. Pure memory. */
#ifndef STORE_WATCH_INDEX_H
#define STORE_WATCH_INDEX_H

#include "api/watch.h"
#include "base/btree.h"
#include "base/list.h"

struct watch_key; /* a key with the watchers of it alone */

/* A watcher's place in the index: the first member of struct store_watcher. */
struct watch_node {
    struct key_range range; /* borrowed from the watcher */
    uint64_t id;            /* number of creation: the order among watchers */
    struct watch_key *key;  /* of a single key; else NULL and the rest counts */
    struct list key_node;
    struct watch_node *left, *right; /* ordered by (range.key, id) */
    uint64_t priority;               /* a parent's is not below its children's */
    const struct watch_node *last;   /* in this subtree, the one whose range ends last */
};

struct watch_index {
    struct btree keys;       /* of struct watch_key */
    struct watch_node *root; /* of the intervals */
};

void watch_index_init(struct watch_index *x);
void watch_index_fini(struct watch_index *x); /* must be empty */

/* n->range, n->id and n->priority (random) are set. 0 or TENURE_ENOMEM. */
int watch_index_add(struct watch_index *x, struct watch_node *n) MUST_USE;
void watch_index_remove(struct watch_index *x, struct watch_node *n);
/* Some watcher, to empty the index; NULL when it is empty. */
struct watch_node *watch_index_any(const struct watch_index *x);
/* Calls on_match for each watcher whose range holds key; it must not change the index. */
void watch_index_match(const struct watch_index *x, bytes key, void (*on_match)(void *user, struct watch_node *n),
                       void *user);

#endif
