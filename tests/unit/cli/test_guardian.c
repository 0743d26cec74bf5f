/* The guardian as a real process beside real process groups (M12). Nothing here sleeps for a guess: processes are awaited,
 * and what they did is judged from time stamps that they left in shared memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/group.h"
#include "cli/guardian.h"
#include "io/loop.h"

#define GRACE 1000
#define ROOM  1000 /* that a renewal may come late on a loaded machine */
#define STALL 20   /* whoever wakes up later than that is on a machine that cannot keep times */
#define TRIES 8

/* What the processes of a test leave behind for it. */
struct trace {
    _Atomic int64_t last_alive_ms; /* the command's newest time stamp */
    _Atomic int64_t term_ms;       /* the command got TERM */
    _Atomic int64_t revoked_ms, revoked_lease, revoke_until_ms;
    _Atomic int guardian;
};

struct world {
    struct page *page;
    struct trace *trace;
    struct guardian guardian;
    pid_t command;
};

static struct trace *trace_of_command;

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->page = page_new(GRACE);
    w->trace = mmap(NULL, sizeof *w->trace, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(w->page && w->trace != MAP_FAILED);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    guardian_stop(&w->guardian, w->page);
    if (w->command) {
        kill(-w->command, SIGKILL);
        waitpid(w->command, NULL, 0);
    }
    page_free(w->page);
    munmap(w->trace, sizeof *w->trace);
    free(w);
    return 0;
}

/* ---- the command ---- */

static void on_term(int signal)
{
    (void)signal;
    atomic_store(&trace_of_command->term_ms, io_clock());
    _exit(3);
}

static _Noreturn void command(struct trace *t, bool ignore_term)
{
    trace_of_command = t;
    signal(SIGTERM, ignore_term ? SIG_IGN : on_term);
    for (;;) {
        atomic_store(&t->last_alive_ms, io_clock());
        poll(NULL, 0, 1);
    }
}

/* tenure_fd: the guardian's socket, which a command that is executed would not have. */
static pid_t start_group(struct trace *t, bool ignore_term, int tenure_fd)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setpgid(0, 0);
        close(tenure_fd);
        command(t, ignore_term);
    }
    setpgid(pid, pid);
    while (!atomic_load(&t->last_alive_ms))
        poll(NULL, 0, 1);
    return pid;
}

/* ---- the guardian ---- */

static void note_revoke(void *user, int64_t lease, int64_t until_ms)
{
    struct trace *t = user;
    atomic_store(&t->revoked_lease, lease);
    atomic_store(&t->revoke_until_ms, until_ms);
    atomic_store(&t->revoked_ms, io_clock());
}

/* Starts it and waits until it is in a group of its own, by which the tests see whether it lives. */
static void guard(struct world *w)
{
    struct guardian_options o = {.who = "test", .page = w->page, .revoke = note_revoke, .user = w->trace};
    assert_true(guardian_start(&w->guardian, &o));
    while (getpgid(w->guardian.pid) == getpgrp())
        poll(NULL, 0, 1);
}

static int64_t run_guarded(struct world *w, bool ignore_term, int64_t safe_for_ms)
{
    guard(w);
    w->command = start_group(w->trace, ignore_term, w->guardian.fd);
    int64_t safe_until = io_clock() + safe_for_ms;
    atomic_store(&w->page->safe_until_ms, safe_until);
    page_run(w->page, w->command);
    guardian_poke(&w->guardian);
    return safe_until;
}

static int await_command(struct world *w)
{
    int status;
    assert_int_equal(waitpid(w->command, &status, 0), w->command);
    w->command = 0;
    return status;
}

/* The same, and how much too late this process woke up at worst meanwhile: a witness of what the machine did to the guardian. */
static int64_t await_command_and_watch(struct world *w, int *ret_status)
{
    int64_t latest = 0, before = io_clock();
    pid_t pid;
    while ((pid = waitpid(w->command, ret_status, WNOHANG)) == 0) {
        poll(NULL, 0, 1);
        int64_t now = io_clock();
        latest = now - before > latest ? now - before : latest;
        before = now;
    }
    assert_int_equal(pid, w->command);
    w->command = 0;
    return latest;
}

