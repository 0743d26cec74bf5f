/* See config_text.h. */
#include "lib/config_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/config_place.h"

enum { DEPTH_MAX = 64 };

/* ---- strings ---- */

bool config_is_text(bytes s)
{
    while (s.len > 0) {
        size_t n = bytes_utf8_char(s);
        if (n == 0 || s.data[0] == 0)
            return false;
        s = bytes_of(s.data + n, s.len - n);
    }
    return true;
}

static uint32_t code_point(const uint8_t *p, size_t n)
{
    static const uint8_t masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c = p[0] & masks[n];
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3f);
    return c;
}

/* What YAML takes for a control character, or the end of a line. */
static bool is_escaped(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff || c == 0xfffe ||
           c == 0xffff;
}

void config_put_string(struct buf *b, bytes s)
{
    buf_append_byte(b, '"');
    while (s.len > 0) {
        size_t n = bytes_utf8_char(s);
        uint32_t c = n ? code_point(s.data, n) : 0xfffd;
        if (c == '\n')
            buf_append(b, "\\n", 2);
        else if (c == '\t')
            buf_append(b, "\\t", 2);
        else if (is_escaped(c))
            buf_printf(b, "\\u%04" PRIx32, c);
        else if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", (char)c);
        else
            buf_append(b, s.data, n);
        n = n ? n : 1;
        s = bytes_of(s.data + n, s.len - n);
    }
    buf_append_byte(b, '"');
}

/* ---- values ---- */

/* The shortest text that reads back as the same number, which is a real one in JSON too. jansson reads and writes by the locale's
 * point itself. */
static void put_real(struct buf *b, double d)
{
    for (int digits = 15; digits <= 17; digits++) {
        json_t *j = json_real(d);
        char *text = json_dumps(j, JSON_ENCODE_ANY | JSON_REAL_PRECISION((size_t)digits));
        json_decref(j);
        json_t *back = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
        bool same = back && json_real_value(back) == d;
        if (same || digits == 17)
            buf_printf(b, "%s", text ? text : "0.0");
        json_decref(back);
        free(text);
        if (same)
            return;
    }
}

static void put_array(struct buf *b, const json_t *j)
{
    buf_append_byte(b, '[');
    for (size_t i = 0; i < json_array_size(j); i++) {
        if (i > 0)
            buf_append_byte(b, ',');
        config_put_json(b, json_array_get(j, i));
    }
    buf_append_byte(b, ']');
}

static void put_object(struct buf *b, const json_t *j)
{
    const char *name;
    json_t *member;
    bool first = true;
    buf_append_byte(b, '{');
    json_object_foreach((json_t *)j, name, member)
    {
        if (!first)
            buf_append_byte(b, ',');
        first = false;
        config_put_string(b, bytes_str(name));
        buf_append_byte(b, ':');
        config_put_json(b, member);
    }
    buf_append_byte(b, '}');
}

/* Depth: jansson reads 2,048 at most. */
void config_put_json(struct buf *b, const json_t *j)
{
    switch (json_typeof(j)) {
    case JSON_OBJECT:
        put_object(b, j);
        return;
    case JSON_ARRAY:
        put_array(b, j);
        return;
    case JSON_STRING:
        config_put_string(b, bytes_of(json_string_value(j), json_string_length(j)));
        return;
    case JSON_INTEGER:
        buf_printf(b, "%" PRId64, (int64_t)json_integer_value(j));
        return;
    case JSON_REAL:
        put_real(b, json_real_value(j));
        return;
    default:
        buf_printf(b, "%s", json_is_true(j) ? "true" : json_is_false(j) ? "false" : "null");
    }
}

/* Numbers, booleans and arrays have few first characters. */
static bool may_be_plain(bytes s)
{
    return s.len > 0 && strchr("-0123456789tf[", s.data[0]) != NULL;
}

