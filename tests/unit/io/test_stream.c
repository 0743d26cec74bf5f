/* Streams and listeners over real sockets of this machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/listener.h"
#include "io/stream.h"

/* One end of a connection, and what it has seen. */
struct end {
    struct io_stream *stream;
    struct buf got;
    bool connected, ended, writable;
    struct tenure_error error;
};

struct world {
    struct io_loop *loop;
    struct io_listener *listener;
    struct end client, server;
    char dir[64], url[128];
};

static void on_connect(void *user, const struct tenure_error *error)
{
    struct end *e = user;
    e->connected = error == NULL;
    e->ended = error != NULL;
    if (error)
        e->error = *error;
}

static void on_read(void *user, bytes in)
{
    buf_append_bytes(&((struct end *)user)->got, in);
}

static void on_end(void *user, const struct tenure_error *error)
{
    struct end *e = user;
    e->ended = true;
    e->error = *error;
}

static void on_writable(void *user)
{
    ((struct end *)user)->writable = true;
}

static const struct io_stream_callbacks callbacks = {
    .on_connect = on_connect, .on_read = on_read, .on_end = on_end, .on_writable = on_writable};

static void on_accept(void *user, int fd, const char *peer)
{
    struct world *w = user;
    assert_non_null(peer);
    assert_int_equal(io_stream_adopt(w->loop, fd, &callbacks, &w->server, &w->server.stream, NULL), 0);
}

static const struct io_listener_callbacks accepting = {.on_accept = on_accept};

static int setup(void **state)
{
    static struct world w;
    memset(&w, 0, sizeof w);
    buf_init(&w.client.got);
    buf_init(&w.server.got);
    snprintf(w.dir, sizeof w.dir, "/tmp/tenure-io-XXXXXX");
    assert_non_null(mkdtemp(w.dir));
    *state = &w;
    return io_loop_new(NULL, &w.loop, NULL);
}

static int teardown(void **state)
{
    struct world *w = *state;
    io_stream_close(w->client.stream);
    io_stream_close(w->server.stream);
    io_listener_close(w->listener);
    io_loop_free(w->loop);
    buf_fini(&w->client.got);
    buf_fini(&w->server.got);
    rmdir(w->dir);
    return 0;
}

static struct io_address address(const char *url)
{
    struct io_address a;
    assert_int_equal(io_address_parse(url, -1, &a, NULL), 0);
    return a;
}

static void listen_at(struct world *w, const char *url)
{
    struct io_address a = address(url);
    assert_int_equal(io_listener_new(w->loop, &a, &accepting, w, &w->listener, NULL), 0);
}

static void connect_both(struct world *w, const char *url)
{
    struct tenure_error err;
    listen_at(w, url);
    assert_int_equal(
        io_stream_connect(w->loop, io_listener_address(w->listener), &callbacks, &w->client, &w->client.stream, &err),
        0);
    while (!w->client.connected || !w->server.stream)
        io_loop_step(w->loop, true);
}

static void send_text(struct end *e, const char *text)
{
    struct buf b;
    buf_init(&b);
    buf_append(&b, text, strlen(text));
    io_stream_write(e->stream, &b);
    assert_int_equal(b.len, 0);
    buf_fini(&b);
}

static void wait_for(struct world *w, struct end *e, size_t len)
{
    while (e->got.len < len)
        io_loop_step(w->loop, true);
}

static void unix_url(struct world *w)
{
    snprintf(w->url, sizeof w->url, "unix://%s/s", w->dir);
}

/* ---- */

static void bytes_go_both_ways(struct world *w)
{
    send_text(&w->client, "ping");
    wait_for(w, &w->server, 4);
    assert_memory_equal(w->server.got.data, "ping", 4);
    send_text(&w->server, "pong");
    wait_for(w, &w->client, 4);
    assert_memory_equal(w->client.got.data, "pong", 4);
}

static void tcp_carries_bytes_both_ways_on_a_free_port(void **state)
{
    struct world *w = *state;
    connect_both(w, "http://127.0.0.1:0");
    assert_int_not_equal(io_listener_address(w->listener)->port, 0);
    bytes_go_both_ways(w);
}

