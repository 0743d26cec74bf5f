/* Commits: applied once or not at all, and known which, whatever is lost on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_client.h"
#include "recipes/commit.h"
#include "tenure/error.h"

static struct client *c;
static struct session *session;
static struct marks *marks;
static struct commit *commit, *second;

static struct ending {
    int told;
    enum commit_outcome outcome;
    tn_rev revision;
    int code;
    enum tenure_applied applied;
    char text[256];
    size_t n_others;
    char other[32];
} last;

static enum fake_fault faults[8]; /* of the transactions to come, in their order */
static unsigned n_txns;

static enum fake_fault judge(void *user, struct client *client, unsigned n, const char *what)
{
    (void)user, (void)client, (void)n;
    if (strncmp(what, "txn", 3) != 0 || n_txns >= 8)
        return FAKE_FINE;
    return faults[n_txns++];
}

static tn_ms deadline_of_session(const void *s)
{
    return session_deadline(s);
}

static void tick_session(void *s, tn_ms now)
{
    session_tick(s, now);
}

static int begin_with(bool alive)
{
    fake_begin();
    c = fake_client("A");
    memset(faults, 0, sizeof faults);
    memset(&last, 0, sizeof last);
    n_txns = 0;
    commit = second = NULL;
    struct session_options opt = {.ttl_s = 5};
    assert_int_equal(session_open(c, &opt, NULL, NULL, fake_now(), &session, NULL), 0);
    fake_add_ticker(c, deadline_of_session, tick_session, session);
    assert_int_equal(marks_new(session, NULL, &marks), 0);
    if (alive)
        fake_run(5);
    fake_set_judge(judge, NULL);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    return begin_with(true);
}

static int begin_before_the_lease(void **state)
{
    (void)state;
    return begin_with(false);
}

static int end(void **state)
{
    (void)state;
    fake_set_judge(NULL, NULL);
    fake_cut(c, false);
    marks = marks_free(marks);
    fake_remove_ticker(session);
    session_close(session, fake_now());
    fake_run(10000);
    session = session_free(session);
    fake_end();
    return 0;
}

static void on_done(void *owner, const struct commit_result *r)
{
    (void)owner;
    last.told++;
    last.outcome = r->outcome;
    last.revision = r->revision;
    last.code = r->code;
    last.applied = r->outcome == COMMIT_FAILED ? r->error->applied : TENURE_APPLIED_NO;
    snprintf(last.text, sizeof last.text, "%s", r->outcome == COMMIT_FAILED ? r->error->text : "");
    last.n_others = r->n_others;
    last.other[0] = 0;
    if (r->n_others && r->others[0].range.n_kvs)
        memcpy(last.other, r->others[0].range.kvs[0].value.data, r->others[0].range.kvs[0].value.len);
}

/* Puts k if it was last written at `mod`, and asks for it otherwise. */
static int start(struct commit **slot, struct marks *m, tn_rev mod, bool settle, tn_ms ms, struct tenure_error *err)
{
    struct compare guard = {.target = COMPARE_MOD, .range.key = bytes_str("k"), .number = mod};
    struct request_op put = {.kind = OP_PUT, .put = {.key = bytes_str("k"), .value = bytes_str("ours")}};
    struct request_op look = {.kind = OP_RANGE, .range.range.key = bytes_str("k")};
    struct txn_req req = {
        .compares = &guard, .n_compares = 1, .success = &put, .n_success = 1, .failure = &look, .n_failure = 1};
    struct commit_options opt = {.until = fake_now() + ms, .settle = settle};
    return commit_start(slot, c, m, &req, &opt, on_done, NULL, fake_now(), err);
}

static void commit_and_wait(tn_rev mod, tn_ms ms)
{
    assert_int_equal(start(&commit, marks, mod, false, 4000, NULL), 0);
    fake_run(ms);
    assert_int_equal(last.told, 1);
    assert_null(commit);
    last.told = 0;
}

/* How often k was written since it was made, as the server counts. */
static int64_t written(void)
{
    struct kv kv;
    return fake_get(bytes_str("k"), &kv) ? kv.version : 0;
}

static void a_guard_that_holds_lets_it_be_applied(void **state)
{
    (void)state;
    commit_and_wait(0, 10);
    assert_int_equal(last.outcome, COMMIT_APPLIED);
    assert_int_equal(last.revision, fake_revision());
    commit_and_wait(last.revision, 10);
    assert_int_equal(last.outcome, COMMIT_APPLIED);
    assert_int_equal(written(), 2);
    assert_int_equal(fake_keys(), 2); /* k and the one mark */
}

