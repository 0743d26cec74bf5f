/* Base64. A text whose length is no multiple of four must do without padding; one whose length is may have it, and then only
 * at the end: what Go's decoder, which etcd's clients are written against, takes and refuses. */
#include "http/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void encode_group(const uint8_t *in, size_t n, uint8_t *out)
{
    uint32_t v = (uint32_t)in[0] << 16 | (n > 1 ? (uint32_t)in[1] << 8 : 0) | (n > 2 ? in[2] : 0);
    out[0] = (uint8_t)alphabet[v >> 18];
    out[1] = (uint8_t)alphabet[v >> 12 & 63];
    out[2] = n > 1 ? (uint8_t)alphabet[v >> 6 & 63] : '=';
    out[3] = n > 2 ? (uint8_t)alphabet[v & 63] : '=';
}

void base64_encode(bytes in, struct buf *out)
{
    size_t len = (in.len + 2) / 3 * 4;
    uint8_t *to = buf_reserve(out, len);
    if (!to)
        return;
    for (size_t i = 0; i < in.len; i += 3, to += 4)
        encode_group(in.data + i, in.len - i < 3 ? in.len - i : 3, to);
    buf_added(out, len);
}

size_t base64_room(size_t len)
{
    return len / 4 * 3 + 3;
}

/* The six bits of a character; -1: none. */
static int value_of(uint8_t c, bool url)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == (url ? '-' : '+'))
        return 62;
    if (c == (url ? '_' : '/'))
        return 63;
    return -1;
}

static bool is_url(bytes text)
{
    return text.len > 0 && (memchr(text.data, '-', text.len) || memchr(text.data, '_', text.len));
}

struct decoder {
    uint8_t *out;
    size_t len;
    uint32_t bits;
    unsigned n; /* characters in the group under way */
};

static void put(struct decoder *d, int value)
{
    d->bits = d->bits << 6 | (uint32_t)value;
    if (++d->n < 4)
        return;
    d->out[d->len++] = (uint8_t)(d->bits >> 16);
    d->out[d->len++] = (uint8_t)(d->bits >> 8);
    d->out[d->len++] = (uint8_t)d->bits;
    d->n = 0;
    d->bits = 0;
}

/* The last group, of two or three characters. */
static bool finish(struct decoder *d, bool padded, unsigned n_pads)
{
    if (padded ? (d->n + n_pads) % 4 != 0 || (n_pads > 0 && d->n == 0) : n_pads > 0)
        return false;
    if (d->n == 1)
        return false;
    if (d->n >= 2)
        d->out[d->len++] = (uint8_t)(d->n == 2 ? d->bits >> 4 : d->bits >> 10);
    if (d->n == 3)
        d->out[d->len++] = (uint8_t)(d->bits >> 2);
    return true;
}

bool base64_decode(bytes text, uint8_t *out, size_t *ret_len)
{
    struct decoder d = {.out = out};
    bool url = is_url(text), padded = text.len % 4 == 0;
    unsigned n_pads = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\n' || text.data[i] == '\r')
            continue;
        if (text.data[i] == '=') {
            if (++n_pads > 2)
                return false;
            continue;
        }
        int value = value_of(text.data[i], url);
        if (value < 0 || n_pads > 0)
            return false;
        put(&d, value);
    }
    if (!finish(&d, padded, n_pads))
        return false;
    *ret_len = d.len;
    return true;
}
