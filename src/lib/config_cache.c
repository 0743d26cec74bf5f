/* See config_cache.h. The copy is written by a thread of its own, one at a time; a newer one takes the place of one that waits. It
 * takes the place of the one before as a whole. */
#include "lib/config_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/crc32c.h"
#include "io/atomic_file.h"
#include "io/work.h"
#include "lib/config_text.h"

#define MAGIC "tenure-config 1 "

enum { FILE_BYTES_MAX = 256 * 1024 * 1024 };

/* ---- the text ---- */

static void put_hex(struct buf *b, bytes s)
{
    buf_printf(b, "{\"hex\":\"");
    for (size_t i = 0; i < s.len; i++)
        buf_printf(b, "%02x", s.data[i]);
    buf_printf(b, "\"}");
}

static void put_run(struct buf *b, const struct config_run *r, bool *first)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct kv *kv = r->kvs[i];
        bytes key = bytes_of(kv->key.data + r->skip, kv->key.len - r->skip);
        if (!config_key_is_valid(key) || !config_is_text(key))
            continue;
        buf_printf(b, "%s\n[%d,", *first ? "" : ",", (int)r->layer);
        *first = false;
        config_put_string(b, key);
        buf_append_byte(b, ',');
        if (config_is_text(kv->value))
            config_put_string(b, kv->value);
        else
            put_hex(b, kv->value);
        buf_printf(b, ",%" PRId64 "]", kv->mod_revision);
    }
}

char *config_cache_write(const char *view, int64_t revision, int64_t written_ms, const struct config_run *runs,
                         size_t n_runs)
{
    struct buf body, text;
    bool first = true;
    buf_init(&body);
    buf_init(&text);
    buf_printf(&body, "{\"view\":");
    config_put_string(&body, bytes_str(view));
    buf_printf(&body, ",\"revision\":%" PRId64 ",\"written\":%" PRId64 ",\"values\":[", revision, written_ms);
    for (size_t i = 0; i < n_runs; i++)
        put_run(&body, &runs[i], &first);
    buf_printf(&body, "]}\n");
    buf_printf(&text, MAGIC "%08" PRIx32 " %zu\n", crc32c(0, body.data, body.len), body.len);
    buf_append_bytes(&text, buf_bytes(&body));
    buf_append_byte(&text, 0);
    bool bad = buf_error(&body) || buf_error(&text);
    buf_fini(&body);
    if (bad)
        buf_fini(&text);
    return bad ? NULL : (char *)text.data;
}

/* ---- and back ---- */

static int damaged(struct tenure_error *err)
{
    return error_set(err, TENURE_ECORRUPT, "config: the copy on disk is damaged, or of another view");
}

/* The JSON behind the first line; len 0 = it is not whole. */
static bytes body_of(bytes text)
{
    uint32_t crc;
    size_t len;
    int at = 0;
    const uint8_t *end = text.len > 0 ? memchr(text.data, '\n', text.len) : NULL;
    char line[80];
    if (!end || (size_t)(end - text.data) >= sizeof line)
        return bytes_of(NULL, 0);
    memcpy(line, text.data, (size_t)(end - text.data));
    line[end - text.data] = 0;
    if (sscanf(line, MAGIC "%8" SCNx32 " %zu%n", &crc, &len, &at) != 2 || line[at])
        return bytes_of(NULL, 0);
    bytes body = bytes_of(end + 1, text.len - (size_t)(end + 1 - text.data));
    return body.len == len && crc32c(0, body.data, len) == crc ? body : bytes_of(NULL, 0);
}

struct copy {
    struct arena arena;
    struct kv *kvs;        /* of all layers */
    const struct kv **ptr; /* of one layer behind the other */
    struct config_run runs[TENURE_CONFIG_LAYERS];
};

static bool read_value(const json_t *j, struct arena *a, bytes *ret)
{
    const char *hex = json_string_value(json_object_get(j, "hex"));
    if (json_is_string(j)) {
        *ret = bytes_of(json_string_value(j), json_string_length(j));
        return true;
    }
    size_t n = hex ? strlen(hex) / 2 : 0;
    uint8_t *out = hex ? arena_alloc(a, n + 1) : NULL;
    for (size_t i = 0; out && i < n; i++) {
        unsigned byte;
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
            return false;
        out[i] = (uint8_t)byte;
    }
    *ret = bytes_of(out, n);
    return out != NULL;
}

static int by_key(const void *a, const void *b)
{
    return bytes_compare((*(const struct kv *const *)a)->key, (*(const struct kv *const *)b)->key);
}

static bool fill(struct copy *c, const json_t *values)
{
    size_t n = json_array_size(values), at = 0;
    c->kvs = calloc(n + 1, sizeof *c->kvs);
    c->ptr = calloc(n + 1, sizeof(struct kv *));
    for (int l = 0; c->kvs && c->ptr && l < TENURE_CONFIG_LAYERS; l++) {
        struct config_run *run = &c->runs[l];
        *run = (struct config_run){.layer = (enum tenure_config_layer)l, .kvs = c->ptr + at};
        for (size_t i = 0; i < n; i++) {
            const json_t *v = json_array_get(values, i), *key = json_array_get(v, 1);
            struct kv *kv = &c->kvs[at];
            if (json_integer_value(json_array_get(v, 0)) != l)
                continue;
            if (!json_is_string(key) || !read_value(json_array_get(v, 2), &c->arena, &kv->value))
                return false;
            kv->key = bytes_of(json_string_value(key), json_string_length(key));
            kv->mod_revision = json_integer_value(json_array_get(v, 3));
            c->ptr[at++] = kv;
            run->n++;
        }
        if (run->n > 0)
            qsort(c->ptr + at - run->n, run->n, sizeof(struct kv *), by_key);
    }
    return c->kvs && c->ptr && at == n;
}

