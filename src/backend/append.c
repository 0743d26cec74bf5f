/* Happy path: BEGIN IMMEDIATE, the rows, the deletes with the new meta row, COMMIT (which writes the WAL's frames and
 * syncs it).
 *
 * Failure: the question is whether a commit frame can be on the disk, because such a transaction may show after a
 * restart. It is written as the last frame of COMMIT, then synced.
 * - Before COMMIT nothing is written at all (cache_spill=0).
 * - SQLITE_FULL comes from a write that was cut short, so the commit frame is not whole: ROLLBACK, and the frames before
 *   it count for nothing. The same for a quota or a size limit (EDQUOT, EFBIG). What they left in the WAL is cut off, so
 *   that the next start cannot take it for damage.
 * - Any other failure of COMMIT may stand behind the commit frame: maybe applied. Other I/O errors and corruption before
 *   COMMIT apply nothing, but this disk is not to be written any more: the same answer. */
#include "backend/append.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

#include "backend/sql.h"

/* An empty blob needs a pointer, or SQLite binds NULL. */
static int bind_bytes(sqlite3_stmt *stmt, int at, bytes s)
{
    return sqlite3_bind_blob64(stmt, at, s.len ? (const void *)s.data : "", s.len, SQLITE_STATIC);
}

static int bind_row(sqlite3_stmt *stmt, const struct record *r, uint32_t crc, int64_t acc)
{
    const int64_t numbers[] = {r->seq,     r->kind, r->tombstone | r->last_of_command << 1,
                               r->main,    r->sub,  r->create_revision,
                               r->version, r->lease};
    int rc = SQLITE_OK;
    int at = 1;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        rc |= sqlite3_bind_int64(stmt, at++, numbers[i]);
    rc |= bind_bytes(stmt, at++, r->key);
    rc |= bind_bytes(stmt, at++, r->value);
    rc |= sqlite3_bind_int64(stmt, at++, crc);
    rc |= sqlite3_bind_int64(stmt, at++, acc);
    return rc == SQLITE_OK ? SQLITE_OK : SQLITE_NOMEM;
}

static int append_rows(struct db *d, const struct backend_batch *batch, tn_seq *seq, int64_t *acc, struct meta *meta)
{
    for (size_t i = 0; i < batch->n_rows; i++) {
        const struct record *r = &batch->rows[i];
        assert(r->seq == *seq + 1 || (d->skips && r->seq > *seq));
        meta_skip(meta, *seq, r->seq);
        uint32_t crc = row_crc(r, *acc);
        int rc = bind_row(d->stmts[DB_INSERT], r, crc, row_acc(*acc, crc));
        if (rc == SQLITE_OK)
            rc = sql_run(d->stmts[DB_INSERT]);
        if (rc != SQLITE_OK)
            return rc;
        *seq = r->seq;
        *acc = row_acc(*acc, crc);
    }
    return SQLITE_OK;
}

/* Counts the rows first to last as deleted. SQLITE_CORRUPT when one is not there: the store deletes only what it was shown. */
static int note_run(struct db *d, struct meta *meta, tn_seq first, tn_seq last)
{
    sqlite3_stmt *select = d->stmts[DB_SELECT_RUN];
    sqlite3_bind_int64(select, 1, first);
    sqlite3_bind_int64(select, 2, last);
    tn_seq next = first;
    while (sqlite3_step(select) == SQLITE_ROW && sqlite3_column_int64(select, 0) == next)
        meta_delete(meta, next++, (uint32_t)sqlite3_column_int64(select, 1));
    int rc = sqlite3_reset(select);
    return rc == SQLITE_OK && next != last + 1 ? SQLITE_CORRUPT : rc;
}

static int delete_run(struct db *d, struct meta *meta, tn_seq first, tn_seq last)
{
    int rc = note_run(d, meta, first, last);
    if (rc != SQLITE_OK)
        return rc;
    sqlite3_bind_int64(d->stmts[DB_DELETE_RUN], 1, first);
    sqlite3_bind_int64(d->stmts[DB_DELETE_RUN], 2, last);
    return sql_run(d->stmts[DB_DELETE_RUN]);
}

