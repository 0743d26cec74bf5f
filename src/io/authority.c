/* Happy path: the authority's certificate and key are read, and each certificate is made, signed and written. Failure modes: files that are
 * missing, malformed or do not belong together are refused by name before anything is signed. */
#include "io/authority.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "io/tls_internal.h"

#define DAY_S           (24 * 60 * 60)
#define BACKDATED_S     (5 * 60) /* for hosts whose clock is behind */
#define ORGANIZATION    "tenure"
#define VERSION_3       2
#define COMMON_NAME_MAX 64 /* X.520 */

struct io_authority {
    const struct openssl *o;
    X509 *cert;
    EVP_PKEY *key;
};

static int failed(struct tenure_error *err, const char *what)
{
    return error_set(err, TENURE_EIO, "certificate: %s: %s", what, openssl_error());
}

/* ---- reading ---- */

/* Nobody is asked on the terminal. */
static int no_password(char *buffer, int size, int is_writing, void *user)
{
    (void)buffer;
    (void)size;
    (void)is_writing;
    (void)user;
    return 0;
}

static X509 *read_cert(const struct openssl *o, const char *path)
{
    BIO *file = o->BIO_new_file(path, "r");
    X509 *cert = file ? o->PEM_read_bio_X509(file, NULL, NULL, NULL) : NULL;
    o->BIO_free(file);
    return cert;
}

static EVP_PKEY *read_key(const struct openssl *o, const char *path)
{
    BIO *file = o->BIO_new_file(path, "r");
    EVP_PKEY *key = file ? o->PEM_read_bio_PrivateKey(file, NULL, no_password, NULL) : NULL;
    o->BIO_free(file);
    return key;
}

static bool belong_together(const struct openssl *o, X509 *cert, EVP_PKEY *key)
{
    EVP_PKEY *public = o->X509_get_pubkey(cert);
    bool ok = public && o->EVP_PKEY_eq(public, key) == 1;
    o->EVP_PKEY_free(public);
    return ok;
}

int io_authority_open(const char *cert_file, const char *key_file, struct io_authority **ret, struct tenure_error *err)
{
    const struct openssl *o = openssl_load(err);
    struct io_authority *a = o ? calloc(1, sizeof *a) : NULL;
    if (!o)
        return TENURE_EUNAVAILABLE;
    if (!a)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    *a = (struct io_authority){.o = o, .cert = read_cert(o, cert_file), .key = read_key(o, key_file)};
    int rc = 0;
    if (!a->cert)
        rc = error_set(err, TENURE_EINVALID, "%s: there is no certificate in it", cert_file);
    else if (!a->key)
        rc = error_set(err, TENURE_EINVALID, "%s: there is no key in it that could be read without a password",
                       key_file);
    else if (!belong_together(o, a->cert, a->key))
        rc = error_set(err, TENURE_EINVALID, "%s is not the key of %s", key_file, cert_file);
    else if (o->X509_check_ca(a->cert) == 0)
        rc = error_set(err, TENURE_EINVALID, "%s: it is no authority's certificate, and may not sign", cert_file);
    else if (o->X509_cmp_current_time(o->X509_get0_notAfter(a->cert)) <= 0)
        rc = error_set(err, TENURE_EINVALID, "%s: it has run out", cert_file);
    o->ERR_clear_error();
    if (rc < 0)
        io_authority_close(a);
    else
        *ret = a;
    return rc;
}

struct io_authority *io_authority_close(struct io_authority *a)
{
    if (!a)
        return NULL;
    a->o->X509_free(a->cert);
    a->o->EVP_PKEY_free(a->key);
    free(a);
    return NULL;
}

/* ---- making ---- */

static bool set_name(const struct openssl *o, X509 *cert, const char *name)
{
    X509_NAME *subject = o->X509_get_subject_name(cert);
    return strlen(name) <= COMMON_NAME_MAX &&
           o->X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC, (const unsigned char *)ORGANIZATION, -1, -1, 0) ==
               1 &&
           o->X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0) == 1;
}

static bool set_time(const struct openssl *o, X509 *cert, unsigned days)
{
    return o->X509_gmtime_adj(o->X509_getm_notBefore(cert), -BACKDATED_S) &&
           o->X509_time_adj_ex(o->X509_getm_notAfter(cert), (int)days, 0, NULL);
}

/* An end behind the authority's would be one that no reader grants. */
static bool end_with(const struct openssl *o, X509 *cert, X509 *issuer)
{
    const ASN1_TIME *end = o->X509_get0_notAfter(issuer);
    return o->ASN1_TIME_compare(o->X509_get0_notAfter(cert), end) <= 0 || o->X509_set1_notAfter(cert, end) == 1;
}

