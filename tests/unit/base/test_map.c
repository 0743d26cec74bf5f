/* map: presence, replacement, removal out of runs; the model is an array with a place for each key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/map.h"
#include "base/rng.h"
#include "failmalloc.h"
#include "tenure/error.h"

enum { KEYS = 500 };

static int values[KEYS]; /* only their addresses matter */

static void an_empty_map_has_nothing(void **state)
{
    (void)state;
    struct map m;
    map_init(&m);
    size_t cursor = 0;
    assert_null(map_get(&m, 0));
    assert_null(map_remove(&m, 0));
    assert_null(map_next(&m, &cursor));
    map_fini(&m);
    map_fini(&m);
}

static void what_was_put_is_found_under_its_key_only(void **state)
{
    (void)state;
    struct map m;
    map_init(&m);
    assert_int_equal(map_put(&m, 0, &values[0]), 0);
    assert_int_equal(map_put(&m, UINT64_MAX, &values[1]), 0);
    assert_ptr_equal(map_get(&m, 0), &values[0]);
    assert_ptr_equal(map_get(&m, UINT64_MAX), &values[1]);
    assert_null(map_get(&m, 1));
    map_fini(&m);
}

static void a_second_put_replaces(void **state)
{
    (void)state;
    struct map m;
    map_init(&m);
    assert_int_equal(map_put(&m, 7, &values[0]), 0);
    assert_int_equal(map_put(&m, 7, &values[1]), 0);
    assert_ptr_equal(map_get(&m, 7), &values[1]);
    assert_int_equal(m.len, 1);
    map_fini(&m);
}

static void a_removed_key_is_gone(void **state)
{
    (void)state;
    struct map m;
    map_init(&m);
    assert_int_equal(map_put(&m, 7, &values[0]), 0);
    assert_ptr_equal(map_remove(&m, 7), &values[0]);
    assert_null(map_get(&m, 7));
    assert_null(map_remove(&m, 7));
    assert_int_equal(m.len, 0);
    map_fini(&m);
}

static void assert_agrees(const struct map *m, const uint64_t *keys, void *const *model)
{
    size_t present = 0;
    for (size_t i = 0; i < KEYS; i++) {
        assert_ptr_equal(map_get(m, keys[i]), model[i]);
        present += model[i] != NULL;
    }
    assert_int_equal(m->len, present);
    size_t walked = 0, cursor = 0;
    while (map_next(m, &cursor))
        walked++;
    assert_int_equal(walked, present);
}

static void use_at_random(const uint64_t *keys, uint64_t seed)
{
    struct rng r;
    rng_init(&r, seed);
    void *model[KEYS] = {0};
    struct map m;
    map_init(&m);
    for (int step = 0; step < 40000; step++) {
        size_t i = (size_t)rng_below(&r, KEYS);
        bool grows = step / 4000 % 2 == 0;
        if (rng_below(&r, 10) < (grows ? 7 : 3)) {
            void *value = &values[rng_below(&r, KEYS)];
            assert_int_equal(map_put(&m, keys[i], value), 0);
            model[i] = value;
        } else {
            assert_ptr_equal(map_remove(&m, keys[i]), model[i]);
            model[i] = NULL;
        }
        assert_ptr_equal(map_get(&m, keys[i]), model[i]);
        if (step % 200 == 0)
            assert_agrees(&m, keys, model);
    }
    assert_agrees(&m, keys, model);
    map_fini(&m);
}

static void random_use_with_numbers_in_a_row_agrees_with_the_model(void **state)
{
    (void)state;
    uint64_t keys[KEYS];
    for (size_t i = 0; i < KEYS; i++)
        keys[i] = i;
    use_at_random(keys, 1);
}

static void random_use_with_scattered_numbers_agrees_with_the_model(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 99);
    uint64_t keys[KEYS];
    for (size_t i = 0; i < KEYS; i++)
        keys[i] = rng_u64(&r);
    use_at_random(keys, 2);
}

static void random_use_with_numbers_alike_in_their_low_bits_agrees_with_the_model(void **state)
{
    (void)state;
    uint64_t keys[KEYS];
    for (size_t i = 0; i < KEYS; i++)
        keys[i] = (uint64_t)i << 48;
    use_at_random(keys, 3);
}

static void the_same_use_is_walked_in_the_same_order(void **state)
{
    (void)state;
    struct map a, b;
    map_init(&a);
    map_init(&b);
    for (uint64_t key = 0; key < 100; key++) {
        assert_int_equal(map_put(&a, key * 31, &values[key]), 0);
        assert_int_equal(map_put(&b, key * 31, &values[key]), 0);
    }
    size_t at_a = 0, at_b = 0;
    for (size_t i = 0; i <= 100; i++)
        assert_ptr_equal(map_next(&a, &at_a), map_next(&b, &at_b));
    map_fini(&a);
    map_fini(&b);
}

static void after_a_reservation_putting_needs_no_memory(void **state)
{
    (void)state;
    for (size_t before = 0; before < 40; before++) {
        struct map m;
        map_init(&m);
        for (size_t i = 0; i < before; i++)
            assert_int_equal(map_put(&m, i, &values[0]), 0);
        assert_int_equal(map_reserve(&m, KEYS - before), 0);
        failmalloc_from(1);
        for (size_t i = before; i < KEYS; i++)
            assert_int_equal(map_put(&m, i, &values[i]), 0);
        assert_false(failmalloc_hit());
        failmalloc_off();
        map_fini(&m);
    }
}

static void a_reservation_past_the_address_space_is_refused(void **state)
{
    (void)state;
    struct map m;
    map_init(&m);
    assert_int_equal(map_put(&m, 1, &values[1]), 0);
    assert_int_equal(map_reserve(&m, SIZE_MAX), TENURE_ENOMEM);
    assert_int_equal(map_reserve(&m, SIZE_MAX / sizeof(struct map_slot)), TENURE_ENOMEM);
    assert_ptr_equal(map_get(&m, 1), &values[1]);
    map_fini(&m);
}

static int fill(void *user)
{
    (void)user;
    struct map m;
    map_init(&m);
    int rc = 0;
    for (size_t i = 0; i < KEYS && !rc; i++) {
        rc = map_put(&m, i, &values[i]);
        assert_ptr_equal(map_get(&m, i), rc ? NULL : &values[i]);
        assert_int_equal(m.len, i + (rc == 0));
        for (size_t k = 0; k < i; k++)
            assert_ptr_equal(map_get(&m, k), &values[k]);
    }
    map_fini(&m);
    return rc;
}

static void a_put_without_memory_changes_nothing(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(fill, NULL) > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_map_has_nothing),
        cmocka_unit_test(what_was_put_is_found_under_its_key_only),
        cmocka_unit_test(a_second_put_replaces),
        cmocka_unit_test(a_removed_key_is_gone),
        cmocka_unit_test(random_use_with_numbers_in_a_row_agrees_with_the_model),
        cmocka_unit_test(random_use_with_scattered_numbers_agrees_with_the_model),
        cmocka_unit_test(random_use_with_numbers_alike_in_their_low_bits_agrees_with_the_model),
        cmocka_unit_test(the_same_use_is_walked_in_the_same_order),
        cmocka_unit_test(after_a_reservation_putting_needs_no_memory),
        cmocka_unit_test(a_reservation_past_the_address_space_is_refused),
        cmocka_unit_test(a_put_without_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
