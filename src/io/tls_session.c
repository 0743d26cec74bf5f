/* One TLS connection as a function of bytes: what the socket gave goes in, plain bytes and bytes for the socket come out.
 *
 * OpenSSL reads from the very buffer that the socket was read into and writes to the end of the caller's, by a BIO of ours,
 * so that nothing is copied that is not sealed or opened on the way. It takes all it is given; a record that is not whole
 * yet waits in OpenSSL (at most one, 16 KiB), so what stands here is bounded.
 *
 * Failures: an alert is left in the output when there is one to send; the reason is kept for who asks.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/tls_internal.h"

#define PLAIN_STEP 16384 /* a record's worth */

struct tls_session {
    struct io_tls *t;
    SSL *ssl;
    enum tls_state state;
    bool finished; /* our close_notify is out */
    bool begun;    /* the peer's first bytes were looked at */
    bytes in;      /* for the BIO, while in tls_session_read */
    struct buf *out;
    struct tenure_error error;
    char reason[200];
    struct io_tls_peer peer;
};

/* ---- the BIO ---- */

static int bio_read(BIO *b, char *to, int size)
{
    const struct openssl *o = openssl_load(NULL);
    struct tls_session *s = o->BIO_get_data(b);
    o->BIO_clear_flags(b, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
    if (s->in.len == 0) {
        o->BIO_set_flags(b, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
        return -1;
    }
    size_t n = size < 0 ? 0 : (size_t)size < s->in.len ? (size_t)size : s->in.len;
    memcpy(to, s->in.data, n);
    s->in = bytes_of(s->in.data + n, s->in.len - n);
    return (int)n;
}

static int bio_write(BIO *b, const char *from, int len)
{
    const struct openssl *o = openssl_load(NULL);
    struct tls_session *s = o->BIO_get_data(b);
    o->BIO_clear_flags(b, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
    if (!s->out || len < 0)
        return -1;
    buf_append(s->out, from, (size_t)len);
    return buf_error(s->out) ? -1 : len;
}

static long bio_ctrl(BIO *b, int what, long number, void *pointer)
{
    (void)b, (void)number, (void)pointer;
    return what == BIO_CTRL_FLUSH;
}

BIO_METHOD *tls_bio_method(const struct openssl *o)
{
    BIO_METHOD *m = o->BIO_meth_new(BIO_TYPE_SOURCE_SINK, "tenure");
    if (!m)
        return NULL;
    o->BIO_meth_set_read(m, bio_read);
    o->BIO_meth_set_write(m, bio_write);
    o->BIO_meth_set_ctrl(m, bio_ctrl);
    return m;
}

/* ---- failing ---- */

static const char *why_of(struct tls_session *s, long verified)
{
    if (s->reason[0])
        return s->reason;
    if (verified != X509_V_OK)
        return s->t->o->X509_verify_cert_error_string(verified);
    return NULL;
}

static enum tls_state fail(struct tls_session *s)
{
    const struct openssl *o = s->t->o;
    bool was_open = s->state != TLS_HANDSHAKE;
    long verified = s->t->skip_verify ? X509_V_OK : o->SSL_get_verify_result(s->ssl);
    const char *why = was_open ? NULL : why_of(s, verified);
    int code = why ? TENURE_EDENIED : TENURE_EPROTOCOL;
    const char *library = openssl_error();
    if (s->out && buf_error(s->out))
        error_set(&s->error, TENURE_ENOMEM, "TLS: out of memory");
    else
        error_set(&s->error, code, "%s: %s", was_open ? "TLS" : "TLS handshake", why ? why : library);
    s->state = TLS_FAILED;
    return s->state;
}

/* ---- the handshake ---- */

static void learn_peer(struct tls_session *s)
{
    const struct openssl *o = s->t->o;
    const unsigned char *alpn;
    unsigned len;
    snprintf(s->peer.version, sizeof s->peer.version, "%s", o->SSL_get_version(s->ssl));
    o->SSL_get0_alpn_selected(s->ssl, &alpn, &len);
    if (len > 0 && len < sizeof s->peer.alpn)
        memcpy(s->peer.alpn, alpn, len);
    X509 *cert = o->SSL_get1_peer_certificate(s->ssl);
    s->peer.has_certificate = cert && !s->t->skip_verify && o->SSL_get_verify_result(s->ssl) == X509_V_OK;
    if (s->peer.has_certificate)
        tls_common_name(o, cert, s->peer.common_name, sizeof s->peer.common_name);
    o->X509_free(cert);
}

static enum tls_state shake(struct tls_session *s)
{
    const struct openssl *o = s->t->o;
    o->ERR_clear_error();
    int rc = o->SSL_do_handshake(s->ssl);
    if (rc == 1) {
        s->state = TLS_OPEN;
        learn_peer(s);
    } else if (o->SSL_get_error(s->ssl, rc) != SSL_ERROR_WANT_READ) {
        fail(s);
    }
    return s->state;
}

/* ---- bytes ---- */

/* Reads what there is; the loop ends because each step either takes some of the input or ends it. */
static void open_records(struct tls_session *s, struct buf *plain)
{
    const struct openssl *o = s->t->o;
    while (s->state == TLS_OPEN) {
        size_t n = 0;
        uint8_t *to = buf_reserve(plain, PLAIN_STEP);
        if (!to) {
            error_set(&s->error, TENURE_ENOMEM, "TLS: out of memory");
            s->state = TLS_FAILED;
            return;
        }
        o->ERR_clear_error();
        int rc = o->SSL_read_ex(s->ssl, to, PLAIN_STEP, &n);
        buf_added(plain, n);
        if (rc == 1)
            continue;
        int error = o->SSL_get_error(s->ssl, rc);
        if (error == SSL_ERROR_WANT_READ)
            return;
        if (error == SSL_ERROR_ZERO_RETURN)
            s->state = TLS_CLOSED;
        else
            fail(s);
    }
}

/* A client that does not know that this is TLS is told so in words it understands, if it speaks HTTP/1. */
static enum tls_state refuse_plain(struct tls_session *s, bytes in, struct buf *out)
{
    static const char answer[] = "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
                                 "this port speaks HTTPS, and the request came without TLS\n";
    if (in.data[0] >= 'A' && in.data[0] <= 'Z' && !bytes_has_prefix(in, bytes_str("PRI * HTTP/2")))
        buf_append_bytes(out, bytes_str(answer));
    error_set(&s->error, TENURE_EPROTOCOL, "TLS handshake: the client does not speak TLS");
    s->state = TLS_FAILED;
    return s->state;
}

enum tls_state tls_session_read(struct tls_session *s, bytes in, struct buf *plain, struct buf *out)
{
    bool first = !s->begun && in.len > 0;
    s->begun = s->begun || first;
    if (first && s->t->is_server && in.data[0] != SSL3_RT_HANDSHAKE)
        return refuse_plain(s, in, out);
    s->in = in;
    s->out = out;
    if (s->state == TLS_HANDSHAKE)
        shake(s);
    if (s->state == TLS_OPEN)
        open_records(s, plain);
    s->in = (bytes){0};
    s->out = NULL;
    return s->state;
}

enum tls_state tls_session_write(struct tls_session *s, bytes plain, struct buf *out)
{
    const struct openssl *o = s->t->o;
    size_t n = 0;
    s->out = out;
    o->ERR_clear_error();
    /* All or nothing: the BIO takes everything. */
    if (plain.len > 0 && o->SSL_write_ex(s->ssl, plain.data, plain.len, &n) != 1)
        fail(s);
    s->out = NULL;
    return s->state;
}

void tls_session_finish(struct tls_session *s, struct buf *out)
{
    const struct openssl *o = s->t->o;
    if (s->finished || (s->state != TLS_OPEN && s->state != TLS_CLOSED))
        return;
    s->finished = true;
    s->out = out;
    o->ERR_clear_error();
    o->SSL_shutdown(s->ssl);
    o->ERR_clear_error();
    s->out = NULL;
}

/* ---- what is known ---- */

enum tls_state tls_session_state(const struct tls_session *s)
{
    return s->state;
}

const struct io_tls_peer *tls_session_peer(const struct tls_session *s)
{
    return &s->peer;
}

const struct tenure_error *tls_session_error(const struct tls_session *s)
{
    return &s->error;
}

char *tls_session_reason(struct tls_session *s, size_t *ret_size)
{
    *ret_size = sizeof s->reason;
    return s->reason;
}

struct io_tls *tls_session_context(struct tls_session *s)
{
    return s->t;
}

/* ---- life ---- */

static bool is_number(const char *host)
{
    struct in6_addr any;
    return inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;
}

/* Whom the server's certificate must be for, and what it is asked for when it serves several names. */
static bool expect_host(struct tls_session *s, const char *host)
{
    const struct openssl *o = s->t->o;
    const char *name = s->t->server_name[0] ? s->t->server_name : host;
    if (is_number(name))
        return o->X509_VERIFY_PARAM_set1_ip_asc(o->SSL_get0_param(s->ssl), name) == 1;
    o->X509_VERIFY_PARAM_set_hostflags(o->SSL_get0_param(s->ssl),
                                       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    char sni[256];
    snprintf(sni, sizeof sni, "%s", name);
    return o->SSL_set1_host(s->ssl, name) == 1 &&
           o->SSL_ctrl(s->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, sni) == 1;
}

/* One BIO for both directions; SSL_set_bio takes the reference. */
static bool attach_bio(struct tls_session *s)
{
    const struct openssl *o = s->t->o;
    BIO *b = o->BIO_new(s->t->bio);
    if (!b)
        return false;
    o->BIO_set_data(b, s);
    o->BIO_set_init(b, 1);
    o->SSL_set_bio(s->ssl, b, b);
    return true;
}

int tls_session_new(struct io_tls *t, const char *host, struct tls_session **ret, struct tenure_error *err)
{
    const struct openssl *o = t->o;
    struct tls_session *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, TENURE_ENOMEM, "TLS: out of memory");
    s->t = io_tls_ref(t);
    s->ssl = o->SSL_new(t->ctx);
    if (!s->ssl || !attach_bio(s) || !o->SSL_set_ex_data(s->ssl, 0, s) || (host && !expect_host(s, host))) {
        o->ERR_clear_error();
        tls_session_free(s);
        return error_set(err, TENURE_ENOMEM, "TLS: out of memory");
    }
    if (host)
        o->SSL_set_connect_state(s->ssl);
    else
        o->SSL_set_accept_state(s->ssl);
    *ret = s;
    return 0;
}

struct tls_session *tls_session_free(struct tls_session *s)
{
    if (!s)
        return NULL;
    s->t->o->SSL_free(s->ssl);
    io_tls_unref(s->t);
    free(s);
    return NULL;
}
