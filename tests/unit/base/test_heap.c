/* heap: order, ties, removal from within; the model is an array that is searched for its least element. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/heap.h"
#include "base/rng.h"
#include "failmalloc.h"
#include "tenure/error.h"

enum { NODES = 300 };

static struct heap_node nodes[NODES];

static int nodes_setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < NODES; i++)
        heap_node_init(&nodes[i]);
    return 0;
}

static struct heap_node *take_first(struct heap *h)
{
    struct heap_node *n = heap_first(h);
    if (n)
        heap_remove(h, n);
    return n;
}

static void an_empty_heap_has_no_first(void **state)
{
    (void)state;
    struct heap h;
    heap_init(&h);
    assert_null(heap_first(&h));
    heap_remove(&h, &nodes[0]);
    assert_false(heap_contains(&nodes[0]));
    heap_fini(&h);
    heap_fini(&h);
}

static void the_earliest_comes_first(void **state)
{
    (void)state;
    struct heap h;
    heap_init(&h);
    const tn_ms at[] = {5, TN_MS_NEVER, 1, -3, 4, 0};
    const size_t want[] = {3, 5, 2, 4, 0, 1};
    for (size_t i = 0; i < ARRAY_LEN(at); i++)
        assert_int_equal(heap_insert(&h, &nodes[i], at[i]), 0);
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_ptr_equal(take_first(&h), &nodes[want[i]]);
    heap_fini(&h);
}

static void those_at_the_same_time_come_in_the_order_of_insertion(void **state)
{
    (void)state;
    struct heap h;
    heap_init(&h);
    for (size_t i = 0; i < NODES; i++)
        assert_int_equal(heap_insert(&h, &nodes[i], i % 2 ? 10 : 20), 0);
    for (size_t i = 1; i < NODES; i += 2)
        assert_ptr_equal(take_first(&h), &nodes[i]);
    for (size_t i = 0; i < NODES; i += 2)
        assert_ptr_equal(take_first(&h), &nodes[i]);
    heap_fini(&h);
}

static void a_node_moves_to_both_sides(void **state)
{
    (void)state;
    struct heap h;
    heap_init(&h);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(heap_insert(&h, &nodes[i], (tn_ms)i), 0);
    heap_move(&h, &nodes[7], -1);
    assert_ptr_equal(heap_first(&h), &nodes[7]);
    heap_move(&h, &nodes[7], 100);
    assert_ptr_equal(heap_first(&h), &nodes[0]);
    heap_move(&h, &nodes[0], 0);
    for (size_t i = 0; i < 10; i++) {
        if (i != 7)
            assert_ptr_equal(take_first(&h), &nodes[i]);
    }
    assert_ptr_equal(take_first(&h), &nodes[7]);
    heap_fini(&h);
}

static void a_removed_node_can_come_back(void **state)
{
    (void)state;
    struct heap h;
    heap_init(&h);
    assert_int_equal(heap_insert(&h, &nodes[0], 1), 0);
    assert_true(heap_contains(&nodes[0]));
    heap_remove(&h, &nodes[0]);
    heap_remove(&h, &nodes[0]);
    assert_false(heap_contains(&nodes[0]));
    assert_int_equal(h.len, 0);
    assert_int_equal(heap_insert(&h, &nodes[0], 2), 0);
    assert_ptr_equal(heap_first(&h), &nodes[0]);
    heap_fini(&h);
}

static const struct heap_node *model_first(void)
{
    const struct heap_node *first = NULL;
    for (size_t i = 0; i < NODES; i++) {
        const struct heap_node *n = &nodes[i];
        if (!heap_contains(n))
            continue;
        if (!first || n->at < first->at || (n->at == first->at && n->order < first->order))
            first = n;
    }
    return first;
}

static void assert_whole(const struct heap *h)
{
    for (size_t i = 0; i < h->len; i++) {
        const struct heap_node *n = h->nodes[i], *parent = h->nodes[i ? (i - 1) / 2 : 0];
        assert_int_equal(n->index, i);
        assert_true(parent->at < n->at || (parent->at == n->at && parent->order <= n->order));
    }
}

static void random_use_agrees_with_the_model(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 11);
    struct heap h;
    heap_init(&h);
    for (int step = 0; step < 60000; step++) {
        struct heap_node *n = &nodes[rng_below(&r, NODES)];
        tn_ms at = (tn_ms)rng_below(&r, 50);
        if (!heap_contains(n))
            assert_int_equal(heap_insert(&h, n, at), 0);
        else if (rng_below(&r, 2))
            heap_move(&h, n, at);
        else
            heap_remove(&h, n);
        assert_ptr_equal(heap_first(&h), model_first());
        if (step % 100 == 0)
            assert_whole(&h);
    }
    heap_fini(&h);
}

static void after_a_reservation_insertion_needs_no_memory(void **state)
{
    (void)state;
    struct heap h;
    heap_init(&h);
    assert_int_equal(heap_insert(&h, &nodes[0], 0), 0);
    assert_int_equal(heap_reserve(&h, NODES - 1), 0);
    failmalloc_from(1);
    for (size_t i = 1; i < NODES; i++)
        assert_int_equal(heap_insert(&h, &nodes[i], (tn_ms)i), 0);
    assert_false(failmalloc_hit());
    failmalloc_off();
    heap_fini(&h);
}

static void a_reservation_past_the_address_space_is_refused(void **state)
{
    (void)state;
    struct heap h;
    heap_init(&h);
    assert_int_equal(heap_insert(&h, &nodes[0], 0), 0);
    assert_int_equal(heap_reserve(&h, SIZE_MAX), TENURE_ENOMEM);
    assert_int_equal(heap_reserve(&h, SIZE_MAX / sizeof(void *)), TENURE_ENOMEM);
    assert_ptr_equal(heap_first(&h), &nodes[0]);
    heap_fini(&h);
}

static int fill(void *user)
{
    (void)user;
    (void)nodes_setup(NULL);
    struct heap h;
    heap_init(&h);
    int rc = 0;
    for (size_t i = 0; i < NODES && !rc; i++) {
        rc = heap_insert(&h, &nodes[i], -(tn_ms)i);
        assert_int_equal(heap_contains(&nodes[i]), rc == 0);
        assert_int_equal(h.len, i + (rc == 0));
        assert_whole(&h);
    }
    heap_fini(&h);
    return rc;
}

static void an_insertion_without_memory_changes_nothing(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(fill, NULL) > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_heap_has_no_first, nodes_setup),
        cmocka_unit_test_setup(the_earliest_comes_first, nodes_setup),
        cmocka_unit_test_setup(those_at_the_same_time_come_in_the_order_of_insertion, nodes_setup),
        cmocka_unit_test_setup(a_node_moves_to_both_sides, nodes_setup),
        cmocka_unit_test_setup(a_removed_node_can_come_back, nodes_setup),
        cmocka_unit_test_setup(random_use_agrees_with_the_model, nodes_setup),
        cmocka_unit_test_setup(after_a_reservation_insertion_needs_no_memory, nodes_setup),
        cmocka_unit_test_setup(a_reservation_past_the_address_space_is_refused, nodes_setup),
        cmocka_unit_test_setup(an_insertion_without_memory_changes_nothing, nodes_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