static void a_guard_that_fails_brings_what_was_asked_instead(void **state)
{
    (void)state;
    fake_put("k", "theirs", 0);
    commit_and_wait(0, 10);
    assert_int_equal(last.outcome, COMMIT_CONFLICT);
    assert_int_equal(last.n_others, 1);
    assert_string_equal(last.other, "theirs");
    assert_int_equal(written(), 1);
}

static void who_is_refused_is_told_which_key(void **state)
{
    (void)state;
    faults[0] = faults[1] = FAKE_DENIED;
    commit_and_wait(0, 10);
    assert_int_equal(last.code, TENURE_EDENIED);
    assert_int_equal(last.applied, TENURE_APPLIED_NO);
    assert_non_null(strstr(last.text, "the mark '/marks/"));
    faults[2] = FAKE_DENIED;
    commit_and_wait(0, 10);
    assert_int_equal(last.code, TENURE_EDENIED);
    assert_non_null(strstr(last.text, "'k'"));
    faults[4] = FAKE_DENIED;
    faults[5] = FAKE_UNAVAILABLE; /* then nobody knows */
    commit_and_wait(0, 10);
    assert_int_equal(last.code, TENURE_EDENIED);
    assert_int_equal(last.applied, TENURE_APPLIED_NO);
    assert_int_equal(fake_keys(), 0);
}

static void it_waits_for_the_lease(void **state)
{
    (void)state;
    assert_int_equal(start(&commit, marks, 0, false, 4000, NULL), 0);
    assert_int_equal(last.told, 0);
    fake_run(10);
    assert_int_equal(last.outcome, COMMIT_APPLIED);
}

static void the_wait_for_the_lease_ends_in_time(void **state)
{
    (void)state;
    fake_cut(c, true);
    assert_int_equal(start(&commit, marks, 0, false, 700, NULL), 0);
    fake_run(699);
    assert_int_equal(last.told, 0);
    fake_run(10);
    assert_int_equal(last.told, 1);
    assert_int_equal(last.code, TENURE_ETIMEOUT);
    assert_int_equal(last.applied, TENURE_APPLIED_NO);
}

static void who_cancels_the_wait_is_told(void **state)
{
    (void)state;
    assert_int_equal(start(&commit, marks, 0, false, 4000, NULL), 0);
    commit_cancel(&commit, fake_now());
    assert_int_equal(last.told, 0);
    fake_run(1);
    assert_int_equal(last.told, 1);
    assert_int_equal(last.code, TENURE_ECANCELLED);
    assert_int_equal(written(), 0);
}

/* C1: the answer is lost, the copy that follows finds the mark moved by the first. */
static void a_lost_answer_is_found_out(void **state)
{
    (void)state;
    faults[0] = FAKE_LOSE_REPLY;
    commit_and_wait(0, 100);
    assert_int_equal(last.outcome, COMMIT_APPLIED);
    assert_int_equal(written(), 1);
    assert_int_equal(last.revision, fake_revision());
}

/* Somebody deletes what was written before the copy comes: the guard "absent" holds again, the mark's does not. */
static void a_guard_that_holds_a_second_time_does_not_fool_it(void **state)
{
    (void)state;
    faults[0] = FAKE_LOSE_REPLY;
    assert_int_equal(start(&commit, marks, 0, false, 4000, NULL), 0);
    fake_run(5);
    assert_true(fake_delete(bytes_str("k")));
    fake_run(100);
    assert_int_equal(last.outcome, COMMIT_APPLIED);
    assert_int_equal(written(), 0);
}

/* The first copy is late; the second is refused, and moves the mark, so that the first finds nothing to do. */
static void a_late_copy_is_not_applied_behind_a_conflict(void **state)
{
    (void)state;
    fake_put("k", "theirs", 0);
    faults[0] = FAKE_LATE;
    commit_and_wait(0, 100);
    assert_int_equal(last.outcome, COMMIT_CONFLICT);
    assert_string_equal(last.other, "theirs");
    assert_true(fake_delete(bytes_str("k")));
    fake_run(2 * FAKE_LATE_MS);
    assert_int_equal(written(), 0);
}

static void a_lost_answer_of_the_fence_is_found_out_too(void **state)
{
    (void)state;
    fake_put("k", "theirs", 0);
    faults[0] = FAKE_LATE;
    faults[1] = FAKE_LOSE_REPLY; /* the fence's: repeats are not judged */
    commit_and_wait(0, 200);
    assert_int_equal(last.outcome, COMMIT_CONFLICT);
    assert_int_equal(n_txns, 2);
}

