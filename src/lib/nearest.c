/* See nearest.h. There are few regions: what is sorted is sorted by insertion. */
#include "lib/nearest.h"

#include <string.h>

static const struct tenure_region *own_of(const struct tenure_region_list *all)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->regions[i].own)
            return &all->regions[i];
    return NULL;
}

static int64_t said(const struct tenure_region *by, const char *to)
{
    for (size_t i = 0; by && i < by->n_distances; i++)
        if (strcmp(by->distances[i].region, to) == 0)
            return by->distances[i].ms;
    return -1;
}

int64_t nearest_distance(const struct tenure_region_list *all, const struct tenure_region *to)
{
    int64_t ms = to->own ? 0 : said(own_of(all), to->name);
    return ms >= 0 ? ms : said(to, all->own);
}

/* ---- which ---- */

/* The next name of a list, without blanks; false behind the last one. */
static bool next_name(const char **at, bytes *ret)
{
    while (**at == ',' || **at == ' ')
        ++*at;
    size_t len = strcspn(*at, ", ");
    *ret = bytes_of(*at, len);
    *at += len;
    return len > 0;
}

static bool wants_all(const char *wanted)
{
    return !wanted || strcmp(wanted, "all") == 0;
}

bool nearest_wants(const char *wanted, const char *name)
{
    bytes one;
    if (wants_all(wanted))
        return true;
    while (next_name(&wanted, &one))
        if (bytes_equal(one, bytes_str(name)))
            return true;
    return false;
}

static bool is_known(const struct tenure_region_list *all, bytes name)
{
    for (size_t i = 0; i < all->n; i++)
        if (bytes_equal(name, bytes_str(all->regions[i].name)))
            return true;
    return all->own[0] && bytes_equal(name, bytes_str(all->own));
}

bytes nearest_unknown(const struct tenure_region_list *all, const char *wanted)
{
    bytes one = {0};
    if (wants_all(wanted))
        return one;
    while (next_name(&wanted, &one))
        if (!is_known(all, one))
            return one;
    return (bytes){0};
}

/* ---- in which order ---- */

static bool is_nearer(const struct tenure_region_list *all, size_t a, size_t b)
{
    int64_t x = nearest_distance(all, &all->regions[a]), y = nearest_distance(all, &all->regions[b]);
    if (all->regions[a].own != all->regions[b].own)
        return all->regions[a].own;
    if ((x < 0) != (y < 0))
        return y < 0;
    return x != y ? x < y : strcmp(all->regions[a].name, all->regions[b].name) < 0;
}

size_t nearest_order(const struct tenure_region_list *all, const char *wanted, size_t *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < all->n; i++) {
        if (!nearest_wants(wanted, all->regions[i].name))
            continue;
        size_t at = n++;
        for (; at > 0 && is_nearer(all, i, ret[at - 1]); at--)
            ret[at] = ret[at - 1];
        ret[at] = i;
    }
    return n;
}

/* ---- from which ---- */

static size_t take(const struct nearest_look *look, size_t n, enum nearest_state wanted, bool lax, bool wait)
{
    for (size_t i = 0; i < n; i++)
        if (look->state(look->user, i, wait) == wanted && look->take(look->user, i, lax))
            return i;
    return n;
}

size_t nearest_take(const struct nearest_look *look, size_t n, bool lax)
{
    size_t i = take(look, n, NEAREST_KNOWN, false, true);
    if (i == n)
        i = take(look, n, NEAREST_OLD, false, false);
    if (i == n && lax)
        i = take(look, n, NEAREST_KNOWN, true, false);
    if (i == n && lax)
        i = take(look, n, NEAREST_OLD, true, false);
    return i;
}
