/* A handle in a child of fork is dead, says so, and leaves the parent's alone. */
#include "lib.h"

#include <sys/wait.h>
#include <unistd.h>

/* Runs in the child; answers the number of the first thing that does not hold, 0 for none. */
static int in_child(tenure_client *c, tenure_lock *l, tenure_election *e)
{
    struct tenure_error err = {0};
    if (tenure_get(c, S("a"), NULL, NULL, &err) != TENURE_EFORKED || err.kind != TENURE_KIND_USAGE)
        return 1;
    if (tenure_put_start(c, S("a"), S("b"), NULL, NULL, NULL, NULL) != TENURE_EFORKED)
        return 2;
    if (tenure_lock_held(l) || tenure_lock_remaining_ms(l) > 0)
        return 3;
    if (tenure_election_leads(e))
        return 4;
    if (tenure_unlock(l, &err) != TENURE_EFORKED)
        return 5;
    if (tenure_lock_acquire(c, "y", NULL, &err) || err.code != TENURE_EFORKED)
        return 6;
    if (tenure_watch_start(c, S("a"), NULL, &err) || err.code != TENURE_EFORKED)
        return 7;
    if (tenure_endpoints(c) != 0)
        return 8;
    tenure_election_stop(e);
    tenure_unlock_start(l);
    tenure_close(c);
    return 0;
}

static void a_child_has_a_dead_handle_and_the_parent_a_living_one(void **state)
{
    struct tenure_error err = {0};
    tenure_client *c = open_on(*state);
    tenure_lock *l = tenure_lock_acquire(c, "fork", NULL, &err);
    assert_non_null(l);
    struct tenure_election_options o = {.size = sizeof o};
    tenure_election *e = tenure_election_start(c, "fork", &o, &err);
    assert_non_null(e);
    for (int i = 0; i < 3; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            _exit(in_child(c, l, e));
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_true(tenure_lock_held(l));
        put(c, "fork/a", "x"); /* over the same connection */
    }
    no_error(tenure_unlock(l, &err), &err);
    tenure_election_stop(e);
    tenure_close(c);
}

#ifdef __has_feature
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_THREAD__) || HAS_FEATURE(thread_sanitizer)
#define THREADS_AFTER_FORK false /* the thread sanitizer cannot follow them */
#else
#define THREADS_AFTER_FORK true
#endif

static void a_child_may_open_a_handle_of_its_own(void **state)
{
    struct server *s = *state;
    if (!THREADS_AFTER_FORK)
        skip();
    tenure_client *c = open_on(s);
    put(c, "fork/own", "parent");
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        tenure_client *own = tenure_open(server_url(s), NULL, NULL);
        int rc = own ? tenure_put(own, S("fork/own"), S("child"), NULL, NULL, NULL) : 1;
        tenure_close(own);
        _exit(rc ? 1 : 0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    char *value = get(c, "fork/own");
    assert_string_equal(value, "child");
    free(value);
    tenure_close(c);
}

/* A poll handle's sockets are the parent's: the child's close must not take them out of the set that both share. */
static void a_child_of_a_poll_handle_does_not_disturb_it(void **state)
{
    struct tenure_error err = {0};
    tenure_client *c = tenure_open_poll(server_url(*state), NULL, &err);
    assert_non_null(c);
    for (int i = 0; i < 3; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            int rc = tenure_turn(c) == TENURE_EFORKED && tenure_fd(c) == -1 ? 0 : 1;
            tenure_close(c);
            _exit(rc);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(tenure_turn(c), 0);
    }
    tenure_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_has_a_dead_handle_and_the_parent_a_living_one),
        cmocka_unit_test(a_child_may_open_a_handle_of_its_own),
        cmocka_unit_test(a_child_of_a_poll_handle_does_not_disturb_it),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
