/* kv: the three forms of a range, and which transactions may write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/kv.h"

static struct key_range range(const char *key, const char *end)
{
    return (struct key_range){bytes_str(key), bytes_str(end)};
}

static void a_range_without_end_is_one_key(void **state)
{
    (void)state;
    struct key_range r = range("b", "");
    assert_true(key_range_contains(r, bytes_str("b")));
    assert_false(key_range_contains(r, bytes_str("b0")));
    assert_false(key_range_contains(r, bytes_of("b\0", 2)));
    assert_false(key_range_contains(r, bytes_str("a")));
}

static void a_range_holds_its_start_and_not_its_end(void **state)
{
    (void)state;
    struct key_range r = range("b", "d");
    assert_false(key_range_contains(r, bytes_str("a\xff")));
    assert_true(key_range_contains(r, bytes_str("b")));
    assert_true(key_range_contains(r, bytes_str("c\xff\xff")));
    assert_false(key_range_contains(r, bytes_str("d")));
    assert_false(key_range_contains(range("d", "b"), bytes_str("c")));
    assert_false(key_range_contains(range("b", "b"), bytes_str("b")));
}

static void a_zero_byte_ends_nowhere(void **state)
{
    (void)state;
    struct key_range r = {bytes_str("b"), bytes_of("", 1)};
    assert_false(key_range_contains(r, bytes_str("a")));
    assert_true(key_range_contains(r, bytes_str("b")));
    assert_true(key_range_contains(r, bytes_str("\xff\xff")));
    r.range_end = bytes_of("\0\0", 2);
    assert_false(key_range_contains(r, bytes_str("c")));
}

static void a_write_anywhere_counts(void **state)
{
    (void)state;
    struct request_op ops[] = {{.kind = OP_RANGE}, {.kind = OP_PUT}};
    struct txn_req t = {.success = ops, .n_success = 1};
    assert_false(txn_may_write(&t));
    t.n_success = 2;
    assert_true(txn_may_write(&t));
    t = (struct txn_req){.failure = ops, .n_failure = 2};
    assert_true(txn_may_write(&t));
    ops[1].kind = OP_DELETE;
    struct request_op outer = {.kind = OP_TXN, .txn = &t};
    struct txn_req nest = {.success = &outer, .n_success = 1};
    assert_true(txn_may_write(&nest));
    t.n_failure = 1;
    assert_false(txn_may_write(&nest));
    assert_false(txn_may_write(&(struct txn_req){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_range_without_end_is_one_key),
        cmocka_unit_test(a_range_holds_its_start_and_not_its_end),
        cmocka_unit_test(a_zero_byte_ends_nowhere),
        cmocka_unit_test(a_write_anywhere_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
