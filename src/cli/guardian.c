/* The guardian's process: one loop over the socket and a timer on CLOCK_BOOTTIME, and the last duties after tenure's death. */
#include "cli/guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/descriptors.h"
#include "cli/enforce.h"
#include "cli/group.h"
#include "io/loop.h"

#define GONE_POLL_MS       10  /* how often a dying group is looked at */
#define REVOKE_AT_LEAST_MS 500 /* time for the revoke also when safe-until is near: too late does no harm */

/* ---- in the guardian ---- */

static void leave_behind(int keep)
{
    static const int ignored[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGUSR1,
                                  SIGUSR2, SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE};
    sigset_t none;
    setsid();
    prctl(PR_SET_NAME, "tenure-guardian");
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        signal(ignored[i], SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        dup2(null, 0);
        dup2(null, 1);
    }
    if (keep > 3)
        descriptors_close(3, (unsigned)keep - 1);
    descriptors_close((unsigned)keep + 1, ~0u);
    if (chdir("/") < 0)
        return; /* then a file system stays busy a little longer */
}

static void arm(int timer, int64_t at_ms)
{
    struct itimerspec t = {.it_value = {at_ms / 1000, at_ms % 1000 * 1000000}};
    if (at_ms == INT64_MAX)
        t.it_value = (struct timespec){0, 0};
    else if (at_ms <= 0)
        t.it_value.tv_nsec = 1;
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &t, NULL);
}

/* Waits for word from tenure or for the time; false when tenure is gone. */
static bool wait_for(int fd, int timer, int64_t at_ms)
{
    char bytes[64];
    uint64_t ticks;
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = timer, .events = POLLIN}};
    arm(timer, at_ms);
    if (poll(fds, 2, -1) < 0)
        return true;
    if (fds[1].revents && read(timer, &ticks, sizeof ticks) < 0)
        return true; /* it was armed anew meanwhile */
    return !fds[0].revents || read(fd, bytes, sizeof bytes) > 0;
}

/* Only if it does not have to wait: whoever reads standard error must not be able to hold up what is due. */
static void say(const char *who, const char *what)
{
    char line[128];
    struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};
    int n = snprintf(line, sizeof line, "%s: %s\n", who, what);
    if (n < (int)sizeof line && poll(&fd, 1, 0) > 0 && (fd.revents & POLLOUT) &&
        write(STDERR_FILENO, line, (size_t)n) < 0)
        return; /* nobody listens any more */
}

/* Tenure is gone: nobody renews, nobody collects. True when the group is gone before safe-until. */
static bool end_group(const struct guardian_options *o, struct enforcer *e)
{
    struct page *p = o->page;
    int64_t safe_until = atomic_load(&p->safe_until_ms);
    pid_t pgid = atomic_load(&p->pgid);
    enforce_end(e, io_clock() + p->grace_ms);
    bool is_ending = atomic_load(&p->phase) == PAGE_ENDING; /* else the command had ended by itself */
    if (is_ending)
        enforce_look(e);
    if (group_alive(pgid))
        say(o->who, "tenure was killed: its command is told to end");
    while (group_alive(pgid)) {
        if (io_clock() > safe_until && atomic_load(&p->phase) == PAGE_KILLED)
            return false;
        enforce(e, io_clock());
        poll(NULL, 0, GONE_POLL_MS);
    }
    if (is_ending)
        enforce_rest(e);
    return true;
}

static _Noreturn void guard(const struct guardian_options *o, int fd)
{
    struct page *p = o->page;
    struct enforcer e = {.page = p};
    int timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (timer < 0)
        _exit(1); /* tenure notices, and gives up when it happens again and again */
    while (wait_for(fd, timer, enforce(&e, io_clock())))
        ;
    if (atomic_load(&p->phase) == PAGE_OVER)
        _exit(0);
    bool gone = end_group(o, &e);
    int64_t lease = atomic_load(&p->lease), until = atomic_load(&p->safe_until_ms), now = io_clock();
    if (gone && lease && o->revoke)
        o->revoke(o->user, lease, until < now + REVOKE_AT_LEAST_MS ? now + REVOKE_AT_LEAST_MS : until);
    _exit(0);
}

/* ---- in tenure ---- */

bool guardian_start(struct guardian *g, const struct guardian_options *o)
{
    int fds[2];
    *g = (struct guardian){.fd = -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return false;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        leave_behind(fds[1]);
        guard(o, fds[1]);
    }
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        return false;
    }
    *g = (struct guardian){.pid = pid, .fd = fds[0]};
    atomic_store(&o->page->guardian_pid, pid);
    return true;
}

void guardian_poke(const struct guardian *g)
{
    if (g->pid)
        send(g->fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void guardian_bury(struct guardian *g)
{
    if (!g->pid)
        return;
    if (g->fd >= 0)
        close(g->fd);
    while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    *g = (struct guardian){.fd = -1};
}

void guardian_dismiss(struct guardian *g, struct page *p)
{
    atomic_store(&p->phase, PAGE_OVER);
    if (g->pid && g->fd >= 0)
        close(g->fd);
    g->fd = -1;
}

void guardian_stop(struct guardian *g, struct page *p)
{
    guardian_dismiss(g, p);
    guardian_bury(g);
}