static void a_unix_socket_carries_bytes_both_ways_and_its_file_goes_with_it(void **state)
{
    struct world *w = *state;
    struct stat st;
    unix_url(w);
    connect_both(w, w->url);
    bytes_go_both_ways(w);
    w->listener = io_listener_close(w->listener);
    assert_int_equal(stat(w->url + 7, &st), -1);
}

static void localhost_connects_without_a_lookup(void **state)
{
    struct world *w = *state;
    listen_at(w, "http://127.0.0.1:0");
    struct io_address a = address("http://localhost:0");
    a.port = io_listener_address(w->listener)->port;
    assert_int_equal(io_stream_connect(w->loop, &a, &callbacks, &w->client, &w->client.stream, NULL), 0);
    while (!w->client.connected)
        io_loop_step(w->loop, true);
}

static void a_write_larger_than_the_socket_is_kept_and_told_when_it_is_out(void **state)
{
    struct world *w = *state;
    enum { LEN = 8 << 20 };
    struct buf b;
    unix_url(w);
    connect_both(w, w->url);
    io_stream_reading(w->server.stream, false);
    buf_init(&b);
    memset(buf_reserve(&b, LEN), 'x', LEN);
    buf_added(&b, LEN);
    io_stream_write(w->client.stream, &b);
    assert_int_equal(b.len, 0);
    assert_false(io_stream_writable(w->client.stream));
    io_stream_reading(w->server.stream, true);
    wait_for(w, &w->server, LEN);
    assert_true(w->client.writable);
    assert_true(io_stream_writable(w->client.stream));
    buf_fini(&b);
}

static void nothing_arrives_while_reading_is_paused(void **state)
{
    struct world *w = *state;
    connect_both(w, "http://127.0.0.1:0");
    io_stream_reading(w->server.stream, false);
    send_text(&w->client, "later");
    for (int i = 0; i < 10; i++)
        io_loop_step(w->loop, false);
    assert_int_equal(w->server.got.len, 0);
    io_stream_reading(w->server.stream, true);
    wait_for(w, &w->server, 5);
}

static void the_peers_close_arrives_as_closed(void **state)
{
    struct world *w = *state;
    connect_both(w, "http://127.0.0.1:0");
    send_text(&w->client, "last words");
    w->client.stream = io_stream_close(w->client.stream);
    while (!w->server.ended)
        io_loop_step(w->loop, true);
    assert_int_equal(w->server.error.code, TENURE_ECLOSED);
    assert_int_equal(w->server.got.len, 10);
}

static void a_finished_stream_still_reads(void **state)
{
    struct world *w = *state;
    connect_both(w, "http://127.0.0.1:0");
    io_stream_finish(w->client.stream);
    while (!w->server.ended)
        io_loop_step(w->loop, true);
    assert_int_equal(w->server.error.code, TENURE_ECLOSED);
    assert_false(w->client.ended);
}

static void writing_to_a_peer_that_is_gone_ends_the_stream_and_not_the_process(void **state)
{
    struct world *w = *state;
    unix_url(w);
    connect_both(w, w->url);
    io_stream_reading(w->client.stream, false);
    w->server.stream = io_stream_close(w->server.stream);
    io_loop_step(w->loop, false);
    send_text(&w->client, "to nobody");
    while (!w->client.ended)
        io_loop_step(w->loop, true);
    assert_int_equal(w->client.error.code, TENURE_EUNAVAILABLE);
}

/* The answer may come at once or from the loop. */
static void assert_connect_fails(struct world *w, const struct io_address *a, const char *part)
{
    struct tenure_error err = {0};
    int rc = io_stream_connect(w->loop, a, &callbacks, &w->client, &w->client.stream, &err);
    while (rc == 0 && !w->client.ended)
        io_loop_step(w->loop, true);
    if (rc == 0)
        err = w->client.error;
    assert_int_equal(err.code, TENURE_EUNAVAILABLE);
    assert_non_null(strstr(err.text, part));
}

static void a_refused_connection_names_the_address(void **state)
{
    struct world *w = *state;
    listen_at(w, "http://127.0.0.1:0");
    struct io_address a = *io_listener_address(w->listener);
    w->listener = io_listener_close(w->listener);
    assert_connect_fails(w, &a, "refused");
    assert_non_null(strstr(w->client.error.text, "http://127.0.0.1:"));
}

static void a_missing_unix_socket_names_the_path(void **state)
{
    struct world *w = *state;
    struct io_address a;
    unix_url(w);
    a = address(w->url);
    assert_connect_fails(w, &a, w->dir);
}

