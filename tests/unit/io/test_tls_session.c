/* Two ends of TLS in memory, with all kinds of certificates, fed in pieces of any size. */
#include "tls_fixture.h"

#include "io/tls_internal.h"

struct end {
    struct tls_session *s;
    struct buf plain, out;
    enum tls_state state;
};

struct pair {
    struct io_tls *client_tls, *server_tls;
    struct end client, server;
    size_t step; /* bytes a time; 0 = all */
};

static void end_open(struct end *e, struct io_tls *t, const char *host)
{
    buf_init(&e->plain);
    buf_init(&e->out);
    e->state = TLS_HANDSHAKE;
    assert_int_equal(tls_session_new(t, host, &e->s, NULL), 0);
}

static void end_close(struct end *e)
{
    tls_session_free(e->s);
    buf_fini(&e->plain);
    buf_fini(&e->out);
}

static struct pair pair_open(struct io_tls_config client, struct io_tls_config server, const char *host)
{
    struct pair p = {.client_tls = context(client), .server_tls = context(server)};
    end_open(&p.client, p.client_tls, host);
    end_open(&p.server, p.server_tls, NULL);
    return p;
}

static void pair_close(struct pair *p)
{
    end_close(&p->client);
    end_close(&p->server);
    io_tls_unref(p->client_tls);
    io_tls_unref(p->server_tls);
}

static void feed(struct end *e, bytes in)
{
    if (e->state == TLS_HANDSHAKE || e->state == TLS_OPEN)
        e->state = tls_session_read(e->s, in, &e->plain, &e->out);
}

/* What one end has to say, piece by piece, to the other. */
static bool carry(struct pair *p, struct end *from, struct end *to)
{
    size_t len = from->out.len, step = p->step ? p->step : len;
    if (len == 0)
        return false;
    for (size_t at = 0; at < len; at += step)
        feed(to, bytes_of(from->out.data + at, len - at < step ? len - at : step));
    buf_consume(&from->out, len);
    return true;
}

static void settle(struct pair *p)
{
    bool moved = true;
    while (moved) {
        moved = carry(p, &p->client, &p->server);
        moved = carry(p, &p->server, &p->client) || moved;
    }
}

static void shake(struct pair *p)
{
    feed(&p->client, bytes_of(NULL, 0));
    settle(p);
}

static void opens(struct pair *p)
{
    shake(p);
    if (p->client.state == TLS_FAILED)
        fail_msg("client: %s", tls_session_error(p->client.s)->text);
    if (p->server.state == TLS_FAILED)
        fail_msg("server: %s", tls_session_error(p->server.s)->text);
    assert_int_equal(p->client.state, TLS_OPEN);
    assert_int_equal(p->server.state, TLS_OPEN);
}

static void says(const struct end *e, int code, const char *text)
{
    const struct tenure_error *err = tls_session_error(e->s);
    assert_int_equal(e->state, TLS_FAILED);
    if (err->code != code || !strstr(err->text, text))
        fail_msg("wanted %d \"%s\", got %d: %s", code, text, err->code, err->text);
}

static void send(struct pair *p, struct end *from, const void *data, size_t len)
{
    assert_int_not_equal(tls_session_write(from->s, bytes_of(data, len), &from->out), TLS_FAILED);
    settle(p);
}

static void got(const struct end *e, const void *data, size_t len)
{
    assert_int_equal(e->plain.len, len);
    assert_memory_equal(e->plain.data, data, len);
}

/* ---- when all goes well ---- */

static void both_ways_in_pieces(struct pair p)
{
    opens(&p);
    send(&p, &p.client, "hello", 5);
    got(&p.server, "hello", 5);
    send(&p, &p.server, "world!", 6);
    got(&p.client, "world!", 6);
    pair_close(&p);
}

static void bytes_arrive_in_pieces_of_any_size(void **state)
{
    (void)state;
    static const size_t steps[] = {0, 1, 2, 5, 7, 100, 4096};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct pair p = pair_open(client_config(NULL), server_config("server"), "localhost");
        p.step = steps[i];
        both_ways_in_pieces(p);
    }
}

static void large_data_arrives_whole(void **state)
{
    (void)state;
    size_t len = 3 << 20;
    uint8_t *data = malloc(len);
    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
    struct pair p = pair_open(client_config(NULL), server_config("server"), "localhost");
    p.step = 60000;
    opens(&p);
    send(&p, &p.client, data, len);
    got(&p.server, data, len);
    send(&p, &p.server, data, len);
    got(&p.client, data, len);
    pair_close(&p);
    free(data);
}

