/* See config_schema.h. Entries become a document as the schema sees them: parts of keys are objects, and a text is what it reads
 * as in JSON, but where the schema wants a string. */
#include "lib/config_schema.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

#include "lib/config_read.h"
#include "lib/config_schema_valid.h"
#include "lib/config_text.h"

#define LIBRARY "libtenure-schema.so.0"

enum { DEPTH_MAX = 64 };

/* ---- the library ---- */

typedef int (*check_fn)(const char *schema, const char *document, char *where, size_t where_size, char *wanted,
                        size_t wanted_size);

static struct {
    pthread_once_t once;
    check_fn check;
    char why[200];
} the = {.once = PTHREAD_ONCE_INIT};

static void *open_beside(const char *file)
{
    char path[PATH_MAX];
    const char *slash = strrchr(file, '/');
    if (!slash || (size_t)snprintf(path, sizeof path, "%.*s/" LIBRARY, (int)(slash - file), file) >= sizeof path)
        return NULL;
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

/* Beside us, where the build put it; else where the system has it. */
static void load(void)
{
    char program[PATH_MAX];
    Dl_info us;
    void *library = dladdr(&the, &us) && us.dli_fname ? open_beside(us.dli_fname) : NULL;
    ssize_t n = library ? -1 : readlink("/proc/self/exe", program, sizeof program - 1);
    if (n > 0) {
        program[n] = 0;
        library = open_beside(program);
    }
    if (!library)
        library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    void *function = library ? dlsym(library, "tenure_schema_check_1") : NULL;
    if (function)
        memcpy(&the.check, &function, sizeof function);
    else
        snprintf(the.why, sizeof the.why, "%.180s", dlerror());
}

/* ---- the schema ---- */

/* What a reference within the schema names, and so on; itself when it is none. */
static const json_t *resolved(const json_t *root, const json_t *schema)
{
    for (int i = 0; i < DEPTH_MAX; i++) {
        const char *ref = json_string_value(json_object_get(schema, "$ref"));
        if (!ref || strncmp(ref, "#/", 2) != 0)
            return schema;
        schema = root;
        for (ref += 2; schema && *ref;) {
            char name[128];
            size_t len = strcspn(ref, "/");
            if (len >= sizeof name)
                return NULL;
            memcpy(name, ref, len);
            name[len] = 0;
            schema = json_object_get(schema, name);
            ref += len + (ref[len] == '/');
        }
    }
    return NULL;
}

static const json_t *schema_of_member(const json_t *root, const json_t *schema, const char *name)
{
    schema = resolved(root, schema);
    const json_t *named = json_object_get(json_object_get(schema, "properties"), name);
    return resolved(root, named ? named : json_object_get(schema, "additionalProperties"));
}

static bool has_type(const json_t *schema, const char *type)
{
    const json_t *t = json_object_get(schema, "type");
    if (json_is_string(t))
        return strcmp(json_string_value(t), type) == 0;
    for (size_t i = 0; i < json_array_size(t); i++) {
        const char *one = json_string_value(json_array_get(t, i));
        if (one && strcmp(one, type) == 0)
            return true;
    }
    return false;
}

static bool wants_it_as_read(const json_t *schema, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_INTEGER:
        return has_type(schema, "integer") || has_type(schema, "number");
    case JSON_REAL:
        return has_type(schema, "number");
    case JSON_TRUE:
    case JSON_FALSE:
        return has_type(schema, "boolean");
    case JSON_ARRAY:
        return has_type(schema, "array");
    default:
        return has_type(schema, "object");
    }
}

/* What can be missing, or may not be few, when only a part is there. Only where all must hold anyway. */
static void forget_required(json_t *schema, int depth)
{
    static const char *const maps[] = {"properties", "patternProperties", "definitions"};
    static const char *const lists[] = {"allOf"};
    const char *name;
    json_t *member;
    if (!json_is_object(schema) || depth > DEPTH_MAX)
        return;
    json_object_del(schema, "required");
    json_object_del(schema, "minProperties");
    json_object_del(schema, "dependencies");
    for (size_t i = 0; i < ARRAY_LEN(maps); i++)
        json_object_foreach(json_object_get(schema, maps[i]), name, member)
        {
            forget_required(member, depth + 1);
        }
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        for (size_t j = 0; j < json_array_size(json_object_get(schema, lists[i])); j++)
            forget_required(json_array_get(json_object_get(schema, lists[i]), j), depth + 1);
    forget_required(json_object_get(schema, "additionalProperties"), depth + 1);
}

/* ---- the document ---- */

