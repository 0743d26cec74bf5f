/* The lock: what its calls answer at each point, and what stories on whole processes do not show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <string.h>

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

static struct lock *x(const char *who)
{
    return story_lock(who, "x");
}

static enum lock_state state_of(const char *who)
{
    return lock_state(x(who));
}

static void it_goes_through_its_states(void **state)
{
    (void)state;
    story("A opens 10");
    story("B opens 10");
    story("wait 5");
    story("A locks x");
    assert_int_equal(state_of("A"), LOCK_ENTERING);
    story("wait 2");
    assert_int_equal(state_of("A"), LOCK_HELD);
    story("A locks x#2");
    assert_int_equal(lock_state(story_lock("A", "x#2")), LOCK_QUEUED);
    story("B locks x");
    story("wait 2");
    assert_int_equal(state_of("B"), LOCK_WAITING);
    story("A releases x");
    assert_int_equal(state_of("A"), LOCK_RELEASING);
    story("wait 2");
    assert_int_equal(state_of("A"), LOCK_IDLE);
    assert_int_equal(state_of("B"), LOCK_VERIFYING);
    story("wait 2");
    assert_int_equal(state_of("B"), LOCK_HELD);
    story("cut B");
    story("wait 20000");
    assert_int_equal(state_of("B"), LOCK_LOST);
}

static void the_token_and_the_key_are_there_while_it_is_held(void **state)
{
    (void)state;
    char key[64];
    struct kv kv;
    story("A opens 10");
    story("A locks x");
    assert_int_equal(lock_token(x("A")), 0);
    assert_int_equal(lock_key(x("A")).len, 0);
    story("wait 5");
    snprintf(key, sizeof key, "/locks/x/%llx", (unsigned long long)session_lease(story_session("A")));
    assert_true(bytes_equal(lock_key(x("A")), bytes_str(key)));
    assert_true(fake_get(bytes_str(key), &kv));
    assert_int_equal(lock_token(x("A")), kv.create_revision);
    assert_true(bytes_equal(kv.value, bytes_str("A")));
    assert_int_equal(kv.lease, session_lease(story_session("A")));
    story("A releases x");
    assert_int_equal(lock_token(x("A")), 0);
}

static void release_ends_held_at_once(void **state)
{
    (void)state;
    story("A opens 10");
    story("A locks x");
    story("wait 5");
    assert_true(lock_held(x("A"), fake_now()));
    story("A releases x");
    assert_false(lock_held(x("A"), fake_now()));
}

static void it_is_not_held_from_safe_until_on_even_before_a_tick_L2(void **state)
{
    (void)state;
    story("A opens 10");
    story("A locks x");
    story("wait 5");
    tn_ms until = session_safe_until(story_session("A"));
    assert_true(lock_held(x("A"), until - 1));
    assert_false(lock_held(x("A"), until));
    assert_int_equal(state_of("A"), LOCK_HELD);
}

/* The predecessor goes, the verification is sent, and then the own key goes: the answer says so (M6). The event that tells
 * of it is slower. */
static void a_verification_that_does_not_find_the_own_key_is_no_success_M6(void **state)
{
    (void)state;
    story("A opens 10");
    story("B opens 10");
    story("A locks x");
    story("wait 5");
    story("B locks x");
    story("wait 5");
    story("A releases x");
    story("wait 2");
    assert_int_equal(state_of("B"), LOCK_VERIFYING);
    fake_slow_watches(story_client("B"), 1000);
    story("delete B x");
    story("wait 5");
    assert_int_equal(story_last_code("B", "x"), TENURE_ELOST);
    assert_int_equal(state_of("B"), LOCK_LOST);
}

/* So many keys of longer names stand before the own one that they hide the one that counts. */
static void keys_that_do_not_count_do_not_hide_the_holder(void **state)
{
    (void)state;
    char key[32];
    story("A opens 10");
    story("B opens 10");
    story("A locks x");
    story("wait 5");
    story("lose reply of B");
    story("B locks x");
    story("wait 0");
    for (int i = 0; i < 20; i++) { /* before B's request arrives */
        snprintf(key, sizeof key, "/locks/x/y/%d", i);
        fake_put(key, "", 0);
    }
    story("wait 200");
    assert_int_equal(state_of("B"), LOCK_WAITING);
    story("A releases x");
    story("wait 10");
    assert_int_equal(state_of("B"), LOCK_HELD);
}

