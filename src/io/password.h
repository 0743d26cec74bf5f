/* Hashes of passwords as etcd's: bcrypt, $2a$, by the system's libcrypt, which is loaded when the first one is asked for. A
 * hash takes tens of milliseconds on purpose, so these are called on a thread of their own. Any thread. */
#ifndef IO_PASSWORD_H
#define IO_PASSWORD_H

#include "base/error.h"

#define PASSWORD_COST_MIN     4
#define PASSWORD_COST_MAX     31
#define PASSWORD_COST_DEFAULT 10

/* Writes the hash of a C string of at most 72 bytes; out has at least 61. TENURE_EUNAVAILABLE: there is no libcrypt that can;
 * TENURE_EIO, TENURE_ENOMEM. */
int password_hash(const char *password, unsigned cost, char *out, size_t size, struct tenure_error *err) MUST_USE;
/* Whether that is the hash of that password: 1 or 0; or an error. $2a$, $2b$ and $2y$ alike. */
int password_check(const char *password, const char *hash, struct tenure_error *err) MUST_USE;

#endif
