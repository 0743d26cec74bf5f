/* Elections and observers: what stories on whole processes do not show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "recipes/proclaim.h"
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

static struct election *e(const char *who)
{
    return story_election(who);
}

static void it_goes_through_its_states(void **state)
{
    (void)state;
    story("A campaigns n red");
    assert_int_equal(election_state(e("A")), ELECTION_CAMPAIGNING);
    assert_int_equal(election_safe_until(e("A")), 0);
    assert_int_equal(election_token(e("A")), 0);
    story("wait 5");
    assert_int_equal(election_state(e("A")), ELECTION_LEADING);
    assert_int_equal(election_safe_until(e("A")), 1000 + 10000 - 350);
    assert_int_equal(election_token(e("A")), 2);
    assert_true(election_lease(e("A")) > 0);
    story("A resigns");
    assert_int_equal(election_state(e("A")), ELECTION_RESIGNING);
    story("A resigns"); /* once more: nothing */
    story("wait 10");
    assert_null(e("A"));
}

static void the_key_carries_the_proposal(void **state)
{
    (void)state;
    struct kv kv;
    story("A campaigns n red");
    story("wait 5");
    assert_true(fake_get(election_key(e("A")), &kv));
    assert_true(bytes_has_prefix(kv.key, bytes_str("/election/n/")));
    assert_true(bytes_equal(kv.value, bytes_str("red")));
    assert_int_equal(kv.create_revision, election_token(e("A")));
    assert_int_equal(kv.lease, election_lease(e("A")));
}

static void it_does_not_lead_from_safe_until_on_even_before_a_tick_L2(void **state)
{
    (void)state;
    story("A campaigns n red");
    story("wait 5");
    assert_true(election_leads(e("A"), election_safe_until(e("A")) - 1));
    assert_false(election_leads(e("A"), election_safe_until(e("A"))));
}

static void leading_ends_with_the_call_to_stop(void **state)
{
    (void)state;
    story("A campaigns n red");
    story("wait 5");
    story("A resigns");
    assert_false(election_leads(e("A"), fake_now()));
    assert_string_equal(story_take(), "[ 1002] A leads n, token 2\n");
    story("wait 0"); /* and it is told, with no reason, before the answer */
    assert_string_equal(story_take(), "[ 1005] A leads n no more\n");
}

static void stopping_in_the_queue_leaves_no_key_and_no_lease_M7(void **state)
{
    (void)state;
    story("A campaigns n red");
    story("wait 5");
    story("B campaigns n blue");
    story("wait 5");
    story("B resigns");
    story("wait 5");
    assert_null(e("B"));
    assert_int_equal(fake_keys(), 1);
    assert_int_equal(fake_leases(), 1);
}

static void stopping_at_any_moment_ends_once_and_leaves_nothing(void **state)
{
    (void)state;
    for (int ms = 0; ms < 12; ms++) {
        char sentence[32];
        story("A campaigns n red");
        snprintf(sentence, sizeof sentence, "wait %d", ms);
        story(sentence);
        story("A resigns");
        story("wait 20");
        assert_null(e("A"));
        assert_int_equal(fake_keys(), 0);
        assert_int_equal(fake_leases(), 0);
    }
}

static void a_resign_that_cannot_be_confirmed_says_so_and_is_bounded_M5(void **state)
{
    (void)state;
    story("A campaigns n red");
    story("wait 5");
    story("cut A");
    story("A resigns");
    story_take();
    story("wait 9500");
    assert_non_null(e("A")); /* the state is kept: it may still be confirmed */
    story("wait 10000");
    assert_null(e("A"));
    assert_non_null(strstr(story_take(), "the lease ends by itself"));
}

static void after_a_loss_it_campaigns_with_a_new_session_and_a_greater_token(void **state)
{
    (void)state;
    story("A campaigns n red");
    story("wait 5");
    tn_lease lease = election_lease(e("A"));
    story("revoke A");
    story("wait 1000");
    assert_int_equal(election_state(e("A")), ELECTION_LEADING);
    assert_int_not_equal(election_lease(e("A")), lease);
    assert_true(election_token(e("A")) > 2);
}

