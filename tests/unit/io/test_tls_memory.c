/* TLS without memory: each allocation of ours fails once. (OpenSSL's own are its own.) */
#include "tls_fixture.h"

#include "failmalloc.h"
#include "io/tls_internal.h"

struct end {
    struct tls_session *s;
    struct buf plain, out;
};

static void carry(struct end *from, struct end *to)
{
    enum tls_state state = tls_session_state(to->s);
    if (state == TLS_HANDSHAKE || state == TLS_OPEN)
        tls_session_read(to->s, buf_bytes(&from->out), &to->plain, &to->out);
    buf_reset(&from->out);
}

static bool failed(const struct end *e)
{
    return tls_session_state(e->s) == TLS_FAILED;
}

/* Nobody waits for ever and nothing is told that was not said: either all of it arrives, or an end has failed. */
static int talk(struct end *client, struct end *server)
{
    for (int i = 0; i < 4; i++) {
        carry(server, client);
        carry(client, server);
    }
    if (!failed(client) && !failed(server) &&
        tls_session_write(client->s, bytes_str("hello"), &client->out) != TLS_FAILED)
        carry(client, server);
    if (!failed(client) && !failed(server))
        return server->plain.len == 5 ? 0 : TENURE_EINTERNAL;
    return TENURE_ENOMEM;
}

static int open_and_talk(void *user)
{
    struct io_tls_config client_side = client_config("alice"), server_side = mutual_config();
    struct io_tls *client_tls = NULL, *server_tls = NULL;
    struct end client = {0}, server = {0};
    (void)user;
    int rc = io_tls_new(&client_side, &client_tls, NULL);
    if (rc == 0)
        rc = io_tls_new(&server_side, &server_tls, NULL);
    if (rc == 0)
        rc = tls_session_new(client_tls, "localhost", &client.s, NULL);
    if (rc == 0)
        rc = tls_session_new(server_tls, NULL, &server.s, NULL);
    if (rc == 0)
        rc = talk(&client, &server);
    tls_session_free(client.s);
    tls_session_free(server.s);
    io_tls_unref(client_tls);
    io_tls_unref(server_tls);
    buf_fini(&client.plain);
    buf_fini(&client.out);
    buf_fini(&server.plain);
    buf_fini(&server.out);
    return rc;
}

static void either_all_arrives_or_an_end_has_failed(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(open_and_talk, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(either_all_arrives_or_an_end_has_failed)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
