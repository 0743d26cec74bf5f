/* Elections by preference: the best of those who wait leads next, nobody is deposed, and somebody leads whatever becomes of the
 * better ones. At every moment the story checks that at most one leads, with a greater token than the last (M1, M2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

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

static bool leads(const char *who)
{
    return story_election(who) && election_leads(story_election(who), fake_now());
}

/* Each in its place before the next one comes. */
static void come(const char *const *sentences)
{
    for (; *sentences; sentences++) {
        story(*sentences);
        story("wait 5");
    }
}
#define COME(...) come((const char *const[]){__VA_ARGS__, NULL})

static size_t ranks(void)
{
    struct kv kv;
    size_t n = 0;
    for (size_t i = 0; fake_key(i, &kv); i++)
        n += bytes_has_prefix(kv.key, bytes_of("/election/n\0rank/", 17));
    return n;
}

static void the_best_of_those_who_wait_leads_next(void **state)
{
    (void)state;
    COME("A campaigns n a", "B campaigns n b prefers 1", "C campaigns n c prefers -1", "D campaigns n d prefers 5",
         "E campaigns n e prefers 3", "F campaigns n f prefers 0");
    static const char order[] = "ADEBFC";
    for (size_t i = 0; order[i]; i++) {
        char who[] = {order[i], 0}, sentence[16];
        assert_true(leads(who));
        snprintf(sentence, sizeof sentence, "%s resigns", who);
        story(sentence);
        story("wait 40");
    }
    assert_int_equal(fake_keys(), 0);
    assert_int_equal(fake_leases(), 0);
}

static void of_equals_the_first_is_first(void **state)
{
    (void)state;
    COME("A campaigns n a prefers 7", "B campaigns n b prefers 7", "C campaigns n c prefers 7", "A resigns");
    assert_true(leads("B"));
    COME("B resigns");
    assert_true(leads("C"));
}

static void who_leads_is_not_deposed(void **state)
{
    (void)state;
    COME("A campaigns n a prefers 1", "B campaigns n b prefers 100");
    tn_rev token = election_token(story_election("A"));
    story("wait 60000");
    assert_true(leads("A"));
    assert_int_equal(election_token(story_election("A")), token);
}

static void each_lets_pass_once_and_asks_no_more_than_it_must(void **state)
{
    (void)state;
    COME("A campaigns n a", "B campaigns n b prefers 1", "C campaigns n c prefers 2", "D campaigns n d prefers 3");
    unsigned before = fake_requests();
    story("A resigns");
    story("wait 40");
    assert_true(leads("D"));
    /* A: its key, its lease. B and C: a verify, to leave, to enter. D: a verify. */
    assert_int_equal(fake_requests() - before, 2 + 3 + 3 + 1);
}

/* Of those of other programs: no preference is 0, and they let nobody pass. */
static void those_who_state_nothing_count_as_0(void **state)
{
    (void)state;
    tn_lease lease = fake_grant(1000);
    COME("A campaigns n a", "B campaigns n b prefers -1");
    fake_put("/election/n/7f", "go", lease);
    COME("C campaigns n c prefers 1");
    fake_put("/election/n/longer/7e", "of another name", lease);
    COME("A resigns");
    story("wait 40");
    assert_false(leads("B") || leads("C")); /* B let C pass, and behind the stranger he is by now, as is C */
    fake_delete(bytes_str("/election/n/7f"));
    story("wait 40");
    assert_true(leads("C"));
    COME("C resigns");
    assert_true(leads("B")); /* the key of the longer name is not a candidate's */
}

static void one_below_those_who_state_nothing_lets_them_pass(void **state)
{
    (void)state;
    tn_lease lease = fake_grant(1000);
    COME("A campaigns n a prefers 5", "B campaigns n b prefers -1");
    fake_put("/election/n/7f", "go", lease);
    story("A resigns");
    story("wait 40");
    assert_false(leads("B"));
    assert_true(election_state(story_election("B")) == ELECTION_CAMPAIGNING);
    fake_delete(bytes_str("/election/n/7f"));
    story("wait 40");
    assert_true(leads("B"));
}

static void a_better_one_that_is_dead_is_waited_for_until_its_lease_ends(void **state)
{
    (void)state;
    COME("A campaigns n a", "B campaigns n b prefers 0", "C campaigns n c prefers 1", "stop C", "A resigns");
    story("wait 9000");
    assert_false(leads("B"));
    story("wait 2500");
    assert_true(leads("B"));
}

static void one_without_a_note_lets_nobody_pass(void **state)
{
    (void)state;
    COME("A campaigns n a", "B campaigns n b", "C campaigns n c prefers 1", "A resigns");
    assert_true(leads("B"));
}

