/* See jwt_key.h.
 *
 * Signatures of elliptic curves are two numbers one behind the other in a token, and DER in OpenSSL. Keys shorter than a
 * method's own curve are refused when they would sign; RSA keys of any length are taken, as etcd does.
 */
#include "io/jwt_key.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/openssl_api.h"

enum family { FAMILY_RSA, FAMILY_PSS, FAMILY_EC, FAMILY_HMAC, FAMILY_ED };

struct method {
    const char *name;
    enum family family;
    int bits;           /* of the digest */
    int curve_bits;     /* of ES… */
    size_t number_size; /* bytes of each half of its signature */
};

static const struct method methods[] = {
    {"RS256", FAMILY_RSA, 256, 0, 0},   {"RS384", FAMILY_RSA, 384, 0, 0},   {"RS512", FAMILY_RSA, 512, 0, 0},
    {"PS256", FAMILY_PSS, 256, 0, 0},   {"PS384", FAMILY_PSS, 384, 0, 0},   {"PS512", FAMILY_PSS, 512, 0, 0},
    {"ES256", FAMILY_EC, 256, 256, 32}, {"ES384", FAMILY_EC, 384, 384, 48}, {"ES512", FAMILY_EC, 512, 521, 66},
    {"HS256", FAMILY_HMAC, 256, 0, 0},  {"HS384", FAMILY_HMAC, 384, 0, 0},  {"HS512", FAMILY_HMAC, 512, 0, 0},
    {"EdDSA", FAMILY_ED, 0, 0, 0},
};

#define FILE_MAX ((size_t)1 << 20)

struct jwt_key {
    const struct openssl *o;
    const struct method *method;
    EVP_PKEY *key;
    bool verify_only;
};

/* ---- files ---- */

static int read_file(const char *path, uint8_t **ret, size_t *ret_len, struct tenure_error *err)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return error_errno(err, errno, "auth-token: %s", path);
    uint8_t *data = malloc(FILE_MAX);
    size_t len = data ? fread(data, 1, FILE_MAX, f) : 0;
    bool failed = ferror(f) || len == FILE_MAX;
    fclose(f);
    if (!data)
        return error_set(err, TENURE_ENOMEM, "auth-token: out of memory");
    if (failed) {
        explicit_bzero(data, len);
        free(data);
        return error_set(err, TENURE_EIO, "auth-token: %s cannot be read, or is too long for a key", path);
    }
    *ret = data;
    *ret_len = len;
    return 0;
}

/* Whose bytes a parser of keys takes. */
typedef EVP_PKEY *(*parse_fn)(const struct jwt_key *k, BIO *bio);

/* Nobody is asked for one: a server that waits for a terminal does not start. */
static int no_passphrase(char *out, int size, int writing, void *user)
{
    (void)out, (void)size, (void)writing, (void)user;
    return 0;
}

static EVP_PKEY *parse_private(const struct jwt_key *k, BIO *bio)
{
    return k->o->PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
}

static EVP_PKEY *parse_public(const struct jwt_key *k, BIO *bio)
{
    return k->o->PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
}

static EVP_PKEY *parse_certificate(const struct jwt_key *k, BIO *bio)
{
    X509 *cert = k->o->PEM_read_bio_X509(bio, NULL, NULL, NULL);
    EVP_PKEY *key = cert ? k->o->X509_get_pubkey(cert) : NULL;
    k->o->X509_free(cert);
    return key;
}

static EVP_PKEY *parse(const struct jwt_key *k, const uint8_t *data, size_t len, parse_fn fn)
{
    BIO *bio = k->o->BIO_new_mem_buf(data, (int)len);
    EVP_PKEY *key = bio ? fn(k, bio) : NULL;
    k->o->BIO_free(bio);
    k->o->ERR_clear_error();
    return key;
}

static bool fits_method(const struct jwt_key *k, const EVP_PKEY *key)
{
    int type = k->o->EVP_PKEY_get_base_id(key);
    switch (k->method->family) {
    case FAMILY_RSA:
    case FAMILY_PSS:
        return type == EVP_PKEY_RSA;
    case FAMILY_EC:
        return type == EVP_PKEY_EC && k->o->EVP_PKEY_get_bits(key) == k->method->curve_bits;
    case FAMILY_ED:
        return type == EVP_PKEY_ED25519;
    case FAMILY_HMAC:
        break;
    }
    return true;
}

