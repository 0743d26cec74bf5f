#include "cli/proc.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENVIRON_MAX (256u << 10) /* what lies behind is not looked at */

/* "PID (NAME) STATE PPID PGRP …"; the name may hold anything, so what follows its last parenthesis is read. */
static bool read_stat(const char *pid, struct proc *ret)
{
    char path[280], text[512], state;
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    const char *after = strrchr(text, ')');
    ret->pid = (pid_t)strtol(pid, NULL, 10);
    if (!after || sscanf(after + 1, " %c %d %d", &state, &ret->ppid, &ret->pgrp) != 3)
        return false;
    ret->runs = state != 'Z' && state != 'X';
    return true;
}

bool proc_each(bool (*each)(const struct proc *p, void *user), void *user)
{
    struct proc p;
    DIR *dir = opendir("/proc");
    if (!dir)
        return false;
    for (struct dirent *e; (e = readdir(dir));)
        if (isdigit((unsigned char)e->d_name[0]) && read_stat(e->d_name, &p) && !each(&p, user))
            break;
    closedir(dir);
    return true;
}

/* All of a small file of /proc, 0-terminated; NULL when it cannot be read. The caller frees. */
static char *read_all(const char *path, size_t *ret_len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = fd < 0 ? NULL : malloc(ENVIRON_MAX + 1);
    ssize_t n = 0;
    size_t len = 0;
    while (text && len < ENVIRON_MAX && (n = read(fd, text + len, ENVIRON_MAX - len)) > 0)
        len += (size_t)n;
    if (fd >= 0)
        close(fd);
    if (text)
        text[len] = 0;
    *ret_len = len;
    return text;
}

bool proc_runs_under(pid_t pid, int64_t lease)
{
    char path[64], hex[32];
    size_t len;
    bool found = false;
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    snprintf(hex, sizeof hex, "%016" PRIx64, (uint64_t)lease);
    char *text = read_all(path, &len);
    for (size_t at = 0; text && !found && at < len; at += strlen(text + at) + 1)
        found = strncmp(text + at, PROC_LEASES "=", sizeof PROC_LEASES) == 0 && strstr(text + at, hex);
    free(text);
    return found;
}

bool proc_has_no_child(void)
{
    char byte;
    int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    bool none = fd >= 0 && read(fd, &byte, 1) == 0;
    if (fd >= 0)
        close(fd);
    return none;
}
