/* The key that signs and proves JSON web tokens, by OpenSSL, which is loaded with the first key. Thread: one at a time. */
#ifndef IO_JWT_KEY_H
#define IO_JWT_KEY_H

#include "base/buf.h"
#include "base/error.h"

struct jwt_key;

struct jwt_key_config {
    const char *sign_method; /* RS, PS, ES, HS with 256, 384 or 512; EdDSA */
    const char *public_file; /* PEM: a public key or a certificate; NULL or "" = the private key's */
    const char *private_file;
};

/* TENURE_EINVALID: no such method, no key for it, or keys that do not belong together; TENURE_EIO: a file cannot be read;
 * TENURE_EUNAVAILABLE, TENURE_ENOMEM. */
int jwt_key_open(const struct jwt_key_config *config, struct jwt_key **ret, struct tenure_error *err) MUST_USE;
struct jwt_key *jwt_key_close(struct jwt_key *k); /* NULL is fine; NULL */
const char *jwt_key_method(const struct jwt_key *k);
/* Appends the signature. TENURE_EDENIED: the key can only prove; TENURE_EIO, TENURE_ENOMEM. */
int jwt_key_sign(const struct jwt_key *k, bytes text, struct buf *out) MUST_USE;
bool jwt_key_proves(const struct jwt_key *k, bytes text, bytes signature);

#endif
