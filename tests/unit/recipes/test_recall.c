/* What is kept of answers, and for whom: one read for all who want a key, none for whom it is too old. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "failmalloc.h"
#include "fake_client.h"
#include "recipes/recall.h"
#include "tenure/error.h"

enum { NOT_TOLD = 1, TTL_MS = 1000 };

static struct client *c;
static struct recall *recall;
static int guards; /* how deep */
static unsigned guarded;

static tn_ms deadline(const void *object)
{
    struct recall *r = *(struct recall *const *)object;
    return r ? recall_deadline(r) : TN_MS_NEVER;
}

static void tick(void *object, tn_ms now)
{
    struct recall *r = *(struct recall **)object;
    if (r)
        recall_tick(r, now);
}

static void guard(void *user, bool changes)
{
    (void)user;
    guards += changes ? 1 : -1;
    guarded += changes;
    assert_in_range(guards, 0, 1);
}

static void start(size_t keys_max, size_t bytes_max)
{
    struct recall_options o = {.ttl_ms = TTL_MS, .keys_max = keys_max, .bytes_max = bytes_max, .guard = guard};
    assert_int_equal(recall_start(c, &o, &recall, NULL), 0);
    fake_add_ticker(c, deadline, tick, &recall);
}

static int setup(void **state)
{
    (void)state;
    fake_begin();
    c = fake_client("A");
    guarded = 0;
    guards = 0;
    recall = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_remove_ticker(&recall);
    recall = recall_stop(recall, fake_now());
    fake_set_judge(NULL, NULL);
    fake_run(10000);
    fake_end();
    assert_int_equal(guards, 0);
    return 0;
}

struct waiter {
    struct recall_wait wait;
    int code;
    char value[16];
    tn_rev revision;
    bool stops;
};

static void on_done(void *user, int code, const struct recall_answer *a, const struct tenure_error *error)
{
    struct waiter *w = user;
    assert_int_equal(w->code, NOT_TOLD);
    assert_int_equal(code, error ? error->code : 0);
    assert_int_equal(code == 0, a != NULL);
    w->code = code;
    if (a) {
        snprintf(w->value, sizeof w->value, "%.10s",
                 a->entry->kv.version ? (const char *)a->entry->kv.value.data : "-");
        w->revision = a->revision;
    }
    if (w->stops)
        recall = recall_stop(recall, client_now(c));
}

static void want(struct waiter *w, const char *key, struct recall_need need, int64_t ms)
{
    w->code = NOT_TOLD;
    w->value[0] = 0;
    assert_int_equal(recall_get(recall, &w->wait, bytes_str(key), &need, fake_now() + ms, on_done, w, fake_now(), NULL),
                     0);
    assert_int_equal(w->code, NOT_TOLD);
}

static void gets(const char *key, struct recall_need need, const char *value)
{
    struct waiter w = {.code = 0};
    want(&w, key, need, 1000);
    fake_run(50);
    assert_int_equal(w.code, 0);
    assert_string_equal(w.value, value);
}

#define WHATEVER ((struct recall_need){0})
#define NEWEST   ((struct recall_need){.asked = true})

static void what_was_read_is_kept_for_its_time(void **state)
{
    (void)state;
    fake_put("k", "1", 0);
    start(10, 100000);
    assert_int_equal(recall_deadline(recall), TN_MS_NEVER);
    gets("k", WHATEVER, "1");
    gets("none", WHATEVER, "-");
    fake_put("k", "2", 0);
    unsigned before = fake_requests();
    gets("k", WHATEVER, "1");
    gets("none", WHATEVER, "-"); /* that it is not there is kept as well */
    assert_int_equal(fake_requests(), before);
    assert_int_equal(recall_count(recall), 2);
    fake_run(TTL_MS);
    assert_int_equal(recall_count(recall), 0); /* by itself */
    gets("k", WHATEVER, "2");
}

static void one_read_is_for_all_who_want_the_key(void **state)
{
    (void)state;
    struct waiter w[3] = {{.code = 0}}, other = {.code = 0};
    fake_put("k", "1", 0);
    start(10, 100000);
    for (int i = 0; i < 3; i++)
        want(&w[i], "k", WHATEVER, 1000);
    want(&other, "l", WHATEVER, 1000);
    fake_run(50);
    assert_int_equal(fake_requests(), 2);
    for (int i = 0; i < 3; i++)
        assert_string_equal(w[i].value, "1");
    assert_string_equal(other.value, "-");
}