/* What ended as maybe and lands later: the next commit with its mark notices, and neither is lost nor done twice. */
static void a_mark_moved_by_an_older_commit_is_taken_from_where_it_is(void **state)
{
    (void)state;
    fake_slow_replies(c, 500);
    assert_int_equal(start(&commit, marks, 0, false, 100, NULL), 0);
    fake_run(110);
    assert_int_equal(last.told, 1);
    assert_int_equal(last.outcome, COMMIT_FAILED);
    assert_int_equal(last.code, TENURE_ETIMEOUT);
    assert_int_equal(last.applied, TENURE_APPLIED_MAYBE);
    fake_slow_replies(c, 0);
    tn_rev mod = fake_revision();
    last.told = 0;
    commit_and_wait(mod, 100);
    assert_int_equal(last.outcome, COMMIT_APPLIED);
    assert_int_equal(written(), 2);
}

static void who_settles_knows_it_when_the_network_is_back(void **state)
{
    (void)state;
    fake_slow_replies(c, 500);
    assert_int_equal(start(&commit, marks, 0, true, 100, NULL), 0);
    fake_run(1500);
    assert_int_equal(last.told, 1);
    assert_int_equal(last.outcome, COMMIT_APPLIED);
    fake_slow_replies(c, 0);
    last.told = 0;
    assert_int_equal(start(&commit, marks, last.revision, true, 100, NULL), 0);
    fake_cut(c, true);
    fake_run(1000);
    assert_int_equal(last.told, 0); /* the session lives, so it is not known yet */
    fake_cut(c, false);
    fake_run(3000);
    assert_int_equal(last.told, 1);
    assert_int_equal(written(), last.outcome == COMMIT_APPLIED ? 2 : 1);
}

/* No guard failed: who asked would look for the reason in vain. */
static void one_that_settles_and_was_not_applied_says_why(void **state)
{
    (void)state;
    faults[0] = FAKE_LOSE_REQUEST;
    assert_int_equal(start(&commit, marks, 0, true, 100, NULL), 0);
    fake_run(4);
    fake_cut(c, true);
    fake_run(1000);
    assert_int_equal(last.told, 0);
    fake_cut(c, false);
    fake_run(3000);
    assert_int_equal(last.told, 1);
    assert_int_equal(last.outcome, COMMIT_FAILED);
    assert_int_equal(last.code, TENURE_ETIMEOUT);
    assert_int_equal(last.applied, TENURE_APPLIED_NO);
    assert_int_equal(written(), 0);
}

/* A copy of the grant and one of the commit are on their way when the lease ends. Then the lease comes back to life, and with it
 * the mark's absence. */
static enum fake_fault grant_and_commit_late(void *user, struct client *client, unsigned n, const char *what)
{
    unsigned *late = user;
    (void)client, (void)n;
    bool grants = strncmp(what, "grant", 5) == 0 && !(*late & 1),
         commits = strncmp(what, "txn put k", 9) == 0 && !(*late & 2);
    *late |= grants ? 1 : commits ? 2 : 0;
    return grants || commits ? FAKE_LATE : FAKE_FINE;
}

static void a_lease_that_comes_back_brings_no_late_copy_to_life(void **state)
{
    unsigned late = 0;
    struct session_options o = {.ttl_s = 60};
    struct session *other;
    struct marks *others;
    (void)state;
    fake_set_judge(grant_and_commit_late, &late);
    assert_int_equal(session_open(c, &o, NULL, NULL, fake_now(), &other, NULL), 0);
    fake_add_ticker(c, deadline_of_session, tick_session, other);
    assert_int_equal(marks_new(other, "m/", &others), 0);
    assert_int_equal(start(&commit, others, 0, false, 4000, NULL), 0);
    fake_run(200);
    assert_int_equal(late, 3);
    assert_int_equal(last.told, 1);
    assert_int_equal(last.outcome, COMMIT_APPLIED);
    assert_true(fake_delete(bytes_str("k")));
    session_close(other, fake_now());
    fake_run(3000);
    assert_int_equal(written(), 0);
    fake_set_judge(NULL, NULL);
    fake_remove_ticker(other);
    marks_free(others);
    session_free(other);
}

static void with_the_session_it_ends(void **state)
{
    (void)state;
    struct tenure_error err;
    assert_int_equal(start(&commit, marks, 0, true, 100, NULL), 0);
    fake_cut(c, true);
    fake_run(8000);
    assert_int_equal(last.told, 1);
    assert_int_equal(last.code, TENURE_ELOST);
    assert_false(marks_usable(marks, fake_now()));
    assert_int_equal(start(&second, marks, 0, false, 100, &err), TENURE_ELOST);
    assert_null(second);
}

static void a_revoked_lease_is_a_loss_and_nothing_was_applied(void **state)
{
    (void)state;
    assert_true(fake_revoke(session_lease(session)));
    commit_and_wait(0, 20);
    assert_int_equal(last.code, TENURE_ELOST);
    assert_int_equal(last.applied, TENURE_APPLIED_NO);
    assert_int_equal(written(), 0);
}

