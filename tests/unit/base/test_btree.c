/* btree: the model is a sorted array of all keys there could be, each marked present or absent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/btree.h"
#include "base/rng.h"
#include "failmalloc.h"
#include "tenure/error.h"

enum { KEY_SIZE = 8, THINGS_MAX = 20000 };

struct thing {
    struct btree_item item;
    uint8_t key[KEY_SIZE];
    size_t key_len;
    bool present;
};

/* Sorted, keys all different. */
static struct thing things[THINGS_MAX];
static size_t things_len;
static struct btree tree;

static int thing_compare(const void *a, const void *b)
{
    const struct thing *x = a, *y = b;
    return bytes_compare(bytes_of(x->key, x->key_len), bytes_of(y->key, y->key_len));
}

static void things_finish(size_t n)
{
    qsort(things, n, sizeof things[0], thing_compare);
    things_len = 0;
    for (size_t i = 0; i < n; i++) {
        if (things_len == 0 || thing_compare(&things[things_len - 1], &things[i]) != 0)
            things[things_len++] = things[i];
    }
    for (size_t i = 0; i < things_len; i++) {
        things[i].item.key = bytes_of(things[i].key, things[i].key_len);
        things[i].present = false;
    }
}

/* Keys 0000000, 0000001, … */
static void things_numbered(size_t n)
{
    for (size_t i = 0; i < n; i++)
        things[i].key_len = (size_t)snprintf((char *)things[i].key, KEY_SIZE, "%07u", (unsigned)i % 10000000);
    things_finish(n);
    assert_int_equal(things_len, n);
}

/* Keys of any length from 0 on out of few different bytes, so that many begin alike. */
static void things_scattered(size_t n, uint64_t seed)
{
    struct rng r;
    rng_init(&r, seed);
    for (size_t i = 0; i < n; i++) {
        things[i].key_len = i ? (size_t)rng_below(&r, KEY_SIZE + 1) : 0;
        for (size_t k = 0; k < things[i].key_len; k++)
            things[i].key[k] = (const uint8_t[]){0x00, 0x01, 'a', 0x7f, 0x80, 0xff}[rng_below(&r, 6)];
    }
    things_finish(n);
    assert_true(things_len > n / 3);
}

static void put(size_t i)
{
    assert_int_equal(btree_insert(&tree, &things[i].item), 0);
    things[i].present = true;
}

static void cut(size_t i)
{
    assert_ptr_equal(btree_remove(&tree, things[i].item.key), &things[i].item);
    things[i].present = false;
}

/* The item that a seek to key i must find. */
static const struct btree_item *model_seek(size_t i)
{
    while (i < things_len && !things[i].present)
        i++;
    return i < things_len ? &things[i].item : NULL;
}

static void assert_agrees(void)
{
    assert_true(btree_check(&tree));
    struct btree_cursor c;
    const struct btree_item *at = btree_seek(&tree, bytes_of(NULL, 0), &c);
    size_t present = 0;
    for (size_t i = 0; i < things_len; i++) {
        const struct btree_item *want = things[i].present ? &things[i].item : NULL;
        assert_ptr_equal(btree_find(&tree, things[i].item.key), want);
        if (!want)
            continue;
        assert_ptr_equal(at, want);
        at = btree_next(&c);
        present++;
    }
    assert_null(at);
    assert_int_equal(tree.len, present);
}

static int tree_setup(void **state)
{
    (void)state;
    failmalloc_off();
    btree_init(&tree);
    return 0;
}

static int tree_teardown(void **state)
{
    (void)state;
    failmalloc_off();
    btree_fini(&tree);
    return 0;
}

static void an_empty_tree_has_nothing(void **state)
{
    (void)state;
    struct btree_cursor c;
    assert_null(btree_find(&tree, bytes_str("a")));
    assert_null(btree_remove(&tree, bytes_str("a")));
    assert_null(btree_seek(&tree, bytes_str(""), &c));
    assert_null(btree_next(&c));
    assert_true(btree_check(&tree));
}

static void the_empty_key_is_a_key(void **state)
{
    (void)state;
    struct btree_item empty = {.key = bytes_of(NULL, 0)}, zero = {.key = bytes_of("\0", 1)};
    assert_int_equal(btree_insert(&tree, &zero), 0);
    assert_null(btree_find(&tree, bytes_of(NULL, 0)));
    assert_int_equal(btree_insert(&tree, &empty), 0);
    assert_ptr_equal(btree_find(&tree, bytes_of("", 0)), &empty);
    struct btree_cursor c;
    assert_ptr_equal(btree_seek(&tree, bytes_of(NULL, 0), &c), &empty);
    assert_ptr_equal(btree_next(&c), &zero);
    assert_null(btree_next(&c));
    assert_ptr_equal(btree_remove(&tree, bytes_of("", 0)), &empty);
    assert_ptr_equal(btree_remove(&tree, bytes_of("\0", 1)), &zero);
    assert_int_equal(tree.height, 0);
}

