/* See pbread.h. Malformed input leaves at least a byte unread, so that pb_done tells. */
#include "base/pbread.h"

enum { VARINT_MAX = 10, FIELD_MAX = (1 << 29) - 1 };

static bool take_varint(bytes *in, uint64_t *ret)
{
    uint64_t v = 0;
    for (size_t i = 0; i < VARINT_MAX && i < in->len; i++) {
        v |= (uint64_t)(in->data[i] & 0x7f) << (7 * i);
        if (in->data[i] & 0x80)
            continue;
        *in = bytes_of(in->data + i + 1, in->len - i - 1);
        *ret = v;
        return true;
    }
    return false;
}

static bool take(bytes *in, uint64_t len, bytes *ret)
{
    if (len > in->len)
        return false;
    *ret = bytes_of(in->data, (size_t)len);
    *in = bytes_of(in->data + len, in->len - (size_t)len);
    return true;
}

static bool take_body(bytes *in, struct pb_field *f)
{
    uint64_t len;
    bytes skipped;
    switch (f->type) {
    case PB_VARINT:
        return take_varint(in, &f->value);
    case PB_LEN:
        return take_varint(in, &len) && take(in, len, &f->body);
    case PB_FIXED64:
        return take(in, 8, &skipped);
    case PB_FIXED32:
        return take(in, 4, &skipped);
    default:
        return false;
    }
}

bool pb_next(bytes *in, struct pb_field *ret)
{
    bytes rest = *in;
    uint64_t tag;
    if (!take_varint(&rest, &tag) || tag >> 3 == 0 || tag >> 3 > FIELD_MAX)
        return false;
    *ret = (struct pb_field){.number = (uint32_t)(tag >> 3), .type = tag & 7};
    if (!take_body(&rest, ret))
        return false;
    *in = rest;
    return true;
}
