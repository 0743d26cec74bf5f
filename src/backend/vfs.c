/* Only the database file itself is wrapped; WAL and journal are opened in the VFS below as they are, at no cost.
 *
 * Happy path: the first connection's first lock takes the real EXCLUSIVE lock of the file, which is kept until that
 * connection closes (it is opened first and closed last). Behind it the locks of all connections are counters in memory,
 * by SQLite's rules: https://www.sqlite.org/lockingv3.html for the file, https://www.sqlite.org/walformat.html for the
 * index. The regions of the index are plain zeroed memory; they are gone with the process, and SQLite rebuilds them from
 * the WAL at the next start, as it does after any crash.
 *
 * Failure: another program has the file open: SQLITE_BUSY. No memory for a region: SQLITE_NOMEM (IOERR_NOMEM).  */
#include "backend/vfs.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REGIONS_MAX = 64, CONNS_MAX = 4 }; /* 64 regions: a WAL of 1 GiB */

struct file;

struct vfs {
    sqlite3_vfs base; /* first: SQLite hands it back as itself */
    sqlite3_vfs *below;
    char name[32];
    pthread_mutex_t mutex;
    struct file *conns[CONNS_MAX];
    struct file *owner; /* holds the real lock */
    void *regions[REGIONS_MAX];
    int index_users;
    int index_locks[SQLITE_SHM_NLOCK]; /* n > 0 shared, -1 exclusive */
};

struct file {
    sqlite3_file base; /* first */
    struct vfs *vfs;
    sqlite3_file *real; /* behind this struct */
    int level;          /* SQLITE_LOCK_… as SQLite sees it */
    bool uses_index;
    unsigned shared, exclusive; /* locks of the index that it holds, as bits */
};

static struct file *own(sqlite3_file *f)
{
    return (struct file *)f;
}

/* ---- locks of the file ---- */

static int highest_of_others(const struct file *f)
{
    int highest = SQLITE_LOCK_NONE;
    for (int i = 0; i < CONNS_MAX; i++) {
        const struct file *other = f->vfs->conns[i];
        if (other && other != f && other->level > highest)
            highest = other->level;
    }
    return highest;
}

/* Shuts other programs out. */
static int take_real_lock(struct file *f)
{
    if (f->vfs->owner)
        return SQLITE_OK;
    int rc = f->real->pMethods->xLock(f->real, SQLITE_LOCK_SHARED);
    if (rc == SQLITE_OK)
        rc = f->real->pMethods->xLock(f->real, SQLITE_LOCK_EXCLUSIVE);
    if (rc == SQLITE_OK)
        f->vfs->owner = f;
    else
        (void)f->real->pMethods->xUnlock(f->real, SQLITE_LOCK_NONE);
    return rc;
}

static int lock_virtually(struct file *f, int level)
{
    int others = highest_of_others(f);
    if (level == SQLITE_LOCK_SHARED && others >= SQLITE_LOCK_PENDING)
        return SQLITE_BUSY;
    if (level == SQLITE_LOCK_RESERVED && others >= SQLITE_LOCK_RESERVED)
        return SQLITE_BUSY;
    if (level == SQLITE_LOCK_EXCLUSIVE && others != SQLITE_LOCK_NONE)
        return SQLITE_BUSY;
    f->level = level;
    return SQLITE_OK;
}

static int file_lock(sqlite3_file *f, int level)
{
    struct file *file = own(f);
    if (level <= file->level)
        return SQLITE_OK;
    pthread_mutex_lock(&file->vfs->mutex);
    int rc = take_real_lock(file);
    if (rc == SQLITE_OK)
        rc = lock_virtually(file, level);
    pthread_mutex_unlock(&file->vfs->mutex);
    return rc;
}

static int file_unlock(sqlite3_file *f, int level)
{
    struct file *file = own(f);
    pthread_mutex_lock(&file->vfs->mutex);
    if (level < file->level)
        file->level = level;
    pthread_mutex_unlock(&file->vfs->mutex);
    return SQLITE_OK;
}

static int file_check_reserved(sqlite3_file *f, int *ret)
{
    struct file *file = own(f);
    pthread_mutex_lock(&file->vfs->mutex);
    *ret = file->level >= SQLITE_LOCK_RESERVED || highest_of_others(file) >= SQLITE_LOCK_RESERVED;
    pthread_mutex_unlock(&file->vfs->mutex);
    return SQLITE_OK;
}

/* ---- the index of the WAL ---- */

