/* Memory fails at every place in turn: a command that it hits changes nothing, watchers still get every event, a replay
 * says so. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "failmalloc.h"
#include "tenure/error.h"

enum { STEPS = 19 };

/* What a scenario runs on: nothing of it is allocated but by the store and the arena. */
struct stage {
    struct store *s;
    struct arena a;
    tn_seq seq;
};

static struct store_config config = {.cluster_id = 1, .member_id = 2, .member_name = "m"};
static uint64_t digests[STEPS + 1]; /* after so many steps, undisturbed */
static bool digests_known;

static enum etcd_error s_put(struct stage *st, const char *key, const char *value, tn_lease lease)
{
    struct put_resp resp;
    struct put_req req = {.key = bytes_str(key), .value = bytes_str(value), .lease = lease, .prev_kv = true};
    return store_put(st->s, &req, &st->a, &resp, &st->seq);
}

static enum etcd_error s_del(struct stage *st, const char *key, const char *end)
{
    struct delete_resp resp;
    struct delete_req req = {.range = range_of(key, end), .prev_kv = true};
    return store_delete(st->s, &req, &st->a, &resp, &st->seq);
}

static enum etcd_error s_grant(struct stage *st, tn_lease id)
{
    struct lease_grant_resp resp;
    return store_lease_grant(st->s, &(struct lease_grant_req){.id = id, .ttl_s = 10}, 0, &resp, &st->seq);
}

static enum etcd_error s_revoke(struct stage *st, tn_lease id)
{
    struct lease_revoke_resp resp;
    return store_lease_revoke(st->s, &(struct lease_revoke_req){.id = id}, &resp, &st->seq);
}

static enum etcd_error s_compact(struct stage *st, tn_rev rev)
{
    struct compact_resp resp;
    return store_compact(st->s, &(struct compact_req){.revision = rev}, &resp, &st->seq);
}

static enum etcd_error s_txn(struct stage *st)
{
    struct request_op inner[] = {
        {.kind = OP_PUT, .put = {.key = bytes_str("t1"), .value = bytes_str("x")}},
        {.kind = OP_DELETE, .del = {.range = range_of("k", "l"), .prev_kv = true}},
    };
    struct txn_req nested = {.success = inner, .n_success = 2};
    struct request_op ops[] = {
        {.kind = OP_RANGE, .range = {.range = range_of("a", "z"), .sort_order = SORT_DESCEND}},
        {.kind = OP_PUT, .put = {.key = bytes_str("t2"), .value = bytes_str("x"), .lease = 7}},
        {.kind = OP_TXN, .txn = &nested},
        {.kind = OP_RANGE, .range = {.range = range_of("a", "z"), .sort_order = SORT_DESCEND}},
    };
    struct txn_req t = {.success = ops, .n_success = 4};
    struct txn_resp resp;
    return store_txn(st->s, &t, &st->a, &resp, &st->seq);
}

static enum etcd_error s_range(struct stage *st)
{
    struct range_resp resp;
    struct range_req req = {.range = range_of("a", "z"), .sort_order = SORT_DESCEND, .sort_target = SORT_VALUE};
    return store_range(st->s, &req, &st->a, &resp);
}

static enum etcd_error s_lease_reads(struct stage *st)
{
    struct lease_list_resp list;
    struct lease_ttl_resp ttl;
    enum etcd_error e = store_lease_list(st->s, &st->a, &list, &st->seq);
    return e ? e : store_lease_ttl(st->s, &(struct lease_ttl_req){.id = 7, .keys = true}, 0, &st->a, &ttl, &st->seq);
}

static enum etcd_error step(struct stage *st, int i)
{
    static const char *const names[] = {"k1", "k2", "k3", "k4", "k5"};
    switch (i) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
        return s_put(st, names[i], "value", 0);
    case 5:
    case 6:
    case 7:
    case 8:
        return s_put(st, "k1", "again", 0);
    case 9:
        return s_grant(st, 7);
    case 10:
        return s_put(st, "l1", "x", 7);
    case 11:
        return s_put(st, "k2", "x", 7);
    case 12:
        return s_txn(st);
    case 13:
        return s_range(st);
    case 14:
        return s_lease_reads(st);
    case 15:
        return s_del(st, "t", "u");
    case 16:
        return s_put(st, "l2", "x", 7);
    case 17:
        return s_revoke(st, 7);
    default:
        return s_compact(st, 9);
    }
}

