/* The data directory: made for its owner alone, refused on the network, held by one. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/dir.h"

static char base[64];
static char path[128];

static int set_up(void **state)
{
    (void)state;
    snprintf(base, sizeof base, "/tmp/tenure-dir-XXXXXX");
    assert_non_null(mkdtemp(base));
    snprintf(path, sizeof path, "%s/data", base);
    return 0;
}

static int tear_down(void **state)
{
    char lock[160];
    (void)state;
    snprintf(lock, sizeof lock, "%s/lock", path);
    (void)unlink(lock);
    (void)rmdir(path);
    (void)unlink(path);
    return rmdir(base);
}

static void it_is_made_and_then_taken_as_it_is(void **state)
{
    struct dir d;
    struct stat st;
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(dir_open(&d, path, NULL), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        assert_true(dir_has(&d, "lock"));
        assert_false(dir_has(&d, "no such file"));
        assert_int_equal(dir_file_size(&d, "no such file"), 0);
        assert_true(dir_file_size(&d, "lock") > 0);
        assert_int_equal(dir_sync(&d, NULL), 0);
        dir_close(&d);
        dir_close(&d);
    }
}

static void a_file_in_its_place_is_refused(void **state)
{
    struct dir d;
    struct tenure_error error;
    (void)state;
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_true(dir_open(&d, path, &error) < 0);
    assert_non_null(strstr(error.text, path));
    assert_int_equal(d.fd, -1);
}

static void the_second_one_is_told_the_pid_of_the_first(void **state)
{
    struct dir first, second;
    struct tenure_error error;
    char words[64];
    (void)state;
    assert_int_equal(dir_open(&first, path, NULL), 0);
    assert_int_equal(dir_open(&second, path, &error), TENURE_EBUSY);
    snprintf(words, sizeof words, "process %ld", (long)getpid());
    assert_non_null(strstr(error.text, words));
    dir_close(&first);
    assert_int_equal(dir_open(&second, path, NULL), 0);
    dir_close(&second);
}

/* Held by another process until it is killed; its text outlives it and means nothing. */
static void a_killed_process_holds_nothing(void **state)
{
    int ready[2];
    char byte;
    struct dir d;
    struct tenure_error error;
    (void)state;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        byte = dir_open(&d, path, NULL) == 0 ? 'y' : 'n';
        (void)!write(ready[1], &byte, 1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    char words[64];
    snprintf(words, sizeof words, "process %ld", (long)child);
    assert_int_equal(dir_open(&d, path, &error), TENURE_EBUSY);
    assert_non_null(strstr(error.text, words));
    kill(child, 9);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(dir_open(&d, path, NULL), 0);
    dir_close(&d);
    close(ready[0]);
    close(ready[1]);
}

static void the_holder_is_described(void **state)
{
    struct dir d;
    char text[256] = {0};
    char words[96];
    (void)state;
    assert_int_equal(dir_open(&d, path, NULL), 0);
    int fd = openat(d.fd, "lock", O_RDONLY);
    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    snprintf(words, sizeof words, "pid=%ld started=", (long)getpid());
    assert_memory_equal(text, words, strlen(words));
    assert_true(strtoull(text + strlen(words), NULL, 10) > 0);
    assert_true(strlen(d.boot_id) >= 32);
    assert_non_null(strstr(text, d.boot_id));
    dir_close(&d);
}

static void network_file_systems_are_known_by_name(void **state)
{
    (void)state;
    assert_string_equal(dir_network_filesystem(0x6969), "NFS");
    assert_string_equal(dir_network_filesystem(0xff534d42), "CIFS");
    assert_string_equal(dir_network_filesystem(0x01021997), "9p");
    assert_string_equal(dir_network_filesystem(0x65735546), "FUSE");
    assert_null(dir_network_filesystem(0xef53));     /* ext4 */
    assert_null(dir_network_filesystem(0x01021994)); /* tmpfs */
    assert_null(dir_network_filesystem(0x58465342)); /* XFS */
    assert_null(dir_network_filesystem(0x9123683e)); /* btrfs */
    assert_null(dir_network_filesystem(0x794c7630)); /* overlay */
    assert_null(dir_network_filesystem(0x2fc12fc1)); /* ZFS */
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(it_is_made_and_then_taken_as_it_is),
        T(a_file_in_its_place_is_refused),
        T(the_second_one_is_told_the_pid_of_the_first),
        T(a_killed_process_holds_nothing),
        T(the_holder_is_described),
        cmocka_unit_test(network_file_systems_are_known_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
