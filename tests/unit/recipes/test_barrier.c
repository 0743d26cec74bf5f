/* Barriers, latches and double barriers on the model of a server: who waits, who passes, and what lost answers, deaths and
 * compaction do to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "failmalloc.h"
#include "recipes/barrier.h"
#include "recipes/double_barrier.h"
#include "recipes/latch.h"
#include "story.h"
#include "tenure/error.h"

enum { TTL_S = 4 };

/* One that asks, and how it ended. */
struct asker {
    struct client *c;
    struct errand *errand;
    int ended, code;
    enum tenure_applied applied;
    struct latch_state state;
    struct session *session;
    struct double_barrier *barrier;
    bool in_latch;
};

static struct asker askers[6];
static struct asker *const a = &askers[0], *const b = &askers[1], *const c = &askers[2], *const d = &askers[3];

static tn_ms deadline(const void *object)
{
    const struct asker *k = object;
    return k->errand ? errand_deadline(k->errand) : TN_MS_NEVER;
}

static void tick(void *object, tn_ms now)
{
    struct asker *k = object;
    if (k->errand)
        errand_tick(k->errand, now);
}

static void on_done(void *user, struct errand *t, int code, const struct tenure_error *error)
{
    struct asker *k = user;
    k->ended++;
    k->code = code;
    k->applied = error->applied;
    if (k->in_latch)
        k->state = latch_state(t);
    k->errand = errand_free(t, fake_now());
}

static void start(struct asker *k, struct errand *t)
{
    assert_non_null(t);
    assert_null(k->errand);
    k->errand = t;
    k->ended = 0;
    errand_start(t, fake_now());
}

static int begin(void **state)
{
    static const char *const names[] = {"A", "B", "C", "D", "E", "F"};
    (void)state;
    fake_begin();
    for (size_t i = 0; i < ARRAY_LEN(askers); i++) {
        askers[i] = (struct asker){.c = fake_client(names[i])};
        fake_add_ticker(askers[i].c, deadline, tick, &askers[i]);
    }
    return 0;
}

static tn_ms session_due(const void *s)
{
    return session_deadline(s);
}

static void session_turn(void *s, tn_ms now)
{
    session_tick(s, now);
}

static void drop_session(struct asker *k)
{
    if (!k->session)
        return;
    k->barrier = double_barrier_free(k->barrier);
    fake_remove_ticker(k->session);
    k->session = session_free(k->session);
}

static int end(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(askers); i++) {
        askers[i].errand = errand_free(askers[i].errand, fake_now());
        drop_session(&askers[i]);
        fake_remove_ticker(&askers[i]);
    }
    fake_run(20000);
    fake_end();
    return 0;
}

static void hold(struct asker *k, const char *name)
{
    struct barrier_options o = {.name = name, .until = fake_now() + 5000, .value = bytes_str("me")};
    start(k, barrier_hold(k->c, &o, on_done, k, NULL));
}

static void release(struct asker *k, const char *name)
{
    struct barrier_options o = {.name = name, .until = fake_now() + 5000};
    start(k, barrier_release(k->c, &o, on_done, k, NULL));
}

static void wait_for(struct asker *k, const char *name, int64_t ms)
{
    struct barrier_options o = {.name = name, .until = ms > 0 ? fake_now() + ms : TN_MS_NEVER, .try_only = ms < 0};
    start(k, barrier_wait(k->c, &o, on_done, k, NULL));
}

static void ends(struct asker *k, int code)
{
    fake_run(50);
    assert_int_equal(k->ended, 1);
    assert_int_equal(k->code, code);
}

/* ---- the barrier ---- */

static void nobody_waits_where_nobody_holds(void **state)
{
    (void)state;
    wait_for(a, "x", 0);
    ends(a, 0);
    assert_int_equal(fake_watches_started(), 0);
}

