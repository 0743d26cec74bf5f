/* Happy path of a new log: built under another name, closed, synced and renamed, so that tenure.db is whole or absent.
 * Happy path of an old one: the WAL is looked through, SQLite opens it, application id, format version, page size and the
 * two tables are exactly ours.
 *
 * Nothing is written before the rows were checked: a damaged log stays as it was found. So closing does not checkpoint
 * until the replay has passed and db_close is told so.
 *
 * SQLite's POSIX locks are lost when the process closes any descriptor of the file, so nothing here opens tenure.db
 * beside SQLite. The WAL carries no locks. */
#include "backend/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/sql.h"
#include "backend/walscan.h"

static const char log_sql[] =
    "CREATE TABLE log(seq INTEGER PRIMARY KEY, kind, flags, main, sub, create_revision, version, "
    "lease, key, value, crc, acc)";
static const char meta_sql[] = "CREATE TABLE meta(id INTEGER PRIMARY KEY, deleted_count, deleted_sum, deleted_acc, "
                               "deleted_max, last_seq, last_acc, crc)";

/* Only in a log whose data went elsewhere. */
static const char sealed_sql[] = "CREATE TABLE sealed(successor)";

static const char *const statement_sql[DB_STATEMENTS] = {
    [DB_BEGIN] = "BEGIN IMMEDIATE",
    [DB_COMMIT] = "COMMIT",
    [DB_ROLLBACK] = "ROLLBACK",
    [DB_INSERT] = "INSERT INTO log VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)",
    [DB_SELECT_RUN] = "SELECT seq, crc FROM log WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq",
    [DB_DELETE_RUN] = "DELETE FROM log WHERE seq BETWEEN ?1 AND ?2",
    [DB_META] = ("UPDATE meta SET deleted_count=?1, deleted_sum=?2, deleted_acc=?3, deleted_max=?4, last_seq=?5, "
                 "last_acc=?6, crc=?7 WHERE id=1"),
    [DB_PAGE_COUNT] = "PRAGMA page_count",
    [DB_FREE_COUNT] = "PRAGMA freelist_count",
};

/* Our two connections may meet for a moment; longer than this and the batch is answered as not applied. */
enum { BUSY_MS = 1000 };

