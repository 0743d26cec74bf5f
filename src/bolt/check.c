/* The whole file, as bbolt's `check` looks at it: a walk through all trees that marks each page, then the free list, then
 * whether a mark is missing. Branches are held to their keys here, which reading in order does not need.
 *
 * Trees are walked with a stack of their own; buckets within buckets by recursion, of a bounded depth.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "bolt/reader.h"

struct walk {
    const struct bolt_file *file;
    uint8_t *used; /* a bit a page */
    struct tenure_error *err;
};

static int corrupt(struct walk *w, uint64_t page, const char *why)
{
    return error_set(w->err, TENURE_ECORRUPT, "bolt page %" PRIu64 ": %s", page, why);
}

static int mark(struct walk *w, uint64_t page, uint64_t n)
{
    for (uint64_t id = page; id < page + n; id++) {
        if (w->used[id / 8] & 1u << id % 8)
            return corrupt(w, id, "is used twice");
        w->used[id / 8] |= (uint8_t)(1u << id % 8);
    }
    return 0;
}

/* ---- trees ---- */

struct place {
    struct bolt_page page;
    size_t next;
    bytes end; /* keys below lie before it; data NULL = no bound */
};

static int check_child_key(struct walk *w, const struct place *p, size_t i, bytes key)
{
    bytes before;
    uint64_t page;
    if (key.len == 0)
        return corrupt(w, p->page.id, "has a child without a key");
    if (p->end.data && bytes_compare(key, p->end) >= 0)
        return corrupt(w, p->page.id, "has a key that belongs behind it");
    if (i == 0)
        return 0;
    int rc = bolt_branch_at(&p->page, i - 1, &before, &page, w->err);
    if (rc == 0 && bytes_compare(before, key) >= 0)
        return corrupt(w, p->page.id, "has children out of order");
    return rc;
}

/* The i-th key of a page of either kind; none when the page is empty. */
static int key_at(struct walk *w, const struct bolt_page *p, size_t i, bytes *ret)
{
    uint64_t child;
    struct bolt_item item = {0};
    if (p->flags == BOLT_PAGE_BRANCH)
        return bolt_branch_at(p, i, ret, &child, w->err);
    int rc = p->count ? bolt_leaf_at(p, i, &item, w->err) : 0;
    *ret = item.key;
    return rc;
}

/* Whether the keys of a page lie from start on and before end. */
static int check_bounds(struct walk *w, const struct bolt_page *p, bytes start, bytes end)
{
    bytes first, last;
    int rc = key_at(w, p, 0, &first);
    if (rc == 0)
        rc = key_at(w, p, p->count ? p->count - 1u : 0, &last);
    if (rc == 0 && start.data && bytes_compare(first, start) < 0)
        rc = corrupt(w, p->id, "begins before its place");
    if (rc == 0 && end.data && p->count && bytes_compare(last, end) >= 0)
        rc = corrupt(w, p->id, "ends behind its place");
    return rc;
}

static int enter(struct walk *w, struct place *stack, size_t depth, uint64_t id, bytes start, bytes end)
{
    struct place *p = &stack[depth];
    int rc = bolt_page_at(w->file, id, &p->page, w->err);
    if (rc == 0)
        rc = mark(w, id, p->page.data.len / w->file->page_size);
    if (rc == 0)
        rc = check_bounds(w, &p->page, start, end);
    if (rc)
        return rc;
    p->next = 0;
    p->end = end;
    return 0;
}

static int step(struct walk *w, struct place *stack, size_t *depth)
{
    struct place *p = &stack[*depth - 1];
    if (p->page.flags == BOLT_PAGE_LEAF || p->next == p->page.count) {
        --*depth;
        return 0;
    }
    bytes key, end = p->end;
    uint64_t child, other;
    size_t i = p->next++;
    int rc = bolt_branch_at(&p->page, i, &key, &child, w->err);
    if (rc == 0)
        rc = check_child_key(w, p, i, key);
    if (rc == 0 && p->next < p->page.count)
        rc = bolt_branch_at(&p->page, p->next, &end, &other, w->err);
    if (rc == 0 && *depth == BOLT_DEPTH_MAX)
        rc = corrupt(w, child, "lies deeper than a tree can be");
    if (rc == 0)
        rc = enter(w, stack, *depth, child, key, end);
    if (rc == 0)
        ++*depth;
    return rc;
}

