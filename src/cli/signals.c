#include "cli/signals.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

static const int read_here[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP, SIGCHLD, SIGCONT};

static bool is_ignored(int signal)
{
    struct sigaction a;
    return sigaction(signal, NULL, &a) == 0 && a.sa_handler == SIG_IGN;
}

bool signals_open(struct signals *s)
{
    sigset_t set, blocked;
    sigemptyset(&set);
    signal(SIGCHLD, SIG_DFL); /* inherited as ignored it would hide how the command ended */
    for (size_t i = 0; i < sizeof read_here / sizeof read_here[0]; i++)
        if (!is_ignored(read_here[i]))
            sigaddset(&set, read_here[i]);
    blocked = set;
    sigaddset(&blocked, SIGTTOU); /* or handing the terminal over would stop the one who does */
    s->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->fd >= 0 && sigprocmask(SIG_BLOCK, &blocked, &s->before) == 0;
}

int signals_next(const struct signals *s)
{
    struct signalfd_siginfo info;
    return read(s->fd, &info, sizeof info) == (ssize_t)sizeof info ? (int)info.ssi_signo : 0;
}

void signals_close(struct signals *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

bool signals_is_end(int signal)
{
    return signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT;
}

void signals_stop_self(bool whole_group)
{
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTSTP);
    kill(whole_group ? 0 : getpid(), SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &stop, NULL); /* here it stops */
    sigprocmask(SIG_BLOCK, &stop, NULL);
    sigset_t go_on;
    sigemptyset(&go_on);
    sigaddset(&go_on, SIGCONT);
    sigtimedwait(&go_on, NULL, &(struct timespec){0}); /* what ended the stop is no news any more */
}

void signals_die(int signal, bool whole_group)
{
    sigset_t set;
    prctl(PR_SET_DUMPABLE, 0); /* one that is told to end leaves no core */
    sigemptyset(&set);
    sigaddset(&set, signal);
    fflush(NULL);
    kill(whole_group ? 0 : getpid(), signal);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}
