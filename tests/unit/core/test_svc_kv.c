/* The KV service over the wire: what is answered, with whose ids, and errors byte for byte. */
#include "cases.h"

static void a_put_is_read_back_with_etcds_numbers(void **state)
{
    (void)state;
    struct response_header h;
    struct call *p = client_put(here.c, "a", "1");
    world_settle(here.w);
    assert_int_equal(got_put(p, &h).revision, 2);
    assert_int_equal(h.cluster_id, 0xc1);
    assert_int_equal(h.member_id, 0xe1);
    assert_int_not_equal(h.raft_term, 0);
    assert_int_equal(h.revision, 2);
    struct call *r = client_range(here.c, "a", "");
    world_settle(here.w);
    struct range_resp got = got_range(r);
    assert_int_equal(got.count, 1);
    assert_bytes(got.kvs[0].value, "1");
    assert_int_equal(got.kvs[0].create_revision, 2);
    assert_int_equal(got.kvs[0].version, 1);
}

static void a_delete_counts_what_it_took(void **state)
{
    (void)state;
    put("a", "1");
    put("b", "2");
    struct call *d = client_delete(here.c, "a", "c");
    world_settle(here.w);
    assert_int_equal(got_delete(d).deleted, 2);
    assert_int_equal(count("a", "c"), 0);
}

static struct txn_req create_if_absent(struct compare *compare, struct request_op *op, const char *key)
{
    *compare = (struct compare){.result = COMPARE_EQUAL, .target = COMPARE_CREATE, .range = {bytes_str(key), {0}}};
    *op = (struct request_op){.kind = OP_PUT, .put = {.key = bytes_str(key), .value = bytes_str("x")}};
    return (struct txn_req){.compares = compare, .n_compares = 1, .success = op, .n_success = 1};
}

static void a_transaction_answers_which_way_it_went(void **state)
{
    (void)state;
    struct compare compare;
    struct request_op op;
    struct txn_req req = create_if_absent(&compare, &op, "a");
    struct call *first = client_txn(here.c, &req);
    struct call *second = client_txn(here.c, &req);
    world_settle(here.w);
    assert_true(got_txn(first, NULL).succeeded);
    assert_false(got_txn(second, NULL).succeeded);
}

static void compaction_makes_older_reads_fail(void **state)
{
    (void)state;
    put("a", "1");
    put("a", "2");
    struct call *k = client_compact(here.c, 3, false);
    world_settle(here.w);
    assert_ok(k);
    struct range_req req = {.range = {bytes_str("a"), {0}}, .revision = 2};
    struct buf b;
    buf_init(&b);
    encode_range_req(&req, &b);
    struct call *r = client_call(here.c, "/etcdserverpb.KV/Range", -1);
    call_say(r, &b);
    world_settle(here.w);
    assert_error(r, ETCD_COMPACTED);
}

