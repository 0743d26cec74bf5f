/* See members.h. A cursor over the text; each function of it answers whether what it looked for was there. */
#include "recipes/members.h"

struct cursor {
    const uint8_t *p, *end;
};

static struct cursor cursor_of(bytes s)
{
    return (struct cursor){s.data, s.len ? s.data + s.len : s.data};
}

static void blanks(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\n' || *c->p == '\r'))
        c->p++;
}

static bool sign(struct cursor *c, char what)
{
    blanks(c);
    if (c->p == c->end || *c->p != (uint8_t)what)
        return false;
    c->p++;
    return true;
}

/* A string; *ret: what is between the quotes, escapes and all. */
static bool string(struct cursor *c, bytes *ret)
{
    if (!sign(c, '"'))
        return false;
    const uint8_t *from = c->p;
    while (c->p < c->end && *c->p != '"' && *c->p >= ' ')
        c->p += *c->p == '\\' && c->end - c->p > 1 ? 2 : 1;
    *ret = bytes_of(from, (size_t)(c->p - from));
    return sign(c, '"');
}

static bool is_word(uint8_t b)
{
    return (b >= '0' && b <= '9') || (b >= 'a' && b <= 'z') || b == 'E' || b == '.' || b == '-' || b == '+';
}

static bool word(struct cursor *c)
{
    const uint8_t *from = c->p;
    while (c->p < c->end && is_word(*c->p))
        c->p++;
    return c->p > from;
}

/* Over an object or array by its brackets alone: what is between them matters to nobody here. */
static bool nest(struct cursor *c)
{
    char closing[MEMBERS_DEPTH_MAX];
    size_t depth = 0;
    bytes skipped;
    do {
        blanks(c);
        if (c->p == c->end)
            return false;
        uint8_t b = *c->p;
        if (b == '"') {
            if (!string(c, &skipped))
                return false;
            continue;
        }
        c->p++;
        if (b == '{' || b == '[') {
            if (depth == MEMBERS_DEPTH_MAX)
                return false;
            closing[depth++] = b == '{' ? '}' : ']';
        } else if ((b == '}' || b == ']') && closing[--depth] != (char)b) {
            return false;
        }
    } while (depth > 0);
    return true;
}

static bool value(struct cursor *c, bytes *ret)
{
    bytes inner;
    blanks(c);
    const uint8_t *from = c->p;
    if (c->p == c->end)
        return false;
    bool there = *c->p == '"' ? string(c, &inner) : *c->p == '{' || *c->p == '[' ? nest(c) : word(c);
    *ret = bytes_of(from, (size_t)(c->p - from));
    return there;
}

/* The next member of an object, whose bracket was passed. 1; 0 at the end of the object; -1 where it is none. */
static int member(struct cursor *c, bool first, bytes *ret_name, bytes *ret_value)
{
    if (sign(c, '}'))
        return 0;
    if (!first && !sign(c, ','))
        return -1;
    return string(c, ret_name) && sign(c, ':') && value(c, ret_value) ? 1 : -1;
}

bool members_is_object(bytes json)
{
    struct cursor c = cursor_of(json);
    bytes name, text;
    int rc = sign(&c, '{') ? 1 : -1;
    for (bool first = true; rc > 0; first = false)
        rc = member(&c, first, &name, &text);
    blanks(&c);
    return rc == 0 && c.p == c.end;
}

bool members_find(bytes json, const char *name, bytes *ret)
{
    struct cursor c = cursor_of(json);
    bytes found, text;
    if (!sign(&c, '{'))
        return false;
    for (bool first = true; member(&c, first, &found, &text) > 0; first = false)
        if (bytes_equal(found, bytes_str(name))) {
            *ret = text;
            return true;
        }
    return false;
}

bool members_int(bytes json, const char *name, int64_t *ret)
{
    bytes text;
    if (!members_find(json, name, &text))
        return false;
    bool negative = text.len > 0 && text.data[0] == '-';
    size_t i = negative;
    int64_t n = 0;
    if (i == text.len)
        return false;
    for (; i < text.len; i++) {
        int digit = text.data[i] - '0';
        if (digit < 0 || digit > 9 || n < (INT64_MIN + digit) / 10)
            return false;
        n = n * 10 - digit; /* below 0, where there is room for one more */
    }
    if (!negative && n == INT64_MIN)
        return false;
    *ret = negative ? n : -n;
    return true;
}

static int hex_digit(uint8_t b)
{
    if (b >= '0' && b <= '9')
        return b - '0';
    b |= 0x20;
    return b >= 'a' && b <= 'f' ? b - 'a' + 10 : -1;
}

/* Four digits behind "\u". */
static bool unit(struct cursor *c, unsigned *ret)
{
    unsigned n = 0;
    if (c->end - c->p < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(*c->p++);
        if (digit < 0)
            return false;
        n = n << 4 | (unsigned)digit;
    }
    *ret = n;
    return true;
}

static void put_utf8(struct buf *to, unsigned code)
{
    uint8_t out[4];
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; code >>= 6)
        out[i] = (uint8_t)(0x80 | (code & 0x3f));
    out[0] = (uint8_t)(lead[n] | code);
    buf_append(to, out, n);
}

static bool put_unit(struct cursor *c, struct buf *to)
{
    unsigned code, low;
    if (!unit(c, &code))
        return false;
    if (code >= 0xd800 && code < 0xdc00) {
        if (c->end - c->p < 6 || *c->p++ != '\\' || *c->p++ != 'u' || !unit(c, &low) || low < 0xdc00 || low > 0xdfff)
            return false;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code < 0xe000) {
        return false;
    }
    put_utf8(to, code);
    return true;
}

static bool put_escape(struct cursor *c, struct buf *to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    if (c->p == c->end)
        return false;
    uint8_t b = *c->p++;
    if (b == 'u')
        return put_unit(c, to);
    const char *at = b ? strchr(from, b) : NULL;
    if (at)
        buf_append_byte(to, (uint8_t)into[at - from]);
    return at != NULL;
}

bool members_text(bytes json, const char *name, struct buf *to)
{
    bytes text, inner;
    if (!members_find(json, name, &text))
        return false;
    struct cursor c = cursor_of(text);
    if (!string(&c, &inner))
        return false;
    c = cursor_of(inner);
    while (c.p < c.end) {
        uint8_t b = *c.p++;
        if (b != '\\')
            buf_append_byte(to, b);
        else if (!put_escape(&c, to))
            return false;
    }
    return buf_error(to) == 0;
}

bool members_next_item(bytes array, size_t *at, bytes *ret)
{
    struct cursor c = cursor_of(array);
    if (*at == 0 ? !sign(&c, '[') : *at >= array.len)
        return false;
    if (*at > 0) {
        c.p += *at;
        if (!sign(&c, ','))
            return false;
    }
    if (!value(&c, ret))
        return false;
    *at = (size_t)(c.p - array.data);
    return true;
}

void members_put_text(struct buf *to, bytes s)
{
    buf_append_byte(to, '"');
    while (s.len) {
        size_t n = bytes_utf8_char(s);
        if (n == 0)
            buf_append_bytes(to, bytes_str("\xef\xbf\xbd"));
        else if (n == 1 && (s.data[0] < ' ' || s.data[0] == 0x7f))
            buf_printf(to, "\\u%04x", s.data[0]);
        else if (n == 1 && (s.data[0] == '"' || s.data[0] == '\\'))
            buf_printf(to, "\\%c", s.data[0]);
        else
            buf_append(to, s.data, n);
        s = bytes_of(s.data + (n ? n : 1), s.len - (n ? n : 1));
    }
    buf_append_byte(to, '"');
}
