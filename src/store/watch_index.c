/* The intervals are a treap by start, each node knowing which range of its subtree ends last: a subtree that ends
 * before the key is skipped, and so is what starts behind it.
 *
 *              [b,f) .last = [a,z)
 *             /                  \
 *   [a,z) .last = self     [d,e) .last = self
 *
 * Only adding a watcher of a single key can fail, and changes nothing then.
 */
#include "store/watch_index.h"

#include <assert.h>
#include <stdlib.h>

#include "tenure/error.h"

struct watch_key {
    struct btree_item item; /* the bytes are data[] */
    struct list watchers;   /* key_node, in order of creation */
    uint8_t data[];
};

void watch_index_init(struct watch_index *x)
{
    btree_init(&x->keys);
    x->root = NULL;
}

void watch_index_fini(struct watch_index *x)
{
    assert(x->keys.len == 0);
    assert(!x->root);
    btree_fini(&x->keys);
}

/* ---- single keys ---- */

static struct watch_key *watch_key_new(struct watch_index *x, bytes name)
{
    struct watch_key *k = malloc(sizeof *k + name.len);
    if (!k)
        return NULL;
    memcpy(k->data, name.data, name.len);
    k->item.key = bytes_of(k->data, name.len);
    list_init(&k->watchers);
    if (btree_insert(&x->keys, &k->item) == 0)
        return k;
    free(k);
    return NULL;
}

static struct watch_key *watch_key_find(const struct watch_index *x, bytes name)
{
    struct btree_item *item = btree_find(&x->keys, name);
    return item ? CONTAINER_OF(item, struct watch_key, item) : NULL;
}

static int key_add(struct watch_index *x, struct watch_node *n)
{
    n->key = watch_key_find(x, n->range.key);
    if (!n->key)
        n->key = watch_key_new(x, n->range.key);
    if (!n->key)
        return TENURE_ENOMEM;
    list_push_back(&n->key->watchers, &n->key_node);
    return 0;
}

static void key_remove(struct watch_index *x, struct watch_node *n)
{
    list_remove(&n->key_node);
    if (!list_empty(&n->key->watchers))
        return;
    btree_remove(&x->keys, n->key->item.key);
    free(n->key);
}

/* ---- intervals ---- */

static bool node_before(const struct watch_node *a, const struct watch_node *b)
{
    int c = bytes_compare(a->range.key, b->range.key);
    return c != 0 ? c < 0 : a->id < b->id;
}

static const struct watch_node *ends_later(const struct watch_node *a, const struct watch_node *b)
{
    if (key_range_is_from(a->range) || key_range_is_from(b->range))
        return key_range_is_from(a->range) ? a : b;
    return bytes_compare(a->range.range_end, b->range.range_end) >= 0 ? a : b;
}

static bool ends_after(const struct watch_node *n, bytes key)
{
    return key_range_is_from(n->range) || bytes_compare(key, n->range.range_end) < 0;
}

static struct watch_node *node_update(struct watch_node *n)
{
    n->last = n;
    if (n->left)
        n->last = ends_later(n->last, n->left->last);
    if (n->right)
        n->last = ends_later(n->last, n->right->last);
    return n;
}

/* Splits t into the nodes before n and those behind it. */
static void tree_split(struct watch_node *t, const struct watch_node *n, struct watch_node **ret_before,
                       struct watch_node **ret_behind)
{
    if (!t) {
        *ret_before = *ret_behind = NULL;
    } else if (node_before(t, n)) {
        tree_split(t->right, n, &t->right, ret_behind);
        *ret_before = node_update(t);
    } else {
        tree_split(t->left, n, ret_before, &t->left);
        *ret_behind = node_update(t);
    }
}

/* All of a lie before all of b. */
static struct watch_node *tree_join(struct watch_node *a, struct watch_node *b)
{
    if (!a || !b)
        return a ? a : b;
    if (a->priority >= b->priority) {
        a->right = tree_join(a->right, b);
        return node_update(a);
    }
    b->left = tree_join(a, b->left);
    return node_update(b);
}

static struct watch_node *tree_add(struct watch_node *t, struct watch_node *n)
{
    if (!t || n->priority > t->priority) {
        tree_split(t, n, &n->left, &n->right);
        return node_update(n);
    }
    if (node_before(n, t))
        t->left = tree_add(t->left, n);
    else
        t->right = tree_add(t->right, n);
    return node_update(t);
}

static struct watch_node *tree_remove(struct watch_node *t, const struct watch_node *n)
{
    assert(t);
    if (t == n)
        return tree_join(t->left, t->right);
    if (node_before(n, t))
        t->left = tree_remove(t->left, n);
    else
        t->right = tree_remove(t->right, n);
    return node_update(t);
}

struct match_call {
    bytes key;
    void (*on_match)(void *user, struct watch_node *n);
    void *user;
};

static void tree_match(struct watch_node *t, const struct match_call *call)
{
    if (!t || !ends_after(t->last, call->key))
        return;
    tree_match(t->left, call);
    if (bytes_compare(t->range.key, call->key) > 0)
        return;
    if (ends_after(t, call->key))
        call->on_match(call->user, t);
    tree_match(t->right, call);
}

/* ---- both ---- */

int watch_index_add(struct watch_index *x, struct watch_node *n)
{
    if (key_range_is_single(n->range))
        return key_add(x, n);
    n->key = NULL;
    x->root = tree_add(x->root, n);
    return 0;
}

void watch_index_remove(struct watch_index *x, struct watch_node *n)
{
    if (n->key)
        key_remove(x, n);
    else
        x->root = tree_remove(x->root, n);
}

struct watch_node *watch_index_any(const struct watch_index *x)
{
    struct btree_cursor cursor;
    struct btree_item *item = btree_seek(&x->keys, bytes_of(NULL, 0), &cursor);
    if (!item)
        return x->root;
    struct watch_key *k = CONTAINER_OF(item, struct watch_key, item);
    return LIST_ENTRY(k->watchers.next, struct watch_node, key_node);
}

void watch_index_match(const struct watch_index *x, bytes key, void (*on_match)(void *user, struct watch_node *n),
                       void *user)
{
    struct watch_key *k = x->keys.len ? watch_key_find(x, key) : NULL;
    if (k) {
        LIST_FOREACH(it, &k->watchers)
        on_match(user, LIST_ENTRY(it, struct watch_node, key_node));
    }
    tree_match(x->root, &(struct match_call){key, on_match, user});
}
