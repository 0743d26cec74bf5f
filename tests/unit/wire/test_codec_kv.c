/* Range, Put, DeleteRange, Compact: what is encoded is what protobuf-c would write, and comes back as it was. */
#include "rpc.pb-c.h"
#include "sample.h"
#include "tenure/error.h"

/* ---- requests ---- */

static void a_range_request_comes_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 1);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        struct range_req b, a = {
                                .range = sample_range(&s),
                                .limit = sample_int(&s),
                                .revision = sample_int(&s),
                                .sort_order = (int32_t)sample_int(&s),
                                .sort_target = (int32_t)sample_int(&s),
                                .serializable = sample_bool(&s),
                                .keys_only = sample_bool(&s),
                                .count_only = sample_bool(&s),
                                .min_mod_revision = sample_int(&s),
                                .max_mod_revision = sample_int(&s),
                                .min_create_revision = sample_int(&s),
                                .max_create_revision = sample_int(&s),
                            };
        encode_range_req(&a, &s.out);
        expect_canonical(&s, &etcdserverpb__range_request__descriptor);
        assert_int_equal(decode_range_req(buf_bytes(&s.out), &s.arena, &b), 0);
        assert_true(same_range(a.range, b.range));
        assert_true(a.limit == b.limit && a.revision == b.revision);
        assert_true(a.sort_order == b.sort_order && a.sort_target == b.sort_target);
        assert_true(a.serializable == b.serializable && a.keys_only == b.keys_only && a.count_only == b.count_only);
        assert_true(a.min_mod_revision == b.min_mod_revision && a.max_mod_revision == b.max_mod_revision);
        assert_true(a.min_create_revision == b.min_create_revision);
        assert_true(a.max_create_revision == b.max_create_revision);
    }
    sample_fini(&s);
}

static void a_put_request_comes_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 2);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        struct put_req b, a = {
                              .key = sample_bytes(&s),
                              .value = sample_bytes(&s),
                              .lease = sample_int(&s),
                              .prev_kv = sample_bool(&s),
                              .ignore_value = sample_bool(&s),
                              .ignore_lease = sample_bool(&s),
                          };
        encode_put_req(&a, &s.out);
        expect_canonical(&s, &etcdserverpb__put_request__descriptor);
        assert_int_equal(decode_put_req(buf_bytes(&s.out), &s.arena, &b), 0);
        assert_true(bytes_equal(a.key, b.key) && bytes_equal(a.value, b.value) && a.lease == b.lease);
        assert_true(a.prev_kv == b.prev_kv && a.ignore_value == b.ignore_value && a.ignore_lease == b.ignore_lease);
    }
    sample_fini(&s);
}

static void a_delete_request_comes_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 3);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        struct delete_req b, a = {.range = sample_range(&s), .prev_kv = sample_bool(&s)};
        encode_delete_req(&a, &s.out);
        expect_canonical(&s, &etcdserverpb__delete_range_request__descriptor);
        assert_int_equal(decode_delete_req(buf_bytes(&s.out), &s.arena, &b), 0);
        assert_true(same_range(a.range, b.range) && a.prev_kv == b.prev_kv);
    }
    sample_fini(&s);
}

static void a_compact_request_comes_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 4);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        struct compact_req b, a = {.revision = sample_int(&s), .physical = sample_bool(&s)};
        encode_compact_req(&a, &s.out);
        expect_canonical(&s, &etcdserverpb__compaction_request__descriptor);
        assert_int_equal(decode_compact_req(buf_bytes(&s.out), &s.arena, &b), 0);
        assert_true(a.revision == b.revision && a.physical == b.physical);
    }
    sample_fini(&s);
}

/* ---- responses ---- */

static struct kv *sample_kvs(struct sample *s, size_t n)
{
    struct kv *kvs = sample_array(s, n, sizeof *kvs);
    for (size_t i = 0; i < n; i++)
        kvs[i] = sample_kv(s);
    return kvs;
}

static void a_range_response_comes_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 5);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        struct response_header h = sample_header(&s), seen;
        size_t n = sample_below(&s, 5);
        struct range_resp b, a = {
                                 .revision = sample_int(&s),
                                 .kvs = sample_kvs(&s, n),
                                 .n_kvs = n,
                                 .more = sample_bool(&s),
                                 .count = sample_int(&s),
                             };
        encode_range_resp(&h, &a, &s.out);
        expect_canonical(&s, &etcdserverpb__range_response__descriptor);
        assert_int_equal(decode_range_resp(buf_bytes(&s.out), &s.arena, &seen, &b), 0);
        assert_true(same_header(&h, a.revision, &seen) && a.revision == b.revision);
        assert_true(same_kvs(a.kvs, a.n_kvs, b.kvs, b.n_kvs));
        assert_true(a.more == b.more && a.count == b.count);
    }
    sample_fini(&s);
}

static void a_put_response_comes_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 6);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        struct response_header h = sample_header(&s), seen;
        struct put_resp b, a = {.revision = sample_int(&s), .has_prev_kv = sample_bool(&s)};
        if (a.has_prev_kv)
            a.prev_kv = sample_kv(&s);
        encode_put_resp(&h, &a, &s.out);
        expect_canonical(&s, &etcdserverpb__put_response__descriptor);
        assert_int_equal(decode_put_resp(buf_bytes(&s.out), &s.arena, &seen, &b), 0);
        assert_true(same_header(&h, a.revision, &seen) && a.revision == b.revision);
        assert_true(a.has_prev_kv == b.has_prev_kv && same_kv(&a.prev_kv, &b.prev_kv));
    }
    sample_fini(&s);
}