/* Neighbours go in one statement: a fifth of the work. */
static int delete_rows(struct db *d, const struct backend_batch *batch, struct meta *meta)
{
    int rc = SQLITE_OK;
    for (size_t i = 0, n; rc == SQLITE_OK && i < batch->n_deletes; i += n) {
        tn_seq first = batch->deletes[i];
        for (n = 1; i + n < batch->n_deletes && batch->deletes[i + n] == first + (tn_seq)n;)
            n++;
        rc = delete_run(d, meta, first, first + (tn_seq)n - 1);
    }
    return rc;
}

static int write_meta(struct db *d, const struct meta *m)
{
    const int64_t numbers[] = {m->deleted_count, m->deleted_sum, m->deleted_acc, m->deleted_max,
                               m->last_seq,      m->last_acc,    meta_crc(m)};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        sqlite3_bind_int64(d->stmts[DB_META], (int)i + 1, numbers[i]);
    int rc = sql_run(d->stmts[DB_META]);
    return rc == SQLITE_OK && sqlite3_changes(d->conn) != 1 ? SQLITE_CORRUPT : rc;
}

/* Everything but the COMMIT; an SQLite result code. */
static int fill_transaction(struct db *d, const struct backend_batch *batch, tn_seq *seq, int64_t *acc,
                            struct meta *meta)
{
    int rc = sql_run(d->stmts[DB_BEGIN]);
    if (rc == SQLITE_OK)
        rc = append_rows(d, batch, seq, acc, meta);
    if (rc != SQLITE_OK || (batch->n_deletes == 0 && !d->skips))
        return rc;
    rc = delete_rows(d, batch, meta);
    meta->last_seq = *seq;
    meta->last_acc = *acc;
    return rc == SQLITE_OK ? write_meta(d, meta) : rc;
}

/* Undoes what is open. NOT_APPLIED only when that worked. */
static enum backend_outcome roll_back(struct db *d, bool full)
{
    bool undone = sqlite3_get_autocommit(d->conn) || sql_run(d->stmts[DB_ROLLBACK]) == SQLITE_OK;
    if (!undone)
        return BACKEND_MAYBE_APPLIED;
    if (full)
        db_cut_wal(d);
    return BACKEND_NOT_APPLIED;
}

static enum backend_outcome failed(struct db *d, int rc, bool committing, struct tenure_error *err)
{
    bool full = sql_is_full(d->conn, rc);
    bool passing = (rc & 0xff) == SQLITE_NOMEM || (rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_TOOBIG;
    if (rc == SQLITE_CORRUPT)
        error_set(err, TENURE_ECORRUPT, DB_FILE ": a row to delete is not there, or a page is damaged");
    else
        sql_error(err, d->conn, rc, committing ? "commit" : "append");
    if (full || (passing && !committing))
        return roll_back(d, full);
    (void)roll_back(d, false);
    return BACKEND_MAYBE_APPLIED;
}

enum backend_outcome append_vacuum(struct db *d, int pages, struct tenure_error *err)
{
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA incremental_vacuum(%d)", pages);
    int rc = sql_run(d->stmts[DB_BEGIN]);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(d->conn, sql, NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return failed(d, rc, false, err);
    rc = sql_run(d->stmts[DB_COMMIT]);
    return rc == SQLITE_OK ? BACKEND_APPLIED : failed(d, rc, true, err);
}

int64_t append_clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

enum backend_outcome append_batch(struct db *d, const struct backend_batch *batch, struct tenure_error *err)
{
    assert(batch->n_rows == 0 || batch->rows[batch->n_rows - 1].last_of_command);
    tn_seq seq = d->seq;
    int64_t acc = d->acc;
    struct meta meta = d->meta;
    int rc = fill_transaction(d, batch, &seq, &acc, &meta);
    if (rc != SQLITE_OK)
        return failed(d, rc, false, err);
    int64_t begun_us = append_clock_us();
    rc = sql_run(d->stmts[DB_COMMIT]);
    d->commit_us = append_clock_us() - begun_us;
    if (rc != SQLITE_OK)
        return failed(d, rc, true, err);
    d->seq = seq;
    d->acc = acc;
    d->meta = meta;
    return BACKEND_APPLIED;
}
