/* One connection to PostgreSQL on which nothing waits without end. One thread at a time.
 *
 * libpq's own calls wait as long as the server lets them. Here each statement has a deadline, the server's side has its own
 * (statement_timeout and others, set with the connection), and a connection whose state is not known any more is closed: the next
 * statement makes a new one.
 */
#ifndef LEDGER_PG_H
#define LEDGER_PG_H

#include <stdint.h>

#include <libpq-fe.h>

struct pg {
    const char *conninfo; /* borrowed */
    const char *name;     /* shown in pg_stat_activity; borrowed */
    PGconn *conn;         /* NULL: connects with the next statement */
};

enum pg_outcome {
    PG_DONE,
    PG_FENCED,  /* SQLSTATE TF001: a greater token was there; nothing of this transaction was or will be written */
    PG_REFUSED, /* another error of the server's; the same holds */
    PG_GONE     /* the connection was lost or the deadline passed: what was asked for may have been done */
};

/* Milliseconds of CLOCK_BOOTTIME, by which all deadlines here go: it counts a suspended machine, as leases do. */
int64_t now_ms(void);

/* Runs a statement, with n texts for $1 … $n; returns by until_ms at the latest, or shortly behind. ret (may be NULL): the rows,
 * the caller's, where it is PG_DONE. Logs what is neither done nor fenced. */
enum pg_outcome pg_run(struct pg *pg, int64_t until_ms, const char *sql, int n, const char *const *values,
                       PGresult **ret);
void pg_close(struct pg *pg);

#endif
