/* The follower between a source in memory and a core over a log that takes no time, or is held. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mock_server.h"
#include "replica/follower.h"
#include "store/auth.h"

/* The copy. */
struct copy {
    struct store *store;
    struct core *core;
    struct follower *follower;
    bool held;                 /* the log takes nothing */
    enum core_outcome outcome; /* of what it is handed */
};

static struct world w;
static struct copy c;

static tn_ms on_enter(void *user)
{
    (void)user;
    return w.now;
}

static void on_asked(void *user)
{
    (void)user;
}

static void turn(void)
{
    struct core_batch batch;
    core_turn(c.core, w.now);
    core_run(c.core, w.now);
    follower_run(c.follower, w.now);
    while (!c.held && core_batch(c.core, &batch, 1000))
        core_written(c.core, c.outcome, batch.n_rows ? batch.rows[batch.n_rows - 1].seq : store_seq(c.store), w.now);
    core_run(c.core, w.now);
}

/* For so long, or until nothing can come any more. */
static void run(int64_t ms)
{
    for (int64_t i = 0; i < ms; i += 10) {
        turn();
        world_run(&w, 10);
    }
    turn();
}

static void open_copy_of(bool users, const struct key_range *parts, size_t n_parts)
{
    struct rng seed;
    struct tenure_error err;
    struct store_config s = {
        .cluster_id = 7, .member_id = 8, .member_name = "copy", .follows = true, .has_holes = n_parts > 0};
    struct follower_config f = {.cluster_id = 7,
                                .has_users = users,
                                .parts = parts,
                                .n_parts = n_parts,
                                .first = n_parts ? 1 : 0,
                                .enter = on_enter,
                                .asked = on_asked};
    memset(&c, 0, sizeof c);
    c.outcome = CORE_APPLIED;
    rng_init(&seed, 1);
    assert_int_equal(store_new(&s, &seed, &c.store), 0);
    assert_int_equal(store_ready(c.store, w.now, &err), 0);
    c.follower = follower_new(&f);
    assert_non_null(c.follower);
    struct core_config k = {.store = c.store,
                            .source = &follower_source,
                            .source_user = c.follower,
                            .source_cluster = 7,
                            .source_has_users = users,
                            .source_parts = parts,
                            .n_source_parts = n_parts,
                            .source_parts_text = "some",
                            .retention_ms = -1,
                            .seed = seed};
    assert_int_equal(core_new(&k, &c.core), 0);
    follower_start(c.follower, c.core, c.store, w.client, w.now);
}

static void open_copy_with(bool users)
{
    open_copy_of(users, NULL, 0);
}

static void open_copy(void)
{
    open_copy_with(false);
}

/* Of keys from a to b, and of those from x to y. */
static void open_copy_partly(void)
{
    static const struct key_range parts[] = {{{(const uint8_t *)"a", 1}, {(const uint8_t *)"b", 1}},
                                             {{(const uint8_t *)"x", 1}, {(const uint8_t *)"y", 1}}};
    open_copy_of(false, parts, 2);
}

static int set_up(void **state)
{
    (void)state;
    world_init(&w, 1, NULL, 1);
    w.revision = 1; /* of one that is new */
    w.real_past = true;
    return 0;
}

static int set_up_narrow(void **state)
{
    struct client_config config = {.watch_bytes_max = 100000};
    (void)state;
    world_init(&w, 1, &config, 1);
    w.revision = 1;
    w.real_past = true;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    follower_stop(c.follower, w.now);
    world_fini(&w);
    core_free(c.core);
    follower_free(c.follower);
    store_free(c.store);
    return 0;
}

static struct kv read_at(const char *key, tn_rev revision, enum etcd_error expected)
{
    struct arena a;
    struct range_resp r = {0};
    struct kv kv = {0};
    struct range_req req = {.range = {.key = bytes_str(key)}, .revision = revision};
    arena_init(&a, 0);
    assert_int_equal(store_range(c.store, &req, &a, &r), expected);
    if (expected == ETCD_OK && r.n_kvs)
        kv = r.kvs[0];
    arena_fini(&a);
    return kv;
}

static void assert_following(void)
{
    if (follower_state(c.follower) != FOLLOWER_FOLLOWING)
        fail_msg("%s", follower_error(c.follower)->text);
}

static void revisions_are_taken_over(void **state)
{
    (void)state;
    mock_put(&w, "a", "1");
    mock_put(&w, "a", "2");
    open_copy();
    mock_put_two(&w, "a", "b", "3");
    run(500);
    assert_following();
    assert_int_equal(store_revision(c.store), w.revision);
    struct kv kv = read_at("a", 0, ETCD_OK);
    assert_int_equal(kv.version, 3);
    assert_int_equal(kv.create_revision, 2);
    assert_int_equal(kv.mod_revision, 4);
    assert_int_equal(read_at("a", 2, ETCD_OK).version, 1);
    assert_int_equal(read_at("b", 0, ETCD_OK).mod_revision, 4);
}

