/* Replicas: a copy, and how old it may be. What is claimed is held against the server's own history. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "failmalloc.h"
#include "fake_client.h"
#include "recipes/replica.h"
#include "tenure/error.h"

enum { NOT_TOLD = 1 };

static struct client *c;
static struct replica *replica;
static unsigned changes, checked;
static int ended;
static bool stop_in_change, stop_in_done;
static char now_text[64]; /* of the key "v" */

static void on_change(void *user, tn_rev revision, const struct view_change *all, size_t n)
{
    (void)user;
    changes += n > 0;
    assert_int_equal(revision, replica_revision(replica));
    for (size_t i = 0; i < n; i++)
        if (!all[i].now || all[i].now->value.len < sizeof now_text)
            snprintf(now_text, sizeof now_text, "%.*s", all[i].now ? (int)all[i].now->value.len : 1,
                     all[i].now ? (const char *)all[i].now->value.data : "-");
    if (stop_in_change)
        replica = replica_stop(replica, client_now(c));
}

static void on_checked(void *user)
{
    (void)user;
    checked++;
}

static void on_end(void *user, int code, const struct tenure_error *error)
{
    (void)user;
    assert_int_equal(error->code, code);
    ended = code;
}

static tn_ms deadline(const void *object)
{
    struct replica *r = *(struct replica *const *)object;
    return r ? replica_deadline(r) : TN_MS_NEVER;
}

static void tick(void *object, tn_ms now)
{
    struct replica *r = *(struct replica **)object;
    if (r)
        replica_tick(r, now);
}

static int setup(void)
{
    fake_begin();
    c = fake_client("A");
    changes = checked = 0;
    ended = 0;
    stop_in_change = stop_in_done = false;
    now_text[0] = 0;
    replica = NULL;
    return 0;
}

static int begin(void **state)
{
    (void)state;
    return setup();
}

static int end(void **state)
{
    (void)state;
    fake_remove_ticker(&replica);
    replica = replica_stop(replica, fake_now());
    fake_set_judge(NULL, NULL);
    fake_run(10000);
    fake_end();
    return 0;
}

static int start(struct replica_options o)
{
    static const struct replica_callbacks cb = {.on_change = on_change, .on_checked = on_checked, .on_end = on_end};
    int rc = replica_start(c, &o, &cb, NULL, fake_now(), &replica, NULL);
    if (rc == 0)
        fake_add_ticker(c, deadline, tick, &replica);
    return rc;
}

static void start_value(int64_t check_ms)
{
    assert_int_equal(start((struct replica_options){.range.key = bytes_str("v"), .check_ms = check_ms}), 0);
}

static void start_prefix(void)
{
    assert_int_equal(start((struct replica_options){.range = {bytes_str("g/"), bytes_str("g0")}}), 0);
}

/* ---- those who wait ---- */

struct waiter {
    struct replica_wait wait;
    int code;
};

static void on_done(void *user, int code, const struct tenure_error *error)
{
    struct waiter *w = user;
    assert_int_equal(w->code, NOT_TOLD);
    assert_int_equal(code, error ? error->code : 0);
    w->code = code;
    if (stop_in_done)
        replica = replica_stop(replica, client_now(c));
}

static void wait_for(struct waiter *w, struct replica_need need, int64_t ms)
{
    w->code = NOT_TOLD;
    assert_int_equal(replica_wait(replica, &w->wait, &need, fake_now() + ms, on_done, w, fake_now(), NULL), 0);
    assert_int_equal(w->code, NOT_TOLD);
}

static const struct kv *value(void)
{
    return replica_find(replica, bytes_str("v"));
}

