/* bolt/writer: what goes in comes out again, for every kind of page, and the file is as bbolt wants it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "failmalloc.h"
#include "file.h"

static struct bolt_file opened(const struct file *f)
{
    struct bolt_file ret;
    struct tenure_error err;
    if (bolt_open(&ret, buf_bytes(&f->bytes), &err) != 0)
        fail_msg("open: %s", err.text);
    if (bolt_check(&ret, &err) != 0)
        fail_msg("check: %s", err.text);
    return ret;
}

static void expect_bucket(const struct bolt_file *f, const char *name, unsigned n, size_t value_len)
{
    struct bolt_bucket root, b;
    struct bolt_cursor c;
    struct bolt_item item;
    struct tenure_error err;
    char key[16];
    bolt_root(f, &root);
    assert_int_equal(bolt_bucket_find(&root, bytes_str(name), &b, &err), 0);
    bolt_cursor_start(&c, &b);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(bolt_cursor_next(&c, &item, &err), 1);
        assert_true(bytes_equal(item.key, key_of(i, key)));
        assert_int_equal(item.value.len, value_len);
        assert_false(item.is_bucket);
        if (value_len) {
            assert_int_equal(item.value.data[0], 'a' + i % 26);
            assert_int_equal(item.value.data[value_len - 1], 'a' + i % 26);
        }
    }
    assert_int_equal(bolt_cursor_next(&c, &item, &err), 0);
}

static void round_trip(unsigned n, size_t value_len)
{
    struct file f;
    file_init(&f);
    struct bolt_writer *w = file_writer(&f);
    put_many(w, "key", n, value_len);
    file_finish(&f, w);
    struct bolt_file b = opened(&f);
    expect_bucket(&b, "key", n, value_len);
    file_fini(&f);
}

static void a_file_without_buckets_is_whole(void **state)
{
    (void)state;
    struct file f;
    struct tenure_error err;
    file_init(&f);
    file_finish(&f, file_writer(&f));
    struct bolt_file b = opened(&f);
    assert_int_equal(walk_all(&b, &err), 0);
    assert_int_equal(b.pages, 4);
    file_fini(&f);
}

static void buckets_of_every_size_come_back(void **state)
{
    (void)state;
    const unsigned sizes[] = {0, 1, 2, 3, 30, 31, 60, 100, 1000, 10000, 100000};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        round_trip(sizes[i], 0);
        round_trip(sizes[i], 100);
    }
}

static void a_million_keys_come_back(void **state)
{
    (void)state;
    round_trip(1000000, 8);
}

/* Around what fits a page once and twice, and far beyond. */
static void large_values_overflow(void **state)
{
    (void)state;
    const size_t sizes[] = {1000, 2018, 2019, 2020, 4053, 4054, 4055, 4096, 8192, 1 << 20};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        round_trip(1, sizes[i]);
        round_trip(5, sizes[i]);
    }
}

/* A branch whose last child would stand alone: each number of leaves has to come out right. */
static void no_branch_has_a_single_child(void **state)
{
    (void)state;
    for (unsigned n = 140; n < 420; n++)
        round_trip(n, 3500);
}

static unsigned branch_children_min(const struct file *f)
{
    unsigned least = UINT32_MAX;
    for (size_t at = 0; at < f->bytes.len; at += BOLT_PAGE_SIZE * (1 + (size_t)bolt_get32(f->bytes.data + at + 12))) {
        unsigned n = bolt_get16(f->bytes.data + at + 10);
        if (bolt_get16(f->bytes.data + at + 8) == BOLT_PAGE_BRANCH && n < least)
            least = n;
    }
    return least;
}

static void even_keys_as_long_as_pages_leave_two_children_a_branch(void **state)
{
    (void)state;
    static uint8_t key[BOLT_KEY_MAX];
    for (unsigned n = 2; n < 12; n++) {
        struct file f;
        file_init(&f);
        struct bolt_writer *w = file_writer(&f);
        bolt_bucket_begin(w, bytes_str("b"));
        for (unsigned i = 0; i < n; i++) {
            key[0] = (uint8_t)i;
            bolt_put(w, bytes_of(key, sizeof key), bytes_str("v"));
        }
        bolt_bucket_end(w);
        file_finish(&f, w);
        opened(&f);
        assert_true(branch_children_min(&f) >= 2);
        file_fini(&f);
    }
}