/* ---- the tests ---- */

static void a_command_gets_term_within_the_grace_when_nothing_is_renewed(void **state)
{
    struct world *w = *state;
    int64_t safe_until = run_guarded(w, false, GRACE + 200);
    assert_int_equal(WEXITSTATUS(await_command(w)), 3);
    assert_true(atomic_load(&w->trace->term_ms) >= safe_until - GRACE);
    assert_true(atomic_load(&w->trace->term_ms) < safe_until);
}

static void one_that_ignores_it_is_killed_before_safe_until(void **state)
{
    int64_t late = 0, stall = 0;
    for (int i = 0; i < TRIES; i++) { /* again, when the machine stood still */
        struct world *w = *state;
        int status;
        int64_t safe_until = run_guarded(w, true, GRACE + 200);
        stall = await_command_and_watch(w, &status);
        assert_int_equal(WTERMSIG(status), SIGKILL);
        late = atomic_load(&w->trace->last_alive_ms) - safe_until;
        if (late < 0)
            return;
        if (stall < STALL)
            break;
        teardown(state);
        setup(state);
    }
    fail_msg("it was alive %" PRId64 " ms behind safe-until, on a machine that stood still for %" PRId64 " ms", late,
             stall);
}

static void one_that_is_stopped_is_killed_as_well(void **state)
{
    struct world *w = *state;
    run_guarded(w, true, GRACE + 200);
    kill(-w->command, SIGSTOP);
    assert_int_equal(WTERMSIG(await_command(w)), SIGKILL);
}

static void a_renewed_lock_keeps_its_command(void **state)
{
    struct world *w = *state;
    int64_t first = run_guarded(w, false, GRACE + ROOM);
    while (io_clock() < first - GRACE + ROOM) { /* TERM would have been due a while ago */
        atomic_store(&w->page->safe_until_ms, io_clock() + GRACE + ROOM);
        poll(NULL, 0, 5);
    }
    assert_true(group_alive(w->command));
    assert_int_equal(atomic_load(&w->page->phase), PAGE_RUNNING);
}

static bool ignores(pid_t pid, int signal)
{
    char path[64], line[256];
    unsigned long long set = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        sscanf(line, "SigIgn: %llx", &set);
    if (f)
        fclose(f);
    return set >> (signal - 1) & 1;
}

static void signals_and_the_end_of_the_terminal_do_not_take_it(void **state)
{
    struct world *w = *state;
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP, SIGUSR1, SIGUSR2, SIGPIPE};
    guard(w);
    while (!ignores(w->guardian.pid, SIGPIPE)) /* the last one */
        poll(NULL, 0, 1);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        kill(w->guardian.pid, signals[i]);
    w->command = start_group(w->trace, true, w->guardian.fd);
    atomic_store(&w->page->safe_until_ms, io_clock() + GRACE);
    page_run(w->page, w->command);
    guardian_poke(&w->guardian);
    assert_int_equal(WTERMSIG(await_command(w)), SIGKILL);
}

static void its_death_is_seen(void **state)
{
    struct world *w = *state;
    guard(w);
    struct pollfd fd = {.fd = w->guardian.fd, .events = POLLIN};
    assert_int_equal(poll(&fd, 1, 0), 0);
    kill(w->guardian.pid, SIGKILL);
    assert_int_equal(poll(&fd, 1, 10000), 1);
    guardian_bury(&w->guardian);
    assert_int_equal(w->guardian.pid, 0);
    guardian_poke(&w->guardian); /* of none: nothing */
}

static void an_orderly_end_leaves_the_command_alone(void **state)
{
    struct world *w = *state;
    run_guarded(w, false, 5000);
    guardian_stop(&w->guardian, w->page);
    assert_true(group_alive(w->command));
    assert_int_equal(atomic_load(&w->trace->revoked_ms), 0);
}

/* ---- tenure dies ---- */

