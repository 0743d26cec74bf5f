#include "file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

void file_init(struct file *f)
{
    *f = (struct file){0};
    buf_init(&f->bytes);
}

void file_fini(struct file *f)
{
    buf_fini(&f->bytes);
}

static int file_write(void *user, uint64_t offset, bytes data, struct tenure_error *err)
{
    struct file *f = user;
    if (++f->writes == f->fail_at)
        return error_set(err, TENURE_ENOSPACE, "no space");
    if (f->bytes.len < offset + data.len) {
        size_t more = offset + data.len - f->bytes.len;
        uint8_t *at = buf_reserve(&f->bytes, more);
        if (!at)
            return error_set(err, TENURE_ENOMEM, "out of memory");
        memset(at, 0xee, more);
        buf_added(&f->bytes, more);
    }
    memcpy(f->bytes.data + offset, data.data, data.len);
    return 0;
}

struct bolt_writer *file_writer(struct file *f)
{
    struct bolt_writer *w;
    struct bolt_output out = {.write = file_write, .user = f};
    return bolt_writer_new(&out, &w) ? NULL : w;
}

void file_finish(struct file *f, struct bolt_writer *w)
{
    uint64_t size;
    struct tenure_error err;
    assert_int_equal(bolt_writer_finish(w, &size, &err), 0);
    assert_int_equal(size, f->bytes.len);
    bolt_writer_free(w);
}

bytes key_of(unsigned i, char *room)
{
    snprintf(room, 16, "key%07u", i);
    return bytes_str(room);
}

void put_many(struct bolt_writer *w, const char *name, unsigned n, size_t value_len)
{
    char key[16];
    uint8_t *value = calloc(1, value_len + 1);
    assert_non_null(value);
    bolt_bucket_begin(w, bytes_str(name));
    for (unsigned i = 0; i < n; i++) {
        memset(value, (int)('a' + i % 26), value_len);
        bolt_put(w, key_of(i, key), bytes_of(value, value_len));
    }
    bolt_bucket_end(w);
    free(value);
}

void file_reseal(struct file *f)
{
    for (size_t at = BOLT_PAGE_HEADER; at <= BOLT_PAGE_SIZE + BOLT_PAGE_HEADER; at += BOLT_PAGE_SIZE)
        bolt_put64(f->bytes.data + at + BOLT_META_CHECKSUM, bolt_meta_sum(f->bytes.data + at));
}

static int64_t walk_bucket(const struct bolt_bucket *b, unsigned depth, struct tenure_error *err)
{
    struct bolt_cursor c;
    struct bolt_item item;
    int64_t n = 0;
    int rc;
    if (depth > 8) /* a damaged file may hold itself: walking it is then the caller's loop */
        return 0;
    bolt_cursor_start(&c, b);
    while ((rc = bolt_cursor_next(&c, &item, err)) == 1) {
        struct bolt_bucket inner;
        n++;
        if (!item.is_bucket)
            continue;
        rc = bolt_bucket_of(b->file, &item, &inner, err);
        int64_t inside = rc ? rc : walk_bucket(&inner, depth + 1, err);
        if (inside < 0)
            return inside;
        n += inside;
    }
    return rc ? rc : n;
}

int64_t walk_all(const struct bolt_file *f, struct tenure_error *err)
{
    struct bolt_bucket root;
    bolt_root(f, &root);
    return walk_bucket(&root, 0, err);
}
