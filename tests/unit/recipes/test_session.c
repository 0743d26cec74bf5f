/* The session on its own: when it is believed in, and every way in which it ends (L2, L3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "recipes/session.h"
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

static struct session *a(void)
{
    return story_session("A");
}

static void the_margin_is_a_quarter_second_and_a_hundredth_of_the_ttl(void **state)
{
    (void)state;
    assert_int_equal(session_margin_ms(2), 270);
    assert_int_equal(session_margin_ms(10), 350);
    assert_int_equal(session_margin_ms(60), 850);
}

static void safe_until_counts_from_the_sending_of_the_grant(void **state)
{
    (void)state;
    story("slow A 2000");
    story("A opens 10");
    tn_ms sent_at = fake_now();
    assert_int_equal(session_safe_until(a()), 0);
    assert_int_equal(session_lease(a()), 0);
    story("wait 2100");
    assert_int_equal(session_state(a()), SESSION_ALIVE);
    assert_int_equal(session_safe_until(a()), sent_at + 10000 - 350);
}

static void safe_until_counts_from_the_sending_of_the_renewal(void **state)
{
    (void)state;
    story("A opens 9");
    story("wait 5");
    tn_ms first = session_safe_until(a());
    story("slow A 1000");
    story("wait 3500"); /* sent a third of the TTL after the grant, not answered yet */
    assert_int_equal(session_safe_until(a()), first);
    story("wait 1000");
    assert_int_equal(session_safe_until(a()), first + 3000);
}

static void it_is_valid_up_to_safe_until_and_not_at_it_even_before_a_tick(void **state)
{
    (void)state;
    story("A opens 10");
    story("wait 5");
    tn_ms until = session_safe_until(a());
    assert_true(session_valid(a(), until - 1));
    assert_false(session_valid(a(), until));
    assert_int_equal(session_state(a()), SESSION_ALIVE);
}

static void an_answer_that_comes_after_safe_until_is_not_heard(void **state)
{
    (void)state;
    story("A opens 9");
    story("wait 5");
    story("slow A 7000"); /* the renewal at a third of the TTL is answered after safe-until */
    story("wait 20000");
    assert_string_equal(story_take(), "[ 1002] A is alive, TTL 9\n[ 9660] A is lost\n");
    assert_int_equal(session_state(a()), SESSION_LOST);
    assert_int_equal(session_safe_until(a()), 0);
}

/* The driver was late: the answer is in hand before the tick. It is lost all the same, not held again (L3). */
static void an_answer_that_is_read_after_safe_until_does_not_revive_it(void **state)
{
    (void)state;
    story("A opens 9");
    story("A locks x");
    story("wait 5");
    struct lock *x = story_lock("A", "x");
    story("slow A 4000"); /* sent at 4000, read when the process goes on */
    story("wait 3500");
    story("stop A");
    story("wait 8000");
    assert_false(lock_held(x, fake_now()));
    fake_remove_ticker(a()); /* the tick never comes */
    story("continue A");
    story("wait 1");
    assert_false(lock_held(x, fake_now()));
    assert_int_equal(session_state(a()), SESSION_LOST);
}

static void a_lease_that_is_gone_ends_it_at_the_next_renewal(void **state)
{
    (void)state;
    story("A opens 9");
    story("wait 5");
    story("revoke A");
    story("wait 3100");
    assert_string_equal(story_take(), "[ 1002] A is alive, TTL 9\n[ 4002] A is lost\n");
}

static void a_grant_that_took_as_long_as_the_lease_lives_is_renewed_before_it_is_believed(void **state)
{
    (void)state;
    struct session_options opt = {.ttl_s = 2, .start_timeout_ms = 60000};
    struct session *s;
    struct client *c = fake_client("Q");
    fake_slow_replies(c, 1900);
    assert_int_equal(session_open(c, &opt, NULL, NULL, fake_now(), &s, NULL), 0);
    tn_ms opened_at = fake_now();
    fake_run(1899);
    fake_slow_replies(c, 0);
    assert_int_equal(session_state(s), SESSION_STARTING);
    fake_run(10);
    assert_int_equal(session_state(s), SESSION_ALIVE);
    assert_int_equal(session_safe_until(s), opened_at + 1902 + 2000 - 270);
    session_free(s);
}

