/* Trees of replicas in a simulation: what a put takes to the leaves, and what the source bears. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/tree.h"

static struct tree_result run(size_t replicas, size_t children, bool kill)
{
    struct tree_config k = {.seed = 1,
                            .replicas = replicas,
                            .children = children,
                            .hop_ms = 40,
                            .log_ms = 2,
                            .put_ms = 20,
                            .length_ms = 1000,
                            .kill_inner = kill};
    struct tree_result r;
    tree_run(&k, &r);
    assert_true(r.equal);
    return r;
}

static void a_hop_costs_its_latency_and_a_log(void **state)
{
    (void)state;
    struct tree_result one = run(1, 0, false), two = run(12, 3, false);
    assert_int_equal(one.most_ms, 42);
    assert_int_equal(two.depth, 2);
    assert_int_equal(two.most_ms, 84);
    assert_true(one.oldest_ms < 400 && two.oldest_ms < 600); /* a round each 200 ms, and through a chain one more way */
}

static void the_source_bears_its_children_only(void **state)
{
    (void)state;
    struct tree_result small = run(3, 3, false), large = run(39, 3, false), flat = run(39, 0, false);
    assert_int_equal(large.depth, 3);
    assert_int_equal(small.source_watches, 3);
    assert_int_equal(large.source_watches, 3);
    assert_int_equal(flat.source_watches, 39);
    assert_true(large.source_bytes_per_put < 1.5 * small.source_bytes_per_put);
    assert_true(flat.source_bytes_per_put > 10 * small.source_bytes_per_put);
}

static void children_of_one_that_is_gone_go_on_above_it(void **state)
{
    (void)state;
    struct tree_result r = run(12, 3, true);
    assert_int_equal(r.puts, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hop_costs_its_latency_and_a_log),
        cmocka_unit_test(the_source_bears_its_children_only),
        cmocka_unit_test(children_of_one_that_is_gone_go_on_above_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