static void the_losers_of_one_failure_do_not_come_back_as_one(void **state)
{
    (void)state;
    char sentence[40];
    story_tolerate(); /* the leader's lease goes by force */
    for (int i = 0; i < 10; i++) {
        snprintf(sentence, sizeof sentence, "C%d campaigns n v", i);
        story(sentence);
    }
    story("wait 10");
    for (int i = 0; i < 10; i++) {
        snprintf(sentence, sizeof sentence, "revoke C%d", i);
        story(sentence);
    }
    /* All learn of it within a millisecond or two, and wait 100 ms +/- 25 %: at no time more than a few at once. */
    unsigned most = 0;
    for (int ms = 0; ms < 400; ms++) {
        unsigned requests = fake_requests();
        story("wait 1");
        most = fake_requests() - requests > most ? fake_requests() - requests : most;
    }
    assert_true(most < 10);
}

static void a_proclaim_needs_leadership(void **state)
{
    (void)state;
    struct tenure_error err;
    story("A campaigns n red");
    assert_int_equal(election_proclaim(e("A"), bytes_str("v"), NULL, NULL, fake_now(), &err), TENURE_ENOTHELD);
    story("wait 5");
    assert_int_equal(election_proclaim(e("A"), bytes_str("v"), NULL, NULL, fake_now(), &err), 0);
    assert_int_equal(election_proclaim(e("A"), bytes_str("w"), NULL, NULL, fake_now(), &err), TENURE_EBUSY);
    story("wait 5");
    assert_int_equal(election_proclaim(e("A"), bytes_str("w"), NULL, NULL, fake_now(), &err), 0);
    story("wait 5");
    static uint8_t much[100000];
    assert_int_equal(election_proclaim(e("A"), bytes_of(much, sizeof much), NULL, NULL, fake_now(), &err),
                     TENURE_ETOOLARGE);
}

struct proclaimed {
    int times, code;
    enum tenure_applied applied;
};

static void on_proclaimed(void *user, const struct client_result *r)
{
    struct proclaimed *p = user;
    p->times++;
    p->code = r->code;
    p->applied = r->code ? r->error->applied : TENURE_APPLIED_YES;
}

static void a_proclaim_can_be_cancelled(void **state)
{
    (void)state;
    struct tenure_error err;
    struct kv kv;
    story("A campaigns n red");
    story("wait 5");
    for (int ms = 0; ms < 4; ms++) {
        struct proclaimed p = {0};
        char value[16];
        snprintf(value, sizeof value, "v%d", ms);
        assert_int_equal(election_proclaim(e("A"), bytes_str(value), on_proclaimed, &p, fake_now(), &err), 0);
        fake_run(ms);
        if (election_proclaiming(e("A")))
            proclaim_cancel(election_proclaiming(e("A")), fake_now());
        fake_run(20);
        assert_int_equal(p.times, 1);
        assert_true(p.code == 0 || p.code == TENURE_ECANCELLED);
        assert_null(election_proclaiming(e("A")));
        assert_true(fake_get(election_key(e("A")), &kv));
        if (p.applied != TENURE_APPLIED_MAYBE)
            assert_true(bytes_equal(kv.value, bytes_str(value)) == (p.applied == TENURE_APPLIED_YES));
        assert_true(election_leads(e("A"), fake_now()));
    }
}

static void what_was_proclaimed_is_proposed_again_after_a_loss(void **state)
{
    (void)state;
    struct kv kv;
    story("A campaigns n red");
    story("wait 5");
    story("A proclaims green");
    story("wait 5");
    story("revoke A");
    story("wait 1000");
    assert_true(fake_get(election_key(e("A")), &kv));
    assert_true(bytes_equal(kv.value, bytes_str("green")));
}

