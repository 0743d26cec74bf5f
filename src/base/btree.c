/* A B+tree whose leaves hold nothing but item pointers and a link to the next leaf.
 *
 *                     [ . m . t . ]                 inner: children, and between two of them the
 *                    /     |      \                 first item below the right one
 *          [a d f] -> [m n q] -> [t x]              leaves: items in order, none empty
 *
 * A separator is thus an item of the tree: it costs no copy of a key, and is replaced when that item goes.
 *
 * Insertion walks down noting the path and puts the item into its leaf. A full leaf first gives some of its items to a
 * neighbour under the same parent, and only splits when the neighbours are full as well; that keeps leaves about five
 * sixths full, 10 to 11 bytes an item. At the right edge it splits without moving anything, so that keys which arrive
 * in order leave full leaves behind.
 *
 * Removal joins a leaf that fell below LEAF_MIN with a neighbour, or evens the two out. Between LEAF_MIN and LEAF_JOIN
 * there is room, so that alternating insertions and removals do not split and join in turns. Nodes at the right edge
 * may be smaller than the minimum, but an inner node always has two children.
 *
 * Only btree_reserve allocates: before an insertion it puts aside as many nodes as a split on each level takes. It is
 * what can fail, and changes nothing but the nodes put aside.
 */
#include "base/btree.h"

#include <assert.h>
#include <stdlib.h>

#include "tenure/error.h"

enum {
    LEAF_MAX = 63, /* with these two a node is 520 bytes, which malloc rounds up by none */
    INNER_MAX = 32,
    LEAF_MIN = 24,
    LEAF_JOIN = 48, /* two leaves with at most so many items become one */
    INNER_MIN = 12,
    INNER_JOIN = 24,
    SHARE_MIN = 8,  /* a neighbour with less room than this is not worth moving items to */
    HEIGHT_MAX = 24 /* 12^23 leaves are more than there is memory for */
};

struct btree_node {
    struct btree_node *next; /* leaf: the next leaf or NULL; spare: the next spare */
    size_t len;              /* leaf: items; inner: children */
    union {
        struct btree_item *items[LEAF_MAX];
        struct {
            struct btree_node *child[INNER_MAX];
            struct btree_item *least[INNER_MAX - 1]; /* least[i] is the first item below child[i + 1] */
        };
    };
};

/* The way from the root to a leaf: node[0] is the root, node[height - 1] the leaf. index[d] is the child of node[d] that
 * was taken; for the leaf, the place of the key. */
struct path {
    struct btree_node *node[HEIGHT_MAX];
    size_t index[HEIGHT_MAX];
};

void btree_init(struct btree *t)
{
    *t = (struct btree){0};
}

/* ---- nodes ---- */

static void nodes_free(struct btree_node *n, size_t height)
{
    for (size_t i = 0; height > 1 && i < n->len; i++)
        nodes_free(n->child[i], height - 1);
    free(n);
}

void btree_fini(struct btree *t)
{
    if (t->root)
        nodes_free(t->root, t->height);
    while (t->spare) {
        struct btree_node *next = t->spare->next;
        free(t->spare);
        t->spare = next;
    }
    btree_init(t);
}

static void spare_put(struct btree *t, struct btree_node *n)
{
    n->next = t->spare;
    t->spare = n;
    t->spares++;
}

/* A split on every level and a new root. */
static size_t spares_needed(const struct btree *t)
{
    return t->height + 1;
}

int btree_reserve(struct btree *t)
{
    while (t->spares < spares_needed(t)) {
        struct btree_node *n = malloc(sizeof *n);
        if (!n)
            return TENURE_ENOMEM;
        spare_put(t, n);
    }
    return 0;
}

static struct btree_node *node_take(struct btree *t)
{
    struct btree_node *n = t->spare;
    assert(n);
    t->spare = n->next;
    t->spares--;
    n->next = NULL;
    n->len = 0;
    return n;
}

/* ---- searching ---- */

