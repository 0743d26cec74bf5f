#include "core/url.h"

static bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bytes trim(bytes s)
{
    while (s.len > 0 && is_blank(s.data[0]))
        s = bytes_of(s.data + 1, s.len - 1);
    while (s.len > 0 && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

/* The place of the first c at or behind `from`; the length when there is none. */
static size_t find(bytes s, size_t from, char c)
{
    while (from < s.len && s.data[from] != (uint8_t)c)
        from++;
    return from;
}

static bool scheme_is(bytes scheme, const char *name)
{
    size_t i = 0;
    for (; i < scheme.len && name[i]; i++) {
        uint8_t c = scheme.data[i];
        if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != (uint8_t)name[i])
            return false;
    }
    return i == scheme.len && name[i] == 0;
}

static bool is_port(bytes s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
    }
    return true;
}

static bool is_host(bytes s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] <= ' ' || s.data[i] == 0x7f || s.data[i] == ':' || s.data[i] == '[' || s.data[i] == ']')
            return false;
    }
    return true;
}

/* "name:1" or "[::1]:1"; the port may be missing behind the colon. */
static bool is_host_and_port(bytes s)
{
    bool in_brackets = s.len > 0 && s.data[0] == '[';
    size_t colon = in_brackets ? find(s, 0, ']') + 1 : find(s, 0, ':');
    if (colon >= s.len || s.data[colon] != ':')
        return false;
    bytes host = bytes_of(s.data, colon);
    return (in_brackets || is_host(host)) && is_port(bytes_of(s.data + colon + 1, s.len - colon - 1));
}

static bool is_http_address(bytes rest)
{
    if (rest.len < 2 || rest.data[0] != '/' || rest.data[1] != '/')
        return false;
    rest = bytes_of(rest.data + 2, rest.len - 2);
    size_t query = find(rest, 0, '?'), fragment = find(rest, 0, '#');
    size_t end = query < fragment ? query : fragment;
    bytes authority = bytes_of(rest.data, end);
    if (find(authority, 0, '/') < end)
        return false;
    size_t at = find(authority, 0, '@');
    if (at < end)
        authority = bytes_of(authority.data + at + 1, end - at - 1);
    return is_host_and_port(authority);
}

bool url_is_valid(bytes url)
{
    url = trim(url);
    for (size_t i = 0; i < url.len; i++) {
        if (url.data[i] < ' ' || url.data[i] == 0x7f)
            return false;
    }
    size_t colon = find(url, 0, ':');
    if (colon == url.len)
        return false;
    bytes scheme = bytes_of(url.data, colon), rest = bytes_of(url.data + colon + 1, url.len - colon - 1);
    if (scheme_is(scheme, "unix") || scheme_is(scheme, "unixs"))
        return true;
    return (scheme_is(scheme, "http") || scheme_is(scheme, "https")) && is_http_address(rest);
}
