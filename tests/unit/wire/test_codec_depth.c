/* Messages nested deeper than the bound are refused before anything recurses. */
#include "rpc.pb-c.h"
#include "sample.h"
#include "tenure/error.h"
#include "wire/codec_internal.h"

/* A TxnRequest with `levels` transactions within it, written from the inside out. Each takes two levels of messages:
 * the operation and the transaction. */
static void nest(struct buf *out, unsigned levels)
{
    struct buf inner;
    buf_init(&inner);
    for (unsigned i = 0; i < levels; i++) {
        struct buf outer;
        buf_init(&outer);
        struct pbw_mark m = pbw_begin(&outer, 2, inner.len + 8);
        pbw_bytes_always(&outer, 4, buf_bytes(&inner));
        pbw_end(&outer, m);
        buf_fini(&inner);
        inner = outer;
    }
    buf_append_bytes(out, buf_bytes(&inner));
    buf_fini(&inner);
}

static void a_transaction_may_be_nested_up_to_the_bound(void **state)
{
    (void)state;
    struct sample s;
    struct txn_req t;
    unsigned levels = (CODEC_DEPTH_MAX - 1) / 2; /* the outermost is a level of its own */
    sample_init(&s, 1);
    nest(&s.out, levels);
    assert_int_equal(decode_txn_req(buf_bytes(&s.out), &s.arena, &t), 0);
    const struct txn_req *at = &t;
    unsigned seen = 0;
    for (; at->n_success; at = at->success[0].txn)
        seen++;
    assert_int_equal(seen, levels);

    sample_reset(&s);
    nest(&s.out, levels + 1);
    assert_int_equal(decode_txn_req(buf_bytes(&s.out), &s.arena, &t), TENURE_EPROTOCOL);
    sample_fini(&s);
}

static void ten_thousand_levels_are_a_protocol_error(void **state)
{
    (void)state;
    struct sample s;
    struct txn_req t;
    struct txn_resp r;
    struct response_header h;
    sample_init(&s, 2);
    nest(&s.out, 10000);
    assert_int_equal(decode_txn_req(buf_bytes(&s.out), &s.arena, &t), TENURE_EPROTOCOL);

    /* A response nests through field 3, then 4: the same bytes with another tag would do, so build it the same way. */
    buf_reset(&s.out);
    for (unsigned i = 0; i < 10000; i++) {
        struct buf outer;
        buf_init(&outer);
        struct pbw_mark m = pbw_begin(&outer, 3, s.out.len + 8);
        pbw_bytes_always(&outer, 4, buf_bytes(&s.out));
        pbw_end(&outer, m);
        buf_fini(&s.out);
        s.out = outer;
    }
    assert_int_equal(decode_txn_resp(buf_bytes(&s.out), &s.arena, &h, &r), TENURE_EPROTOCOL);
    sample_fini(&s);
}

static int depth_of(const char *data, size_t len, unsigned depth_max)
{
    return codec_check_depth(&etcdserverpb__txn_request__descriptor, bytes_of(data, len), depth_max);
}
#define DEPTH_OF(literal, depth_max) depth_of((literal), sizeof(literal) - 1, (depth_max))

static void bytes_of_an_unknown_field_are_not_entered(void **state)
{
    (void)state;
    /* field 9, two bytes that would be a message in field 2 */
    assert_int_equal(DEPTH_OF("\x4a\x02\x12\x00", 1), 0);
    assert_int_equal(DEPTH_OF("\x12\x00", 1), TENURE_EPROTOCOL);
    assert_int_equal(DEPTH_OF("\x12\x00", 2), 0);
}

static void what_cannot_be_right_is_a_protocol_error(void **state)
{
    (void)state;
    assert_int_equal(DEPTH_OF("\x12", 9), TENURE_EPROTOCOL);             /* no length */
    assert_int_equal(DEPTH_OF("\x12\x01", 9), TENURE_EPROTOCOL);         /* shorter than its length */
    assert_int_equal(DEPTH_OF("\x12\x02\x12\x01", 9), TENURE_EPROTOCOL); /* beyond the message around it */
    assert_int_equal(DEPTH_OF("\x4d\x01\x02\x03", 9), TENURE_EPROTOCOL); /* a cut 32-bit number */
    assert_int_equal(DEPTH_OF("\x49\x01\x02\x03", 9), TENURE_EPROTOCOL); /* a cut 64-bit number */
    assert_int_equal(DEPTH_OF("\x4b\x4c", 9), TENURE_EPROTOCOL);         /* a group */
    assert_int_equal(DEPTH_OF("\x48\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 9), TENURE_EPROTOCOL); /* 11 bytes */
    assert_int_equal(DEPTH_OF("\x4a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 9), TENURE_EPROTOCOL); /* length 2^64-1 */
    assert_int_equal(DEPTH_OF("\x4d\x01\x02\x03\x04\x49\x01\x02\x03\x04\x05\x06\x07\x08\x48\x80\x01", 9), 0);
    assert_int_equal(DEPTH_OF("", 1), 0);
}

static void random_bytes_are_judged_without_harm(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 3);
    for (int i = 0; i < 20 * SAMPLES; i++, sample_reset(&s)) {
        bytes junk = sample_bytes(&s);
        struct txn_req t;
        int rc = decode_txn_req(junk, &s.arena, &t);
        assert_true(rc == 0 || rc == TENURE_EPROTOCOL);
    }
    sample_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transaction_may_be_nested_up_to_the_bound),
        cmocka_unit_test(ten_thousand_levels_are_a_protocol_error),
        cmocka_unit_test(bytes_of_an_unknown_field_are_not_entered),
        cmocka_unit_test(what_cannot_be_right_is_a_protocol_error),
        cmocka_unit_test(random_bytes_are_judged_without_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
