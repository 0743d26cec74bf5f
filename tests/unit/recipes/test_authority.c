/* The authority of a home, and locks that rest on it, on a model of clusters: the home's keys are as they are, those of the others below
 * /us, /ap, … After each moment it is held to account: whenever it is believed, by it or by a holder, as many places stand as make it
 * impossible to promote another region without force. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "recipes/authority.h"
#include "recipes/election.h"
#include "story.h"
#include "tenure/error.h"

enum { OTHERS_MAX = 4, PROCESSES_MAX = 2, TTL_S = 10 };

static const char *const names[OTHERS_MAX] = {"us", "ap", "sa", "af"};
static const char *const under[OTHERS_MAX] = {"/us", "/ap", "/sa", "/af"};

/* One that holds: its clients, and the engine. */
struct process {
    struct client *home, *others[OTHERS_MAX];
    struct authority *authority;
};

static struct process processes[PROCESSES_MAX];
static size_t n_others;
static bool has_lock;
static unsigned believed;

static tn_ms clock_now(void *user)
{
    (void)user;
    return fake_now();
}

static void asked(void *user)
{
    (void)user;
}

static void tick(void *object, tn_ms now)
{
    authority_run(object, now);
}

static tn_ms deadline(const void *object)
{
    return authority_deadline(object);
}

static bool stands(size_t i)
{
    char key[64];
    struct kv kv;
    snprintf(key, sizeof key, "%s" HOME_AUTHORITY_KEYS "/locks/", under[i]);
    return fake_get(bytes_str(key), &kv) && strstr((const char *)kv.value.data, "\"eu\"");
}

static size_t standing(void)
{
    size_t n = 0;
    for (size_t i = 0; i < n_others; i++)
        n += stands(i);
    return n;
}

static bool holds(void)
{
    return has_lock && story_lock("A", "x") && lock_held(story_lock("A", "x"), fake_now());
}

static bool has(const struct process *p)
{
    struct authority_view v;
    if (!p->authority)
        return false;
    authority_look(p->authority, fake_now(), &v);
    return v.state == AUTHORITY_HELD;
}

/* A promotion without force takes a majority of all regions, without the home. */
static void check(void *user)
{
    (void)user;
    size_t all = n_others + 1, promoted = all == 2 ? 1 : all / 2 + 1;
    for (size_t i = 0; i < PROCESSES_MAX; i++)
        if (has(&processes[i]))
            assert_true(n_others - standing() < promoted);
    if (holds()) {
        believed++;
        assert_true(n_others - standing() < promoted);
    }
}

static tn_rev put_record(const char *where, const char *text)
{
    char key[64];
    snprintf(key, sizeof key, "%s" HOME_KEYS "/locks/", where);
    return fake_put(key, text, 0);
}

static void tell_all(const char *text)
{
    put_record("", text);
    for (size_t i = 0; i < n_others; i++)
        put_record(under[i], text);
}

static void start(size_t at, bool leads)
{
    static const char *const home_names[] = {"Home1", "Home2"};
    static const char *const other_names[][OTHERS_MAX] = {{"Us1", "Ap1", "Sa1", "Af1"}, {"Us2", "Ap2", "Sa2", "Af2"}};
    struct process *p = &processes[at];
    struct authority_config config = {.region = "eu",
                                      .prefix = bytes_str("/locks/"),
                                      .ttl_s = TTL_S,
                                      .n_others = n_others,
                                      .clock = clock_now,
                                      .asked = asked};
    if (!p->home)
        p->home = fake_client(home_names[at]);
    config.home = p->home;
    for (size_t i = 0; i < n_others; i++) {
        if (!p->others[i])
            p->others[i] = fake_client(other_names[at][i]);
        fake_move_under(p->others[i], under[i]);
        config.others[i] = (struct authority_region){.name = names[i], .client = p->others[i]};
    }
    p->authority = authority_new(&config);
    assert_non_null(p->authority);
    fake_add_ticker(p->home, deadline, tick, p->authority);
    authority_lead(p->authority, leads, fake_now());
}

static void end_process(size_t at)
{
    struct process *p = &processes[at];
    if (p->authority)
        fake_remove_ticker(p->authority);
    p->authority = authority_free(p->authority, fake_now());
}

