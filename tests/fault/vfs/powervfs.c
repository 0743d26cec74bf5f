/* One `image` per path holds the durable bytes and the operations since the last sync. A cut chooses, from its seed, how
 * lossy this one is (nothing kept, everything kept, or a chance in between), then how far the file system has recorded
 * sizes and truncations, then for each sector how many of the writes that touched it have reached the disk: the state
 * after a prefix of them, as a page cache writes whole states. */
#include "powervfs.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

enum { SECTOR = 512, PATH_SIZE = 512 };

struct change {
    struct change *next;
    bool truncate;
    int64_t at; /* or the new size */
    size_t len;
    uint8_t data[];
};

struct image {
    struct image *next;
    char path[PATH_SIZE];
    bool there, deleted; /* deleted: removed without a sync of the directory */
    uint8_t *durable;
    int64_t size;
    struct change *first, **last;
};

struct cut {
    bool armed;
    uint64_t at, seed;
    char to[PATH_SIZE];
    void (*on_cut)(void *user);
    void *user;
};

struct fault {
    uint64_t n;
    int rc;
    bool lasting;
};

struct powervfs {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    pthread_mutex_t mutex;
    struct image *images;
    uint64_t ops;
    struct cut cut;
    struct fault faults[POWERVFS_OPS];
    bool failed;
};

struct power_file {
    sqlite3_file base;
    struct powervfs *vfs;
    struct image *image; /* NULL: not one that lasts */
    sqlite3_file *real;  /* behind this struct */
};

static void *must(void *p)
{
    if (!p) {
        fputs("powervfs: out of memory\n", stderr);
        abort();
    }
    return p;
}

/* ---- images ---- */

static void image_forget_changes(struct image *im)
{
    while (im->first) {
        struct change *c = im->first;
        im->first = c->next;
        free(c);
    }
    im->last = &im->first;
}

static void image_forget(struct image *im)
{
    image_forget_changes(im);
    free(im->durable);
    im->durable = NULL;
    im->size = 0;
}

static struct image *image_find(struct powervfs *v, const char *path)
{
    for (struct image *im = v->images; im; im = im->next) {
        if (strcmp(im->path, path) == 0)
            return im;
    }
    return NULL;
}

/* What is in the file when it is first opened counts as durable. */
static void image_load(struct image *im)
{
    FILE *f = fopen(im->path, "rb");
    if (!f)
        return;
    fseek(f, 0, SEEK_END);
    im->size = ftell(f);
    rewind(f);
    im->durable = must(malloc((size_t)im->size + 1));
    im->size = (int64_t)fread(im->durable, 1, (size_t)im->size, f);
    fclose(f);
}

static void image_change(struct image *im, bool truncate, const void *data, size_t len, int64_t at)
{
    struct change *c = must(malloc(sizeof *c + len));
    *c = (struct change){.truncate = truncate, .at = at, .len = len};
    if (len)
        memcpy(c->data, data, len);
    *im->last = c;
    im->last = &c->next;
}

/* Before SQLite opens it: reading the file here later would drop SQLite's locks. */
static struct image *image_open(struct powervfs *v, const char *path)
{
    struct image *im = image_find(v, path);
    if (!im) {
        im = must(calloc(1, sizeof *im));
        snprintf(im->path, sizeof im->path, "%s", path);
        im->last = &im->first;
        image_load(im);
        im->next = v->images;
        v->images = im;
    }
    if (im->deleted) /* begins anew in an empty file; until its first sync the old one may come back */
        image_change(im, true, NULL, 0, 0);
    im->there = true;
    im->deleted = false;
    return im;
}

static int64_t change_size(const struct change *c, int64_t size)
{
    int64_t end = c->at + (int64_t)c->len;
    return c->truncate || end > size ? end : size;
}

static void change_apply(const struct change *c, uint8_t *bytes, int64_t from, int64_t to)
{
    if (c->truncate) {
        int64_t begin = c->at > from ? c->at : from;
        if (begin < to)
            memset(bytes + begin, 0, (size_t)(to - begin));
        return;
    }
    int64_t begin = c->at > from ? c->at : from;
    int64_t end = c->at + (int64_t)c->len < to ? c->at + (int64_t)c->len : to;
    if (begin < end)
        memcpy(bytes + begin, c->data + (begin - c->at), (size_t)(end - begin));
}

