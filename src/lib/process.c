/* Processes by what /proc says of them; where it says nothing, nobody is declared gone. */
#include "lib/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct process self; /* under the mutex; pid 0 = not looked up yet; of a parent in a child of fork */

/* Up to size - 1 bytes, 0-terminated. False when it cannot be read. */
static bool read_file(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return false;
    out[n] = 0;
    return true;
}

static void read_boot(char *out, size_t size)
{
    char text[64] = "";
    if (!read_file("/proc/sys/kernel/random/boot_id", text, sizeof text))
        return;
    text[strcspn(text, "\n")] = 0;
    snprintf(out, size, "%.*s", (int)size - 1, text);
}

/* "pid:[4026531836]" and the like; what is not there (an older kernel has no namespaces of time) is empty. */
static void read_space(const char *path, char *out, size_t size)
{
    ssize_t n = readlink(path, out, size - 1);
    out[n > 0 ? n : 0] = 0;
}

/* Times of start are told by the namespace of time. */
static void read_spaces(char *out, size_t size)
{
    char pid[24], time[24];
    read_space("/proc/self/ns/pid", pid, sizeof pid);
    read_space("/proc/self/ns/time", time, sizeof time);
    if (pid[0])
        snprintf(out, size, "%s%s", pid, time);
}

struct stat_line {
    char state;
    int64_t threads, start;
};

/* The name in between may hold anything. False: cannot be read. */
static bool read_stat(int64_t pid, struct stat_line *ret)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    if (!read_file(path, text, sizeof text))
        return false;
    char *at = strrchr(text, ')');
    if (!at || at[1] != ' ' || at[2] == 0)
        return false;
    ret->state = at[2];
    at += 2;
    for (int field = 3; at; field++) {
        if (field == 20)
            ret->threads = strtoll(at, NULL, 10);
        if (field == 22)
            ret->start = strtoll(at, NULL, 10);
        at = strchr(at, ' ');
        at = at ? at + 1 : NULL;
    }
    return ret->start > 0;
}

struct process process_self(void)
{
    struct stat_line stat = {0};
    pthread_mutex_lock(&mutex);
    if (self.pid != getpid()) {
        self = (struct process){.pid = getpid()};
        read_boot(self.boot, sizeof self.boot);
        read_spaces(self.spaces, sizeof self.spaces);
        if (read_stat(self.pid, &stat))
            self.start = stat.start;
    }
    struct process copy = self;
    pthread_mutex_unlock(&mutex);
    return copy;
}

/* Its first thread may have ended before the others. */
static bool is_dead(const struct stat_line *s)
{
    return (s->state == 'Z' && s->threads <= 1) || s->state == 'X';
}

bool process_is_gone(const struct process *p)
{
    struct process here = process_self();
    struct stat_line stat = {0};
    bool comparable = p->boot[0] && strcmp(p->boot, here.boot) == 0 && p->spaces[0] &&
                      strcmp(p->spaces, here.spaces) == 0 && p->pid > 0 && p->pid <= INT32_MAX;
    if (!comparable)
        return false;
    if (kill((pid_t)p->pid, 0) < 0 && errno == ESRCH)
        return true;
    if (!read_stat(p->pid, &stat))
        return false;
    return is_dead(&stat) || (p->start > 0 && stat.start != p->start);
}
