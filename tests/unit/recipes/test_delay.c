/* Lock-delay (M11): the record that a lost holder leaves behind, and who waits for it; and places that are taken up again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "recipes/delay.h"
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

static bool holds(const char *who)
{
    return lock_held(story_lock(who, "x"), fake_now());
}

static bool get_record(struct kv *ret)
{
    return fake_get(bytes_of("/locks/x\0delay", 14), ret);
}

static tn_ms ms_until_held(const char *who, tn_ms most)
{
    tn_ms from = fake_now();
    while (!holds(who) && fake_now() - from < most)
        fake_run(1);
    return fake_now() - from;
}

static void uncontended_it_costs_one_request_more_to_get_and_none_to_free(void **state)
{
    (void)state;
    struct kv kv;
    char record[96];
    story("A opens 1000");
    story("wait 5");
    unsigned requests = fake_requests();
    story("A locks x delay 3000");
    story("wait 10");
    assert_true(holds("A"));
    assert_int_equal(fake_requests() - requests, 2);
    assert_true(get_record(&kv));
    snprintf(record, sizeof record, "{\"token\":%lld,\"delay_ms\":3000}", (long long)lock_token(story_lock("A", "x")));
    assert_true(bytes_equal(kv.value, bytes_str(record)));
    assert_int_equal(kv.lease, 0);
    story("A releases x");
    story("wait 5");
    assert_int_equal(fake_requests() - requests, 3);
    assert_int_equal(fake_keys(), 0);
}

static void after_a_clean_release_the_next_one_holds_at_once_M11(void **state)
{
    (void)state;
    story("A opens 1000");
    story("B opens 1000");
    story("A locks x delay 3000");
    story("wait 10");
    story("B locks x delay 3000");
    story("wait 10");
    story("A releases x");
    assert_true(ms_until_held("B", 1000) < 20);
    story("B releases x");
    story("wait 10");
    assert_int_equal(fake_keys(), 0);
}

static void after_a_loss_the_next_one_waits_for_the_delay_M11(void **state)
{
    (void)state;
    story("A opens 10");
    story("B opens 1000");
    story("A locks x delay 5000");
    story("wait 10");
    story("B locks x delay 1000");
    story("wait 10");
    story("revoke A"); /* the key is gone */
    tn_ms waited = ms_until_held("B", 20000);
    assert_true(waited >= 5000); /* as the lost one asked for */
    assert_true(waited < 5100);
}

static void a_key_deleted_by_hand_is_a_loss_too_M11(void **state)
{
    (void)state;
    story("A opens 1000");
    story("B opens 1000");
    story("A locks x delay 4000");
    story("wait 500");
    story("delete A x");
    story("B locks x delay 4000");
    tn_ms waited = ms_until_held("B", 20000);
    assert_true(waited >= 4000 && waited < 4100);
}

/* Also when a request to enter may still be carried out, so that the place is left by its fence. */
static void a_key_deleted_by_hand_is_a_loss_too_after_a_lost_answer_M11(void **state)
{
    (void)state;
    struct kv kv;
    story("A opens 1000");
    story("B opens 1000");
    story("wait 5");
    story("lose reply of A");
    story("A locks x delay 4000");
    story("wait 1500");
    assert_true(holds("A"));
    story("delete A x");
    story("wait 20");
    assert_true(get_record(&kv));
    story("B locks x delay 4000");
    tn_ms waited = ms_until_held("B", 20000);
    assert_true(waited >= 3900 && waited < 4100);
}

/* Who tries again and again gets it in the end: the server counts, not the one who looks. */
static void the_delay_runs_on_when_the_one_who_waits_gives_up_M11(void **state)
{
    (void)state;
    int tries = 0;
    story("A opens 10");
    story("B opens 1000");
    story("A locks x delay 5000");
    story("wait 10");
    story("revoke A");
    tn_ms from = fake_now();
    while ((!story_lock("B", "x") || !holds("B")) && tries < 100) {
        story("B tries x delay 5000");
        story("wait 100");
        assert_true(story_last_code("B", "x") == 0 || story_last_code("B", "x") == TENURE_EBUSY);
        tries++;
    }
    assert_true(holds("B"));
    assert_true(fake_now() - from >= 5000 && fake_now() - from < 5500);
    story("C opens 1000");
    story("B releases x");
    story("wait 10");
    story("C tries x delay 5000");
    story("wait 10");
    assert_true(holds("C"));
}

static void one_who_waits_within_the_delay_ends_in_time(void **state)
{
    (void)state;
    story("A opens 10");
    story("B opens 1000");
    story("A locks x delay 60000");
    story("wait 10");
    story("revoke A");
    story("B locks x delay 1000 within 700");
    story("wait 750");
    assert_int_equal(story_last_code("B", "x"), TENURE_ETIMEOUT);
    story("wait 100");
    assert_non_null(strstr(story_tell("queue x"), "x: nobody\n"));
}

