/* What is built on sessions and commits, without memory: each allocation fails once, and once with all that follow. It ends in an
 * error or does without, keeps what it promises, and loses no memory. Locks and elections: test_memory.c; queues and barriers:
 * with their tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "failmalloc.h"
#include "fake_client.h"
#include "recipes/commit.h"
#include "recipes/cron.h"
#include "recipes/presence.h"
#include "recipes/stm.h"
#include "recipes/takeover.h"
#include "recipes/view.h"
#include "tenure/error.h"

enum { TTL_S = 4, SESSIONS_MAX = 16 };

static int verdict(bool fine)
{
    return fine ? 0 : TENURE_ENOMEM;
}

/* ---- a driver: a session with marks, and another one after a loss or when there was no memory for one ---- */

struct driver {
    struct client *client;
    struct session *session, *all[SESSIONS_MAX];
    struct marks *marks, *all_marks[SESSIONS_MAX];
    size_t n;
    bool is_adrift;
};

static tn_ms session_due(const void *s)
{
    return session_deadline(s);
}

static void session_turn(void *s, tn_ms now)
{
    session_tick(s, now);
}

static bool get_session(struct driver *d)
{
    struct session_options o = {.ttl_s = TTL_S};
    d->session = NULL;
    d->marks = NULL;
    if (d->n == SESSIONS_MAX || session_open(d->client, &o, NULL, NULL, fake_now(), &d->session, NULL))
        return false;
    fake_add_ticker(d->client, session_due, session_turn, d->session);
    d->all[d->n] = d->session;
    bool ok = marks_new(d->session, "m/", &d->marks) == 0;
    d->all_marks[d->n++] = ok ? d->marks : NULL;
    return ok;
}

static void drop_sessions(struct driver *d)
{
    for (size_t i = 0; i < d->n; i++) {
        marks_free(d->all_marks[i]);
        fake_remove_ticker(d->all[i]);
        session_close(d->all[i], fake_now());
    }
    fake_run(10000);
    for (size_t i = 0; i < d->n; i++)
        session_free(d->all[i]);
}

static bool key_is(const char *key, const char *value)
{
    struct kv kv;
    return fake_get(bytes_str(key), &kv) && bytes_equal(kv.value, bytes_str(value));
}

/* ---- presences ---- */

struct owner {
    struct driver driver;
    struct presence *presence;
    int ended, code;
};

static void ignore_present(void *user, tn_rev create)
{
    (void)user, (void)create;
}

static void ignore_absent(void *user, const struct tenure_error *why)
{
    (void)user, (void)why;
}

static void owner_adrift(void *user, const struct tenure_error *why)
{
    (void)why;
    ((struct owner *)user)->driver.is_adrift = true;
}

static void owner_ended(void *user, int code, const struct tenure_error *why)
{
    struct owner *o = user;
    (void)why;
    o->ended++;
    o->code = code;
}

static void owner_attach(struct owner *o)
{
    if (o->driver.is_adrift && !o->ended && get_session(&o->driver))
        o->driver.is_adrift = presence_attach(o->presence, o->driver.session, o->driver.marks, fake_now()) != 0;
}

static int a_presence_is_healed(void *user)
{
    static const struct presence_callbacks cb = {
        .on_present = ignore_present, .on_absent = ignore_absent, .on_adrift = owner_adrift, .on_ended = owner_ended};
    struct presence_options opt = {0};
    (void)user;
    fake_begin();
    struct owner o = {.driver = {.client = fake_client("A"), .is_adrift = true}};
    bool fine = presence_new(o.driver.client, bytes_str("k"), bytes_str("v1"), &opt, &cb, &o, &o.presence) == 0;
    for (int i = 0; fine && i < 6; i++) {
        owner_attach(&o);
        fake_run(2000);
        if (i == 0)
            fake_delete(bytes_str("k"));
        if (i == 1 && !o.ended)
            fine = presence_set(o.presence, bytes_str("v2"), fake_now()) == 0;
        if (i == 2 && !o.driver.is_adrift)
            fake_revoke(session_lease(o.driver.session));
    }
    fine = fine && !o.ended && presence_stands(o.presence, fake_now());
    assert_true(!fine || key_is("k", "v2")); /* it says so only when it is so */
    bool stopped = !o.presence || o.ended || presence_stop(o.presence, fake_now());
    fake_run(10000);
    assert_true(stopped || o.ended == 1);
    presence_free(o.presence);
    drop_sessions(&o.driver);
    fake_end();
    return verdict(fine);
}

