/* The last known copy of keys in a file, that `tenure cache run` keeps and others read without a server.
 *
 *     tenure-cache 1 <crc32c of the body> <its bytes> <current as of: Unix ms> <the same on this boot's clock> <boot id> <crc32c of the line>
 *     {"ranges":[{"prefix":"/config/","revision":41}, …]}
 *     ["/config/limit","12",17,40,3,"7587862094b0d501"]        key, value, create and mod revision, version, lease
 *
 * A line a key, range by range in byte order; bytes that are no UTF-8 are {"base64":…}. The file is replaced as a whole where keys have changed
 * (atomic_file.h); the first line, which is always CACHE_LINE bytes, is written over where only the time has: whoever reads meanwhile
 * sees by its checksum that it is half written, and reads it again.
 *
 * How old: by the clock that also counts suspend where it was written since this boot, else by the wall clock. */
#ifndef CLI_CACHE_FILE_H
#define CLI_CACHE_FILE_H

#include <tenure/cache.h>

#include "base/buf.h"
#include "io/atomic_file.h"

enum { CACHE_LINE = 160, CACHE_PREFIXES_MAX = 32 };

/* A time on both clocks. */
struct cache_time {
    int64_t wall_ms, boot_ms;
    char boot[40]; /* which boot; "" = unknown */
};
struct cache_time cache_time_now(void);
/* How long ago, as far as `now` can know; below 0: a clock was set back, it is not known. */
int64_t cache_time_age(const struct cache_time *then, const struct cache_time *now);

/* ---- the text ---- */

/* What the file holds behind its first line. False: out of memory. */
bool cache_text_write(struct buf *body, const char *const *prefixes, const struct tenure_cache_list *const *lists,
                      size_t n);
/* The first line for it, CACHE_LINE bytes with the newline. */
void cache_line_write(char *line, bytes body, const struct cache_time *as_of);
/* TENURE_ECORRUPT: it is none, or half written. */
int cache_line_read(const char *line, uint32_t *ret_crc, size_t *ret_len, struct cache_time *ret,
                    struct tenure_error *err) MUST_USE;

/* ---- reading ---- */

struct cache_copy {
    char *text; /* of the whole file */
    bytes body; /* behind its lines of head */
    struct cache_time as_of;
    size_t n_prefixes;
    char *prefixes[CACHE_PREFIXES_MAX];
    int64_t revisions[CACHE_PREFIXES_MAX];
};
/* Whole and undamaged, or: TENURE_ENOTFOUND, TENURE_EDENIED, …; TENURE_ECORRUPT. */
int cache_copy_read(const char *path, struct cache_copy *ret, struct tenure_error *err) MUST_USE;
void cache_copy_fini(struct cache_copy *c);
/* The revision that it is of there; 0: it has not all keys with this prefix. */
int64_t cache_copy_revision(const struct cache_copy *c, const char *prefix);
/* Each key that begins with prefix, in the order of the file; borrowed for the call. Answers how many; -1: out of memory, or damaged all the
 * same. */
typedef void (*cache_copy_fn)(void *user, const struct tenure_kv *kv);
int64_t cache_copy_each(const struct cache_copy *c, struct tenure_bytes prefix, bool whole_key, cache_copy_fn fn,
                        void *user);

#endif
