/* A certificate signed by itself, for --auto-tls: an EC key (P-256), the hosts as alternative names, good for so many years.
 *
 * The files are written beside their places and moved there, key first, so that a crash leaves either none or a pair that
 * fits, or a key without its certificate, which is made anew. One that has run out is made anew as well; etcd serves it on.
 */
#include <unistd.h>

#include "io/tls_internal.h"

#define DAYS_A_YEAR 365

static int failed(struct tenure_error *err, const char *what)
{
    return error_set(err, TENURE_EIO, "self-signed certificate: %s: %s", what, openssl_error());
}

/* ---- what is there ---- */

/* Whether both files are there and the certificate has not run out. */
static bool is_good(const struct openssl *o, const char *cert_file, const char *key_file)
{
    bool good = false;
    BIO *file = access(key_file, R_OK) == 0 ? o->BIO_new_file(cert_file, "r") : NULL;
    X509 *cert = file ? o->PEM_read_bio_X509(file, NULL, NULL, NULL) : NULL;
    if (cert)
        good = o->X509_cmp_current_time(o->X509_get0_notAfter(cert)) > 0;
    o->X509_free(cert);
    o->BIO_free(file);
    o->ERR_clear_error();
    return good;
}

/* ---- making the certificate ---- */

static bool set_extensions(const struct openssl *o, X509 *cert, const char *const *hosts, size_t n)
{
    return tls_cert_extension(o, cert, cert, NID_basic_constraints, "critical,CA:TRUE") &&
           tls_cert_extension(o, cert, cert, NID_key_usage, "critical,digitalSignature,keyEncipherment,keyCertSign") &&
           tls_cert_extension(o, cert, cert, NID_ext_key_usage, "serverAuth,clientAuth") &&
           tls_cert_hosts(o, cert, hosts, n);
}

static bool fill(const struct openssl *o, X509 *cert, EVP_PKEY *key, const char *const *hosts, size_t n, unsigned years)
{
    X509_NAME *name = o->X509_get_subject_name(cert);
    return o->X509_set_version(cert, 2) == 1 && tls_cert_serial(o, cert) &&
           o->X509_gmtime_adj(o->X509_getm_notBefore(cert), 0) &&
           o->X509_time_adj_ex(o->X509_getm_notAfter(cert), (int)years * DAYS_A_YEAR, 0, NULL) &&
           o->X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"tenure", -1, -1, 0) == 1 &&
           o->X509_set_issuer_name(cert, name) == 1 && o->X509_set_pubkey(cert, key) == 1 &&
           set_extensions(o, cert, hosts, n) && o->X509_sign(cert, key, o->EVP_sha256()) > 0;
}

int io_tls_self_signed(const char *cert_file, const char *key_file, const char *const *hosts, size_t n_hosts,
                       unsigned years, bool *ret_made, struct tenure_error *err)
{
    const struct openssl *o = openssl_load(err);
    if (!o)
        return TENURE_EUNAVAILABLE;
    *ret_made = !is_good(o, cert_file, key_file);
    if (!*ret_made)
        return 0;
    int rc = 0;
    EVP_PKEY *key = o->EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    X509 *cert = o->X509_new();
    if (!key || !cert || !fill(o, cert, key, hosts, n_hosts, years))
        rc = failed(err, "it cannot be made");
    if (rc == 0)
        rc = tls_cert_save(o, cert_file, cert, key_file, key, err);
    o->X509_free(cert);
    o->EVP_PKEY_free(key);
    return rc;
}
