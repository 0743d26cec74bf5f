/* See config_place.h. */
#include "lib/config_place.h"

#include <stdlib.h>

static const char *const layer_names[TENURE_CONFIG_LAYERS] = {"default", "environment", "service", "instance",
                                                              "global"};

const enum tenure_config_layer config_layer_order[TENURE_CONFIG_LAYERS] = {
    TENURE_CONFIG_GLOBAL, TENURE_CONFIG_DEFAULT, TENURE_CONFIG_ENVIRONMENT, TENURE_CONFIG_SERVICE,
    TENURE_CONFIG_INSTANCE};

const char *tenure_config_layer_string(enum tenure_config_layer layer)
{
    return (unsigned)layer < TENURE_CONFIG_LAYERS ? layer_names[layer] : "?";
}

/* ---- keys ---- */

static const char *fault_of(bytes key)
{
    if (key.len == 0)
        return "is empty";
    if (key.len > CONFIG_KEY_MAX)
        return "is longer than 1,024 bytes";
    if (memchr(key.data, 0, key.len))
        return "has a byte 0";
    for (size_t i = 0; i < key.len; i++) {
        bool begins = i == 0 || key.data[i - 1] == '/';
        if (begins && key.data[i] == '/')
            return i == 0 ? "begins with a slash" : "has an empty part (two slashes)";
        if (begins && key.data[i] == '@')
            return "has a part that begins with @, which is kept for layers";
    }
    return key.data[key.len - 1] == '/' ? "ends with a slash" : NULL;
}

bool config_key_is_valid(bytes key)
{
    return fault_of(key) == NULL;
}

int config_key_check(const char *key, struct tenure_error *err)
{
    const char *fault = key ? fault_of(bytes_str(key)) : "is NULL";
    return fault ? error_set(err, TENURE_EINVALID, "config: the key \"%.100s\" %s", key ? key : "", fault) : 0;
}

bool config_keys_are_one(const char *keys)
{
    size_t len = strlen(keys);
    return len > 0 && keys[len - 1] != '/';
}

int config_keys_check(const char *keys, struct tenure_error *err)
{
    if (!keys)
        return error_set(err, TENURE_EINVALID, "config: the keys are NULL");
    size_t len = strlen(keys);
    if (len > 0 && keys[len - 1] == '/')
        len--;
    else if (len == 0)
        return 0;
    const char *fault = fault_of(bytes_of(keys, len));
    return fault ? error_set(err, TENURE_EINVALID, "config: \"%.100s\" %s", keys, fault) : 0;
}

/* ---- layers ---- */

static const char *said(const char *option, const char *variable)
{
    const char *value = option ? option : getenv(variable);
    return value && value[0] ? value : NULL;
}

static int check_name(const char *what, const char *name, struct tenure_error *err)
{
    if (!name || (name[0] != '@' && !strchr(name, '/') && strlen(name) <= CONFIG_KEY_MAX))
        return 0;
    return error_set(err, TENURE_EINVALID, "config: the %s \"%.100s\" has a slash, begins with @ or is too long", what,
                     name);
}

static int check_prefix(const char *prefix, struct tenure_error *err)
{
    size_t len = strlen(prefix);
    if (len < 2 || len > CONFIG_KEY_MAX || prefix[len - 1] != '/')
        return error_set(err, TENURE_EINVALID, "config: the prefix \"%.100s\" must end with a slash behind a name",
                         prefix);
    return 0;
}

static int make_roots(struct config_place *p, const char *environment, const char *service, const char *instance)
{
    struct arena *a = &p->arena;
    int bare = (int)strlen(p->prefix) - 1;
    p->history = arena_printf(a, "%.*s-history/", bare, p->prefix);
    p->schemas = arena_printf(a, "%.*s-schema/", bare, p->prefix);
    p->roots[TENURE_CONFIG_DEFAULT] = p->prefix;
    p->roots[TENURE_CONFIG_GLOBAL] = arena_printf(a, "%s" CONFIG_GLOBAL, p->prefix);
    if (environment)
        p->roots[TENURE_CONFIG_ENVIRONMENT] = arena_printf(a, "%s@env/%s/", p->prefix, environment);
    if (service)
        p->roots[TENURE_CONFIG_SERVICE] = arena_printf(a, "%s@service/%s/", p->prefix, service);
    if (instance)
        p->roots[TENURE_CONFIG_INSTANCE] = arena_printf(a, "%s@instance/%s/%s/", p->prefix, service, instance);
    bool ok = p->history && p->schemas && p->roots[TENURE_CONFIG_GLOBAL] &&
              !environment == !p->roots[TENURE_CONFIG_ENVIRONMENT] && !service == !p->roots[TENURE_CONFIG_SERVICE] &&
              !instance == !p->roots[TENURE_CONFIG_INSTANCE];
    return ok ? 0 : TENURE_ENOMEM;
}