static void a_proclaim_of_one_whose_key_is_gone_is_told_that_it_does_not_lead(void **state)
{
    (void)state;
    story("A campaigns n red");
    story("wait 5");
    fake_slow_watches(story_client("A"), 1000);
    story("delete A n");
    story("A proclaims green");
    story("wait 5");
    assert_string_equal(story_take(), "[ 1002] A leads n, token 2\n"
                                      "[ 1007] A proclaimed in vain: proclaim: does not lead any more\n");
}

static void a_proclaim_under_way_is_told_its_end_when_the_election_is_over(void **state)
{
    (void)state;
    story("A campaigns n red");
    story("wait 5");
    story("A proclaims green");
    story("A forgets its election");
    story_take();
    story("wait 5");
    assert_non_null(strstr(story_take(), "A proclaimed"));
}

static void a_proposal_that_a_stranger_overwrote_is_put_again(void **state)
{
    (void)state;
    struct kv kv;
    char key[64];
    story("A campaigns n red");
    story("wait 5");
    snprintf(key, sizeof key, "%.*s", (int)election_key(e("A")).len, (const char *)election_key(e("A")).data);
    fake_put(key, "graffiti", election_lease(e("A")));
    story("A proclaims green");
    story("wait 10");
    assert_true(fake_get(bytes_str(key), &kv));
    assert_true(bytes_equal(kv.value, bytes_str("green")));
    assert_int_equal(kv.create_revision, election_token(e("A")));
}

static void options_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct tenure_error err;
    struct election *none = NULL;
    struct observer *nothing = NULL;
    static uint8_t much[100000];
    struct client *c = fake_client("Q");
    assert_int_equal(election_start(c, "", NULL, NULL, NULL, fake_now(), &none, &err), TENURE_EINVALID);
    assert_int_equal(election_start(c, "n/", NULL, NULL, NULL, fake_now(), &none, &err), TENURE_EINVALID);
    assert_int_equal(
        election_start(c, "n", &(struct election_options){.ttl_s = 1}, NULL, NULL, fake_now(), &none, &err),
        TENURE_EINVALID);
    assert_int_equal(
        election_start(c, "n", &(struct election_options){.wait_ms = -1}, NULL, NULL, fake_now(), &none, &err),
        TENURE_EINVALID);
    assert_int_equal(election_start(c, "n", &(struct election_options){.proposal = bytes_of(much, sizeof much)}, NULL,
                                    NULL, fake_now(), &none, &err),
                     TENURE_ETOOLARGE);
    assert_int_equal(observer_start(c, "n/", NULL, NULL, NULL, fake_now(), &nothing, &err), TENURE_EINVALID);
    assert_null(none);
    assert_null(nothing);
    assert_null(election_free(NULL));
    assert_null(observer_stop(NULL, fake_now()));
}

/* ---- the note beside the key ---- */

static struct election *noted;
static int noted_gained, noted_code;

static void noted_on_gained(void *user, int64_t token)
{
    (void)user, (void)token;
    noted_gained++;
}

static void noted_on_stopped(void *user, int code, const struct tenure_error *error)
{
    (void)user, (void)error;
    noted_code = code;
}

static tn_ms noted_deadline(const void *p)
{
    (void)p;
    return noted ? election_deadline(noted) : TN_MS_NEVER;
}

static void noted_tick(void *p, tn_ms now)
{
    (void)p;
    if (noted)
        election_tick(noted, now);
}

static void campaign_with_note(struct client *c)
{
    static const struct election_callbacks cb = {.on_gained = noted_on_gained, .on_stopped = noted_on_stopped};
    struct election_options o = {.proposal = bytes_str("red"), .note = bytes_str("it is me")};
    noted_gained = noted_code = 0;
    fake_add_ticker(c, noted_deadline, noted_tick, &noted);
    assert_int_equal(election_start(c, "n", &o, &cb, NULL, fake_now(), &noted, NULL), 0);
}

