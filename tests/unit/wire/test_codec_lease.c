/* Lease: each request and response comes back as it was, in protobuf-c's bytes. */
#include "rpc.pb-c.h"
#include "sample.h"

static void requests_come_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 40);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        struct lease_grant_req g = {.ttl_s = sample_int(&s), .id = sample_int(&s)}, g2;
        encode_lease_grant_req(&g, &s.out);
        expect_canonical(&s, &etcdserverpb__lease_grant_request__descriptor);
        assert_int_equal(decode_lease_grant_req(buf_bytes(&s.out), &s.arena, &g2), 0);
        assert_true(g.ttl_s == g2.ttl_s && g.id == g2.id);

        buf_reset(&s.out);
        struct lease_revoke_req r = {.id = sample_int(&s)}, r2;
        encode_lease_revoke_req(&r, &s.out);
        expect_canonical(&s, &etcdserverpb__lease_revoke_request__descriptor);
        assert_int_equal(decode_lease_revoke_req(buf_bytes(&s.out), &s.arena, &r2), 0);
        assert_true(r.id == r2.id);

        buf_reset(&s.out);
        struct lease_keepalive_req k = {.id = sample_int(&s)}, k2;
        encode_lease_keepalive_req(&k, &s.out);
        expect_canonical(&s, &etcdserverpb__lease_keep_alive_request__descriptor);
        assert_int_equal(decode_lease_keepalive_req(buf_bytes(&s.out), &s.arena, &k2), 0);
        assert_true(k.id == k2.id);

        buf_reset(&s.out);
        struct lease_ttl_req t = {.id = sample_int(&s), .keys = sample_bool(&s)}, t2;
        encode_lease_ttl_req(&t, &s.out);
        expect_canonical(&s, &etcdserverpb__lease_time_to_live_request__descriptor);
        assert_int_equal(decode_lease_ttl_req(buf_bytes(&s.out), &s.arena, &t2), 0);
        assert_true(t.id == t2.id && t.keys == t2.keys);
    }
    encode_lease_list_req(&s.out);
    assert_int_equal(s.out.len, 0);
    assert_int_equal(decode_lease_list_req(buf_bytes(&s.out), &s.arena), 0);
    sample_fini(&s);
}

static void grant_revoke_and_keepalive_responses_come_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 41);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        struct response_header h = sample_header(&s), seen;
        struct lease_grant_resp g = {.revision = sample_int(&s), .id = sample_int(&s), .ttl_s = sample_int(&s)}, g2;
        encode_lease_grant_resp(&h, &g, &s.out);
        expect_canonical(&s, &etcdserverpb__lease_grant_response__descriptor);
        assert_int_equal(decode_lease_grant_resp(buf_bytes(&s.out), &s.arena, &seen, &g2), 0);
        assert_true(same_header(&h, g.revision, &seen));
        assert_true(g.revision == g2.revision && g.id == g2.id && g.ttl_s == g2.ttl_s);

        buf_reset(&s.out);
        struct lease_revoke_resp r = {.revision = sample_int(&s)}, r2;
        encode_lease_revoke_resp(&h, &r, &s.out);
        expect_canonical(&s, &etcdserverpb__lease_revoke_response__descriptor);
        assert_int_equal(decode_lease_revoke_resp(buf_bytes(&s.out), &s.arena, &seen, &r2), 0);
        assert_true(same_header(&h, r.revision, &seen) && r.revision == r2.revision);

        buf_reset(&s.out);
        struct lease_keepalive_resp k = {.revision = sample_int(&s), .id = sample_int(&s), .ttl_s = sample_int(&s)}, k2;
        encode_lease_keepalive_resp(&h, &k, &s.out);
        expect_canonical(&s, &etcdserverpb__lease_keep_alive_response__descriptor);
        assert_int_equal(decode_lease_keepalive_resp(buf_bytes(&s.out), &s.arena, &seen, &k2), 0);
        assert_true(same_header(&h, k.revision, &seen));
        assert_true(k.revision == k2.revision && k.id == k2.id && k.ttl_s == k2.ttl_s);
    }
    sample_fini(&s);
}

static void a_time_to_live_response_comes_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 42);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        struct response_header h = sample_header(&s), seen;
        size_t n = sample_below(&s, 5);
        struct lease_ttl_resp b, a = {
                                     .revision = sample_int(&s),
                                     .id = sample_int(&s),
                                     .ttl_s = sample_int(&s),
                                     .granted_ttl_s = sample_int(&s),
                                     .keys = sample_array(&s, n, sizeof(bytes)),
                                     .n_keys = n,
                                 };
        for (size_t k = 0; k < n; k++)
            a.keys[k] = sample_bytes(&s);
        encode_lease_ttl_resp(&h, &a, &s.out);
        expect_canonical(&s, &etcdserverpb__lease_time_to_live_response__descriptor);
        assert_int_equal(decode_lease_ttl_resp(buf_bytes(&s.out), &s.arena, &seen, &b), 0);
        assert_true(same_header(&h, a.revision, &seen) && a.revision == b.revision);
        assert_true(a.id == b.id && a.ttl_s == b.ttl_s && a.granted_ttl_s == b.granted_ttl_s);
        assert_true(same_texts(a.keys, a.n_keys, b.keys, b.n_keys));
    }
    sample_fini(&s);
}

static void a_list_response_comes_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 43);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        struct response_header h = sample_header(&s), seen;
        size_t n = sample_below(&s, 9);
        struct lease_list_resp b, a = {.revision = sample_int(&s), .n_ids = n};
        a.ids = sample_array(&s, n, sizeof *a.ids);
        for (size_t k = 0; k < n; k++)
            a.ids[k] = sample_int(&s);
        encode_lease_list_resp(&h, &a, &s.out);
        expect_canonical(&s, &etcdserverpb__lease_leases_response__descriptor);
        assert_int_equal(decode_lease_list_resp(buf_bytes(&s.out), &s.arena, &seen, &b), 0);
        assert_true(same_header(&h, a.revision, &seen) && a.n_ids == b.n_ids);
        assert_true(n == 0 || memcmp(a.ids, b.ids, n * sizeof *a.ids) == 0);
    }
    sample_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_come_back),
        cmocka_unit_test(grant_revoke_and_keepalive_responses_come_back),
        cmocka_unit_test(a_time_to_live_response_comes_back),
        cmocka_unit_test(a_list_response_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
