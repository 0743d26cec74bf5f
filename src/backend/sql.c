/* The text of an error names what was done, what SQLite says, and the errno below it where there is one. */
#include "backend/sql.h"

#include <errno.h>
#include <string.h>

int sql_code(int rc)
{
    if (rc == SQLITE_IOERR_NOMEM)
        return TENURE_ENOMEM;
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return 0;
    case SQLITE_FULL:
        return TENURE_ENOSPACE;
    case SQLITE_NOMEM:
        return TENURE_ENOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_CONSTRAINT: /* a row with the next sequence is there already */
    case SQLITE_ERROR:      /* our statements are right, so the tables they are for are not */
    case SQLITE_MISMATCH:
        return TENURE_ECORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return TENURE_EBUSY;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return TENURE_EDENIED;
    case SQLITE_TOOBIG:
        return TENURE_ETOOLARGE;
    default:
        return TENURE_EIO;
    }
}

int sql_error(struct tenure_error *err, sqlite3 *conn, int rc, const char *what)
{
    const char *says = conn ? sqlite3_errmsg(conn) : sqlite3_errstr(rc);
    bool system = (rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN;
    int errnum = conn && system ? sqlite3_system_errno(conn) : 0;
    if (errnum == 0)
        return error_set(err, sql_code(rc), "%s: %s (SQLite %d)", what, says, rc);
    int code = sql_is_full(conn, rc) || errnum == ENOSPC ? TENURE_ENOSPACE : sql_code(rc);
    return error_set(err, code, "%s: %s (SQLite %d, %s)", what, says, rc, strerror(errnum));
}

bool sql_is_full(sqlite3 *conn, int rc)
{
    int errnum = sqlite3_system_errno(conn);
    return (rc & 0xff) == SQLITE_FULL || (rc == SQLITE_IOERR_WRITE && (errnum == EDQUOT || errnum == EFBIG));
}

int sql_exec(sqlite3 *conn, const char *what, const char *sql, struct tenure_error *err)
{
    int rc = sqlite3_exec(conn, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : sql_error(err, conn, rc, what);
}

int sql_integer(sqlite3 *conn, const char *what, const char *sql, int64_t *ret, struct tenure_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(conn, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    int code = 0;
    if (rc == SQLITE_ROW)
        *ret = sqlite3_column_int64(stmt, 0);
    else if (rc == SQLITE_DONE)
        code = error_set(err, TENURE_ECORRUPT, "%s: no answer to %s", what, sql);
    else
        code = sql_error(err, conn, rc, what);
    sqlite3_finalize(stmt);
    return code;
}

int sql_run(sqlite3_stmt *stmt)
{
    sqlite3_step(stmt);
    return sqlite3_reset(stmt);
}
