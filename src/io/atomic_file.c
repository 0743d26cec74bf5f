#include "io/atomic_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io/file.h"

#define MARK         ".tenure-" /* between the name and six characters of chance */
#define LEFTOVER_S   60         /* a younger one may be somebody's who is about to lock it */
#define DEFAULT_MODE 0644

/* ---- paths ---- */

/* The resolved path of what exists, else the path as it is (a link that leads nowhere as well: it is replaced). */
static char *resolve(const char *path)
{
    char *real = realpath(path, NULL);
    return real ? real : strdup(path);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "." for a plain name; the caller frees. */
static char *directory_of(const char *path)
{
    size_t n = (size_t)(base_name(path) - path);
    return n ? strndup(path, n) : strdup(".");
}

static char *temp_name(const char *path)
{
    char *out = NULL;
    const char *base = base_name(path);
    if (asprintf(&out, "%.*s.%s" MARK "XXXXXX", (int)(base - path), path, base) < 0)
        return NULL;
    return out;
}

/* ---- what killed ones left ---- */

static bool is_leftover(int dir, const char *name, const char *base)
{
    size_t n = strlen(base);
    struct stat st;
    return name[0] == '.' && strncmp(name + 1, base, n) == 0 && strncmp(name + 1 + n, MARK, sizeof MARK - 1) == 0 &&
           strlen(name) == 1 + n + sizeof MARK - 1 + 6 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(st.st_mode) && st.st_mtime < time(NULL) - LEFTOVER_S;
}

static void remove_leftover(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) /* nobody works on it */
        unlinkat(dir, name, 0);
    close(fd);
}

static void sweep(const char *path)
{
    char *where = directory_of(path);
    DIR *dir = where ? opendir(where) : NULL;
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (is_leftover(dirfd(dir), e->d_name, base_name(path)))
            remove_leftover(dirfd(dir), e->d_name);
    if (dir)
        closedir(dir);
    free(where);
}

/* ---- writing ---- */

/* Owner first: changing it may take mode bits away. A group that cannot be kept is not worth a failure, a mode is. */
static bool dress(int fd, const char *path, mode_t mode)
{
    struct stat old;
    if (mode == ATOMIC_FILE_PRIVATE)
        return fchmod(fd, S_IRUSR | S_IWUSR) == 0;
    if (stat(path, &old) == 0) {
        if (fchown(fd, old.st_uid, old.st_gid) < 0 && fchown(fd, (uid_t)-1, old.st_gid) < 0 && errno != EPERM)
            return false;
        return fchmod(fd, mode == ATOMIC_FILE_KEEP_MODE ? old.st_mode & 07777 : mode) == 0;
    }
    if (mode != ATOMIC_FILE_KEEP_MODE)
        return fchmod(fd, mode) == 0;
    mode_t mask = umask(0);
    umask(mask);
    return fchmod(fd, DEFAULT_MODE & ~mask) == 0;
}

/* A device, a pipe or a folder is nothing that a file may take the place of. */
static bool is_replaceable(const char *path)
{
    struct stat st;
    return stat(path, &st) < 0 || S_ISREG(st.st_mode);
}

int atomic_file_begin(struct atomic_file *f, const char *path, mode_t mode, bytes data, struct tenure_error *err)
{
    *f = (struct atomic_file){.path = mode == ATOMIC_FILE_PRIVATE ? strdup(path) : resolve(path), .fd = -1};
    f->temp = f->path ? temp_name(f->path) : NULL;
    if (!f->temp) {
        atomic_file_fini(f);
        return error_set(err, TENURE_ENOMEM, "%s: out of memory", path);
    }
    if (!is_replaceable(f->path)) {
        atomic_file_fini(f);
        return error_set(err, TENURE_EINVALID, "%s: it is no regular file, and stays as it is", path);
    }
    sweep(f->path);
    f->fd = mkostemp(f->temp, O_CLOEXEC);
    int why = errno;
    if (f->fd < 0) {
        free(f->temp);
        f->temp = NULL;
    } else if (flock(f->fd, LOCK_EX | LOCK_NB) == 0 && io_write_all(f->fd, data.data, data.len) == 0 &&
               dress(f->fd, f->path, mode) && fsync(f->fd) == 0) {
        return 0;
    } else {
        why = errno;
    }
    int rc = error_errno(err, why, "%s: a new file cannot be written beside it", path);
    atomic_file_fini(f);
    return rc;
}

/* So that the rename is there when the power goes. A directory that cannot be opened has it at some time. */
static void sync_directory(const char *path)
{
    char *where = directory_of(path);
    if (where)
        (void)!io_sync_directory(where);
    free(where);
}

int atomic_file_commit(struct atomic_file *f, struct tenure_error *err)
{
    if (rename(f->temp, f->path) < 0)
        return error_errno(err, errno, "%s: cannot be replaced", f->path);
    free(f->temp);
    f->temp = NULL;
    sync_directory(f->path);
    return 0;
}

void atomic_file_fini(struct atomic_file *f)
{
    if (f->temp && f->fd >= 0)
        unlink(f->temp);
    if (f->path && f->fd >= 0)
        close(f->fd);
    free(f->temp);
    free(f->path);
    *f = (struct atomic_file){.fd = -1};
}

bool atomic_file_is(const char *path, mode_t mode, bytes data)
{
    struct stat st;
    char block[4096];
    size_t at = 0;
    ssize_t n = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool same = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (size_t)st.st_size == data.len &&
                (mode == ATOMIC_FILE_KEEP_MODE || (st.st_mode & 07777) == mode);
    while (same && (n = read(fd, block, sizeof block)) > 0) {
        same = (size_t)n <= data.len - at && memcmp(block, data.data + at, (size_t)n) == 0;
        at += (size_t)n;
    }
    if (fd >= 0)
        close(fd);
    return same && n == 0 && at == data.len;
}
