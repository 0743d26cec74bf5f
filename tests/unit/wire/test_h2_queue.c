/* What a stream has yet to send comes out as it went in, in whatever portions, and shared bytes stay shared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "tenure/error.h"
#include "wire/h2_queue.h"

static struct blob *make_blob(size_t len, uint8_t fill)
{
    struct blob *b = blob_new(len);
    assert_non_null(b);
    memset(b->data, fill, len);
    return b;
}

static void a_message_is_its_prefix_and_its_parts(void **state)
{
    (void)state;
    struct h2_queue q = {0};
    struct blob *b = make_blob(100, 'b');
    const struct h2_part parts[] = {{.plain = bytes_str("head")}, {.shared = b}, {.plain = bytes_str("")}};
    uint8_t out[109];
    assert_int_equal(h2_queue_push(&q, parts, 3), 0);
    assert_int_equal(b->refs, 2);
    assert_int_equal(q.bytes, sizeof out);
    h2_queue_take(&q, out, sizeof out);
    assert_memory_equal(out, "\0\0\0\0\x68head", 9);
    assert_memory_equal(out + 9, b->data, 100);
    assert_int_equal(q.bytes, 0);
    assert_int_equal(b->refs, 1);
    blob_unref(b);
    h2_queue_fini(&q);
}

static void an_empty_message_is_a_prefix(void **state)
{
    (void)state;
    struct h2_queue q = {0};
    uint8_t out[5];
    assert_int_equal(h2_queue_push(&q, NULL, 0), 0);
    assert_int_equal(q.bytes, 5);
    h2_queue_take(&q, out, 5);
    assert_memory_equal(out, "\0\0\0\0\0", 5);
    h2_queue_fini(&q);
}

static void dropping_gives_up_the_shared_parts(void **state)
{
    (void)state;
    struct h2_queue q = {0};
    struct blob *b = make_blob(1000, 'b');
    const struct h2_part part = {.shared = b};
    uint8_t out[50];
    for (int i = 0; i < 10; i++)
        assert_int_equal(h2_queue_push(&q, &part, 1), 0);
    h2_queue_take(&q, out, sizeof out);
    assert_int_equal(b->refs, 11);
    h2_queue_drop(&q);
    assert_int_equal(b->refs, 1);
    assert_int_equal(q.bytes, 0);
    assert_int_equal(h2_queue_push(&q, &part, 1), 0);
    h2_queue_fini(&q);
    assert_int_equal(b->refs, 1);
    blob_unref(b);
}

static void a_message_longer_than_a_prefix_can_say_is_refused_whole(void **state)
{
    (void)state;
    struct h2_queue q = {0};
    struct h2_part parts[3] = {{.plain = bytes_str("x")}};
    parts[1].plain = bytes_of("", 0);
    parts[1].plain.len = UINT32_MAX; /* never read */
    assert_int_equal(h2_queue_push(&q, parts, 2), TENURE_ETOOLARGE);
    assert_int_equal(q.bytes, 0);
    h2_queue_fini(&q);
}

/* The queue against a plain buffer, with random messages and portions. */
static void bytes_come_out_in_order_in_any_portions(void **state)
{
    (void)state;
    struct h2_queue q = {0};
    struct buf model;
    struct rng rng;
    static uint8_t source[3000];
    buf_init(&model);
    rng_init(&rng, 3);
    struct blob *blobs[] = {make_blob(1, 1), make_blob(63, 2), make_blob(64, 3), make_blob(5000, 4), make_blob(0, 5)};
    for (size_t i = 0; i < sizeof source; i++)
        source[i] = (uint8_t)rng_u64(&rng);
    for (int round = 0; round < 20000; round++) {
        if (rng_below(&rng, 2) || q.bytes == 0) {
            struct h2_part parts[4] = {0};
            size_t n = rng_below(&rng, 5);
            size_t total = 0;
            for (size_t i = 0; i < n; i++) {
                if (rng_below(&rng, 2))
                    parts[i].shared = blobs[rng_below(&rng, ARRAY_LEN(blobs))];
                else
                    parts[i].plain = bytes_of(source, rng_below(&rng, rng_below(&rng, 20) ? 100 : sizeof source));
                total += parts[i].shared ? parts[i].shared->len : parts[i].plain.len;
            }
            assert_int_equal(h2_queue_push(&q, parts, n), 0);
            buf_append_byte(&model, 0);
            buf_append_u32be(&model, (uint32_t)total);
            for (size_t i = 0; i < n; i++)
                buf_append_bytes(&model, parts[i].shared ? blob_bytes(parts[i].shared) : parts[i].plain);
        } else {
            static uint8_t out[20000];
            size_t n = rng_below(&rng, q.bytes < sizeof out ? q.bytes + 1 : sizeof out);
            h2_queue_take(&q, out, n);
            assert_true(n == 0 || memcmp(out, model.data, n) == 0);
            buf_consume(&model, n);
        }
        assert_int_equal(q.bytes, model.len);
    }
    h2_queue_fini(&q);
    for (size_t i = 0; i < ARRAY_LEN(blobs); i++) {
        assert_int_equal(blobs[i]->refs, 1);
        blob_unref(blobs[i]);
    }
    buf_fini(&model);
}

static void the_memory_of_a_large_message_is_not_kept(void **state)
{
    (void)state;
    static uint8_t large[100000];
    struct h2_queue q = {0};
    const struct h2_part part = {.plain = bytes_of(large, sizeof large)};
    uint8_t *out = malloc(sizeof large + 5);
    assert_non_null(out);
    assert_int_equal(h2_queue_push(&q, &part, 1), 0);
    h2_queue_take(&q, out, sizeof large + 5);
    assert_true(q.plain_cap <= 4096);
    free(out);
    h2_queue_fini(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_its_prefix_and_its_parts),
        cmocka_unit_test(an_empty_message_is_a_prefix),
        cmocka_unit_test(dropping_gives_up_the_shared_parts),
        cmocka_unit_test(a_message_longer_than_a_prefix_can_say_is_refused_whole),
        cmocka_unit_test(bytes_come_out_in_order_in_any_portions),
        cmocka_unit_test(the_memory_of_a_large_message_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