static void a_wait_ends_with_the_release(void **state)
{
    struct kv kv;
    (void)state;
    hold(a, "x");
    ends(a, 0);
    assert_true(fake_get(bytes_str("/barriers/x"), &kv));
    assert_int_equal(kv.lease, 0);
    wait_for(b, "x", 0);
    wait_for(c, "x", 0);
    fake_run(60000);
    assert_int_equal(b->ended + c->ended, 0);
    release(a, "x");
    ends(a, 0);
    ends(b, 0);
    ends(c, 0);
    assert_false(fake_get(bytes_str("/barriers/x"), &kv));
}

/* A Go program creates and deletes the bare key, with an empty value. */
static void a_key_of_another_program_is_a_hold(void **state)
{
    (void)state;
    fake_put("/barriers/x", "", 0);
    hold(a, "x");
    ends(a, TENURE_EEXISTS);
    wait_for(b, "x", 0);
    fake_run(1000);
    assert_int_equal(b->ended, 0);
    fake_delete(bytes_str("/barriers/x"));
    ends(b, 0);
}

static void waiting_polls_nothing(void **state)
{
    (void)state;
    fake_put("/barriers/x", "", 0);
    wait_for(a, "x", 0);
    fake_run(100);
    unsigned requests = fake_requests();
    fake_run(600000);
    assert_int_equal(fake_requests(), requests);
}

static void a_try_says_busy_and_a_wait_times_out(void **state)
{
    (void)state;
    fake_put("/barriers/x", "", 0);
    wait_for(a, "x", -1);
    ends(a, TENURE_EBUSY);
    wait_for(a, "x", 300);
    fake_run(299);
    assert_int_equal(a->ended, 0);
    ends(a, TENURE_ETIMEOUT);
}

static void a_wait_can_be_stopped_at_any_moment(void **state)
{
    (void)state;
    fake_put("/barriers/x", "", 0);
    for (int ms = 0; ms < 8; ms++) {
        wait_for(a, "x", 0);
        fake_run(ms);
        errand_stop(a->errand, TENURE_ECANCELLED, fake_now());
        assert_int_equal(a->ended, 0); /* never within the call */
        ends(a, TENURE_ECANCELLED);
    }
}

static void a_release_in_a_compacted_past_is_noticed(void **state)
{
    (void)state;
    fake_put("/barriers/x", "", 0);
    wait_for(a, "x", 0);
    fake_run(50);
    fake_cut(a->c, true);
    fake_delete(bytes_str("/barriers/x"));
    fake_put("/barriers/x", "", 0); /* held again meanwhile */
    fake_compact();
    fake_run(5000);
    assert_int_equal(a->ended, 0);
    fake_cut(a->c, false);
    fake_run(10000);
    assert_int_equal(a->ended, 1);
    assert_int_equal(a->code, 0);
}

static void a_wait_goes_on_after_too_many_events(void **state)
{
    (void)state;
    fake_put("/barriers/x", "", 0);
    wait_for(a, "x", 0);
    fake_run(50);
    fake_overflow_watches(a->c);
    fake_run(1000);
    assert_int_equal(a->ended, 0);
    fake_delete(bytes_str("/barriers/x"));
    ends(a, 0);
}

/* ---- lost answers ---- */

struct plan {
    unsigned nth;
    enum fake_fault fault;
    const char *what; /* which calls count; a prefix */
    unsigned seen;
};

static enum fake_fault judge(void *user, struct client *client, unsigned n, const char *what)
{
    struct plan *p = user;
    (void)client;
    (void)n;
    if (p->what && strncmp(what, p->what, strlen(p->what)) != 0)
        return FAKE_FINE;
    return p->seen++ == p->nth ? p->fault : FAKE_FINE;
}

static tn_rev creates(const char *key)
{
    struct kv kv;
    return fake_get(bytes_str(key), &kv) ? kv.create_revision : 0;
}

