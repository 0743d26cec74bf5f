/* Keys of items; see item.h. Keys come from the network and from other programs: whatever they hold has a meaning. */
#include "recipes/item.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "recipes/errand.h"
#include "recipes/queue.h"

/* ---- the ranges ---- */

static size_t range_space(size_t path_len)
{
    return 2 * (path_len + sizeof "/delayed/");
}

static char *append(char *at, bytes s)
{
    if (s.len)
        memcpy(at, s.data, s.len);
    return at + s.len;
}

static char *append_text(char *at, const char *s)
{
    return append(at, bytes_str(s));
}

static struct key_range place_range(char **at, const char *prefix, const char *name, const char *rest)
{
    char *from = *at;
    *at = append_text(append_text(append_text(append_text(*at, prefix), name), "/"), rest);
    struct key_range r = {.key = bytes_of(from, (size_t)(*at - from))};
    r.range_end = bytes_of(*at, bytes_prefix_end(r.key, (uint8_t *)*at));
    *at += r.range_end.len;
    return r;
}

static void lay_out(struct item_keys *k, const char *prefix, size_t root_len, const char *name)
{
    char *at = k->memory; /* zeroed: each text ends */
    k->name = at;
    at = append_text(at, name) + 1;
    k->line_prefix = at;
    at = append_text(append(at, bytes_of(prefix, errand_bare_prefix(prefix, root_len))), ".line/") + 1;
    k->all = place_range(&at, prefix, name, "");
    k->bodies = k->ready = k->all;
    if (k->kind != ITEM_WORK)
        return;
    k->bodies = place_range(&at, prefix, name, "items/");
    k->ready = place_range(&at, prefix, name, "ready/");
    k->delayed = place_range(&at, prefix, name, "delayed/");
    k->taken = place_range(&at, prefix, name, "taken/");
    k->claims = place_range(&at, prefix, name, "claims/");
    k->dead = place_range(&at, prefix, name, "dead/");
}

struct item_keys *item_keys_new(enum item_kind kind, const char *prefix, const char *name, struct tenure_error *err)
{
    return item_keys_new_below(kind, prefix, 0, name, err);
}

struct item_keys *item_keys_new_below(enum item_kind kind, const char *prefix, size_t root_len, const char *name,
                                      struct tenure_error *err)
{
    prefix = prefix ? prefix : "/queues/";
    if (queue_check_name(prefix, name, err)) {
        error_wrap(err, "queue");
        return NULL;
    }
    size_t path_len = strlen(prefix) + strlen(name);
    struct item_keys *k = calloc(1, sizeof *k + 2 * path_len + sizeof ".line/" + 2 + 7 * range_space(path_len));
    if (!k) {
        error_set(err, TENURE_ENOMEM, "queue: out of memory");
        return NULL;
    }
    k->kind = kind;
    lay_out(k, prefix, root_len, name);
    return k;
}

/* ---- reading ---- */

/* The digits at the front of s as a number up to max; *ret_len how many there are. */
static int64_t digits(bytes s, int64_t max, size_t *ret_len)
{
    int64_t n = 0;
    size_t i = 0;
    for (; i < s.len && s.data[i] >= '0' && s.data[i] <= '9'; i++) {
        n = n * 10 + (s.data[i] - '0');
        if (n > max)
            n = max;
    }
    *ret_len = i;
    return n;
}

/* Takes "<number>/" off the front of s; 0 when it is not there. */
static int64_t take_number(bytes *s, int64_t max)
{
    size_t len;
    int64_t n = digits(*s, max, &len);
    if (len == 0 || len == s->len || s->data[len] != '/')
        return 0;
    *s = bytes_of(s->data + len + 1, s->len - len - 1);
    return n;
}

/* Takes ".<number>" off the end of s. */
static int64_t take_deliveries(bytes *s)
{
    size_t dot = s->len, len;
    while (dot > 0 && s->data[dot - 1] != '.')
        dot--;
    if (dot == 0)
        return 0;
    int64_t n = digits(bytes_of(s->data + dot, s->len - dot), ITEM_DELIVERIES_MAX, &len);
    if (len == 0 || len != s->len - dot)
        return 0;
    s->len = dot - 1;
    return n;
}

struct item_words item_read(const struct item_keys *k, struct key_range where, bytes key)
{
    struct item_words w = {0};
    size_t skip = where.key.len < key.len ? where.key.len : key.len;
    bytes rest = bytes_of(key.data + skip, key.len - skip);
    if (k->kind == ITEM_PRIORITY)
        w.priority = take_number(&rest, ITEM_PRIORITY_MAX);
    if (k->kind == ITEM_DELAY || (k->kind == ITEM_WORK && where.key.data == k->delayed.key.data))
        w.due_ms = take_number(&rest, ITEM_DUE_MAX);
    if (k->kind == ITEM_WORK)
        w.deliveries = take_deliveries(&rest);
    w.id = rest;
    return w;
}

/* ---- writing ---- */

bytes item_key(struct key_range where, int64_t due_ms, bytes id, int64_t n, char *out)
{
    char text[ITEM_KEY_SPACE / 2];
    char *at = append(out, where.key);
    if (due_ms >= 0) {
        snprintf(text, sizeof text, "%016" PRId64 "/", due_ms < ITEM_DUE_MAX ? due_ms : ITEM_DUE_MAX);
        at = append_text(at, text);
    }
    at = append(at, id);
    if (n >= 0) {
        snprintf(text, sizeof text, ".%" PRId64, n);
        at = append_text(at, text);
    }
    return bytes_of(out, (size_t)(at - out));
}

bytes item_priority_key(const struct item_keys *k, int64_t priority, bytes id, char *out)
{
    char text[ITEM_KEY_SPACE / 2];
    snprintf(text, sizeof text, "%05" PRId64 "/", priority);
    return bytes_of(out, (size_t)(append(append_text(append(out, k->all.key), text), id) - out));
}

struct key_range item_group(const struct item_keys *k, bytes key, uint8_t *end)
{
    size_t i = k->all.key.len;
    while (i < key.len && key.data[i] != '/')
        i++;
    if (i >= key.len)
        return (struct key_range){.key = key};
    struct key_range r = {.key = bytes_of(key.data, i + 1)};
    r.range_end = bytes_of(end, bytes_prefix_end(r.key, end));
    return r;
}