static void a_lease_of_somebody_else_with_the_same_id_is_not_taken(void **state)
{
    (void)state;
    story("cut A"); /* only to have a process of that name */
    story("restore A");
    fake_seed(story_client("A"), 7);
    story("A opens 10");
    story("wait 5");
    story("A drops");
    fake_seed(story_client("A"), 7);
    story("A opens 10");
    story("wait 5");
    assert_string_equal(story_take(), "[ 1002] A is alive, TTL 10\n[ 1007] A is closed: already exists\n");
}

static void a_start_without_a_server_fails_at_its_deadline_and_tells_why(void **state)
{
    (void)state;
    story("cut A");
    story("A opens 10");
    story("wait 5100");
    assert_string_equal(story_take(), "[ 6000] A is closed: deadline exceeded\n");
    assert_int_equal(session_state(a()), SESSION_CLOSED);
    story("restore A");
    story("wait 100");
    assert_int_equal(fake_leases(), 0);
}

static void a_start_that_failed_revokes_what_may_have_been_granted(void **state)
{
    (void)state;
    story("A opens 10");
    story("wait 1"); /* granted, the answer under way */
    story("cut A");
    story("wait 5100");
    assert_string_equal(story_take(), "[ 6000] A is closed: deadline exceeded\n");
    assert_int_equal(fake_leases(), 1);
    story("restore A");
    story("wait 100");
    assert_int_equal(fake_leases(), 0);
}

static void a_grant_that_is_held_back_is_asked_for_again_in_time(void **state)
{
    (void)state;
    story("slow A 20000"); /* granted; its member waits for a leader that is gone */
    story("A opens 10");
    story("wait 2400");
    assert_int_equal(session_state(a()), SESSION_STARTING);
    story("slow A 1"); /* there is another leader */
    story("wait 600");
    assert_int_equal(session_state(a()), SESSION_ALIVE);
    assert_int_equal(fake_leases(), 1); /* the same one */
}

static void a_start_that_is_refused_now_and_then_goes_on(void **state)
{
    (void)state;
    story("refuse request of A");
    story("A opens 10");
    story("wait 200");
    assert_int_equal(session_state(a()), SESSION_ALIVE);
}

static void closing_revokes_the_lease(void **state)
{
    (void)state;
    story("A opens 10");
    story("wait 5");
    story("A closes");
    assert_false(session_valid(a(), fake_now()));
    story("A closes"); /* once more: nothing */
    story("wait 5");
    assert_string_equal(story_take(), "[ 1002] A is alive, TTL 10\n[ 1007] A is closed\n");
    assert_int_equal(fake_leases(), 0);
}

static void a_close_that_is_foreseen_revokes_along_with_what_was_sent(void **state)
{
    (void)state;
    story("A opens 10");
    story("wait 5");
    unsigned requests = fake_requests();
    session_close_soon(a(), fake_now());
    session_close_soon(a(), fake_now()); /* once more: nothing */
    assert_true(session_valid(a(), fake_now()));
    story("A closes");
    story("wait 5");
    assert_string_equal(story_take(), "[ 1002] A is alive, TTL 10\n[ 1007] A is closed\n");
    assert_int_equal(fake_requests(), requests + 1);
    assert_int_equal(fake_leases(), 0);
}

static void a_foreseen_close_that_comes_late_has_nothing_to_do(void **state)
{
    (void)state;
    story("A opens 10");
    story("wait 5");
    session_close_soon(a(), fake_now());
    story("wait 5");
    unsigned requests = fake_requests();
    assert_int_equal(session_state(a()), SESSION_ALIVE);
    assert_int_equal(fake_leases(), 0);
    story("A closes");
    story("wait 1");
    assert_string_equal(story_take(), "[ 1002] A is alive, TTL 10\n[ 1010] A is closed\n");
    assert_int_equal(fake_requests(), requests);
}

static void a_foreseen_close_that_was_not_answered_revokes_again(void **state)
{
    (void)state;
    story("A opens 10");
    story("wait 5");
    story("cut A");
    session_close_soon(a(), fake_now());
    story("wait 5500");
    assert_int_equal(session_state(a()), SESSION_ALIVE);
    assert_int_equal(fake_leases(), 1);
    story("restore A");
    story("A closes");
    story("wait 500");
    assert_int_equal(session_state(a()), SESSION_CLOSED);
    assert_int_equal(fake_leases(), 0);
}

