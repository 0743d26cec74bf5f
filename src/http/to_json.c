/* Protobuf to JSON: for each field of the descriptor, in order, one look over the message's bytes.
 *
 * So what comes out does not depend on the order on the wire; of a field that is there twice the last one counts. The
 * messages are our own core's, the depth is bounded all the same.
 */
#include <inttypes.h>

#include "http/base64.h"
#include "http/json.h"
#include "http/transcode.h"
#include "wire/codec.h"

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LEN = 2, WIRE_32 = 5 };

/* A field as it stands on the wire. */
struct wire_field {
    uint64_t id;
    unsigned type;
    uint64_t number; /* of a varint */
    bytes data;      /* of a length-delimited one */
};

static bool varint(bytes in, size_t *at, uint64_t *ret)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70 && *at < in.len; shift += 7) {
        uint8_t byte = in.data[(*at)++];
        v |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
        if (byte < 0x80) {
            *ret = v;
            return true;
        }
    }
    return false;
}

static bool take(bytes in, size_t *at, uint64_t len, bytes *ret)
{
    if (len > in.len - *at)
        return false;
    *ret = bytes_of(in.data + *at, (size_t)len);
    *at += (size_t)len;
    return true;
}

static bool next_field(bytes in, size_t *at, struct wire_field *f)
{
    uint64_t tag, len;
    if (!varint(in, at, &tag))
        return false;
    f->id = tag >> 3;
    f->type = tag & 7;
    switch (f->type) {
    case WIRE_VARINT:
        return varint(in, at, &f->number);
    case WIRE_64:
        return take(in, at, 8, &f->data);
    case WIRE_LEN:
        return varint(in, at, &len) && take(in, at, len, &f->data);
    case WIRE_32:
        return take(in, at, 4, &f->data);
    default:
        return false;
    }
}

static bool message(const ProtobufCMessageDescriptor *d, bytes in, struct buf *out, unsigned depth);

/* ---- values ---- */

static bool is_len(const ProtobufCFieldDescriptor *f)
{
    return f->type == PROTOBUF_C_TYPE_BYTES || f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE;
}

static void enum_value(const ProtobufCFieldDescriptor *f, int32_t v, struct buf *out)
{
    const ProtobufCEnumValue *named = protobuf_c_enum_descriptor_get_value(f->descriptor, v);
    if (named)
        buf_printf(out, "\"%s\"", named->name);
    else
        buf_printf(out, "%" PRId32, v);
}

static void number(const ProtobufCFieldDescriptor *f, uint64_t v, struct buf *out)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_BOOL:
        buf_append_bytes(out, bytes_str(v ? "true" : "false"));
        break;
    case PROTOBUF_C_TYPE_ENUM:
        enum_value(f, (int32_t)v, out);
        break;
    case PROTOBUF_C_TYPE_INT32:
        buf_printf(out, "%" PRId32, (int32_t)v);
        break;
    case PROTOBUF_C_TYPE_UINT32:
        buf_printf(out, "%" PRIu32, (uint32_t)v);
        break;
    case PROTOBUF_C_TYPE_UINT64:
        buf_printf(out, "\"%" PRIu64 "\"", v);
        break;
    default:
        buf_printf(out, "\"%" PRId64 "\"", (int64_t)v);
    }
}

static bool value(const ProtobufCFieldDescriptor *f, const struct wire_field *w, struct buf *out, unsigned depth)
{
    if (f->type == PROTOBUF_C_TYPE_MESSAGE)
        return message(f->descriptor, w->data, out, depth + 1);
    if (f->type == PROTOBUF_C_TYPE_BYTES) {
        buf_append_byte(out, '"');
        base64_encode(w->data, out);
        buf_append_byte(out, '"');
    } else if (f->type == PROTOBUF_C_TYPE_STRING) {
        json_quote(w->data, out);
    } else {
        number(f, w->number, out);
    }
    return true;
}

static bool is_default(const ProtobufCFieldDescriptor *f, const struct wire_field *w)
{
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF || f->type == PROTOBUF_C_TYPE_MESSAGE)
        return false;
    return is_len(f) ? w->data.len == 0 : w->number == 0;
}

/* ---- fields ---- */

static void name(const ProtobufCFieldDescriptor *f, bool *first, struct buf *out)
{
    buf_printf(out, "%s\"%s\":", *first ? "" : ",", f->name);
    *first = false;
}

static bool packed(const ProtobufCFieldDescriptor *f, bytes in, struct buf *out, size_t *n)
{
    for (size_t at = 0; at < in.len;) {
        uint64_t v;
        if (!varint(in, &at, &v))
            return false;
        buf_append_bytes(out, bytes_str((*n)++ ? "," : ""));
        number(f, v, out);
    }
    return true;
}

static bool element(const ProtobufCFieldDescriptor *f, const struct wire_field *w, struct buf *out, unsigned depth,
                    size_t *n)
{
    if (!is_len(f) && w->type == WIRE_LEN)
        return packed(f, w->data, out, n);
    if (w->type != (unsigned)(is_len(f) ? WIRE_LEN : WIRE_VARINT))
        return false;
    buf_append_bytes(out, bytes_str((*n)++ ? "," : ""));
    return value(f, w, out, depth);
}

static bool repeated(const ProtobufCFieldDescriptor *f, bytes in, size_t at, struct buf *out, unsigned depth)
{
    struct wire_field w;
    size_t n = 0;
    buf_append_byte(out, '[');
    while (at < in.len) {
        if (!next_field(in, &at, &w) || (w.id == f->id && !element(f, &w, out, depth, &n)))
            return false;
    }
    buf_append_byte(out, ']');
    return true;
}

static bool singular(const ProtobufCFieldDescriptor *f, bytes in, size_t at, struct buf *out, unsigned depth,
                     bool *first)
{
    struct wire_field w, last = {0};
    while (at < in.len) {
        if (!next_field(in, &at, &w))
            return false;
        if (w.id == f->id)
            last = w;
    }
    if (last.type != (unsigned)(is_len(f) ? WIRE_LEN : WIRE_VARINT))
        return false;
    if (is_default(f, &last))
        return true;
    name(f, first, out);
    return value(f, &last, out, depth);
}

/* Where the field first stands; in.len: nowhere. */
static bool find(const ProtobufCFieldDescriptor *f, bytes in, size_t *ret)
{
    struct wire_field w;
    size_t at = 0;
    while (at < in.len) {
        size_t start = at;
        if (!next_field(in, &at, &w))
            return false;
        if (w.id == f->id) {
            *ret = start;
            return true;
        }
    }
    *ret = in.len;
    return true;
}

static bool message(const ProtobufCMessageDescriptor *d, bytes in, struct buf *out, unsigned depth)
{
    bool first = true;
    if (depth > CODEC_DEPTH_MAX)
        return false;
    buf_append_byte(out, '{');
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        size_t at;
        bool ok = find(f, in, &at);
        if (ok && at < in.len && f->label == PROTOBUF_C_LABEL_REPEATED) {
            name(f, &first, out);
            ok = repeated(f, in, at, out, depth);
        } else if (ok && at < in.len) {
            ok = singular(f, in, at, out, depth, &first);
        }
        if (!ok)
            return false;
    }
    buf_append_byte(out, '}');
    return true;
}

bool transcode_to_json(const ProtobufCMessageDescriptor *d, bytes in, struct buf *out)
{
    return message(d, in, out, 0);
}