static void the_age_is_that_of_the_question(void **state)
{
    (void)state;
    w.endpoints[0].latency_ms = 20;
    open_copy();
    assert_int_equal(core_staleness(c.core, w.now), -1);
    run(1000);
    int64_t age = core_staleness(c.core, w.now);
    assert_in_range(age, 40, 300);
    w.endpoints[0].swallows = true;
    run(3000);
    assert_in_range(core_staleness(c.core, w.now), age + 2700, age + 3300);
    assert_following();
    assert_int_not_equal(follower_error(c.follower)->code, 0);
}

/* While the disk takes nothing the copy is not what the source has, however often that is asked. */
static void what_is_not_durable_proves_nothing(void **state)
{
    (void)state;
    open_copy();
    run(500);
    c.held = true;
    mock_put(&w, "a", "1");
    run(2000);
    assert_true(core_staleness(c.core, w.now) >= 1500);
    assert_int_equal(store_revision(c.store), 1);
    c.held = false;
    run(500);
    assert_true(core_staleness(c.core, w.now) <= 300);
}

static void what_was_undone_comes_again(void **state)
{
    (void)state;
    open_copy();
    run(300);
    c.outcome = CORE_NOT_APPLIED;
    mock_put(&w, "a", "1");
    mock_put(&w, "a", "2");
    run(1500);
    assert_int_equal(store_revision(c.store), 1);
    c.outcome = CORE_APPLIED;
    run(3000);
    assert_following();
    assert_int_equal(store_revision(c.store), 3);
    assert_true(follower_counts(c.follower)->watches > 1);
}

/* The watch is begun anew, but not all the time; and why is said for as long as it goes on. */
static void a_full_disk_does_not_flood_the_source(void **state)
{
    (void)state;
    open_copy();
    run(300);
    uint64_t before = follower_counts(c.follower)->watches;
    c.outcome = CORE_NOT_APPLIED;
    mock_put(&w, "a", "1");
    run(30000);
    assert_in_range(follower_counts(c.follower)->watches - before, 4, 16);
    assert_following();
    assert_int_equal(follower_error(c.follower)->code, TENURE_ELIMIT);
    assert_non_null(strstr(follower_error(c.follower)->text, "disk"));
    c.outcome = CORE_APPLIED;
    run(7000);
    assert_int_equal(store_revision(c.store), 2);
    assert_int_equal(follower_error(c.follower)->code, 0);
}

static void compactions_follow(void **state)
{
    (void)state;
    open_copy();
    for (int i = 0; i < 10; i++)
        mock_put(&w, "a", "1");
    run(500);
    mock_compact(&w, 8);
    run(3000);
    assert_following();
    assert_int_equal(store_compacted(c.store), 8);
    read_at("a", 7, ETCD_COMPACTED);
    assert_int_equal(read_at("a", 8, ETCD_OK).mod_revision, 8);
}

static void history_that_is_gone_loses(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        mock_put(&w, "a", "1");
    mock_compact(&w, 8);
    open_copy();
    run(500);
    assert_int_equal(follower_state(c.follower), FOLLOWER_LOST);
    assert_int_equal(follower_error(c.follower)->code, TENURE_ECOMPACTED);
    assert_int_equal(store_revision(c.store), 1);
}

/* The source's newest revision is below ours: one answer may come from a member that lags, three do not. */
static void an_older_source_is_refused(void **state)
{
    (void)state;
    open_copy();
    for (int i = 0; i < 5; i++)
        mock_put(&w, "a", "1");
    run(500);
    w.endpoints[0].behind = 3;
    run(300);
    assert_following();
    run(2000);
    assert_int_equal(follower_state(c.follower), FOLLOWER_REFUSED);
    assert_non_null(strstr(follower_error(c.follower)->text, "restored from an older state"));
}

/* An event that does not continue what is here. */
static void another_history_is_refused(void **state)
{
    (void)state;
    open_copy();
    mock_put(&w, "a", "1");
    run(500);
    struct event e = {
        .type = EVENT_PUT,
        .kv = {.key = bytes_str("a"), .value = bytes_str("x"), .create_revision = 2, .mod_revision = 3, .version = 5}};
    struct watch_resp r = {.header = {.cluster_id = 7, .revision = 3}, .events = &e, .n_events = 1};
    w.revision = 3;
    mock_watch_say(&w, &r);
    run(500);
    assert_int_equal(follower_state(c.follower), FOLLOWER_REFUSED);
    assert_non_null(strstr(follower_error(c.follower)->text, "does not continue"));
    assert_int_equal(store_revision(c.store), 2);
}

