/* How long certificates are still good, for whoever looks after them. Blocking; any thread. */
#ifndef IO_TLS_EXPIRY_H
#define IO_TLS_EXPIRY_H

#include "base/error.h"
#include "io/address.h"

/* Seconds until the first certificate of a PEM file has run out; negative: it has. TENURE_EUNAVAILABLE (no OpenSSL),
 * TENURE_EINVALID (the file, which the text names). */
int io_tls_expiry_file(const char *path, int64_t *ret_s, struct tenure_error *err) MUST_USE;
/* The same of the one that a server shows, which is not checked otherwise: by a connection of its own, timeout_ms for each of
 * its waits. TENURE_EUNAVAILABLE when there is no handshake. */
int io_tls_expiry_peer(const struct io_address *at, int64_t timeout_ms, int64_t *ret_s, struct tenure_error *err)
    MUST_USE;

#endif
