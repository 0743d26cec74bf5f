/* Views: an exact copy and each change of it, also over holes (W16). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_client.h"
#include "recipes/view.h"
#include "tenure/error.h"

static struct client *c;
static struct view *view;
static char log_text[4096];
static int ended;
static bool stop_at_change;

static void on_change(void *user, tn_rev revision, const struct view_change *changes, size_t n)
{
    (void)user;
    size_t len = strlen(log_text);
    assert_int_equal(revision, view_revision(view));
    for (size_t i = 0; i < n; i++) {
        const struct kv *kv = changes[i].now ? changes[i].now : changes[i].was;
        char sign = !changes[i].was ? '+' : changes[i].now ? '~' : '-';
        len += (size_t)snprintf(log_text + len, sizeof log_text - len, "%c%.*s=%.*s ", sign, (int)kv->key.len,
                                (const char *)kv->key.data, (int)kv->value.len, (const char *)kv->value.data);
    }
    snprintf(log_text + len, sizeof log_text - len, "; ");
    if (stop_at_change)
        view = view_stop(view, client_now(c));
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
    stop_at_change = false;
    return 0;
}

static int end(void **state)
{
    (void)state;
    fake_remove_ticker(&view);
    view = view_stop(view, fake_now());
    fake_run(10000);
    fake_end();
    return 0;
}

static tn_ms deadline(const void *object)
{
    struct view *v = *(struct view *const *)object;
    return v ? view_deadline(v) : TN_MS_NEVER;
}

static void tick(void *object, tn_ms now)
{
    struct view *v = *(struct view **)object;
    if (v)
        view_tick(v, now);
}

static void start(void)
{
    static const struct view_callbacks cb = {.on_change = on_change, .on_end = on_end};
    struct key_range range = {bytes_str("g/"), bytes_str("g0")};
    assert_int_equal(view_start(c, range, &cb, NULL, fake_now(), &view, NULL), 0);
    fake_add_ticker(c, deadline, tick, &view);
}

/* And forgets it. */
static void told(const char *wanted)
{
    assert_string_equal(log_text, wanted);
    log_text[0] = 0;
}

static void all_keys_come_first_and_then_each_change(void **state)
{
    (void)state;
    struct kv kv;
    fake_put("g/a", "1", 0);
    fake_put("g/b", "2", 0);
    fake_put("h/x", "0", 0);
    start();
    fake_run(10);
    told("+g/a=1 +g/b=2 ; ");
    fake_put("g/c", "3", 0);
    fake_put("g/a", "4", 0);
    fake_delete(bytes_str("g/b"));
    fake_put("h/y", "0", 0);
    fake_run(10);
    told("+g/c=3 ; ~g/a=4 ; -g/b=2 ; ");
    assert_int_equal(view_count(view), 2);
    assert_true(bytes_equal(view_at(view, 1)->key, bytes_str("g/c")));
    assert_true(bytes_equal(view_find(view, bytes_str("g/a"))->value, bytes_str("4")));
    assert_null(view_find(view, bytes_str("g/b")));
    assert_true(fake_get(bytes_str("g/a"), &kv));
}

static void an_empty_range_is_told_as_well(void **state)
{
    (void)state;
    start();
    fake_run(10);
    told("; ");
}

static void what_was_missed_is_told_as_the_difference_W16(void **state)
{
    (void)state;
    fake_put("g/a", "1", 0);
    fake_put("g/b", "2", 0);
    fake_put("g/c", "3", 0);
    start();
    fake_run(10);
    told("+g/a=1 +g/b=2 +g/c=3 ; ");
    fake_cut(c, true);
    fake_run(100);
    fake_delete(bytes_str("g/a"));
    fake_put("g/b", "22", 0);
    fake_put("g/d", "4", 0);
    fake_put("g/0", "0", 0);
    fake_compact();
    fake_cut(c, false);
    fake_run(10000);
    told("+g/0=0 -g/a=1 ~g/b=22 +g/d=4 ; ");
    fake_overflow_watches(c);
    fake_run(1000);
    told("");
    fake_put("g/d", "5", 0);
    fake_run(10);
    told("~g/d=5 ; ");
    assert_int_equal(ended, 0);
}

