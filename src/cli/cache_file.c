/* See cache_file.h. */
#include "cli/cache_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "base/crc32c.h"
#include "cli/output.h"
#include "http/base64.h"
#include "io/loop.h"

#define MAGIC "tenure-cache 1 "

enum { FILE_BYTES_MAX = 1024 * 1024 * 1024, TRIES = 50, PAUSE_NS = 2000000 };

/* ---- time ---- */

static void boot_id(char *out, size_t size)
{
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
    out[0] = 0;
    if (f && fgets(out, (int)size, f))
        out[strcspn(out, "\n ")] = 0;
    if (f)
        fclose(f);
}

struct cache_time cache_time_now(void)
{
    struct cache_time t = {.wall_ms = io_wall_ms(), .boot_ms = io_clock()};
    boot_id(t.boot, sizeof t.boot);
    return t;
}

int64_t cache_time_age(const struct cache_time *then, const struct cache_time *now)
{
    if (then->boot[0] && strcmp(then->boot, now->boot) == 0)
        return now->boot_ms - then->boot_ms;
    return now->wall_ms - then->wall_ms;
}

/* ---- writing ---- */

/* A string, or {"base64": …}. */
static json_t *json_of(struct tenure_bytes b)
{
    json_t *o = json_object();
    output_set_bytes(o, "s", b);
    json_t *text = json_object_get(o, "s");
    json_t *out = text ? json_incref(text) : json_pack("{sO}", "base64", json_object_get(o, "s_base64"));
    json_decref(o);
    return out;
}

/* A line; releases j. */
static void put_line(struct buf *to, json_t *j)
{
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    if (text)
        buf_printf(to, "%s\n", text);
    else
        to->error = TENURE_ENOMEM;
    free(text);
    json_decref(j);
}

static json_t *json_of_kv(const struct tenure_kv *kv)
{
    char lease[24];
    snprintf(lease, sizeof lease, "%" PRIx64, kv->lease);
    return json_pack("[o,o,I,I,I,s]", json_of(kv->key), json_of(kv->value), (json_int_t)kv->create_revision,
                     (json_int_t)kv->mod_revision, (json_int_t)kv->version, lease);
}

bool cache_text_write(struct buf *body, const char *const *prefixes, const struct tenure_cache_list *const *lists,
                      size_t n)
{
    json_t *ranges = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *range = json_object();
        json_object_set_new(range, "prefix", json_of(tenure_str(prefixes[i])));
        json_object_set_new(range, "revision", json_integer(lists[i]->revision));
        json_array_append_new(ranges, range);
    }
    put_line(body, json_pack("{so}", "ranges", ranges));
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < lists[i]->n; k++)
            put_line(body, json_of_kv(&lists[i]->kvs[k]));
    return !buf_error(body);
}

void cache_line_write(char *line, bytes body, const struct cache_time *as_of)
{
    char text[CACHE_LINE + 1];
    int n = snprintf(text, sizeof text, MAGIC "%08" PRIx32 " %zu %" PRId64 " %" PRId64 " %s ",
                     crc32c(0, body.data, body.len), body.len, as_of->wall_ms, as_of->boot_ms,
                     as_of->boot[0] ? as_of->boot : "-");
    memset(text + n, ' ', sizeof text - (size_t)n);
    snprintf(text + CACHE_LINE - 9, 10, "%08" PRIx32 "\n", crc32c(0, text, CACHE_LINE - 9));
    memcpy(line, text, CACHE_LINE);
}

/* ---- reading ---- */

static int damaged(struct tenure_error *err)
{
    return error_set(err, TENURE_ECORRUPT, "it is no copy that `tenure cache run` keeps, or it is damaged");
}

