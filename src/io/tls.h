/* TLS 1.2 and 1.3 for streams, by OpenSSL 3, which is loaded when the first context is made.
 *
 * A context holds what was read from files: certificate, key, authorities, revocations. A stream takes its context at its
 * beginning (io_stream_connect_tls, io_stream_adopt_tls) and keeps it, so that new files are a new context for new
 * connections, and old ones go on. Connections resume no sessions: each one proves itself anew, against the present lists.
 *
 * A server asks for a client's certificate when client_cert_auth or a ca_file is given, as etcd does, and then takes no
 * connection without one. A client checks the server's certificate and name unless insecure_skip_verify.
 *
 * Thread: one at a time for a context and its streams.
 */
#ifndef IO_TLS_H
#define IO_TLS_H

#include "base/error.h"

struct io_tls;

enum io_tls_version { IO_TLS_ANY, IO_TLS_1_2, IO_TLS_1_3 };

/* Borrowed for the call; the two lists of allowed names until the last user of the context is gone. */
struct io_tls_config {
    bool is_server;
    const char *cert_file, *key_file;             /* PEM, the chain behind the certificate; a client may have none */
    const char *ca_file;                          /* PEM; NULL = the system's authorities */
    enum io_tls_version version_min, version_max; /* IO_TLS_ANY = 1.2 and newest */
    const char *const *cipher_suites;             /* names of IANA, as etcd takes them; preferred in this order */
    size_t n_cipher_suites;
    /* server */
    bool client_cert_auth;
    const char *crl_file; /* PEM, one or several, or DER: who is named in it by its own authority is refused */
    const char *const *allowed_cns, *const *allowed_hostnames; /* of the client's certificate; none = any */
    size_t n_allowed_cns, n_allowed_hostnames;
    /* client */
    const char *server_name; /* what the certificate must be for; NULL = the host connected to */
    bool insecure_skip_verify;
    bool is_http1; /* it speaks HTTP/1.1, not gRPC */
};

/* TENURE_EUNAVAILABLE (no OpenSSL), TENURE_EINVALID (a file or name, which the text says), TENURE_ENOMEM. */
int io_tls_new(const struct io_tls_config *config, struct io_tls **ret, struct tenure_error *err) MUST_USE;
struct io_tls *io_tls_ref(struct io_tls *t);
struct io_tls *io_tls_unref(struct io_tls *t); /* NULL is fine; NULL */

/* What the files of a configuration looked like, to find out whether they have changed. Begins zeroed. */
struct io_tls_stamps {
    struct {
        int64_t dev, ino, size, mtime_ns, ctime_ns;
    } of[4]; /* certificate, key, authorities, revocations */
};
/* Looks at them (four system calls); answers whether one has changed since the last time. A file that changes while a
 * context is made from it is found by the next look, when this one came before. */
bool io_tls_look(const struct io_tls_config *config, struct io_tls_stamps *stamps);

/* Makes sure that the two files hold a key and a certificate signed by itself for these hosts (names and addresses); makes
 * them when one is missing or the certificate has run out (*ret_made says so). The key's file is for its owner only.
 * TENURE_EUNAVAILABLE, TENURE_EIO, TENURE_EDENIED, TENURE_ENOMEM. */
int io_tls_self_signed(const char *cert_file, const char *key_file, const char *const *hosts, size_t n_hosts,
                       unsigned years, bool *ret_made, struct tenure_error *err) MUST_USE;

/* What is known of the other side after the handshake. */
struct io_tls_peer {
    bool has_certificate;  /* one that was checked */
    char common_name[256]; /* of its subject; empty: none, or one that holds a zero byte or is longer */
    char version[8];       /* "TLSv1.3" */
    char alpn[16];         /* "h2", "http/1.1", or empty */
};

#endif
