/* Beginning each thing of the library, on a handle and within a namespace, without memory: each allocation fails once, and once
 * with all that follow. No server is there: what began ends with the handle. What the engines do without memory on the way is
 * tested with them (tests/unit/recipes). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "failmalloc.h"
#include "tenure/tenure.h"

/* A poll handle in one thread; what is begun on it may answer nothing or anything, but only within its life. */
struct stage {
    tenure_client *c, *v; /* v: what is begun on, a view or the handle itself */
    int told;             /* completions that came */
    int began;            /* of those that come once for each beginning */
};

static void on_done(void *user, int code, const struct tenure_error *err)
{
    struct stage *s = user;
    assert_true(code < 0 && err);
    s->told++;
}

static void on_get(void *user, int code, struct tenure_get_result *r, const struct tenure_error *err)
{
    assert_null(r);
    on_done(user, code, err);
}

static void on_cas(void *user, int code, struct tenure_cas_result *r, const struct tenure_error *err)
{
    assert_null(r);
    on_done(user, code, err);
}

static void on_txn(void *user, int code, struct tenure_txn_result *r, const struct tenure_error *err)
{
    assert_null(r);
    on_done(user, code, err);
}

static void on_number(void *user, int code, int64_t value, const struct tenure_error *err)
{
    (void)value;
    on_done(user, code, err);
}

static void on_latch(void *user, int code, const struct tenure_latch_state *r, const struct tenure_error *err)
{
    assert_null(r);
    on_done(user, code, err);
}

static void on_item(void *user, int code, struct tenure_queue_item *item, const struct tenure_error *err)
{
    assert_null(item);
    on_done(user, code, err);
}

static void on_v3_lock(void *user, int code, struct tenure_v3_lock *r, const struct tenure_error *err)
{
    assert_null(r);
    on_done(user, code, err);
}

static void on_run(tenure_cron *k, const struct tenure_cron_run *run, void *user)
{
    (void)k, (void)run, (void)user;
    fail();
}

static size_t wait_for_none(const struct tenure_lock_list *before, void *user)
{
    (void)user;
    return before->n;
}

/* ---- what is begun: each answers whether it could ---- */

static struct tenure_bytes key(void)
{
    return tenure_str("k");
}

static bool calls(struct stage *s)
{
    tenure_txn *t = tenure_txn_new(s->v);
    tenure_if_version(t, key(), TENURE_EQ, 0);
    tenure_then_put(t, key(), key(), 0);
    tenure_txn_exact(t, true);
    int rcs[] = {
        tenure_get_start(s->v, key(), NULL, on_get, s, NULL),
        tenure_put_if_start(s->v, key(), key(), 0, NULL, on_cas, s, NULL),
        tenure_delete_if_start(s->v, key(), 1, NULL, on_cas, s, NULL),
        tenure_txn_start(t, 0, on_txn, s, NULL),
        tenure_counter_add_start(s->v, "n", 1, NULL, on_number, s, NULL),
        tenure_ids_take_start(s->v, "n", 1, NULL, on_number, s, NULL),
        tenure_v3_lock_start(s->v, key(), 0, 0, on_v3_lock, s, NULL),
        tenure_barrier_hold_start(s->v, "b", NULL, on_done, s, NULL),
        tenure_latch_look_start(s->v, "l", NULL, on_latch, s, NULL),
    };
    tenure_txn_free(t);
    bool all = true;
    for (size_t i = 0; i < sizeof rcs / sizeof rcs[0]; i++) {
        all = all && rcs[i] == 0;
        s->began += rcs[i] == 0;
    }
    return all;
}

static bool locks(struct stage *s)
{
    static const struct tenure_multilock_part parts[] = {
        {.size = sizeof parts[0], .name = "b", .mode = TENURE_LOCK_READ},
        {.size = sizeof parts[0], .name = "a", .prefix = "/own/"},
        {.size = sizeof parts[0], .name = "c", .mode = TENURE_LOCK_PERMIT, .weight = 1, .limit = 2}};
    static const struct tenure_place_rule rule = {.size = sizeof rule, .wait_for = wait_for_none, .says = "x"};
    struct tenure_lock_options delay = {.size = sizeof delay, .delay_ms = 1000, .purpose = "p", .ttl_s = 5};
    struct tenure_lock_options resume = {.size = sizeof resume, .resume_lease = 5, .resume_token = 7};
    struct tenure_multilock_options multi = {.size = sizeof multi, .purpose = "p"};
    tenure_multilock *m = tenure_multilock_start(s->v, parts, 3, &multi, NULL);
    tenure_lock *l[] = {tenure_lock_start(s->v, "x", &delay, NULL), tenure_lock_start(s->v, "y", &resume, NULL),
                        tenure_rwlock_read_start(s->v, "x", NULL, NULL),
                        tenure_semaphore_start(s->v, "x", 1, 2, NULL, NULL),
                        tenure_place_start(s->v, "z", &rule, NULL, NULL)};
    tenure_turn(s->c);
    bool all = m != NULL;
    for (size_t i = 0; i < sizeof l / sizeof l[0]; i++) {
        all = all && l[i];
        if (i % 2)
            tenure_unlock_start(l[i]); /* the others go with the handle */
    }
    tenure_multilock_unlock_start(m);
    return all;
}

