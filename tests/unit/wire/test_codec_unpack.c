/* Unpacking into an arena that is too small by any amount, and messages that are not what they should be. */
#include "rpc.pb-c.h"
#include "sample.h"
#include "tenure/error.h"

static int decode_txn(bytes in, struct arena *a)
{
    struct txn_req r;
    return decode_txn_req(in, a, &r);
}

static int decode_txn_response(bytes in, struct arena *a)
{
    struct response_header h;
    struct txn_resp r;
    return decode_txn_resp(in, a, &h, &r);
}

static int decode_watch(bytes in, struct arena *a)
{
    struct watch_resp r;
    return decode_watch_resp(in, a, &r);
}

static int decode_watch_request(bytes in, struct arena *a)
{
    struct watch_req r;
    return decode_watch_req(in, a, &r);
}

static int decode_members(bytes in, struct arena *a)
{
    struct response_header h;
    struct member_list_resp r;
    return decode_member_list_resp(in, a, &h, &r);
}

static int decode_status(bytes in, struct arena *a)
{
    struct status_resp r;
    return decode_status_resp(in, a, &r);
}

static int decode_leases(bytes in, struct arena *a)
{
    struct response_header h;
    struct lease_list_resp r;
    return decode_lease_list_resp(in, a, &h, &r);
}

static int decode_ttl(bytes in, struct arena *a)
{
    struct response_header h;
    struct lease_ttl_resp r;
    return decode_lease_ttl_resp(in, a, &h, &r);
}

static const struct {
    const ProtobufCMessageDescriptor *type;
    int (*decode)(bytes in, struct arena *a);
} kinds[] = {
    {&etcdserverpb__txn_request__descriptor, decode_txn},
    {&etcdserverpb__txn_response__descriptor, decode_txn_response},
    {&etcdserverpb__watch_response__descriptor, decode_watch},
    {&etcdserverpb__watch_request__descriptor, decode_watch_request},
    {&etcdserverpb__member_list_response__descriptor, decode_members},
    {&etcdserverpb__status_response__descriptor, decode_status},
    {&etcdserverpb__lease_leases_response__descriptor, decode_leases},
    {&etcdserverpb__lease_time_to_live_response__descriptor, decode_ttl},
};

/* Every bound up to the one that suffices: so each single allocation fails once. */
static void an_arena_too_small_by_any_amount_is_out_of_memory(void **state)
{
    (void)state;
    struct sample s;
    size_t failures = 0;
    sample_init(&s, 60);
    for (size_t kind = 0; kind < ARRAY_LEN(kinds); kind++) {
        for (int i = 0; i < 5; i++, sample_reset(&s)) {
            sample_message(&s, kinds[kind].type, 5, &s.out);
            int rc = TENURE_ENOMEM;
            for (size_t bound = 16; rc == TENURE_ENOMEM; bound += 16) {
                struct arena a;
                arena_init(&a, bound);
                rc = kinds[kind].decode(buf_bytes(&s.out), &a);
                arena_fini(&a);
                failures += rc == TENURE_ENOMEM;
            }
            assert_int_equal(rc, 0);
        }
    }
    assert_true(failures > 1000);
    sample_fini(&s);
}

/* Any byte of a good message changed, any end cut off: an answer of 0 or TENURE_EPROTOCOL, nothing else. */
static void a_damaged_message_is_refused_or_understood(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 61);
    for (size_t kind = 0; kind < ARRAY_LEN(kinds); kind++) {
        for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
            sample_message(&s, kinds[kind].type, 5, &s.out);
            if (s.out.len == 0)
                continue;
            s.out.data[sample_below(&s, s.out.len)] ^= (uint8_t)(1 + sample_below(&s, 255));
            size_t len = sample_bool(&s) ? s.out.len : sample_below(&s, s.out.len);
            uint8_t *exact = malloc(len ? len : 1); /* a read past it is seen */
            assert_non_null(exact);
            memcpy(exact, s.out.data, len);
            int rc = kinds[kind].decode(bytes_of(exact, len), &s.arena);
            assert_true(rc == 0 || rc == TENURE_EPROTOCOL);
            free(exact);
        }
    }
    sample_fini(&s);
}

/* Two bytes a compare on the wire, over a hundred in memory. */
static void a_small_message_cannot_become_a_huge_one(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 62);
    for (int i = 0; i < 1 << 20; i++)
        buf_append(&s.out, "\x0a\x00", 2);
    assert_int_equal(decode_txn(buf_bytes(&s.out), &s.arena), TENURE_ENOMEM);
    assert_true(s.arena.total < (size_t)80 << 20);

    /* Of the smallest keys there may be as many as one likes. */
    struct range_resp r = {.n_kvs = 200000};
    struct response_header h = {0}, seen;
    r.kvs = calloc(r.n_kvs, sizeof *r.kvs);
    assert_non_null(r.kvs);
    for (size_t i = 0; i < r.n_kvs; i++)
        r.kvs[i] = (struct kv){.key = bytes_str("k"), .create_revision = 1, .mod_revision = 1, .version = 1};
    sample_reset(&s);
    encode_range_resp(&h, &r, &s.out);
    free(r.kvs);
    assert_int_equal(decode_range_resp(buf_bytes(&s.out), &s.arena, &seen, &r), 0);
    assert_int_equal(r.n_kvs, 200000);
    sample_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_arena_too_small_by_any_amount_is_out_of_memory),
        cmocka_unit_test(a_small_message_cannot_become_a_huge_one),
        cmocka_unit_test(a_damaged_message_is_refused_or_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