static void the_first_bytes_may_come_with_the_handshake(void **state)
{
    (void)state;
    struct pair p = pair_open(client_config(NULL), server_config("server"), "localhost");
    feed(&p.client, bytes_of(NULL, 0));
    carry(&p, &p.client, &p.server);
    carry(&p, &p.server, &p.client);
    assert_int_equal(p.client.state, TLS_OPEN);
    assert_int_equal(p.server.state, TLS_HANDSHAKE);
    send(&p, &p.client, "early", 5);
    assert_int_equal(p.server.state, TLS_OPEN);
    got(&p.server, "early", 5);
    pair_close(&p);
}

static void both_versions_are_spoken(void **state)
{
    (void)state;
    static const char *const names[] = {"TLSv1.2", "TLSv1.3"};
    for (int v = IO_TLS_1_2; v <= IO_TLS_1_3; v++) {
        struct io_tls_config k = client_config(NULL);
        k.version_min = k.version_max = (enum io_tls_version)v;
        struct pair p = pair_open(k, server_config("server"), "127.0.0.1");
        opens(&p);
        assert_string_equal(tls_session_peer(p.server.s)->version, names[v - IO_TLS_1_2]);
        assert_string_equal(tls_session_peer(p.server.s)->alpn, "h2");
        assert_string_equal(tls_session_peer(p.client.s)->alpn, "h2");
        both_ways_in_pieces(p);
    }
}

static void the_end_is_told(void **state)
{
    (void)state;
    struct pair p = pair_open(client_config(NULL), server_config("server"), "localhost");
    opens(&p);
    tls_session_finish(p.client.s, &p.client.out);
    settle(&p);
    assert_int_equal(p.server.state, TLS_CLOSED);
    /* The other direction goes on. */
    assert_int_equal(tls_session_write(p.server.s, bytes_str("last"), &p.server.out), TLS_CLOSED);
    tls_session_finish(p.server.s, &p.server.out);
    settle(&p);
    got(&p.client, "last", 4);
    assert_int_equal(p.client.state, TLS_CLOSED);
    pair_close(&p);
}

/* ---- versions, ciphers, protocols ---- */

static void versions_without_one_in_common_fail(void **state)
{
    (void)state;
    struct io_tls_config only13 = server_config("server"), only12 = client_config(NULL);
    only13.version_min = IO_TLS_1_3;
    only12.version_max = IO_TLS_1_2;
    struct pair p = pair_open(only12, only13, "localhost");
    shake(&p);
    says(&p.server, TENURE_EPROTOCOL, "unsupported protocol");
    says(&p.client, TENURE_EPROTOCOL, "alert protocol version");
    pair_close(&p);
}

