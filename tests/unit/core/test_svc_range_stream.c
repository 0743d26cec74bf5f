/* RangeStream: chunks at one revision, the last one told apart, and what it costs while nobody reads. */
#include <stdlib.h>

#include "cases.h"
#include "core/state.h"

#define PATH "/etcdserverpb.KV/RangeStream"

static struct call *stream_req(const struct range_req *req)
{
    struct buf b;
    buf_init(&b);
    encode_range_req(req, &b);
    return client_ask(here.c, PATH, &b);
}

static struct call *stream(const char *key, const char *range_end, int64_t limit)
{
    return stream_req(&(struct range_req){.range = {bytes_str(key), bytes_str(range_end)}, .limit = limit});
}

static struct range_resp chunk(struct call *call, struct response_header *h)
{
    struct range_resp r;
    bytes m = call_next(call);
    assert_non_null(m.data);
    assert_int_equal(decode_range_stream_resp(m, &here.w->arena, h, &r), 0);
    return r;
}

/* k0000, k0001 … with values of so many bytes. */
static void put_many(int n, size_t value_len)
{
    char key[16], *value = malloc(value_len + 1);
    assert_non_null(value);
    memset(value, 'v', value_len);
    value[value_len] = 0;
    for (int i = 0; i < n; i++) {
        snprintf(key, sizeof key, "k%04d", i);
        struct call *call = client_put(here.c, key, value);
        if (i % 50 == 49)
            world_settle(here.w);
        (void)call;
    }
    world_settle(here.w);
    free(value);
}

static void assert_bare(const struct range_resp *r, const struct response_header *h)
{
    assert_int_equal(h->revision, 0);
    assert_int_equal(h->cluster_id, 0);
    assert_false(r->more);
    assert_int_equal(r->count, 0);
}

/* The numbers of keys of all chunks, as text; checks the order of the keys and which chunk tells the numbers. */
static const char *chunks(struct call *call, int64_t count, bool more, tn_rev revision)
{
    static char text[512];
    size_t len = 0, seen = 0;
    char key[16];
    assert_ok(call);
    text[0] = 0;
    while (call->taken < call->n_messages) {
        struct response_header h;
        struct range_resp r = chunk(call, &h);
        for (size_t i = 0; i < r.n_kvs; i++) {
            snprintf(key, sizeof key, "k%04zu", seen++);
            assert_bytes(r.kvs[i].key, key);
        }
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%zu", len ? " " : "", r.n_kvs);
        if (call->taken < call->n_messages) {
            assert_bare(&r, &h);
            continue;
        }
        assert_int_equal(h.revision, revision);
        assert_int_equal(h.member_id, 0xe1);
        assert_int_equal(r.count, count);
        assert_int_equal(r.more, more);
    }
    return text;
}

static void chunks_double_and_the_last_one_tells_header_and_count(void **state)
{
    (void)state;
    put_many(100, 1);
    struct call *all = stream("k", "l", 0), *some = stream("k", "l", 25), *exact = stream("k", "l", 100);
    struct call *few = stream("k", "l", 3), *one = stream("k0000", "", 0), *none = stream("x", "", 0);
    world_settle(here.w);
    assert_string_equal(chunks(all, 100, false, 101), "10 20 40 30");
    assert_string_equal(chunks(some, 100, true, 101), "10 15");
    assert_string_equal(chunks(exact, 100, false, 101), "10 20 40 30");
    assert_string_equal(chunks(few, 100, true, 101), "3");
    assert_string_equal(chunks(one, 1, false, 101), "1");
    assert_string_equal(chunks(none, 0, false, 101), "0");
}

static void chunks_of_large_values_get_smaller(void **state)
{
    (void)state;
    struct world_options o = {.core = {.request_bytes_max = 10000}};
    restart(&o);
    put_many(30, 2500);
    struct call *all = stream("k", "l", 0);
    world_settle(here.w);
    /* 8 values are as much as one chunk may have at most; then 10 halved. */
    assert_string_equal(chunks(all, 30, false, 31), "8 5 5 5 5 2");
}

static void counting_and_keys_alone(void **state)
{
    (void)state;
    struct response_header h;
    put_many(20, 3);
    struct range_req req = {.range = {bytes_str("k"), bytes_str("l")}, .count_only = true, .limit = 5};
    struct call *count_only = stream_req(&req);
    req.count_only = false;
    req.keys_only = true;
    struct call *keys_only = stream_req(&req);
    world_settle(here.w);
    assert_int_equal(count_only->n_messages, 1);
    struct range_resp r = chunk(count_only, &h);
    assert_int_equal(r.count, 20);
    assert_int_equal(r.n_kvs, 0);
    assert_false(r.more);
    assert_int_equal(h.revision, 21);
    r = chunk(keys_only, &h);
    assert_int_equal(r.n_kvs, 5);
    assert_int_equal(r.kvs[0].value.len, 0);
    assert_int_equal(r.kvs[0].mod_revision, 2);
    assert_true(r.more);
}

