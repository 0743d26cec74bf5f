/* libsodium, loaded when the first value is sealed or opened: few programs do. Called through the table as io/openssl_api.h
 * does. */
#ifndef LIB_SODIUM_API_H
#define LIB_SODIUM_API_H

#include <sodium.h>

#include "base/error.h"

#define SODIUM_FUNCTIONS(X)                                                                                            \
    X(crypto_aead_xchacha20poly1305_ietf_decrypt)                                                                      \
    X(crypto_aead_xchacha20poly1305_ietf_encrypt)                                                                      \
    X(randombytes_buf)                                                                                                 \
    X(sodium_base642bin)                                                                                               \
    X(sodium_bin2base64)                                                                                               \
    X(sodium_bin2hex)                                                                                                  \
    X(sodium_hex2bin)                                                                                                  \
    X(sodium_init)                                                                                                     \
    X(sodium_memzero)

struct sodium {
#define SODIUM_MEMBER(name) __typeof__(name) *name;
    SODIUM_FUNCTIONS(SODIUM_MEMBER)
#undef SODIUM_MEMBER
};

/* NULL: the library is missing or too old (TENURE_EUNAVAILABLE, the text says which). Any thread. */
const struct sodium *sodium_load(struct tenure_error *err);

#endif
