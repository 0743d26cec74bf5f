/* JSON: the walk, and what strings and numbers say. */
#include "http/json.h"

struct json json_of(bytes text)
{
    return (struct json){.text = text};
}

/* ---- the walk ---- */

static int byte_at(const struct json *j)
{
    return j->at < j->text.len ? j->text.data[j->at] : -1;
}

static void skip_space(struct json *j)
{
    int c;
    while ((c = byte_at(j)) == ' ' || c == '\t' || c == '\r' || c == '\n')
        j->at++;
}

enum json_kind json_peek(struct json *j)
{
    skip_space(j);
    int c = byte_at(j);
    switch (c) {
    case -1:
        return JSON_NONE;
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
    case 'f':
        return JSON_BOOL;
    case 'n':
        return JSON_NULL;
    default:
        return c == '-' || (c >= '0' && c <= '9') ? JSON_NUMBER : JSON_NONE;
    }
}

void json_begin(struct json *j)
{
    skip_space(j);
    if (j->at < j->text.len)
        j->at++;
}

bool json_more(struct json *j)
{
    skip_space(j);
    int c = byte_at(j);
    if (c == ',') {
        j->at++;
        skip_space(j);
        return byte_at(j) >= 0;
    }
    if (c == '}' || c == ']')
        j->at++;
    return c >= 0 && c != '}' && c != ']';
}

static void skip_string(struct json *j)
{
    j->at++;
    while (byte_at(j) >= 0 && byte_at(j) != '"')
        j->at += byte_at(j) == '\\' && j->text.len - j->at > 1 ? 2 : 1;
    if (j->at < j->text.len)
        j->at++;
}

bytes json_raw(struct json *j)
{
    skip_space(j);
    size_t start = j->at;
    if (byte_at(j) == '"') {
        skip_string(j);
    } else {
        while (byte_at(j) >= 0 && !strchr(",}] \t\r\n:", byte_at(j)))
            j->at++;
    }
    return bytes_of(j->text.data + start, j->at - start);
}

bytes json_key(struct json *j)
{
    bytes raw = json_raw(j);
    skip_space(j);
    if (byte_at(j) == ':')
        j->at++;
    return raw;
}

void json_skip(struct json *j)
{
    size_t depth = 0;
    do {
        skip_space(j);
        int c = byte_at(j);
        if (c < 0)
            return;
        if (c == '{' || c == '[')
            depth++;
        if ((c == '}' || c == ']') && depth > 0)
            depth--;
        if (strchr("{}[],:", c))
            j->at++;
        else
            json_raw(j);
    } while (depth > 0);
}

void json_position(const struct json *j, size_t at, size_t *ret_line, size_t *ret_column)
{
    *ret_line = *ret_column = 1;
    for (size_t i = 0; i < at && i < j->text.len; i++) {
        bool ends = j->text.data[i] == '\n', goes_on = (j->text.data[i] & 0xc0) == 0x80;
        *ret_line += ends;
        *ret_column = ends ? 1 : *ret_column + !goes_on;
    }
}

/* ---- strings ---- */

bool json_is_utf8(bytes s)
{
    for (size_t i = 0; i < s.len;) {
        size_t n = bytes_utf8_char(bytes_of(s.data + i, s.len - i));
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

static int hex4(const uint8_t *s)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        int c = s[i] | 32;
        v = v * 16 + (s[i] <= '9' ? s[i] - '0' : c - 'a' + 10);
    }
    return v & 0xffff;
}

static void append_utf8(struct buf *out, uint32_t c)
{
    if (c < 0x80) {
        buf_append_byte(out, (uint8_t)c);
        return;
    }
    if (c < 0x800) {
        buf_append_byte(out, (uint8_t)(0xc0 | c >> 6));
    } else if (c < 0x10000) {
        buf_append_byte(out, (uint8_t)(0xe0 | c >> 12));
        buf_append_byte(out, (uint8_t)(0x80 | (c >> 6 & 63)));
    } else {
        buf_append_byte(out, (uint8_t)(0xf0 | c >> 18));
        buf_append_byte(out, (uint8_t)(0x80 | (c >> 12 & 63)));
        buf_append_byte(out, (uint8_t)(0x80 | (c >> 6 & 63)));
    }
    buf_append_byte(out, (uint8_t)(0x80 | (c & 63)));
}

