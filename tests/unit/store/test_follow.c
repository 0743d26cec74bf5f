/* follow: a revision of somebody else's history is taken over as it is, or not at all. */
#include "world.h"

#include "tenure/error.h"

static int setup(void **state)
{
    static struct world w;
    const struct store_config config = {.cluster_id = 1, .member_id = 2, .member_name = "copy", .follows = true};
    world_open(&w, &config);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    world_close(*state);
    return 0;
}

static struct event put_of(const char *key, const char *value, tn_rev create, tn_rev mod, int64_t version,
                           tn_lease lease)
{
    return (struct event){.type = EVENT_PUT,
                          .kv = {.key = bytes_str(key),
                                 .value = bytes_str(value),
                                 .create_revision = create,
                                 .mod_revision = mod,
                                 .version = version,
                                 .lease = lease}};
}

static struct event delete_of(const char *key, tn_rev mod)
{
    return (struct event){.type = EVENT_DELETE, .kv = {.key = bytes_str(key), .mod_revision = mod}};
}

static void follows(struct world *w, const struct event *events, size_t n)
{
    struct tenure_error err;
    if (store_follow(w->s, events, n, &err) != 0)
        fail_msg("%s", err.text);
}

static void refuses(struct world *w, const struct event *events, size_t n, const char *why)
{
    struct tenure_error err;
    tn_rev before = store_revision_planned(w->s);
    tn_seq seq = store_seq_planned(w->s);
    assert_int_equal(store_follow(w->s, events, n, &err), TENURE_ECORRUPT);
    assert_non_null(strstr(err.text, why));
    assert_int_equal(store_revision_planned(w->s), before);
    assert_int_equal(store_seq_planned(w->s), seq);
}

static void what_is_told_becomes_so(void **state)
{
    struct world *w = *state;
    follows(w, (struct event[]){put_of("a", "1", 2, 2, 1, 77), put_of("b", "1", 2, 2, 1, 0)}, 2);
    follows(w, (struct event[]){put_of("a", "2", 2, 3, 2, 0)}, 1);
    follows(w, (struct event[]){delete_of("b", 4)}, 1);
    world_commit(w);
    for (int i = 0; i < 2; i++) {
        struct range_resp r;
        struct range_req req = {.range = {.key = bytes_str("a")}, .revision = 2};
        assert_int_equal(store_revision(w->s), 4);
        assert_int_equal(store_range(w->s, &req, &w->a, &r), ETCD_OK);
        assert_int_equal(r.kvs[0].lease, 77);
        req.revision = 0;
        assert_int_equal(store_range(w->s, &req, &w->a, &r), ETCD_OK);
        assert_int_equal(r.kvs[0].version, 2);
        assert_int_equal(r.kvs[0].create_revision, 2);
        assert_int_equal(store_keys(w->s), 1);
        assert_int_equal(store_leases(w->s), 0);
        world_restart(w); /* a lease that does not stand is no damage here */
    }
}

static void what_does_not_continue_is_refused_whole(void **state)
{
    struct world *w = *state;
    follows(w, (struct event[]){put_of("a", "1", 2, 2, 1, 0)}, 1);
    refuses(w, (struct event[]){put_of("b", "1", 4, 4, 1, 0)}, 1, "not the next one");
    refuses(w, (struct event[]){put_of("b", "1", 2, 2, 1, 0)}, 1, "not the next one");
    refuses(w, (struct event[]){put_of("b", "1", 3, 3, 1, 0), put_of("a", "2", 2, 3, 3, 0)}, 2,
            "version does not follow");
    refuses(w, (struct event[]){put_of("a", "2", 3, 3, 1, 0)}, 1, "version does not follow");
    refuses(w, (struct event[]){put_of("b", "2", 2, 3, 2, 0)}, 1, "a key that is not here");
    refuses(w, (struct event[]){delete_of("b", 3)}, 1, "a key that is not here");
    refuses(w, (struct event[]){put_of("a", "2", 2, 3, 2, 0), delete_of("a", 3)}, 2, "twice in one revision");
    refuses(w, (struct event[]){put_of("", "2", 3, 3, 1, 0)}, 1, "has no key");
    follows(w, (struct event[]){delete_of("a", 3)}, 1);
    refuses(w, (struct event[]){delete_of("a", 4)}, 1, "not there");
    refuses(w, (struct event[]){put_of("a", "2", 2, 4, 2, 0)}, 1, "");
    follows(w, (struct event[]){put_of("a", "2", 4, 4, 1, 0)}, 1);
    world_commit(w);
    assert_int_equal(store_revision(w->s), 4);
}

