/* Maintenance and changes of members: each request and response comes back as it was, in protobuf-c's bytes. */
#include "rpc.pb-c.h"
#include "sample.h"

static void alarms_come_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 60);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        struct alarm_req ra = {(int32_t)sample_below(&s, 4), {(uint64_t)sample_int(&s), (int32_t)sample_below(&s, 4)}},
                         rb;
        encode_alarm_req(&ra, &s.out);
        expect_canonical(&s, &etcdserverpb__alarm_request__descriptor);
        assert_int_equal(decode_alarm_req(buf_bytes(&s.out), &s.arena, &rb), 0);
        assert_memory_equal(&ra, &rb, sizeof ra.action);
        assert_true(ra.alarm.member_id == rb.alarm.member_id && ra.alarm.type == rb.alarm.type);

        struct response_header h = sample_header(&s), seen;
        struct alarm_resp b, a = {.revision = sample_int(&s), .n_alarms = sample_below(&s, 3)};
        a.alarms = sample_array(&s, a.n_alarms, sizeof *a.alarms);
        for (size_t k = 0; k < a.n_alarms; k++)
            a.alarms[k] = (struct alarm){(uint64_t)sample_int(&s), (int32_t)sample_below(&s, 5)};
        buf_reset(&s.out);
        encode_alarm_resp(&h, &a, &s.out);
        expect_canonical(&s, &etcdserverpb__alarm_response__descriptor);
        assert_int_equal(decode_alarm_resp(buf_bytes(&s.out), &s.arena, &seen, &b), 0);
        assert_true(same_header(&h, a.revision, &seen) && a.n_alarms == b.n_alarms);
        for (size_t k = 0; k < a.n_alarms; k++)
            assert_true(a.alarms[k].member_id == b.alarms[k].member_id && a.alarms[k].type == b.alarms[k].type);
    }
    sample_fini(&s);
}

static void hashes_come_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 61);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        tn_rev revision = sample_int(&s), seen_revision;
        encode_hash_kv_req(revision, &s.out);
        expect_canonical(&s, &etcdserverpb__hash_kvrequest__descriptor);
        assert_int_equal(decode_hash_kv_req(buf_bytes(&s.out), &s.arena, &seen_revision), 0);
        assert_int_equal(revision, seen_revision);

        struct response_header h = sample_header(&s), seen;
        struct hash_kv_resp b, a = {sample_int(&s), (uint32_t)sample_int(&s), sample_int(&s), sample_int(&s)};
        buf_reset(&s.out);
        encode_hash_kv_resp(&h, &a, &s.out);
        expect_canonical(&s, &etcdserverpb__hash_kvresponse__descriptor);
        assert_int_equal(decode_hash_kv_resp(buf_bytes(&s.out), &s.arena, &seen, &b), 0);
        assert_true(same_header(&h, a.revision, &seen) && a.hash == b.hash);
        assert_true(a.compact_revision == b.compact_revision && a.hash_revision == b.hash_revision);

        uint32_t hash;
        buf_reset(&s.out);
        encode_hash_resp(&h, revision, a.hash, &s.out);
        expect_canonical(&s, &etcdserverpb__hash_response__descriptor);
        assert_int_equal(decode_hash_resp(buf_bytes(&s.out), &s.arena, &seen, &hash), 0);
        assert_true(same_header(&h, revision, &seen) && hash == a.hash);
    }
    assert_int_equal(decode_hash_req(bytes_of(NULL, 0), &s.arena), 0);
    assert_int_equal(decode_defragment_req(bytes_of(NULL, 0), &s.arena), 0);
    sample_fini(&s);
}

static void downgrades_and_leaders_come_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 62);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        struct downgrade_req rb, ra = {(int32_t)sample_below(&s, 4), sample_text(&s)};
        encode_downgrade_req(&ra, &s.out);
        expect_canonical(&s, &etcdserverpb__downgrade_request__descriptor);
        assert_int_equal(decode_downgrade_req(buf_bytes(&s.out), &s.arena, &rb), 0);
        assert_true(ra.action == rb.action && bytes_equal(ra.version, rb.version));

        struct response_header h = sample_header(&s), seen;
        bytes version;
        tn_rev revision = sample_int(&s);
        buf_reset(&s.out);
        encode_downgrade_resp(&h, revision, ra.version, &s.out);
        expect_canonical(&s, &etcdserverpb__downgrade_response__descriptor);
        assert_int_equal(decode_downgrade_resp(buf_bytes(&s.out), &s.arena, &seen, &version), 0);
        assert_true(same_header(&h, revision, &seen) && bytes_equal(version, ra.version));

        uint64_t target = (uint64_t)sample_int(&s), seen_target;
        buf_reset(&s.out);
        encode_move_leader_req(target, &s.out);
        expect_canonical(&s, &etcdserverpb__move_leader_request__descriptor);
        assert_int_equal(decode_move_leader_req(buf_bytes(&s.out), &s.arena, &seen_target), 0);
        assert_true(target == seen_target);
    }
    sample_fini(&s);
}