static json_t *value_of(const struct tenure_config_entry *e, const json_t *schema)
{
    json_t *j = NULL;
    bytes text = bytes_of(e->value, e->value_len);
    if (!e->problem && text.len > 0 && strchr("-0123456789tf[{", text.data[0]))
        j = json_loadb(e->value, e->value_len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    bool as_string =
        !j || json_is_string(j) || json_is_null(j) || (has_type(schema, "string") && !wants_it_as_read(schema, j));
    if (!as_string)
        return j;
    json_decref(j);
    return config_is_text(text) ? json_stringn(e->value, e->value_len) : json_string("?");
}

static int put_entry(json_t *document, const json_t *root, const struct tenure_config_entry *e, size_t skip,
                     struct tenure_error *err)
{
    char part[CONFIG_KEY_MAX + 1];
    const char *key = e->key + skip;
    const json_t *schema = root;
    json_t *object = document;
    for (;;) {
        size_t len = strcspn(key, "/");
        memcpy(part, key, len);
        part[len] = 0;
        schema = schema_of_member(root, schema, part);
        json_t *there = json_object_get(object, part);
        if (!key[len]) {
            if (there || json_object_set_new(object, part, value_of(e, schema)))
                break;
            return 0;
        }
        if (!there) {
            there = json_object();
            if (json_object_set_new(object, part, there))
                break;
        }
        if (!json_is_object(there))
            break;
        object = there;
        key += len + 1;
    }
    return error_set(err, TENURE_EINVALID,
                     "config: \"%.100s\" cannot be checked: no UTF-8, or it lies below another key", e->key);
}

static int document_of(const struct tenure_config_list *list, const char *keys, const json_t *schema, json_t **ret,
                       struct tenure_error *err)
{
    size_t skip = strlen(keys);
    json_t *document = json_object();
    int rc = document ? 0 : error_set(err, TENURE_ENOMEM, "config: out of memory");
    for (size_t i = 0; rc == 0 && i < list->n; i++)
        if (strncmp(list->entries[i].key, keys, skip) == 0 && list->entries[i].key[skip])
            rc = put_entry(document, schema, &list->entries[i], skip, err);
    if (rc)
        json_decref(document);
    else
        *ret = document;
    return rc;
}

/* ---- the check ---- */

static int does_not_fit(const char *keys, const char *where, const char *wanted, struct tenure_error *err)
{
    char key[128];
    snprintf(key, sizeof key, "%.60s%.60s", keys, where[0] == '/' ? where + 1 : where);
    return error_set(err, TENURE_EINVALID, "config: \"%s\" does not fit the schema of \"%.40s\": %.80s", key, keys,
                     wanted);
}

static int ask_library(const char *keys, const json_t *schema, const json_t *document, struct tenure_error *err)
{
    char where[256], wanted[256];
    char *s = json_dumps(schema, JSON_COMPACT), *d = json_dumps(document, JSON_COMPACT);
    int rc = !s || !d ? TENURE_ENOMEM : the.check(s, d, where, sizeof where, wanted, sizeof wanted);
    free(s);
    free(d);
    if (rc == TENURE_ENOMEM)
        return error_set(err, rc, "config: out of memory");
    if (rc < 0)
        return error_set(err, TENURE_EINVALID, "config: the schema of \"%.60s\" cannot be read", keys);
    return rc ? does_not_fit(keys, where, wanted, err) : 0;
}

int config_schema_check(const struct tenure_config_list *list, const struct config_schema *of, struct tenure_error *err)
{
    json_t *schema = NULL, *document = NULL;
    pthread_once(&the.once, load);
    if (!the.check)
        return error_set(err, TENURE_EUNAVAILABLE, "a JSON Schema needs " LIBRARY ": %.150s", the.why);
    int rc = config_schema_read(of->text, &schema, err);
    if (rc == 0 && of->is_partial)
        forget_required(schema, 0);
    rc = rc ? rc : document_of(list, of->keys, schema, &document, err);
    rc = rc ? rc : ask_library(of->keys, schema, document, err);
    json_decref(schema);
    json_decref(document);
    return rc;
}

/* *ret is to be released in any case. */
static int read_valid(const char *schema, json_t **ret, struct tenure_error *err)
{
    int rc = config_schema_read(bytes_str(schema), ret, err);
    return rc ? rc : config_schema_valid(*ret, err);
}

static int check_keys(const char *keys, struct tenure_error *err)
{
    int rc = config_keys_check(keys, err);
    if (rc == 0 && config_keys_are_one(keys))
        rc = error_set(err, TENURE_EINVALID, "config: \"%.100s\" does not end with a slash", keys);
    return rc;
}

int tenure_config_check(const struct tenure_config_list *list, const char *keys, const char *schema,
                        struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    if (!list || !schema)
        return error_set(err, TENURE_EINVALID, "config: the list or the schema is NULL");
    json_t *j = NULL;
    int rc = check_keys(keys, err);
    rc = rc ? rc : read_valid(schema, &j, err);
    json_decref(j);
    return rc ? rc : config_schema_check(list, &(struct config_schema){.keys = keys, .text = bytes_str(schema)}, err);
}

/* ---- those in the store ---- */

int config_schema_above(struct arena *a, const char *keys, const char *ret[CONFIG_SCHEMAS_MAX], size_t *ret_n,
                        struct tenure_error *err)
{
    size_t n = 0;
    ret[n++] = "";
    for (const char *at = strchr(keys, '/'); at && at[1]; at = strchr(at + 1, '/')) {
        if (n == CONFIG_SCHEMAS_MAX)
            return error_set(err, TENURE_EINVALID, "config: \"%.60s\" has more parts than schemas are looked for",
                             keys);
        ret[n] = arena_printf(a, "%.*s", (int)(at + 1 - keys), keys);
        if (!ret[n++])
            return error_set(err, TENURE_ENOMEM, "config: out of memory");
    }
    *ret_n = keys[0] ? n : 0; /* above all there is none */
    return 0;
}

int tenure_config_schema_set(tenure_client *c, const char *keys, const char *schema,
                             const struct tenure_config_options *options, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_config_options o;
    struct config_place place = {0};
    json_t *j = NULL;
    err = err ? err : &own;
    int rc = config_enter(c, "config", options, &o, &place, err);
    rc = rc ? rc : check_keys(keys, err);
    rc = rc || !schema ? rc : read_valid(schema, &j, err);
    json_decref(j);
    const char *path = rc ? NULL : arena_printf(&place.arena, "%s%s", place.schemas, keys);
    if (rc == 0 && !path)
        rc = error_set(err, TENURE_ENOMEM, "config: out of memory");
    struct tenure_put_options put = {.size = sizeof put, .timeout_ms = o.timeout_ms};
    struct tenure_delete_options del = {.size = sizeof del, .timeout_ms = o.timeout_ms};
    if (rc == 0 && schema)
        rc = tenure_put(c, tenure_str(path), tenure_str(schema), &put, NULL, err);
    else if (rc == 0)
        rc = tenure_delete(c, tenure_str(path), &del, NULL, err);
    config_place_fini(&place);
    return rc;
}

int tenure_config_schema_get(tenure_client *c, const char *keys, const struct tenure_config_options *options,
                             char **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_config_options o;
    struct config_place place = {0};
    struct tenure_get_result *r = NULL;
    err = err ? err : &own;
    int rc = ret ? config_enter(c, "config", options, &o, &place, err)
                 : error_set(err, TENURE_EINVALID, "config: there is nowhere to put the schema");
    rc = rc ? rc : check_keys(keys, err);
    const char *path = rc ? NULL : arena_printf(&place.arena, "%s%s", place.schemas, keys);
    struct tenure_get_options get = {.size = sizeof get, .timeout_ms = o.timeout_ms};
    if (rc == 0)
        rc = path ? tenure_get(c, tenure_str(path), &get, &r, err)
                  : error_set(err, TENURE_ENOMEM, "config: out of memory");
    if (rc == 0 && r->n_kvs == 0)
        rc = error_set(err, TENURE_ENOTFOUND, "config: there is no schema of \"%.100s\"", keys);
    if (rc == 0) {
        *ret = strndup(r->kvs[0].value.data, r->kvs[0].value.len);
        rc = *ret ? 0 : error_set(err, TENURE_ENOMEM, "config: out of memory");
    }
    tenure_get_free(r);
    config_place_fini(&place);
    return rc;
}

/* ---- what is to be written ---- */

struct schemas {
    const char *keys[TENURE_CONFIG_WRITES_MAX * 2];
    size_t n;
};

static int add_keys(struct schemas *s, const char *keys, struct tenure_error *err)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->keys[i], keys) == 0)
            return 0;
    if (s->n == ARRAY_LEN(s->keys))
        return error_set(err, TENURE_ELIMIT, "config: the keys of one transaction lie in too many places for schemas");
    s->keys[s->n++] = keys;
    return 0;
}

