/* Sealed values of a configuration: "sealed:v1:" and base64 of a nonce and what XChaCha20-Poly1305 makes of the value, with the
 * configuration key as what it is bound to. */
#ifndef LIB_CONFIG_SEAL_H
#define LIB_CONFIG_SEAL_H

#include <tenure/config.h>

#include "base/bytes.h"
#include "base/error.h"

#define CONFIG_SEALED "sealed:v1:"

/* The keys of a key file. Unchanging; any thread. */
struct config_seal;

/* file NULL: the environment's TENURE_CONFIG_KEY_FILE; neither: 0, and *ret is NULL. TENURE_EIO, TENURE_EDENIED,
 * TENURE_EINVALID, TENURE_EUNAVAILABLE, TENURE_ENOMEM. */
int config_seal_load(const char *file, struct config_seal **ret, struct tenure_error *err) MUST_USE;
/* Wipes. NULL is fine; NULL. */
struct config_seal *config_seal_close(struct config_seal *s);

/* *ret with a 0 behind its *ret_len bytes, to be freed by config_seal_free. s NULL: TENURE_EDENIED. */
int config_seal_open(const struct config_seal *s, const char *key, bytes sealed, char **ret, size_t *ret_len,
                     struct tenure_error *err) MUST_USE;
/* Wipes and frees. NULL is fine. */
void config_seal_free(char *plain, size_t len);

#endif