static void changes_of_members_come_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 63);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        size_t n = sample_below(&s, 3);
        struct member_add_req add, a = {sample_texts(&s, n), n, sample_bool(&s)};
        encode_member_add_req(&a, &s.out);
        expect_canonical(&s, &etcdserverpb__member_add_request__descriptor);
        assert_int_equal(decode_member_add_req(buf_bytes(&s.out), &s.arena, &add), 0);
        assert_true(same_texts(a.peer_urls, n, add.peer_urls, add.n_peer_urls) && a.is_learner == add.is_learner);

        struct member_update_req update, u = {(uint64_t)sample_int(&s), a.peer_urls, n};
        buf_reset(&s.out);
        encode_member_update_req(&u, &s.out);
        expect_canonical(&s, &etcdserverpb__member_update_request__descriptor);
        assert_int_equal(decode_member_update_req(buf_bytes(&s.out), &s.arena, &update), 0);
        assert_true(u.id == update.id && same_texts(a.peer_urls, n, update.peer_urls, update.n_peer_urls));

        uint64_t id;
        buf_reset(&s.out);
        encode_member_id_req(u.id, &s.out);
        expect_canonical(&s, &etcdserverpb__member_remove_request__descriptor);
        assert_int_equal(decode_member_remove_req(buf_bytes(&s.out), &s.arena, &id), 0);
        assert_true(id == u.id);
        assert_int_equal(decode_member_promote_req(buf_bytes(&s.out), &s.arena, &id), 0);
        assert_true(id == u.id);
    }
    sample_fini(&s);
}

static void range_streams_come_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 64);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        struct response_header h = sample_header(&s), seen;
        bool last = sample_bool(&s);
        struct range_resp b, a = {.n_kvs = sample_below(&s, 4), .more = sample_bool(&s), .count = sample_int(&s)};
        a.revision = last ? sample_int(&s) : 0;
        a.kvs = sample_array(&s, a.n_kvs, sizeof *a.kvs);
        for (size_t k = 0; k < a.n_kvs; k++)
            a.kvs[k] = sample_kv(&s);
        encode_range_stream_resp(last ? &h : NULL, &a, sample_below(&s, 40000), &s.out);
        expect_canonical(&s, &etcdserverpb__range_stream_response__descriptor);
        assert_int_equal(decode_range_stream_resp(buf_bytes(&s.out), &s.arena, &seen, &b), 0);
        assert_true(same_kvs(a.kvs, a.n_kvs, b.kvs, b.n_kvs) && a.more == b.more && a.count == b.count);
        assert_true(last ? same_header(&h, a.revision, &seen) : seen.cluster_id == 0 && seen.raft_term == 0);
    }
    struct response_header h;
    struct range_resp r;
    assert_int_equal(decode_range_stream_resp(bytes_of(NULL, 0), &s.arena, &h, &r), 0);
    assert_int_equal(r.n_kvs, 0);
    sample_fini(&s);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    struct sample s;
    struct alarm_req alarm;
    struct downgrade_req downgrade;
    tn_rev revision;
    uint64_t id;
    const bytes cut = bytes_of("\x12\xff", 2), wrong = bytes_of("\x0f", 1);
    sample_init(&s, 65);
    assert_true(decode_alarm_req(cut, &s.arena, &alarm) < 0);
    assert_true(decode_downgrade_req(cut, &s.arena, &downgrade) < 0);
    assert_true(decode_hash_kv_req(wrong, &s.arena, &revision) < 0);
    assert_true(decode_member_remove_req(wrong, &s.arena, &id) < 0);
    assert_true(decode_defragment_req(wrong, &s.arena) < 0);
    sample_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alarms_come_back),
        cmocka_unit_test(hashes_come_back),
        cmocka_unit_test(downgrades_and_leaders_come_back),
        cmocka_unit_test(changes_of_members_come_back),
        cmocka_unit_test(range_streams_come_back),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