static void a_hold_whose_answer_is_lost_is_done_once(void **state)
{
    (void)state;
    static const enum fake_fault faults[] = {FAKE_LOSE_REQUEST, FAKE_LOSE_REPLY, FAKE_LATE, FAKE_UNAVAILABLE};
    for (size_t f = 0; f < ARRAY_LEN(faults); f++)
        for (unsigned nth = 0; nth < 2; nth++) {
            struct plan plan = {.nth = nth, .fault = faults[f]};
            fake_set_judge(judge, &plan);
            hold(a, "x");
            fake_run(2000);
            fake_set_judge(NULL, NULL);
            assert_int_equal(a->ended, 1);
            assert_int_equal(a->code, 0);
            assert_true(creates("/barriers/x") > 0);
            release(b, "x");
            fake_run(3000); /* whatever was late has come */
            assert_int_equal(b->code, 0);
            assert_int_equal(creates("/barriers/x"), 0);
        }
}

/* The key is there, and whoever put it has not heard so: then it is cut off until others have come and gone. */
static void lose_the_answer(struct asker *k, const char *key)
{
    struct plan plan = {.nth = 1, .fault = FAKE_LOSE_REPLY};
    fake_set_judge(judge, &plan);
    for (int ms = 0; ms < 100 && creates(key) == 0; ms++)
        fake_run(1);
    fake_set_judge(NULL, NULL);
    assert_true(creates(key) > 0);
    assert_int_equal(k->ended, 0);
    fake_cut(k->c, true);
}

static void a_hold_that_others_followed_is_not_done_again(void **state)
{
    (void)state;
    hold(a, "x");
    lose_the_answer(a, "/barriers/x");
    release(b, "x");
    ends(b, 0);
    for (int i = 0; i < 3; i++) {
        hold(b, "x");
        ends(b, 0);
        release(b, "x");
        ends(b, 0);
    }
    fake_cut(a->c, false);
    fake_run(4000);
    assert_int_equal(a->ended, 1);
    assert_int_equal(a->code, 0);
    assert_int_equal(creates("/barriers/x"), 0);
}

static void a_hold_that_too_many_others_followed_may_have_been_done(void **state)
{
    (void)state;
    hold(a, "x");
    lose_the_answer(a, "/barriers/x");
    release(b, "x");
    ends(b, 0);
    for (int i = 0; i < 16; i++) {
        hold(b, "x");
        ends(b, 0);
        release(b, "x");
        ends(b, 0);
    }
    fake_cut(a->c, false);
    fake_run(4000);
    assert_int_equal(a->ended, 1);
    assert_int_not_equal(a->code, 0);
    assert_int_equal(a->applied, TENURE_APPLIED_MAYBE);
    assert_int_equal(creates("/barriers/x"), 0);
}

static void a_release_whose_answer_is_lost_does_not_end_the_next_hold(void **state)
{
    (void)state;
    struct plan plan = {.nth = 1, .fault = FAKE_LATE};
    hold(a, "x");
    ends(a, 0);
    fake_set_judge(judge, &plan);
    release(a, "x");
    fake_run(100);
    fake_set_judge(NULL, NULL);
    fake_delete(bytes_str("/barriers/x")); /* or it is gone already */
    hold(b, "x");
    fake_run(3000);
    assert_int_equal(b->code, 0);
    assert_true(creates("/barriers/x") > 0);
}

static void a_hold_that_is_denied_or_has_a_strange_answer_ends(void **state)
{
    (void)state;
    struct plan plan = {.nth = 1, .fault = FAKE_DENIED};
    fake_set_judge(judge, &plan);
    hold(a, "x");
    ends(a, TENURE_EDENIED);
    plan = (struct plan){.nth = 0, .fault = FAKE_GARBLED};
    hold(a, "x");
    ends(a, TENURE_EPROTOCOL);
    plan = (struct plan){.nth = 0, .fault = FAKE_NO_MEMORY};
    hold(a, "x");
    ends(a, TENURE_ENOMEM);
    fake_set_judge(NULL, NULL);
}

static void a_hold_that_nobody_answers_may_have_been_done(void **state)
{
    (void)state;
    hold(a, "x");
    fake_run(3); /* the read has been answered, the write is on its way */
    fake_cut(a->c, true);
    fake_run(6000);
    assert_int_equal(a->ended, 1);
    assert_int_equal(a->code, TENURE_ETIMEOUT);
    assert_int_equal(a->applied, TENURE_APPLIED_MAYBE);
    fake_cut(a->c, false);
}

