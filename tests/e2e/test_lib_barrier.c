/* Barriers on real servers: between threads, handles and processes, over kill -9 of a participant and of the server. */
#include "lib.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PARTICIPANTS = 4, ROUNDS = 3 };

static void a_wait_ends_with_the_release(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_barrier_options try = {.size = sizeof try, .timeout_ms = -1};
    no_error(tenure_barrier_wait(c, "b", &try, &err), &err);
    no_error(tenure_barrier_hold(c, "b", NULL, &err), &err);
    assert_int_equal(tenure_barrier_hold(c, "b", NULL, &err), TENURE_EEXISTS);
    assert_int_equal(tenure_barrier_wait(c, "b", &try, &err), TENURE_EBUSY);
    char *value = get(c, "/barriers/b");
    assert_non_null(strstr(value, "\"pid\""));
    free(value);
    no_error(tenure_barrier_release(c, "b", NULL, &err), &err);
    no_error(tenure_barrier_release(c, "b", NULL, &err), &err);
    no_error(tenure_barrier_wait(c, "b", &try, &err), &err);
    tenure_close(c);
}

struct waiter {
    tenure_client *c;
    pthread_t thread;
    int rc;
    struct tenure_error err;
};

static void *wait_at_barrier(void *arg)
{
    struct waiter *w = arg;
    w->rc = tenure_barrier_wait(w->c, "b", NULL, &w->err);
    return NULL;
}

static void many_wait_over_a_restart_of_the_server(void **state)
{
    struct server *server = *state;
    struct waiter waiters[4] = {{0}};
    struct tenure_error err = {0};
    tenure_client *c = open_on(server), *other = open_on(server);
    no_error(tenure_barrier_hold(c, "b", NULL, &err), &err);
    for (int i = 0; i < 4; i++) {
        waiters[i].c = i % 2 ? c : other;
        assert_int_equal(pthread_create(&waiters[i].thread, NULL, wait_at_barrier, &waiters[i]), 0);
    }
    server_kill(server);
    server_restart(server);
    no_error(tenure_barrier_release(c, "b", NULL, &err), &err);
    for (int i = 0; i < 4; i++) {
        pthread_join(waiters[i].thread, NULL);
        no_error(waiters[i].rc, &waiters[i].err);
    }
    tenure_close(c);
    tenure_close(other);
}

struct told {
    atomic_int done;
    int code;
    struct tenure_latch_state state;
};

static void on_done(void *user, int code, const struct tenure_error *err)
{
    struct told *t = user;
    (void)err;
    t->code = code;
    atomic_store(&t->done, 1);
}