/* The escape at s, behind its backslash: how many bytes it has; 0: it is no character. */
static size_t unescape(bytes s, struct buf *out)
{
    static const char from[] = "bfnrt\\/\"", to[] = "\b\f\n\r\t\\/\"";
    const char *simple = s.len ? memchr(from, s.data[0], sizeof from - 1) : NULL;
    if (simple) {
        buf_append_byte(out, (uint8_t)to[simple - from]);
        return 1;
    }
    if (s.len < 5)
        return 0;
    uint32_t c = (uint32_t)hex4(s.data + 1);
    if (c < 0xd800 || c > 0xdfff) {
        append_utf8(out, c);
        return 5;
    }
    if (c > 0xdbff || s.len < 11 || s.data[5] != '\\' || s.data[6] != 'u')
        return 0;
    uint32_t low = (uint32_t)hex4(s.data + 7);
    if (low < 0xdc00 || low > 0xdfff)
        return 0;
    append_utf8(out, 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
    return 11;
}

bool json_unquote(bytes raw, struct buf *scratch, bytes *ret)
{
    if (raw.len < 2)
        return false;
    bytes s = bytes_of(raw.data + 1, raw.len - 2);
    if (!json_is_utf8(s))
        return false;
    const uint8_t *escape = s.len ? memchr(s.data, '\\', s.len) : NULL;
    if (!escape) {
        *ret = s;
        return true;
    }
    buf_reset(scratch);
    for (size_t i = 0; i < s.len;) {
        escape = memchr(s.data + i, '\\', s.len - i);
        size_t plain = escape ? (size_t)(escape - s.data) - i : s.len - i;
        buf_append(scratch, s.data + i, plain);
        i += plain;
        if (!escape)
            break;
        size_t n = unescape(bytes_of(s.data + i + 1, s.len - i - 1), scratch);
        if (n == 0)
            return false;
        i += 1 + n;
    }
    *ret = buf_bytes(scratch);
    return true;
}

/* Runs of plain characters go out as they are. */
static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static size_t quote_special(bytes s, struct buf *out)
{
    static const char from[] = "\b\f\n\r\t\\\"", to[] = "bfnrt\\\"";
    uint8_t c = s.data[0];
    const char *simple = memchr(from, c, sizeof from - 1);
    size_t n = bytes_utf8_char(s);
    if (simple)
        buf_printf(out, "\\%c", to[simple - from]);
    else if (c < 0x20)
        buf_printf(out, "\\u%04x", c);
    else if (n > 0)
        buf_append(out, s.data, n);
    else
        buf_append(out, "\xef\xbf\xbd", 3);
    return n > 0 ? n : 1;
}

void json_quote(bytes text, struct buf *out)
{
    buf_append_byte(out, '"');
    for (size_t i = 0; i < text.len;) {
        size_t start = i;
        while (i < text.len && is_plain(text.data[i]))
            i++;
        buf_append(out, text.data + start, i - start);
        if (i < text.len)
            i += quote_special(bytes_of(text.data + i, text.len - i), out);
    }
    buf_append_byte(out, '"');
}

/* ---- numbers ---- */

struct number {
    bool negative;
    uint64_t digits; /* without trailing zeros */
    int64_t exponent;
};

#define EXPONENT_MAX 100000

static bool add_digit(struct number *n, int64_t *zeros, unsigned digit)
{
    if (digit == 0) {
        (*zeros)++;
        return true;
    }
    for (; *zeros >= 0; (*zeros)--) {
        if (n->digits > UINT64_MAX / 10)
            return false;
        n->digits *= 10;
    }
    *zeros = 0;
    if (n->digits > UINT64_MAX - digit)
        return false;
    n->digits += digit;
    return true;
}

static int64_t parse_exponent(bytes s)
{
    bool negative = s.len > 0 && s.data[0] == '-';
    int64_t v = 0;
    for (size_t i = s.len > 0 && (s.data[0] == '-' || s.data[0] == '+'); i < s.len; i++) {
        v = v * 10 + (s.data[i] - '0');
        if (v > EXPONENT_MAX)
            v = EXPONENT_MAX;
    }
    return negative ? -v : v;
}

/* The digits as a number that ends in no zero, times a power of ten. */
static bool parse_number(bytes raw, struct number *n)
{
    int64_t zeros = 0, after_point = 0;
    bool point = false;
    *n = (struct number){.negative = raw.len > 0 && raw.data[0] == '-'};
    for (size_t i = n->negative; i < raw.len; i++) {
        uint8_t c = raw.data[i];
        if (c == 'e' || c == 'E') {
            n->exponent = parse_exponent(bytes_of(raw.data + i + 1, raw.len - i - 1));
            break;
        }
        after_point += point && c != '.';
        point |= c == '.';
        if (c != '.' && (c < '0' || c > '9'))
            return false;
        if (c != '.' && !add_digit(n, &zeros, c - '0'))
            return false;
    }
    n->exponent += zeros - after_point;
    return true;
}

bool json_whole(bytes raw, bool *ret_negative, uint64_t *ret)
{
    struct number n;
    if (raw.len == 0 || !parse_number(raw, &n))
        return false;
    if (n.digits == 0)
        n.exponent = 0;
    if (n.exponent < 0)
        return false;
    for (; n.exponent > 0; n.exponent--) {
        if (n.digits > UINT64_MAX / 10)
            return false;
        n.digits *= 10;
    }
    *ret_negative = n.negative && n.digits > 0;
    *ret = n.digits;
    return true;
}