static void begin_with(size_t others)
{
    memset(processes, 0, sizeof processes);
    n_others = others;
    has_lock = false;
    believed = 0;
    story_begin();
    fake_put(HOME_REGION_KEY, "eu", 0);
    fake_on_step(check, NULL);
    tell_all("{\"region\":\"eu\",\"epoch\":1,\"authority\":true}");
}

static int begin(void **state)
{
    (void)state;
    begin_with(2);
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (size_t i = 0; i < PROCESSES_MAX; i++)
        end_process(i);
    fake_on_step(NULL, NULL);
    story_end();
    return 0;
}

static enum authority_state state_of(size_t at)
{
    struct authority_view v;
    authority_look(processes[at].authority, fake_now(), &v);
    return v.state;
}

static bool has_word(void)
{
    struct kv kv;
    return fake_get(bytes_str(HOME_AUTHORITY_KEYS "/locks/"), &kv);
}

static void cut(size_t at, size_t other, bool is_cut)
{
    fake_cut(processes[at].others[other], is_cut);
}

static void stop_process(size_t at, bool is_stopped)
{
    fake_pause(processes[at].home, is_stopped);
    for (size_t i = 0; i < n_others; i++)
        fake_pause(processes[at].others[i], is_stopped);
}

static void lock_it(void)
{
    story("A opens 1000");
    story("A locks x home");
    has_lock = true;
}

static enum lock_state lock_is(void)
{
    return lock_state(story_lock("A", "x"));
}

/* ---- the home ---- */

static void it_takes_a_majority_with_the_home(void **state)
{
    (void)state;
    static const size_t needs[] = {1, 1, 1, 2, 2, 3, 3};
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
        assert_int_equal(authority_needs(i), needs[i]);
}

static void it_is_had_with_places_in_the_others_and_said_at_home(void **state)
{
    (void)state;
    start(0, true);
    fake_run(100);
    assert_int_equal(state_of(0), AUTHORITY_HELD);
    assert_int_equal(standing(), 2);
    assert_true(has_word());
    fake_run(10 * TTL_S * 1000);
    assert_int_equal(state_of(0), AUTHORITY_HELD);
    assert_true(has_word());
}

static void one_that_does_not_lead_asks_for_nothing(void **state)
{
    (void)state;
    start(0, false);
    unsigned calls = fake_calls();
    fake_run(60000);
    assert_int_equal(fake_calls(), calls);
    assert_int_equal(state_of(0), AUTHORITY_STANDBY);
}

static void one_other_of_two_is_enough_none_is_not(void **state)
{
    (void)state;
    start(0, true);
    fake_run(100);
    cut(0, 0, true);
    fake_run(3 * TTL_S * 1000);
    assert_int_equal(state_of(0), AUTHORITY_HELD);
    cut(0, 1, true);
    fake_run(TTL_S * 1000 + 100);
    assert_int_equal(state_of(0), AUTHORITY_SEEKING);
    assert_false(has_word());
    cut(0, 1, false);
    fake_run(5000);
    assert_int_equal(state_of(0), AUTHORITY_HELD);
    assert_true(has_word());
}

static void of_four_others_two_are_enough_one_is_not(void **state)
{
    (void)state;
    end(state);
    begin_with(4);
    start(0, true);
    fake_run(100);
    cut(0, 0, true);
    cut(0, 1, true);
    fake_run(3 * TTL_S * 1000);
    assert_int_equal(state_of(0), AUTHORITY_HELD);
    cut(0, 2, true);
    fake_run(TTL_S * 1000 + 100);
    assert_int_equal(state_of(0), AUTHORITY_SEEKING);
}

static void behind_a_promotion_there_is_no_way_back(void **state)
{
    (void)state;
    start(0, true);
    fake_run(100);
    cut(0, 0, true);
    cut(0, 1, true);
    fake_run(TTL_S * 1000 + 1000);
    assert_int_equal(standing(), 0);
    for (size_t i = 0; i < 2; i++)
        put_record(under[i], "{\"region\":\"us\",\"epoch\":2,\"authority\":true}");
    cut(0, 0, false);
    cut(0, 1, false);
    fake_run(60000);
    assert_int_equal(state_of(0), AUTHORITY_SEEKING);
    assert_int_equal(standing(), 0);
    assert_false(has_word());
    put_record("", "{\"region\":\"us\",\"epoch\":2,\"authority\":true}");
    fake_run(1000);
    assert_int_equal(state_of(0), AUTHORITY_ELSEWHERE);
}

