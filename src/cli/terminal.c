#include "cli/terminal.h"

#include <fcntl.h>
#include <unistd.h>

void terminal_open(struct terminal *t)
{
    *t = (struct terminal){.fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY), .own = getpgrp()};
    t->eager = t->fd >= 0 && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

void terminal_close(struct terminal *t)
{
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
}

bool terminal_is_ours(const struct terminal *t)
{
    return t->fd >= 0 && tcgetpgrp(t->fd) == t->own;
}

void terminal_give(struct terminal *t, pid_t pgid)
{
    if (!terminal_is_ours(t))
        return;
    if (!t->has_modes)
        t->has_modes = tcgetattr(t->fd, &t->modes) == 0;
    if (tcsetpgrp(t->fd, pgid) == 0)
        t->given = pgid;
}

void terminal_take(struct terminal *t)
{
    if (t->given && tcgetpgrp(t->fd) == t->given)
        tcsetpgrp(t->fd, t->own);
    t->given = 0;
}

void terminal_restore(struct terminal *t)
{
    if (t->has_modes && terminal_is_ours(t))
        tcsetattr(t->fd, TCSADRAIN, &t->modes);
}
