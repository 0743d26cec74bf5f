/* See snapshot.h.
 *
 * Happy path: make -> on the thread: the rows go through the export into the file, then all of it through SHA-256 -> done, on
 * the loop: core_snapshot_made. The core reads by pread and drops it by close.
 *
 * Failure: too little room on the disk is told before anything is written, if it can be seen; the file never takes the last
 * ROOM_LEFT bytes, which the log may need.
 */
#include "server/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "io/sha256.h"
#include "io/work.h"
#include "snapshot/export.h"

#define TEMPORARY "snapshot.tmp"

enum { ROWS_A_READ = 2000, BUFFER = 256 << 10, ROOM_CHECK = 16 << 20 };
static const int64_t ROOM_LEFT = 32 << 20;

struct snapshot_job {
    struct server *server;
    struct io_work *work;
    atomic_bool cancelled;
    tn_seq upto;
    int fd;
    struct snapshot_facts facts;
    struct snapshot_summary summary;
    struct core_snapshot made;
    struct tenure_error error;
    int rc;

    /* the thread's */
    struct snapshot_export *export;
    struct buf out; /* bytes of the file that come one behind the other */
    uint64_t out_at;
    uint64_t checked_at; /* when room was looked for */
};

/* A made one. */
struct made {
    int fd;
};

static int path_of(const struct server *s, char *out, size_t size)
{
    int n = snprintf(out, size, "%s/" TEMPORARY, s->config.data_dir);
    return n > 0 && (size_t)n < size ? 0 : TENURE_EINVALID;
}

void snapshot_clean(const struct server *s)
{
    char path[4096];
    if (path_of(s, path, sizeof path) == 0)
        (void)unlink(path);
}

/* ---- the file, on the thread ---- */

static int open_file(struct snapshot_job *j)
{
    char path[4096];
    if (path_of(j->server, path, sizeof path) < 0)
        return error_set(&j->error, TENURE_EINVALID, "snapshot: the path of the data directory is too long");
    j->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (j->fd < 0)
        return error_errno(&j->error, errno, "snapshot: %s", path);
    (void)unlink(path);
    return 0;
}

static int check_room(struct snapshot_job *j)
{
    struct statvfs fs;
    if (fstatvfs(j->fd, &fs) == 0 && (int64_t)fs.f_bavail * (int64_t)fs.f_frsize < ROOM_LEFT)
        return error_set(&j->error, TENURE_ENOSPACE, "snapshot: no room on the disk of the data directory");
    j->checked_at = j->out_at;
    return 0;
}

