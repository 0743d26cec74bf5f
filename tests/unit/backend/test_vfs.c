/* One process has the database, and its connections agree on locks and index as SQLite's own VFS would have it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/vfs.h"
#include "base/types.h"

struct place {
    char dir[64], path[96];
    struct vfs *vfs;
};

static sqlite3 *open_at(const struct place *p, const char *vfs)
{
    sqlite3 *conn = NULL;
    assert_int_equal(sqlite3_open_v2(p->path, &conn, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs), SQLITE_OK);
    return conn;
}

static sqlite3 *open_own(const struct place *p)
{
    return open_at(p, vfs_name(p->vfs));
}

static int run(sqlite3 *conn, const char *sql)
{
    return sqlite3_exec(conn, sql, NULL, NULL, NULL);
}

static int64_t value(sqlite3 *conn, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(conn, sql, -1, &stmt, NULL), SQLITE_OK);
    int64_t v = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : -1;
    sqlite3_finalize(stmt);
    return v;
}

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    snprintf(p->dir, sizeof p->dir, "/tmp/tenure-vfs-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->path, sizeof p->path, "%s/db", p->dir);
    assert_int_equal(vfs_new(NULL, &p->vfs, NULL), 0);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    char name[128];
    p->vfs = vfs_free(p->vfs);
    (void)unlink(p->path);
    snprintf(name, sizeof name, "%s-wal", p->path);
    (void)unlink(name);
    assert_int_equal(rmdir(p->dir), 0); /* and no -shm */
    free(p);
    return 0;
}

static void two_connections_work_on_one_wal(void **state)
{
    struct place *p = *state;
    sqlite3 *a = open_own(p), *b = open_own(p);
    assert_int_equal(run(a, "PRAGMA journal_mode=WAL; CREATE TABLE t(x)"), SQLITE_OK);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(run(i % 2 ? a : b, "INSERT INTO t VALUES(zeroblob(1000))"), SQLITE_OK);
        assert_int_equal(value(i % 2 ? b : a, "SELECT count(*) FROM t"), i + 1);
    }
    assert_int_equal(run(b, "PRAGMA wal_checkpoint"), SQLITE_OK);
    assert_int_equal(sqlite3_close(b), SQLITE_OK);
    assert_int_equal(value(a, "SELECT count(*) FROM t"), 100);
    assert_int_equal(sqlite3_close(a), SQLITE_OK);
    a = open_own(p);
    assert_int_equal(value(a, "SELECT count(*) FROM t"), 100);
    sqlite3_close(a);
}

/* The reader has not yet read the page that changes, and it is in the file, not in the WAL: copying back has to spare it. */
static void a_snapshot_holds_while_others_write_and_copy_back(void **state)
{
    struct place *p = *state;
    sqlite3 *a = open_own(p), *b = open_own(p), *c = open_own(p);
    assert_int_equal(run(a, "PRAGMA journal_mode=WAL; CREATE TABLE t(x); CREATE TABLE u(x); INSERT INTO t VALUES(1)"),
                     SQLITE_OK);
    assert_int_equal(run(a, "PRAGMA wal_checkpoint(TRUNCATE)"), SQLITE_OK);
    assert_int_equal(run(a, "INSERT INTO u VALUES(1)"), SQLITE_OK);
    assert_int_equal(run(b, "BEGIN"), SQLITE_OK);
    assert_int_equal(value(b, "SELECT count(*) FROM u"), 1);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(run(a, "INSERT INTO t VALUES(2)"), SQLITE_OK);
        assert_int_equal(run(c, "PRAGMA wal_checkpoint"), SQLITE_OK);
    }
    assert_int_equal(value(b, "SELECT count(*) FROM t"), 1);
    assert_int_equal(run(b, "COMMIT"), SQLITE_OK);
    assert_int_equal(value(b, "SELECT count(*) FROM t"), 21);
    sqlite3_close(a);
    sqlite3_close(b);
    sqlite3_close(c);
}

static void there_is_one_writer_at_a_time(void **state)
{
    struct place *p = *state;
    sqlite3 *a = open_own(p), *b = open_own(p);
    static const char *const modes[] = {"PRAGMA journal_mode=DELETE", "PRAGMA journal_mode=WAL"};
    assert_int_equal(run(a, "CREATE TABLE t(x)"), SQLITE_OK);
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        assert_int_equal(run(a, modes[i]), SQLITE_OK);
        assert_int_equal(run(a, "BEGIN IMMEDIATE; INSERT INTO t VALUES(1)"), SQLITE_OK);
        assert_int_equal(run(b, "BEGIN IMMEDIATE"), SQLITE_BUSY);
        assert_int_equal(run(a, "COMMIT"), SQLITE_OK);
        assert_int_equal(run(b, "BEGIN IMMEDIATE; INSERT INTO t VALUES(1); COMMIT"), SQLITE_OK);
    }
    assert_int_equal(value(a, "SELECT count(*) FROM t"), 4);
    sqlite3_close(b);
    sqlite3_close(a);
}

/* In a process of its own, as its locks are. */
static int sqlite_of_another_process(const struct place *p, const char *sql)
{
    pid_t child = fork();
    if (child == 0) {
        sqlite3 *conn = NULL;
        int rc = sqlite3_open(p->path, &conn);
        rc = rc ? rc : run(conn, sql);
        sqlite3_close(conn);
        _exit(rc);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void other_programs_are_locked_out_until_the_close(void **state)
{
    struct place *p = *state;
    sqlite3 *a = open_own(p);
    assert_int_equal(run(a, "PRAGMA journal_mode=WAL; CREATE TABLE t(x)"), SQLITE_OK);
    assert_int_equal(sqlite_of_another_process(p, "SELECT count(*) FROM t"), SQLITE_BUSY);
    assert_int_equal(sqlite_of_another_process(p, "INSERT INTO t VALUES(1)"), SQLITE_BUSY);
    sqlite3 *b = open_own(p);
    assert_int_equal(value(b, "SELECT count(*) FROM t"), 0);
    sqlite3_close(b);
    assert_int_equal(sqlite_of_another_process(p, "SELECT count(*) FROM t"), SQLITE_BUSY);
    sqlite3_close(a);
    assert_int_equal(sqlite_of_another_process(p, "INSERT INTO t VALUES(1)"), SQLITE_OK);
    a = open_own(p);
    assert_int_equal(value(a, "SELECT count(*) FROM t"), 1);
    sqlite3_close(a);
}

static void a_file_that_others_have_open_is_not_taken(void **state)
{
    struct place *p = *state;
    sqlite3 *other = open_at(p, NULL);
    assert_int_equal(run(other, "CREATE TABLE t(x); BEGIN; SELECT * FROM t"), SQLITE_OK);
    sqlite3 *a = open_own(p);
    assert_int_equal(run(a, "SELECT * FROM t"), SQLITE_BUSY);
    sqlite3_close(other);
    assert_int_equal(run(a, "SELECT * FROM t"), SQLITE_OK);
    sqlite3_close(a);
}

static void an_unknown_vfs_below_is_refused(void **state)
{
    struct tenure_error error;
    struct vfs *v = NULL;
    (void)state;
    assert_int_equal(vfs_new("no such thing", &v, &error), TENURE_EINVALID);
    assert_non_null(strstr(error.text, "no such thing"));
    assert_null(vfs_free(NULL));
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(two_connections_work_on_one_wal),
        T(a_snapshot_holds_while_others_write_and_copy_back),
        T(there_is_one_writer_at_a_time),
        T(other_programs_are_locked_out_until_the_close),
        T(a_file_that_others_have_open_is_not_taken),
        T(an_unknown_vfs_below_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