static void the_first_state_is_there_and_as_old_as_its_question(void **state)
{
    (void)state;
    struct waiter w;
    fake_put("v", "1", 0);
    start_value(0);
    assert_false(replica_meets(replica, &(struct replica_need){0}));
    tn_ms asked = fake_now();
    wait_for(&w, (struct replica_need){0}, 1000);
    fake_run(50);
    assert_int_equal(w.code, 0);
    assert_string_equal(now_text, "1");
    assert_in_range(replica_current_at(replica), asked, asked + 1);
    assert_true(replica_meets(replica, &(struct replica_need){.since = asked}));
    assert_false(replica_meets(replica, &(struct replica_need){.since = fake_now()}));
    assert_false(replica_meets(replica, &(struct replica_need){.asked = true}));
    assert_int_equal(replica_count(replica), 1);
    assert_true(bytes_equal(replica_at(replica, 0)->value, bytes_str("1")));
}

static void an_event_changes_the_copy_and_proves_nothing(void **state)
{
    (void)state;
    start_value(0);
    fake_run(10);
    tn_ms before = replica_current_at(replica);
    fake_put("v", "2", 0);
    fake_run(1000);
    assert_string_equal(now_text, "2");
    assert_int_equal(replica_current_at(replica), before);
}

static void a_bound_asks_once_for_all_who_wait(void **state)
{
    (void)state;
    struct waiter w[3];
    start_value(0);
    fake_run(1000);
    unsigned before = fake_requests();
    tn_ms now = fake_now();
    for (int i = 0; i < 3; i++)
        wait_for(&w[i], (struct replica_need){.since = now - 100}, 1000);
    fake_run(50);
    for (int i = 0; i < 3; i++)
        assert_int_equal(w[i].code, 0);
    assert_int_equal(fake_requests() - before, 1);
    assert_int_equal(checked, 1);
    assert_in_range(replica_current_at(replica), now, now + 1);
}

static void a_check_brings_what_the_watch_is_slow_with_and_it_is_told_once(void **state)
{
    (void)state;
    struct waiter w;
    fake_put("v", "1", 0);
    start_value(0);
    fake_run(10);
    fake_slow_watches(c, 500);
    fake_put("v", "2", 0);
    tn_rev second = fake_revision();
    wait_for(&w, (struct replica_need){.asked = true}, 1000);
    fake_run(50);
    assert_int_equal(w.code, 0);
    assert_string_equal(now_text, "2");
    assert_int_equal(value()->mod_revision, second);
    assert_int_equal(changes, 2);
    fake_run(1000);
    assert_int_equal(changes, 2);
    fake_delete(bytes_str("v"));
    wait_for(&w, (struct replica_need){.asked = true}, 1000);
    fake_run(50);
    assert_string_equal(now_text, "-");
    assert_null(value());
    fake_run(1000);
    assert_int_equal(changes, 3);
}

static void who_asks_for_the_newest_is_not_served_by_an_older_question(void **state)
{
    (void)state;
    struct waiter first, second;
    start_value(0);
    fake_run(10);
    fake_slow_watches(c, 5000);
    fake_slow_replies(c, 100);
    wait_for(&first, (struct replica_need){.asked = true}, 1000);
    fake_run(50); /* it was answered, and the answer is on its way */
    fake_put("v", "2", 0);
    wait_for(&second, (struct replica_need){.asked = true}, 1000);
    fake_run(60);
    assert_int_equal(first.code, 0);
    assert_int_equal(second.code, NOT_TOLD);
    assert_string_equal(now_text, "");
    assert_true(replica_current_at(replica) < fake_now() - 100);
    fake_run(150);
    assert_int_equal(second.code, 0);
    assert_string_equal(now_text, "2");
}

static void a_revision_is_waited_for_and_one_of_the_future_is_said_to_be(void **state)
{
    (void)state;
    struct waiter w;
    start_value(0);
    fake_run(10);
    fake_put("other", "1", 0);
    tn_rev there = fake_revision();
    assert_true(replica_revision(replica) < there);
    wait_for(&w, (struct replica_need){.revision = there}, 1000);
    fake_run(50);
    assert_int_equal(w.code, 0);
    assert_true(replica_meets(replica, &(struct replica_need){.revision = there}));
    wait_for(&w, (struct replica_need){.revision = there + 1}, 1000);
    fake_run(50);
    assert_int_equal(w.code, TENURE_EFUTURE);
    assert_int_equal(ended, 0);
}