static void a_release_wakes_one_waiter_only_M8(void **state)
{
    (void)state;
    char sentence[32];
    story("A opens 1000");
    story("A locks x");
    story("wait 5");
    for (int i = 0; i < 20; i++) {
        snprintf(sentence, sizeof sentence, "W%d opens 1000", i);
        story(sentence);
        snprintf(sentence, sizeof sentence, "W%d locks x", i);
        story(sentence);
        story("wait 5");
    }
    unsigned wakes = fake_wakes(), requests = fake_requests();
    story("A releases x");
    story("wait 100");
    assert_int_equal(state_of("W0"), LOCK_HELD);
    assert_int_equal(fake_wakes() - wakes, 1);
    assert_int_equal(fake_requests() - requests, 2); /* the release, the verification */
}

static void uncontended_it_costs_one_request_to_get_and_one_to_free(void **state)
{
    (void)state;
    story("A opens 1000");
    story("wait 5");
    unsigned requests = fake_requests(), watches = fake_watches_started();
    story("A locks x");
    story("wait 5");
    assert_int_equal(fake_requests() - requests, 1);
    story("A releases x");
    story("wait 5");
    assert_int_equal(fake_requests() - requests, 2);
    assert_int_equal(fake_watches_started() - watches, 0);
}

static void tokens_grow_however_often_it_changes_hands_M2(void **state)
{
    (void)state;
    story("A opens 1000");
    story("B opens 1000");
    for (int i = 0; i < 50; i++) { /* the story compares the tokens */
        story("A locks x");
        story("B locks x");
        story("wait 10");
        story(state_of("A") == LOCK_HELD ? "A releases x" : "B releases x");
        story("wait 10");
        story(state_of("A") == LOCK_HELD ? "A releases x" : "B releases x");
        story("wait 10");
    }
    assert_int_equal(story_acquired(), 100);
}

static void an_object_is_used_again_only_when_its_end_was_told(void **state)
{
    (void)state;
    struct tenure_error err;
    story("A opens 10");
    story("A locks x");
    assert_int_equal(lock_acquire(x("A"), fake_now(), &err), TENURE_EBUSY);
    story("A cancels x");
    assert_int_equal(state_of("A"), LOCK_IDLE);
    assert_int_equal(lock_acquire(x("A"), fake_now(), &err), TENURE_EBUSY);
    story("wait 5");
    assert_int_equal(story_last_code("A", "x"), TENURE_ECANCELLED);
    story("A locks x");
    story("wait 10");
    assert_int_equal(state_of("A"), LOCK_HELD);
}

static void the_next_acquire_of_the_same_name_waits_until_the_last_is_undone(void **state)
{
    (void)state;
    story("A opens 10");
    story("wait 5");
    story("A locks x");
    story("A cancels x");
    story("A locks x#2");
    assert_int_equal(lock_state(story_lock("A", "x#2")), LOCK_QUEUED);
    story("wait 10");
    assert_int_equal(lock_state(story_lock("A", "x#2")), LOCK_HELD);
}

static void a_lost_object_is_not_used_again(void **state)
{
    (void)state;
    struct tenure_error err;
    story("A opens 10");
    story("A locks x");
    story("wait 5");
    story("A closes");
    story("wait 5");
    assert_int_equal(state_of("A"), LOCK_LOST);
    assert_int_equal(lock_acquire(x("A"), fake_now(), &err), TENURE_ELOST);
    struct lock *l = NULL;
    assert_int_equal(lock_new(story_session("A"), "y", NULL, NULL, NULL, &l, &err), TENURE_ELOST);
    assert_null(l);
}

static void a_lock_outlives_its_session_without_harm(void **state)
{
    (void)state;
    struct tenure_error err;
    struct lock *l;
    story("A opens 10");
    story("wait 5");
    assert_int_equal(lock_new(story_session("A"), "y", NULL, NULL, NULL, &l, &err), 0);
    assert_int_equal(lock_acquire(l, fake_now(), &err), 0);
    story("A drops");
    assert_int_equal(lock_state(l), LOCK_LOST);
    assert_false(lock_held(l, fake_now()));
    assert_int_equal(lock_acquire(l, fake_now(), &err), TENURE_ELOST);
    lock_release(l, fake_now());
    lock_cancel(l, fake_now());
    lock_tick(l, fake_now());
    assert_int_equal(lock_deadline(l), TN_MS_NEVER);
    lock_free(l);
    assert_null(lock_free(NULL));
}

