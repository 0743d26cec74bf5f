/* Addresses as people write them. Each refusal names the text and what was expected. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/address.h"

static int bad(struct tenure_error *err, const char *text, const char *why)
{
    return error_set(err, TENURE_EINVALID, "address \"%.200s\": %s", text, why);
}

static int parse_unix(const char *text, const char *path, struct io_address *a, struct tenure_error *err)
{
    size_t len = strlen(path);
    if (len == 0)
        return bad(err, text, "the path of the socket is missing");
    if (len >= sizeof a->path)
        return bad(err, text, "the path of the socket is too long, at most 107 bytes");
    a->kind = IO_ADDRESS_UNIX;
    memcpy(a->path, path, len + 1);
    return 0;
}

static int parse_port(const char *text, const char *port, struct io_address *a, struct tenure_error *err)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(port, &end, 10);
    if (port[0] < '0' || port[0] > '9' || *end || errno || value > 65535)
        return bad(err, text, "the port must be a number from 0 to 65535");
    a->port = (uint16_t)value;
    return 0;
}

static int copy_host(const char *text, const char *host, size_t len, struct io_address *a, struct tenure_error *err)
{
    if (len == 0)
        return bad(err, text, "the host is missing");
    if (len >= sizeof a->host)
        return bad(err, text, "the host name is too long");
    memcpy(a->host, host, len);
    a->host[len] = 0;
    if (strpbrk(a->host, "/?#@ \t"))
        return bad(err, text, "only http://HOST:PORT, without user, path or query");
    return 0;
}

/* "[::1]:2379": writes the host, answers what follows the bracket. */
static const char *parse_brackets(const char *text, const char *rest, struct io_address *a, struct tenure_error *err)
{
    struct in6_addr any;
    const char *close = strchr(rest, ']');
    if (!close) {
        bad(err, text, "the bracket of the IPv6 address is not closed");
        return NULL;
    }
    if (copy_host(text, rest + 1, (size_t)(close - rest - 1), a, err) < 0)
        return NULL;
    if (inet_pton(AF_INET6, a->host, &any) != 1) {
        bad(err, text, "not an IPv6 address between the brackets");
        return NULL;
    }
    return close + 1;
}

static const char *parse_name(const char *text, const char *rest, struct io_address *a, struct tenure_error *err)
{
    size_t len = strcspn(rest, ":");
    if (rest[len] == ':' && strchr(rest + len + 1, ':')) {
        bad(err, text, "an IPv6 address stands in brackets: http://[::1]:2379");
        return NULL;
    }
    return copy_host(text, rest, len, a, err) < 0 ? NULL : rest + len;
}

static int parse_tcp(const char *text, const char *rest, int port_default, struct io_address *a,
                     struct tenure_error *err)
{
    char place[300];
    size_t len = strlen(rest);
    if (len > 0 && rest[len - 1] == '/')
        len--;
    if (len >= sizeof place)
        return bad(err, text, "too long");
    memcpy(place, rest, len);
    place[len] = 0;

    a->kind = IO_ADDRESS_TCP;
    const char *port = place[0] == '[' ? parse_brackets(text, place, a, err) : parse_name(text, place, a, err);
    if (!port)
        return TENURE_EINVALID;
    if (port[0] == ':')
        return parse_port(text, port + 1, a, err);
    if (port[0])
        return bad(err, text, "only a port may follow the host");
    if (port_default < 0)
        return bad(err, text, "the port is missing, for example http://127.0.0.1:2379");
    a->port = (uint16_t)port_default;
    return 0;
}

/* A scheme, or none: then http. */
static const struct scheme {
    const char *begin;
    enum io_address_kind kind;
    bool tls;
} schemes[] = {
    {"http://", IO_ADDRESS_TCP, false},
    {"https://", IO_ADDRESS_TCP, true},
    {"unix://", IO_ADDRESS_UNIX, false},
    {"unixs://", IO_ADDRESS_UNIX, true},
};

static const struct scheme *scheme_of(const char *text)
{
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (strncmp(text, schemes[i].begin, strlen(schemes[i].begin)) == 0)
            return &schemes[i];
    return NULL;
}

int io_address_parse(const char *text, int port_default, struct io_address *ret, struct tenure_error *err)
{
    const struct scheme *scheme = scheme_of(text);
    const char *rest = scheme ? text + strlen(scheme->begin) : text;
    struct io_address a = {.tls = scheme && scheme->tls};
    if (!scheme && strstr(text, "://"))
        return bad(err, text, "unknown scheme, use http, https, unix or unixs, as http://HOST:PORT or unix:///PATH");
    int rc = scheme && scheme->kind == IO_ADDRESS_UNIX ? parse_unix(text, rest, &a, err)
                                                       : parse_tcp(text, rest, port_default, &a, err);
    if (rc == 0)
        *ret = a;
    return rc;
}

static bool is_ipv6(const struct io_address *a)
{
    return strchr(a->host, ':') != NULL;
}

const char *io_address_text(const struct io_address *a, char *out, size_t size)
{
    const char *s = a->tls ? "s" : "";
    if (a->kind == IO_ADDRESS_UNIX)
        snprintf(out, size, "unix%s://%s", s, a->path);
    else
        snprintf(out, size, is_ipv6(a) ? "http%s://[%s]:%u" : "http%s://%s:%u", s, a->host, a->port);
    return out;
}

const char *io_address_authority(const struct io_address *a, char *out, size_t size)
{
    if (a->kind == IO_ADDRESS_UNIX)
        snprintf(out, size, "localhost");
    else
        snprintf(out, size, is_ipv6(a) ? "[%s]:%u" : "%s:%u", a->host, a->port);
    return out;
}

bool io_address_is_loopback(const struct io_address *a)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (a->kind == IO_ADDRESS_UNIX || strcmp(a->host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, a->host, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, a->host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}