static bool fill_authority(const struct openssl *o, X509 *cert, EVP_PKEY *key, const char *name, unsigned days)
{
    return o->X509_set_version(cert, VERSION_3) == 1 && tls_cert_serial(o, cert) && set_time(o, cert, days) &&
           set_name(o, cert, name) && o->X509_set_issuer_name(cert, o->X509_get_subject_name(cert)) == 1 &&
           o->X509_set_pubkey(cert, key) == 1 &&
           tls_cert_extension(o, cert, cert, NID_basic_constraints, "critical,CA:TRUE") &&
           tls_cert_extension(o, cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
           tls_cert_extension(o, cert, cert, NID_subject_key_identifier, "hash") &&
           o->X509_sign(cert, key, o->EVP_sha256()) > 0;
}

int io_authority_make(const char *cert_file, const char *key_file, const char *name, unsigned days, bool *ret_made,
                      struct tenure_error *err)
{
    const struct openssl *o = openssl_load(err);
    if (!o)
        return TENURE_EUNAVAILABLE;
    bool has_cert = access(cert_file, F_OK) == 0, has_key = access(key_file, F_OK) == 0;
    *ret_made = !has_cert;
    if (has_cert && has_key)
        return 0;
    if (has_cert)
        return error_set(err, TENURE_EINVALID, "%s is missing: without it nothing can be signed any more", key_file);
    EVP_PKEY *key = has_key ? read_key(o, key_file) : o->EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    X509 *cert = o->X509_new();
    int rc = key && cert && fill_authority(o, cert, key, name, days)
                 ? tls_cert_save(o, cert_file, cert, key_file, key, err)
                 : failed(err, cert_file);
    o->X509_free(cert);
    o->EVP_PKEY_free(key);
    return rc;
}

static const char *usage(unsigned uses)
{
    if (uses == IO_CERTIFICATE_CLIENT)
        return "clientAuth";
    return uses == IO_CERTIFICATE_SERVER ? "serverAuth" : "serverAuth,clientAuth";
}

static bool fill(const struct io_authority *a, const struct io_certificate *c, X509 *cert, EVP_PKEY *key)
{
    const struct openssl *o = a->o;
    return o->X509_set_version(cert, VERSION_3) == 1 && tls_cert_serial(o, cert) && set_time(o, cert, c->days) &&
           end_with(o, cert, a->cert) && set_name(o, cert, c->name) &&
           o->X509_set_issuer_name(cert, o->X509_get_subject_name(a->cert)) == 1 &&
           o->X509_set_pubkey(cert, key) == 1 &&
           tls_cert_extension(o, cert, a->cert, NID_basic_constraints, "critical,CA:FALSE") &&
           tls_cert_extension(o, cert, a->cert, NID_key_usage, "critical,digitalSignature,keyEncipherment") &&
           tls_cert_extension(o, cert, a->cert, NID_ext_key_usage, usage(c->uses)) &&
           tls_cert_extension(o, cert, a->cert, NID_subject_key_identifier, "hash") &&
           tls_cert_extension(o, cert, a->cert, NID_authority_key_identifier, "keyid,issuer") &&
           tls_cert_hosts(o, cert, c->hosts, c->n_hosts) && o->X509_sign(cert, a->key, o->EVP_sha256()) > 0;
}

int io_authority_issue(const struct io_authority *a, const struct io_certificate *c, struct tenure_error *err)
{
    EVP_PKEY *key = a->o->EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    X509 *cert = a->o->X509_new();
    int rc = key && cert && fill(a, c, cert, key) ? tls_cert_save(a->o, c->cert_file, cert, c->key_file, key, err)
                                                  : failed(err, c->cert_file);
    a->o->X509_free(cert);
    a->o->EVP_PKEY_free(key);
    return rc;
}

/* ---- whether it does ---- */

static bool is_for(const struct openssl *o, X509 *cert, const char *host)
{
    return tls_cert_is_address(host) ? o->X509_check_ip_asc(cert, host, 0) == 1
                                     : o->X509_check_host(cert, host, strlen(host), 0, NULL) == 1;
}

/* Whether one of the certificate's alternative names is one of the hosts that are wanted. */
static bool is_wanted(const struct openssl *o, const GENERAL_NAME *name, const struct io_certificate *c)
{
    const ASN1_STRING *text = name->type == GEN_DNS     ? name->d.dNSName
                              : name->type == GEN_IPADD ? name->d.iPAddress
                                                        : NULL;
    bool wanted = false;
    for (size_t i = 0; text && !wanted && i < c->n_hosts; i++) {
        unsigned char address[16];
        const char *host = c->hosts[i];
        size_t len = (size_t)o->ASN1_STRING_length(text);
        const unsigned char *data = o->ASN1_STRING_get0_data(text);
        if (name->type == GEN_DNS)
            wanted = strlen(host) == len && strncasecmp(host, (const char *)data, len) == 0;
        else if (len == 4 || len == 16)
            wanted = inet_pton(len == 4 ? AF_INET : AF_INET6, host, address) == 1 && memcmp(address, data, len) == 0;
    }
    return wanted;
}

/* One that was taken out of the plan must not stay good for whoever has that name by now. */
static bool has_others(const struct openssl *o, X509 *cert, const struct io_certificate *c)
{
    GENERAL_NAMES *names = o->X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool others = false;
    for (int i = 0; names && !others && i < o->OPENSSL_sk_num((const OPENSSL_STACK *)names); i++)
        others = !is_wanted(o, o->OPENSSL_sk_value((const OPENSSL_STACK *)names, i), c);
    o->GENERAL_NAMES_free(names);
    return others;
}

bool io_authority_check(const struct io_authority *a, const struct io_certificate *c, unsigned spare_days)
{
    const struct openssl *o = a->o;
    time_t until = time(NULL) + (time_t)spare_days * DAY_S;
    X509 *cert = read_cert(o, c->cert_file);
    EVP_PKEY *key = read_key(o, c->key_file);
    bool ok = cert && key && belong_together(o, cert, key) && o->X509_verify(cert, a->key) == 1 &&
              o->X509_cmp_time(o->X509_get0_notAfter(cert), &until) > 0;
    for (size_t i = 0; ok && i < c->n_hosts; i++)
        ok = is_for(o, cert, c->hosts[i]);
    ok = ok && !has_others(o, cert, c);
    o->X509_free(cert);
    o->EVP_PKEY_free(key);
    o->ERR_clear_error();
    return ok;
}
