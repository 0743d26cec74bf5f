#include "cli/workers.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/signals.h"

struct workers {
    const char *who;
    int n, n_left;
    pid_t *pids; /* 0 = it has ended */
    struct signals signals;
    bool is_ending; /* they were told to end */
    int code;
};

static void tell_all(struct workers *w, int signal)
{
    w->is_ending = w->is_ending || signals_is_end(signal);
    for (int i = 0; i < w->n; i++)
        if (w->pids[i])
            kill(w->pids[i], signal);
}

static pid_t start_one(struct workers *w, int (*work)(void *user), void *user)
{
    pid_t parent = getpid();
    fflush(NULL);
    pid_t pid = fork();
    if (pid)
        return pid;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signals_close(&w->signals);
    sigprocmask(SIG_SETMASK, &w->signals.before, NULL);
    if (getppid() != parent)
        _exit(EXIT_LOCK_FAILED);
    exit(work(user));
}

static void one_ended(struct workers *w, pid_t pid, int status)
{
    for (int i = 0; i < w->n; i++) {
        if (w->pids[i] != pid)
            continue;
        w->pids[i] = 0;
        w->n_left--;
        bool died = WIFSIGNALED(status) && !(w->is_ending && signals_is_end(WTERMSIG(status))); /* before it listened */
        if (died)
            fprintf(stderr, "%s: a worker was killed by signal %d, the others end\n", w->who, WTERMSIG(status));
        int code = died ? EXIT_LOCK_FAILED : WIFEXITED(status) ? WEXITSTATUS(status) : 0;
        if (code && !w->code) {
            w->code = code;
            tell_all(w, SIGTERM);
        }
    }
}

static void take_signals(struct workers *w)
{
    int signal, status;
    pid_t pid;
    while ((signal = signals_next(&w->signals))) {
        if (signal != SIGCHLD)
            tell_all(w, signal);
        if (signal == SIGTSTP)
            signals_stop_self(false);
        if (signal == SIGTSTP)
            tell_all(w, SIGCONT);
    }
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        one_ended(w, pid, status);
}

int workers_run(const char *who, int n, int (*work)(void *user), void *user)
{
    struct workers w = {.who = who, .n = n, .pids = calloc((size_t)n, sizeof(pid_t)), .signals.fd = -1};
    if (!w.pids || !signals_open(&w.signals)) {
        fprintf(stderr, "%s: %s\n", who, strerror(errno));
        free(w.pids);
        return EXIT_LOCK_FAILED;
    }
    for (int i = 0; i < n && !w.code; i++) {
        pid_t pid = start_one(&w, work, user);
        if (pid > 0) {
            w.pids[i] = pid;
            w.n_left++;
        } else {
            fprintf(stderr, "%s: no process can be started: %s\n", who, strerror(errno));
            w.code = EXIT_LOCK_FAILED;
            tell_all(&w, SIGTERM);
        }
    }
    for (take_signals(&w); w.n_left > 0; take_signals(&w)) {
        struct pollfd fd = {.fd = w.signals.fd, .events = POLLIN};
        poll(&fd, 1, -1);
    }
    signals_close(&w.signals);
    free(w.pids);
    return w.code;
}
