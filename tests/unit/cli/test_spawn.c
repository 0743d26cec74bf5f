/* Starting a command in two steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/spawn.h"

static const struct spawn_variable variables[] = {{"TENURE_TOKEN", "42"}, {"TENURE_NAME", "a b"}, {NULL, NULL}};

static struct spawn make(char **argv)
{
    struct spawn s;
    sigset_t none;
    sigemptyset(&none);
    assert_true(spawn_make(&s, argv, variables, &none));
    return s;
}

static int await_end(struct spawn *s)
{
    int status;
    assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
    return status;
}

static struct spawn shell(char *script)
{
    return make((char *[]){"sh", "-c", script, NULL});
}

static void it_runs_only_after_the_word(void **state)
{
    (void)state;
    struct spawn s = shell("exit 7");
    struct pollfd end = {.fd = s.error_fd, .events = POLLIN};
    assert_int_equal(poll(&end, 1, 50), 0); /* neither executed nor failed */
    assert_int_equal(waitpid(s.pid, NULL, WNOHANG), 0);
    spawn_go(&s);
    assert_int_equal(WEXITSTATUS(await_end(&s)), 7);
    assert_int_equal(spawn_error(&s), 0);
    spawn_fini(&s);
}

static void it_has_a_group_of_its_own_from_the_beginning(void **state)
{
    (void)state;
    struct spawn s = shell("exit 0");
    assert_int_equal(getpgid(s.pid), s.pid);
    spawn_go(&s);
    await_end(&s);
    spawn_fini(&s);
}

static void without_the_word_it_ends_and_nothing_ran(void **state)
{
    (void)state;
    struct spawn s = shell("exit 7");
    spawn_cancel(&s);
    assert_int_not_equal(WEXITSTATUS(await_end(&s)), 7);
    assert_int_equal(spawn_error(&s), ECANCELED);
    spawn_fini(&s);
}

static void variables_are_in_its_environment(void **state)
{
    (void)state;
    struct spawn s = shell("test \"$TENURE_TOKEN\" = 42 && test \"$TENURE_NAME\" = 'a b' && test -n \"$PATH\"");
    spawn_go(&s);
    assert_int_equal(await_end(&s), 0);
    assert_null(getenv("TENURE_TOKEN"));
    spawn_fini(&s);
}

static void a_pristine_one_has_nothing_else_and_is_found_in_our_path(void **state)
{
    sigset_t none;
    struct spawn s;
    (void)state;
    sigemptyset(&none);
    assert_int_equal(setenv("LEFT_OVER", "x", 1), 0);
    /* "env" is looked for in PATH, which it does not get itself. */
    char *argv[] = {"env", "/bin/sh", "-c", "test \"$TENURE_NAME\" = 'a b' && test -z \"$LEFT_OVER\"", NULL};
    assert_true(spawn_make_in(&s, argv, variables, true, &none));
    spawn_go(&s);
    assert_int_equal(await_end(&s), 0);
    assert_int_equal(spawn_error(&s), 0);
    spawn_fini(&s);
    unsetenv("LEFT_OVER");
}

static void a_command_that_does_not_exist_is_told_apart_from_one_that_exits_127(void **state)
{
    (void)state;
    struct spawn missing = make((char *[]){"no-such-command-here", NULL});
    spawn_go(&missing);
    assert_int_equal(WEXITSTATUS(await_end(&missing)), 127);
    assert_int_equal(spawn_error(&missing), ENOENT);
    spawn_fini(&missing);
    struct spawn exits = shell("exit 127");
    spawn_go(&exits);
    assert_int_equal(WEXITSTATUS(await_end(&exits)), 127);
    assert_int_equal(spawn_error(&exits), 0);
    spawn_fini(&exits);
}

static void what_is_not_executable_answers_126(void **state)
{
    (void)state;
    struct spawn s = make((char *[]){"/etc/passwd", NULL});
    spawn_go(&s);
    assert_int_equal(WEXITSTATUS(await_end(&s)), 126);
    assert_int_equal(spawn_error(&s), EACCES);
    spawn_fini(&s);
}

static void it_starts_with_the_signals_that_the_program_was_given(void **state)
{
    (void)state;
    spawn_remember_sigpipe();
    signal(SIGPIPE, SIG_IGN);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    struct spawn s = shell("grep -qE '^SigBlk:.*[^0]$|^SigBlk:\t0*[1-9a-f]' /proc/self/status && exit 1;"
                           "test $((0x$(sed -n 's/^SigIgn:\t//p' /proc/self/status) & 0x1000)) -eq 0");
    spawn_go(&s);
    assert_int_equal(await_end(&s), 0);
    spawn_fini(&s);
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    signal(SIGPIPE, SIG_DFL);
}

