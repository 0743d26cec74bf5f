/* What making a certificate takes, whoever signs it. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/atomic_file.h"
#include "io/tls_internal.h"

bool tls_cert_serial(const struct openssl *o, X509 *cert)
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

bool tls_cert_extension(const struct openssl *o, X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    o->X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *e = o->X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = e && o->X509_add_ext(cert, e, -1) == 1;
    o->X509_EXTENSION_free(e);
    return ok;
}

bool tls_cert_is_address(const char *host)
{
    struct in6_addr any;
    return inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;
}

bool tls_cert_hosts(const struct openssl *o, X509 *cert, const char *const *hosts, size_t n)
{
    struct buf names;
    buf_init(&names);
    for (size_t i = 0; i < n; i++)
        if (!strpbrk(hosts[i], ",\n"))
            buf_printf(&names, "%s%s:%s", names.len ? "," : "", tls_cert_is_address(hosts[i]) ? "IP" : "DNS", hosts[i]);
    buf_append_byte(&names, 0);
    bool ok = buf_error(&names) == 0 &&
              (names.len == 1 || tls_cert_extension(o, cert, cert, NID_subject_alt_name, (const char *)names.data));
    buf_fini(&names);
    return ok;
}

/* ---- the files ---- */

/* A link in place of the key is not followed: who put it there would have the key. */
static int write_file(const char *path, const char *data, size_t len, mode_t mode, struct tenure_error *err)
{
    struct atomic_file f;
    int rc = atomic_file_begin(&f, path, mode, bytes_of(data, len), err);
    if (rc == 0)
        rc = atomic_file_commit(&f, err);
    atomic_file_fini(&f);
    return rc;
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
    int rc = len > 0 ? write_file(path, text, (size_t)len, mode, err)
                     : error_set(err, TENURE_EIO, "certificate: %s: %s", path, openssl_error());
    o->BIO_free(memory);
    return rc;
}

int tls_cert_save(const struct openssl *o, const char *cert_file, X509 *cert, const char *key_file, EVP_PKEY *key,
                  struct tenure_error *err)
{
    make_folders(key_file);
    make_folders(cert_file);
    int rc = save(o, key_file, ATOMIC_FILE_PRIVATE, pem_key, key, err);
    return rc < 0 ? rc : save(o, cert_file, 0644, pem_cert, cert, err);
}
