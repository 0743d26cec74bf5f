/* arena: handing out, the bound, what a reset keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/rng.h"
#include "failmalloc.h"
#include "tenure/error.h"

static void each_allocation_is_aligned_and_its_own(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    struct rng r;
    rng_init(&r, 1);
    static uint8_t *place[2000];
    static size_t size[2000];
    for (size_t i = 0; i < ARRAY_LEN(place); i++) {
        size[i] = (size_t)rng_below(&r, i % 50 ? 200 : 50000);
        place[i] = arena_alloc(&a, size[i]);
        assert_non_null(place[i]);
        assert_int_equal((uintptr_t)place[i] % 16, 0);
        memset(place[i], (int)(i & 0xff), size[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(place); i++) {
        for (size_t at = 0; at < size[i]; at++)
            assert_true(place[i][at] == (i & 0xff));
    }
    arena_fini(&a);
}

static void size_zero_answers_a_place_of_its_own(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    void *first = arena_alloc(&a, 0);
    void *second = arena_alloc(&a, 0);
    assert_non_null(first);
    assert_non_null(second);
    assert_ptr_not_equal(first, second);
    arena_fini(&a);
}

static void zeroed_memory_is_zero_also_after_a_reset(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    memset(arena_alloc(&a, 1000), 0xff, 1000);
    arena_reset(&a);
    uint8_t *data = arena_zalloc(&a, 500);
    uint32_t *numbers = arena_array(&a, 100, sizeof *numbers);
    for (size_t i = 0; i < 500; i++)
        assert_int_equal(data[i], 0);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(numbers[i], 0);
    arena_fini(&a);
}

static void an_array_whose_size_overflows_is_refused(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    assert_null(arena_array(&a, SIZE_MAX / 8 + 2, 8)); /* the product is 8 */
    assert_null(arena_array(&a, 8, SIZE_MAX / 8 + 2));
    assert_null(arena_array(&a, SIZE_MAX / 2, 2));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_int_equal(a.total, 0);
    assert_non_null(arena_array(&a, 0, 8));
    assert_non_null(arena_array(&a, 8, 0));
    arena_fini(&a);
}

static void copies_end_with_a_zero_that_is_not_counted(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    bytes copy = arena_copy(&a, bytes_of("a\0b", 3));
    assert_int_equal(copy.len, 3);
    assert_memory_equal(copy.data, "a\0b", 4);
    bytes empty = arena_copy(&a, bytes_of(NULL, 0));
    assert_int_equal(empty.len, 0);
    assert_non_null(empty.data);
    assert_string_equal(arena_strdup(&a, "text"), "text");
    assert_string_equal(arena_strdup(&a, ""), "");
    assert_string_equal(arena_printf(&a, "%s=%d", "n", 42), "n=42");
    arena_fini(&a);
}

static void the_bound_may_be_reached_but_not_passed(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1024);
    assert_non_null(arena_alloc(&a, 512));
    assert_null(arena_alloc(&a, 513));
    assert_non_null(arena_alloc(&a, 512));
    assert_null(arena_alloc(&a, 1));
    assert_null(arena_copy(&a, bytes_str("x")).data);
    assert_null(arena_strdup(&a, "x"));
    assert_null(arena_printf(&a, "x"));
    assert_int_equal(a.total, 1024);
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 1024));
    arena_fini(&a);
}

static void the_bound_counts_what_is_handed_out_and_not_what_was_asked_for(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1000);
    assert_non_null(arena_alloc(&a, 990)); /* 992 */
    assert_null(arena_alloc(&a, 8));       /* 16 */
    arena_fini(&a);
}

static void use_like_a_call(struct arena *a)
{
    for (int i = 0; i < 40; i++)
        assert_non_null(arena_alloc(a, 300));
    assert_non_null(arena_alloc(a, 3000));
    arena_reset(a);
}