static void end_noted(void)
{
    election_stop(noted, fake_now());
    fake_run(100);
    assert_int_equal(election_state(noted), ELECTION_STOPPED);
    noted = election_free(noted);
    fake_remove_ticker(&noted);
    assert_int_equal(fake_keys(), 0);
}

static size_t notes(void)
{
    struct kv kv;
    size_t n = 0;
    for (size_t i = 0; fake_key(i, &kv); i++)
        n += bytes_has_prefix(kv.key, bytes_of("/election/n\0who/", 16));
    return n;
}

static void the_note_stands_beside_the_key_and_goes_with_it(void **state)
{
    (void)state;
    campaign_with_note(fake_client("Q"));
    fake_run(10);
    assert_int_equal(noted_gained, 1);
    assert_int_equal(notes(), 1);
    assert_int_equal(fake_keys(), 2);
    fake_revoke(election_lease(noted)); /* lost: another one with the next campaign */
    fake_run(2000);
    assert_int_equal(noted_gained, 2);
    assert_int_equal(notes(), 1);
    end_noted();
}

static unsigned denials_left;

static enum fake_fault deny_txn(void *user, struct client *c, unsigned n, const char *what)
{
    (void)user, (void)c, (void)n;
    if (strncmp(what, "txn", 3) != 0 || denials_left == 0)
        return FAKE_FINE;
    denials_left--;
    return FAKE_DENIED;
}

static void one_who_may_not_put_the_note_campaigns_without(void **state)
{
    (void)state;
    denials_left = 1;
    fake_set_judge(deny_txn, NULL);
    campaign_with_note(fake_client("Q"));
    fake_run(50);
    assert_int_equal(noted_gained, 1);
    assert_int_equal(notes(), 0);
    fake_set_judge(NULL, NULL);
    end_noted();
}

static void one_who_may_put_neither_is_told(void **state)
{
    (void)state;
    denials_left = 1000;
    fake_set_judge(deny_txn, NULL);
    campaign_with_note(fake_client("Q"));
    fake_run(50);
    assert_int_equal(noted_gained, 0);
    assert_int_equal(noted_code, TENURE_EDENIED);
    fake_set_judge(NULL, NULL);
    end_noted();
}

/* ---- what an earlier process led ---- */

static bool judged_gone;
static int judged;

static bool judge_note(void *user, bytes note)
{
    (void)user;
    judged++;
    return judged_gone && bytes_equal(note, bytes_str("the one before"));
}

/* Of a process that is gone: its key and its note, on a lease that nobody renews. */
static tn_lease left_behind(tn_rev *ret_token)
{
    struct election *led = NULL;
    story("A opens 1000");
    struct election_options o = {
        .proposal = bytes_str("red"), .note = bytes_str("the one before"), .session = story_session("A")};
    assert_int_equal(election_start(story_client("A"), "n", &o, NULL, NULL, fake_now(), &led, NULL), 0);
    fake_run(10);
    assert_true(election_leads(led, fake_now()));
    tn_lease lease = election_lease(led);
    *ret_token = election_token(led);
    story("A leaves");
    fake_run(10);
    assert_int_equal(notes(), 1);
    election_free(led);
    return lease;
}

static void resume(tn_lease lease, tn_rev token, bool sure)
{
    static const struct election_callbacks cb = {.on_gained = noted_on_gained, .on_stopped = noted_on_stopped};
    struct election_options o = {.proposal = bytes_str("red"),
                                 .note = bytes_str("the one behind"),
                                 .resume_lease = lease,
                                 .resume_token = token,
                                 .is_gone = sure ? NULL : judge_note};
    struct client *c = fake_client("Q");
    noted_gained = noted_code = judged = 0;
    fake_add_ticker(c, noted_deadline, noted_tick, &noted);
    assert_int_equal(election_start(c, "n", &o, &cb, NULL, fake_now(), &noted, NULL), 0);
}

