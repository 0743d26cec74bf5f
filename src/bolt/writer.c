/* Each open bucket is a tree under construction: a stack of levels, leaves at the bottom, one unfinished page a level. A page
 * that is full leaves, and its first key and number go into the level above. When the bucket ends, the topmost page is its
 * root.
 *
 * bbolt asserts, when it later deletes from the file, that a branch has two children. So a child that no longer fits is held
 * back until there is another one for the next page; if none comes, it goes into the full page, which then overflows.
 */
#include "bolt/writer.h"

#include <assert.h>
#include <stdlib.h>

#include "base/buf.h"
#include "bolt/format.h"

enum {
    FREELIST_PAGE = 2,
    FIRST_PAGE = 3,
    OPEN_MAX = BOLT_DEPTH_MAX,
    BUCKETS_MAX = 1024, /* of the root, which are kept until the end */
    INLINE_MAX = BOLT_PAGE_SIZE / 4,
};

/* One page that is being filled. */
struct level {
    struct buf elements, data; /* offsets in the elements count from the start of data until the page leaves */
    size_t count;
    struct buf first_key;
    struct buf held_key; /* branches: the child that waits for a companion */
    uint64_t held_page;
    bool holds;
    bool left; /* a page of this level has left, so there is one above */
};

struct tree {
    struct level levels[BOLT_DEPTH_MAX];
    size_t n_levels;
    struct buf name;
    struct buf last_key;
    bool has_last;
    bool has_buckets;
};

struct root_entry {
    uint8_t *name;
    size_t name_len;
    uint8_t *value; /* bucket header, with the page behind it when inline */
    size_t value_len;
};

struct bolt_writer {
    struct bolt_output out;
    struct tree *open[OPEN_MAX];
    size_t n_open;
    struct root_entry *buckets;
    size_t n_buckets;
    uint64_t next_page;
    struct buf page; /* the one that leaves */
    int error;
    struct tenure_error why;
};

static int fail(struct bolt_writer *w, int code, const char *text)
{
    if (!w->error)
        w->error = error_set(&w->why, code, "bolt: %s", text);
    return w->error;
}

int bolt_writer_error(const struct bolt_writer *w)
{
    return w->error;
}

/* ---- trees in memory ---- */

static void level_init(struct level *l)
{
    *l = (struct level){0};
    buf_init(&l->elements);
    buf_init(&l->data);
    buf_init(&l->first_key);
    buf_init(&l->held_key);
}

static void level_fini(struct level *l)
{
    buf_fini(&l->elements);
    buf_fini(&l->data);
    buf_fini(&l->first_key);
    buf_fini(&l->held_key);
}

static struct tree *tree_free(struct tree *t)
{
    if (!t)
        return NULL;
    for (size_t i = 0; i < t->n_levels; i++)
        level_fini(&t->levels[i]);
    buf_fini(&t->name);
    buf_fini(&t->last_key);
    free(t);
    return NULL;
}

static struct tree *tree_new(bytes name)
{
    struct tree *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    buf_init(&t->name);
    buf_init(&t->last_key);
    buf_append_bytes(&t->name, name);
    if (buf_error(&t->name))
        return tree_free(t);
    level_init(&t->levels[0]);
    t->n_levels = 1;
    return t;
}

/* ---- pages ---- */

static size_t level_size(const struct level *l)
{
    return BOLT_PAGE_HEADER + l->elements.len + l->data.len;
}

/* Appends an element; pos is set right when the page leaves, because only then the number of elements is known. */
static void add_leaf(struct level *l, uint32_t flags, bytes key, bytes value)
{
    uint8_t element[BOLT_LEAF_ELEMENT];
    bolt_put32(element, flags);
    bolt_put32(element + 4, (uint32_t)l->data.len);
    bolt_put32(element + 8, (uint32_t)key.len);
    bolt_put32(element + 12, (uint32_t)value.len);
    if (l->count == 0) {
        buf_reset(&l->first_key);
        buf_append_bytes(&l->first_key, key);
    }
    buf_append(&l->elements, element, sizeof element);
    buf_append_bytes(&l->data, key);
    buf_append_bytes(&l->data, value);
    l->count++;
}

static void add_branch(struct level *l, bytes key, uint64_t page)
{
    uint8_t element[BOLT_BRANCH_ELEMENT];
    bolt_put32(element, (uint32_t)l->data.len);
    bolt_put32(element + 4, (uint32_t)key.len);
    bolt_put64(element + 8, page);
    if (l->count == 0) {
        buf_reset(&l->first_key);
        buf_append_bytes(&l->first_key, key);
    }
    buf_append(&l->elements, element, sizeof element);
    buf_append_bytes(&l->data, key);
    l->count++;
}