static void who_waits_in_vain_is_told_at_his_deadline(void **state)
{
    (void)state;
    struct waiter w, other;
    start_value(0);
    fake_run(10);
    fake_cut(c, true);
    wait_for(&w, (struct replica_need){.asked = true}, 300);
    wait_for(&other, (struct replica_need){.asked = true}, 60000);
    fake_run(299);
    assert_int_equal(w.code, NOT_TOLD);
    fake_run(2);
    assert_int_equal(w.code, TENURE_ETIMEOUT);
    fake_run(10000);
    fake_cut(c, false);
    fake_run(6000);
    assert_int_equal(other.code, 0);
}

static void who_gives_up_is_told_once(void **state)
{
    (void)state;
    struct waiter w, other;
    start_value(0);
    fake_run(10);
    fake_slow_replies(c, 100);
    wait_for(&w, (struct replica_need){.asked = true}, 1000);
    wait_for(&other, (struct replica_need){.asked = true}, 1000);
    replica_cancel(&w.wait);
    replica_cancel(&w.wait);
    assert_int_equal(w.code, NOT_TOLD);
    fake_run(1);
    assert_int_equal(w.code, TENURE_ECANCELLED);
    fake_run(300); /* it came behind the check that is under way */
    assert_int_equal(other.code, 0);
    wait_for(&w, (struct replica_need){.asked = true}, 1000);
    replica_cancel_all(replica, TENURE_ECLOSED);
    fake_run(1);
    assert_int_equal(w.code, TENURE_ECLOSED);
}

static void it_asks_by_itself_as_often_as_it_shall(void **state)
{
    (void)state;
    start_value(1000);
    fake_run(100);
    unsigned before = fake_requests();
    fake_run(10000);
    assert_in_range(fake_requests() - before, 9, 10);
    assert_true(fake_now() - replica_current_at(replica) <= 1005);
}

static void over_a_cut_and_a_compaction_it_comes_back(void **state)
{
    (void)state;
    struct waiter w;
    fake_put("v", "1", 0);
    start_value(0);
    fake_run(10);
    fake_cut(c, true);
    fake_run(100);
    fake_put("v", "2", 0);
    fake_put("v", "3", 0);
    fake_compact();
    wait_for(&w, (struct replica_need){.since = fake_now() - 20}, 30000);
    fake_run(5000);
    assert_int_equal(w.code, NOT_TOLD);
    fake_cut(c, false);
    fake_run(10000);
    assert_int_equal(w.code, 0);
    assert_string_equal(now_text, "3");
    assert_int_equal(changes, 2);
}

static void servers_from_the_past_prove_nothing(void **state)
{
    (void)state;
    struct waiter w;
    fake_put("v", "1", 0);
    fake_put("v", "2", 0);
    start_value(0);
    fake_run(10);
    tn_rev before = replica_revision(replica);
    fake_stale_list(c);
    wait_for(&w, (struct replica_need){.asked = true}, 1000);
    fake_run(5);
    assert_int_equal(w.code, NOT_TOLD);
    assert_int_equal(replica_revision(replica), before);
    assert_string_equal(now_text, "2");
    fake_run(500);
    assert_int_equal(w.code, 0);
}

static void its_own_write_is_in_it(void **state)
{
    (void)state;
    fake_put("v", "1", 0);
    start_value(0);
    replica_wrote(replica, 99, &(struct kv){.key = bytes_str("v")}, fake_now()); /* nothing was listed yet: no effect */
    fake_run(10);
    fake_slow_watches(c, 500);
    tn_ms began = fake_now();
    tn_rev revision = fake_put("v", "2", 0);
    struct kv kv = {.key = bytes_str("v"), .value = bytes_str("2"), .mod_revision = revision, .version = 2};
    replica_wrote(replica, revision, &kv, began);
    assert_string_equal(now_text, "2");
    assert_int_equal(replica_revision(replica), revision);
    assert_int_equal(replica_current_at(replica), began);
    kv.value = bytes_str("old");
    replica_wrote(replica, revision - 1, &kv, began);
    assert_string_equal(now_text, "2");
    fake_delete(bytes_str("v"));
    replica_wrote(replica, fake_revision(), &(struct kv){.key = bytes_str("v")}, fake_now());
    assert_string_equal(now_text, "-");
    fake_run(1000);
    assert_int_equal(changes, 3);
}

