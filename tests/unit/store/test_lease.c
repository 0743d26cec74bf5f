/* lease: grants, revokes, renewals, expiry, and which keys hang on what. */
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

static enum etcd_error try_grant(struct world *w, tn_lease id, int64_t ttl_s, struct lease_grant_resp *ret)
{
    struct lease_grant_req req = {.id = id, .ttl_s = ttl_s};
    struct lease_grant_resp resp;
    return store_lease_grant(w->s, &req, w->now, ret ? ret : &resp, &w->seq);
}

static enum etcd_error try_revoke(struct world *w, tn_lease id)
{
    struct lease_revoke_req req = {.id = id};
    struct lease_revoke_resp resp;
    return store_lease_revoke(w->s, &req, &resp, &w->seq);
}

static struct lease_keepalive_resp renew(struct world *w, tn_lease id, tn_ms *deadline)
{
    struct lease_keepalive_req req = {.id = id};
    struct lease_keepalive_resp resp;
    assert_int_equal(store_lease_keepalive(w->s, &req, w->now, &resp, deadline, &w->seq), ETCD_OK);
    return resp;
}

static struct lease_ttl_resp ttl(struct world *w, tn_lease id, bool keys)
{
    struct lease_ttl_req req = {.id = id, .keys = keys};
    struct lease_ttl_resp resp;
    assert_int_equal(store_lease_ttl(w->s, &req, w->now, &w->a, &resp, &w->seq), ETCD_OK);
    return resp;
}

static size_t expire(struct world *w)
{
    tn_lease ids[16];
    return store_lease_expire(w->s, w->now, ARRAY_LEN(ids), ids);
}

static void a_grant_takes_the_id_that_was_chosen_or_draws_one(void **state)
{
    struct world *w = *state;
    struct lease_grant_resp r;
    assert_int_equal(try_grant(w, 77, 10, &r), ETCD_OK);
    assert_int_equal(r.id, 77);
    assert_int_equal(r.ttl_s, 10);
    assert_int_equal(r.revision, 1);
    assert_int_equal(try_grant(w, 77, 10, &r), ETCD_LEASE_EXIST);
    assert_int_equal(try_grant(w, -77, 10, &r), ETCD_OK);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(try_grant(w, 0, 10, &r), ETCD_OK);
        assert_true(r.id > 0);
    }
    assert_int_equal(store_leases(w->s), 102);
}

static void a_ttl_is_raised_to_the_least_and_refused_beyond_the_most(void **state)
{
    struct world *w = *state;
    struct lease_grant_resp r;
    assert_int_equal(try_grant(w, 1, 1, &r), ETCD_OK);
    assert_int_equal(r.ttl_s, 2);
    assert_int_equal(try_grant(w, 2, -100, &r), ETCD_OK);
    assert_int_equal(r.ttl_s, 2);
    assert_int_equal(try_grant(w, 3, INT64_MIN, &r), ETCD_OK);
    assert_int_equal(try_grant(w, 4, LEASE_TTL_MAX_S, &r), ETCD_OK);
    assert_int_equal(r.ttl_s, LEASE_TTL_MAX_S);
    assert_int_equal(try_grant(w, 5, LEASE_TTL_MAX_S + 1, &r), ETCD_LEASE_TTL_TOO_LARGE);
    assert_int_equal(try_grant(w, 5, INT64_MAX, &r), ETCD_LEASE_TTL_TOO_LARGE);
}

static void a_grant_makes_a_row_and_no_revision(void **state)
{
    struct world *w = *state;
    grant(w, 7, 10);
    assert_int_equal(store_revision_planned(w->s), 1);
    world_commit(w);
    struct record *r = world_row(w, w->seq);
    assert_int_equal(r->kind, RECORD_LEASE_GRANT);
    assert_int_equal(r->lease, 7);
    assert_int_equal(r->version, 10);
    assert_true(r->last_of_command);
}

static void a_revoke_deletes_its_keys_in_one_revision_in_order(void **state)
{
    struct world *w = *state;
    grant(w, 7, 10);
    put_lease(w, "c", "1", 7);
    put_lease(w, "a", "1", 7);
    put_lease(w, "b", "1", 7);
    put(w, "free", "1");
    revoke(w, 7);
    assert_int_equal(store_revision_planned(w->s), 6);
    world_commit(w);
    const char *names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        struct record *r = world_row(w, w->seq - 3 + i);
        assert_true(r->tombstone);
        assert_int_equal(r->main, 6);
        assert_int_equal(r->sub, i);
        assert_true(bytes_equal(r->key, bytes_str(names[i])));
        assert_false(r->last_of_command);
    }
    assert_int_equal(world_row(w, w->seq)->kind, RECORD_LEASE_REVOKE);
    assert_string_equal(get(w, "a", WORLD_FROM, 0), "free=1");
    assert_int_equal(try_revoke(w, 7), ETCD_LEASE_NOT_FOUND);
    assert_int_equal(store_leases(w->s), 0);
}