static int write_all(int fd, uint64_t offset, bytes data, struct tenure_error *err)
{
    while (data.len) {
        ssize_t n = pwrite(fd, data.data, data.len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_errno(err, n < 0 ? errno : ENOSPC, "snapshot: temporary file");
        offset += (uint64_t)n;
        data = bytes_of(data.data + n, data.len - (size_t)n);
    }
    return 0;
}

static int flush(struct snapshot_job *j, struct tenure_error *err)
{
    int rc = write_all(j->fd, j->out_at, buf_bytes(&j->out), err);
    j->out_at += j->out.len;
    buf_reset(&j->out);
    return rc;
}

/* Pages come one behind the other; only the first ones come last. */
static int on_write(void *user, uint64_t offset, bytes data, struct tenure_error *err)
{
    struct snapshot_job *j = user;
    int rc = 0;
    if (offset != j->out_at + j->out.len) {
        rc = flush(j, err);
        j->out_at = offset;
    }
    buf_append_bytes(&j->out, data);
    if (buf_error(&j->out))
        return error_set(err, TENURE_ENOMEM, "snapshot: out of memory");
    if (rc == 0 && j->out.len >= BUFFER)
        rc = flush(j, err);
    if (rc == 0 && j->out_at > j->checked_at + ROOM_CHECK)
        rc = check_room(j);
    return rc;
}

static int on_row(void *user, const struct record *r)
{
    struct snapshot_job *j = user;
    return snapshot_export_row(j->export, r, &j->error);
}

static int export_rows(struct snapshot_job *j, struct backend_reader *reader)
{
    tn_seq at = 0;
    int64_t n;
    do {
        if (atomic_load(&j->cancelled))
            return error_set(&j->error, TENURE_ECANCELLED, "snapshot: nobody wants it any more");
        n = backend_reader_next(reader, &at, j->upto, ROWS_A_READ, on_row, j, &j->error);
    } while (n > 0);
    return (int)n;
}

static int export_log(struct snapshot_job *j)
{
    struct backend_reader *reader = NULL;
    int rc = backend_reader_open(j->server->backend, &reader, &j->error);
    if (rc == 0)
        rc = export_rows(j, reader);
    if (rc == 0)
        rc = snapshot_export_finish(j->export, &j->summary, &j->error);
    if (rc == 0)
        rc = flush(j, &j->error);
    backend_reader_close(reader);
    return rc;
}

static int read_at(int fd, uint64_t offset, uint8_t *to, size_t len, struct tenure_error *err)
{
    while (len) {
        ssize_t n = pread(fd, to, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_errno(err, n < 0 ? errno : EIO, "snapshot: temporary file");
        offset += (uint64_t)n;
        to += n;
        len -= (size_t)n;
    }
    return 0;
}

static int sum_file(struct snapshot_job *j)
{
    struct io_sha256 *sum;
    uint64_t at = 0, size = j->summary.bytes;
    uint8_t *piece = malloc(BUFFER);
    if (!piece)
        return error_set(&j->error, TENURE_ENOMEM, "snapshot: out of memory");
    int rc = io_sha256_new(&sum, &j->error);
    while (rc == 0 && at < size) {
        size_t n = size - at < BUFFER ? (size_t)(size - at) : BUFFER;
        rc = read_at(j->fd, at, piece, n, &j->error);
        io_sha256_add(sum, bytes_of(piece, n));
        at += n;
        if (rc)
            io_sha256_free(sum);
    }
    free(piece);
    return rc ? rc : io_sha256_end(sum, j->made.sha256, &j->error);
}

static void run(void *user)
{
    struct snapshot_job *j = user;
    struct bolt_output out = {.write = on_write, .user = j};
    buf_init(&j->out);
    j->rc = open_file(j);
    if (j->rc == 0)
        j->rc = check_room(j);
    if (j->rc == 0 && snapshot_export_new(&out, &j->facts, &j->export) < 0)
        j->rc = error_set(&j->error, TENURE_ENOMEM, "snapshot: out of memory");
    if (j->rc == 0)
        j->rc = export_log(j);
    j->export = snapshot_export_free(j->export);
    buf_fini(&j->out);
    if (j->rc == 0)
        j->rc = sum_file(j);
}

/* ---- on the loop ---- */

static void job_free(struct snapshot_job *j)
{
    if (j->fd >= 0)
        close(j->fd);
    free(j);
}

static void tell(struct server *s, struct snapshot_job *j, struct made *m)
{
    tn_ms now = turn_begin(s);
    if (!m && j->rc == TENURE_ECANCELLED) {
        core_snapshot_made(s->core, NULL, &j->error, now);
        return;
    }
    if (!m) {
        log_write(&s->log, LOG_ERROR, "no snapshot could be made", "error=\"%s\"", j->error.text);
        core_snapshot_made(s->core, NULL, &j->error, now);
        return;
    }
    log_write(&s->log, LOG_INFO, "a snapshot was made", "revision=%lld bytes=%llu", (long long)j->summary.revision,
              (unsigned long long)j->summary.bytes);
    j->made.handle = m;
    j->made.bytes = j->summary.bytes;
    core_snapshot_made(s->core, &j->made, NULL, now);
}

static void done(void *user)
{
    struct snapshot_job *j = user;
    struct server *s = j->server;
    struct made *m = j->rc == 0 ? malloc(sizeof *m) : NULL;
    s->snapshot = NULL;
    if (j->rc == 0 && !m)
        error_set(&j->error, TENURE_ENOMEM, "snapshot: out of memory");
    if (m) {
        m->fd = j->fd;
        j->fd = -1;
    }
    tell(s, j, m);
    job_free(j);
}

static int make(void *user, tn_seq upto, struct tenure_error *err)
{
    struct server *s = user;
    struct snapshot_job *j = calloc(1, sizeof *j);
    if (!j)
        return error_set(err, TENURE_ENOMEM, "snapshot: out of memory");
    bool named = s->config.n_advertise_urls > 0;
    j->server = s;
    j->fd = -1;
    j->upto = upto;
    j->facts.client_urls = named ? s->config.advertise_urls : s->url_list;
    j->facts.n_client_urls = named ? s->config.n_advertise_urls : s->config.n_listen_urls;
    int rc = io_work_start(s->loop, run, done, j, &j->work, err);
    if (rc) {
        free(j);
        return rc;
    }
    s->snapshot = j;
    return 0;
}

static void cancel(void *user)
{
    struct server *s = user;
    if (s->snapshot)
        atomic_store(&s->snapshot->cancelled, true);
}

static int read_made(void *user, void *handle, uint64_t offset, uint8_t *to, size_t len, struct tenure_error *err)
{
    const struct made *m = handle;
    (void)user;
    return read_at(m->fd, offset, to, len, err);
}

static void drop(void *user, void *handle)
{
    struct made *m = handle;
    (void)user;
    close(m->fd);
    free(m);
}

const struct core_snapshots snapshot_driver = {.make = make, .cancel = cancel, .read = read_made, .drop = drop};

void snapshot_stop(struct server *s)
{
    struct snapshot_job *j = s->snapshot;
    if (!j)
        return;
    s->snapshot = NULL;
    atomic_store(&j->cancelled, true);
    io_work_join(j->work);
    job_free(j);
}
