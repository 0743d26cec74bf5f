#include "cli/descriptors.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WITHOUT_PROC_MAX 65536 /* how far they are tried one by one where nobody says which are open */

static void close_if_within(unsigned fd, unsigned first, unsigned last)
{
    if (fd >= first && fd <= last)
        close((int)fd);
}

/* Before Linux 5.9, or where a sandbox does not let it through. */
static void close_one_by_one(unsigned first, unsigned last)
{
    DIR *dir = opendir("/proc/self/fd");
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (e->d_name[0] != '.' && atoi(e->d_name) != dirfd(dir))
            close_if_within((unsigned)atoi(e->d_name), first, last);
    if (dir) {
        closedir(dir);
        return;
    }
    for (unsigned fd = first; fd <= last && fd < WITHOUT_PROC_MAX; fd++)
        close((int)fd);
}

/* (Not every C library has close_range.) */
void descriptors_close(unsigned first, unsigned last)
{
    if (first <= last && syscall(SYS_close_range, first, last, 0) != 0)
        close_one_by_one(first, last);
}
