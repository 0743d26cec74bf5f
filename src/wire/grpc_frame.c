/* Gathers messages. All goes well: prefix and body are both in the chunk, and the answer points into it. Otherwise the
 * prefix is kept in its five bytes, then the body in memory that doubles as it fills, up to the length announced. */
#include "wire/grpc_frame.h"

#include <stdlib.h>

enum { BODY_MIN = 512 };

void grpc_prefix_write(uint8_t *out, uint32_t len)
{
    out[0] = 0;
    out[1] = (uint8_t)(len >> 24);
    out[2] = (uint8_t)(len >> 16);
    out[3] = (uint8_t)(len >> 8);
    out[4] = (uint8_t)len;
}

void grpc_in_fini(struct grpc_in *g, struct grpc_budget *budget)
{
    budget->used -= g->cap;
    free(g->body);
    g->body = NULL;
    g->n_body = g->cap = 0;
    g->n_prefix = 0;
    g->taken = false;
}

static void take(bytes *chunk, void *out, size_t len)
{
    if (len)
        memcpy(out, chunk->data, len);
    *chunk = bytes_of(chunk->data + len, chunk->len - len);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static enum grpc_in_result judge_prefix(struct grpc_in *g, uint32_t len_max)
{
    const uint8_t *p = g->prefix;
    g->len = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
    if (p[0] > 1)
        return GRPC_IN_MALFORMED;
    if (p[0] == 1)
        return GRPC_IN_COMPRESSED;
    return g->len > len_max ? GRPC_IN_TOO_LARGE : GRPC_IN_MORE;
}

/* Makes room for `more` bytes of the body. */
static enum grpc_in_result grow(struct grpc_in *g, size_t more, struct grpc_budget *budget)
{
    size_t need = g->n_body + more;
    if (need <= g->cap)
        return GRPC_IN_MORE;
    size_t cap = 2 * g->cap > need ? 2 * g->cap : need;
    cap = smaller(cap < BODY_MIN ? BODY_MIN : cap, g->len);
    if (budget->used > budget->max || cap - g->cap > budget->max - budget->used)
        return GRPC_IN_OVER_BUDGET;
    uint8_t *body = realloc(g->body, cap);
    if (!body)
        return GRPC_IN_NO_MEMORY;
    budget->used += cap - g->cap;
    g->body = body;
    g->cap = cap;
    return GRPC_IN_MORE;
}

static enum grpc_in_result next_body(struct grpc_in *g, bytes *chunk, struct grpc_budget *budget, bytes *ret)
{
    if (g->n_body == 0 && chunk->len >= g->len) {
        *ret = bytes_of(chunk->data, g->len);
        *chunk = bytes_of(chunk->data + g->len, chunk->len - g->len);
        g->taken = true;
        return GRPC_IN_MESSAGE;
    }
    size_t n = smaller(g->len - g->n_body, chunk->len);
    enum grpc_in_result r = n ? grow(g, n, budget) : GRPC_IN_MORE;
    if (r != GRPC_IN_MORE || n == 0)
        return r;
    take(chunk, g->body + g->n_body, n);
    g->n_body += n;
    if (g->n_body < g->len)
        return GRPC_IN_MORE;
    *ret = bytes_of(g->body, g->len);
    g->taken = true;
    return GRPC_IN_MESSAGE;
}

enum grpc_in_result grpc_in_next(struct grpc_in *g, bytes *chunk, uint32_t len_max, struct grpc_budget *budget,
                                 bytes *ret)
{
    if (g->taken)
        grpc_in_fini(g, budget);
    if (chunk->len == 0)
        return GRPC_IN_MORE;
    if (g->n_prefix < GRPC_PREFIX_SIZE) {
        size_t n = smaller((size_t)GRPC_PREFIX_SIZE - g->n_prefix, chunk->len);
        take(chunk, g->prefix + g->n_prefix, n);
        g->n_prefix += (uint8_t)n;
        if (g->n_prefix < GRPC_PREFIX_SIZE)
            return GRPC_IN_MORE;
        enum grpc_in_result r = judge_prefix(g, len_max);
        if (r != GRPC_IN_MORE)
            return r;
    }
    return next_body(g, chunk, budget, ret);
}
