/* Transactions, nested ones too: they come back as they were, and etcd's particular rules hold. */
#include "rpc.pb-c.h"
#include "sample.h"
#include "tenure/error.h"

enum { NESTING = 3 };

/* ---- random transactions ---- */

static struct compare sample_compare(struct sample *s)
{
    struct compare c = {
        .result = (int32_t)sample_below(s, 6),
        .target = (int32_t)sample_below(s, 5),
        .range = sample_range(s),
    };
    if (c.target == COMPARE_VALUE)
        c.value = sample_bytes(s);
    else
        c.number = sample_int(s);
    return c;
}

static struct txn_req *sample_txn(struct sample *s, unsigned nesting);

static struct request_op sample_op(struct sample *s, unsigned nesting)
{
    struct request_op op = {.kind = (enum op_kind)sample_below(s, nesting ? 5 : 4)};
    if (op.kind == OP_RANGE)
        op.range = (struct range_req){.range = sample_range(s), .limit = sample_int(s), .keys_only = sample_bool(s)};
    else if (op.kind == OP_PUT)
        op.put = (struct put_req){.key = sample_bytes(s), .value = sample_bytes(s), .lease = sample_int(s)};
    else if (op.kind == OP_DELETE)
        op.del = (struct delete_req){.range = sample_range(s), .prev_kv = sample_bool(s)};
    else if (op.kind == OP_TXN)
        op.txn = sample_txn(s, nesting - 1);
    return op;
}

static struct request_op *sample_ops(struct sample *s, size_t n, unsigned nesting)
{
    struct request_op *ops = sample_array(s, n, sizeof *ops);
    for (size_t i = 0; i < n; i++)
        ops[i] = sample_op(s, nesting);
    return ops;
}

static struct txn_req *sample_txn(struct sample *s, unsigned nesting)
{
    struct txn_req *t = sample_array(s, 1, sizeof *t);
    t->n_compares = sample_below(s, 4);
    t->n_success = sample_below(s, 4);
    t->n_failure = sample_below(s, 4);
    t->compares = sample_array(s, t->n_compares, sizeof *t->compares);
    for (size_t i = 0; i < t->n_compares; i++)
        t->compares[i] = sample_compare(s);
    t->success = sample_ops(s, t->n_success, nesting);
    t->failure = sample_ops(s, t->n_failure, nesting);
    return t;
}

static bool same_txn(const struct txn_req *a, const struct txn_req *b);

static bool same_op(const struct request_op *a, const struct request_op *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case OP_RANGE:
        return same_range(a->range.range, b->range.range) && a->range.limit == b->range.limit &&
               a->range.keys_only == b->range.keys_only;
    case OP_PUT:
        return bytes_equal(a->put.key, b->put.key) && bytes_equal(a->put.value, b->put.value) &&
               a->put.lease == b->put.lease;
    case OP_DELETE:
        return same_range(a->del.range, b->del.range) && a->del.prev_kv == b->del.prev_kv;
    case OP_TXN:
        return same_txn(a->txn, b->txn);
    default:
        return true;
    }
}

static bool same_ops(const struct request_op *a, size_t n_a, const struct request_op *b, size_t n_b)
{
    if (n_a != n_b)
        return false;
    for (size_t i = 0; i < n_a; i++)
        if (!same_op(&a[i], &b[i]))
            return false;
    return true;
}

static bool same_compare(const struct compare *a, const struct compare *b)
{
    return a->result == b->result && a->target == b->target && same_range(a->range, b->range) &&
           a->number == b->number && bytes_equal(a->value, b->value);
}

static bool same_txn(const struct txn_req *a, const struct txn_req *b)
{
    if (a->n_compares != b->n_compares)
        return false;
    for (size_t i = 0; i < a->n_compares; i++)
        if (!same_compare(&a->compares[i], &b->compares[i]))
            return false;
    return same_ops(a->success, a->n_success, b->success, b->n_success) &&
           same_ops(a->failure, a->n_failure, b->failure, b->n_failure);
}

static void a_transaction_comes_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 20);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        struct txn_req *a = sample_txn(&s, NESTING), b;
        encode_txn_req(a, &s.out);
        expect_canonical(&s, &etcdserverpb__txn_request__descriptor);
        assert_int_equal(decode_txn_req(buf_bytes(&s.out), &s.arena, &b), 0);
        assert_true(same_txn(a, &b));
    }
    sample_fini(&s);
}