static void options_and_names_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct tenure_error err;
    struct lock *l = NULL;
    static uint8_t much[100000];
    story("A opens 10");
    struct session *s = story_session("A");
    assert_int_equal(lock_new(s, "", NULL, NULL, NULL, &l, &err), TENURE_EINVALID);
    assert_int_equal(lock_new(s, NULL, NULL, NULL, NULL, &l, &err), TENURE_EINVALID);
    assert_int_equal(lock_new(s, "/x", NULL, NULL, NULL, &l, &err), TENURE_EINVALID);
    assert_int_equal(lock_new(s, "x/", NULL, NULL, NULL, &l, &err), TENURE_EINVALID);
    assert_int_equal(lock_new(s, "x", &(struct lock_options){.wait_ms = -1}, NULL, NULL, &l, &err), TENURE_EINVALID);
    assert_int_equal(
        lock_new(s, "x", &(struct lock_options){.value = bytes_of(much, sizeof much)}, NULL, NULL, &l, &err),
        TENURE_EINVALID);
    assert_null(l);
}

static void any_path_can_be_a_lock_with_an_empty_prefix(void **state)
{
    (void)state;
    struct tenure_error err;
    struct lock *l;
    story("A opens 10");
    story("wait 5");
    assert_int_equal(
        lock_new(story_session("A"), "/my/own", &(struct lock_options){.prefix = ""}, NULL, NULL, &l, &err), 0);
    assert_int_equal(lock_acquire(l, fake_now(), &err), 0);
    story("wait 5");
    assert_true(lock_held(l, fake_now()));
    assert_true(bytes_has_prefix(lock_key(l), bytes_str("/my/own/")));
    lock_free(l);
    story("wait 5");
    assert_int_equal(fake_keys(), 0);
}

static void the_own_key_on_a_strange_lease_is_left_alone(void **state)
{
    (void)state;
    char key[64];
    story("A opens 10");
    story("wait 5");
    snprintf(key, sizeof key, "/locks/x/%llx", (unsigned long long)session_lease(story_session("A")));
    fake_put(key, "", 0);
    story("A locks x");
    story("wait 10");
    assert_int_equal(story_last_code("A", "x"), TENURE_ECONFLICT);
    assert_true(fake_get(bytes_str(key), &(struct kv){0}));
}

static void a_fence_that_somebody_deletes_does_no_harm(void **state)
{
    (void)state;
    struct kv kv;
    story("A opens 100");
    story("wait 5");
    story("lose reply of A");
    story("A locks x");
    story("wait 100");
    story("A releases x");
    story("wait 5");
    assert_true(fake_key(0, &kv));
    fake_delete(kv.key);
    story("A locks x");
    story("wait 100");
    assert_int_equal(state_of("A"), LOCK_HELD);
    story("A releases x");
    story("wait 5");
    story("lose reply of A");
    story("A locks x");
    story("wait 100");
    assert_true(fake_key(0, &kv));
    story("A releases x");
    story("wait 5");
    assert_true(fake_key(0, &kv));
    fake_delete(kv.key);
    story("lose reply of A");
    story("A locks x");
    story("A cancels x");
    story("wait 200");
    story("queue x");
    story("A locks x");
    story("wait 100");
    assert_int_equal(state_of("A"), LOCK_HELD);
}

static struct kv the_fence(void)
{
    struct kv kv = {0};
    for (size_t i = 0; fake_key(i, &kv); i++)
        if (memchr(kv.key.data, 0, kv.key.len))
            return kv;
    fail_msg("there is no fence");
    return kv;
}

/* The place is in doubt, so leaving it moves the fence; but the fence is gone. The key must go all the same. */
static void a_place_in_doubt_is_undone_without_its_fence_too(void **state)
{
    (void)state;
    story("A opens 100");
    story("wait 5");
    for (int i = 0; i < 2; i++) {
        story("lose reply of A");
        story("A locks x");
        story("wait 100");
        assert_int_equal(state_of("A"), LOCK_HELD);
        if (i == 1)
            fake_delete(the_fence().key);
        story("A releases x");
        story("wait 10");
    }
    assert_int_equal(state_of("A"), LOCK_IDLE);
    story_take();
    story("queue x");
    assert_non_null(strstr(story_take(), "x: nobody"));
}

