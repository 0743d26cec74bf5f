/* A certificate signed by itself, for --auto-tls: an EC key (P-256), the hosts as alternative names, good for so many years.
 *
 * The files are written beside their places and moved there, key first, so that a crash leaves either none or a pair that
 * fits, or a key without its certificate, which is made anew. One that has run out is made anew as well; etcd serves it on.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"
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

static bool set_serial(const struct openssl *o, X509 *cert)
{
    BIGNUM *number = o->BN_new();
    ASN1_INTEGER *serial = NULL;
    bool ok = number && o->BN_rand(number, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1;
    if (ok)
        serial = o->BN_to_ASN1_INTEGER(number, NULL);
    ok = serial && o->X509_set_serialNumber(cert, serial) == 1;
    o->ASN1_INTEGER_free(serial);
    o->BN_free(number);
    return ok;
}

static bool add_extension(const struct openssl *o, X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    o->X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *e = o->X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = e && o->X509_add_ext(cert, e, -1) == 1;
    o->X509_EXTENSION_free(e);
    return ok;
}

/* "DNS:host,IP:127.0.0.1". A host with a comma would be read as more than one: there is none in a URL that was parsed, and
 * it is left out. */
static void alternative_names(const char *const *hosts, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        struct in6_addr any;
        bool number = inet_pton(AF_INET, hosts[i], &any) == 1 || inet_pton(AF_INET6, hosts[i], &any) == 1;
        if (!strpbrk(hosts[i], ",\n"))
            buf_printf(out, "%s%s:%s", out->len ? "," : "", number ? "IP" : "DNS", hosts[i]);
    }
    buf_append_byte(out, 0);
}

static bool set_extensions(const struct openssl *o, X509 *cert, const char *const *hosts, size_t n)
{
    struct buf names;
    buf_init(&names);
    alternative_names(hosts, n, &names);
    bool ok = buf_error(&names) == 0 && add_extension(o, cert, NID_basic_constraints, "critical,CA:TRUE") &&
              add_extension(o, cert, NID_key_usage, "critical,digitalSignature,keyEncipherment,keyCertSign") &&
              add_extension(o, cert, NID_ext_key_usage, "serverAuth,clientAuth") &&
              (names.len == 1 || add_extension(o, cert, NID_subject_alt_name, (const char *)names.data));
    buf_fini(&names);
    return ok;
}

static bool fill(const struct openssl *o, X509 *cert, EVP_PKEY *key, const char *const *hosts, size_t n, unsigned years)
{
    X509_NAME *name = o->X509_get_subject_name(cert);
    return o->X509_set_version(cert, 2) == 1 && set_serial(o, cert) &&
           o->X509_gmtime_adj(o->X509_getm_notBefore(cert), 0) &&
           o->X509_time_adj_ex(o->X509_getm_notAfter(cert), (int)years * DAYS_A_YEAR, 0, NULL) &&
           o->X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"tenure", -1, -1, 0) == 1 &&
           o->X509_set_issuer_name(cert, name) == 1 && o->X509_set_pubkey(cert, key) == 1 &&
           set_extensions(o, cert, hosts, n) && o->X509_sign(cert, key, o->EVP_sha256()) > 0;
}

/* ---- the files ---- */

static int write_file(const char *path, const char *data, size_t len, mode_t mode, struct tenure_error *err)
{
    char beside[4200];
    snprintf(beside, sizeof beside, "%s.new", path);
    unlink(beside);
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return error_errno(err, errno, "%s", beside);
    int errnum = io_write_all(fd, data, len) < 0 || fsync(fd) < 0 ? errno : 0;
    if (close(fd) < 0 && !errnum)
        errnum = errno;
    if (!errnum && rename(beside, path) < 0)
        errnum = errno;
    if (!errnum)
        return 0;
    unlink(beside);
    return error_errno(err, errnum, "%s", path);
}

/* The folders above path that are missing; those that hold a key are for their owner only. */
static void make_folders(const char *path)
{
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(folder, 0700); /* opening the file says what is wrong */
        *slash = '/';
    }
}

typedef int (*write_pem)(const struct openssl *o, BIO *out, const void *thing);

static int pem_key(const struct openssl *o, BIO *out, const void *key)
{
    return o->PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL);
}

static int pem_cert(const struct openssl *o, BIO *out, const void *cert)
{
    return o->PEM_write_bio_X509(out, (X509 *)cert);
}

static int save(const struct openssl *o, const char *path, mode_t mode, write_pem pem, const void *thing,
                struct tenure_error *err)
{
    char *text = NULL;
    BIO *memory = o->BIO_new(o->BIO_s_mem());
    long len = memory && pem(o, memory, thing) == 1 ? o->BIO_ctrl(memory, BIO_CTRL_INFO, 0, &text) : 0;
    int rc = len > 0 ? write_file(path, text, (size_t)len, mode, err) : failed(err, path);
    o->BIO_free(memory);
    return rc;
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
    if (rc == 0) {
        make_folders(key_file);
        make_folders(cert_file);
        rc = save(o, key_file, 0600, pem_key, key, err);
    }
    if (rc == 0)
        rc = save(o, cert_file, 0644, pem_cert, cert, err);
    o->X509_free(cert);
    o->EVP_PKEY_free(key);
    return rc;
}
