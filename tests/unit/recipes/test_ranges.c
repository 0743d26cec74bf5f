/* Several ranges as one state: also over holes, and where one transaction changed keys of several (W16). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_client.h"
#include "recipes/ranges.h"
#include "tenure/error.h"

static struct client *c;
static struct ranges *ranges;
static char log_text[8192];
static int ended;
static bool stop_at_change;
static tn_rev told_before;

static void on_change(void *user, tn_rev revision, const struct ranges_change *changes, size_t n)
{
    (void)user;
    size_t len = strlen(log_text);
    assert_int_equal(revision, ranges_revision(ranges));
    assert_true(revision > told_before);
    told_before = revision;
    for (size_t i = 0; i < n; i++) {
        const struct kv *kv = changes[i].now ? changes[i].now : changes[i].was;
        char sign = !changes[i].was ? '+' : changes[i].now ? '~' : '-';
        len += (size_t)snprintf(log_text + len, sizeof log_text - len, "%zu%c%.*s=%.*s ", changes[i].range, sign,
                                (int)kv->key.len, (const char *)kv->key.data, (int)kv->value.len,
                                (const char *)kv->value.data);
    }
    snprintf(log_text + len, sizeof log_text - len, "; ");
    if (stop_at_change)
        ranges = ranges_stop(ranges, client_now(c));
}

static void on_end(void *user, int code, const struct tenure_error *error)
{
    (void)user, (void)error;
    ended = code;
}

static int begin(void **state)
{
    (void)state;
    fake_begin();
    c = fake_client("A");
    log_text[0] = 0;
    ended = 0;
    told_before = 0;
    stop_at_change = false;
    return 0;
}

static int end(void **state)
{
    (void)state;
    fake_remove_ticker(&ranges);
    fake_set_judge(NULL, NULL);
    ranges = ranges_stop(ranges, fake_now());
    fake_run(10000);
    fake_end();
    return 0;
}

static tn_ms deadline(const void *object)
{
    struct ranges *r = *(struct ranges *const *)object;
    return r ? ranges_deadline(r) : TN_MS_NEVER;
}

static void tick(void *object, tn_ms now)
{
    struct ranges *r = *(struct ranges **)object;
    if (r)
        ranges_tick(r, now);
}

static void start_with(size_t keys_max)
{
    static const struct ranges_callbacks cb = {.on_change = on_change, .on_end = on_end};
    struct key_range two[] = {{bytes_str("g/"), bytes_str("g0")}, {bytes_str("h/"), bytes_str("h0")}};
    struct ranges_options o = {.ranges = two, .n = 2, .keys_max = keys_max};
    assert_int_equal(ranges_start(c, &o, &cb, NULL, fake_now(), &ranges, NULL), 0);
    fake_add_ticker(c, deadline, tick, &ranges);
}

static void start(void)
{
    start_with(0);
}

/* And forgets it. */
static void told(const char *wanted)
{
    assert_string_equal(log_text, wanted);
    log_text[0] = 0;
}

/* Somebody else's transaction: a key in each range, by one revision. */
static void both(const char *in_g, const char *in_h)
{
    struct request_op ops[] = {{.kind = OP_PUT, .put = {.key = bytes_str("g/a"), .value = bytes_str(in_g)}},
                               {.kind = OP_PUT, .put = {.key = bytes_str("h/a"), .value = bytes_str(in_h)}}};
    struct txn_req txn = {.success = ops, .n_success = 2};
    fake_carry_out(&txn);
}

static void all_keys_come_first_and_then_each_change(void **state)
{
    (void)state;
    fake_put("g/a", "1", 0);
    fake_put("h/a", "2", 0);
    fake_put("i/x", "0", 0);
    start();
    fake_run(10);
    told("0+g/a=1 1+h/a=2 ; ");
    fake_put("g/b", "3", 0);
    fake_run(10);
    told("0+g/b=3 ; ");
    fake_put("h/a", "4", 0);
    fake_run(10);
    told("1~h/a=4 ; ");
    fake_delete(bytes_str("g/a"));
    fake_run(10);
    told("0-g/a=1 ; ");
    fake_put("i/y", "0", 0);
    fake_run(10);
    told("");
    assert_true(ranges_is_settled(ranges));
    assert_int_equal(ranges_keys(ranges, 0)->len, 1);
}

static void empty_ranges_are_told_as_well(void **state)
{
    (void)state;
    start();
    fake_run(10);
    told("; ");
}

static void a_transaction_over_both_is_one_state(void **state)
{
    (void)state;
    start();
    fake_run(10);
    told("; ");
    both("1", "1");
    both("2", "2");
    fake_run(10);
    told("0+g/a=1 1+h/a=1 ; 0~g/a=2 1~h/a=2 ; ");
}