bool config_place_reads(const struct config_place *p, enum tenure_config_layer layer, unsigned layers)
{
    if (layers)
        return p->roots[layer] && (layers & (1u << layer));
    return p->roots[layer] && (layer != TENURE_CONFIG_GLOBAL || p->reads_global);
}

int config_place_init(struct config_place *p, const struct tenure_config_options *o, struct tenure_error *err)
{
    const char *environment = said(o->environment, "TENURE_CONFIG_ENVIRONMENT");
    const char *service = said(o->service, "TENURE_CONFIG_SERVICE");
    const char *instance = said(o->instance, "TENURE_CONFIG_INSTANCE");
    const char *global = getenv("TENURE_CONFIG_GLOBAL");
    const char *prefix = o->prefix ? o->prefix : "/config/";
    *p = (struct config_place){.lacks = {"", "environment (TENURE_CONFIG_ENVIRONMENT)",
                                         "service (TENURE_CONFIG_SERVICE)",
                                         "service and instance (TENURE_CONFIG_SERVICE, TENURE_CONFIG_INSTANCE)"}};
    p->reads_global = o->global > 0 || (o->global == 0 && global && strcmp(global, "1") == 0);
    arena_init(&p->arena, 0);
    int rc = check_prefix(prefix, err);
    rc = rc ? rc : check_name("environment", environment, err);
    rc = rc ? rc : check_name("service", service, err);
    rc = rc ? rc : check_name("instance", instance, err);
    if (rc == 0 && instance && !service)
        rc = error_set(err, TENURE_EINVALID, "config: the instance \"%.100s\" is of no service", instance);
    if (rc)
        return rc;
    p->prefix = arena_strdup(&p->arena, prefix);
    if (!p->prefix || make_roots(p, environment, service, instance))
        return error_set(err, TENURE_ENOMEM, "config: out of memory");
    return 0;
}

void config_place_fini(struct config_place *p)
{
    arena_fini(&p->arena);
}

/* ---- paths ---- */

static int check_layer(const struct config_place *p, enum tenure_config_layer layer, struct tenure_error *err)
{
    if ((unsigned)layer >= TENURE_CONFIG_LAYERS)
        return error_set(err, TENURE_EINVALID, "config: there is no layer %d", (int)layer);
    if (!p->roots[layer])
        return error_set(err, TENURE_EINVALID, "config: the %s layer needs the name of the %s", layer_names[layer],
                         p->lacks[layer]);
    return 0;
}

static int kept(const char *s, const char **ret, struct tenure_error *err)
{
    *ret = s;
    return s ? 0 : error_set(err, TENURE_ENOMEM, "config: out of memory");
}

int config_place_key(struct config_place *p, enum tenure_config_layer layer, const char *key, const char **ret,
                     struct tenure_error *err)
{
    int rc = check_layer(p, layer, err);
    return rc ? rc : kept(arena_printf(&p->arena, "%s%s", p->roots[layer], key), ret, err);
}

int config_place_history(struct config_place *p, enum tenure_config_layer layer, const char *key, const char **ret,
                         struct tenure_error *err)
{
    int rc = check_layer(p, layer, err);
    if (rc)
        return rc;
    const char *below = p->roots[layer] + strlen(p->prefix);
    return kept(arena_printf(&p->arena, "%s%s%s/@/", p->history, below, key), ret, err);
}

/* The end of the range of all that begins so; keys end with a slash there. */
static const char *end_of(struct arena *a, const char *start)
{
    char *end = arena_strdup(a, start);
    if (end)
        end[strlen(end) - 1]++;
    return end;
}

size_t config_place_parts(struct config_place *p, const char *keys, unsigned layers,
                          struct config_part ret[CONFIG_PARTS_MAX])
{
    struct arena *a = &p->arena;
    size_t n = 0;
    bool ok = true;
    for (int i = 0; i < TENURE_CONFIG_LAYERS; i++) {
        enum tenure_config_layer l = config_layer_order[i];
        if (!config_place_reads(p, l, layers))
            continue;
        const char *root = p->roots[l];
        struct config_part part = {.layer = l, .root_len = strlen(root), .range_end = ""};
        part.key = arena_printf(a, "%s%s", root, keys);
        if (part.key && !config_keys_are_one(keys))
            part.range_end = end_of(a, part.key);
        ok = ok && part.key && part.range_end;
        ret[n++] = part;
        if (l != TENURE_CONFIG_DEFAULT || keys[0] || !ok)
            continue;
        ret[n] = part; /* what lies before the marks of layers, and what lies behind them */
        ret[n - 1].range_end = arena_printf(a, "%s@", root);
        ret[n].key = arena_printf(a, "%sA", root);
        ok = ret[n - 1].range_end && ret[n].key;
        n++;
    }
    return ok ? n : 0;
}