static void a_list_from_the_past_is_asked_for_again(void **state)
{
    (void)state;
    fake_put("g/a", "1", 0);
    start();
    fake_run(10);
    told("+g/a=1 ; ");
    fake_stale_list(c);
    fake_overflow_watches(c);
    fake_run(1000);
    told("");
    assert_int_equal(view_count(view), 1);
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
    told("+g/a=1 ; ");
    fake_set_judge(always_stale, &lists);
    fake_overflow_watches(c);
    fake_put("g/b", "2", 0);
    fake_run(10000);
    assert_in_range(lists, 5, 15); /* 50 ms, 100 ms … 2 s */
    told("");
    fake_set_judge(NULL, NULL);
    fake_run(3000);
    told("+g/b=2 ; ");
    assert_int_equal(ended, 0);
}

static void what_comes_where_something_goes_is_not_too_much(void **state)
{
    (void)state;
    struct request_op ops[2] = {
        {.kind = OP_PUT, .put = {.key = bytes_str("g/c"), .value = bytes_str("3")}},
        {.kind = OP_DELETE, .del = {.range.key = bytes_str("g/a")}},
    };
    struct txn_req txn = {.success = ops, .n_success = 2};
    fake_put("g/a", "1", 0);
    fake_put("g/b", "2", 0);
    start();
    view_limit(view, 2, 0);
    fake_run(10);
    told("+g/a=1 +g/b=2 ; ");
    fake_carry_out(&txn);
    fake_run(10);
    told("+g/c=3 -g/a=1 ; ");
    fake_cut(c, true);
    fake_run(100);
    fake_delete(bytes_str("g/c"));
    fake_put("g/0", "0", 0);
    fake_compact();
    fake_cut(c, false);
    fake_run(10000);
    told("+g/0=0 -g/c=3 ; ");
    assert_int_equal(ended, 0);
    fake_put("g/d", "4", 0);
    fake_run(10);
    assert_int_equal(ended, TENURE_ELIMIT);
    told("");
}

static void a_value_that_replaces_another_does_not_count_beside_it(void **state)
{
    (void)state;
    char value[1001];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = 0;
    fake_put("g/a", value, 0);
    start();
    view_limit(view, 0, 1500);
    fake_run(10);
    value[0] = 'w';
    fake_put("g/a", value, 0);
    fake_run(10);
    assert_int_equal(ended, 0);
    assert_int_equal(view_find(view, bytes_str("g/a"))->value.data[0], 'w');
    fake_put("g/b", value, 0);
    fake_run(10);
    assert_int_equal(ended, TENURE_ELIMIT);
}

static void a_view_that_rests_can_be_stopped(void **state)
{
    (void)state;
    unsigned lists = 0;
    fake_put("g/a", "1", 0);
    start();
    fake_run(10);
    fake_set_judge(always_stale, &lists);
    fake_overflow_watches(c);
    fake_run(100);
    view = view_stop(view, fake_now());
    unsigned before = lists;
    fake_run(10000);
    assert_int_equal(lists, before);
    fake_set_judge(NULL, NULL);
}

static void it_can_be_stopped_in_its_callback(void **state)
{
    (void)state;
    fake_put("g/a", "1", 0);
    stop_at_change = true;
    start();
    fake_run(10);
    told("+g/a=1 ; ");
    fake_put("g/a", "2", 0);
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
    fake_set_judge(NULL, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_keys_come_first_and_then_each_change),
        TEST(an_empty_range_is_told_as_well),
        TEST(what_was_missed_is_told_as_the_difference_W16),
        TEST(a_list_from_the_past_is_asked_for_again),
        TEST(an_endpoint_that_lags_is_asked_again_in_a_while),
        TEST(what_comes_where_something_goes_is_not_too_much),
        TEST(a_value_that_replaces_another_does_not_count_beside_it),
        TEST(a_view_that_rests_can_be_stopped),
        TEST(it_can_be_stopped_in_its_callback),
        TEST(who_may_not_read_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
