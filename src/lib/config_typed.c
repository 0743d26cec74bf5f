/* Values of a view by their type. */
#include <stdlib.h>

#include <jansson.h>

#include "lib/config_list.h"
#include "lib/config_read.h"
#include "lib/config_type.h"

static char *copy(const char *s, size_t len, struct tenure_error *err)
{
    char *to = malloc(len + 1);
    if (!to) {
        error_set(err, TENURE_ENOMEM, "config: out of memory");
        return NULL;
    }
    memcpy(to, s, len);
    to[len] = 0;
    return to;
}

/* Whether the value can be used at all. */
static bool is_usable(const struct tenure_config_entry *e, struct tenure_error *err)
{
    if (e && e->problem)
        error_set(err, TENURE_EDENIED, "%s", e->problem);
    return e && !e->problem;
}

static void is_none(const struct tenure_config_entry *e, const char *wanted, struct tenure_error *err)
{
    int shown = e->value_len > 60 ? 60 : (int)e->value_len;
    if (e->is_sealed)
        error_set(err, TENURE_EINVALID, "config: \"%.80s\" is sealed, and is not %s", e->key, wanted);
    else
        error_set(err, TENURE_EINVALID, "config: \"%.80s\" is \"%.*s\", not %s", e->key, shown, e->value, wanted);
}

char *config_text(const struct tenure_config_entry *e, const char *fallback, struct tenure_error *err)
{
    if (is_usable(e, err))
        return copy(e->value, e->value_len, err);
    return fallback ? copy(fallback, strlen(fallback), err) : NULL;
}

/* ---- the door ---- */

/* The list that the entry is in, to be freed; *ret_e NULL: there is no such key, or err says more. */
static struct tenure_config_list *look_up(tenure_config *v, const char *key, const struct tenure_config_entry **ret_e,
                                          struct tenure_error *err)
{
    *ret_e = NULL;
    error_clear(err);
    struct tenure_config_list *list = NULL;
    if (!v)
        error_set(err, TENURE_EINVALID, "config: the view is NULL");
    else if (config_key_check(key, err) == 0 && !(list = tenure_config_list(v)))
        error_set(err, TENURE_ENOMEM, "config: out of memory");
    const struct tenure_config_entry *e = tenure_config_find(list, key);
    *ret_e = is_usable(e, err) ? e : NULL;
    return list;
}

static bytes text_of(const struct tenure_config_entry *e)
{
    return bytes_of(e->value, e->value_len);
}

char *tenure_config_string(tenure_config *v, const char *key, const char *fallback, struct tenure_error *err)
{
    struct tenure_error own;
    const struct tenure_config_entry *e;
    err = err ? err : &own;
    struct tenure_config_list *list = look_up(v, key, &e, err);
    char *text = config_text(e, fallback, err);
    tenure_config_list_free(list);
    return text;
}

static bool is_json(const struct tenure_config_entry *e)
{
    json_t *json = json_loadb(e->value, e->value_len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    json_decref(json);
    return json != NULL;
}

char *tenure_config_json(tenure_config *v, const char *key, const char *fallback, struct tenure_error *err)
{
    struct tenure_error own;
    const struct tenure_config_entry *e;
    err = err ? err : &own;
    struct tenure_config_list *list = look_up(v, key, &e, err);
    if (e && !is_json(e)) {
        is_none(e, "JSON", err);
        e = NULL;
    }
    char *text = config_text(e, fallback, err);
    tenure_config_list_free(list);
    return text;
}

#define TYPED(name, type, read, wanted)                                                                                \
    type name(tenure_config *v, const char *key, type fallback, struct tenure_error *err)                              \
    {                                                                                                                  \
        struct tenure_error own;                                                                                       \
        const struct tenure_config_entry *e;                                                                           \
        type value = fallback;                                                                                         \
        err = err ? err : &own;                                                                                        \
        struct tenure_config_list *list = look_up(v, key, &e, err);                                                    \
        if (e && !read(text_of(e), &value))                                                                            \
            is_none(e, wanted, err);                                                                                   \
        tenure_config_list_free(list);                                                                                 \
        return value;                                                                                                  \
    }

TYPED(tenure_config_int, int64_t, config_type_int, "a whole number")
TYPED(tenure_config_float, double, config_type_float, "a number")
TYPED(tenure_config_bool, bool, config_type_bool, "true or false")
TYPED(tenure_config_duration_ms, int64_t, config_type_duration, "a time like 250ms, 1m30s or 2h")
TYPED(tenure_config_size_bytes, int64_t, config_type_size, "a size like 512, 64KiB or 1.5GiB")
