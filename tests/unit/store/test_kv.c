/* kv: puts and deletes, what they answer and what they refuse. */
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

static enum etcd_error try_put(struct world *w, struct put_req req, struct put_resp *ret)
{
    struct put_resp resp;
    return store_put(w->s, &req, &w->a, ret ? ret : &resp, &w->seq);
}

static struct kv one(struct world *w, const char *key)
{
    struct range_resp resp;
    struct range_req req = {.range = range_of(key, NULL)};
    world_commit(w);
    assert_int_equal(store_range(w->s, &req, &w->a, &resp), ETCD_OK);
    return resp.n_kvs ? resp.kvs[0] : (struct kv){0};
}

static void the_first_write_makes_revision_2(void **state)
{
    struct world *w = *state;
    assert_int_equal(store_revision(w->s), 1);
    assert_int_equal(put(w, "a", "1"), 2);
    assert_int_equal(store_revision_planned(w->s), 2);
    assert_int_equal(store_revision(w->s), 1);
    world_commit(w);
    assert_int_equal(store_revision(w->s), 2);
}

static void a_key_counts_its_versions_until_it_is_deleted(void **state)
{
    struct world *w = *state;
    put(w, "a", "1");
    put(w, "a", "2");
    struct kv kv = one(w, "a");
    assert_int_equal(kv.create_revision, 2);
    assert_int_equal(kv.mod_revision, 3);
    assert_int_equal(kv.version, 2);
    assert_int_equal(del(w, "a", NULL), 1);
    put(w, "a", "3");
    kv = one(w, "a");
    assert_int_equal(kv.create_revision, 5);
    assert_int_equal(kv.version, 1);
}

static void the_previous_value_comes_when_asked_for(void **state)
{
    struct world *w = *state;
    struct put_resp resp;
    struct put_req req = {.key = bytes_str("a"), .value = bytes_str("1"), .prev_kv = true};
    assert_int_equal(try_put(w, req, &resp), ETCD_OK);
    assert_false(resp.has_prev_kv);
    assert_int_equal(try_put(w, req, &resp), ETCD_OK);
    assert_true(resp.has_prev_kv);
    assert_int_equal(resp.prev_kv.mod_revision, 2);
    req.prev_kv = false;
    assert_int_equal(try_put(w, req, &resp), ETCD_OK);
    assert_false(resp.has_prev_kv);
}

static void a_value_may_be_kept_while_the_lease_changes(void **state)
{
    struct world *w = *state;
    grant(w, 7, 10);
    put(w, "a", "kept");
    assert_int_equal(try_put(w, (struct put_req){.key = bytes_str("a"), .lease = 7, .ignore_value = true}, NULL),
                     ETCD_OK);
    struct kv kv = one(w, "a");
    assert_true(bytes_equal(kv.value, bytes_str("kept")));
    assert_int_equal(kv.lease, 7);
    struct put_req req = {.key = bytes_str("a"), .value = bytes_str("new"), .ignore_lease = true};
    assert_int_equal(try_put(w, req, NULL), ETCD_OK);
    kv = one(w, "a");
    assert_true(bytes_equal(kv.value, bytes_str("new")));
    assert_int_equal(kv.lease, 7);
}

static void a_put_that_cannot_be_done_changes_nothing(void **state)
{
    struct world *w = *state;
    tn_seq before = store_seq_planned(w->s);
    assert_int_equal(try_put(w, (struct put_req){.value = bytes_str("x")}, NULL), ETCD_EMPTY_KEY);
    assert_int_equal(w->seq, 0);
    struct put_req req = {.key = bytes_str("a"), .value = bytes_str("x"), .ignore_value = true};
    assert_int_equal(try_put(w, req, NULL), ETCD_VALUE_PROVIDED);
    req.value.len = 0;
    assert_int_equal(try_put(w, req, NULL), ETCD_KEY_NOT_FOUND);
    req = (struct put_req){.key = bytes_str("a"), .lease = 5, .ignore_lease = true};
    assert_int_equal(try_put(w, req, NULL), ETCD_LEASE_PROVIDED);
    req.lease = 0;
    assert_int_equal(try_put(w, req, NULL), ETCD_KEY_NOT_FOUND);
    req = (struct put_req){.key = bytes_str("a"), .lease = 5};
    assert_int_equal(try_put(w, req, NULL), ETCD_LEASE_NOT_FOUND);
    req.lease = -5;
    assert_int_equal(try_put(w, req, NULL), ETCD_LEASE_NOT_FOUND);
    req = (struct put_req){.key = bytes_str("a"), .value = {(const uint8_t *)"", (size_t)1 << 33}};
    assert_int_equal(try_put(w, req, NULL), ETCD_NO_SPACE);
    assert_int_equal(store_seq_planned(w->s), before);
    assert_int_equal(store_revision_planned(w->s), 1);
    assert_int_equal(store_keys(w->s), 0);
}