static void a_steady_call_path_stops_calling_malloc(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    for (int call = 0; call < 4; call++)
        use_like_a_call(&a);
    failmalloc_off();
    for (int call = 0; call < 100; call++)
        use_like_a_call(&a);
    assert_int_equal(failmalloc_count(), 0);
    arena_fini(&a);
}

static void one_large_call_does_not_leave_a_large_arena(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    assert_non_null(arena_alloc(&a, 10 << 20));
    assert_non_null(arena_alloc(&a, 100));
    assert_non_null(arena_alloc(&a, 10 << 20));
    arena_reset(&a);
    assert_int_equal(a.total, 0);
    failmalloc_off();
    assert_non_null(arena_alloc(&a, 16000)); /* the kept block is a small one */
    assert_int_equal(failmalloc_count(), 1);
    arena_fini(&a);

    arena_init(&a, 0);
    assert_non_null(arena_alloc(&a, 10 << 20));
    arena_reset(&a); /* nothing but the large one: nothing is kept */
    failmalloc_off();
    assert_non_null(arena_alloc(&a, 16));
    assert_int_equal(failmalloc_count(), 1);
    arena_fini(&a);
}

static void a_large_allocation_leaves_the_block_in_use(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    uint8_t *before = arena_alloc(&a, 16);
    assert_non_null(arena_alloc(&a, 1 << 20));
    uint8_t *after = arena_alloc(&a, 16);
    assert_ptr_equal(after, before + 16);
    arena_fini(&a);
}

static void many_small_allocations_need_few_blocks(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    failmalloc_off();
    for (int i = 0; i < 65536; i++)
        assert_non_null(arena_alloc(&a, 16));
    assert_true(failmalloc_count() < 40); /* 1 MiB in blocks of at most 32 KiB */
    arena_fini(&a);
}

static void an_arena_is_usable_after_being_freed(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 64);
    arena_fini(&a);
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 64));
    assert_null(arena_alloc(&a, 1));
    arena_fini(&a);
    arena_fini(&a);
}

static int decode_a_message(void *user)
{
    (void)user;
    struct arena a;
    arena_init(&a, 0);
    int rc = 0;
    for (int i = 0; i < 60 && !rc; i++) {
        size_t before = a.total;
        bool large = i % 20 == 0;
        bytes copy = arena_copy(&a, bytes_str("some key of a usual length"));
        char *text = arena_printf(&a, "%d", i);
        void *block = arena_zalloc(&a, large ? 40000 : 500);
        rc = copy.data && text && block ? 0 : TENURE_ENOMEM;
        if (!copy.data && !text && !block)
            assert_int_equal(a.total, before);
        if (copy.data)
            assert_true(bytes_equal(copy, bytes_str("some key of a usual length")));
    }
    arena_reset(&a);
    arena_fini(&a);
    return rc;
}

static void an_allocation_without_memory_answers_null_and_counts_nothing(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(decode_a_message, NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_is_aligned_and_its_own),
        cmocka_unit_test(size_zero_answers_a_place_of_its_own),
        cmocka_unit_test(zeroed_memory_is_zero_also_after_a_reset),
        cmocka_unit_test(an_array_whose_size_overflows_is_refused),
        cmocka_unit_test(copies_end_with_a_zero_that_is_not_counted),
        cmocka_unit_test(the_bound_may_be_reached_but_not_passed),
        cmocka_unit_test(the_bound_counts_what_is_handed_out_and_not_what_was_asked_for),
        cmocka_unit_test(a_steady_call_path_stops_calling_malloc),
        cmocka_unit_test(one_large_call_does_not_leave_a_large_arena),
        cmocka_unit_test(a_large_allocation_leaves_the_block_in_use),
        cmocka_unit_test(many_small_allocations_need_few_blocks),
        cmocka_unit_test(an_arena_is_usable_after_being_freed),
        cmocka_unit_test(an_allocation_without_memory_answers_null_and_counts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
