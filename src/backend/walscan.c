/* Happy path: the header is sound, frame after frame carries its salts and goes on from the checksum of the frame before
 * it, up to frames of an earlier round (other salts), zeros, or the end.
 *
 * Behind the first frame that does not, frames are still linked to *their* predecessor by its stored checksum. The
 * damaged transaction has one commit frame; a second one, sound, belongs to a later transaction.
 *
 * A header whose checksum is wrong makes SQLite ignore the whole file. It is written within one sector and synced before
 * the first frame, so it is never torn: any linked frame behind it proves the damage.
 *
 * Format: https://www.sqlite.org/fileformat2.html#walformat. */
#include "backend/walscan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER_SIZE = 32, FRAME_HEAD = 24, PAGE_MAX = 65536 };
#define WAL_MAGIC 0x377f0682u /* the lowest bit set: checksums over big-endian words */

struct checksum {
    uint32_t s0, s1;
};

struct frame {
    uint32_t page, commit; /* commit: pages of the database behind a transaction, 0 within one */
    uint32_t salt[2];
    struct checksum stored, computed; /* computed: from the predecessor's stored checksum */
};

struct scan {
    int fd;
    int64_t size;
    uint32_t page_size;
    bool big_endian;
    uint32_t salt[2];
    uint8_t *buf; /* a frame */
    const char *name;
};

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t get_word(const uint8_t *p, bool big_endian)
{
    return big_endian ? get_u32(p) : (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static struct checksum checksum_add(struct checksum c, const uint8_t *data, size_t len, bool big_endian)
{
    for (size_t i = 0; i < len; i += 8) {
        c.s0 += get_word(data + i, big_endian) + c.s1;
        c.s1 += get_word(data + i + 4, big_endian) + c.s0;
    }
    return c;
}

static struct checksum checksum_at(const uint8_t *p)
{
    return (struct checksum){get_u32(p), get_u32(p + 4)};
}

static bool checksum_equal(struct checksum a, struct checksum b)
{
    return a.s0 == b.s0 && a.s1 == b.s1;
}

static int read_all(const struct scan *s, uint8_t *buf, size_t len, int64_t at, struct tenure_error *err)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = pread(s->fd, buf + done, len - done, (off_t)(at + (int64_t)done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, errno, "%s", s->name);
        if (n == 0)
            return error_set(err, TENURE_EIO, "%s: became shorter while it was read", s->name);
        done += (size_t)n;
    }
    return 0;
}

static int64_t frame_count(const struct scan *s)
{
    return (s->size - HEADER_SIZE) / (FRAME_HEAD + (int64_t)s->page_size);
}

static int read_frame(const struct scan *s, int64_t number, struct checksum before, struct frame *ret,
                      struct tenure_error *err)
{
    size_t len = FRAME_HEAD + s->page_size;
    int code = read_all(s, s->buf, len, HEADER_SIZE + (number - 1) * (int64_t)len, err);
    if (code)
        return code;
    const uint8_t *p = s->buf;
    *ret = (struct frame){get_u32(p), get_u32(p + 4), {get_u32(p + 8), get_u32(p + 12)}, checksum_at(p + 16), before};
    ret->computed = checksum_add(ret->computed, p, 8, s->big_endian);
    ret->computed = checksum_add(ret->computed, p + FRAME_HEAD, s->page_size, s->big_endian);
    return 0;
}

static bool frame_salted(const struct scan *s, const struct frame *f)
{
    return f->salt[0] == s->salt[0] && f->salt[1] == s->salt[1];
}

static bool frame_chained(const struct frame *f)
{
    return f->page != 0 && checksum_equal(f->stored, f->computed);
}

static int damaged(const struct scan *s, int64_t number, struct tenure_error *err)
{
    return error_set(
        err, TENURE_ECORRUPT,
        "%s: frame %lld of %lld is damaged and whole synced commits stand behind it: stored rows would be lost; "
        "restore a backup",
        s->name, (long long)number, (long long)frame_count(s));
}

/* What stands behind the first bad frame. `bad` was computed over from its sound predecessor. */
static int scan_behind(const struct scan *s, int64_t bad_number, const struct frame *bad, struct tenure_error *err)
{
    /* Chained, only its salts may be wrong: changed, or torn where a sector ends between them and the checksum. */
    bool commit_seen = (frame_salted(s, bad) || frame_chained(bad)) && bad->commit != 0;
    struct frame before = *bad;
    for (int64_t number = bad_number + 1; number <= frame_count(s); number++) {
        struct frame f;
        int code = read_frame(s, number, before.stored, &f, err);
        if (code)
            return code;
        bool sound = frame_salted(s, &f) && frame_chained(&f);
        if (!sound && number == bad_number + 1) { /* perhaps it was the stored checksum of the bad one that changed */
            code = read_frame(s, number, bad->computed, &f, err);
            if (code)
                return code;
            sound = frame_salted(s, &f) && frame_chained(&f);
        }
        if (sound && f.commit && commit_seen)
            return damaged(s, bad_number, err);
        if (frame_salted(s, &f) && f.commit)
            commit_seen = true;
        before = f;
    }
    return 0;
}

static int scan_frames(const struct scan *s, struct checksum header, struct tenure_error *err)
{
    struct checksum before = header;
    for (int64_t number = 1; number <= frame_count(s); number++) {
        struct frame f;
        int code = read_frame(s, number, before, &f, err);
        if (code)
            return code;
        if (!frame_salted(s, &f) || !frame_chained(&f))
            return scan_behind(s, number, &f, err);
        before = f.stored;
    }
    return 0;
}

/* The header is unsound: is there anything behind it that it would make SQLite ignore? Both byte orders are tried. */
static int scan_without_header(struct scan *s, const uint8_t *header, struct tenure_error *err)
{
    for (int order = 0; order < 2; order++) {
        s->big_endian = order == 1;
        struct checksum starts[2] = {checksum_at(header + 24),
                                     checksum_add((struct checksum){0, 0}, header, 24, s->big_endian)};
        struct checksum before = starts[0];
        for (int64_t number = 1; number <= frame_count(s); number++) {
            struct frame f;
            int code = read_frame(s, number, before, &f, err);
            if (!code && number == 1 && !frame_chained(&f))
                code = read_frame(s, number, starts[1], &f, err);
            if (code)
                return code;
            if (frame_chained(&f))
                return error_set(err, TENURE_ECORRUPT,
                                 "%s: its header is damaged and stored rows stand behind it; restore a backup",
                                 s->name);
            before = f.stored;
        }
    }
    return 0;
}

static bool header_sound(const struct scan *s, const uint8_t *h)
{
    uint32_t page_size = get_u32(h + 8);
    if ((get_u32(h) & ~1u) != WAL_MAGIC || page_size < 512 || page_size > PAGE_MAX || (page_size & (page_size - 1)))
        return false;
    return checksum_equal(checksum_add((struct checksum){0, 0}, h, 24, s->big_endian), checksum_at(h + 24));
}

static int scan_file(struct scan *s, struct tenure_error *err)
{
    uint8_t header[HEADER_SIZE];
    int code = read_all(s, header, sizeof header, 0, err);
    if (code)
        return code;
    s->big_endian = get_u32(header) & 1;
    bool sound = header_sound(s, header);
    if (sound && get_u32(header + 8) != s->page_size)
        return error_set(err, TENURE_ECORRUPT, "%s: has pages of %u bytes where %u are expected", s->name,
                         (unsigned)get_u32(header + 8), (unsigned)s->page_size);
    s->salt[0] = get_u32(header + 16);
    s->salt[1] = get_u32(header + 20);
    return sound ? scan_frames(s, checksum_at(header + 24), err) : scan_without_header(s, header, err);
}

int walscan_check(int dir_fd, const char *name, uint32_t page_size, struct tenure_error *err)
{
    struct scan s = {.page_size = page_size, .name = name};
    s.fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    if (s.fd < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "%s", name);
    struct stat st;
    int code = fstat(s.fd, &st) < 0 ? error_errno(err, errno, "%s", name) : 0;
    s.size = code ? 0 : st.st_size;
    if (s.size > HEADER_SIZE) {
        s.buf = malloc(FRAME_HEAD + page_size);
        code = s.buf ? scan_file(&s, err) : error_set(err, TENURE_ENOMEM, "%s: out of memory", name);
        free(s.buf);
    }
    close(s.fd);
    return code;
}
