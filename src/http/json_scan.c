/* The syntax of JSON as a state machine over bytes. */
#include <stdio.h>

#include "http/json_scan.h"

enum state {
    BEFORE_VALUE,
    BEFORE_FIRST_ELEMENT, /* or the end of the array */
    BEFORE_FIRST_KEY,     /* or the end of the object */
    BEFORE_KEY,
    AFTER_KEY,
    AFTER_VALUE, /* within an array or object */
    IN_STRING,
    IN_ESCAPE,
    IN_HEX,
    IN_LITERAL,
    AFTER_MINUS,
    AFTER_ZERO,
    IN_INTEGER,
    AFTER_POINT,
    IN_FRACTION,
    AFTER_E,
    AFTER_E_SIGN,
    IN_EXPONENT,
    DONE,
    DONE_BEFORE, /* the value ended before this byte: a number */
    FAILED,
};

void json_scan_init(struct json_scan *s)
{
    *s = (struct json_scan){.state = BEFORE_VALUE};
}

/* ---- errors ---- */

/* As Go prints a byte that it takes for a character. */
static const char *show(uint8_t c, char out[8])
{
    static const char from[] = "\a\b\f\n\r\t\v\\'", to[] = "abfnrtv\\'";
    const char *simple = memchr(from, c, sizeof from - 1);
    if (simple)
        snprintf(out, 8, "\\%c", to[simple - from]);
    else if (c < 0x20 || c == 0x7f)
        snprintf(out, 8, "\\x%02x", c);
    else if (c < 0x7f)
        snprintf(out, 8, "%c", c);
    else if (c <= 0xa0 || c == 0xad)
        snprintf(out, 8, "\\u%04x", c);
    else
        snprintf(out, 8, "%c%c", 0xc0 | c >> 6, 0x80 | (c & 0x3f));
    return out;
}

static void wrong(struct json_scan *s, uint8_t c, const char *where)
{
    char shown[8];
    s->state = FAILED;
    snprintf(s->error, sizeof s->error, "invalid character '%s' %s", show(c, shown), where);
}

/* ---- levels ---- */

static bool in_object(const struct json_scan *s)
{
    uint32_t level = s->depth - 1;
    return s->is_object[level / 8] >> level % 8 & 1;
}

static void enter(struct json_scan *s, bool object)
{
    uint32_t level = s->depth;
    if (level == JSON_DEPTH_MAX) {
        s->state = FAILED;
        snprintf(s->error, sizeof s->error, "exceeded max depth");
        return;
    }
    uint8_t bit = (uint8_t)(1 << level % 8);
    s->is_object[level / 8] = (uint8_t)(object ? s->is_object[level / 8] | bit : s->is_object[level / 8] & ~bit);
    s->depth++;
    s->state = object ? BEFORE_FIRST_KEY : BEFORE_FIRST_ELEMENT;
}

static void value_ended(struct json_scan *s)
{
    s->state = s->depth == 0 ? DONE : AFTER_VALUE;
}

static void leave(struct json_scan *s)
{
    s->depth--;
    value_ended(s);
}

/* ---- one byte ---- */

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static void begin_string(struct json_scan *s, bool is_key)
{
    s->state = IN_STRING;
    s->is_key = is_key;
}

static void begin_literal(struct json_scan *s, const char *word)
{
    s->state = IN_LITERAL;
    s->word = word;
    s->literal = word + 1;
}

static void begin_value(struct json_scan *s, uint8_t c)
{
    if (c == '{' || c == '[')
        enter(s, c == '{');
    else if (c == '"')
        begin_string(s, false);
    else if (c == '-')
        s->state = AFTER_MINUS;
    else if (is_digit(c))
        s->state = c == '0' ? AFTER_ZERO : IN_INTEGER;
    else if (c == 't' || c == 'f' || c == 'n')
        begin_literal(s, c == 't' ? "true" : c == 'f' ? "false" : "null");
    else
        wrong(s, c, "looking for beginning of value");
}

static void before_key(struct json_scan *s, uint8_t c, bool first)
{
    if (c == '"')
        begin_string(s, true);
    else if (c == '}' && first)
        leave(s);
    else
        wrong(s, c, "looking for beginning of object key string");
}

static void after_value(struct json_scan *s, uint8_t c)
{
    bool object = in_object(s);
    if (c == ',')
        s->state = object ? BEFORE_KEY : BEFORE_VALUE;
    else if (c == (object ? '}' : ']'))
        leave(s);
    else
        wrong(s, c, object ? "after object key:value pair" : "after array element");
}

static void string_byte(struct json_scan *s, uint8_t c)
{
    if (c == '\\')
        s->state = IN_ESCAPE;
    else if (c < 0x20)
        wrong(s, c, "in string literal");
    else if (c == '"' && s->is_key)
        s->state = AFTER_KEY;
    else if (c == '"')
        value_ended(s);
}