void config_put_value(struct buf *b, bytes value)
{
    struct buf plain;
    json_t *j = NULL;
    if (may_be_plain(value))
        j = json_loadb((const char *)value.data, value.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    buf_init(&plain);
    if (j && !json_is_object(j) && !json_is_string(j))
        config_put_json(&plain, j);
    if (buf_error(&plain) == 0 && plain.len > 0 && bytes_equal(buf_bytes(&plain), value))
        buf_append_bytes(b, value);
    else
        config_put_string(b, value);
    buf_fini(&plain);
    json_decref(j);
}

/* ---- pairs ---- */

void config_pairs_fini(struct config_pairs *p)
{
    arena_fini(&p->arena);
    free(p->list);
}

int config_pairs_add(struct config_pairs *p, const char *front, bytes name, bytes value, struct tenure_error *err)
{
    if (name.len > CONFIG_KEY_MAX || memchr(name.data, 0, name.len))
        return error_set(err, TENURE_EINVALID, "config: \"%.*s\" is no key", name.len > 60 ? 60 : (int)name.len,
                         (const char *)name.data);
    if (p->n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 32;
        struct config_pair *list = realloc(p->list, cap * sizeof *list);
        if (!list)
            return error_set(err, TENURE_ENOMEM, "config: out of memory");
        p->list = list;
        p->cap = cap;
    }
    const char *key = arena_printf(&p->arena, "%s%.*s", front, (int)name.len, (const char *)name.data);
    bytes kept = arena_copy(&p->arena, value);
    if (!key || !kept.data)
        return error_set(err, TENURE_ENOMEM, "config: out of memory");
    p->list[p->n++] = (struct config_pair){.key = key, .value = (const char *)kept.data, .value_len = kept.len};
    return 0;
}

static int add_tree(struct config_pairs *p, const char *front, const json_t *tree, int depth, struct tenure_error *err);

static int add_leaf(struct config_pairs *p, const char *front, bytes name, const json_t *j, struct tenure_error *err)
{
    struct buf b;
    if (json_is_string(j))
        return config_pairs_add(p, front, name, bytes_of(json_string_value(j), json_string_length(j)), err);
    buf_init(&b);
    config_put_json(&b, j);
    int rc = buf_error(&b);
    if (rc)
        error_set(err, rc, "config: out of memory");
    else
        rc = config_pairs_add(p, front, name, buf_bytes(&b), err);
    buf_fini(&b);
    return rc;
}

static int add_member(struct config_pairs *p, const char *front, const char *name, const json_t *j, int depth,
                      struct tenure_error *err)
{
    if (json_is_null(j))
        return error_set(err, TENURE_EINVALID, "config: \"%.80s%.80s\" is null, which is no value", front, name);
    if (!json_is_object(j))
        return add_leaf(p, front, bytes_str(name), j, err);
    if (strlen(name) > CONFIG_KEY_MAX)
        return error_set(err, TENURE_EINVALID, "config: \"%.80s…\" is too long for a key", name);
    const char *below = arena_printf(&p->arena, "%s%s/", front, name);
    return below ? add_tree(p, below, j, depth + 1, err) : error_set(err, TENURE_ENOMEM, "config: out of memory");
}

static int add_tree(struct config_pairs *p, const char *front, const json_t *tree, int depth, struct tenure_error *err)
{
    const char *name;
    json_t *member;
    int rc = 0;
    if (depth > DEPTH_MAX)
        return error_set(err, TENURE_EINVALID, "config: more than %d objects within each other", DEPTH_MAX);
    json_object_foreach((json_t *)tree, name, member)
    {
        rc = rc ? rc : add_member(p, front, name, member, depth, err);
    }
    return rc;
}

int config_pairs_add_tree(struct config_pairs *p, const char *front, const json_t *tree, struct tenure_error *err)
{
    if (!json_is_object(tree))
        return error_set(err, TENURE_EINVALID, "config: the file is no object of keys and values");
    return add_tree(p, front, tree, 0, err);
}
