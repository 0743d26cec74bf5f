/* See snapshot_file.h. The sum goes over what is read, before anything is mapped: a disk that fails tells so by an error of
 * the read then. */
#include "cli/snapshot_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/sha256.h"

enum { SECTOR = 512, BUFFER = 1 << 20 };

static int add_piece(struct io_sha256 *sum, int fd, uint64_t at, uint8_t *room, size_t len, struct tenure_error *err)
{
    ssize_t n = pread(fd, room, len, (off_t)at);
    if (n < 0)
        return error_errno(err, errno, "reading the snapshot");
    if ((size_t)n < len)
        return error_set(err, TENURE_ECORRUPT, "the snapshot became shorter while it was read");
    io_sha256_add(sum, bytes_of(room, len));
    return 0;
}

static int sum_of(int fd, uint64_t size, uint8_t out[IO_SHA256_LEN], struct tenure_error *err)
{
    struct io_sha256 *sum;
    uint8_t *room = malloc(BUFFER);
    int rc = room ? io_sha256_new(&sum, err) : error_set(err, TENURE_ENOMEM, "out of memory");
    if (rc) {
        free(room);
        return rc;
    }
    for (uint64_t at = 0; rc == 0 && at < size; at += BUFFER)
        rc = add_piece(sum, fd, at, room, size - at < BUFFER ? (size_t)(size - at) : BUFFER, err);
    free(room);
    if (rc == 0)
        return io_sha256_end(sum, out, err);
    io_sha256_free(sum);
    return rc;
}

static int check_sum(const struct snapshot_file *f, const char *path, struct tenure_error *err)
{
    uint8_t want[IO_SHA256_LEN], got[IO_SHA256_LEN];
    uint64_t size = f->size - IO_SHA256_LEN;
    if (!f->has_sum)
        return error_set(
            err, TENURE_ECORRUPT,
            "%s has no checksum at its end: it is cut short, or a copy from a data directory, which tenure snapshot restore takes with --skip-hash-check",
            path);
    if (pread(f->fd, want, sizeof want, (off_t)size) != (ssize_t)sizeof want)
        return error_set(err, TENURE_EIO, "%s: its checksum cannot be read", path);
    int rc = sum_of(f->fd, size, got, err);
    if (rc == 0 && memcmp(want, got, sizeof got) != 0)
        return error_set(err, TENURE_ECORRUPT, "%s: its checksum is not that of what is in it", path);
    return rc;
}

static int map_file(struct snapshot_file *f, const char *path, struct tenure_error *err)
{
    f->map = mmap(NULL, f->size, PROT_READ, MAP_PRIVATE, f->fd, 0);
    if (f->map == MAP_FAILED) {
        f->map = NULL;
        return error_errno(err, errno, "%s", path);
    }
    (void)madvise(f->map, f->size, MADV_SEQUENTIAL);
    int rc = bolt_open(&f->bolt, bytes_of(f->map, f->size - (f->has_sum ? IO_SHA256_LEN : 0)), err);
    if (rc)
        error_wrap(err, "%s", path);
    return rc;
}

bool snapshot_file_is_there(const char *path)
{
    bool there = access(path, R_OK) == 0;
    if (!there)
        fprintf(stderr, "tenure snapshot: %s: %s\n", path, strerror(errno));
    return there;
}

int snapshot_file_open(struct snapshot_file *ret, const char *path, bool checked, struct tenure_error *err)
{
    struct stat st;
    *ret = (struct snapshot_file){.fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (ret->fd < 0 || fstat(ret->fd, &st) < 0) {
        int rc = error_errno(err, errno, "%s", path);
        snapshot_file_close(ret);
        return rc;
    }
    ret->size = (size_t)st.st_size;
    ret->has_sum = st.st_size % SECTOR == IO_SHA256_LEN;
    int rc = st.st_size < SECTOR ? error_set(err, TENURE_ECORRUPT, "%s is no snapshot: it is too short", path) : 0;
    if (rc == 0 && checked)
        rc = check_sum(ret, path, err);
    if (rc == 0)
        rc = map_file(ret, path, err);
    if (rc)
        snapshot_file_close(ret);
    return rc;
}

void snapshot_file_close(struct snapshot_file *f)
{
    if (f->map)
        munmap(f->map, f->size);
    if (f->fd >= 0)
        close(f->fd);
    f->map = NULL;
    f->fd = -1;
}