static void a_cipher_list_is_kept_to(void **state)
{
    (void)state;
    static const char *const one[] = {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
                             *const other[] = {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"};
    struct io_tls_config server = server_config("server"), client = client_config(NULL);
    client.version_max = IO_TLS_1_2;
    server.cipher_suites = client.cipher_suites = one;
    server.n_cipher_suites = client.n_cipher_suites = 1;
    struct pair p = pair_open(client, server, "localhost");
    both_ways_in_pieces(p);
    client.cipher_suites = other;
    p = pair_open(client, server, "localhost");
    shake(&p);
    says(&p.server, TENURE_EPROTOCOL, "no shared cipher");
    pair_close(&p);
}

static void a_list_of_new_ciphers_alone_leaves_no_old_version(void **state)
{
    (void)state;
    static const char *const one[] = {"TLS_AES_256_GCM_SHA384"};
    struct io_tls_config server = server_config("server"), client = client_config(NULL);
    server.cipher_suites = one;
    server.n_cipher_suites = 1;
    struct pair p = pair_open(client, server, "localhost");
    both_ways_in_pieces(p);
    client.version_max = IO_TLS_1_2;
    p = pair_open(client, server, "localhost");
    shake(&p);
    says(&p.server, TENURE_EPROTOCOL, "unsupported protocol");
    pair_close(&p);
}

/* ---- certificates of servers ---- */

static void client_refuses(const char *server, const char *host, struct io_tls_config client, const char *why)
{
    struct pair p = pair_open(client, server_config(server), host);
    shake(&p);
    says(&p.client, TENURE_EDENIED, why);
    says(&p.server, TENURE_EPROTOCOL, "alert");
    pair_close(&p);
}

static void a_client_wants_the_right_server(void **state)
{
    (void)state;
    struct io_tls_config other = {.ca_file = in_folder("other-ca", ".pem")};
    client_refuses("server", "example.org", client_config(NULL), "hostname mismatch");
    client_refuses("server", "127.0.0.2", client_config(NULL), "IP address mismatch");
    client_refuses("expired", "localhost", client_config(NULL), "expired");
    client_refuses("server", "localhost", other, "local issuer");
    client_refuses("server", "localhost", (struct io_tls_config){0}, "local issuer");
}

static void a_client_may_name_the_server_or_look_away(void **state)
{
    (void)state;
    struct io_tls_config client = client_config(NULL);
    client.server_name = "localhost";
    struct pair p = pair_open(client, server_config("server"), "10.0.0.1");
    both_ways_in_pieces(p);
    struct io_tls_config blind = {.insecure_skip_verify = true};
    p = pair_open(blind, server_config("expired"), "10.0.0.1");
    opens(&p);
    assert_false(tls_session_peer(p.client.s)->has_certificate);
    pair_close(&p);
}

/* ---- certificates of clients ---- */

static void server_takes(struct io_tls_config server, const char *client, const char *cn)
{
    for (int v = IO_TLS_1_2; v <= IO_TLS_1_3; v++) {
        struct io_tls_config k = client_config(client);
        k.version_max = (enum io_tls_version)v;
        struct pair p = pair_open(k, server, "localhost");
        opens(&p);
        assert_int_equal(tls_session_peer(p.server.s)->has_certificate, cn != NULL);
        assert_string_equal(tls_session_peer(p.server.s)->common_name, cn ? cn : "");
        pair_close(&p);
    }
}

static void server_refuses(struct io_tls_config server, const char *client, const char *why)
{
    for (int v = IO_TLS_1_2; v <= IO_TLS_1_3; v++) {
        struct io_tls_config k = client_config(client);
        k.version_max = (enum io_tls_version)v;
        struct pair p = pair_open(k, server, "localhost");
        shake(&p);
        says(&p.server, client ? TENURE_EDENIED : TENURE_EPROTOCOL, why);
        says(&p.client, TENURE_EPROTOCOL, "alert"); /* it is told */
        assert_int_equal(p.server.plain.len, 0);
        pair_close(&p);
    }
}

static void a_client_without_certificate_may_in_unless_it_is_wanted(void **state)
{
    (void)state;
    server_takes(server_config("server"), NULL, NULL);
    server_takes(server_config("server"), "alice", NULL);
    server_refuses(mutual_config(), NULL, "did not return a certificate");
    struct io_tls_config ca_alone = server_config("server");
    ca_alone.ca_file = in_folder("ca", ".pem");
    server_refuses(ca_alone, NULL, "did not return a certificate");
}

static void a_client_certificate_must_be_of_our_authority_and_in_time(void **state)
{
    (void)state;
    server_takes(mutual_config(), "alice", "alice");
    server_takes(mutual_config(), "nul", "");
    server_refuses(mutual_config(), "stranger", "local issuer");
    server_refuses(mutual_config(), "expired", "expired");
}

static void a_revoked_certificate_is_refused(void **state)
{
    (void)state;
    static const char *const files[] = {".pem", ".der"};
    for (size_t i = 0; i < 2; i++) {
        struct io_tls_config server = mutual_config();
        server.crl_file = in_folder("crl", files[i]);
        server_takes(server, "alice", "alice");
        server_refuses(server, "revoked", "is revoked");
        /* The same serial number from another authority is somebody else. */
        server.ca_file = in_folder("other-ca", ".pem");
        server_takes(server, "stranger", "alice");
    }
}

static void only_allowed_names_may_in(void **state)
{
    (void)state;
    static const char *const cns[] = {"nobody", "alice"};
    static const char *const hosts[] = {"10.9.8.7", "web.bob.example", "127.0.0.1"};
    struct io_tls_config server = mutual_config();
    server.allowed_cns = cns;
    server.n_allowed_cns = 2;
    server_takes(server, "alice", "alice");
    server_refuses(server, "bob", "(CN \"bob\") has none of the allowed common names");
    server_refuses(server, "nul", "has none of the allowed common names");
    server = mutual_config();
    server.allowed_hostnames = hosts;
    server.n_allowed_hostnames = 3;
    server_takes(server, "bob", "bob");
    server_takes(server, "server", "server"); /* by its address */
    server_refuses(server, "alice", "is for none of the allowed host names");
}

/* ---- peers that are not what they should be ---- */

static void who_does_not_speak_tls_is_told_so(void **state)
{
    (void)state;
    static const struct {
        const char *said, *answer;
    } peers[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.0 400 "},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""},
        {"\x80\x2e\x01", ""},
        {"\n", ""},
    };
    struct io_tls *t = context(server_config("server"));
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        struct end e;
        end_open(&e, t, NULL);
        feed(&e, bytes_str(peers[i].said));
        says(&e, TENURE_EPROTOCOL, "does not speak TLS");
        assert_int_equal(strncmp(e.out.len ? (char *)e.out.data : "", peers[i].answer, strlen(peers[i].answer)), 0);
        assert_int_equal(e.out.len > 0, *peers[i].answer != 0);
        end_close(&e);
    }
    io_tls_unref(t);
}

static void a_record_that_was_touched_is_refused(void **state)
{
    (void)state;
    struct pair p = pair_open(client_config(NULL), server_config("server"), "localhost");
    opens(&p);
    tls_session_write(p.client.s, bytes_str("payload"), &p.client.out);
    p.client.out.data[p.client.out.len - 1] ^= 1;
    settle(&p);
    says(&p.server, TENURE_EPROTOCOL, "TLS: ");
    assert_int_equal(p.server.plain.len, 0);
    pair_close(&p);
}

static void a_record_that_is_cut_gives_nothing(void **state)
{
    (void)state;
    struct pair p = pair_open(client_config(NULL), server_config("server"), "localhost");
    opens(&p);
    tls_session_write(p.client.s, bytes_str("payload"), &p.client.out);
    p.client.out.len--;
    settle(&p);
    assert_int_equal(p.server.state, TLS_OPEN);
    assert_int_equal(p.server.plain.len, 0);
    pair_close(&p);
}

/* Our own client cannot ask for it: one that is OpenSSL itself. */
static void renegotiation_is_refused(void **state)
{
    (void)state;
    struct io_tls *t = context(server_config("server"));
    struct end server;
    end_open(&server, t, NULL);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *client = SSL_new(ctx);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    char chunk[8192];
    bool refused = false;
    SSL_set_bio(client, in, out);
    SSL_set_connect_state(client);
    SSL_set_max_proto_version(client, TLS1_2_VERSION);
    for (int round = 0; round < 10; round++) {
        if (round == 5)
            assert_int_equal(SSL_renegotiate(client), 1);
        ERR_clear_error();
        SSL_do_handshake(client);
        refused = refused || ERR_GET_REASON(ERR_peek_error()) == SSL_R_NO_RENEGOTIATION;
        int n = BIO_read(out, chunk, sizeof chunk);
        feed(&server, bytes_of(chunk, n > 0 ? (size_t)n : 0));
        BIO_write(in, server.out.data, (int)server.out.len);
        buf_consume(&server.out, server.out.len);
    }
    assert_true(refused);
    ERR_clear_error();
    SSL_free(client);
    SSL_CTX_free(ctx);
    end_close(&server);
    io_tls_unref(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_arrive_in_pieces_of_any_size),
        cmocka_unit_test(large_data_arrives_whole),
        cmocka_unit_test(the_first_bytes_may_come_with_the_handshake),
        cmocka_unit_test(both_versions_are_spoken),
        cmocka_unit_test(the_end_is_told),
        cmocka_unit_test(versions_without_one_in_common_fail),
        cmocka_unit_test(a_cipher_list_is_kept_to),
        cmocka_unit_test(a_list_of_new_ciphers_alone_leaves_no_old_version),
        cmocka_unit_test(a_client_wants_the_right_server),
        cmocka_unit_test(a_client_may_name_the_server_or_look_away),
        cmocka_unit_test(a_client_without_certificate_may_in_unless_it_is_wanted),
        cmocka_unit_test(a_client_certificate_must_be_of_our_authority_and_in_time),
        cmocka_unit_test(a_revoked_certificate_is_refused),
        cmocka_unit_test(only_allowed_names_may_in),
        cmocka_unit_test(who_does_not_speak_tls_is_told_so),
        cmocka_unit_test(a_record_that_was_touched_is_refused),
        cmocka_unit_test(a_record_that_is_cut_gives_nothing),
        cmocka_unit_test(renegotiation_is_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
