/* The words of exact transactions: what is sent, and what answers mean, the wrong ones too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "recipes/exact_words.h"
#include "tenure/error.h"

static struct arena a;

static int begin(void **state)
{
    (void)state;
    arena_init(&a, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_fini(&a);
    return 0;
}

static struct request_op put_op(const char *key, bool prev_kv)
{
    return (struct request_op){.kind = OP_PUT,
                               .put = {.key = bytes_str(key), .value = bytes_str("v"), .prev_kv = prev_kv}};
}
static struct request_op get_op(const char *key, const char *range_end)
{
    return (struct request_op){.kind = OP_RANGE, .range = {.range = {bytes_str(key), bytes_str(range_end)}}};
}
static struct request_op delete_op(const char *key, const char *range_end, bool prev_kv)
{
    return (struct request_op){.kind = OP_DELETE,
                               .del = {.range = {bytes_str(key), bytes_str(range_end)}, .prev_kv = prev_kv}};
}

static const struct exact_mark mark = {.key = {(const uint8_t *)"m", 1}, .mod = 7, .lease = 42, .number = 12};

static void the_transaction_is_nested_under_the_marks_revision(void **state)
{
    (void)state;
    struct request_op then = put_op("k", false), other = get_op("k", "");
    struct txn_req t = {.success = &then, .n_success = 1, .failure = &other, .n_failure = 1};
    struct txn_req *w = exact_wrap(&a, &t, &mark, false);
    assert_int_equal(w->n_compares, 1);
    assert_int_equal(w->compares[0].target, COMPARE_MOD);
    assert_int_equal(w->compares[0].number, 7);
    assert_int_equal(w->failure[0].kind, OP_RANGE);
    assert_int_equal(w->success[0].kind, OP_TXN);
    const struct txn_req *inner = w->success[0].txn;
    assert_int_equal(inner->n_success, 2);
    assert_true(bytes_equal(inner->success[1].put.value, bytes_str("12+")));
    assert_int_equal(inner->success[1].put.lease, 42);
    assert_int_equal(inner->n_failure, 1); /* it writes nothing: no mark */
    assert_int_equal(t.n_success, 1);      /* and the user's is as it was */
}

static void a_fence_or_a_write_marks_the_failure_branch_too(void **state)
{
    (void)state;
    struct request_op then = put_op("k", false), other = delete_op("k", "", false);
    struct txn_req t = {.success = &then, .n_success = 1};
    struct txn_req *w = exact_wrap(&a, &t, &mark, true);
    assert_int_equal(w->success[0].txn->n_failure, 1);
    assert_true(bytes_equal(w->success[0].txn->failure[0].put.value, bytes_str("12-")));
    t.failure = &other;
    t.n_failure = 1;
    w = exact_wrap(&a, &t, &mark, false);
    assert_int_equal(w->success[0].txn->n_failure, 2);
}

static void a_mark_is_known_by_its_number(void **state)
{
    (void)state;
    bool succeeded;
    struct kv kv = {.value = bytes_str("12+")};
    assert_true(exact_is_mark(&kv, 12, &succeeded));
    assert_true(succeeded);
    kv.value = bytes_str("12-");
    assert_true(exact_is_mark(&kv, 12, &succeeded));
    assert_false(succeeded);
    static const char *const others[] = {"", "12", "112+", "121+", "12?", "2+", "12++"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        kv.value = bytes_str(others[i]);
        assert_false(exact_is_mark(&kv, 12, &succeeded));
    }
}

static void an_answer_is_unwrapped(void **state)
{
    (void)state;
    struct request_op then = put_op("k", false);
    struct txn_req t = {.success = &then, .n_success = 1};
    struct response_op inner_ops[2] = {{.kind = OP_PUT}, {.kind = OP_PUT}};
    struct txn_resp inner = {.succeeded = true, .responses = inner_ops, .n_responses = 2};
    struct response_op outer_op = {.kind = OP_TXN, .txn = &inner};
    struct txn_resp outer = {.revision = 9, .succeeded = true, .responses = &outer_op, .n_responses = 1};
    struct exact_verdict v;
    assert_int_equal(exact_read(&t, 12, &outer, &v), 0);
    assert_int_equal(v.answer, EXACT_DONE);
    assert_int_equal(v.resp.n_responses, 1);
    assert_int_equal(v.resp.revision, 9);
    assert_int_equal(v.mod, 9);
    inner.succeeded = false;
    inner.n_responses = 0;
    assert_int_equal(exact_read(&t, 12, &outer, &v), 0);
    assert_false(v.succeeded);
    assert_int_equal(v.mod, 0);
}

