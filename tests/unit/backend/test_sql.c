/* SQLite's errors in our words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/sql.h"

static void each_code_of_sqlite_has_one_of_ours(void **state)
{
    (void)state;
    assert_int_equal(sql_code(SQLITE_OK), 0);
    assert_int_equal(sql_code(SQLITE_FULL), TENURE_ENOSPACE);
    assert_int_equal(sql_code(SQLITE_NOMEM), TENURE_ENOMEM);
    assert_int_equal(sql_code(SQLITE_IOERR_NOMEM), TENURE_ENOMEM);
    assert_int_equal(sql_code(SQLITE_IOERR_FSYNC), TENURE_EIO);
    assert_int_equal(sql_code(SQLITE_CORRUPT_INDEX), TENURE_ECORRUPT);
    assert_int_equal(sql_code(SQLITE_NOTADB), TENURE_ECORRUPT);
    assert_int_equal(sql_code(SQLITE_BUSY_SNAPSHOT), TENURE_EBUSY);
    assert_int_equal(sql_code(SQLITE_READONLY_DIRECTORY), TENURE_EDENIED);
    assert_int_equal(sql_code(12345), TENURE_EIO);
}

static void statements_run_and_answer_or_say_why_not(void **state)
{
    sqlite3 *conn = NULL;
    struct tenure_error error;
    int64_t value = 5;
    (void)state;
    assert_int_equal(sqlite3_open(":memory:", &conn), SQLITE_OK);
    assert_int_equal(sql_exec(conn, "here", "CREATE TABLE t(x); INSERT INTO t VALUES(42)", &error), 0);
    assert_int_equal(sql_integer(conn, "here", "SELECT x FROM t", &value, &error), 0);
    assert_int_equal(value, 42);
    assert_int_equal(sql_integer(conn, "here", "SELECT x FROM t WHERE x=1", &value, &error), TENURE_ECORRUPT);
    assert_int_equal(value, 42);
    assert_int_equal(sql_exec(conn, "here", "SELECT * FROM nowhere", &error), TENURE_ECORRUPT);
    assert_memory_equal(error.text, "here: ", 6);
    assert_non_null(strstr(error.text, "nowhere"));
    sqlite3_close(conn);
}

static void without_a_connection_the_code_alone_is_told(void **state)
{
    struct tenure_error error;
    (void)state;
    assert_int_equal(sql_error(&error, NULL, SQLITE_NOMEM, "open"), TENURE_ENOMEM);
    assert_memory_equal(error.text, "open: ", 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_code_of_sqlite_has_one_of_ours),
        cmocka_unit_test(statements_run_and_answer_or_say_why_not),
        cmocka_unit_test(without_a_connection_the_code_alone_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