/* ---- responses ---- */

static struct txn_resp *sample_txn_resp(struct sample *s, unsigned nesting);

static struct response_op sample_response(struct sample *s, unsigned nesting)
{
    struct response_op op = {.kind = (enum op_kind)sample_below(s, nesting ? 5 : 4)};
    if (op.kind == OP_RANGE) {
        op.range = (struct range_resp){.revision = sample_int(s), .n_kvs = 1, .count = sample_int(s)};
        op.range.kvs = sample_array(s, 1, sizeof *op.range.kvs);
        op.range.kvs[0] = sample_kv(s);
    } else if (op.kind == OP_PUT) {
        op.put = (struct put_resp){.revision = sample_int(s), .has_prev_kv = true, .prev_kv = sample_kv(s)};
    } else if (op.kind == OP_DELETE) {
        op.del = (struct delete_resp){.revision = sample_int(s), .deleted = sample_int(s)};
    } else if (op.kind == OP_TXN) {
        op.txn = sample_txn_resp(s, nesting - 1);
    }
    return op;
}

static struct txn_resp *sample_txn_resp(struct sample *s, unsigned nesting)
{
    struct txn_resp *t = sample_array(s, 1, sizeof *t);
    t->succeeded = sample_bool(s);
    t->n_responses = sample_below(s, 4);
    t->responses = sample_array(s, t->n_responses, sizeof *t->responses);
    for (size_t i = 0; i < t->n_responses; i++)
        t->responses[i] = sample_response(s, nesting);
    return t;
}

static bool same_txn_resp(const struct txn_resp *a, const struct txn_resp *b);

static bool same_response(const struct response_op *a, const struct response_op *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case OP_RANGE:
        return a->range.revision == b->range.revision && a->range.count == b->range.count &&
               same_kvs(a->range.kvs, a->range.n_kvs, b->range.kvs, b->range.n_kvs);
    case OP_PUT:
        return a->put.revision == b->put.revision && a->put.has_prev_kv == b->put.has_prev_kv &&
               same_kv(&a->put.prev_kv, &b->put.prev_kv);
    case OP_DELETE:
        return a->del.revision == b->del.revision && a->del.deleted == b->del.deleted;
    case OP_TXN:
        return b->txn->revision == 0 && same_txn_resp(a->txn, b->txn);
    default:
        return true;
    }
}

static bool same_txn_resp(const struct txn_resp *a, const struct txn_resp *b)
{
    if (a->succeeded != b->succeeded || a->n_responses != b->n_responses)
        return false;
    for (size_t i = 0; i < a->n_responses; i++)
        if (!same_response(&a->responses[i], &b->responses[i]))
            return false;
    return true;
}

static void a_transactions_response_comes_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 21);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        struct response_header h = sample_header(&s), seen;
        struct txn_resp *a = sample_txn_resp(&s, NESTING), b;
        a->revision = sample_int(&s);
        encode_txn_resp(&h, a, &s.out);
        expect_canonical(&s, &etcdserverpb__txn_response__descriptor);
        assert_int_equal(decode_txn_resp(buf_bytes(&s.out), &s.arena, &seen, &b), 0);
        assert_true(same_header(&h, a->revision, &seen) && b.revision == a->revision);
        assert_true(same_txn_resp(a, &b));
    }
    sample_fini(&s);
}

/* "Inside a transaction the header of an inner put, range or delete carries the revision only; a nested transaction's
 * header is an empty message, but present." */
static void inner_headers_carry_the_revision_only_and_a_nested_transactions_nothing(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 22);
    struct response_header h = {.cluster_id = 1, .member_id = 2, .revision = 3, .raft_term = 4};
    struct txn_resp nested = {.revision = 9};
    struct response_op ops[] = {
        {.kind = OP_PUT, .put = {.revision = 7}},
        {.kind = OP_TXN, .txn = &nested},
    };
    struct txn_resp t = {.revision = 9, .responses = ops, .n_responses = 2};
    encode_txn_resp(&h, &t, &s.out);

    Etcdserverpb__TxnResponse *p = etcdserverpb__txn_response__unpack(NULL, s.out.len, s.out.data);
    assert_non_null(p);
    assert_int_equal(p->header->cluster_id, 1);
    assert_int_equal(p->header->revision, 9);
    const Etcdserverpb__ResponseHeader *inner = p->responses[0]->response_put->header;
    assert_int_equal(inner->revision, 7);
    assert_int_equal(inner->cluster_id + inner->member_id + inner->raft_term, 0);
    const Etcdserverpb__ResponseHeader *empty = p->responses[1]->response_txn->header;
    assert_non_null(empty);
    assert_int_equal(empty->revision, 0);
    etcdserverpb__txn_response__free_unpacked(p, NULL);
    sample_fini(&s);
}

