/* What a socket is called, and whether it is the one of an address; listeners on sockets that were opened by somebody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/listener.h"
#include "io/socket.h"

static struct io_address address(const char *url)
{
    struct io_address a;
    assert_int_equal(io_address_parse(url, -1, &a, NULL), 0);
    return a;
}

static int listening(const char *url)
{
    struct io_address a = address(url);
    struct io_sockaddr at[IO_SOCKADDRS_MAX];
    assert_true(io_sockaddr_known(&a, at) > 0);
    int fd = io_socket_new(at[0].addr.ss_family);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at[0].addr, at[0].len), 0);
    assert_int_equal(listen(fd, 10), 0);
    return fd;
}

static bool is_at(int fd, const char *url)
{
    struct io_address a = address(url);
    return io_socket_is_at(fd, &a);
}

static void a_tcp_socket_is_known_by_address_and_port(void **state)
{
    (void)state;
    char url[64], text[IO_ADDRESS_TEXT_MAX];
    struct io_address is;
    int fd = listening("http://127.0.0.1:0");
    uint16_t port = io_socket_port(fd);
    assert_true(io_socket_address(fd, &is));
    snprintf(url, sizeof url, "http://127.0.0.1:%u", port);
    assert_string_equal(io_address_text(&is, text, sizeof text), url);
    assert_true(is_at(fd, url));
    snprintf(url, sizeof url, "https://localhost:%u", port);
    assert_true(is_at(fd, url));
    snprintf(url, sizeof url, "http://127.0.0.2:%u", port);
    assert_false(is_at(fd, url));
    snprintf(url, sizeof url, "http://[::1]:%u", port);
    assert_false(is_at(fd, url));
    snprintf(url, sizeof url, "http://example.invalid:%u", port);
    assert_false(is_at(fd, url));
    snprintf(url, sizeof url, "http://127.0.0.1:%u", port ^ 1);
    assert_false(is_at(fd, url));
    assert_false(is_at(fd, "unix:///tmp/x"));
    close(fd);
}

static void a_unix_socket_is_known_by_its_path(void **state)
{
    (void)state;
    char dir[] = "/tmp/tenure-socket-XXXXXX", url[64];
    struct io_address is;
    assert_non_null(mkdtemp(dir));
    snprintf(url, sizeof url, "unix://%s/s", dir);
    int fd = listening(url);
    assert_true(io_socket_address(fd, &is));
    assert_string_equal(is.path, url + 7);
    assert_true(is_at(fd, url));
    assert_false(is_at(fd, "unix:///tmp/other"));
    assert_false(is_at(fd, "http://127.0.0.1:1"));
    close(fd);
    unlink(url + 7);
    rmdir(dir);
}

static void what_has_no_name_is_none(void **state)
{
    (void)state;
    struct io_address is;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_false(io_socket_address(pair[0], &is));
    close(pair[0]);
    close(pair[1]);
    assert_false(io_socket_address(-1, &is));
    FILE *file = tmpfile();
    assert_false(io_socket_address(fileno(file), &is));
    fclose(file);
}

static void on_accept(void *user, int fd, const char *peer)
{
    (void)peer;
    close(fd);
    ++*(int *)user;
}

static const struct io_listener_callbacks accepting = {.on_accept = on_accept};

static void a_listener_takes_a_socket_and_leaves_its_file(void **state)
{
    (void)state;
    char dir[] = "/tmp/tenure-socket-XXXXXX", url[64];
    struct io_loop *loop;
    struct io_listener *l;
    struct stat st;
    int accepted = 0;
    assert_non_null(mkdtemp(dir));
    snprintf(url, sizeof url, "unix://%s/s", dir);
    struct io_address at = address(url);
    struct io_sockaddr to[IO_SOCKADDRS_MAX];
    assert_int_equal(io_loop_new(NULL, &loop, NULL), 0);
    assert_int_equal(io_listener_adopt(loop, listening(url), &at, &accepting, &accepted, &l, NULL), 0);
    int client = io_socket_new(AF_UNIX);
    io_sockaddr_known(&at, to);
    assert_int_equal(connect(client, (struct sockaddr *)&to[0].addr, to[0].len), 0);
    while (accepted == 0)
        io_loop_step(loop, true);
    close(client);
    io_listener_close(l);
    io_loop_free(loop);
    assert_int_equal(stat(url + 7, &st), 0);
    unlink(url + 7);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tcp_socket_is_known_by_address_and_port),
        cmocka_unit_test(a_unix_socket_is_known_by_its_path),
        cmocka_unit_test(what_has_no_name_is_none),
        cmocka_unit_test(a_listener_takes_a_socket_and_leaves_its_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
