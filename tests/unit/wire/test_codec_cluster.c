/* MemberList, Status and health: each request and response comes back as it was, in protobuf-c's bytes. */
#include "health.pb-c.h"
#include "rpc.pb-c.h"
#include "sample.h"
#include "tenure/error.h"

static struct member sample_member(struct sample *s)
{
    size_t n_peer = sample_below(s, 3), n_client = sample_below(s, 3);
    return (struct member){
        .id = (uint64_t)sample_int(s),
        .name = sample_text(s),
        .peer_urls = sample_texts(s, n_peer),
        .client_urls = sample_texts(s, n_client),
        .n_peer_urls = n_peer,
        .n_client_urls = n_client,
        .is_learner = sample_bool(s),
    };
}

static bool same_member(const struct member *a, const struct member *b)
{
    return a->id == b->id && bytes_equal(a->name, b->name) && a->is_learner == b->is_learner &&
           same_texts(a->peer_urls, a->n_peer_urls, b->peer_urls, b->n_peer_urls) &&
           same_texts(a->client_urls, a->n_client_urls, b->client_urls, b->n_client_urls);
}

static void member_lists_come_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 50);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        struct response_header h = sample_header(&s), seen;
        size_t n = sample_below(&s, 4);
        struct member_list_resp b, a = {.revision = sample_int(&s), .n_members = n};
        a.members = sample_array(&s, n, sizeof *a.members);
        for (size_t k = 0; k < n; k++)
            a.members[k] = sample_member(&s);
        encode_member_list_resp(&h, &a, &s.out);
        expect_canonical(&s, &etcdserverpb__member_list_response__descriptor);
        assert_int_equal(decode_member_list_resp(buf_bytes(&s.out), &s.arena, &seen, &b), 0);
        assert_true(same_header(&h, a.revision, &seen) && a.revision == b.revision && b.n_members == n);
        for (size_t k = 0; k < n; k++)
            assert_true(same_member(&a.members[k], &b.members[k]));

        bool linearizable = sample_bool(&s), seen_linearizable;
        buf_reset(&s.out);
        encode_member_list_req(linearizable, &s.out);
        expect_canonical(&s, &etcdserverpb__member_list_request__descriptor);
        assert_int_equal(decode_member_list_req(buf_bytes(&s.out), &s.arena, &seen_linearizable), 0);
        assert_int_equal(linearizable, seen_linearizable);
    }
    sample_fini(&s);
}

/* etcd's answer to an addition, packed by protobuf-c. */
static void an_addition_is_read(void **state)
{
    (void)state;
    struct arena a;
    struct response_header h;
    struct member_add_resp r;
    uint8_t packed[256];
    char *url = "http://10.0.0.1:2380";
    Etcdserverpb__ResponseHeader header = ETCDSERVERPB__RESPONSE_HEADER__INIT;
    Etcdserverpb__Member one = ETCDSERVERPB__MEMBER__INIT, two = ETCDSERVERPB__MEMBER__INIT;
    Etcdserverpb__Member *both[] = {&one, &two};
    Etcdserverpb__MemberAddResponse m = ETCDSERVERPB__MEMBER_ADD_RESPONSE__INIT;
    header.revision = 5;
    one.id = 1;
    two.id = 2;
    two.islearner = true;
    two.peerurls = &url;
    two.n_peerurls = 1;
    m.header = &header;
    m.member = &two;
    m.members = both;
    m.n_members = 2;
    assert_true(etcdserverpb__member_add_response__get_packed_size(&m) <= sizeof packed);
    size_t len = etcdserverpb__member_add_response__pack(&m, packed);
    arena_init(&a, 0);
    assert_int_equal(decode_member_add_resp(bytes_of(packed, len), &a, &h, &r), 0);
    assert_int_equal(r.revision, 5);
    assert_int_equal(r.n_members, 2);
    assert_int_equal(r.members[0].id, 1);
    assert_int_equal(r.member.id, 2);
    assert_true(r.member.is_learner && bytes_equal(r.member.peer_urls[0], bytes_str(url)));
    assert_int_equal(decode_member_add_resp(bytes_of(packed, len - 1), &a, &h, &r), TENURE_EPROTOCOL);
    assert_int_equal(decode_member_add_resp(bytes_of(NULL, 0), &a, &h, &r), 0);
    assert_int_equal(r.n_members + r.member.id, 0);
    arena_fini(&a);
}