static int collect(struct schemas *s, const struct tenure_config_write *writes, size_t n, struct arena *a,
                   struct tenure_error *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const char *above[CONFIG_SCHEMAS_MAX];
        size_t n_above = 0;
        rc = config_schema_above(a, writes[i].key, above, &n_above, err);
        for (size_t j = 0; rc == 0 && j < n_above; j++)
            rc = add_keys(s, above[j], err);
    }
    return rc;
}

static const struct tenure_config_write *write_of(const struct tenure_config_write *writes, size_t n, const char *key,
                                                  int layer)
{
    for (size_t w = 0; w < n; w++)
        if ((int)writes[w].layer == layer && strcmp(writes[w].key, key) == 0)
            return &writes[w];
    return NULL;
}

/* What a key is worth up to a layer once the writes are made; false: nothing. e NULL: it is not there yet. */
static bool pair_of(const struct tenure_config_entry *e, const char *key, const struct tenure_config_write *writes,
                    size_t n, int top, struct config_pair *ret)
{
    size_t at = 0;
    *ret = (struct config_pair){.key = key};
    for (int i = 0, l = -1; i < TENURE_CONFIG_LAYERS && l != top; i++) {
        l = (int)config_layer_order[i];
        const struct tenure_config_write *w = write_of(writes, n, key, l);
        const struct tenure_config_value *v = NULL;
        if (e && at < e->n_layers && (int)e->layers[at].layer == l)
            v = &e->layers[at++];
        if (w && w->value) {
            ret->value = w->value;
            ret->value_len = w->value_len ? w->value_len : strlen(w->value);
        } else if (!w && v) {
            ret->value = v->value;
            ret->value_len = v->value_len;
        }
    }
    return ret->value != NULL;
}