static void escape_byte(struct json_scan *s, uint8_t c)
{
    if (c == 'u') {
        s->state = IN_HEX;
        s->escape = 4;
    } else if (c != 0 && strchr("bfnrt\\/\"", c)) {
        s->state = IN_STRING;
    } else {
        wrong(s, c, "in string escape code");
    }
}

static void hex_byte(struct json_scan *s, uint8_t c)
{
    if (!is_digit(c) && !((c | 32) >= 'a' && (c | 32) <= 'f'))
        wrong(s, c, "in \\u hexadecimal character escape");
    else if (--s->escape == 0)
        s->state = IN_STRING;
}

static void literal_byte(struct json_scan *s, uint8_t c)
{
    char where[48];
    if (c != (uint8_t)*s->literal) {
        snprintf(where, sizeof where, "in literal %s (expecting '%c')", s->word, *s->literal);
        wrong(s, c, where);
    } else if (*++s->literal == 0) {
        value_ended(s);
    }
}

/* A digit of that part of a number; anything else where one must be. */
static void need_digit(struct json_scan *s, uint8_t c, enum state next, const char *where)
{
    if (is_digit(c))
        s->state = (uint8_t)next;
    else
        wrong(s, c, where);
}

/* The number ended at the byte before c. */
static void number_ended(struct json_scan *s, uint8_t c)
{
    if (s->depth == 0)
        s->state = DONE_BEFORE;
    else if (is_space(c))
        s->state = AFTER_VALUE;
    else
        after_value(s, c);
}

static void number_byte(struct json_scan *s, uint8_t c)
{
    enum state at = s->state;
    if (is_digit(c) && at != AFTER_ZERO)
        return;
    if (c == '.' && (at == AFTER_ZERO || at == IN_INTEGER))
        s->state = AFTER_POINT;
    else if ((c == 'e' || c == 'E') && at != IN_EXPONENT)
        s->state = AFTER_E;
    else
        number_ended(s, c);
}

static void after_minus(struct json_scan *s, uint8_t c)
{
    need_digit(s, c, c == '0' ? AFTER_ZERO : IN_INTEGER, "in numeric literal");
}

static void after_e(struct json_scan *s, uint8_t c)
{
    if (c == '+' || c == '-')
        s->state = AFTER_E_SIGN;
    else
        need_digit(s, c, IN_EXPONENT, "in exponent of numeric literal");
}

static void structure_byte(struct json_scan *s, uint8_t c)
{
    if (is_space(c))
        return;
    switch ((enum state)s->state) {
    case BEFORE_FIRST_ELEMENT:
        if (c == ']')
            leave(s);
        else
            begin_value(s, c);
        break;
    case BEFORE_FIRST_KEY:
    case BEFORE_KEY:
        before_key(s, c, s->state == BEFORE_FIRST_KEY);
        break;
    case AFTER_KEY:
        if (c == ':')
            s->state = BEFORE_VALUE;
        else
            wrong(s, c, "after object key");
        break;
    case AFTER_VALUE:
        after_value(s, c);
        break;
    default:
        begin_value(s, c);
    }
}

static void step(struct json_scan *s, uint8_t c)
{
    switch ((enum state)s->state) {
    case IN_STRING:
        string_byte(s, c);
        break;
    case IN_ESCAPE:
        escape_byte(s, c);
        break;
    case IN_HEX:
        hex_byte(s, c);
        break;
    case IN_LITERAL:
        literal_byte(s, c);
        break;
    case AFTER_MINUS:
        after_minus(s, c);
        break;
    case AFTER_ZERO:
    case IN_INTEGER:
    case IN_FRACTION:
    case IN_EXPONENT:
        number_byte(s, c);
        break;
    case AFTER_POINT:
        need_digit(s, c, IN_FRACTION, "after decimal point in numeric literal");
        break;
    case AFTER_E:
        after_e(s, c);
        break;
    case AFTER_E_SIGN:
        need_digit(s, c, IN_EXPONENT, "in exponent of numeric literal");
        break;
    default:
        structure_byte(s, c);
    }
}

/* ---- many ---- */

enum json_scanned json_scan(struct json_scan *s, bytes in, size_t *ret_used)
{
    for (size_t i = 0; i < in.len && s->state != FAILED; i++) {
        step(s, in.data[i]);
        if (s->state == DONE || s->state == DONE_BEFORE) {
            *ret_used = s->state == DONE ? i + 1 : i;
            return JSON_WHOLE;
        }
    }
    *ret_used = in.len;
    return s->state == FAILED ? JSON_WRONG : JSON_MORE;
}

enum json_scanned json_scan_end(struct json_scan *s)
{
    if (s->state == FAILED)
        return JSON_WRONG;
    if (s->depth == 0 && s->state == BEFORE_VALUE)
        return JSON_MORE;
    if (s->depth == 0 &&
        (s->state == AFTER_ZERO || s->state == IN_INTEGER || s->state == IN_FRACTION || s->state == IN_EXPONENT))
        return JSON_WHOLE;
    s->state = FAILED;
    snprintf(s->error, sizeof s->error, "unexpected EOF");
    return JSON_WRONG;
}