static void names_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"", "x/", "/x"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct tenure_error err = {0};
        struct barrier_options o = {.name = names[i], .until = TN_MS_NEVER};
        struct latch_options l = {.name = names[i], .n = 1, .until = TN_MS_NEVER};
        assert_null(barrier_hold(a->c, &o, on_done, a, &err));
        assert_int_equal(err.code, TENURE_EINVALID);
        assert_null(latch_arrive(a->c, &l, on_done, a, &err));
        assert_int_equal(err.code, TENURE_EINVALID);
    }
}

/* ---- latches ---- */

static void arrive(struct asker *k, const char *who, int64_t n)
{
    struct latch_options o = {.name = "l", .id = who, .n = n, .until = fake_now() + 5000, .value = bytes_str("me")};
    k->in_latch = true;
    start(k, latch_arrive(k->c, &o, on_done, k, NULL));
}

static void wait_latch(struct asker *k, bool try_only)
{
    struct latch_options o = {.name = "l", .until = TN_MS_NEVER, .try_only = try_only};
    k->in_latch = true;
    start(k, latch_wait(k->c, &o, on_done, k, NULL));
}

static void the_last_arrival_opens_a_latch(void **state)
{
    (void)state;
    wait_latch(a, false);
    arrive(b, NULL, 3);
    ends(b, 0);
    assert_int_equal(b->state.arrived, 1);
    arrive(b, NULL, 3);
    ends(b, 0);
    assert_false(b->state.open);
    unsigned wakes = fake_wakes();
    assert_int_equal(wakes, 0); /* an arrival wakes nobody */
    assert_int_equal(a->ended, 0);
    wait_latch(c, true);
    ends(c, TENURE_EBUSY);
    arrive(c, NULL, 3);
    ends(c, 0);
    assert_true(c->state.open);
    ends(a, 0);
    arrive(c, NULL, 3); /* an open one stays open */
    ends(c, 0);
    wait_latch(b, true);
    ends(b, 0);
}

static void who_has_a_name_is_counted_once(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        arrive(a, "worker", 2);
        ends(a, 0);
        assert_int_equal(a->state.arrived, 1);
    }
    arrive(b, "other", 2);
    ends(b, 0);
    assert_true(b->state.open);
}

static void another_number_is_refused(void **state)
{
    (void)state;
    arrive(a, NULL, 3);
    ends(a, 0);
    arrive(b, NULL, 2);
    ends(b, TENURE_ECONFLICT);
    fake_put("/latches/l/count", "many", 0);
    arrive(b, NULL, 3);
    ends(b, TENURE_ECORRUPT);
}

static void arrivals_at_once_are_all_counted(void **state)
{
    (void)state;
    wait_latch(&askers[5], false);
    for (int i = 0; i < 5; i++)
        arrive(&askers[i], NULL, 5);
    fake_run(200);
    for (int i = 0; i < 6; i++)
        assert_int_equal(askers[i].ended, 1);
    assert_true(creates("/latches/l/open") > 0);
}

static void an_arrival_whose_answer_is_lost_counts_once(void **state)
{
    (void)state;
    static const enum fake_fault faults[] = {FAKE_LOSE_REQUEST, FAKE_LOSE_REPLY, FAKE_LATE, FAKE_UNAVAILABLE};
    for (size_t f = 0; f < ARRAY_LEN(faults); f++)
        for (unsigned nth = 0; nth < 2; nth++) {
            struct plan plan = {.nth = nth, .fault = faults[f]};
            fake_set_judge(judge, &plan);
            arrive(a, NULL, 100);
            fake_run(3000);
            fake_set_judge(NULL, NULL);
            assert_int_equal(a->code, 0);
            assert_int_equal(a->state.arrived, (int)(2 * f + nth + 1));
        }
}

