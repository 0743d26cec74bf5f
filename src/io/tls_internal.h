/* What the files of TLS share.
 *
 *     openssl_api.c  the library, loaded on demand        tls.c         contexts: files and choices into an SSL_CTX
 *     tls_check.c    whether a peer's certificate may in  tls_session.c one connection, bytes in and bytes out
 *     tls_self.c     certificates signed by themselves    tls_files.c   whether files have changed
 *     tls_cert.c     what making one takes                authority.c   certificates that another one signs
 */
#ifndef IO_TLS_INTERNAL_H
#define IO_TLS_INTERNAL_H

#include "base/buf.h"
#include "io/openssl_api.h"
#include "io/tls.h"

#define TLS_CRLS_MAX 16

struct io_tls {
    const struct openssl *o;
    SSL_CTX *ctx;
    BIO_METHOD *bio;
    unsigned refs;
    bool is_server;
    bool skip_verify;
    char server_name[256];
    const char *const *allowed_cns, *const *allowed_hostnames; /* borrowed */
    size_t n_allowed_cns, n_allowed_hostnames;
    X509_CRL *crls[TLS_CRLS_MAX];
    size_t n_crls;
};

/* ---- tls_check.c ---- */
/* OpenSSL's callback for each certificate of a client's chain, root first; the session is the SSL's first ex_data. */
int tls_check_client(int ok, X509_STORE_CTX *store);
/* The subject's common name, by the rule of io_tls_peer. */
void tls_common_name(const struct openssl *o, X509 *cert, char *out, size_t size);

/* ---- tls_session.c: pure but for OpenSSL ---- */
struct tls_session;

BIO_METHOD *
tls_bio_method(const struct openssl *o); /* what connects OpenSSL with a session's buffers; NULL: no memory */

/*  HANDSHAKE --done--> OPEN --close_notify--> CLOSED      Next: FAILED from each */
enum tls_state { TLS_HANDSHAKE, TLS_OPEN, TLS_CLOSED, TLS_FAILED };

/* host: whom a client has connected to; NULL for a server. Takes a reference to t. */
int tls_session_new(struct io_tls *t, const char *host, struct tls_session **ret, struct tenure_error *err) MUST_USE;
struct tls_session *tls_session_free(struct tls_session *s); /* NULL is fine; NULL */
/* Takes all of in (empty: begins a client's handshake); appends what is plain to plain and what is to be sent to out. */
enum tls_state tls_session_read(struct tls_session *s, bytes in, struct buf *plain, struct buf *out);
/* Appends the sealed form of plain to out. Precondition: OPEN, or CLOSED (the peer only has said that it sends no more). */
enum tls_state tls_session_write(struct tls_session *s, bytes plain, struct buf *out);
/* Says that no more will be sent; once, and after a handshake only. */
void tls_session_finish(struct tls_session *s, struct buf *out);
enum tls_state tls_session_state(const struct tls_session *s);
const struct io_tls_peer *tls_session_peer(const struct tls_session *s);
/* Why it FAILED: TENURE_EDENIED (a certificate), TENURE_EPROTOCOL, TENURE_ENOMEM. */
const struct tenure_error *tls_session_error(const struct tls_session *s);
/* Room for a reason that is better than OpenSSL's; empty = none. */
char *tls_session_reason(struct tls_session *s, size_t *ret_size);
struct io_tls *tls_session_context(struct tls_session *s);

/* ---- tls_cert.c ---- */
/* Each answers whether it could. */
bool tls_cert_serial(const struct openssl *o, X509 *cert);
bool tls_cert_extension(const struct openssl *o, X509 *cert, X509 *issuer, int nid, const char *value);
/* The alternative names: "DNS:host,IP:127.0.0.1". A host with a comma would be read as more than one: there is none in a URL that was
 * parsed, and it is left out. */
bool tls_cert_hosts(const struct openssl *o, X509 *cert, const char *const *hosts, size_t n);
bool tls_cert_is_address(const char *host);
/* Both files, and the folders above them that are missing; the key first, and for its owner only. */
int tls_cert_save(const struct openssl *o, const char *cert_file, X509 *cert, const char *key_file, EVP_PKEY *key,
                  struct tenure_error *err) MUST_USE;

#endif
