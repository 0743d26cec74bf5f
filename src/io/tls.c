/* Contexts: what the configuration names is read from its files and put into an SSL_CTX. Each refusal names the file.
 *
 * Options that all have: no compression, no renegotiation, no resumption (neither tickets nor a cache: a certificate that
 * was revoked must not come back by an old session), buffers released while a connection is idle, and no chain but the file's
 * (OpenSSL would add authorities of clients to it).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/tls_internal.h"

static int bad(struct tenure_error *err, const char *file, const char *what)
{
    int unreadable = access(file, R_OK) != 0 ? errno : 0; /* OpenSSL says no more than "system lib" of it */
    const char *why = openssl_error();
    if (unreadable)
        return error_set(err, TENURE_EINVALID, "%s: %s", file, strerror(unreadable));
    return error_set(err, TENURE_EINVALID, "%s: %s: %s", file, what, why);
}

static int no_memory(struct tenure_error *err)
{
    return error_set(err, TENURE_ENOMEM, "TLS: out of memory");
}

/* ---- versions and ciphers ---- */

static int version_number(enum io_tls_version v)
{
    return v == IO_TLS_1_3 ? TLS1_3_VERSION : v == IO_TLS_1_2 ? TLS1_2_VERSION : 0;
}

static int set_versions(struct io_tls *t, const struct io_tls_config *k, bool only_1_3, struct tenure_error *err)
{
    int min = only_1_3 ? TLS1_3_VERSION : version_number(k->version_min);
    int max = version_number(k->version_max);
    if (max && (min ? min : TLS1_2_VERSION) > max)
        return error_set(err, TENURE_EINVALID, "TLS: the least version is above the greatest");
    if (t->o->SSL_CTX_ctrl(t->ctx, SSL_CTRL_SET_MIN_PROTO_VERSION, min ? min : TLS1_2_VERSION, NULL) != 1 ||
        t->o->SSL_CTX_ctrl(t->ctx, SSL_CTRL_SET_MAX_PROTO_VERSION, max, NULL) != 1)
        return error_set(err, TENURE_EINVALID, "TLS: this OpenSSL refuses the versions asked for");
    return 0;
}

/* OpenSSL's name for what IANA and Go call by the standard's; two are known to Go without their end as well. */
static const char *cipher_of(const struct openssl *o, const char *name)
{
    char with_hash[64];
    size_t len = strlen(name);
    snprintf(with_hash, sizeof with_hash, "%s%s", name,
             len > 17 && strcmp(name + len - 17, "CHACHA20_POLY1305") == 0 && strncmp(name, "TLS_ECDHE", 9) == 0
                 ? "_SHA256"
                 : "");
    const char *found = o->OPENSSL_cipher_name(with_hash);
    return found && strcmp(found, "(NONE)") != 0 ? found : NULL;
}

/* Names that begin with TLS_ on OpenSSL's side as well are those of TLS 1.3, which has a list of its own. */
static int sort_ciphers(const struct io_tls *t, const struct io_tls_config *k, struct buf *v12, struct buf *v13,
                        struct tenure_error *err)
{
    for (size_t i = 0; i < k->n_cipher_suites; i++) {
        const char *cipher = cipher_of(t->o, k->cipher_suites[i]);
        if (!cipher)
            return error_set(err, TENURE_EINVALID, "TLS: the cipher suite \"%.80s\" is not known", k->cipher_suites[i]);
        struct buf *b = strncmp(cipher, "TLS_", 4) == 0 ? v13 : v12;
        buf_printf(b, "%s%s", b->len ? ":" : "", cipher);
    }
    buf_append_byte(v12, 0);
    buf_append_byte(v13, 0);
    return buf_error(v12) || buf_error(v13) ? no_memory(err) : 0;
}

static int set_cipher_lists(struct io_tls *t, const struct io_tls_config *k, struct buf *v12, struct buf *v13,
                            struct tenure_error *err)
{
    int rc = sort_ciphers(t, k, v12, v13, err);
    if (rc < 0)
        return rc;
    const char *list12 = (const char *)v12->data, *list13 = (const char *)v13->data;
    if (*list12 && t->o->SSL_CTX_set_cipher_list(t->ctx, list12) != 1)
        return error_set(err, TENURE_EINVALID, "TLS: this OpenSSL has none of the cipher suites %.120s", list12);
    if (*list13 && t->o->SSL_CTX_set_ciphersuites(t->ctx, list13) != 1)
        return error_set(err, TENURE_EINVALID, "TLS: this OpenSSL has none of the cipher suites %.120s", list13);
    /* A list without one for TLS 1.2 leaves that version none. */
    return set_versions(t, k, !*list12, err);
}