static bool change_touches(const struct change *c, int64_t from, int64_t to)
{
    return c->truncate ? c->at < to : c->at < to && c->at + (int64_t)c->len > from;
}

static int64_t image_capacity(const struct image *im)
{
    int64_t most = im->size;
    for (const struct change *c = im->first; c; c = c->next) {
        if (c->at + (int64_t)c->len > most)
            most = c->at + (int64_t)c->len;
    }
    return (most + SECTOR - 1) / SECTOR * SECTOR;
}

static void image_sync(struct image *im)
{
    int64_t cap = image_capacity(im);
    uint8_t *bytes = must(calloc(1, (size_t)cap + 1));
    if (im->size)
        memcpy(bytes, im->durable, (size_t)im->size);
    for (const struct change *c = im->first; c; c = c->next) {
        change_apply(c, bytes, 0, cap);
        im->size = change_size(c, im->size);
    }
    free(im->durable);
    im->durable = bytes;
    image_forget_changes(im);
}

/* ---- the cut ---- */

/* How many of changes lo..hi have reached the disk. */
static uint64_t chosen_prefix(struct rng *r, uint64_t lo, uint64_t hi, unsigned keep_percent)
{
    if (keep_percent == 0)
        return lo;
    if (rng_below(r, 100) < keep_percent)
        return hi;
    return lo + rng_below(r, hi - lo + 1);
}

/* The sector is in the state after some of the writes that touched it, yet not before a truncation that the file system
 * has recorded, nor behind one that it has not: files change their size as a whole, and freed blocks take no writes. */
static void rebuild_sector(const struct image *im, uint8_t *bytes, int64_t from, struct rng *r, uint64_t recorded,
                           unsigned keep)
{
    uint64_t n = 0, lo = 0, hi = UINT64_MAX, index = 0;
    for (const struct change *c = im->first; c; c = c->next, index++) {
        if (!change_touches(c, from, from + SECTOR))
            continue;
        if (c->truncate && index >= recorded && hi == UINT64_MAX)
            hi = n;
        n++;
        if (c->truncate && index < recorded)
            lo = n;
    }
    uint64_t kept = chosen_prefix(r, lo, hi < n ? hi : n, keep);
    for (const struct change *c = im->first; c && kept; c = c->next) {
        if (change_touches(c, from, from + SECTOR)) {
            change_apply(c, bytes, from, from + SECTOR);
            kept--;
        }
    }
}

static uint64_t count_changes(const struct image *im)
{
    uint64_t n = 0;
    for (const struct change *c = im->first; c; c = c->next)
        n++;
    return n;
}

static int64_t recorded_size(const struct image *im, uint64_t recorded)
{
    int64_t size = im->size;
    for (const struct change *c = im->first; c && recorded; c = c->next, recorded--)
        size = change_size(c, size);
    return size;
}

