/* Every number that comes out of the file is compared with the bytes that are there before it is used.
 *
 * A damaged tree could lead in circles or through the same pages again and again. So it is at most BOLT_DEPTH_MAX deep, only
 * the root of a tree may be empty, and keys have to rise: each leaf then brings a key that was not there before.
 */
#include "bolt/reader.h"

#include <inttypes.h>

enum { PAGE_SIZE_MIN = 512, PAGE_SIZE_MAX = 1 << 16 };

static int corrupt(struct tenure_error *err, uint64_t page, const char *why)
{
    return error_set(err, TENURE_ECORRUPT, "bolt page %" PRIu64 ": %s", page, why);
}

/* ---- metas ---- */

struct meta {
    uint32_t page_size;
    uint64_t root, freelist, pages, txid;
};

/* Whether a meta stands at offset; *other_version when all that is wrong is its version. */
static bool read_meta(bytes data, size_t offset, struct meta *ret, bool *other_version)
{
    if (data.len < offset || data.len - offset < BOLT_PAGE_HEADER + BOLT_META_SIZE)
        return false;
    const uint8_t *m = data.data + offset + BOLT_PAGE_HEADER;
    if (bolt_get32(m + BOLT_META_MAGIC) != BOLT_MAGIC || bolt_get64(m + BOLT_META_CHECKSUM) != bolt_meta_sum(m))
        return false;
    *other_version |= bolt_get32(m + BOLT_META_VERSION) != BOLT_VERSION;
    ret->page_size = bolt_get32(m + BOLT_META_PAGE_SIZE);
    ret->root = bolt_get64(m + BOLT_META_ROOT);
    ret->freelist = bolt_get64(m + BOLT_META_FREELIST);
    ret->pages = bolt_get64(m + BOLT_META_PAGES);
    ret->txid = bolt_get64(m + BOLT_META_TXID);
    bool power_of_two = (ret->page_size & (ret->page_size - 1)) == 0;
    return bolt_get32(m + BOLT_META_VERSION) == BOLT_VERSION && power_of_two && ret->page_size >= PAGE_SIZE_MIN &&
           ret->page_size <= PAGE_SIZE_MAX;
}

/* The second meta is found by the size that the first names; where the first is damaged, by trying. */
static bool newest_meta(bytes data, struct meta *ret, bool *other_version)
{
    struct meta first = {0}, second = {0};
    bool found = read_meta(data, 0, &first, other_version), found_second = false;
    if (found)
        found_second = read_meta(data, first.page_size, &second, other_version);
    for (uint32_t size = PAGE_SIZE_MIN; !found && !found_second && size <= PAGE_SIZE_MAX; size *= 2)
        found_second = read_meta(data, size, &second, other_version) && second.page_size == size;
    if (found_second && (!found || (second.txid > first.txid && second.page_size == first.page_size)))
        *ret = second;
    else if (found)
        *ret = first;
    return found || found_second;
}

int bolt_open(struct bolt_file *ret, bytes data, struct tenure_error *err)
{
    struct meta m = {0};
    bool other_version = false;
    if (!newest_meta(data, &m, &other_version)) {
        if (other_version)
            return error_set(err, TENURE_EVERSION, "a bbolt file of another version than %u", BOLT_VERSION);
        return error_set(err, TENURE_ECORRUPT, "not a bbolt file, or both of its first two pages are damaged");
    }
    if (m.pages < 2 || m.pages > data.len / m.page_size)
        return error_set(err, TENURE_ECORRUPT,
                         "the bbolt file is cut: it has %zu bytes, its %" PRIu64 " pages need more", data.len, m.pages);
    if (m.root < 2 || m.root >= m.pages)
        return corrupt(err, m.root, "is no place for the root");
    *ret = (struct bolt_file){
        .data = bytes_of(data.data, (size_t)m.pages * m.page_size),
        .page_size = m.page_size,
        .root = m.root,
        .freelist = m.freelist,
        .pages = m.pages,
        .txid = m.txid,
    };
    return 0;
}

uint64_t bolt_size(const struct bolt_file *f)
{
    return f->data.len;
}

/* ---- pages ---- */