static int connect(const char *path, const char *vfs, int flags, sqlite3 **ret, struct tenure_error *err)
{
    int rc = sqlite3_open_v2(path, ret, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | flags, vfs);
    if (rc != SQLITE_OK)
        return sql_error(err, *ret, rc, path);
    sqlite3_extended_result_codes(*ret, 1);
    sqlite3_busy_timeout(*ret, BUSY_MS);
    sqlite3_db_config(*ret, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_db_config(*ret, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(*ret, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return 0;
}

/* ---- a new log ---- */

static int fill_new(sqlite3 *conn, struct tenure_error *err)
{
    struct meta none = {0};
    char sql[1024];
    snprintf(
        sql, sizeof sql,
        "PRAGMA page_size=%d; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; BEGIN; PRAGMA application_id=%d; PRAGMA user_version=%d;"
        "%s; %s; INSERT INTO meta VALUES(1,0,0,0,0,0,0,%lld); COMMIT; PRAGMA wal_checkpoint(TRUNCATE)",
        (int)DB_PAGE_SIZE, DB_APPLICATION_ID, (int)DB_FORMAT_VERSION, log_sql, meta_sql, (long long)meta_crc(&none));
    return sql_exec(conn, DB_FILE, sql, err);
}

/* One sync at the end: until then the file counts for nothing. */
static int seal_new(const struct dir *d, struct tenure_error *err)
{
    int fd = openat(d->fd, DB_FILE_NEW, O_RDWR | O_CLOEXEC);
    bool sealed = fd >= 0 && fchmod(fd, 0600) == 0 && fsync(fd) == 0 && /* the WAL gets the same mode */
                  renameat(d->fd, DB_FILE_NEW, d->fd, DB_FILE) == 0;
    int code = sealed ? 0 : error_errno(err, errno, DB_FILE);
    if (fd >= 0)
        close(fd);
    return code;
}

static void remove_leftovers(const struct dir *d)
{
    static const char *const names[] = {DB_FILE_NEW, DB_FILE_NEW "-wal", DB_FILE_NEW "-journal"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        (void)unlinkat(d->fd, names[i], 0);
}

static int create(const struct dir *d, const char *path_new, const char *vfs, struct tenure_error *err)
{
    if (dir_file_size(d, DB_FILE_WAL) > 0)
        return error_set(err, TENURE_ECORRUPT,
                         DB_FILE " is missing, but its " DB_FILE_WAL " is there: both are needed");
    remove_leftovers(d);
    sqlite3 *conn = NULL;
    int code = connect(path_new, vfs, SQLITE_OPEN_CREATE, &conn, err);
    if (!code)
        code = fill_new(conn, err);
    sqlite3_close(conn);
    if (!code)
        code = seal_new(d, err);
    remove_leftovers(d);
    return code ? code : dir_sync(d, err);
}

/* ---- the format of an old one ---- */

static int check_numbers(sqlite3 *conn, struct tenure_error *err)
{
    int64_t application = 0, version = 0, page_size = 0;
    int code = sql_integer(conn, DB_FILE, "PRAGMA application_id", &application, err);
    if (!code)
        code = sql_integer(conn, DB_FILE, "PRAGMA user_version", &version, err);
    if (!code)
        code = sql_integer(conn, DB_FILE, "PRAGMA page_size", &page_size, err);
    if (code)
        return code;
    if (application != DB_APPLICATION_ID)
        return error_set(err, TENURE_ECORRUPT, DB_FILE " is not a log of Tenure (application id %lld)",
                         (long long)application);
    if (version > DB_FORMAT_VERSION)
        return error_set(err, TENURE_EVERSION,
                         DB_FILE " has format version %lld, this program knows up to %d: use a newer one",
                         (long long)version, (int)DB_FORMAT_VERSION);
    /* Version 1 is the first: an older one to migrate from does not exist. */
    if (version < 1 || page_size != DB_PAGE_SIZE)
        return error_set(err, TENURE_ECORRUPT, DB_FILE ": format version %lld with pages of %lld bytes never existed",
                         (long long)version, (long long)page_size);
    return 0;
}

/* Both tables as we made them, and nothing that would act on them. ANALYZE's own tables are harmless. */
static int check_tables(sqlite3 *conn, bool *ret_sealed, struct tenure_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(conn, "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%'", -1,
                                &stmt, NULL);
    int known = 0, strange = 0, sealed = 0;
    while (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(stmt, 0);
        const char *sql = (const char *)sqlite3_column_text(stmt, 1);
        bool ours =
            name && sql &&
            ((!strcmp(name, "log") && !strcmp(sql, log_sql)) || (!strcmp(name, "meta") && !strcmp(sql, meta_sql)));
        bool seal = name && sql && !strcmp(name, "sealed") && !strcmp(sql, sealed_sql);
        known += ours;
        sealed += seal;
        strange += !ours && !seal;
    }
    if (rc == SQLITE_OK)
        rc = sqlite3_reset(stmt);
    int code = rc == SQLITE_OK ? 0 : sql_error(err, conn, rc, DB_FILE);
    sqlite3_finalize(stmt);
    if (!code && (known != 2 || strange != 0))
        return error_set(err, TENURE_ECORRUPT, DB_FILE ": its tables are not those of format version %d",
                         (int)DB_FORMAT_VERSION);
    *ret_sealed = sealed > 0;
    return code;
}

static int refuse_sealed(sqlite3 *conn, struct tenure_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(conn, "SELECT successor FROM sealed", -1, &stmt, NULL);
    const char *successor = NULL;
    if (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
        successor = (const char *)sqlite3_column_text(stmt, 0);
    bool named = successor && successor[0];
    int code =
        error_set(err, TENURE_ECONFLICT, "the data directory is sealed: its data went to %.150s, which serves it now",
                  named ? successor : "another server");
    sqlite3_finalize(stmt);
    return code;
}

int db_seal(struct db *d, const char *successor, struct tenure_error *err)
{
    char *sql =
        sqlite3_mprintf("BEGIN IMMEDIATE; DROP TABLE IF EXISTS sealed; %s; INSERT INTO sealed VALUES(%Q); COMMIT",
                        sealed_sql, successor);
    if (!sql)
        return error_set(err, TENURE_ENOMEM, DB_FILE ": out of memory");
    int code = sql_exec(d->conn, DB_FILE, sql, err);
    sqlite3_free(sql);
    return code;
}

/* ---- opening ---- */

static int on_commit(void *user, sqlite3 *conn, const char *name, int frames)
{
    struct db *d = user;
    (void)conn;
    (void)name;
    d->wal_frames = frames;
    return SQLITE_OK;
}

static int prepare(struct db *d, struct tenure_error *err)
{
    for (int i = 0; i < DB_STATEMENTS; i++) {
        int rc = sqlite3_prepare_v3(d->conn, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &d->stmts[i], NULL);
        if (rc != SQLITE_OK)
            return sql_error(err, d->conn, rc, DB_FILE);
    }
    return 0;
}

/* cache_spill=0: nothing of a transaction is in the WAL before its COMMIT. cell_size_check: a damaged page is an error,
 * not a guess. */
static int set_up(sqlite3 *conn, bool no_sync, struct tenure_error *err)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "PRAGMA synchronous=%s; PRAGMA wal_autocheckpoint=0; PRAGMA cache_spill=0; PRAGMA cell_size_check=1;"
             "PRAGMA journal_size_limit=-1",
             no_sync ? "OFF" : "FULL");
    return sql_exec(conn, DB_FILE, sql, err);
}

static int check_mode(sqlite3 *conn, struct tenure_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(conn, "PRAGMA journal_mode=WAL", -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    const char *mode = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    int code = 0;
    if (rc != SQLITE_ROW)
        code = sql_error(err, conn, rc, DB_FILE);
    else if (!mode || strcmp(mode, "wal") != 0)
        code = error_set(err, TENURE_EIO, DB_FILE ": SQLite will not use a WAL here");
    sqlite3_finalize(stmt);
    return code;
}

static int open_writer(struct db *d, const char *path, const struct backend_config *config, struct tenure_error *err)
{
    int code = connect(path, vfs_name(d->vfs), 0, &d->conn, err);
    if (!code)
        code = set_up(d->conn, config->no_sync, err);
    if (!code)
        code = check_numbers(d->conn, err);
    bool sealed = false;
    if (!code)
        code = check_tables(d->conn, &sealed, err);
    if (!code && sealed && !config->allow_sealed)
        code = refuse_sealed(d->conn, err);
    if (!code)
        code = check_mode(d->conn, err);
    if (!code)
        code = prepare(d, err);
    if (!code)
        sqlite3_wal_hook(d->conn, on_commit, d); /* behind wal_autocheckpoint=0, which would remove it */
    return code;
}

static int open_checker(struct db *d, const char *path, const struct backend_config *config, struct tenure_error *err)
{
    int code = connect(path, vfs_name(d->vfs), 0, &d->checker, err);
    if (!code)
        code = set_up(d->checker, config->no_sync, err);
    return code;
}

int db_connect_reader(const struct db *d, sqlite3 **ret, struct tenure_error *err)
{
    int code = connect(sqlite3_db_filename(d->conn, "main"), vfs_name(d->vfs), 0, ret, err);
    if (!code)
        code = sql_exec(*ret, DB_FILE, "PRAGMA query_only=1; PRAGMA cell_size_check=1", err);
    if (code) {
        sqlite3_close(*ret);
        *ret = NULL;
    }
    return code;
}

static int open_existing(struct db *d, const struct dir *dir, const char *path, const struct backend_config *config,
                         struct tenure_error *err)
{
    int code = walscan_check(dir->fd, DB_FILE_WAL, DB_PAGE_SIZE, err);
    if (!code)
        code = open_writer(d, path, config, err);
    if (code == TENURE_EBUSY)
        return error_set(err, code, "another program has %s open; end it first", path);
    if (!code)
        code = open_checker(d, path, config, err);
    return code;
}

int db_open(struct db *ret, const struct dir *d, const struct backend_config *config, struct tenure_error *err)
{
    *ret = (struct db){.no_sync = config->no_sync};
    char *path = sqlite3_mprintf("%s/" DB_FILE, config->dir);
    char *path_new = sqlite3_mprintf("%s/" DB_FILE_NEW, config->dir);
    int code = path && path_new ? 0 : error_set(err, TENURE_ENOMEM, DB_FILE ": out of memory");
    if (!code)
        code = vfs_new(config->vfs, &ret->vfs, err);
    if (!code && !dir_has(d, DB_FILE))
        code = create(d, path_new, vfs_name(ret->vfs), err);
    if (!code)
        code = open_existing(ret, d, path, config, err);
    sqlite3_free(path);
    sqlite3_free(path_new);
    if (code)
        db_close(ret, false);
    return code;
}

void db_close(struct db *d, bool checkpoint)
{
    for (int i = 0; i < DB_STATEMENTS; i++) {
        sqlite3_finalize(d->stmts[i]);
        d->stmts[i] = NULL;
    }
    sqlite3_close(d->checker);
    if (checkpoint && d->conn)
        sqlite3_db_config(d->conn, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    sqlite3_close(d->conn);
    d->conn = d->checker = NULL;
    d->vfs = vfs_free(d->vfs);
}

/* ---- the files below ---- */

static sqlite3_file *file_of(struct db *d, int which)
{
    sqlite3_file *file = NULL;
    int rc = sqlite3_file_control(d->conn, "main", which, &file);
    return rc == SQLITE_OK && file && file->pMethods ? file : NULL;
}

static void grow_file(sqlite3_file *wal, int64_t bytes)
{
    enum { STEP = 64 * 1024 }; /* SQLite writes less than 128 KiB a call */
    sqlite3_int64 size = 0;
    void *zeros = sqlite3_malloc(STEP);
    if (!zeros || wal->pMethods->xFileSize(wal, &size) != SQLITE_OK || size >= bytes) {
        sqlite3_free(zeros);
        return;
    }
    memset(zeros, 0, STEP);
    int rc = SQLITE_OK;
    for (sqlite3_int64 at = size; rc == SQLITE_OK && at < bytes; at += STEP)
        rc = wal->pMethods->xWrite(wal, zeros, (int)(bytes - at < STEP ? bytes - at : STEP), at);
    if (rc == SQLITE_OK)
        rc = wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL);
    if (rc != SQLITE_OK)
        (void)wal->pMethods->xTruncate(wal, size);
    sqlite3_free(zeros);
}

/* Regions of the index as https://www.sqlite.org/walformat.html has them: 32 KiB, the first for 4062 frames, the others
 * for 4096 each. */
static void grow_index(sqlite3_file *file, int64_t frames)
{
    enum { REGION = 32 * 1024, FRAMES_FIRST = 4062, FRAMES_MORE = 4096 };
    int regions = frames <= FRAMES_FIRST ? 1 : 2 + (int)((frames - FRAMES_FIRST) / FRAMES_MORE);
    void volatile *region;
    for (int i = 0; i < regions; i++) {
        if (!file->pMethods->xShmMap || file->pMethods->xShmMap(file, i, REGION, 1, &region) != SQLITE_OK)
            return;
    }
}

void db_grow_wal(struct db *d, int64_t wal_bytes, int64_t index_wal_bytes)
{
    sqlite3_file *wal = file_of(d, SQLITE_FCNTL_JOURNAL_POINTER);
    sqlite3_file *file = file_of(d, SQLITE_FCNTL_FILE_POINTER);
    if (wal)
        grow_file(wal, wal_bytes);
    if (file)
        grow_index(file, index_wal_bytes / DB_FRAME_SIZE);
}

/* How many committed frames the WAL has, from the header of SQLite's index ("mxFrame", offset 16). */
static bool committed_frames(sqlite3_file *file, uint32_t *ret)
{
    void volatile *region = NULL;
    if (!file->pMethods->xShmMap || file->pMethods->xShmMap(file, 0, 32 * 1024, 0, &region) != SQLITE_OK || !region)
        return false;
    *ret = ((const volatile uint32_t *)region)[4];
    return true;
}

void db_cut_wal(struct db *d)
{
    sqlite3_file *wal = file_of(d, SQLITE_FCNTL_JOURNAL_POINTER);
    sqlite3_file *file = file_of(d, SQLITE_FCNTL_FILE_POINTER);
    sqlite3_int64 size = 0;
    uint32_t frames = 0;
    if (!wal || !file || !committed_frames(file, &frames) || wal->pMethods->xFileSize(wal, &size) != SQLITE_OK)
        return;
    sqlite3_int64 keep = DB_WAL_HEADER + (sqlite3_int64)frames * DB_FRAME_SIZE;
    if (size > keep)
        (void)wal->pMethods->xTruncate(wal, keep);
}

static int64_t pragma_value(sqlite3_stmt *stmt)
{
    int64_t value = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : -1;
    return sqlite3_reset(stmt) == SQLITE_OK ? value : -1;
}

int64_t db_free_pages(struct db *d)
{
    return pragma_value(d->stmts[DB_FREE_COUNT]);
}

int64_t db_size_in_use(struct db *d)
{
    int64_t pages = pragma_value(d->stmts[DB_PAGE_COUNT]);
    int64_t unused = pragma_value(d->stmts[DB_FREE_COUNT]);
    return pages < 0 || unused < 0 ? -1 : (pages - unused) * DB_PAGE_SIZE;
}
