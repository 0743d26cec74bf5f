/* The short answer to a peer that does not speak HTTP/2: this port serves gRPC. A person with curl gets told so; then the
 * connection is closed. */
#include "server/internal.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/* Any other protocol that asks first. A first read that is shorter than the preface is judged by what it has. */
bool http1_speaks(bytes first)
{
    size_t len = first.len < sizeof preface - 1 ? first.len : sizeof preface - 1;
    return len > 0 && memcmp(first.data, preface, len) != 0;
}

void http1_answer(const struct server *s, bytes request, struct buf *out)
{
    static const char body[] = "tenure serves the etcd v3 API by gRPC over HTTP/2 on this port\n";
    (void)s, (void)request;
    buf_printf(out,
               "HTTP/1.1 505 HTTP Version Not Supported\r\n"
               "Content-Type: text/plain; charset=utf-8\r\n"
               "Content-Length: %zu\r\n"
               "Connection: close\r\n\r\n%s",
               sizeof body - 1, body);
}