static int page_check(const struct bolt_page *p, struct tenure_error *err)
{
    size_t element = p->flags == BOLT_PAGE_LEAF ? BOLT_LEAF_ELEMENT : BOLT_BRANCH_ELEMENT;
    if (p->flags != BOLT_PAGE_LEAF && p->flags != BOLT_PAGE_BRANCH)
        return corrupt(err, p->id, "is neither a leaf nor a branch");
    if (p->flags == BOLT_PAGE_BRANCH && p->count == 0)
        return corrupt(err, p->id, "is a branch without children");
    if (p->count * element > p->data.len - BOLT_PAGE_HEADER)
        return corrupt(err, p->id, "has more elements than room");
    return 0;
}

int bolt_page_at(const struct bolt_file *f, uint64_t id, struct bolt_page *ret, struct tenure_error *err)
{
    if (id < 2 || id >= f->pages)
        return corrupt(err, id, "lies outside the file");
    const uint8_t *at = f->data.data + (size_t)id * f->page_size;
    uint64_t overflow = bolt_get32(at + 12);
    if (bolt_get64(at) != id)
        return corrupt(err, id, "says that it is another one");
    if (overflow >= f->pages - id)
        return corrupt(err, id, "goes on behind the end of the file");
    *ret = (struct bolt_page){
        .data = bytes_of(at, (size_t)(overflow + 1) * f->page_size),
        .id = id,
        .flags = bolt_get16(at + 8),
        .count = bolt_get16(at + 10),
    };
    return page_check(ret, err);
}

/* id stays 0: it has no place of its own. */
static int inline_page(bytes data, struct bolt_page *ret, struct tenure_error *err)
{
    if (data.len < BOLT_PAGE_HEADER)
        return corrupt(err, 0, "a bucket within its parent is cut");
    *ret = (struct bolt_page){
        .data = data,
        .flags = bolt_get16(data.data + 8),
        .count = bolt_get16(data.data + 10),
    };
    if (ret->flags != BOLT_PAGE_LEAF)
        return corrupt(err, 0, "a bucket within its parent is no leaf");
    return page_check(ret, err);
}

/* The len bytes at pos behind the element at offset `at`; false when they are not within the page. */
static bool within(const struct bolt_page *p, size_t at, uint32_t pos, uint64_t len)
{
    uint64_t room = p->data.len - at;
    return pos <= room && len <= room - pos;
}

int bolt_branch_at(const struct bolt_page *p, size_t i, bytes *ret_key, uint64_t *ret_page, struct tenure_error *err)
{
    size_t at = BOLT_PAGE_HEADER + i * BOLT_BRANCH_ELEMENT;
    const uint8_t *e = p->data.data + at;
    uint32_t pos = bolt_get32(e), key_len = bolt_get32(e + 4);
    if (!within(p, at, pos, key_len))
        return corrupt(err, p->id, "has a key outside of it");
    *ret_key = bytes_of(e + pos, key_len);
    *ret_page = bolt_get64(e + 8);
    return 0;
}

int bolt_leaf_at(const struct bolt_page *p, size_t i, struct bolt_item *ret, struct tenure_error *err)
{
    size_t at = BOLT_PAGE_HEADER + i * BOLT_LEAF_ELEMENT;
    const uint8_t *e = p->data.data + at;
    uint32_t pos = bolt_get32(e + 4), key_len = bolt_get32(e + 8), value_len = bolt_get32(e + 12);
    if (!within(p, at, pos, (uint64_t)key_len + value_len))
        return corrupt(err, p->id, "has an element outside of it");
    if (key_len == 0)
        return corrupt(err, p->id, "has an element without a key");
    ret->key = bytes_of(e + pos, key_len);
    ret->value = bytes_of(e + pos + key_len, value_len);
    ret->is_bucket = bolt_get32(e) & BOLT_ELEMENT_BUCKET;
    return 0;
}

/* ---- buckets ---- */

void bolt_root(const struct bolt_file *f, struct bolt_bucket *ret)
{
    *ret = (struct bolt_bucket){.file = f, .root = f->root};
}

