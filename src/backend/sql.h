/* SQLite's errors as ours, and the few calls that every user of it repeats. Any thread that holds the connection. */
#ifndef BACKEND_SQL_H
#define BACKEND_SQL_H

#include <sqlite3.h>

#include "base/error.h"
#include "base/types.h"

/* The TENURE_E… code for an extended result code. */
int sql_code(int rc);
/* Sets err from the connection's newest error, the text begun by what. conn may be NULL (out of memory at open). */
int sql_error(struct tenure_error *err, sqlite3 *conn, int rc, const char *what);

/* Whether a write was cut short for want of room: the disk, a quota, or a limit on the size of files. Not: room wanting
 * in a sync, where a transaction may stand already. */
bool sql_is_full(sqlite3 *conn, int rc);

/* Runs statements without a result; what begins the text of an error. */
int sql_exec(sqlite3 *conn, const char *what, const char *sql, struct tenure_error *err) MUST_USE;
/* The integer that a query answers in its first row and column; TENURE_ECORRUPT when there is none. */
int sql_integer(sqlite3 *conn, const char *what, const char *sql, int64_t *ret, struct tenure_error *err) MUST_USE;
/* Steps a statement without a result and resets it; an SQLite result code, SQLITE_OK when done. */
int sql_run(sqlite3_stmt *stmt) MUST_USE;

#endif
