/* Its blocks are allocated, not written: file systems that allocate on write would count them as used all the same. */
#include "backend/ballast.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define FILE_NAME "ballast"

static bool room_for(const struct ballast *b, int64_t bytes)
{
    enum { TIMES = 4 };
    struct statvfs fs;
    if (fstatvfs(b->dir->fd, &fs) < 0)
        return false;
    return (double)fs.f_bavail * (double)fs.f_frsize >= TIMES * (double)bytes;
}

static bool there_already(int fd, int64_t bytes)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_size >= bytes && st.st_blocks * 512 >= bytes;
}

static bool drop(const struct dir *d)
{
    return unlinkat(d->fd, FILE_NAME, 0) == 0;
}

static void put_back(struct ballast *b)
{
    int fd = openat(b->dir->fd, FILE_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    b->there = there_already(fd, b->bytes);
    if (!b->there && room_for(b, b->bytes))
        b->there = ftruncate(fd, 0) == 0 && posix_fallocate(fd, 0, (off_t)b->bytes) == 0;
    close(fd);
    if (!b->there)
        (void)drop(b->dir);
}

void ballast_init(struct ballast *b, const struct dir *d, int64_t first, int64_t full)
{
    *b = (struct ballast){.dir = d, .bytes = first < full ? first : full, .full = full};
    pthread_mutex_init(&b->mutex, NULL);
    if (b->bytes)
        put_back(b);
    else
        (void)drop(d);
}

void ballast_fini(struct ballast *b)
{
    pthread_mutex_destroy(&b->mutex);
}

bool ballast_release(struct ballast *b)
{
    pthread_mutex_lock(&b->mutex);
    bool had = b->there && drop(b->dir);
    b->there = false;
    pthread_mutex_unlock(&b->mutex);
    return had;
}

bool ballast_wanting(struct ballast *b)
{
    pthread_mutex_lock(&b->mutex);
    bool wanting = b->bytes && !b->there;
    pthread_mutex_unlock(&b->mutex);
    return wanting;
}

bool ballast_is_small(struct ballast *b)
{
    pthread_mutex_lock(&b->mutex);
    bool small = b->bytes < b->full;
    pthread_mutex_unlock(&b->mutex);
    return small;
}

/* What there is stays, whatever comes of it. */
static bool extend(const struct ballast *b)
{
    int fd = openat(b->dir->fd, FILE_NAME, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool grown = posix_fallocate(fd, 0, (off_t)b->full) == 0;
    bool kept = grown || ftruncate(fd, (off_t)b->bytes) == 0;
    close(fd);
    return grown && kept;
}

/* One that was released comes back as large as it is to be by then. */
void ballast_grow(struct ballast *b)
{
    pthread_mutex_lock(&b->mutex);
    if (!b->there || (room_for(b, b->full) && extend(b)))
        b->bytes = b->full;
    pthread_mutex_unlock(&b->mutex);
}

void ballast_restore(struct ballast *b)
{
    pthread_mutex_lock(&b->mutex);
    if (b->bytes && !b->there)
        put_back(b);
    pthread_mutex_unlock(&b->mutex);
}
