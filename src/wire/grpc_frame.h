/* Messages out of a stream of bytes: each is a flag byte, a length of four bytes, and that many bytes. Pure.
 *
 * A message that lies in one chunk is answered where it lies; one that does not is gathered. Memory follows what
 * arrived, not what the length promises, and counts against a budget that all streams of a connection share. */
#ifndef WIRE_GRPC_FRAME_H
#define WIRE_GRPC_FRAME_H

#include "base/bytes.h"

enum { GRPC_PREFIX_SIZE = 5 };

struct grpc_budget {
    size_t used, max;
};

struct grpc_in {
    uint8_t prefix[GRPC_PREFIX_SIZE];
    uint8_t n_prefix; /* how much of it is there */
    bool taken;       /* body was answered; it goes at the next call */
    uint32_t len;     /* of the message, once the prefix is whole */
    uint8_t *body;    /* the gathered part; its memory is in the budget */
    size_t n_body, cap;
};

enum grpc_in_result {
    GRPC_IN_MORE,       /* all of chunk was taken */
    GRPC_IN_MESSAGE,    /* ret is a message, valid until the next call and as long as chunk */
    GRPC_IN_COMPRESSED, /* the errors: the stream's bytes make no more sense */
    GRPC_IN_MALFORMED,
    GRPC_IN_TOO_LARGE, /* grpc_in_len tells */
    GRPC_IN_OVER_BUDGET,
    GRPC_IN_NO_MEMORY
};

/* Starts from zeros. Takes bytes off the front of chunk. */
enum grpc_in_result grpc_in_next(struct grpc_in *g, bytes *chunk, uint32_t len_max, struct grpc_budget *budget,
                                 bytes *ret) MUST_USE;
void grpc_in_fini(struct grpc_in *g, struct grpc_budget *budget);
/* Whether a message was begun and not finished. */
static inline bool grpc_in_unfinished(const struct grpc_in *g)
{
    return g->n_prefix > 0 && !g->taken;
}

void grpc_prefix_write(uint8_t *out, uint32_t len);

#endif