static void who_does_not_ask_for_it_neither_waits_nor_leaves_anything(void **state)
{
    (void)state;
    struct kv kv;
    story("A opens 10");
    story("B opens 1000");
    story("A locks x delay 5000");
    story("wait 10");
    story("A leaves");
    assert_true(fake_revoke(session_lease(story_session("A"))));
    story("B locks x");
    assert_true(ms_until_held("B", 1000) < 20);
    story("B releases x");
    story("wait 10");
    assert_true(get_record(&kv)); /* A's */
}

static void a_claim_whose_answer_was_lost_is_known_by_its_record(void **state)
{
    (void)state;
    story("A opens 1000");
    story("wait 5");
    story("A locks x delay 3000");
    story("wait 2"); /* entered */
    story("lose reply of A");
    story("wait 1000");
    if (!holds("A"))
        fail();
    story("A releases x");
    story("wait 100");
    assert_int_equal(fake_keys(), 0);
}

static void a_record_that_somebody_else_wrote_does_not_keep_the_lock_from_being_freed_M5(void **state)
{
    (void)state;
    story("A opens 1000");
    story("A locks x delay 3000");
    story("wait 10");
    story("B opens 1000");
    struct kv kv;
    assert_true(get_record(&kv));
    assert_true(fake_delete(bytes_of("/locks/x\0delay", 14)));
    story("A releases x");
    story("wait 10");
    assert_non_null(strstr(story_take(), "A released x\n"));
    assert_int_equal(fake_keys(), 0);
    story("B locks x delay 3000");
    assert_true(ms_until_held("B", 1000) < 20);
}

static void cancelling_at_any_moment_leaves_nothing_M7_M11(void **state)
{
    (void)state;
    char sentence[32];
    for (int ms = 0; ms < 12; ms++) {
        story("A opens 1000");
        story("A locks x delay 1000");
        snprintf(sentence, sizeof sentence, "wait %d", ms);
        story(sentence);
        story("A cancels x");
        story("A releases x");
        story("wait 50");
        assert_non_null(strstr(story_tell("queue x"), "nobody"));
        story("A closes");
        story("wait 10");
        assert_int_equal(fake_keys(), 0); /* a claim under way leaves no record either: the next one holds at once */
        story("B opens 1000");
        story("B locks x delay 1000");
        assert_true(ms_until_held("B", 10000) < 20);
        story("B releases x");
        story("wait 50");
        assert_int_equal(fake_keys(), 0);
    }
}

/* The claim arrives, its answer does not, and the acquire is given up before the next try. */
static void cancelling_behind_a_lost_claim_takes_the_record_along_M11(void **state)
{
    (void)state;
    struct kv kv;
    story("A opens 1000");
    story("wait 5");
    story("A locks x delay 3000");
    while (fake_keys() == 0)
        fake_run(1);
    story("wait 1");
    story("lose reply of A");
    while (!get_record(&kv))
        fake_run(1);
    story("A cancels x");
    story("wait 1000");
    assert_int_equal(fake_get(bytes_of("/locks/x\0delay", 14), &kv), false);
    assert_non_null(strstr(story_tell("queue x"), "nobody"));
}

static void delays_that_cannot_be_are_refused(void **state)
{
    (void)state;
    story("A opens 1000");
    story("wait 5");
    story_take();
    story("A locks x delay -1");
    assert_non_null(strstr(story_take(), "refused: "));
    story("A locks x delay 60001");
    assert_non_null(strstr(story_take(), "refused: "));
}

/* ---- what is read from a record ---- */

static int read_record(const char *value, tn_lease lease, struct delay_view *v)
{
    struct queue q;
    struct tenure_error err;
    struct kv own = {.key = bytes_str("/locks/x/1"), .create_revision = 7},
              record = {.key = bytes_str("r"), .mod_revision = 9, .value = bytes_str(value), .lease = lease};
    struct response_op answers[2] = {{.kind = OP_RANGE, .range = {.kvs = &own, .n_kvs = 1}},
                                     {.kind = OP_RANGE, .range = {.kvs = &record, .n_kvs = 1}}};
    struct txn_resp r = {.revision = 12, .responses = answers, .n_responses = 2};
    assert_int_equal(queue_init(&q, "/locks/x", NULL, 1), 0);
    int rc = delay_claimed(&q, 7, 2000, &r, v, &err);
    queue_fini(&q);
    return rc;
}

