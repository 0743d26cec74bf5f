/* Numbers in the text of /metrics; see scrape.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/scrape.h"

static const char *next_line(const char *at)
{
    at += strcspn(at, "\n");
    return *at ? at + 1 : NULL;
}

bool metrics_number(const char *text, const char *name, double *ret)
{
    size_t len = strlen(name);
    for (const char *at = text; at && *at; at = next_line(at)) {
        if (strncmp(at, name, len) != 0 || at[len] != ' ')
            continue;
        *ret = strtod(at + len, NULL); /* Go writes large ones as 1.2e+07 */
        return true;
    }
    return false;
}

/* The bound and the count of a bucket; false: the line is none of this name's. */
static bool read_bucket(const char *at, const char *name, double *ret_bound, double *ret_count)
{
    static const char before[] = "_bucket{le=\"";
    size_t len = strlen(name);
    char *end;
    if (strncmp(at, name, len) != 0 || strncmp(at + len, before, sizeof before - 1) != 0)
        return false;
    *ret_bound = strtod(at + len + sizeof before - 1, &end); /* "+Inf" as well */
    if (strncmp(end, "\"} ", 3) != 0)
        return false;
    *ret_count = strtod(end + 3, NULL);
    return true;
}

bool metrics_quantile(const char *text, const char *name, double part, double *ret, double *ret_count)
{
    double bound, count, all = 0, below = 0, last = 0;
    for (const char *at = text; at && *at; at = next_line(at))
        if (read_bucket(at, name, &bound, &count))
            all = count;
    if (!(all > 0))
        return false;
    *ret_count = all;
    for (const char *at = text; at && *at; at = next_line(at)) {
        if (!read_bucket(at, name, &bound, &count))
            continue;
        if (count >= part * all) {
            *ret = isinf(bound) ? last : last + (bound - last) * (part * all - below) / (count - below);
            return true;
        }
        last = bound;
        below = count;
    }
    return false;
}
