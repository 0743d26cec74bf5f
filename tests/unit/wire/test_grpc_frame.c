/* Messages out of bytes, however these are cut, within the shared budget. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/rng.h"
#include "wire/grpc_frame.h"

enum { LEN_MAX = 100000 };

static void add_message(struct buf *b, size_t len, uint8_t fill)
{
    uint8_t prefix[GRPC_PREFIX_SIZE];
    grpc_prefix_write(prefix, (uint32_t)len);
    buf_append(b, prefix, sizeof prefix);
    uint8_t *p = buf_reserve(b, len);
    assert_non_null(p);
    memset(p, fill, len);
    buf_added(b, len);
}

static void messages_are_the_same_however_the_bytes_are_cut(void **state)
{
    (void)state;
    static const size_t lens[] = {0, 1, 0, 0, 511, 512, 513, 5, 70000, 0, 3};
    struct buf all;
    struct rng rng;
    buf_init(&all);
    rng_init(&rng, 7);
    for (size_t i = 0; i < ARRAY_LEN(lens); i++)
        add_message(&all, lens[i], (uint8_t)i);
    for (int round = 0; round < 400; round++) {
        struct grpc_in g = {0};
        struct grpc_budget budget = {.max = LEN_MAX};
        size_t seen = 0, piece_max = round == 0 ? 1 : 1 + rng_below(&rng, round < 200 ? 20 : 20000);
        for (size_t at = 0; at < all.len;) {
            size_t n = 1 + rng_below(&rng, piece_max);
            n = n < all.len - at ? n : all.len - at;
            uint8_t *copy = malloc(n);
            assert_non_null(copy);
            memcpy(copy, all.data + at, n);
            bytes message, chunk = bytes_of(copy, n);
            enum grpc_in_result r;
            while ((r = grpc_in_next(&g, &chunk, LEN_MAX, &budget, &message)) == GRPC_IN_MESSAGE) {
                assert_int_equal(message.len, lens[seen]);
                for (size_t i = 0; i < message.len; i++)
                    assert_int_equal(message.data[i], seen);
                seen++;
            }
            assert_int_equal(r, GRPC_IN_MORE);
            assert_int_equal(chunk.len, 0);
            free(copy);
            at += n;
        }
        assert_int_equal(seen, ARRAY_LEN(lens));
        assert_false(grpc_in_unfinished(&g));
        grpc_in_fini(&g, &budget);
        assert_int_equal(budget.used, 0);
    }
    buf_fini(&all);
}

static void a_message_within_one_chunk_is_not_copied(void **state)
{
    (void)state;
    const uint8_t data[] = {0, 0, 0, 0, 3, 'a', 'b', 'c', 0};
    struct grpc_in g = {0};
    struct grpc_budget budget = {.max = 0};
    bytes message, chunk = bytes_of(data, sizeof data);
    assert_int_equal(grpc_in_next(&g, &chunk, 3, &budget, &message), GRPC_IN_MESSAGE);
    assert_ptr_equal(message.data, data + 5);
    assert_false(grpc_in_unfinished(&g));
    assert_int_equal(grpc_in_next(&g, &chunk, 3, &budget, &message), GRPC_IN_MORE);
    assert_true(grpc_in_unfinished(&g));
    grpc_in_fini(&g, &budget);
}

static enum grpc_in_result feed(struct grpc_in *g, const void *data, size_t len, struct grpc_budget *budget)
{
    bytes message, chunk = bytes_of(data, len);
    return grpc_in_next(g, &chunk, 1000, budget, &message);
}

static void the_prefix_alone_decides_what_is_refused(void **state)
{
    (void)state;
    struct grpc_budget budget = {.max = 1000};
    struct grpc_in a = {0}, b = {0}, c = {0}, d = {0};
    assert_int_equal(feed(&a, "\1\0\0\0\0", 5, &budget), GRPC_IN_COMPRESSED);
    assert_int_equal(feed(&b, "\x80\0\0\0\0", 5, &budget), GRPC_IN_MALFORMED);
    assert_int_equal(feed(&c, "\0\0\0\x03\xe9", 5, &budget), GRPC_IN_TOO_LARGE);
    assert_int_equal(c.len, 1001);
    assert_int_equal(feed(&d, "\0\0\0\x03\xe8", 5, &budget), GRPC_IN_MORE);
    assert_int_equal(budget.used, 0);
}

/* A length costs nothing until its bytes come. */
static void memory_follows_what_came_not_what_was_announced(void **state)
{
    (void)state;
    struct grpc_budget budget = {.max = LEN_MAX};
    struct grpc_in g = {0};
    bytes message, chunk = bytes_of("\0\0\1\x86\xa0"
                                    "0123456789",
                                    15);
    assert_int_equal(grpc_in_next(&g, &chunk, LEN_MAX, &budget, &message), GRPC_IN_MORE);
    assert_true(budget.used > 0 && budget.used <= 1024);
    grpc_in_fini(&g, &budget);
    assert_int_equal(budget.used, 0);
}

static void the_budget_is_shared_and_given_back(void **state)
{
    (void)state;
    struct grpc_budget budget = {.max = 1000};
    struct grpc_in a = {0}, b = {0};
    uint8_t part[705] = {0, 0, 0, 3, 0x20}; /* of 800 bytes */
    assert_int_equal(feed(&a, part, sizeof part, &budget), GRPC_IN_MORE);
    assert_int_equal(feed(&b, part, sizeof part, &budget), GRPC_IN_OVER_BUDGET);
    assert_int_equal(feed(&a, part, 100, &budget), GRPC_IN_MESSAGE);
    assert_int_equal(feed(&a, part, 0, &budget), GRPC_IN_MORE);
    assert_int_equal(budget.used, 0);
    grpc_in_fini(&b, &budget);
    assert_int_equal(feed(&b, part, sizeof part, &budget), GRPC_IN_MORE);
    grpc_in_fini(&a, &budget);
    grpc_in_fini(&b, &budget);
    assert_int_equal(budget.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_the_same_however_the_bytes_are_cut),
        cmocka_unit_test(a_message_within_one_chunk_is_not_copied),
        cmocka_unit_test(the_prefix_alone_decides_what_is_refused),
        cmocka_unit_test(memory_follows_what_came_not_what_was_announced),
        cmocka_unit_test(the_budget_is_shared_and_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
