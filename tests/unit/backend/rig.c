/* cmocka's assertions are used here: a rig that cannot work fails the test that uses it. */
#include "rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void on_done(void *user)
{
    struct rig *r = user;
    pthread_mutex_lock(&r->mutex);
    r->done++;
    pthread_cond_signal(&r->cond);
    pthread_mutex_unlock(&r->mutex);
}

void rig_init(struct rig *r, const char *parent)
{
    *r = (struct rig){.value_max = 100};
    if (!parent)
        parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(r->dir, sizeof r->dir, "%s/tenure-log-XXXXXX", parent);
    assert_non_null(mkdtemp(r->dir));
    pthread_mutex_init(&r->mutex, NULL);
    pthread_cond_init(&r->cond, NULL);
    r->config = (struct backend_config){.on_done = on_done, .user = r};
}

static void remove_files(const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        (void)unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
}

void rig_fini(struct rig *r)
{
    rig_close(r);
    remove_files(r->dir);
    rmdir(r->dir);
    free(r->seen);
    pthread_mutex_destroy(&r->mutex);
    pthread_cond_destroy(&r->cond);
}

/* ---- rows ---- */

static uint64_t scramble(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

struct record rig_row(tn_seq seq, size_t value_max, uint8_t *buf)
{
    uint64_t x = scramble((uint64_t)seq);
    int key_len = snprintf((char *)buf, 32, "key/%llu", (unsigned long long)(x % 97));
    uint8_t *value = buf + 32;
    size_t value_len = value_max ? x % (value_max + 1) : 0;
    for (size_t i = 0; i < value_len; i++)
        value[i] = (uint8_t)(x + i * 7);
    return (struct record){
        .seq = seq,
        .kind = (enum record_kind)(1 + x % 4),
        .tombstone = x % 3 == 0,
        .last_of_command = true,
        .main = seq + 1,
        .sub = (int64_t)(x % 5),
        .key = bytes_of(buf, (size_t)key_len),
        .value = bytes_of(value, value_len),
        .create_revision = (tn_rev)(x % 1000),
        .version = (int64_t)(x % 77),
        .lease = (tn_lease)x, /* any bit pattern */
    };
}

static bool same_row(const struct record *a, const struct record *b)
{
    return a->seq == b->seq && a->kind == b->kind && a->tombstone == b->tombstone &&
           a->last_of_command == b->last_of_command && a->main == b->main && a->sub == b->sub &&
           bytes_equal(a->key, b->key) && bytes_equal(a->value, b->value) && a->create_revision == b->create_revision &&
           a->version == b->version && a->lease == b->lease;
}

static void see(struct rig *r, tn_seq seq)
{
    if ((size_t)seq >= r->seen_cap) {
        size_t cap = (size_t)seq * 2 + 64;
        r->seen = realloc(r->seen, cap * sizeof *r->seen);
        assert_non_null(r->seen);
        memset(r->seen + r->seen_cap, 0, (cap - r->seen_cap) * sizeof *r->seen);
        r->seen_cap = cap;
    }
    r->seen[seq] = true;
}

static int on_record(void *user, const struct record *row)
{
    struct rig *r = user;
    uint8_t *buf = malloc(r->value_max + 64);
    assert_non_null(buf);
    struct record expected = rig_row(row->seq, r->value_max, buf);
    r->wrong |= !same_row(row, &expected);
    free(buf);
    see(r, row->seq);
    r->first = r->first ? r->first : row->seq;
    r->last = row->seq;
    r->replayed++;
    return 0;
}

bool rig_saw(const struct rig *r, tn_seq seq)
{
    return seq > 0 && (size_t)seq < r->seen_cap && r->seen[seq];
}

/* ---- life ---- */

int rig_open(struct rig *r)
{
    assert_null(r->b);
    r->config.dir = r->dir;
    r->replayed = 0;
    r->first = r->last = 0;
    r->wrong = false;
    r->error = (struct tenure_error){0};
    if (r->seen)
        memset(r->seen, 0, r->seen_cap * sizeof *r->seen);
    int code = backend_open(&r->config, &r->b, &r->error);
    if (code) {
        r->b = NULL;
        return code;
    }
    code = backend_replay(r->b, on_record, r, &r->error);
    if (code)
        rig_close(r);
    else
        r->seq = backend_seq(r->b);
    return code;
}

void rig_close(struct rig *r)
{
    r->b = backend_close(r->b);
}

void rig_crash(struct rig *r)
{
    char copy[sizeof r->dir];
    char parent[sizeof r->dir];
    snprintf(parent, sizeof parent, "%s", r->dir);
    *strrchr(parent, '/') = 0;
    assert_true(snprintf(copy, sizeof copy, "%s/tenure-log-XXXXXX", parent) < (int)sizeof copy);
    assert_non_null(mkdtemp(copy));
    rig_copy(r->dir, copy);
    rig_close(r);
    remove_files(r->dir);
    rmdir(r->dir);
    snprintf(r->dir, sizeof r->dir, "%s", copy);
}

/* ---- batches ---- */

struct rows {
    struct record *rows;
    uint8_t *bufs;
};

static struct rows make_rows(const struct rig *r, size_t n)
{
    struct rows rows = {calloc(n + 1, sizeof *rows.rows), calloc(n + 1, r->value_max + 64)};
    assert_true(rows.rows && rows.bufs);
    for (size_t i = 0; i < n; i++)
        rows.rows[i] = rig_row(r->seq + 1 + (tn_seq)i, r->value_max, rows.bufs + i * (r->value_max + 64));
    return rows;
}

static void wait_done(struct rig *r, struct backend_result *ret)
{
    pthread_mutex_lock(&r->mutex);
    while (r->done == 0)
        pthread_cond_wait(&r->cond, &r->mutex);
    r->done--;
    pthread_mutex_unlock(&r->mutex);
    assert_true(backend_take(r->b, ret));
}

struct backend_result rig_try(struct rig *r, size_t n_rows, const tn_seq *deletes, size_t n_deletes, bool now)
{
    struct rows rows = make_rows(r, n_rows);
    struct backend_batch batch = {rows.rows, n_rows, deletes, n_deletes};
    struct backend_result result = {0};
    assert_true(backend_idle(r->b));
    if (now) {
        backend_commit_now(r->b, &batch, &result);
    } else {
        backend_submit(r->b, &batch);
        wait_done(r, &result);
    }
    if (result.outcome == BACKEND_APPLIED) {
        assert_int_equal(result.seq, r->seq + (tn_seq)n_rows);
        r->seq += (tn_seq)n_rows;
    }
    free(rows.rows);
    free(rows.bufs);
    return result;
}

static void must_apply(struct backend_result result)
{
    if (result.outcome != BACKEND_APPLIED)
        fail_msg("not applied: %s", result.error.text);
}

void rig_append(struct rig *r, size_t n)
{
    must_apply(rig_try(r, n, NULL, 0, false));
}

void rig_append_now(struct rig *r, size_t n)
{
    must_apply(rig_try(r, n, NULL, 0, true));
}

void rig_delete(struct rig *r, const tn_seq *seqs, size_t n)
{
    must_apply(rig_try(r, 0, seqs, n, false));
}

/* ---- files ---- */

void rig_path(const struct rig *r, const char *name, char *out, size_t size)
{
    assert_true(snprintf(out, size, "%s/%s", r->dir, name) < (int)size);
}

static uint8_t *read_file(const char *path, size_t *ret_len)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    size_t len = (size_t)ftell(f);
    rewind(f);
    uint8_t *data = malloc(len + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, len, f), len);
    fclose(f);
    *ret_len = len;
    return data;
}

