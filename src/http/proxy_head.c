/* See proxy_head.h. */
#include "http/proxy_head.h"

#include <ctype.h>
#include <strings.h>

void proxy_head_init(struct proxy_head *h)
{
    buf_init(&h->text);
    proxy_head_reset(h);
}

void proxy_head_fini(struct proxy_head *h)
{
    buf_fini(&h->text);
}

void proxy_head_reset(struct proxy_head *h)
{
    buf_reset(&h->text);
    h->first = (struct proxy_span){0};
    h->n = 0;
    h->in_value = false;
}

/* ---- collecting ---- */

static bool collect(struct proxy_head *h, struct proxy_span *span, const char *at, size_t len)
{
    if (h->text.len + len > PROXY_HEAD_MAX)
        return false;
    if (span->len == 0)
        span->at = (uint32_t)h->text.len;
    buf_append(&h->text, at, len);
    span->len += (uint32_t)len;
    return !buf_error(&h->text);
}

bool proxy_head_first(struct proxy_head *h, const char *at, size_t len)
{
    return collect(h, &h->first, at, len);
}

bool proxy_head_name(struct proxy_head *h, const char *at, size_t len)
{
    if (h->n == 0 || h->in_value) {
        if (h->n == PROXY_HEADERS_MAX)
            return false;
        h->lines[h->n].name = h->lines[h->n].value = (struct proxy_span){0};
        h->n++;
        h->in_value = false;
    }
    return collect(h, &h->lines[h->n - 1].name, at, len);
}

bool proxy_head_value(struct proxy_head *h, const char *at, size_t len)
{
    if (h->n == 0)
        return false;
    h->in_value = true;
    return collect(h, &h->lines[h->n - 1].value, at, len);
}

/* ---- looking ---- */

static bytes text_of(const struct proxy_head *h, struct proxy_span s)
{
    return s.len > 0 ? bytes_of(h->text.data + s.at, s.len) : bytes_of("", 0);
}

static bytes trimmed(bytes s)
{
    while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = bytes_of(s.data + 1, s.len - 1);
    while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
        s.len--;
    return s;
}

bool proxy_same_word(bytes a, const char *lower)
{
    size_t i = 0;
    for (; i < a.len && lower[i]; i++)
        if (tolower(a.data[i]) != lower[i])
            return false;
    return i == a.len && !lower[i];
}

bytes proxy_head_first_text(const struct proxy_head *h)
{
    return text_of(h, h->first);
}

bytes proxy_head_get(const struct proxy_head *h, const char *name)
{
    for (size_t i = 0; i < h->n; i++)
        if (proxy_same_word(text_of(h, h->lines[i].name), name))
            return trimmed(text_of(h, h->lines[i].value));
    return (bytes){0};
}

size_t proxy_head_count(const struct proxy_head *h, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < h->n; i++)
        n += proxy_same_word(text_of(h, h->lines[i].name), name);
    return n;
}

size_t proxy_head_count_alike(const struct proxy_head *h, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < h->n; i++) {
        bytes have = text_of(h, h->lines[i].name);
        size_t at = 0;
        while (at < have.len && name[at] && (have.data[at] == '_' ? '-' : tolower(have.data[at])) == name[at])
            at++;
        n += at == have.len && !name[at];
    }
    return n;
}

static bool is_token(bytes s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!isalnum(s.data[i]) && !memchr("!#$%&'*+-.^_`|~", s.data[i], 15))
            return false;
    return s.len > 0;
}

static bool is_plain_value(bytes s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((s.data[i] < 0x20 && s.data[i] != '\t') || s.data[i] == 0x7f)
            return false;
    return true;
}

static bool number_of(bytes s, uint64_t *ret)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (!isdigit(s.data[i]) || v > (UINT64_MAX - 9) / 10)
            return false;
        v = v * 10 + (uint64_t)(s.data[i] - '0');
    }
    *ret = v;
    return s.len > 0;
}

const char *proxy_head_measure(const struct proxy_head *h, enum proxy_body *ret, uint64_t *ret_length)
{
    size_t lengths = proxy_head_count(h, "content-length"), codings = proxy_head_count(h, "transfer-encoding");
    for (size_t i = 0; i < h->n; i++)
        if (!is_token(text_of(h, h->lines[i].name)) || !is_plain_value(text_of(h, h->lines[i].value)))
            return "a header line has bytes that do not belong there";
    if (!is_plain_value(proxy_head_first_text(h)))
        return "the first line has bytes that do not belong there";
    *ret = PROXY_BODY_NONE;
    *ret_length = 0;
    if (lengths + codings > 1)
        return "the length of the body is said more than once";
    if (codings && !proxy_same_word(proxy_head_get(h, "transfer-encoding"), "chunked"))
        return "the only transfer coding that is passed on is chunked";
    if (lengths && !number_of(proxy_head_get(h, "content-length"), ret_length))
        return "Content-Length is no number";
    *ret = codings ? PROXY_BODY_CHUNKED : lengths ? PROXY_BODY_LENGTH : PROXY_BODY_NONE;
    return NULL;
}

/* ---- writing ---- */

static const char *const not_passed_on[] = {"connection",
                                            "keep-alive",
                                            "proxy-connection",
                                            "te",
                                            "trailer",
                                            "upgrade",
                                            "expect",
                                            "content-length",
                                            "transfer-encoding",
                                            "proxy-authenticate",
                                            "proxy-authorization"};

static bool is_named(bytes list, bytes name)
{
    while (list.len > 0) {
        const uint8_t *comma = memchr(list.data, ',', list.len);
        size_t n = comma ? (size_t)(comma - list.data) : list.len;
        bytes one = trimmed(bytes_of(list.data, n));
        if (one.len == name.len && one.len > 0 &&
            strncasecmp((const char *)one.data, (const char *)name.data, one.len) == 0)
            return true;
        n += comma != NULL;
        list = bytes_of(list.data + n, list.len - n);
    }
    return false;
}

/* A message without its host would be for another one, and one without its token would be from anybody. */
static bool is_for_one_hop(const struct proxy_head *h, bytes name)
{
    for (size_t i = 0; i < sizeof not_passed_on / sizeof not_passed_on[0]; i++)
        if (proxy_same_word(name, not_passed_on[i]))
            return true;
    for (size_t i = 0; i < h->n; i++)
        if (proxy_same_word(text_of(h, h->lines[i].name), "connection") &&
            is_named(text_of(h, h->lines[i].value), name))
            return !proxy_same_word(name, "host") && !proxy_same_word(name, "tenure-fencing-token");
    return false;
}

void proxy_head_write(const struct proxy_head *h, struct buf *out)
{
    for (size_t i = 0; i < h->n; i++) {
        bytes name = text_of(h, h->lines[i].name);
        if (is_for_one_hop(h, name))
            continue;
        buf_append_bytes(out, name);
        buf_append(out, ": ", 2);
        buf_append_bytes(out, trimmed(text_of(h, h->lines[i].value)));
        buf_append(out, "\r\n", 2);
    }
}
