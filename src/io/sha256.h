/* SHA-256 by OpenSSL, which is loaded when the first one asks. Any thread; one has one user. */
#ifndef IO_SHA256_H
#define IO_SHA256_H

#include "base/bytes.h"
#include "base/error.h"

enum { IO_SHA256_LEN = 32 };

struct io_sha256;

/* 0, TENURE_EUNAVAILABLE (no OpenSSL 3 on this machine), TENURE_ENOMEM. */
int io_sha256_new(struct io_sha256 **ret, struct tenure_error *err) MUST_USE;
void io_sha256_add(struct io_sha256 *h, bytes in);
/* Writes the sum and frees h. 0, or TENURE_EINTERNAL when OpenSSL failed at any step. */
int io_sha256_end(struct io_sha256 *h, uint8_t out[IO_SHA256_LEN], struct tenure_error *err) MUST_USE;
/* Without the sum. NULL is fine; NULL. */
struct io_sha256 *io_sha256_free(struct io_sha256 *h);

#endif
