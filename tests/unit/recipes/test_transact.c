/* Transactions run by steps: passes, attempts, conflicts, and all the ways in which they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "failmalloc.h"
#include "fake_client.h"
#include "recipes/transact.h"
#include "tenure/error.h"

enum { TTL_S = 60, NOT_ENDED = 1 };

static struct client *c;
static struct session *session;
static struct marks *marks;
static struct errand *errand;
static int code, passes, verdict;
static enum tenure_applied applied;
static struct transact_result result;
static const char *reads[4];  /* of the function, in this order; NULL = no more */
static const char *writes;    /* what it puts together of what it read */
static const char *interfere; /* a key that somebody else writes within the first pass that has read all */
static int interferences;
static tn_lease put_on;
static bool no_marks, apart; /* it wants its keys one by one, or all at once */

static tn_ms deadline(const void *object)
{
    const struct errand *t = *(struct errand *const *)object;
    return t ? errand_deadline(t) : TN_MS_NEVER;
}

static void tick(void *object, tn_ms now)
{
    struct errand *t = *(struct errand **)object;
    if (t)
        errand_tick(t, now);
}

static tn_ms session_due(const void *s)
{
    return session_deadline(s);
}

static void session_turn(void *s, tn_ms now)
{
    session_tick(s, now);
}

static int setup(void)
{
    struct session_options o = {.ttl_s = TTL_S};
    fake_begin();
    c = fake_client("A");
    errand = NULL;
    marks = NULL;
    session = NULL;
    code = NOT_ENDED;
    passes = verdict = interferences = 0;
    memset(reads, 0, sizeof reads);
    writes = interfere = NULL;
    put_on = 0;
    no_marks = false;
    apart = true;
    if (session_open(c, &o, NULL, NULL, fake_now(), &session, NULL))
        return TENURE_ENOMEM;
    fake_add_ticker(c, session_due, session_turn, session);
    return marks_new(session, "m/", &marks);
}

static int begin(void **state)
{
    (void)state;
    return setup();
}

static int teardown(void **state)
{
    (void)state;
    fake_remove_ticker(&errand);
    errand = errand_free(errand, fake_now());
    marks = marks_free(marks);
    if (session)
        fake_remove_ticker(session);
    session = session_free(session);
    fake_set_judge(NULL, NULL);
    fake_run(10000);
    fake_end();
    return 0;
}

/* Reads, and writes to `writes` all that it has read, one behind the other. */
static int body(void *user, struct errand *t, struct stm *set, struct tenure_error *err)
{
    char text[64] = "";
    size_t n = 0, wanted = 0;
    struct kv kv;
    (void)user;
    passes++;
    if (writes && stm_find(set, bytes_str(writes), &kv)) /* what an earlier pass wrote is not there */
        fail_msg("it sees its own write at the beginning");
    if (stm_put(set, bytes_str("early"), bytes_str("x"), 0))
        return error_set(err, TENURE_ENOMEM, "out of memory");
    for (size_t i = 0; i < 4 && reads[i]; i++) {
        if (!stm_find(set, bytes_str(reads[i]), &kv)) {
            int rc = transact_want(t, bytes_str(reads[i]));
            if (rc)
                return error_set(err, rc, "out of memory");
            wanted++;
            if (apart)
                return TRANSACT_WAIT;
            continue;
        }
        n += (size_t)snprintf(text + n, sizeof text - n, "%.*s", (int)kv.value.len, (const char *)kv.value.data);
    }
    if (wanted)
        return TRANSACT_WAIT;
    if (interfere && interferences > 0) {
        interferences--;
        fake_put(interfere, "y", 0);
    }
    if (verdict)
        return error_set(err, verdict, "no");
    if (writes && stm_put(set, bytes_str(writes), bytes_str(text), put_on))
        return error_set(err, TENURE_ENOMEM, "out of memory");
    return TRANSACT_COMMIT;
}

static int give_marks(void *user, struct marks **ret, struct tenure_error *err)
{
    (void)user;
    if (!marks_usable(marks, fake_now()))
        return error_set(err, TENURE_ELOST, "no session");
    *ret = marks;
    return 0;
}

static void done(void *user, struct errand *t, int rc, const struct tenure_error *error)
{
    (void)user;
    assert_int_equal(code, NOT_ENDED);
    assert_ptr_equal(t, errand);
    code = rc;
    applied = error->applied;
    result = transact_result(t);
    errand = errand_free(t, client_now(c));
}

