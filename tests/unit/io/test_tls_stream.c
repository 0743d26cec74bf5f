/* TLS on streams and listeners, over real sockets of this machine. */
#include "tls_fixture.h"

#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "io/listener.h"
#include "io/stream.h"

struct end {
    struct io_stream *stream;
    struct buf got;
    bool connected, writable;
    int ends;
    bool closes_at_end;              /* and reads the error afterwards, as a program may */
    struct tenure_error first, last; /* how it ended, and how finally */
};

static struct world {
    struct io_loop *loop;
    struct io_listener *listener;
    struct io_tls *client_tls, *server_tls;
    struct end client, server;
} w;

static void on_end(void *user, const struct tenure_error *error)
{
    struct end *e = user;
    if (e->closes_at_end)
        e->stream = io_stream_close(e->stream);
    if (e->ends++ == 0)
        e->first = *error;
    e->last = *error;
}

static void on_connect(void *user, const struct tenure_error *error)
{
    ((struct end *)user)->connected = error == NULL;
    if (error)
        on_end(user, error);
}

static void on_read(void *user, bytes in)
{
    buf_append_bytes(&((struct end *)user)->got, in);
}

static void on_writable(void *user)
{
    ((struct end *)user)->writable = true;
}

static const struct io_stream_callbacks callbacks = {
    .on_connect = on_connect, .on_read = on_read, .on_end = on_end, .on_writable = on_writable};

static void on_accept(void *user, int fd, const char *peer)
{
    (void)user, (void)peer;
    assert_int_equal(io_stream_adopt_tls(w.loop, fd, w.server_tls, &callbacks, &w.server, &w.server.stream, NULL), 0);
}

static const struct io_listener_callbacks accepting = {.on_accept = on_accept};

static int setup(void **state)
{
    (void)state;
    memset(&w, 0, sizeof w);
    buf_init(&w.client.got);
    buf_init(&w.server.got);
    return io_loop_new(NULL, &w.loop, NULL);
}

static int teardown(void **state)
{
    (void)state;
    io_stream_close(w.client.stream);
    io_stream_close(w.server.stream);
    io_listener_close(w.listener);
    io_loop_free(w.loop);
    io_tls_unref(w.client_tls);
    io_tls_unref(w.server_tls);
    buf_fini(&w.client.got);
    buf_fini(&w.server.got);
    return 0;
}

static void until(bool (*holds)(void))
{
    while (!holds())
        io_loop_step(w.loop, true);
}

static bool both_there(void)
{
    return (w.client.connected || w.client.ends) && (w.server.stream || w.server.ends);
}

static bool server_ended(void)
{
    return w.server.ends > 0;
}

static bool server_gone(void)
{
    return w.server.ends > 1;
}

static bool client_ended(void)
{
    return w.client.ends > 0;
}

static void begin(struct io_tls_config client, struct io_tls_config server)
{
    struct io_address at;
    w.client_tls = context(client);
    w.server_tls = context(server);
    assert_int_equal(io_address_parse("https://127.0.0.1:0", -1, &at, NULL), 0);
    assert_int_equal(io_listener_new(w.loop, &at, &accepting, NULL, &w.listener, NULL), 0);
    assert_int_equal(io_stream_connect_tls(w.loop, io_listener_address(w.listener), w.client_tls, &callbacks, &w.client,
                                           &w.client.stream, NULL),
                     0);
    until(both_there);
}

static void send_text(struct end *e, const char *text)
{
    struct buf b;
    buf_init(&b);
    buf_append_bytes(&b, bytes_str(text));
    io_stream_write(e->stream, &b);
    assert_int_equal(b.len, 0);
    buf_fini(&b);
}

static void wait_for(struct end *e, size_t len)
{
    while (e->got.len < len)
        io_loop_step(w.loop, true);
}

/* A socket of the test's own at the listener, and the server's end of it. */
static int connect_raw(void)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    w.server_tls = context(server_config("server"));
    on_accept(NULL, fds[0], "raw");
    return fds[1];
}