static void buckets_of_the_root_may_come_in_any_order(void **state)
{
    (void)state;
    struct file f;
    struct bolt_bucket root;
    struct bolt_cursor c;
    struct bolt_item item;
    struct tenure_error err;
    const char *const names[] = {"meta", "key", "alarm", "members", "auth"};
    const char *const ordered[] = {"alarm", "auth", "key", "members", "meta"};
    file_init(&f);
    struct bolt_writer *w = file_writer(&f);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        put_many(w, names[i], (unsigned)(i * i * i * 10), 50);
    file_finish(&f, w);
    struct bolt_file b = opened(&f);
    bolt_root(&b, &root);
    bolt_cursor_start(&c, &root);
    for (size_t i = 0; i < ARRAY_LEN(ordered); i++) {
        assert_int_equal(bolt_cursor_next(&c, &item, &err), 1);
        assert_true(bytes_equal(item.key, bytes_str(ordered[i])));
        assert_true(item.is_bucket);
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        expect_bucket(&b, names[i], (unsigned)(i * i * i * 10), 50);
    file_fini(&f);
}

static void buckets_stand_within_buckets(void **state)
{
    (void)state;
    struct file f;
    struct tenure_error err;
    file_init(&f);
    struct bolt_writer *w = file_writer(&f);
    for (unsigned i = 0; i < 20; i++) {
        bolt_bucket_begin(w, bytes_str("inner"));
        bolt_put(w, bytes_str("a"), bytes_str("b"));
        put_many(w, "b", i * 20, 10);
    }
    for (unsigned i = 0; i < 20; i++)
        bolt_bucket_end(w);
    file_finish(&f, w);
    struct bolt_file b = opened(&f);
    struct bolt_bucket at;
    bolt_root(&b, &at);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(bolt_bucket_find(&at, bytes_str("inner"), &at, &err), 0);
    bytes value;
    assert_int_equal(bolt_get(&at, bytes_str("a"), &value, &err), 0);
    assert_true(bytes_equal(value, bytes_str("b")));
    assert_int_equal(bolt_get(&at, bytes_str("c"), &value, &err), TENURE_ENOTFOUND);
    file_fini(&f);
}

static int finish_error(struct bolt_writer *w)
{
    uint64_t size;
    int rc = bolt_writer_finish(w, &size, NULL);
    bolt_writer_free(w);
    return rc;
}

static void buckets_that_are_too_deep_are_refused(void **state)
{
    (void)state;
    struct file f;
    file_init(&f);
    struct bolt_writer *w = file_writer(&f);
    for (unsigned i = 0; i < 40; i++)
        bolt_bucket_begin(w, bytes_str("inner"));
    for (unsigned i = 0; i < 40; i++)
        bolt_bucket_end(w);
    assert_int_equal(finish_error(w), TENURE_ELIMIT);
    file_fini(&f);
}

static void what_the_format_does_not_take_is_refused(void **state)
{
    (void)state;
    static uint8_t key[BOLT_KEY_MAX + 1];
    const bytes bad[] = {bytes_of(NULL, 0), bytes_of(key, sizeof key), bytes_str("a"), bytes_str("b")};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct file f;
        file_init(&f);
        struct bolt_writer *w = file_writer(&f);
        bolt_bucket_begin(w, bytes_str("bucket"));
        bolt_put(w, bytes_str("b"), bytes_str("1"));
        assert_int_equal(bolt_writer_error(w), 0);
        bolt_put(w, bad[i], bytes_str("2"));
        bolt_put(w, bytes_str("c"), bytes_str("3"));
        bolt_bucket_end(w);
        assert_int_equal(finish_error(w), TENURE_EINVALID);
        file_fini(&f);
    }
}

static void a_write_that_fails_is_what_the_end_answers(void **state)
{
    (void)state;
    int writes = 0;
    for (int at = 1;; at++) {
        struct file f;
        file_init(&f);
        f.fail_at = at;
        struct bolt_writer *w = file_writer(&f);
        put_many(w, "key", 500, 100);
        put_many(w, "meta", 1, 100);
        int rc = finish_error(w);
        writes = f.writes;
        file_fini(&f);
        if (rc == 0)
            break;
        assert_int_equal(rc, TENURE_ENOSPACE);
        assert_int_equal(writes, at); /* nothing was tried behind it */
    }
    assert_true(writes > 15);
}

static int write_some(void *user)
{
    (void)user;
    struct file f;
    uint64_t size;
    file_init(&f);
    struct bolt_writer *w = file_writer(&f);
    int rc = w ? 0 : TENURE_ENOMEM;
    if (w) {
        bytes key = bytes_str("key");
        uint8_t name = 'a';
        for (; name < 'd'; name++) {
            bolt_bucket_begin(w, bytes_of(&name, 1));
            for (uint8_t i = 0; i < 40; i++) {
                uint8_t k[400] = {i};
                bolt_put(w, bytes_of(k, sizeof k), key);
            }
            bolt_bucket_begin(w, bytes_str("zz"));
            bolt_bucket_end(w);
            bolt_bucket_end(w);
        }
        rc = bolt_writer_finish(w, &size, NULL);
    }
    bolt_writer_free(w);
    file_fini(&f);
    return rc;
}

static void memory_that_is_short_is_told(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(write_some, NULL) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_without_buckets_is_whole),
        cmocka_unit_test(buckets_of_every_size_come_back),
        cmocka_unit_test(a_million_keys_come_back),
        cmocka_unit_test(large_values_overflow),
        cmocka_unit_test(no_branch_has_a_single_child),
        cmocka_unit_test(even_keys_as_long_as_pages_leave_two_children_a_branch),
        cmocka_unit_test(buckets_of_the_root_may_come_in_any_order),
        cmocka_unit_test(buckets_stand_within_buckets),
        cmocka_unit_test(buckets_that_are_too_deep_are_refused),
        cmocka_unit_test(what_the_format_does_not_take_is_refused),
        cmocka_unit_test(a_write_that_fails_is_what_the_end_answers),
        cmocka_unit_test(memory_that_is_short_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
