/* The format of a bbolt file, as far as both the reader and the writer need it. Pure.
 *
 * A file is pages of one size. Pages 0 and 1 hold a meta each, of which the newer valid one counts; the root bucket that
 * it names is a B+tree of leaf and branch pages whose values are buckets themselves: a tree's root page and a sequence,
 * or, when small, a whole leaf page right behind these ("inline", root 0). A page that needs more room goes on over the
 * `overflow` pages behind it. All numbers are little-endian; offsets of keys count from their element.
 */
#ifndef BOLT_FORMAT_H
#define BOLT_FORMAT_H

#include <endian.h>

#include "base/bytes.h"

enum {
    BOLT_PAGE_SIZE = 4096, /* what we write; what we read may be another */
    BOLT_PAGE_HEADER = 16,
    BOLT_LEAF_ELEMENT = 16,
    BOLT_BRANCH_ELEMENT = 16,
    BOLT_BUCKET_HEADER = 16,
    BOLT_META_SIZE = 64, /* its checksum are the last 8 bytes */
    BOLT_META_SUMMED = 56,
    BOLT_KEY_MAX = 32768,
    BOLT_DEPTH_MAX = 32,   /* of a tree; and of buckets within buckets */
    BOLT_COUNT_MAX = 65534 /* elements of a page */
};

enum { BOLT_PAGE_BRANCH = 0x01, BOLT_PAGE_LEAF = 0x02, BOLT_PAGE_META = 0x04, BOLT_PAGE_FREELIST = 0x10 };
enum { BOLT_ELEMENT_BUCKET = 0x01 };

#define BOLT_MAGIC       0xED0CDAEDu
#define BOLT_VERSION     2u
#define BOLT_NO_FREELIST UINT64_MAX

/* Where the fields of a meta are. */
enum {
    BOLT_META_MAGIC = 0,
    BOLT_META_VERSION = 4,
    BOLT_META_PAGE_SIZE = 8,
    BOLT_META_ROOT = 16,
    BOLT_META_FREELIST = 32,
    BOLT_META_PAGES = 40, /* the first page that was never used */
    BOLT_META_TXID = 48,
    BOLT_META_CHECKSUM = 56
};

static inline uint16_t bolt_get16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return le16toh(v);
}
static inline uint32_t bolt_get32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return le32toh(v);
}
static inline uint64_t bolt_get64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return le64toh(v);
}
static inline void bolt_put16(uint8_t *p, uint16_t v)
{
    v = htole16(v);
    memcpy(p, &v, sizeof v);
}
static inline void bolt_put32(uint8_t *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof v);
}
static inline void bolt_put64(uint8_t *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof v);
}

/* FNV-64a over a meta up to its checksum. */
static inline uint64_t bolt_meta_sum(const uint8_t *meta)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < BOLT_META_SUMMED; i++)
        h = (h ^ meta[i]) * UINT64_C(0x100000001b3);
    return h;
}

#endif