/* ---- */

static void bytes_go_both_ways(void **state)
{
    (void)state;
    begin(client_config("alice"), mutual_config());
    assert_true(w.client.connected);
    send_text(&w.client, "ping");
    wait_for(&w.server, 4);
    assert_string_equal(io_stream_tls_peer(w.server.stream)->common_name, "alice");
    assert_string_equal(io_stream_tls_peer(w.client.stream)->common_name, "server");
    send_text(&w.server, "pong");
    wait_for(&w.client, 4);
    assert_memory_equal(w.client.got.data, "pong", 4);
}

static void a_write_larger_than_the_socket_is_kept_and_told_when_it_is_out(void **state)
{
    (void)state;
    enum { LEN = 8 << 20 };
    struct buf b;
    begin(client_config(NULL), server_config("server"));
    send_text(&w.client, "x");
    wait_for(&w.server, 1);
    io_stream_reading(w.server.stream, false);
    buf_init(&b);
    memset(buf_reserve(&b, LEN), 'x', LEN);
    buf_added(&b, LEN);
    io_stream_write(w.client.stream, &b);
    assert_int_equal(b.len, 0);
    assert_false(io_stream_writable(w.client.stream));
    for (int i = 0; i < 10; i++)
        io_loop_step(w.loop, false);
    assert_int_equal(w.server.got.len, 1);
    io_stream_reading(w.server.stream, true);
    wait_for(&w.server, LEN + 1);
    assert_true(w.client.writable);
    assert_true(io_stream_writable(w.client.stream));
    buf_fini(&b);
}

static void a_close_arrives_as_closed(void **state)
{
    (void)state;
    begin(client_config(NULL), server_config("server"));
    send_text(&w.client, "last words");
    w.client.stream = io_stream_close(w.client.stream);
    until(server_ended);
    assert_int_equal(w.server.first.code, TENURE_ECLOSED);
    assert_int_equal(w.server.got.len, 10);
}

static void a_finished_stream_still_reads(void **state)
{
    (void)state;
    begin(client_config(NULL), server_config("server"));
    send_text(&w.client, "x");
    wait_for(&w.server, 1);
    io_stream_finish(w.server.stream);
    until(client_ended);
    assert_int_equal(w.client.first.code, TENURE_ECLOSED);
    assert_int_equal(w.server.ends, 0);
    w.client.stream = io_stream_close(w.client.stream);
    until(server_ended);
}

static void a_client_that_is_refused_hears_it_and_the_server_waits_for_its_end(void **state)
{
    (void)state;
    struct io_tls_config mutual = mutual_config(), client = client_config("stranger");
    client.version_max = IO_TLS_1_2;
    begin(client, mutual);
    until(server_ended);
    until(client_ended);
    assert_int_equal(w.server.first.code, TENURE_EDENIED);
    assert_false(w.client.connected);
    assert_non_null(strstr(w.client.first.text, "alert"));
    assert_int_equal(w.server.ends, 1);
    assert_null(io_stream_tls_peer(w.server.stream));
    w.client.stream = io_stream_close(w.client.stream);
    until(server_gone);
}

/* In TLS 1.3 the client has sent its first request before the server has seen its certificate. */
static void the_alert_is_not_lost_when_the_client_has_gone_on_talking(void **state)
{
    (void)state;
    begin(client_config("stranger"), mutual_config());
    assert_true(w.client.connected);
    send_text(&w.client, "a request");
    until(client_ended);
    if (!strstr(w.client.first.text, "alert"))
        fail_msg("not told why: %s", w.client.first.text);
    assert_int_equal(w.server.got.len, 0);
}

static void whoever_closes_at_the_end_may_read_the_reason(void **state)
{
    (void)state;
    w.server.closes_at_end = w.client.closes_at_end = true;
    begin(client_config("stranger"), mutual_config());
    until(server_ended);
    until(client_ended);
    assert_int_equal(w.server.first.code, TENURE_EDENIED);
    assert_null(w.server.stream);
    assert_null(w.client.stream);
}

