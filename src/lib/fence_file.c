/* A fence around a file.
 *
 * The side file has two records of 64 bytes, each "<token> <checksum>" as text, a page apart. A new token goes into the one that does
 * not hold the greatest, and is on the disk before anybody may write; so a crash in the middle leaves the other one. The lock is an
 * open file description's: of this object, not of the process, and gone with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tenure/fence.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/error.h"
#include "io/file.h"
#include "io/loop.h"
#include "lib/fence.h"
#include "lib/scope.h"

#define RECORD_SIZE 64
#define RECORD_GAP  4096
#define ASK_MS                                                                                                         \
    10 /* between attempts to get a lock that another process has: the system tells nobody when it is let go */

struct tenure_fence_file {
    int fd;
    bool is_inside;
    int64_t seen; /* while inside */
    int slot;     /* that holds it */
    char *path;   /* of the file; behind it, in the same allocation, that of the side file */
    const char *side;
};

static int failed(struct tenure_error *err, const char *path, const char *what)
{
    int code = errno == EACCES || errno == EPERM                      ? TENURE_EDENIED
               : errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? TENURE_ENOSPACE
                                                                      : TENURE_EIO;
    return error_set(err, code, "%s: %s failed: %s", path, what, strerror(errno));
}

/* ---- records ---- */

/* The token in it; 0 = an empty one, -1 = not one of ours. */
static int64_t record_read(const char *record)
{
    static const char empty[RECORD_SIZE];
    char text[RECORD_SIZE + 1];
    int64_t token;
    unsigned sum;
    if (memcmp(record, empty, RECORD_SIZE) == 0)
        return 0;
    memcpy(text, record, RECORD_SIZE);
    text[RECORD_SIZE] = 0;
    if (sscanf(text, "%20" SCNd64 " %8x\n", &token, &sum) != 2 || token <= 0 || sum != crc32c(0, &token, sizeof token))
        return -1;
    return token;
}

static void record_write(int64_t token, char record[RECORD_SIZE])
{
    memset(record, 0, RECORD_SIZE);
    snprintf(record, RECORD_SIZE, "%020" PRId64 " %08" PRIx32 "\n", token, crc32c(0, &token, sizeof token));
}

/* The greatest of the two into seen, and where it is. One that is not ours was torn by a crash, unless both are. */
static int records_load(tenure_fence_file *f, struct tenure_error *err)
{
    char record[RECORD_SIZE];
    int64_t tokens[2];
    for (int i = 0; i < 2; i++) {
        memset(record, 0, sizeof record);
        if (pread(f->fd, record, sizeof record, (off_t)i * RECORD_GAP) < 0)
            return failed(err, f->side, "reading");
        tokens[i] = record_read(record);
    }
    f->slot = tokens[1] > tokens[0];
    f->seen = tokens[f->slot];
    if (f->seen < 0 || (f->seen == 0 && tokens[!f->slot] < 0))
        return error_set(err, TENURE_ECORRUPT, "%s: is not what a fence has written: expected \"<token> <checksum>\"",
                         f->side);
    return 0;
}

static int records_store(tenure_fence_file *f, int64_t token, struct tenure_error *err)
{
    char record[RECORD_SIZE];
    int slot = f->seen > 0 ? !f->slot : 0;
    record_write(token, record);
    ssize_t n = pwrite(f->fd, record, sizeof record, (off_t)slot * RECORD_GAP);
    if (n >= 0 && n < (ssize_t)sizeof record)
        errno = ENOSPC;
    if (n < (ssize_t)sizeof record || fdatasync(f->fd) < 0)
        return failed(err, f->side, "keeping the token");
    f->slot = slot;
    f->seen = token;
    return 0;
}

/* ---- life ---- */

/* A name that was made must be on the disk, or a crash takes the fence away. */
static int sync_folder(const char *path, struct tenure_error *err)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + (slash == path) : 1, slash ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return failed(err, folder, "opening");
    int rc = fsync(fd) < 0 && errno != EINVAL ? failed(err, folder, "syncing") : 0;
    close(fd);
    return rc;
}

tenure_fence_file *tenure_fence_file_open(const char *path, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct stat st;
    err = err ? err : &own;
    size_t len = path ? strlen(path) : 0;
    if (len == 0 || len > PATH_MAX - 16) {
        error_set(err, TENURE_EINVALID, "fence: expected a path");
        return NULL;
    }
    tenure_fence_file *f = calloc(1, sizeof *f + 2 * len + 16);
    if (!f) {
        error_set(err, TENURE_ENOMEM, "%s: out of memory", path);
        return NULL;
    }
    f->path = (char *)(f + 1);
    memcpy(f->path, path, len);
    f->side = f->path + len + 1;
    snprintf(f->path + len + 1, len + 8, "%s.fence", path);
    mode_t mode = stat(path, &st) == 0 ? st.st_mode & 0666 : 0600;
    f->fd = open(f->side, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode);
    int rc = f->fd < 0 ? failed(err, f->side, "opening") : sync_folder(f->side, err);
    if (rc == 0)
        rc = records_load(f, err);
    if (rc < 0) {
        tenure_fence_file_close(f);
        return NULL;
    }
    return f;
}