static void one_that_was_stopped_for_long_comes_back(void **state)
{
    (void)state;
    start(0, true);
    fake_run(100);
    stop_process(0, true);
    fake_run(2 * TTL_S * 1000);
    assert_int_equal(standing(), 0);
    assert_false(has_word());
    stop_process(0, false);
    fake_run(3000);
    assert_int_equal(state_of(0), AUTHORITY_HELD);
    assert_true(has_word());
}

static void another_process_goes_on_with_the_same_places(void **state)
{
    (void)state;
    struct kv before, after;
    start(0, true);
    fake_run(100);
    assert_true(fake_get(bytes_str("/us" HOME_AUTHORITY_KEYS "/locks/"), &before));
    end_process(0);
    start(1, true);
    fake_run(200);
    assert_int_equal(state_of(1), AUTHORITY_HELD);
    assert_true(fake_get(bytes_str("/us" HOME_AUTHORITY_KEYS "/locks/"), &after));
    assert_int_equal(before.lease, after.lease);
    assert_int_equal(before.mod_revision, after.mod_revision);
}

/* A home that does not answer its own authority is none. */
static void the_places_of_a_home_that_is_silent_end(void **state)
{
    (void)state;
    start(0, true);
    fake_run(100);
    fake_cut(processes[0].home, true);
    fake_run(2 * TTL_S * 1000);
    assert_int_equal(standing(), 0);
    fake_cut(processes[0].home, false);
    fake_run(5000);
    assert_int_equal(state_of(0), AUTHORITY_HELD);
}

static void the_place_of_an_earlier_home_is_waited_for(void **state)
{
    (void)state;
    tn_lease lease = fake_grant(5);
    fake_put("/us" HOME_AUTHORITY_KEYS "/locks/", "{\"region\":\"ap\",\"epoch\":1,\"ttl\":5,\"left_ms\":0,\"seen\":0}",
             lease);
    start(0, true);
    cut(0, 1, true);
    fake_run(2000);
    assert_int_equal(state_of(0), AUTHORITY_SEEKING);
    fake_run(5000);
    assert_int_equal(state_of(0), AUTHORITY_HELD);
}

static void what_cannot_be_read_counts_for_nothing(void **state)
{
    (void)state;
    put_record("/us", "{\"region\":7}");
    put_record("/ap", "{\"region\":\"eu\",\"epoch\":0}");
    start(0, true);
    fake_run(5000);
    assert_int_equal(state_of(0), AUTHORITY_SEEKING);
    assert_int_equal(standing(), 0);
    put_record("", "nothing");
    fake_run(1000);
    assert_int_equal(state_of(0), AUTHORITY_ELSEWHERE);
}

/* ---- holders ---- */

static void a_lock_is_had_with_the_word_and_kept_by_asking(void **state)
{
    (void)state;
    start(0, true);
    fake_run(100);
    lock_it();
    fake_run(30);
    assert_true(holds());
    tn_ms first = lock_believed_until(story_lock("A", "x"));
    assert_true(first > fake_now() && first < fake_now() + TTL_S * 1000);
    fake_run(10 * TTL_S * 1000);
    assert_true(holds());
    assert_true(lock_safe_until(story_lock("A", "x")) > first);
}

static void without_authority_it_is_refused_at_once(void **state)
{
    (void)state;
    lock_it();
    fake_run(30);
    assert_int_equal(lock_is(), LOCK_IDLE);
    assert_int_equal(story_last_code("A", "x"), TENURE_ECONFLICT);
}

/* The key is there, and nobody behind it. */
static void where_nobody_answers_it_is_refused(void **state)
{
    (void)state;
    fake_put(HOME_AUTHORITY_KEYS "/locks/", "{\"region\":\"eu\",\"epoch\":1,\"ttl\":9,\"left_ms\":9000,\"seen\":0}", 0);
    lock_it();
    fake_run(6000);
    assert_false(believed);
    assert_int_equal(lock_is(), LOCK_IDLE);
    assert_int_equal(story_last_code("A", "x"), TENURE_ECONFLICT);
}

static void it_is_lost_before_the_places_are_over(void **state)
{
    (void)state;
    start(0, true);
    fake_run(100);
    lock_it();
    fake_run(500);
    assert_true(holds());
    cut(0, 0, true);
    cut(0, 1, true);
    while (standing() > 0)
        fake_run(100);
    assert_false(holds());
    assert_int_equal(lock_is(), LOCK_LOST);
}