static void an_older_answer_is_none_for_who_needs_a_newer_one(void **state)
{
    (void)state;
    fake_put("k", "1", 0);
    start(10, 100000);
    gets("k", WHATEVER, "1");
    fake_run(200);
    fake_put("k", "2", 0);
    gets("k", (struct recall_need){.since = fake_now() - 500}, "1");
    gets("k", (struct recall_need){.since = fake_now() - 100}, "2");
    fake_put("k", "3", 0);
    gets("k", NEWEST, "3");
    tn_rev revision = fake_put("k", "4", 0);
    gets("k", WHATEVER, "3");
    gets("k", (struct recall_need){.revision = revision}, "4");
}

/* A read that is under way was sent before, and may have been carried out before. */
static void who_asks_for_the_newest_waits_for_a_read_that_is_sent_behind(void **state)
{
    (void)state;
    struct waiter first = {.code = 0}, second = {.code = 0}, third = {.code = 0};
    fake_put("k", "1", 0);
    start(10, 100000);
    fake_slow_replies(c, 100);
    want(&first, "k", WHATEVER, 1000);
    fake_run(20);
    tn_rev revision = fake_put("k", "2", 0);
    want(&second, "k", NEWEST, 1000);
    want(&third, "k", (struct recall_need){.revision = revision}, 1000);
    fake_run(500);
    assert_string_equal(first.value, "1");
    assert_string_equal(second.value, "2");
    assert_string_equal(third.value, "2");
    assert_int_equal(fake_requests(), 2);
}

static void a_revision_that_is_not_there_yet_is_said(void **state)
{
    (void)state;
    struct waiter w = {.code = 0};
    tn_rev revision = fake_put("k", "1", 0);
    start(10, 100000);
    want(&w, "k", (struct recall_need){.revision = revision + 1}, 1000);
    fake_run(50);
    assert_int_equal(w.code, TENURE_EFUTURE);
}

static void what_was_forgotten_is_read_again(void **state)
{
    (void)state;
    struct waiter before = {.code = 0}, behind = {.code = 0};
    fake_put("k", "1", 0);
    start(10, 100000);
    gets("k", WHATEVER, "1");
    fake_put("k", "2", 0);
    recall_forget(recall, bytes_str("k"));
    recall_forget(recall, bytes_str("never heard of"));
    fake_slow_replies(c, 100);
    want(&before, "k", WHATEVER, 1000);
    fake_run(20);
    fake_put("k", "3", 0);
    recall_forget(recall, bytes_str("k")); /* also what is under way */
    want(&behind, "k", WHATEVER, 1000);
    fake_run(500);
    assert_string_equal(before.value, "2");
    assert_string_equal(behind.value, "3");
    gets("k", WHATEVER, "3");
}

static void over_its_bounds_the_oldest_goes(void **state)
{
    (void)state;
    char key[16];
    start(3, 1000000);
    for (int i = 0; i < 6; i++) {
        snprintf(key, sizeof key, "k%d", i);
        gets(key, WHATEVER, "-");
        assert_in_range(recall_count(recall), 1, 3);
    }
    unsigned before = fake_requests();
    gets("k5", WHATEVER, "-");
    gets("k3", WHATEVER, "-");
    assert_int_equal(fake_requests(), before);
    gets("k2", WHATEVER, "-");
    assert_int_equal(fake_requests(), before + 1);
}

static void what_is_too_large_is_given_and_not_kept(void **state)
{
    (void)state;
    fake_put("k", "1234567", 0);
    start(10, 20);
    gets("k", WHATEVER, "1234567");
    assert_int_equal(recall_count(recall), 0);
    gets("k", WHATEVER, "1234567");
    assert_int_equal(fake_requests(), 2);
}

static enum fake_fault fail_twice(void *user, struct client *client, unsigned n, const char *what)
{
    unsigned *times = user;
    (void)client, (void)n, (void)what;
    return (*times)++ < 2 ? FAKE_UNAVAILABLE : FAKE_FINE;
}