static void answers_to_something_else_are_refused(void **state)
{
    (void)state;
    struct request_op then = put_op("k", false);
    struct txn_req t = {.success = &then, .n_success = 1};
    struct response_op inner_ops[3] = {{.kind = OP_PUT}, {.kind = OP_PUT}, {.kind = OP_PUT}};
    struct txn_resp inner = {.succeeded = true, .responses = inner_ops, .n_responses = 3};
    struct response_op outer_op = {.kind = OP_TXN, .txn = &inner};
    struct txn_resp outer = {.revision = 9, .succeeded = true, .responses = &outer_op, .n_responses = 1};
    struct exact_verdict v;
    assert_int_equal(exact_read(&t, 12, &outer, &v), TENURE_EPROTOCOL);
    inner.n_responses = 1; /* it succeeded, so its mark must have been put */
    assert_int_equal(exact_read(&t, 12, &outer, &v), TENURE_EPROTOCOL);
    inner.n_responses = 2;
    inner_ops[0].kind = OP_RANGE;
    assert_int_equal(exact_read(&t, 12, &outer, &v), TENURE_EPROTOCOL);
    inner_ops[0].kind = OP_PUT;
    inner_ops[1].kind = OP_DELETE;
    assert_int_equal(exact_read(&t, 12, &outer, &v), TENURE_EPROTOCOL);
    outer_op.txn = NULL;
    assert_int_equal(exact_read(&t, 12, &outer, &v), TENURE_EPROTOCOL);
    outer.n_responses = 0;
    assert_int_equal(exact_read(&t, 12, &outer, &v), TENURE_EPROTOCOL);
    outer.succeeded = false;
    assert_int_equal(exact_read(&t, 12, &outer, &v), TENURE_EPROTOCOL);
}

static void a_mark_tells_what_happened(void **state)
{
    (void)state;
    struct txn_req t = {0};
    struct kv kv = {.value = bytes_str("12+"), .mod_revision = 20, .create_revision = 5};
    struct response_op op = {.kind = OP_RANGE, .range = {.kvs = &kv, .n_kvs = 1}};
    struct txn_resp r = {.revision = 30, .responses = &op, .n_responses = 1};
    struct exact_verdict v;
    assert_int_equal(exact_read(&t, 12, &r, &v), 0);
    assert_int_equal(v.answer, EXACT_FOUND);
    assert_int_equal(v.revision, 20);
    assert_int_equal(v.create, 5);
    assert_int_equal(exact_read(&t, 13, &r, &v), 0);
    assert_int_equal(v.answer, EXACT_OVERTAKEN);
    op.range.n_kvs = 0;
    assert_int_equal(exact_read(&t, 12, &r, &v), 0);
    assert_int_equal(v.answer, EXACT_OVERTAKEN);
    assert_int_equal(v.create, 0);
}

static void what_operations_answered_is_read_from_history(void **state)
{
    (void)state;
    struct request_op ops[] = {get_op("a", "z"), put_op("b", true), put_op("c", false), delete_op("x", "", true),
                               get_op("b", "")};
    struct txn_req t = {.success = ops, .n_success = 5}, reads;
    assert_true(exact_reads(&a, &t, true, 20, &reads));
    assert_int_equal(reads.n_success, 4);
    assert_int_equal(reads.success[0].range.revision, 19);
    assert_int_equal(reads.success[1].range.revision, 19);
    assert_true(bytes_equal(reads.success[1].range.range.key, bytes_str("b")));
    assert_int_equal(reads.success[2].range.revision, 19);
    assert_int_equal(reads.success[3].range.revision, 20); /* behind the put of b */
    struct kv kv = {.key = bytes_str("b"), .value = bytes_str("old")};
    struct response_op got[4] = {{.kind = OP_RANGE},
                                 {.kind = OP_RANGE, .range = {.kvs = &kv, .n_kvs = 1}},
                                 {.kind = OP_RANGE, .range = {.kvs = &kv, .n_kvs = 1, .count = 1}},
                                 {.kind = OP_RANGE}};
    struct txn_resp read = {.responses = got, .n_responses = 4}, r;
    assert_int_equal(exact_rebuild(&a, &t, true, 20, &read, &r), 0);
    assert_int_equal(r.n_responses, 5);
    assert_true(r.responses[1].put.has_prev_kv);
    assert_int_equal(r.responses[1].put.revision, 20);
    assert_false(r.responses[2].put.has_prev_kv);
    assert_int_equal(r.responses[3].del.deleted, 1);
    assert_int_equal(r.responses[3].del.n_prev_kvs, 1);
    read.n_responses = 3;
    assert_int_equal(exact_rebuild(&a, &t, true, 20, &read, &r), TENURE_EPROTOCOL);
    assert_int_equal(exact_rebuild(&a, &t, true, 20, NULL, &r), TENURE_EPROTOCOL);
}

static void what_history_cannot_tell_is_not_guessed(void **state)
{
    (void)state;
    struct request_op between[] = {put_op("b", false), get_op("a", "z"), put_op("c", false)};
    struct request_op twice[] = {delete_op("a", "z", false), delete_op("b", "", false)};
    struct txn_req inner = {0};
    struct request_op nested[] = {{.kind = OP_TXN, .txn = &inner}};
    struct txn_req reads, t = {.success = between, .n_success = 3};
    assert_false(exact_reads(&a, &t, true, 20, &reads));
    t = (struct txn_req){.success = twice, .n_success = 2};
    assert_false(exact_reads(&a, &t, true, 20, &reads));
    t = (struct txn_req){.success = nested, .n_success = 1};
    assert_false(exact_reads(&a, &t, true, 20, &reads));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_transaction_is_nested_under_the_marks_revision),
        TEST(a_fence_or_a_write_marks_the_failure_branch_too),
        TEST(a_mark_is_known_by_its_number),
        TEST(an_answer_is_unwrapped),
        TEST(answers_to_something_else_are_refused),
        TEST(a_mark_tells_what_happened),
        TEST(what_operations_answered_is_read_from_history),
        TEST(what_history_cannot_tell_is_not_guessed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