static void an_answer_that_is_not_one_ends_the_acquire_and_leaves_no_key_M7(void **state)
{
    (void)state;
    story("A opens 100");
    story("wait 5");
    story("garble reply of A");
    story("A locks x");
    story("wait 100");
    assert_int_equal(story_last_code("A", "x"), TENURE_EPROTOCOL);
    story_take();
    story("queue x");
    assert_non_null(strstr(story_take(), "x: nobody"));
}

static void one_can_wait_as_long_as_a_number_can_say(void **state)
{
    (void)state;
    story("A opens 100");
    story("B opens 100");
    story("A locks x");
    story("wait 5");
    story("B locks x within 9223372036854775807");
    story("wait 10000");
    assert_int_equal(state_of("B"), LOCK_WAITING);
}

static void the_fence_is_remembered_when_nobody_names_the_lock(void **state)
{
    (void)state;
    story("A opens 100");
    story("wait 5");
    story("lose reply of A");
    story("A locks x");
    story("wait 100");
    story("A releases x");
    story("wait 5");
    story("A frees x");
    story("A locks x");
    story("wait 2");
    assert_int_equal(state_of("A"), LOCK_HELD);
}

static void ticking_the_lock_alone_is_enough_for_its_own_deadline(void **state)
{
    (void)state;
    struct tenure_error err;
    struct lock *l;
    story("A opens 100");
    story("B opens 100");
    story("B locks y");
    story("wait 5");
    fake_remove_ticker(story_session("A"));
    assert_int_equal(lock_new(story_session("A"), "y", &(struct lock_options){.wait_ms = 300}, NULL, NULL, &l, &err),
                     0);
    assert_int_equal(lock_acquire(l, fake_now(), &err), 0);
    assert_int_equal(lock_deadline(l), fake_now() + 300);
    story("wait 300");
    assert_int_equal(lock_state(l), LOCK_WAITING);
    lock_tick(l, fake_now());
    assert_int_equal(lock_state(l), LOCK_IDLE);
    lock_free(l);
}

/* ---- callbacks that turn the ground under them ---- */

struct holder {
    struct session *session;
    struct lock *first, *second;
    int first_code, second_code, lost;
};

static void close_the_session(void *user, int code, int64_t token, const struct tenure_error *error)
{
    (void)token;
    (void)error;
    struct holder *h = user;
    h->first_code = code;
    session_close(h->session, fake_now());
}

static void note_second(void *user, int code, int64_t token, const struct tenure_error *error)
{
    (void)token;
    (void)error;
    struct holder *h = user;
    h->second_code = code;
}

static void note_lost(void *user, const struct tenure_error *why)
{
    (void)why;
    struct holder *h = user;
    h->lost++;
}

static tn_ms due(const void *s)
{
    return session_deadline(s);
}

static void tick(void *s, tn_ms now)
{
    session_tick(s, now);
}

static void open_two(struct client *c, struct holder *h, const struct lock_callbacks *first,
                     const struct lock_callbacks *second)
{
    struct tenure_error err;
    *h = (struct holder){.first_code = 1, .second_code = 1};
    assert_int_equal(session_open(c, NULL, NULL, NULL, fake_now(), &h->session, &err), 0);
    fake_add_ticker(c, due, tick, h->session);
    assert_int_equal(lock_new(h->session, "one", NULL, first, h, &h->first, &err), 0);
    assert_int_equal(lock_new(h->session, "two", NULL, second, h, &h->second, &err), 0);
    assert_int_equal(lock_acquire(h->first, fake_now(), &err), 0);
    assert_int_equal(lock_acquire(h->second, fake_now(), &err), 0);
}

static void close_two(struct holder *h)
{
    fake_remove_ticker(h->session);
    lock_free(h->first);
    lock_free(h->second);
    session_free(h->session);
}

/* The grant's answer is slow: the locks that went out with it are first, both, when the lease is known at last. */
static enum fake_fault slow_is_the_first(void *user, struct client *c, unsigned n, const char *what)
{
    (void)user;
    (void)c;
    (void)what;
    return n == 0 ? FAKE_SLOW : FAKE_FINE;
}

