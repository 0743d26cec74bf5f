/* tenure snapshot restore: a new data directory of a snapshot.
 *
 * Made under another name, DIR.restoring; then read as a server would read it at its start, so that what comes out is known to
 * serve; named DIR only when it is whole and on the disk.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/backend.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "cli/snapshot.h"
#include "cli/snapshot_file.h"
#include "io/file.h"
#include "snapshot/import.h"
#include "store/store.h"

enum { BATCH_ROWS = 4096 };
static const size_t BATCH_BYTES = 8 << 20;

struct restore {
    char *dir; /* DIR.restoring */
    struct backend *backend;
    struct record *rows;
    size_t n, cap, bytes;
    struct snapshot_summary summary;
    struct tenure_error error;
};

/* ---- the directory ---- */

bool snapshot_dir_is_new(const char *path)
{
    DIR *d = opendir(path);
    if (!d)
        return errno == ENOENT;
    bool empty = true;
    for (struct dirent *e; empty && (e = readdir(d));)
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    closedir(d);
    return empty;
}

static int open_directory(struct restore *r, const char *dir)
{
    if (!snapshot_dir_is_new(dir))
        return error_set(&r->error, TENURE_EEXISTS, "%s is there and not empty: name a new data directory", dir);
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/')
        len--;
    if (asprintf(&r->dir, "%.*s.restoring", (int)len, dir) < 0) {
        r->dir = NULL;
        return error_set(&r->error, TENURE_ENOMEM, "out of memory");
    }
    backend_remove(r->dir); /* what a restore that was cut short has left */
    return 0;
}

static int write_mark(struct restore *r, const char *name, const char *text)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", r->dir, name) >= (int)sizeof path)
        return error_set(&r->error, TENURE_EINVALID, "%s: the name is too long", r->dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t len = (ssize_t)strlen(text);
    bool ok = fd >= 0 && write(fd, text, (size_t)len) == len && fsync(fd) == 0;
    int rc = ok ? 0 : error_errno(&r->error, errno, "%s", path);
    if (fd >= 0)
        close(fd);
    if (rc == 0 && io_sync_directory(r->dir) < 0)
        rc = error_errno(&r->error, errno, "%s", r->dir);
    return rc;
}

static int name_directory(struct restore *r, const char *dir)
{
    char up[4096];
    if (rename(r->dir, dir) < 0)
        return error_errno(&r->error, errno, "%s", dir);
    if (snprintf(up, sizeof up, "%s/..", dir) >= (int)sizeof up)
        return 0;
    bool failed = io_sync_directory(up) < 0 && errno != EACCES; /* one that only takes names is good for that */
    return failed ? error_errno(&r->error, errno, "%s", dir) : 0;
}

/* ---- rows into the log ---- */

static int write_batch(struct restore *r, struct tenure_error *err)
{
    struct backend_batch batch = {.rows = r->rows, .n_rows = r->n};
    struct backend_result result = {0};
    if (r->n == 0)
        return 0;
    backend_commit_now(r->backend, &batch, &result);
    r->n = r->bytes = 0;
    if (result.outcome == BACKEND_APPLIED)
        return 0;
    *err = result.error;
    return err->code;
}

/* The bytes of a row are the file's, which stays. */
static int on_row(void *user, const struct record *row, struct tenure_error *err)
{
    struct restore *r = user;
    if (r->n == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : BATCH_ROWS;
        struct record *rows = realloc(r->rows, cap * sizeof *rows);
        if (!rows)
            return error_set(err, TENURE_ENOMEM, "out of memory");
        r->rows = rows;
        r->cap = cap;
    }
    r->rows[r->n++] = *row;
    r->bytes += row->key.len + row->value.len;
    bool full = r->n >= BATCH_ROWS || r->bytes >= BATCH_BYTES;
    return full && row->last_of_command ? write_batch(r, err) : 0;
}

