/* Writing protobuf by hand: fields appended to a buf, one call a field, as the schema lists them. Pure.
 *
 * Proto3's rule holds: a field with its default value is left out, except where presence itself says something (members
 * of repeated fields and of a oneof: the pbw_…_always calls). Errors stay in the buf. A message inside a message is
 * written between pbw_begin and pbw_end; its length goes in front of it once it is known.
 *
 * Written by hand because protobuf-c first wants a tree of its own structs, which costs an allocation a message and,
 * for a range of 1,000 keys, more time than the encoding; the tests compare every encoder with protobuf-c's.
 */
#ifndef WIRE_PBW_H
#define WIRE_PBW_H

#include "base/buf.h"

enum { PBW_VARINT = 0, PBW_LEN = 2 };             /* wire types */
enum { PBW_VARINT_MAX = 10, PBW_FIELD_MAX = 20 }; /* bytes: a number; a tag and a number */

static inline size_t pbw_varint_size(uint64_t v)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(v | 1);
    return (bits + 6) / 7;
}

static inline uint8_t *pbw_put_varint(uint8_t *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

static inline uint8_t *pbw_room(struct buf *b, size_t len)
{
    if (b->cap - b->len >= len && b->len_max == 0 && b->error == 0 && b->data)
        return b->data + b->len;
    return buf_reserve(b, len);
}

static inline void pbw_uint_always(struct buf *b, unsigned field, uint64_t v)
{
    uint8_t *start = pbw_room(b, PBW_FIELD_MAX);
    if (!start)
        return;
    uint8_t *p = pbw_put_varint(start, (uint64_t)field << 3 | PBW_VARINT);
    p = pbw_put_varint(p, v);
    b->len += (size_t)(p - start);
}

static inline void pbw_uint(struct buf *b, unsigned field, uint64_t v)
{
    if (v != 0)
        pbw_uint_always(b, field, v);
}

/* Also enums: a negative one is ten bytes long, as the format wants it. */
static inline void pbw_int_always(struct buf *b, unsigned field, int64_t v)
{
    pbw_uint_always(b, field, (uint64_t)v);
}

static inline void pbw_int(struct buf *b, unsigned field, int64_t v)
{
    pbw_uint(b, field, (uint64_t)v);
}

static inline void pbw_bool(struct buf *b, unsigned field, bool v)
{
    pbw_uint(b, field, v);
}

static inline void pbw_bytes_always(struct buf *b, unsigned field, bytes s)
{
    uint8_t *start = pbw_room(b, PBW_FIELD_MAX + s.len);
    if (!start)
        return;
    uint8_t *p = pbw_put_varint(start, (uint64_t)field << 3 | PBW_LEN);
    p = pbw_put_varint(p, s.len);
    if (s.len)
        memcpy(p, s.data, s.len);
    b->len += (size_t)(p - start) + s.len;
}

static inline void pbw_bytes(struct buf *b, unsigned field, bytes s)
{
    if (s.len != 0)
        pbw_bytes_always(b, field, s);
}

struct pbw_mark {
    size_t body;  /* where the inner message begins */
    size_t width; /* bytes kept free in front of it for its length */
};

/* size_hint: about how long the inner message will be. A hint that is off costs moving it by a byte or two. */
static inline struct pbw_mark pbw_begin(struct buf *b, unsigned field, size_t size_hint)
{
    size_t width = pbw_varint_size(size_hint);
    uint8_t *start = pbw_room(b, PBW_FIELD_MAX);
    if (!start)
        return (struct pbw_mark){0, 0};
    uint8_t *p = pbw_put_varint(start, (uint64_t)field << 3 | PBW_LEN);
    b->len += (size_t)(p - start) + width;
    return (struct pbw_mark){b->len, width};
}

void pbw_end_moved(struct buf *b, struct pbw_mark m, size_t len);

static inline void pbw_end(struct buf *b, struct pbw_mark m)
{
    if (b->error)
        return;
    size_t len = b->len - m.body;
    if (pbw_varint_size(len) == m.width)
        pbw_put_varint(b->data + m.body - m.width, len);
    else
        pbw_end_moved(b, m, len);
}

#endif
