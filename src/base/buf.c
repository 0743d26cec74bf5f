/* Append: check the sticky error and the bound, make room (doubling, so appends are O(1) amortised), copy.
 *
 * Fails by setting buf.error and appending nothing: TENURE_ETOOLARGE past len_max or the address space, TENURE_ENOMEM
 * when out of memory. What was appended before stays readable.
 */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tenure/error.h"

enum { CAP_MIN = 64 };

void buf_init(struct buf *b)
{
    *b = (struct buf){0};
}

void buf_fini(struct buf *b)
{
    free(b->data);
    buf_init(b);
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->error = 0;
}

static uint8_t *buf_fail(struct buf *b, int code)
{
    b->error = code;
    return NULL;
}

static size_t cap_for(size_t cap, size_t need)
{
    size_t twice = cap > SIZE_MAX / 2 ? SIZE_MAX : 2 * cap;
    if (need < twice)
        need = twice;
    return need < CAP_MIN ? CAP_MIN : need;
}

/* The slow part of buf_room: b->cap - b->len < len + extra. */
static __attribute__((noinline)) uint8_t *buf_grow(struct buf *b, size_t len, size_t extra)
{
    if (len > SIZE_MAX / 2 - b->len - extra)
        return buf_fail(b, TENURE_ETOOLARGE);
    size_t cap = cap_for(b->cap, b->len + len + extra);
    uint8_t *data = realloc(b->data, cap);
    if (!data)
        return buf_fail(b, TENURE_ENOMEM);
    b->data = data;
    b->cap = cap;
    return data + b->len;
}

/* Where the next len bytes go, with `extra` (0 or 1) bytes behind them that len_max does not count. */
static inline uint8_t *buf_room(struct buf *b, size_t len, size_t extra)
{
    if (b->error)
        return NULL;
    if (b->len_max && (b->len > b->len_max || len > b->len_max - b->len))
        return buf_fail(b, TENURE_ETOOLARGE);
    size_t room = b->cap - b->len;
    if (!b->data || room < extra || room - extra < len)
        return buf_grow(b, len, extra);
    return b->data + b->len;
}

void buf_append(struct buf *b, const void *data, size_t len)
{
    if (len == 0)
        return;
    uint8_t *at = buf_room(b, len, 0);
    if (!at)
        return;
    memcpy(at, data, len);
    b->len += len;
}

void buf_append_bytes(struct buf *b, bytes s)
{
    buf_append(b, s.data, s.len);
}

void buf_append_byte(struct buf *b, uint8_t byte)
{
    uint8_t *at = buf_room(b, 1, 0);
    if (!at)
        return;
    *at = byte;
    b->len++;
}

void buf_append_u32be(struct buf *b, uint32_t v)
{
    uint8_t *at = buf_room(b, 4, 0);
    if (!at)
        return;
    at[0] = (uint8_t)(v >> 24);
    at[1] = (uint8_t)(v >> 16);
    at[2] = (uint8_t)(v >> 8);
    at[3] = (uint8_t)v;
    b->len += 4;
}

/* Formats into the room that is there; only a text that does not fit is formatted twice. */
void buf_printf(struct buf *b, const char *fmt, ...)
{
    if (b->error)
        return;
    size_t room = b->cap - b->len;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(room ? (char *)b->data + b->len : NULL, room, fmt, args);
    va_end(args);
    if (n < 0) {
        b->error = TENURE_EINVALID;
        return;
    }
    bool fitted = (size_t)n < room;
    uint8_t *at = buf_room(b, (size_t)n, 1); /* vsnprintf also writes a 0 */
    if (!at)
        return;
    if (!fitted) {
        va_start(args, fmt);
        vsnprintf((char *)at, (size_t)n + 1, fmt, args);
        va_end(args);
    }
    b->len += (size_t)n;
}

uint8_t *buf_reserve(struct buf *b, size_t len)
{
    return buf_room(b, len, 0);
}

void buf_added(struct buf *b, size_t len)
{
    assert(len <= b->cap - b->len);
    b->len += len;
}

void buf_consume(struct buf *b, size_t len)
{
    assert(len <= b->len);
    b->len -= len;
    if (len > 0 && b->len > 0)
        memmove(b->data, b->data + len, b->len);
}

int buf_error(const struct buf *b)
{
    return b->error;
}

bytes buf_bytes(const struct buf *b)
{
    return bytes_of(b->data, b->len);
}