static void rebuild_file(const struct image *im, struct rng *r, unsigned keep, const char *to)
{
    if (!im->there || (im->deleted && rng_below(r, 2)))
        return;
    int64_t cap = image_capacity(im);
    uint8_t *bytes = must(calloc(1, (size_t)cap + 1));
    if (im->size)
        memcpy(bytes, im->durable, (size_t)im->size);
    uint64_t recorded = chosen_prefix(r, 0, count_changes(im), keep);
    for (int64_t from = 0; from < cap; from += SECTOR)
        rebuild_sector(im, bytes, from, r, recorded, keep);
    int64_t size = recorded_size(im, recorded);
    char path[2 * PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", to, strrchr(im->path, '/') + 1);
    FILE *f = must(fopen(path, "wb"));
    if (fwrite(bytes, 1, (size_t)size, f) != (size_t)size || fclose(f) != 0)
        must(NULL);
    free(bytes);
}

static void cut_now(struct powervfs *v, uint64_t seed, const char *to)
{
    static const unsigned modes[] = {0, 100, 50, 90, 10};
    struct rng r;
    rng_init(&r, seed);
    unsigned keep = modes[rng_below(&r, sizeof modes / sizeof modes[0])];
    for (const struct image *im = v->images; im; im = im->next)
        rebuild_file(im, &r, keep, to);
}

/* ---- what happens at each call; under the mutex ---- */

static int op_begin(struct powervfs *v, enum powervfs_op op)
{
    pthread_mutex_lock(&v->mutex);
    v->ops++;
    if (v->cut.armed && --v->cut.at == 0) {
        v->cut.armed = false;
        cut_now(v, v->cut.seed, v->cut.to);
        if (v->cut.on_cut)
            v->cut.on_cut(v->cut.user);
    }
    struct fault *f = &v->faults[op];
    if (f->n == 0 || --f->n > 0)
        return SQLITE_OK;
    v->failed = true;
    if (f->lasting)
        f->n = 1;
    return f->rc;
}

static void op_end(struct powervfs *v)
{
    pthread_mutex_unlock(&v->mutex);
}

/* ---- files ---- */

static struct power_file *own(sqlite3_file *f)
{
    return (struct power_file *)f;
}

static int file_close(sqlite3_file *f)
{
    return own(f)->real->pMethods->xClose(own(f)->real);
}

static int file_read(sqlite3_file *f, void *data, int len, sqlite3_int64 at)
{
    return own(f)->real->pMethods->xRead(own(f)->real, data, len, at);
}

static int write_through(struct power_file *p, const void *data, int len, sqlite3_int64 at)
{
    int rc = p->real->pMethods->xWrite(p->real, data, len, at);
    if (rc == SQLITE_OK && p->image)
        image_change(p->image, false, data, (size_t)len, at);
    return rc;
}

static int file_write(sqlite3_file *f, const void *data, int len, sqlite3_int64 at)
{
    int rc = op_begin(own(f)->vfs, POWERVFS_WRITE);
    if (rc == SQLITE_OK)
        rc = write_through(own(f), data, len, at);
    else if (rc == SQLITE_FULL)
        (void)write_through(own(f), data, len / 2, at);
    op_end(own(f)->vfs);
    return rc;
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    int rc = op_begin(own(f)->vfs, POWERVFS_TRUNCATE);
    if (rc == SQLITE_OK)
        rc = own(f)->real->pMethods->xTruncate(own(f)->real, size);
    if (rc == SQLITE_OK && own(f)->image)
        image_change(own(f)->image, true, NULL, 0, size);
    op_end(own(f)->vfs);
    return rc;
}

/* The real file is not synced: only the image says what is durable here, and the tests are faster for it. */
static int file_sync(sqlite3_file *f, int flags)
{
    (void)flags;
    int rc = op_begin(own(f)->vfs, POWERVFS_SYNC);
    if (rc == SQLITE_OK && own(f)->image)
        image_sync(own(f)->image);
    op_end(own(f)->vfs);
    return rc;
}

static int file_size(sqlite3_file *f, sqlite3_int64 *ret)
{
    return own(f)->real->pMethods->xFileSize(own(f)->real, ret);
}

static int file_lock(sqlite3_file *f, int level)
{
    return own(f)->real->pMethods->xLock(own(f)->real, level);
}

static int file_unlock(sqlite3_file *f, int level)
{
    return own(f)->real->pMethods->xUnlock(own(f)->real, level);
}

static int file_check_lock(sqlite3_file *f, int *ret)
{
    return own(f)->real->pMethods->xCheckReservedLock(own(f)->real, ret);
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
    /* These two would change the file behind our back. */
    if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE)
        return SQLITE_NOTFOUND;
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
    .iVersion = 1, /* no memory-mapped reads: every byte passes here; the index is the log's own affair */
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
};

/* ---- the VFS ---- */