static void what_cannot_be_streamed_is_refused_in_order(void **state)
{
    (void)state;
    struct range_req req = {.range = {bytes_str(""), bytes_str("")}, .sort_order = 7};
    struct call *no_key = stream_req(&req);
    req.range.key = bytes_str("a");
    struct call *bad_sort = stream_req(&req);
    req.sort_order = SORT_DESCEND;
    req.max_mod_revision = 1;
    struct call *sorted = stream_req(&req);
    req.sort_order = SORT_ASCEND;
    struct call *filtered = stream_req(&req);
    req.max_mod_revision = 0;
    req.revision = 50;
    struct call *future = stream_req(&req);
    world_settle(here.w);
    assert_error(no_key, ETCD_EMPTY_KEY);
    assert_error(bad_sort, ETCD_INVALID_SORT_OPTION);
    assert_status(sorted, GRPC_UNIMPLEMENTED, "RangeStream does not support custom sort orders");
    assert_status(filtered, GRPC_UNIMPLEMENTED, "RangeStream does not support revision filters");
    assert_error(future, ETCD_FUTURE_REV);
}

static void a_stream_needs_its_one_request(void **state)
{
    (void)state;
    struct call *call = client_call(here.c, PATH, -1);
    call_half_close(call);
    world_settle(here.w);
    assert_status(call, GRPC_INTERNAL, "cardinality violation: received no request message from non-streaming RPC");
}

/* While what lies behind the limit was counted, more keys came between those of the last chunk than a slice passes. */
static void keys_that_come_while_it_counts_take_none_of_its_own(void **state)
{
    (void)state;
    char key[24];
    put_many(25, 1);
    struct call *call = stream("k", "l", 24);
    for (int i = 0; i < 2; i++) /* 10 are sent, the other 14 read */
        world_turn(here.w);
    for (int i = 0; i < 9000; i++) {
        struct put_resp resp;
        tn_seq seq;
        snprintf(key, sizeof key, "k0015.%04d", i);
        struct put_req req = {.key = bytes_str(key)};
        assert_int_equal(store_put(here.w->store, &req, &here.w->arena, &resp, &seq), ETCD_OK);
    }
    assert_false(call->has_status);
    world_settle(here.w);
    const char *got = chunks(call, 25, true, 26);
    assert_string_equal(got, "10 6 8");
}

/* W12's sibling for reads: one that does not read costs a stream's share and a chunk. */
static struct call *stuck_stream(void)
{
    struct world_options o = {.core = {.request_bytes_max = 20000, .conn_output_max = 80000}};
    restart(&o);
    put_many(300, 1000);
    struct call *call = stream("k", "l", 0);
    world_turn(here.w);
    here.c->deaf = true;
    for (int i = 0; i < 50; i++)
        world_turn(here.w);
    return call;
}

static void a_stream_that_nobody_reads_costs_a_bounded_memory(void **state)
{
    (void)state;
    struct call *call = stuck_stream();
    struct client *other = client_new(here.w);
    struct call *read = client_range(other, "k0001", "");
    world_settle(here.w);
    assert_int_equal(got_range(read).count, 1);
    assert_true(h2_queued(here.c->conn->h2) < 80000);
    here.c->deaf = false;
    put("k0000", "changed");
    world_settle(here.w);
    (void)chunks(call, 300, false, 301);
    call->taken = 0;
    struct response_header h;
    assert_int_equal(chunk(call, &h).kvs[0].value.len, 1000);
}

static void compaction_past_its_revision_ends_it(void **state)
{
    (void)state;
    struct call *call = stuck_stream();
    struct client *other = client_new(here.w);
    struct call *write = client_put(other, "z", "1");
    world_settle(here.w);
    assert_ok(write);
    struct call *compacted = client_compact(other, 302, true);
    world_settle(here.w);
    assert_ok(compacted);
    here.c->deaf = false;
    world_settle(here.w);
    assert_error(call, ETCD_COMPACTED);
}

static void a_cancelled_stream_leaves_nothing(void **state)
{
    (void)state;
    put_many(50, 10);
    struct call *call = stream("k", "l", 0), *other = stream("k", "l", 0);
    world_turn(here.w);
    call_cancel(call);
    world_settle(here.w);
    assert_string_equal(chunks(other, 50, false, 51), "10 20 20");
    struct call *last = stream("k", "l", 0);
    world_turn(here.w);
    core_shutdown(here.w->core, here.w->now);
    world_settle(here.w);
    assert_true(last->has_status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(chunks_double_and_the_last_one_tells_header_and_count),
        CASE(chunks_of_large_values_get_smaller),
        CASE(counting_and_keys_alone),
        CASE(what_cannot_be_streamed_is_refused_in_order),
        CASE(a_stream_needs_its_one_request),
        CASE(keys_that_come_while_it_counts_take_none_of_its_own),
        CASE(a_stream_that_nobody_reads_costs_a_bounded_memory),
        CASE(compaction_past_its_revision_ends_it),
        CASE(a_cancelled_stream_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
