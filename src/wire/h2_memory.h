/* Memory for one nghttp2 session: what it gives back in small pieces is kept for its next call, up to a bound. Pure.
 *
 * A call makes nghttp2 allocate and free about ten small things; with many calls at a time malloc's own quick lists run
 * over and each of these takes the slow way, which was an eighth of a server's time. */
#ifndef WIRE_H2_MEMORY_H
#define WIRE_H2_MEMORY_H

#include <nghttp2/nghttp2.h>

#include "base/types.h"

enum { H2_MEMORY_CLASSES = 16, H2_MEMORY_CLASS_BYTES = 32, H2_MEMORY_KEPT_MAX = 64 << 10 };

struct h2_memory_piece;
struct h2_memory {
    nghttp2_mem mem; /* to hand to nghttp2; points back here, so it must not move */
    struct h2_memory_piece *kept[H2_MEMORY_CLASSES];
    size_t kept_bytes;
};

void h2_memory_init(struct h2_memory *m);
/* Frees what is kept. Nothing may be in use any more. */
void h2_memory_fini(struct h2_memory *m);

#endif
