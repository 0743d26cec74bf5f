/* The scheduler on a real server: processes that share a job, and die. */
#include "lib.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct told {
    int64_t time, token, attempt;
    pid_t pid;
};

static int tell(tenure_cron *k, const struct tenure_cron_run *run, void *arg)
{
    struct told t = {run->time, run->token, run->attempt, getpid()};
    (void)k;
    if (write(*(int *)arg, &t, sizeof t) != sizeof t)
        _exit(3);
    return 7;
}

static int tell_and_hang(tenure_cron *k, const struct tenure_cron_run *run, void *arg)
{
    int result = tell(k, run, arg);
    while (pause() < 0) /* until it is killed */
        ;
    return result;
}

static pid_t runner(const struct server *s, const char *name, bool hangs, int out)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    tenure_client *c = tenure_open(server_url(s), NULL, NULL);
    struct tenure_cron_options o = {.size = sizeof o, .schedule = "@every 1s", .ttl_s = 2, .history = 5};
    if (c)
        tenure_cron_run(c, name, &o, hangs ? tell_and_hang : tell, &out, NULL);
    _exit(1);
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static struct told next(int in)
{
    struct told t;
    assert_int_equal(read(in, &t, sizeof t), sizeof t);
    return t;
}

/* Twice never; and the keys that are kept are few. */
static void a_period_is_run_once_by_one_of_all(void **state)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pids[3];
    for (int i = 0; i < 3; i++)
        pids[i] = runner(*state, "shared", false, fds[1]);
    struct told last = next(fds[0]);
    for (int i = 0; i < 4; i++) {
        struct told t = next(fds[0]);
        assert_true(t.time > last.time);
        assert_true(t.token > last.token);
        assert_int_equal(t.attempt, 1);
        last = t;
    }
    for (int i = 0; i < 3; i++)
        end(pids[i]);
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_cron_list *list = NULL;
    no_error(tenure_cron_list(c, NULL, "shared", &list, &err), &err);
    assert_true(list->n >= 2 && list->n <= 5);
    if (!has_faults() || list->entries[list->n - 1].state != TENURE_CRON_DIED) { /* with its lease, while nobody led */
        assert_int_equal(list->entries[list->n - 1].state, TENURE_CRON_DONE);
        assert_int_equal(list->entries[list->n - 1].result, 7);
    }
    assert_true(list->entries[list->n - 1].pid > 0);
    assert_true(list->entries[0].time > list->entries[1].time);
    tenure_cron_list_free(list);
    tenure_close(c);
    close(fds[0]);
    close(fds[1]);
}

static void a_period_whose_runner_died_is_run_again(void **state)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t dies = runner(*state, "dies", true, fds[1]);
    struct told first = next(fds[0]);
    assert_int_equal(first.pid, dies);
    pid_t heir = runner(*state, "dies", false, fds[1]);
    end(dies);
    struct told t = next(fds[0]); /* when the lease has ended: a later period, or the same once more */
    assert_int_equal(t.pid, heir);
    assert_true(t.token > first.token);
    assert_true(t.time > first.time || (t.time == first.time && t.attempt == 2));
    end(heir);
    close(fds[0]);
    close(fds[1]);
}

struct runs {
    atomic_int begun, lost, ended;
    _Atomic(tenure_token) token;
    _Atomic(int64_t) attempt, time;
};

static void on_run(tenure_cron *k, const struct tenure_cron_run *run, void *user)
{
    struct runs *r = user;
    (void)k;
    atomic_store(&r->token, run->token);
    atomic_store(&r->attempt, run->attempt);
    atomic_store(&r->time, run->time);
    atomic_fetch_add(&r->begun, 1);
}

static void on_lost(tenure_cron *k, const struct tenure_cron_run *run, const struct tenure_error *why, void *user)
{
    (void)k, (void)run, (void)why;
    atomic_fetch_add(&((struct runs *)user)->lost, 1);
}

static void on_end(tenure_cron *k, int code, const struct tenure_error *err, void *user)
{
    (void)k, (void)code, (void)err;
    atomic_fetch_add(&((struct runs *)user)->ended, 1);
}

static bool begun_twice(void *user)
{
    return atomic_load(&((struct runs *)user)->begun) >= 2;
}

static struct tenure_cron_options started(struct runs *r, const char *schedule)
{
    return (struct tenure_cron_options){.size = sizeof(struct tenure_cron_options),
                                        .schedule = schedule,
                                        .on_run = on_run,
                                        .on_lost = on_lost,
                                        .on_end = on_end,
                                        .user = r};
}

/* A run that others end is lost; the period is run again, because no later one has begun: the schedule is a slow one, and what it
 * begins with was missed. */