/* A stand-in for tenure with a guardian and a command; it is killed and its death awaited. Answers when. */
static int64_t kill_tenure(struct world *w, bool ignore_term, int64_t safe_for_ms)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t tenure = fork();
    assert_true(tenure >= 0);
    if (tenure == 0) {
        run_guarded(w, ignore_term, safe_for_ms);
        atomic_store(&w->trace->guardian, w->guardian.pid);
        if (write(ready[1], "", 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    int64_t killed_at = io_clock();
    kill(tenure, SIGKILL);
    waitpid(tenure, NULL, 0);
    return killed_at;
}

/* Its parent is dead, so its end shows by its number being free. */
static void await_guardian(struct world *w)
{
    while (group_alive(atomic_load(&w->trace->guardian)))
        poll(NULL, 0, 5);
}

static void when_tenure_is_killed_the_command_is_told_at_once_and_the_lease_revoked(void **state)
{
    struct world *w = *state;
    atomic_store(&w->page->lease, 0x1234);
    int64_t killed_at = kill_tenure(w, false, 60000);
    await_guardian(w);
    assert_in_range(atomic_load(&w->trace->term_ms), killed_at, killed_at + 30000);
    assert_int_equal(atomic_load(&w->trace->revoked_lease), 0x1234);
    assert_true(atomic_load(&w->trace->revoked_ms) >= atomic_load(&w->trace->last_alive_ms));
}

static void one_that_ignores_term_is_killed_after_the_grace_and_only_then_the_lease_revoked(void **state)
{
    struct world *w = *state;
    atomic_store(&w->page->lease, 0x1234);
    int64_t killed_at = kill_tenure(w, true, 60000);
    await_guardian(w);
    assert_false(group_alive(atomic_load(&w->page->pgid)));
    assert_true(atomic_load(&w->trace->revoked_ms) >= killed_at + GRACE);
    assert_true(atomic_load(&w->trace->revoked_ms) >= atomic_load(&w->trace->last_alive_ms));
}

static void without_a_lease_there_is_nothing_to_revoke(void **state)
{
    struct world *w = *state;
    kill_tenure(w, false, 60000);
    await_guardian(w);
    assert_int_equal(atomic_load(&w->trace->revoked_ms), 0);
}

static void a_lease_is_revoked_also_when_no_command_had_begun(void **state)
{
    struct world *w = *state;
    int ready[2];
    char byte;
    atomic_store(&w->page->lease, 0x77);
    assert_int_equal(pipe(ready), 0);
    pid_t tenure = fork();
    if (tenure == 0) {
        guard(w);
        atomic_store(&w->trace->guardian, w->guardian.pid);
        if (write(ready[1], "", 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    kill(tenure, SIGKILL);
    waitpid(tenure, NULL, 0);
    await_guardian(w);
    assert_int_equal(atomic_load(&w->trace->revoked_lease), 0x77);
}

/* ---- groups ---- */

static void a_dead_process_that_nobody_collected_does_not_count_as_alive(void **state)
{
    struct world *w = *state;
    siginfo_t info;
    w->command = start_group(w->trace, false, -1);
    assert_true(group_alive(w->command));
    kill(w->command, SIGKILL);
    waitid(P_PID, (id_t)w->command, &info, WEXITED | WNOWAIT);
    assert_int_equal(kill(-w->command, 0), 0);
    assert_false(group_alive(w->command));
}

static void no_group_is_not_every_process(void **state)
{
    (void)state;
    group_signal(0, SIGKILL); /* would be our own group */
    group_signal(1, SIGKILL); /* would be everybody */
    assert_false(group_alive(0));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_command_gets_term_within_the_grace_when_nothing_is_renewed),
        T(one_that_ignores_it_is_killed_before_safe_until),
        T(one_that_is_stopped_is_killed_as_well),
        T(a_renewed_lock_keeps_its_command),
        T(signals_and_the_end_of_the_terminal_do_not_take_it),
        T(its_death_is_seen),
        T(an_orderly_end_leaves_the_command_alone),
        T(when_tenure_is_killed_the_command_is_told_at_once_and_the_lease_revoked),
        T(one_that_ignores_term_is_killed_after_the_grace_and_only_then_the_lease_revoked),
        T(without_a_lease_there_is_nothing_to_revoke),
        T(a_lease_is_revoked_also_when_no_command_had_begun),
        T(a_dead_process_that_nobody_collected_does_not_count_as_alive),
        T(no_group_is_not_every_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