static int load(const struct jwt_key *k, const char *path, bool is_private, EVP_PKEY **ret, struct tenure_error *err)
{
    uint8_t *data = NULL;
    size_t len = 0;
    *ret = NULL;
    if (!path || !*path)
        return 0;
    int rc = read_file(path, &data, &len, err);
    if (rc)
        return rc;
    if (k->method->family == FAMILY_HMAC && is_private && len > 0) /* everybody knows the empty one */
        *ret = k->o->EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, data, len);
    else if (k->method->family != FAMILY_HMAC)
        *ret = parse(k, data, len, is_private ? parse_private : parse_public);
    if (!*ret && !is_private && k->method->family != FAMILY_HMAC)
        *ret = parse(k, data, len, parse_certificate);
    explicit_bzero(data, len);
    free(data);
    if (!*ret && (is_private || k->method->family != FAMILY_HMAC))
        return error_set(err, TENURE_EINVALID, "auth-token: %s holds no %s key", path,
                         is_private ? "private" : "public");
    if (*ret && !fits_method(k, *ret))
        return error_set(err, TENURE_EINVALID, "auth-token: the key in %s is not one for %s", path, k->method->name);
    return 0;
}

/* ---- opening ---- */

static const struct method *find_method(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (name && strcmp(methods[i].name, name) == 0)
            return &methods[i];
    }
    return NULL;
}

static int open_keys(struct jwt_key *k, const struct jwt_key_config *config, EVP_PKEY **ret_private,
                     EVP_PKEY **ret_public, struct tenure_error *err)
{
    int rc = load(k, config->private_file, true, ret_private, err);
    if (rc == 0)
        rc = load(k, config->public_file, false, ret_public, err);
    if (rc)
        return rc;
    if (!*ret_private && !*ret_public)
        return error_set(err, TENURE_EINVALID, "auth-token: auth: missing key data");
    if (*ret_private && *ret_public && k->o->EVP_PKEY_eq(*ret_private, *ret_public) != 1)
        return error_set(err, TENURE_EINVALID, "auth-token: auth: public and private keys don't match");
    return 0;
}

int jwt_key_open(const struct jwt_key_config *config, struct jwt_key **ret, struct tenure_error *err)
{
    EVP_PKEY *private = NULL, *public = NULL;
    const struct method *method = find_method(config->sign_method);
    if (!method)
        return error_set(err, TENURE_EINVALID,
                         "auth-token: '%s' is no sign-method: RS, PS, ES, HS with 256, 384 or 512, or EdDSA",
                         config->sign_method ? config->sign_method : "");
    const struct openssl *o = openssl_load(err);
    if (!o)
        return TENURE_EUNAVAILABLE;
    struct jwt_key *k = calloc(1, sizeof *k);
    if (!k)
        return error_set(err, TENURE_ENOMEM, "auth-token: out of memory");
    k->o = o;
    k->method = method;
    int rc = open_keys(k, config, &private, &public, err);
    if (rc) {
        o->EVP_PKEY_free(private);
        o->EVP_PKEY_free(public);
        free(k);
        return rc;
    }
    k->verify_only = !private;
    k->key = private ? private : public;
    if (private)
        o->EVP_PKEY_free(public);
    *ret = k;
    return 0;
}

struct jwt_key *jwt_key_close(struct jwt_key *k)
{
    if (!k)
        return NULL;
    k->o->EVP_PKEY_free(k->key);
    free(k);
    return NULL;
}

const char *jwt_key_method(const struct jwt_key *k)
{
    return k->method->name;
}

/* ---- signing and proving ---- */

static const EVP_MD *digest_of(const struct jwt_key *k)
{
    switch (k->method->bits) {
    case 256:
        return k->o->EVP_sha256();
    case 384:
        return k->o->EVP_sha384();
    case 512:
        return k->o->EVP_sha512();
    default:
        return NULL;
    }
}

static bool set_padding(const struct jwt_key *k, EVP_PKEY_CTX *ctx, int salt_len)
{
    if (k->method->family != FAMILY_PSS)
        return true;
    return k->o->EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
           k->o->EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, salt_len) == 1;
}

/* DER into r and s of fixed size. */
static bool from_der(const struct jwt_key *k, const uint8_t *der, size_t len, uint8_t *out)
{
    const uint8_t *at = der;
    const BIGNUM *r, *s;
    int size = (int)k->method->number_size;
    ECDSA_SIG *sig = k->o->d2i_ECDSA_SIG(NULL, &at, (long)len);
    if (!sig)
        return false;
    k->o->ECDSA_SIG_get0(sig, &r, &s);
    bool ok = k->o->BN_bn2binpad(r, out, size) == size && k->o->BN_bn2binpad(s, out + size, size) == size;
    k->o->ECDSA_SIG_free(sig);
    return ok;
}