static void presences_survive_the_failure_of_any_allocation(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(a_presence_is_healed, NULL) > 20);
}

/* ---- the scheduler ---- */

struct runner {
    struct driver driver;
    struct cron *cron;
    int runs, done, ended;
    int64_t last;
};

static int64_t wall(void)
{
    return INT64_C(1700000000000) + fake_now();
}

static tn_ms runner_due(const void *r)
{
    return cron_deadline(((const struct runner *)r)->cron);
}

static void runner_turn(void *r, tn_ms now)
{
    cron_tick(((struct runner *)r)->cron, now, wall());
}

static void on_run(void *user, const struct cron_run *run)
{
    struct runner *r = user;
    assert_true(run->time > r->last || run->attempt > 1);
    r->last = run->time;
    r->runs++;
    r->done += cron_done(r->cron, bytes_str("\"result\":0"), fake_now()) == 0;
}

static void on_run_lost(void *user, const struct cron_run *run, const struct tenure_error *why)
{
    (void)user, (void)run, (void)why;
}

static void runner_adrift(void *user, const struct tenure_error *why)
{
    (void)why;
    ((struct runner *)user)->driver.is_adrift = true;
}

static void runner_ended(void *user, int code, const struct tenure_error *why)
{
    (void)code, (void)why;
    ((struct runner *)user)->ended++;
}

static int a_job_is_run(void *user)
{
    static const struct cron_callbacks cb = {
        .on_run = on_run, .on_lost = on_run_lost, .on_adrift = runner_adrift, .on_end = runner_ended};
    struct cron_options o = {.late_ms = 60000, .again = true, .history = 1, .who = bytes_str("\"host\":\"a\"")};
    (void)user;
    assert_int_equal(schedule_parse("@every 2s", NULL, &o.schedule, NULL), 0);
    fake_begin();
    struct runner r = {.driver = {.client = fake_client("A"), .is_adrift = true}};
    bool fine = cron_start(r.driver.client, bytes_str("/c/x"), &o, &cb, &r, fake_now(), wall(), &r.cron, NULL) == 0;
    if (fine)
        fake_add_ticker(r.driver.client, runner_due, runner_turn, &r);
    for (int i = 0; fine && i < 8; i++) {
        if (r.driver.is_adrift && !r.ended && get_session(&r.driver))
            r.driver.is_adrift = cron_attach(r.cron, r.driver.session, r.driver.marks, fake_now()) != 0;
        fake_run(1000);
        if (i == 4 && !r.driver.is_adrift)
            fake_revoke(session_lease(r.driver.session));
    }
    fine = fine && !r.ended && r.done > 1;
    if (r.cron) {
        cron_stop(r.cron, fake_now());
        fake_run(10000);
        fake_remove_ticker(&r);
    }
    cron_free(r.cron);
    drop_sessions(&r.driver);
    fake_end();
    return verdict(fine);
}

static void schedulers_survive_the_failure_of_any_allocation(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(a_job_is_run, NULL) > 20);
}

/* ---- commits ---- */

struct ending {
    int told;
    enum commit_outcome outcome;
    enum tenure_applied applied;
};

static void on_committed(void *owner, const struct commit_result *r)
{
    struct ending *e = owner;
    e->told++;
    e->outcome = r->outcome;
    e->applied = r->error ? r->error->applied : TENURE_APPLIED_NO;
}