static void a_delete_response_comes_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 7);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        struct response_header h = sample_header(&s), seen;
        size_t n = sample_below(&s, 5);
        struct delete_resp b, a = {
                                  .revision = sample_int(&s),
                                  .deleted = sample_int(&s),
                                  .prev_kvs = sample_kvs(&s, n),
                                  .n_prev_kvs = n,
                              };
        encode_delete_resp(&h, &a, &s.out);
        expect_canonical(&s, &etcdserverpb__delete_range_response__descriptor);
        assert_int_equal(decode_delete_resp(buf_bytes(&s.out), &s.arena, &seen, &b), 0);
        assert_true(same_header(&h, a.revision, &seen) && a.revision == b.revision);
        assert_true(a.deleted == b.deleted && same_kvs(a.prev_kvs, a.n_prev_kvs, b.prev_kvs, b.n_prev_kvs));
    }
    sample_fini(&s);
}

static void a_compact_response_comes_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 8);
    struct response_header h = sample_header(&s), seen;
    struct compact_resp b, a = {.revision = 42};
    encode_compact_resp(&h, &a, &s.out);
    expect_canonical(&s, &etcdserverpb__compaction_response__descriptor);
    assert_int_equal(decode_compact_resp(buf_bytes(&s.out), &s.arena, &seen, &b), 0);
    assert_true(same_header(&h, 42, &seen) && b.revision == 42);
    sample_fini(&s);
}

/* ---- odd input ---- */

static void an_empty_message_is_all_defaults(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 9);
    struct response_header h;
    struct range_req req;
    struct range_resp resp;
    assert_int_equal(decode_range_req(bytes_of(NULL, 0), &s.arena, &req), 0);
    assert_int_equal(req.range.key.len, 0);
    assert_int_equal(req.limit, 0);
    assert_int_equal(decode_range_resp(bytes_of(NULL, 0), &s.arena, &h, &resp), 0);
    assert_int_equal(h.cluster_id, 0);
    assert_int_equal(resp.n_kvs, 0);
    sample_fini(&s);
}

static void an_enum_number_nobody_knows_passes(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 10);
    struct range_req r;
    assert_int_equal(decode_range_req(bytes_of("\x28\x63\x30\x07", 4), &s.arena, &r), 0);
    assert_int_equal(r.sort_order, 99);
    assert_int_equal(r.sort_target, 7);
    sample_fini(&s);
}

static void a_cut_message_is_a_protocol_error(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 11);
    struct put_req a = {.key = bytes_str("key"), .value = bytes_str("value"), .lease = 300}, b;
    encode_put_req(&a, &s.out);
    size_t whole = 0;
    for (size_t len = 1; len < s.out.len; len++) {
        int rc = decode_put_req(bytes_of(s.out.data, len), &s.arena, &b);
        assert_true(rc == 0 || rc == TENURE_EPROTOCOL);
        whole += rc == 0;
    }
    assert_int_equal(whole, 2); /* where a field ends: behind the key, behind the value */
    sample_fini(&s);
}

static void a_full_arena_is_out_of_memory(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 12);
    struct arena small;
    arena_init(&small, 64);
    struct put_req a = {.key = bytes_str("a key of some length"), .value = bytes_str("a value of some length")}, b;
    encode_put_req(&a, &s.out);
    assert_int_equal(decode_put_req(buf_bytes(&s.out), &small, &b), TENURE_ENOMEM);
    arena_fini(&small);
    sample_fini(&s);
}

/* Whatever a peer sends and we accept, we would send on in the same meaning. */
static void any_range_response_means_the_same_when_encoded_again(void **state)
{
    (void)state;
    struct sample s;
    struct buf again;
    sample_init(&s, 13);
    buf_init(&again);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s), buf_reset(&again)) {
        struct response_header h, h2;
        struct range_resp a, b;
        sample_message(&s, &etcdserverpb__range_response__descriptor, 4, &s.out);
        assert_int_equal(decode_range_resp(buf_bytes(&s.out), &s.arena, &h, &a), 0);
        encode_range_resp(&h, &a, &again);
        assert_int_equal(decode_range_resp(buf_bytes(&again), &s.arena, &h2, &b), 0);
        assert_true(same_header(&h, a.revision, &h2));
        assert_true(same_kvs(a.kvs, a.n_kvs, b.kvs, b.n_kvs) && a.more == b.more && a.count == b.count);
    }
    buf_fini(&again);
    sample_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_range_request_comes_back),
        cmocka_unit_test(a_put_request_comes_back),
        cmocka_unit_test(a_delete_request_comes_back),
        cmocka_unit_test(a_compact_request_comes_back),
        cmocka_unit_test(a_range_response_comes_back),
        cmocka_unit_test(a_put_response_comes_back),
        cmocka_unit_test(a_delete_response_comes_back),
        cmocka_unit_test(a_compact_response_comes_back),
        cmocka_unit_test(an_empty_message_is_all_defaults),
        cmocka_unit_test(an_enum_number_nobody_knows_passes),
        cmocka_unit_test(a_cut_message_is_a_protocol_error),
        cmocka_unit_test(a_full_arena_is_out_of_memory),
        cmocka_unit_test(any_range_response_means_the_same_when_encoded_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