static int no_row(void *user, const struct record *row)
{
    struct restore *r = user;
    (void)row;
    return error_set(&r->error, TENURE_EINTERNAL, "%s was not new", r->dir);
}

static int open_log(struct restore *r)
{
    struct backend_config config = {.dir = r->dir, .ballast_bytes = -1};
    int rc = backend_open(&config, &r->backend, &r->error);
    return rc ? rc : backend_replay(r->backend, no_row, r, &r->error);
}

static int close_log(struct restore *r, int rc)
{
    if (rc == 0)
        rc = write_batch(r, &r->error);
    r->backend = backend_close(r->backend);
    return rc;
}

static int fill(struct restore *r, const struct bolt_file *file, const struct snapshot_import_options *options)
{
    int rc = bolt_check(file, &r->error);
    if (rc == 0)
        rc = open_log(r);
    if (rc == 0) {
        backend_allow_skips(r->backend);
        rc = snapshot_import(file, options, on_row, r, &r->summary, &r->error);
    }
    return close_log(r, rc);
}

static int fill_with(struct restore *r, const struct snapshot_rows *rows, const struct snapshot_import_options *ids)
{
    int rc = open_log(r);
    if (rc == 0)
        rc = rows->give(rows->user, ids->cluster_id, ids->member_id, on_row, r, &r->error);
    r->summary.revision = rows->revision;
    return close_log(r, rc);
}

/* ---- as a server reads it ---- */

struct reading {
    struct store *store;
    struct tenure_error *err;
};

static int on_record(void *user, const struct record *row)
{
    struct reading *x = user;
    return store_replay(x->store, row, x->err);
}

static int read_back(struct restore *r, bool is_copy, bool has_holes)
{
    struct reading x = {.err = &r->error};
    struct store_config config = {.member_name = "default", .follows = is_copy, .has_holes = has_holes};
    struct backend_config directory = {.dir = r->dir, .ballast_bytes = -1};
    struct rng seed;
    rng_init(&seed, 1);
    if (store_new(&config, &seed, &x.store) < 0)
        return error_set(&r->error, TENURE_ENOMEM, "out of memory");
    int rc = backend_open(&directory, &r->backend, &r->error);
    if (rc == 0)
        rc = backend_replay(r->backend, on_record, &x, &r->error);
    if (rc == 0)
        rc = store_ready(x.store, 0, &r->error);
    if (rc == 0 && store_revision(x.store) != r->summary.revision)
        rc = error_set(&r->error, TENURE_EINTERNAL, "the new directory has revision %" PRId64 ", the snapshot %" PRId64,
                       store_revision(x.store), r->summary.revision);
    r->backend = backend_close(r->backend);
    store_free(x.store);
    return rc;
}

/* ---- the command ---- */

static int draw_ids(struct snapshot_import_options *o, struct tenure_error *err)
{
    uint64_t ids[2];
    if (getrandom(ids, sizeof ids, 0) != (ssize_t)sizeof ids)
        return error_set(err, TENURE_EIO, "no random numbers from the system");
    o->cluster_id = ids[0] | 1;
    o->member_id = ids[1] | 1;
    return 0;
}

static bool options_fit(const struct snapshot_options *o)
{
    const char *wrong = NULL;
    if (!o->data_dir)
        wrong = "expected --data-dir DIR";
    else if ((o->bump > 0) != o->mark_compacted)
        wrong = "--bump-revision and --mark-compacted go together";
    else if (o->keep_revisions && o->bump > 0)
        wrong = "either --keep-revisions or --bump-revision";
    else if (o->bump == 0 || o->bump < -1)
        wrong = "--bump-revision: expected a number above 0, or --keep-revisions";
    if (wrong)
        fprintf(stderr, "tenure snapshot restore: %s\ntry: tenure snapshot --help\n", wrong);
    return !wrong;
}