static int set_ciphers(struct io_tls *t, const struct io_tls_config *k, struct tenure_error *err)
{
    struct buf v12, v13;
    if (k->n_cipher_suites == 0)
        return set_versions(t, k, false, err);
    buf_init(&v12);
    buf_init(&v13);
    int rc = set_cipher_lists(t, k, &v12, &v13, err);
    buf_fini(&v12);
    buf_fini(&v13);
    t->o->SSL_CTX_set_options(t->ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
    return rc;
}

/* ---- ALPN ---- */

/* HTTP/2 is for gRPC, whose clients offer that alone; one that offers both, as curl or Prometheus do, wants pages or the
 * JSON gateway, which are HTTP/1.1's. */
static const unsigned char to_clients[] = "\x08http/1.1\x02h2", to_servers[] = "\x02h2";
static const unsigned char to_servers_http1[] = "\x08http/1.1";

/* One that offers neither is told so; one that offers nothing may be either. */
static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                           unsigned in_len, void *arg)
{
    (void)ssl, (void)arg;
    for (const unsigned char *ours = to_clients; *ours; ours += *ours + 1)
        for (const unsigned char *p = in; p < in + in_len && p + *p < in + in_len; p += *p + 1)
            if (*p == *ours && memcmp(p + 1, ours + 1, *ours) == 0) {
                *out = p + 1;
                *out_len = *p;
                return SSL_TLSEXT_ERR_OK;
            }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int set_protocols(struct io_tls *t, bool is_http1, struct tenure_error *err)
{
    const unsigned char *offered = is_http1 ? to_servers_http1 : to_servers;
    unsigned len = is_http1 ? sizeof to_servers_http1 - 1 : sizeof to_servers - 1;
    if (t->is_server)
        t->o->SSL_CTX_set_alpn_select_cb(t->ctx, select_protocol, NULL);
    else if (t->o->SSL_CTX_set_alpn_protos(t->ctx, offered, len) != 0)
        return no_memory(err);
    return 0;
}

/* ---- files ---- */

/* Nobody is asked: a server that waits for a terminal does not start. */
static int no_passphrase(char *out, int size, int writing, void *user)
{
    (void)out, (void)size, (void)writing, (void)user;
    return 0;
}

static int load_certificate(struct io_tls *t, const struct io_tls_config *k, struct tenure_error *err)
{
    if (!k->cert_file && !k->key_file && !k->is_server)
        return 0;
    if (!k->cert_file || !k->key_file)
        return error_set(err, TENURE_EINVALID, "TLS: certificate and key belong together; the %s is missing",
                         k->cert_file ? "key" : "certificate");
    t->o->SSL_CTX_set_default_passwd_cb(t->ctx, no_passphrase);
    if (t->o->SSL_CTX_use_certificate_chain_file(t->ctx, k->cert_file) != 1)
        return bad(err, k->cert_file, "no certificate in PEM can be read from it");
    if (t->o->SSL_CTX_use_PrivateKey_file(t->ctx, k->key_file, SSL_FILETYPE_PEM) != 1)
        return bad(err, k->key_file, "no key in PEM, without passphrase, that belongs to the certificate");
    return 0;
}

static int load_authorities(struct io_tls *t, const struct io_tls_config *k, struct tenure_error *err)
{
    if (!k->ca_file) {
        t->o->SSL_CTX_set_default_verify_paths(t->ctx); /* none on this machine: nobody is trusted */
        return 0;
    }
    if (t->o->SSL_CTX_load_verify_file(t->ctx, k->ca_file) != 1)
        return bad(err, k->ca_file, "no authority's certificate in PEM can be read from it");
    STACK_OF(X509_NAME) *names = k->is_server ? t->o->SSL_load_client_CA_file(k->ca_file) : NULL;
    if (names)
        t->o->SSL_CTX_set_client_CA_list(t->ctx, names); /* a hint for clients that have several */
    return 0;
}

static int load_crls_from(struct io_tls *t, const struct io_tls_config *k, BIO *file, struct tenure_error *err)
{
    X509_CRL *crl;
    while ((crl = t->o->PEM_read_bio_X509_CRL(file, NULL, NULL, NULL))) {
        if (t->n_crls == TLS_CRLS_MAX) {
            t->o->X509_CRL_free(crl);
            return error_set(err, TENURE_EINVALID, "%s: more than %d lists in it", k->crl_file, TLS_CRLS_MAX);
        }
        t->crls[t->n_crls++] = crl;
    }
    t->o->BIO_ctrl(file, BIO_CTRL_RESET, 0, NULL);
    if (t->n_crls == 0 && (crl = t->o->d2i_X509_CRL_bio(file, NULL)))
        t->crls[t->n_crls++] = crl;
    return t->n_crls ? 0 : bad(err, k->crl_file, "no revocation list in PEM or DER can be read from it");
}

static int load_crls(struct io_tls *t, const struct io_tls_config *k, struct tenure_error *err)
{
    if (!k->crl_file)
        return 0;
    BIO *file = t->o->BIO_new_file(k->crl_file, "r");
    if (!file)
        return bad(err, k->crl_file, "cannot be read");
    int rc = load_crls_from(t, k, file, err);
    t->o->BIO_free(file);
    t->o->ERR_clear_error();
    return rc;
}

/* ---- whom to trust ---- */

static int set_verification(struct io_tls *t, const struct io_tls_config *k, struct tenure_error *err)
{
    bool asks = k->is_server ? k->client_cert_auth || k->ca_file : !k->insecure_skip_verify;
    if (!asks) {
        t->o->SSL_CTX_set_verify(t->ctx, SSL_VERIFY_NONE, NULL);
        return 0;
    }
    if (k->is_server)
        t->o->SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, tls_check_client);
    else
        t->o->SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
    int rc = load_authorities(t, k, err);
    return rc < 0 ? rc : load_crls(t, k, err);
}

