/* bolt/reader and bolt/check over any bytes. The metas are sealed first, so that the fuzzer gets behind their sums. */
#include <stdlib.h>

#include "bolt/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { DEEP = 6, ITEMS_MAX = 100000 };

/* False when something was reported. */
static bool walk(const struct bolt_bucket *b, unsigned depth, unsigned *items)
{
    struct bolt_cursor c;
    struct bolt_item item;
    struct tenure_error err;
    int rc = 0;
    bool fine = true;
    bolt_cursor_start(&c, b);
    while (*items < ITEMS_MAX && (rc = bolt_cursor_next(&c, &item, &err)) == 1) {
        struct bolt_bucket inner;
        ++*items;
        if (depth < DEEP && item.is_bucket)
            fine &= bolt_bucket_of(b->file, &item, &inner, &err) == 0 && walk(&inner, depth + 1, items);
    }
    return fine && rc >= 0;
}

static void seal(uint8_t *file, size_t len, size_t at)
{
    if (len >= at + BOLT_PAGE_HEADER + BOLT_META_SIZE) {
        uint8_t *meta = file + at + BOLT_PAGE_HEADER;
        bolt_put32(meta + BOLT_META_MAGIC, BOLT_MAGIC);
        bolt_put64(meta + BOLT_META_CHECKSUM, bolt_meta_sum(meta));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t *file = malloc(len ? len : 1);
    struct bolt_file f;
    struct tenure_error err;
    if (!file)
        return 0;
    if (len)
        memcpy(file, data, len);
    seal(file, len, 0);
    seal(file, len, 512);
    if (bolt_open(&f, bytes_of(file, len), &err) == 0) {
        struct bolt_bucket root;
        unsigned items = 0;
        bolt_root(&f, &root);
        bool fine = walk(&root, 0, &items);
        if (bolt_check(&f, &err) == 0 && !fine) /* what the check lets pass can be read */
            abort();
    }
    free(file);
    return 0;
}