static void records_of_anybody_are_bounded(void **state)
{
    (void)state;
    struct delay_view v;
    assert_int_equal(read_record("{\"token\":7,\"delay_ms\":2000}", 0, &v), 0);
    assert_int_equal(v.answer, DELAY_OURS);
    assert_int_equal(read_record("{\"token\":7,\"delay_ms\":3000}", 0, &v), 0);
    assert_int_equal(v.answer, DELAY_OURS); /* as a process before this one has put it */
    assert_int_equal(read_record("{\"token\":7,\"delay_ms\":2000}", 5, &v), 0);
    assert_int_equal(v.answer, DELAY_COUNTING);
    assert_int_equal(read_record("{\"token\":5,\"delay_ms\":3000}", 0, &v), 0);
    assert_int_equal(v.answer, DELAY_LEFT_BEHIND);
    assert_int_equal(v.delay_ms, 3000);
    assert_int_equal(v.mod, 9);
    assert_int_equal(read_record("", 0, &v), 0);
    assert_int_equal(v.delay_ms, 2000); /* the own one */
    assert_int_equal(read_record("{\"delay_ms\":99999999999999999999}", 0, &v), 0);
    assert_int_equal(v.delay_ms, DELAY_MAX_MS);
    assert_int_equal(read_record("{\"delay_ms\":-5}", 0, &v), 0);
    assert_int_equal(v.delay_ms, 2000);
    struct txn_resp nothing = {.revision = 12};
    struct tenure_error err;
    struct queue q;
    assert_int_equal(queue_init(&q, "/locks/x", NULL, 1), 0);
    assert_int_equal(delay_claimed(&q, 7, 2000, &nothing, &v, &err), TENURE_EPROTOCOL);
    queue_fini(&q);
}

/* ---- resuming ---- */

static void resume(const char *who, const char *lease_of, int64_t token)
{
    char sentence[80];
    snprintf(sentence, sizeof sentence, "%s opens 10 lease %llx", who,
             (unsigned long long)session_lease(story_session(lease_of)));
    story(sentence);
    snprintf(sentence, sizeof sentence, "%s resumes x %lld", who, (long long)token);
    story(sentence);
}

static void a_place_is_taken_up_with_its_token(void **state)
{
    (void)state;
    story("A opens 10");
    story("A locks x delay 3000");
    story("wait 10");
    int64_t token = lock_token(story_lock("A", "x"));
    story("A leaves");
    story("C opens 1000");
    story("C locks x");
    resume("B", "A", token); /* while the session is adopted */
    story("wait 20");
    assert_true(holds("B"));
    assert_int_equal(lock_token(story_lock("B", "x")), token);
    story("B releases x");
    story("wait 20");
    assert_true(holds("C"));
    story("C releases x");
}

/* Its watch of the own key ends, and what it missed is that somebody deleted that. */
static void a_place_that_was_taken_up_and_held_is_lost_like_any_other_L3(void **state)
{
    (void)state;
    story("A opens 10");
    story("A locks x");
    story("wait 10");
    int64_t token = lock_token(story_lock("A", "x"));
    story("A leaves");
    resume("B", "A", token);
    story("wait 500");
    assert_true(holds("B"));
    story_take();
    story("overflow B");
    story("delete B x");
    story("wait 1000");
    assert_non_null(strstr(story_take(), "B loses x"));
    assert_false(holds("B"));
}

static void a_place_that_does_not_stand_is_entered_at_the_end_of_the_queue(void **state)
{
    (void)state;
    story("A opens 10");
    story("A locks x");
    story("wait 10");
    int64_t token = lock_token(story_lock("A", "x"));
    story("C opens 1000");
    story("C locks x");
    story("wait 10");
    story("A releases x");
    story("wait 10");
    assert_true(holds("C"));
    story("A leaves");
    resume("B", "A", token);
    story("wait 20");
    assert_false(holds("B"));
    story("C releases x");
    story("wait 20");
    assert_true(holds("B"));
    assert_true(lock_token(story_lock("B", "x")) > token);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(uncontended_it_costs_one_request_more_to_get_and_none_to_free),
        TEST(after_a_clean_release_the_next_one_holds_at_once_M11),
        TEST(after_a_loss_the_next_one_waits_for_the_delay_M11),
        TEST(a_key_deleted_by_hand_is_a_loss_too_M11),
        TEST(a_key_deleted_by_hand_is_a_loss_too_after_a_lost_answer_M11),
        TEST(the_delay_runs_on_when_the_one_who_waits_gives_up_M11),
        TEST(one_who_waits_within_the_delay_ends_in_time),
        TEST(who_does_not_ask_for_it_neither_waits_nor_leaves_anything),
        TEST(a_claim_whose_answer_was_lost_is_known_by_its_record),
        TEST(a_record_that_somebody_else_wrote_does_not_keep_the_lock_from_being_freed_M5),
        TEST(cancelling_at_any_moment_leaves_nothing_M7_M11),
        TEST(cancelling_behind_a_lost_claim_takes_the_record_along_M11),
        TEST(delays_that_cannot_be_are_refused),
        TEST(records_of_anybody_are_bounded),
        TEST(a_place_is_taken_up_with_its_token),
        TEST(a_place_that_was_taken_up_and_held_is_lost_like_any_other_L3),
        TEST(a_place_that_does_not_stand_is_entered_at_the_end_of_the_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