/* A program that is better is started, dies, and is started again a second later, for ever: its keys stand in the queue for
 * ten seconds each, so there is always one, and always a newer one. */
static bool somebody_leads_beside_one_that_dies_again_and_again(void)
{
    char sentence[48];
    COME("A campaigns n a", "B campaigns n b prefers 1");
    for (int i = 0; i < 60 && !leads("B"); i++) {
        snprintf(sentence, sizeof sentence, "C%d campaigns n c prefers 9", i % 15);
        story(sentence);
        story("wait 10");
        if (i == 0)
            COME("A resigns");
        snprintf(sentence, sizeof sentence, "cut C%d", i % 15);
        story(sentence);
        story("wait 990");
        if (i >= 13) { /* dead for so long that its lease is over as well: the name may be used again */
            snprintf(sentence, sizeof sentence, "C%d forgets its election", (i + 2) % 15);
            story(sentence);
            snprintf(sentence, sizeof sentence, "restore C%d", (i + 2) % 15);
            story(sentence);
        }
    }
    return leads("B");
}

static void where_a_better_one_dies_again_and_again_somebody_leads_all_the_same(void **state)
{
    (void)state;
    assert_true(somebody_leads_beside_one_that_dies_again_and_again());
    assert_true(fake_now() < 60000); /* three TTLs, and one for those who stand before it */
}

static void without_patience_nobody_would(void **state)
{
    (void)state;
    story("be meek");
    assert_false(somebody_leads_beside_one_that_dies_again_and_again());
}

static void after_a_leadership_that_lasted_it_lets_better_ones_pass_again(void **state)
{
    (void)state;
    COME("A campaigns n a prefers 0", "B campaigns n b prefers -5");
    for (int i = 0; i < 6; i++) {
        COME("C campaigns n c prefers 1", "A resigns");
        story("wait 40");
        assert_true(leads("C"));
        story("wait 25000");
        COME("A campaigns n a prefers 1", "C resigns");
        story("wait 40");
        assert_true(leads("A"));
        story("wait 25000");
    }
    COME("A resigns");
    assert_true(leads("B"));
}

static void the_rank_stands_beside_the_key_and_goes_with_it(void **state)
{
    (void)state;
    COME("A campaigns n a prefers 3", "B campaigns n b prefers 0");
    assert_int_equal(ranks(), 1);
    assert_int_equal(fake_keys(), 5);
    struct kv kv;
    char key[64];
    size_t len = 17 + (size_t)snprintf(key + 17, sizeof key - 17, "%llx",
                                       (unsigned long long)election_lease(story_election("A")));
    memcpy(key, "/election/n\0rank/", 17);
    assert_true(fake_get(bytes_of(key, len), &kv));
    assert_true(bytes_equal(kv.value, bytes_str("3 10")));
    assert_int_equal(kv.lease, election_lease(story_election("A")));
    assert_int_equal(kv.mod_revision, election_token(story_election("A")));
    COME("A resigns");
    assert_int_equal(ranks(), 0);
    COME("B resigns");
    assert_int_equal(fake_keys(), 0);
}

static void one_who_may_not_put_the_rank_campaigns_without(void **state)
{
    (void)state;
    story("A opens 10");
    story("wait 5");
    story("deny request of A");
    COME("A campaigns n a prefers 3 here");
    story("wait 5");
    assert_true(leads("A"));
    assert_int_equal(ranks(), 0);
    assert_int_equal(fake_keys(), 1);
}

static void on_a_borrowed_session_it_lets_pass_as_well(void **state)
{
    (void)state;
    COME("A campaigns n a", "B opens 10", "B campaigns n b prefers 1 here", "C campaigns n c prefers 2", "A resigns");
    story("wait 40");
    assert_true(leads("C"));
    COME("C resigns");
    assert_true(leads("B"));
    COME("B resigns");
    assert_int_equal(fake_keys(), 0);
}

static void its_time_to_wait_goes_on_while_it_lets_others_pass(void **state)
{
    (void)state;
    COME("A campaigns n a", "B campaigns n b within 500 prefers 1", "C campaigns n c prefers 2");
    story("wait 300");
    COME("A resigns");
    story_take();
    story("wait 300");
    assert_non_null(strstr(story_take(), "B stopped: election '/election/n': not won within 500 ms"));
    assert_true(leads("C"));
}

/* ---- at every moment ---- */

static void set_out(void)
{
    COME("A campaigns n a", "B campaigns n b prefers 1", "C campaigns n c prefers 2", "A resigns");
}

