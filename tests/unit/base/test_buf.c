/* buf: appending, the bound, the sticky error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "failmalloc.h"
#include "tenure/error.h"

static void assert_holds(const struct buf *b, const char *want, size_t len)
{
    assert_int_equal(buf_error(b), 0);
    assert_int_equal(b->len, len);
    assert_memory_equal(b->data, want, len);
}

static void what_is_appended_stands_in_order(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    buf_append(&b, "ab", 2);
    buf_append_bytes(&b, bytes_of("c\0", 2));
    buf_append_byte(&b, 0xff);
    buf_append_u32be(&b, 0x01020384);
    buf_printf(&b, "%s-%d", "x", 7);
    assert_holds(&b, "abc\0\xff\1\2\3\x84x-7", 12);
    buf_fini(&b);
}

static void appending_nothing_is_no_error(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    buf_append(&b, NULL, 0);
    buf_append_bytes(&b, bytes_of(NULL, 0));
    assert_int_equal(buf_error(&b), 0);
    assert_int_equal(buf_bytes(&b).len, 0);
    buf_printf(&b, "%s", "");
    assert_int_equal(buf_error(&b), 0);
    assert_int_equal(b.len, 0);
    buf_fini(&b);
}

static void a_long_text_is_printed_whole(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    for (int n = 0; n < 300; n++) {
        buf_printf(&b, "%0*d", n + 1, 7);
        assert_int_equal(b.data[b.len - 1], '7');
    }
    assert_int_equal(buf_error(&b), 0);
    assert_int_equal(b.len, 300 * 301 / 2);
    buf_fini(&b);
}

static void a_text_that_fills_the_room_exactly_is_printed_whole(void **state)
{
    (void)state;
    for (size_t left = 0; left < 8; left++) {
        struct buf b;
        buf_init(&b);
        assert_non_null(buf_reserve(&b, 1));
        while (b.cap - b.len > left)
            buf_append_byte(&b, '.');
        buf_printf(&b, "%s", "1234");
        assert_int_equal(buf_error(&b), 0);
        assert_memory_equal(b.data + b.len - 4, "1234", 4);
        buf_fini(&b);
    }
}

static void growth_is_by_doubling(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    failmalloc_off();
    for (int i = 0; i < 1000000; i++)
        buf_append_byte(&b, (uint8_t)i);
    assert_true(failmalloc_count() <= 16);
    for (int i = 0; i < 1000000; i++)
        assert_int_equal(b.data[i], (uint8_t)i);
    buf_fini(&b);
}

static void reserved_room_counts_when_it_is_added(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    uint8_t *at = buf_reserve(&b, 100);
    assert_non_null(at);
    assert_int_equal(b.len, 0);
    memcpy(at, "xyz", 3);
    buf_added(&b, 3);
    assert_holds(&b, "xyz", 3);
    assert_ptr_equal(buf_reserve(&b, 0), b.data + 3);
    buf_fini(&b);
}

static void a_reservation_of_nothing_answers_a_place(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    assert_non_null(buf_reserve(&b, 0));
    buf_fini(&b);
}

static void consuming_drops_the_front(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    buf_consume(&b, 0);
    buf_append(&b, "abcdef", 6);
    buf_consume(&b, 0);
    buf_consume(&b, 2);
    assert_holds(&b, "cdef", 4);
    buf_consume(&b, 4);
    assert_int_equal(b.len, 0);
    buf_append(&b, "x", 1);
    assert_holds(&b, "x", 1);
    buf_fini(&b);
}

static void the_bound_may_be_reached_but_not_passed(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    b.len_max = 4;
    buf_append(&b, "abc", 3);
    buf_printf(&b, "%d", 1);
    assert_holds(&b, "abc1", 4);
    buf_append_byte(&b, 'x');
    assert_int_equal(buf_error(&b), TENURE_ETOOLARGE);
    assert_memory_equal(b.data, "abc1", 4);
    assert_int_equal(b.len, 4);
    buf_fini(&b);
}

static void each_way_to_append_keeps_the_bound(void **state)
{
    (void)state;
    for (int way = 0; way < 5; way++) {
        struct buf b;
        buf_init(&b);
        b.len_max = 2;
        buf_append(&b, "a", 1);
        switch (way) {
        case 0:
            buf_append(&b, "bc", 2);
            break;
        case 1:
            buf_append_bytes(&b, bytes_str("bc"));
            break;
        case 2:
            buf_append_u32be(&b, 1);
            break;
        case 3:
            buf_printf(&b, "%s", "bc");
            break;
        default:
            assert_null(buf_reserve(&b, 2));
            break;
        }
        assert_int_equal(buf_error(&b), TENURE_ETOOLARGE);
        assert_int_equal(b.len, 1);
        buf_fini(&b);
    }
}

static void after_an_error_nothing_is_appended_until_a_reset(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    b.len_max = 3;
    buf_append(&b, "abcd", 4);
    buf_append(&b, "a", 1);
    buf_append_byte(&b, 'a');
    buf_append_u32be(&b, 1);
    buf_printf(&b, "a");
    assert_null(buf_reserve(&b, 1));
    assert_int_equal(buf_error(&b), TENURE_ETOOLARGE);
    assert_int_equal(b.len, 0);
    buf_reset(&b);
    buf_append(&b, "abc", 3);
    assert_holds(&b, "abc", 3);
    buf_fini(&b);
}

static void a_length_past_the_address_space_is_too_large(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    buf_append(&b, "abc", 3);
    assert_null(buf_reserve(&b, SIZE_MAX));
    assert_int_equal(buf_error(&b), TENURE_ETOOLARGE);
    buf_reset(&b);
    assert_null(buf_reserve(&b, SIZE_MAX - 3));
    assert_int_equal(buf_error(&b), TENURE_ETOOLARGE);
    buf_fini(&b);
}

static void a_reset_keeps_the_memory(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    buf_append(&b, "0123456789", 10);
    buf_reset(&b);
    failmalloc_off();
    buf_append(&b, "9876543210", 10);
    assert_int_equal(failmalloc_count(), 0);
    buf_fini(&b);
}

static void freeing_twice_does_nothing(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    buf_append(&b, "a", 1);
    buf_fini(&b);
    buf_fini(&b);
    assert_null(b.data);
}

/* What was appended before the failure must still be there, and nothing behind it. */
static int append_a_lot(void *user)
{
    (void)user;
    struct buf b;
    buf_init(&b);
    for (int i = 0; i < 200; i++) {
        size_t before = b.len;
        buf_append(&b, "0123456789", 10);
        buf_printf(&b, "%d", 5);
        if (buf_error(&b))
            assert_true(b.len == before || b.len == before + 10);
    }
    int rc = buf_error(&b);
    for (size_t i = 0; i < b.len; i++)
        assert_int_equal(b.data[i], "01234567895"[i % 11]);
    buf_fini(&b);
    return rc;
}

static void an_append_without_memory_sets_the_error_and_keeps_the_rest(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(append_a_lot, NULL) > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_appended_stands_in_order),
        cmocka_unit_test(appending_nothing_is_no_error),
        cmocka_unit_test(a_long_text_is_printed_whole),
        cmocka_unit_test(a_text_that_fills_the_room_exactly_is_printed_whole),
        cmocka_unit_test(growth_is_by_doubling),
        cmocka_unit_test(reserved_room_counts_when_it_is_added),
        cmocka_unit_test(a_reservation_of_nothing_answers_a_place),
        cmocka_unit_test(consuming_drops_the_front),
        cmocka_unit_test(the_bound_may_be_reached_but_not_passed),
        cmocka_unit_test(each_way_to_append_keeps_the_bound),
        cmocka_unit_test(after_an_error_nothing_is_appended_until_a_reset),
        cmocka_unit_test(a_length_past_the_address_space_is_too_large),
        cmocka_unit_test(a_reset_keeps_the_memory),
        cmocka_unit_test(freeing_twice_does_nothing),
        cmocka_unit_test(an_append_without_memory_sets_the_error_and_keeps_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