static int start(struct transact_options o)
{
    struct tenure_error err = {0};
    o.until = o.until ? o.until : fake_now() + 30000;
    o.attempts_max = o.attempts_max ? o.attempts_max : 1000;
    o.body = body;
    o.marks = no_marks ? NULL : give_marks;
    errand = transact(c, &o, done, NULL, &err);
    if (!errand)
        return err.code;
    fake_add_ticker(c, deadline, tick, &errand);
    errand_start(errand, fake_now());
    assert_int_equal(passes, 0);
    return 0;
}

static bool holds(const char *key, const char *wanted)
{
    struct kv kv;
    if (!fake_get(bytes_str(key), &kv))
        return !wanted;
    return wanted && bytes_equal(kv.value, bytes_str(wanted));
}

static void run_to_end(void)
{
    fake_run(40000);
    assert_int_not_equal(code, NOT_ENDED);
}

static void a_b_to_c(void)
{
    fake_put("a", "1", 0);
    fake_put("b", "2", 0);
    reads[0] = "a";
    reads[1] = "b";
    writes = "c";
}

static void each_read_is_a_pass_and_only_the_last_one_writes(void **state)
{
    (void)state;
    a_b_to_c();
    assert_int_equal(start((struct transact_options){0}), 0);
    run_to_end();
    assert_int_equal(code, 0);
    assert_int_equal(passes, 3);
    assert_int_equal(result.attempts, 1);
    assert_true(holds("c", "12"));
    assert_true(holds("early", "x"));
    struct kv kv;
    assert_true(fake_get(bytes_str("c"), &kv));
    assert_int_equal(result.revision, kv.mod_revision);
}

static void what_is_wanted_together_is_read_together(void **state)
{
    (void)state;
    a_b_to_c();
    apart = false;
    assert_int_equal(start((struct transact_options){0}), 0);
    run_to_end();
    assert_int_equal(code, 0);
    assert_int_equal(passes, 2);
    assert_true(holds("c", "12"));
}

static void what_is_prefetched_needs_no_pass(void **state)
{
    (void)state;
    const bytes keys[] = {bytes_str("a"), bytes_str("b")};
    a_b_to_c();
    assert_int_equal(start((struct transact_options){.prefetch = keys, .n_prefetch = 2}), 0);
    run_to_end();
    assert_int_equal(code, 0);
    assert_int_equal(passes, 1);
    assert_true(holds("c", "12"));
}

static void after_a_conflict_it_is_run_again_with_what_is_there_now(void **state)
{
    (void)state;
    a_b_to_c();
    interfere = "b";
    interferences = 2;
    assert_int_equal(start((struct transact_options){0}), 0);
    run_to_end();
    assert_int_equal(code, 0);
    assert_int_equal(result.attempts, 3);
    assert_int_equal(passes, 5); /* the answer to a conflict brings both */
    assert_true(holds("c", "1y"));
}

static void levels_below_read_again(void **state)
{
    (void)state;
    a_b_to_c();
    interfere = "b";
    interferences = 1;
    assert_int_equal(start((struct transact_options){.isolation = STM_REPEATABLE_READS}), 0);
    run_to_end();
    assert_int_equal(code, 0);
    assert_int_equal(result.attempts, 2);
    assert_int_equal(passes, 6);
    assert_true(holds("c", "1y"));
}

static void attempts_are_bounded(void **state)
{
    (void)state;
    a_b_to_c();
    interfere = "b";
    interferences = 100;
    assert_int_equal(start((struct transact_options){.attempts_max = 4}), 0);
    run_to_end();
    assert_int_equal(code, TENURE_ECONFLICT);
    assert_int_equal(applied, TENURE_APPLIED_NO);
    assert_int_equal(result.attempts, 4);
    assert_true(holds("c", NULL));
}

static void time_is_bounded(void **state)
{
    (void)state;
    a_b_to_c();
    interfere = "b";
    interferences = 100000;
    assert_int_equal(start((struct transact_options){.until = fake_now() + 700}), 0);
    fake_run(699);
    assert_int_equal(code, NOT_ENDED);
    fake_run(50);
    assert_int_equal(code, TENURE_ETIMEOUT);
    assert_int_equal(applied, TENURE_APPLIED_NO);
}

static void who_only_reads_commits_without_marks(void **state)
{
    (void)state;
    a_b_to_c();
    writes = NULL;
    no_marks = true;
    assert_int_equal(start((struct transact_options){0}), 0);
    run_to_end();
    assert_int_equal(code, 0);
}

