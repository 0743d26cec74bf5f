/* quota: what is refused when memory or file are full, and what never is. */
#include "world.h"

#include "tenure/error.h"

static int setup(void **state)
{
    static struct world w;
    world_open(&w, NULL);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    world_close(*state);
    return 0;
}

static void fill(struct world *w)
{
    world_close(w);
    world_open(w, &(struct store_config){.quota_bytes = 10000});
    grant(w, 7, 10);
    struct put_resp resp;
    struct put_req req = {.value = bytes_str("some value of some length"), .lease = 7};
    enum etcd_error e = ETCD_OK;
    for (int i = 0; !e; i++) {
        char key[] = {(char)('a' + i / 26), (char)('a' + i % 26), 0};
        req.key = bytes_str(key);
        e = store_put(w->s, &req, &w->a, &resp, &w->seq);
    }
    assert_int_equal(e, ETCD_NO_SPACE);
}

static void memory_never_grows_past_the_quota(void **state)
{
    struct world *w = *state;
    fill(w);
    assert_in_range(store_memory(w->s), 9000, 10000);
    assert_false(store_over_quota(w->s));
}

static void what_adds_is_refused(void **state)
{
    struct world *w = *state;
    fill(w);
    struct put_resp put_resp;
    struct txn_resp txn_resp;
    struct lease_grant_resp grant_resp;
    char big[9000];
    memset(big, 'x', sizeof big);
    struct put_req req = {.key = bytes_str("aa"), .value = bytes_of(big, sizeof big)};
    assert_int_equal(store_put(w->s, &req, &w->a, &put_resp, &w->seq), ETCD_NO_SPACE);
    struct request_op op = {.kind = OP_PUT, .put = req};
    struct txn_req nested = {.failure = &op, .n_failure = 1};
    struct request_op inner = {.kind = OP_TXN, .txn = &nested};
    struct txn_req t = {.success = &inner, .n_success = 1};
    assert_int_equal(store_txn(w->s, &t, &w->a, &txn_resp, &w->seq), ETCD_NO_SPACE);
    store_set_file_bytes(w->s, 10001);
    assert_true(store_over_quota(w->s));
    assert_int_equal(store_lease_grant(w->s, &(struct lease_grant_req){.ttl_s = 5}, w->now, &grant_resp, &w->seq),
                     ETCD_NO_SPACE);
    store_set_file_bytes(w->s, 0);
    assert_false(store_over_quota(w->s));
}

static void what_takes_away_or_reads_never_is(void **state)
{
    struct world *w = *state;
    fill(w);
    store_set_file_bytes(w->s, INT64_MAX / 2);
    struct txn_resp resp;
    struct request_op ops[] = {{.kind = OP_DELETE, .del = {.range = range_of("aa", NULL)}},
                               {.kind = OP_RANGE, .range = {.range = range_of("ab", NULL)}}};
    struct txn_req t = {.success = ops, .n_success = 2};
    assert_int_equal(store_txn(w->s, &t, &w->a, &resp, &w->seq), ETCD_OK);
    assert_int_equal(del(w, "ab", NULL), 1);
    revoke(w, 7);
    compact(w, store_revision_planned(w->s));
    world_commit(w);
    world_trim_all(w);
    store_set_file_bytes(w->s, 0);
    put(w, "a", "there is room again");
}

static void a_full_file_counts_as_full_memory_does(void **state)
{
    struct world *w = *state;
    world_close(w);
    world_open(w, &(struct store_config){.quota_bytes = 100000});
    put(w, "a", "1");
    store_set_file_bytes(w->s, 100000);
    struct put_resp resp;
    struct put_req req = {.key = bytes_str("a"), .value = bytes_str("x")};
    assert_int_equal(store_put(w->s, &req, &w->a, &resp, &w->seq), ETCD_NO_SPACE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(memory_never_grows_past_the_quota, setup, teardown),
        cmocka_unit_test_setup_teardown(what_adds_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(what_takes_away_or_reads_never_is, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_file_counts_as_full_memory_does, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
