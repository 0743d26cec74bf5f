/* What the environment of systemd hands over, and to whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/socket.h"
#include "server/internal.h"

/* Descriptors 3 and 4 are the test's while one runs. */
static int saved[2];

static int setup(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        saved[i] = fcntl(3 + i, F_DUPFD_CLOEXEC, 100);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        close(3 + i);
        if (saved[i] >= 0) {
            dup2(saved[i], 3 + i);
            close(saved[i]);
        }
    }
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
    return 0;
}

static uint16_t listen_as(int place)
{
    struct io_address a = {.kind = IO_ADDRESS_TCP, .host = "127.0.0.1"};
    struct io_sockaddr at[IO_SOCKADDRS_MAX];
    io_sockaddr_known(&a, at);
    int fd = io_socket_new(AF_INET);
    assert_int_equal(bind(fd, (struct sockaddr *)&at[0].addr, at[0].len), 0);
    assert_int_equal(listen(fd, 1), 0);
    uint16_t port = io_socket_port(fd);
    if (fd != place) {
        dup2(fd, place);
        close(fd);
    }
    return port;
}

static void hand_over(const char *n, const char *names)
{
    char pid[32];
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", n, 1);
    if (names)
        setenv("LISTEN_FDNAMES", names, 1);
}

static void nothing_is_handed_over_to_others(void **state)
{
    struct activated a;
    (void)state;
    assert_int_equal(activate_find(&a, NULL), 0);
    assert_int_equal(a.n, 0);
    setenv("LISTEN_FDS", "2", 1);
    setenv("LISTEN_PID", "1", 1);
    assert_int_equal(activate_find(&a, NULL), 0);
    assert_int_equal(a.n, 0);
    hand_over("two", NULL);
    assert_int_equal(activate_find(&a, NULL), 0);
    assert_int_equal(a.n, 0);
    hand_over("1000", NULL);
    assert_int_equal(activate_find(&a, NULL), TENURE_EINVALID);
}

static void sockets_are_found_by_address_and_named_for_tls(void **state)
{
    struct activated a;
    (void)state;
    uint16_t first = listen_as(3), second = listen_as(4);
    hand_over("2", "plain:https");
    assert_int_equal(activate_find(&a, NULL), 0);
    assert_int_equal(a.n, 2);
    assert_false(a.tls[0]);
    assert_true(a.tls[1]);
    assert_true(fcntl(3, F_GETFD) & FD_CLOEXEC);
    struct io_address at = {.kind = IO_ADDRESS_TCP, .host = "127.0.0.1", .port = second};
    assert_int_equal(activate_take(&a, &at), 4);
    assert_int_equal(activate_take(&a, &at), -1); /* once */
    at.port = first ^ 1;
    if (at.port != second)
        assert_int_equal(activate_take(&a, &at), -1);
    activate_close(&a);
    assert_int_equal(fcntl(3, F_GETFD), -1);
    assert_true(fcntl(4, F_GETFD) >= 0); /* taken: not closed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_handed_over_to_others, setup, teardown),
        cmocka_unit_test_setup_teardown(sockets_are_found_by_address_and_named_for_tls, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