int config_cache_read(bytes text, const char *view, const struct config_seal *seal, struct tenure_config_list **ret,
                      int64_t *ret_written_ms, struct tenure_error *err)
{
    bytes body = body_of(text);
    json_t *j = body.len ? json_loadb((const char *)body.data, body.len, 0, NULL) : NULL;
    const char *of = json_string_value(json_object_get(j, "view"));
    struct copy c = {.kvs = NULL};
    int rc = 0;
    arena_init(&c.arena, 0);
    if (!of || strcmp(of, view) != 0 || !fill(&c, json_object_get(j, "values")))
        rc = damaged(err);
    if (rc == 0) {
        *ret_written_ms = json_integer_value(json_object_get(j, "written"));
        *ret = config_list_merge(NULL, json_integer_value(json_object_get(j, "revision")), c.runs, TENURE_CONFIG_LAYERS,
                                 seal);
        rc = *ret ? 0 : error_set(err, TENURE_ENOMEM, "config: out of memory");
    }
    free(c.kvs);
    free(c.ptr);
    arena_fini(&c.arena);
    json_decref(j);
    return rc;
}

/* ---- the file ---- */

static int replace(const char *path, const char *text, struct tenure_error *err)
{
    struct atomic_file f;
    int rc = atomic_file_begin(&f, path, ATOMIC_FILE_PRIVATE, bytes_str(text), err);
    rc = rc ? rc : atomic_file_commit(&f, err);
    atomic_file_fini(&f);
    return rc;
}

static int read_file(const char *path, char **ret, size_t *ret_len, struct tenure_error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_errno(err, errno, "%.150s", path);
    char *text = NULL;
    size_t len = 0, size = 0;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= 0 && st.st_size <= FILE_BYTES_MAX) {
        size = (size_t)st.st_size;
        text = malloc(size + 1);
    }
    ssize_t n = 1;
    while (text && len < size && n > 0) {
        n = read(fd, text + len, size - len);
        len += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    if (!text)
        return error_set(err, TENURE_ECORRUPT, "%.150s: no file that is a copy", path);
    *ret = text;
    *ret_len = len;
    return 0;
}

/* ---- of a view ---- */

struct config_saving {
    char *text, *path;
    int rc;
    struct tenure_error err;
};

static void complain(tenure_config *v, const char *what, const struct tenure_error *err)
{
    tenure_client *c = v->object.handle;
    struct log log = {.sink = c->log ? handle_log_sink : NULL, .user = c};
    log_write(&log, LOG_WARN, what, "file=%s error=\"%s\"", v->o.cache_file, err->text);
}

static struct config_saving *saving_free(struct config_saving *s)
{
    if (s) {
        free(s->text);
        free(s->path);
    }
    free(s);
    return NULL;
}

static void run(void *user)
{
    struct config_saving *s = user;
    s->rc = replace(s->path, s->text, &s->err);
}

static void begin(tenure_config *v);

static void saved(tenure_config *v)
{
    if (v->saving->rc)
        complain(v, "config: the last-known-good copy was not written", &v->saving->err);
    v->saving = saving_free(v->saving);
}

static void done(void *user)
{
    tenure_config *v = user;
    v->work = NULL;
    saved(v);
    begin(v);
}

static void run_of(void *user)
{
    run(((tenure_config *)user)->saving);
}

static void begin(tenure_config *v)
{
    struct tenure_error err;
    tenure_client *c = v->object.handle;
    if (v->saving || !v->next_saving)
        return;
    v->saving = v->next_saving;
    v->next_saving = NULL;
    if (!c->kit && io_work_start(c->loop, run_of, done, v, &v->work, &err) == 0)
        return;
    run(v->saving);
    saved(v);
}

void config_cache_save(tenure_config *v, const struct config_run *runs, size_t n_runs, int64_t revision)
{
    struct tenure_error err;
    if (!v->o.cache_file)
        return;
    struct config_saving *s = calloc(1, sizeof *s);
    if (s) {
        s->text = config_cache_write(v->view, revision, handle_wall_ms(v->object.handle), runs, n_runs);
        s->path = strdup(v->o.cache_file);
    }
    if (!s || !s->text || !s->path) {
        saving_free(s);
        error_set(&err, TENURE_ENOMEM, "out of memory");
        complain(v, "config: the last-known-good copy was not written", &err);
        return;
    }
    saving_free(v->next_saving);
    v->next_saving = s;
    begin(v);
}

void config_cache_end(tenure_config *v)
{
    if (v->work)
        v->work = io_work_join(v->work);
    if (v->saving)
        saved(v);
    if (v->next_saving) {
        v->saving = v->next_saving;
        v->next_saving = NULL;
        run(v->saving);
        saved(v);
    }
}

void config_cache_take(tenure_config *v)
{
    struct tenure_error err;
    struct tenure_config_list *list = NULL;
    char *text = NULL;
    size_t len = 0;
    int64_t written_ms = 0;
    int rc = read_file(v->o.cache_file, &text, &len, &err);
    rc = rc ? rc : config_cache_read(bytes_of(text, len), v->view, v->seal, &list, &written_ms, &err);
    free(text);
    if (rc) {
        complain(v, "config: there is no last-known-good copy", &err);
        return;
    }
    pthread_mutex_lock(&v->mutex);
    v->written_ms = written_ms;
    pthread_mutex_unlock(&v->mutex);
    config_adopt(v, list, TENURE_CONFIG_LAST_KNOWN_GOOD);
}