/* The child of inner node n below which key is or would be: the last whose first item is not after key. */
static size_t inner_index(const struct btree_node *n, bytes key)
{
    size_t low = 0, high = n->len - 1;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (bytes_compare(n->least[mid]->key, key) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The place of the first item of the leaf that is not before key. */
static size_t leaf_index(const struct btree_node *n, bytes key)
{
    size_t low = 0, high = n->len;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (bytes_compare(n->items[mid]->key, key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static const struct btree_node *leaf_find(const struct btree *t, bytes key)
{
    const struct btree_node *n = t->root;
    for (size_t level = t->height; level > 1; level--)
        n = n->child[inner_index(n, key)];
    return n;
}

static bool leaf_has(const struct btree_node *leaf, size_t at, bytes key)
{
    return at < leaf->len && bytes_equal(leaf->items[at]->key, key);
}

struct btree_item *btree_find(const struct btree *t, bytes key)
{
    if (!t->root)
        return NULL;
    const struct btree_node *leaf = leaf_find(t, key);
    size_t at = leaf_index(leaf, key);
    return leaf_has(leaf, at, key) ? leaf->items[at] : NULL;
}

static struct btree_item *cursor_item(const struct btree_cursor *c)
{
    return c->leaf ? c->leaf->items[c->index] : NULL;
}

/* From behind the last item of a leaf on to the next leaf. */
static void cursor_settle(struct btree_cursor *c)
{
    if (c->leaf && c->index >= c->leaf->len) {
        c->leaf = c->leaf->next;
        c->index = 0;
    }
}

struct btree_item *btree_seek(const struct btree *t, bytes from, struct btree_cursor *ret_cursor)
{
    *ret_cursor = (struct btree_cursor){0};
    if (!t->root)
        return NULL;
    ret_cursor->leaf = leaf_find(t, from);
    ret_cursor->index = leaf_index(ret_cursor->leaf, from);
    cursor_settle(ret_cursor);
    return cursor_item(ret_cursor);
}

struct btree_item *btree_next(struct btree_cursor *c)
{
    c->index++;
    cursor_settle(c);
    return cursor_item(c);
}

static void path_find(const struct btree *t, bytes key, struct path *ret_path)
{
    assert(t->height <= HEIGHT_MAX);
    size_t leaf = t->height - 1;
    struct btree_node *n = t->root;
    for (size_t depth = 0; depth < leaf; depth++) {
        ret_path->node[depth] = n;
        ret_path->index[depth] = inner_index(n, key);
        n = n->child[ret_path->index[depth]];
    }
    ret_path->node[leaf] = n;
    ret_path->index[leaf] = leaf_index(n, key);
}

/* ---- moving items within and between leaves ---- */

static void leaf_put(struct btree_node *leaf, size_t at, struct btree_item *item)
{
    memmove(&leaf->items[at + 1], &leaf->items[at], (leaf->len - at) * sizeof leaf->items[0]);
    leaf->items[at] = item;
    leaf->len++;
}

static struct btree_item *leaf_cut(struct btree_node *leaf, size_t at)
{
    struct btree_item *item = leaf->items[at];
    leaf->len--;
    memmove(&leaf->items[at], &leaf->items[at + 1], (leaf->len - at) * sizeof leaf->items[0]);
    return item;
}

/* Moves the first n items of right to the end of left. */
static void leaf_shift_left(struct btree_node *left, struct btree_node *right, size_t n)
{
    memcpy(&left->items[left->len], right->items, n * sizeof right->items[0]);
    memmove(right->items, &right->items[n], (right->len - n) * sizeof right->items[0]);
    left->len += n;
    right->len -= n;
}

/* Moves the last n items of left to the front of right. */
static void leaf_shift_right(struct btree_node *left, struct btree_node *right, size_t n)
{
    memmove(&right->items[n], right->items, right->len * sizeof right->items[0]);
    memcpy(right->items, &left->items[left->len - n], n * sizeof right->items[0]);
    left->len -= n;
    right->len += n;
}

/* ---- moving children between inner nodes ---- */

/* Puts a child, whose first item is new_least, at place at > 0 of the len children there are. There must be room. */
static void children_put(struct btree_node **child, struct btree_item **least, size_t len, size_t at,
                         struct btree_node *new_child, struct btree_item *new_least)
{
    memmove(&child[at + 1], &child[at], (len - at) * sizeof *child);
    memmove(&least[at], &least[at - 1], (len - at) * sizeof *least);
    child[at] = new_child;
    least[at - 1] = new_least;
}

/* Two neighbouring inner nodes laid out as one, with the separator that was between them in its place. */
struct row {
    size_t len; /* children */
    struct btree_node *child[2 * INNER_MAX];
    struct btree_item *least[2 * INNER_MAX - 1];
};

static void row_append(struct row *r, const struct btree_node *n)
{
    memcpy(&r->child[r->len], n->child, n->len * sizeof n->child[0]);
    memcpy(&r->least[r->len], n->least, (n->len - 1) * sizeof n->least[0]);
    r->len += n->len;
}

/* Makes n the children of r from..to-1. */
static void row_fill(const struct row *r, size_t from, size_t to, struct btree_node *n)
{
    n->len = to - from;
    memcpy(n->child, &r->child[from], n->len * sizeof n->child[0]);
    memcpy(n->least, &r->least[from], (n->len - 1) * sizeof n->least[0]);
}

/* ---- insertion ---- */

static void root_grow(struct btree *t, struct btree_node *right, struct btree_item *least)
{
    struct btree_node *root = node_take(t);
    root->child[0] = t->root;
    root->child[1] = right;
    root->least[0] = least;
    root->len = 2;
    t->root = root;
    t->height++;
}

/* Splits the full inner node n while child is added at `at`. Answers the new right node and its first item. */
static struct btree_node *inner_split(struct btree *t, struct btree_node *n, size_t at, struct btree_node *child,
                                      struct btree_item *least, bool at_edge, struct btree_item **ret_least)
{
    struct row row = {.len = 0};
    row_append(&row, n);
    children_put(row.child, row.least, row.len++, at, child, least);
    size_t keep = at_edge ? row.len - 2 : row.len / 2;
    struct btree_node *right = node_take(t);
    row_fill(&row, keep, row.len, right);
    row_fill(&row, 0, keep, n);
    *ret_least = row.least[keep - 1];
    return right;
}

/* A leaf was split: hangs its new right half into the parents, which may split in turn up to the root. */
static void path_add(struct btree *t, const struct path *p, struct btree_node *right, struct btree_item *least,
                     bool at_edge)
{
    for (size_t depth = t->height - 1; depth > 0; depth--) {
        struct btree_node *parent = p->node[depth - 1];
        size_t at = p->index[depth - 1] + 1;
        if (parent->len < INNER_MAX) {
            children_put(parent->child, parent->least, parent->len++, at, right, least);
            return;
        }
        right = inner_split(t, parent, at, right, least, at_edge, &least);
    }
    root_grow(t, right, least);
}

static void insert_split(struct btree *t, const struct path *p, struct btree_item *item)
{
    struct btree_node *leaf = p->node[t->height - 1];
    size_t at = p->index[t->height - 1];
    bool at_edge = !leaf->next && at == LEAF_MAX;
    size_t keep = at_edge ? LEAF_MAX : LEAF_MAX / 2;
    struct btree_node *right = node_take(t);
    leaf_shift_right(leaf, right, LEAF_MAX - keep);
    right->next = leaf->next;
    leaf->next = right;
    if (at <= keep && !at_edge)
        leaf_put(leaf, at, item);
    else
        leaf_put(right, at - keep, item);
    path_add(t, p, right, right->items[0], at_edge);
}

/* How many items a full leaf moves to a neighbour, so that both have the same room; 0 when it is not worth it. */
static size_t share_with(const struct btree_node *neighbour)
{
    size_t room = LEAF_MAX - neighbour->len;
    return room < SHARE_MIN ? 0 : room / 2;
}

/* The item's place is never before the first item of a leaf that has a left neighbour, because the way down went by
 * that item; so no separator but the one of the items that move changes. */
static bool insert_sharing_left(struct btree_node *parent, size_t index, size_t at, struct btree_item *item)
{
    if (index == 0)
        return false;
    struct btree_node *left = parent->child[index - 1], *leaf = parent->child[index];
    size_t n = share_with(left);
    if (n == 0)
        return false;
    leaf_shift_left(left, leaf, n);
    parent->least[index - 1] = leaf->items[0];
    if (at <= n)
        leaf_put(left, left->len - n + at, item);
    else
        leaf_put(leaf, at - n, item);
    return true;
}

static bool insert_sharing_right(struct btree_node *parent, size_t index, size_t at, struct btree_item *item)
{
    if (index + 1 == parent->len)
        return false;
    struct btree_node *leaf = parent->child[index], *right = parent->child[index + 1];
    size_t n = share_with(right);
    if (n == 0)
        return false;
    leaf_shift_right(leaf, right, n);
    parent->least[index] = right->items[0];
    if (at <= leaf->len)
        leaf_put(leaf, at, item);
    else
        leaf_put(right, at - leaf->len, item);
    return true;
}

static bool insert_sharing(struct btree *t, const struct path *p, struct btree_item *item)
{
    size_t leaf = t->height - 1;
    bool at_edge = !p->node[leaf]->next && p->index[leaf] == LEAF_MAX;
    if (leaf == 0 || at_edge)
        return false;
    struct btree_node *parent = p->node[leaf - 1];
    return insert_sharing_left(parent, p->index[leaf - 1], p->index[leaf], item) ||
           insert_sharing_right(parent, p->index[leaf - 1], p->index[leaf], item);
}

static void root_plant(struct btree *t)
{
    t->root = node_take(t);
    t->height = 1;
}

int btree_insert(struct btree *t, struct btree_item *item)
{
    int rc = btree_reserve(t);
    if (rc)
        return rc;
    if (!t->root)
        root_plant(t);
    struct path path;
    path_find(t, item->key, &path);
    struct btree_node *leaf = path.node[t->height - 1];
    size_t at = path.index[t->height - 1];
    assert(!leaf_has(leaf, at, item->key));
    if (leaf->len < LEAF_MAX)
        leaf_put(leaf, at, item);
    else if (!insert_sharing(t, &path, item))
        insert_split(t, &path, item);
    t->len++;
    return 0;
}

/* ---- removal ---- */

/* The first item of a leaf went: the separator that named it, if there is one, gets the item that is first now. It
 * stands where the way down last left the leftmost child. */
static void path_set_least(const struct btree *t, const struct path *p)
{
    struct btree_node *leaf = p->node[t->height - 1];
    for (size_t depth = t->height - 1; depth > 0; depth--) {
        size_t index = p->index[depth - 1];
        if (index > 0) {
            p->node[depth - 1]->least[index - 1] = leaf->items[0];
            return;
        }
    }
}

/* Takes child i + 1 and the separator before it out of n. */
static void inner_cut(struct btree_node *n, size_t i)
{
    n->len--;
    memmove(&n->child[i + 1], &n->child[i + 2], (n->len - i - 1) * sizeof n->child[0]);
    memmove(&n->least[i], &n->least[i + 1], (n->len - i - 1) * sizeof n->least[0]);
}

/* Children i and i + 1 of parent, leaves: one of them has too few items. */
static void leaves_balance(struct btree_node *parent, size_t i)
{
    struct btree_node *left = parent->child[i], *right = parent->child[i + 1];
    size_t half = (left->len + right->len) / 2;
    if (left->len + right->len <= LEAF_JOIN) {
        leaf_shift_left(left, right, right->len);
        left->next = right->next;
        inner_cut(parent, i);
        free(right);
        return;
    }
    if (left->len < half)
        leaf_shift_left(left, right, half - left->len);
    else
        leaf_shift_right(left, right, left->len - half);
    parent->least[i] = right->items[0];
}

/* Children i and i + 1 of parent, inner nodes: one of them has too few children. */
static void inners_balance(struct btree_node *parent, size_t i)
{
    struct btree_node *left = parent->child[i], *right = parent->child[i + 1];
    struct row row = {.len = 0};
    row_append(&row, left);
    row.least[row.len - 1] = parent->least[i];
    row_append(&row, right);
    if (row.len <= INNER_JOIN) {
        row_fill(&row, 0, row.len, left);
        inner_cut(parent, i);
        free(right);
        return;
    }
    size_t half = row.len / 2;
    row_fill(&row, 0, half, left);
    row_fill(&row, half, row.len, right);
    parent->least[i] = row.least[half - 1];
}

/* From the leaf up, as long as a node has too few. */
static void path_balance(const struct btree *t, const struct path *p)
{
    size_t leaf = t->height - 1;
    for (size_t depth = leaf; depth > 0; depth--) {
        if (p->node[depth]->len >= (depth == leaf ? LEAF_MIN : INNER_MIN))
            return;
        struct btree_node *parent = p->node[depth - 1];
        assert(parent->len > 1);
        size_t index = p->index[depth - 1];
        size_t i = index > 0 ? index - 1 : 0;
        if (depth == leaf)
            leaves_balance(parent, i);
        else
            inners_balance(parent, i);
    }
}

static void root_shrink(struct btree *t)
{
    struct btree_node *root = t->root;
    if (t->height > 1 && root->len == 1) {
        t->root = root->child[0];
        t->height--;
        free(root);
    } else if (root->len == 0) {
        t->root = NULL;
        t->height = 0;
        free(root);
    }
}

struct btree_item *btree_remove(struct btree *t, bytes key)
{
    if (!t->root)
        return NULL;
    struct path path;
    path_find(t, key, &path);
    struct btree_node *leaf = path.node[t->height - 1];
    size_t at = path.index[t->height - 1];
    if (!leaf_has(leaf, at, key))
        return NULL;
    struct btree_item *item = leaf_cut(leaf, at);
    if (at == 0 && leaf->len > 0)
        path_set_least(t, &path);
    path_balance(t, &path);
    root_shrink(t);
    t->len--;
    return item;
}

/* ---- checking, for tests ---- */

struct check {
    const struct btree_node *leaf; /* the last one seen */
    const struct btree_item *item; /* the last one seen */
    size_t items;
};

static bool leaf_check(const struct btree_node *leaf, struct check *c)
{
    if (leaf->len == 0 || leaf->len > LEAF_MAX || (c->leaf && c->leaf->next != leaf))
        return false;
    for (size_t i = 0; i < leaf->len; i++) {
        if (c->item && bytes_compare(c->item->key, leaf->items[i]->key) >= 0)
            return false;
        c->item = leaf->items[i];
    }
    c->leaf = leaf;
    c->items += leaf->len;
    return true;
}

static const struct btree_item *first_item(const struct btree_node *n, size_t height)
{
    for (; height > 1; height--)
        n = n->child[0];
    return n->items[0];
}

static bool node_check(const struct btree_node *n, size_t height, bool at_edge, struct check *c)
{
    size_t len_min = height > 1 ? INNER_MIN : LEAF_MIN;
    if (n->len < len_min && !at_edge)
        return false;
    if (height == 1)
        return leaf_check(n, c);
    if (n->len < 2 || n->len > INNER_MAX)
        return false;
    for (size_t i = 0; i < n->len; i++) {
        if (i > 0 && n->least[i - 1] != first_item(n->child[i], height - 1))
            return false;
        if (!node_check(n->child[i], height - 1, at_edge && i + 1 == n->len, c))
            return false;
    }
    return true;
}

bool btree_check(const struct btree *t)
{
    struct check c = {0};
    if (!t->root)
        return t->len == 0 && t->height == 0;
    return node_check(t->root, t->height, true, &c) && !c.leaf->next && c.items == t->len;
}