static void a_leadership_is_resumed_with_its_token_and_lease(void **state)
{
    (void)state;
    tn_rev token;
    tn_lease lease = left_behind(&token);
    story("B campaigns n blue");
    fake_run(50);
    judged_gone = true;
    resume(lease, token, false);
    fake_run(50);
    assert_int_equal(judged, 1);
    assert_int_equal(noted_gained, 1);
    assert_int_equal(election_token(noted), token);
    assert_int_equal(election_lease(noted), lease);
    assert_false(election_leads(e("B"), fake_now()));
    assert_int_equal(notes(), 1);
    election_stop(noted, fake_now());
    fake_run(50);
    assert_true(election_leads(e("B"), fake_now()));
    assert_int_equal(notes(), 0);
    noted = election_free(noted);
    fake_remove_ticker(&noted);
}

static void one_that_may_live_is_queued_behind_unless_the_user_knows_better(void **state)
{
    (void)state;
    tn_rev token;
    tn_lease lease = left_behind(&token);
    judged_gone = false;
    resume(lease, token, false);
    fake_run(100);
    assert_int_equal(judged, 1);
    assert_int_equal(noted_gained, 0);
    assert_int_equal(notes(), 2);
    election_stop(noted, fake_now());
    fake_run(50);
    noted = election_free(noted);
    fake_remove_ticker(&noted);
    resume(lease, token, true);
    fake_run(50);
    assert_int_equal(noted_gained, 1);
    assert_int_equal(election_token(noted), token);
    end_noted();
}

static void what_does_not_stand_is_campaigned_for(void **state)
{
    (void)state;
    tn_rev token;
    tn_lease lease = left_behind(&token);
    fake_revoke(lease);
    judged_gone = true;
    resume(lease, token, false);
    fake_run(50);
    assert_int_equal(judged, 0);
    assert_int_equal(noted_gained, 1);
    assert_true(election_token(noted) > token);
    end_noted();
}

static void the_end_of_the_lease_right_after_the_taking_leads_to_another_campaign(void **state)
{
    (void)state;
    for (int ms = 0; ms < 8; ms++) {
        tn_rev token;
        tn_lease lease = left_behind(&token);
        judged_gone = true;
        resume(lease, token, false);
        fake_run(ms);
        fake_revoke(lease);
        fake_run(20000);
        assert_true(election_leads(noted, fake_now()));
        assert_true(election_token(noted) > token);
        end_noted();
    }
}

static void stopping_at_any_moment_of_a_resume_ends_once(void **state)
{
    (void)state;
    for (int ms = 0; ms < 8; ms++) {
        tn_rev token;
        tn_lease lease = left_behind(&token);
        judged_gone = true;
        resume(lease, token, false);
        fake_run(ms);
        election_stop(noted, fake_now());
        fake_run(100);
        assert_int_equal(election_state(noted), ELECTION_STOPPED);
        noted = election_free(noted);
        fake_remove_ticker(&noted);
        fake_revoke(lease);
        fake_run(10);
        assert_int_equal(fake_keys(), 0);
    }
}

static void what_cannot_be_resumed_is_refused(void **state)
{
    (void)state;
    struct election *none = NULL;
    struct tenure_error err;
    struct client *c = fake_client("Q");
    struct election_options no_token = {.note = bytes_str("x"), .resume_lease = 7},
                            no_lease = {.note = bytes_str("x"), .resume_token = 7},
                            no_note = {.resume_lease = 7, .resume_token = 7};
    assert_int_equal(election_start(c, "n", &no_token, NULL, NULL, fake_now(), &none, &err), TENURE_EINVALID);
    assert_int_equal(election_start(c, "n", &no_lease, NULL, NULL, fake_now(), &none, &err), TENURE_EINVALID);
    assert_int_equal(election_start(c, "n", &no_note, NULL, NULL, fake_now(), &none, &err), TENURE_EINVALID);
    assert_null(none);
}