static void it_is_lost_when_home_says_nothing_any_more(void **state)
{
    (void)state;
    start(0, true);
    fake_run(100);
    lock_it();
    fake_run(500);
    assert_true(holds());
    fake_cut(story_client("A"), true);
    stop_process(0, true);
    fake_run(TTL_S * 1000);
    assert_false(holds());
    assert_int_equal(lock_is(), LOCK_LOST);
}

/* It asks, nobody answers, and it hears no more of home, not that the word has gone either. */
static void what_was_said_before_it_asked_counts_for_nothing(void **state)
{
    (void)state;
    start(0, true);
    fake_run(100);
    lock_it();
    fake_run(500);
    stop_process(0, true);
    fake_run(4000);
    assert_true(holds());
    fake_cut(story_client("A"), true);
    while (standing() > 0)
        fake_run(100);
    assert_false(holds());
    fake_run(TTL_S * 1000);
    assert_int_equal(lock_is(), LOCK_LOST);
}

/* Stopped, it answers no; the check looks at each moment. */
static void a_holder_who_was_stopped_believes_nothing_old(void **state)
{
    (void)state;
    start(0, true);
    fake_run(100);
    lock_it();
    fake_run(500);
    fake_pause(story_client("A"), true);
    cut(0, 0, true);
    cut(0, 1, true);
    fake_run(3 * TTL_S * 1000);
    fake_pause(story_client("A"), false);
    fake_run(100);
    assert_false(holds());
    assert_int_equal(lock_is(), LOCK_LOST);
}

/* Between the question and the answer, at any moment; and home's server ends the lease of the word late. */
static void a_holder_who_was_stopped_while_it_asked_believes_nothing_old(void **state)
{
    for (tn_ms at = 0; at < 40; at++) {
        struct kv word;
        char value[256];
        end(state);
        begin_with(2);
        start(0, true);
        fake_run(100);
        lock_it();
        fake_run(at);
        fake_pause(story_client("A"), true);
        fake_run(50);
        stop_process(0, true);
        assert_true(fake_get(bytes_str(HOME_AUTHORITY_KEYS "/locks/"), &word));
        snprintf(value, sizeof value, "%.*s", (int)word.value.len, (const char *)word.value.data);
        fake_put(HOME_AUTHORITY_KEYS "/locks/", value, 0);
        fake_run(3 * TTL_S * 1000);
        fake_pause(story_client("A"), false);
        fake_run(200);
        assert_false(holds());
        stop_process(0, false);
    }
}

static void who_waits_is_refused_when_there_is_none(void **state)
{
    (void)state;
    start(0, true);
    fake_run(100);
    lock_it();
    fake_run(500);
    story("B opens 1000");
    story("B locks x home");
    fake_run(100);
    assert_int_equal(lock_state(story_lock("B", "x")), LOCK_WAITING);
    cut(0, 0, true);
    cut(0, 1, true);
    fake_run(TTL_S * 1000 + 6000);
    assert_int_equal(lock_is(), LOCK_LOST);
    assert_int_equal(lock_state(story_lock("B", "x")), LOCK_IDLE);
    assert_int_equal(story_last_code("B", "x"), TENURE_ECONFLICT);
}

/* ---- whatever happens ---- */

static uint64_t seed;

static enum fake_fault judge(void *user, struct client *c, unsigned n, const char *what)
{
    static const enum fake_fault faults[] = {FAKE_LOSE_REQUEST, FAKE_LOSE_REPLY, FAKE_LATE, FAKE_SLOW,
                                             FAKE_UNAVAILABLE};
    struct rng *rng = user;
    (void)c, (void)n, (void)what;
    return rng_below(rng, 8) == 0 ? faults[rng_below(rng, 5)] : FAKE_FINE;
}

static void shake(struct rng *rng)
{
    size_t at = (size_t)rng_below(rng, PROCESSES_MAX), other = (size_t)rng_below(rng, n_others);
    switch (rng_below(rng, 6)) {
    case 0:
        cut(at, other, rng_below(rng, 2));
        break;
    case 1:
        stop_process(at, rng_below(rng, 2));
        break;
    case 2:
        fake_cut(processes[at].home, rng_below(rng, 2));
        break;
    case 3:
        fake_pause(story_client("A"), rng_below(rng, 2));
        break;
    case 4:
        fake_slow_watches(processes[at].home, (int64_t)rng_below(rng, 3000));
        break;
    case 5:
        fake_slow_replies(processes[at].others[other], (int64_t)rng_below(rng, 4000));
        break;
    }
}