static void a_foreseen_close_that_does_not_come_is_a_loss_in_time(void **state)
{
    (void)state;
    story("A opens 10");
    story("wait 5");
    story("cut A");
    session_close_soon(a(), fake_now());
    story("wait 10000");
    assert_int_equal(session_state(a()), SESSION_LOST);
}

static void freed_with_a_foreseen_close_leaves_no_lease(void **state)
{
    (void)state;
    story("A opens 10");
    story("wait 5");
    session_close_soon(a(), fake_now());
    story("A drops");
    story("wait 5");
    assert_int_equal(fake_leases(), 0);
}

static void closing_while_it_starts_revokes_what_was_granted(void **state)
{
    (void)state;
    story("A opens 10");
    story("A closes");
    story("wait 100");
    assert_string_equal(story_take(), "[ 1004] A is closed\n");
    assert_int_equal(fake_leases(), 0);
}

/* What the server was sent at the same time it carries out in any order. */
static enum fake_fault overtake_grant(void *user, struct client *c, unsigned n, const char *what)
{
    (void)user, (void)c, (void)n;
    return strncmp(what, "grant", 5) == 0 ? FAKE_OVERTAKEN : FAKE_FINE;
}

static void closing_while_it_starts_does_not_revoke_before_the_grant(void **state)
{
    (void)state;
    fake_set_judge(overtake_grant, NULL);
    story("A opens 10");
    story("A locks x");
    story("wait 1");
    story("A cancels x");
    story("A closes");
    story("wait 100");
    fake_set_judge(NULL, NULL);
    assert_int_equal(session_state(a()), SESSION_CLOSED);
    assert_int_equal(fake_leases(), 0);
    assert_int_equal(fake_keys(), 0);
}

static void closing_while_a_grant_is_not_answered_revokes_it_a_little_later(void **state)
{
    (void)state;
    story("slow A 20000");
    story("A opens 10");
    story("wait 5");
    story("A closes");
    story("wait 250");
    assert_int_equal(fake_leases(), 1);
    story("slow A 1");
    story("wait 60");
    assert_int_equal(session_state(a()), SESSION_CLOSED);
    assert_int_equal(fake_leases(), 0);
}

/* It stood still for longer than that, and then does it in the wrong order. */
static enum fake_fault delay_grant(void *user, struct client *c, unsigned n, const char *what)
{
    (void)user, (void)c, (void)n;
    return strncmp(what, "grant", 5) == 0 ? FAKE_LATE : FAKE_FINE;
}

static void closing_finds_a_lease_that_is_granted_late(void **state)
{
    (void)state;
    fake_set_judge(delay_grant, NULL);
    story("A opens 10");
    story("A closes");
    story("wait 690");
    assert_int_equal(session_state(a()), SESSION_CLOSING);
    story("wait 500");
    fake_set_judge(NULL, NULL);
    assert_int_equal(session_state(a()), SESSION_CLOSED);
    assert_int_equal(fake_leases(), 0);
}

/* Closed between two tries: the first, given up already, is carried out later. */
static void closing_between_two_tries_finds_a_lease_that_is_granted_late(void **state)
{
    (void)state;
    fake_set_judge(delay_grant, NULL);
    story("A opens 10");
    story("wait 21");
    assert_int_equal(fake_calls(), 1);
    story("A closes");
    story("wait 1200");
    fake_set_judge(NULL, NULL);
    assert_int_equal(session_state(a()), SESSION_CLOSED);
    assert_int_equal(fake_leases(), 0);
}

static void closing_before_anything_was_sent_is_done_at_once(void **state)
{
    (void)state;
    story("cut A");
    story("A opens 10");
    story("A closes");
    story("wait 1");
    assert_string_equal(story_take(), "[ 1000] A is closed\n");
}

static void freed_while_it_closes_from_its_start_leaves_no_lease(void **state)
{
    (void)state;
    story("A opens 10");
    story("A closes");
    story("A drops");
    story("wait 100");
    assert_int_equal(fake_leases(), 0);
}

static void closing_without_a_server_ends_with_its_error(void **state)
{
    (void)state;
    story("A opens 10");
    story("wait 5");
    story("cut A");
    story("A closes");
    story("wait 6000");
    assert_string_equal(story_take(), "[ 1002] A is alive, TTL 10\n[ 6005] A is closed: deadline exceeded\n");
}