/* ---- freeing from within ---- */

static struct election *mine;
static struct client *mine_of;
static int told;

static void free_when_gained(void *user, int64_t token)
{
    (void)user;
    (void)token;
    told++;
    mine = election_free(mine);
}

static void free_when_lost(void *user, const struct tenure_error *why)
{
    (void)user;
    (void)why;
    told++;
    mine = election_free(mine);
}

static void free_when_stopped(void *user, int code, const struct tenure_error *error)
{
    (void)user;
    (void)code;
    (void)error;
    told++;
    mine = election_free(mine);
}

static tn_ms due(const void *p)
{
    (void)p;
    return mine ? election_deadline(mine) : TN_MS_NEVER;
}

static void tick(void *p, tn_ms now)
{
    (void)p;
    election_tick(mine, now);
}

static void it_can_be_freed_in_each_of_its_callbacks(void **state)
{
    (void)state;
    struct election_callbacks gained = {.on_gained = free_when_gained}, lost = {.on_lost = free_when_lost},
                              stopped = {.on_stopped = free_when_stopped};
    mine_of = fake_client("Q");
    told = 0;
    fake_add_ticker(mine_of, due, tick, &mine);
    assert_int_equal(election_start(mine_of, "n", NULL, &gained, NULL, fake_now(), &mine, NULL), 0);
    fake_run(20000);
    assert_int_equal(told, 1);
    assert_int_equal(election_start(mine_of, "n", NULL, &lost, NULL, fake_now(), &mine, NULL), 0);
    fake_run(10);
    fake_cut(mine_of, true);
    fake_run(20000); /* lost by time: within its tick */
    fake_cut(mine_of, false);
    assert_int_equal(told, 2);
    assert_int_equal(election_start(mine_of, "n", NULL, &lost, NULL, fake_now(), &mine, NULL), 0);
    fake_run(1000);
    fake_revoke(election_lease(mine));
    fake_run(20000); /* lost by an event: within the client's delivery */
    assert_int_equal(told, 3);
    assert_int_equal(election_start(mine_of, "n", NULL, &lost, NULL, fake_now(), &mine, NULL), 0);
    fake_run(10);
    election_stop(mine, fake_now());
    fake_run(10); /* resigned: freed before it has stopped */
    assert_int_equal(told, 4);
    assert_int_equal(election_start(mine_of, "n", NULL, &stopped, NULL, fake_now(), &mine, NULL), 0);
    fake_run(10);
    election_stop(mine, fake_now());
    fake_run(10);
    assert_int_equal(told, 5);
    assert_null(mine);
    fake_run(20000);
    assert_int_equal(fake_keys(), 0);
    fake_remove_ticker(&mine);
}

/* ---- observing ---- */

static void two_leaders_of_one_delivery_are_both_told_M10(void **state)
{
    (void)state;
    story("O observes n");
    story("wait 5");
    story_take();
    fake_put("/election/n/1", "one", 0);
    fake_delete(bytes_str("/election/n/1"));
    fake_put("/election/n/2", "two", 0);
    fake_put("/election/n/3", "three", 0);
    fake_delete(bytes_str("/election/n/2"));
    story("wait 5");
    assert_string_equal(story_take(), "[ 1006] O sees 'one' lead n, token 2\n"
                                      "[ 1006] O sees nobody lead n\n"
                                      "[ 1006] O sees 'two' lead n, token 4\n"
                                      "[ 1006] O sees 'three' lead n, token 5\n");
}

static void keys_of_longer_names_do_not_lead(void **state)
{
    (void)state;
    fake_put("/election/n/x/1", "other", 0);
    fake_put("/election/n/1", "one", 0);
    story("O observes n");
    story("wait 5");
    fake_put("/election/n/y/1", "another", 0);
    story("wait 5");
    assert_string_equal(story_take(), "[ 1002] O sees 'one' lead n, token 3\n");
}

