/* See fence_path.h. */
#include "http/fence_path.h"

#include <ctype.h>
#include <stdio.h>

static int hex(uint8_t c)
{
    return isdigit(c) ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static bool needs_no_code(int c)
{
    return c < 0x80 && (isalnum(c) || memchr("-._~", c, 4));
}

static bool may_stand(uint8_t c)
{
    return c > 0x20 && c < 0x7f && !memchr("\"\\<>^`{|}#", c, 10);
}

/* One part in one spelling, in out. */
static const char *spell(bytes part, bool is_name, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < part.len; i++) {
        int c = part.data[i];
        bool coded = c == '%';
        if (coded) {
            int high = part.len - i > 2 ? hex(part.data[i + 1]) : -1, low = high < 0 ? -1 : hex(part.data[i + 2]);
            if (low < 0)
                return "the path has a % without two hex digits";
            c = high << 4 | low;
            i += 2;
            if (c == '/' || c == '\\' || c == 0)
                return "the path has an encoded slash, backslash or zero";
        } else if (!may_stand((uint8_t)c)) {
            return "the path has a byte that must be encoded";
        }
        if (is_name && c == ';')
            return "the path has a ; within the resource's name";
        if (n + 4 >= size)
            return "the path is too long";
        if (coded && !needs_no_code(c))
            n += (size_t)snprintf(out + n, size - n, "%%%02X", (unsigned)c);
        else
            out[n++] = (char)c;
    }
    out[n] = 0;
    return strcmp(out, ".") == 0 || strcmp(out, "..") == 0 ? "the path has a . or .. part" : NULL;
}

static bytes until(bytes s, char end)
{
    const uint8_t *at = s.len ? memchr(s.data, end, s.len) : NULL;
    return at ? bytes_of(s.data, (size_t)(at - s.data)) : s;
}

const char *fence_path_resource(bytes target, unsigned parts, char *ret, size_t size)
{
    char part[1024];
    size_t n = 0;
    bytes path = until(target, '?');
    if (path.len == 0 || path.data[0] != '/')
        return "the request's target is no path";
    ret[0] = 0;
    for (unsigned i = 0; path.len > 1; i++) {
        path = bytes_of(path.data + 1, path.len - 1);
        bytes one = until(path, '/');
        if (one.len == 0)
            return "the path has an empty part";
        const char *why = spell(one, i < parts, part, sizeof part);
        if (why)
            return why;
        if (i < parts && n + strlen(part) + 2 > size)
            return "the path is too long";
        if (i < parts)
            n += (size_t)snprintf(ret + n, size - n, "%s%s", n ? "/" : "", part);
        path = bytes_of(path.data + one.len, path.len - one.len);
    }
    if (n == 0)
        snprintf(ret, size, "/");
    return NULL;
}