static void write_file(const char *path, const void *data, size_t len)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

uint8_t *rig_read(const struct rig *r, const char *name, size_t *ret_len)
{
    char path[512];
    rig_path(r, name, path, sizeof path);
    return read_file(path, ret_len);
}

void rig_write(const struct rig *r, const char *name, const void *data, size_t len)
{
    char path[512];
    rig_path(r, name, path, sizeof path);
    write_file(path, data, len);
}

bool rig_has(const struct rig *r, const char *name)
{
    char path[512];
    rig_path(r, name, path, sizeof path);
    return access(path, F_OK) == 0;
}

void rig_remove(const struct rig *r, const char *name)
{
    char path[512];
    rig_path(r, name, path, sizeof path);
    (void)unlink(path);
}

/* Opening and closing tenure.db drops this process's locks on it: harmless here, where nobody else opens it meanwhile. */
void rig_copy(const char *from, const char *to)
{
    DIR *d = opendir(from);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        char source[1024], target[1024];
        snprintf(source, sizeof source, "%s/%s", from, e->d_name);
        snprintf(target, sizeof target, "%s/%s", to, e->d_name);
        size_t len = 0;
        uint8_t *data = e->d_type == DT_REG ? read_file(source, &len) : NULL;
        if (data)
            write_file(target, data, len);
        free(data);
    }
    closedir(d);
}

void rig_sql(const struct rig *r, const char *sql)
{
    char path[512];
    rig_path(r, "tenure.db", path, sizeof path);
    sqlite3 *conn = NULL;
    assert_int_equal(sqlite3_open(path, &conn), SQLITE_OK);
    char *error = NULL;
    if (sqlite3_exec(conn, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", sql, error);
    sqlite3_close(conn);
}
