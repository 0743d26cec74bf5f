/* Happy path: SQLite finds the structure of its file sound; the meta row checks; then row by row: the checksum over all
 * columns, the order, the chain to the row before where that is the direct neighbour, no gap behind the newest deleted
 * sequence. At the end: what is there and what compaction deleted are together all rows that ever were, by count, by sum
 * of sequences and by sum of checksums, and the newest row is not older than what is known to have been stored.
 *
 * Whatever does not hold is TENURE_ECORRUPT with the sequence. A row that is missing below the newest deleted sequence
 * leaves no gap that could be told from compaction's; it is named by the sum of sequences when it is a single one. */
#include "backend/replay.h"

#include <inttypes.h>

#include "backend/sql.h"

enum column { SEQ, KIND, FLAGS, MAIN, SUB, CREATE_REVISION, VERSION, LEASE, KEY, VALUE, CRC, ACC, COLUMNS };

/* What was seen so far. */
struct tally {
    tn_seq seq; /* newest row, 0 before the first */
    int64_t acc;
    int64_t count;
    uint64_t seq_sum;
    int64_t crc_sum;
    bool command_ended;
};

/* ---- structure ---- */

/* The tree, the free list and the places in the pages: a damaged free list would show only once a live page is
 * overwritten. */
static int check_structure(sqlite3 *conn, struct tenure_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(conn, "PRAGMA quick_check(1)", -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    const char *says = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    int code = 0;
    if (rc != SQLITE_ROW)
        code = sql_error(err, conn, rc, DB_FILE);
    else if (!says || strcmp(says, "ok") != 0)
        code = error_set(err, TENURE_ECORRUPT, DB_FILE " is damaged: %s", says ? says : "out of memory");
    sqlite3_finalize(stmt);
    return code;
}

/* ---- the meta row ---- */

static bool all_integers(sqlite3_stmt *stmt, int columns)
{
    for (int i = 0; i < columns; i++) {
        if (sqlite3_column_type(stmt, i) != SQLITE_INTEGER)
            return false;
    }
    return true;
}

static bool read_meta_row(sqlite3_stmt *stmt, struct meta *ret)
{
    enum { META_COLUMNS = 7 };
    if (!all_integers(stmt, META_COLUMNS))
        return false;
    *ret = (struct meta){sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1), sqlite3_column_int64(stmt, 2),
                         sqlite3_column_int64(stmt, 3), sqlite3_column_int64(stmt, 4), sqlite3_column_int64(stmt, 5)};
    return sqlite3_column_int64(stmt, 6) == meta_crc(ret) && ret->deleted_count >= 0 && ret->deleted_max >= 0;
}

static int read_meta(sqlite3 *conn, struct meta *ret, struct tenure_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(conn,
                                "SELECT deleted_count, deleted_sum, deleted_acc, deleted_max, last_seq, last_acc, crc "
                                "FROM meta ORDER BY id",
                                -1, &stmt, NULL);
    bool sound = rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW && read_meta_row(stmt, ret);
    if (sound)
        sound = (rc = sqlite3_step(stmt)) == SQLITE_DONE;
    int code = 0;
    if (rc != SQLITE_OK && rc != SQLITE_ROW && rc != SQLITE_DONE)
        code = sql_error(err, conn, rc, DB_FILE ": table meta");
    else if (!sound)
        code = error_set(err, TENURE_ECORRUPT, DB_FILE ": the row of table meta is missing or was changed");
    sqlite3_finalize(stmt);
    return code;
}

/* ---- rows ---- */

static bool is_bytes(sqlite3_stmt *stmt, int column)
{
    return sqlite3_column_type(stmt, column) == SQLITE_BLOB;
}

static bytes column_bytes(sqlite3_stmt *stmt, int column)
{
    const void *data = sqlite3_column_blob(stmt, column); /* before its length: see SQLite's rule on conversions */
    return bytes_of(data, (size_t)sqlite3_column_bytes(stmt, column));
}