static enum fake_fault deny(void *user, struct client *client, unsigned n, const char *what)
{
    (void)user, (void)client, (void)n, (void)what;
    return FAKE_DENIED;
}

static void a_read_that_failed_is_made_again(void **state)
{
    (void)state;
    unsigned times = 0;
    fake_put("k", "1", 0);
    start(10, 100000);
    fake_set_judge(fail_twice, &times);
    struct waiter w = {.code = 0};
    want(&w, "k", WHATEVER, 4000);
    fake_run(4000);
    assert_int_equal(w.code, 0);
    fake_set_judge(deny, NULL);
    want(&w, "l", WHATEVER, 4000);
    fake_run(100);
    assert_int_equal(w.code, TENURE_EDENIED);
}

static void waits_end_in_time_and_can_be_cancelled(void **state)
{
    (void)state;
    struct waiter late = {.code = 0}, given_up = {.code = 0}, all = {.code = 0};
    start(10, 100000);
    fake_cut(c, true);
    want(&late, "k", WHATEVER, 100);
    want(&given_up, "k", WHATEVER, 10000);
    want(&all, "l", WHATEVER, 10000);
    recall_cancel(&given_up.wait);
    fake_run(50);
    assert_int_equal(given_up.code, TENURE_ECANCELLED);
    fake_run(100);
    assert_int_equal(late.code, TENURE_ETIMEOUT);
    recall_cancel_all(recall, TENURE_ECLOSED);
    fake_run(10);
    assert_int_equal(all.code, TENURE_ECLOSED);
    fake_cut(c, false);
}

static void it_can_be_stopped_within_a_call(void **state)
{
    (void)state;
    struct waiter stops = {.stops = true}, untold = {.code = 0};
    start(10, 100000);
    want(&stops, "k", WHATEVER, 1000);
    want(&untold, "k", WHATEVER, 1000);
    fake_run(50);
    assert_int_equal(stops.code, 0);
    assert_null(recall);
    assert_int_equal(untold.code, NOT_TOLD);
}

static void every_change_is_guarded(void **state)
{
    (void)state;
    start(1, 100000);
    gets("a", WHATEVER, "-");
    unsigned before = guarded;
    assert_true(before > 0);
    gets("a", WHATEVER, "-"); /* a look */
    assert_int_equal(guarded, before);
    gets("b", WHATEVER, "-");
    assert_true(guarded > before);
    before = guarded;
    fake_run(2 * TTL_MS);
    assert_true(guarded > before);
}

static int some_are_read(void *user)
{
    (void)user;
    setup(NULL);
    struct recall_options o = {.ttl_ms = TTL_MS, .keys_max = 10, .bytes_max = 100000, .guard = guard};
    int rc = recall_start(c, &o, &recall, NULL);
    if (rc == 0)
        fake_add_ticker(c, deadline, tick, &recall);
    for (int i = 0; rc == 0 && i < 3; i++) {
        static const char *const keys[] = {"a", "b", "a"};
        struct waiter w = {.code = NOT_TOLD};
        rc = recall_get(recall, &w.wait, bytes_str(keys[i]), &WHATEVER, fake_now() + 3000, on_done, &w, fake_now(),
                        NULL);
        if (rc == 0)
            fake_run(3100);
        rc = rc ? rc : w.code;
    }
    teardown(NULL);
    return rc;
}

static void without_memory_it_says_so_or_keeps_less(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(some_are_read, NULL) > 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_was_read_is_kept_for_its_time),
        TEST(one_read_is_for_all_who_want_the_key),
        TEST(an_older_answer_is_none_for_who_needs_a_newer_one),
        TEST(who_asks_for_the_newest_waits_for_a_read_that_is_sent_behind),
        TEST(a_revision_that_is_not_there_yet_is_said),
        TEST(what_was_forgotten_is_read_again),
        TEST(over_its_bounds_the_oldest_goes),
        TEST(what_is_too_large_is_given_and_not_kept),
        TEST(a_read_that_failed_is_made_again),
        TEST(waits_end_in_time_and_can_be_cancelled),
        TEST(it_can_be_stopped_within_a_call),
        TEST(every_change_is_guarded),
        cmocka_unit_test(without_memory_it_says_so_or_keeps_less),
    };
    return cmocka_run_group_tests_name("recall", tests, NULL, NULL);
}
