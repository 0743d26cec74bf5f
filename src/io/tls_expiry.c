#include "io/tls_expiry.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/openssl_api.h"

static int seconds_left(const struct openssl *o, X509 *cert, int64_t *ret_s)
{
    int days = 0, seconds = 0;
    if (!cert || o->ASN1_TIME_diff(&days, &seconds, NULL, o->X509_get0_notAfter(cert)) != 1)
        return -1;
    *ret_s = (int64_t)days * 86400 + seconds;
    return 0;
}

int io_tls_expiry_file(const char *path, int64_t *ret_s, struct tenure_error *err)
{
    const struct openssl *o = openssl_load(err);
    if (!o)
        return err->code;
    BIO *in = o->BIO_new_file(path, "r");
    X509 *cert = in ? o->PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
    int rc = seconds_left(o, cert, ret_s);
    o->X509_free(cert);
    o->BIO_free(in);
    o->ERR_clear_error();
    return rc == 0 ? 0 : error_set(err, TENURE_EINVALID, "%s: there is no certificate in it", path);
}

/* ---- a server's ---- */

static int connect_to(int fd, const struct sockaddr *at, socklen_t len, int64_t timeout_ms)
{
    struct timeval wait = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait); /* connect waits no longer either */
    return connect(fd, at, len);
}

static int connect_unix(const char *path, int64_t timeout_ms)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    if (fd >= 0 && connect_to(fd, (struct sockaddr *)&at, sizeof at, timeout_ms) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static int connect_tcp(const struct io_address *at, int64_t timeout_ms)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all = NULL;
    char port[8];
    int fd = -1;
    snprintf(port, sizeof port, "%u", at->port);
    if (getaddrinfo(at->host, port, &hints, &all) != 0)
        return -1;
    for (struct addrinfo *a = all; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd >= 0 && connect_to(fd, a->ai_addr, a->ai_addrlen, timeout_ms) < 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(all);
    return fd;
}

/* A server that wants a certificate of ours shows its own before it refuses us, so a handshake that fails may have told it. */
static int shake_hands(const struct openssl *o, int fd, int64_t *ret_s)
{
    SSL_CTX *ctx = o->SSL_CTX_new(o->TLS_method());
    SSL *ssl = ctx ? o->SSL_new(ctx) : NULL;
    int rc = -1;
    if (ssl && o->SSL_set_fd(ssl, fd) == 1) {
        o->SSL_set_connect_state(ssl);
        o->SSL_do_handshake(ssl);
        X509 *cert = o->SSL_get1_peer_certificate(ssl);
        rc = seconds_left(o, cert, ret_s);
        o->X509_free(cert);
    }
    o->SSL_free(ssl);
    o->SSL_CTX_free(ctx);
    o->ERR_clear_error();
    return rc;
}

int io_tls_expiry_peer(const struct io_address *at, int64_t timeout_ms, int64_t *ret_s, struct tenure_error *err)
{
    char text[IO_ADDRESS_TEXT_MAX];
    const struct openssl *o = openssl_load(err);
    if (!o)
        return err->code;
    int fd = at->kind == IO_ADDRESS_UNIX ? connect_unix(at->path, timeout_ms) : connect_tcp(at, timeout_ms);
    int rc = fd < 0 ? -1 : shake_hands(o, fd, ret_s);
    if (fd >= 0)
        close(fd);
    return rc == 0 ? 0
                   : error_set(err, TENURE_EUNAVAILABLE, "%.200s: it shows no certificate",
                               io_address_text(at, text, sizeof text));
}