static int level_error(const struct level *l)
{
    if (buf_error(&l->elements) || buf_error(&l->data) || buf_error(&l->first_key) || buf_error(&l->held_key))
        return TENURE_ENOMEM;
    return 0;
}

static void put_header(uint8_t *at, uint64_t id, uint16_t flags, size_t count, uint64_t overflow)
{
    bolt_put64(at, id);
    bolt_put16(at + 8, flags);
    bolt_put16(at + 10, (uint16_t)count);
    bolt_put32(at + 12, (uint32_t)overflow);
}

/* The page as bytes into out (appended), its offsets made relative to their elements. */
static void page_bytes(const struct level *l, bool leaf, uint64_t id, uint64_t overflow, struct buf *out)
{
    size_t element_size = leaf ? BOLT_LEAF_ELEMENT : BOLT_BRANCH_ELEMENT, pos_at = leaf ? 4 : 0;
    uint8_t *at = buf_reserve(out, level_size(l));
    if (!at)
        return;
    put_header(at, id, leaf ? BOLT_PAGE_LEAF : BOLT_PAGE_BRANCH, l->count, overflow);
    uint8_t *elements = at + BOLT_PAGE_HEADER;
    if (l->elements.len)
        memcpy(elements, l->elements.data, l->elements.len);
    if (l->data.len)
        memcpy(elements + l->elements.len, l->data.data, l->data.len);
    for (size_t i = 0; i < l->count; i++) {
        uint8_t *pos = elements + i * element_size + pos_at;
        bolt_put32(pos, bolt_get32(pos) + (uint32_t)(l->elements.len - i * element_size));
    }
    buf_added(out, level_size(l));
}

static void level_reset(struct level *l)
{
    buf_reset(&l->elements);
    buf_reset(&l->data);
    l->count = 0;
}

static int pad(struct buf *page, size_t to)
{
    size_t more = to - page->len;
    uint8_t *at = more ? buf_reserve(page, more) : NULL;
    if (at) {
        memset(at, 0, more);
        buf_added(page, more);
    }
    return buf_error(page);
}

/* Writes the page of l out; answers its number in *ret. */
static int write_page(struct bolt_writer *w, struct level *l, bool leaf, uint64_t *ret)
{
    uint64_t n = (level_size(l) + BOLT_PAGE_SIZE - 1) / BOLT_PAGE_SIZE, id = w->next_page;
    if (level_error(l) || w->error)
        return fail(w, TENURE_ENOMEM, "out of memory");
    buf_reset(&w->page);
    page_bytes(l, leaf, id, n - 1, &w->page);
    if (pad(&w->page, n * BOLT_PAGE_SIZE))
        return fail(w, TENURE_ENOMEM, "out of memory");
    int rc = w->out.write(w->out.user, id * BOLT_PAGE_SIZE, buf_bytes(&w->page), &w->why);
    if (rc)
        return w->error = rc;
    w->next_page += n;
    level_reset(l);
    l->left = true;
    *ret = id;
    return 0;
}

/* ---- from one level to the next ---- */

static int raise_child(struct bolt_writer *w, struct tree *t, size_t at, bytes key, uint64_t page);

/* The page of level i leaves, and the level above learns of it. */
static int level_flush(struct bolt_writer *w, struct tree *t, size_t i)
{
    uint64_t page = 0;
    struct level *l = &t->levels[i];
    int rc = write_page(w, l, i == 0, &page);
    return rc ? rc : raise_child(w, t, i + 1, buf_bytes(&l->first_key), page);
}

static int level_open(struct bolt_writer *w, struct tree *t, size_t i)
{
    if (i >= BOLT_DEPTH_MAX)
        return fail(w, TENURE_ELIMIT, "a tree is too deep");
    if (i == t->n_levels) {
        level_init(&t->levels[i]);
        t->n_levels++;
    }
    return 0;
}

static void hold(struct level *l, bytes key, uint64_t page)
{
    buf_reset(&l->held_key);
    buf_append_bytes(&l->held_key, key);
    l->held_page = page;
    l->holds = true;
}

static int raise_child(struct bolt_writer *w, struct tree *t, size_t i, bytes key, uint64_t page)
{
    int rc = level_open(w, t, i);
    struct level *l = &t->levels[i];
    if (rc)
        return rc;
    if (l->holds) {
        rc = level_flush(w, t, i);
        if (rc)
            return rc;
        add_branch(l, buf_bytes(&l->held_key), l->held_page);
        l->holds = false;
    } else if (l->count >= 2 && level_size(l) + BOLT_BRANCH_ELEMENT + key.len > BOLT_PAGE_SIZE) {
        hold(l, key, page);
        return level_error(l) ? fail(w, TENURE_ENOMEM, "out of memory") : 0;
    }
    add_branch(l, key, page);
    return level_error(l) ? fail(w, TENURE_ENOMEM, "out of memory") : 0;
}

