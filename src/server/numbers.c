/* What /metrics says of the process and of the disk. */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server/internal.h"

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static int64_t count_fds(void)
{
    int64_t n = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    for (const struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n - 1; /* without the one that reads */
}

static void read_memory(struct http_numbers *ret)
{
    long long virtual_pages = 0, resident_pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f)
        return;
    if (fscanf(f, "%lld %lld", &virtual_pages, &resident_pages) == 2) {
        ret->virtual_bytes = virtual_pages * sysconf(_SC_PAGESIZE);
        ret->resident_bytes = resident_pages * sysconf(_SC_PAGESIZE);
    }
    fclose(f);
}

void numbers_batch(struct server *s, const struct backend_result *result)
{
    if (result->outcome != BACKEND_APPLIED)
        return;
    histogram_add(&s->numbers.commits, result->took_us);
    histogram_add(&s->numbers.syncs, result->synced_us);
    s->numbers.batches++;
}

void numbers_read(void *user, struct http_numbers *ret)
{
    const struct server *s = user;
    struct rusage usage;
    struct rlimit limit;
    *ret = s->numbers;
    read_memory(ret);
    ret->fds = count_fds();
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        ret->fds_max = (int64_t)limit.rlim_cur;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        ret->cpu_s = seconds(usage.ru_utime) + seconds(usage.ru_stime);
}