static void a_seek_finds_the_key_or_the_next(void **state)
{
    (void)state;
    things_numbered(2000);
    for (size_t i = 0; i < things_len; i += 3)
        put(i);
    for (size_t i = 0; i < things_len; i++) {
        struct btree_cursor c;
        const struct btree_item *at = btree_seek(&tree, things[i].item.key, &c);
        assert_ptr_equal(at, model_seek(i));
        if (at)
            assert_ptr_equal(btree_next(&c), model_seek((size_t)((const struct thing *)at - things) + 1));
    }
    struct btree_cursor c;
    assert_null(btree_seek(&tree, bytes_str("z"), &c));
    assert_null(btree_next(&c));
}

static void an_absent_key_is_not_removed(void **state)
{
    (void)state;
    things_numbered(500);
    for (size_t i = 0; i < things_len; i += 2)
        put(i);
    for (size_t i = 1; i < things_len; i += 2)
        assert_null(btree_remove(&tree, things[i].item.key));
    assert_agrees();
}

static void keys_that_arrive_upwards_are_all_there(void **state)
{
    (void)state;
    things_numbered(THINGS_MAX);
    for (size_t i = 0; i < things_len; i++) {
        put(i);
        assert_true(i % 63 || btree_check(&tree)); /* each time after the last leaf was split */
    }
    assert_agrees();
}

static void keys_that_arrive_downwards_are_all_there(void **state)
{
    (void)state;
    things_numbered(THINGS_MAX);
    for (size_t i = things_len; i-- > 0;)
        put(i);
    assert_agrees();
}

static void keys_that_arrive_upwards_between_others_are_all_there(void **state)
{
    (void)state;
    things_numbered(THINGS_MAX);
    for (size_t i = 0; i < things_len; i += 10)
        put(i);
    for (size_t i = 0; i < things_len; i++) {
        if (!things[i].present)
            put(i);
    }
    assert_agrees();
}

static void fill_all(void)
{
    for (size_t i = 0; i < things_len; i++)
        put(i);
}

static void a_tree_emptied_from_the_front_stays_whole(void **state)
{
    (void)state;
    things_numbered(5000);
    fill_all();
    for (size_t i = 0; i < things_len; i++) {
        cut(i);
        assert_true(i % 16 || btree_check(&tree));
    }
    assert_agrees();
    assert_null(tree.root);
}

static void a_tree_emptied_from_the_back_stays_whole(void **state)
{
    (void)state;
    things_numbered(5000);
    fill_all();
    for (size_t i = things_len; i-- > 0;) {
        cut(i);
        assert_true(i % 16 || btree_check(&tree));
    }
    assert_agrees();
    assert_null(tree.root);
}

static void a_tree_emptied_from_the_middle_stays_whole(void **state)
{
    (void)state;
    things_numbered(5000);
    fill_all();
    for (size_t i = things_len / 2; i < things_len; i++) {
        cut(i);
        cut(things_len - 1 - i);
        assert_true(i % 16 || btree_check(&tree));
    }
    assert_agrees();
    assert_null(tree.root);
}

static void a_queue_of_keys_does_not_grow_the_tree(void **state)
{
    (void)state;
    things_numbered(THINGS_MAX);
    for (size_t i = 0; i < things_len; i++) {
        put(i);
        if (i >= 200)
            cut(i - 200);
        assert_true(tree.height <= 2);
        assert_true(i % 100 || btree_check(&tree));
    }
    assert_agrees();
}

static void use_at_random(uint64_t seed, int steps)
{
    struct rng r;
    rng_init(&r, seed);
    for (int step = 0; step < steps; step++) {
        bool grows = step / (steps / 6) % 2 == 0;
        size_t i = (size_t)rng_below(&r, things_len);
        bool keep = rng_below(&r, 10) < 2;
        if (!things[i].present && grows != keep)
            put(i);
        else if (things[i].present && grows == keep)
            cut(i);
        struct btree_cursor c;
        size_t from = (size_t)rng_below(&r, things_len);
        assert_ptr_equal(btree_seek(&tree, things[from].item.key, &c), model_seek(from));
        if (step % (steps / 100) == 0)
            assert_agrees();
    }
    assert_agrees();
}

static void random_use_with_numbered_keys_agrees_with_the_model(void **state)
{
    (void)state;
    things_numbered(4000);
    use_at_random(1, 120000);
}

static void random_use_with_keys_that_begin_alike_agrees_with_the_model(void **state)
{
    (void)state;
    things_scattered(4000, 2);
    use_at_random(3, 120000);
}