static void commit_all(struct store *s)
{
    size_t n;
    for (;;) {
        const struct record *rows = store_outbox(s, 7, &n);
        if (n == 0)
            break;
        store_commit(s, rows[n - 1].seq);
    }
}

static int stage_open(struct stage *st)
{
    struct rng rng;
    rng_init(&rng, 1);
    st->s = NULL;
    arena_init(&st->a, 0);
    int rc = store_new(&config, &rng, &st->s);
    return rc ? rc : store_ready(st->s, 0, NULL);
}

static void stage_close(struct stage *st)
{
    store_free(st->s);
    arena_fini(&st->a);
}

/* What was planned before the step that failed is there, and nothing of the step. */
static void expect_after(struct stage *st, int steps)
{
    commit_all(st->s);
    assert_int_equal(store_digest(st->s), digests[steps]);
}

static int commands(void *user)
{
    bool commit_each = user != NULL;
    struct stage st;
    int rc = stage_open(&st);
    if (!digests_known)
        digests[0] = store_digest(st.s);
    for (int i = 0; !rc && i < STEPS; i++) {
        int64_t memory = store_memory(st.s), keys = store_keys(st.s), leases = store_leases(st.s);
        tn_seq seq = store_seq_planned(st.s);
        enum etcd_error e = step(&st, i);
        assert_true(e == ETCD_OK || e == ETCD_OUT_OF_MEMORY);
        if (e) {
            rc = TENURE_ENOMEM;
            assert_int_equal(store_memory(st.s), memory);
            assert_int_equal(store_keys(st.s), keys);
            assert_int_equal(store_leases(st.s), leases);
            assert_int_equal(store_seq_planned(st.s), seq);
            expect_after(&st, i);
        } else if (commit_each || !digests_known) {
            commit_all(st.s);
            if (!digests_known)
                digests[i + 1] = store_digest(st.s);
            assert_int_equal(store_digest(st.s), digests[i + 1]);
        }
    }
    if (!rc)
        expect_after(&st, STEPS);
    stage_close(&st);
    return rc;
}

static void a_command_without_memory_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(commands(NULL), 0);
    digests_known = true;
    assert_true(failmalloc_sweep(commands, NULL) > 50);
    assert_true(failmalloc_sweep(commands, "commit each") > 50);
}

/* After a failure the same command can be given again, and all goes on. */
static void a_command_that_failed_can_be_given_again(void **state)
{
    (void)state;
    digests_known = false;
    assert_int_equal(commands(NULL), 0);
    digests_known = true;
    for (size_t at = 1; at < 200; at++) {
        struct stage st;
        assert_int_equal(stage_open(&st), 0);
        failmalloc_at(at);
        for (int i = 0; i < STEPS; i++) {
            enum etcd_error e = step(&st, i);
            if (e)
                assert_int_equal(step(&st, i), ETCD_OK);
        }
        failmalloc_off();
        expect_after(&st, STEPS);
        stage_close(&st);
    }
}

/* ---- watches ---- */

enum { WATCHERS = 6 };

struct seen {
    tn_rev last;
    size_t events;
};

static void take(const struct store_watch_batch *b)
{
    struct seen *seen = b->user;
    for (size_t i = 0; i < b->n_events; i++) {
        assert_true(b->events[i].kv.mod_revision >= seen->last);
        seen->last = b->events[i].kv.mod_revision;
        seen->events++;
    }
}

static void drain_all(struct store *s, size_t events_max)
{
    struct store_watch_batch b;
    for (int rounds = 0; rounds < 100 && store_watch_pending(s); rounds++) {
        while (store_watch_next(s, events_max, &b))
            take(&b);
    }
}

