/* A header list while it arrives: names and values copied into one buffer that the connection uses again and again.
 * Pure. Only one list can be under way on a connection, since no frame may come between its parts. */
#ifndef WIRE_H2_HEADERS_H
#define WIRE_H2_HEADERS_H

#include "wire/h2.h"

struct h2_header_place {
    size_t at; /* of the name in text; the value follows it */
    size_t name_len, value_len;
};

struct h2_headers {
    struct buf text;
    struct h2_header_place *places;
    size_t n, cap;
    size_t list_bytes; /* as HTTP/2 counts: names, values, and 32 each */
    size_t list_bytes_max;
    bool too_large, out_of_memory; /* what came after is not kept */
};

void h2_headers_init(struct h2_headers *h, size_t list_bytes_max);
void h2_headers_fini(struct h2_headers *h);
void h2_headers_begin(struct h2_headers *h); /* empties it */
void h2_headers_add(struct h2_headers *h, bytes name, bytes value);
/* Valid until the next h2_headers_begin. i < n. */
struct h2_header h2_headers_get(const struct h2_headers *h, size_t i);

/* Whether a request's list, or the trailers of one, keeps the rules of RFC 9113, 8.2 and 8.3, but for the form of
 * :authority, which is free. */
bool h2_headers_are_request(const struct h2_headers *h);
bool h2_headers_are_trailers(const struct h2_headers *h);

static inline bool h2_name_is(bytes name, const char *literal, size_t len)
{
    return name.len == len && memcmp(name.data, literal, len) == 0;
}
#define H2_NAME_IS(name, literal) h2_name_is(name, literal, sizeof(literal) - 1)

/* Whether a content type is gRPC's: application/grpc, alone or with +format or ;parameters. */
bool h2_is_grpc_type(bytes content_type);

#endif