/* Both are held at the same moment; the first one's user closes the session: the second must not be told "held". */
static void nobody_is_told_held_who_is_not_any_more(void **state)
{
    (void)state;
    struct holder h;
    fake_set_judge(slow_is_the_first, NULL);
    struct lock_callbacks first = {.on_acquired = close_the_session, .on_lost = note_lost},
                          second = {.on_acquired = note_second, .on_lost = note_lost};
    open_two(fake_client("Q"), &h, &first, &second);
    fake_run(200);
    assert_int_equal(h.first_code, 0);
    assert_int_equal(h.second_code, TENURE_ELOST);
    assert_int_equal(h.lost, 1);
    close_two(&h);
}

static void free_the_second(void *user, int code, int64_t token, const struct tenure_error *error)
{
    (void)token;
    (void)error;
    struct holder *h = user;
    h->first_code = code;
    h->second = lock_free(h->second);
}

static void free_both(void *user, const struct tenure_error *why)
{
    struct holder *h = user;
    note_lost(h, why);
    h->first = lock_free(h->first);
    h->second = lock_free(h->second);
}

static void free_all(void *user, const struct tenure_error *why)
{
    struct holder *h = user;
    free_both(h, why);
    fake_remove_ticker(h->session);
    h->session = session_free(h->session);
}

static void a_callback_may_free_another_lock(void **state)
{
    (void)state;
    struct holder h;
    struct lock_callbacks first = {.on_acquired = free_the_second}, second = {.on_acquired = note_second};
    open_two(fake_client("Q"), &h, &first, &second);
    fake_run(10);
    assert_int_equal(h.first_code, 0);
    assert_int_equal(h.second_code, 1);
    assert_int_equal(fake_keys(), 1);
    close_two(&h);
}

static void a_callback_may_free_all_locks(void **state)
{
    (void)state;
    struct holder h;
    struct client *c = fake_client("Q");
    struct lock_callbacks cb = {.on_lost = free_both};
    open_two(c, &h, &cb, &cb);
    fake_run(10);
    fake_cut(c, true);
    fake_run(20000);
    assert_int_equal(h.lost, 1);
    assert_int_equal(session_state(h.session), SESSION_LOST);
    close_two(&h);
}

static void a_callback_may_free_the_session_too(void **state)
{
    (void)state;
    struct holder h;
    struct client *c = fake_client("Q");
    struct lock_callbacks cb = {.on_lost = free_all};
    open_two(c, &h, &cb, &cb);
    fake_run(10);
    fake_cut(c, true);
    fake_run(20000);
    assert_int_equal(h.lost, 1);
    assert_null(h.session);
    fake_cut(c, false);
}

static void begin_again(void *user, int code)
{
    struct holder *h = user;
    struct tenure_error err;
    assert_int_equal(code, 0);
    h->lost++;
    assert_int_equal(lock_acquire(h->first, fake_now(), &err), 0);
}

static void a_callback_may_acquire_again(void **state)
{
    (void)state;
    struct holder h;
    struct lock_callbacks first = {.on_released = begin_again}, second = {0};
    open_two(fake_client("Q"), &h, &first, &second);
    fake_run(10);
    int64_t token = lock_token(h.first);
    lock_release(h.first, fake_now());
    fake_run(10);
    assert_true(lock_token(h.first) > token);
    close_two(&h);
}

/* The request to enter overtakes the grant, and its refusal is overtaken by the grant's answer. */
static enum fake_fault out_of_order(void *user, struct client *c, unsigned n, const char *what)
{
    (void)user;
    (void)c;
    (void)what;
    return n == 0 ? FAKE_OVERTAKEN : n == 1 ? FAKE_SLOW : FAKE_FINE;
}

static void a_request_that_overtakes_its_grant_is_sent_again(void **state)
{
    (void)state;
    fake_set_judge(out_of_order, NULL);
    story("A opens 10");
    story("A locks x");
    story("wait 50");
    assert_int_equal(session_state(story_session("A")), SESSION_ALIVE);
    assert_int_equal(state_of("A"), LOCK_HELD);
}

/* Of an acquire that is given up: its undoing overtakes the grant and the request to enter, and its refusal is overtaken by the
 * grant's answer. */
static enum fake_fault undone_too_early(void *user, struct client *c, unsigned n, const char *what)
{
    (void)user;
    (void)c;
    (void)what;
    return n < 2 ? FAKE_OVERTAKEN : n == 2 ? FAKE_SLOW : FAKE_FINE;
}

static size_t places(void)
{
    size_t n = 0;
    struct kv kv;
    for (size_t i = 0; fake_key(i, &kv); i++)
        n += kv.key.len > 9 && memcmp(kv.key.data, "/locks/x/", 9) == 0;
    return n;
}

