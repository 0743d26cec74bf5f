/* See config_history.h. Reading the versions, and rolling back. */
#include "lib/config_history.h"

#include <inttypes.h>
#include <stdlib.h>

#include <jansson.h>

#include "lib/config_read.h"
#include "lib/config_text.h"
#include "lib/config_write.h"
#include "lib/result.h"

/* ---- records ---- */

static json_t *hex_of(bytes s)
{
    char *hex = malloc(2 * s.len + 1);
    if (!hex)
        return NULL;
    for (size_t i = 0; i < s.len; i++) {
        hex[2 * i] = "0123456789abcdef"[s.data[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[s.data[i] & 15];
    }
    json_t *j = json_stringn(hex, 2 * s.len);
    free(hex);
    return j;
}

static int set_string(json_t *j, const char *name, const char *s)
{
    return s ? json_object_set_new(j, name, config_is_text(bytes_str(s)) ? json_string(s) : json_string("?")) : 0;
}

static int set_number(json_t *j, const char *name, int64_t n)
{
    return n ? json_object_set_new(j, name, json_integer(n)) : 0;
}

char *config_record_write(const struct config_record *r)
{
    json_t *j = json_object();
    int bad = !j;
    if (!r->value.data)
        bad |= json_object_set_new(j, "deleted", json_true());
    else if (config_is_text(r->value))
        bad |= json_object_set_new(j, "value", json_stringn((const char *)r->value.data, r->value.len));
    else
        bad |= json_object_set_new(j, "hex", hex_of(r->value));
    bad |= set_number(j, "revision", r->revision);
    bad |= set_number(j, "was", r->was);
    bad |= set_string(j, "who", r->who);
    bad |= set_number(j, "at", r->at_ms);
    bad |= set_string(j, "comment", r->comment);
    bad |= set_string(j, "id", r->id);
    char *text = bad ? NULL : json_dumps(j, JSON_COMPACT);
    json_decref(j);
    return text;
}

static int digit(char c)
{
    const char *at = c ? strchr("0123456789abcdef", c) : NULL;
    return at ? (int)(at - "0123456789abcdef") : -1;
}

static bool read_hex(const json_t *hex, struct arena *a, bytes *ret)
{
    const char *s = json_string_value(hex);
    size_t len = json_string_length(hex);
    uint8_t *out = s && len % 2 == 0 ? arena_alloc(a, len / 2 + 1) : NULL;
    for (size_t i = 0; out && i < len / 2; i++) {
        int high = digit(s[2 * i]), low = digit(s[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(16 * high + low);
    }
    if (out)
        out[len / 2] = 0;
    *ret = bytes_of(out, len / 2);
    return out != NULL;
}

static bool read_string(const json_t *j, const char *name, struct arena *a, const char **ret)
{
    const char *s = json_string_value(json_object_get(j, name));
    *ret = s ? arena_strdup(a, s) : NULL;
    return !s || *ret;
}

static bool read_value(const json_t *j, struct arena *a, struct config_record *ret)
{
    const json_t *value = json_object_get(j, "value"), *hex = json_object_get(j, "hex");
    if (json_is_true(json_object_get(j, "deleted")))
        return true;
    if (hex)
        return read_hex(hex, a, &ret->value);
    if (!json_is_string(value))
        return false;
    ret->value = arena_copy(a, bytes_of(json_string_value(value), json_string_length(value)));
    return ret->value.data != NULL;
}

bool config_record_read(bytes text, struct arena *a, struct config_record *ret)
{
    json_t *j = json_loadb((const char *)text.data, text.len, JSON_ALLOW_NUL, NULL);
    *ret = (struct config_record){0};
    bool ok = json_is_object(j) && read_value(j, a, ret) && read_string(j, "who", a, &ret->who) &&
              read_string(j, "comment", a, &ret->comment) && read_string(j, "id", a, &ret->id);
    if (ok) {
        ret->revision = json_integer_value(json_object_get(j, "revision"));
        ret->was = json_integer_value(json_object_get(j, "was"));
        ret->at_ms = json_integer_value(json_object_get(j, "at"));
    }
    json_decref(j);
    return ok;
}

const char *config_version_key(struct arena *a, const char *prefix, int64_t version)
{
    return arena_printf(a, "%s%0*" PRId64, prefix, CONFIG_VERSION_DIGITS, version);
}

int64_t config_version_of(bytes key, size_t prefix_len)
{
    int64_t version = 0;
    if (key.len != prefix_len + CONFIG_VERSION_DIGITS)
        return 0;
    for (size_t i = prefix_len; i < key.len; i++) {
        if (key.data[i] < '0' || key.data[i] > '9')
            return 0;
        version = 10 * version + (key.data[i] - '0');
    }
    return version;
}

void config_get_versions(tenure_txn *t, struct arena *a, const char *prefix, int64_t limit)
{
    const char *first = arena_printf(a, "%s0", prefix), *end = arena_printf(a, "%s:", prefix);
    struct tenure_get_options o = {.size = sizeof o,
                                   .range_end = tenure_str(end),
                                   .order = TENURE_ORDER_DESCEND,
                                   .sort = TENURE_SORT_KEY,
                                   .limit = limit,
                                   .keys_only = limit > 0};
    tenure_then_get(t, first && end ? tenure_str(first) : (struct tenure_bytes){NULL, 0}, &o);
}

/* ---- the versions of a key ---- */

struct versions {
    struct tenure_config_versions public;
    struct arena arena; /* of all strings */
    struct tenure_config_version list[];
};

void tenure_config_versions_free(struct tenure_config_versions *r)
{
    if (!r)
        return;
    struct versions *v = CONTAINER_OF(r, struct versions, public);
    arena_fini(&v->arena);
    free(v);
}

static int fill(struct tenure_config_version *to, const struct tenure_kv *kv, size_t prefix_len, int64_t current,
                struct arena *a)
{
    struct config_record r;
    to->version = config_version_of(result_bytes_in(kv->key), prefix_len);
    if (to->version == 0 || !config_record_read(result_bytes_in(kv->value), a, &r))
        return 0;
    to->revision = r.revision ? r.revision : kv->mod_revision;
    to->value = (const char *)r.value.data;
    to->value_len = r.value.len;
    to->who = r.who ? r.who : "";
    to->comment = r.comment ? r.comment : "";
    to->at_ms = r.at_ms;
    to->is_current = to->value && to->revision == current;
    return 1;
}

/* What stands, when the newest record is not of it. */
static int add_present(struct versions *v, const struct tenure_kv *kv, int64_t newest)
{
    bytes value = arena_copy(&v->arena, result_bytes_in(kv->value));
    v->list[v->public.n++] = (struct tenure_config_version){.version = newest + 1,
                                                            .revision = kv->mod_revision,
                                                            .value = (const char *)value.data,
                                                            .value_len = value.len,
                                                            .who = "",
                                                            .comment = "",
                                                            .is_current = true};
    return value.data ? 0 : TENURE_ENOMEM;
}

static struct versions *versions_of(const struct tenure_get_result *key, const struct tenure_get_result *records,
                                    size_t prefix_len)
{
    struct versions *v = calloc(1, sizeof *v + (records->n_kvs + 1) * sizeof v->list[0]);
    if (!v)
        return NULL;
    arena_init(&v->arena, 0);
    v->public.versions = v->list;
    int64_t current = key->n_kvs ? key->kvs[0].mod_revision : -1;
    int64_t newest = records->n_kvs ? config_version_of(result_bytes_in(records->kvs[0].key), prefix_len) : 0;
    bool is_recorded = records->n_kvs && records->kvs[0].mod_revision == current;
    if (key->n_kvs && !is_recorded && add_present(v, &key->kvs[0], newest)) {
        tenure_config_versions_free(&v->public);
        return NULL;
    }
    for (size_t i = 0; i < records->n_kvs; i++)
        v->public.n += (size_t)fill(&v->list[v->public.n], &records->kvs[i], prefix_len, current, &v->arena);
    return v;
}

static int read_versions(tenure_client *c, const char *key, enum tenure_config_layer layer, struct config_place *place,
                         int64_t timeout_ms, struct versions **ret, struct tenure_error *err)
{
    const char *path, *history;
    struct tenure_txn_result *r = NULL;
    int rc = config_place_key(place, layer, key, &path, err);
    rc = rc ? rc : config_place_history(place, layer, key, &history, err);
    if (rc)
        return rc;
    tenure_txn *t = tenure_txn_new(c);
    tenure_then_get(t, tenure_str(path), NULL);
    config_get_versions(t, &place->arena, history, 0);
    rc = tenure_txn_commit(t, timeout_ms, &r, err);
    if (rc == 0) {
        *ret = versions_of(r->ops[0].get, r->ops[1].get, strlen(history));
        rc = *ret ? 0 : error_set(err, TENURE_ENOMEM, "config: out of memory");
    }
    tenure_txn_result_free(r);
    tenure_txn_free(t);
    return rc;
}

int tenure_config_history(tenure_client *c, const char *key, enum tenure_config_layer layer,
                          const struct tenure_config_options *options, struct tenure_config_versions **ret,
                          struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_config_options o;
    struct config_place place = {0};
    struct versions *v = NULL;
    err = err ? err : &own;
    int rc = ret ? config_enter(c, "config", options, &o, &place, err)
                 : error_set(err, TENURE_EINVALID, "config: there is nowhere to put the history");
    rc = rc ? rc : config_key_check(key, err);
    rc = rc ? rc : read_versions(c, key, layer, &place, o.timeout_ms, &v, err);
    config_place_fini(&place);
    if (rc == 0)
        *ret = &v->public;
    return rc;
}

/* ---- back to one of them ---- */

static int write_again(tenure_client *c, const char *key, enum tenure_config_layer layer, int64_t version,
                       int64_t if_revision, struct config_place *place, struct tenure_config_options *o,
                       const struct versions *v, int64_t *ret_revision, struct tenure_error *err)
{
    const struct tenure_config_version *to = NULL;
    int64_t current = -1;
    char comment[64];
    for (size_t i = 0; i < v->public.n; i++) {
        if (v->list[i].version == version)
            to = &v->list[i];
        if (v->list[i].is_current)
            current = v->list[i].revision;
    }
    if (!to)
        return error_set(err, TENURE_ENOTFOUND, "config: of \"%.100s\" no version %" PRId64 " is kept", key, version);
    snprintf(comment, sizeof comment, "rollback to version %" PRId64, version);
    o->comment = o->comment ? o->comment : comment;
    struct tenure_config_write w = {.key = key,
                                    .value = to->value,
                                    .value_len = to->value_len,
                                    .layer = layer,
                                    .if_revision = if_revision ? if_revision : current};
    return config_write(c, &w, 1, place, o, ret_revision, err);
}

int tenure_config_rollback(tenure_client *c, const char *key, enum tenure_config_layer layer, int64_t version,
                           int64_t if_revision, const struct tenure_config_options *options, int64_t *ret_revision,
                           struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_config_options o;
    struct config_place place = {0};
    struct versions *v = NULL;
    err = err ? err : &own;
    int rc = config_enter(c, "config", options, &o, &place, err);
    rc = rc ? rc : config_key_check(key, err);
    rc = rc ? rc : read_versions(c, key, layer, &place, o.timeout_ms, &v, err);
    rc = rc ? rc : write_again(c, key, layer, version, if_revision, &place, &o, v, ret_revision, err);
    tenure_config_versions_free(v ? &v->public : NULL);
    config_place_fini(&place);
    return rc;
}
