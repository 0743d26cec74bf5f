/* Whether a process is gone: only ever claimed with proof. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/lock_value.h"
#include "lib/process.h"

/* Another process as it would describe itself, already dead; waited for or not. */
static struct process dead(bool waited_for)
{
    int fds[2];
    struct process p = {0};
    siginfo_t info;
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct process own = process_self();
        _exit(write(fds[1], &own, sizeof own) == sizeof own ? 0 : 1);
    }
    assert_int_equal(read(fds[0], &p, sizeof p), sizeof p);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | (waited_for ? 0 : WNOWAIT)), 0);
    assert_int_equal(p.pid, pid);
    return p;
}

static void this_process_knows_itself_and_is_not_gone(void **state)
{
    (void)state;
    struct process p = process_self();
    assert_int_equal(p.pid, getpid());
    assert_true(p.start > 0);
    assert_true(strlen(p.boot) > 30);
    assert_true(p.spaces[0]);
    assert_false(process_is_gone(&p));
}

static void one_that_ended_is_gone_waited_for_or_not(void **state)
{
    (void)state;
    struct process p = dead(true);
    assert_true(process_is_gone(&p));
    p = dead(false);
    assert_true(process_is_gone(&p));
    waitpid((pid_t)p.pid, NULL, 0);
}

static void a_number_that_another_process_has_by_now_is_no_sign_of_life(void **state)
{
    (void)state;
    struct process p = process_self();
    p.start -= 1;
    assert_true(process_is_gone(&p));
    p.start = 0; /* not known */
    assert_false(process_is_gone(&p));
}

static void in_any_doubt_it_is_not_gone(void **state)
{
    (void)state;
    struct process p = dead(true), q = p;
    q.boot[0] ^= 1; /* another machine, or before its last boot */
    assert_false(process_is_gone(&q));
    q = p;
    q.boot[0] = 0;
    assert_false(process_is_gone(&q));
    q = p;
    q.spaces[5] ^= 1; /* another container */
    assert_false(process_is_gone(&q));
    q = p;
    q.spaces[0] = 0;
    assert_false(process_is_gone(&q));
    q = p;
    q.pid = 0;
    assert_false(process_is_gone(&q));
    q.pid = -1;
    assert_false(process_is_gone(&q));
    q.pid = INT64_MAX;
    assert_false(process_is_gone(&q));
    q = (struct process){0};
    assert_false(process_is_gone(&q));
}

static void the_value_of_a_lock_says_which_process_it_is(void **state)
{
    (void)state;
    struct lock_words w;
    struct process p = process_self();
    char *value = lock_value_new("p", 1700000000000);
    lock_value_read(bytes_str(value), &w);
    assert_int_equal(w.process.pid, p.pid);
    assert_int_equal(w.process.start, p.start);
    assert_string_equal(w.process.boot, p.boot);
    assert_string_equal(w.process.spaces, p.spaces);
    assert_false(process_is_gone(&w.process));
    lock_words_fini(&w);
    free(value);
    lock_value_read(bytes_str("{\"pid\":1,\"boot\":7,\"spaces\":{},\"start\":\"x\"}"), &w);
    assert_false(process_is_gone(&w.process));
    lock_words_fini(&w);
    lock_value_read(bytes_str(""), &w);
    assert_false(process_is_gone(&w.process));
}

static void marks_make_values_unlike(void **state)
{
    (void)state;
    char *a = lock_value_new_mark("p", 1700000000000, 1), *b = lock_value_new_mark("p", 1700000000000, UINT64_MAX);
    assert_string_not_equal(a, b);
    struct lock_words w;
    lock_value_read(bytes_str(b), &w);
    assert_string_equal(w.purpose, "p");
    lock_words_fini(&w);
    free(a);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_process_knows_itself_and_is_not_gone),
        cmocka_unit_test(one_that_ended_is_gone_waited_for_or_not),
        cmocka_unit_test(a_number_that_another_process_has_by_now_is_no_sign_of_life),
        cmocka_unit_test(in_any_doubt_it_is_not_gone),
        cmocka_unit_test(the_value_of_a_lock_says_which_process_it_is),
        cmocka_unit_test(marks_make_values_unlike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
