/* tenure replica verify of a copy by ranges, which has no hash: its keys beside the source's, page by page, both at one revision. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tenure/iterator.h>

#include "base/error.h"
#include "cli/replica.h"

enum { TRIES = 50, PAUSE_MS = 200, PAGE_TIMEOUT_MS = 60000 };

/* One side of one range: the page that was read last, and where in it. */
struct side {
    tenure_range_iter *it;
    struct tenure_get_result *page;
    size_t at;
    bool ended;
};

static int open_side(struct side *s, tenure_client *c, struct key_range range, int64_t revision,
                     struct tenure_error *err)
{
    struct tenure_range_options o = {
        .size = sizeof o, .from_key = key_range_is_from(range), .revision = revision, .timeout_ms = PAGE_TIMEOUT_MS};
    if (!o.from_key)
        o.range_end = (struct tenure_bytes){range.range_end.data, range.range_end.len};
    *s = (struct side){0};
    s->it = tenure_range_iter_new(c, (struct tenure_bytes){range.key.data, range.key.len}, &o, err);
    return s->it ? 0 : err->code;
}

static void close_side(struct side *s)
{
    tenure_get_free(s->page);
    tenure_range_iter_free(s->it);
    *s = (struct side){0};
}

/* *ret: the next key; NULL at the end. */
static int next(struct side *s, const struct tenure_kv **ret, struct tenure_error *err)
{
    *ret = NULL;
    while (!s->ended) {
        if (s->page && s->at < s->page->n_kvs) {
            *ret = &s->page->kvs[s->at++];
            return 0;
        }
        tenure_get_free(s->page);
        s->page = NULL;
        s->at = 0;
        int rc = tenure_range_iter_next(s->it, &s->page, err);
        if (rc)
            return rc;
        s->ended = !s->page;
    }
    return 0;
}

static bool same_bytes(struct tenure_bytes a, struct tenure_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool same(const struct tenure_kv *a, const struct tenure_kv *b)
{
    return a && b && same_bytes(a->key, b->key) && same_bytes(a->value, b->value) && a->version == b->version &&
           a->mod_revision == b->mod_revision && a->create_revision == b->create_revision && a->lease == b->lease;
}

static void differs(struct replica_compared *ret, const struct tenure_kv *a, const struct tenure_kv *b)
{
    const struct tenure_kv *which = a ? a : b;
    ret->equal = false;
    if (!ret->different && which)
        ret->different = strndup(which->key.data, which->key.len);
}

static int compare_range(tenure_client *source, tenure_client *replica, struct key_range range,
                         struct replica_compared *ret, struct tenure_error *err)
{
    struct side a = {0}, b = {0};
    const struct tenure_kv *x = NULL, *y = NULL;
    int rc = open_side(&a, source, range, ret->revision, err);
    if (rc == 0)
        rc = open_side(&b, replica, range, ret->revision, err);
    while (rc == 0 && ret->equal) {
        rc = next(&a, &x, err);
        if (rc == 0)
            rc = next(&b, &y, err);
        if (rc || (!x && !y))
            break;
        ret->keys++;
        if (!same(x, y))
            differs(ret, x, y);
    }
    close_side(&a);
    close_side(&b);
    return rc;
}

/* ---- the ranges, as text ---- */

static int digit(char c)
{
    const char *digits = "0123456789abcdef", *at = strchr(digits, c);
    return c && at ? (int)(at - digits) : -1;
}

/* Moves *text behind it. */
static bytes read_hex(const char **text, uint8_t **out)
{
    uint8_t *start = *out;
    for (; digit((*text)[0]) >= 0 && digit((*text)[1]) >= 0; *text += 2)
        *(*out)++ = (uint8_t)(digit((*text)[0]) * 16 + digit((*text)[1]));
    return bytes_of(start, (size_t)(*out - start));
}

static bool read_range(const char **text, uint8_t **out, struct key_range *ret)
{
    ret->key = read_hex(text, out);
    if (*(*text)++ != '-')
        return false;
    ret->range_end = read_hex(text, out);
    bool ends = **text == ',' || **text == 0;
    if (**text)
        (*text)++;
    return ends && ret->key.len > 0 && ret->range_end.len > 0;
}

/* ---- all ---- */

static int revision_of(tenure_client *c, struct key_range range, int64_t *ret, struct tenure_error *err)
{
    struct tenure_get_options o = {.size = sizeof o, .count_only = true};
    struct tenure_get_result *r = NULL;
    int rc = tenure_get(c, (struct tenure_bytes){range.key.data, range.key.len}, &o, &r, err);
    if (rc == 0)
        *ret = r->revision;
    tenure_get_free(r);
    return rc;
}

static int compare_all(tenure_client *source, tenure_client *replica, const char *ranges, uint8_t *room,
                       struct replica_compared *ret, struct tenure_error *err)
{
    int rc = 0;
    *ret = (struct replica_compared){.equal = true};
    while (rc == 0 && *ranges) {
        struct key_range range;
        if (!read_range(&ranges, &room, &range))
            return error_set(err, TENURE_EPROTOCOL, "the replica does not say what it holds");
        if (ret->revision == 0)
            rc = revision_of(source, range, &ret->revision, err);
        if (rc == 0)
            rc = compare_range(source, replica, range, ret, err);
    }
    return rc;
}

int replica_compare(tenure_client *source, tenure_client *replica, const char *ranges, struct replica_compared *ret,
                    struct tenure_error *err)
{
    int rc = TENURE_EFUTURE;
    uint8_t *room = malloc(strlen(ranges) + 1);
    if (!room)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    for (int i = 0; i < TRIES && (rc == TENURE_EFUTURE || rc == TENURE_ECOMPACTED); i++) {
        struct timespec pause = {0, PAUSE_MS * 1000000};
        if (i > 0)
            nanosleep(&pause, NULL);
        rc = compare_all(source, replica, ranges, room, ret, err);
    }
    free(room);
    return rc;
}
