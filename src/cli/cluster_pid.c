#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cluster.h"

#define ARGUMENTS_MAX 16384

static void path_of(const struct cluster_layout *l, const struct cluster_member *m, char out[CLUSTER_PATH_MAX])
{
    snprintf(out, CLUSTER_PATH_MAX, "%s/%s.pid", l->dir, m->name);
}

void cluster_pid_write(const struct cluster_layout *l, const struct cluster_member *m, pid_t pid)
{
    char path[CLUSTER_PATH_MAX];
    path_of(l, m, path);
    FILE *f = fopen(path, "we");
    if (!f)
        return;
    fprintf(f, "%d\n", (int)pid);
    fclose(f);
}

void cluster_pid_forget(const struct cluster_layout *l, const struct cluster_member *m)
{
    char path[CLUSTER_PATH_MAX];
    path_of(l, m, path);
    unlink(path);
}

static pid_t read_pid(const char *path)
{
    char text[32] = "", *end;
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    long pid = strtol(text, &end, 10);
    return n > 0 && *end == '\n' && pid > 1 && pid <= INT32_MAX ? (pid_t)pid : 0;
}

/* Numbers are given out anew: it is the member when it was started on the member's data. Of a dead one there are no arguments. */
static bool is_member(pid_t pid, const char *data)
{
    char path[64], text[ARGUMENTS_MAX];
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return false;
    text[n] = 0;
    for (const char *word = text; word < text + n; word += strlen(word) + 1)
        if (strcmp(word, data) == 0)
            return true;
    return false;
}

pid_t cluster_pid_left(const struct cluster_layout *l, const struct cluster_member *m)
{
    char path[CLUSTER_PATH_MAX], data[CLUSTER_PATH_MAX];
    path_of(l, m, path);
    snprintf(data, sizeof data, "%s/%s", l->dir, m->name);
    pid_t pid = read_pid(path);
    if (pid && is_member(pid, data))
        return pid;
    unlink(path);
    return 0;
}