static bool columns_sound(sqlite3_stmt *stmt)
{
    for (int i = 0; i < COLUMNS; i++) {
        if (i == KEY || i == VALUE ? !is_bytes(stmt, i) : sqlite3_column_type(stmt, i) != SQLITE_INTEGER)
            return false;
    }
    int64_t kind = sqlite3_column_int64(stmt, KIND), flags = sqlite3_column_int64(stmt, FLAGS);
    int64_t crc = sqlite3_column_int64(stmt, CRC), acc = sqlite3_column_int64(stmt, ACC);
    return kind > 0 && kind <= 0xff && (flags & ~3) == 0 && crc >= 0 && crc <= UINT32_MAX && acc >= 0;
}

static void read_row(sqlite3_stmt *stmt, struct record *ret)
{
    int64_t flags = sqlite3_column_int64(stmt, FLAGS);
    *ret = (struct record){
        .seq = sqlite3_column_int64(stmt, SEQ),
        .kind = (enum record_kind)sqlite3_column_int64(stmt, KIND),
        .tombstone = flags & 1,
        .last_of_command = flags & 2,
        .main = sqlite3_column_int64(stmt, MAIN),
        .sub = sqlite3_column_int64(stmt, SUB),
        .key = column_bytes(stmt, KEY),
        .value = column_bytes(stmt, VALUE),
        .create_revision = sqlite3_column_int64(stmt, CREATE_REVISION),
        .version = sqlite3_column_int64(stmt, VERSION),
        .lease = sqlite3_column_int64(stmt, LEASE),
    };
}

static int missing(struct tenure_error *err, tn_seq first, tn_seq last)
{
    if (first == last)
        return error_set(err, TENURE_ECORRUPT, DB_FILE ": row %" PRId64 " is missing", first);
    return error_set(err, TENURE_ECORRUPT, DB_FILE ": rows %" PRId64 " to %" PRId64 " are missing", first, last);
}

/* The place of the row among those before it. */
static int check_order(const struct tally *t, const struct meta *m, tn_seq seq, struct tenure_error *err)
{
    tn_seq dense_from = t->seq > m->deleted_max ? t->seq : m->deleted_max;
    if (seq <= t->seq)
        return error_set(err, TENURE_ECORRUPT, DB_FILE ": row %" PRId64 " stands behind row %" PRId64, seq, t->seq);
    return seq > dense_from + 1 ? missing(err, dense_from + 1, seq - 1) : 0;
}

static int check_row(struct tally *t, const struct meta *m, sqlite3_stmt *stmt, struct record *ret,
                     struct tenure_error *err)
{
    int64_t seq = sqlite3_column_int64(stmt, SEQ);
    if (!columns_sound(stmt) || seq < 1)
        return error_set(err, TENURE_ECORRUPT, DB_FILE ": row %" PRId64 " was changed", seq);
    uint32_t crc = (uint32_t)sqlite3_column_int64(stmt, CRC);
    int64_t acc = sqlite3_column_int64(stmt, ACC);
    read_row(stmt, ret);
    int code = check_order(t, m, seq, err);
    if (code)
        return code;
    if (row_crc(ret, row_acc_before(acc, crc)) != crc)
        return error_set(err, TENURE_ECORRUPT, DB_FILE ": row %" PRId64 " was changed", seq);
    if (seq == t->seq + 1 && row_acc(t->acc, crc) != acc)
        return error_set(err, TENURE_ECORRUPT, DB_FILE ": row %" PRId64 " does not follow the row before it", seq);
    *t = (struct tally){
        seq, acc, t->count + 1, t->seq_sum + (uint64_t)seq, row_acc(t->crc_sum, crc), ret->last_of_command};
    return 0;
}

int replay_row(sqlite3_stmt *stmt, struct record *ret, struct tenure_error *err)
{
    int64_t seq = sqlite3_column_int64(stmt, SEQ);
    bool sound = columns_sound(stmt) && seq > 0;
    if (sound) {
        uint32_t crc = (uint32_t)sqlite3_column_int64(stmt, CRC);
        read_row(stmt, ret);
        sound = row_crc(ret, row_acc_before(sqlite3_column_int64(stmt, ACC), crc)) == crc;
    }
    return sound ? 0 : error_set(err, TENURE_ECORRUPT, DB_FILE ": row %" PRId64 " was changed", seq);
}