static enum fake_fault lose_second_txn(void *user, struct client *client, unsigned n, const char *what)
{
    (void)client, (void)n;
    return strncmp(what, "txn", 3) == 0 && ++*(int *)user == 2 ? FAKE_LOSE_REPLY : FAKE_FINE;
}

/* Puts k = value if it is not there. */
static bool put_new(struct driver *d, const char *key, struct ending *e)
{
    struct compare guard = {.target = COMPARE_MOD, .range.key = bytes_str(key)};
    struct request_op put = {.kind = OP_PUT, .put = {.key = bytes_str(key), .value = bytes_str("ours")}};
    struct request_op look = {.kind = OP_RANGE, .range.range.key = bytes_str(key)};
    struct txn_req req = {
        .compares = &guard, .n_compares = 1, .success = &put, .n_success = 1, .failure = &look, .n_failure = 1};
    struct commit_options opt = {.until = fake_now() + 4000};
    struct commit *commit = NULL;
    *e = (struct ending){0};
    if (commit_start(&commit, d->client, d->marks, &req, &opt, on_committed, e, fake_now(), NULL))
        return false;
    fake_run(5000);
    assert_int_equal(e->told, 1);
    assert_null(commit);
    struct kv kv;
    bool there = fake_get(bytes_str(key), &kv);
    assert_true(e->outcome != COMMIT_APPLIED || there);
    assert_true(e->outcome != COMMIT_FAILED || e->applied != TENURE_APPLIED_NO || !there);
    return e->outcome == COMMIT_APPLIED;
}

static int commits_end_as_they_say(void *user)
{
    struct ending e;
    int txns = 0;
    (void)user;
    fake_begin();
    fake_set_judge(lose_second_txn, &txns);
    struct driver d = {.client = fake_client("A")};
    bool fine = get_session(&d);
    fine = fine && put_new(&d, "a", &e);
    fine = fine && put_new(&d, "b", &e); /* its answer is lost */
    fine = fine && !put_new(&d, "b", &e) && e.outcome == COMMIT_CONFLICT;
    fake_set_judge(NULL, NULL);
    drop_sessions(&d);
    fake_end();
    return verdict(fine);
}

static void commits_survive_the_failure_of_any_allocation(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(commits_end_as_they_say, NULL) > 20);
}

/* ---- sets of a transaction in memory ---- */

static bool note(struct stm *s, const char *key, tn_rev mod)
{
    struct kv kv = {.key = bytes_str(key), .value = bytes_str("v"), .mod_revision = mod, .version = 1};
    struct range_resp r = {.revision = 7, .kvs = &kv, .n_kvs = mod != 0};
    int rc = stm_note(s, bytes_str(key), &r);
    assert_true(rc == 0 || rc == TENURE_ENOMEM);
    return rc == 0;
}

static bool makes_request(struct stm *s)
{
    struct arena a;
    struct txn_req t;
    arena_init(&a, 0);
    int rc = stm_request(s, &a, &t);
    assert_true(rc == 0 || rc == TENURE_ENOMEM);
    assert_true(rc || (t.n_compares == 3 && t.n_success == 2));
    arena_fini(&a);
    return rc == 0;
}

static int a_transaction_is_run_again(void *user)
{
    struct kv kv = {.key = bytes_str("a"), .value = bytes_str("w"), .mod_revision = 9, .version = 2};
    struct response_op others[2] = {
        {.kind = OP_RANGE, .range = {.revision = 9, .kvs = &kv, .n_kvs = 1}},
        {.kind = OP_RANGE, .range = {.revision = 9}},
    };
    struct stm s;
    (void)user;
    stm_init(&s, STM_SERIALIZABLE_SNAPSHOT);
    bool fine = note(&s, "a", 3) && note(&s, "x", 0);
    fine = fine && stm_put(&s, bytes_str("c"), bytes_str("2"), 0) == 0 && stm_delete(&s, bytes_str("x")) == 0;
    fine = fine && makes_request(&s);
    if (fine) {
        stm_again(&s, 9, others, 2); /* without memory it brings nothing, which is as good */
        struct kv seen;
        if (!stm_find(&s, bytes_str("a"), &seen))
            fine = note(&s, "a", 9);
    }
    stm_fini(&s);
    return verdict(fine);
}