static void a_reset_closes_it(void **state)
{
    (void)state;
    struct latch_options o = {.name = "l", .until = fake_now() + 50000};
    arrive(a, NULL, 1);
    ends(a, 0);
    start(b, latch_reset(b->c, &o, on_done, b, NULL));
    ends(b, 0);
    assert_int_equal(fake_keys(), 1); /* its mark */
    start(b, latch_reset(b->c, &o, on_done, b, NULL));
    ends(b, 0);
    start(b, latch_look(b->c, &o, on_done, b, NULL));
    ends(b, 0);
    assert_false(b->state.open);
    assert_int_equal(b->state.arrived, 0);
}

/* Its answer is lost; then the latch is reset, and others arrive. */
static void an_arrival_does_not_count_again_behind_a_reset(void **state)
{
    (void)state;
    struct latch_options o = {.name = "l", .until = fake_now() + 50000};
    arrive(a, NULL, 3);
    lose_the_answer(a, "/latches/l/count");
    start(b, latch_reset(b->c, &o, on_done, b, NULL));
    ends(b, 0);
    arrive(b, NULL, 3);
    ends(b, 0);
    fake_cut(a->c, false);
    fake_run(4000);
    assert_int_equal(a->ended, 1);
    assert_int_equal(a->code, 0);
    start(b, latch_look(b->c, &o, on_done, b, NULL));
    ends(b, 0);
    assert_int_equal(b->state.arrived, 1);
}

/* ---- double barriers ---- */

static void join(struct asker *k)
{
    struct session_options o = {.ttl_s = TTL_S};
    assert_null(k->session);
    assert_int_equal(session_open(k->c, &o, NULL, NULL, fake_now(), &k->session, NULL), 0);
    fake_add_ticker(k->c, session_due, session_turn, k->session);
}

static void enter_with(struct asker *k, int64_t n, int64_t ms, bool broken)
{
    struct double_barrier_options o = {.name = "x", .n = n, .broken_open_unfenced = broken};
    join(k);
    assert_int_equal(double_barrier_new(k->session, &o, &k->barrier, NULL), 0);
    start(k, double_barrier_enter(k->barrier, ms ? fake_now() + ms : TN_MS_NEVER, on_done, k, NULL));
}

static void enter(struct asker *k, int64_t n, int64_t ms)
{
    enter_with(k, n, ms, false);
}

static void leave(struct asker *k)
{
    start(k, double_barrier_leave(k->barrier, TN_MS_NEVER, on_done, k, NULL));
}

static size_t keys_under(const char *prefix)
{
    struct kv kv;
    size_t n = 0;
    for (size_t i = 0; fake_key(i, &kv); i++)
        n += bytes_has_prefix(kv.key, bytes_str(prefix));
    return n;
}

static void all_enter_together_and_leave_together(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        enter(a, 3, 0);
        enter(b, 3, 0);
        fake_run(60000);
        assert_int_equal(a->ended + b->ended, 0);
        enter(c, 3, 0);
        ends(a, 0);
        ends(b, 0);
        ends(c, 0);
        assert_true(double_barrier_is_inside(a->barrier, fake_now()));
        struct asker *const order[3][3] = {{a, b, c}, {c, b, a}, {b, a, c}};
        leave(order[round][0]);
        leave(order[round][1]);
        fake_run(1000);
        assert_int_equal(order[round][0]->ended + order[round][1]->ended, 0);
        leave(order[round][2]);
        for (int i = 0; i < 3; i++)
            ends(&askers[i], 0);
        assert_int_equal(keys_under("/barriers/x/"), 0);
        for (int i = 0; i < 3; i++)
            drop_session(&askers[i]);
    }
}

static void one_participant_is_enough_for_one(void **state)
{
    (void)state;
    enter(a, 1, 0);
    ends(a, 0);
    leave(a);
    ends(a, 0);
    assert_int_equal(keys_under("/barriers/x/"), 0);
}

