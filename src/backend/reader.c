/* See backend.h. One statement, reset after each call: that ends its read, so the WAL can begin anew in between. */
#include <stdlib.h>

#include "backend/replay.h"
#include "backend/sql.h"

struct backend_reader {
    sqlite3 *conn;
    sqlite3_stmt *stmt;
};

static int prepare(struct backend_reader *r, struct tenure_error *err)
{
    static const char sql[] = "SELECT * FROM log WHERE seq>?1 AND seq<=?2 ORDER BY seq LIMIT ?3";
    int rc = sqlite3_prepare_v2(r->conn, sql, -1, &r->stmt, NULL);
    return rc == SQLITE_OK ? 0 : sql_error(err, r->conn, rc, DB_FILE);
}

int backend_reader_open(struct backend *b, struct backend_reader **ret, struct tenure_error *err)
{
    struct backend_reader *r = calloc(1, sizeof *r);
    if (!r)
        return error_set(err, TENURE_ENOMEM, "backend: out of memory");
    int code = db_connect_reader(backend_db(b), &r->conn, err);
    if (!code)
        code = prepare(r, err);
    if (code) {
        backend_reader_close(r);
        return code;
    }
    *ret = r;
    return 0;
}

static int64_t read_some(struct backend_reader *r, tn_seq *seq, int (*on_record)(void *user, const struct record *r),
                         void *user, struct tenure_error *err)
{
    int64_t n = 0;
    int rc;
    while ((rc = sqlite3_step(r->stmt)) == SQLITE_ROW) {
        struct record row;
        int code = replay_row(r->stmt, &row, err);
        if (!code)
            code = on_record(user, &row);
        if (code)
            return code;
        *seq = row.seq;
        n++;
    }
    return rc == SQLITE_DONE ? n : sql_error(err, r->conn, rc, DB_FILE);
}

int64_t backend_reader_next(struct backend_reader *r, tn_seq *seq, tn_seq upto, int64_t max,
                            int (*on_record)(void *user, const struct record *r), void *user, struct tenure_error *err)
{
    sqlite3_bind_int64(r->stmt, 1, *seq);
    sqlite3_bind_int64(r->stmt, 2, upto);
    sqlite3_bind_int64(r->stmt, 3, max);
    int64_t n = read_some(r, seq, on_record, user, err);
    sqlite3_reset(r->stmt);
    return n;
}

struct backend_reader *backend_reader_close(struct backend_reader *r)
{
    if (!r)
        return NULL;
    sqlite3_finalize(r->stmt);
    sqlite3_close(r->conn);
    free(r);
    return NULL;
}
