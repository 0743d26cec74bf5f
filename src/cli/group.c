/* Signals to a group, and the question whether it is gone. The kernel's answer (ESRCH) settles it nearly always; it counts
 * dead processes that a parent has not collected (a stopped tenure, an init that collects nothing), so then /proc is read. */
#include "cli/group.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void group_signal(pid_t pgid, int signal)
{
    if (pgid <= 1)
        return;
    kill(-pgid, signal);
    if (signal == SIGTERM)
        kill(-pgid, SIGCONT);
}

/* "PID (NAME) STATE PPID PGRP …"; the name may hold anything, so what follows its last parenthesis is read. */
static bool stat_read(const char *pid, char *ret_state, int *ret_pgrp)
{
    char path[64], text[512];
    int ppid;
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    const char *after = strrchr(text, ')');
    return after && sscanf(after + 1, " %c %d %d", ret_state, &ppid, ret_pgrp) == 3;
}

bool group_alive(pid_t pgid)
{
    char state;
    int pgrp;
    bool alive = false;
    if (pgid <= 1 || (kill(-pgid, 0) < 0 && errno == ESRCH))
        return false;
    DIR *proc = opendir("/proc");
    if (!proc)
        return true;
    for (struct dirent *e; !alive && (e = readdir(proc));)
        alive = isdigit((unsigned char)e->d_name[0]) && stat_read(e->d_name, &state, &pgrp) && pgrp == pgid && state != 'Z' &&
                state != 'X';
    closedir(proc);
    return alive;
}