static void a_lost_session_can_be_closed_to_be_rid_of_its_lease(void **state)
{
    (void)state;
    story("A opens 10");
    story("wait 5");
    session_give_up(a(), &(struct tenure_error){.code = TENURE_ELOST}, fake_now());
    story("wait 1");
    assert_int_equal(session_state(a()), SESSION_LOST);
    story("A closes");
    story("wait 5");
    assert_string_equal(story_take(), "[ 1002] A is alive, TTL 10\n[ 1005] A is lost\n[ 1008] A is closed\n");
    assert_int_equal(fake_leases(), 0);
}

static void a_lease_that_is_known_to_be_gone_is_not_revoked(void **state)
{
    (void)state;
    story("A opens 9");
    story("wait 5");
    story("revoke A");
    story("wait 4000");
    unsigned requests = fake_requests();
    story("A closes");
    story("wait 5");
    assert_int_equal(session_state(a()), SESSION_CLOSED);
    assert_int_equal(fake_requests(), requests);
}

static void options_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct session *s = NULL;
    struct tenure_error err;
    struct client *c = fake_client("Q");
    assert_int_equal(session_open(c, &(struct session_options){.ttl_s = 1}, NULL, NULL, fake_now(), &s, &err),
                     TENURE_EINVALID);
    assert_int_equal(session_open(c, &(struct session_options){.ttl_s = INT64_MAX}, NULL, NULL, fake_now(), &s, &err),
                     TENURE_EINVALID);
    assert_int_equal(
        session_open(c, &(struct session_options){.start_timeout_ms = -1}, NULL, NULL, fake_now(), &s, &err),
        TENURE_EINVALID);
    assert_null(s);
    assert_null(session_free(NULL));
}

static void a_server_that_grants_for_ever_is_not_believed_beyond_the_limit(void **state)
{
    (void)state;
    fake_set_ttl_min(INT64_MAX / 2000);
    story("A opens 10");
    story("wait 5");
    assert_int_equal(session_ttl_s(a()), LEASE_TTL_MAX_S);
}

/* A user's function may free the session, from within. */
static void free_it(void *user, int code)
{
    (void)code;
    struct session **s = user;
    *s = session_free(*s);
}

static void free_it_when_lost(void *user, const struct tenure_error *why)
{
    (void)why;
    free_it(user, 0);
}

static void free_it_when_alive(void *user, tn_lease lease)
{
    (void)lease;
    free_it(user, 0);
}

static tn_ms due(const void *s)
{
    return *(struct session *const *)s ? session_deadline(*(struct session *const *)s) : TN_MS_NEVER;
}

static void tick(void *s, tn_ms now)
{
    session_tick(*(struct session **)s, now);
}

