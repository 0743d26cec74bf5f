/* alarm, fact: what stands, what it refuses, and that the log tells it again, trimmed or not. */
#include "world.h"

#include "store/internal.h"

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

static size_t alarm(struct world *w, int32_t action, uint64_t member_id, int32_t type)
{
    struct alarm_req req = {action, {member_id, type}};
    struct alarm_resp resp;
    assert_int_equal(store_alarm(w->s, &req, &w->a, &resp, &w->seq), ETCD_OK);
    return resp.n_alarms;
}

static size_t standing(struct world *w)
{
    return alarm(w, ALARM_GET, 0, ALARM_NONE);
}

static size_t durable(struct world *w)
{
    struct alarm *alarms;
    size_t n;
    assert_int_equal(store_alarms(w->s, &w->a, &alarms, &n), ETCD_OK);
    return n;
}

static void set_urls(struct world *w, const char *url)
{
    bytes urls[] = {bytes_str(url), bytes_str("second")};
    assert_int_equal(store_set_peer_urls(w->s, urls, 2, &w->a, &w->seq), ETCD_OK);
}

static const char *first_url(struct world *w)
{
    bytes *urls;
    size_t n;
    tn_seq seq;
    assert_int_equal(store_peer_urls(w->s, &w->a, &urls, &n, &seq), ETCD_OK);
    return n ? (const char *)urls[0].data : "";
}

static void the_planned_and_the_durable_alarms_are_told_apart(void **state)
{
    struct world *w = *state;
    alarm(w, ALARM_ACTIVATE, 1, ALARM_NOSPACE);
    assert_true(store_alarmed(w->s, ALARM_NOSPACE));
    assert_int_equal(durable(w), 0);
    world_commit(w);
    assert_int_equal(durable(w), 1);
    alarm(w, ALARM_DEACTIVATE, 1, ALARM_NOSPACE);
    assert_int_equal(standing(w), 0);
    assert_int_equal(durable(w), 1);
    store_rollback(w->s);
    assert_int_equal(standing(w), 1);
    assert_true(store_alarmed(w->s, ALARM_NOSPACE));
}

static void undoing_goes_back_row_by_row(void **state)
{
    struct world *w = *state;
    set_urls(w, "one");
    alarm(w, ALARM_ACTIVATE, 1, ALARM_CORRUPT);
    world_commit(w);
    set_urls(w, "two");
    set_urls(w, "three");
    alarm(w, ALARM_DEACTIVATE, 1, ALARM_CORRUPT);
    alarm(w, ALARM_ACTIVATE, 1, ALARM_CORRUPT);
    alarm(w, ALARM_DEACTIVATE, 1, ALARM_CORRUPT);
    assert_string_equal(first_url(w), "three");
    assert_false(store_alarmed(w->s, ALARM_CORRUPT));
    store_rollback(w->s);
    assert_string_equal(first_url(w), "one");
    assert_true(store_alarmed(w->s, ALARM_CORRUPT));
    assert_int_equal(standing(w), 1);
}

/* A digest of what was, of what the log tells, and of what it tells after each row that compaction drops. */
static void a_restart_finds_what_stood_trimmed_or_not(void **state)
{
    struct world *w = *state;
    put(w, "a", "1");
    set_urls(w, "one");
    set_urls(w, "two");
    alarm(w, ALARM_ACTIVATE, 1, ALARM_NOSPACE);
    alarm(w, ALARM_DEACTIVATE, 1, ALARM_NOSPACE);
    alarm(w, ALARM_ACTIVATE, 2, ALARM_CORRUPT);
    alarm(w, ALARM_DEACTIVATE, 2, ALARM_CORRUPT);
    put(w, "a", "2");
    del(w, "a", NULL);
    compact(w, 4);
    alarm(w, ALARM_ACTIVATE, 7, 7);
    world_commit(w);
    uint64_t digest = store_digest(w->s);
    size_t trimmed = 0;
    do {
        struct store *again;
        struct tenure_error err;
        if (world_replay(w, &again, &err) != 0)
            fail_msg("after %zu rows: %s", trimmed, err.text);
        assert_true(store_digest(again) == digest);
        store_free(again);
    } while (world_trim(w, 1) == 1 && ++trimmed);
    /* Two versions of a, the older addresses, and two alarms with what disarmed them; the tombstone is still an event. */
    assert_int_equal(trimmed, 2 + 1 + 4);
    assert_false(store_trim_pending(w->s));
    world_restart(w);
    assert_string_equal(first_url(w), "two");
    assert_int_equal(standing(w), 1);
}

static void a_damaged_row_is_refused(void **state)
{
    struct world *w = *state;
    struct store *again;
    struct tenure_error err;
    alarm(w, ALARM_ACTIVATE, 1, ALARM_NOSPACE);
    tn_seq raised = w->seq;
    alarm(w, ALARM_DEACTIVATE, 1, ALARM_NOSPACE);
    world_commit(w);
    world_row(w, raised)->lease = 2;
    assert_true(world_replay(w, &again, &err) < 0);
    world_row(w, raised)->lease = 1;
    world_row(w, raised + 1)->tombstone = false;
    assert_true(world_replay(w, &again, &err) < 0);
    world_row(w, raised + 1)->tombstone = true;
    world_row(w, raised)->version = INT64_MAX;
    assert_true(world_replay(w, &again, &err) < 0);
    world_row(w, raised)->version = ALARM_NOSPACE;
    world_row(w, raised)->main = 9;
    assert_true(world_replay(w, &again, &err) < 0);
}

static void there_is_a_bound_to_alarms(void **state)
{
    struct world *w = *state;
    struct alarm_req req = {ALARM_ACTIVATE, {1, 9}};
    struct alarm_resp resp;
    for (uint64_t i = 0; i < FACTS_MAX; i++)
        alarm(w, ALARM_ACTIVATE, i, 9);
    req.alarm.member_id = FACTS_MAX;
    assert_int_equal(store_alarm(w->s, &req, &w->a, &resp, &w->seq), ETCD_TOO_MANY_REQUESTS);
    req.alarm.member_id = 5;
    assert_int_equal(store_alarm(w->s, &req, &w->a, &resp, &w->seq), ETCD_OK);
    world_commit(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_planned_and_the_durable_alarms_are_told_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(undoing_goes_back_row_by_row, setup, teardown),
        cmocka_unit_test_setup_teardown(a_restart_finds_what_stood_trimmed_or_not, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_row_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(there_is_a_bound_to_alarms, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
