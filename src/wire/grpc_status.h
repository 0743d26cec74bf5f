/* How a call's end is written: grpc-status, grpc-message, and what stands for them where a peer or a proxy in between
 * answered in plain HTTP/2. Pure. */
#ifndef WIRE_GRPC_STATUS_H
#define WIRE_GRPC_STATUS_H

#include "api/etcd_error.h"
#include "base/buf.h"

/* The status as the header's value; a number that is none is UNKNOWN. Static. */
const char *grpc_status_digits(enum grpc_status status);
/* Anything that is no status number is UNKNOWN. */
enum grpc_status grpc_status_parse(bytes value);

/* Percent-encodes what is not printable ASCII, and '%'. The caller frees; NULL when out of memory. */
char *grpc_message_encode(const char *text) MUST_USE;
/* Appends the text; what is not a proper %XX stays as it is. */
void grpc_message_decode(bytes value, struct buf *out);

/* gRPC's tables for an answer without grpc-status. */
enum grpc_status grpc_status_of_http(int http_status);
enum grpc_status grpc_status_of_reset(uint32_t h2_error_code);

#endif