static void a_wait_can_be_started_and_given_up(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct told held = {0}, given_up = {0}, timed_out = {0}, open = {0};
    struct tenure_barrier_options o = {.size = sizeof o, .timeout_ms = 50};
    assert_int_equal(tenure_barrier_hold_start(c, "s", NULL, on_done, &held, &err), 0);
    await_flag(&held.done);
    assert_int_equal(held.code, 0);
    tenure_wait *w = tenure_barrier_wait_start(c, "s", NULL, on_done, &given_up, &err);
    tenure_wait_stop(w);
    await_flag(&given_up.done);
    assert_int_equal(given_up.code, TENURE_ECANCELLED);
    w = tenure_barrier_wait_start(c, "s", &o, on_done, &timed_out, &err);
    await_flag(&timed_out.done);
    assert_int_equal(timed_out.code, TENURE_ETIMEOUT);
    tenure_wait_stop(w);
    w = tenure_barrier_wait_start(c, "s", NULL, on_done, &open, &err);
    assert_int_equal(tenure_barrier_release_start(c, "s", NULL, NULL, NULL, &err), 0);
    await_flag(&open.done);
    assert_int_equal(open.code, 0);
    tenure_wait_stop(w);
    assert_null(tenure_barrier_wait_start(c, "", NULL, on_done, &open, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    tenure_close(c);
}

static void a_close_ends_a_wait(void **state)
{
    tenure_client *c = open_on(*state);
    struct told told = {0};
    struct tenure_error err = {0};
    no_error(tenure_barrier_hold(c, "b", NULL, &err), &err);
    assert_non_null(tenure_barrier_wait_start(c, "b", NULL, on_done, &told, NULL));
    tenure_close(c);
    assert_int_equal(atomic_load(&told.done), 1);
    assert_int_equal(told.code, TENURE_ECLOSED);
    c = open_on(*state);
    no_error(tenure_barrier_release(c, "b", NULL, &err), &err);
    tenure_close(c);
}

/* ---- latches ---- */

static void on_state(void *user, int code, const struct tenure_latch_state *s, const struct tenure_error *err)
{
    struct told *t = user;
    (void)err;
    t->code = code;
    if (s)
        t->state = *s;
    atomic_store(&t->done, 1);
}

static void a_latch_opens_with_the_last_arrival(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_latch_state s;
    struct told waiting = {0}, arrived = {0};
    tenure_wait *w = tenure_latch_wait_start(c, "l", NULL, on_done, &waiting, &err);
    no_error(tenure_latch_arrive(c, "l", 3, "one", NULL, &s, &err), &err);
    no_error(tenure_latch_arrive(c, "l", 3, "one", NULL, &s, &err), &err);
    assert_int_equal(s.arrived, 1);
    assert_int_equal(tenure_latch_arrive(c, "l", 4, NULL, NULL, NULL, &err), TENURE_ECONFLICT);
    no_error(tenure_latch_arrive(c, "l", 3, NULL, NULL, NULL, &err), &err);
    assert_int_equal(atomic_load(&waiting.done), 0);
    assert_int_equal(tenure_latch_arrive_start(c, "l", 3, NULL, NULL, on_state, &arrived, &err), 0);
    await_flag(&arrived.done);
    assert_true(arrived.state.open);
    await_flag(&waiting.done);
    assert_int_equal(waiting.code, 0);
    tenure_wait_stop(w);
    no_error(tenure_latch_wait(c, "l", NULL, &err), &err);
    no_error(tenure_latch_reset(c, "l", NULL, &err), &err);
    no_error(tenure_latch_look(c, "l", NULL, &s, &err), &err);
    assert_int_equal(s.arrived, 0);
    assert_false(s.open);
    assert_int_equal(tenure_latch_arrive(c, "l", 0, NULL, NULL, NULL, &err), TENURE_EINVALID);
    tenure_close(c);
}

/* ---- double barriers ---- */

struct participant {
    const struct server *server;
    pthread_t thread;
    int failures;
};

static atomic_int inside;

static void *take_part(void *arg)
{
    struct participant *p = arg;
    struct tenure_error err = {0};
    tenure_client *c = open_on(p->server);
    for (int round = 1; round <= ROUNDS; round++) {
        tenure_double_barrier *b = tenure_double_barrier_enter(c, "d", PARTICIPANTS, NULL, &err);
        if (!b) {
            fprintf(stderr, "enter: %s\n", err.text);
            p->failures++;
            break;
        }
        p->failures += !tenure_double_barrier_inside(b);
        atomic_fetch_add(&inside, 1);
        if (tenure_double_barrier_leave(b, 0, &err) < 0) {
            fprintf(stderr, "leave: %s\n", err.text);
            p->failures++;
        }
        if (atomic_load(&inside) < round * PARTICIPANTS) /* nobody is out before all were in */
            p->failures++;
    }
    tenure_close(c);
    return NULL;
}

static void all_enter_and_leave_together(void **state)
{
    struct participant p[PARTICIPANTS] = {{0}};
    atomic_store(&inside, 0);
    for (int i = 0; i < PARTICIPANTS; i++) {
        p[i].server = *state;
        assert_int_equal(pthread_create(&p[i].thread, NULL, take_part, &p[i]), 0);
    }
    for (int i = 0; i < PARTICIPANTS; i++) {
        pthread_join(p[i].thread, NULL);
        assert_int_equal(p[i].failures, 0);
    }
    tenure_client *c = open_on(*state);
    struct tenure_get_options o = {.size = sizeof o, .prefix = true};
    struct tenure_get_result *r;
    struct tenure_error err = {0};
    no_error(tenure_get(c, S("/barriers/d/"), &o, &r, &err), &err);
    assert_int_equal(r->n_kvs, 0);
    tenure_get_free(r);
    tenure_close(c);
}

/* Another process that enters and stays until it is killed. */
static pid_t process_inside(const char *url, int *ret_fd)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        struct tenure_double_barrier_options o = {.size = sizeof o, .ttl_s = 2};
        tenure_client *c = tenure_open(url, NULL, NULL);
        tenure_double_barrier *b = c ? tenure_double_barrier_enter(c, "k", 2, &o, NULL) : NULL;
        if (write(fds[1], b ? "i" : "f", 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    close(fds[1]);
    *ret_fd = fds[0];
    return pid;
}

static void a_participant_that_is_killed_counts_as_left(void **state)
{
    int fd, status;
    char said = 0;
    pid_t pid = process_inside(server_url(*state), &fd); /* before any thread of ours */
    struct tenure_error err = {0};
    tenure_client *c = open_on(*state);
    tenure_double_barrier *b = tenure_double_barrier_enter(c, "k", 2, NULL, &err);
    if (!b)
        fail_msg("%s", err.text);
    assert_int_equal(read(fd, &said, 1), 1);
    assert_int_equal(said, 'i');
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    close(fd);
    no_error(tenure_double_barrier_leave(b, 0, &err), &err);
    tenure_close(c);
}

static void on_entered(tenure_double_barrier *b, int code, const struct tenure_error *err, void *user)
{
    (void)b;
    on_done(user, code, err);
}

static atomic_int left;

static void on_left(int code, const struct tenure_error *err, void *user)
{
    (void)err, (void)user;
    if (code == 0)
        atomic_fetch_add(&left, 1);
}

static bool two_left(void *user)
{
    (void)user;
    return atomic_load(&left) == 2;
}

static void entering_can_be_started_and_given_up(void **state)
{
    tenure_client *c = open_on(*state);
    struct told a = {0}, b = {0};
    struct tenure_error err = {0};
    struct tenure_double_barrier_options o = {
        .size = sizeof o, .on_entered = on_entered, .on_left = on_left, .user = &a};
    atomic_store(&left, 0);
    tenure_double_barrier *first = tenure_double_barrier_enter_start(c, "g", 2, &o, &err);
    assert_non_null(first);
    assert_false(tenure_double_barrier_inside(first));
    tenure_double_barrier_leave_start(first, 0);
    await_flag(&a.done);
    assert_int_equal(a.code, TENURE_ECANCELLED);
    a = (struct told){0};
    first = tenure_double_barrier_enter_start(c, "g", 2, &o, &err);
    o.user = &b;
    tenure_double_barrier *second = tenure_double_barrier_enter_start(c, "g", 2, &o, &err);
    await_flag(&a.done);
    await_flag(&b.done);
    assert_int_equal(a.code, 0);
    assert_int_equal(b.code, 0);
    atomic_store(&left, 0);
    tenure_double_barrier_leave_start(first, 0);
    tenure_double_barrier_leave_start(second, 0);
    assert_true(test_await(two_left, NULL));
    struct tenure_double_barrier_options brief = {.size = sizeof brief, .timeout_ms = 100};
    assert_null(tenure_double_barrier_enter(c, "g", 2, &brief, &err));
    assert_int_equal(err.code, TENURE_ETIMEOUT);
    assert_null(tenure_double_barrier_enter(c, "g", 0, NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    tenure_close(c);
}

/* By the call that waits. */
static void what_failed_or_is_being_entered_can_be_left(void **state)
{
    tenure_client *c = open_on(*state);
    struct told a = {0};
    struct tenure_error err = {0};
    struct tenure_double_barrier_options o = {
        .size = sizeof o, .timeout_ms = 100, .on_entered = on_entered, .on_left = on_left, .user = &a};
    tenure_double_barrier *b = tenure_double_barrier_enter_start(c, "f", 2, &o, &err);
    await_flag(&a.done);
    assert_int_equal(a.code, TENURE_ETIMEOUT);
    no_error(tenure_double_barrier_leave(b, 0, &err), &err);
    a = (struct told){0};
    o.timeout_ms = 0;
    b = tenure_double_barrier_enter_start(c, "f", 2, &o, &err);
    assert_int_equal(tenure_double_barrier_leave(b, 0, &err), TENURE_EBUSY);
    tenure_double_barrier_leave_start(b, 0);
    await_flag(&a.done);
    assert_int_equal(a.code, TENURE_ECANCELLED);
    tenure_close(c);
}

static void a_close_leaves(void **state)
{
    tenure_client *a = open_on(*state), *b = open_on(*state);
    struct told told = {0};
    struct tenure_error err = {0};
    struct tenure_double_barrier_options o = {.size = sizeof o, .on_entered = on_entered, .user = &told};
    assert_non_null(tenure_double_barrier_enter_start(a, "c", 2, &o, &err));
    tenure_double_barrier *mine = tenure_double_barrier_enter(b, "c", 2, NULL, &err);
    assert_non_null(mine);
    await_flag(&told.done);
    tenure_close(a);
    no_error(tenure_double_barrier_leave(mine, 0, &err), &err);
    tenure_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_participant_that_is_killed_counts_as_left),
        cmocka_unit_test(a_wait_ends_with_the_release),
        cmocka_unit_test(many_wait_over_a_restart_of_the_server),
        cmocka_unit_test(a_wait_can_be_started_and_given_up),
        cmocka_unit_test(a_close_ends_a_wait),
        cmocka_unit_test(a_latch_opens_with_the_last_arrival),
        cmocka_unit_test(all_enter_and_leave_together),
        cmocka_unit_test(entering_can_be_started_and_given_up),
        cmocka_unit_test(what_failed_or_is_being_entered_can_be_left),
        cmocka_unit_test(a_close_leaves),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