static void it_is_never_believed_without_places(void **state)
{
    unsigned sum = 0;
    for (seed = 1; seed <= 30; seed++) {
        struct rng rng;
        end(state);
        begin_with(2 + seed % 3);
        rng_init(&rng, seed);
        start(0, true);
        start(1, true); /* both: the places are the home's */
        fake_run(200);
        lock_it();
        fake_run(100);
        fake_set_judge(judge, &rng);
        for (int i = 0; i < 60; i++) {
            shake(&rng);
            fake_run((tn_ms)rng_below(&rng, 3000));
        }
        fake_set_judge(NULL, NULL);
        sum += believed;
        for (size_t i = 0; i < PROCESSES_MAX; i++) {
            stop_process(i, false);
            fake_cut(processes[i].home, false);
        }
        fake_pause(story_client("A"), false);
    }
    assert_true(sum > 1000);
}

/* ---- a candidate ---- */

struct candidate {
    struct election *election;
    int refused, gained;
    int code;
};

static void on_candidate_gained(void *user, int64_t token)
{
    (void)token;
    ((struct candidate *)user)->gained++;
}

static void on_candidate_refused(void *user, const struct tenure_error *why)
{
    struct candidate *c = user;
    c->refused++;
    c->code = why->code;
}

static tn_ms candidate_deadline(const void *p)
{
    return election_deadline(p);
}

static void candidate_tick(void *p, tn_ms now)
{
    election_tick(p, now);
}

static void a_candidate_is_told_why_and_goes_on_standing(void **state)
{
    (void)state;
    static const struct election_callbacks cb = {.on_gained = on_candidate_gained, .on_refused = on_candidate_refused};
    struct election_options o = {.prefix = "/locks/", .homed = true};
    struct candidate c = {0};
    struct client *client = fake_client("C");
    assert_int_equal(election_start(client, "n", &o, &cb, &c, fake_now(), &c.election, NULL), 0);
    fake_add_ticker(client, candidate_deadline, candidate_tick, c.election);
    fake_run(3000);
    assert_true(c.refused > 0);
    assert_int_equal(c.code, TENURE_ECONFLICT);
    assert_int_equal(c.gained, 0);
    assert_int_equal(election_state(c.election), ELECTION_CAMPAIGNING);
    start(0, true);
    fake_run(40000);
    assert_int_equal(c.gained, 1);
    assert_true(election_leads(c.election, fake_now()));
    assert_true(election_safe_until(c.election) <= fake_now() + TTL_S * 1000); /* it is asked again and again */
    election_stop(c.election, fake_now());
    fake_run(1000);
    assert_int_equal(election_state(c.election), ELECTION_STOPPED);
    fake_remove_ticker(c.election);
    election_free(c.election);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(it_takes_a_majority_with_the_home),
        CASE(it_is_had_with_places_in_the_others_and_said_at_home),
        CASE(one_that_does_not_lead_asks_for_nothing),
        CASE(one_other_of_two_is_enough_none_is_not),
        CASE(of_four_others_two_are_enough_one_is_not),
        CASE(behind_a_promotion_there_is_no_way_back),
        CASE(one_that_was_stopped_for_long_comes_back),
        CASE(another_process_goes_on_with_the_same_places),
        CASE(the_places_of_a_home_that_is_silent_end),
        CASE(the_place_of_an_earlier_home_is_waited_for),
        CASE(what_cannot_be_read_counts_for_nothing),
        CASE(a_lock_is_had_with_the_word_and_kept_by_asking),
        CASE(without_authority_it_is_refused_at_once),
        CASE(where_nobody_answers_it_is_refused),
        CASE(it_is_lost_before_the_places_are_over),
        CASE(it_is_lost_when_home_says_nothing_any_more),
        CASE(what_was_said_before_it_asked_counts_for_nothing),
        CASE(a_holder_who_was_stopped_believes_nothing_old),
        CASE(a_holder_who_was_stopped_while_it_asked_believes_nothing_old),
        CASE(who_waits_is_refused_when_there_is_none),
        CASE(a_candidate_is_told_why_and_goes_on_standing),
        CASE(it_is_never_believed_without_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
