/* The scheduler: each period once, whatever is lost on the way, whoever dies, and whatever the clocks say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_client.h"
#include "recipes/cron.h"
#include "tenure/error.h"

enum { RUNNERS = 3, TTL_S = 4, RUNS_MAX = 400, OLD_MAX = 256 };

static struct runner {
    struct client *client;
    struct session *session, *old[OLD_MAX];
    struct marks *marks, *old_marks[OLD_MAX];
    int n_old;
    struct cron *cron;
    int64_t skew_ms;
    bool hangs;
    int runs, lost, ended, code;
    struct cron_run run;
} runners[RUNNERS];

static struct cron_run all[RUNS_MAX]; /* of all runners, as they began */
static int n_all;
static unsigned seed;

static int64_t wall(const struct runner *r)
{
    return INT64_C(1700000000000) + fake_now() + r->skew_ms;
}

static tn_ms deadline_of_session(const void *s)
{
    return session_deadline(s);
}

static void tick_session(void *s, tn_ms now)
{
    session_tick(s, now);
}

static tn_ms deadline_of_runner(const void *r)
{
    return cron_deadline(((const struct runner *)r)->cron);
}

static void tick_runner(void *r, tn_ms now)
{
    cron_tick(((struct runner *)r)->cron, now, wall(r));
}

static void attach(struct runner *r)
{
    struct session_options opt = {.ttl_s = TTL_S};
    tn_ms now = client_now(r->client);
    if (r->session) {
        assert_true(r->n_old < OLD_MAX - 1);
        r->old[r->n_old] = r->session;
        r->old_marks[r->n_old++] = r->marks;
    }
    assert_int_equal(session_open(r->client, &opt, NULL, NULL, now, &r->session, NULL), 0);
    fake_add_ticker(r->client, deadline_of_session, tick_session, r->session);
    assert_int_equal(marks_new(r->session, "m/", &r->marks), 0);
    assert_int_equal(cron_attach(r->cron, r->session, r->marks, now), 0);
}

static void on_run(void *user, const struct cron_run *run)
{
    struct runner *r = user;
    assert_true(n_all < RUNS_MAX);
    for (int i = 0; i < n_all; i++)
        if (all[i].time == run->time && all[i].attempt >= run->attempt)
            fail_msg("seed %u: the period %lld was run twice", seed, (long long)run->time);
    all[n_all++] = *run;
    r->run = *run;
    r->runs++;
    if (!r->hangs)
        assert_int_equal(cron_done(r->cron, bytes_str("\"result\":0"), client_now(r->client)), 0);
}

static void on_lost(void *user, const struct cron_run *run, const struct tenure_error *why)
{
    struct runner *r = user;
    assert_true(run->token > 0 && why->code < 0);
    r->lost++;
}

static void on_adrift(void *user, const struct tenure_error *why)
{
    (void)why;
    attach(user);
}

static void on_end(void *user, int code, const struct tenure_error *why)
{
    struct runner *r = user;
    (void)why;
    r->ended++;
    r->code = code;
}

static const struct cron_callbacks callbacks = {
    .on_run = on_run, .on_lost = on_lost, .on_adrift = on_adrift, .on_end = on_end};

static struct cron_options options(const char *schedule)
{
    struct cron_options o = {.late_ms = 60000, .again = true, .history = 3, .who = bytes_str("\"host\":\"a\"")};
    assert_int_equal(schedule_parse(schedule, NULL, &o.schedule, NULL), 0);
    return o;
}

static void start(struct runner *r, const struct cron_options *o)
{
    assert_int_equal(cron_start(r->client, bytes_str("/c/x"), o, &callbacks, r, fake_now(), wall(r), &r->cron, NULL),
                     0);
    fake_add_ticker(r->client, deadline_of_runner, tick_runner, r);
    attach(r);
}

static void begin(void)
{
    static const char *const names[] = {"A", "B", "C"};
    fake_begin();
    n_all = 0;
    for (int i = 0; i < RUNNERS; i++)
        runners[i] = (struct runner){.client = fake_client(names[i])};
}

static void end(void)
{
    fake_set_judge(NULL, NULL);
    for (int i = 0; i < RUNNERS; i++) {
        struct runner *r = &runners[i];
        fake_cut(r->client, false);
        if (r->cron)
            cron_stop(r->cron, fake_now());
    }
    fake_run(15000);
    for (int i = 0; i < RUNNERS; i++) {
        struct runner *r = &runners[i];
        if (!r->cron)
            continue;
        fake_remove_ticker(r);
        cron_free(r->cron);
        r->old[r->n_old] = r->session;
        r->old_marks[r->n_old++] = r->marks;
        for (int k = 0; k < r->n_old; k++) {
            marks_free(r->old_marks[k]);
            fake_remove_ticker(r->old[k]);
            session_close(r->old[k], fake_now());
        }
    }
    fake_run(15000);
    for (int i = 0; i < RUNNERS; i++)
        for (int k = 0; k < runners[i].n_old; k++)
            session_free(runners[i].old[k]);
    fake_end();
}