static void a_deleted_key_is_not_there_for_ignore_value(void **state)
{
    struct world *w = *state;
    put(w, "a", "1");
    del(w, "a", NULL);
    assert_int_equal(try_put(w, (struct put_req){.key = bytes_str("a"), .ignore_value = true}, NULL),
                     ETCD_KEY_NOT_FOUND);
}

static void a_delete_of_nothing_makes_no_revision(void **state)
{
    struct world *w = *state;
    put(w, "a", "1");
    tn_seq before = store_seq_planned(w->s);
    assert_int_equal(del(w, "b", "z"), 0);
    assert_int_equal(del(w, "b", NULL), 0);
    assert_int_equal(w->seq, before);
    assert_int_equal(store_revision_planned(w->s), 2);
    assert_int_equal(del(w, "a", NULL), 1);
    assert_int_equal(del(w, "a", NULL), 0);
    assert_int_equal(store_revision_planned(w->s), 3);
}

static void a_delete_of_a_range_is_one_revision(void **state)
{
    struct world *w = *state;
    put(w, "a", "1");
    put(w, "b", "2");
    put(w, "c", "3");
    struct delete_req req = {.range = range_of("a", "c"), .prev_kv = true};
    struct delete_resp resp;
    assert_int_equal(store_delete(w->s, &req, &w->a, &resp, &w->seq), ETCD_OK);
    assert_int_equal(resp.deleted, 2);
    assert_int_equal(resp.revision, 5);
    assert_int_equal(resp.n_prev_kvs, 2);
    assert_true(bytes_equal(resp.prev_kvs[1].value, bytes_str("2")));
    world_commit(w);
    struct record *first = world_row(w, w->seq - 1), *second = world_row(w, w->seq);
    assert_int_equal(first->main, 5);
    assert_int_equal(first->sub, 0);
    assert_true(first->tombstone);
    assert_false(first->last_of_command);
    assert_int_equal(second->sub, 1);
    assert_true(second->last_of_command);
    assert_string_equal(get(w, "a", WORLD_FROM, 0), "c=3");
    assert_int_equal(store_keys(w->s), 1);
    req.range.key.len = 0;
    assert_int_equal(store_delete(w->s, &req, &w->a, &resp, &w->seq), ETCD_EMPTY_KEY);
}

static void keys_and_values_may_hold_any_bytes(void **state)
{
    struct world *w = *state;
    struct put_req req = {.key = bytes_of("a\0b\xff", 4), .value = bytes_of("\0\0", 2)};
    assert_int_equal(try_put(w, req, NULL), ETCD_OK);
    req.key.len = 3;
    req.value.len = 0;
    assert_int_equal(try_put(w, req, NULL), ETCD_OK);
    world_commit(w);
    struct range_resp resp;
    struct range_req all = {.range = range_of("a", "b")};
    assert_int_equal(store_range(w->s, &all, &w->a, &resp), ETCD_OK);
    assert_int_equal(resp.n_kvs, 2);
    assert_int_equal(resp.kvs[0].key.len, 3);
    assert_int_equal(resp.kvs[0].value.len, 0);
    assert_true(bytes_equal(resp.kvs[1].key, bytes_of("a\0b\xff", 4)));
    assert_int_equal(resp.kvs[1].value.len, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_write_makes_revision_2, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_counts_its_versions_until_it_is_deleted, setup, teardown),
        cmocka_unit_test_setup_teardown(the_previous_value_comes_when_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(a_value_may_be_kept_while_the_lease_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_put_that_cannot_be_done_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_deleted_key_is_not_there_for_ignore_value, setup, teardown),
        cmocka_unit_test_setup_teardown(a_delete_of_nothing_makes_no_revision, setup, teardown),
        cmocka_unit_test_setup_teardown(a_delete_of_a_range_is_one_revision, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_and_values_may_hold_any_bytes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