static int check_tree(struct walk *w, uint64_t root)
{
    struct place stack[BOLT_DEPTH_MAX];
    size_t depth = 1;
    int rc = enter(w, stack, 0, root, bytes_of(NULL, 0), bytes_of(NULL, 0));
    while (rc == 0 && depth > 0)
        rc = step(w, stack, &depth);
    return rc;
}

/* ---- buckets ---- */

static int check_bucket(struct walk *w, const struct bolt_bucket *b, size_t depth);

static int check_inner(struct walk *w, const struct bolt_bucket *outer, const struct bolt_item *item, size_t depth)
{
    struct bolt_bucket inner;
    if (outer->root == 0)
        return corrupt(w, 0, "a bucket stands in one that is itself within its parent");
    int rc = bolt_bucket_of(w->file, item, &inner, w->err);
    return rc ? rc : check_bucket(w, &inner, depth);
}

/* The pages first: then none is walked twice, whatever the buckets within say. */
static int check_bucket(struct walk *w, const struct bolt_bucket *b, size_t depth)
{
    struct bolt_cursor c;
    struct bolt_item item;
    if (depth == BOLT_DEPTH_MAX)
        return corrupt(w, b->root, "is a bucket deeper than buckets can be");
    int rc = b->root ? check_tree(w, b->root) : 0;
    if (rc)
        return rc;
    bolt_cursor_start(&c, b);
    while ((rc = bolt_cursor_next(&c, &item, w->err)) == 1) {
        rc = item.is_bucket ? check_inner(w, b, &item, depth + 1) : 0;
        if (rc)
            return rc;
    }
    return rc;
}

/* ---- free pages ---- */

static int check_free(struct walk *w, const uint8_t *ids, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        uint64_t id = bolt_get64(ids + 8 * i);
        if (id < 2 || id >= w->file->pages)
            return corrupt(w, id, "is free and lies outside the file");
        int rc = mark(w, id, 1);
        if (rc)
            return rc;
    }
    return 0;
}

static int check_freelist(struct walk *w)
{
    const struct bolt_file *f = w->file;
    if (f->freelist < 2 || f->freelist >= f->pages)
        return corrupt(w, f->freelist, "is no place for the list of free pages");
    const uint8_t *at = f->data.data + (size_t)f->freelist * f->page_size;
    uint64_t overflow = bolt_get32(at + 12), n = bolt_get16(at + 10);
    if (bolt_get16(at + 8) != BOLT_PAGE_FREELIST || bolt_get64(at) != f->freelist || overflow >= f->pages - f->freelist)
        return corrupt(w, f->freelist, "is not the list of free pages");
    uint64_t room = ((overflow + 1) * f->page_size - BOLT_PAGE_HEADER) / 8, skip = 0;
    if (n == 0xffff) { /* the number stands in front of them */
        n = bolt_get64(at + BOLT_PAGE_HEADER);
        skip = 1;
    }
    if (n > room - skip)
        return corrupt(w, f->freelist, "lists more free pages than it has room for");
    int rc = mark(w, f->freelist, overflow + 1);
    return rc ? rc : check_free(w, at + BOLT_PAGE_HEADER + 8 * skip, n);
}

/* ---- the whole ---- */

static int check_all_used(struct walk *w)
{
    for (uint64_t id = 2; id < w->file->pages; id++) {
        if (!(w->used[id / 8] & 1u << id % 8))
            return corrupt(w, id, "is neither used nor free");
    }
    return 0;
}

int bolt_check(const struct bolt_file *f, struct tenure_error *err)
{
    struct walk w = {.file = f, .used = calloc(1, (size_t)(f->pages / 8 + 1)), .err = err};
    struct bolt_bucket root;
    if (!w.used)
        return error_set(err, TENURE_ENOMEM, "bolt: out of memory");
    bolt_root(f, &root);
    bool listed = f->freelist != BOLT_NO_FREELIST; /* without a list, what is not used is free */
    int rc = listed ? check_freelist(&w) : 0;
    if (rc == 0)
        rc = check_bucket(&w, &root, 0);
    if (rc == 0 && listed)
        rc = check_all_used(&w);
    free(w.used);
    return rc;
}
