/* The status of an HTTP/1 answer, for a check: only the head is read, and 1xx are passed over. Pure; one caller at a time. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "base/bytes.h"

struct http_head;

struct http_head *http_head_new(void) MUST_USE;        /* NULL when out of memory */
struct http_head *http_head_free(struct http_head *s); /* NULL is fine; NULL */
/* The next bytes; empty at their end. The status, 0 while it is not known, TENURE_EPROTOCOL when these are no such answer or the
 * head is beyond 64 KiB. */
int http_head_feed(struct http_head *s, bytes data) MUST_USE;

#endif