static void random_use_of_few_keys_agrees_with_the_model(void **state)
{
    (void)state;
    things_numbered(150);
    use_at_random(4, 60000);
}

static void use_in_runs_agrees_with_the_model(void **state)
{
    (void)state;
    things_numbered(4000);
    struct rng r;
    rng_init(&r, 5);
    for (int run = 0; run < 400; run++) {
        size_t from = (size_t)rng_below(&r, things_len), n = (size_t)rng_below(&r, 400);
        bool wanted = rng_below(&r, 2);
        for (size_t i = from; i < things_len && i < from + n; i++) {
            if (wanted && !things[i].present)
                put(i);
            else if (!wanted && things[i].present)
                cut(i);
        }
        assert_agrees();
    }
}

/* What malloc takes for a node: 520 bytes and its own 8. Nothing is freed while a tree only grows. */
static double bytes_per_item(void)
{
    return 528.0 * (double)failmalloc_count() / (double)tree.len;
}

static void in_random_order_an_item_costs_at_most_eleven_bytes(void **state)
{
    (void)state;
    things_numbered(THINGS_MAX);
    struct rng r;
    rng_init(&r, 6);
    static size_t order[THINGS_MAX];
    for (size_t i = 0; i < things_len; i++) {
        size_t j = (size_t)rng_below(&r, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    for (size_t i = 0; i < things_len; i++)
        put(order[i]);
    assert_true(bytes_per_item() < 11.0);
}

static void in_key_order_an_item_costs_at_most_nine_bytes(void **state)
{
    (void)state;
    things_numbered(THINGS_MAX);
    fill_all();
    assert_true(bytes_per_item() < 9.0);
}

static void after_a_reservation_the_next_insertion_needs_no_memory(void **state)
{
    (void)state;
    things_scattered(THINGS_MAX, 7);
    struct rng r;
    rng_init(&r, 8);
    for (size_t n = 0; n < things_len; n++) {
        size_t i = (size_t)rng_below(&r, things_len);
        assert_int_equal(btree_reserve(&tree), 0);
        failmalloc_from(1);
        if (!things[i].present)
            put(i);
        assert_false(failmalloc_hit());
        failmalloc_off();
    }
    assert_agrees();
}

static void a_reservation_survives_removals(void **state)
{
    (void)state;
    things_numbered(5000);
    fill_all();
    assert_int_equal(btree_reserve(&tree), 0);
    for (size_t i = 0; i < things_len; i += 2)
        cut(i);
    failmalloc_from(1);
    put(0);
    assert_false(failmalloc_hit());
}

/* Inserts and removes in an order that splits and joins at every level. */
static int fill_and_empty(void *user)
{
    (void)user;
    btree_init(&tree);
    int rc = 0;
    size_t n = 0;
    for (; n < things_len && !rc; n++) {
        size_t i = n * 7919 % things_len;
        rc = btree_insert(&tree, &things[i].item);
        assert_int_equal(tree.len, n + (rc == 0));
        assert_ptr_equal(btree_find(&tree, things[i].item.key), rc ? NULL : &things[i].item);
    }
    assert_true(btree_check(&tree));
    for (size_t i = 0; i < things_len; i++)
        (void)btree_remove(&tree, things[i].item.key);
    assert_int_equal(tree.len, 0);
    btree_fini(&tree);
    return rc;
}

static void an_insertion_without_memory_changes_nothing(void **state)
{
    (void)state;
    things_numbered(3000);
    assert_true(failmalloc_sweep(fill_and_empty, NULL) > 100);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, tree_setup, tree_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_empty_tree_has_nothing),
        TEST(the_empty_key_is_a_key),
        TEST(a_seek_finds_the_key_or_the_next),
        TEST(an_absent_key_is_not_removed),
        TEST(keys_that_arrive_upwards_are_all_there),
        TEST(keys_that_arrive_downwards_are_all_there),
        TEST(keys_that_arrive_upwards_between_others_are_all_there),
        TEST(a_tree_emptied_from_the_front_stays_whole),
        TEST(a_tree_emptied_from_the_back_stays_whole),
        TEST(a_tree_emptied_from_the_middle_stays_whole),
        TEST(a_queue_of_keys_does_not_grow_the_tree),
        TEST(random_use_with_numbered_keys_agrees_with_the_model),
        TEST(random_use_with_keys_that_begin_alike_agrees_with_the_model),
        TEST(random_use_of_few_keys_agrees_with_the_model),
        TEST(use_in_runs_agrees_with_the_model),
        TEST(in_random_order_an_item_costs_at_most_eleven_bytes),
        TEST(in_key_order_an_item_costs_at_most_nine_bytes),
        TEST(after_a_reservation_the_next_insertion_needs_no_memory),
        TEST(a_reservation_survives_removals),
        TEST(an_insertion_without_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
