/* Copies of transactions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/txn_copy.h"

static void a_copy_shares_nothing(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a, 0);
    char key[] = "key", value[] = "value";
    struct compare cmp = {.range.key = bytes_str(key), .value = bytes_str(value)};
    struct request_op op = {.kind = OP_PUT, .put = {.key = bytes_str(key), .value = bytes_str(value)}};
    struct txn_req inner = {.success = &op, .n_success = 1, .compares = &cmp, .n_compares = 1};
    struct request_op outer = {.kind = OP_TXN, .txn = &inner};
    struct txn_req t = {.failure = &outer, .n_failure = 1};
    struct txn_req *copy = txn_copy(&a, &t);
    memset(key, 'x', 3);
    memset(value, 'x', 5);
    assert_true(bytes_equal(copy->failure[0].txn->success[0].put.value, bytes_str("value")));
    assert_true(bytes_equal(copy->failure[0].txn->compares[0].range.key, bytes_str("key")));
    arena_fini(&a);
}

static void a_copy_has_the_room_that_was_asked_for(void **state)
{
    struct request_op op = {.kind = OP_DELETE, .del.range = {bytes_str("a"), bytes_str("b")}};
    struct txn_req t = {.success = &op, .n_success = 1}, copy;
    struct arena a;
    (void)state;
    arena_init(&a, 0);
    assert_true(txn_copy_into(&a, &t, 1, &copy));
    copy.compares[copy.n_compares++] = (struct compare){.number = 5};
    copy.success[copy.n_success++] = (struct request_op){.kind = OP_RANGE};
    copy.failure[copy.n_failure++] = (struct request_op){.kind = OP_RANGE};
    assert_true(bytes_equal(copy.success[0].del.range.range_end, bytes_str("b")));
    struct request_op *more = txn_copy_ops(&a, copy.success, copy.n_success, 1);
    more[2] = op;
    assert_int_equal(more[0].kind, OP_DELETE);
    assert_int_equal(t.n_success, 1);
    arena_fini(&a);
}

static void without_room_for_it_there_is_no_copy(void **state)
{
    char value[200] = "";
    struct request_op op = {.kind = OP_PUT, .put = {.key = bytes_str("k"), .value = bytes_of(value, sizeof value)}};
    struct txn_req t = {.failure = &op, .n_failure = 1};
    struct arena a;
    (void)state;
    arena_init(&a, 64);
    assert_null(txn_copy(&a, &t));
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_shares_nothing),
        cmocka_unit_test(a_copy_has_the_room_that_was_asked_for),
        cmocka_unit_test(without_room_for_it_there_is_no_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
