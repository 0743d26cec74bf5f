/* A small certificate authority: two PEM files, and the certificates that it signs. Keys are of EC (P-256); each file is written beside
 * its place and moved there, the key first, so that a crash leaves a pair that fits, or one that io_authority_check finds out.
 *
 * Blocking; one thread at a time for an authority. */
#ifndef IO_AUTHORITY_H
#define IO_AUTHORITY_H

#include "base/error.h"

struct io_authority;

/* Makes sure that the two files hold one; makes them when both are missing (*ret_made says so), the key for its owner only.
 * TENURE_EINVALID: one of them is there without the other. TENURE_EUNAVAILABLE (no OpenSSL), TENURE_EIO, TENURE_EDENIED, …. */
int io_authority_make(const char *cert_file, const char *key_file, const char *name, unsigned days, bool *ret_made,
                      struct tenure_error *err) MUST_USE;

/* Opens what is in two files. The first certificate of cert_file signs. TENURE_EINVALID (it is none that may sign, it has run out, the
 * key is not its own, or is kept under a password), TENURE_EUNAVAILABLE, TENURE_ENOMEM. */
int io_authority_open(const char *cert_file, const char *key_file, struct io_authority **ret, struct tenure_error *err)
    MUST_USE;
struct io_authority *io_authority_close(struct io_authority *a); /* NULL is fine; NULL */

enum { IO_CERTIFICATE_SERVER = 1, IO_CERTIFICATE_CLIENT = 2 };

/* Borrowed. */
struct io_certificate {
    const char *cert_file, *key_file;
    const char *name;         /* the subject's common name */
    const char *const *hosts; /* names and addresses that it is good for */
    size_t n_hosts;
    unsigned uses; /* IO_CERTIFICATE_… */
    unsigned days; /* not beyond the authority's own end */
};

/* A new key and a new certificate, whatever was there. The key's file is for its owner only. */
int io_authority_issue(const struct io_authority *a, const struct io_certificate *c, struct tenure_error *err) MUST_USE;
/* Whether what is there does: a pair that fits, signed by this authority, for all of the hosts and no others, and good for spare_days
 * more at least. */
bool io_authority_check(const struct io_authority *a, const struct io_certificate *c, unsigned spare_days);

#endif