/* The other way; NULL: it is no such signature, or no memory. To be freed by CRYPTO_free. */
static uint8_t *to_der(const struct jwt_key *k, bytes raw, int *ret_len)
{
    int size = (int)k->method->number_size;
    uint8_t *der = NULL;
    if (raw.len != 2 * (size_t)size)
        return NULL;
    ECDSA_SIG *sig = k->o->ECDSA_SIG_new();
    BIGNUM *r = k->o->BN_bin2bn(raw.data, size, NULL), *s = k->o->BN_bin2bn(raw.data + size, size, NULL);
    if (!sig || !r || !s || k->o->ECDSA_SIG_set0(sig, r, s) != 1) {
        k->o->BN_free(r);
        k->o->BN_free(s);
    } else {
        *ret_len = k->o->i2d_ECDSA_SIG(sig, &der);
    }
    k->o->ECDSA_SIG_free(sig);
    return der;
}

static bool append_signature(const struct jwt_key *k, const uint8_t *made, size_t len, struct buf *out)
{
    uint8_t raw[2 * 66];
    if (k->method->family != FAMILY_EC) {
        buf_append(out, made, len);
        return true;
    }
    if (!from_der(k, made, len, raw))
        return false;
    buf_append(out, raw, 2 * k->method->number_size);
    return true;
}

static bool sign(const struct jwt_key *k, EVP_MD_CTX *md, bytes text, struct buf *out)
{
    EVP_PKEY_CTX *ctx;
    size_t len = 0;
    if (k->o->EVP_DigestSignInit(md, &ctx, digest_of(k), NULL, k->key) != 1 ||
        !set_padding(k, ctx, RSA_PSS_SALTLEN_DIGEST) || k->o->EVP_DigestSign(md, NULL, &len, text.data, text.len) != 1)
        return false;
    uint8_t *made = malloc(len);
    bool ok =
        made && k->o->EVP_DigestSign(md, made, &len, text.data, text.len) == 1 && append_signature(k, made, len, out);
    free(made);
    return ok;
}

int jwt_key_sign(const struct jwt_key *k, bytes text, struct buf *out)
{
    if (k->verify_only)
        return TENURE_EDENIED;
    EVP_MD_CTX *md = k->o->EVP_MD_CTX_new();
    if (!md)
        return TENURE_ENOMEM;
    bool ok = sign(k, md, text, out);
    k->o->EVP_MD_CTX_free(md);
    k->o->ERR_clear_error();
    return ok ? buf_error(out) : TENURE_EIO;
}

/* A MAC is made again and compared. */
static bool mac_is_right(const struct jwt_key *k, bytes text, bytes signature)
{
    struct buf made;
    buf_init(&made);
    bool ok = jwt_key_sign(k, text, &made) == 0 && made.len == signature.len &&
              k->o->CRYPTO_memcmp(made.data, signature.data, made.len) == 0;
    buf_fini(&made);
    return ok;
}

static bool verify(const struct jwt_key *k, EVP_MD_CTX *md, bytes text, bytes signature)
{
    EVP_PKEY_CTX *ctx;
    return k->o->EVP_DigestVerifyInit(md, &ctx, digest_of(k), NULL, k->key) == 1 &&
           set_padding(k, ctx, RSA_PSS_SALTLEN_AUTO) &&
           k->o->EVP_DigestVerify(md, signature.data, signature.len, text.data, text.len) == 1;
}

bool jwt_key_proves(const struct jwt_key *k, bytes text, bytes signature)
{
    uint8_t *der = NULL;
    int der_len = 0;
    if (k->method->family == FAMILY_HMAC)
        return mac_is_right(k, text, signature);
    if (k->method->family == FAMILY_EC) {
        der = to_der(k, signature, &der_len);
        if (!der)
            return false;
        signature = bytes_of(der, (size_t)der_len);
    }
    EVP_MD_CTX *md = k->o->EVP_MD_CTX_new();
    bool ok = md && verify(k, md, text, signature);
    k->o->EVP_MD_CTX_free(md);
    k->o->CRYPTO_free(der, "", 0);
    k->o->ERR_clear_error();
    return ok;
}