static void stopping_at_any_moment_leaves_nothing_M7(void **state)
{
    (void)state;
    for (int ms = 0; ms < 20; ms++) {
        char sentence[32];
        COME("A campaigns n a", "B campaigns n b prefers 1", "C campaigns n c prefers 2");
        story("A resigns");
        snprintf(sentence, sizeof sentence, "wait %d", ms);
        story(sentence);
        story("B resigns");
        story("wait 40");
        assert_null(story_election("B"));
        assert_true(leads("C"));
        story("C resigns");
        story("wait 40");
        assert_int_equal(fake_keys(), 0);
        assert_int_equal(fake_leases(), 0);
    }
}

struct one_fault {
    unsigned seen, at;
    enum fake_fault fault;
};

static enum fake_fault judge(void *user, struct client *c, unsigned n, const char *what)
{
    struct one_fault *f = user;
    (void)n, (void)what;
    return c == story_client("B") && f->seen++ == f->at ? f->fault : FAKE_FINE;
}

static void whatever_becomes_of_its_requests_one_leads_and_nothing_is_left(void **state)
{
    (void)state;
    static const enum fake_fault faults[] = {FAKE_LOSE_REQUEST, FAKE_LOSE_REPLY,  FAKE_LATE,      FAKE_OVERTAKEN,
                                             FAKE_SLOW,         FAKE_UNAVAILABLE, FAKE_NO_MEMORY, FAKE_GARBLED};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        for (unsigned at = 1; at < 11; at++) { /* 0 is the grant of its lease */
            struct one_fault f = {.at = at, .fault = faults[i]};
            fake_set_judge(judge, &f);
            story_take();
            set_out();
            story("wait 3000");
            if (!leads("B") && !leads("C"))
                fail_msg("fault %zu at %u", i, at);
            story("C resigns");
            story("wait 20000");
            if (!leads("B"))
                fail_msg("fault %zu at %u: %s", i, at, story_take());
            story("B resigns");
            story("wait 20000");
            assert_int_equal(fake_keys(), 0);
            fake_set_judge(NULL, NULL);
        }
}

static void who_loses_the_session_while_it_lets_pass_campaigns_again(void **state)
{
    (void)state;
    for (int ms = 0; ms < 12; ms++) {
        char sentence[32];
        COME("A campaigns n a", "B campaigns n b prefers 1", "C campaigns n c prefers 2");
        story("A resigns");
        snprintf(sentence, sizeof sentence, "wait %d", ms);
        story(sentence);
        story("revoke B");
        story("wait 5000");
        assert_true(leads("C"));
        story("C resigns");
        story("wait 5000");
        assert_true(leads("B"));
        story("B resigns");
        story("wait 40");
        assert_int_equal(fake_keys(), 0);
    }
}

static void who_lets_nobody_pass_is_seen(void **state)
{
    (void)state;
    story("be proud");
    set_out();
    story("wait 40");
    assert_true(leads("B"));
}

static void a_preference_without_a_note_is_refused(void **state)
{
    (void)state;
    struct tenure_error err;
    struct election *none = NULL;
    struct election_options o = {.preference = 1};
    assert_int_equal(election_start(fake_client("Q"), "n", &o, NULL, NULL, fake_now(), &none, &err), TENURE_EINVALID);
    assert_null(none);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_best_of_those_who_wait_leads_next),
        TEST(of_equals_the_first_is_first),
        TEST(who_leads_is_not_deposed),
        TEST(each_lets_pass_once_and_asks_no_more_than_it_must),
        TEST(those_who_state_nothing_count_as_0),
        TEST(one_below_those_who_state_nothing_lets_them_pass),
        TEST(a_better_one_that_is_dead_is_waited_for_until_its_lease_ends),
        TEST(one_without_a_note_lets_nobody_pass),
        TEST(where_a_better_one_dies_again_and_again_somebody_leads_all_the_same),
        TEST(without_patience_nobody_would),
        TEST(after_a_leadership_that_lasted_it_lets_better_ones_pass_again),
        TEST(the_rank_stands_beside_the_key_and_goes_with_it),
        TEST(one_who_may_not_put_the_rank_campaigns_without),
        TEST(on_a_borrowed_session_it_lets_pass_as_well),
        TEST(its_time_to_wait_goes_on_while_it_lets_others_pass),
        TEST(stopping_at_any_moment_leaves_nothing_M7),
        TEST(whatever_becomes_of_its_requests_one_leads_and_nothing_is_left),
        TEST(who_loses_the_session_while_it_lets_pass_campaigns_again),
        TEST(who_lets_nobody_pass_is_seen),
        TEST(a_preference_without_a_note_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
