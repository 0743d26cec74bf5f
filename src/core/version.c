#include "core/version.h"

static bool take_number(bytes *s, int64_t *ret)
{
    int64_t n = 0;
    size_t i = 0;
    for (; i < s->len && s->data[i] >= '0' && s->data[i] <= '9'; i++) {
        if (n > INT64_MAX / 10 - 1)
            return false;
        n = 10 * n + (s->data[i] - '0');
    }
    *s = bytes_of(s->data + i, s->len - i);
    *ret = n;
    return i > 0;
}

static bool take_dot(bytes *s)
{
    if (s->len == 0 || s->data[0] != '.')
        return false;
    *s = bytes_of(s->data + 1, s->len - 1);
    return true;
}

static bool is_tail(bytes s)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!word && c != '.' && c != '-' && c != '+')
            return false;
    }
    return s.len == 0 || ((s.data[0] == '-' || s.data[0] == '+') && s.len > 1);
}

bool version_parse(bytes text, struct version_pair *ret)
{
    int64_t patch;
    if (!take_number(&text, &ret->major) || !take_dot(&text) || !take_number(&text, &ret->minor))
        return false;
    if (text.len == 0)
        return true;
    return take_dot(&text) && take_number(&text, &patch) && is_tail(text);
}