static void a_status_comes_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 51);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        size_t n = sample_below(&s, 3);
        struct status_resp b, a = {
                                  .header = sample_header(&s),
                                  .version = sample_text(&s),
                                  .db_size = sample_int(&s),
                                  .db_size_in_use = sample_int(&s),
                                  .db_size_quota = sample_int(&s),
                                  .leader = (uint64_t)sample_int(&s),
                                  .raft_index = (uint64_t)sample_int(&s),
                                  .raft_term = (uint64_t)sample_int(&s),
                                  .raft_applied_index = (uint64_t)sample_int(&s),
                                  .errors = sample_texts(&s, n),
                                  .n_errors = n,
                                  .is_learner = sample_bool(&s),
                                  .storage_version = sample_text(&s),
                                  .has_downgrade = sample_bool(&s),
                              };
        encode_status_resp(&a, &s.out);
        expect_canonical(&s, &etcdserverpb__status_response__descriptor);
        assert_int_equal(decode_status_resp(buf_bytes(&s.out), &s.arena, &b), 0);
        assert_true(same_header(&a.header, a.header.revision, &b.header) && bytes_equal(a.version, b.version));
        assert_true(a.db_size == b.db_size && a.db_size_in_use == b.db_size_in_use);
        assert_true(a.db_size_quota == b.db_size_quota && a.leader == b.leader && a.raft_index == b.raft_index);
        assert_true(a.raft_term == b.raft_term && a.raft_applied_index == b.raft_applied_index);
        assert_true(same_texts(a.errors, a.n_errors, b.errors, b.n_errors) && a.is_learner == b.is_learner);
        assert_true(bytes_equal(a.storage_version, b.storage_version) && a.has_downgrade == b.has_downgrade);
    }
    sample_reset(&s);
    encode_status_req(&s.out);
    assert_int_equal(s.out.len, 0);
    assert_int_equal(decode_status_req(buf_bytes(&s.out), &s.arena), 0);
    sample_fini(&s);
}

static void health_comes_back(void **state)
{
    (void)state;
    struct sample s;
    bytes service;
    sample_init(&s, 52);
    encode_health_req(bytes_str("kv"), &s.out);
    expect_canonical(&s, &grpc__health__v1__health_check_request__descriptor);
    assert_int_equal(decode_health_req(buf_bytes(&s.out), &s.arena, &service), 0);
    assert_true(bytes_equal(service, bytes_str("kv")));
    assert_int_equal(decode_health_req(bytes_of(NULL, 0), &s.arena, &service), 0);
    assert_int_equal(service.len, 0);

    for (int status = HEALTH_UNKNOWN; status <= HEALTH_SERVICE_UNKNOWN; status++) {
        enum health_status seen;
        buf_reset(&s.out);
        encode_health_resp((enum health_status)status, &s.out);
        expect_canonical(&s, &grpc__health__v1__health_check_response__descriptor);
        assert_int_equal(decode_health_resp(buf_bytes(&s.out), &s.arena, &seen), 0);
        assert_int_equal(seen, status);
    }
    sample_fini(&s);
}

static void a_piece_of_a_snapshot_comes_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 53);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        struct snapshot_resp b, a = {
                                    .remaining_bytes = (uint64_t)sample_int(&s),
                                    .blob = sample_bytes(&s),
                                    .version = sample_text(&s),
                                };
        encode_snapshot_resp(&a, &s.out);
        expect_canonical(&s, &etcdserverpb__snapshot_response__descriptor);
        assert_int_equal(decode_snapshot_resp(buf_bytes(&s.out), &s.arena, &b), 0);
        assert_true(a.remaining_bytes == b.remaining_bytes && bytes_equal(a.version, b.version));
        assert_true(bytes_equal(a.blob, b.blob));
        if (s.out.len > 2)
            assert_int_equal(decode_snapshot_resp(bytes_str("\x1a\x05"), &s.arena, &b), TENURE_EPROTOCOL);
    }
    encode_snapshot_req(&s.out);
    assert_int_equal(s.out.len, 0);
    assert_int_equal(decode_snapshot_req(buf_bytes(&s.out), &s.arena), 0);
    sample_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(member_lists_come_back),
        cmocka_unit_test(an_addition_is_read),
        cmocka_unit_test(a_status_comes_back),
        cmocka_unit_test(health_comes_back),
        cmocka_unit_test(a_piece_of_a_snapshot_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