static void set_options(struct io_tls *t)
{
    t->o->SSL_CTX_set_options(t->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
    t->o->SSL_CTX_set_num_tickets(t->ctx, 0);
    t->o->SSL_CTX_ctrl(t->ctx, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, NULL);
    t->o->SSL_CTX_ctrl(t->ctx, SSL_CTRL_MODE, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN, NULL);
}

/* ---- life ---- */

static int fill(struct io_tls *t, const struct io_tls_config *k, struct tenure_error *err)
{
    t->o->ERR_clear_error();
    t->bio = tls_bio_method(t->o);
    t->ctx = t->o->SSL_CTX_new(t->o->TLS_method());
    if (!t->bio || !t->ctx)
        return no_memory(err);
    set_options(t);
    int rc = set_ciphers(t, k, err);
    if (rc == 0)
        rc = set_protocols(t, k->is_http1, err);
    if (rc == 0)
        rc = load_certificate(t, k, err);
    if (rc == 0)
        rc = set_verification(t, k, err);
    t->o->ERR_clear_error();
    return rc;
}

int io_tls_new(const struct io_tls_config *k, struct io_tls **ret, struct tenure_error *err)
{
    const struct openssl *o = openssl_load(err);
    if (!o)
        return TENURE_EUNAVAILABLE;
    struct io_tls *t = calloc(1, sizeof *t);
    if (!t)
        return no_memory(err);
    *t = (struct io_tls){
        .o = o,
        .refs = 1,
        .is_server = k->is_server,
        .skip_verify = !k->is_server && k->insecure_skip_verify,
        .allowed_cns = k->allowed_cns,
        .n_allowed_cns = k->n_allowed_cns,
        .allowed_hostnames = k->allowed_hostnames,
        .n_allowed_hostnames = k->n_allowed_hostnames,
    };
    snprintf(t->server_name, sizeof t->server_name, "%s", k->server_name ? k->server_name : "");
    int rc = fill(t, k, err);
    if (rc < 0) {
        io_tls_unref(t);
        return rc;
    }
    *ret = t;
    return 0;
}

struct io_tls *io_tls_ref(struct io_tls *t)
{
    t->refs++;
    return t;
}

struct io_tls *io_tls_unref(struct io_tls *t)
{
    if (!t || --t->refs > 0)
        return NULL;
    for (size_t i = 0; i < t->n_crls; i++)
        t->o->X509_CRL_free(t->crls[i]);
    if (t->ctx)
        t->o->SSL_CTX_free(t->ctx);
    if (t->bio)
        t->o->BIO_meth_free(t->bio);
    free(t);
    return NULL;
}