static void a_revoke_without_keys_makes_no_revision(void **state)
{
    struct world *w = *state;
    grant(w, 7, 10);
    revoke(w, 7);
    assert_int_equal(store_revision_planned(w->s), 1);
    assert_int_equal(try_grant(w, 7, 5, NULL), ETCD_OK);
}

static void a_key_hangs_on_the_lease_of_its_last_put(void **state)
{
    struct world *w = *state;
    grant(w, 1, 10);
    grant(w, 2, 10);
    put_lease(w, "moved", "x", 1);
    put_lease(w, "moved", "x", 2);
    put_lease(w, "freed", "x", 1);
    put(w, "freed", "x");
    put_lease(w, "gone", "x", 1);
    del(w, "gone", NULL);
    put_lease(w, "stays", "x", 1);
    struct lease_ttl_resp r = ttl(w, 1, true);
    assert_int_equal(r.n_keys, 1);
    assert_true(bytes_equal(r.keys[0], bytes_str("stays")));
    revoke(w, 1);
    world_commit(w);
    assert_string_equal(get(w, "a", WORLD_FROM, 0), "freed=x moved=x");
    revoke(w, 2);
    world_commit(w);
    assert_string_equal(get(w, "a", WORLD_FROM, 0), "freed=x");
}

static void the_time_to_live_counts_down_and_a_renewal_restores_it(void **state)
{
    struct world *w = *state;
    tn_ms deadline;
    grant(w, 7, 10);
    w->now += 3100;
    assert_int_equal(ttl(w, 7, false).ttl_s, 6);
    assert_int_equal(ttl(w, 7, false).granted_ttl_s, 10);
    assert_int_equal(renew(w, 7, &deadline).ttl_s, 10);
    assert_int_equal(deadline, w->now + 10000);
    assert_int_equal(ttl(w, 7, false).ttl_s, 10);
    assert_int_equal(ttl(w, 7, false).n_keys, 0);
    w->now += 60000;
    assert_int_equal(ttl(w, 7, false).ttl_s, 0);
}

static void what_is_unknown_says_so(void **state)
{
    struct world *w = *state;
    tn_ms deadline = 5;
    assert_int_equal(renew(w, 9, &deadline).ttl_s, 0);
    assert_int_equal(deadline, 0);
    assert_int_equal(ttl(w, 9, true).ttl_s, -1);
    assert_int_equal(ttl(w, 9, true).granted_ttl_s, 0);
    assert_int_equal(try_revoke(w, 9), ETCD_LEASE_NOT_FOUND);
}

static void a_renewal_waits_for_its_own_grant_only(void **state)
{
    struct world *w = *state;
    tn_ms deadline;
    grant(w, 7, 10);
    tn_seq granted = w->seq;
    put(w, "a", "x");
    renew(w, 7, &deadline);
    assert_int_equal(w->seq, granted);
    world_commit(w);
    put(w, "a", "y");
    assert_int_equal(renew(w, 7, &deadline).revision, 2);
    assert_true(w->seq <= store_seq(w->s));
    revoke(w, 7);
    assert_int_equal(renew(w, 7, &deadline).ttl_s, 0);
    assert_int_equal(w->seq, store_seq_planned(w->s));
}

static void the_list_is_in_order_of_expiry(void **state)
{
    struct world *w = *state;
    struct lease_list_resp r;
    tn_ms deadline;
    grant(w, 1, 30);
    grant(w, 2, 10);
    grant(w, 3, 20);
    grant(w, 4, 20);
    w->now += 25000;
    renew(w, 2, &deadline);
    assert_int_equal(store_lease_list(w->s, &w->a, &r, &w->seq), ETCD_OK);
    const tn_lease want[] = {3, 4, 1, 2};
    assert_int_equal(r.n_ids, 4);
    assert_memory_equal(r.ids, want, sizeof want);
}

static void a_lease_expires_at_its_deadline_and_not_before(void **state)
{
    struct world *w = *state;
    grant(w, 7, 10);
    put_lease(w, "a", "x", 7);
    assert_int_equal(store_lease_deadline(w->s), w->now + 10000);
    w->now += 9999;
    assert_int_equal(expire(w), 0);
    w->now += 1;
    assert_int_equal(expire(w), 1);
    assert_int_equal(store_lease_deadline(w->s), TN_MS_NEVER);
    world_commit(w);
    assert_string_equal(get(w, "a", NULL, 0), "");
}

static void expiry_comes_in_order_and_in_portions(void **state)
{
    struct world *w = *state;
    tn_lease ids[2];
    for (tn_lease id = 1; id <= 5; id++)
        grant(w, id, 10 - id);
    w->now += 20000;
    assert_int_equal(store_lease_expire(w->s, w->now, 2, ids), 2);
    assert_int_equal(ids[0], 5);
    assert_int_equal(ids[1], 4);
    assert_int_equal(store_lease_expire(w->s, w->now, 2, ids), 2);
    assert_int_equal(store_lease_expire(w->s, w->now, 2, ids), 1);
    assert_int_equal(store_lease_expire(w->s, w->now, 2, ids), 0);
}

