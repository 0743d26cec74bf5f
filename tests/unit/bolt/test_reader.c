/* bolt/reader: which meta counts, and that no damage leads astray: reading reports or goes on, it never leaves the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "file.h"

static void make_sample(struct file *f)
{
    file_init(f);
    struct bolt_writer *w = file_writer(f);
    put_many(w, "key", 700, 40);
    put_many(w, "lease", 10, 20);
    bolt_bucket_begin(w, bytes_str("members"));
    bolt_put(w, bytes_str("a"), bytes_str("b"));
    put_many(w, "deep", 200, 30);
    bolt_bucket_end(w);
    put_many(w, "large", 2, 10000);
    put_many(w, "nothing", 0, 0);
    file_finish(f, w);
}

static uint8_t *meta(struct file *f, size_t i)
{
    return f->bytes.data + i * BOLT_PAGE_SIZE + BOLT_PAGE_HEADER;
}

static void the_newer_meta_counts(void **state)
{
    (void)state;
    struct file f;
    struct bolt_file b;
    make_sample(&f);
    assert_int_equal(bolt_open(&b, buf_bytes(&f.bytes), NULL), 0);
    assert_int_equal(b.txid, 2);
    bolt_put64(meta(&f, 1) + BOLT_META_TXID, 3);
    file_reseal(&f);
    assert_int_equal(bolt_open(&b, buf_bytes(&f.bytes), NULL), 0);
    assert_int_equal(b.txid, 3);
    file_fini(&f);
}

static void a_damaged_meta_leaves_the_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct file f;
        struct bolt_file b;
        struct tenure_error err;
        make_sample(&f);
        meta(&f, i)[BOLT_META_ROOT] ^= 1;
        assert_int_equal(bolt_open(&b, buf_bytes(&f.bytes), &err), 0);
        assert_int_equal(b.txid, i == 0 ? 1 : 2);
        assert_true(walk_all(&b, &err) > 900);
        meta(&f, 1 - i)[BOLT_META_ROOT] ^= 1;
        assert_int_equal(bolt_open(&b, buf_bytes(&f.bytes), &err), TENURE_ECORRUPT);
        file_fini(&f);
    }
}

static void another_version_is_named(void **state)
{
    (void)state;
    struct file f;
    struct bolt_file b;
    make_sample(&f);
    bolt_put32(meta(&f, 0) + BOLT_META_VERSION, 3);
    bolt_put32(meta(&f, 1) + BOLT_META_VERSION, 3);
    file_reseal(&f);
    assert_int_equal(bolt_open(&b, buf_bytes(&f.bytes), NULL), TENURE_EVERSION);
    file_fini(&f);
}

static void what_stands_behind_the_pages_is_no_part_of_them(void **state)
{
    (void)state;
    struct file f;
    struct bolt_file b;
    make_sample(&f);
    size_t len = f.bytes.len;
    buf_append(&f.bytes, "a sum of thirty-two bytes, it is", 32);
    assert_int_equal(bolt_open(&b, buf_bytes(&f.bytes), NULL), 0);
    assert_int_equal(bolt_size(&b), len);
    file_fini(&f);
}

static void every_cut_is_noticed(void **state)
{
    (void)state;
    struct file f;
    make_sample(&f);
    for (size_t len = 0; len < f.bytes.len; len += len < 9000 ? 1 : 97) {
        struct bolt_file b;
        uint8_t *copy = malloc(len + 1);
        assert_non_null(copy);
        memcpy(copy, f.bytes.data, len);
        assert_int_equal(bolt_open(&b, bytes_of(copy, len), NULL), TENURE_ECORRUPT);
        free(copy);
    }
    file_fini(&f);
}

/* What the check lets pass can be walked. */
static void look(struct file *f)
{
    struct bolt_file b;
    struct tenure_error err;
    if (bolt_open(&b, buf_bytes(&f->bytes), &err) != 0)
        return;
    int64_t walked = walk_all(&b, &err);
    int checked = bolt_check(&b, &err);
    assert_true(checked == 0 || checked == TENURE_ECORRUPT);
    if (checked == 0)
        assert_true(walked >= 0);
}

static void each_flipped_bit_of_heads_and_elements_is_survived(void **state)
{
    (void)state;
    struct file f;
    make_sample(&f);
    for (size_t page = 2; page < f.bytes.len / BOLT_PAGE_SIZE; page++) {
        for (size_t bit = 0; bit < 8 * 80; bit++) {
            uint8_t *at = f.bytes.data + page * BOLT_PAGE_SIZE + bit / 8;
            *at ^= (uint8_t)(1u << bit % 8);
            look(&f);
            *at ^= (uint8_t)(1u << bit % 8);
        }
    }
    file_fini(&f);
}

static void random_damage_is_survived(void **state)
{
    (void)state;
    struct file f, whole;
    struct rng r;
    make_sample(&f);
    make_sample(&whole);
    rng_init(&r, 11);
    for (int i = 0; i < 3000; i++) {
        for (uint64_t n = rng_u64(&r) % 8 + 1; n > 0; n--) {
            size_t at = (size_t)(rng_u64(&r) % (f.bytes.len - 9));
            bolt_put64(f.bytes.data + at, rng_u64(&r) % 3 ? rng_u64(&r) % 20 : rng_u64(&r));
        }
        if (i % 2)
            file_reseal(&f);
        look(&f);
        memcpy(f.bytes.data, whole.bytes.data, f.bytes.len);
    }
    file_fini(&f);
    file_fini(&whole);
}

/* The root says that it is its own child, and the like. */
static void a_circle_of_pages_ends(void **state)
{
    (void)state;
    struct file f;
    struct bolt_file b;
    struct tenure_error err;
    file_init(&f);
    struct bolt_writer *w = file_writer(&f);
    put_many(w, "key", 700, 40);
    file_finish(&f, w);
    for (size_t at = 0; at < f.bytes.len; at += BOLT_PAGE_SIZE) {
        if (bolt_get16(f.bytes.data + at + 8) == BOLT_PAGE_BRANCH)
            bolt_put64(f.bytes.data + at + BOLT_PAGE_HEADER + 8, at / BOLT_PAGE_SIZE);
    }
    assert_int_equal(bolt_open(&b, buf_bytes(&f.bytes), &err), 0);
    assert_int_equal(walk_all(&b, &err), TENURE_ECORRUPT);
    assert_int_equal(bolt_check(&b, &err), TENURE_ECORRUPT);
    file_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newer_meta_counts),
        cmocka_unit_test(a_damaged_meta_leaves_the_other),
        cmocka_unit_test(another_version_is_named),
        cmocka_unit_test(what_stands_behind_the_pages_is_no_part_of_them),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(each_flipped_bit_of_heads_and_elements_is_survived),
        cmocka_unit_test(random_damage_is_survived),
        cmocka_unit_test(a_circle_of_pages_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
