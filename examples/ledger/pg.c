#include "pg.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "say.h"

/* In the server: a writer that stands still in the middle of a transaction holds the row of the fence, and with it its successor,
 * for 2 s at most. Not longer than the deadlines here, and much shorter than a lease. */
#define SERVER_OPTIONS "-c statement_timeout=4s -c lock_timeout=3s -c idle_in_transaction_session_timeout=2s"

int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* 0, or -1 when the deadline passed before the socket was ready. */
static int await_socket(struct pg *pg, short events, int64_t until_ms)
{
    struct pollfd fd = {.fd = PQsocket(pg->conn), .events = events};
    int64_t left = until_ms - now_ms();
    return left > 0 && poll(&fd, 1, (int)left) > 0 ? 0 : -1;
}

static enum pg_outcome gone(struct pg *pg, const char *what)
{
    const char *text = PQerrorMessage(pg->conn);
    say("database %s: %.*s", what, (int)strcspn(text, "\n"), *text ? text : "deadline exceeded");
    pg_close(pg);
    return PG_GONE;
}

static enum pg_outcome connect_until(struct pg *pg, int64_t until_ms)
{
    const char *const words[] = {"dbname", "application_name", "options", "connect_timeout", NULL};
    const char *const values[] = {pg->conninfo, pg->name, SERVER_OPTIONS, "3", NULL};
    pg->conn = PQconnectStartParams(words, values, /* expand_dbname= */ 1);
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (PQstatus(pg->conn) != CONNECTION_BAD && status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED) {
        if (await_socket(pg, status == PGRES_POLLING_READING ? POLLIN : POLLOUT, until_ms) < 0)
            break;
        status = PQconnectPoll(pg->conn);
    }
    return status == PGRES_POLLING_OK ? PG_DONE : gone(pg, "connect");
}

/* The last result of what was sent; NULL: the connection is of no use any more. */
static PGresult *await_result(struct pg *pg, int64_t until_ms)
{
    PGresult *last = NULL;
    for (;;) {
        while (PQisBusy(pg->conn))
            if (await_socket(pg, POLLIN, until_ms) < 0 || !PQconsumeInput(pg->conn))
                return PQclear(last), NULL;
        PGresult *next = PQgetResult(pg->conn);
        if (!next)
            return last;
        PQclear(last);
        last = next;
    }
}

static enum pg_outcome judge(struct pg *pg, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return PG_DONE;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (PQstatus(pg->conn) != CONNECTION_OK || !state || !severity || strcmp(severity, "ERROR") != 0)
        return gone(pg,
                    "statement"); /* FATAL: the server ended the connection, and perhaps not before it had committed */
    if (strcmp(state, "TF001") == 0)
        return PG_FENCED;
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    say("database refuses: %s (%s)", text ? text : "?", state);
    return PG_REFUSED;
}

enum pg_outcome pg_run(struct pg *pg, int64_t until_ms, const char *sql, int n, const char *const *values,
                       PGresult **ret)
{
    if (!pg->conn && connect_until(pg, until_ms) != PG_DONE)
        return PG_GONE;
    if (!PQsendQueryParams(pg->conn, sql, n, NULL, values, NULL, NULL, 0))
        return gone(pg, "statement");
    PGresult *result = await_result(pg, until_ms);
    enum pg_outcome outcome = result ? judge(pg, result) : gone(pg, "statement");
    if (outcome == PG_DONE && ret)
        *ret = result;
    else
        PQclear(result);
    return outcome;
}

void pg_close(struct pg *pg)
{
    PQfinish(pg->conn);
    pg->conn = NULL;
}
