/* What outlives its holder on a real server: locks and leaderships that a program resumes after its restart, and the delay after a loss. */
#include "lib.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct held {
    int64_t lease;
    tenure_token token;
};

/* A process that acquires the lock, says so, and waits to be killed. */
static pid_t holder_start(const struct server *s, const char *name, struct held *ret)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct tenure_error err = {0};
        struct tenure_lock_options o = {.size = sizeof o, .ttl_s = 60};
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        tenure_client *c = tenure_open(server_url(s), NULL, &err);
        tenure_lock *l = c ? tenure_lock_acquire(c, name, &o, &err) : NULL;
        struct held h = {l ? tenure_lock_lease(l) : 0, l ? tenure_lock_token(l) : 0};
        if (write(fds[1], &h, sizeof h) != sizeof h)
            _exit(1);
        for (;;)
            pause();
    }
    close(fds[1]);
    assert_int_equal(read(fds[0], ret, sizeof *ret), sizeof *ret);
    close(fds[0]);
    assert_true(ret->token > 0);
    return pid;
}

static void kill_and_wait(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static tenure_lock *try_to_resume(tenure_client *c, const char *name, const struct held *h, struct tenure_error *err)
{
    struct tenure_lock_options o = {
        .size = sizeof o, .wait_ms = -1, .resume_lease = h->lease, .resume_token = h->token};
    return tenure_lock_acquire(c, name, &o, err);
}

static void a_lock_of_a_process_that_is_gone_is_resumed_with_its_token(void **state)
{
    struct held h;
    struct tenure_error err = {0};
    pid_t pid = holder_start(*state, "gone", &h);
    kill_and_wait(pid);
    tenure_client *c = open_on(*state);
    assert_null(tenure_lock_acquire(
        c, "gone", &(struct tenure_lock_options){.size = sizeof(struct tenure_lock_options), .wait_ms = -1},
        &err)); /* it stands for a minute */
    assert_int_equal(err.code, TENURE_EBUSY);
    tenure_lock *l = try_to_resume(c, "gone", &h, &err);
    if (!l)
        fail_msg("%s", err.text);
    assert_true(tenure_lock_held(l));
    assert_int_equal(tenure_lock_token(l), h.token);
    assert_int_equal(tenure_lock_lease(l), h.lease);
    struct tenure_lock_list *list;
    no_error(tenure_lock_list(c, "gone", NULL, &list, &err), &err);
    assert_int_equal(list->n, 1);
    assert_int_equal(list->entries[0].pid, getpid());
    tenure_lock_list_free(list);
    no_error(tenure_unlock(l, &err), &err);
    l = try_to_resume(c, "gone", &h, &err); /* what is not held any more is acquired anew */
    assert_non_null(l);
    assert_true(tenure_lock_token(l) > h.token);
    no_error(tenure_unlock(l, &err), &err);
    tenure_close(c);
}

static void a_lock_of_a_process_that_lives_is_not(void **state)
{
    struct held h;
    struct tenure_error err = {0};
    pid_t pid = holder_start(*state, "lives", &h);
    tenure_client *c = open_on(*state);
    assert_null(try_to_resume(c, "lives", &h, &err));
    assert_int_equal(err.code, TENURE_EBUSY); /* queued like everybody else */
    struct held wrong = {h.lease, h.token + 1};
    kill_and_wait(pid);
    assert_null(try_to_resume(c, "lives", &wrong, &err));
    assert_int_equal(err.code, TENURE_EBUSY);
    tenure_lock *l = try_to_resume(c, "lives", &h, &err);
    assert_non_null(l);
    no_error(tenure_unlock(l, &err), &err);
    tenure_close(c);
}

static void a_dead_process_that_nobody_waited_for_is_gone_too(void **state)
{
    struct held h;
    struct tenure_error err = {0};
    pid_t pid = holder_start(*state, "zombie", &h);
    kill(pid, SIGKILL);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    tenure_client *c = open_on(*state);
    tenure_lock *l = try_to_resume(c, "zombie", &h, &err);
    assert_non_null(l);
    no_error(tenure_unlock(l, &err), &err);
    tenure_close(c);
    waitpid(pid, NULL, 0);
}

static void what_was_left_in_the_same_process_is_resumed_on_its_word(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_session_options so = {.size = sizeof so, .ttl_s = 60};
    tenure_session *s = tenure_session_open(c, &so, &err);
    assert_non_null(s);
    struct tenure_lock_options o = {.size = sizeof o, .session = s};
    tenure_lock *l = tenure_lock_acquire(c, "word", &o, &err);
    assert_non_null(l);
    struct held h = {tenure_lock_lease(l), tenure_lock_token(l)};
    no_error(tenure_session_leave(s, &err), &err);
    assert_int_equal(tenure_unlock(l, &err), TENURE_ELOST);
    assert_null(try_to_resume(c, "word", &h, &err)); /* the process lives: it is this one */
    struct tenure_lock_options again = {
        .size = sizeof again, .wait_ms = -1, .resume_lease = h.lease, .resume_token = h.token, .resume_is_sure = true};
    l = tenure_lock_acquire(c, "word", &again, &err);
    if (!l)
        fail_msg("%s", err.text);
    assert_int_equal(tenure_lock_token(l), h.token);
    no_error(tenure_unlock(l, &err), &err);
    again.resume_token = 0;
    assert_null(tenure_lock_acquire(c, "word", &again, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    tenure_close(c);
}

#define RESUMERS 4

struct resumer {
    tenure_client *handle;
    struct held held;
    tenure_lock *lock;
};

static void *resume(void *arg)
{
    struct resumer *r = arg;
    struct tenure_error err;
    r->lock = try_to_resume(r->handle, "race", &r->held, &err);
    return NULL;
}

static void of_several_who_resume_it_one_gets_it(void **state)
{
    struct held h;
    struct resumer r[RESUMERS];
    pthread_t threads[RESUMERS];
    struct tenure_error err = {0};
    int got = 0;
    kill_and_wait(holder_start(*state, "race", &h));
    for (int i = 0; i < RESUMERS; i++)
        r[i] = (struct resumer){.handle = open_on(*state), .held = h};
    for (int i = 0; i < RESUMERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, resume, &r[i]), 0);
    for (int i = 0; i < RESUMERS; i++) {
        pthread_join(threads[i], NULL);
        got += r[i].lock != NULL;
    }
    assert_int_equal(got, 1);
    for (int i = 0; i < RESUMERS; i++) {
        if (r[i].lock)
            no_error(tenure_unlock(r[i].lock, &err), &err);
        tenure_close(r[i].handle);
    }
}

/* ---- a leadership ---- */

static void on_gained(tenure_election *e, tenure_token token, void *user)
{
    (void)e, (void)token;
    atomic_fetch_add((atomic_int *)user, 1);
}

static tenure_election *campaign(tenure_client *c, const char *name, const struct held *h, atomic_int *gained)
{
    struct tenure_error err = {0};
    struct tenure_election_options o = {
        .size = sizeof o, .ttl_s = 60, .proposal = S("x"), .on_gained = on_gained, .user = gained};
    if (h) {
        o.resume_lease = h->lease;
        o.resume_token = h->token;
    }
    tenure_election *e = tenure_election_start(c, name, &o, &err);
    if (!e)
        fail_msg("%s", err.text);
    return e;
}

/* A process that leads, says so, and waits to be killed. */
static pid_t leader_start(const struct server *s, const char *name, struct held *ret)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        static atomic_int gained;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        tenure_client *c = tenure_open(server_url(s), NULL, NULL);
        tenure_election *e = c ? campaign(c, name, NULL, &gained) : NULL;
        if (!e || tenure_election_await(e, 0, NULL) != 0)
            _exit(1);
        struct held h = {tenure_election_lease(e), tenure_election_token(e)};
        if (write(fds[1], &h, sizeof h) != sizeof h)
            _exit(1);
        for (;;)
            pause();
    }
    close(fds[1]);
    assert_int_equal(read(fds[0], ret, sizeof *ret), sizeof *ret);
    close(fds[0]);
    assert_true(ret->token > 0);
    return pid;
}