static int read_rows(sqlite3_stmt *stmt, struct tally *t, const struct db *d,
                     int (*on_record)(void *user, const struct record *r), void *user, struct tenure_error *err)
{
    int rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct record r;
        int code = check_row(t, &d->meta, stmt, &r, err);
        if (code)
            return code;
        code = on_record(user, &r);
        if (code < 0)
            return code;
    }
    if (rc == SQLITE_DONE)
        return 0;
    sql_error(err, d->conn, rc, DB_FILE);
    return error_wrap(err, "behind row %" PRId64, t->seq);
}

/* ---- the whole ---- */

static int check_end(const struct tally *t, const struct meta *m, tn_seq at_least, struct tenure_error *err)
{
    /* The newest rows may be gone only by a delete, and then meta knows them as its last. */
    tn_seq newest = t->seq > m->deleted_max ? t->seq : m->deleted_max;
    if (newest < at_least)
        return error_set(err, TENURE_ECORRUPT,
                         DB_FILE ": rows %" PRId64 " to %" PRId64
                                 " are missing, which were stored here; if an older copy "
                                 "was put here on purpose, remove the file leases",
                         newest + 1, at_least);
    if (newest < m->last_seq)
        return missing(err, newest + 1, m->last_seq);
    if (t->seq == newest && !t->command_ended && t->seq > 0)
        return error_set(err, TENURE_ECORRUPT,
                         DB_FILE ": row %" PRId64 " does not end its command: rows behind it are missing", t->seq);
    return 0;
}

/* All rows up to `last` are either here or counted as deleted. */
static int check_sums(const struct tally *t, const struct meta *m, tn_seq last, int64_t acc, struct tenure_error *err)
{
    int64_t lacking = last - t->count - m->deleted_count;
    uint64_t all = row_seq_sum(last);
    uint64_t rest = all - t->seq_sum - (uint64_t)m->deleted_sum;
    if (lacking == 1 && rest <= (uint64_t)last)
        return missing(err, (tn_seq)rest, (tn_seq)rest);
    if (lacking > 0)
        return error_set(err, TENURE_ECORRUPT, DB_FILE ": %" PRId64 " rows up to %" PRId64 " are missing", lacking,
                         m->deleted_max);
    int64_t crc_sum = (int64_t)(((uint64_t)t->crc_sum + (uint64_t)m->deleted_acc) & INT64_MAX);
    if (lacking < 0 || rest != 0 || crc_sum != acc)
        return error_set(err, TENURE_ECORRUPT, DB_FILE ": the rows up to %" PRId64 " are not those that were written",
                         m->deleted_max);
    return 0;
}

static int check_whole(struct db *d, const struct tally *t, tn_seq at_least, struct tenure_error *err)
{
    int code = check_end(t, &d->meta, at_least, err);
    if (code)
        return code;
    bool by_row = t->seq >= d->meta.last_seq; /* otherwise the newest row was itself deleted */
    d->seq = by_row ? t->seq : d->meta.last_seq;
    d->acc = by_row ? t->acc : d->meta.last_acc;
    return check_sums(t, &d->meta, d->seq, d->acc, err);
}

int replay(struct db *d, tn_seq at_least, int (*on_record)(void *user, const struct record *r), void *user,
           struct tenure_error *err)
{
    int code = check_structure(d->conn, err);
    if (!code)
        code = read_meta(d->conn, &d->meta, err);
    if (code)
        return code;
    sqlite3_stmt *stmt = NULL;
    struct tally t = {0};
    int rc = sqlite3_prepare_v2(d->conn, "SELECT * FROM log ORDER BY seq", -1, &stmt, NULL);
    code = rc == SQLITE_OK ? read_rows(stmt, &t, d, on_record, user, err) : sql_error(err, d->conn, rc, DB_FILE);
    sqlite3_finalize(stmt);
    return code ? code : check_whole(d, &t, at_least, err);
}