static size_t keys_below(const char *prefix)
{
    struct kv kv;
    size_t n = 0;
    for (size_t i = 0; fake_key(i, &kv); i++)
        n += bytes_has_prefix(kv.key, bytes_str(prefix));
    return n;
}

static void each_period_is_run_by_one(void **state)
{
    (void)state;
    struct cron_options o = options("@every 2s");
    begin();
    for (int i = 0; i < RUNNERS; i++)
        start(&runners[i], &o);
    fake_run(20000);
    assert_true(n_all >= 9 && n_all <= 10);
    for (int i = 1; i < n_all; i++) {
        assert_int_equal(all[i].time, all[i - 1].time + 2);
        assert_true(all[i].token > all[i - 1].token);
        assert_false(all[i].late);
    }
    assert_int_equal(keys_below("/c/x/at/"), 3);
    assert_int_equal(keys_below("/c/x/run/"), 0);
    end();
}

static void clocks_that_differ_run_nothing_twice(void **state)
{
    (void)state;
    struct cron_options o = options("@every 2s");
    begin();
    runners[0].skew_ms = 7300;
    runners[1].skew_ms = -4100;
    for (int i = 0; i < RUNNERS; i++)
        start(&runners[i], &o);
    fake_run(20000);
    assert_true(runners[0].runs >= n_all - 4); /* from its own beginning on the one ahead is first */
    fake_remove_ticker(&runners[0]);
    runners[0].skew_ms = 0; /* and is set right: the next period is new to all */
    fake_add_ticker(runners[0].client, deadline_of_runner, tick_runner, &runners[0]);
    fake_run(20000);
    assert_true(n_all >= 14);
    end();
}

static void while_one_runs_no_other_begins(void **state)
{
    (void)state;
    struct cron_options o = options("@every 2s");
    begin();
    for (int i = 0; i < RUNNERS; i++) {
        runners[i].hangs = true;
        start(&runners[i], &o);
    }
    fake_run(10000);
    assert_int_equal(n_all, 1);
    for (int i = 0; i < RUNNERS; i++)
        if (runners[i].runs)
            assert_int_equal(cron_done(runners[i].cron, bytes_str("\"result\":1"), fake_now()), 0);
    fake_run(100);
    assert_int_equal(n_all, 2); /* the period that is due now, at once */
    assert_true(all[1].time >= all[0].time + 8);
    end();
    o.overlap = true;
    begin();
    for (int i = 0; i < 2; i++) {
        runners[i].hangs = true;
        start(&runners[i], &o);
    }
    fake_run(10000);
    assert_int_equal(n_all, 2);
    end();
}

static void who_dies_is_followed_or_not(void **state)
{
    (void)state;
    for (int again = 0; again < 2; again++) {
        struct cron_options o = options("@every 100s");
        o.again = again;
        begin();
        runners[0].hangs = true;
        start(&runners[0], &o);
        fake_run(100500); /* it has begun */
        assert_int_equal(n_all, 1);
        start(&runners[1], &o);
        fake_cut(runners[0].client, true);
        fake_run(3 * TTL_S * 1000);
        assert_int_equal(runners[0].lost, 1);
        assert_false(cron_running(runners[0].cron, fake_now()));
        assert_int_equal(runners[1].runs, again);
        if (again) {
            assert_int_equal(all[1].time, all[0].time);
            assert_int_equal(all[1].attempt, 2);
            assert_true(all[1].late);
        }
        end();
    }
}

static void what_was_missed_is_skipped_or_run_once(void **state)
{
    (void)state;
    for (int run = 0; run < 2; run++) {
        struct cron_options o = options("@every 100s");
        o.run_missed = run;
        o.late_ms = 10000;
        begin();
        start(&runners[0], &o);
        fake_run(101000);
        assert_int_equal(n_all, 1);
        fake_cut(runners[0].client, true);
        fake_run(350000); /* three periods, and half of the next */
        fake_cut(runners[0].client, false);
        fake_run(10000);
        assert_int_equal(n_all, 1 + run);
        if (run) {
            assert_true(all[1].late);
            assert_int_equal(all[1].time, all[0].time + 300);
        }
        end();
    }
}

static enum fake_fault judge(void *user, struct client *c, unsigned n, const char *what)
{
    static const enum fake_fault faults[] = {FAKE_LOSE_REPLY, FAKE_LOSE_REQUEST, FAKE_LATE,
                                             FAKE_OVERTAKEN,  FAKE_SLOW,         FAKE_UNAVAILABLE};
    (void)user, (void)c, (void)n, (void)what;
    seed = seed * 1103515245u + 12345u;
    unsigned dice = seed >> 16 & 31;
    return dice < ARRAY_LEN(faults) ? faults[dice] : FAKE_FINE;
}

