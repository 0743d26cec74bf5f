/* A growable byte buffer with a sticky error: append many times, check once. Pure.
 *
 * Invariant: data is NULL only while cap is 0; len <= cap. After a failed append every further append does nothing
 * and buf_error() answers the code. Owner: whoever called buf_init; buf_fini frees it and is safe to call twice.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/bytes.h"

struct buf {
    uint8_t *data;
    size_t len;
    size_t cap;
    size_t len_max; /* append past this fails with TENURE_ETOOLARGE; 0 = no bound of its own */
    int error;      /* 0 or a TENURE_E… code, sticky */
};

void buf_init(struct buf *b);
void buf_fini(struct buf *b);
void buf_reset(struct buf *b); /* len and error to 0; keeps the memory */

void buf_append(struct buf *b, const void *data, size_t len);
void buf_append_bytes(struct buf *b, bytes s);
void buf_append_byte(struct buf *b, uint8_t byte);
void buf_append_u32be(struct buf *b, uint32_t v);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Room for len more bytes; answers where they begin, or NULL with the error set. Commit what was written by
 * buf_added. */
uint8_t *buf_reserve(struct buf *b, size_t len);
void buf_added(struct buf *b, size_t len);

/* Drops the first len bytes (moves the rest down; amortise by calling it rarely). */
void buf_consume(struct buf *b, size_t len);

int buf_error(const struct buf *b) MUST_USE;
bytes buf_bytes(const struct buf *b);

#endif