static bool leaders(struct stage *s)
{
    tenure_election *e = tenure_election_start(s->v, "e", NULL, NULL);
    tenure_observer *o = tenure_observer_start(s->v, "e", NULL, NULL);
    tenure_v3_observer *v3 = tenure_v3_observer_start(s->v, key(), NULL, NULL);
    tenure_watch *w = tenure_watch_start(s->v, key(), NULL, NULL);
    tenure_range_iter *it = tenure_range_iter_new(s->v, key(), NULL, NULL);
    tenure_session *session = tenure_session_start(s->v, NULL, NULL);
    tenure_turn(s->c);
    bool all = e && o && v3 && w && it && session;
    tenure_election_stop(e);
    tenure_observer_stop(o);
    tenure_range_iter_free(it);
    tenure_session_close_start(session);
    return all;
}

static bool waits(struct stage *s)
{
    struct tenure_queue_options work = {.size = sizeof work, .kind = TENURE_QUEUE_WORK, .marks = "m/", .purpose = "p"};
    tenure_queue *q = tenure_queue_open(s->v, "q", &work, NULL);
    tenure_wait *take = q ? tenure_queue_take_start(q, 0, on_item, s, NULL) : NULL;
    int put = q ? tenure_queue_put_start(q, key(), NULL, on_done, s, NULL) : TENURE_ENOMEM;
    tenure_wait *wait = tenure_barrier_wait_start(s->v, "b", NULL, on_done, s, NULL);
    tenure_double_barrier *d = tenure_double_barrier_enter_start(s->v, "d", 2, NULL, NULL);
    s->began += (take != NULL) + (put == 0) + (wait != NULL);
    tenure_turn(s->c);
    tenure_wait_stop(take);
    tenure_double_barrier_leave_start(d, 1);
    tenure_queue_close(q);
    return take && put == 0 && wait && d;
}

static bool presences(struct stage *s)
{
    struct tenure_presence_options own = {.size = sizeof own, .ttl_s = 5, .marks = "m/"};
    struct tenure_cron_options cron = {
        .size = sizeof cron, .schedule = "@hourly", .marks = "m/", .ttl_s = 5, .on_run = on_run};
    tenure_presence *p[] = {tenure_presence_start(s->v, key(), key(), &own, NULL),
                            tenure_group_join(s->v, NULL, "g", "m", "{\"a\":1}", NULL, NULL)};
    tenure_group_watch *w = tenure_group_watch_start(s->v, "g", NULL, NULL);
    tenure_cron *k = tenure_cron_start(s->v, "job", &cron, NULL);
    tenure_turn(s->c);
    bool all = p[0] && p[1] && w && k;
    tenure_presence_stop(p[0]);
    tenure_cron_stop(k);
    return all;
}

/* ---- the sweeps ---- */

struct scenario {
    bool (*begin)(struct stage *s);
    bool below;
};

static int run(void *user)
{
    const struct scenario *what = user;
    struct tenure_options o = {.size = sizeof o, .purpose = "test", .close_timeout_ms = 1};
    struct stage s = {.c = tenure_open_poll("http://127.0.0.1:1", &o, NULL)};
    s.v = s.c && what->below ? tenure_namespace(s.c, tenure_str("ns/"), NULL) : s.c;
    bool fine = s.v && what->begin(&s);
    tenure_close(s.c);
    assert_int_equal(s.told, s.began);
    return fine ? 0 : TENURE_ENOMEM;
}

static void sweep(bool (*begin)(struct stage *s))
{
    for (int below = 0; below < 2; below++) {
        struct scenario what = {begin, below};
        assert_true(failmalloc_sweep(run, &what) > 50);
    }
}

#define SWEEP(name, begin)                                                                                             \
    static void name(void **state)                                                                                     \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        sweep(begin);                                                                                                  \
    }
SWEEP(calls_begin_whole_or_not_at_all, calls)
SWEEP(locks_begin_whole_or_not_at_all, locks)
SWEEP(what_leads_and_looks_on_begins_whole_or_not_at_all, leaders)
SWEEP(queues_and_barriers_begin_whole_or_not_at_all, waits)
SWEEP(presences_and_schedulers_begin_whole_or_not_at_all, presences)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_begin_whole_or_not_at_all),
        cmocka_unit_test(locks_begin_whole_or_not_at_all),
        cmocka_unit_test(what_leads_and_looks_on_begins_whole_or_not_at_all),
        cmocka_unit_test(queues_and_barriers_begin_whole_or_not_at_all),
        cmocka_unit_test(presences_and_schedulers_begin_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