static void each_revision_is_a_state_of_its_own_also_in_a_burst(void **state)
{
    (void)state;
    start();
    fake_run(10);
    told("; ");
    fake_put("g/a", "1", 0);
    fake_put("h/b", "2", 0);
    fake_delete(bytes_str("g/a"));
    fake_put("g/a", "3", 0);
    fake_put("g/a", "4", 0);
    fake_run(50);
    told("0+g/a=1 ; 1+h/b=2 ; 0-g/a=1 ; 0+g/a=3 ; 0~g/a=4 ; ");
}

static void of_more_than_can_wait_the_newest_is_told(void **state)
{
    char value[16];
    (void)state;
    start();
    fake_run(10);
    told("; ");
    for (int i = 0; i < 3 * RANGES_WAIT_MAX; i++) {
        snprintf(value, sizeof value, "%d", i);
        fake_put("g/a", value, 0);
    }
    fake_run(1000);
    const char *last = strstr(log_text, "g/a=191 ; ");
    assert_non_null(last);
    assert_string_equal(last, "g/a=191 ; ");
    assert_true(ranges_is_settled(ranges));
    assert_int_equal(ranges_revision(ranges), fake_revision());
}

static void what_was_missed_is_told_as_the_difference_W16(void **state)
{
    (void)state;
    fake_put("g/a", "1", 0);
    fake_put("g/b", "2", 0);
    fake_put("h/c", "3", 0);
    start();
    fake_run(10);
    told("0+g/a=1 0+g/b=2 1+h/c=3 ; ");
    fake_cut(c, true);
    fake_run(100);
    fake_delete(bytes_str("g/a"));
    fake_put("g/b", "22", 0);
    fake_put("h/d", "4", 0);
    fake_compact();
    fake_cut(c, false);
    fake_run(10000);
    told("0-g/a=1 0~g/b=22 1+h/d=4 ; ");
    fake_overflow_watches(c);
    fake_run(1000);
    told("");
    fake_put("h/d", "5", 0);
    fake_run(10);
    told("1~h/d=5 ; ");
    assert_int_equal(ended, 0);
}

static enum fake_fault always_stale(void *user, struct client *client, unsigned n, const char *what)
{
    (void)n, (void)what;
    ++*(unsigned *)user;
    fake_stale_list(client);
    return FAKE_FINE;
}

static void an_endpoint_that_lags_is_asked_again_in_a_while(void **state)
{
    (void)state;
    unsigned lists = 0;
    fake_put("g/a", "1", 0);
    start();
    fake_run(10);
    told("0+g/a=1 ; ");
    fake_set_judge(always_stale, &lists);
    fake_put("g/b", "2", 0);
    fake_run(10000);
    assert_in_range(lists, 5, 15); /* 50 ms, 100 ms … 2 s */
    told("");
    fake_set_judge(NULL, NULL);
    fake_run(3000);
    told("0+g/b=2 ; ");
    assert_int_equal(ended, 0);
}

static void it_can_be_stopped_while_it_rests_and_in_its_callback(void **state)
{
    (void)state;
    unsigned lists = 0;
    fake_put("g/a", "1", 0);
    start();
    fake_run(10);
    told("0+g/a=1 ; ");
    fake_set_judge(always_stale, &lists);
    fake_put("g/a", "2", 0);
    fake_run(100);
    ranges = ranges_stop(ranges, fake_now());
    fake_remove_ticker(&ranges);
    fake_set_judge(NULL, NULL);
    told_before = 0;
    stop_at_change = true;
    start();
    fake_run(10);
    told("0+g/a=2 ; ");
    fake_put("g/a", "3", 0);
    fake_run(10);
    told("");
}

static enum fake_fault deny(void *user, struct client *client, unsigned n, const char *what)
{
    (void)user, (void)client, (void)n, (void)what;
    return FAKE_DENIED;
}

static void who_may_not_read_is_told(void **state)
{
    (void)state;
    fake_set_judge(deny, NULL);
    start();
    fake_run(10);
    assert_int_equal(ended, TENURE_EDENIED);
}

static void more_keys_than_allowed_are_its_end(void **state)
{
    (void)state;
    fake_put("g/a", "1", 0);
    start_with(2);
    fake_run(10);
    told("0+g/a=1 ; ");
    fake_put("h/b", "1", 0);
    fake_put("h/c", "1", 0);
    fake_run(10);
    assert_int_equal(ended, TENURE_ELIMIT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_keys_come_first_and_then_each_change),
        TEST(empty_ranges_are_told_as_well),
        TEST(a_transaction_over_both_is_one_state),
        TEST(each_revision_is_a_state_of_its_own_also_in_a_burst),
        TEST(of_more_than_can_wait_the_newest_is_told),
        TEST(what_was_missed_is_told_as_the_difference_W16),
        TEST(an_endpoint_that_lags_is_asked_again_in_a_while),
        TEST(it_can_be_stopped_while_it_rests_and_in_its_callback),
        TEST(who_may_not_read_is_told),
        TEST(more_keys_than_allowed_are_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