static void a_prefix_waits_for_the_delete_that_it_has_not_heard_of(void **state)
{
    (void)state;
    struct waiter w;
    fake_put("g/a", "1", 0);
    fake_put("g/b", "2", 0);
    start_prefix();
    fake_run(10);
    fake_slow_watches(c, 300);
    fake_put("g/b", "3", 0);
    fake_put("g/c", "4", 0);
    wait_for(&w, (struct replica_need){.asked = true}, 2000);
    fake_run(20);
    assert_int_equal(w.code, 0);
    assert_int_equal(replica_count(replica), 3);
    assert_true(bytes_equal(replica_find(replica, bytes_str("g/b"))->value, bytes_str("3")));
    tn_ms before = replica_current_at(replica);
    fake_delete(bytes_str("g/a"));
    fake_put("g/d", "5", 0); /* as many as before */
    wait_for(&w, (struct replica_need){.asked = true}, 2000);
    fake_run(100);
    assert_int_equal(w.code, NOT_TOLD);
    assert_int_equal(replica_current_at(replica), before);
    fake_run(1500);
    assert_int_equal(w.code, 0);
    assert_int_equal(replica_count(replica), 3);
    assert_null(replica_find(replica, bytes_str("g/a")));
}

static enum fake_fault deny(void *user, struct client *client, unsigned n, const char *what)
{
    (void)user, (void)client, (void)n, (void)what;
    return FAKE_DENIED;
}

/* A key comes and an older one goes. */
static void churn(int from, int to)
{
    char comes[16], goes[16];
    for (int i = from; i < to; i++) {
        snprintf(comes, sizeof comes, "g/%d", i);
        snprintf(goes, sizeof goes, "g/%d", i - 10);
        fake_put(comes, "2", 0);
        fake_delete(bytes_str(goes));
        fake_run(10);
    }
}

/* Each question finds that something has gone that the watch has not told of yet. */
static void deletes_without_end_do_not_keep_it_from_being_current(void **state)
{
    (void)state;
    struct waiter asks, bound;
    start_prefix();
    fake_run(10);
    fake_slow_watches(c, 300);
    churn(0, 50);
    tn_ms asked = fake_now();
    tn_rev least = fake_revision();
    wait_for(&asks, (struct replica_need){.asked = true}, 5000);
    wait_for(&bound, (struct replica_need){.since = asked}, 5000);
    churn(50, 150);
    assert_int_equal(asks.code, 0);
    assert_int_equal(bound.code, 0);
    assert_true(replica_revision(replica) >= least);
    assert_in_range(replica_current_at(replica), asked, fake_now() - 300); /* of what has not come nothing is claimed */
}

static void who_may_not_read_is_told(void **state)
{
    (void)state;
    struct waiter w;
    start_value(0);
    fake_run(10);
    fake_set_judge(deny, NULL);
    wait_for(&w, (struct replica_need){.asked = true}, 1000);
    fake_run(50);
    assert_int_equal(w.code, TENURE_EDENIED);
    assert_int_equal(ended, 0);
    fake_overflow_watches(c); /* and its list is denied, too */
    fake_run(50);
    assert_int_equal(ended, TENURE_EDENIED);
    wait_for(&w, (struct replica_need){0}, 1000);
    fake_run(1);
    assert_int_equal(w.code, TENURE_EDENIED);
}

