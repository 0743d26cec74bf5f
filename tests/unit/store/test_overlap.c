/* overlap: one key must not be changed twice by what can run together. Random trees are judged by comparing all pairs
 * in test_model.c; here is each rule by itself, and the cost of hostile requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/arena.h"
#include "store/internal.h"

static struct arena a;

static int setup(void **state)
{
    (void)state;
    arena_init(&a, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_fini(&a);
    return 0;
}

static struct request_op P(const char *key) {
    return (struct request_op){.kind = OP_PUT, .put = {.key = bytes_str(key)}};
}

static struct request_op
D(const char *key, const char *end) {
    return (struct request_op){.kind = OP_DELETE, .del = {.range = {bytes_str(key), bytes_str(end)}}};
}

static struct request_op
D_from(const char *key)
{
    return (struct request_op){.kind = OP_DELETE, .del = {.range = {bytes_str(key), bytes_of("", 1)}}};
}

#define OPS(...) (struct request_op[]){__VA_ARGS__}, ARRAY_LEN(((struct request_op[]){__VA_ARGS__}))
#define NONE     NULL, 0

static struct request_op T(struct request_op *yes, size_t n_yes, struct request_op *no, size_t n_no) {
    struct txn_req *t = arena_zalloc(&a, sizeof *t);
    struct request_op *ops = arena_array(&a, n_yes + n_no, sizeof *ops);
    if (n_yes)
        memcpy(ops, yes, n_yes * sizeof *ops);
    if (n_no)
        memcpy(ops + n_yes, no, n_no * sizeof *ops);
    *t = (struct txn_req){.success = ops, .n_success = n_yes, .failure = ops + n_yes, .n_failure = n_no};
    return (struct request_op){.kind = OP_TXN, .txn = t};
}

static bool
overlaps(struct request_op *ops, size_t n)
{
    struct txn_req yes = {.success = ops, .n_success = n}, no = {.failure = ops, .n_failure = n};
    enum etcd_error e = check_overlap(&yes, &a);
    assert_int_equal(check_overlap(&no, &a), e);
    assert_true(e == ETCD_OK || e == ETCD_DUPLICATE_KEY);
    return e != ETCD_OK;
}

static void two_puts_of_one_key(void **state)
{
    (void)state;
    assert_true(overlaps(OPS(P("a"), P("b"), P("a"))));
    assert_false(overlaps(OPS(P("a"), P("b"), P("aa"))));
}

static void a_put_of_what_is_deleted_in_any_order(void **state)
{
    (void)state;
    assert_true(overlaps(OPS(P("b"), D("a", "c"))));
    assert_true(overlaps(OPS(D("a", "c"), P("b"))));
    assert_true(overlaps(OPS(D("b", ""), P("b"))));
    assert_false(overlaps(OPS(D("b", ""), P("b0"))));
    assert_false(overlaps(OPS(D("a", "b"), P("b"))));
    assert_false(overlaps(OPS(D("c", "a"), P("b"))));
}

static void a_delete_to_the_end_of_all_keys(void **state)
{
    (void)state;
    assert_true(overlaps(OPS(D_from("b"), P("zz"))));
    assert_true(overlaps(OPS(P("b"), D_from("b"))));
    assert_false(overlaps(OPS(P("a"), D_from("b"))));
}

static void deletes_may_overlap_one_another(void **state)
{
    (void)state;
    assert_false(overlaps(OPS(D("a", "m"), D("b", "z"), D_from("c"), D("b", ""))));
}

static void a_short_delete_does_not_hide_a_long_one(void **state)
{
    (void)state;
    assert_true(overlaps(OPS(D("a", "z"), D("b", "c"), D("d", ""), P("x"))));
    assert_false(overlaps(OPS(D("a", "f"), D("b", "c"), D("d", ""), P("x"))));
}

static void the_branches_of_one_nested_transaction_may_share(void **state)
{
    (void)state;
    assert_false(overlaps(OPS(T(OPS(P("a"), D("b", "")), OPS(P("a"), P("b"))))));
    assert_false(overlaps(OPS(T(OPS(T(OPS(P("a")), OPS(D("a", "")))), OPS(P("a"))))));
}

static void but_not_with_what_stands_beside_it(void **state)
{
    (void)state;
    assert_true(overlaps(OPS(P("a"), T(NONE, OPS(P("a"))))));
    assert_true(overlaps(OPS(T(OPS(P("a")), OPS(P("a"))), P("a"))));
    assert_true(overlaps(OPS(T(OPS(P("a")), NONE), T(NONE, OPS(D("a", ""))))));
    assert_true(overlaps(OPS(T(OPS(D_from("a")), NONE), T(OPS(P("b")), NONE))));
    assert_true(overlaps(OPS(D("a", "c"), T(OPS(T(OPS(P("b")), NONE)), NONE))));
    assert_true(overlaps(OPS(T(OPS(P("x"), T(OPS(P("x")), NONE)), NONE))));
}

/* The nearest delete may be of the put's own transaction, in its other branch; one further away still counts. */
static void an_own_delete_does_not_hide_that_of_another(void **state)
{
    (void)state;
    assert_true(overlaps(OPS(D("a", "n"), T(OPS(P("b")), OPS(D("a", "z"))))));
    assert_true(overlaps(OPS(T(OPS(P("b")), OPS(D("a", "z"))), D("a", "n"))));
    assert_false(overlaps(OPS(D("c", "n"), T(OPS(P("b")), OPS(D("a", "z"))))));
}

static void no_memory_is_told(void **state)
{
    (void)state;
    struct arena small;
    struct request_op ops[] = {P("a"), P("b")};
    struct txn_req t = {.success = ops, .n_success = 2};
    arena_init(&small, 64);
    assert_int_equal(check_overlap(&t, &small), ETCD_OUT_OF_MEMORY);
    arena_fini(&small);
}

/* One operation and one nested transaction a level, as deep as the budget allows, with many puts at the bottom: memory
 * is a fixed amount an operation, and each level only merges. */
static void a_deep_and_wide_request_costs_in_proportion(void **state)
{
    (void)state;
    enum { DEPTH = 60, WIDE = 20000 };
    static char names[WIDE][12];
    static struct request_op wide[WIDE];
    for (int i = 0; i < WIDE; i++) {
        snprintf(names[i], sizeof names[i], "k%07d", (int)(i * 7919L % WIDE));
        wide[i] = P(names[i]);
    }
    struct request_op op = T(wide, WIDE, NONE);
    for (int i = 0; i < DEPTH; i++)
        op = T(OPS(op, D("x", "y")), NONE);
    size_t before = a.total;
    assert_false(overlaps(&op, 1));
    assert_true(a.total - before < (size_t)4 * (WIDE + DEPTH) * 100);
    assert_true(overlaps(OPS(op, P(names[WIDE / 2]))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_puts_of_one_key, setup, teardown),
        cmocka_unit_test_setup_teardown(a_put_of_what_is_deleted_in_any_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_delete_to_the_end_of_all_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(deletes_may_overlap_one_another, setup, teardown),
        cmocka_unit_test_setup_teardown(a_short_delete_does_not_hide_a_long_one, setup, teardown),
        cmocka_unit_test_setup_teardown(the_branches_of_one_nested_transaction_may_share, setup, teardown),
        cmocka_unit_test_setup_teardown(but_not_with_what_stands_beside_it, setup, teardown),
        cmocka_unit_test_setup_teardown(an_own_delete_does_not_hide_that_of_another, setup, teardown),
        cmocka_unit_test_setup_teardown(no_memory_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_deep_and_wide_request_costs_in_proportion, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
