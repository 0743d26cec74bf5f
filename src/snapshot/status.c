/* See status.h. Keys are counted by a table of those seen, which borrows their bytes from the file. */
#include "snapshot/status.h"

#include <stdlib.h>

#include "base/crc32c.h"
#include "base/map.h"
#include "snapshot/schema.h"

struct seen {
    bytes key;
    struct seen *next; /* another key with the same hash */
    bool lives;
};

struct count {
    const struct bolt_file *file;
    struct snapshot_status *status;
    struct map seen;
    struct tenure_error *err;
};

static uint64_t hash_of(bytes key)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < key.len; i++)
        h = (h ^ key.data[i]) * UINT64_C(0x100000001b3);
    return h;
}

static int see(struct count *c, bytes key, bool lives)
{
    uint64_t hash = hash_of(key);
    struct seen *first = map_get(&c->seen, hash), *s = first;
    while (s && !bytes_equal(s->key, key))
        s = s->next;
    if (!s && !lives)
        return 0;
    if (!s) {
        s = calloc(1, sizeof *s);
        if (!s || map_put(&c->seen, hash, s) < 0) {
            free(s);
            return error_set(c->err, TENURE_ENOMEM, "snapshot status: out of memory");
        }
        s->key = key;
        s->next = first;
    }
    c->status->keys += (int)lives - (int)s->lives;
    s->lives = lives;
    return 0;
}

static void forget_all(struct count *c)
{
    size_t at = 0;
    for (struct seen *s; (s = map_next(&c->seen, &at));) {
        while (s) {
            struct seen *next = s->next;
            free(s);
            s = next;
        }
    }
    map_fini(&c->seen);
}

static int count_kv(struct count *c, const struct bolt_item *item)
{
    struct schema_rev rev;
    struct kv kv;
    if (!schema_rev_decode(item->key, &rev) || !schema_kv_decode(item->value, &kv))
        return error_set(c->err, TENURE_ECORRUPT, "bucket key: an entry is no revision of a key");
    c->status->revision = rev.main;
    return see(c, kv.key, !rev.tombstone);
}

static void add_hash(struct count *c, bytes s)
{
    c->status->hash = crc32c(c->status->hash, s.data, s.len);
}

static int count_bucket(struct count *c, const struct bolt_item *bucket)
{
    struct bolt_bucket b;
    struct bolt_cursor cursor;
    struct bolt_item item;
    bool is_key = bytes_equal(bucket->key, bytes_str(SCHEMA_KEY));
    bool is_meta = bytes_equal(bucket->key, bytes_str(SCHEMA_META));
    int rc = bolt_bucket_of(c->file, bucket, &b, c->err);
    if (rc)
        return rc;
    add_hash(c, bucket->key);
    bolt_cursor_start(&cursor, &b);
    while ((rc = bolt_cursor_next(&cursor, &item, c->err)) == 1) {
        add_hash(c, item.key);
        add_hash(c, item.value);
        if (is_meta && bytes_equal(item.key, bytes_str("storageVersion")))
            c->status->version = item.value;
        rc = is_key ? count_kv(c, &item) : 0;
        if (rc)
            return rc;
    }
    return rc;
}

static int count_all(struct count *c)
{
    struct bolt_bucket root;
    struct bolt_cursor cursor;
    struct bolt_item item;
    int rc;
    bolt_root(c->file, &root);
    bolt_cursor_start(&cursor, &root);
    while ((rc = bolt_cursor_next(&cursor, &item, c->err)) == 1) {
        rc = count_bucket(c, &item);
        if (rc)
            return rc;
    }
    return rc;
}

int snapshot_status(const struct bolt_file *file, struct snapshot_status *ret, struct tenure_error *err)
{
    struct count c = {.file = file, .status = ret, .err = err};
    *ret = (struct snapshot_status){.size = bolt_size(file)};
    int rc = bolt_check(file, err);
    if (rc)
        return rc;
    map_init(&c.seen);
    rc = count_all(&c);
    forget_all(&c);
    return rc;
}