/* ---- compares ---- */

static struct compare decode_one_compare(struct sample *s, Etcdserverpb__Compare *c)
{
    Etcdserverpb__TxnRequest t = ETCDSERVERPB__TXN_REQUEST__INIT;
    struct txn_req r;
    t.compare = &c;
    t.n_compare = 1;
    uint8_t packed[256];
    size_t len = etcdserverpb__txn_request__pack(&t, packed);
    assert_int_equal(decode_txn_req(bytes_of(packed, len), &s->arena, &r), 0);
    assert_int_equal(r.n_compares, 1);
    return r.compares[0];
}

static void a_union_that_does_not_fit_the_target_reads_as_zero(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 23);
    Etcdserverpb__Compare c = ETCDSERVERPB__COMPARE__INIT;
    c.target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__MOD;
    c.target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_VERSION;
    c.version = 5;
    assert_int_equal(decode_one_compare(&s, &c).number, 0);

    c.target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_MOD_REVISION;
    c.mod_revision = 5;
    assert_int_equal(decode_one_compare(&s, &c).number, 5);

    c.target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__VALUE;
    assert_int_equal(decode_one_compare(&s, &c).number, 0);
    assert_int_equal(decode_one_compare(&s, &c).value.len, 0);

    c.target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION__NOT_SET;
    assert_int_equal(decode_one_compare(&s, &c).number, 0);
    sample_fini(&s);
}

static void each_target_reads_its_own_member(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 24);
    for (int target = COMPARE_VERSION; target <= COMPARE_LEASE; target++) {
        struct compare a = {.target = target, .range.key = bytes_str("k")};
        if (target == COMPARE_VALUE)
            a.value = bytes_str("v");
        else
            a.number = 17;
        struct txn_req t = {.compares = &a, .n_compares = 1}, b;
        buf_reset(&s.out);
        encode_txn_req(&t, &s.out);
        assert_int_equal(decode_txn_req(buf_bytes(&s.out), &s.arena, &b), 0);
        assert_true(same_txn(&t, &b));
    }
    sample_fini(&s);
}

static void numbers_of_result_and_target_that_nobody_knows_pass(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 25);
    struct compare a = {.result = 77, .target = -3, .range.key = bytes_str("k")};
    struct txn_req t = {.compares = &a, .n_compares = 1}, b;
    encode_txn_req(&t, &s.out);
    expect_canonical(&s, &etcdserverpb__txn_request__descriptor);
    assert_int_equal(decode_txn_req(buf_bytes(&s.out), &s.arena, &b), 0);
    assert_int_equal(b.compares[0].result, 77);
    assert_int_equal(b.compares[0].target, -3);
    assert_int_equal(b.compares[0].number, 0);
    sample_fini(&s);
}

static void any_transaction_means_the_same_when_encoded_again(void **state)
{
    (void)state;
    struct sample s;
    struct buf again;
    sample_init(&s, 26);
    buf_init(&again);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s), buf_reset(&again)) {
        struct txn_req a, b;
        sample_message(&s, &etcdserverpb__txn_request__descriptor, 7, &s.out);
        assert_int_equal(decode_txn_req(buf_bytes(&s.out), &s.arena, &a), 0);
        encode_txn_req(&a, &again);
        assert_int_equal(decode_txn_req(buf_bytes(&again), &s.arena, &b), 0);
        assert_true(same_txn(&a, &b));
    }
    buf_fini(&again);
    sample_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transaction_comes_back),
        cmocka_unit_test(a_transactions_response_comes_back),
        cmocka_unit_test(inner_headers_carry_the_revision_only_and_a_nested_transactions_nothing),
        cmocka_unit_test(a_union_that_does_not_fit_the_target_reads_as_zero),
        cmocka_unit_test(each_target_reads_its_own_member),
        cmocka_unit_test(numbers_of_result_and_target_that_nobody_knows_pass),
        cmocka_unit_test(any_transaction_means_the_same_when_encoded_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