static void it_inherits_no_descriptor_of_ours(void **state)
{
    (void)state;
    struct spawn s = shell("test \"$(ls /proc/self/fd | wc -l)\" -le 4"); /* 0, 1, 2 and the folder that ls reads */
    spawn_go(&s);
    assert_int_equal(await_end(&s), 0);
    spawn_fini(&s);
}

static struct spawn make_untold(char **argv)
{
    struct spawn s;
    sigset_t none;
    sigemptyset(&none);
    const struct spawn_how how = {.mask = &none, .input = -1, .output = -1};
    assert_true(spawn_make_as(&s, argv, &how));
    return s;
}

static void variables_can_be_told_later(void **state)
{
    (void)state;
    char script[] = "test \"$TENURE_TOKEN\" = 42 && test \"$TENURE_NAME\" = 'a b' && test -n \"$PATH\"";
    struct spawn s = make_untold((char *[]){"sh", "-c", script, NULL});
    assert_true(spawn_tell(&s, variables));
    struct pollfd end = {.fd = s.error_fd, .events = POLLIN};
    assert_int_equal(poll(&end, 1, 50), 0); /* it has its variables, not the word */
    spawn_go(&s);
    assert_int_equal(await_end(&s), 0);
    spawn_fini(&s);
}

static void without_its_variables_it_never_runs(void **state)
{
    (void)state;
    struct spawn s = make_untold((char *[]){"sh", "-c", "exit 7", NULL});
    spawn_go(&s); /* one byte is no length */
    assert_int_not_equal(WEXITSTATUS(await_end(&s)), 7);
    assert_int_equal(spawn_error(&s), ECANCELED);
    spawn_fini(&s);
}

static void more_than_it_can_be_told_is_refused(void **state)
{
    (void)state;
    static char large[40000];
    memset(large, 'x', sizeof large - 1);
    struct spawn s = make_untold((char *[]){"sh", "-c", "exit 7", NULL});
    assert_false(spawn_tell(&s, (struct spawn_variable[]){{"LARGE", large}, {NULL, NULL}}));
    assert_int_equal(errno, E2BIG);
    spawn_cancel(&s);
    assert_int_not_equal(WEXITSTATUS(await_end(&s)), 7);
    spawn_fini(&s);
}

static void one_that_was_killed_meanwhile_cannot_be_told(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    struct spawn s = make_untold((char *[]){"sh", "-c", "exit 7", NULL});
    kill(s.pid, SIGKILL);
    await_end(&s);
    assert_false(spawn_tell(&s, variables));
    spawn_fini(&s);
    signal(SIGPIPE, SIG_DFL);
}

static void one_that_was_never_made_is_freed_without_harm(void **state)
{
    (void)state;
    struct spawn s = {0};
    struct pollfd input = {.fd = 0, .events = POLLIN};
    spawn_cancel(&s);
    spawn_fini(&s);
    poll(&input, 1, 0);
    assert_false(input.revents & POLLNVAL); /* a zero is no descriptor of ours */
}

int main(void)
{
    close_range(3, ~0u, 0); /* what a test runner may have left open */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_runs_only_after_the_word),
        cmocka_unit_test(it_has_a_group_of_its_own_from_the_beginning),
        cmocka_unit_test(without_the_word_it_ends_and_nothing_ran),
        cmocka_unit_test(variables_are_in_its_environment),
        cmocka_unit_test(a_pristine_one_has_nothing_else_and_is_found_in_our_path),
        cmocka_unit_test(a_command_that_does_not_exist_is_told_apart_from_one_that_exits_127),
        cmocka_unit_test(what_is_not_executable_answers_126),
        cmocka_unit_test(it_starts_with_the_signals_that_the_program_was_given),
        cmocka_unit_test(it_inherits_no_descriptor_of_ours),
        cmocka_unit_test(variables_can_be_told_later),
        cmocka_unit_test(without_its_variables_it_never_runs),
        cmocka_unit_test(more_than_it_can_be_told_is_refused),
        cmocka_unit_test(one_that_was_killed_meanwhile_cannot_be_told),
        cmocka_unit_test(one_that_was_never_made_is_freed_without_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
