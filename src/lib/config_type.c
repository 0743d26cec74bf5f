/* See config_type.h. */
#include "lib/config_type.h"

#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <locale.h>
#include <stdlib.h>
#include <strings.h>

enum { TEXT_MAX = 128 };

/* A copy without white space around it, 0-terminated; false when it is empty or longer than anything that is a number. */
static bool trimmed(bytes text, char out[TEXT_MAX])
{
    while (text.len > 0 && isspace(text.data[0]))
        text = bytes_of(text.data + 1, text.len - 1);
    while (text.len > 0 && isspace(text.data[text.len - 1]))
        text.len--;
    if (text.len == 0 || text.len >= TEXT_MAX || memchr(text.data, 0, text.len))
        return false;
    memcpy(out, text.data, text.len);
    out[text.len] = 0;
    return true;
}

bool config_type_int(bytes text, int64_t *ret)
{
    char t[TEXT_MAX], *end;
    if (!trimmed(text, t))
        return false;
    const char *digits = t + (t[0] == '-' || t[0] == '+');
    bool is_hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    if (!isdigit((unsigned char)digits[0]))
        return false;
    errno = 0;
    intmax_t v = strtoimax(t, &end, is_hex ? 16 : 10);
    if (errno || *end)
        return false;
    *ret = v;
    return true;
}

/* What strtod takes beyond decimal numbers (inf, nan, hex) is none. */
static bool is_decimal(const char *t)
{
    t += *t == '-' || *t == '+';
    size_t whole = strspn(t, "0123456789"), fraction = 0;
    t += whole;
    if (*t == '.')
        fraction = strspn(++t, "0123456789");
    t += fraction;
    if (whole + fraction == 0)
        return false;
    if (*t != 'e' && *t != 'E')
        return *t == 0;
    t += 1 + (t[1] == '-' || t[1] == '+');
    size_t exponent = strspn(t, "0123456789");
    return exponent > 0 && t[exponent] == 0;
}

/* Programs in locales with a comma get the point all the same. */
static double decimal(const char *t)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c == (locale_t)0)
        return strtod(t, NULL);
    locale_t before = uselocale(c);
    double v = strtod(t, NULL);
    uselocale(before);
    freelocale(c);
    return v;
}

bool config_type_float(bytes text, double *ret)
{
    char t[TEXT_MAX];
    if (!trimmed(text, t) || !is_decimal(t))
        return false;
    double v = decimal(t);
    if (v > DBL_MAX || v < -DBL_MAX)
        return false;
    *ret = v;
    return true;
}

bool config_type_bool(bytes text, bool *ret)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    char t[TEXT_MAX];
    if (!trimmed(text, t))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcasecmp(t, words[i]) == 0) {
            *ret = i % 2;
            return true;
        }
    return false;
}

/* ---- numbers with units ---- */

/* The whole and the fraction apart, so that no digit is lost: value = whole + fraction / scale. */
struct amount {
    int64_t whole, fraction, scale;
};

static bool read_amount(const char **at, struct amount *a)
{
    const char *p = *at;
    *a = (struct amount){.scale = 1};
    if (!isdigit((unsigned char)*p))
        return false;
    for (; isdigit((unsigned char)*p); p++)
        if (__builtin_mul_overflow(a->whole, 10, &a->whole) || __builtin_add_overflow(a->whole, *p - '0', &a->whole))
            return false;
    if (*p == '.') {
        if (!isdigit((unsigned char)*++p))
            return false;
        for (; isdigit((unsigned char)*p); p++)
            if (a->scale < 100000) {
                a->fraction = 10 * a->fraction + (*p - '0');
                a->scale *= 10;
            }
    }
    *at = p;
    return true;
}

/* total += a * unit; the fraction's rest is cut off. */
static bool add_amount(int64_t *total, struct amount a, int64_t unit)
{
    int64_t whole, fraction;
    if (__builtin_mul_overflow(a.whole, unit, &whole) || __builtin_mul_overflow(a.fraction, unit, &fraction))
        return false;
    return !__builtin_add_overflow(*total, whole, total) && !__builtin_add_overflow(*total, fraction / a.scale, total);
}

struct unit {
    const char *name;
    int64_t value;
};

static const struct unit *find_unit(const struct unit *units, size_t n, const char *name, size_t len)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(units[i].name) == len && memcmp(units[i].name, name, len) == 0)
            return &units[i];
    return NULL;
}

bool config_type_duration(bytes text, int64_t *ret_ms)
{
    static const int64_t ms = 1000000;
    static const struct unit units[] = {
        {"ns", 1},         {"us", 1000},        {"ms", ms},           {"s", 1000 * ms},
        {"m", 60000 * ms}, {"h", 3600000 * ms}, {"d", 86400000 * ms},
    };
    char t[TEXT_MAX];
    int64_t ns = 0;
    if (!trimmed(text, t))
        return false;
    const char *at = t;
    bool negative = *at == '-';
    at += negative || *at == '+';
    if (strcmp(at, "0") == 0) {
        *ret_ms = 0;
        return true;
    }
    while (*at) {
        struct amount a;
        if (!read_amount(&at, &a))
            return false;
        size_t len = strspn(at, "abcdefghijklmnopqrstuvwxyz");
        const struct unit *u = find_unit(units, ARRAY_LEN(units), at, len);
        if (!u || !add_amount(&ns, a, u->value))
            return false;
        at += len;
    }
    *ret_ms = (negative ? -1 : 1) * (ns / ms);
    return true;
}

bool config_type_size(bytes text, int64_t *ret_bytes)
{
    static const struct unit units[] = {
        {"", 1},
        {"B", 1},
        {"kB", 1000},
        {"KB", 1000},
        {"MB", 1000000},
        {"GB", 1000000000},
        {"TB", 1000000000000},
        {"K", 1 << 10},
        {"M", 1 << 20},
        {"G", 1 << 30},
        {"T", (int64_t)1 << 40},
        {"KiB", 1 << 10},
        {"MiB", 1 << 20},
        {"GiB", 1 << 30},
        {"TiB", (int64_t)1 << 40},
    };
    char t[TEXT_MAX];
    struct amount a;
    int64_t n = 0;
    const char *at = t;
    if (!trimmed(text, t) || !read_amount(&at, &a))
        return false;
    at += strspn(at, " ");
    const struct unit *u = find_unit(units, ARRAY_LEN(units), at, strlen(at));
    if (!u || !add_amount(&n, a, u->value))
        return false;
    *ret_bytes = n;
    return true;
}
