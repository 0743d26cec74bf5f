/* Reads and writes grpc-timeout. The longest, 99,999,999 hours, is 3.6e14 ms: no overflow. */
#include "wire/grpc_timeout.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum { DIGITS_MAX = 8 };
static const int64_t VALUE_MAX = 99999999;

static int64_t divide_up(int64_t n, int64_t by)
{
    return n / by + (n % by != 0);
}

bool grpc_timeout_parse(bytes s, int64_t *ret_ms)
{
    if (s.len < 2 || s.len > DIGITS_MAX + 1)
        return false;
    int64_t n = 0;
    for (size_t i = 0; i + 1 < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
        n = 10 * n + (s.data[i] - '0');
    }
    switch (s.data[s.len - 1]) {
    case 'H':
        *ret_ms = n * 3600 * 1000;
        return true;
    case 'M':
        *ret_ms = n * 60 * 1000;
        return true;
    case 'S':
        *ret_ms = n * 1000;
        return true;
    case 'm':
        *ret_ms = n;
        return true;
    case 'u':
        *ret_ms = divide_up(n, 1000);
        return true;
    case 'n':
        *ret_ms = divide_up(n, 1000000);
        return true;
    default:
        return false;
    }
}

size_t grpc_timeout_print(int64_t timeout_ms, char *out)
{
    assert(timeout_ms >= 0);
    int64_t n = timeout_ms;
    char unit = 'm';
    if (n > VALUE_MAX) {
        n = divide_up(n, 1000);
        unit = 'S';
    }
    if (n > VALUE_MAX) {
        n = divide_up(n, 3600);
        unit = 'H';
    }
    if (n > VALUE_MAX)
        n = VALUE_MAX;
    return (size_t)snprintf(out, GRPC_TIMEOUT_SIZE, "%" PRId64 "%c", n, unit);
}