/* What the last level holds leaves; the page that has none above is the root. */
static int tree_close(struct bolt_writer *w, struct tree *t, uint64_t *ret_root)
{
    for (size_t i = 0;; i++) {
        struct level *l = &t->levels[i];
        if (l->holds)
            add_branch(l, buf_bytes(&l->held_key), l->held_page);
        l->holds = false;
        if (!l->left)
            return write_page(w, l, i == 0, ret_root);
        int rc = level_flush(w, t, i);
        if (rc)
            return rc;
    }
}

/* ---- elements ---- */

static int check_key(struct bolt_writer *w, const struct tree *t, bytes key, bytes value)
{
    if (w->error)
        return w->error;
    if (key.len == 0 || key.len > BOLT_KEY_MAX || value.len > INT32_MAX - 1)
        return fail(w, TENURE_EINVALID, "a key or a value of that length cannot be stored");
    if (t->has_last && bytes_compare(buf_bytes(&t->last_key), key) >= 0)
        return fail(w, TENURE_EINVALID, "keys do not come in order");
    return 0;
}

static void put(struct bolt_writer *w, uint32_t flags, bytes key, bytes value)
{
    struct tree *t = w->open[w->n_open - 1];
    struct level *l = &t->levels[0];
    if (check_key(w, t, key, value))
        return;
    bool fits = level_size(l) + BOLT_LEAF_ELEMENT + key.len + value.len <= BOLT_PAGE_SIZE;
    if (!fits && l->count > 0 && level_flush(w, t, 0))
        return;
    add_leaf(l, flags, key, value);
    buf_reset(&t->last_key);
    buf_append_bytes(&t->last_key, key);
    t->has_last = true;
    if (level_error(l) || buf_error(&t->last_key))
        fail(w, TENURE_ENOMEM, "out of memory");
}

void bolt_put(struct bolt_writer *w, bytes key, bytes value)
{
    if (w->error) /* the bucket may not be open then */
        return;
    assert(w->n_open > 0);
    put(w, 0, key, value);
}

/* ---- buckets ---- */

void bolt_bucket_begin(struct bolt_writer *w, bytes name)
{
    if (w->error)
        return;
    if (w->n_open == OPEN_MAX) {
        fail(w, TENURE_ELIMIT, "buckets within buckets are too deep");
        return;
    }
    struct tree *t = tree_new(name);
    if (!t) {
        fail(w, TENURE_ENOMEM, "out of memory");
        return;
    }
    if (w->n_open > 0)
        w->open[w->n_open - 1]->has_buckets = true;
    w->open[w->n_open++] = t;
}

static void root_add(struct bolt_writer *w, bytes name, bytes value)
{
    if (name.len == 0 || name.len > BOLT_KEY_MAX || w->n_buckets == BUCKETS_MAX) {
        fail(w, TENURE_ELIMIT, "too many buckets, or a name that cannot be stored");
        return;
    }
    struct root_entry e = {malloc(name.len), name.len, malloc(value.len), value.len};
    struct root_entry *more = realloc(w->buckets, (w->n_buckets + 1) * sizeof *more);
    if (more)
        w->buckets = more;
    if (!more || !e.name || !e.value) {
        free(e.name);
        free(e.value);
        fail(w, TENURE_ENOMEM, "out of memory");
        return;
    }
    memcpy(e.name, name.data, name.len);
    memcpy(e.value, value.data, value.len);
    w->buckets[w->n_buckets++] = e;
}

/* The value that stands for a bucket in the tree above it. */
static int bucket_value(struct bolt_writer *w, struct tree *t, struct buf *out)
{
    uint8_t header[BOLT_BUCKET_HEADER] = {0};
    struct level *leaf = &t->levels[0];
    if (level_error(leaf))
        return fail(w, TENURE_ENOMEM, "out of memory");
    bool small = !leaf->left && !t->has_buckets && level_size(leaf) <= INLINE_MAX;
    uint64_t root = 0;
    int rc = small ? 0 : tree_close(w, t, &root);
    if (rc)
        return rc;
    bolt_put64(header, root);
    buf_append(out, header, sizeof header);
    if (small)
        page_bytes(leaf, true, 0, 0, out);
    return buf_error(out) ? fail(w, TENURE_ENOMEM, "out of memory") : 0;
}