static void sets_survive_the_failure_of_any_allocation(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(a_transaction_is_run_again, NULL) > 5);
}

/* ---- taking over a place ---- */

static bool is_gone(void *user, bytes value)
{
    (void)user, (void)value;
    return true;
}

struct taker {
    struct takeover *takeover;
    int done, code;
};

static void on_taken(void *user, int code)
{
    struct taker *t = user;
    t->done++;
    t->code = code;
}

static int a_place_is_taken_over(void *user)
{
    struct takeover_callbacks cb = {.is_gone = is_gone, .on_done = on_taken};
    struct taker t = {0};
    (void)user;
    fake_begin();
    struct client *c = fake_client("A");
    tn_lease lease = fake_grant(1000);
    struct takeover_place place = {.key = bytes_str("/locks/x/1"),
                                   .words = bytes_str("/locks/x/1"),
                                   .lease = lease,
                                   .create = fake_put("/locks/x/1", "old", lease)};
    bool fine = takeover_start(&t.takeover, c, &place, bytes_str("new"), &cb, &t, fake_now(), NULL) == 0;
    fake_run(2 * FAKE_CALL_TIMEOUT_MS);
    assert_int_equal(t.done, fine);
    fine = fine && t.code == 0;
    assert_true(key_is("/locks/x/1", fine ? "new" : "old"));
    takeover_drop(&t.takeover, fake_now());
    fake_end();
    return verdict(fine);
}

static void takeovers_survive_the_failure_of_any_allocation(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(a_place_is_taken_over, NULL) > 5);
}

/* ---- views ---- */

struct looker {
    struct view *view;
    int ended;
};

static void on_change(void *user, tn_rev revision, const struct view_change *changes, size_t n)
{
    (void)user, (void)revision, (void)changes, (void)n;
}

static void on_view_end(void *user, int code, const struct tenure_error *why)
{
    (void)code, (void)why;
    ((struct looker *)user)->ended++;
}

static tn_ms view_due(const void *l)
{
    return view_deadline(((const struct looker *)l)->view);
}

static void view_turn(void *l, tn_ms now)
{
    view_tick(((struct looker *)l)->view, now);
}

static int a_range_is_copied(void *user)
{
    static const struct view_callbacks cb = {.on_change = on_change, .on_end = on_view_end};
    struct key_range range = {bytes_str("g/"), bytes_str("g0")};
    struct looker l = {0};
    (void)user;
    fake_begin();
    struct client *c = fake_client("A");
    fake_put("g/a", "1", 0);
    bool fine = view_start(c, range, &cb, &l, fake_now(), &l.view, NULL) == 0;
    if (fine)
        fake_add_ticker(c, view_due, view_turn, &l);
    fake_run(100);
    fake_put("g/b", "2", 0);
    fake_run(100);
    fake_overflow_watches(c);
    fake_delete(bytes_str("g/a"));
    fake_run(5000);
    fine = fine && !l.ended;
    assert_true(!fine || (view_count(l.view) == 1 && view_find(l.view, bytes_str("g/b"))));
    if (l.view)
        fake_remove_ticker(&l);
    view_stop(l.view, fake_now());
    fake_run(10000);
    fake_end();
    return verdict(fine);
}

static void views_survive_the_failure_of_any_allocation(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(a_range_is_copied, NULL) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presences_survive_the_failure_of_any_allocation),
        cmocka_unit_test(schedulers_survive_the_failure_of_any_allocation),
        cmocka_unit_test(commits_survive_the_failure_of_any_allocation),
        cmocka_unit_test(sets_survive_the_failure_of_any_allocation),
        cmocka_unit_test(takeovers_survive_the_failure_of_any_allocation),
        cmocka_unit_test(views_survive_the_failure_of_any_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
