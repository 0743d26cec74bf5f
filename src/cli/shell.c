#include "cli/shell.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/group.h"
#include "io/loop.h"

#define KILL_AFTER_MS 2000 /* between TERM and KILL of one that is not wanted any more */
#define LOOK_MS       50   /* how often it is looked after, should its SIGCHLD have been taken by somebody else */

static bool has_ended(pid_t pid, int *ret_status)
{
    return waitpid(pid, ret_status, WNOHANG) == pid;
}

/* Until it ended, at_ms, or a signal came that asks to end, which is answered (else 0). */
static int wait_for(pid_t pid, const struct signals *s, int64_t at_ms, int *ret_status, bool *ret_ended)
{
    for (*ret_ended = false; !(*ret_ended = has_ended(pid, ret_status)) && io_clock() < at_ms;) {
        struct pollfd fd = {.fd = s->fd, .events = POLLIN};
        int64_t left = at_ms - io_clock();
        poll(&fd, 1, left < LOOK_MS ? (int)(left > 0 ? left : 0) : LOOK_MS);
        for (int signal; (signal = signals_next(s));) {
            if (signals_is_end(signal))
                return signal;
            if (signal != SIGCHLD && signal != SIGCONT)
                group_signal(pid, signal);
        }
    }
    return 0;
}

static void end(pid_t pid, const struct signals *s, int *status)
{
    bool ended;
    group_signal(pid, SIGTERM);
    wait_for(pid, s, io_clock() + KILL_AFTER_MS, status, &ended);
    group_signal(pid, SIGKILL);
    if (!ended)
        waitpid(pid, status, 0);
}

int shell_run(const char *line, const struct spawn_variable *variables, const struct signals *s, int64_t timeout_ms,
              int *ret_signal)
{
    char *argv[] = {"sh", "-c", (char *)line, NULL};
    struct spawn child;
    int status = 0, why;
    bool ended;
    if (!spawn_make(&child, argv, variables, &s->before))
        return SHELL_FAILED;
    spawn_go(&child);
    int signal = wait_for(child.pid, s, io_clock() + timeout_ms, &status, &ended);
    if (ret_signal)
        *ret_signal = signal;
    if (!ended)
        end(child.pid, s, &status);
    why = spawn_error(&child);
    spawn_fini(&child);
    if (signal)
        return SHELL_INTERRUPTED;
    if (!ended)
        return SHELL_TIMEOUT;
    if (why) {
        errno = why;
        return SHELL_FAILED;
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void shell_print_word(FILE *to, const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%";
    if (*text && strspn(text, plain) == strlen(text)) {
        fputs(text, to);
        return;
    }
    fputc('\'', to);
    for (; *text; text++)
        if (*text == '\'')
            fputs("'\\''", to);
        else
            fputc(*text, to);
    fputc('\'', to);
}