void bolt_bucket_end(struct bolt_writer *w)
{
    if (w->error)
        return;
    assert(w->n_open > 0);
    struct tree *t = w->open[--w->n_open];
    struct buf value;
    buf_init(&value);
    if (bucket_value(w, t, &value) == 0) {
        if (w->n_open > 0)
            put(w, BOLT_ELEMENT_BUCKET, buf_bytes(&t->name), buf_bytes(&value));
        else
            root_add(w, buf_bytes(&t->name), buf_bytes(&value));
    }
    buf_fini(&value);
    tree_free(t);
}

/* ---- the end ---- */

static int by_name(const void *a, const void *b)
{
    const struct root_entry *x = a, *y = b;
    return bytes_compare(bytes_of(x->name, x->name_len), bytes_of(y->name, y->name_len));
}

/* The root bucket never stands inline. */
static int write_root(struct bolt_writer *w, uint64_t *ret)
{
    if (w->n_buckets)
        qsort(w->buckets, w->n_buckets, sizeof *w->buckets, by_name);
    struct tree *t = tree_new(bytes_of(NULL, 0));
    if (!t)
        return fail(w, TENURE_ENOMEM, "out of memory");
    w->open[w->n_open++] = t;
    for (size_t i = 0; i < w->n_buckets; i++) {
        const struct root_entry *e = &w->buckets[i];
        put(w, BOLT_ELEMENT_BUCKET, bytes_of(e->name, e->name_len), bytes_of(e->value, e->value_len));
    }
    w->n_open--;
    int rc = w->error ? w->error : tree_close(w, t, ret);
    tree_free(t);
    return rc;
}

static void put_meta(uint8_t *page, uint64_t txid, uint64_t root, uint64_t pages)
{
    uint8_t *meta = page + BOLT_PAGE_HEADER;
    put_header(page, txid % 2, BOLT_PAGE_META, 0, 0);
    bolt_put32(meta + BOLT_META_MAGIC, BOLT_MAGIC);
    bolt_put32(meta + BOLT_META_VERSION, BOLT_VERSION);
    bolt_put32(meta + BOLT_META_PAGE_SIZE, BOLT_PAGE_SIZE);
    bolt_put64(meta + BOLT_META_ROOT, root);
    bolt_put64(meta + BOLT_META_FREELIST, FREELIST_PAGE);
    bolt_put64(meta + BOLT_META_PAGES, pages);
    bolt_put64(meta + BOLT_META_TXID, txid);
    bolt_put64(meta + BOLT_META_CHECKSUM, bolt_meta_sum(meta));
}

/* Both metas say the same, the second with the older transaction; the list of free pages is empty. */
static int write_head(struct bolt_writer *w, uint64_t root)
{
    buf_reset(&w->page);
    if (pad(&w->page, (size_t)FIRST_PAGE * BOLT_PAGE_SIZE))
        return fail(w, TENURE_ENOMEM, "out of memory");
    put_meta(w->page.data, 2, root, w->next_page);
    put_meta(w->page.data + BOLT_PAGE_SIZE, 1, root, w->next_page);
    put_header(w->page.data + (size_t)FREELIST_PAGE * BOLT_PAGE_SIZE, FREELIST_PAGE, BOLT_PAGE_FREELIST, 0, 0);
    int rc = w->out.write(w->out.user, 0, buf_bytes(&w->page), &w->why);
    if (rc)
        w->error = rc;
    return rc;
}

int bolt_writer_finish(struct bolt_writer *w, uint64_t *ret_size, struct tenure_error *err)
{
    uint64_t root;
    assert(w->error || w->n_open == 0);
    if (!w->error && write_root(w, &root) == 0)
        (void)!write_head(w, root);
    if (w->error) {
        if (err)
            *err = w->why;
        return w->error;
    }
    *ret_size = w->next_page * BOLT_PAGE_SIZE;
    return 0;
}

/* ---- life ---- */

int bolt_writer_new(const struct bolt_output *out, struct bolt_writer **ret)
{
    struct bolt_writer *w = calloc(1, sizeof *w);
    if (!w)
        return TENURE_ENOMEM;
    w->out = *out;
    w->next_page = FIRST_PAGE;
    buf_init(&w->page);
    *ret = w;
    return 0;
}

struct bolt_writer *bolt_writer_free(struct bolt_writer *w)
{
    if (!w)
        return NULL;
    for (size_t i = 0; i < w->n_open && i < OPEN_MAX; i++)
        tree_free(w->open[i]);
    for (size_t i = 0; i < w->n_buckets; i++) {
        free(w->buckets[i].name);
        free(w->buckets[i].value);
    }
    free(w->buckets);
    buf_fini(&w->page);
    free(w);
    return NULL;
}
