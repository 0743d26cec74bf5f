/* Happy path: mkdir, open, statfs, flock on `lock`, write who we are into it.
 *
 * The flock goes with the process, however it ends, so a lock file left behind means nothing; its text is only read to
 * say who holds it. Network file systems are refused because neither the lock, nor the shared mapping of the leases, nor
 * SQLite's shared index can be relied on there; FUSE because nobody can say what is below it. */
#include "backend/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/bytes.h"

static const struct {
    uint64_t magic;
    const char *name;
} network_filesystems[] = {
    {0x6969, "NFS"},        {0x517b, "SMB"},      {0xff534d42, "CIFS"},   {0xfe534d42, "SMB"},  {0x01021997, "9p"},
    {0x65735546, "FUSE"},   {0x5346414f, "AFS"},  {0x6b414653, "AFS"},    {0x73757245, "Coda"}, {0x00c36400, "Ceph"},
    {0x0bd00bd0, "Lustre"}, {0x47504653, "GPFS"}, {0x19830326, "BeeGFS"}, {0x564c, "NCP"},
};

const char *dir_network_filesystem(uint64_t magic)
{
    for (size_t i = 0; i < ARRAY_LEN(network_filesystems); i++) {
        if (network_filesystems[i].magic == magic)
            return network_filesystems[i].name;
    }
    return NULL;
}

/* The first line of a small file into out, without its newline; empty when it cannot be read. */
static void read_line(int at, const char *name, char *out, size_t size)
{
    out[0] = 0;
    int fd = openat(at, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = read(fd, out, size - 1);
    close(fd);
    out[n > 0 ? n : 0] = 0;
    out[strcspn(out, "\n")] = 0;
}

static int sync_parent(const char *path, struct tenure_error *err)
{
    char *up = NULL;
    if (asprintf(&up, "%s/..", path) < 0)
        return error_set(err, TENURE_ENOMEM, "%s: out of memory", path);
    int fd = open(up, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(up);
    /* A parent that we may not read is somebody else's to sync. */
    if (fd < 0)
        return 0;
    int failed = fsync(fd) < 0 ? errno : 0;
    close(fd);
    return failed ? error_errno(err, failed, "%s/..: cannot be synced", path) : 0;
}

static int make_directory(const char *path, struct tenure_error *err)
{
    if (mkdir(path, 0700) == 0)
        return sync_parent(path, err);
    return errno == EEXIST ? 0 : error_errno(err, errno, "data directory %s cannot be made", path);
}

static int check_filesystem(int fd, const char *path, struct tenure_error *err)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0)
        return error_errno(err, errno, "data directory %s: statfs", path);
    const char *network = dir_network_filesystem((uint64_t)fs.f_type & 0xffffffff);
    if (!network)
        return 0;
    return error_set(err, TENURE_EINVALID,
                     "data directory %s is on %s, where locks and syncs cannot be relied on; use a local file system",
                     path, network);
}

/* "pid=12 started=345 boot=…": started in clock ticks since the boot, as /proc/<pid>/stat has it. */
static void write_holder(int lock_fd, const char *boot_id)
{
    char stat[512];
    read_line(AT_FDCWD, "/proc/self/stat", stat, sizeof stat);
    unsigned long long started = 0;
    const char *behind_name = strrchr(stat, ')');
    if (behind_name) /* field 22; the state behind the name is field 3 */
        (void)sscanf(behind_name + 1,
                     " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", &started);
    char line[128];
    int n = snprintf(line, sizeof line, "pid=%ld started=%llu boot=%s\n", (long)getpid(), started, boot_id);
    /* The text only serves a message: without it (a full disk) the lock is as good. */
    if (ftruncate(lock_fd, 0) < 0 || pwrite(lock_fd, line, (size_t)n, 0) < 0)
        return;
}

static int take_lock(struct dir *d, const char *path, struct tenure_error *err)
{
    d->lock_fd = openat(d->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->lock_fd < 0)
        return error_errno(err, errno, "%s/lock", path);
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB) == 0) {
        write_holder(d->lock_fd, d->boot_id);
        return 0;
    }
    if (errno != EWOULDBLOCK)
        return error_errno(err, errno, "%s/lock", path);
    char holder[128];
    read_line(d->fd, "lock", holder, sizeof holder);
    long pid = 0;
    if (sscanf(holder, "pid=%ld", &pid) == 1)
        return error_set(err, TENURE_EBUSY, "data directory %s is in use by process %ld", path, pid);
    return error_set(err, TENURE_EBUSY, "data directory %s is in use by another process", path);
}

int dir_open(struct dir *ret, const char *path, struct tenure_error *err)
{
    *ret = (struct dir){.fd = -1, .lock_fd = -1};
    int code = make_directory(path, err);
    if (code)
        return code;
    ret->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (ret->fd < 0)
        return error_errno(err, errno, "data directory %s", path);
    read_line(AT_FDCWD, "/proc/sys/kernel/random/boot_id", ret->boot_id, sizeof ret->boot_id);
    code = check_filesystem(ret->fd, path, err);
    if (!code)
        code = take_lock(ret, path, err);
    if (code)
        dir_close(ret);
    return code;
}

void dir_close(struct dir *d)
{
    if (d->lock_fd >= 0)
        close(d->lock_fd);
    if (d->fd >= 0)
        close(d->fd);
    d->fd = d->lock_fd = -1;
}

int dir_sync(const struct dir *d, struct tenure_error *err)
{
    return fsync(d->fd) == 0 ? 0 : error_errno(err, errno, "data directory: sync");
}

bool dir_has(const struct dir *d, const char *name)
{
    struct stat st;
    return fstatat(d->fd, name, &st, 0) == 0;
}

int64_t dir_file_size(const struct dir *d, const char *name)
{
    struct stat st;
    return fstatat(d->fd, name, &st, 0) == 0 ? (int64_t)st.st_size : 0;
}