static void errors_come_with_etcds_code_and_text(void **state)
{
    (void)state;
    struct call *range = client_range(here.c, "", "");
    struct call *no_key = client_put(here.c, "", "1");
    struct call *no_lease = client_put_req(here.c, &(struct put_req){.key = bytes_str("a"), .lease = 77});
    struct call *del = client_delete(here.c, "", "");
    struct call *past = client_compact(here.c, 99, false);
    struct call *ignore =
        client_put_req(here.c, &(struct put_req){.key = bytes_str("a"), .value = bytes_str("v"), .ignore_value = true});
    world_settle(here.w);
    assert_status(range, GRPC_INVALID_ARGUMENT, "etcdserver: key is not provided");
    assert_status(no_key, GRPC_INVALID_ARGUMENT, "etcdserver: key is not provided");
    assert_status(no_lease, GRPC_NOT_FOUND, "etcdserver: requested lease not found");
    assert_status(del, GRPC_INVALID_ARGUMENT, "etcdserver: key is not provided");
    assert_status(past, GRPC_OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision");
    assert_status(ignore, GRPC_INVALID_ARGUMENT, "etcdserver: value is provided");
}

static void a_write_that_is_too_large_is_refused_and_a_read_is_not(void **state)
{
    (void)state;
    static char big[2000];
    struct world_options o = {.core = {.request_bytes_max = 1000}};
    restart(&o);
    memset(big, 'k', sizeof big - 1);
    struct call *p = client_put(here.c, "a", big);
    struct call *r = client_range(here.c, big, "");
    struct call *d = client_delete(here.c, big, "");
    world_settle(here.w);
    assert_error(p, ETCD_REQUEST_TOO_LARGE);
    assert_error(d, ETCD_REQUEST_TOO_LARGE);
    assert_int_equal(got_range(r).count, 0);
}

static struct call *put_of(const char *key, char *value, size_t len)
{
    value[len] = '\0';
    struct call *p = client_put(here.c, key, value);
    world_settle(here.w);
    value[len] = 'v';
    return p;
}

static void the_bound_counts_the_entry_of_a_log_as_etcd_does(void **state)
{
    (void)state;
    static char big[2000];
    struct world_options o = {.core = {.request_bytes_max = 1000}};
    restart(&o);
    memset(big, 'v', sizeof big - 1);
    /* 14 of a header, tag and length of the put (3), of its key (2 + 1) and of its value (3) */
    assert_ok(put_of("a", big, 1000 - 14 - 3 - 3 - 3));
    assert_error(put_of("a", big, 1000 - 14 - 3 - 3 - 3 + 1), ETCD_REQUEST_TOO_LARGE);
}

static void what_is_wrong_in_itself_is_told_before_its_size(void **state)
{
    (void)state;
    static char big[2000];
    struct world_options o = {.core = {.request_bytes_max = 1000}};
    restart(&o);
    memset(big, 'v', sizeof big - 1);
    struct request_op op = {.kind = OP_PUT, .put = {.value = bytes_str(big)}};
    struct txn_req txn = {.success = &op, .n_success = 1};
    struct call *p = client_put(here.c, "", big);
    struct call *d = client_delete(here.c, "", big);
    struct call *t = client_txn(here.c, &txn);
    world_settle(here.w);
    assert_error(p, ETCD_EMPTY_KEY);
    assert_error(d, ETCD_EMPTY_KEY);
    assert_error(t, ETCD_EMPTY_KEY);
}

static void a_message_that_is_no_protobuf_is_refused(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    buf_append(&b, "\xff\xff\xff", 3);
    struct call *call = client_call(here.c, "/etcdserverpb.KV/Put", -1);
    call_say(call, &b);
    world_settle(here.w);
    assert_true(call->has_status);
    assert_int_equal(call->status, GRPC_INTERNAL);
}

static void a_call_without_a_message_ends_with_internal(void **state)
{
    (void)state;
    struct call *call = client_call(here.c, "/etcdserverpb.KV/Put", -1);
    call_half_close(call);
    world_settle(here.w);
    assert_true(call->has_status);
    assert_int_equal(call->status, GRPC_INTERNAL);
}

static void a_second_message_of_a_unary_call_is_ignored(void **state)
{
    (void)state;
    struct buf b;
    here.w->log_held = true;
    struct call *call = client_call(here.c, "/etcdserverpb.KV/Put", -1);
    for (int i = 0; i < 2; i++) {
        buf_init(&b);
        encode_put_req(&(struct put_req){.key = bytes_str(i ? "b" : "a")}, &b);
        call_say(call, &b);
    }
    world_settle(here.w);
    world_release(here.w, CORE_APPLIED);
    assert_ok(call);
    assert_int_equal(count("b", ""), 0);
}

/* What compaction freed in the file is used again: it must not be held against writes for ever. */
static void the_quota_counts_what_is_in_use_of_the_file(void **state)
{
    (void)state;
    struct world_options o = {.store = {.quota_bytes = 1000000}};
    restart(&o);
    core_set_file_size(here.w->core, 5000000, 900000);
    put("a", "1");
    core_set_file_size(here.w->core, 5000000, 1100000);
    struct call *k = client_put(here.c, "a", "2");
    world_settle(here.w);
    assert_error(k, ETCD_NO_SPACE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_put_is_read_back_with_etcds_numbers),
        CASE(a_delete_counts_what_it_took),
        CASE(a_transaction_answers_which_way_it_went),
        CASE(compaction_makes_older_reads_fail),
        CASE(errors_come_with_etcds_code_and_text),
        CASE(a_write_that_is_too_large_is_refused_and_a_read_is_not),
        CASE(the_bound_counts_the_entry_of_a_log_as_etcd_does),
        CASE(a_call_without_a_message_ends_with_internal),
        CASE(what_is_wrong_in_itself_is_told_before_its_size),
        CASE(a_call_without_a_message_ends_with_internal),
        CASE(a_message_that_is_no_protobuf_is_refused),
        CASE(a_call_without_a_message_ends_with_internal),
        CASE(a_second_message_of_a_unary_call_is_ignored),
        CASE(the_quota_counts_what_is_in_use_of_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