static int index_map(sqlite3_file *f, int region, int size, int extend, void volatile **ret)
{
    struct file *file = own(f);
    struct vfs *v = file->vfs;
    int rc = SQLITE_OK;
    pthread_mutex_lock(&v->mutex);
    v->index_users += !file->uses_index;
    file->uses_index = true;
    if (region >= REGIONS_MAX)
        rc = SQLITE_IOERR_SHMMAP;
    else if (!v->regions[region] && extend && !(v->regions[region] = calloc(1, (size_t)size)))
        rc = SQLITE_IOERR_NOMEM;
    *ret = rc == SQLITE_OK ? v->regions[region] : NULL;
    pthread_mutex_unlock(&v->mutex);
    return rc;
}

static unsigned lock_bits(int first, int n)
{
    return ((1u << n) - 1) << first;
}

static void index_unlock(struct file *f, int first, int n)
{
    for (int i = first; i < first + n; i++) {
        if (f->exclusive & 1u << i)
            f->vfs->index_locks[i] = 0;
        else if (f->shared & 1u << i)
            f->vfs->index_locks[i]--;
    }
    f->exclusive &= ~lock_bits(first, n);
    f->shared &= ~lock_bits(first, n);
}

static int index_lock_shared(struct file *f, int at)
{
    if (f->shared & 1u << at)
        return SQLITE_OK;
    if (f->vfs->index_locks[at] < 0)
        return SQLITE_BUSY;
    f->vfs->index_locks[at]++;
    f->shared |= 1u << at;
    return SQLITE_OK;
}

static int index_lock_exclusive(struct file *f, int first, int n)
{
    for (int i = first; i < first + n; i++) {
        if (f->vfs->index_locks[i] != 0 && !(f->exclusive & 1u << i))
            return SQLITE_BUSY;
    }
    for (int i = first; i < first + n; i++)
        f->vfs->index_locks[i] = -1;
    f->exclusive |= lock_bits(first, n);
    return SQLITE_OK;
}

static int index_lock(sqlite3_file *f, int first, int n, int flags)
{
    struct file *file = own(f);
    int rc = SQLITE_OK;
    pthread_mutex_lock(&file->vfs->mutex);
    if (flags & SQLITE_SHM_UNLOCK)
        index_unlock(file, first, n);
    else if (flags & SQLITE_SHM_SHARED)
        rc = index_lock_shared(file, first);
    else
        rc = index_lock_exclusive(file, first, n);
    pthread_mutex_unlock(&file->vfs->mutex);
    return rc;
}

static void index_barrier(sqlite3_file *f)
{
    (void)f;
    atomic_thread_fence(memory_order_seq_cst);
}

static int index_unmap(sqlite3_file *f, int remove)
{
    (void)remove; /* there is no file to remove */
    struct file *file = own(f);
    struct vfs *v = file->vfs;
    pthread_mutex_lock(&v->mutex);
    index_unlock(file, 0, SQLITE_SHM_NLOCK);
    v->index_users -= file->uses_index;
    file->uses_index = false;
    for (int i = 0; v->index_users == 0 && i < REGIONS_MAX; i++) {
        free(v->regions[i]);
        v->regions[i] = NULL;
    }
    pthread_mutex_unlock(&v->mutex);
    return SQLITE_OK;
}

/* ---- the rest of a file goes below ---- */

static int file_close(sqlite3_file *f)
{
    struct file *file = own(f);
    struct vfs *v = file->vfs;
    pthread_mutex_lock(&v->mutex);
    for (int i = 0; i < CONNS_MAX; i++) {
        if (v->conns[i] == file)
            v->conns[i] = NULL;
    }
    if (v->owner == file)
        v->owner = NULL;
    pthread_mutex_unlock(&v->mutex);
    return file->real->pMethods->xClose(file->real); /* unlocks it too */
}

static int file_read(sqlite3_file *f, void *data, int len, sqlite3_int64 at)
{
    return own(f)->real->pMethods->xRead(own(f)->real, data, len, at);
}

static int file_write(sqlite3_file *f, const void *data, int len, sqlite3_int64 at)
{
    return own(f)->real->pMethods->xWrite(own(f)->real, data, len, at);
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return own(f)->real->pMethods->xTruncate(own(f)->real, size);
}

static int file_sync(sqlite3_file *f, int flags)
{
    return own(f)->real->pMethods->xSync(own(f)->real, flags);
}

static int file_size(sqlite3_file *f, sqlite3_int64 *ret)
{
    return own(f)->real->pMethods->xFileSize(own(f)->real, ret);
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
    return own(f)->real->pMethods->xFileControl(own(f)->real, op, arg);
}