static void what_was_not_applied_is_told_again(void **state)
{
    struct world *w = *state;
    size_t n;
    follows(w, (struct event[]){put_of("a", "1", 2, 2, 1, 5)}, 1);
    world_commit(w);
    follows(w, (struct event[]){put_of("a", "2", 2, 3, 2, 5)}, 1);
    follows(w, (struct event[]){delete_of("a", 4)}, 1);
    assert_non_null(store_outbox(w->s, 100, &n));
    store_rollback(w->s);
    assert_int_equal(store_revision_planned(w->s), 2);
    follows(w, (struct event[]){put_of("a", "3", 2, 3, 2, 5)}, 1);
    world_commit(w);
    assert_int_equal(store_revision(w->s), 3);
}

static void a_tail_at_its_bound_says_so(void **state)
{
    struct world w;
    struct tenure_error err;
    const struct store_config config = {
        .cluster_id = 1, .member_id = 2, .member_name = "copy", .follows = true, .undo_entries_max = 2};
    (void)state;
    world_open(&w, &config);
    follows(&w, (struct event[]){put_of("a", "1", 2, 2, 1, 0)}, 1);
    follows(&w, (struct event[]){put_of("a", "1", 2, 3, 2, 0)}, 1);
    struct event next = put_of("a", "1", 2, 4, 3, 0);
    assert_int_equal(store_follow(w.s, &next, 1, &err), TENURE_ELIMIT);
    world_commit(&w);
    follows(&w, &next, 1);
    world_close(&w);
}

/* What was handed out, undone, or is durable counts no more. */
static void its_bytes_are_bounded_too(void **state)
{
    struct world w;
    struct tenure_error err;
    const struct store_config config = {
        .cluster_id = 1, .member_id = 2, .member_name = "copy", .follows = true, .follow_bytes_max = 100};
    char large[91] = "";
    size_t n;
    (void)state;
    memset(large, 'x', sizeof large - 1);
    world_open(&w, &config);
    follows(&w, (struct event[]){put_of("a", large, 2, 2, 1, 0)}, 1);
    follows(&w, (struct event[]){put_of("a", large, 2, 3, 2, 0)}, 1);
    struct event next = put_of("a", "1", 2, 4, 3, 0);
    for (int i = 0; i < 5; i++) { /* undone, and again */
        assert_int_equal(store_follow(w.s, &next, 1, &err), TENURE_ELIMIT);
        assert_non_null(store_outbox(w.s, 100, &n));
        store_rollback(w.s);
        follows(&w, (struct event[]){put_of("a", large, 2, 2, 1, 0)}, 1);
        refuses(&w, &next, 1, "not the next one");
        follows(&w, (struct event[]){put_of("a", large, 2, 3, 2, 0)}, 1);
    }
    for (int i = 0; i < 5; i++) {
        world_commit(&w);
        for (int k = 0; k < 2; k++) {
            next.kv.value = bytes_str(large);
            follows(&w, &next, 1);
            next.kv.mod_revision++;
            next.kv.version++;
        }
        assert_int_equal(store_follow(w.s, &next, 1, &err), TENURE_ELIMIT);
    }
    world_close(&w);
}

/* ---- revisions that are left out ---- */

static const struct store_config with_holes = {
    .cluster_id = 1, .member_id = 2, .member_name = "copy", .follows = true, .has_holes = true};

static void revisions_may_be_left_out(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, &with_holes);
    follows(&w, (struct event[]){put_of("a", "1", 5, 5, 1, 0), put_of("b", "1", 5, 5, 1, 0)}, 2);
    follows(&w, (struct event[]){put_of("a", "2", 5, 1000, 2, 0)}, 1);
    refuses(&w, (struct event[]){put_of("b", "2", 5, 1000, 2, 0)}, 1, "not the next one");
    refuses(&w, (struct event[]){put_of("b", "2", 5, 2000, 3, 0)}, 1, "version does not follow");
    assert_int_equal(store_follow_to(w.s, 3000), 0);
    follows(&w, (struct event[]){delete_of("b", 3001)}, 1);
    assert_int_equal(store_follow_to(w.s, 4000), 0);
    assert_int_equal(store_revision(w.s), 1);
    world_commit(&w);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(store_revision(w.s), 4000);
        assert_int_equal(store_revision_planned(w.s), 4000);
        assert_string_equal(get(&w, "a", "z", 999), "a=1 b=1");
        assert_string_equal(get(&w, "a", "z", 3000), "a=2 b=1");
        assert_string_equal(get(&w, "a", "z", 0), "a=2");
        world_restart(&w);
    }
    world_close(&w);
}