static void watchers_get_every_event_whatever_fails(void **state)
{
    (void)state;
    static const char *const ends[] = {NULL, "z", "z"};
    for (size_t at = 1; at < 40; at++) {
        struct stage st;
        struct seen seen[WATCHERS] = {0};
        struct store_watcher *w;
        assert_int_equal(stage_open(&st), 0);
        for (int i = 0; i < WATCHERS; i++) {
            struct watch_create_req req = {.range = range_of("k", ends[i % 3]), .start_revision = i < 3 ? 0 : 1};
            assert_int_equal(store_watch_add(st.s, &req, &seen[i], &w), ETCD_OK);
        }
        for (int i = 0; i < 300; i++)
            assert_int_equal(s_put(&st, "k", "v", 0), ETCD_OK);
        commit_all(st.s);
        failmalloc_at(at);
        drain_all(st.s, 100);
        failmalloc_from(1);
        drain_all(st.s, 1000);
        failmalloc_off();
        drain_all(st.s, 1000);
        for (int i = 0; i < WATCHERS; i++)
            assert_int_equal(seen[i].events, 300);
        stage_close(&st);
    }
}

static int add_watchers(void *user)
{
    struct stage st;
    struct store_watcher *w;
    int rc = stage_open(&st);
    for (int i = 0; !rc && i < 4; i++) {
        struct watch_create_req req = {.range = range_of("k", i % 2 ? "z" : NULL)};
        if (store_watch_add(st.s, &req, user, &w) == ETCD_OUT_OF_MEMORY)
            rc = TENURE_ENOMEM;
        assert_int_equal(store_watchers(st.s), i + !rc);
    }
    stage_close(&st);
    return rc;
}

static void a_watcher_without_memory_is_not_added(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(add_watchers, NULL) > 5);
}

/* ---- replay ---- */

static struct world log_world;

static int replay(void *user)
{
    (void)user;
    struct rng rng;
    struct store *s = NULL;
    rng_init(&rng, 1);
    int rc = store_new(&config, &rng, &s);
    for (size_t i = 0; !rc && i < log_world.log_len; i++)
        rc = store_replay(s, &log_world.log[i].record, NULL);
    if (!rc)
        rc = store_ready(s, 0, NULL);
    if (!rc)
        assert_int_equal(store_digest(s), store_digest(log_world.s));
    store_free(s);
    return rc;
}

static void a_replay_without_memory_says_so(void **state)
{
    (void)state;
    struct world *w = &log_world;
    world_open(w, &config);
    grant(w, 7, 10);
    put_lease(w, "a", "1", 7);
    put(w, "b", "1");
    put(w, "b", "2");
    revoke(w, 7);
    compact(w, 3);
    world_commit(w);
    assert_true(failmalloc_sweep(replay, NULL) > 10);
    world_close(w);
}

static int expire(void *user)
{
    (void)user;
    struct stage st;
    tn_lease ids[4];
    int rc = stage_open(&st);
    if (!rc && (s_grant(&st, 7) || s_put(&st, "a", "x", 7) || s_put(&st, "b", "x", 7)))
        rc = TENURE_ENOMEM;
    if (!rc && store_lease_expire(st.s, 60000, 4, ids) == 0) {
        rc = TENURE_ENOMEM;
        assert_int_equal(store_leases(st.s), 1);
        assert_int_equal(store_keys(st.s), 2);
        assert_int_equal(store_lease_deadline(st.s), 10000);
        commit_all(st.s);
        failmalloc_off();
        assert_int_equal(store_lease_expire(st.s, 60000, 4, ids), 1);
        assert_int_equal(store_keys(st.s), 0);
    }
    stage_close(&st);
    return rc;
}

/* By hand, for it goes on after the failure: with a few allocations at most it has been through all of them. */
static void a_lease_that_cannot_be_revoked_now_is_later(void **state)
{
    (void)state;
    for (size_t at = 1; at < 60; at++) {
        failmalloc_at(at);
        expire(NULL);
        failmalloc_off();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_without_memory_changes_nothing),
        cmocka_unit_test(a_command_that_failed_can_be_given_again),
        cmocka_unit_test(watchers_get_every_event_whatever_fails),
        cmocka_unit_test(a_watcher_without_memory_is_not_added),
        cmocka_unit_test(a_replay_without_memory_says_so),
        cmocka_unit_test(a_lease_that_cannot_be_revoked_now_is_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
