/* A directory that is given up goes whole, whatever a killed backend left in it, and nothing goes that is not ours. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/backend.h"
#include "base/types.h"

static char dir[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/tenure-remove-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return 0;
}

static void leave(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void each_file_that_a_killed_one_leaves_goes(void **state)
{
    static const char *const names[] = {"tenure.db",
                                        "tenure.db-wal",
                                        "tenure.db-shm",
                                        "tenure.db-journal",
                                        "tenure.db.new",
                                        "tenure.db.new-wal",
                                        "tenure.db.new-shm",
                                        "tenure.db.new-journal",
                                        "lock",
                                        "leases",
                                        "leases.new",
                                        "ballast",
                                        "migrating",
                                        "replica",
                                        "replica.new"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        leave(names[i]);
    backend_remove(dir);
    assert_int_equal(access(dir, F_OK), -1);
}

static void what_a_backend_really_keeps_goes(void **state)
{
    struct backend_config config = {.dir = dir};
    struct backend *b = NULL;
    (void)state;
    assert_int_equal(backend_open(&config, &b, NULL), 0);
    backend_close(b);
    backend_remove(dir);
    assert_int_equal(access(dir, F_OK), -1);
}

static void what_is_not_ours_stays(void **state)
{
    char path[128];
    (void)state;
    leave("tenure.db");
    leave("tenure.dbx");
    backend_remove(dir);
    snprintf(path, sizeof path, "%s/tenure.db", dir);
    assert_int_equal(access(path, F_OK), -1);
    snprintf(path, sizeof path, "%s/tenure.dbx", dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void what_is_in_use_stays(void **state)
{
    char path[128];
    struct backend_config config = {.dir = dir};
    struct backend *b = NULL;
    (void)state;
    assert_int_equal(backend_open(&config, &b, NULL), 0);
    backend_remove(dir);
    snprintf(path, sizeof path, "%s/tenure.db", dir);
    assert_int_equal(access(path, F_OK), 0);
    snprintf(path, sizeof path, "%s/lock", dir);
    assert_int_equal(access(path, F_OK), 0);
    backend_close(b);
    backend_remove(dir);
    assert_int_equal(access(dir, F_OK), -1);
}

static void what_is_not_there_is_no_error(void **state)
{
    (void)state;
    assert_int_equal(rmdir(dir), 0);
    backend_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_file_that_a_killed_one_leaves_goes, set_up),
        cmocka_unit_test_setup(what_a_backend_really_keeps_goes, set_up),
        cmocka_unit_test_setup(what_is_not_ours_stays, set_up),
        cmocka_unit_test_setup(what_is_in_use_stays, set_up),
        cmocka_unit_test_setup(what_is_not_there_is_no_error, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