static void it_can_be_stopped_in_its_callbacks(void **state)
{
    (void)state;
    struct waiter w, other;
    start_value(0);
    wait_for(&w, (struct replica_need){.asked = true}, 1000);
    wait_for(&other, (struct replica_need){.asked = true}, 1000);
    stop_in_done = true;
    fake_run(50);
    assert_null(replica);
    assert_int_equal(w.code, 0);
    assert_int_equal(other.code, NOT_TOLD);
    fake_remove_ticker(&replica);
    stop_in_done = false;
    stop_in_change = true;
    fake_put("v", "1", 0);
    start_value(0);
    wait_for(&w, (struct replica_need){0}, 1000);
    fake_run(50);
    assert_null(replica);
    assert_int_equal(w.code, NOT_TOLD);
    fake_remove_ticker(&replica);
    stop_in_change = false;
    fake_slow_watches(c, 500);
    start_value(0);
    fake_run(10);
    stop_in_change = true; /* now by a check */
    fake_put("v", "2", 0);
    wait_for(&w, (struct replica_need){.asked = true}, 1000);
    fake_run(50);
    assert_null(replica);
    assert_int_equal(w.code, NOT_TOLD);
}

static void counting_from_the_receipt_claims_too_much(void **state)
{
    (void)state;
    struct waiter w;
    assert_int_equal(start((struct replica_options){.range.key = bytes_str("v"), .broken_from_receipt = true}), 0);
    fake_run(10);
    fake_slow_watches(c, 5000);
    fake_slow_replies(c, 100);
    wait_for(&w, (struct replica_need){.asked = true}, 1000);
    fake_run(50);
    fake_put("v", "2", 0);
    tn_ms written = fake_now();
    fake_run(60);
    assert_int_equal(w.code, 0);
    assert_true(replica_current_at(replica) > written);
    assert_null(value());
}

/* ---- without memory ---- */

static int a_value_is_followed(void *user)
{
    (void)user;
    struct waiter w = {.code = NOT_TOLD};
    setup();
    fake_put("v", "1", 0);
    int rc = start((struct replica_options){.range.key = bytes_str("v")});
    fake_run(100);
    fake_put("v", "2", 0);
    fake_run(100);
    if (rc == 0)
        rc = replica_wait(replica, &w.wait, &(struct replica_need){.asked = true}, fake_now() + 3000, on_done, &w,
                          fake_now(), NULL);
    if (rc == 0) {
        fake_run(4000);
        assert_int_not_equal(w.code, NOT_TOLD);
        rc = w.code == TENURE_ETIMEOUT ? TENURE_ENOMEM : w.code;
        if (rc == 0)
            assert_string_equal(now_text, "2");
    }
    end(NULL);
    return rc;
}

static void it_survives_the_failure_of_any_allocation(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(a_value_is_followed, NULL) > 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_state_is_there_and_as_old_as_its_question),
        TEST(an_event_changes_the_copy_and_proves_nothing),
        TEST(a_bound_asks_once_for_all_who_wait),
        TEST(a_check_brings_what_the_watch_is_slow_with_and_it_is_told_once),
        TEST(who_asks_for_the_newest_is_not_served_by_an_older_question),
        TEST(a_revision_is_waited_for_and_one_of_the_future_is_said_to_be),
        TEST(who_waits_in_vain_is_told_at_his_deadline),
        TEST(who_gives_up_is_told_once),
        TEST(it_asks_by_itself_as_often_as_it_shall),
        TEST(over_a_cut_and_a_compaction_it_comes_back),
        TEST(servers_from_the_past_prove_nothing),
        TEST(its_own_write_is_in_it),
        TEST(a_prefix_waits_for_the_delete_that_it_has_not_heard_of),
        TEST(deletes_without_end_do_not_keep_it_from_being_current),
        TEST(who_may_not_read_is_told),
        TEST(it_can_be_stopped_in_its_callbacks),
        TEST(counting_from_the_receipt_claims_too_much),
        cmocka_unit_test(it_survives_the_failure_of_any_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
