/* How deep messages lie within messages, found by walking the bytes: protobuf-c recurses without a limit of its own.
 *
 * Reads tag by tag. A length-delimited field that the descriptor calls a message is entered: its end goes on a stack
 * of depth_max places. Everything else is stepped over. Fails at the first byte that cannot be right and at the first
 * message too deep, so the cost is at most one pass.
 */
#include <assert.h>

#include "tenure/error.h"
#include "wire/codec_internal.h"

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LEN = 2, WIRE_32 = 5 };

struct level {
    const ProtobufCMessageDescriptor *type;
    const uint8_t *end;
};

struct walk {
    const uint8_t *at;
    struct level stack[CODEC_DEPTH_MAX];
    unsigned depth, depth_max;
};

/* Answers false when the varint does not end within ten bytes or before end. */
static bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *ret)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        v |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
        if (byte < 0x80) {
            *ret = v;
            return true;
        }
    }
    return false;
}

static bool skip(struct walk *w, uint64_t len)
{
    const uint8_t *end = w->stack[w->depth - 1].end;
    if (len > (uint64_t)(end - w->at))
        return false;
    w->at += len;
    return true;
}

static const ProtobufCMessageDescriptor *message_type(const ProtobufCMessageDescriptor *d, uint64_t field)
{
    const ProtobufCFieldDescriptor *f =
        field <= UINT32_MAX ? protobuf_c_message_descriptor_get_field(d, (unsigned)field) : NULL;
    return f && f->type == PROTOBUF_C_TYPE_MESSAGE ? f->descriptor : NULL;
}

static bool enter(struct walk *w, const ProtobufCMessageDescriptor *type, uint64_t len)
{
    if (w->depth == w->depth_max)
        return false;
    if (len > (uint64_t)(w->stack[w->depth - 1].end - w->at))
        return false;
    w->stack[w->depth++] = (struct level){type, w->at + len};
    return true;
}

static bool walk_len(struct walk *w, uint64_t field)
{
    const struct level *l = &w->stack[w->depth - 1];
    uint64_t len;
    if (!read_varint(&w->at, l->end, &len))
        return false;
    const ProtobufCMessageDescriptor *type = message_type(l->type, field);
    return type ? enter(w, type, len) : skip(w, len);
}

static bool walk_field(struct walk *w)
{
    uint64_t tag, ignored;
    const uint8_t *end = w->stack[w->depth - 1].end;
    if (!read_varint(&w->at, end, &tag))
        return false;
    switch (tag & 7) {
    case WIRE_VARINT:
        return read_varint(&w->at, end, &ignored);
    case WIRE_64:
        return skip(w, 8);
    case WIRE_LEN:
        return walk_len(w, tag >> 3);
    case WIRE_32:
        return skip(w, 4);
    default:
        return false;
    }
}

int codec_check_depth(const ProtobufCMessageDescriptor *d, bytes in, unsigned depth_max)
{
    assert(depth_max > 0 && depth_max <= CODEC_DEPTH_MAX);
    if (in.len == 0)
        return 0;
    struct walk w = {.at = in.data, .depth = 1, .depth_max = depth_max};
    w.stack[0] = (struct level){d, in.data + in.len};
    while (w.depth > 0) {
        if (w.at == w.stack[w.depth - 1].end)
            w.depth--;
        else if (!walk_field(&w))
            return TENURE_EPROTOCOL;
    }
    return 0;
}