static void one_too_many_is_refused(void **state)
{
    (void)state;
    enter(a, 2, 0);
    fake_run(50);
    enter(b, 2, 0);
    enter(c, 2, 0);
    fake_run(100);
    assert_int_equal(a->code, 0);
    int refused = (b->code == TENURE_EBUSY) + (c->code == TENURE_EBUSY);
    int inside = (b->ended && b->code == 0) + (c->ended && c->code == 0);
    assert_int_equal(inside, 1);
    assert_true(refused == 1 || !b->ended || !c->ended); /* or it waits for the next round */
}

/* The keys of a Go program: names of digits, an empty value, ready put by whoever is the nth. */
static void other_programs_take_part(void **state)
{
    (void)state;
    tn_lease lease = fake_grant(1000);
    enter(a, 3, 0);
    enter(b, 3, 0);
    fake_run(50);
    fake_put("/barriers/x/waiters/1700000000000000000", "", lease);
    fake_put("/barriers/x/ready", "", 0);
    ends(a, 0);
    ends(b, 0);
    leave(a);
    leave(b);
    fake_run(1000);
    assert_int_equal(a->ended + b->ended, 0);
    fake_delete(bytes_str("/barriers/x/waiters/1700000000000000000"));
    ends(a, 0);
    ends(b, 0);
    assert_int_equal(keys_under("/barriers/x/"), 0);
    drop_session(a);
    fake_put("/barriers/x/waiters/1800000000000000000", "", lease);
    enter(a, 2, 0); /* the nth is ours */
    ends(a, 0);
    assert_true(creates("/barriers/x/ready") > 0);
}

static void a_dead_participant_is_replaced_or_has_left(void **state)
{
    (void)state;
    enter(a, 2, 0);
    fake_run(50);
    drop_session(a); /* dies: its errand is gone with it in this test */
    a->errand = errand_free(a->errand, fake_now());
    fake_run(10000); /* its lease has ended */
    enter(b, 2, 0);
    fake_run(20000);
    assert_int_equal(b->ended, 0);
    enter(c, 2, 0);
    ends(b, 0);
    ends(c, 0);
    leave(b);
    fake_run(1000);
    assert_int_equal(b->ended, 0);
    drop_session(c);
    fake_run(20000);
    assert_int_equal(b->ended, 1);
    assert_int_equal(b->code, 0);
}

static void a_round_whose_participants_all_died_does_not_bar_the_next(void **state)
{
    (void)state;
    enter(a, 2, 0);
    enter(b, 2, 0);
    ends(a, 0);
    ends(b, 0);
    enter(c, 2, 0); /* waits for them to leave */
    enter(d, 2, 0);
    fake_run(1000);
    assert_int_equal(c->ended + d->ended, 0);
    drop_session(a);
    drop_session(b);
    fake_run(20000);
    assert_int_equal(c->ended + d->ended, 2);
    assert_int_equal(c->code + d->code, 0);
}

static void who_gives_up_does_not_count(void **state)
{
    (void)state;
    enter(a, 3, 0);
    enter(b, 3, 500);
    fake_run(1000);
    assert_int_equal(b->ended, 1);
    assert_int_equal(b->code, TENURE_ETIMEOUT);
    assert_int_equal(b->applied, TENURE_APPLIED_NO);
    enter(c, 3, 0);
    fake_run(1000);
    assert_int_equal(a->ended + c->ended, 0);
    enter(d, 3, 0);
    ends(a, 0);
    ends(c, 0);
    ends(d, 0);
}

/* One gives up at each moment around the opening: either all n are inside, or it is out and the others wait. */
static int give_up_around_the_opening(bool broken)
{
    int early = 0;
    for (int ms = 0; ms < 14; ms++)
        for (int skew = 0; skew < 4; skew++) {
            enter_with(a, 3, 0, broken);
            enter_with(b, 3, 0, broken);
            fake_run(30);
            fake_slow_replies(c->c, skew);
            enter_with(c, 3, 0, broken);
            fake_run(ms);
            if (b->errand)
                errand_stop(b->errand, TENURE_ECANCELLED, fake_now());
            fake_run(200);
            assert_int_equal(b->ended, 1);
            int others = (a->ended && a->code == 0) + (c->ended && c->code == 0);
            if (b->code)
                early += others > 0;
            else
                assert_int_equal(others, 2);
            fake_slow_replies(c->c, 0);
            for (int i = 0; i < 3; i++) {
                askers[i].errand = errand_free(askers[i].errand, fake_now());
                drop_session(&askers[i]);
            }
            fake_run(10000);
        }
    return early;
}

