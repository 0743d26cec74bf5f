/* A list of a configuration as a file, and back. */
#include <stdlib.h>

#include "lib/config_place.h"
#include "lib/config_text.h"

/* ---- out ---- */

struct writer {
    const struct tenure_config_list *list;
    size_t skip; /* of each key */
    bool is_yaml, is_flat;
    struct buf *out;
    struct tenure_error *err;
};

static void put_line(struct writer *w, size_t depth, bool is_first)
{
    if (!w->is_yaml && !is_first)
        buf_append_byte(w->out, ',');
    if (!w->is_yaml || !is_first || depth > 1)
        buf_append_byte(w->out, '\n');
    for (size_t i = w->is_yaml ? 1 : 0; i < depth; i++)
        buf_append(w->out, "  ", 2);
}

static int put_entry(struct writer *w, const struct tenure_config_entry *e, bytes name, size_t depth, bool is_first)
{
    bytes value = bytes_of(e->value, e->value_len);
    if (!config_is_text(value) || !config_is_text(bytes_str(e->key))) /* all its parts */
        return error_set(w->err, TENURE_EINVALID, "config: \"%.100s\" is no UTF-8", e->key);
    put_line(w, depth, is_first);
    config_put_string(w->out, name);
    buf_append(w->out, ": ", 2);
    config_put_value(w->out, value);
    return 0;
}

static bytes rest_of(const struct writer *w, size_t i, size_t from)
{
    return bytes_str(w->list->entries[i].key + w->skip + from);
}

/* The entries of *at and behind it that begin with the first `from` bytes of its key: what is in one object. Keys in byte order
 * lie together below each part. Depth: a key has 512 parts at most. */
static int put_object(struct writer *w, size_t *at, size_t from, size_t depth)
{
    const char *front = w->list->entries[*at].key;
    bool is_first = true;
    int rc = 0;
    while (rc == 0 && *at < w->list->n && strncmp(w->list->entries[*at].key, front, w->skip + from) == 0) {
        bytes rest = rest_of(w, *at, from);
        const uint8_t *slash = w->is_flat ? NULL : memchr(rest.data, '/', rest.len);
        if (!slash) {
            rc = put_entry(w, &w->list->entries[*at], rest, depth, is_first);
            ++*at;
        } else {
            bytes name = bytes_of(rest.data, (size_t)(slash - rest.data));
            char whole[CONFIG_KEY_MAX + 1];
            const char *key = w->list->entries[*at].key;
            size_t len = w->skip + from + name.len;
            memcpy(whole, key, len);
            whole[len] = 0;
            if (tenure_config_find(w->list, whole))
                return error_set(w->err, TENURE_EINVALID,
                                 "config: \"%.80s\" lies below \"%.80s\": only a flat format can hold both", key,
                                 whole);
            put_line(w, depth, is_first);
            config_put_string(w->out, name);
            buf_printf(w->out, w->is_yaml ? ":" : ": {");
            rc = put_object(w, at, from + name.len + 1, depth + 1);
            if (!w->is_yaml) {
                buf_append_byte(w->out, '\n');
                for (size_t i = 0; i < depth; i++)
                    buf_append(w->out, "  ", 2);
                buf_append_byte(w->out, '}');
            }
        }
        is_first = false;
    }
    return rc;
}

static int put_tree(struct writer *w)
{
    size_t at = 0;
    if (w->list->n == 0) {
        buf_append(w->out, "{}\n", 3);
        return 0;
    }
    if (!w->is_yaml)
        buf_append_byte(w->out, '{');
    int rc = put_object(w, &at, 0, 1);
    buf_printf(w->out, w->is_yaml ? "\n" : "\n}\n");
    return rc;
}

static bool is_format(enum tenure_config_format f)
{
    return f >= TENURE_CONFIG_JSON && f <= TENURE_CONFIG_DOTENV;
}

static int check_keys(const char *keys, enum tenure_config_format format, struct tenure_error *err)
{
    int rc = config_keys_check(keys, err);
    if (rc == 0 && config_keys_are_one(keys))
        rc = error_set(err, TENURE_EINVALID, "config: \"%.100s\" does not end with a slash", keys);
    if (rc == 0 && !is_format(format))
        rc = error_set(err, TENURE_EINVALID, "config: there is no format %d", (int)format);
    return rc;
}

int tenure_config_format(const struct tenure_config_list *list, const char *keys, enum tenure_config_format format,
                         char **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct buf b;
    err = err ? err : &own;
    if (!list || !ret)
        return error_set(err, TENURE_EINVALID, "config: the list, or the place for the text, is NULL");
    int rc = check_keys(keys, format, err);
    if (rc)
        return rc;
    struct writer w = {.list = list, .skip = strlen(keys), .out = &b, .err = err};
    for (size_t i = 0; i < list->n; i++)
        if (strncmp(list->entries[i].key, keys, w.skip) != 0)
            return error_set(err, TENURE_EINVALID, "config: \"%.80s\" does not begin with \"%.80s\"",
                             list->entries[i].key, keys);
    w.is_yaml = format == TENURE_CONFIG_YAML || format == TENURE_CONFIG_YAML_FLAT;
    w.is_flat = format == TENURE_CONFIG_JSON_FLAT || format == TENURE_CONFIG_YAML_FLAT;
    buf_init(&b);
    rc = format == TENURE_CONFIG_DOTENV ? config_dotenv_write(list, w.skip, &b, err) : put_tree(&w);
    buf_append_byte(&b, 0);
    if (rc == 0 && buf_error(&b))
        rc = error_set(err, TENURE_ENOMEM, "config: out of memory");
    if (rc)
        buf_fini(&b);
    else
        *ret = (char *)b.data;
    return rc;
}

/* ---- in ---- */

static int read_json(const char *text, size_t len, json_t **ret, struct tenure_error *err)
{
    json_error_t why;
    *ret = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    return *ret ? 0 : error_set(err, TENURE_EINVALID, "config: line %d: %.160s", why.line, why.text);
}

static int read_pairs(const char *text, size_t len, const char *keys, enum tenure_config_format format,
                      struct config_pairs *p, struct tenure_error *err)
{
    json_t *tree = NULL;
    if (format == TENURE_CONFIG_DOTENV)
        return config_dotenv_read(text, len, keys, p, err);
    bool is_yaml = format == TENURE_CONFIG_YAML || format == TENURE_CONFIG_YAML_FLAT;
    int rc = (is_yaml ? config_yaml_read : read_json)(text, len, &tree, err);
    rc = rc ? rc : config_pairs_add_tree(p, keys, tree, err);
    json_decref(tree);
    return rc;
}

int tenure_config_parse(const char *text, size_t len, const char *keys, enum tenure_config_format format,
                        struct tenure_config_list **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct config_pairs p = {.n = 0};
    err = err ? err : &own;
    if (!text || !ret)
        return error_set(err, TENURE_EINVALID, "config: the text, or the place for the list, is NULL");
    int rc = check_keys(keys, format, err);
    if (rc)
        return rc;
    arena_init(&p.arena, 0);
    rc = read_pairs(text, len, keys, format, &p, err);
    rc = rc ? rc : config_list_of(p.list, p.n, ret, err);
    config_pairs_fini(&p);
    return rc;
}
