/* replay: what a log may hold, and that everything else is refused by the row that is wrong. */
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

static void refused(struct world *w, const char *why)
{
    struct store *s = NULL;
    struct tenure_error err = {0};
    assert_int_equal(world_replay(w, &s, &err), TENURE_ECORRUPT);
    if (!strstr(err.text, why))
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void refused_nothing(struct world *w)
{
    struct store *s = NULL;
    struct tenure_error err = {0};
    if (world_replay(w, &s, &err) != 0)
        fail_msg("%s", err.text);
    store_free(s);
}

static void accepted(struct world *w)
{
    struct store *s = NULL;
    refused_nothing(w);
    assert_int_equal(world_replay(w, &s, NULL), 0);
    assert_int_equal(store_digest(s), store_digest(w->s));
    store_free(s);
}

/* seq 1 identity, 2 grant 7, 3 put a (lease 7), 4 put b, 5 put b, 6 a transaction of 6 and 7: delete of a and b, 8
 * revoke,
 * 9 put c, 10 compaction, 11 put c */
static int log_setup(void **state)
{
    setup(state);
    struct world *w = *state;
    grant(w, 7, 10);
    put_lease(w, "a", "1", 7);             /* rev 2 */
    put(w, "b", "1");                      /* 3 */
    put(w, "b", "2");                      /* 4 */
    assert_int_equal(del(w, "a", "c"), 2); /* 5 */
    revoke(w, 7);
    put(w, "c", "1"); /* 6 */
    compact(w, 4);
    put(w, "c", "2"); /* 7 */
    world_commit(w);
    assert_int_equal(w->seq, 11);
    return 0;
}

static void a_log_comes_back_as_it_was(void **state)
{
    struct world *w = *state;
    accepted(w);
    world_trim_all(w);
    accepted(w);
    world_restart(w);
    assert_int_equal(store_revision(w->s), 7);
    assert_int_equal(store_compacted(w->s), 4);
    assert_int_equal(store_seq(w->s), 11);
    assert_string_equal(get(w, "a", "z", 4), "a=1 b=2");
    assert_string_equal(get(w, "a", "z", 0), "c=2");
    put(w, "c", "3");
    assert_int_equal(w->seq, 12);
}

static void rows_out_of_order_are_refused(void **state)
{
    struct world *w = *state;
    w->log[5].record.seq = 5;
    refused(w, "log row 5: is not behind the row before it");
    w->log[5].record.seq = 6;
    w->log[0].record.seq = 2;
    refused(w, "does not begin with its identity");
}

static void the_identity_stands_once_and_first(void **state)
{
    struct world *w = *state;
    w->log[0].deleted = true;
    refused(w, "does not begin with its identity");
    w->log[0].deleted = false;
    world_row(w, 2)->kind = RECORD_IDENTITY;
    refused(w, "log row 2: a second identity");
}

static void a_row_missing_behind_the_compaction_is_refused(void **state)
{
    struct world *w = *state;
    grant(w, 8, 10);
    grant(w, 9, 10);
    world_commit(w);
    world_delete_row(w, 12);
    refused(w, "log row 12 is missing");
}

static void a_row_missing_that_compaction_does_not_drop_is_refused(void **state)
{
    struct world *w = *state;
    world_delete_row(w, 9);
    refused(w, "only a compaction at 7 may have dropped");
    w->log[8].deleted = false;
    world_delete_row(w, 5);
    refused(w, "only a compaction at 5 may have dropped");
}

/* But for the end of a revoke, which compaction may drop without a trace: rows 7 and 8. */
static void a_single_row_missing_is_found_or_was_superfluous(void **state)
{
    struct world *w = *state;
    put(w, "d", "1");
    struct request_op ops[] = {{.kind = OP_PUT, .put = {.key = bytes_str("e")}},
                               {.kind = OP_PUT, .put = {.key = bytes_str("f")}}};
    struct txn_req txn = {.success = ops, .n_success = 2};
    struct txn_resp resp;
    assert_int_equal(store_txn(w->s, &txn, &w->a, &resp, &w->seq), ETCD_OK);
    compact(w, 5);
    world_commit(w);
    for (size_t i = 0; i < w->log_len - 1; i++) {
        struct store *s = NULL;
        if (w->log[i].record.seq == 7 || w->log[i].record.seq == 8)
            continue;
        w->log[i].deleted = true;
        if (world_replay(w, &s, NULL) == 0) {
            bool same = store_digest(s) == store_digest(w->s);
            store_free(s);
            if (!same)
                fail_msg("row %lld is not missed", (long long)w->log[i].record.seq);
        }
        w->log[i].deleted = false;
    }
}

static void a_lease_missing_under_its_key_is_refused(void **state)
{
    struct world *w = *state;
    grant(w, 8, 10);
    put_lease(w, "d", "1", 8);
    compact(w, 8);
    world_commit(w);
    world_delete_row(w, 12);
    refused(w, "the log lacks the lease of 1 keys");
}

static void a_log_that_ends_inside_a_command_is_refused(void **state)
{
    struct world *w = *state;
    put(w, "x", "1");
    put(w, "y", "1");
    del(w, "x", "z");
    world_commit(w);
    w->log[w->log_len - 1].deleted = true;
    refused(w, "the log ends inside a command");
}

static void a_command_that_goes_on_where_it_must_end_is_refused(void **state)
{
    struct world *w = *state;
    world_row(w, 9)->last_of_command = false;
    refused(w, "log row 10: stands inside another command");
    world_row(w, 9)->last_of_command = true;
    world_row(w, 10)->last_of_command = false;
    refused(w, "log row 10: a command goes on where it must end");
    world_row(w, 10)->last_of_command = true;
    world_row(w, 4)->last_of_command = false;
    refused(w, "log row 5: begins inside another command");
    world_row(w, 4)->last_of_command = true;
    world_row(w, 6)->last_of_command = true;
    refused(w, "log row 7: its revision is not behind");
}

static void revisions_that_do_not_follow_are_refused(void **state)
{
    struct world *w = *state;
    world_row(w, 11)->main = 8;
    refused(w, "log row 11: a revision is missing before it");
    world_row(w, 11)->main = 6;
    refused(w, "log row 11: its revision is not behind");
    world_row(w, 11)->main = 7;
    world_row(w, 11)->sub = 1;
    refused(w, "log row 11: a row of its revision is missing");
    world_row(w, 11)->sub = -1;
    refused(w, "log row 11: its revision is out of range");
    world_row(w, 11)->sub = 0;
    world_row(w, 7)->sub = 2;
    refused(w, "log row 7: a row of its revision is missing");
    world_row(w, 7)->sub = 1;
    accepted(w);
}

static void versions_that_do_not_follow_are_refused(void **state)
{
    struct world *w = *state;
    struct record *r = world_row(w, 11);
    r->version = 3;
    refused(w, "log row 11: its version does not follow");
    r->version = 2;
    r->create_revision = 5;
    refused(w, "log row 11: its version does not follow");
    r->create_revision = 6;
    r = world_row(w, 9);
    r->version = 2;
    refused(w, "log row 9: its creation does not fit its version");
    r->version = 1;
    r->create_revision = 5;
    refused(w, "log row 9: its creation does not fit its version");
    r->create_revision = 0;
    refused(w, "log row 9: its numbers are out of range");
}

static void a_version_out_of_nothing_is_refused(void **state)
{
    struct world *w = *state;
    struct record *r = world_row(w, 9);
    r->version = 9;
    r->create_revision = 2;
    refused(w, "log row 9: its creation does not fit its revision");
    r->version = 3;
    refused(w, "log row 11: its version does not follow");
    world_row(w, 11)->version = 4;
    world_row(w, 11)->create_revision = 2;
    refused(w, "only a compaction at 6 may have dropped");
}

static void a_delete_of_nothing_is_refused(void **state)
{
    struct world *w = *state;
    del(w, "c", NULL); /* row 12 */
    world_commit(w);
    struct record again = *world_row(w, 12);
    again.seq = 13;
    again.main = 9;
    struct tenure_error err = {0};
    w->log[w->log_len].record = again;
    w->log[w->log_len++].deleted = false;
    struct store *s = NULL;
    assert_int_equal(world_replay(w, &s, &err), TENURE_ECORRUPT);
    assert_non_null(strstr(err.text, "log row 13: deletes a key that is not there"));
    w->log_len--;
    struct record *r = world_row(w, 12);
    r->lease = 7;
    refused(w, "log row 12: a delete that holds data");
    r->lease = 0;
    r->create_revision = 6;
    refused(w, "log row 12: a delete that holds data");
    r->create_revision = 0;
    r->version = 1;
    refused(w, "log row 12: a delete that holds data");
}

static void a_key_twice_in_one_revision_is_refused(void **state)
{
    struct world *w = *state;
    struct record *r = world_row(w, 7);
    bytes before = r->key;
    r->key = world_row(w, 6)->key;
    refused(w, "log row 7: changes its key twice");
    r->key = bytes_of(NULL, 0);
    refused(w, "log row 7: has no key");
    r->key = before;
}

static void leases_that_cannot_be_are_refused(void **state)
{
    struct world *w = *state;
    struct record *r = world_row(w, 2);
    r->version = 0;
    refused(w, "log row 2: a lease out of range");
    r->version = LEASE_TTL_MAX_S + 1;
    refused(w, "log row 2: a lease out of range");
    r->version = LEASE_TTL_MAX_S;
    refused_nothing(w);
    r->version = 10;
    r->main = 2;
    refused(w, "log row 2: its revision does not fit those before it");
    r->main = 1;
    world_row(w, 8)->main = 4;
    refused(w, "log row 8: its revision does not fit those before it");
    world_row(w, 8)->main = 5;
    r->lease = 0;
    refused(w, "log row 2: a lease out of range");
    r->lease = 8;
    refused(w, "log row 8: revokes a lease that does not stand");
    r->lease = 7;
    world_row(w, 8)->kind = RECORD_LEASE_GRANT;
    world_row(w, 8)->version = 5;
    refused(w, "log row 8: grants a lease that stands");
}

static void a_revoke_that_leaves_keys_is_refused(void **state)
{
    struct world *w = *state;
    grant(w, 8, 10);
    put_lease(w, "d", "1", 8);
    grant(w, 9, 10);
    revoke(w, 9);
    world_commit(w);
    world_row(w, 15)->lease = 8;
    refused(w, "log row 15: revokes a lease whose keys are not deleted");
}

static void compactions_that_cannot_be_are_refused(void **state)
{
    struct world *w = *state;
    world_row(w, 10)->main = 7;
    refused(w, "log row 10: its compaction revision does not fit");
    world_row(w, 10)->main = -1;
    refused(w, "log row 10: its compaction revision does not fit");
    world_row(w, 10)->main = 4;
    compact(w, 5);
    world_commit(w);
    world_row(w, 12)->main = 3;
    refused(w, "log row 12: its compaction revision does not fit");
}

static void a_kind_of_a_newer_format_is_refused(void **state)
{
    struct world *w = *state;
    world_row(w, 10)->kind = 99;
    refused(w, "log row 10: is of a kind that this version does not know");
}

/* Rows changed at random are refused or make a state that can be used; nothing crashes. */
static void random_damage_never_crashes(void **state)
{
    struct world *w = *state;
    struct rng r;
    rng_init(&r, 5);
    for (int i = 0; i < 20000; i++) {
        struct record *row = &w->log[rng_below(&r, w->log_len)].record;
        struct record before = *row;
        int64_t *numbers[] = {&row->seq, &row->main, &row->sub, &row->create_revision, &row->version, &row->lease};
        int64_t values[] = {0, 1, -1, INT64_MAX, INT64_MIN, (int64_t)rng_below(&r, 15)};
        if (rng_below(&r, 8) == 0)
            row->kind = (enum record_kind)rng_below(&r, 7);
        else if (rng_below(&r, 8) == 0)
            row->tombstone = !row->tombstone;
        else
            *numbers[rng_below(&r, ARRAY_LEN(numbers))] = values[rng_below(&r, ARRAY_LEN(values))];
        struct store *s = NULL;
        if (world_replay(w, &s, NULL) == 0)
            store_free(s);
        *row = before;
    }
    accepted(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_log_comes_back_as_it_was, log_setup, teardown),
        cmocka_unit_test_setup_teardown(rows_out_of_order_are_refused, log_setup, teardown),
        cmocka_unit_test_setup_teardown(the_identity_stands_once_and_first, log_setup, teardown),
        cmocka_unit_test_setup_teardown(a_row_missing_behind_the_compaction_is_refused, log_setup, teardown),
        cmocka_unit_test_setup_teardown(a_row_missing_that_compaction_does_not_drop_is_refused, log_setup, teardown),
        cmocka_unit_test_setup_teardown(a_single_row_missing_is_found_or_was_superfluous, log_setup, teardown),
        cmocka_unit_test_setup_teardown(a_lease_missing_under_its_key_is_refused, log_setup, teardown),
        cmocka_unit_test_setup_teardown(a_log_that_ends_inside_a_command_is_refused, log_setup, teardown),
        cmocka_unit_test_setup_teardown(a_command_that_goes_on_where_it_must_end_is_refused, log_setup, teardown),
        cmocka_unit_test_setup_teardown(revisions_that_do_not_follow_are_refused, log_setup, teardown),
        cmocka_unit_test_setup_teardown(versions_that_do_not_follow_are_refused, log_setup, teardown),
        cmocka_unit_test_setup_teardown(a_version_out_of_nothing_is_refused, log_setup, teardown),
        cmocka_unit_test_setup_teardown(a_delete_of_nothing_is_refused, log_setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_twice_in_one_revision_is_refused, log_setup, teardown),
        cmocka_unit_test_setup_teardown(leases_that_cannot_be_are_refused, log_setup, teardown),
        cmocka_unit_test_setup_teardown(a_revoke_that_leaves_keys_is_refused, log_setup, teardown),
        cmocka_unit_test_setup_teardown(compactions_that_cannot_be_are_refused, log_setup, teardown),
        cmocka_unit_test_setup_teardown(a_kind_of_a_newer_format_is_refused, log_setup, teardown),
        cmocka_unit_test_setup_teardown(random_damage_never_crashes, log_setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
