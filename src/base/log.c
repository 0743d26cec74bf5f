/* A line is put together on the stack and handed to the sink; nothing is allocated and nothing fails. A line that is
 * too long loses its end, at a whole character; a line break inside a value becomes a blank, so that one call is always
 * one line.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

enum { LINE_SIZE = 1024 + 1, MSG_SIZE = 512 };

const char *log_level_name(enum log_level level)
{
    switch (level) {
    case LOG_DEBUG:
        return "debug";
    case LOG_INFO:
        return "info";
    case LOG_WARN:
        return "warn";
    case LOG_ERROR:
        return "error";
    }
    return "error";
}

/* One character of s as it stands in a quoted value: itself, or an escape. Writes at most 4 bytes to out; answers how
 * many, and how many bytes of s they stand for. */
static size_t quote_char(bytes s, char out[5], size_t *ret_taken)
{
    uint8_t c = s.data[0];
    size_t whole = bytes_utf8_char(s);
    *ret_taken = whole ? whole : 1;
    switch (c) {
    case '"':
    case '\\':
        out[0] = '\\';
        out[1] = (char)c;
        return 2;
    case '\n':
        memcpy(out, "\\n", 2);
        return 2;
    case '\r':
        memcpy(out, "\\r", 2);
        return 2;
    case '\t':
        memcpy(out, "\\t", 2);
        return 2;
    default:
        break;
    }
    if (whole == 0 || c < 0x20 || c == 0x7f)
        return (size_t)snprintf(out, 5, "\\x%02x", c);
    memcpy(out, s.data, whole);
    return whole;
}

const char *log_quote(char *out, size_t size, bytes s)
{
    if (size < sizeof "\"\"") {
        if (size)
            out[0] = 0;
        return out;
    }
    size_t len = 0;
    out[len++] = '"';
    while (s.len) {
        char c[5];
        size_t taken;
        size_t n = quote_char(s, c, &taken);
        if (n > size - 2 - len) /* the closing quote and the 0 */
            break;
        memcpy(out + len, c, n);
        len += n;
        s = bytes_of(s.data + taken, s.len - taken);
    }
    out[len++] = '"';
    out[len] = 0;
    return out;
}

/* line has room for LINE_SIZE; formatted is what snprintf answered for all of it. */
static void line_tidy(char *line, size_t formatted)
{
    if (formatted >= LINE_SIZE)
        line[bytes_utf8_cut(bytes_str(line), LINE_SIZE - 1)] = 0;
    for (char *c = line; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
        else if (bytes_is_c1(c))
            c[0] = c[1] = ' ';
    }
}

void log_write(const struct log *log, enum log_level level, const char *msg, const char *fmt, ...)
{
    if (!log || !log->sink || level < log->min)
        return;
    char quoted[MSG_SIZE];
    char line[LINE_SIZE];
    log_quote(quoted, sizeof quoted, bytes_str(msg));
    int head = snprintf(line, sizeof line, "level=%s msg=%s%s", log_level_name(level), quoted, fmt && *fmt ? " " : "");
    size_t len = (size_t)head;
    if (fmt && *fmt) {
        va_list args;
        va_start(args, fmt);
        int tail = vsnprintf(line + len, sizeof line - len, fmt, args);
        va_end(args);
        if (tail < 0)
            line[len] = 0;
        else
            len += (size_t)tail;
    }
    line_tidy(line, len);
    log->sink(log->user, level, line);
}