static void what_was_missed_is_run_and_what_is_lost_is_run_again(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct runs r = {0};
    struct tenure_cron_options o = started(&r, "@yearly");
    struct tenure_cron_list *list = NULL;
    char key[96];
    o.missed = TENURE_CRON_RUN_ONCE;
    put(c, "/cron/yearly/at/2001-01-01T00:00:00Z", "{\"state\":\"done\",\"attempt\":1}"); /* so it has a past */
    tenure_cron *k = tenure_cron_start(c, "yearly", &o, &err);
    await_flag(&r.begun);
    tenure_token first = r.token;
    assert_true(tenure_cron_held(k, first));
    assert_true(tenure_cron_remaining_ms(k, first) > 0 && tenure_cron_remaining_ms(k, first + 1) <= 0);
    assert_true(tenure_cron_lease(k) != 0);
    no_error(tenure_cron_list(c, NULL, "yearly", &list, &err), &err);
    assert_int_equal(list->n, 2);
    assert_int_equal(list->entries[0].state, TENURE_CRON_RUNNING);
    assert_true(list->entries[0].token == first);
    assert_int_equal(list->entries[0].time, r.time);
    tenure_cron_list_free(list);
    time_t t = (time_t)r.time;
    struct tm tm;
    strftime(key, sizeof key, "/cron/yearly/run/%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
    no_error(tenure_delete(c, S(key), NULL, NULL, &err), &err);
    assert_true(test_await(begun_twice, &r));
    assert_int_equal(r.lost, 1);
    assert_int_equal(r.attempt, 2);
    assert_int_equal(tenure_cron_done(k, first, 0, NULL, &err), TENURE_ENOTHELD);
    assert_int_equal(tenure_cron_done(k, r.token, 3, "\xff", &err), TENURE_EINVALID);
    no_error(tenure_cron_done(k, r.token, 3, "three \"things\"", &err), &err);
    tenure_cron_stop(k);
    assert_int_equal(r.ended, 1);
    no_error(tenure_cron_list(c, NULL, "yearly", &list, &err), &err);
    assert_int_equal(list->entries[0].state, TENURE_CRON_DONE);
    assert_int_equal(list->entries[0].result, 3);
    assert_int_equal(list->entries[0].attempt, 2);
    assert_true(list->entries[0].began_ms > 0 && list->entries[0].began_ms <= list->entries[0].ended_ms);
    assert_string_equal(list->entries[0].text, "three \"things\"");
    tenure_cron_list_free(list);
    assert_null(get(c, key));
    tenure_close(c);
}

static void a_first_runner_has_missed_nothing(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct runs r = {0};
    struct tenure_cron_options o = started(&r, "@yearly");
    struct tenure_cron_list *list = NULL;
    o.missed = TENURE_CRON_RUN_ONCE;
    tenure_cron *k = tenure_cron_start(c, "first", &o, &err);
    struct tenure_cron_options every = started(&r, "@every 1s");
    struct runs other = {0};
    every.user = &other;
    tenure_cron *clock = tenure_cron_start(c, "clock", &every, &err);
    await_flag(&other.begun); /* time enough */
    assert_int_equal(r.begun, 0);
    no_error(tenure_cron_done(clock, other.token, 0, NULL, &err), &err);
    tenure_cron_stop(clock);
    tenure_cron_stop(k);
    no_error(tenure_cron_list(c, NULL, "first", &list, &err), &err);
    assert_int_equal(list->n, 0);
    tenure_cron_list_free(list);
    tenure_close(c);
}

static int stops(tenure_cron *k, const struct tenure_cron_run *run, void *arg)
{
    (void)k, (void)run;
    ++*(int *)arg;
    return TENURE_ECANCELLED;
}

static void what_has_no_meaning_is_refused(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct runs r = {0};
    int64_t t = 0;
    int times = 0;
    struct tenure_cron_options o = started(&r, "* * * *");
    assert_null(tenure_cron_start(c, "x", &o, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    o = started(&r, "@daily");
    assert_null(tenure_cron_start(c, "a/b", &o, &err));
    o.on_run = NULL;
    assert_null(tenure_cron_start(c, "x", &o, &err));
    o = started(&r, "@daily");
    o.utc_offset = "CET";
    assert_null(tenure_cron_start(c, "x", &o, &err));
    no_error(tenure_cron_next("0 3 * * *", "+02:00", 0, &t, &err), &err);
    assert_int_equal(t, 3600);
    assert_int_equal(tenure_cron_next("x", NULL, 0, &t, &err), TENURE_EINVALID);
    assert_int_equal(tenure_cron_next("@hourly", NULL, INT64_MAX, &t, &err), TENURE_EINVALID);
    assert_int_equal(tenure_cron_next("@every 1s", NULL, INT64_MIN, &t, &err), TENURE_EINVALID);
    o = (struct tenure_cron_options){.size = sizeof o, .schedule = "@every 1s"};
    no_error(tenure_cron_run(c, "stops", &o, stops, &times, &err), &err);
    assert_int_equal(times, 1);
    o.schedule = "@yearly";
    o.for_ms = 50;
    no_error(tenure_cron_run(c, "short", &o, stops, &times, &err), &err);
    assert_int_equal(times, 1);
    o = started(&r, "@yearly");
    tenure_cron *idle = tenure_cron_start(c, "idle", &o, &err);
    assert_non_null(idle);
    assert_int_equal(tenure_cron_done(idle, 0, 0, NULL, &err), TENURE_ENOTHELD);
    tenure_cron_stop(idle);
    tenure_cron_stop(NULL);
    tenure_close(c);
}

/* With a run under way. */
static void a_close_takes_it_along(void **state)
{
    tenure_client *c = open_on(*state), *other = open_on(*state);
    struct tenure_error err = {0};
    struct runs r = {0};
    struct tenure_cron_options o = started(&r, "@every 1s");
    struct tenure_cron_list *list = NULL;
    tenure_cron_start(c, "close", &o, &err);
    await_flag(&r.begun);
    tenure_close(c);
    assert_int_equal(r.ended, 1);
    no_error(tenure_cron_list(other, NULL, "close", &list, &err), &err);
    assert_int_equal(list->n, 1);
    assert_int_equal(list->entries[0].state, TENURE_CRON_DIED);
    tenure_cron_list_free(list);
    tenure_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_period_is_run_once_by_one_of_all),
        cmocka_unit_test(a_period_whose_runner_died_is_run_again),
        cmocka_unit_test(what_was_missed_is_run_and_what_is_lost_is_run_again),
        cmocka_unit_test(a_first_runner_has_missed_nothing),
        cmocka_unit_test(what_has_no_meaning_is_refused),
        cmocka_unit_test(a_close_takes_it_along),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