int bolt_bucket_of(const struct bolt_file *f, const struct bolt_item *item, struct bolt_bucket *ret,
                   struct tenure_error *err)
{
    if (!item->is_bucket || item->value.len < BOLT_BUCKET_HEADER)
        return corrupt(err, 0, "an element that should be a bucket is none");
    *ret = (struct bolt_bucket){.file = f, .root = bolt_get64(item->value.data)};
    if (ret->root == 0)
        ret->inline_page = bytes_of(item->value.data + BOLT_BUCKET_HEADER, item->value.len - BOLT_BUCKET_HEADER);
    return 0;
}

/* 0 and the item, TENURE_ENOTFOUND, TENURE_ECORRUPT. */
static int find(const struct bolt_bucket *in, bytes key, struct bolt_item *ret, struct tenure_error *err)
{
    struct bolt_cursor c;
    int rc;
    bolt_cursor_start(&c, in);
    while ((rc = bolt_cursor_next(&c, ret, err)) == 1) {
        if (bytes_equal(ret->key, key))
            return 0;
    }
    return rc ? rc
              : error_set(err, TENURE_ENOTFOUND, "no %.*s in the file", (int)(key.len < 64 ? key.len : 64), key.data);
}

int bolt_bucket_find(const struct bolt_bucket *in, bytes name, struct bolt_bucket *ret, struct tenure_error *err)
{
    struct bolt_item item;
    int rc = find(in, name, &item, err);
    return rc ? rc : bolt_bucket_of(in->file, &item, ret, err);
}

int bolt_get(const struct bolt_bucket *in, bytes key, bytes *ret, struct tenure_error *err)
{
    struct bolt_item item;
    int rc = find(in, key, &item, err);
    if (rc == 0)
        *ret = item.value;
    return rc;
}

/* ---- walking ---- */

void bolt_cursor_start(struct bolt_cursor *c, const struct bolt_bucket *bucket)
{
    c->bucket = bucket;
    c->depth = 0;
    c->last = bytes_of(NULL, 0);
    c->started = false;
}

static int enter(struct bolt_cursor *c, uint64_t id, struct tenure_error *err)
{
    if (c->depth == BOLT_DEPTH_MAX)
        return corrupt(err, id, "lies deeper than a tree can be");
    struct bolt_page *p = &c->stack[c->depth].page;
    bool inlined = c->depth == 0 && c->bucket->root == 0;
    int rc = inlined ? inline_page(c->bucket->inline_page, p, err) : bolt_page_at(c->bucket->file, id, p, err);
    if (rc)
        return rc;
    if (p->count == 0 && c->depth > 0)
        return corrupt(err, id, "is an empty leaf below a branch");
    c->stack[c->depth++].next = 0;
    return 0;
}

/* From the branch on top into its next child. */
static int descend(struct bolt_cursor *c, struct tenure_error *err)
{
    bytes key;
    uint64_t child = 0;
    struct bolt_page *p = &c->stack[c->depth - 1].page;
    int rc = bolt_branch_at(p, c->stack[c->depth - 1].next++, &key, &child, err);
    return rc ? rc : enter(c, child, err);
}

static int take(struct bolt_cursor *c, struct bolt_item *ret, struct tenure_error *err)
{
    struct bolt_page *p = &c->stack[c->depth - 1].page;
    int rc = bolt_leaf_at(p, c->stack[c->depth - 1].next++, ret, err);
    if (rc)
        return rc;
    if (c->last.data && bytes_compare(c->last, ret->key) >= 0)
        return corrupt(err, p->id, "has keys out of order");
    c->last = ret->key;
    return 1;
}

int bolt_cursor_next(struct bolt_cursor *c, struct bolt_item *ret, struct tenure_error *err)
{
    int rc = c->started ? 0 : enter(c, c->bucket->root, err);
    c->started = true;
    while (rc == 0 && c->depth > 0) {
        const struct bolt_page *p = &c->stack[c->depth - 1].page;
        if (c->stack[c->depth - 1].next == p->count)
            c->depth--;
        else if (p->flags == BOLT_PAGE_BRANCH)
            rc = descend(c, err);
        else
            return take(c, ret, err);
    }
    return rc;
}
