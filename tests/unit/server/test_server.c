/* The whole server in this process: real data directory, real sockets, its loop on another thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/kv.h"
#include "server/server.h"
#include "wire/codec.h"
#include "wire/h2.h"

struct here {
    char dir[64], data[80], socket[80], url[96];
    const char *urls[1];
    struct server_config config;
    struct server *server;
    pthread_t thread;
};

static struct here here;

static int setup(void **state)
{
    (void)state;
    memset(&here, 0, sizeof here);
    snprintf(here.dir, sizeof here.dir, "/tmp/tenure-server-XXXXXX");
    assert_non_null(mkdtemp(here.dir));
    snprintf(here.data, sizeof here.data, "%s/data", here.dir);
    snprintf(here.socket, sizeof here.socket, "%s/s", here.dir);
    snprintf(here.url, sizeof here.url, "unix://%s", here.socket);
    here.urls[0] = here.url;
    here.config = (struct server_config){.data_dir = here.data, .listen_urls = here.urls, .n_listen_urls = 1};
    return 0;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", here.dir);
    return system(command);
}

static void *run_main(void *user)
{
    server_run(user);
    return NULL;
}

static void begin(void)
{
    struct tenure_error err = {0};
    if (server_open(&here.config, &here.server, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(pthread_create(&here.thread, NULL, run_main, here.server), 0);
}

static void end(void)
{
    server_stop(here.server);
    pthread_join(here.thread, NULL);
    here.server = server_close(here.server);
}

static int dial(void)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(un.sun_path, sizeof un.sun_path, "%s", here.socket);
    assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof un), 0);
    return fd;
}

/* ---- one put over a blocking socket ---- */

struct reply {
    bool done;
    enum grpc_status status;
    tn_rev revision;
};

static void on_message(void *user, struct h2_stream *st, bytes message)
{
    struct reply *r = user;
    struct arena a;
    struct put_resp resp;
    struct response_header h;
    (void)st;
    arena_init(&a, 0);
    assert_int_equal(decode_put_resp(message, &a, &h, &resp), 0);
    r->revision = resp.revision;
    arena_fini(&a);
}

static void on_status(void *user, struct h2_stream *st, enum grpc_status status, bytes text)
{
    struct reply *r = user;
    (void)st, (void)text;
    r->done = true;
    r->status = status;
}

static void on_close(void *user, struct h2_stream *st)
{
    (void)user, (void)st;
}

static const struct h2_callbacks callbacks = {.on_message = on_message, .on_status = on_status, .on_close = on_close};

static void write_all(int fd, struct h2_conn *h2)
{
    struct buf out;
    buf_init(&out);
    assert_int_equal(h2_output(h2, &out, 1 << 20), 0);
    assert_int_equal(send(fd, out.data, out.len, MSG_NOSIGNAL), out.len);
    buf_fini(&out);
}

static struct reply put(int fd, const char *key)
{
    struct reply r = {0};
    struct h2_limits limits = {0};
    struct h2_conn *h2 = h2_client_new(&limits, &callbacks, &r);
    struct h2_stream *st = h2_call(h2, "/etcdserverpb.KV/Put", "localhost", -1, NULL, 0, NULL);
    struct buf message;
    uint8_t in[4096];
    buf_init(&message);
    encode_put_req(&(struct put_req){.key = bytes_str(key)}, &message);
    assert_int_equal(h2_send_message(st, buf_bytes(&message)), 0);
    assert_int_equal(h2_half_close(st), 0);
    buf_fini(&message);
    write_all(fd, h2);
    while (!r.done) {
        ssize_t n = recv(fd, in, sizeof in, 0);
        assert_true(n > 0);
        assert_int_equal(h2_feed(h2, bytes_of(in, (size_t)n), 0, NULL), 0);
        write_all(fd, h2);
    }
    h2_free(h2);
    return r;
}

/* ---- */

static void a_put_over_a_socket_is_answered_and_is_there_after_a_restart(void **state)
{
    (void)state;
    char line[512];
    begin();
    int fd = dial();
    struct reply r = put(fd, "a");
    assert_int_equal(r.status, GRPC_OK);
    assert_int_equal(r.revision, 2);
    close(fd);
    end();
    begin();
    assert_non_null(strstr(server_ready_line(here.server, line, sizeof line), "revision 2)"));
    end();
}

static void a_stop_does_not_wait_for_idle_connections(void **state)
{
    (void)state;
    char byte;
    begin();
    int silent = dial(), spoken = dial();
    put(spoken, "a");
    end();
    while (recv(spoken, &byte, 1, 0) > 0)
        ; /* GOAWAY, then the end */
    assert_int_equal(recv(silent, &byte, 1, 0), 0);
    close(silent);
    close(spoken);
}

static void the_data_directory_belongs_to_one_server(void **state)
{
    (void)state;
    struct server *second;
    struct tenure_error err;
    struct server_config config = here.config;
    const char *urls[] = {"http://127.0.0.1:0"};
    config.listen_urls = urls;
    begin();
    assert_int_equal(server_open(&config, &second, &err), TENURE_EBUSY);
    end();
}

static void an_address_that_others_reach_is_refused_by_name(void **state)
{
    (void)state;
    struct server *s;
    struct tenure_error err;
    const char *urls[] = {"http://127.0.0.1:0", "http://[::]:0"};
    here.config.listen_urls = urls;
    here.config.n_listen_urls = 2;
    assert_int_equal(server_open(&here.config, &s, &err), TENURE_EINVALID);
    assert_non_null(strstr(err.text, "http://[::]:0"));
    assert_non_null(strstr(err.text, "--insecure-listen-anywhere"));
    here.config.listen_anywhere = true;
    urls[1] = "http://0.0.0.0:0";
    assert_int_equal(server_open(&here.config, &s, &err), 0);
    server_close(s);
}

static void a_directory_that_cannot_be_made_is_named(void **state)
{
    (void)state;
    struct server *s;
    struct tenure_error err;
    here.config.data_dir = "/proc/no/such/place";
    assert_true(server_open(&here.config, &s, &err) < 0);
    assert_non_null(strstr(err.text, "/proc/no"));
}

static void a_directory_whose_restore_was_interrupted_is_refused(void **state)
{
    struct tenure_error err = {0};
    char left[96];
    (void)state;
    snprintf(left, sizeof left, "%s.restoring", here.data);
    assert_int_equal(mkdir(left, 0700), 0);
    assert_int_equal(server_open(&here.config, &here.server, &err), TENURE_EINVALID);
    assert_non_null(strstr(err.text, left));
    assert_int_equal(access(here.data, F_OK), -1); /* nothing was begun */
    assert_int_equal(rmdir(left), 0);
    begin();
    end();
    assert_int_equal(mkdir(left, 0700), 0); /* beside data that is there it means nothing */
    begin();
    end();
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_directory_whose_restore_was_interrupted_is_refused),
        CASE(a_put_over_a_socket_is_answered_and_is_there_after_a_restart),
        CASE(a_stop_does_not_wait_for_idle_connections),
        CASE(the_data_directory_belongs_to_one_server),
        CASE(an_address_that_others_reach_is_refused_by_name),
        CASE(a_directory_that_cannot_be_made_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
