/* Collects a header list. Past the bound, or out of memory, it keeps counting and keeps nothing more; whoever reads the
 * list looks at the two flags first. */
#include "wire/h2_headers.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <strings.h>

enum { OVERHEAD = 32, PLACES_MIN = 16, TEXT_KEPT_MAX = 4096 };

void h2_headers_init(struct h2_headers *h, size_t list_bytes_max)
{
    *h = (struct h2_headers){.list_bytes_max = list_bytes_max};
    buf_init(&h->text);
}

void h2_headers_fini(struct h2_headers *h)
{
    buf_fini(&h->text);
    free(h->places);
    h->places = NULL;
    h->n = h->cap = 0;
}

void h2_headers_begin(struct h2_headers *h)
{
    if (h->text.cap > TEXT_KEPT_MAX)
        h2_headers_fini(h);
    buf_reset(&h->text);
    h->n = 0;
    h->list_bytes = 0;
    h->too_large = h->out_of_memory = false;
}

static bool places_reserve(struct h2_headers *h)
{
    if (h->n < h->cap)
        return true;
    size_t cap = h->cap ? 2 * h->cap : PLACES_MIN;
    struct h2_header_place *places = realloc(h->places, cap * sizeof *places);
    if (!places)
        return false;
    h->places = places;
    h->cap = cap;
    return true;
}

static void copy(uint8_t *to, bytes s)
{
    if (s.len)
        memcpy(to, s.data, s.len);
}

void h2_headers_add(struct h2_headers *h, bytes name, bytes value)
{
    h->list_bytes += name.len + value.len + OVERHEAD;
    h->too_large |= h->list_bytes > h->list_bytes_max;
    if (h->too_large || h->out_of_memory)
        return;
    uint8_t *text = buf_reserve(&h->text, name.len + value.len);
    if (!text || !places_reserve(h)) {
        h->out_of_memory = true;
        return;
    }
    h->places[h->n++] = (struct h2_header_place){h->text.len, name.len, value.len};
    copy(text, name);
    copy(text + name.len, value);
    buf_added(&h->text, name.len + value.len);
}

struct h2_header h2_headers_get(const struct h2_headers *h, size_t i)
{
    const struct h2_header_place *p = &h->places[i];
    const uint8_t *text = h->text.data + p->at;
    return (struct h2_header){bytes_of(text, p->name_len), bytes_of(text + p->name_len, p->value_len)};
}

bool h2_is_grpc_type(bytes content_type)
{
    static const char base[] = "application/grpc";
    size_t len = sizeof base - 1;
    if (content_type.len < len || strncasecmp((const char *)content_type.data, base, len) != 0)
        return false;
    return content_type.len == len || content_type.data[len] == '+' || content_type.data[len] == ';';
}

/* ---- rules ---- */

enum pseudo { PSEUDO_METHOD = 1, PSEUDO_SCHEME = 2, PSEUDO_PATH = 4, PSEUDO_AUTHORITY = 8 };

/* 0 for one that a request does not have. */
static unsigned pseudo_of(bytes name)
{
    if (H2_NAME_IS(name, ":method"))
        return PSEUDO_METHOD;
    if (H2_NAME_IS(name, ":scheme"))
        return PSEUDO_SCHEME;
    if (H2_NAME_IS(name, ":path"))
        return PSEUDO_PATH;
    return H2_NAME_IS(name, ":authority") ? PSEUDO_AUTHORITY : 0;
}

static bool is_pseudo(bytes name)
{
    return name.len > 0 && name.data[0] == ':';
}

/* "An endpoint MUST NOT generate an HTTP/2 message containing connection-specific header fields." */
static bool is_of_the_connection(struct h2_header h)
{
    if (H2_NAME_IS(h.name, "te"))
        return !bytes_equal(h.value, bytes_str("trailers"));
    return H2_NAME_IS(h.name, "connection") || H2_NAME_IS(h.name, "keep-alive") || H2_NAME_IS(h.name, "upgrade") ||
           H2_NAME_IS(h.name, "proxy-connection") || H2_NAME_IS(h.name, "transfer-encoding");
}

static bool is_well_formed(struct h2_header h)
{
    return nghttp2_check_header_name(h.name.data, h.name.len) && nghttp2_check_header_value(h.value.data, h.value.len);
}

/* Each pseudo-header at most once, none but the four, and none behind another header. */
bool h2_headers_are_request(const struct h2_headers *h)
{
    const unsigned needed = PSEUDO_METHOD | PSEUDO_SCHEME | PSEUDO_PATH;
    unsigned seen = 0;
    bool others = false;
    for (size_t i = 0; i < h->n; i++) {
        struct h2_header header = h2_headers_get(h, i);
        unsigned pseudo = is_pseudo(header.name) ? pseudo_of(header.name) : 0;
        if (!is_well_formed(header) || is_of_the_connection(header))
            return false;
        if (is_pseudo(header.name) && (pseudo == 0 || (seen & pseudo) || others))
            return false;
        seen |= pseudo;
        others |= pseudo == 0;
    }
    return (seen & needed) == needed;
}

bool h2_headers_are_trailers(const struct h2_headers *h)
{
    for (size_t i = 0; i < h->n; i++) {
        struct h2_header header = h2_headers_get(h, i);
        if (is_pseudo(header.name) || !is_well_formed(header) || is_of_the_connection(header))
            return false;
    }
    return true;
}
