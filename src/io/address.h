/* Where to listen or connect: `http://HOST:PORT`, `http://[IPV6]:PORT`, `unix:///absolute/path`, `unix://relative/path`,
 * with TLS `https://` and `unixs://`; for clients also a bare `HOST:PORT` or `HOST`. Pure, but for io_address_is_loopback of names. */
#ifndef IO_ADDRESS_H
#define IO_ADDRESS_H

#include "base/error.h"
#include "base/types.h"

enum io_address_kind { IO_ADDRESS_TCP, IO_ADDRESS_UNIX };

#define IO_ADDRESS_TEXT_MAX 288

struct io_address {
    enum io_address_kind kind;
    char host[256]; /* name or number without brackets; TCP only */
    uint16_t port;  /* 0 = any free one, for listening */
    char path[108]; /* unix only */
    bool tls;       /* https, unixs */
};

/* port_default: taken where the text has no port; -1 = a port must be there. TENURE_EINVALID with the text and what is
 * wrong with it. */
int io_address_parse(const char *text, int port_default, struct io_address *ret, struct tenure_error *err) MUST_USE;
/* Writes the URL form ("http://127.0.0.1:2379", "unix:///run/x.sock") into out (IO_ADDRESS_TEXT_MAX), answers out. */
const char *io_address_text(const struct io_address *a, char *out, size_t size);
/* What HTTP/2 calls the authority: "host:port", or "localhost" for a unix socket. */
const char *io_address_authority(const struct io_address *a, char *out, size_t size);
/* Only this machine reaches it: a unix socket, 127.0.0.0/8, ::1, or the name localhost. */
bool io_address_is_loopback(const struct io_address *a);

#endif
