/* Ordered map of byte-string keys to items: a B+tree. The item holds its own key (its first member is a `bytes`).
 * Lookup, insertion, removal and stepping cost a logarithm. Pure. */
#ifndef BASE_BTREE_H
#define BASE_BTREE_H

#include "base/bytes.h"

struct btree_item {
    bytes key; /* first member of every item; constant while in the tree */
};

struct btree_node;
struct btree {
    struct btree_node *root;
    struct btree_node *spare; /* nodes put aside by btree_reserve */
    size_t spares;
    size_t len;
    size_t height;
};

/* A place in the tree; valid until the tree changes. */
struct btree_cursor {
    const struct btree_node *leaf;
    size_t index;
};

void btree_init(struct btree *t);
void btree_fini(struct btree *t); /* the items belong to the caller */
/* Puts nodes aside so that the next insertion cannot fail. 0 or TENURE_ENOMEM. */
int btree_reserve(struct btree *t) MUST_USE;
/* The key must be absent. 0 or TENURE_ENOMEM (never after btree_reserve). */
int btree_insert(struct btree *t, struct btree_item *item) MUST_USE;
struct btree_item *btree_find(const struct btree *t, bytes key); /* NULL when absent */
struct btree_item *btree_remove(struct btree *t, bytes key);     /* NULL when absent */
/* The first item with key >= from, or NULL at the end; btree_next steps on. */
struct btree_item *btree_seek(const struct btree *t, bytes from, struct btree_cursor *ret_cursor);
struct btree_item *btree_next(struct btree_cursor *c);

/* Whether all that must hold of the tree's shape, order and links does. Walks the whole tree: for tests. */
bool btree_check(const struct btree *t);

#endif