static struct powervfs *self(sqlite3_vfs *vfs)
{
    return (struct powervfs *)vfs;
}

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *f, int flags, int *ret_flags)
{
    struct power_file *p = own(f);
    *p = (struct power_file){.vfs = self(vfs), .real = (sqlite3_file *)(p + 1)};
    enum { LASTING = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL };
    pthread_mutex_lock(&p->vfs->mutex);
    if (name && (flags & LASTING))
        p->image = image_open(p->vfs, name);
    pthread_mutex_unlock(&p->vfs->mutex);
    int rc = p->vfs->real->xOpen(p->vfs->real, name, p->real, flags, ret_flags);
    if (p->real->pMethods)
        p->base.pMethods = &file_methods;
    return rc;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
    struct powervfs *v = self(vfs);
    int rc = op_begin(v, POWERVFS_DELETE);
    if (rc == SQLITE_OK)
        rc = v->real->xDelete(v->real, name, sync_dir);
    struct image *im = image_find(v, name);
    if (rc == SQLITE_OK && im) {
        im->there = !sync_dir;
        im->deleted = true;
        if (sync_dir)
            image_forget(im);
    }
    op_end(v);
    return rc;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
    return self(vfs)->real->xAccess(self(vfs)->real, name, flags, ret);
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
    return self(vfs)->real->xFullPathname(self(vfs)->real, name, size, out);
}

static int vfs_randomness(sqlite3_vfs *vfs, int size, char *out)
{
    return self(vfs)->real->xRandomness(self(vfs)->real, size, out);
}

static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
    return self(vfs)->real->xSleep(self(vfs)->real, us);
}

static int vfs_current_time(sqlite3_vfs *vfs, sqlite3_int64 *ret)
{
    return self(vfs)->real->xCurrentTimeInt64(self(vfs)->real, ret);
}

static int vfs_last_error(sqlite3_vfs *vfs, int size, char *out)
{
    return self(vfs)->real->xGetLastError(self(vfs)->real, size, out);
}

const char *powervfs_name(void)
{
    return "tenure-power";
}

struct powervfs *powervfs_new(void)
{
    struct powervfs *v = must(calloc(1, sizeof *v));
    v->real = must(sqlite3_vfs_find(NULL));
    pthread_mutex_init(&v->mutex, NULL);
    v->vfs = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = (int)sizeof(struct power_file) + v->real->szOsFile,
        .mxPathname = v->real->mxPathname,
        .zName = powervfs_name(),
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_path,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTimeInt64 = vfs_current_time,
        .xGetLastError = vfs_last_error,
    };
    sqlite3_vfs_register(&v->vfs, 0);
    return v;
}

struct powervfs *powervfs_free(struct powervfs *v)
{
    if (!v)
        return NULL;
    sqlite3_vfs_unregister(&v->vfs);
    while (v->images) {
        struct image *im = v->images;
        v->images = im->next;
        image_forget(im);
        free(im);
    }
    pthread_mutex_destroy(&v->mutex);
    free(v);
    return NULL;
}

void powervfs_fail(struct powervfs *v, enum powervfs_op op, uint64_t n, int rc, bool lasting)
{
    pthread_mutex_lock(&v->mutex);
    v->faults[op] = (struct fault){n, rc, lasting};
    v->failed = false;
    pthread_mutex_unlock(&v->mutex);
}

bool powervfs_failed(const struct powervfs *v)
{
    struct powervfs *w = (struct powervfs *)v;
    pthread_mutex_lock(&w->mutex);
    bool failed = v->failed;
    pthread_mutex_unlock(&w->mutex);
    return failed;
}

uint64_t powervfs_ops(const struct powervfs *v)
{
    struct powervfs *w = (struct powervfs *)v;
    pthread_mutex_lock(&w->mutex);
    uint64_t ops = v->ops;
    pthread_mutex_unlock(&w->mutex);
    return ops;
}

void powervfs_cut_at(struct powervfs *v, uint64_t at, uint64_t seed, const char *to, void (*on_cut)(void *user),
                     void *user)
{
    pthread_mutex_lock(&v->mutex);
    v->cut = (struct cut){.armed = at > 0, .at = at, .seed = seed, .on_cut = on_cut, .user = user};
    snprintf(v->cut.to, sizeof v->cut.to, "%s", to);
    pthread_mutex_unlock(&v->mutex);
}

void powervfs_cut(struct powervfs *v, uint64_t seed, const char *to)
{
    pthread_mutex_lock(&v->mutex);
    v->cut.armed = false;
    cut_now(v, seed, to);
    pthread_mutex_unlock(&v->mutex);
}