static void input_comes_before_expiry(void **state)
{
    struct world *w = *state;
    tn_ms deadline;
    grant(w, 7, 10);
    w->now += 50000;
    assert_int_equal(renew(w, 7, &deadline).ttl_s, 10);
    assert_int_equal(expire(w), 0);
}

static void a_stall_moves_every_deadline(void **state)
{
    struct world *w = *state;
    tn_ms deadline;
    grant(w, 1, 10);
    grant(w, 2, 20);
    store_lease_shift(w->s, 5000);
    assert_int_equal(store_lease_deadline(w->s), w->now + 15000);
    assert_int_equal(ttl(w, 2, false).ttl_s, 25);
    renew(w, 1, &deadline);
    assert_int_equal(store_lease_deadline(w->s), w->now + 10000);
    assert_int_equal(deadline, w->now + 10000);
    grant(w, 3, 4);
    assert_int_equal(store_lease_deadline(w->s), w->now + 4000);
}

static void after_a_restart_a_lease_has_its_full_ttl(void **state)
{
    struct world *w = *state;
    grant(w, 7, 10);
    put_lease(w, "a", "x", 7);
    world_commit(w);
    w->now += 8000;
    world_restart(w);
    assert_int_equal(store_lease_deadline(w->s), w->now + 10000);
    assert_int_equal(ttl(w, 7, true).n_keys, 1);
    w->now += 10000;
    assert_int_equal(expire(w), 1);
    world_commit(w);
    assert_string_equal(get(w, "a", NULL, 0), "");
}

static void a_restored_deadline_stays_within_its_bounds(void **state)
{
    struct world *w = *state;
    grant(w, 7, 10);
    grant(w, 8, 2);
    store_lease_restore(w->s, 7, w->now + 5000, w->now);
    assert_int_equal(ttl(w, 7, false).ttl_s, 5);
    store_lease_restore(w->s, 7, w->now - 5000, w->now);
    assert_int_equal(ttl(w, 7, false).ttl_s, 3);
    store_lease_restore(w->s, 7, w->now + 50000, w->now);
    assert_int_equal(ttl(w, 7, false).ttl_s, 10);
    store_lease_restore(w->s, 8, 0, w->now);
    assert_int_equal(ttl(w, 8, false).ttl_s, 2);
    store_lease_restore(w->s, 99, 0, w->now);
}

static void all_leases_can_be_walked(void **state)
{
    struct world *w = *state;
    size_t cursor = 0;
    tn_lease sum = 0;
    for (tn_lease id = 1; id <= 40; id++)
        grant(w, id, 10);
    revoke(w, 40);
    for (tn_lease id; (id = store_lease_next(w->s, &cursor)) != 0;)
        sum += id;
    assert_int_equal(sum, 39 * 40 / 2);
}

static void a_rollback_brings_a_lease_back_with_its_keys(void **state)
{
    struct world *w = *state;
    grant(w, 7, 10);
    put_lease(w, "a", "x", 7);
    put_lease(w, "b", "x", 7);
    world_commit(w);
    w->now += 2000;
    revoke(w, 7);
    grant(w, 7, 99);
    put_lease(w, "c", "x", 7);
    store_rollback(w->s);
    assert_int_equal(ttl(w, 7, true).granted_ttl_s, 10);
    assert_int_equal(ttl(w, 7, true).ttl_s, 8);
    assert_int_equal(ttl(w, 7, true).n_keys, 2);
    revoke(w, 7);
    world_commit(w);
    assert_string_equal(get(w, "a", WORLD_FROM, 0), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_grant_takes_the_id_that_was_chosen_or_draws_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_ttl_is_raised_to_the_least_and_refused_beyond_the_most, setup, teardown),
        cmocka_unit_test_setup_teardown(a_grant_makes_a_row_and_no_revision, setup, teardown),
        cmocka_unit_test_setup_teardown(a_revoke_deletes_its_keys_in_one_revision_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_revoke_without_keys_makes_no_revision, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_hangs_on_the_lease_of_its_last_put, setup, teardown),
        cmocka_unit_test_setup_teardown(the_time_to_live_counts_down_and_a_renewal_restores_it, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_unknown_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(a_renewal_waits_for_its_own_grant_only, setup, teardown),
        cmocka_unit_test_setup_teardown(the_list_is_in_order_of_expiry, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lease_expires_at_its_deadline_and_not_before, setup, teardown),
        cmocka_unit_test_setup_teardown(expiry_comes_in_order_and_in_portions, setup, teardown),
        cmocka_unit_test_setup_teardown(input_comes_before_expiry, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stall_moves_every_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(after_a_restart_a_lease_has_its_full_ttl, setup, teardown),
        cmocka_unit_test_setup_teardown(a_restored_deadline_stays_within_its_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(all_leases_can_be_walked, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rollback_brings_a_lease_back_with_its_keys, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
