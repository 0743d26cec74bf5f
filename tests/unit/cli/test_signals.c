/* A stop as by Ctrl-Z, and what is left of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/signals.h"

/* In a group of its own, below a parent of another one, so that it may be stopped. Its exit code: 0 when it read USR1 alone. */
static int child(int pause_fd)
{
    struct signals s;
    char byte;
    if (setpgid(0, 0) < 0 || !signals_open(&s))
        return 99;
    signals_stop_self(false);
    if (read(pause_fd, &byte, 1) != 1)
        return 98;
    return signals_next(&s) == SIGUSR1 ? signals_next(&s) : 97;
}

static void the_continue_that_ended_a_stop_is_not_read_later(void **state)
{
    (void)state;
    int pipe_fds[2], status;
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(child(pipe_fds[0]));
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    assert_int_equal(WSTOPSIG(status), SIGTSTP);
    kill(pid, SIGCONT);
    assert_int_equal(waitpid(pid, &status, WCONTINUED), pid);
    kill(pid, SIGUSR1);
    assert_int_equal(write(pipe_fds[1], "x", 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_continue_that_ended_a_stop_is_not_read_later)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