static void giving_up_at_any_moment_opens_it_for_all_or_for_none(void **state)
{
    (void)state;
    assert_int_equal(give_up_around_the_opening(false), 0);
}

static void opening_without_the_fence_is_found(void **state)
{
    (void)state;
    assert_true(give_up_around_the_opening(true) > 0);
}

static void a_lost_session_ends_the_waiting(void **state)
{
    (void)state;
    enter(a, 2, 0);
    fake_run(50);
    fake_revoke(session_lease(a->session));
    fake_run(5000);
    assert_int_equal(a->ended, 1);
    assert_int_equal(a->code, TENURE_ELOST);
}

static void numbers_that_are_none_are_refused(void **state)
{
    (void)state;
    struct tenure_error err = {0};
    join(a);
    struct double_barrier_options o = {.name = "x", .n = 0};
    assert_int_equal(double_barrier_new(a->session, &o, &a->barrier, &err), TENURE_EINVALID);
    o = (struct double_barrier_options){.name = "", .n = 1};
    assert_int_equal(double_barrier_new(a->session, &o, &a->barrier, &err), TENURE_EINVALID);
}

/* Faults at each call of a whole round: it opens for all, once, and everybody comes out. */
static void a_round_survives_a_fault_at_each_call(void **state)
{
    (void)state;
    static const enum fake_fault faults[] = {FAKE_LOSE_REQUEST, FAKE_LOSE_REPLY, FAKE_LATE,
                                             FAKE_UNAVAILABLE,  FAKE_OVERTAKEN,  FAKE_SLOW};
    for (size_t f = 0; f < ARRAY_LEN(faults); f++)
        for (unsigned nth = 0; nth < 14; nth++) {
            struct plan plan = {.nth = nth, .fault = faults[f], .what = "txn"};
            fake_set_judge(judge, &plan);
            for (int i = 0; i < 3; i++)
                enter(&askers[i], 3, 0);
            fake_run(2500);
            for (int i = 0; i < 3; i++)
                if (askers[i].ended != 1 || askers[i].code != 0)
                    fail_msg("fault %zu at call %u: %d has not entered (%d)", f, nth, i, askers[i].code);
            for (int i = 0; i < 3; i++)
                leave(&askers[i]);
            fake_run(2500);
            fake_set_judge(NULL, NULL);
            for (int i = 0; i < 3; i++)
                if (askers[i].ended != 1 || askers[i].code != 0)
                    fail_msg("fault %zu at call %u: %d has not left (%d)", f, nth, i, askers[i].code);
            assert_int_equal(keys_under("/barriers/x/waiters"), 0);
            for (int i = 0; i < 3; i++)
                drop_session(&askers[i]);
        }
}

/* ---- no memory ---- */

static bool try_start(struct asker *k, struct errand *t)
{
    if (t)
        start(k, t);
    return t != NULL;
}

static bool ended_well(struct asker *k)
{
    fake_run(300);
    return k->ended == 1 && k->code == 0;
}

static bool try_enter(struct asker *k, int64_t n)
{
    struct session_options so = {.ttl_s = TTL_S};
    struct double_barrier_options o = {.name = "x", .n = n};
    if (session_open(k->c, &so, NULL, NULL, fake_now(), &k->session, NULL))
        return false;
    fake_add_ticker(k->c, session_due, session_turn, k->session);
    return double_barrier_new(k->session, &o, &k->barrier, NULL) == 0 &&
           try_start(k, double_barrier_enter(k->barrier, TN_MS_NEVER, on_done, k, NULL));
}

