/* What a stream has yet to send: plain bytes, which are copied and lie one behind the other in one buffer, and shared
 * blobs, which are referenced. Pure. The memory stays for the next message while it is small. */
#ifndef WIRE_H2_QUEUE_H
#define WIRE_H2_QUEUE_H

#include "wire/h2.h"

struct h2_run {
    struct blob *shared; /* NULL: the next len bytes of plain */
    size_t at, len;      /* what is left of it */
};

struct h2_queue {
    size_t bytes; /* all that is queued */
    uint8_t *plain;
    size_t plain_at, plain_end, plain_cap; /* what is queued lies in [plain_at, plain_end) */
    struct h2_run *runs;
    size_t run_at, run_end, runs_cap;
};

/* Starts from zeros. Appends one gRPC message, prefix and parts: all or nothing. 0, TENURE_ENOMEM, or TENURE_ETOOLARGE
 * past the 4 GiB that a prefix can say. */
int h2_queue_push(struct h2_queue *q, const struct h2_part *parts, size_t n) MUST_USE;
/* Moves len <= q->bytes bytes to out. */
void h2_queue_take(struct h2_queue *q, uint8_t *out, size_t len);
/* Empties it. */
void h2_queue_drop(struct h2_queue *q);
void h2_queue_fini(struct h2_queue *q);

#endif
