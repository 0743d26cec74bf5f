/* From logfmt to JSON: what log_write makes, read back pair by pair. A value that was quoted by log_quote loses its quotes and
 * escapes; one that was quoted without escaping (quotes inside) ends at the quote that a blank or the end follows. */
#include "base/log.h"

#include <stdio.h>

struct writer {
    char *out;
    size_t size, len;
};

static void put(struct writer *w, char c)
{
    if (w->len + 1 < w->size)
        w->out[w->len] = c;
    w->len++;
}

static void put_text(struct writer *w, const char *s)
{
    while (*s)
        put(w, *s++);
}

/* One byte of a JSON string; what is no UTF-8 was made an escape by log_quote, and the rest passes as it is. */
static void put_char(struct writer *w, unsigned char c)
{
    char escape[8];
    if (c == '"' || c == '\\')
        put(w, '\\');
    if (c >= 0x20 && c != 0x7f) {
        put(w, (char)c);
        return;
    }
    snprintf(escape, sizeof escape, "\\u%04x", c);
    put_text(w, escape);
}

static bool ends(const char *p)
{
    return *p == 0 || *p == ' ';
}

/* log_quote's escapes; *p stands behind the backslash. \xNN, a byte that was no text, stays readable. */
static void put_escape(struct writer *w, const char **p)
{
    char c = *(*p)++;
    if (c == 'n')
        put_text(w, "\\n");
    else if (c == 'r')
        put_text(w, "\\r");
    else if (c == 't')
        put_text(w, "\\t");
    else if (c == 'x')
        put_text(w, "\\\\x");
    else
        put_char(w, (unsigned char)c);
}

static const char *quoted(struct writer *w, const char *p)
{
    put(w, '"');
    while (*p && !(*p == '"' && ends(p + 1))) {
        if (*p == '\\' && p[1]) {
            p++;
            put_escape(w, &p);
        } else {
            put_char(w, (unsigned char)*p++);
        }
    }
    put(w, '"');
    return *p ? p + 1 : p;
}

/* What JSON takes as a whole number without loss. */
static bool is_number(const char *p, size_t len)
{
    size_t sign = len > 0 && *p == '-';
    size_t digits = len - sign;
    if (digits == 0 || digits > 15 || (digits > 1 && p[sign] == '0'))
        return false;
    for (size_t i = sign; i < len; i++)
        if (p[i] < '0' || p[i] > '9')
            return false;
    return true;
}

static const char *value(struct writer *w, const char *p)
{
    if (*p == '"')
        return quoted(w, p + 1);
    size_t len = strcspn(p, " ");
    bool number = is_number(p, len);
    if (!number)
        put(w, '"');
    for (size_t i = 0; i < len; i++)
        put_char(w, (unsigned char)p[i]);
    if (!number)
        put(w, '"');
    return p + len;
}

/* `key=value` at p; answers what stands behind it. */
static const char *member(struct writer *w, const char *p, bool first)
{
    size_t len = strcspn(p, "= ");
    if (!first)
        put(w, ',');
    put(w, '"');
    for (size_t i = 0; i < len; i++)
        put_char(w, (unsigned char)p[i]);
    put_text(w, "\":");
    p += len;
    if (*p == '=')
        return value(w, p + 1);
    put_text(w, "true"); /* a word alone */
    return p;
}

static void time_member(struct writer *w, const char *time)
{
    put_text(w, ",\"ts\":\"");
    put_text(w, time);
    put(w, '"');
}

const char *log_json(char *out, size_t size, const char *time, const char *line)
{
    struct writer w = {.out = out, .size = size};
    size_t whole = 1;
    bool first = true;
    if (size < sizeof "{}") {
        if (size)
            out[0] = 0;
        return out;
    }
    w.size--; /* the last brace */
    put(&w, '{');
    for (const char *p = line + strspn(line, " "); *p; p += strspn(p, " ")) {
        p = member(&w, p, first);
        if (first && time)
            time_member(&w, time); /* behind the level, as etcd has it */
        first = false;
        if (w.len >= w.size)
            break; /* the members that fit */
        whole = w.len;
    }
    out[whole] = '}';
    out[whole + 1] = 0;
    return out;
}