/* What the layers up to this one make, with the writes made. */
static int list_with(const struct tenure_config_list *now, const struct tenure_config_write *writes, size_t n, int top,
                     struct tenure_config_list **ret, struct tenure_error *err)
{
    struct config_pair *pairs = calloc(now->n + n + 1, sizeof *pairs);
    size_t at = 0;
    if (!pairs)
        return error_set(err, TENURE_ENOMEM, "config: out of memory");
    for (size_t i = 0; i < now->n; i++)
        at += pair_of(&now->entries[i], now->entries[i].key, writes, n, top, &pairs[at]);
    for (size_t w = 0; w < n; w++) {
        bool is_first = true;
        for (size_t before = 0; before < w; before++)
            is_first = is_first && strcmp(writes[before].key, writes[w].key) != 0;
        if (is_first && !tenure_config_find(now, writes[w].key))
            at += pair_of(NULL, writes[w].key, writes, n, top, &pairs[at]);
    }
    int rc = config_list_of(pairs, at, ret, err);
    free(pairs);
    return rc;
}

static int check_layers(tenure_client *c, const struct config_schema *schema, const struct tenure_config_write *writes,
                        size_t n, struct config_place *place, const struct tenure_config_options *o,
                        struct tenure_error *err)
{
    struct tenure_config_list *now = NULL;
    struct tenure_config_options all = *o;
    all.layers = 0;
    all.revision = 0;
    int rc = config_read(c, schema->keys, place, &all, &now, err);
    for (int l = 0; rc == 0 && l < TENURE_CONFIG_LAYERS; l++) {
        struct tenure_config_list *then = NULL;
        bool is_written = false;
        for (size_t w = 0; w < n; w++)
            is_written = is_written || (int)writes[w].layer == l;
        if (!is_written)
            continue;
        rc = list_with(now, writes, n, l, &then, err);
        rc = rc ? rc : config_schema_check(then, schema, err);
        tenure_config_list_free(then);
    }
    tenure_config_list_free(now);
    return rc;
}

int config_schema_check_writes(tenure_client *c, const struct tenure_config_write *writes, size_t n,
                               struct config_place *place, const struct tenure_config_options *o,
                               struct tenure_error *err)
{
    struct schemas s = {.n = 0};
    struct tenure_txn_result *r = NULL;
    if (o->unchecked || n == 0)
        return 0;
    int rc = collect(&s, writes, n, &place->arena, err);
    if (rc)
        return rc;
    tenure_txn *t = tenure_txn_new(c);
    for (size_t i = 0; i < s.n; i++) {
        const char *path = arena_printf(&place->arena, "%s%s", place->schemas, s.keys[i]);
        tenure_then_get(t, path ? tenure_str(path) : (struct tenure_bytes){NULL, 0}, NULL);
    }
    rc = tenure_txn_commit(t, o->timeout_ms, &r, err);
    for (size_t i = 0; rc == 0 && i < r->n_ops && i < s.n; i++) {
        const struct tenure_get_result *get = r->ops[i].get;
        if (get->n_kvs == 0)
            continue;
        struct config_schema schema = {s.keys[i], bytes_of(get->kvs[0].value.data, get->kvs[0].value.len), true};
        rc = check_layers(c, &schema, writes, n, place, o, err);
    }
    if (rc == 0 && o->schema) {
        struct config_schema schema = {"", bytes_str(o->schema), true};
        rc = check_layers(c, &schema, writes, n, place, o, err);
    }
    tenure_txn_result_free(r);
    tenure_txn_free(t);
    return rc;
}