/* It asks as nobody: who is denied then, is so because authentication is on. */
static void a_source_that_asks_who_asks_is_refused(void **state)
{
    (void)state;
    open_copy();
    run(500);
    assert_following();
    struct mock_rule *rule = mock_on(&w, "KV/Range", -1, MOCK_ANSWER);
    rule->status = etcd_error_status(ETCD_USER_EMPTY);
    rule->text = etcd_error_text(ETCD_USER_EMPTY);
    run(1000);
    assert_int_equal(follower_state(c.follower), FOLLOWER_REFUSED);
    assert_non_null(strstr(follower_error(c.follower)->text, "authentication"));
}

/* It is asked about users before anything else, and must not say for the right one that everybody may read. */
static void users_of_another_source_count_for_nothing(void **state)
{
    (void)state;
    w.cluster = 9;
    open_copy_with(true);
    run(500);
    assert_int_equal(follower_state(c.follower), FOLLOWER_REFUSED);
    assert_non_null(strstr(follower_error(c.follower)->text, "is cluster 0000000000000009 now"));
    assert_int_equal(store_auth_changes(c.store), 0);
}

static void users_of_the_source_count(void **state)
{
    (void)state;
    mock_put(&w, "a", "1");
    open_copy_with(true);
    run(500);
    assert_following();
    assert_true(store_auth_changes(c.store) > 0);
    assert_int_equal(store_revision(c.store), w.revision);
}

/* A right may have gone while the source was not heard: what was written behind that is not taken before its users were looked at again. */
static void nothing_is_taken_while_users_are_old(void **state)
{
    (void)state;
    open_copy_with(true);
    run(500);
    mock_put(&w, "a", "1");
    run(100);
    assert_int_equal(store_revision(c.store), w.revision);
    struct mock_rule *rule = mock_on(&w, "Auth/AuthStatus", -1, MOCK_IGNORE);
    run(4500);
    mock_put(&w, "a", "2");
    uint64_t before = follower_counts(c.follower)->watches;
    run(4500);
    assert_int_equal(store_revision(c.store), w.revision - 1);
    assert_int_equal(follower_counts(c.follower)->watches, before); /* it is ended, and not asked for again and again */
    rule->act = MOCK_LATE;
    rule->delay_ms = 50;
    run(8000);
    assert_following();
    assert_int_equal(store_revision(c.store), w.revision);
    mock_put(&w, "a", "3");
    run(100);
    assert_int_equal(store_revision(c.store), w.revision);
    assert_int_equal(follower_counts(c.follower)->watches, before + 1);
}

/* A look that was on its way when the event came may have been answered before the right went. */
static void a_look_from_before_does_not_count(void **state)
{
    (void)state;
    open_copy_with(true);
    run(500);
    struct mock_rule *rule = mock_on(&w, "Auth/AuthStatus", -1, MOCK_LATE);
    rule->delay_ms = 4500; /* each */
    run(4000);
    mock_put(&w, "a", "1");
    run(3000);
    assert_int_equal(store_revision(c.store), w.revision - 1);
    run(5000);
    assert_int_equal(store_revision(c.store), w.revision);
}

/* Nor does it when it comes before the event. */
static void a_late_answer_does_not_count(void **state)
{
    (void)state;
    open_copy_with(true);
    run(500);
    struct mock_rule *rule = mock_on(&w, "Auth/AuthStatus", -1, MOCK_LATE);
    rule->delay_ms = 4500;
    run(5300);
    mock_put(&w, "a", "1");
    run(3000);
    assert_int_equal(store_revision(c.store), w.revision - 1);
    run(3000);
    assert_int_equal(store_revision(c.store), w.revision);
}

static void lost_connections_lose_nothing(void **state)
{
    (void)state;
    open_copy();
    for (int i = 0; i < 20; i++) {
        mock_put(&w, i % 2 ? "a" : "b", "1");
        if (i % 4 == 0)
            mock_cut(&w, 0);
        run(50);
    }
    run(3000);
    assert_following();
    assert_int_equal(store_revision(c.store), 21);
    assert_int_equal(read_at("a", 0, ETCD_OK).version, 10);
}

/* Begun anew it would be told the same. */
static void a_revision_may_be_large(void **state)
{
    (void)state;
    static char value[200000];
    memset(value, 'x', sizeof value - 1);
    open_copy();
    w.fragment = true;
    mock_put_two(&w, "a", "b", value);
    run(1000);
    assert_following();
    assert_int_equal(store_revision(c.store), 2);
    assert_int_equal(follower_counts(c.follower)->watches, 1);
}

