/* The few operations on bytes that are too long to be inline. */
#include "base/bytes.h"

size_t bytes_prefix_end(bytes prefix, uint8_t *out)
{
    size_t len = prefix.len;
    while (len > 0 && prefix.data[len - 1] == 0xff)
        len--;
    if (len == 0) {
        out[0] = 0;
        return 1;
    }
    memcpy(out, prefix.data, len);
    out[len - 1]++;
    return len;
}

/* How many bytes the character that starts with lead has; 0 for a byte that starts none. Excludes the overlong two
 * byte forms (c0, c1) and everything past U+10FFFF (f5 and up). */
static size_t utf8_len(uint8_t lead)
{
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef)
        return 3;
    if (lead >= 0xf0 && lead <= 0xf4)
        return 4;
    return 0;
}

/* Whether the second byte keeps a three or four byte form from being overlong, a surrogate, or past U+10FFFF
 * (RFC 3629 section 4). */
static bool utf8_second_allowed(uint8_t lead, uint8_t second)
{
    switch (lead) {
    case 0xe0:
        return second >= 0xa0;
    case 0xed:
        return second <= 0x9f;
    case 0xf0:
        return second >= 0x90;
    case 0xf4:
        return second <= 0x8f;
    default:
        return true;
    }
}

size_t bytes_utf8_char(bytes s)
{
    if (s.len == 0)
        return 0;
    size_t len = utf8_len(s.data[0]);
    if (len > s.len)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((s.data[i] & 0xc0) != 0x80)
            return 0;
    }
    return len < 2 || utf8_second_allowed(s.data[0], s.data[1]) ? len : 0;
}

size_t bytes_utf8_cut(bytes s, size_t len_max)
{
    size_t len = s.len < len_max ? s.len : len_max;
    size_t at = len;
    for (int back = 0; back < 3 && at > 0 && (s.data[at - 1] & 0xc0) == 0x80; back++)
        at--;
    if (at == 0)
        return len; /* continuation bytes only: not UTF-8, nothing to keep whole */
    size_t want = utf8_len(s.data[at - 1]);
    return want > len - (at - 1) ? at - 1 : len;
}
