/* tenure snapshot save: from a server, by its Snapshot call, or from the directory of one that does not run.
 *
 * Written to FILE.part; named FILE only when it is whole, its sum is right and it is on the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/buf.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "cli/seal.h"
#include "cli/snapshot.h"
#include "io/sha256.h"
#include "lib/snapshot.h"
#include "snapshot/export.h"

enum { BUFFER = 1 << 20 };

/* A file under way. */
struct part {
    const char *path;
    char *part_path;
    int fd;
    struct buf out;
    uint64_t out_at, size;
    int rc;
    struct tenure_error error;
    struct io_sha256 *sum;
    /* By the call: the last 32 bytes are the sum, and which are the last is known behind them. */
    uint8_t tail[IO_SHA256_LEN];
    size_t tail_len;
    void (*on_bytes)(void *user, uint64_t bytes); /* how many have come; NULL = nobody asks */
    void *on_bytes_user;
};

/* ---- the file ---- */

static int part_open(struct part *p, const char *path)
{
    *p = (struct part){.path = path, .fd = -1};
    buf_init(&p->out);
    struct stat st; /* what is named in the end takes the place of what is there: /dev/stdout must not go that way */
    if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return error_set(&p->error, TENURE_EEXISTS, "%s is there and not a regular file: name another one", path);
    if (asprintf(&p->part_path, "%s.part", path) < 0) {
        p->part_path = NULL;
        return error_set(&p->error, TENURE_ENOMEM, "out of memory");
    }
    p->fd = open(p->part_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (p->fd < 0)
        return error_errno(&p->error, errno, "%s", p->part_path);
    return io_sha256_new(&p->sum, &p->error);
}

static int write_all(struct part *p, bytes data)
{
    while (data.len) {
        ssize_t n = pwrite(p->fd, data.data, data.len, (off_t)p->out_at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_errno(&p->error, n < 0 ? errno : ENOSPC, "%s", p->part_path);
        p->out_at += (uint64_t)n;
        data = bytes_of(data.data + n, data.len - (size_t)n);
    }
    return 0;
}

static int part_flush(struct part *p)
{
    int rc = buf_error(&p->out) ? error_set(&p->error, TENURE_ENOMEM, "out of memory") : 0;
    if (rc == 0)
        rc = write_all(p, buf_bytes(&p->out));
    buf_reset(&p->out);
    return rc;
}

static int sync_parent(struct part *p)
{
    char *copy = strdup(p->path);
    char *slash = copy ? strrchr(copy, '/') : NULL;
    if (slash)
        slash[slash == copy] = 0;
    int fd = copy ? open(slash ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int rc = fd >= 0 && fsync(fd) < 0 ? error_errno(&p->error, errno, "%s", p->path) : 0;
    if (fd >= 0)
        close(fd);
    free(copy);
    return rc;
}

static int part_name(struct part *p)
{
    if (fsync(p->fd) < 0 || rename(p->part_path, p->path) < 0)
        return error_errno(&p->error, errno, "%s", p->path);
    free(p->part_path);
    p->part_path = NULL;
    return sync_parent(p);
}

static void part_close(struct part *p)
{
    if (p->fd >= 0)
        close(p->fd);
    if (p->part_path && p->fd >= 0)
        (void)unlink(p->part_path);
    free(p->part_path);
    buf_fini(&p->out);
    io_sha256_free(p->sum);
}

static const struct output_form form = {
    .columns = (const struct output_column[]){{.path = "path", .heading = "PATH"},
                                              {.path = "bytes", .heading = "SIZE", .kind = OUTPUT_SIZE},
                                              {0}},
};

static int said(const struct part *p, const struct global_options *g)
{
    if (!output_is_text(g)) {
        json_t *o = json_object();
        json_object_set_new(o, "path", json_string(p->path));
        json_object_set_new(o, "bytes", json_integer((json_int_t)p->size));
        output_print(g, &form, o);
    } else {
        printf("snapshot saved at %s (%" PRIu64 " bytes)\n", p->path, p->size);
    }
    return EXIT_OK;
}

/* ---- from a server ---- */

static void add(struct part *p, bytes data)
{
    io_sha256_add(p->sum, data);
    buf_append_bytes(&p->out, data);
    p->size += data.len;
    if (p->rc == 0 && p->out.len >= BUFFER)
        p->rc = part_flush(p);
}

/* All but the newest 32 bytes are data. */
static void on_piece(void *user, const struct snapshot_resp *piece)
{
    struct part *p = user;
    bytes in = piece->blob;
    if (p->rc)
        return;
    size_t keep = in.len < IO_SHA256_LEN ? in.len : IO_SHA256_LEN, room = IO_SHA256_LEN - p->tail_len;
    size_t leave = keep > room ? keep - room : 0; /* of the tail, oldest first */
    if (leave) {
        add(p, bytes_of(p->tail, leave));
        memmove(p->tail, p->tail + leave, p->tail_len - leave);
        p->tail_len -= leave;
    }
    if (in.len > keep)
        add(p, bytes_of(in.data, in.len - keep));
    if (keep)
        memcpy(p->tail + p->tail_len, in.data + in.len - keep, keep);
    p->tail_len += keep;
    if (p->on_bytes)
        p->on_bytes(p->on_bytes_user, p->size);
}

static int check_sum(struct part *p)
{
    uint8_t sum[IO_SHA256_LEN];
    struct io_sha256 *h = p->sum;
    p->sum = NULL;
    int rc = io_sha256_end(h, sum, &p->error);
    if (rc)
        return rc;
    if (p->tail_len != sizeof sum || p->size == 0 || p->size % 512 != 0 || memcmp(sum, p->tail, sizeof sum) != 0)
        return error_set(&p->error, TENURE_ECORRUPT, "what the server sent does not fit the checksum behind it");
    buf_append(&p->out, p->tail, sizeof sum);
    p->size += sizeof sum;
    return part_flush(p);
}

/* Into p, which is open. */
static int fetch(struct part *p, tenure_client *c, size_t endpoint)
{
    struct tenure_error err = {0};
    if (lib_snapshot(c, endpoint, on_piece, p, &err) < 0) {
        p->error = err;
        return err.code;
    }
    int rc = p->rc;
    if (rc == 0)
        rc = check_sum(p);
    return rc ? rc : part_name(p);
}

int snapshot_fetch(tenure_client *c, size_t endpoint, const char *path, void (*on_bytes)(void *user, uint64_t bytes),
                   void *user, struct tenure_error *err)
{
    struct part p;
    int rc = part_open(&p, path);
    p.on_bytes = on_bytes;
    p.on_bytes_user = user;
    if (rc == 0)
        rc = fetch(&p, c, endpoint);
    if (rc)
        *err = p.error;
    part_close(&p);
    return rc;
}

int snapshot_save(const struct snapshot_options *o, const struct global_options *g, const char *path)
{
    struct part p;
    (void)o;
    tenure_client *c = connect_open("snapshot", g);
    if (!c)
        return connect_code();
    int rc = part_open(&p, path);
    if (rc == 0)
        rc = fetch(&p, c, 0);
    tenure_close(c);
    int code = rc < 0 ? connect_failed("snapshot", g, &p.error) : EXIT_OK;
    part_close(&p);
    return code == EXIT_OK ? said(&p, g) : code;
}

/* ---- from a directory ---- */

static int on_write(void *user, uint64_t offset, bytes data, struct tenure_error *err)
{
    struct part *p = user;
    int rc = 0;
    if (offset != p->out_at + p->out.len) {
        rc = part_flush(p);
        p->out_at = offset;
    }
    buf_append_bytes(&p->out, data);
    if (rc == 0 && p->out.len >= BUFFER)
        rc = part_flush(p);
    if (rc && err)
        *err = p->error;
    return rc;
}

struct dump {
    struct snapshot_export *export;
    struct tenure_error *err;
};

static int on_record(void *user, const struct record *r)
{
    struct dump *d = user;
    return snapshot_export_row(d->export, r, d->err);
}

/* The sum of what was written, behind it. */
static int append_sum(struct part *p, uint64_t size)
{
    uint8_t *room = malloc(BUFFER), sum[IO_SHA256_LEN];
    int rc = room ? 0 : error_set(&p->error, TENURE_ENOMEM, "out of memory");
    for (uint64_t at = 0; rc == 0 && at < size;) {
        ssize_t n = pread(p->fd, room, size - at < BUFFER ? (size_t)(size - at) : BUFFER, (off_t)at);
        if (n <= 0)
            rc = error_errno(&p->error, n < 0 ? errno : EIO, "%s", p->part_path);
        else
            io_sha256_add(p->sum, bytes_of(room, (size_t)n));
        at += n > 0 ? (uint64_t)n : 0;
    }
    free(room);
    if (rc)
        return rc;
    struct io_sha256 *h = p->sum;
    p->sum = NULL;
    rc = io_sha256_end(h, sum, &p->error);
    p->out_at = size;
    buf_append(&p->out, sum, sizeof sum);
    p->size = size + sizeof sum;
    return rc ? rc : part_flush(p);
}

static int dump_backend(struct part *p, struct backend *b, const struct snapshot_options *o)
{
    struct snapshot_summary s;
    const struct snapshot_facts facts = {.storage_version = o->storage_version};
    const char *successor = !o->seal ? NULL : o->successor ? o->successor : "";
    struct bolt_output out = {.write = on_write, .user = p};
    struct dump d = {.err = &p->error};
    if (snapshot_export_new(&out, &facts, &d.export) < 0)
        return error_set(&p->error, TENURE_ENOMEM, "out of memory");
    int rc = backend_replay(b, on_record, &d, &p->error);
    if (rc == 0 && successor)
        rc = backend_seal(b, successor, &p->error);
    if (rc == 0)
        rc = snapshot_export_finish(d.export, &s, &p->error);
    snapshot_export_free(d.export);
    if (rc == 0)
        rc = part_flush(p);
    return rc ? rc : append_sum(p, s.bytes);
}

int snapshot_save_offline(const struct snapshot_options *o, const struct global_options *g, const char *path)
{
    struct part p;
    struct backend *b = NULL;
    struct backend_config config = {
        .dir = o->data_dir, .allow_sealed = true, .allow_unfinished = true, .allow_replica = true, .ballast_bytes = -1};
    int rc = part_open(&p, path);
    if (rc == 0)
        rc = seal_open(&config, &b, &p.error);
    if (rc == 0)
        rc = dump_backend(&p, b, o);
    backend_close(b);
    if (rc == 0)
        rc = part_name(&p);
    int code = rc < 0 ? connect_failed("snapshot", g, &p.error) : EXIT_OK;
    part_close(&p);
    return code == EXIT_OK && !o->quiet ? said(&p, g) : code;
}
