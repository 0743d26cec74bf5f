/* Links OpenSSL itself: what is tested loads it on demand, the tests need not. */
#include "certs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define SERIAL_ALICE   3
#define SERIAL_REVOKED 6

struct spec {
    const char *name, *cn, *san, *issuer; /* issuer NULL: itself */
    int cn_len;                           /* 0 = its text */
    long serial;
    int days_from, days_to;
    int is_ca;
};

#define SERVER_SAN "DNS:localhost,IP:127.0.0.1,IP:::1"

static const struct spec world[] = {
    {"ca", "test authority", NULL, NULL, 0, 1, -1, 3650, 1},
    {"other-ca", "another authority", NULL, NULL, 0, 1, -1, 3650, 1},
    {"server", "server", SERVER_SAN, "ca", 0, 2, -1, 3650, 0},
    {"server2", "server", SERVER_SAN, "ca", 0, 12, -1, 3650, 0},
    {"alice", "alice", "DNS:alice.example", "ca", 0, SERIAL_ALICE, -1, 3650, 0},
    {"bob", "bob", "DNS:*.bob.example", "ca", 0, 4, -1, 3650, 0},
    {"root", "root", "DNS:root.example", "ca", 0, 5, -1, 3650, 0},
    {"revoked", "alice", NULL, "ca", 0, SERIAL_REVOKED, -1, 3650, 0},
    {"expired", "alice", SERVER_SAN, "ca", 0, 7, -20, -10, 0},
    {"stranger", "alice", "DNS:alice.example", "other-ca", 0, SERIAL_REVOKED, -1, 3650, 0},
    {"nul", "alice\0x", NULL, "ca", 7, 8, -1, 3650, 0},
};

static void check(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "certs: %s failed\n", what);
    exit(1);
}

static FILE *open_file(const char *folder, const char *name, const char *end, const char *mode)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s%s", folder, name, end);
    FILE *f = fopen(path, mode);
    check(f != NULL, path);
    return f;
}

static X509 *load_cert(const char *folder, const char *name)
{
    FILE *f = open_file(folder, name, ".pem", "r");
    X509 *cert = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    check(cert != NULL, name);
    return cert;
}

static EVP_PKEY *load_key(const char *folder, const char *name)
{
    FILE *f = open_file(folder, name, ".key", "r");
    EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    fclose(f);
    check(key != NULL, name);
    return key;
}

static void save(const char *folder, const char *name, X509 *cert, EVP_PKEY *key)
{
    FILE *f = open_file(folder, name, ".key", "w");
    check(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), name);
    fclose(f);
    f = open_file(folder, name, ".pem", "w");
    check(PEM_write_X509(f, cert), name);
    fclose(f);
}

static void extend(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    check(e && X509_add_ext(cert, e, -1), value);
    X509_EXTENSION_free(e);
}

static void make(const char *folder, const struct spec *s)
{
    X509 *cert = X509_new(), *ca = s->issuer ? load_cert(folder, s->issuer) : NULL;
    EVP_PKEY *key = EVP_EC_gen("P-256"), *ca_key = s->issuer ? load_key(folder, s->issuer) : NULL;
    X509_NAME *name = X509_get_subject_name(cert);
    check(cert && key, s->name);
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), s->serial);
    X509_time_adj_ex(X509_getm_notBefore(cert), s->days_from, 0, NULL);
    X509_time_adj_ex(X509_getm_notAfter(cert), s->days_to, 0, NULL);
    X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, (const unsigned char *)s->cn,
                               s->cn_len ? s->cn_len : -1, -1, 0);
    X509_set_issuer_name(cert, ca ? X509_get_subject_name(ca) : name);
    X509_set_pubkey(cert, key);
    extend(cert, NID_basic_constraints, s->is_ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (!s->is_ca)
        extend(cert, NID_ext_key_usage, "serverAuth,clientAuth");
    if (s->san)
        extend(cert, NID_subject_alt_name, s->san);
    check(X509_sign(cert, ca_key ? ca_key : key, EVP_sha256()) > 0, s->name);
    save(folder, s->name, cert, key);
    X509_free(cert);
    X509_free(ca);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca_key);
}

static void add_revoked(X509_CRL *crl, long serial)
{
    X509_REVOKED *r = X509_REVOKED_new();
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, -60);
    ASN1_INTEGER_set(number, serial);
    X509_REVOKED_set_serialNumber(r, number);
    X509_REVOKED_set_revocationDate(r, now);
    check(X509_CRL_add0_revoked(crl, r), "revocation");
    ASN1_INTEGER_free(number);
    ASN1_TIME_free(now);
}

void certs_revoke(const char *folder, int alice_too)
{
    X509 *ca = load_cert(folder, "ca");
    EVP_PKEY *key = load_key(folder, "ca");
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *from = X509_gmtime_adj(NULL, -60), *to = X509_gmtime_adj(NULL, 86400L * 30);
    X509_CRL_set_version(crl, 1);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca));
    X509_CRL_set1_lastUpdate(crl, from);
    X509_CRL_set1_nextUpdate(crl, to);
    add_revoked(crl, SERIAL_REVOKED);
    if (alice_too)
        add_revoked(crl, SERIAL_ALICE);
    X509_CRL_sort(crl);
    check(X509_CRL_sign(crl, key, EVP_sha256()) > 0, "crl");
    FILE *f = open_file(folder, "crl", ".pem", "w");
    check(PEM_write_X509_CRL(f, crl), "crl.pem");
    fclose(f);
    f = open_file(folder, "crl", ".der", "w");
    check(i2d_X509_CRL_fp(f, crl), "crl.der");
    fclose(f);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    X509_CRL_free(crl);
    X509_free(ca);
    EVP_PKEY_free(key);
}

void certs_make(const char *folder)
{
    for (size_t i = 0; i < sizeof world / sizeof world[0]; i++)
        make(folder, &world[i]);
    certs_revoke(folder, 0);
}

void certs_make_server(const char *folder, const char *name, long serial)
{
    struct spec s = {name, "server", SERVER_SAN, "ca", 0, serial, -1, 3650, 0};
    make(folder, &s);
}
