/* Finding processes that left their group (M12). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/proc.h"
#include "cli/tree.h"

/* A child that has made itself a session, and a child of its own in one of its own. Numbers by a pipe. */
struct family {
    pid_t child, grandchild;
};

static _Noreturn void wait_for_death(void)
{
    for (;;)
        pause();
}

static struct family begin(void)
{
    struct family f = {0};
    int numbers[2];
    assert_int_equal(pipe(numbers), 0);
    f.child = fork();
    assert_true(f.child >= 0);
    if (f.child == 0) {
        setsid();
        if (fork() == 0) {
            setsid();
            pid_t self = getpid();
            if (write(numbers[1], &self, sizeof self) == (ssize_t)sizeof self)
                wait_for_death();
            _exit(1);
        }
        wait_for_death();
    }
    assert_int_equal(read(numbers[0], &f.grandchild, sizeof f.grandchild), sizeof f.grandchild);
    close(numbers[0]);
    close(numbers[1]);
    return f;
}

static int end_of(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

/* Orphans come to us: main makes this process their reaper. */
static void end(struct family f)
{
    kill(f.child, SIGKILL);
    kill(f.grandchild, SIGKILL);
    end_of(f.child);
    end_of(f.grandchild);
}

static bool holds(const struct tree *t, pid_t pid)
{
    for (int i = 0; i < t->n; i++)
        if (t->members[i].pid == pid)
            return true;
    return false;
}

static void all_generations_are_found(void **state)
{
    (void)state;
    struct tree t = {0};
    struct family f = begin();
    tree_collect(&t, getpid(), 0, 0, 0);
    assert_true(holds(&t, f.child) && holds(&t, f.grandchild));
    assert_int_equal(t.n, 2);
    tree_collect(&t, getpid(), 0, 0, 0);
    assert_int_equal(t.n, 2); /* each once */
    tree_clear(&t);
    tree_collect(&t, f.child, 0, 0, 0);
    assert_true(t.n == 1 && holds(&t, f.grandchild));
    tree_clear(&t);
    end(f);
}

static void the_one_excepted_is_left_out_with_all_below_it(void **state)
{
    (void)state;
    struct tree t = {0};
    struct family f = begin();
    tree_collect(&t, getpid(), f.child, 0, 0);
    assert_int_equal(t.n, 0);
    end(f);
}

static void members_of_the_group_are_left_out_but_not_who_is_below_them(void **state)
{
    (void)state;
    struct tree t = {0};
    struct family f = begin();
    tree_collect(&t, getpid(), 0, f.child, 0);
    assert_true(t.n == 1 && holds(&t, f.grandchild));
    tree_clear(&t);
    end(f);
}

static void signals_reach_them_also_when_they_have_become_orphans(void **state)
{
    (void)state;
    struct tree t = {0};
    struct family f = begin();
    tree_collect(&t, getpid(), 0, f.child, 0);
    kill(f.child, SIGKILL);
    assert_int_equal(end_of(f.child), SIGKILL);
    tree_signal(&t, SIGTERM);
    assert_int_equal(end_of(f.grandchild), SIGTERM);
    tree_signal(&t, SIGKILL); /* of one that is gone: nothing */
    tree_clear(&t);
    assert_int_equal(t.n, 0);
}

static void a_stopped_one_acts_on_term(void **state)
{
    (void)state;
    struct tree t = {0};
    struct family f = begin();
    tree_collect(&t, getpid(), 0, 0, 0);
    kill(f.grandchild, SIGSTOP);
    tree_signal(&t, SIGTERM);
    assert_int_equal(end_of(f.child), SIGTERM);
    assert_int_equal(end_of(f.grandchild), SIGTERM);
    tree_clear(&t);
}

static void one_without_parents_is_known_by_the_lease_in_its_environment(void **state)
{
    (void)state;
    struct tree t = {0};
    pid_t child = fork();
    if (child == 0) {
        setenv(PROC_LEASES, "00000000000000aa 0000000000001234", 1);
        execlp("sleep", "sleep", "600", NULL);
        _exit(1);
    }
    while (!proc_runs_under(child, 0x1234)) /* until it is executed */
        poll(NULL, 0, 1);
    assert_true(proc_runs_under(child, 0xaa));
    assert_false(proc_runs_under(child, 0x12));
    tree_collect(&t, 0, 0, 0, 0x1234);
    assert_true(t.n == 1 && holds(&t, child));
    tree_clear(&t);
    tree_collect(&t, 0, child, 0, 0x1234);
    assert_int_equal(t.n, 0);
    kill(child, SIGKILL);
    end_of(child);
}

static void no_root_is_not_every_process(void **state)
{
    (void)state;
    struct tree t = {0};
    tree_collect(&t, 0, 0, 0, 0);
    tree_collect(&t, 1, 0, 0, 0);
    assert_int_equal(t.n, 0);
}

static void a_process_knows_whether_it_has_children(void **state)
{
    (void)state;
    assert_true(proc_has_no_child());
    struct family f = begin();
    assert_false(proc_has_no_child());
    end(f);
    assert_true(proc_has_no_child());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_generations_are_found),
        cmocka_unit_test(the_one_excepted_is_left_out_with_all_below_it),
        cmocka_unit_test(members_of_the_group_are_left_out_but_not_who_is_below_them),
        cmocka_unit_test(signals_reach_them_also_when_they_have_become_orphans),
        cmocka_unit_test(a_stopped_one_acts_on_term),
        cmocka_unit_test(one_without_parents_is_known_by_the_lease_in_its_environment),
        cmocka_unit_test(no_root_is_not_every_process),
        cmocka_unit_test(a_process_knows_whether_it_has_children),
    };
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