/* Where an old etcd leaves out deletes: over a new connection it is not begun at the revision that the source is compacted to. */
static void a_compaction_right_behind_loses(void **state)
{
    (void)state;
    open_copy();
    mock_put(&w, "a", "1");
    mock_put(&w, "a", "2");
    run(500);
    assert_int_equal(store_revision(c.store), 3);
    mock_cut(&w, 0);
    mock_put(&w, "a", "3");
    mock_put(&w, "a", "4");
    mock_compact(&w, 4);
    run(1000);
    assert_int_equal(follower_state(c.follower), FOLLOWER_LOST);
    assert_int_equal(store_revision(c.store), 3);
}

/* ---- some keys alone ---- */

static void others_are_left_out(void **state)
{
    (void)state;
    open_copy_partly();
    run(300);
    mock_put(&w, "k", "1");
    mock_put(&w, "a", "1");
    mock_put_two(&w, "a", "k", "2");
    mock_put(&w, "xx", "1");
    mock_put(&w, "k", "3");
    run(600);
    assert_following();
    assert_int_equal(store_keys(c.store), 2);
    assert_int_equal(read_at("a", 0, ETCD_OK).version, 2);
    assert_int_equal(read_at("a", 0, ETCD_OK).mod_revision, 4);
    assert_int_equal(read_at("xx", 0, ETCD_OK).create_revision, 5);
    assert_int_equal(store_revision(c.store), 6);
    assert_in_range(core_staleness(c.core, w.now), 0, 300);
    assert_int_equal(follower_counts(c.follower)->events, 3);
}

/* What others do makes no row but where somebody asks how far the copy has come. */
static void others_cost_no_row_each(void **state)
{
    (void)state;
    open_copy_partly();
    run(300);
    tn_seq before = store_seq_planned(c.store);
    for (int i = 0; i < 500; i++) {
        mock_put(&w, "k", "1");
        run(10);
    }
    run(300);
    assert_int_equal(store_revision(c.store), 501);
    assert_in_range(store_seq_planned(c.store) - before, 1, 60);
}

static void what_was_undone_comes_again_without_others(void **state)
{
    (void)state;
    open_copy_partly();
    run(300);
    c.outcome = CORE_NOT_APPLIED;
    mock_put(&w, "k", "1");
    mock_put(&w, "a", "1");
    mock_put(&w, "k", "1");
    run(1500);
    assert_int_equal(store_revision(c.store), 1);
    c.outcome = CORE_APPLIED;
    run(6000);
    assert_following();
    assert_int_equal(store_revision(c.store), 4);
    assert_int_equal(read_at("a", 0, ETCD_OK).mod_revision, 3);
}

static void lost_connections_lose_nothing_of_some(void **state)
{
    (void)state;
    open_copy_partly();
    for (int i = 0; i < 40; i++) {
        mock_put(&w, i % 4 == 0 ? "a" : "k", "1");
        if (i % 5 == 0)
            mock_cut(&w, 0);
        run(50);
    }
    run(3000);
    assert_following();
    assert_int_equal(store_revision(c.store), 41);
    assert_int_equal(read_at("a", 0, ETCD_OK).version, 10);
}

static void compactions_follow_where_others_are(void **state)
{
    (void)state;
    open_copy_partly();
    mock_put(&w, "a", "1");
    for (int i = 0; i < 10; i++)
        mock_put(&w, "k", "1");
    run(500);
    mock_compact(&w, 8);
    run(3000);
    assert_following();
    assert_int_equal(store_compacted(c.store), 8);
    mock_cut(&w, 0);
    mock_put(&w, "k", "1");
    mock_put(&w, "k", "1");
    mock_compact(&w, w.revision);
    run(1000);
    assert_int_equal(follower_state(c.follower), FOLLOWER_LOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(revisions_are_taken_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_age_is_that_of_the_question, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_durable_proves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_undone_comes_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_does_not_flood_the_source, set_up, tear_down),
        cmocka_unit_test_setup_teardown(compactions_follow, set_up, tear_down),
        cmocka_unit_test_setup_teardown(history_that_is_gone_loses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_revision_may_be_large, set_up_narrow, tear_down),
        cmocka_unit_test_setup_teardown(a_compaction_right_behind_loses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_older_source_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_history_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_source_that_asks_who_asks_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(users_of_another_source_count_for_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(users_of_the_source_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_taken_while_users_are_old, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_look_from_before_does_not_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_late_answer_does_not_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lost_connections_lose_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(others_are_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(others_cost_no_row_each, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_undone_comes_again_without_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lost_connections_lose_nothing_of_some, set_up, tear_down),
        cmocka_unit_test_setup_teardown(compactions_follow_where_others_are, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