static void a_leadership_of_a_process_that_is_gone_is_resumed_and_of_one_that_lives_is_not(void **state)
{
    struct held h;
    struct tenure_error err = {0};
    static atomic_int early, late, again;
    pid_t pid = leader_start(*state, "led", &h);
    tenure_client *c = open_on(*state);
    tenure_election *waits = campaign(c, "led", &h, &early);
    assert_int_equal(tenure_election_await(waits, 300, &err), TENURE_ETIMEOUT); /* it lives */
    kill_and_wait(pid);
    tenure_election *e = campaign(c, "led", &h, &late);
    no_error(tenure_election_await(e, 30000, &err), &err);
    assert_int_equal(tenure_election_token(e), h.token);
    assert_int_equal(tenure_election_lease(e), h.lease);
    await_flag(&late);
    assert_int_equal(early, 0);
    no_error(tenure_election_proclaim(e, S("y"), &err), &err);
    struct tenure_election_list *list;
    no_error(tenure_election_list(c, "led", NULL, &list, &err), &err);
    assert_int_equal(list->n, 2);
    assert_int_equal(list->entries[0].pid, getpid());
    assert_string_equal((const char *)list->entries[0].value.data, "y");
    tenure_election_list_free(list);
    tenure_election_stop(e);
    no_error(tenure_election_await(waits, 30000, &err), &err);
    assert_true(tenure_election_token(waits) > h.token);
    tenure_election_stop(waits);
    e = campaign(c, "led", &h, &again); /* what does not stand any more is campaigned for */
    no_error(tenure_election_await(e, 30000, &err), &err);
    assert_true(tenure_election_token(e) > h.token);
    tenure_election_stop(e);
    struct tenure_election_options no_lease = {.size = sizeof no_lease, .resume_token = 1};
    assert_null(tenure_election_start(c, "led", &no_lease, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    tenure_close(c);
}

/* ---- the delay ---- */

/* M11 */
static void after_a_loss_the_lock_is_free_later_and_after_a_release_at_once(void **state)
{
    tenure_client *c = open_on(*state), *other = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_session_options so = {.size = sizeof so, .ttl_s = 60};
    tenure_session *s = tenure_session_open(c, &so, &err);
    assert_non_null(s);
    struct tenure_lock_options lost = {.size = sizeof lost, .session = s, .delay_ms = 2000};
    struct tenure_lock_options plain = {.size = sizeof plain, .delay_ms = 2000};
    struct tenure_lock_options try = {.size = sizeof try, .delay_ms = 2000, .wait_ms = -1};
    tenure_lock *l = tenure_lock_acquire(c, "delayed", &lost, &err);
    assert_non_null(l);
    int64_t from = test_now();
    no_error(tenure_session_close(s, &err), &err); /* with the lock on it */
    assert_int_equal(tenure_unlock(l, &err), TENURE_ELOST);
    tenure_lock *next = tenure_lock_acquire(other, "delayed", &plain, &err);
    if (!next)
        fail_msg("%s", err.text);
    assert_true(test_now() - from >= 2000);
    no_error(tenure_unlock(next, &err), &err);
    next = tenure_lock_acquire(c, "delayed", &try, &err);
    assert_non_null(next);
    no_error(tenure_unlock(next, &err), &err);
    try.delay_ms = 60001;
    assert_null(tenure_lock_acquire(c, "delayed", &try, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    tenure_close(c);
    tenure_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lock_of_a_process_that_is_gone_is_resumed_with_its_token),
        cmocka_unit_test(a_lock_of_a_process_that_lives_is_not),
        cmocka_unit_test(a_dead_process_that_nobody_waited_for_is_gone_too),
        cmocka_unit_test(what_was_left_in_the_same_process_is_resumed_on_its_word),
        cmocka_unit_test(of_several_who_resume_it_one_gets_it),
        cmocka_unit_test(a_leadership_of_a_process_that_is_gone_is_resumed_and_of_one_that_lives_is_not),
        cmocka_unit_test(after_a_loss_the_lock_is_free_later_and_after_a_release_at_once),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