static void a_list_older_than_what_was_seen_is_asked_for_again_M10(void **state)
{
    (void)state;
    fake_put("/election/n/1", "one", 0);
    story("O observes n");
    story("wait 5");
    fake_put("/election/n/2", "two", 0);
    story("wait 5");
    fake_stale_list(story_client("O"));
    story("overflow O");
    story("wait 20");
    fake_delete(bytes_str("/election/n/1"));
    story("wait 5");
    assert_string_equal(story_take(), "[ 1002] O sees 'one' lead n, token 2\n"
                                      "[ 1031] O sees 'two' lead n, token 3\n");
}

static void an_observer_that_may_not_look_is_told(void **state)
{
    (void)state;
    story("deny request of O");
    story("O observes n");
    story("wait 5");
    assert_string_equal(story_take(), "[ 1002] O sees no more: observe '/election/n': permission denied\n");
}

static void an_observer_waits_for_a_server(void **state)
{
    (void)state;
    story("cut O");
    story("O observes n");
    story("wait 60000");
    story("restore O");
    story("wait 10");
    assert_string_equal(story_take(), "[61002] O sees nobody lead n\n");
}

static struct observer *seen_by;
static int leaders;

static void stop_looking(void *user, const struct kv *kv, tn_rev revision)
{
    (void)user;
    (void)kv;
    (void)revision;
    if (++leaders == 2)
        seen_by = observer_stop(seen_by, fake_now());
}

static void an_observer_can_be_stopped_in_its_callback(void **state)
{
    (void)state;
    struct observer_callbacks cb = {.on_leader = stop_looking};
    leaders = 0;
    assert_int_equal(observer_start(fake_client("Q"), "n", NULL, &cb, NULL, fake_now(), &seen_by, NULL), 0);
    fake_run(5);
    fake_put("/election/n/1", "one", 0);
    fake_put("/election/n/1", "two", 0);
    fake_put("/election/n/1", "three", 0);
    fake_run(5);
    assert_int_equal(leaders, 2);
    assert_null(seen_by);
}

/* ---- on a session of the caller's ---- */

static void on_a_borrowed_session_it_leads_and_leaves_the_session_alive(void **state)
{
    (void)state;
    story("A opens 10");
    story("A campaigns n red here"); /* while it starts */
    story("wait 10");
    assert_int_equal(election_state(e("A")), ELECTION_LEADING);
    assert_int_equal(election_lease(e("A")), session_lease(story_session("A")));
    assert_int_equal(fake_leases(), 1);
    story_take();
    story("A resigns");
    assert_false(e("A") && election_leads(e("A"), fake_now()));
    story("wait 10");
    assert_null(e("A"));
    assert_int_equal(fake_keys(), 0);
    assert_int_equal(session_state(story_session("A")), SESSION_ALIVE);
    const char *text = story_take();
    assert_non_null(strstr(text, "A leads n no more\n"));
    assert_non_null(strstr(text, "A stopped\n"));
}

static void it_ends_with_the_borrowed_session(void **state)
{
    (void)state;
    story("A opens 10");
    story("A campaigns n red here");
    story("wait 10");
    story("cut A");
    story("wait 15000");
    assert_null(e("A"));
    const char *text = story_take();
    assert_non_null(strstr(text, "A leads n no more: session"));
    assert_non_null(strstr(text, "A stopped: session"));
}

static void a_key_deleted_by_hand_leads_to_another_campaign_on_the_borrowed_session(void **state)
{
    (void)state;
    story("A opens 10");
    story("A campaigns n red here");
    story("wait 500");
    int64_t token = election_token(e("A"));
    assert_true(fake_delete(election_key(e("A"))));
    story("wait 1000");
    assert_int_equal(election_state(e("A")), ELECTION_LEADING);
    assert_true(election_token(e("A")) > token);
    assert_int_equal(fake_leases(), 1);
}