static const struct output_form form = {
    .columns =
        (const struct output_column[]){{.path = "data_dir", .heading = "DIRECTORY"},
                                       {.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER},
                                       {.path = "compact_revision", .heading = "COMPACTED", .kind = OUTPUT_NUMBER},
                                       {.path = "key_revisions", .heading = "KEY REVISIONS", .kind = OUTPUT_NUMBER},
                                       {.path = "leases", .heading = "LEASES", .kind = OUTPUT_NUMBER},
                                       {0}},
};

static void say(const struct snapshot_summary *s, const struct snapshot_options *o, const struct global_options *g)
{
    if (!output_is_text(g)) {
        json_t *j = json_object();
        json_object_set_new(j, "data_dir", json_string(o->data_dir));
        json_object_set_new(j, "revision", json_integer(s->revision));
        json_object_set_new(j, "compact_revision", json_integer(s->compacted));
        json_object_set_new(j, "key_revisions", json_integer(s->rows));
        json_object_set_new(j, "leases", json_integer(s->leases));
        output_print(g, &form, j);
        return;
    }
    printf("restored into %s: revision %" PRId64 ", compacted %" PRId64 ", %" PRId64 " revisions of keys, %" PRId64
           " leases\n",
           o->data_dir, s->revision, s->compacted, s->rows, s->leases);
}

static int finish(struct restore *r, const struct snapshot_into *o, bool has_holes, int rc)
{
    if (rc == 0)
        rc = read_back(r, o->replica != NULL, has_holes);
    if (rc == 0 && o->unfinished)
        rc = write_mark(r, BACKEND_UNFINISHED, o->unfinished);
    if (rc == 0 && o->replica)
        rc = write_mark(r, BACKEND_REPLICA, o->replica);
    if (rc == 0)
        rc = name_directory(r, o->dir);
    if (rc)
        backend_remove(r->dir);
    return rc;
}

static int restore_file(struct restore *r, const struct snapshot_into *o, const char *path)
{
    struct snapshot_file file;
    struct snapshot_import_options options = {
        .member_name = bytes_str(o->name ? o->name : "default"),
        .bump = o->bump,
    };
    int rc = open_directory(r, o->dir);
    if (rc == 0)
        rc = draw_ids(&options, &r->error);
    if (rc == 0)
        rc = snapshot_file_open(&file, path, !o->skip_hash_check, &r->error);
    if (rc)
        return rc;
    rc = fill(r, &file.bolt, &options);
    snapshot_file_close(&file);
    return finish(r, o, false, rc);
}

int snapshot_rows_into(const struct snapshot_into *o, const struct snapshot_rows *rows, struct tenure_error *err)
{
    struct restore r = {0};
    struct snapshot_import_options ids = {0};
    int rc = open_directory(&r, o->dir);
    if (rc == 0)
        rc = draw_ids(&ids, &r.error);
    if (rc == 0)
        rc = finish(&r, o, true, fill_with(&r, rows, &ids));
    if (rc)
        *err = r.error;
    free(r.dir);
    free(r.rows);
    return rc;
}

int snapshot_restore_into(const struct snapshot_into *o, const char *path, struct snapshot_summary *ret,
                          struct tenure_error *err)
{
    struct restore r = {0};
    int rc = restore_file(&r, o, path);
    if (rc)
        *err = r.error;
    else
        *ret = r.summary;
    free(r.dir);
    free(r.rows);
    return rc;
}

int snapshot_restore(const struct snapshot_options *o, const struct global_options *g, const char *path)
{
    struct tenure_error err = {0};
    struct snapshot_summary summary;
    if (!options_fit(o) || !snapshot_file_is_there(path))
        return EXIT_USAGE;
    struct snapshot_into into = {
        .dir = o->data_dir,
        .name = o->name,
        .skip_hash_check = o->skip_hash_check,
        .bump = o->keep_revisions ? 0
                : o->bump > 0     ? o->bump
                                  : SNAPSHOT_BUMP,
    };
    if (snapshot_restore_into(&into, path, &summary, &err) < 0)
        return connect_failed("snapshot", g, &err);
    say(&summary, o, g);
    return EXIT_OK;
}