static void a_name_that_does_not_exist_is_an_error_of_the_connection(void **state)
{
    struct world *w = *state;
    struct io_address a = address("http://does-not-exist.invalid:1");
    assert_connect_fails(w, &a, "does-not-exist.invalid");
}

static void a_stream_can_be_closed_while_its_name_is_looked_up(void **state)
{
    struct world *w = *state;
    struct io_address a = address("http://does-not-exist.invalid:1");
    assert_int_equal(io_stream_connect(w->loop, &a, &callbacks, &w->client, &w->client.stream, NULL), 0);
    w->client.stream = io_stream_close(w->client.stream);
    assert_false(w->client.ended);
}

/* ---- listeners ---- */

static int bind_dead_socket(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    return bind(fd, (struct sockaddr *)&un, sizeof un) < 0 ? -1 : close(fd);
}

static void a_stale_socket_file_is_replaced(void **state)
{
    struct world *w = *state;
    unix_url(w);
    assert_int_equal(bind_dead_socket(w->url + 7), 0);
    connect_both(w, w->url);
}

static void a_socket_on_which_somebody_answers_is_left_alone(void **state)
{
    struct world *w = *state;
    struct io_listener *second;
    struct tenure_error err;
    struct stat st;
    unix_url(w);
    listen_at(w, w->url);
    struct io_address a = address(w->url);
    assert_int_equal(io_listener_new(w->loop, &a, &accepting, w, &second, &err), TENURE_EBUSY);
    assert_non_null(strstr(err.text, w->url));
    assert_int_equal(stat(w->url + 7, &st), 0);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    struct world *w = *state;
    struct tenure_error err;
    unix_url(w);
    FILE *f = fopen(w->url + 7, "w");
    assert_non_null(f);
    fclose(f);
    struct io_address a = address(w->url);
    assert_int_equal(io_listener_new(w->loop, &a, &accepting, w, &w->listener, &err), TENURE_EINVALID);
    assert_int_equal(unlink(w->url + 7), 0);
}

static void a_port_in_use_is_named(void **state)
{
    struct world *w = *state;
    struct io_listener *second;
    struct tenure_error err;
    listen_at(w, "http://127.0.0.1:0");
    assert_int_equal(io_listener_new(w->loop, io_listener_address(w->listener), &accepting, w, &second, &err),
                     TENURE_EBUSY);
    assert_non_null(strstr(err.text, "http://127.0.0.1:"));
}

/* Nothing else finds out that the peer of an idle HTTP/1.1 connection is gone. */
static void the_system_asks_whether_a_silent_peer_is_there(void **state)
{
    struct world *w = *state;
    connect_both(w, "http://127.0.0.1:0");
    const int fds[] = {io_stream_fd(w->client.stream), io_stream_fd(w->server.stream)};
    for (size_t i = 0; i < 2; i++) {
        int on = 0;
        socklen_t len = sizeof on;
        assert_int_equal(getsockopt(fds[i], SOL_SOCKET, SO_KEEPALIVE, &on, &len), 0);
        assert_int_equal(on, 1);
    }
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(tcp_carries_bytes_both_ways_on_a_free_port),
        CASE(a_unix_socket_carries_bytes_both_ways_and_its_file_goes_with_it),
        CASE(localhost_connects_without_a_lookup),
        CASE(a_write_larger_than_the_socket_is_kept_and_told_when_it_is_out),
        CASE(nothing_arrives_while_reading_is_paused),
        CASE(the_peers_close_arrives_as_closed),
        CASE(a_finished_stream_still_reads),
        CASE(writing_to_a_peer_that_is_gone_ends_the_stream_and_not_the_process),
        CASE(a_refused_connection_names_the_address),
        CASE(a_missing_unix_socket_names_the_path),
        CASE(a_name_that_does_not_exist_is_an_error_of_the_connection),
        CASE(a_stream_can_be_closed_while_its_name_is_looked_up),
        CASE(a_stale_socket_file_is_replaced),
        CASE(a_socket_on_which_somebody_answers_is_left_alone),
        CASE(a_file_that_is_no_socket_is_left_alone),
        CASE(a_port_in_use_is_named),
        CASE(the_system_asks_whether_a_silent_peer_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