static int file_sector_size(sqlite3_file *f)
{
    return own(f)->real->pMethods->xSectorSize(own(f)->real);
}

static int file_characteristics(sqlite3_file *f)
{
    return own(f)->real->pMethods->xDeviceCharacteristics(own(f)->real);
}

static const sqlite3_io_methods file_methods = {
    .iVersion = 2, /* the third version would be memory-mapped reads */
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = index_map,
    .xShmLock = index_lock,
    .xShmBarrier = index_barrier,
    .xShmUnmap = index_unmap,
};

/* ---- the VFS ---- */

static struct vfs *self(sqlite3_vfs *base)
{
    return (struct vfs *)base;
}

static bool add_conn(struct vfs *v, struct file *f)
{
    bool added = false;
    pthread_mutex_lock(&v->mutex);
    for (int i = 0; i < CONNS_MAX && !added; i++) {
        added = !v->conns[i];
        if (added)
            v->conns[i] = f;
    }
    pthread_mutex_unlock(&v->mutex);
    return added;
}

static int open_database(struct vfs *v, sqlite3_filename name, struct file *f, int flags, int *ret_flags)
{
    *f = (struct file){.vfs = v, .real = (sqlite3_file *)(f + 1)};
    int rc = v->below->xOpen(v->below, name, f->real, flags, ret_flags);
    if (rc != SQLITE_OK)
        return rc;
    if (!add_conn(v, f)) {
        f->real->pMethods->xClose(f->real);
        return SQLITE_CANTOPEN;
    }
    f->base.pMethods = &file_methods;
    return SQLITE_OK;
}

static int vfs_open(sqlite3_vfs *base, sqlite3_filename name, sqlite3_file *f, int flags, int *ret_flags)
{
    struct vfs *v = self(base);
    if (flags & SQLITE_OPEN_MAIN_DB)
        return open_database(v, name, own(f), flags, ret_flags);
    return v->below->xOpen(v->below, name, f, flags, ret_flags);
}

static int vfs_delete(sqlite3_vfs *base, const char *name, int sync_dir)
{
    return self(base)->below->xDelete(self(base)->below, name, sync_dir);
}

static int vfs_access(sqlite3_vfs *base, const char *name, int flags, int *ret)
{
    return self(base)->below->xAccess(self(base)->below, name, flags, ret);
}

static int vfs_full_path(sqlite3_vfs *base, const char *name, int size, char *out)
{
    return self(base)->below->xFullPathname(self(base)->below, name, size, out);
}

static int vfs_randomness(sqlite3_vfs *base, int size, char *out)
{
    return self(base)->below->xRandomness(self(base)->below, size, out);
}

static int vfs_sleep(sqlite3_vfs *base, int us)
{
    return self(base)->below->xSleep(self(base)->below, us);
}

static int vfs_current_time(sqlite3_vfs *base, sqlite3_int64 *ret)
{
    return self(base)->below->xCurrentTimeInt64(self(base)->below, ret);
}

static int vfs_last_error(sqlite3_vfs *base, int size, char *out)
{
    return self(base)->below->xGetLastError(self(base)->below, size, out);
}

static void fill_methods(struct vfs *v)
{
    v->base = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = (int)sizeof(struct file) + v->below->szOsFile,
        .mxPathname = v->below->mxPathname,
        .zName = v->name,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_path,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTimeInt64 = vfs_current_time,
        .xGetLastError = vfs_last_error,
    };
}

int vfs_new(const char *below, struct vfs **ret, struct tenure_error *err)
{
    sqlite3_vfs *real = sqlite3_vfs_find(below);
    if (!real)
        return error_set(err, TENURE_EINVALID, "SQLite has no VFS %s", below ? below : "of the system");
    struct vfs *v = calloc(1, sizeof *v);
    if (!v)
        return error_set(err, TENURE_ENOMEM, "VFS: out of memory");
    v->below = real;
    snprintf(v->name, sizeof v->name, "tenure-%p", (void *)v);
    pthread_mutex_init(&v->mutex, NULL);
    fill_methods(v);
    sqlite3_vfs_register(&v->base, 0);
    *ret = v;
    return 0;
}

struct vfs *vfs_free(struct vfs *v)
{
    if (!v)
        return NULL;
    for (int i = 0; i < CONNS_MAX; i++)
        assert(!v->conns[i]);
    sqlite3_vfs_unregister(&v->base);
    pthread_mutex_destroy(&v->mutex);
    free(v);
    return NULL;
}

const char *vfs_name(const struct vfs *v)
{
    return v->name;
}
