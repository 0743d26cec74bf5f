/* command, tail: handing out rows, committing and undoing them, and the bound on what is planned. */
#include "world.h"

#include "store/internal.h"

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

static void rows_are_dense_and_end_with_their_command(void **state)
{
    struct world *w = *state;
    put(w, "a", "1");
    put(w, "b", "1");
    del(w, "a", "z");
    size_t n;
    const struct record *rows = store_outbox(w->s, 100, &n);
    assert_int_equal(n, 4);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(rows[i].seq, 2 + (tn_seq)i);
        assert_int_equal(rows[i].last_of_command, i != 2);
    }
    assert_true(store_outbox_empty(w->s));
    assert_int_equal(store_seq(w->s), 1);
    assert_int_equal(store_seq_planned(w->s), 5);
}

static void the_identity_is_the_first_row(void **state)
{
    struct world *w = *state;
    struct record *r = world_row(w, 1);
    assert_int_equal(r->kind, RECORD_IDENTITY);
    assert_int_equal(r->create_revision, 0xc1);
    assert_int_equal(r->lease, 0xe1);
    assert_true(bytes_equal(r->key, bytes_str("m1")));
    w->config.cluster_id = 5;
    w->config.member_name = "other";
    world_restart(w);
    assert_int_equal(store_cluster_id(w->s), 0xc1);
    assert_int_equal(store_member_id(w->s), 0xe1);
    assert_string_equal(store_member_name(w->s), "m1");
}

static void a_portion_is_cut_behind_whole_commands(void **state)
{
    struct world *w = *state;
    size_t n;
    put(w, "a", "1");
    put(w, "b", "1");
    put(w, "c", "1");
    del(w, "a", "z"); /* three rows */
    put(w, "d", "1");
    store_outbox(w->s, 2, &n);
    assert_int_equal(n, 2);
    assert_false(store_outbox_empty(w->s));
    store_outbox(w->s, 2, &n);
    assert_int_equal(n, 1);
    store_outbox(w->s, 2, &n);
    assert_int_equal(n, 3);
    put(w, "e", "1");
    store_outbox(w->s, 9, &n);
    assert_int_equal(n, 1);
    assert_false(store_outbox_empty(w->s));
    store_outbox(w->s, 9, &n);
    assert_int_equal(n, 1);
    assert_true(store_outbox_empty(w->s));
    store_outbox(w->s, 9, &n);
    assert_int_equal(n, 0);
}

static void rows_stay_as_they_are_while_planning_goes_on(void **state)
{
    struct world *w = *state;
    size_t n;
    for (int i = 0; i < 10; i++)
        put(w, (char[]){(char)('a' + i), 0}, "value");
    const struct record *rows = store_outbox(w->s, 100, &n);
    for (int i = 0; i < 5000; i++)
        put(w, "a", "another");
    del(w, "a", "z");
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(rows[i].key.data[0], 'a' + i);
        assert_true(bytes_equal(rows[i].value, bytes_str("value")));
    }
    store_commit(w->s, rows[n - 1].seq);
    assert_int_equal(store_revision(w->s), 11);
}

static void a_commit_of_a_part_shows_that_part(void **state)
{
    struct world *w = *state;
    put(w, "a", "1");
    put(w, "a", "2");
    put(w, "a", "3");
    assert_int_equal(world_commit_some(w, 2), 2);
    assert_string_equal(get(w, "a", NULL, 0), "a=2");
    store_commit(w->s, store_seq(w->s));
    assert_int_equal(store_revision(w->s), 3);
}

static void a_rollback_undoes_what_is_planned_handed_out_or_not(void **state)
{
    struct world *w = *state;
    size_t n;
    grant(w, 7, 10);
    put_lease(w, "a", "1", 7);
    put(w, "b", "1");
    world_commit(w);
    uint64_t digest = store_digest(w->s);
    int64_t memory = store_memory(w->s), garbage = w->s->garbage;
    put(w, "a", "2");
    put(w, "new", "x");
    store_outbox(w->s, 1, &n);
    del(w, "b", NULL);
    compact(w, 2);
    revoke(w, 7);
    grant(w, 8, 10);
    store_rollback(w->s);
    assert_true(store_outbox_empty(w->s));
    assert_int_equal(store_digest(w->s), digest);
    assert_int_equal(store_memory(w->s), memory);
    assert_int_equal(w->s->garbage, garbage);
    assert_int_equal(store_keys(w->s), 2);
    assert_int_equal(store_leases(w->s), 1);
    assert_int_equal(store_revision_planned(w->s), 3);
    assert_int_equal(store_seq_planned(w->s), store_seq(w->s));
    put(w, "c", "1");
    assert_int_equal(w->seq, store_seq(w->s) + 1);
    world_commit(w);
    world_restart(w);
    assert_string_equal(get(w, "a", "z", 0), "a=1 b=1 c=1");
}

static void a_tail_at_its_bound_refuses_the_next_command(void **state)
{
    struct world *w = *state;
    struct put_resp resp;
    struct lease_grant_resp granted;
    struct compact_resp compacted;
    tn_lease id;
    struct put_req req = {.key = bytes_str("k"), .value = bytes_str("v")};
    world_close(w);
    world_open(w, &(struct store_config){.undo_entries_max = 10});
    for (int i = 0; i < 9; i++)
        put(w, (char[]){(char)('a' + i), 0}, "v");
    assert_int_equal(del(w, "a", "z"), 9); /* one command may pass the bound */
    tn_seq before = store_seq_planned(w->s);
    assert_int_equal(store_put(w->s, &req, &w->a, &resp, &w->seq), ETCD_TOO_MANY_REQUESTS);
    struct lease_grant_req grant_req = {.ttl_s = 10};
    assert_int_equal(store_lease_grant(w->s, &grant_req, w->now, &granted, &w->seq), ETCD_TOO_MANY_REQUESTS);
    assert_int_equal(store_compact(w->s, &(struct compact_req){.revision = 2}, &compacted, &w->seq),
                     ETCD_TOO_MANY_REQUESTS);
    assert_int_equal(store_seq_planned(w->s), before);
    world_commit(w);
    grant(w, 7, 2);
    for (int i = 0; i < 9; i++)
        put(w, "k", "v");
    w->now += 5000;
    assert_int_equal(store_lease_expire(w->s, w->now, 1, &id), 0);
    world_commit(w);
    assert_int_equal(store_lease_expire(w->s, w->now, 1, &id), 1);
}

static void a_gate_that_is_broken_on_purpose_waits_for_nothing(void **state)
{
    struct world *w = *state;
    world_close(w);
    world_open(w, &(struct store_config){.broken_skip_gate = true});
    put(w, "a", "1");
    assert_int_equal(w->seq, 0);
    grant(w, 7, 10);
    assert_int_equal(w->seq, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_dense_and_end_with_their_command, setup, teardown),
        cmocka_unit_test_setup_teardown(the_identity_is_the_first_row, setup, teardown),
        cmocka_unit_test_setup_teardown(a_portion_is_cut_behind_whole_commands, setup, teardown),
        cmocka_unit_test_setup_teardown(rows_stay_as_they_are_while_planning_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(a_commit_of_a_part_shows_that_part, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rollback_undoes_what_is_planned_handed_out_or_not, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tail_at_its_bound_refuses_the_next_command, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gate_that_is_broken_on_purpose_waits_for_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