int cache_line_read(const char *line, uint32_t *ret_crc, size_t *ret_len, struct cache_time *ret,
                    struct tenure_error *err)
{
    char text[CACHE_LINE + 1];
    uint32_t crc;
    memcpy(text, line, CACHE_LINE);
    text[CACHE_LINE] = 0;
    *ret = (struct cache_time){.boot_ms = 0};
    if (text[CACHE_LINE - 1] != '\n' || sscanf(text + CACHE_LINE - 9, "%8" SCNx32, &crc) != 1 ||
        crc != crc32c(0, text, CACHE_LINE - 9) ||
        sscanf(text, MAGIC "%8" SCNx32 " %zu %" SCNd64 " %" SCNd64 " %39s", ret_crc, ret_len, &ret->wall_ms,
               &ret->boot_ms, ret->boot) != 5)
        return damaged(err);
    if (strcmp(ret->boot, "-") == 0)
        ret->boot[0] = 0;
    return 0;
}

/* All of it, malloc'd, with a 0 behind. */
static int read_file(int fd, char **ret, size_t *ret_len, struct tenure_error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "cannot be read");
    if (!S_ISREG(st.st_mode) || st.st_size < CACHE_LINE || st.st_size > FILE_BYTES_MAX)
        return damaged(err);
    size_t size = (size_t)st.st_size, len = 0;
    char *text = malloc(size + 1);
    ssize_t n = 1;
    while (text && len < size && (n = pread(fd, text + len, size - len, (off_t)len)) > 0)
        len += (size_t)n;
    if (!text || n < 0) {
        int why = errno;
        free(text);
        return text ? error_errno(err, why, "cannot be read") : error_set(err, TENURE_ENOMEM, "out of memory");
    }
    text[len] = 0;
    *ret = text;
    *ret_len = len;
    return 0;
}

/* The first line, which may be half written at the moment. */
static int read_line(int fd, char *line, uint32_t *ret_crc, size_t *ret_len, struct cache_time *ret,
                     struct tenure_error *err)
{
    int rc = TENURE_ECORRUPT;
    for (int i = 0; rc && i < TRIES; i++) {
        if (i > 0)
            nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);
        if (pread(fd, line, CACHE_LINE, 0) != CACHE_LINE)
            return damaged(err);
        rc = cache_line_read(line, ret_crc, ret_len, ret, err);
    }
    return rc;
}

static char *decoded(const json_t *j, size_t *ret_len)
{
    const char *coded = json_string_value(json_object_get(j, "base64"));
    size_t len = json_is_string(j) ? json_string_length(j) : coded ? base64_room(strlen(coded)) : 0;
    char *out = json_is_string(j) || coded ? malloc(len + 1) : NULL;
    if (!out)
        return NULL;
    if (json_is_string(j))
        memcpy(out, json_string_value(j), len);
    else if (!base64_decode(bytes_str(coded), (uint8_t *)out, &len)) {
        free(out);
        return NULL;
    }
    out[len] = 0;
    *ret_len = len;
    return out;
}

static bool read_ranges(struct cache_copy *c, const char *line, size_t len)
{
    json_t *head = json_loadb(line, len, 0, NULL), *range;
    json_t *ranges = json_object_get(head, "ranges");
    size_t i, ignored;
    bool fine = json_is_array(ranges) && json_array_size(ranges) <= CACHE_PREFIXES_MAX;
    json_array_foreach(ranges, i, range)
    {
        if (!fine)
            break;
        c->prefixes[i] = decoded(json_object_get(range, "prefix"), &ignored);
        c->revisions[i] = json_integer_value(json_object_get(range, "revision"));
        fine = c->prefixes[i] != NULL;
        c->n_prefixes = i + fine;
    }
    json_decref(head);
    return fine;
}

static int read_all(int fd, struct cache_copy *c, struct tenure_error *err)
{
    char line[CACHE_LINE];
    uint32_t crc = 0;
    size_t len = 0, size = 0;
    int rc = read_line(fd, line, &crc, &size, &c->as_of, err);
    rc = rc ? rc : read_file(fd, &c->text, &len, err);
    if (rc)
        return rc;
    c->body = bytes_of(c->text + CACHE_LINE, len - CACHE_LINE);
    const char *end = memchr(c->text + CACHE_LINE, '\n', c->body.len);
    if (c->body.len != size || crc32c(0, c->body.data, size) != crc || !end)
        return damaged(err);
    size_t head = (size_t)(end - (c->text + CACHE_LINE)) + 1;
    if (!read_ranges(c, c->text + CACHE_LINE, head))
        return damaged(err);
    c->body = bytes_of(c->body.data + head, c->body.len - head);
    return 0;
}

