/* Reads a bbolt file that lies in memory, as a mapping or otherwise. Pure; bounds-checked throughout: whatever the bytes are,
 * the answer is keys in rising order or TENURE_ECORRUPT with the page, never a read outside, never an endless walk.
 *
 * Happy path: bolt_open picks the newer valid meta; bolt_root; bolt_bucket_find goes into a bucket; bolt_cursor_start and
 * bolt_cursor_next hand out its elements. Everything that comes out borrows the file's bytes. bolt_check looks at the whole
 * file, as bbolt's own check does. Thread: any; a cursor has one user.
 */
#ifndef BOLT_READER_H
#define BOLT_READER_H

#include "base/bytes.h"
#include "base/error.h"
#include "bolt/format.h"

struct bolt_file {
    bytes data; /* whole pages only */
    uint32_t page_size;
    uint64_t root, freelist, pages, txid; /* of the meta that counts */
};

struct bolt_bucket {
    const struct bolt_file *file;
    uint64_t root;
    bytes inline_page; /* when it stands in its parent; else empty */
};

struct bolt_item {
    bytes key;
    bytes value; /* of a bucket: its header, perhaps with a page */
    bool is_bucket;
};

/* A page as read. */
struct bolt_page {
    bytes data; /* with all that it overflows into */
    uint64_t id;
    uint16_t flags, count;
};

struct bolt_cursor {
    const struct bolt_bucket *bucket;
    struct {
        struct bolt_page page;
        uint32_t next; /* the element to go to */
    } stack[BOLT_DEPTH_MAX];
    size_t depth;
    bytes last; /* the key handed out last */
    bool started;
};

/* Borrows data. TENURE_ECORRUPT when neither meta is valid, TENURE_EVERSION for another version of the format. A file that is
 * longer than its pages is fine; one that is shorter is not. */
int bolt_open(struct bolt_file *ret, bytes data, struct tenure_error *err) MUST_USE;
/* The bytes that its pages take: the file without anything that was put behind it. */
uint64_t bolt_size(const struct bolt_file *f);

void bolt_root(const struct bolt_file *f, struct bolt_bucket *ret);
/* The bucket that an item is. */
int bolt_bucket_of(const struct bolt_file *f, const struct bolt_item *item, struct bolt_bucket *ret,
                   struct tenure_error *err) MUST_USE;
/* 0, TENURE_ENOTFOUND, or TENURE_ECORRUPT. */
int bolt_bucket_find(const struct bolt_bucket *in, bytes name, struct bolt_bucket *ret, struct tenure_error *err)
    MUST_USE;
/* The value of a key in a bucket: 0, TENURE_ENOTFOUND, or TENURE_ECORRUPT. Walks the bucket from its start: for small ones. */
int bolt_get(const struct bolt_bucket *in, bytes key, bytes *ret, struct tenure_error *err) MUST_USE;

/* Borrows bucket. */
void bolt_cursor_start(struct bolt_cursor *c, const struct bolt_bucket *bucket);
/* 1 and an item, 0 at the end, or TENURE_ECORRUPT. */
int bolt_cursor_next(struct bolt_cursor *c, struct bolt_item *ret, struct tenure_error *err) MUST_USE;

/* ---- for check.c ---- */
int bolt_page_at(const struct bolt_file *f, uint64_t id, struct bolt_page *ret, struct tenure_error *err) MUST_USE;
/* The i-th element of a branch page. */
int bolt_branch_at(const struct bolt_page *p, size_t i, bytes *ret_key, uint64_t *ret_page, struct tenure_error *err)
    MUST_USE;
/* The i-th element of a leaf page. */
int bolt_leaf_at(const struct bolt_page *p, size_t i, struct bolt_item *ret, struct tenure_error *err) MUST_USE;

/* ---- check.c ---- */

/* Whether the whole file is as it must be: every page below the end is used once or free, ids and kinds fit, keys are in
 * order everywhere. 0, TENURE_ECORRUPT with what was found first, TENURE_ENOMEM. */
int bolt_check(const struct bolt_file *f, struct tenure_error *err) MUST_USE;

#endif