static void a_client_refuses_a_wrong_server(void **state)
{
    (void)state;
    begin(client_config(NULL), server_config("expired"));
    until(client_ended);
    assert_false(w.client.connected);
    assert_int_equal(w.client.first.code, TENURE_EDENIED);
    assert_non_null(strstr(w.client.first.text, "expired"));
    w.client.stream = io_stream_close(w.client.stream);
    until(server_ended);
}

static void a_stream_is_not_writable_before_the_handshake_is_done(void **state)
{
    (void)state;
    int fd = connect_raw();
    for (int i = 0; i < 5; i++)
        io_loop_step(w.loop, false);
    assert_false(io_stream_writable(w.server.stream));
    assert_null(io_stream_tls_peer(w.server.stream));
    close(fd);
    until(server_ended);
    assert_int_equal(w.server.first.code, TENURE_ECLOSED);
}

static void one_who_speaks_http_gets_an_answer(void **state)
{
    (void)state;
    static const char request[] = "GET / HTTP/1.1\r\n\r\n";
    char answer[256] = "";
    int fd = connect_raw();
    assert_int_equal(write(fd, request, sizeof request - 1), sizeof request - 1);
    until(server_ended);
    assert_int_equal(w.server.first.code, TENURE_EPROTOCOL);
    assert_true(read(fd, answer, sizeof answer - 1) > 0);
    assert_non_null(strstr(answer, "HTTPS"));
    assert_int_equal(read(fd, answer, sizeof answer), 0); /* and the end */
    close(fd);
    until(server_gone);
}

static void a_stream_may_be_closed_at_any_moment(void **state)
{
    (void)state;
    int fd = connect_raw();
    assert_int_equal(write(fd, "\x16\x03\x01", 3), 3);
    io_loop_step(w.loop, true);
    w.server.stream = io_stream_close(w.server.stream);
    assert_int_equal(w.server.ends, 0);
    close(fd);
}

/* One that is OpenSSL itself, to misbehave. */
static SSL *raw_client(int fd, SSL_CTX **ret_ctx)
{
    *ret_ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(*ret_ctx);
    SSL_set_fd(ssl, fd);
    while (SSL_connect(ssl) != 1)
        io_loop_step(w.loop, false);
    return ssl;
}

static void a_peer_that_makes_tls_answer_and_does_not_read_is_dropped(void **state)
{
    (void)state;
    SSL_CTX *ctx;
    int fd = connect_raw();
    SSL *ssl = raw_client(fd, &ctx);
    for (int i = 0; i < 1000000 && w.server.ends == 0; i++) {
        SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
        SSL_do_handshake(ssl); /* writes it; what the server answers is never read */
        io_loop_step(w.loop, false);
    }
    assert_int_equal(w.server.ends, 1);
    assert_int_equal(w.server.first.code, TENURE_EUNAVAILABLE);
    ERR_clear_error();
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    close(fd);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(bytes_go_both_ways),
        CASE(a_write_larger_than_the_socket_is_kept_and_told_when_it_is_out),
        CASE(a_close_arrives_as_closed),
        CASE(a_finished_stream_still_reads),
        CASE(a_client_that_is_refused_hears_it_and_the_server_waits_for_its_end),
        CASE(the_alert_is_not_lost_when_the_client_has_gone_on_talking),
        CASE(whoever_closes_at_the_end_may_read_the_reason),
        CASE(a_client_refuses_a_wrong_server),
        CASE(a_stream_is_not_writable_before_the_handshake_is_done),
        CASE(one_who_speaks_http_gets_an_answer),
        CASE(a_stream_may_be_closed_at_any_moment),
        CASE(a_peer_that_makes_tls_answer_and_does_not_read_is_dropped),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