void tenure_fence_file_close(tenure_fence_file *f)
{
    if (!f)
        return;
    if (f->fd >= 0)
        close(f->fd);
    free(f);
}

/* ---- entering ---- */

static bool lock_set(tenure_fence_file *f, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
    return fcntl(f->fd, F_OFD_SETLK, &lock) == 0;
}

/* By the machine's clock, in tests on a kit as well: it is another process that has it, and no kit moves that. */
static int lock_wait_in(tenure_fence_file *f, int64_t wait_ms, const struct scope_link *scope, struct tenure_error *err)
{
    tn_ms begun = io_clock();
    while (!lock_set(f, F_WRLCK)) {
        if (errno != EAGAIN && errno != EACCES && errno != EINTR)
            return failed(err, f->side, "locking");
        int rc = scope_check(scope, f->path, err);
        if (rc < 0)
            return rc;
        if (wait_ms == 0)
            return error_set(err, TENURE_EBUSY, "%s: somebody writes it just now", f->path);
        if (wait_ms > 0 && io_clock() - begun >= wait_ms)
            return error_set(err, TENURE_ETIMEOUT, "%s: somebody has been writing it for %" PRId64 " ms", f->path,
                             wait_ms);
        poll(NULL, 0, ASK_MS);
    }
    return 0;
}

static int lock_wait(tenure_fence_file *f, int64_t wait_ms, struct tenure_error *err)
{
    struct scope_link scope = {0};
    scope_take(&scope);
    int rc = lock_wait_in(f, wait_ms, &scope, err);
    scope_leave(&scope);
    return rc;
}

int tenure_fence_file_enter(tenure_fence_file *f, tenure_token token, int64_t wait_ms, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    if (!f || f->is_inside)
        return error_set(err, TENURE_EINVALID, "fence: %s", f ? "this object is inside already" : "there is none");
    int rc = fence_token_check(err, f->path, token);
    if (rc == 0)
        rc = lock_wait(f, wait_ms, err);
    if (rc < 0)
        return rc;
    rc = records_load(f, err);
    if (rc == 0 && token < f->seen)
        rc = fence_refused(err, f->path, token, f->seen);
    if (rc == 0 && token > f->seen)
        rc = records_store(f, token, err);
    f->is_inside = rc == 0;
    if (rc < 0)
        lock_set(f, F_UNLCK);
    return rc;
}

void tenure_fence_file_leave(tenure_fence_file *f)
{
    if (!f || !f->is_inside)
        return;
    f->is_inside = false;
    lock_set(f, F_UNLCK);
}

/* ---- replacing ---- */

static int replace(tenure_fence_file *f, struct tenure_bytes contents, struct tenure_error *err)
{
    char fresh[PATH_MAX];
    struct stat st;
    snprintf(fresh, sizeof fresh, "%s.new", f->side); /* one at a time: its writer is inside */
    mode_t mode = stat(f->path, &st) == 0 ? st.st_mode & 07777 : 0600;
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return failed(err, fresh, "opening");
    int rc = 0;
    if (io_write_all(fd, contents.data, contents.len) < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0)
        rc = failed(err, fresh, "writing");
    if (close(fd) < 0 && rc == 0)
        rc = failed(err, fresh, "writing");
    if (rc == 0 && rename(fresh, f->path) < 0)
        rc = failed(err, f->path, "replacing");
    if (rc < 0) {
        unlink(fresh);
        return rc;
    }
    return sync_folder(f->path, err);
}

int tenure_fence_file_replace(tenure_fence_file *f, tenure_token token, int64_t wait_ms, struct tenure_bytes contents,
                              struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    if (contents.len > 0 && !contents.data)
        return error_set(err, TENURE_EINVALID, "fence: contents that have a length and no data");
    int rc = tenure_fence_file_enter(f, token, wait_ms, err);
    if (rc < 0)
        return rc;
    rc = replace(f, contents, err);
    tenure_fence_file_leave(f);
    return rc;
}

tenure_token tenure_fence_file_seen(tenure_fence_file *f, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    if (!f)
        return error_set(err, TENURE_EINVALID, "fence: there is none");
    if (f->is_inside)
        return f->seen;
    int rc = records_load(f, err);
    return rc < 0 ? rc : f->seen;
}

int tenure_fence_file_fd(const tenure_fence_file *f)
{
    return f ? f->fd : -1;
}