/* However often it goes on, the log keeps one row of that. */
static void how_far_it_came_is_one_row(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, &with_holes);
    follows(&w, (struct event[]){put_of("a", "1", 2, 2, 1, 0)}, 1);
    for (tn_rev r = 10; r <= 1000; r += 10) {
        assert_int_equal(store_follow_to(w.s, r), 0);
        world_commit(&w);
        world_trim_all(&w);
    }
    assert_int_equal(store_compacted(w.s), 0);
    size_t rows = 0;
    for (size_t i = 0; i < w.log_len; i++)
        rows += !w.log[i].deleted;
    assert_int_equal(rows, 3); /* who it is, the key, how far */
    follows(&w, (struct event[]){put_of("a", "2", 2, 1500, 2, 0)}, 1);
    world_commit(&w);
    compact(&w, 1500);
    world_commit(&w);
    follows(&w, (struct event[]){delete_of("a", 1600)}, 1);
    assert_int_equal(store_follow_to(w.s, 1700), 0);
    world_commit(&w);
    compact(&w, 1700);
    world_commit(&w);
    world_trim_all(&w); /* nothing is left of the key */
    world_restart(&w);
    assert_int_equal(store_revision(w.s), 1700);
    assert_int_equal(store_compacted(w.s), 1700);
    assert_string_equal(get(&w, "a", "", 0), "");
    world_close(&w);
}

static void what_was_not_applied_leaves_no_hole(void **state)
{
    struct world w;
    size_t n;
    (void)state;
    world_open(&w, &with_holes);
    follows(&w, (struct event[]){put_of("a", "1", 2, 2, 1, 0)}, 1);
    world_commit(&w);
    follows(&w, (struct event[]){put_of("a", "2", 2, 9, 2, 0)}, 1);
    assert_int_equal(store_follow_to(w.s, 20), 0);
    assert_non_null(store_outbox(w.s, 100, &n));
    store_rollback(w.s);
    assert_int_equal(store_revision_planned(w.s), 2);
    follows(&w, (struct event[]){put_of("a", "3", 2, 3, 2, 0)}, 1);
    world_commit(&w);
    assert_int_equal(store_revision(w.s), 3);
    world_close(&w);
}

/* Without a step for each revision in between. */
static void watchers_pass_over_holes(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, &with_holes);
    struct store_watcher *a = watch(&w, "a", "z", 0, "a");
    follows(&w, (struct event[]){put_of("a", "1", 7, 7, 1, 0)}, 1);
    assert_int_equal(store_follow_to(w.s, INT64_C(1) << 40), 0);
    world_commit(&w);
    struct store_watcher *past = watch(&w, "a", "z", 3, "past");
    assert_string_equal(drain(&w), "a: PUT a=1@7; past: PUT a=1@7");
    assert_true(store_watch_synced(w.s, a) && store_watch_synced(w.s, past));
    assert_int_equal(store_watch_position(a), (INT64_C(1) << 40) + 1);
    follows(&w, (struct event[]){delete_of("a", (INT64_C(1) << 40) + 5)}, 1);
    world_commit(&w);
    assert_string_equal(drain(&w), "a: DEL a@1099511627781; past: DEL a@1099511627781");
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_told_becomes_so, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_continue_is_refused_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_not_applied_is_told_again, setup, teardown),
        cmocka_unit_test(a_tail_at_its_bound_says_so),
        cmocka_unit_test(its_bytes_are_bounded_too),
        cmocka_unit_test(revisions_may_be_left_out),
        cmocka_unit_test(how_far_it_came_is_one_row),
        cmocka_unit_test(what_was_not_applied_leaves_no_hole),
        cmocka_unit_test(watchers_pass_over_holes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