static void it_can_be_freed_in_each_of_its_callbacks(void **state)
{
    (void)state;
    struct client *c = fake_client("Q");
    static struct session *s;
    struct session_callbacks alive = {.on_alive = free_it_when_alive}, lost = {.on_lost = free_it_when_lost},
                             closed = {.on_closed = free_it};
    fake_add_ticker(c, due, tick, &s);
    assert_int_equal(session_open(c, NULL, &alive, &s, fake_now(), &s, NULL), 0);
    fake_run(5);
    assert_null(s);
    assert_int_equal(session_open(c, NULL, &lost, &s, fake_now(), &s, NULL), 0);
    fake_run(5);
    fake_cut(c, true);
    fake_run(10000);
    fake_cut(c, false);
    assert_null(s);
    assert_int_equal(session_open(c, NULL, &closed, &s, fake_now(), &s, NULL), 0);
    fake_run(5);
    session_close(s, fake_now());
    fake_run(5);
    assert_null(s);
    fake_remove_ticker(&s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

/* ---- suspended ---- */

static void it_is_suspended_when_two_thirds_of_the_ttl_are_unanswered_and_answered_again(void **state)
{
    (void)state;
    story("note suspensions");
    story("A opens 9");
    story("wait 5");
    story_take();
    story("cut A");
    story("wait 5990");
    assert_false(session_suspended(a(), fake_now()));
    story("wait 10"); /* the grant was sent at 1000 */
    assert_true(session_suspended(a(), fake_now()));
    assert_true(session_valid(a(), fake_now()));
    assert_string_equal(story_take(), "[ 7000] A is suspended\n");
    story("restore A");
    story("wait 1000");
    assert_false(session_suspended(a(), fake_now()));
    const char *text = story_take();
    assert_non_null(strstr(text, "A is answered again\n"));
    story("wait 60000"); /* renewals that are answered suspend nothing */
    assert_string_equal(story_take(), "");
}

static void a_loss_follows_a_suspension_and_is_the_last_word(void **state)
{
    (void)state;
    story("note suspensions");
    story("A opens 9");
    story("wait 5");
    story("cut A");
    story("wait 20000");
    assert_string_equal(story_take(), "[ 1002] A is alive, TTL 9\n[ 7000] A is suspended\n[ 9660] A is lost\n");
    assert_false(session_suspended(a(), fake_now()));
    assert_int_equal(session_suspended_from(a()), 0);
}

static void a_loss_says_what_the_renewals_were_refused_with(void **state)
{
    (void)state;
    fake_note_refusal(TENURE_EDENIED, "login as user \"mallory\": authentication failed");
    story("A opens 9");
    story("A locks x");
    story("wait 5");
    story("cut A");
    story("wait 20000");
    fake_note_refusal(0, NULL);
    assert_non_null(strstr(session_why(a())->text, "its renewals were refused: login as user \"mallory\""));
    assert_int_equal(session_why(a())->code, TENURE_ELOST);
    assert_non_null(strstr(story_take(), "A loses x: session"));
}

/* ---- the heartbeat gate ---- */

static void who_gives_no_sign_of_life_is_not_renewed_any_more_and_loses_at_safe_until(void **state)
{
    (void)state;
    story("A opens 9 heartbeat 4000");
    story("A locks x");
    story("wait 3900"); /* renewed at a third of the TTL, for 9 s from 4000 on */
    assert_false(session_gated(a()));
    story("wait 200");
    assert_true(session_gated(a()));
    assert_true(lock_held(story_lock("A", "x"), fake_now()));
    tn_ms until = session_safe_until(a());
    story("wait 20000");
    assert_int_equal(session_state(a()), SESSION_LOST);
    assert_false(lock_held(story_lock("A", "x"), fake_now()));
    assert_true(until < 13000);
    assert_non_null(strstr(session_why(a())->text, "no sign of life for over 4000 ms"));
}

static void who_gives_signs_of_life_is_renewed_for_ever(void **state)
{
    (void)state;
    story("A opens 9 heartbeat 4000");
    story("wait 5");
    for (int i = 0; i < 40; i++) {
        story("A beats");
        story("wait 3000");
        assert_false(session_gated(a()));
    }
    assert_int_equal(session_state(a()), SESSION_ALIVE);
}

static void a_beat_before_safe_until_opens_the_gate_again(void **state)
{
    (void)state;
    story("A opens 9 heartbeat 4000");
    story("wait 11000"); /* close to safe-until */
    assert_true(session_gated(a()));
    tn_ms until = session_safe_until(a());
    story("A beats");
    assert_false(session_gated(a()));
    story("wait 100");
    assert_true(session_safe_until(a()) > until);
    story("wait 3000");
    assert_int_equal(session_state(a()), SESSION_ALIVE);
}

static void a_beat_after_safe_until_revives_nothing(void **state)
{
    (void)state;
    story("A opens 9 heartbeat 4000");
    story("wait 30000");
    story("A beats");
    story("wait 1000");
    assert_int_equal(session_state(a()), SESSION_LOST);
}

static void without_a_heartbeat_there_is_no_gate(void **state)
{
    (void)state;
    struct session_options opt = {.heartbeat_ms = -1};
    struct session *s = NULL;
    struct tenure_error err;
    assert_int_equal(session_open(fake_client("Q"), &opt, NULL, NULL, fake_now(), &s, &err), TENURE_EINVALID);
    story("A opens 9");
    story("wait 60000");
    assert_false(session_gated(a()));
    story("A beats");
    assert_int_equal(session_state(a()), SESSION_ALIVE);
}

/* ---- leaving ---- */

static void leaving_keeps_the_lease_and_its_keys_for_a_successor(void **state)
{
    (void)state;
    char sentence[64];
    story("A opens 9");
    story("A locks x");
    story("wait 5");
    tn_lease lease = session_lease(a());
    story_take();
    story("A leaves");
    assert_false(lock_held(story_lock("A", "x"), fake_now()));
    assert_int_equal(fake_leases(), 1);
    assert_int_equal(fake_keys(), 1);
    story("wait 5");
    const char *text = story_take();
    assert_non_null(strstr(text, "A loses x: session left\n"));
    assert_non_null(strstr(text, "A is closed\n"));
    story("A leaves"); /* once more: nothing */
    story("A closes");
    snprintf(sentence, sizeof sentence, "B opens 9 lease %llx", (unsigned long long)lease);
    story(sentence);
    story("wait 5000");
    assert_int_equal(session_state(story_session("B")), SESSION_ALIVE);
    assert_int_equal(fake_keys(), 1);
}

static void what_was_left_ends_by_itself_when_nobody_comes(void **state)
{
    (void)state;
    story("A opens 9");
    story("wait 5");
    story("A leaves");
    story("wait 8000");
    assert_int_equal(fake_leases(), 1);
    story("wait 5000");
    assert_int_equal(fake_leases(), 0);
}

static void leaving_what_is_not_granted_yet_closes_it(void **state)
{
    (void)state;
    story("A opens 9");
    story("A leaves");
    story("wait 100");
    assert_int_equal(fake_leases(), 0);
    assert_int_equal(session_state(a()), SESSION_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_margin_is_a_quarter_second_and_a_hundredth_of_the_ttl),
        TEST(safe_until_counts_from_the_sending_of_the_grant),
        TEST(safe_until_counts_from_the_sending_of_the_renewal),
        TEST(it_is_valid_up_to_safe_until_and_not_at_it_even_before_a_tick),
        TEST(an_answer_that_comes_after_safe_until_is_not_heard),
        TEST(an_answer_that_is_read_after_safe_until_does_not_revive_it),
        TEST(a_lease_that_is_gone_ends_it_at_the_next_renewal),
        TEST(a_grant_that_took_as_long_as_the_lease_lives_is_renewed_before_it_is_believed),
        TEST(a_lease_of_somebody_else_with_the_same_id_is_not_taken),
        TEST(a_start_without_a_server_fails_at_its_deadline_and_tells_why),
        TEST(a_start_that_failed_revokes_what_may_have_been_granted),
        TEST(a_grant_that_is_held_back_is_asked_for_again_in_time),
        TEST(a_start_that_is_refused_now_and_then_goes_on),
        TEST(closing_revokes_the_lease),
        TEST(a_close_that_is_foreseen_revokes_along_with_what_was_sent),
        TEST(a_foreseen_close_that_comes_late_has_nothing_to_do),
        TEST(a_foreseen_close_that_was_not_answered_revokes_again),
        TEST(a_foreseen_close_that_does_not_come_is_a_loss_in_time),
        TEST(freed_with_a_foreseen_close_leaves_no_lease),
        TEST(closing_while_it_starts_revokes_what_was_granted),
        TEST(closing_while_it_starts_does_not_revoke_before_the_grant),
        TEST(closing_while_a_grant_is_not_answered_revokes_it_a_little_later),
        TEST(closing_finds_a_lease_that_is_granted_late),
        TEST(closing_between_two_tries_finds_a_lease_that_is_granted_late),
        TEST(closing_before_anything_was_sent_is_done_at_once),
        TEST(freed_while_it_closes_from_its_start_leaves_no_lease),
        TEST(closing_without_a_server_ends_with_its_error),
        TEST(a_lost_session_can_be_closed_to_be_rid_of_its_lease),
        TEST(a_lease_that_is_known_to_be_gone_is_not_revoked),
        TEST(options_that_cannot_be_are_refused),
        TEST(a_server_that_grants_for_ever_is_not_believed_beyond_the_limit),
        TEST(it_can_be_freed_in_each_of_its_callbacks),
        TEST(it_is_suspended_when_two_thirds_of_the_ttl_are_unanswered_and_answered_again),
        TEST(a_loss_follows_a_suspension_and_is_the_last_word),
        TEST(a_loss_says_what_the_renewals_were_refused_with),
        TEST(who_gives_no_sign_of_life_is_not_renewed_any_more_and_loses_at_safe_until),
        TEST(who_gives_signs_of_life_is_renewed_for_ever),
        TEST(a_beat_before_safe_until_opens_the_gate_again),
        TEST(a_beat_after_safe_until_revives_nothing),
        TEST(without_a_heartbeat_there_is_no_gate),
        TEST(leaving_keeps_the_lease_and_its_keys_for_a_successor),
        TEST(what_was_left_ends_by_itself_when_nobody_comes),
        TEST(leaving_what_is_not_granted_yet_closes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