static bool try_leave(struct asker *k)
{
    return try_start(k, double_barrier_leave(k->barrier, TN_MS_NEVER, on_done, k, NULL));
}

static bool goes_round(void)
{
    struct barrier_options o = {.name = "p", .until = fake_now() + 60000};
    struct latch_options l = {.name = "l", .n = 1, .until = fake_now() + 60000};
    return try_start(a, barrier_hold(a->c, &o, on_done, a, NULL)) && ended_well(a) &&
           try_start(b, barrier_wait(b->c, &o, on_done, b, NULL)) &&
           try_start(a, barrier_release(a->c, &o, on_done, a, NULL)) && ended_well(a) && ended_well(b) &&
           try_start(b, latch_wait(b->c, &l, on_done, b, NULL)) &&
           try_start(a, latch_arrive(a->c, &l, on_done, a, NULL)) && ended_well(a) && ended_well(b) &&
           try_start(a, latch_reset(a->c, &l, on_done, a, NULL)) && ended_well(a) && try_enter(a, 2) &&
           try_enter(b, 2) && ended_well(a) && ended_well(b) && try_leave(a) && try_leave(b) && ended_well(a) &&
           ended_well(b);
}

static int a_round_without_memory(void *user)
{
    (void)user;
    fake_begin();
    *a = (struct asker){.c = fake_client("A")};
    *b = (struct asker){.c = fake_client("B")};
    fake_add_ticker(a->c, deadline, tick, a);
    fake_add_ticker(b->c, deadline, tick, b);
    bool fine = goes_round();
    for (struct asker *k = a; k <= b; k++) {
        k->errand = errand_free(k->errand, fake_now());
        drop_session(k);
        fake_remove_ticker(k);
        *k = (struct asker){0};
    }
    fake_run(60000);
    fake_end();
    return fine ? 0 : TENURE_ENOMEM;
}

static void without_memory_it_ends(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(a_round_without_memory, NULL) > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nobody_waits_where_nobody_holds),
        TEST(a_wait_ends_with_the_release),
        TEST(a_key_of_another_program_is_a_hold),
        TEST(waiting_polls_nothing),
        TEST(a_try_says_busy_and_a_wait_times_out),
        TEST(a_wait_can_be_stopped_at_any_moment),
        TEST(a_release_in_a_compacted_past_is_noticed),
        TEST(a_wait_goes_on_after_too_many_events),
        TEST(a_hold_whose_answer_is_lost_is_done_once),
        TEST(a_hold_that_others_followed_is_not_done_again),
        TEST(a_hold_that_too_many_others_followed_may_have_been_done),
        TEST(a_release_whose_answer_is_lost_does_not_end_the_next_hold),
        TEST(a_hold_that_is_denied_or_has_a_strange_answer_ends),
        TEST(a_hold_that_nobody_answers_may_have_been_done),
        TEST(names_that_are_none_are_refused),
        TEST(the_last_arrival_opens_a_latch),
        TEST(who_has_a_name_is_counted_once),
        TEST(another_number_is_refused),
        TEST(arrivals_at_once_are_all_counted),
        TEST(an_arrival_whose_answer_is_lost_counts_once),
        TEST(a_reset_closes_it),
        TEST(an_arrival_does_not_count_again_behind_a_reset),
        TEST(all_enter_together_and_leave_together),
        TEST(one_participant_is_enough_for_one),
        TEST(one_too_many_is_refused),
        TEST(other_programs_take_part),
        TEST(a_dead_participant_is_replaced_or_has_left),
        TEST(a_round_whose_participants_all_died_does_not_bar_the_next),
        TEST(who_gives_up_does_not_count),
        TEST(giving_up_at_any_moment_opens_it_for_all_or_for_none),
        TEST(opening_without_the_fence_is_found),
        TEST(a_lost_session_ends_the_waiting),
        TEST(numbers_that_are_none_are_refused),
        TEST(a_round_survives_a_fault_at_each_call),
        cmocka_unit_test(without_memory_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
