#include "cli/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cli/command.h"

static bool sigpipe_was_ignored;

void spawn_remember_sigpipe(void)
{
    struct sigaction old;
    sigpipe_was_ignored = sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_IGN;
}

static _Noreturn void fail(int error_fd, int why)
{
    if (write(error_fd, &why, sizeof why) < 0)
        _exit(EXIT_CANNOT_RUN); /* nobody is there to be told */
    _exit(why == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN);
}

static _Noreturn void child(int go_fd, int error_fd, char **argv, const struct spawn_variable *variables,
                            const sigset_t *mask)
{
    char go;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* should tenure and its guardian both be killed */
    if (read(go_fd, &go, 1) != 1)
        fail(error_fd, ECANCELED);
    for (const struct spawn_variable *v = variables; v->name; v++)
        if (setenv(v->name, v->value, 1) < 0)
            fail(error_fd, errno);
    if (!sigpipe_was_ignored)
        signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(argv[0], argv);
    fail(error_fd, errno);
}

static void close_both(int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

bool spawn_make(struct spawn *s, char **argv, const struct spawn_variable *variables, const sigset_t *mask)
{
    int go[2], error[2];
    *s = (struct spawn){.go_fd = -1, .error_fd = -1};
    if (pipe2(go, O_CLOEXEC) < 0)
        return false;
    if (pipe2(error, O_CLOEXEC) < 0) {
        close_both(go);
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]); /* else the end of tenure would not be seen */
        child(go[0], error[1], argv, variables, mask);
    }
    close(go[0]);
    close(error[1]);
    if (pid < 0) {
        close(go[1]);
        close(error[0]);
        return false;
    }
    setpgid(pid, pid); /* the child does the same: whoever comes first */
    *s = (struct spawn){.pid = pid, .go_fd = go[1], .error_fd = error[0]};
    return true;
}

void spawn_go(struct spawn *s)
{
    ssize_t ignored = write(s->go_fd, "", 1); /* when it is dead already, its end tells */
    (void)ignored;
    spawn_cancel(s);
}

void spawn_cancel(struct spawn *s)
{
    if (s->go_fd >= 0)
        close(s->go_fd);
    s->go_fd = -1;
}

int spawn_error(const struct spawn *s)
{
    int why;
    struct pollfd fd = {.fd = s->error_fd, .events = POLLIN};
    if (s->error_fd < 0 || poll(&fd, 1, 0) <= 0)
        return 0;
    return read(s->error_fd, &why, sizeof why) == (ssize_t)sizeof why ? why : 0;
}

void spawn_fini(struct spawn *s)
{
    if (!s->pid)
        return;
    spawn_cancel(s);
    if (s->error_fd >= 0)
        close(s->error_fd);
    *s = (struct spawn){.go_fd = -1, .error_fd = -1};
}