static size_t candidates(void)
{
    struct kv kv;
    size_t n = 0;
    for (size_t i = 0; fake_key(i, &kv); i++)
        n += bytes_has_prefix(kv.key, bytes_str("/election/n/")); /* a fence may stay while the session lives */
    return n;
}

static void stopping_at_any_moment_on_a_borrowed_session_leaves_no_key_M7(void **state)
{
    (void)state;
    char wait[32];
    story("B opens 100");
    story("B campaigns n blue here");
    for (int ms = 0; ms < 12; ms++) {
        story("A opens 10");
        story("A campaigns n red here");
        snprintf(wait, sizeof wait, "wait %d", ms);
        story(wait);
        story("A resigns");
        story("wait 50");
        assert_null(e("A"));
        assert_int_equal(candidates(), 1);
        story("A closes");
        story("wait 50");
    }
    assert_int_equal(election_state(e("B")), ELECTION_LEADING);
}

static void a_session_that_has_ended_cannot_be_borrowed(void **state)
{
    (void)state;
    story("A opens 10");
    story("wait 5");
    story("A closes");
    story("wait 5");
    story_take();
    story("A campaigns n red here");
    assert_null(e("A"));
    assert_non_null(strstr(story_take(), "A is refused: "));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_goes_through_its_states),
        TEST(the_key_carries_the_proposal),
        TEST(it_does_not_lead_from_safe_until_on_even_before_a_tick_L2),
        TEST(leading_ends_with_the_call_to_stop),
        TEST(stopping_in_the_queue_leaves_no_key_and_no_lease_M7),
        TEST(stopping_at_any_moment_ends_once_and_leaves_nothing),
        TEST(a_resign_that_cannot_be_confirmed_says_so_and_is_bounded_M5),
        TEST(after_a_loss_it_campaigns_with_a_new_session_and_a_greater_token),
        TEST(the_losers_of_one_failure_do_not_come_back_as_one),
        TEST(a_proclaim_needs_leadership),
        TEST(a_proclaim_can_be_cancelled),
        TEST(what_was_proclaimed_is_proposed_again_after_a_loss),
        TEST(a_proclaim_of_one_whose_key_is_gone_is_told_that_it_does_not_lead),
        TEST(a_proclaim_under_way_is_told_its_end_when_the_election_is_over),
        TEST(a_proposal_that_a_stranger_overwrote_is_put_again),
        TEST(options_that_cannot_be_are_refused),
        TEST(the_note_stands_beside_the_key_and_goes_with_it),
        TEST(one_who_may_not_put_the_note_campaigns_without),
        TEST(one_who_may_put_neither_is_told),
        TEST(a_leadership_is_resumed_with_its_token_and_lease),
        TEST(one_that_may_live_is_queued_behind_unless_the_user_knows_better),
        TEST(what_does_not_stand_is_campaigned_for),
        TEST(the_end_of_the_lease_right_after_the_taking_leads_to_another_campaign),
        TEST(stopping_at_any_moment_of_a_resume_ends_once),
        TEST(what_cannot_be_resumed_is_refused),
        TEST(it_can_be_freed_in_each_of_its_callbacks),
        TEST(two_leaders_of_one_delivery_are_both_told_M10),
        TEST(keys_of_longer_names_do_not_lead),
        TEST(a_list_older_than_what_was_seen_is_asked_for_again_M10),
        TEST(an_observer_that_may_not_look_is_told),
        TEST(an_observer_waits_for_a_server),
        TEST(an_observer_can_be_stopped_in_its_callback),
        TEST(on_a_borrowed_session_it_leads_and_leaves_the_session_alive),
        TEST(it_ends_with_the_borrowed_session),
        TEST(a_key_deleted_by_hand_leads_to_another_campaign_on_the_borrowed_session),
        TEST(stopping_at_any_moment_on_a_borrowed_session_leaves_no_key_M7),
        TEST(a_session_that_has_ended_cannot_be_borrowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
