/* nghttp2's memory: as good as malloc's, given again, and never more kept than the bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "wire/h2_memory.h"

static void *get(struct h2_memory *m, size_t size)
{
    void *p = m->mem.malloc(size, m->mem.mem_user_data);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % 16, 0);
    return p;
}

static void put(struct h2_memory *m, void *p)
{
    m->mem.free(p, m->mem.mem_user_data);
}

static void pieces_of_every_size_hold_what_is_written(void **state)
{
    (void)state;
    struct h2_memory m;
    enum { PIECES = 200 };
    uint8_t *pieces[PIECES] = {0};
    size_t sizes[PIECES] = {0};
    struct rng rng;
    h2_memory_init(&m);
    rng_init(&rng, 5);
    for (int round = 0; round < 20000; round++) {
        size_t i = rng_below(&rng, PIECES);
        size_t size = rng_below(&rng, rng_below(&rng, 10) ? 600 : 20000);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(pieces[i][k], i);
        if (rng_below(&rng, 2)) { /* a new one in its place, or the old one in another size */
            put(&m, pieces[i]);
            pieces[i] = get(&m, size);
        } else {
            pieces[i] = m.mem.realloc(pieces[i], size, m.mem.mem_user_data);
            assert_non_null(pieces[i]);
            for (size_t k = 0; k < sizes[i] && k < size; k++)
                assert_int_equal(pieces[i][k], i);
        }
        sizes[i] = size;
        memset(pieces[i], (int)i, size);
        assert_true(m.kept_bytes < H2_MEMORY_KEPT_MAX + H2_MEMORY_CLASSES * H2_MEMORY_CLASS_BYTES);
    }
    for (size_t i = 0; i < PIECES; i++)
        put(&m, pieces[i]);
    h2_memory_fini(&m);
}

static void a_cleared_piece_is_clear_also_when_it_was_used_before(void **state)
{
    (void)state;
    struct h2_memory m;
    h2_memory_init(&m);
    void *used = get(&m, 100);
    memset(used, 0xff, 100);
    put(&m, used);
    uint8_t *clear = m.mem.calloc(10, 10, m.mem.mem_user_data);
    assert_non_null(clear);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(clear[i], 0);
    put(&m, clear);
    h2_memory_fini(&m);
}

static void sizes_beyond_all_bounds_are_refused(void **state)
{
    (void)state;
    struct h2_memory m;
    volatile size_t huge = SIZE_MAX;
    h2_memory_init(&m);
    assert_null(m.mem.malloc(huge, m.mem.mem_user_data));
    assert_null(m.mem.calloc(huge / 2, 3, m.mem.mem_user_data));
    void *p = get(&m, 10), *large = get(&m, 10000);
    assert_null(m.mem.realloc(p, huge, m.mem.mem_user_data));
    assert_null(m.mem.realloc(large, huge, m.mem.mem_user_data));
    put(&m, p);
    put(&m, large);
    put(&m, NULL);
    h2_memory_fini(&m);
}

static void what_is_given_back_is_kept_up_to_the_bound(void **state)
{
    (void)state;
    struct h2_memory m;
    static void *pieces[5000];
    h2_memory_init(&m);
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
        pieces[i] = get(&m, 200);
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
        put(&m, pieces[i]);
    assert_in_range(m.kept_bytes, 0, H2_MEMORY_KEPT_MAX + H2_MEMORY_CLASS_BYTES * H2_MEMORY_CLASSES);
    if (m.kept_bytes > 0) { /* nothing is kept under AddressSanitizer */
        size_t before = m.kept_bytes;
        put(&m, get(&m, 200));
        assert_int_equal(m.kept_bytes, before);
    }
    h2_memory_fini(&m);
    assert_int_equal(m.kept_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_of_every_size_hold_what_is_written),
        cmocka_unit_test(a_cleared_piece_is_clear_also_when_it_was_used_before),
        cmocka_unit_test(sizes_beyond_all_bounds_are_refused),
        cmocka_unit_test(what_is_given_back_is_kept_up_to_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
