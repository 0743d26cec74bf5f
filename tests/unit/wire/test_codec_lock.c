/* Lock and Election: each request and response comes back as it was, in protobuf-c's bytes. */
#include "sample.h"
#include "v3election.pb-c.h"
#include "v3lock.pb-c.h"

static struct leader_key sample_leader_key(struct sample *s)
{
    return (struct leader_key){sample_bytes(s), sample_bytes(s), sample_int(s), sample_int(s)};
}

static bool same_leader_key(const struct leader_key *a, const struct leader_key *b)
{
    return bytes_equal(a->name, b->name) && bytes_equal(a->key, b->key) && a->rev == b->rev && a->lease == b->lease;
}

static void locks_come_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 70);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        struct lock_req rb, ra = {sample_bytes(&s), sample_int(&s)};
        encode_lock_req(&ra, &s.out);
        expect_canonical(&s, &v3lockpb__lock_request__descriptor);
        assert_int_equal(decode_lock_req(buf_bytes(&s.out), &s.arena, &rb), 0);
        assert_true(bytes_equal(ra.name, rb.name) && ra.lease == rb.lease);

        struct response_header h = sample_header(&s), seen;
        struct lock_resp b, a = {sample_int(&s), ra.name};
        buf_reset(&s.out);
        encode_lock_resp(&h, &a, &s.out);
        expect_canonical(&s, &v3lockpb__lock_response__descriptor);
        assert_int_equal(decode_lock_resp(buf_bytes(&s.out), &s.arena, &seen, &b), 0);
        assert_true(same_header(&h, a.revision, &seen) && bytes_equal(a.key, b.key));

        bytes key;
        buf_reset(&s.out);
        encode_unlock_req(ra.name, &s.out);
        expect_canonical(&s, &v3lockpb__unlock_request__descriptor);
        assert_int_equal(decode_unlock_req(buf_bytes(&s.out), &s.arena, &key), 0);
        assert_true(bytes_equal(key, ra.name));

        buf_reset(&s.out);
        encode_header_resp(&h, a.revision, &s.out);
        expect_canonical(&s, &v3lockpb__unlock_response__descriptor);
        assert_int_equal(decode_header_resp(buf_bytes(&s.out), &s.arena, &seen), 0);
        assert_true(same_header(&h, a.revision, &seen));
    }
    sample_fini(&s);
}

static void campaigns_come_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 71);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        struct campaign_req rb, ra = {sample_bytes(&s), sample_int(&s), sample_bytes(&s)};
        encode_campaign_req(&ra, &s.out);
        expect_canonical(&s, &v3electionpb__campaign_request__descriptor);
        assert_int_equal(decode_campaign_req(buf_bytes(&s.out), &s.arena, &rb), 0);
        assert_true(bytes_equal(ra.name, rb.name) && ra.lease == rb.lease && bytes_equal(ra.value, rb.value));

        struct response_header h = sample_header(&s), seen;
        struct campaign_resp b, a = {sample_int(&s), sample_leader_key(&s)};
        buf_reset(&s.out);
        encode_campaign_resp(&h, &a, &s.out);
        expect_canonical(&s, &v3electionpb__campaign_response__descriptor);
        assert_int_equal(decode_campaign_resp(buf_bytes(&s.out), &s.arena, &seen, &b), 0);
        assert_true(same_header(&h, a.revision, &seen) && same_leader_key(&a.leader, &b.leader));
    }
    sample_fini(&s);
}

static void proclamations_and_leaders_come_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 72);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        struct proclaim_req pb, pa = {sample_bool(&s), sample_leader_key(&s), sample_bytes(&s)};
        encode_proclaim_req(&pa, &s.out);
        expect_canonical(&s, &v3electionpb__proclaim_request__descriptor);
        assert_int_equal(decode_proclaim_req(buf_bytes(&s.out), &s.arena, &pb), 0);
        assert_true(pa.has_leader == pb.has_leader && bytes_equal(pa.value, pb.value));
        assert_true(!pa.has_leader || same_leader_key(&pa.leader, &pb.leader));

        struct resign_req rb, ra = {pa.has_leader, pa.leader};
        buf_reset(&s.out);
        encode_resign_req(&ra, &s.out);
        expect_canonical(&s, &v3electionpb__resign_request__descriptor);
        assert_int_equal(decode_resign_req(buf_bytes(&s.out), &s.arena, &rb), 0);
        assert_true(ra.has_leader == rb.has_leader && (!ra.has_leader || same_leader_key(&ra.leader, &rb.leader)));

        bytes name;
        buf_reset(&s.out);
        encode_leader_req(pa.value, &s.out);
        expect_canonical(&s, &v3electionpb__leader_request__descriptor);
        assert_int_equal(decode_leader_req(buf_bytes(&s.out), &s.arena, &name), 0);
        assert_true(bytes_equal(name, pa.value));

        struct response_header h = sample_header(&s), seen;
        struct leader_resp b, a = {sample_int(&s), sample_kv(&s)};
        buf_reset(&s.out);
        encode_leader_resp(&h, &a, &s.out);
        expect_canonical(&s, &v3electionpb__leader_response__descriptor);
        assert_int_equal(decode_leader_resp(buf_bytes(&s.out), &s.arena, &seen, &b), 0);
        assert_true(same_header(&h, a.revision, &seen) && same_kv(&a.kv, &b.kv));
    }
    sample_fini(&s);
}

static void nonsense_is_refused_and_what_is_missing_is_empty(void **state)
{
    (void)state;
    struct sample s;
    struct lock_req lock;
    struct proclaim_req proclaim;
    struct campaign_resp campaign;
    struct response_header h;
    sample_init(&s, 73);
    assert_true(decode_lock_req(bytes_of("\x0a\xff", 2), &s.arena, &lock) < 0);
    assert_true(decode_proclaim_req(bytes_of("\x0a\x02\x0f", 3), &s.arena, &proclaim) < 0);
    assert_int_equal(decode_campaign_resp(bytes_of(NULL, 0), &s.arena, &h, &campaign), 0);
    assert_int_equal(campaign.leader.key.len, 0);
    sample_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locks_come_back),
        cmocka_unit_test(campaigns_come_back),
        cmocka_unit_test(proclamations_and_leaders_come_back),
        cmocka_unit_test(nonsense_is_refused_and_what_is_missing_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
