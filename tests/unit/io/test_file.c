/* Writing the whole of something. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/file.h"

static char data[1 << 20], got[1 << 20];

static void *read_slowly(void *fd)
{
    size_t len = 0;
    for (ssize_t n = 1; n > 0 && len < sizeof got; len += (size_t)n)
        n = read(*(int *)fd, got + len, sizeof got - len < 5000 ? sizeof got - len : 5000);
    return NULL;
}

static void what_takes_many_writes_is_written_whole(void **state)
{
    (void)state;
    int fds[2];
    pthread_t thread;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 7 + i / 256);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(pthread_create(&thread, NULL, read_slowly, &fds[0]), 0);
    assert_int_equal(io_write_all(fds[1], data, sizeof data), 0);
    pthread_join(thread, NULL);
    assert_memory_equal(got, data, sizeof data);
    close(fds[0]);
    close(fds[1]);
}

static void what_fails_says_why(void **state)
{
    (void)state;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    errno = 0;
    assert_int_equal(io_write_all(fd, "x", 1), -1);
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(io_write_all(fd, "", 0), 0); /* nothing is always written */
    close(fd);
    assert_int_equal(io_write_all(-1, "x", 1), -1);
    assert_int_equal(errno, EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_takes_many_writes_is_written_whole),
        cmocka_unit_test(what_fails_says_why),
    };
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