/* on_run checks that nothing is run twice; here, that it goes on. */
static void it_goes_on_through_everything(void **state)
{
    (void)state;
    for (unsigned run = 1; run <= 150; run++) {
        struct cron_options o = options("@every 3s");
        o.run_missed = run & 1;
        o.overlap = run & 2;
        begin();
        seed = run;
        fake_set_judge(judge, NULL);
        for (int i = 0; i < RUNNERS; i++) {
            runners[i].skew_ms = i * 900;
            start(&runners[i], &o);
        }
        for (int step = 0; step < 30; step++) {
            seed = seed * 1103515245u + 12345u;
            unsigned dice = seed >> 16 & 7, who = (seed >> 20) % RUNNERS, ms = seed >> 22 & 1023;
            struct runner *r = &runners[who];
            if (dice < 2)
                fake_cut(r->client, dice == 0);
            else if (dice == 2)
                fake_revoke(session_lease(r->session));
            else if (dice == 3)
                fake_overflow_watches(r->client);
            else if (dice == 4)
                fake_compact();
            else if (dice == 5)
                fake_pause(r->client, !fake_is_paused(r->client));
            fake_run(2 * ms);
        }
        for (int i = 0; i < RUNNERS; i++) {
            fake_cut(runners[i].client, false);
            fake_pause(runners[i].client, false);
        }
        fake_set_judge(NULL, NULL);
        fake_run(20000);
        int before = n_all;
        fake_run(15000);
        if (n_all < before + 4)
            fail_msg("run %u: only %d runs in 15 s of peace", run, n_all - before);
        end();
        for (int i = 0; i < RUNNERS; i++)
            assert_true(runners[i].ended <= 1);
    }
}

static void values_of_others_are_no_records(void **state)
{
    (void)state;
    struct cron_record r;
    assert_true(cron_read(bytes_str("{\"state\":\"done\",\"attempt\":12,\"x\":1}"), &r));
    assert_true(r.done);
    assert_int_equal(r.attempt, 12);
    assert_true(cron_read(bytes_str("{\"state\":\"claimed\",\"attempt\":1}"), &r));
    assert_false(r.done);
    assert_false(cron_read(bytes_str(""), &r));
    assert_false(cron_read(bytes_str("{\"state\":\"claimed\",\"attempt\":"), &r));
    assert_false(cron_read(bytes_str("{\"state\":\"claimed\",\"attempt\":x}"), &r));
    assert_false(cron_read(bytes_str("{\"state\":\"other\",\"attempt\":1}"), &r));
}

/* At any moment of the claim: it is run before the stop, or not at all, and then by the other. */
static void a_claim_under_way_is_given_back_by_a_stop(void **state)
{
    (void)state;
    int given_back = 0;
    for (int attempts = 1; attempts <= 2; attempts++)
        for (int ms = 0; ms < 12; ms++) {
            begin();
            struct runner *a = &runners[0], *b = &runners[1];
            struct cron_options o = options("@every 10s");
            b->skew_ms = -5;
            if (attempts == 2) { /* the first runner died */
                runners[2].hangs = true;
                runners[2].skew_ms = 200;
                start(&runners[2], &o);
                fake_run(1);
            }
            start(a, &o);
            start(b, &o);
            a->hangs = true;
            tn_ms at = 10000 - wall(a) % 10000;
            if (attempts == 2) {
                fake_run(at - 20);
                assert_int_equal(runners[2].runs, 1);
                assert_true(fake_revoke(session_lease(runners[2].session)));
                cron_stop(runners[2].cron, fake_now());
                fake_run(ms);
            } else {
                fake_run(at - 2 + ms);
            }
            bool stops_at_once = cron_stop(a->cron, fake_now());
            int runs = a->runs;
            fake_run(3000);
            assert_int_equal(a->runs, runs);
            if (runs == 0) {
                given_back += !stops_at_once;
                assert_int_equal(a->ended, !stops_at_once);
                assert_int_equal(a->lost, 0);
                assert_int_equal(b->runs, 1);
                assert_true(b->run.attempt >= attempts);
                assert_int_equal(keys_below("/c/x/run/"), 0);
            } else {
                assert_int_equal(cron_done(a->cron, bytes_str(""), fake_now()), 0);
            }
            end();
        }
    assert_true(given_back > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_period_is_run_by_one),
        cmocka_unit_test(clocks_that_differ_run_nothing_twice),
        cmocka_unit_test(while_one_runs_no_other_begins),
        cmocka_unit_test(who_dies_is_followed_or_not),
        cmocka_unit_test(what_was_missed_is_skipped_or_run_once),
        cmocka_unit_test(it_goes_on_through_everything),
        cmocka_unit_test(values_of_others_are_no_records),
        cmocka_unit_test(a_claim_under_way_is_given_back_by_a_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