static void two_at_once_have_marks_of_their_own(void **state)
{
    (void)state;
    assert_int_equal(start(&commit, marks, 0, false, 1000, NULL), 0);
    assert_int_equal(start(&second, marks, 0, false, 1000, NULL), 0);
    assert_true(marks_busy(marks));
    fake_run(20);
    assert_int_equal(last.told, 2);
    assert_int_equal(written(), 1); /* the guard is the same */
    assert_false(marks_busy(marks));
    assert_int_equal(fake_keys(), 2); /* the second's mark was not written */
}

static void who_drops_it_is_not_told(void **state)
{
    (void)state;
    assert_int_equal(start(&commit, marks, 0, false, 1000, NULL), 0);
    commit_drop(&commit, fake_now());
    assert_null(commit);
    assert_int_equal(start(&second, marks, 0, true, 1000, NULL), 0);
    commit_drop(&second, fake_now());
    fake_run(1000);
    assert_int_equal(last.told, 0);
    assert_false(marks_busy(marks));
}

static void without_marks_a_lost_answer_stays_a_maybe(void **state)
{
    (void)state;
    faults[0] = FAKE_LOSE_REPLY;
    assert_int_equal(start(&commit, NULL, 0, false, 1000, NULL), 0);
    fake_run(100);
    assert_int_equal(last.outcome, COMMIT_FAILED);
    assert_int_equal(last.applied, TENURE_APPLIED_MAYBE);
    last.told = 0;
    assert_int_equal(start(&commit, NULL, 0, false, 1000, NULL), 0);
    fake_run(100);
    assert_int_equal(last.outcome, COMMIT_CONFLICT);
    assert_string_equal(last.other, "ours");
}

static void an_answer_that_is_none_is_a_maybe(void **state)
{
    (void)state;
    fake_put("k", "theirs", 0);
    faults[0] = FAKE_GARBLED;
    commit_and_wait(0, 20);
    assert_int_equal(last.outcome, COMMIT_FAILED);
    assert_int_equal(last.code, TENURE_EPROTOCOL);
    assert_int_equal(last.applied, TENURE_APPLIED_MAYBE);
}

static void one_that_cannot_begin_leaves_nothing(void **state)
{
    (void)state;
    struct tenure_error err;
    faults[0] = FAKE_NO_MEMORY;
    assert_int_equal(start(&commit, marks, 0, false, 1000, &err), TENURE_ENOMEM);
    assert_null(commit);
    assert_false(marks_busy(marks));
}

#define TEST(name)       cmocka_unit_test_setup_teardown(name, begin, end)
#define TEST_EARLY(name) cmocka_unit_test_setup_teardown(name, begin_before_the_lease, end)

/* Whoever names them over a wait: they may go meanwhile. */
static void marks_that_went_refuse_whoever_held_them(void **state)
{
    (void)state;
    struct tenure_error err = {0};
    struct marks *held = marks_ref(marks);
    marks = marks_free(marks);
    assert_false(marks_usable(held, fake_now()));
    assert_int_equal(start(&commit, held, 0, false, 4000, &err), TENURE_ELOST);
    assert_null(commit);
    assert_int_equal(err.applied, TENURE_APPLIED_NO);
    assert_null(marks_unref(held));
    assert_null(marks_ref(NULL));
    assert_null(marks_unref(NULL));
    fake_run(10);
    assert_int_equal(written(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_guard_that_holds_lets_it_be_applied),
        TEST(a_guard_that_fails_brings_what_was_asked_instead),
        TEST(who_is_refused_is_told_which_key),
        TEST_EARLY(it_waits_for_the_lease),
        TEST_EARLY(the_wait_for_the_lease_ends_in_time),
        TEST_EARLY(who_cancels_the_wait_is_told),
        TEST(a_lost_answer_is_found_out),
        TEST(a_guard_that_holds_a_second_time_does_not_fool_it),
        TEST(a_late_copy_is_not_applied_behind_a_conflict),
        TEST(a_lost_answer_of_the_fence_is_found_out_too),
        TEST(a_mark_moved_by_an_older_commit_is_taken_from_where_it_is),
        TEST(who_settles_knows_it_when_the_network_is_back),
        TEST(one_that_settles_and_was_not_applied_says_why),
        TEST(a_lease_that_comes_back_brings_no_late_copy_to_life),
        TEST(with_the_session_it_ends),
        TEST(a_revoked_lease_is_a_loss_and_nothing_was_applied),
        TEST(two_at_once_have_marks_of_their_own),
        TEST(who_drops_it_is_not_told),
        TEST(without_marks_a_lost_answer_stays_a_maybe),
        TEST(an_answer_that_is_none_is_a_maybe),
        TEST(one_that_cannot_begin_leaves_nothing),
        TEST(marks_that_went_refuse_whoever_held_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
