/* The file tenure.db through SQLite: made, opened and judged as to its format; the connections and statements. Used by
 * one thread at a time (the connections have no mutex of their own).
 *
 * Format version 1: 4096-byte pages, kept so that free ones can be given back (a file from before that is read and written
 * alike, but does not get smaller), two tables. `log` has a row per record, `meta` one row about what compaction
 * deleted; see row.h for their checksums. */
#ifndef BACKEND_DB_H
#define BACKEND_DB_H

#include <sqlite3.h>

#include "backend/backend.h"
#include "backend/dir.h"
#include "backend/row.h"
#include "backend/vfs.h"

#define DB_FILE     "tenure.db"
#define DB_FILE_WAL DB_FILE "-wal"
#define DB_FILE_NEW DB_FILE ".new" /* being made: it gets its name once it is whole */
enum { DB_PAGE_SIZE = 4096, DB_FRAME_SIZE = 24 + DB_PAGE_SIZE, DB_WAL_HEADER = 32, DB_FORMAT_VERSION = 1 };
#define DB_APPLICATION_ID 0x546e7265 /* "Tnre" */

enum db_statement {
    DB_BEGIN,
    DB_COMMIT,
    DB_ROLLBACK,
    DB_INSERT,
    DB_SELECT_RUN,
    DB_DELETE_RUN,
    DB_META,
    DB_PAGE_COUNT,
    DB_FREE_COUNT,
    DB_STATEMENTS
};

/* The log as the writer sees it. */
struct db {
    struct vfs *vfs;
    sqlite3 *conn;    /* the writer's */
    sqlite3 *checker; /* the checkpoint thread's */
    sqlite3_stmt *stmts[DB_STATEMENTS];
    tn_seq seq;  /* of the newest row */
    int64_t acc; /* its running sum */
    struct meta meta;
    int64_t wal_frames; /* in the WAL at the newest commit */
    bool skips;         /* sequences may be left out */
    bool no_sync;       /* tests only */
    int64_t commit_us;  /* how long the newest COMMIT took */
};

/* Opens the file in d (path names the directory for SQLite), a new one when there is none, and checks its format. The
 * state (seq, acc, meta) is filled by replay. On failure ret is as after db_close. */
int db_open(struct db *ret, const struct dir *d, const struct backend_config *config, struct tenure_error *err)
    MUST_USE;
/* checkpoint: copies the WAL back first and leaves the one file; without, the files stay as they are. */
void db_close(struct db *d, bool checkpoint);

/* Marks it as moved: a table of that name, with the successor in it. */
int db_seal(struct db *d, const char *successor, struct tenure_error *err) MUST_USE;

/* The backend's, for reader.c: what does not change after the opening may be read by any thread. */
struct backend;
struct db *backend_db(struct backend *b);
/* One more connection, to read beside the writer; it must be closed before db_close. Any thread. At most two at a time. */
int db_connect_reader(const struct db *d, sqlite3 **ret, struct tenure_error *err) MUST_USE;

/* Makes the WAL file and its index in memory as large as they will normally get, so that commits need no more of either.
 * Best effort: on a full disk they grow later. */
void db_grow_wal(struct db *d, int64_t wal_bytes, int64_t index_wal_bytes);
/* Cuts what a failed or torn transaction left behind the last commit in the WAL, and what earlier rounds left there. */
void db_cut_wal(struct db *d);

/* Free pages in the file; -1 when it cannot be told now. */
int64_t db_free_pages(struct db *d);
/* Bytes of the database in use, without free pages; -1 when it cannot be told now. */
int64_t db_size_in_use(struct db *d);

#endif
