/* Reading protobuf by hand, field by field: for messages whose strings may hold zero bytes, and for those that are kept
 * as they came. Borrows the input. Pure.
 *
 *     struct pb_field f;
 *     while (pb_next(&in, &f))
 *         if (f.number == 1 && f.type == PB_LEN) ...
 *     if (!pb_done(in)) malformed
 */
#ifndef BASE_PBREAD_H
#define BASE_PBREAD_H

#include "base/bytes.h"

enum { PB_VARINT = 0, PB_FIXED64 = 1, PB_LEN = 2, PB_FIXED32 = 5 };

struct pb_field {
    uint32_t number;
    unsigned type;
    uint64_t value; /* of PB_VARINT; the fixed ones are skipped */
    bytes body;     /* of PB_LEN */
};

/* Takes the next field off the front of *in; false at the end and at what is malformed (groups too). */
bool pb_next(bytes *in, struct pb_field *ret);
/* After pb_next answered false: whether all was read. */
static inline bool pb_done(bytes in)
{
    return in.len == 0;
}

#endif
