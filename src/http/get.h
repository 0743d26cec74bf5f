/* Pages asked for by GET, one after the other over one connection of HTTP/1.1 (http-parser): what is to be sent, and of each
 * answer its status, date and body. Pure; one caller at a time. */
#ifndef HTTP_GET_H
#define HTTP_GET_H

#include "base/buf.h"

struct http_get;

struct http_answer {
    int status;
    int64_t date_s; /* what its Date says, since 1970; -1 = nothing that could be read */
    bytes body;     /* until the next one is asked for */
    bool stays;     /* another one may be asked for over the same connection */
};

/* An answer whose body is larger than body_max is refused. NULL when out of memory. */
struct http_get *http_get_new(size_t body_max) MUST_USE;
struct http_get *http_get_free(struct http_get *g); /* NULL is fine; NULL */
/* Begins anew: appends the request to out. authority: "host:port". */
void http_get_ask(struct http_get *g, const char *path, const char *authority, struct buf *out);
/* The next bytes; empty at their end. 1: the answer is whole, and told in ret; 0: not yet; TENURE_EPROTOCOL: this is none;
 * TENURE_ETOOLARGE, TENURE_ENOMEM. */
int http_get_feed(struct http_get *g, bytes data, struct http_answer *ret) MUST_USE;

/* "Sat, 28 Nov 2026 18:46:45 GMT" as seconds since 1970; -1: it is no such text. */
int64_t http_date_of(bytes text);

#endif
