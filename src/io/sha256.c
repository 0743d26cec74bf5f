/* See sha256.h. A failed step is remembered and told at the end. */
#include "io/sha256.h"

#include <stdlib.h>

#include "io/openssl_api.h"

struct io_sha256 {
    const struct openssl *o;
    EVP_MD_CTX *ctx;
    bool failed;
};

int io_sha256_new(struct io_sha256 **ret, struct tenure_error *err)
{
    const struct openssl *o = openssl_load(err);
    if (!o)
        return TENURE_EUNAVAILABLE;
    struct io_sha256 *h = calloc(1, sizeof *h);
    if (!h)
        return error_set(err, TENURE_ENOMEM, "sha256: out of memory");
    h->o = o;
    h->ctx = o->EVP_MD_CTX_new();
    if (!h->ctx) {
        io_sha256_free(h);
        return error_set(err, TENURE_ENOMEM, "sha256: out of memory");
    }
    h->failed = o->EVP_DigestInit_ex(h->ctx, o->EVP_sha256(), NULL) != 1;
    *ret = h;
    return 0;
}

void io_sha256_add(struct io_sha256 *h, bytes in)
{
    if (in.len && h->o->EVP_DigestUpdate(h->ctx, in.data, in.len) != 1)
        h->failed = true;
}

int io_sha256_end(struct io_sha256 *h, uint8_t out[IO_SHA256_LEN], struct tenure_error *err)
{
    bool failed = h->failed || h->o->EVP_DigestFinal_ex(h->ctx, out, NULL) != 1;
    io_sha256_free(h);
    return failed ? error_set(err, TENURE_EINTERNAL, "sha256: %s", openssl_error()) : 0;
}

struct io_sha256 *io_sha256_free(struct io_sha256 *h)
{
    if (!h)
        return NULL;
    if (h->ctx)
        h->o->EVP_MD_CTX_free(h->ctx);
    free(h);
    return NULL;
}