static void what_the_function_answers_ends_it(void **state)
{
    (void)state;
    a_b_to_c();
    verdict = TENURE_ENOTHELD;
    assert_int_equal(start((struct transact_options){0}), 0);
    run_to_end();
    assert_int_equal(code, TENURE_ENOTHELD);
    assert_true(holds("c", NULL));
    assert_true(holds("early", NULL));
}

static enum fake_fault lose_commits(void *user, struct client *client, unsigned n, const char *what)
{
    (void)client, (void)n;
    int *left = user;
    if (!strstr(what, "put") || *left == 0)
        return FAKE_FINE;
    --*left;
    return FAKE_LOSE_REPLY;
}

static void a_lost_answer_is_asked_after(void **state)
{
    (void)state;
    int left = 1;
    a_b_to_c();
    fake_set_judge(lose_commits, &left);
    assert_int_equal(start((struct transact_options){0}), 0);
    run_to_end();
    assert_int_equal(left, 0);
    assert_int_equal(code, 0);
    struct kv kv;
    assert_true(fake_get(bytes_str("c"), &kv));
    assert_int_equal(kv.version, 1);
}

static void without_marks_a_lost_answer_is_a_maybe(void **state)
{
    (void)state;
    int left = 100;
    a_b_to_c();
    no_marks = true;
    fake_set_judge(lose_commits, &left);
    assert_int_equal(start((struct transact_options){0}), 0);
    run_to_end();
    assert_int_not_equal(code, 0);
    assert_int_equal(applied, TENURE_APPLIED_MAYBE);
}

static void it_can_be_stopped_at_each_moment(void **state)
{
    int stopped_after = 0;
    for (tn_ms ms = 0; code != 0; ms++) {
        assert_true(ms < 100);
        if (ms > 0) {
            teardown(state);
            assert_int_equal(setup(), 0);
        }
        a_b_to_c();
        assert_int_equal(start((struct transact_options){0}), 0);
        fake_run(ms);
        if (errand)
            errand_stop(errand, TENURE_ECANCELLED, fake_now());
        fake_run(20000);
        assert_true(code == 0 || code == TENURE_ECANCELLED);
        if (code && applied == TENURE_APPLIED_NO)
            assert_true(holds("c", NULL));
        stopped_after += code != 0;
    }
    assert_true(stopped_after > 5);
}

static void a_lease_that_is_not_there_ends_it(void **state)
{
    (void)state;
    a_b_to_c();
    put_on = 4711;
    assert_int_equal(start((struct transact_options){0}), 0);
    run_to_end();
    assert_int_equal(code, TENURE_ENOTFOUND);
    assert_int_equal(applied, TENURE_APPLIED_NO);
}

static void reads_go_on_when_the_way_is_free_again(void **state)
{
    (void)state;
    a_b_to_c();
    fake_run(100); /* the session has its lease */
    fake_cut(c, true);
    assert_int_equal(start((struct transact_options){0}), 0);
    fake_run(8000);
    fake_cut(c, false);
    run_to_end();
    assert_int_equal(code, 0);
    assert_true(holds("c", "12"));
}

/* ---- without memory ---- */

static int it_is_run(void *user)
{
    const bytes keys[] = {bytes_str("a")};
    (void)user;
    int rc = setup();
    a_b_to_c();
    interfere = "b";
    interferences = 1;
    if (rc == 0)
        rc = start((struct transact_options){.prefetch = keys, .n_prefetch = 1});
    if (rc == 0) {
        fake_run(40000);
        assert_int_not_equal(code, NOT_ENDED);
        rc = code;
        assert_true(rc || holds("c", "1y"));
    }
    teardown(NULL);
    return rc == TENURE_ETIMEOUT || rc == TENURE_ELOST ? TENURE_ENOMEM : rc;
}

static void it_survives_the_failure_of_any_allocation(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(it_is_run, NULL) > 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_read_is_a_pass_and_only_the_last_one_writes),
        TEST(what_is_wanted_together_is_read_together),
        TEST(what_is_prefetched_needs_no_pass),
        TEST(after_a_conflict_it_is_run_again_with_what_is_there_now),
        TEST(levels_below_read_again),
        TEST(attempts_are_bounded),
        TEST(time_is_bounded),
        TEST(who_only_reads_commits_without_marks),
        TEST(what_the_function_answers_ends_it),
        TEST(a_lost_answer_is_asked_after),
        TEST(without_marks_a_lost_answer_is_a_maybe),
        TEST(it_can_be_stopped_at_each_moment),
        TEST(a_lease_that_is_not_there_ends_it),
        TEST(reads_go_on_when_the_way_is_free_again),
        cmocka_unit_test(it_survives_the_failure_of_any_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
