/* Readers, writers and permits in one queue, with mutexes and clients of etcd: who holds beside whom, who is woken, and what
 * it costs. After every moment the story checks who holds at once (M9). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "recipes/queue.h"
#include "story.h"
#include "tenure/error.h"

static int begin(void **state)
{
    (void)state;
    story_begin();
    return 0;
}

static int end(void **state)
{
    (void)state;
    story_end();
    return 0;
}

static void tell(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void tell(const char *fmt, ...)
{
    char sentence[128];
    va_list args;
    va_start(args, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, args);
    va_end(args);
    story(sentence);
}

static void open_all(const char *names)
{
    for (; *names; names++)
        tell("%c opens 1000", *names);
    story("wait 5");
}

static bool has(const char *who)
{
    struct lock *l = story_lock(who, "x");
    return l && lock_held(l, fake_now());
}

/* The holders among A to Z, in the order of their names. */
static const char *holders(void)
{
    static char names[27];
    size_t n = 0;
    for (char c = 'A'; c <= 'Z'; c++) {
        char name[2] = {c, 0};
        if (has(name))
            names[n++] = c;
    }
    names[n] = 0;
    return names;
}

/* A sentence, and all that follows from it. */
static void then(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void then(const char *fmt, ...)
{
    char sentence[128];
    va_list args;
    va_start(args, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, args);
    va_end(args);
    story(sentence);
    story("wait 20");
}

#define assert_holders(names) assert_string_equal(holders(), names)

/* ---- readers and writers ---- */

static void readers_hold_together(void **state)
{
    (void)state;
    open_all("ABC");
    then("A reads x");
    then("B reads x");
    then("C reads x");
    assert_holders("ABC");
}

static void a_writer_waits_for_readers_and_later_readers_for_it(void **state)
{
    (void)state;
    open_all("ABCDE");
    then("A reads x");
    then("B reads x");
    then("C locks x");
    then("D reads x");
    then("E reads x");
    assert_holders("AB");
    then("B releases x");
    assert_holders("A");
    then("A releases x");
    assert_holders("C");
    then("C releases x");
    assert_holders("DE");
}

static void a_reader_and_a_client_of_etcd_exclude_each_other(void **state)
{
    (void)state;
    open_all("ABC");
    then("etcdctl locks x");
    then("A reads x");
    assert_holders("");
    then("etcdctl leaves x");
    assert_holders("A");
    then("etcdctl locks x");
    then("B reads x");
    assert_holders("A");
    then("A releases x");
    assert_holders("");
    then("etcdctl leaves x");
    assert_holders("B");
}

static void readers_of_one_session_have_keys_of_their_own(void **state)
{
    (void)state;
    struct kv first, second;
    story("A opens 1000");
    then("A reads x");
    then("A reads x#2");
    assert_true(lock_held(story_lock("A", "x"), fake_now()));
    assert_true(lock_held(story_lock("A", "x#2"), fake_now()));
    assert_true(fake_get(lock_key(story_lock("A", "x")), &first));
    assert_true(fake_get(lock_key(story_lock("A", "x#2")), &second));
    assert_false(bytes_equal(first.key, second.key));
    assert_true(bytes_has_prefix(first.key, bytes_str("/locks/x/read.")));
    then("A locks x#3");
    assert_int_equal(lock_state(story_lock("A", "x#3")), LOCK_WAITING);
    then("A releases x");
    then("A releases x#2");
    assert_true(lock_held(story_lock("A", "x#3"), fake_now()));
}

/* As of a mutex: a program that begins again on the lease of its predecessor. */
static void a_lease_that_is_taken_over_brings_the_places_that_are_asked_for_again(void **state)
{
    (void)state;
    char sentence[64];
    story("A opens 1000");
    then("A reads x");
    then("A reads x#2");
    int64_t token = lock_token(story_lock("A", "x"));
    snprintf(sentence, sizeof sentence, "B opens 1000 lease %llx",
             (unsigned long long)session_lease(story_session("A")));
    story("A drops"); /* as it is */
    then("%s", sentence);
    then("B reads x");
    assert_int_equal(lock_token(story_lock("B", "x")), token);
    then("B reads x#2");
    then("B releases x");
    then("B releases x#2");
    story_take();
    assert_non_null(strstr(story_tell("queue x"), "nobody"));
}

static void the_writers_token_is_greater_than_those_of_the_readers_before(void **state)
{
    (void)state;
    open_all("AB");
    then("A reads x");
    int64_t token = lock_token(story_lock("A", "x"));
    then("B locks x");
    then("A releases x");
    assert_true(lock_token(story_lock("B", "x")) > token);
}

static void a_reader_costs_what_a_mutex_costs(void **state)
{
    (void)state;
    open_all("AB");
    then("A reads x");
    unsigned requests = fake_requests(), watches = fake_watches_started();
    then("B reads x");
    assert_int_equal(fake_requests() - requests, 1);
    then("B releases x");
    assert_int_equal(fake_requests() - requests, 2);
    assert_int_equal(fake_watches_started() - watches, 0);
}

/* What is asked of the server does not grow with the readers either. */
static void many_readers_are_not_read_by_the_next(void **state)
{
    (void)state;
    struct queue q = {0};
    struct rule rule = {.kind = RULE_READ, .number = 7};
    struct queue_txn t;
    assert_int_equal(queue_init(&q, "/locks/x", &rule, 1), 0);
    queue_enter(&q, bytes_str(""), 0, false, &t);
    for (size_t i = 0; i < t.req.n_success; i++)
        if (t.success[i].kind == OP_RANGE) {
            assert_true(t.success[i].range.limit == QUEUE_VIEW_MAX);
            assert_false(key_range_contains(t.success[i].range.range, bytes_str("/locks/x/read.5.77")));
        }
    queue_fini(&q);
}

static void a_writers_release_wakes_the_readers_before_the_next_writer_only_M8(void **state)
{
    (void)state;
    open_all("ABCDEFG");
    then("A locks x");
    then("B reads x");
    then("C reads x");
    then("D locks x");
    then("E reads x");
    then("F reads x");
    unsigned requests = fake_requests(), wakes = fake_wakes();
    then("A releases x");
    assert_holders("BC");
    assert_int_equal(fake_requests() - requests, 3); /* the release, two verifications */
    assert_int_equal(fake_wakes() - wakes, 2);
    then("B releases x"); /* D watches C, the newest */
    assert_int_equal(fake_requests() - requests, 4);
    then("C releases x");
    assert_holders("D");
    assert_int_equal(fake_requests() - requests, 6);
}

static void trying_to_read_beside_a_reader_works_and_beside_a_writer_does_not(void **state)
{
    (void)state;
    open_all("ABC");
    then("A reads x");
    then("B reads x try");
    assert_holders("AB");
    then("A releases x");
    then("B releases x");
    then("A locks x");
    then("C reads x try");
    assert_int_equal(story_last_code("C", "x"), TENURE_EBUSY);
    story_take();
    assert_non_null(strstr(story_tell("queue x"), "x: A\n")); /* nothing is left of it */
}

static void a_writer_that_shares_lets_the_readers_in_and_keeps_its_place(void **state)
{
    (void)state;
    open_all("ABCD");
    then("A locks x");
    then("B reads x");
    then("C locks x");
    then("D reads x");
    int64_t token = lock_token(story_lock("A", "x"));
    then("A shares x");
    assert_holders("AB");
    assert_int_equal(lock_token(story_lock("A", "x")), token);
    then("B releases x");
    assert_holders("A");
    then("A releases x");
    assert_holders("C");
    then("C releases x");
    assert_holders("D");
}

static void sharing_whose_answer_is_lost_comes_about(void **state)
{
    (void)state;
    open_all("AB");
    then("A locks x");
    then("B reads x");
    story("lose reply of A");
    then("A shares x");
    story("wait 1500");
    assert_holders("AB");
    assert_non_null(strstr(story_take(), "A shares x\n"));
}

static void only_a_held_writer_shares_and_once(void **state)
{
    (void)state;
    struct tenure_error err;
    bytes value = bytes_str(RULE_SHARED_VALUE);
    open_all("AB");
    then("A reads x");
    assert_int_equal(lock_share(story_lock("A", "x"), value, fake_now(), &err), TENURE_EINVALID);
    then("B locks x");
    assert_int_equal(lock_share(story_lock("B", "x"), value, fake_now(), &err), TENURE_ENOTHELD);
    then("A releases x");
    assert_int_equal(lock_share(story_lock("B", "x"), bytes_str("{}"), fake_now(), &err), TENURE_EINVALID);
    then("B shares x");
    assert_int_equal(lock_share(story_lock("B", "x"), value, fake_now(), &err), TENURE_EBUSY);
    then("B releases x");
    assert_int_equal(lock_acquire(story_lock("B", "x"), fake_now(), &err), TENURE_EINVALID);
}

static void a_value_that_says_it_is_shared_is_refused(void **state)
{
    (void)state;
    struct tenure_error err;
    struct lock *l = NULL;
    struct lock_options opt = {.value = bytes_str(RULE_SHARED_VALUE ",\"a\":1}")};
    open_all("A");
    assert_int_equal(lock_new(story_session("A"), "x", &opt, NULL, NULL, &l, &err), TENURE_EINVALID);
}

/* ---- permits ---- */

static void permits_hold_up_to_the_limit(void **state)
{
    (void)state;
    open_all("ABCD");
    then("A takes x 1 3");
    then("B takes x 2 3");
    then("C takes x 1 3");
    then("D takes x 1 3");
    assert_holders("AB");
    then("A releases x");
    assert_holders("BC");
    then("B releases x");
    assert_holders("CD");
}

static void a_big_one_is_not_overtaken(void **state)
{
    (void)state;
    open_all("ABCD");
    then("A takes x 2 3");
    then("B takes x 3 3");
    then("C takes x 1 3");
    assert_holders("A");
    then("A releases x");
    assert_holders("B");
    then("B releases x");
    assert_holders("C");
}

static void one_release_may_let_several_in(void **state)
{
    (void)state;
    open_all("ABCDE");
    then("A takes x 3 3");
    then("B takes x 1 3");
    then("C takes x 1 3");
    then("D takes x 1 3");
    then("E takes x 1 3");
    then("A releases x");
    assert_holders("BCD");
    then("C releases x");
    assert_holders("BDE");
}

static void one_that_gives_up_in_the_middle_leaves_nobody_waiting(void **state)
{
    (void)state;
    open_all("ABCDE");
    then("A takes x 2 3");
    then("B takes x 3 3");
    then("C takes x 1 3");
    then("D takes x 1 3");
    then("B cancels x");
    assert_holders("AC");
    then("A releases x");
    assert_holders("CD");
}

static void the_smallest_limit_that_any_states_counts(void **state)
{
    (void)state;
    open_all("ABCD");
    then("A takes x 1 2");
    then("B takes x 1 5");
    then("C takes x 1 5"); /* a third would be too many for A */
    then("D takes x 1 5");
    assert_holders("AB");
    then("A releases x"); /* and with it its limit */
    assert_holders("BCD");
}

static void a_permit_with_a_smaller_limit_waits_until_it_fits(void **state)
{
    (void)state;
    open_all("ABCD");
    then("A takes x 1 5");
    then("B takes x 1 5");
    then("C takes x 1 2");
    then("D takes x 1 5");
    assert_holders("AB");
    then("B releases x");
    assert_holders("AC");
    then("C releases x");
    assert_holders("AD");
}

static void permits_mutexes_readers_and_clients_of_etcd_exclude_each_other(void **state)
{
    (void)state;
    open_all("ABCDE");
    then("A takes x 1 3");
    then("etcdctl locks x");
    then("B takes x 1 3");
    then("C takes x 1 3");
    assert_holders("A");
    then("A releases x");
    assert_holders("");
    then("D locks x");
    then("E reads x");
    then("etcdctl leaves x");
    assert_holders("BC");
    then("C releases x");
    assert_holders("B");
    then("B releases x");
    assert_holders("D");
    then("A takes x 1 3");
    then("D releases x");
    assert_holders("E");
    then("E releases x");
    assert_holders("A");
}

/* B's request is answered only by its repetition, and meanwhile C has seen it wait. */
static void one_that_learns_late_that_it_is_in_tells_its_successor(void **state)
{
    (void)state;
    open_all("ABC");
    then("A takes x 2 3");
    story("lose reply of B");
    story("B takes x 2 3");
    story("wait 2");
    then("C takes x 1 3");
    assert_holders("A");
    then("A releases x");
    story("wait 1500");
    assert_holders("BC");
}

static void a_release_costs_the_same_however_many_wait_M8(void **state)
{
    (void)state;
    enum { WAITERS = 20 };
    open_all("AB");
    then("A takes x 1 2");
    then("B takes x 1 2");
    for (int i = 0; i < WAITERS; i++) {
        tell("W%d opens 1000", i);
        tell("W%d takes x 1 2", i);
        story("wait 5");
    }
    unsigned requests = fake_requests(), wakes = fake_wakes();
    then("A releases x");
    assert_true(has("W0"));
    assert_false(has("W1"));
    /* The release; W0 verifies and says that it is in; W1 looks at those who hold now. */
    assert_int_equal(fake_requests() - requests, 3);
    assert_int_equal(fake_wakes() - wakes, 2);
}

static void a_permit_that_fits_costs_one_request_to_get_and_one_to_free(void **state)
{
    (void)state;
    open_all("AB");
    then("A takes x 1 2");
    unsigned requests = fake_requests(), watches = fake_watches_started();
    then("B takes x 1 2");
    assert_int_equal(fake_requests() - requests, 1);
    then("B releases x");
    assert_int_equal(fake_requests() - requests, 2);
    assert_int_equal(fake_watches_started() - watches, 0);
}

static void a_release_that_does_not_make_room_enough_asks_nothing_M8(void **state)
{
    (void)state;
    open_all("ABCD");
    then("A takes x 1 3");
    then("B takes x 1 3");
    then("C takes x 3 3");
    then("D takes x 1 3");
    unsigned requests = fake_requests();
    then("A releases x");
    assert_int_equal(fake_requests() - requests, 1);
    then("B releases x");
    assert_holders("C");
}

static void one_that_gives_up_behind_is_not_noticed_M8(void **state)
{
    (void)state;
    open_all("ABCD");
    then("A takes x 1 2");
    then("B takes x 2 2");
    then("C takes x 1 2");
    unsigned requests = fake_requests();
    then("C cancels x");
    assert_int_equal(fake_requests() - requests, 1);
    assert_holders("A");
}

static void a_herd_would_be_noticed(void **state)
{
    (void)state;
    story("be a herd");
    open_all("AB");
    then("A takes x 1 1");
    for (int i = 0; i < 10; i++) {
        tell("W%d opens 1000", i);
        tell("W%d takes x 1 1", i);
        story("wait 5");
    }
    unsigned requests = fake_requests();
    then("A releases x");
    assert_true(fake_requests() - requests > 10);
}

static void more_holders_than_one_view_shows_are_counted_all(void **state)
{
    (void)state;
    char key[48];
    open_all("AB");
    for (int i = 0; i < 30; i++) { /* of longer names, which hide them */
        snprintf(key, sizeof key, "/locks/x/permit.1.40.%x.77", i + 1);
        fake_put(key, "", 0);
    }
    then("A takes x 10 40");
    assert_holders("A");
    then("B takes x 1 40");
    assert_holders("A");
    fake_delete(bytes_str("/locks/x/permit.1.40.5.77"));
    story("wait 20");
    assert_holders("AB");
}

static void weights_and_limits_that_cannot_be_are_refused(void **state)
{
    (void)state;
    open_all("A");
    story_take();
    assert_non_null(strstr(story_tell("A takes x 0 3"), "A is refused"));
    assert_non_null(strstr(story_tell("A takes x 4 3"), "A is refused"));
    assert_non_null(strstr(story_tell("A takes x 1 1000000001"), "A is refused"));
}

static void trying_to_take_what_does_not_fit_leaves_nothing(void **state)
{
    (void)state;
    open_all("AB");
    then("A takes x 2 3");
    then("B takes x 2 3 try");
    assert_int_equal(story_last_code("B", "x"), TENURE_EBUSY);
    story_take();
    assert_non_null(strstr(story_tell("queue x"), "x: A\n"));
    then("B takes x 1 3 try");
    assert_holders("AB");
}

static void a_holder_that_ends_lets_the_next_in(void **state)
{
    (void)state;
    story("A opens 4");
    story("B opens 1000");
    story("C opens 1000");
    then("A takes x 2 2");
    then("B takes x 1 2");
    then("C takes x 1 2");
    story("cut A");
    story("wait 10000");
    assert_holders("BC");
}

/* ---- rules broken on purpose ---- */

static void holding_beside_anybody_is_found_M9(void **state)
{
    (void)state;
    story("skip rule");
    story_tolerate();
    open_all("ABCD");
    then("A locks x");
    then("B reads x");
    assert_true(story_violations() > 0);
}

#define SHARE_TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHARE_TEST(readers_hold_together),
        SHARE_TEST(a_writer_waits_for_readers_and_later_readers_for_it),
        SHARE_TEST(a_reader_and_a_client_of_etcd_exclude_each_other),
        SHARE_TEST(readers_of_one_session_have_keys_of_their_own),
        SHARE_TEST(a_lease_that_is_taken_over_brings_the_places_that_are_asked_for_again),
        SHARE_TEST(the_writers_token_is_greater_than_those_of_the_readers_before),
        SHARE_TEST(a_reader_costs_what_a_mutex_costs),
        SHARE_TEST(many_readers_are_not_read_by_the_next),
        SHARE_TEST(a_writers_release_wakes_the_readers_before_the_next_writer_only_M8),
        SHARE_TEST(trying_to_read_beside_a_reader_works_and_beside_a_writer_does_not),
        SHARE_TEST(a_writer_that_shares_lets_the_readers_in_and_keeps_its_place),
        SHARE_TEST(sharing_whose_answer_is_lost_comes_about),
        SHARE_TEST(only_a_held_writer_shares_and_once),
        SHARE_TEST(a_value_that_says_it_is_shared_is_refused),
        SHARE_TEST(permits_hold_up_to_the_limit),
        SHARE_TEST(a_big_one_is_not_overtaken),
        SHARE_TEST(one_release_may_let_several_in),
        SHARE_TEST(one_that_gives_up_in_the_middle_leaves_nobody_waiting),
        SHARE_TEST(the_smallest_limit_that_any_states_counts),
        SHARE_TEST(a_permit_with_a_smaller_limit_waits_until_it_fits),
        SHARE_TEST(permits_mutexes_readers_and_clients_of_etcd_exclude_each_other),
        SHARE_TEST(one_that_learns_late_that_it_is_in_tells_its_successor),
        SHARE_TEST(a_release_costs_the_same_however_many_wait_M8),
        SHARE_TEST(a_permit_that_fits_costs_one_request_to_get_and_one_to_free),
        SHARE_TEST(a_release_that_does_not_make_room_enough_asks_nothing_M8),
        SHARE_TEST(one_that_gives_up_behind_is_not_noticed_M8),
        SHARE_TEST(a_herd_would_be_noticed),
        SHARE_TEST(more_holders_than_one_view_shows_are_counted_all),
        SHARE_TEST(weights_and_limits_that_cannot_be_are_refused),
        SHARE_TEST(trying_to_take_what_does_not_fit_leaves_nothing),
        SHARE_TEST(a_holder_that_ends_lets_the_next_in),
        SHARE_TEST(holding_beside_anybody_is_found_M9),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
