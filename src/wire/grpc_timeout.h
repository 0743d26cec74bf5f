/* The header grpc-timeout: up to eight digits and a unit, H M S m u n. Pure. */
#ifndef WIRE_GRPC_TIMEOUT_H
#define WIRE_GRPC_TIMEOUT_H

#include "base/bytes.h"

enum { GRPC_TIMEOUT_SIZE = 16 };

/* Milliseconds, rounded up; false when s is not of that form. */
bool grpc_timeout_parse(bytes s, int64_t *ret_ms) MUST_USE;
/* Writes the timeout into out (GRPC_TIMEOUT_SIZE bytes) in milliseconds, or in seconds or hours where eight digits do
 * not do, never shorter than asked for, and answers the length. timeout_ms >= 0; more than 99,999,999 hours is that.
 * */
size_t grpc_timeout_print(int64_t timeout_ms, char *out);

#endif