static void an_undoing_that_overtakes_the_grant_is_sent_again_M7(void **state)
{
    (void)state;
    fake_set_judge(undone_too_early, NULL);
    story("A opens 10");
    story("A locks x");
    story("A cancels x");
    story("wait 50");
    assert_int_equal(session_state(story_session("A")), SESSION_ALIVE);
    assert_int_equal(places(), 0);
    story("A closes");
    story("wait 50");
    assert_int_equal(fake_leases(), 0);
}

/* The lock entered under a grant whose answer was lost; that lease ran out, and the grant was repeated under its id: the key
 * that was seen is gone (M6). */
static void what_was_entered_under_an_earlier_life_of_the_lease_is_asked_for_again_M6(void **state)
{
    (void)state;
    struct kv kv;
    story("lose reply of A");
    story("A opens 2");
    story("A locks x");
    story("wait 3");
    story("cut A");
    story("wait 3000");
    assert_int_equal(fake_keys(), 0);
    story("restore A");
    for (int ms = 0; ms < 1000; ms++) {
        story("wait 1");
        if (lock_held(x("A"), fake_now()))
            assert_true(fake_get(lock_key(x("A")), &kv));
    }
}

static void the_losses_come_in_the_order_of_creation(void **state)
{
    (void)state;
    story("A opens 10");
    story("A locks z");
    story("A locks y");
    story("A locks x");
    story("wait 10");
    story_take();
    story("A closes");
    story("wait 1");
    assert_string_equal(story_take(), "[ 1010] A loses z: session closed\n"
                                      "[ 1010] A loses y: session closed\n"
                                      "[ 1010] A loses x: session closed\n");
}

static void believing_without_asking_is_found_out(void **state)
{
    (void)state;
    story_tolerate();
    story("skip verify");
    story("A opens 10");
    story("B opens 10");
    story("C opens 10");
    story("A locks x");
    story("wait 5");
    story("B locks x");
    story("wait 5");
    story("C locks x");
    story("wait 5");
    story("B cancels x"); /* C's predecessor goes, but A holds */
    story("wait 10");
    assert_true(story_violations() > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_goes_through_its_states),
        TEST(the_token_and_the_key_are_there_while_it_is_held),
        TEST(release_ends_held_at_once),
        TEST(it_is_not_held_from_safe_until_on_even_before_a_tick_L2),
        TEST(a_verification_that_does_not_find_the_own_key_is_no_success_M6),
        TEST(keys_that_do_not_count_do_not_hide_the_holder),
        TEST(a_release_wakes_one_waiter_only_M8),
        TEST(uncontended_it_costs_one_request_to_get_and_one_to_free),
        TEST(tokens_grow_however_often_it_changes_hands_M2),
        TEST(an_object_is_used_again_only_when_its_end_was_told),
        TEST(the_next_acquire_of_the_same_name_waits_until_the_last_is_undone),
        TEST(a_lost_object_is_not_used_again),
        TEST(a_lock_outlives_its_session_without_harm),
        TEST(options_and_names_that_cannot_be_are_refused),
        TEST(any_path_can_be_a_lock_with_an_empty_prefix),
        TEST(the_own_key_on_a_strange_lease_is_left_alone),
        TEST(a_fence_that_somebody_deletes_does_no_harm),
        TEST(a_place_in_doubt_is_undone_without_its_fence_too),
        TEST(an_answer_that_is_not_one_ends_the_acquire_and_leaves_no_key_M7),
        TEST(one_can_wait_as_long_as_a_number_can_say),
        TEST(the_fence_is_remembered_when_nobody_names_the_lock),
        TEST(ticking_the_lock_alone_is_enough_for_its_own_deadline),
        TEST(nobody_is_told_held_who_is_not_any_more),
        TEST(a_callback_may_free_another_lock),
        TEST(a_callback_may_free_all_locks),
        TEST(a_callback_may_free_the_session_too),
        TEST(a_callback_may_acquire_again),
        TEST(a_request_that_overtakes_its_grant_is_sent_again),
        TEST(an_undoing_that_overtakes_the_grant_is_sent_again_M7),
        TEST(what_was_entered_under_an_earlier_life_of_the_lease_is_asked_for_again_M6),
        TEST(the_losses_come_in_the_order_of_creation),
        TEST(believing_without_asking_is_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
