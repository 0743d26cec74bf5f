/* Whether a client's certificate may in, beyond its chain and dates, which OpenSSL has checked: not revoked, and its name
 * among those allowed. Called in the handshake, so that the peer is told by an alert.
 *
 * Revoked is who is named in a list of its own issuer. etcd compares serial numbers alone, and so refuses the certificate of
 * another authority that has the same number.
 */
#include <stdio.h>
#include <string.h>

#include "io/tls_internal.h"

void tls_common_name(const struct openssl *o, X509 *cert, char *out, size_t size)
{
    X509_NAME *subject = o->X509_get_subject_name(cert);
    unsigned char *text = NULL;
    int at = -1, next;
    out[0] = 0;
    while ((next = o->X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0)
        at = next; /* the last one counts, as in Go */
    if (at < 0)
        return;
    int len = o->ASN1_STRING_to_UTF8(&text, o->X509_NAME_ENTRY_get_data(o->X509_NAME_get_entry(subject, at)));
    if (len > 0 && (size_t)len < size && !memchr(text, 0, (size_t)len)) {
        memcpy(out, text, (size_t)len);
        out[len] = 0;
    }
    o->CRYPTO_free(text, __FILE__, __LINE__);
}

static bool is_revoked(const struct io_tls *t, X509 *cert)
{
    for (size_t i = 0; i < t->n_crls; i++) {
        X509_REVOKED *entry;
        if (t->o->X509_CRL_get0_by_cert(t->crls[i], &entry, cert) == 1)
            return true;
    }
    return false;
}

static bool has_allowed_cn(const struct io_tls *t, const char *cn)
{
    for (size_t i = 0; i < t->n_allowed_cns; i++)
        if (strcmp(t->allowed_cns[i], cn) == 0)
            return true;
    return false;
}

/* Names and addresses of the certificate's alternative names only, as in Go. */
static bool has_allowed_host(const struct io_tls *t, X509 *cert)
{
    const unsigned flags = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
    for (size_t i = 0; i < t->n_allowed_hostnames; i++) {
        const char *host = t->allowed_hostnames[i];
        if (t->o->X509_check_ip_asc(cert, host, flags) == 1 || t->o->X509_check_host(cert, host, 0, flags, NULL) == 1)
            return true;
    }
    return false;
}

static int refuse(X509_STORE_CTX *store, struct tls_session *s, int code, const char *why, const char *cn)
{
    size_t size;
    char *reason = tls_session_reason(s, &size);
    snprintf(reason, size, "the client's certificate (CN \"%s\") %s", cn, why);
    tls_session_context(s)->o->X509_STORE_CTX_set_error(store, code);
    return 0;
}

int tls_check_client(int ok, X509_STORE_CTX *store)
{
    /* Loaded long ago: a certificate is being checked. */
    const struct openssl *o = openssl_load(NULL);
    SSL *ssl = o->X509_STORE_CTX_get_ex_data(store, o->SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_session *s = o->SSL_get_ex_data(ssl, 0);
    const struct io_tls *t = tls_session_context(s);
    X509 *cert = o->X509_STORE_CTX_get_current_cert(store);
    char cn[256];
    if (!ok || !cert)
        return ok;
    tls_common_name(o, cert, cn, sizeof cn);
    if (is_revoked(t, cert))
        return refuse(store, s, X509_V_ERR_CERT_REVOKED, "is revoked", cn);
    if (o->X509_STORE_CTX_get_error_depth(store) > 0)
        return 1;
    if (t->n_allowed_cns > 0 && !has_allowed_cn(t, cn))
        return refuse(store, s, X509_V_ERR_APPLICATION_VERIFICATION, "has none of the allowed common names", cn);
    if (t->n_allowed_hostnames > 0 && !has_allowed_host(t, cert))
        return refuse(store, s, X509_V_ERR_APPLICATION_VERIFICATION, "is for none of the allowed host names", cn);
    return 1;
}