int cache_copy_read(const char *path, struct cache_copy *ret, struct tenure_error *err)
{
    *ret = (struct cache_copy){.text = NULL};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? error_set(err, TENURE_ENOTFOUND, "%.150s: there is no such file", path)
                               : error_errno(err, errno, "%.150s", path);
    int rc = read_all(fd, ret, err);
    close(fd);
    if (rc) {
        error_wrap(err, "%.150s", path);
        cache_copy_fini(ret);
    }
    return rc;
}

void cache_copy_fini(struct cache_copy *c)
{
    for (size_t i = 0; i < c->n_prefixes; i++)
        free(c->prefixes[i]);
    free(c->text);
    *c = (struct cache_copy){.text = NULL};
}

int64_t cache_copy_revision(const struct cache_copy *c, const char *prefix)
{
    for (size_t i = 0; i < c->n_prefixes; i++)
        if (strncmp(prefix, c->prefixes[i], strlen(c->prefixes[i])) == 0)
            return c->revisions[i];
    return 0;
}

/* ---- its keys ---- */

/* How the line of that key begins, as it was written. NULL: out of memory, or an odd one: each line is looked at. */
static char *line_start(struct tenure_bytes key)
{
    json_t *array = json_pack("[o]", json_of(key));
    char *text = array ? json_dumps(array, JSON_COMPACT) : NULL;
    json_decref(array);
    if (text)
        text[strlen(text) - 1] = 0;
    return text;
}

static bool read_kv(const char *line, size_t len, struct tenure_kv *kv)
{
    json_t *j = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
    size_t key_len = 0, value_len = 0;
    char *key = decoded(json_array_get(j, 0), &key_len), *value = decoded(json_array_get(j, 1), &value_len);
    const char *lease = json_string_value(json_array_get(j, 5));
    bool fine = key && value && lease;
    if (fine)
        *kv = (struct tenure_kv){.key = {key, key_len},
                                 .value = {value, value_len},
                                 .create_revision = json_integer_value(json_array_get(j, 2)),
                                 .mod_revision = json_integer_value(json_array_get(j, 3)),
                                 .version = json_integer_value(json_array_get(j, 4)),
                                 .lease = (int64_t)strtoull(lease, NULL, 16)};
    json_decref(j);
    if (!fine) {
        free(key);
        free(value);
    }
    return fine;
}

static bool is_wanted(const struct tenure_kv *kv, struct tenure_bytes prefix, bool whole_key)
{
    return (whole_key ? kv->key.len == prefix.len : kv->key.len >= prefix.len) &&
           (prefix.len == 0 || memcmp(kv->key.data, prefix.data, prefix.len) == 0);
}

int64_t cache_copy_each(const struct cache_copy *c, struct tenure_bytes prefix, bool whole_key, cache_copy_fn fn,
                        void *user)
{
    char *start = whole_key ? line_start(prefix) : NULL;
    size_t start_len = start ? strlen(start) : 0;
    int64_t n = 0;
    const char *at = (const char *)c->body.data, *end = at + c->body.len;
    while (n >= 0 && at < end) {
        const char *next = memchr(at, '\n', (size_t)(end - at));
        struct tenure_kv kv;
        next = next ? next + 1 : end;
        if ((size_t)(next - at) >= start_len && memcmp(at, start ? start : "", start_len) == 0) {
            if (!read_kv(at, (size_t)(next - at), &kv)) {
                n = -1;
                break;
            }
            if (is_wanted(&kv, prefix, whole_key)) {
                n++;
                fn(user, &kv);
            }
            free((void *)kv.key.data);
            free((void *)kv.value.data);
        }
        at = next;
    }
    free(start);
    return n;
}
